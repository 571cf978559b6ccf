"""Counts the commits that write something, and dies just before or just after a given one.

This lives in the launcher's child alone: the product has no switch for it. It listens to SQLAlchemy, so
it sees every transaction of every writing connection, the migration's included.
"""

from __future__ import annotations

import os
import signal
import struct
from mmap import mmap
from typing import Any

from sqlalchemy import Connection, Engine, event

_CHANGES = "commit_points_changes"
_COUNT = struct.Struct("q")


class CommitPoints:
    """The commit points of one life.

    A commit counts when rows were written by more than the renewal of a worker's lease: those come with
    the clock, and nothing could be lost or doubled by them.

    Args:
        shared: Eight bytes that the parent can read after this process is gone.
        kill_at: The number of the commit to die at, from 1; 0 = only count.
        when: ``before`` or ``after`` that commit.
    """

    def __init__(self, shared: mmap, kill_at: int, when: str) -> None:
        self._shared = shared
        self._kill_at = kill_at
        self._when = when
        self._count = 0
        self._wrote: set[int] = set()

    def listen(self) -> None:
        """Starts to count, for every engine of this process."""
        event.listen(Engine, "engine_connect", self._wrap)
        event.listen(Engine, "begin", self._begin)
        event.listen(Engine, "after_cursor_execute", self._executed)

    @staticmethod
    def read(shared: mmap) -> int:
        """How many commits there were."""
        count: int = _COUNT.unpack_from(shared)[0]
        return count

    def _wrap(self, connection: Connection) -> None:
        dialect = connection.dialect
        if "do_commit" in vars(dialect):
            return
        commit = dialect.do_commit

        def do_commit(proxy: Any) -> None:
            raw = proxy.driver_connection
            counts = id(raw) in self._wrote
            self._wrote.discard(id(raw))
            if counts:
                self._count += 1
                _COUNT.pack_into(self._shared, 0, self._count)
            here = counts and self._count == self._kill_at
            if here and self._when == "before":
                _die()
            commit(proxy)
            if here:
                _die()

        dialect.do_commit = do_commit  # type: ignore[method-assign]

    def _begin(self, connection: Connection) -> None:
        raw = _raw(connection)
        self._wrote.discard(id(raw))
        connection.info[_CHANGES] = raw.total_changes

    def _executed(self, connection: Connection, cursor: Any, statement: str, *_: Any) -> None:
        raw = _raw(connection)
        changes = raw.total_changes
        if changes > connection.info.get(_CHANGES, 0) and "leases" not in statement:
            self._wrote.add(id(raw))
        connection.info[_CHANGES] = changes


def _raw(connection: Connection) -> Any:
    return connection.connection.driver_connection


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()  # The signal may take a moment to arrive; nothing more may happen until then.
