"""SQLite connections as this product needs them, and what their errors mean.

Whatever opens a database file in this process goes through ``sqlite_module``: two copies of the library in
one process (this one and the standard library's) do not see each other's locks, and when one closes
the file it drops the other's.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any, Literal
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool, QueuePool

from storage.database import DatabaseRefusedError, unavailable

try:
    from pysqlite3 import dbapi2 as _bundled
except ImportError:  # pragma: no cover - only on platforms without the wheel
    _bundled = None

Access = Literal["write", "query_only", "read_only"]
"""``write`` begins IMMEDIATE; ``query_only`` may see and help a WAL; ``read_only`` opens the file so."""

BUSY_TIMEOUT = timedelta(seconds=5)

_PRAGMAS = (
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA secure_delete=ON",
    "PRAGMA trusted_schema=OFF",
    "PRAGMA wal_autocheckpoint=1000",
    f"PRAGMA journal_size_limit={64 * 1024 * 1024}",
)

# Result codes of sqlite.org/rescode.html by which nothing was stored and which may pass by themselves
# or by somebody mending the machine. SQLITE_ERROR (1), such as a missing table, is a fault of ours.
_UNAVAILABLE = {
    5: "the database is locked by another process",
    6: "the database is locked by another connection",
    7: "the database ran out of memory",
    8: "the database is read-only",
    9: "the statement was interrupted",
    10: "the disk failed while the database used it",
    11: "the database is damaged; restore it from a backup",
    13: "the disk is full",
    14: "the database file cannot be opened",
    15: "the database's locking protocol failed",
    26: "the file is not a database",
}

_LOST = "transaction_lost"
"""Key in a connection's info: the error after which its transaction may be gone."""

_NETWORK_FILE_SYSTEMS = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb",
        "smb2",
        "smb3",
        "smbfs",
        "ncpfs",
        "afs",
        "davfs",
        "fuse.sshfs",
        "fuse.davfs",
    }
)


def sqlite_module() -> ModuleType:
    """Returns ``pysqlite3``, which bundles a current SQLite, or the standard library's where missing."""
    return sqlite3 if _bundled is None else _bundled


def wal_is_safe(version: tuple[int, int, int]) -> bool:
    """Says whether this SQLite is free of the WAL-reset fault, which can corrupt a database.

    The fault is in 3.7.0 to 3.51.2; it was mended in 3.51.3 and, backported, in 3.50.7 and 3.44.6
    (sqlite.org/changes.html).
    """
    if version >= (3, 51, 3):
        return True
    return (version[:2] == (3, 50) and version[2] >= 7) or (version[:2] == (3, 44) and version[2] >= 6)


def make_engine(
    path: Path,
    access: Access,
    *,
    connections: int = 0,
    busy_timeout: timedelta = BUSY_TIMEOUT,
    module: ModuleType | None = None,
) -> Engine:
    """Returns an engine on the file; nothing is opened yet.

    Args:
        path: The database file.
        access: What its connections may do, see ``Access``.
        connections: How many are kept; 0 opens one for each use and closes it after.
        busy_timeout: How long a locked database is waited for.
        module: The driver, for tests of other SQLite versions.
    """
    driver = module or sqlite_module()
    mode = "ro" if access == "read_only" else "rwc" if access == "write" else "rw"
    address = f"file:{quote(os.fspath(path.absolute()))}?mode={mode}"

    def connect() -> Any:
        # With isolation_level None the driver begins nothing by itself: a deferred BEGIN that reads and
        # then writes fails at once with SQLITE_BUSY_SNAPSHOT, whatever the timeout.
        connection = driver.connect(
            address,
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=busy_timeout.total_seconds(),
        )
        for pragma in _PRAGMAS:
            connection.execute(pragma)
        if access != "write":
            connection.execute("PRAGMA query_only=ON")
        return connection

    pool: dict[str, Any] = {"poolclass": NullPool}
    if connections:
        pool = {"poolclass": QueuePool, "pool_size": connections, "max_overflow": 0}
    engine = create_engine("sqlite+pysqlite://", module=driver, creator=connect, hide_parameters=True, **pool)
    begin = "BEGIN IMMEDIATE" if access == "write" else "BEGIN"

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    @event.listens_for(engine, "handle_error")
    def _remember(context: ExceptionContext) -> None:
        if context.connection is not None and why_unavailable(context.original_exception) is not None:
            context.connection.info[_LOST] = context.original_exception

    return engine


@contextmanager
def writing(engine: Engine, *, foreign_keys: bool = True) -> Iterator[Connection]:
    """Yields a connection in a transaction; leaves none behind, whatever happened in between.

    SQLAlchemy takes a transaction whose COMMIT failed for ended, but SQLite keeps it open, with its lock.

    Args:
        foreign_keys: Off while tables are copied and dropped, or dropping one would delete what refers to
            its rows (sqlite.org/lang_altertable.html, 7). Only for an engine that keeps no connections.
    """
    with engine.connect() as connection:
        connection.info.pop(_LOST, None)
        raw: Any = connection.connection.dbapi_connection
        if not foreign_keys:
            # Inside a transaction this would be ignored.
            raw.execute("PRAGMA foreign_keys=OFF")
        connection.begin()
        try:
            yield connection
        finally:
            try:
                if raw.in_transaction:
                    raw.rollback()
            except BaseException:
                # A connection that cannot even roll back is closed, which drops its locks; the pool
                # opens another one.
                connection.invalidate()
                raise


def lost_transaction(connection: Connection) -> BaseException | None:
    """Returns the error by which the transaction is no longer whole, None while all is well.

    When a statement finds the disk full or broken, SQLite often rolls back everything. Whoever went on
    would write outside of a transaction, and what others wrote before would be missing at the COMMIT.
    """
    error: BaseException | None = connection.info.get(_LOST)
    raw: Any = connection.connection.dbapi_connection
    if error is None and not raw.in_transaction:
        return unavailable("the database rolled the transaction back")
    return error


def why_unavailable(error: BaseException) -> str | None:
    """Says in words why nothing could be stored; None when the error means something else."""
    return _UNAVAILABLE.get(_primary_code(error))


def is_damaged(error: BaseException) -> bool:
    """Says whether the file is broken or no database at all, which no waiting mends."""
    return _primary_code(error) in (11, 26)


def _primary_code(error: BaseException) -> int:
    original = error.orig if isinstance(error, DBAPIError) else error
    # The low byte of an extended code is its primary code; 0 would mean that all is well.
    return int(getattr(original, "sqlite_errorcode", 0)) & 0xFF


def create_private_file(path: Path) -> None:
    """Creates the database file for its owner's eyes only, if there is none.

    SQLite gives its -wal and -shm files the same mode.

    Raises:
        DatabaseRefusedError: It cannot be created.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise DatabaseRefusedError(f"the database file {path} cannot be opened: {error.strerror}") from error


def refuse_network_file_system(path: Path, mountinfo: Path = Path("/proc/self/mountinfo")) -> None:
    """Refuses a place whose locks cannot be trusted; passes where the system does not tell.

    Raises:
        DatabaseRefusedError: The file lies on a network file system.
    """
    try:
        lines = mountinfo.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return
    place = path.resolve()
    deepest, kind = -1, ""
    for line in lines:
        left, separator, right = line.partition(" - ")
        fields = left.split(" ")
        if not separator or len(fields) < 5:
            continue
        point = Path(re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), fields[4]))
        # A later mount on the same point hides the earlier one.
        if place.is_relative_to(point) and len(point.parts) >= deepest:
            deepest, kind = len(point.parts), right.split(" ")[0]
    if kind in _NETWORK_FILE_SYSTEMS:
        raise DatabaseRefusedError(
            f"the database file {path} lies on a network file system ({kind}), where SQLite's locks do not"
            " hold; move it to a local disk or use PostgreSQL"
        )
