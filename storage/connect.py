"""From ``DATABASE_URL`` to a database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Engine, make_url
from sqlalchemy.exc import ArgumentError
from sqlmodel import Session

from desk.errors import InvalidInputError, NotFoundError
from desk.ports import UnitOfWork, Wakeups
from storage import sqlite_engine
from storage.database import UnitFactory, after_commit
from storage.sqlite_database import SqliteDatabase
from storage.statements import AFTER_COMMIT_BELLS
from storage.wakeups import LocalWakeups

if TYPE_CHECKING:
    from storage.postgres_database import PostgresDatabase


def open_database(url: str, unit_factory: UnitFactory) -> SqliteDatabase | PostgresDatabase:
    """Returns the database; ``start`` it before use and ``close`` it after.

    Args:
        url: ``sqlite:///relative/path``, ``sqlite:////absolute/path`` or ``postgresql://…``.
        unit_factory: Makes the repositories of a unit of work.

    Raises:
        InvalidInputError: It is neither.
    """
    path = sqlite_path(url)
    if path is not None:
        return SqliteDatabase(path, unit_factory)
    # PostgreSQL's parts are loaded where they are used: starting on SQLite need not wait for them.
    from storage.postgres_database import PostgresDatabase

    return PostgresDatabase(url, unit_factory)


def open_wakeups(url: str) -> LocalWakeups:
    """Returns the bells that fit the database: on PostgreSQL other processes hear them too."""
    if sqlite_path(url) is not None:
        return LocalWakeups()
    from storage.postgres_wakeups import PostgresWakeups

    return PostgresWakeups(url)


def ringing(unit_factory: UnitFactory, wakeups: Wakeups) -> UnitFactory:
    """Returns a factory whose units ring, after their commit, the bells that their stores asked for."""

    def make(session: Session) -> UnitOfWork:
        bells: set[str] = session.info.setdefault(AFTER_COMMIT_BELLS, set())

        def ring() -> None:
            for bell in bells:
                wakeups.ring(bell)

        after_commit(session, ring)
        return unit_factory(session)

    return make


def sync_engine(url: str) -> Engine:
    """Returns a writing engine for migrations and commands, with the settings that ``serve`` uses.

    On SQLite hold ``SingleServeLock`` before writing.

    Raises:
        InvalidInputError: The address is neither SQLite's nor PostgreSQL's.
    """
    path = sqlite_path(url)
    if path is None:
        from storage import postgres_engine

        return postgres_engine.make_engine(url)
    sqlite_engine.refuse_network_file_system(path)
    sqlite_engine.create_private_file(path)
    return sqlite_engine.make_engine(path, "write")


def open_readonly(url: str) -> Engine:
    """Returns an engine for reading commands; it can write nothing, and works beside ``serve``.

    Raises:
        InvalidInputError: The address is neither SQLite's nor PostgreSQL's.
        NotFoundError: There is no such SQLite file.
    """
    path = sqlite_path(url)
    if path is None:
        from storage import postgres_engine

        return postgres_engine.make_engine(url, read_only=True)
    if not path.exists():
        raise NotFoundError(f"there is no database at {path}; start the service or run the migrations first")
    return sqlite_engine.make_engine(path, "read_only")


def sqlite_path(url: str) -> Path | None:
    """Returns the file that the address means; None when it is not SQLite's.

    Raises:
        InvalidInputError: It is SQLite's without a file, or it cannot be read at all.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise InvalidInputError(
            "DATABASE_URL", "is no address such as sqlite:///var/huiyin.db or postgresql://host/name"
        ) from error
    if parsed.get_backend_name() != "sqlite":
        return None
    if not parsed.database or parsed.database == ":memory:" or parsed.query or parsed.host:
        raise InvalidInputError("DATABASE_URL", "must name a file: sqlite:///var/huiyin.db")
    return Path(parsed.database)
