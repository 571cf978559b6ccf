"""Reads the desk's events and turns them into rows for the staff group, once, however often it dies."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from bot.telegram.room.place import RoomPlace
from bot.telegram.room.projection import Projection
from desk.errors import StorageUnavailableError
from desk.ports import Transactions, UnitOfWork, Wakeups

_log = structlog.get_logger(__name__)

LOOK_AGAIN = timedelta(seconds=1)
LEASE = timedelta(seconds=15)
CATCH_UP_EVERY = timedelta(minutes=1)
"""How often open cases are compared with the cards that are there, should anything have been missed."""
BATCH = 100
_FIRST = ("case_opened",)


@dataclass(frozen=True, slots=True)
class _Step:
    """What one transaction did.

    Attributes:
        events: How many events were read.
        left: How many open cases have no card yet.
        carded: Open cases that have one, or None when nobody compared.
    """

    chat: int
    events: int
    left: int
    carded: frozenset[int] | None


class RoomProjector:
    """One for each bot and group, by a lease. Rows and bookmark are written in one transaction.

    At the very first start it begins at the newest event, with a card for each open case.

    Args:
        owner: This process, for the lease.
    """

    def __init__(
        self,
        place: RoomPlace,
        transactions: Transactions,
        wakeups: Wakeups,
        owner: str,
        clock: Callable[[], datetime],
    ) -> None:
        self._place = place
        self._transactions = transactions
        self._wakeups = wakeups
        self._owner = owner
        self._clock = clock
        self._bookmark = f"telegram:{place.bot_id}:room"
        self._lease_name = f"telegram-room:{place.bot_id}"
        self._behind = True
        self._compare_at: datetime | None = None
        self._chat: int | None = None
        self._carded: frozenset[int] = frozenset()

    async def run(self, is_stopping: Callable[[], bool]) -> None:
        """Projects until told to stop."""
        while not is_stopping():
            try:
                read = await self.project_once()
            except StorageUnavailableError as error:
                _log.warning("room_storage_unavailable", reason=str(error).replace(" ", "_"))
                read = 0
            if read < BATCH:
                await self._wakeups.wait("desk", LOOK_AGAIN)
        with suppress(StorageUnavailableError):
            await self._transactions.write(lambda unit: unit.leases.release(self._lease_name, self._owner))

    async def project_once(self) -> int:
        """Turns what is new into rows; says how many events that were, at most ``BATCH``."""
        now = self._clock()
        compares = self._behind or self._compare_at is None or self._compare_at <= now
        # Looking costs no write, so a quiet desk leaves the disk alone.
        if not compares and not await self._transactions.read(self._has_news):
            return 0
        step = await self._transactions.write(lambda unit: self._project(unit, now, compares))
        if step is None:
            return 0
        self._chat = step.chat
        self._behind = step.left > 0
        if step.carded is not None:
            self._carded = step.carded
            self._compare_at = now + CATCH_UP_EVERY
        return step.events

    def _has_news(self, unit: UnitOfWork) -> bool:
        bookmark = unit.bookmarks.find(self._bookmark)
        moved = self._place.find_chat(unit) != self._chat
        return moved or bookmark is None or bool(unit.desk_events.find_after(int(bookmark), 1))

    def _project(self, unit: UnitOfWork, now: datetime, compares: bool) -> _Step | None:
        if not unit.leases.acquire(self._lease_name, self._owner, LEASE, now):
            return None
        chat = self._place.find_chat(unit)
        bookmark = unit.bookmarks.find(self._bookmark)
        position = unit.desk_events.last_id() if bookmark is None else int(bookmark)
        projection = Projection(unit, self._place.bot_id, chat, now)
        events = unit.desk_events.find_after(position, BATCH)
        # A case is opened by a line that is told first; its card must not wait behind that line.
        for event in sorted(events, key=lambda event: event.kind not in _FIRST):
            projection.take(event)
        if bookmark is None or events:
            newest = max((event.id for event in events), default=position)
            unit.bookmarks.set(self._bookmark, str(newest), now)
        if not (compares or projection.batched or chat != self._chat):
            return _Step(chat, len(events), 0, None)
        left, carded = projection.catch_up(self._carded if chat == self._chat else ())
        return _Step(chat, len(events), left, carded)
