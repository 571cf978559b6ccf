"""The staff group with all its parts, for whoever wires the application."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, tzinfo

from aiogram import Bot

from bot.telegram.room.place import RoomPlace
from bot.telegram.room.posting import RoomPosting
from bot.telegram.room.projector import RoomProjector
from bot.telegram.room.room_sender import RoomSender
from bot.telegram.room.room_updates import RoomUpdates
from desk.ports import Transactions, Wakeups
from desk.staff_desk import StaffDesk
from desk.staff_room import StaffRoom


class StaffGroup:
    """客服群 in Telegram.

    Args:
        chat_id: The group's id from the settings.
        owner: This process, for the lease of the projector.
        timezone: The shop's; times on cards are given in it.
        console_url: Address of the installation, for links to the console; empty for none.
        find_username: The bot's own name, once Telegram has told it.

    Attributes:
        sender: Sends what is to be done in the group; for ``TelegramSender``.
        updates: Hears what happens there; for ``UpdateHandler``.
    """

    def __init__(
        self,
        *,
        bot: Bot,
        chat_id: int,
        staff_desk: StaffDesk,
        staff_room: StaffRoom,
        transactions: Transactions,
        wakeups: Wakeups,
        owner: str,
        clock: Callable[[], datetime],
        timezone: tzinfo,
        console_url: str = "",
        find_username: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._place = RoomPlace(bot, chat_id, transactions, clock)
        self._projector = RoomProjector(self._place, transactions, wakeups, owner, clock)
        self.sender = RoomSender(
            RoomPosting(bot, self._place, staff_room, transactions, clock, timezone, console_url.rstrip("/"))
        )
        self.updates = RoomUpdates(self._place, staff_desk, transactions, clock, find_username)

    async def run(self, is_stopping: Callable[[], bool]) -> None:
        """Turns what happens at the desk into rows for the group, until told to stop."""
        await self._projector.run(is_stopping)

    async def project_once(self) -> int:
        """One round of ``run``; says how many events were read."""
        return await self._projector.project_once()

    def status(self) -> str:
        """How the group is, for ``/readyz``: ``ok``, or what is wrong in a few words."""
        return self._place.status()
