"""The one place where background tasks start, are watched, restarted and stopped."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

import structlog

_log = structlog.get_logger(__name__)

DRAIN = timedelta(seconds=8)
"""How long tasks may take to finish what they have in hand; together with the rest below 10 s."""
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_STEADY_AFTER = 60.0
"""A task that ran this many seconds starts again as if it had never crashed."""


@dataclass(frozen=True, slots=True)
class _Task:
    name: str
    run: Callable[[], Awaitable[None]]
    listens: bool
    once: bool


class Supervisor:
    """Runs named tasks until it is told to stop.

    A task that crashes, or ends by itself before that, is started again with a growing pause, unless it
    was to run once.
    """

    def __init__(self) -> None:
        self._tasks: list[_Task] = []
        self._stopping = asyncio.Event()
        self._on_stop: list[Callable[[], None]] = []
        self.restarts: dict[str, int] = {}

    def add(
        self, name: str, run: Callable[[], Awaitable[None]], *, listens: bool = False, once: bool = False
    ) -> None:
        """Adds a task before ``run``.

        Args:
            listens: It only waits for news and never ends by itself: cancelled at once when stopping.
            once: It has done its work when it ends, and is started again only after a crash.
        """
        self._tasks.append(_Task(name, run, listens, once))
        self.restarts[name] = 0

    def on_stop(self, callback: Callable[[], None]) -> None:
        """Has ``callback`` called once, at the moment of stopping."""
        self._on_stop.append(callback)

    def is_stopping(self) -> bool:
        """Whether tasks should finish what they have in hand and end."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Begins to stop; calling it again changes nothing."""
        if not self._stopping.is_set():
            self._stopping.set()
            for callback in self._on_stop:
                callback()

    def stop_on_signals(self) -> None:
        """SIGTERM and Ctrl-C stop everything in good order."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)

    async def run(self) -> None:
        """Starts every task and returns when all have ended after ``stop``."""
        running = {asyncio.create_task(self._watch(task), name=task.name): task for task in self._tasks}
        await self._stopping.wait()
        for started, task in running.items():
            if task.listens:
                started.cancel()
        _, late = await asyncio.wait(running, timeout=DRAIN.total_seconds())
        for started in late:
            # What it had in hand is a row: whoever starts next takes it up again.
            _log.warning("task_cancelled_at_stop", task=running[started].name)
            started.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _watch(self, task: _Task) -> None:
        pause = _FIRST_PAUSE
        loop = asyncio.get_running_loop()
        while not self._stopping.is_set():
            started_at = loop.time()
            try:
                await task.run()
                if task.once:
                    return
            except Exception as error:  # noqa: BLE001 - a crashed task must not take the others along
                _log.error("task_crashed", task=task.name, error_type=type(error).__name__, exc_info=error)
            if self._stopping.is_set():
                return
            self.restarts[task.name] += 1
            if loop.time() - started_at >= _STEADY_AFTER:
                pause = _FIRST_PAUSE
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
