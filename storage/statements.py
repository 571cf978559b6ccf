"""What SQLite and PostgreSQL say differently, said in one place, and the bells of a transaction."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from sqlalchemy import (
    ColumnElement,
    CursorResult,
    Executable,
    Interval,
    Row,
    Table,
    bindparam,
    func,
    literal,
    literal_column,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.orm import Session

from storage.times import UtcDateTime

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

AFTER_COMMIT_BELLS = "after_commit_bells"

LARGEST_INTEGER = 2**31 - 1
"""Of an INTEGER column on PostgreSQL, which refuses to compare it with anything larger."""

AnyRow: TypeAlias = Row[*tuple[Any, ...]]


def on_postgresql(session: Session) -> bool:
    """Says whether the session talks to PostgreSQL; if not, it is SQLite."""
    return session.get_bind().dialect.name == "postgresql"


def insert_into(session: Session, table: Table) -> postgresql.Insert:
    """Returns an INSERT that knows ON CONFLICT."""
    return dialect_insert(table, postgres=on_postgresql(session))


def dialect_insert(table: Table, *, postgres: bool) -> postgresql.Insert:
    """Returns an INSERT that knows ON CONFLICT, for one of the databases.

    Both have the same clause and SQLAlchemy the same methods for it, in two classes.
    """
    if not postgres:
        return cast("postgresql.Insert", sqlite.insert(table))
    # Loaded on first use: starting on SQLite need not wait for PostgreSQL's parts.
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)


def change(session: Session, statement: Executable, parameters: Mapping[str, object] | None = None) -> int:
    """Executes an UPDATE or DELETE and returns how many rows it hit."""
    return cast("CursorResult[Any]", session.execute(statement, parameters)).rowcount


def word(value: StrEnum) -> ColumnElement[str]:
    """Returns a state as a literal.

    A bound parameter would keep SQLite, and a prepared statement of PostgreSQL, from seeing that a
    partial index fits.
    """
    return literal_column(f"'{value.value}'")


def lease_clock(session: Session, now: datetime, ahead: timedelta = timedelta(0)) -> ColumnElement[datetime]:
    """Returns the time that leases go by, moved ahead (or back, when negative).

    On PostgreSQL, where many machines share the database, it is the database's own clock.
    """
    if on_postgresql(session):
        return cast("ColumnElement[datetime]", func.clock_timestamp() + literal(ahead, Interval))
    return literal(now + ahead, UtcDateTime())


def lease_end(*, postgres: bool) -> ColumnElement[datetime]:
    """Returns when a lease ends, for a statement that is built once; ``lease_ends`` is its parameter."""
    if postgres:
        return cast(
            "ColumnElement[datetime]", func.clock_timestamp() + bindparam("lease_ends", type_=Interval)
        )
    return bindparam("lease_ends", type_=UtcDateTime())


def lease_ends(session: Session, now: datetime, lease: timedelta) -> dict[str, Any]:
    """Returns the parameter that ``lease_end`` needs."""
    return {"lease_ends": lease if on_postgresql(session) else now + lease}


def ring_after_commit(session: Session, bell: str) -> None:
    """Notes a bell, which whoever commits the session rings afterwards."""
    session.info.setdefault(AFTER_COMMIT_BELLS, set()).add(bell)
