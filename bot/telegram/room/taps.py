"""Answers to taps where no staff group is connected: only that the button was heard."""

from __future__ import annotations

from collections.abc import Sequence

from aiogram import Bot
from aiogram.methods import AnswerCallbackQuery

from bot.telegram.api_errors import errors_translated
from bot.telegram.calls import CALL_SECONDS
from desk.errors import SendRefusedError
from desk.ports import SendReceipt
from desk.values import Outgoing


class TapAnswers:
    """Takes the place of ``RoomSender`` in an installation without a group."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot

    async def send(self, outgoing: Outgoing, followers: Sequence[Outgoing] = ()) -> SendReceipt:
        """See ``Sender.send``."""
        if outgoing.payload.get("do") != "answer_tap":
            raise SendRefusedError("no staff group is connected")
        answer = AnswerCallbackQuery(callback_query_id=str(outgoing.payload["query_id"]))
        try:
            with errors_translated():
                await self._bot(answer, request_timeout=CALL_SECONDS)
        except SendRefusedError:
            # Taps live 150 seconds; nobody looks at the button any more.
            return SendReceipt()
        return SendReceipt()
