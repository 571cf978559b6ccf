"""Looks once a minute at what waits at Telegram, and whether Telegram can reach us."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import structlog
from aiogram import Bot
from aiogram.types import WebhookInfo

from bot.telegram.session import FetchError
from bot.telegram.setup import WEBHOOK_PATH, as_fetch

_log = structlog.get_logger(__name__)

EVERY_SECONDS = 60.0
MOST_PENDING = 100
"""More than this at two looks in a row is told."""
ERROR_LASTS = timedelta(minutes=10)


class UpdateWatch:
    """Watches the queue of updates at Telegram.

    ``supervisor.add("telegram_watch", watch.run, listens=True)``.

    Args:
        public_url: As for ``TelegramSetup``: None = we poll.
    """

    def __init__(
        self,
        bot: Bot,
        public_url: str | None,
        clock: Callable[[], datetime],
        every_seconds: float = EVERY_SECONDS,
    ) -> None:
        self._bot = bot
        self._url = "" if public_url is None else public_url + WEBHOOK_PATH
        self._clock = clock
        self._every = every_seconds
        self._status = "ok"
        self._pending: list[int] = []
        self._error_at: datetime | None = None

    def status(self) -> str:
        """``ok``, or what is wrong with how updates reach us."""
        return self._status

    def figures(self) -> Mapping[str, float]:
        """Gauges by their name: how many updates wait at Telegram, and when it last failed to bring one.

        Empty until Telegram was asked for the first time.
        """
        if not self._pending:
            return {}
        error_at = self._error_at.timestamp() if self._error_at is not None else 0.0
        return {
            "telegram_updates_pending": float(self._pending[-1]),
            "telegram_webhook_last_error_timestamp_seconds": error_at,
        }

    async def run(self) -> None:
        """Looks for ever; may be cancelled at any moment."""
        while True:
            await self.look()
            await asyncio.sleep(self._every)

    async def look(self) -> None:
        """Looks once."""
        try:
            info = await as_fetch(self._bot.get_webhook_info())
        except FetchError as error:
            # The poller and the sender say so louder.
            _log.info("telegram_watch_failed", error_type=error.words)
            return
        self._status = self._judge(info)

    def _judge(self, info: WebhookInfo) -> str:
        self._pending = [*self._pending[-1:], info.pending_update_count]
        self._error_at = _aware(info.last_error_date)
        found = []
        if len(self._pending) == 2 and min(self._pending) > MOST_PENDING:
            _log.warning("telegram_updates_pending", count=info.pending_update_count)
            found.append(f"{info.pending_update_count} updates wait at Telegram")
        if self._url and self._error_at is not None and self._clock() - self._error_at < ERROR_LASTS:
            _log.warning("telegram_webhook_error", last_error_at=self._error_at)
            found.append("Telegram could not bring updates to the webhook; it must reach PUBLIC_URL")
        if info.url != self._url:
            _log.error("telegram_webhook_foreign", state="set" if info.url else "removed")
            found.append(
                "another program has set a webhook for this bot"
                if info.url
                else "another program has removed the webhook"
            )
        return "; ".join(found) or "ok"


def _aware(at: datetime | None) -> datetime | None:
    return at if at is None or at.tzinfo is not None else at.replace(tzinfo=UTC)
