"""Units of work on PostgreSQL: the same synchronous units, in a small pool of threads."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from desk.ports import UnitOfWork
from storage.database import AFTER_COMMIT, Ended, UnitFactory, UnitPool, unavailable
from storage.postgres_engine import WAIT, is_worth_retrying, make_engine, why_unavailable

T = TypeVar("T")

_TRIES = 6
"""The first one and five more after a serialization failure or a deadlock."""


class PostgresDatabase:
    """``Transactions`` on PostgreSQL; many processes may use it at a time.

    When the connection breaks during a COMMIT nobody can say whether it was stored: that too is a
    ``StorageUnavailableError``, and the keys of the tables make the next try harmless.

    Args:
        url: ``postgresql://…``.
        unit_factory: Makes the repositories of a unit of work.
        writers: How many units write at a time.
        readers: How many reads run at a time.
        queue_limit: How many units may wait before new ones are refused.
        wait: Bound on connecting, on each lock and on each statement.
    """

    def __init__(
        self,
        url: str,
        unit_factory: UnitFactory,
        *,
        writers: int = 8,
        readers: int = 4,
        queue_limit: int = 10_000,
        wait: timedelta = WAIT,
    ) -> None:
        self._unit_factory = unit_factory
        self.write_engine: Engine = make_engine(url, connections=writers, wait=wait)
        self.read_engine: Engine = make_engine(url, connections=readers, read_only=True, wait=wait)
        self._writers = UnitPool(writers, queue_limit, "huiyin-writer", why_unavailable)
        self._readers = UnitPool(readers, queue_limit, "huiyin-reader", why_unavailable)

    async def start(self) -> None:
        """Makes sure that the database answers.

        Raises:
            StorageUnavailableError: It does not.
        """
        await asyncio.to_thread(self._knock)

    async def close(self) -> None:
        """Takes no more work and finishes what waits. May be repeated."""
        await asyncio.to_thread(self._finish)

    async def write(self, work: Callable[[UnitOfWork], T], *, shared: bool = False) -> T:
        """See ``Transactions.write``. Cancelling the caller does not stop a unit that was taken.

        ``shared`` changes nothing here: PostgreSQL joins commits by itself.
        """
        result: T = await self._writers.run(lambda ended: self._write(work, ended), skip_cancelled=False)
        return result

    async def read(self, work: Callable[[UnitOfWork], T]) -> T:
        """See ``Transactions.read``.

        Raises:
            StorageUnavailableError: Too many reads wait, or the database does not answer.
        """
        result: T = await self._readers.run(lambda ended: self._read(work, ended), skip_cancelled=True)
        return result

    async def checkpoint(self) -> bool:
        """See ``SqliteDatabase.checkpoint``; here the WAL is the server's, and nothing is done."""
        return True

    def _write(self, work: Callable[[UnitOfWork], Any], ended: Ended) -> None:
        for tries_left in reversed(range(_TRIES)):
            try:
                with Session(self.write_engine, expire_on_commit=False) as session:
                    session.info[AFTER_COMMIT] = []
                    result = work(self._unit_factory(session))
                    session.commit()
                    ended.result, ended.callbacks = result, session.info[AFTER_COMMIT]
                return
            except SQLAlchemyError as error:
                if not is_worth_retrying(error) or not tries_left:
                    raise
                # Jitter parts two units that would otherwise meet again; 10 ms to 160 ms at most.
                time.sleep(random.uniform(0.0, 0.01 * 2 ** (_TRIES - 1 - tries_left)))  # noqa: S311

    def _read(self, work: Callable[[UnitOfWork], Any], ended: Ended) -> None:
        with Session(self.read_engine, expire_on_commit=False) as session:
            ended.result = work(self._unit_factory(session))

    def _knock(self) -> None:
        try:
            with self.read_engine.connect() as connection:
                connection.execute(text("SELECT 1"))
        except SQLAlchemyError as error:
            reason = why_unavailable(error)
            if reason is None:
                raise
            raise unavailable(reason, error) from error

    def _finish(self) -> None:
        self._writers.close()
        self._readers.close()
        self.write_engine.dispose()
        self.read_engine.dispose()
