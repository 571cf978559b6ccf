"""Bells between processes, through PostgreSQL. Rows decide; a bell only saves waiting."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

import psycopg
import structlog

from storage.postgres_engine import postgres_url
from storage.wakeups import LocalWakeups

_UNSENT_BELLS = 10_000
_CHANNEL = "huiyin"
_SHORTEST_PAUSE = timedelta(seconds=0.5)
_LONGEST_PAUSE = timedelta(seconds=30)
_QUIET = timedelta(seconds=30)

_Connection = psycopg.AsyncConnection[Any]

_log = structlog.get_logger(__name__)


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

    def tasks(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """See ``LocalWakeups.tasks``."""
        return {"listen": self.listen, "notify": self.notify}

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
