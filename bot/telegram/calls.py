"""Calls to Telegram for rows of the outbox: each takes a slot of the pace, each error is the desk's."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from aiogram import Bot
from aiogram.methods import TelegramMethod

from bot.telegram.api_errors import MarkupError, errors_translated
from desk.ports import Pace

T = TypeVar("T")

CALL_SECONDS = 8
"""Less than the sender waits in all, so that a connection that never came about is known as such."""
_MARKUP = ("entities", "caption_entities", "parse_mode")
_SHORTEST_PAUSE = 0.01


class Calls:
    """Makes calls for rows that are being sent.

    The sender takes one slot of the pace for a row before it hands the row over. A row that needs a
    further call asks for a further slot with ``another``.
    """

    def __init__(self, bot: Bot, pace: Pace) -> None:
        self._bot = bot
        self._pace = pace

    async def make(self, recipient: str, method: TelegramMethod[T]) -> T:
        """Makes one call. What Telegram does not understand as marked-up text it gets as plain text, once.

        Raises:
            SendError: See ``api_errors``.
        """
        try:
            with errors_translated():
                return await self._bot(method, request_timeout=CALL_SECONDS)
        except MarkupError:
            marked = {name: None for name in _MARKUP if getattr(method, name, None) is not None}
            if not marked:
                raise
        plain = method.model_copy(update=marked)
        await self.another(recipient)
        with errors_translated():
            return await self._bot(plain, request_timeout=CALL_SECONDS)

    async def another(self, recipient: str) -> None:
        """Gives the slot of the call before back and waits for the next one."""
        self._pace.end(recipient)
        try:
            while self._pace.room() <= 0 or recipient in self._pace.held():
                pause = self._pace.next_change().total_seconds()
                await asyncio.sleep(max(pause, _SHORTEST_PAUSE))
        finally:
            # Also when it was given up: whoever handed the row over gives one slot back in any case.
            self._pace.begin(recipient)
