"""What both databases share: how a unit of work is wired, and how its caller hears of the end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import structlog
from sqlmodel import Session

from desk.errors import DeskError, StorageUnavailableError
from desk.ports import UnitOfWork

UnitFactory = Callable[[Session], UnitOfWork]
"""Makes the repositories of one unit of work over its session."""

AFTER_COMMIT = "after_commit"
"""Key in ``session.info``: a list of callables that the event loop runs once the commit is on disk."""

_log = structlog.get_logger(__name__)


class DatabaseRefusedError(DeskError):
    """The database cannot be used as it is; the message says what to change."""


def after_commit(session: Session, callback: Callable[[], object]) -> None:
    """Has the event loop call ``callback`` once the transaction is on disk; dropped on rollback."""
    session.info.setdefault(AFTER_COMMIT, []).append(callback)


@dataclass(slots=True)
class Ended:
    """How one unit of work ended, on its way back to the caller."""

    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None
    callbacks: Sequence[Callable[[], object]] = field(default_factory=tuple)


def announce(ended: Sequence[Ended]) -> None:
    """Tells the callers, each in its own event loop. Called from the database's threads."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Ended]] = {}
    for one in ended:
        by_loop.setdefault(one.future.get_loop(), []).append(one)
    for loop, its in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle, its)
        except RuntimeError:
            # The loop is closed, so nobody waits any more. What was committed stays committed.
            _log.warning("storage.caller_gone", units=len(its))


def _settle(ended: Sequence[Ended]) -> None:
    for one in ended:
        for callback in one.callbacks:
            # As callbacks of their own, a failing one goes to the loop's exception handler and keeps
            # nobody from hearing of their commit. They still run before the caller resumes.
            one.future.get_loop().call_soon(callback)
    for one in ended:
        if one.future.done():
            # The caller was cancelled while the unit waited or ran; that must not undo what was stored.
            if one.error is not None:
                _log.warning("storage.unheard_error", error_type=type(one.error).__name__)
        elif one.error is not None:
            one.future.set_exception(_raisable(one.error))
        else:
            one.future.set_result(one.result)


def _raisable(error: BaseException) -> BaseException:
    if not isinstance(error, StopIteration):
        return error
    # A future refuses StopIteration, and the caller would wait for ever.
    wrapped = RuntimeError("a unit of work raised StopIteration")
    wrapped.__cause__ = error
    return wrapped


def unavailable(reason: str, cause: BaseException | None = None) -> StorageUnavailableError:
    """Returns a fresh error: one instance raised in several tasks would mix their tracebacks."""
    error = StorageUnavailableError(reason)
    error.__cause__ = cause
    return error


class UnitPool:
    """A few threads that run units of work, with a bound on how many wait.

    Args:
        threads: How many run at a time.
        limit: How many may wait or run before new ones are refused.
        name: Of the threads.
        why_unavailable: Turns an error of the driver into words, None when it means something else.
    """

    def __init__(
        self, threads: int, limit: int, name: str, why_unavailable: Callable[[BaseException], str | None]
    ) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._room = threading.BoundedSemaphore(limit)
        self._why_unavailable = why_unavailable

    async def run(self, unit: Callable[[Ended], None], *, skip_cancelled: bool) -> Any:
        """Runs ``unit``, which fills in its ``Ended``, and returns the result.

        Args:
            unit: Runs in one of the threads; what it raises is raised here.
            skip_cancelled: Whether a unit whose caller is gone need not run any more.

        Raises:
            StorageUnavailableError: Too many wait, the pool is closed, or the database is not to be had.
        """
        if not self._room.acquire(blocking=False):
            raise unavailable("too many units of work are waiting")
        ended = Ended(asyncio.get_running_loop().create_future())
        try:
            self._executor.submit(self._run, unit, ended, skip_cancelled)
        except RuntimeError as error:
            self._room.release()
            raise unavailable("the database is closed", error) from error
        return await ended.future

    def close(self) -> None:
        """Waits until everything that was taken has ended."""
        self._executor.shutdown(wait=True)

    def _run(self, unit: Callable[[Ended], None], ended: Ended, skip_cancelled: bool) -> None:
        try:
            if skip_cancelled and ended.future.cancelled():
                return
            unit(ended)
        except BaseException as error:  # noqa: BLE001 - whatever it is belongs to the caller.
            reason = self._why_unavailable(error)
            ended.error = error if reason is None else unavailable(reason, error)
        finally:
            self._room.release()
        announce([ended])
