"""PostgreSQL connections as this product needs them, and what their errors mean."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg
from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import NullPool

from desk.errors import InvalidInputError

WAIT = timedelta(seconds=5)
"""How long a connection, a lock and a statement may take before nothing can be stored just now."""

_RETRIED = frozenset({"40001", "40P01"})
_NOT_PASSING = "54"
"""Class 54, program limit exceeded: the statement is at fault, so waiting would not help."""


def postgres_url(url: str | URL) -> URL:
    """Returns the address for psycopg 3.

    Raises:
        InvalidInputError: It is no PostgreSQL address.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise InvalidInputError("DATABASE_URL", "is not an address such as postgresql://host/name") from error
    if parsed.drivername not in ("postgresql", "postgres", "postgresql+psycopg"):
        raise InvalidInputError("DATABASE_URL", "must start with postgresql://")
    return parsed.set(drivername="postgresql+psycopg")


def make_engine(
    url: str | URL, *, connections: int = 0, read_only: bool = False, wait: timedelta = WAIT
) -> Engine:
    """Returns an engine; nothing is opened yet.

    Args:
        url: The address.
        connections: How many are kept; 0 opens one for each use and closes it after.
        read_only: Whether its transactions are read-only snapshots (REPEATABLE READ).
        wait: Bound on connecting, on each lock and on each statement.
    """
    address = postgres_url(url)
    milliseconds = round(wait.total_seconds() * 1000)
    settings = {
        "timezone": "UTC",
        "statement_timeout": milliseconds,
        "lock_timeout": milliseconds,
        # Should this process freeze inside a transaction, its row locks do not outlast this.
        "idle_in_transaction_session_timeout": 60_000,
    }
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    own = address.query.get("options", "")
    # libpq does not wait for less than two seconds.
    arguments: dict[str, Any] = {
        "connect_timeout": max(2, round(wait.total_seconds())),
        "options": f"{own if isinstance(own, str) else ' '.join(own)} {options}".strip(),
    }
    pool: dict[str, Any] = {"poolclass": NullPool}
    if connections:
        pool = {
            "pool_size": connections,
            "max_overflow": 0,
            "pool_timeout": wait.total_seconds(),
            # A server that was restarted has cut every idle connection; nothing has run on them yet.
            "pool_pre_ping": True,
        }
    if read_only:
        pool["isolation_level"] = "REPEATABLE READ"
    engine = create_engine(address, hide_parameters=True, connect_args=arguments, **pool)
    event.listen(engine, "handle_error", _hide_values)
    return engine.execution_options(postgresql_readonly=True) if read_only else engine


def sqlstate(error: BaseException) -> str:
    """Returns the five characters of the SQLSTATE, empty when there is none."""
    original = error.orig if isinstance(error, DBAPIError) else error
    return getattr(original, "sqlstate", None) or ""


def is_worth_retrying(error: BaseException) -> bool:
    """Says whether the unit lost against another one (serialization failure, deadlock)."""
    return sqlstate(error) in _RETRIED


def why_unavailable(error: BaseException) -> str | None:
    """Says in words why nothing could be stored; None when the error means something else."""
    if isinstance(error, PoolTimeoutError):
        return "no connection to the database became free"
    original = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(original, psycopg.OperationalError):
        state = sqlstate(original)
        if state[:2] == _NOT_PASSING:
            return None
        return f"the database could not store it ({state})" if state else "the database cannot be reached"
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return "the connection to the database was lost"
    return None


def _hide_values(context: ExceptionContext) -> None:
    """Takes the values out of the server's message, which quotes rows: ``Key (phone)=(138…)``."""
    original = context.original_exception
    if not isinstance(original, psycopg.Error) or original.sqlstate is None:
        return
    places = (original.diag.table_name, original.diag.column_name, original.diag.constraint_name)
    words = " ".join([original.sqlstate, *(place for place in places if place)])
    original.args = (words,)
    wrapped = context.sqlalchemy_exception
    if wrapped is not None:
        wrapped.args = (f"({type(original).__name__}) {words}",)
