"""Bells between tasks, and on PostgreSQL between processes. Rows decide; a bell only saves waiting."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import Any
from weakref import WeakKeyDictionary

_REMEMBERED_BELLS = 4096
"""Bells that nobody waits for and that are still remembered; conversations have one each."""


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

    def tasks(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """What must run for the bells to be heard, by name; each ends only by being cancelled."""
        return {}

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
