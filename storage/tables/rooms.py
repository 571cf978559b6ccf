"""客服群 staff rooms outside the console, and who acts there as whom."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, Table, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from desk.values import RoomLineKind
from storage.tables import naming as _naming  # noqa: F401  (sets the convention that names constraints)
from storage.tables.checks import one_of
from storage.times import UtcDateTime

_NO_MESSAGE = text("message_id IS NULL")
_CARD = text("kind = 'card'")
_HAS_TOKEN = text("token <> ''")


class StaffAccountRow(SQLModel, table=True):
    """A channel's user who acts as a staff member."""

    __tablename__ = "staff_accounts"
    __table_args__ = (UniqueConstraint("channel", "external_id"), Index(None, "staff_id"))

    id: int | None = Field(default=None, primary_key=True)
    channel: str
    external_id: str
    staff_id: int = Field(foreign_key="staff.id")
    linked_at: datetime = Field(sa_type=UtcDateTime)


class StaffLinkCodeRow(SQLModel, table=True):
    """A code by which a channel's user becomes a staff member there. Only its hash is kept."""

    __tablename__ = "staff_link_codes"
    __table_args__ = (Index(None, "staff_id"), Index(None, "expires_at"))

    code_hash: str = Field(primary_key=True)
    staff_id: int = Field(foreign_key="staff.id")
    expires_at: datetime = Field(sa_type=UtcDateTime)
    created_at: datetime = Field(sa_type=UtcDateTime)
    used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class RoomThreadRow(SQLModel, table=True):
    """The topic of a conversation in a staff room."""

    __tablename__ = "room_threads"
    __table_args__ = (
        UniqueConstraint("room", "conversation_id"),
        UniqueConstraint("room", "thread_id"),
        Index(None, "conversation_id"),
    )

    id: int | None = Field(default=None, primary_key=True)
    room: str
    conversation_id: int = Field(foreign_key="conversations.id")
    thread_id: str
    created_at: datetime = Field(sa_type=UtcDateTime)


class RoomLineRow(SQLModel, table=True):
    """A line in a staff room and what it stands for: ids only, no words."""

    __tablename__ = "room_lines"
    __table_args__ = (
        UniqueConstraint("room", "provider_id", "message_id"),
        # To a UNIQUE constraint no NULL is like another, so a line without a message has its own.
        Index(
            "ix_room_lines_alone_room_provider_id",
            "room",
            "provider_id",
            unique=True,
            sqlite_where=_NO_MESSAGE,
            postgresql_where=_NO_MESSAGE,
        ),
        one_of("kind", RoomLineKind),
        Index("ix_room_lines_token", "token", sqlite_where=_HAS_TOKEN, postgresql_where=_HAS_TOKEN),
        Index(
            "ix_room_lines_card_room_created_at",
            "room",
            "created_at",
            sqlite_where=_CARD,
            postgresql_where=_CARD,
        ),
        Index(None, "message_id"),
        Index(None, "case_id"),
        Index(None, "conversation_id"),
        Index(None, "created_at"),
    )

    id: int | None = Field(default=None, primary_key=True)
    room: str
    provider_id: str
    kind: str
    conversation_id: int = Field(foreign_key="conversations.id")
    case_id: int | None = Field(default=None, foreign_key="cases.id")
    message_id: int | None = Field(default=None, foreign_key="messages.id", ondelete="CASCADE")
    token: str = ""
    created_at: datetime = Field(sa_type=UtcDateTime)


STAFF_ACCOUNTS: Table = SQLModel.metadata.tables["staff_accounts"]
STAFF_LINK_CODES: Table = SQLModel.metadata.tables["staff_link_codes"]
ROOM_THREADS: Table = SQLModel.metadata.tables["room_threads"]
ROOM_LINES: Table = SQLModel.metadata.tables["room_lines"]
