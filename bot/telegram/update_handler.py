"""Works stored updates: sets aside what nobody here handles, and gives the rest to those who do."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

import structlog
from aiogram import Bot, Dispatcher
from aiogram.dispatcher.event.bases import UNHANDLED
from aiogram.enums import ChatType
from aiogram.types import Chat, Message, Update

from bot.telegram.customer_updates import Complete, CustomerUpdates, Linker
from bot.telegram.raw_updates import HANDLED, SOURCE, open_update, type_of
from desk.errors import InvalidInputError
from desk.ports import Transactions, UnitOfWork
from desk.service_desk import ServiceDesk
from desk.values import InboxItem, OutgoingKind

_log = structlog.get_logger(__name__)

_MOST_MOVES = 8
_CHAT_NUMBER = re.compile(r"/chatid(@\w{1,64})?\s*", re.IGNORECASE)


class RoomUpdates(Linker, Protocol):
    """What happens in the staff group."""

    async def handle(self, update: Update, item: InboxItem, complete: Complete) -> None:
        """Acts on one update of the group; calls ``complete`` once, in a transaction."""
        ...


class UpdateHandler:
    """Handles inbox items of the source ``telegram``.

    Args:
        staff_chat: The group's id from the settings, or None.
        room: Who handles what happens there, or None.
        find_username: The bot's own name, once Telegram has told it.
    """

    def __init__(
        self,
        bot: Bot,
        service_desk: ServiceDesk,
        transactions: Transactions,
        clock: Callable[[], datetime],
        staff_chat: int | None = None,
        room: RoomUpdates | None = None,
        find_username: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._bot = bot
        self._desk = service_desk
        self._transactions = transactions
        self._clock = clock
        self._staff_chat = staff_chat
        self._room = room
        # No states of aiogram's own: who is asked what is in the database.
        self._dispatcher = Dispatcher(disable_fsm=True)
        customers = CustomerUpdates(service_desk, transactions, room, find_username, clock, bot.id)
        self._dispatcher.include_router(customers.router())

    async def __call__(self, item: InboxItem, complete: Complete) -> None:
        """Handles one item.

        Raises:
            InvalidInputError: Nobody will ever understand it.
        """
        raw = open_update(item.raw)
        kind = type_of(raw)
        if kind not in HANDLED:
            # Before aiogram sees it, which would print the whole update.
            await self._ignore(kind, item, complete)
            return
        update = self._parse({"update_id": raw["update_id"], kind: raw[kind]})
        chat = _chat_of(update)
        if chat is not None and chat.type != ChatType.PRIVATE:
            if self._room is not None and await self._is_staff_chat(update, chat.id):
                await self._room.handle(update, item, complete)
            elif _asks_for_number(update.message):
                await self._tell_number(chat.id, item, complete)
            else:
                await self._ignore("foreign_group", item, complete)
            return
        outcome = await self._dispatcher.feed_update(self._bot, update, item=item, complete=complete)
        if outcome is UNHANDLED:
            await self._ignore(kind, item, complete)

    async def _ignore(self, kind: str, item: InboxItem, complete: Complete) -> None:
        _log.info("telegram_update_ignored", kind=kind, item_id=item.id)
        await self._transactions.write(complete)

    async def _tell_number(self, chat_id: int, item: InboxItem, complete: Complete) -> None:
        """Whoever connects the staff group needs its number, which Telegram's apps do not show."""
        now = self._clock()

        def work(unit: UnitOfWork) -> None:
            unit.outbox.add_for_staff(
                f"chat_number:{item.id}",
                SOURCE,
                f"room:{chat_id}",
                str(chat_id),
                {"do": "say", "code": "chat_number"},
                now,
                kind=OutgoingKind.NOTICE,
            )
            complete(unit)

        await self._transactions.write(work)

    def _parse(self, raw: dict[str, Any]) -> Update:
        try:
            return Update.model_validate(raw, context={"bot": self._bot})
        except (ValueError, TypeError, ArithmeticError, RecursionError, OSError):
            # Pydantic's words repeat what came in.
            raise InvalidInputError("update", "is none that Telegram sends") from None

    async def _is_staff_chat(self, update: Update, chat_id: int) -> bool:
        staff_chat = self._staff_chat
        message = update.message
        if message is not None and staff_chat is not None and message.migrate_from_chat_id == staff_chat:
            return True
        for _ in range(_MOST_MOVES):
            if staff_chat is None or chat_id == staff_chat:
                return staff_chat is not None
            # A group that became a supergroup has another id from then on.
            moved = await self._desk.find_bookmark(f"telegram:{self._bot.id}:moved:{staff_chat}")
            staff_chat = int(moved) if moved is not None else None
        return False


def _asks_for_number(message: Message | None) -> bool:
    return message is not None and _CHAT_NUMBER.fullmatch(message.text or "") is not None


def _chat_of(update: Update) -> Chat | None:
    message: Message | None = update.message or update.edited_message
    if message is not None:
        return message.chat
    if update.callback_query is not None:
        shown = update.callback_query.message
        return shown.chat if shown is not None else None
    return update.my_chat_member.chat if update.my_chat_member is not None else None
