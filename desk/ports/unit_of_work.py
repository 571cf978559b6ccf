"""One transaction, what runs it, and the bells between tasks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Protocol, TypeVar

from desk.ports.care import CaseStore, FaqStore, OrderStore, SurveyStore
from desk.ports.people import ChatSessionStore, ContactDataStore, ConversationStore, IdentityStore
from desk.ports.staff import DeskEventStore, StaffAccountStore, StaffRoomStore, StaffStore
from desk.ports.work import (
    BookmarkStore,
    DeadLetterStore,
    InboxStore,
    LeaseStore,
    OutboxStore,
    TimerStore,
)

T = TypeVar("T")


class UnitOfWork(Protocol):
    """Everything that one transaction may touch."""

    inbox: InboxStore
    outbox: OutboxStore
    timers: TimerStore
    identities: IdentityStore
    chat_sessions: ChatSessionStore
    conversations: ConversationStore
    orders: OrderStore
    surveys: SurveyStore
    cases: CaseStore
    faq: FaqStore
    staff: StaffStore
    desk_events: DeskEventStore
    dead_letters: DeadLetterStore
    contact_data: ContactDataStore
    leases: LeaseStore
    bookmarks: BookmarkStore
    staff_accounts: StaffAccountStore
    staff_rooms: StaffRoomStore


class Transactions(Protocol):
    """Runs units of work."""

    async def write(self, work: Callable[[UnitOfWork], T], *, shared: bool = False) -> T:
        """Runs ``work`` in one transaction and returns after the commit is on disk.

        Args:
            work: Synchronous; an exception rolls everything back and is raised here. It may be run
                again from the start after a serialization failure, so it has no effects of its own.
            shared: May share a commit with others that wait (used for intake). Each still succeeds or
                fails alone.

        Raises:
            StorageUnavailableError: Disk full, database locked or down; nothing was stored.
        """
        ...

    async def read(self, work: Callable[[UnitOfWork], T]) -> T:
        """Runs ``work`` against a read-only snapshot."""
        ...


class Wakeups(Protocol):
    """Rings bells between tasks. A bell only saves waiting; whoever waits also looks by itself."""

    def ring(self, bell: str) -> None:
        """Wakes those who wait for ``bell`` (here, and on PostgreSQL in other processes too)."""
        ...

    async def wait(self, bell: str, at_most: timedelta) -> bool:
        """Waits until the bell rings or the time is over; True when it rang."""
        ...
