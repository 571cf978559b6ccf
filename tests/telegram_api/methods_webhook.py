"""setWebhook, deleteWebhook and getWebhookInfo."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from telegram_api.errors import bad, flood
from telegram_api.forms import Params
from telegram_api.webhook import Settings
from telegram_api.world import Json

if TYPE_CHECKING:
    from telegram_api.api import TelegramApi

_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")


def set_webhook(api: TelegramApi, params: Params) -> tuple[bool, str]:
    """setWebhook. Returns the result and its description."""
    url = params.text("url").strip()
    if not url:
        return delete_webhook(api, params)
    now = api.clock.now()
    if api.limits.on and now < api.next_set_webhook:
        raise flood(1)
    api.next_set_webhook = now + 1
    secret = params.text("secret_token")
    if secret and not _SECRET.fullmatch(secret):
        raise bad(
            "secret token is too long" if len(secret) > 256 else "secret token contains unallowed characters"
        )
    if not url.startswith("https://") and not (api.plain_webhooks and url.startswith("http://")):
        raise bad("bad webhook: An HTTPS URL must be provided for webhook")
    connections = params.number("max_connections", 40)
    settings = Settings(url, secret, min(max(connections, 1), 100), params.text("ip_address"))
    old = api.webhook.settings
    same = (old.url, old.secret, old.max_connections, old.ip_address) == (
        settings.url, settings.secret, settings.max_connections, settings.ip_address,
    )  # fmt: skip
    api.updates.allow(params.get("allowed_updates"))
    if same and not params.flag("drop_pending_updates"):
        return True, "Webhook is already set"
    api.poller.end_for_webhook()
    if params.flag("drop_pending_updates"):
        api.updates.clear()
    api.webhook.set(settings)
    return True, "Webhook was set"


def delete_webhook(api: TelegramApi, params: Params) -> tuple[bool, str]:
    """deleteWebhook."""
    had = api.webhook.active
    if params.flag("drop_pending_updates"):
        api.updates.clear()
    api.webhook.set(Settings())
    return True, "Webhook was deleted" if had else "Webhook is already deleted"


def get_webhook_info(api: TelegramApi, params: Params) -> Json:
    """getWebhookInfo."""
    settings, updates = api.webhook.settings, api.updates
    updates.expire()
    info: Json = {
        "url": settings.url,
        "has_custom_certificate": False,
        "pending_update_count": len(updates.pending),
    }
    if settings.url:
        info["max_connections"] = settings.max_connections
        info["ip_address"] = settings.ip_address or "127.0.0.1"
    if settings.last_error_date:
        info["last_error_date"] = settings.last_error_date
        info["last_error_message"] = settings.last_error_message
    if updates.allowed is not None:
        info["allowed_updates"] = sorted(updates.allowed)
    return info
