"""Who may call the HTTP API: signed by the shop, or with the API key."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from standardwebhooks import Webhook, WebhookVerificationError

# What the library lets escape besides its own error: UnicodeDecodeError for the body and ValueError for a
# signature without a comma, bad base64 (binascii.Error) or a time beyond the calendar.
_FAULTS = (WebhookVerificationError, ValueError, TypeError, ArithmeticError, OSError)


class ShopSignatures:
    """Checks Standard Webhooks signatures against one or, while a secret is changed, two secrets."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._hooks = [Webhook(secret) for secret in secrets if secret]

    def fit(self, raw: bytes, headers: Mapping[str, str]) -> bool:
        """Whether the raw bytes are signed with any of the secrets and at most 300 s off.

        Every secret is tried each time and one signature is made even for a request that never gets that
        far, so that the time taken says nothing about what was wrong.
        """
        fits = False
        for hook in self._hooks:
            fits = _fits(hook, raw, headers) or fits
        return fits


def _fits(hook: Webhook, raw: bytes, headers: Mapping[str, str]) -> bool:
    try:
        hook.verify(raw, dict(headers), json_parse=False)
    except _FAULTS:
        hook.sign("", datetime.fromtimestamp(0, UTC), base64.b64encode(raw).decode())
        return False
    return True


def key_fits(authorization: str, api_key: str) -> bool:
    """Whether an ``Authorization`` header carries the API key. An empty key fits nothing."""
    scheme, _, given = authorization.partition(" ")
    same = hmac.compare_digest(_digest(given.strip()), _digest(api_key))
    return same and scheme.casefold() == "bearer" and bool(api_key)


def _digest(text: str) -> bytes:
    # Hashed first, so that the comparison sees equal lengths whatever came.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
