"""Units of work on SQLite: one writer thread, group commit, a few readers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from desk.errors import StorageUnavailableError
from desk.ports import UnitOfWork
from storage.database import DatabaseRefusedError, Ended, UnitFactory, UnitPool, unavailable
from storage.sqlite_engine import (
    BUSY_TIMEOUT,
    create_private_file,
    is_damaged,
    make_engine,
    refuse_network_file_system,
    sqlite_module,
    wal_is_safe,
    why_unavailable,
)
from storage.sqlite_writer import SqliteWriter, empty_wal

T = TypeVar("T")

_CHECKED_UP_TO = 1024**3
"""Bytes; ``quick_check`` reads the whole file, which would hold up the start of a larger one."""

_log = structlog.get_logger(__name__)


class SqliteDatabase:
    """``Transactions`` on a SQLite file. One per file and machine; see ``SingleServeLock``.

    Args:
        path: The file; created with mode 0600, as are missing folders with 0700.
        unit_factory: Makes the repositories of a unit of work.
        busy_timeout: How long a foreign lock is waited for.
        queue_limit: How many units may wait before new ones are refused.
        readers: How many reads run at a time.
        module: The driver, for tests of other SQLite versions.
    """

    def __init__(
        self,
        path: Path | str,
        unit_factory: UnitFactory,
        *,
        busy_timeout: timedelta = BUSY_TIMEOUT,
        queue_limit: int = 10_000,
        readers: int = 3,
        module: ModuleType | None = None,
    ) -> None:
        self.path = Path(path)
        self._unit_factory = unit_factory
        self._module = module or sqlite_module()
        self.write_engine: Engine = make_engine(
            self.path, "write", connections=1, busy_timeout=busy_timeout, module=self._module
        )
        self.read_engine: Engine = make_engine(
            self.path, "query_only", connections=readers, busy_timeout=busy_timeout, module=self._module
        )
        self._writer = SqliteWriter(self.write_engine, unit_factory, busy_timeout, queue_limit)
        self._readers = UnitPool(readers, queue_limit, "huiyin-reader", why_unavailable)

    async def start(self) -> None:
        """Checks the file, chooses the journal and starts the writer.

        Raises:
            DatabaseRefusedError: A damaged file, a network file system or a place that cannot be used.
            StorageUnavailableError: Another process holds the database.
        """
        await asyncio.to_thread(self._prepare)
        self._writer.start()

    async def close(self) -> None:
        """Takes no more work, finishes what waits, moves the WAL into the file. May be repeated."""
        self._writer.refuse()
        await asyncio.to_thread(self._finish)

    async def write(self, work: Callable[[UnitOfWork], T], *, shared: bool = False) -> T:
        """See ``Transactions.write``. Cancelling the caller does not stop a unit that was taken."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._writer.put(work, future, shared=shared)
        return await future

    async def read(self, work: Callable[[UnitOfWork], T]) -> T:
        """See ``Transactions.read``.

        Raises:
            StorageUnavailableError: Too many reads wait, or the file cannot be read.
        """

        def unit(ended: Ended) -> None:
            with Session(self.read_engine, expire_on_commit=False) as session:
                ended.result = work(self._unit_factory(session))

        result: T = await self._readers.run(unit, skip_cancelled=True)
        return result

    async def checkpoint(self) -> bool:
        """Empties the WAL, so that no bytes stay in it which the file has no longer.

        Returns:
            False when a reader kept it from that or the database is closed: the WAL is then emptied when
            the database is closed. Nothing that is stored depends on it.
        """
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        try:
            self._writer.put_checkpoint(future)
            emptied = await future
        except StorageUnavailableError:
            emptied = False
        if not emptied:
            _log.warning("storage.checkpoint_failed")
        return emptied

    def _prepare(self) -> None:
        refuse_network_file_system(self.path)
        create_private_file(self.path)
        version: tuple[int, int, int] = self._module.sqlite_version_info
        journal = "wal" if wal_is_safe(version) else "delete"
        if journal == "delete":
            _log.warning(
                "storage.wal_refused",
                sqlite=".".join(map(str, version)),
                reason="wal_can_corrupt_before_3.51.3",
            )
        try:
            with self.write_engine.connect() as connection:
                raw: Any = connection.connection.dbapi_connection
                # Outside a transaction, where alone the journal can be changed.
                got = raw.execute(f"PRAGMA journal_mode={journal}").fetchone()[0]
                if got != journal:
                    raise DatabaseRefusedError(
                        f"the database {self.path} stays in journal mode {got} where {journal} is needed;"
                        " stop every other program that uses it"
                    )
                self._check(raw)
        except (SQLAlchemyError, self._module.Error) as error:
            reason = why_unavailable(error)
            if reason is None:
                raise
            if is_damaged(error):
                raise DatabaseRefusedError(f"the database {self.path} cannot be used: {reason}") from error
            raise unavailable(reason, error) from error

    def _check(self, raw: Any) -> None:
        size = self.path.stat().st_size
        if size > _CHECKED_UP_TO:
            _log.info("storage.check_skipped", bytes=size)
            return
        found = [row[0] for row in raw.execute("PRAGMA quick_check").fetchall()]
        if found != ["ok"]:
            _log.error("storage.damaged", findings=len(found))
            raise DatabaseRefusedError(f"the database {self.path} is damaged; restore it from a backup")

    def _finish(self) -> None:
        self._writer.join()
        self._readers.close()
        # Readers go first, so that the checkpoint meets nobody and empties the WAL.
        self.read_engine.dispose()
        if not self.path.exists():
            # Never started; opening it now would create it.
            return
        try:
            empty_wal(self.write_engine)
        except (SQLAlchemyError, self._module.Error):
            # Nothing is lost: the next start reads the WAL.
            _log.warning("storage.checkpoint_failed")
        self.write_engine.dispose()
