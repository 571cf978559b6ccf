"""Durable work: 待处理 inbox with its lanes, 待发 outbox, 定时 timers, and leases of single workers."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, CheckConstraint, Index, Table, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from desk.values import Delivery, OutgoingKind, SendRank
from storage.tables import naming as _naming  # noqa: F401  (sets the convention that names constraints)
from storage.tables.checks import one_of
from storage.times import UtcDateTime


class InboxState(StrEnum):
    """Where an inbox item stands."""

    READY = "ready"
    DONE = "done"
    DEAD = "dead"


class TimerState(StrEnum):
    """Where a timer stands."""

    PENDING = "pending"
    DONE = "done"
    CANCELLED = "cancelled"
    DEAD = "dead"


# Keys of other rows name ids (``reply:17:0``): were the id of a deleted row given again, as SQLite does
# when it was the highest, what belongs to the old row would be taken for the new one's.
_NO_ID_TWICE = {"sqlite_autoincrement": True}

_READY = text("state = 'ready'")
_DEAD = text("state = 'dead'")
_QUEUED = text("state = 'queued'")
_SENDING = text("state = 'sending'")
_CALLED = text("sending_at IS NOT NULL")
_UNSENT = text("state IN ('queued', 'sending')")
_PENDING = text("state = 'pending'")
_HAS_WORK = text("pending > 0")


class InboxRow(SQLModel, table=True):
    """Raw bytes as they came in. ``raw`` is emptied by retention long before the key is forgotten."""

    __tablename__ = "inbox"
    __table_args__ = (
        UniqueConstraint("source", "source_key", "body_hash"),
        one_of("state", InboxState),
        CheckConstraint("attempts >= 0", name="attempts"),
        CheckConstraint("state <> 'ready' OR raw IS NOT NULL", name="raw"),
        Index("ix_inbox_ready_lane_id", "lane", "id", sqlite_where=_READY, postgresql_where=_READY),
        Index("ix_inbox_dead_id", "id", sqlite_where=_DEAD, postgresql_where=_DEAD),
        Index(None, "lane"),
        Index(None, "received_at"),
        _NO_ID_TWICE,
    )

    id: int | None = Field(default=None, primary_key=True)
    source: str
    source_key: str
    body_hash: str
    lane: str
    raw: bytes | None
    received_at: datetime = Field(sa_type=UtcDateTime)
    state: str = InboxState.READY.value
    attempts: int = 0
    error: str = ""


class LaneRow(SQLModel, table=True):
    """What must be worked in order. Its row is the lock of the lane and carries the lease.

    ``pending`` counts ready items. ``ready_since`` says since when the oldest of them waits, as of the
    last time that the lane was given back. ``fence`` rises with each claim.
    """

    __tablename__ = "lanes"
    __table_args__ = (
        CheckConstraint("pending >= 0", name="pending"),
        CheckConstraint("(owner IS NULL) = (leased_until IS NULL)", name="owner"),
        Index(
            "ix_lanes_pending_ready_since", "ready_since", sqlite_where=_HAS_WORK, postgresql_where=_HAS_WORK
        ),
    )

    name: str = Field(primary_key=True)
    owner: str | None = None
    fence: int = 0
    leased_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    pending: int = 0
    ready_since: datetime | None = Field(default=None, sa_type=UtcDateTime)
    not_before: datetime | None = Field(default=None, sa_type=UtcDateTime)


class OutboxRow(SQLModel, table=True):
    """A message on its way out.

    The words to a customer are those of the message row. What is to be done for staff stands in
    ``payload``, by ids only, so that no words of a customer outlive their erasure here.
    ``sending_at`` is when the last call was begun, also while the row is queued again; ``demanded``
    says that the channel itself demanded the wait until ``not_before``.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        UniqueConstraint("dedupe_key"),
        UniqueConstraint("message_id"),
        one_of("kind", OutgoingKind),
        one_of("state", Delivery),
        CheckConstraint("attempts >= 0", name="attempts"),
        CheckConstraint("(message_id IS NULL) = (conversation_id IS NULL)", name="message_id"),
        CheckConstraint("state <> 'sending' OR sending_owner IS NOT NULL", name="sending_owner"),
        Index(
            "ix_outbox_unsent_lane_channel_id",
            "lane",
            "channel",
            "id",
            sqlite_where=_UNSENT,
            postgresql_where=_UNSENT,
        ),
        # The order in which heads of lanes leave.
        Index("ix_outbox_queued_rank_id", "rank", "id", sqlite_where=_QUEUED, postgresql_where=_QUEUED),
        Index("ix_outbox_sending_id", "id", sqlite_where=_SENDING, postgresql_where=_SENDING),
        Index("ix_outbox_dead_id", "id", sqlite_where=_DEAD, postgresql_where=_DEAD),
        # What was called lately, for pacing; rows that were never called are not in it.
        Index(
            "ix_outbox_called_channel_sending_at",
            "channel",
            "sending_at",
            sqlite_where=_CALLED,
            postgresql_where=_CALLED,
        ),
        Index(None, "conversation_id"),
        Index(None, "created_at"),
        _NO_ID_TWICE,
    )

    id: int | None = Field(default=None, primary_key=True)
    dedupe_key: str
    kind: str
    channel: str
    lane: str
    conversation_id: int | None = Field(default=None, foreign_key="conversations.id")
    message_id: int | None = Field(default=None, foreign_key="messages.id", ondelete="CASCADE")
    recipient: str
    speakers: list[str] = Field(default_factory=list, sa_type=JSON)
    payload: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    state: str = Delivery.QUEUED.value
    attempts: int = 0
    maybe_duplicate: bool = False
    not_before: datetime = Field(sa_type=UtcDateTime)
    sending_owner: str | None = None
    sending_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    provider_id: str = ""
    error: str = ""
    created_at: datetime = Field(sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    rank: int = SendRank.FIRST.value
    demanded: bool = False


class TimerRow(SQLModel, table=True):
    """Something to do later. ``generation`` rises each time that it is set, cancelled or replayed."""

    __tablename__ = "timers"
    __table_args__ = (
        UniqueConstraint("kind", "key"),
        one_of("state", TimerState),
        CheckConstraint("attempts >= 0", name="attempts"),
        Index("ix_timers_pending_due_at", "due_at", sqlite_where=_PENDING, postgresql_where=_PENDING),
        Index(
            "ix_timers_pending_kind_due_at",
            "kind",
            "due_at",
            sqlite_where=_PENDING,
            postgresql_where=_PENDING,
        ),
        Index("ix_timers_dead_id", "id", sqlite_where=_DEAD, postgresql_where=_DEAD),
        _NO_ID_TWICE,
    )

    id: int | None = Field(default=None, primary_key=True)
    kind: str
    key: str
    due_at: datetime = Field(sa_type=UtcDateTime)
    payload: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    state: str = TimerState.PENDING.value
    attempts: int = 0
    error: str = ""
    generation: int = 1


class LeaseRow(SQLModel, table=True):
    """The right to be the only worker of some name (a poller, a sender), for a while."""

    __tablename__ = "leases"
    __table_args__ = (
        CheckConstraint("(owner IS NULL) = (leased_until IS NULL)", name="owner"),
        Index(None, "owner"),
    )

    name: str = Field(primary_key=True)
    owner: str | None = None
    fence: int = 0
    leased_until: datetime | None = Field(default=None, sa_type=UtcDateTime)


class BookmarkRow(SQLModel, table=True):
    """Where a reader of some stream stands."""

    __tablename__ = "bookmarks"

    name: str = Field(primary_key=True)
    value: str
    updated_at: datetime = Field(sa_type=UtcDateTime)


# The hot paths name their columns: a statement over these carries no mapped objects, hence no state
# in the session that could be older than the row.
INBOX: Table = SQLModel.metadata.tables["inbox"]
LANES: Table = SQLModel.metadata.tables["lanes"]
OUTBOX: Table = SQLModel.metadata.tables["outbox"]
TIMERS: Table = SQLModel.metadata.tables["timers"]
LEASES: Table = SQLModel.metadata.tables["leases"]
BOOKMARKS: Table = SQLModel.metadata.tables["bookmarks"]
