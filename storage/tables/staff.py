"""客服: staff, their logins, the audit of what they did, and what their screens show."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Index, Table, UniqueConstraint
from sqlmodel import Field, SQLModel

from desk.values import Role
from storage.tables import naming as _naming  # noqa: F401  (sets the convention that names constraints)
from storage.tables.checks import one_of
from storage.times import UtcDateTime


class StaffRow(SQLModel, table=True):
    """A staff member. ``login`` is stored folded, so that upper and lower case are one login."""

    __tablename__ = "staff"
    __table_args__ = (UniqueConstraint("login"), one_of("role", Role))

    id: int | None = Field(default=None, primary_key=True)
    login: str
    name: str
    role: str
    password_hash: str
    disabled: bool = False
    created_at: datetime = Field(sa_type=UtcDateTime)


class StaffSessionRow(SQLModel, table=True):
    """A login. Only the hash of its token is kept, so the table opens no door."""

    __tablename__ = "staff_sessions"
    __table_args__ = (Index(None, "staff_id"), Index(None, "seen_at"))

    token_hash: str = Field(primary_key=True)
    staff_id: int = Field(foreign_key="staff.id")
    csrf: str
    created_at: datetime = Field(sa_type=UtcDateTime)
    seen_at: datetime = Field(sa_type=UtcDateTime)


class LoginFailureRow(SQLModel, table=True):
    """A failed login, counted by account or by address; ``key_hash`` names neither."""

    __tablename__ = "login_failures"
    __table_args__ = (Index(None, "scope", "key_hash", "failed_at"), Index(None, "failed_at"))

    id: int | None = Field(default=None, primary_key=True)
    scope: str
    key_hash: str
    failed_at: datetime = Field(sa_type=UtcDateTime)


class AuditRow(SQLModel, table=True):
    """What somebody did. ``prev_hash`` is unique, so no two entries can follow the same one."""

    __tablename__ = "audit"
    __table_args__ = (
        UniqueConstraint("prev_hash"),
        UniqueConstraint("hash"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True)
    staff_id: int | None = Field(default=None, foreign_key="staff.id")
    action: str
    subject: str
    detail: str
    at: datetime = Field(sa_type=UtcDateTime)
    prev_hash: str
    hash: str


class DeskEventRow(SQLModel, table=True):
    """Something that staff's screens show live.

    Screens resume at ``position``, which is given when the transaction commits: ids are given
    earlier, and on PostgreSQL a lower id may become visible after a higher one, which a screen that
    had read the higher one would never see.
    """

    __tablename__ = "desk_events"
    __table_args__ = (UniqueConstraint("position"), Index(None, "at"))

    id: int | None = Field(default=None, primary_key=True)
    position: int | None = Field(default=None, sa_type=BigInteger)
    kind: str
    case_id: int | None = Field(default=None, foreign_key="cases.id")
    conversation_id: int | None = Field(default=None, foreign_key="conversations.id")
    payload: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    at: datetime = Field(sa_type=UtcDateTime)


AUDIT: Table = SQLModel.metadata.tables["audit"]
STAFF: Table = SQLModel.metadata.tables["staff"]
STAFF_SESSIONS: Table = SQLModel.metadata.tables["staff_sessions"]
LOGIN_FAILURES: Table = SQLModel.metadata.tables["login_failures"]
DESK_EVENTS: Table = SQLModel.metadata.tables["desk_events"]
