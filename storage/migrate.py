"""Brings the database to the revision that the code needs, and back.

Alembic is imported only when there is something to do: asking whether there is takes one query.
On SQLite hold ``SingleServeLock`` before ``upgrade`` and ``downgrade``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, inspect, text

from desk.errors import NotFoundError
from storage.connect import open_readonly, sync_engine
from storage.database import DatabaseRefusedError
from storage.sqlite_engine import writing

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0003"
"""The newest revision; a test compares it with the scripts."""

BASE = "base"
"""The name for the database without tables, for ``downgrade``."""

_SCRIPTS = Path(__file__).parent / "migrations"
_VERSION_TABLE = "alembic_version"

# Any number will do, as long as nobody else in this database locks it.
_MIGRATION_LOCK = 0x4875_6979


def current(url: str) -> str | None:
    """Returns the revision of the database; None when it has none, or is not there."""
    try:
        engine = open_readonly(url)
    except NotFoundError:
        return None
    try:
        with engine.connect() as connection:
            return _revision(connection)
    finally:
        engine.dispose()


def pending(url: str) -> list[str]:
    """Returns the revisions that ``upgrade`` would apply, in order; changes nothing.

    Raises:
        DatabaseRefusedError: The database is newer than the code.
    """
    return _missing(current(url))


def upgrade(url: str, on_progress: Callable[[str], None] | None = None) -> list[str]:
    """Applies what is pending, all of it or nothing.

    Processes that start together wait for each other; only the first finds something to do.

    Args:
        url: The database; a missing SQLite file is created.
        on_progress: Called after each revision with its number and title.

    Returns:
        The revisions applied, in order.

    Raises:
        DatabaseRefusedError: The database is newer than the code.
    """
    if not pending(url):
        return []
    from alembic import command

    with _migrating(url) as connection:
        missing = _missing(_revision(connection))
        if missing:
            command.upgrade(_config(connection, on_progress), "head")
        return missing


def downgrade(url: str, revision: str, on_progress: Callable[[str], None] | None = None) -> None:
    """Goes back to a revision, or to ``base``; what newer ones added is deleted.

    Raises:
        NotFoundError: There is no such revision.
        DatabaseRefusedError: The database is newer than the code.
    """
    from alembic import command

    if revision != BASE and revision not in _revisions():
        raise NotFoundError(f"there is no revision {revision}")
    with _migrating(url) as connection:
        _missing(_revision(connection))
        command.downgrade(_config(connection, on_progress), revision)


def _missing(revision: str | None) -> list[str]:
    if revision == HEAD:
        return []
    revisions = _revisions()
    if revision is None:
        return revisions
    if revision not in revisions:
        raise DatabaseRefusedError(
            f"the database is at revision {revision}, which this version of the program does not know: a"
            " newer version made it. Start that version, or restore a backup from before the upgrade"
        )
    return revisions[revisions.index(revision) + 1 :]


def _revisions() -> list[str]:
    """All revisions of the code, oldest first."""
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(_config())
    return [script.revision for script in scripts.walk_revisions()][::-1]


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(_VERSION_TABLE):
        return None
    # The name is a constant of ours.
    revision: str | None = connection.execute(
        text(f"SELECT version_num FROM {_VERSION_TABLE}")  # noqa: S608
    ).scalar_one_or_none()
    return revision


@contextmanager
def _migrating(url: str) -> Iterator[Connection]:
    """Yields a connection in one transaction that keeps other migrations out; commits at the end."""
    engine = sync_engine(url)
    try:
        if engine.dialect.name == "sqlite":
            with writing(engine, foreign_keys=False) as connection:
                yield connection
                _refuse_broken_references(connection)
                connection.commit()
            return
        with engine.begin() as connection:
            # A change of a large table may take longer than any statement of the service should.
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SET LOCAL lock_timeout = '60s'"))
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
            yield connection
    finally:
        engine.dispose()


def _refuse_broken_references(connection: Connection) -> None:
    """SQLite changes a table by copying it, while references are not looked at; so they are afterwards."""
    broken = connection.execute(text("PRAGMA foreign_key_check")).first()
    if broken is not None:
        raise DatabaseRefusedError(
            f"a row of {broken[0]} refers to a row of {broken[2]} that is not there; nothing was migrated."
            " Restore a backup"
        )


def _config(connection: Connection | None = None, on_progress: Callable[[str], None] | None = None) -> Config:
    from alembic.config import Config

    config = Config()
    # The option is read with interpolation, where a percent sign in a path means something else.
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    if on_progress is not None:

        def applied(*, step: Any, **_: Any) -> None:
            on_progress(f"{step.up_revision_id} {step.up_revision.doc}")

        config.attributes["on_version_apply"] = (applied,)
    return config
