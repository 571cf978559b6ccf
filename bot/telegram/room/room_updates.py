"""What happens in the staff group, handed on to whoever acts on it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import structlog
from aiogram.types import ChatMemberUpdated, Message, Update

from bot.telegram.attachments import is_service
from bot.telegram.room.heard.acting import Complete, RoomActing
from bot.telegram.room.heard.staff_lines import StaffLines
from bot.telegram.room.heard.staff_taps import StaffTaps
from bot.telegram.room.place import RoomPlace
from desk.ports import Transactions
from desk.staff_desk import StaffDesk
from desk.values import InboxItem

_log = structlog.get_logger(__name__)

CHANNEL = "telegram"
_OUTSIDE = frozenset({"left", "kicked"})


class RoomUpdates:
    """Acts on updates of the staff group. Every path calls ``complete`` once, in the transaction that acts.

    Args:
        find_username: The bot's own name, once Telegram has told it.
    """

    def __init__(
        self,
        place: RoomPlace,
        staff_desk: StaffDesk,
        transactions: Transactions,
        clock: Callable[[], datetime],
        find_username: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._place = place
        self._staff_desk = staff_desk
        self._acting = RoomActing(place, transactions, clock)
        self._lines = StaffLines(self._acting, staff_desk, find_username)
        self._taps = StaffTaps(self._acting, staff_desk)

    async def handle(self, update: Update, item: InboxItem, complete: Complete) -> None:
        """Acts on one update of the group."""
        if update.message is not None:
            await self._hear(update.message, complete)
        elif update.edited_message is not None:
            await self._lines.hear_edit(update.edited_message, complete)
        elif update.callback_query is not None:
            await self._taps.hear(update.callback_query, complete)
        elif update.my_chat_member is not None:
            await self._hear_membership(update.my_chat_member, complete)
        else:
            await self._ignore(complete)

    async def handle_link(self, message: Message, code: str, item: InboxItem, complete: Complete) -> None:
        """Answers ``/link CODE`` of a private chat."""
        await self._lines.link(message, code, complete, privately=True)

    async def _hear(self, message: Message, complete: Complete) -> None:
        old, new = message.chat.id, message.migrate_to_chat_id
        if message.migrate_from_chat_id is not None:
            old, new = message.migrate_from_chat_id, message.chat.id
        if new is not None:
            await self._move(old, new, complete)
        elif is_service(message):
            await self._ignore(complete)
        else:
            self._place.heard_forum(message.chat.id, bool(message.chat.is_forum))
            await self._lines.hear(message, complete)

    async def _move(self, old: int, new: int, complete: Complete) -> None:
        now = self._acting.clock()
        await self._acting.tell(lambda rows: self._place.move(rows.unit, old, new, now), complete)
        _log.info("staff_room_moved", chat_id=new)

    async def _hear_membership(self, change: ChatMemberUpdated, complete: Complete) -> None:
        self._place.heard_membership(inside=str(change.new_chat_member.status) not in _OUTSIDE)
        await self._ignore(complete)

    async def _ignore(self, complete: Complete) -> None:
        await self._acting.transactions.write(complete)
