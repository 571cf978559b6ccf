"""Reads what a server left behind, from its file, without writing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from crash_history import UNCERTAIN, CaseRecord, OrderRecord, Records
from crash_shop import now
from crash_telegram_records import read_telegram, session_of
from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlmodel import Session

from desk.case_opening import ALERT_TIMER
from desk.values import OrderStatus
from storage.reports import Reports
from storage.sqlite_engine import make_engine
from storage.tables.care import CASE_EVENTS, CASES, FEEDBACK, SURVEY_ANSWERS, SURVEYS
from storage.tables.orders import ORDER_EVENTS, ORDERS
from storage.tables.people import CHAT_SESSIONS, CONVERSATIONS, IDENTITIES, MESSAGES
from storage.tables.staff import DESK_EVENTS
from storage.tables.work import INBOX, LANES, OUTBOX, TIMERS

_SOON = timedelta(seconds=3)


@contextmanager
def reading(database: Path) -> Iterator[Session]:
    """Yields a session on the file, also while a server uses it."""
    engine = make_engine(database, "read_only")
    try:
        with Session(engine) as session:
            yield session
    finally:
        engine.dispose()


def unfinished(session: Session, by: datetime) -> dict[str, int]:
    """What still waits, or never will be done.

    Args:
        by: Timers due by then should have fired, and messages that might leave by then have left.
    """

    def count(table: Any, *conditions: Any) -> int:
        return session.scalars(select(func.count()).select_from(table).where(*conditions)).one()

    due = TIMERS.c.state == "pending", TIMERS.c.due_at <= by
    return {
        "inbox items wait": count(INBOX, INBOX.c.state == "ready"),
        "lanes count work that is not there": count(LANES, LANES.c.pending > 0),
        "outbox rows wait": count(OUTBOX, _is_due(by)),
        "timers are due": count(TIMERS, *due),
        "inbox items are dead": count(INBOX, INBOX.c.state == "dead"),
        "inbox items failed at least once": count(INBOX, INBOX.c.attempts > 0),
        "outbox rows are dead or unreachable": count(OUTBOX, OUTBOX.c.state.in_(["dead", "unreachable"])),
        UNCERTAIN: count(OUTBOX, OUTBOX.c.state == "uncertain"),
        "timers are dead": count(TIMERS, TIMERS.c.state == "dead"),
        "timers failed at least once": count(TIMERS, TIMERS.c.attempts > 0),
    }


def count_lines(session: Session) -> dict[str, int]:
    """How many lines each session's conversation has."""
    rows = session.execute(
        select(CHAT_SESSIONS.c.session, func.count(MESSAGES.c.seq))
        .join(CONVERSATIONS, CONVERSATIONS.c.identity_id == CHAT_SESSIONS.c.identity_id)
        .outerjoin(MESSAGES, MESSAGES.c.conversation_id == CONVERSATIONS.c.id)
        .group_by(CHAT_SESSIONS.c.session)
    )
    return {row[0]: row[1] for row in rows}


def nothing_waits(session: Session) -> bool:
    """Whether all is done, also what is due in the next seconds, other than alerts, which never end."""
    found = unfinished(session, now())
    soon = select(func.count()).where(
        TIMERS.c.state == "pending", TIMERS.c.due_at <= now() + _SOON, TIMERS.c.kind != ALERT_TIMER
    )
    waiting = [count for what, count in found.items() if "wait" in what or "are due" in what]
    leaves_soon = select(func.count()).where(_is_due(now() + _SOON))
    return not any(waiting) and not session.scalars(soon).one() and not session.scalars(leaves_soon).one()


def _is_due(by: datetime) -> ColumnElement[bool]:
    return or_(
        OUTBOX.c.state == "sending",
        and_(OUTBOX.c.state == "queued", OUTBOX.c.not_before <= by),
    )


def read_records(database: Path, by: datetime) -> Records:
    """Everything that the checker wants to know of a stopped server's database.

    Args:
        by: When nothing was left to do.
    """
    with reading(database) as session:
        raw: Any = session.connection().connection.dbapi_connection
        findings = [row[0] for row in raw.execute("PRAGMA integrity_check").fetchall() if row[0] != "ok"]
        findings += [f"foreign key of {row[0]}" for row in raw.execute("PRAGMA foreign_key_check").fetchall()]
        counts = Reports(session).survey_accounting()
        accounted = counts.sent + counts.skipped_total + counts.pending + counts.uncertain
        return Records(
            orders=_orders(session),
            cases=_cases(session),
            lines=count_lines(session),
            unfinished=unfinished(session, by),
            accounting={
                "delivered": counts.delivered,
                "accounted": accounted,
                "missing": counts.missing,
                "uncertain": counts.uncertain,
            },
            integrity=findings,
            telegram=read_telegram(session, by),
        )


def _orders(session: Session) -> dict[str, OrderRecord]:
    events: defaultdict[int, set[str]] = defaultdict(set)
    for row in session.execute(select(ORDER_EVENTS)):
        events[row.order_id].add(row.event_id)
    answers: defaultdict[int, list[tuple[str, str]]] = defaultdict(list)
    for row in session.execute(select(SURVEY_ANSWERS)):
        answers[row.survey_id].append((row.question, row.value))
    surveys: defaultdict[int, list[Any]] = defaultdict(list)
    for row in session.execute(select(SURVEYS)):
        surveys[row.subject_id].append(row)
    feedback: defaultdict[int, list[Any]] = defaultdict(list)
    for row in session.execute(select(FEEDBACK)):
        feedback[row.order_id].append(row)
    found = {}
    for row in session.execute(select(ORDERS)):
        its = surveys[row.id]
        found[row.external_id] = OrderRecord(
            status=OrderStatus(row.status),
            occurred_at=row.occurred_at,
            delivered=row.delivered_at is not None,
            event_ids=frozenset(events[row.id]),
            surveys=len(its),
            rating=next((each.rating for each in its), None),
            comment=next((each.comment for each in its), None),
            answers=tuple(answer for each in its for answer in answers[each.id]),
            feedback=len(feedback[row.id]),
            unscored=sum(
                each.comment is not None and each.sentiment_label is None for each in feedback[row.id]
            ),
        )
    return found


def _cases(session: Session) -> list[CaseRecord]:
    told: defaultdict[int, int] = defaultdict(int)
    for row in session.execute(select(DESK_EVENTS).where(DESK_EVENTS.c.kind == "case_alert")):
        told[row.case_id] += row.payload["rung"] == 0
    recorded: defaultdict[int, int] = defaultdict(int)
    for row in session.execute(select(CASE_EVENTS).where(CASE_EVENTS.c.kind == "alerted")):
        recorded[row.case_id] += row.detail == "0"
    rows = session.execute(
        select(CASES.c.id, CASES.c.state, IDENTITIES.c.channel, IDENTITIES.c.external_id)
        .join(CONVERSATIONS, CONVERSATIONS.c.id == CASES.c.conversation_id)
        .join(IDENTITIES, IDENTITIES.c.id == CONVERSATIONS.c.identity_id)
    )
    return [
        CaseRecord(
            session_of(row.channel, row.external_id),
            row.state != "closed",
            (told[row.id], recorded[row.id]),
        )
        for row in rows
    ]
