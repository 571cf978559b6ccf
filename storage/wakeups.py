"""Bells between tasks, and on PostgreSQL between processes. Rows decide; a bell only saves waiting."""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
import structlog

from storage.postgres_engine import postgres_url

_REMEMBERED_BELLS = 4096
"""Bells that nobody waits for and that are still remembered; conversations have one each."""

_UNSENT_BELLS = 10_000
_CHANNEL = "huiyin"
_SHORTEST_PAUSE = timedelta(seconds=0.5)
_LONGEST_PAUSE = timedelta(seconds=30)
_QUIET = timedelta(seconds=30)

_Connection = psycopg.AsyncConnection[Any]

_log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class _Bell:
    """One bell. Rings are numbered; 0 is before the first.

    Attributes:
        rung: The newest ring.
        heard: The newest ring that woke anybody.
        heard_by: The newest ring that each task has heard. Without it a task that was busy during a
            ring would miss it because another one was waiting.
    """

    rung: int = 0
    heard: int = 0
    heard_by: WeakKeyDictionary[asyncio.Task[Any], int] = field(default_factory=WeakKeyDictionary)
    waiting: set[asyncio.Future[None]] = field(default_factory=set)


class LocalWakeups:
    """``Wakeups`` within one process.

    A ring while nobody waits is kept for the next wait. A task that waits for a bell again and again
    misses no ring in between, even when others waited and heard it; so wait from one task, and call
    ``wait`` for no time before looking for the first time if that matters.
    """

    def __init__(self) -> None:
        self._bells: OrderedDict[str, _Bell] = OrderedDict()
        self._rings = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    def ring(self, bell: str) -> None:
        """See ``Wakeups.ring``. May be called from any thread."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            if self._loop is not None and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._ring_here, bell)
            return
        self._ring_here(bell)

    async def wait(self, bell: str, at_most: timedelta) -> bool:
        """See ``Wakeups.wait``."""
        self._loop = asyncio.get_running_loop()
        entry = self._entry(bell)
        task = asyncio.current_task()
        heard = entry.heard if task is None else entry.heard_by.get(task, entry.heard)
        if entry.rung <= heard and at_most > timedelta(0):
            await self._wait_in(entry, at_most)
        # The numbers decide, not how the waiting ended: a ring at the very end of it still counts.
        rang = entry.rung > heard
        if rang:
            entry.heard = entry.rung
        if task is not None:
            entry.heard_by[task] = entry.rung
        return rang

    def ring_all(self) -> None:
        """Wakes everybody who waits, after a gap in which any bell may have rung elsewhere."""
        for name in [name for name, bell in self._bells.items() if bell.waiting]:
            self._wake(name)

    async def _wait_in(self, entry: _Bell, at_most: timedelta) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry.waiting.add(future)
        try:
            async with asyncio.timeout(at_most.total_seconds()):
                await future
        except TimeoutError:
            pass
        finally:
            entry.waiting.discard(future)

    def _ring_here(self, name: str) -> None:
        self._wake(name)

    def _wake(self, name: str) -> None:
        entry = self._entry(name)
        self._rings += 1
        entry.rung = self._rings
        for future in entry.waiting:
            if not future.done():
                future.set_result(None)

    def _entry(self, name: str) -> _Bell:
        entry = self._bells.get(name)
        if entry is None:
            entry = self._bells[name] = _Bell()
            self._forget_old_ones()
        self._bells.move_to_end(name)
        return entry

    def _forget_old_ones(self) -> None:
        """Drops the least recently used bells; whoever waits for one is left alone."""
        for name in list(islice(self._bells, max(0, len(self._bells) - _REMEMBERED_BELLS))):
            if self._bells[name].waiting:
                # Out of the way, so that it is not looked at again each time.
                self._bells.move_to_end(name)
            else:
                del self._bells[name]


class PostgresWakeups(LocalWakeups):
    """``Wakeups`` that other processes hear too, through ``NOTIFY huiyin``.

    The supervisor runs ``listen`` and ``notify`` for as long as the process lives. Both connect anew
    after a fault; what rings meanwhile elsewhere is found by looking, as ever.

    Args:
        url: ``postgresql://…``. It must not lead through a pooler that shares sessions.
    """

    def __init__(self, url: str) -> None:
        super().__init__()
        self._address = postgres_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._unsent: set[str] = set()
        self._has_unsent = asyncio.Event()
        self._own_pid = 0

    async def listen(self) -> None:
        """Rings here what rings elsewhere; ends only by being cancelled."""
        await self._stay_connected("listen", self._listen_on)

    async def notify(self) -> None:
        """Rings elsewhere what rings here; ends only by being cancelled."""
        await self._stay_connected("notify", self._notify_on)

    def _ring_here(self, name: str) -> None:
        super()._ring_here(name)
        # A set, so that a bell that rings often goes out once. Bells over the bound are dropped while
        # the database is away: nothing could be stored then either.
        if len(self._unsent) < _UNSENT_BELLS:
            self._unsent.add(name)
            self._has_unsent.set()

    async def _stay_connected(self, task: str, use: Callable[[_Connection], Awaitable[None]]) -> None:
        pause = _SHORTEST_PAUSE
        while True:
            try:
                # A connection of its own, outside transactions: NOTIFY inside one serialises commits.
                connection = await psycopg.AsyncConnection.connect(
                    self._address, autocommit=True, connect_timeout=5, prepare_threshold=None
                )
                async with connection:
                    pause = _SHORTEST_PAUSE
                    await use(connection)
            except (psycopg.OperationalError, psycopg.InterfaceError):
                _log.warning("storage.wakeups_disconnected", task=task, pause_s=pause.total_seconds())
            await asyncio.sleep(pause.total_seconds() * random.uniform(0.5, 1.0))  # noqa: S311 - jitter.
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _listen_on(self, connection: _Connection) -> None:
        await connection.execute(f"LISTEN {_CHANNEL}")
        self.ring_all()
        while True:
            async for notification in connection.notifies(timeout=_QUIET.total_seconds()):
                if notification.pid != self._own_pid:
                    self._wake(notification.payload)
            # A connection that died without a word is found out by using it.
            await connection.execute("SELECT 1")

    async def _notify_on(self, connection: _Connection) -> None:
        self._own_pid = connection.info.backend_pid
        while True:
            await self._has_unsent.wait()
            bells, self._unsent = self._unsent, set()
            self._has_unsent.clear()
            try:
                await connection.execute(
                    "SELECT pg_notify(%s, bell) FROM unnest(%s::text[]) AS bell", (_CHANNEL, list(bells))
                )
            except BaseException:
                self._unsent |= bells
                self._has_unsent.set()
                raise
