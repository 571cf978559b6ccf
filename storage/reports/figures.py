"""Figures for monitoring: how much waits, and for how long."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select
from sqlmodel import Session, col

from desk.values import CaseState, Delivery
from storage.reports.values import Figures
from storage.tables.care import CaseRow
from storage.tables.work import INBOX, OUTBOX, TIMERS, InboxState, TimerState


def figures(session: Session, now: datetime) -> Figures:
    """Counts what waits. Each count reads a partial index, whatever the history's size."""
    ready = INBOX.c.state == InboxState.READY.value
    inbox_waiting, oldest = session.execute(
        select(func.count(), func.min(INBOX.c.received_at)).where(ready)
    ).one()
    timers_waiting, earliest = session.execute(
        select(func.count(), func.min(TIMERS.c.due_at)).where(TIMERS.c.state == TimerState.PENDING.value)
    ).one()
    outbox_waiting = session.scalar(
        select(func.count()).where(OUTBOX.c.state.in_([Delivery.QUEUED.value, Delivery.SENDING.value]))
    )
    dead = sum(
        session.scalar(select(func.count()).where(table.c.state == "dead")) or 0
        for table in (INBOX, OUTBOX, TIMERS)
    )
    open_cases = dict.fromkeys((CaseState.WAITING.value, CaseState.WITH_PERSON.value), 0)
    for state, count in session.execute(
        select(col(CaseRow.state), func.count())
        .where(col(CaseRow.state).in_(list(open_cases)))
        .group_by(col(CaseRow.state))
    ):
        open_cases[state] = count
    return Figures(
        inbox_waiting=inbox_waiting,
        oldest_inbox_seconds=_seconds_since(oldest, now),
        outbox_waiting=outbox_waiting or 0,
        timers_waiting=timers_waiting,
        late_timer_seconds=_seconds_since(earliest, now),
        dead_letters=dead,
        cases_waiting=open_cases[CaseState.WAITING.value],
        cases_with_person=open_cases[CaseState.WITH_PERSON.value],
    )


def _seconds_since(moment: datetime | None, now: datetime) -> float:
    return max((now - moment).total_seconds(), 0.0) if moment is not None else 0.0
