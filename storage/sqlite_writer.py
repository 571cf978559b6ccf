"""The one thread that writes to a SQLite file."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from desk.ports import UnitOfWork
from storage.database import AFTER_COMMIT, Ended, UnitFactory, announce, unavailable
from storage.sqlite_engine import lost_transaction, why_unavailable, writing

_COMMIT_SHARED_BY = 64
"""Units in one commit at most: more would gain little and make the first ones wait."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class _Job:
    work: Callable[[UnitOfWork], Any]
    future: asyncio.Future[Any]
    shared: bool
    number: int
    put_at: float
    is_checkpoint: bool = False


class SqliteWriter:
    """Runs units of work from a queue over one connection, each batch in a transaction.

    Shared units and the others wait in two lines. Whichever head has waited longer goes next: one
    unit alone, or all shared ones that wait by then. So intake that queued during a commit shares
    the next one however many others wait in between. Within a line the order is kept.
    """

    def __init__(
        self, engine: Engine, unit_factory: UnitFactory, busy_timeout: timedelta, queue_limit: int
    ) -> None:
        self._engine = engine
        self._unit_factory = unit_factory
        self._busy_timeout = busy_timeout.total_seconds()
        self._queue_limit = queue_limit
        self._shared: deque[_Job] = deque()
        self._alone: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._count = 0
        self._open = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Starts the thread and takes work from now on."""
        # A daemon, because an interpreter that ends without close() must not wait for it for ever.
        # What is not committed then was not acknowledged.
        self._thread = threading.Thread(target=self._run, name="huiyin-writer", daemon=True)
        self._open = True
        self._thread.start()

    def put(self, work: Callable[[UnitOfWork], Any], future: asyncio.Future[Any], *, shared: bool) -> None:
        """Queues a unit of work.

        Raises:
            StorageUnavailableError: The queue is full or closed; the unit was not taken.
        """
        self._put(work, future, shared=shared)

    def put_checkpoint(self, future: asyncio.Future[bool]) -> None:
        """Queues a checkpoint, which runs outside of any transaction; its result is ``empty_wal``'s.

        Raises:
            StorageUnavailableError: As of ``put``.
        """
        self._put(_nothing, future, is_checkpoint=True)

    def _put(
        self,
        work: Callable[[UnitOfWork], Any],
        future: asyncio.Future[Any],
        *,
        shared: bool = False,
        is_checkpoint: bool = False,
    ) -> None:
        with self._changed:
            if not self._open:
                raise unavailable("the database is closed")
            if len(self._shared) + len(self._alone) >= self._queue_limit:
                raise unavailable("too many units of work are waiting")
            self._count += 1
            job = _Job(work, future, shared, self._count, time.monotonic(), is_checkpoint)
            (self._shared if shared else self._alone).append(job)
            self._changed.notify()

    def refuse(self) -> None:
        """Takes no more work; what waits is still done."""
        with self._changed:
            self._open = False
            self._changed.notify()

    def join(self) -> None:
        """Waits until the queue is empty and the thread has ended."""
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while jobs := self._take():
            try:
                if jobs[0].is_checkpoint:
                    announce([Ended(jobs[0].future, empty_wal(self._engine))])
                else:
                    self._run_together(jobs)
            except BaseException as error:  # noqa: BLE001 - the writer outlives every fault, told or not.
                _log.error("storage.writer_failed", error_type=type(error).__name__)
                self._end_all([job for job in jobs if not job.future.done()], error)

    def _take(self) -> Sequence[_Job]:
        """Returns the next batch, waiting for it; empty when closed and nothing is left."""
        with self._changed:
            while not self._shared and not self._alone:
                if not self._open:
                    return ()
                self._changed.wait()
            if self._alone and (not self._shared or self._alone[0].number < self._shared[0].number):
                return (self._alone.popleft(),)
            size = min(len(self._shared), _COMMIT_SHARED_BY)
            return [self._shared.popleft() for _ in range(size)]

    def _run_together(self, jobs: Sequence[_Job]) -> None:
        """Runs the jobs in one transaction and tells their callers after the commit."""
        ended: list[Ended] = []
        fault: BaseException | None = None
        stage = "begin"
        try:
            with writing(self._engine) as connection:
                stage = "work"
                for job in jobs:
                    ended.append(self._run_one(connection, job, alone=len(jobs) == 1))
                    if fault := lost_transaction(connection):
                        # Also where the unit hid it, or stumbled over the missing savepoint after it.
                        ended[-1].error = _own_copy(fault)
                        break
                if fault is None and any(one.error is None for one in ended):
                    stage = "commit"
                    connection.commit()
        except SQLAlchemyError as error:
            fault = error
        if fault is None:
            announce(ended)
        elif stage == "begin":
            self._end_all([*jobs, *self._waited_too_long()], fault)
        elif len(jobs) == 1 or (stage == "commit" and why_unavailable(fault) is not None):
            self._end_all(jobs, fault)
        else:
            self._run_apart(jobs, ended)

    def _run_apart(self, jobs: Sequence[_Job], ended: Sequence[Ended]) -> None:
        """Makes good a shared transaction that was lost: each job once more, in one of its own.

        SQLite takes back the whole transaction when one statement fills the disk, and a constraint
        that is checked at COMMIT fails for all; the neighbours of the culprit are to feel neither.
        """
        failed = {id(one.future): one for one in ended if one.error is not None}
        for job in jobs:
            own = failed.get(id(job.future))
            if own is not None:
                announce([own])
            else:
                self._run_together((job,))

    def _run_one(self, connection: Connection, job: _Job, *, alone: bool) -> Ended:
        """Runs one job; in a shared transaction in a SAVEPOINT, so that its error undoes its own writes only."""
        ended = Ended(job.future)
        session = Session(
            bind=connection,
            join_transaction_mode="rollback_only" if alone else "create_savepoint",
            expire_on_commit=False,
        )
        session.info[AFTER_COMMIT] = []
        try:
            ended.result = job.work(self._unit_factory(session))
            session.commit()
            ended.callbacks = session.info[AFTER_COMMIT]
        except BaseException as error:  # noqa: BLE001 - whatever it is belongs to the caller.
            ended.error = _own_copy(error)
        try:
            session.close()
        except SQLAlchemyError:
            # The savepoint is gone with a transaction that SQLite rolled back; the caller finds that out.
            _log.warning("storage.savepoint_lost")
        return ended

    def _waited_too_long(self) -> Sequence[_Job]:
        """Takes those out of the queue that have waited for as long as a lock is waited for.

        Otherwise a foreign lock would make each wait for the timeouts of all before it.
        """
        latest = time.monotonic() - self._busy_timeout
        taken: list[_Job] = []
        with self._changed:
            for line in (self._shared, self._alone):
                while line and line[0].put_at <= latest:
                    taken.append(line.popleft())
        return taken

    def _end_all(self, jobs: Sequence[_Job], fault: BaseException) -> None:
        reason = why_unavailable(fault)
        if reason is not None:
            _log.error("storage.unavailable", reason=reason.replace(" ", "_"), units=len(jobs))
        announce([Ended(job.future, error=_own_copy(fault)) for job in jobs])


def empty_wal(engine: Engine) -> bool:
    """Moves the whole WAL into the file and cuts it to no bytes; False when a reader kept it from that.

    Without a WAL there is nothing to do. Waits for readers as long as for a lock.
    """
    with engine.connect() as connection:
        raw: Any = connection.connection.dbapi_connection
        busy = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    return bool(busy == 0)


def _nothing(unit: UnitOfWork) -> None:
    """The work of a checkpoint, which is none."""


def _own_copy(fault: BaseException) -> BaseException:
    reason = why_unavailable(fault)
    return fault if reason is None else unavailable(reason, fault)
