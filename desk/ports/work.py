"""Durable work: inbox, outbox, timers, leases, dead letters."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from desk.values import (
    Claim,
    Conversation,
    DeadLetter,
    Delivery,
    InboxItem,
    Message,
    Outgoing,
    OutgoingKind,
    Reply,
    SendRank,
    StaffMember,
    Timer,
)


@dataclass(frozen=True, slots=True)
class StoredKey:
    """What is remembered of a key that came in before."""

    body_hash: str
    received_at: datetime


class InboxStore(Protocol):
    """待处理: raw input and its lanes.

    Lanes are leased, never items: within a lane items are worked strictly in the order of their ids.
    """

    def add(
        self, source: str, source_key: str, body_hash: str, lane: str, raw: bytes, now: datetime
    ) -> int | None:
        """Stores raw bytes; None when (source, source_key, body_hash) is there already.

        The lane's row is locked first, so two adds to one lane never race.
        """
        ...

    def bury_new(
        self, source: str, source_key: str, body_hash: str, lane: str, raw: bytes, error: str, now: datetime
    ) -> int | None:
        """Stores raw bytes that nobody can read as a dead letter at once; None as ``add``."""
        ...

    def find_keys(self, source: str, source_key: str, lane: str) -> Sequence[StoredKey]:
        """Locks the lane, then says what came in under this key before, oldest first."""
        ...

    def claim_lanes(self, owner: str, limit: int, lease: timedelta, now: datetime) -> Sequence[Claim]:
        """Leases up to ``limit`` lanes that have ready work and no living owner, longest waiting first.

        On PostgreSQL leases are timed by the database's clock. On SQLite the one process that may run
        has a fresh ``owner`` at each start, so leases of another owner are void at once.
        """
        ...

    def find_head(self, claim: Claim, now: datetime) -> InboxItem | None:
        """The next ready item of a leased lane; None when there is none or it must still wait."""
        ...

    def finish(self, claim: Claim, item_id: int) -> None:
        """Marks the item done.

        Raises:
            LeaseLostError: The lane has another owner now; roll back.
        """
        ...

    def retry(self, claim: Claim, item_id: int, error: str, not_before: datetime) -> None:
        """Counts one failed try; the lane waits until ``not_before``. Raises as ``finish``."""
        ...

    def bury(self, claim: Claim, item_id: int, error: str) -> None:
        """Makes the item a dead letter; the lane goes on. Raises as ``finish``."""
        ...

    def release(self, claim: Claim) -> None:
        """Gives the lane back. Does nothing when it has another owner by now."""
        ...

    def extend(self, claim: Claim, lease: timedelta, now: datetime) -> bool:
        """Prolongs the lease; False when it is lost."""
        ...


class OutboxStore(Protocol):
    """待发: messages on their way out. Each has a dedupe key; a known key is not stored again."""

    def say(
        self,
        conversation: Conversation,
        reply: Reply,
        dedupe_key: str,
        now: datetime,
        staff: StaffMember | None = None,
        client_msg_id: str | None = None,
    ) -> Message | None:
        """Stores a message to the customer with its outbox row; None when the key is known.

        Every option of ``reply.prompt`` gets a fresh opaque button id. The message has no ``seq`` yet.
        """
        ...

    def add_for_staff(
        self,
        dedupe_key: str,
        channel: str,
        lane: str,
        recipient: str,
        payload: Mapping[str, Any],
        now: datetime,
        *,
        kind: OutgoingKind = OutgoingKind.ALERT,
        rank: SendRank = SendRank.FIRST,
        wait: timedelta = timedelta(0),
    ) -> int | None:
        """Stores something that is to be done on a channel for staff; None when the key is known.

        Args:
            payload: What is to be done, by ids only: customers' words are read when it leaves, so that
                nothing outlives an erasure.
            wait: Not before ``now`` + ``wait``.
        """
        ...

    def find_due(
        self, channels: Sequence[str], limit: int, now: datetime, held: Collection[str] = ()
    ) -> Sequence[Outgoing]:
        """The queued head of every lane that may leave now, by rank, then oldest first. Nothing is locked.

        Args:
            held: Recipients that nothing may leave for at the moment.
        """
        ...

    def find_followers(self, head: Outgoing, limit: int) -> Sequence[Outgoing]:
        """Locks and returns the queued ``RELAY`` rows that directly follow a ``RELAY`` row in its lane.

        Those whose wait is not over are among them. Empty for a head of any other kind.
        """
        ...

    def find_calls_since(self, channel: str, since: datetime) -> Sequence[tuple[str, datetime]]:
        """(recipient, time) of every call that was begun since then, oldest first, for pacing."""
        ...

    def find_demanded_waits(self, channel: str, now: datetime) -> Sequence[tuple[str, datetime]]:
        """(recipient, until) where the channel demanded a wait that is not over yet."""
        ...

    def readdress(self, channel: str, old: str, new: str) -> None:
        """What has not been sent to one recipient is for another from now on, whose limits it keeps to."""
        ...

    def next_due_at(self, channel: str) -> datetime | None:
        """When the earliest waiting row of a channel may leave; None when none waits."""
        ...

    def get_provider_id(self, message_id: int) -> str:
        """What the channel called this message to a customer when it took it; empty if it did not."""
        ...

    def get_conversation_id(self, outgoing_id: int) -> int | None:
        """The conversation of a message to a customer; None for one to staff."""
        ...

    def find_queued_for_update(self, outgoing_id: int) -> Outgoing | None:
        """Locks one queued row (its conversation must be locked before); None if no longer queued."""
        ...

    def find_stuck(self, channels: Sequence[str], owner: str, now: datetime) -> Sequence[Outgoing]:
        """Rows left in ``sending`` by an owner that is dead, or for more than two minutes."""
        ...

    def mark_sending(self, outgoing_id: int, owner: str, now: datetime) -> None:
        """Records that the call is about to be made."""
        ...

    def mark_sent(self, outgoing: Outgoing, provider_id: str, now: datetime) -> None:
        """Records success: the message gets the next ``seq`` of its conversation (lock it first)."""
        ...

    def requeue(
        self,
        outgoing_id: int,
        not_before: datetime,
        error: str,
        *,
        maybe_duplicate: bool,
        demanded: bool = False,
        counts: bool = True,
    ) -> None:
        """Puts it back in the queue.

        Args:
            demanded: The channel itself demanded to wait until ``not_before``.
            counts: Whether this was a failed try; a first step of several that went well is none.
        """
        ...

    def end(self, outgoing_id: int, delivery: Delivery, error: str, now: datetime) -> bool:
        """Ends it as withheld, uncertain, unreachable or dead.

        A withheld one gives its dedupe key free: what it asked was never asked.

        Returns:
            False when it has ended already, or another living sender has taken it over.
        """
        ...


class TimerStore(Protocol):
    """定时: one row per (kind, key), unique."""

    def set(self, kind: str, key: str, due_at: datetime, payload: Mapping[str, Any]) -> None:
        """Creates the timer, or moves a pending or finished one to ``due_at`` with this payload."""
        ...

    def cancel(self, kind: str, key: str) -> None:
        """Ends a pending timer; does nothing otherwise."""
        ...

    def find_due(
        self, now: datetime, limit: int, only: Collection[str] | None = None, without: Collection[str] = ()
    ) -> Sequence[Timer]:
        """Due pending timers of the one kind whose oldest is due longest; nothing is locked.

        Args:
            only: Other kinds are passed over; None = none is.
            without: These kinds are passed over.
        """
        ...

    def lock(self, ids: Sequence[int], now: datetime) -> Sequence[Timer]:
        """Locks those that are still pending and due, in id order."""
        ...

    def finish(self, timer: Timer) -> None:
        """Ends the timer, unless it was set anew meanwhile in this unit of work."""
        ...

    def retry(self, timer: Timer, error: str, due_at: datetime) -> None:
        """Counts one failed try."""
        ...

    def bury(self, timer: Timer, error: str) -> None:
        """Makes it a dead letter."""
        ...

    def next_due_at(self) -> datetime | None:
        """When the earliest pending timer is due; None when there is none."""
        ...


class LeaseStore(Protocol):
    """The right to be the only worker of some name (a poller, a sender), across processes."""

    def acquire(self, name: str, owner: str, lease: timedelta, now: datetime) -> bool:
        """Takes or prolongs the lease; False while another living owner holds it.

        On PostgreSQL leases are timed by the database's clock. On SQLite the one process that may run
        has a fresh ``owner`` at each start, so a lease of another owner is void at once.
        """
        ...

    def release(self, name: str, owner: str) -> None:
        """Gives the lease back. Does nothing when it has another owner by now."""
        ...


class BookmarkStore(Protocol):
    """书签: where a reader of some stream stands, by name."""

    def find(self, name: str) -> str | None: ...

    def set(self, name: str, value: str, now: datetime) -> None: ...


class DeadLetterStore(Protocol):
    """Work that failed for good, from inbox, outbox and timers alike."""

    def all(self, limit: int, offset: int = 0) -> Sequence[DeadLetter]: ...

    def count(self) -> int: ...

    def replay(self, origin: str, id: int, now: datetime) -> None:
        """Makes it ready again with no tries counted. Raises NotFoundError when it is not dead."""
        ...
