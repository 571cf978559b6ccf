"""Waiting for a bell from outside or a nudge from inside, whichever comes first."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from desk.ports import Wakeups


class Snooze:
    """The one task that watches for work sleeps here; others of the same worker nudge it.

    A bell would do as well, but it is heard by other workers and in other processes.
    """

    def __init__(self, wakeups: Wakeups, bell: str) -> None:
        self._wakeups = wakeups
        self._bell = bell
        self._alarm: asyncio.Timeout | None = None
        self._nudged = False

    def look(self) -> None:
        """The watcher looks for work now: an earlier nudge has done its duty."""
        self._nudged = False

    def nudge(self) -> None:
        """Wakes the watcher, or keeps it from falling asleep before it has looked again."""
        self._nudged = True
        if self._alarm is not None and not self._alarm.expired():
            self._alarm.reschedule(asyncio.get_running_loop().time())

    async def wait(self, at_most: timedelta) -> None:
        """Sleeps until the bell rings, somebody nudges, or the time is over."""
        if self._nudged or at_most <= timedelta(0):
            return
        try:
            async with asyncio.timeout(None) as self._alarm:
                await self._wakeups.wait(self._bell, at_most)
        except TimeoutError:
            pass
        finally:
            self._alarm = None
