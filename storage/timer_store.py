"""定时 on SQL: what is to be done later."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, select, update
from sqlalchemy.orm import Session

from desk.values import Timer
from storage.statements import AnyRow, insert_into, ring_after_commit, word
from storage.tables.work import TIMERS, TimerState

_PENDING = TIMERS.c.state == word(TimerState.PENDING)
_TIMER = (
    TIMERS.c.id,
    TIMERS.c.kind,
    TIMERS.c.key,
    TIMERS.c.due_at,
    TIMERS.c.payload,
    TIMERS.c.attempts,
    TIMERS.c.generation,
)


class SqlTimerStore:
    """Timers, one per (kind, key).

    The generation under which a timer was locked is remembered until the end of the unit of work:
    what was set anew in between has a higher one and outlives ``finish``.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._generations: dict[int, int] = {}

    def set(self, kind: str, key: str, due_at: datetime, payload: Mapping[str, Any]) -> None:
        """Creates the timer, or moves the one there is to ``due_at`` with this payload, pending again."""
        values = {"due_at": due_at, "payload": dict(payload), "state": TimerState.PENDING.value}
        self._session.execute(
            insert_into(self._session, TIMERS)
            .values(kind=kind, key=key, **values)
            .on_conflict_do_update(
                index_elements=["kind", "key"],
                set_={**values, "attempts": 0, "error": "", "generation": TIMERS.c.generation + 1},
            )
        )
        ring_after_commit(self._session, "timers")

    def cancel(self, kind: str, key: str) -> None:
        """Ends a pending timer; does nothing otherwise."""
        self._session.execute(
            update(TIMERS)
            .where(TIMERS.c.kind == kind, TIMERS.c.key == key, _PENDING)
            .values(state=TimerState.CANCELLED.value, generation=TIMERS.c.generation + 1)
        )

    def find_due(
        self, now: datetime, limit: int, only: Collection[str] | None = None, without: Collection[str] = ()
    ) -> Sequence[Timer]:
        """Due pending timers of the one kind whose oldest is due longest; nothing is locked.

        Args:
            only: Other kinds are passed over; None = none is.
            without: These kinds are passed over.
        """
        wanted = [] if only is None else [TIMERS.c.kind.in_(only)]
        if without:
            wanted.append(TIMERS.c.kind.not_in(without))
        kind = (
            select(TIMERS.c.kind)
            .where(_PENDING, TIMERS.c.due_at <= now, *wanted)
            .order_by(TIMERS.c.due_at, TIMERS.c.id)
            .limit(1)
            .scalar_subquery()
        )
        rows = self._session.execute(
            select(*_TIMER)
            .where(TIMERS.c.kind == kind, _PENDING, TIMERS.c.due_at <= now)
            .order_by(TIMERS.c.due_at, TIMERS.c.id)
            .limit(limit)
        )
        return [_timer(row) for row in rows]

    def lock(self, ids: Sequence[int], now: datetime) -> Sequence[Timer]:
        """Locks those that are still pending and due, in id order."""
        if not ids:
            return []
        rows = self._session.execute(
            select(*_TIMER)
            .where(TIMERS.c.id.in_(ids), _PENDING, TIMERS.c.due_at <= now)
            .order_by(TIMERS.c.id)
            .with_for_update()
        ).all()
        self._generations.update({row.id: row.generation for row in rows})
        return [_timer(row) for row in rows]

    def finish(self, timer: Timer) -> None:
        """Ends the timer, unless it was set anew meanwhile."""
        self._session.execute(
            update(TIMERS).where(self._same(timer)).values(state=TimerState.DONE.value, error="")
        )

    def retry(self, timer: Timer, error: str, due_at: datetime) -> None:
        """Counts one failed try, unless the timer was set anew meanwhile."""
        self._session.execute(
            update(TIMERS)
            .where(self._same(timer))
            .values(attempts=TIMERS.c.attempts + 1, error=error, due_at=due_at)
        )

    def bury(self, timer: Timer, error: str) -> None:
        """Makes it a dead letter, unless the timer was set anew meanwhile."""
        self._session.execute(
            update(TIMERS)
            .where(self._same(timer))
            .values(state=TimerState.DEAD.value, attempts=TIMERS.c.attempts + 1, error=error)
        )

    def next_due_at(self) -> datetime | None:
        """When the earliest pending timer is due; None when there is none."""
        due_at: datetime | None = self._session.scalars(
            select(func.min(TIMERS.c.due_at)).where(_PENDING)
        ).one()
        return due_at

    def _same(self, timer: Timer) -> ColumnElement[bool]:
        """The timer as it was read: by its generation if locked here, else by when it was due."""
        generation = self._generations.get(timer.id)
        read = TIMERS.c.due_at == timer.due_at if generation is None else TIMERS.c.generation == generation
        return and_(TIMERS.c.id == timer.id, _PENDING, read)


def _timer(row: AnyRow) -> Timer:
    return Timer(row.id, row.kind, row.key, row.due_at, row.payload, row.attempts)
