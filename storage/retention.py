"""What is deleted because its time is over."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, Table, and_, delete, exists, or_, select, tuple_, update
from sqlalchemy.sql.elements import ColumnElement
from sqlmodel import Session

from desk.values import CaseState, Delivery
from storage.staff_store import SESSION_AGE, SESSION_IDLE
from storage.statements import change
from storage.tables.care import CASE_EVENTS, CASES, FAQ_MISSES, SURVEY_ANSWERS
from storage.tables.orders import EVENT_KEYS
from storage.tables.people import BUTTONS, CONVERSATIONS, MESSAGES
from storage.tables.rooms import ROOM_LINES, STAFF_LINK_CODES
from storage.tables.staff import DESK_EVENTS, LOGIN_FAILURES, STAFF_SESSIONS
from storage.tables.work import INBOX, LANES, OUTBOX, TIMERS, InboxState, TimerState

DESK_EVENTS_FOR = timedelta(days=7)
"""A screen that was closed for longer loads its page afresh."""

LOGIN_FAILURES_FOR = timedelta(days=1)
"""Longer than any window in which failed logins are counted."""

_UNSENT = (Delivery.QUEUED.value, Delivery.SENDING.value, Delivery.DEAD.value)


def apply_retention(
    session: Session,
    now: datetime,
    raw_for: timedelta,
    keys_for: timedelta,
    conversations_for: timedelta,
    limit: int,
) -> dict[str, int]:
    """Deletes what is past its time and returns how many rows, by table.

    Work that is not done (ready, pending, queued, dead) is never touched, nor is the talk of a
    conversation with an open case.

    Args:
        raw_for: How long the raw bytes of done inbox items are kept.
        keys_for: How long keys are kept by which the same input is recognised, and ended timers.
        conversations_for: How long a conversation must have been silent before its lines go.
        limit: At most so many rows of each kind; a count of ``limit`` says that there may be more.
    """
    session.flush()
    sweep = _Sweep(session, limit)
    done = INBOX.c.state == InboxState.DONE.value
    counts = {
        "inbox_raw": sweep.empty(
            INBOX, and_(done, INBOX.c.raw.is_not(None), INBOX.c.received_at < now - raw_for), raw=None
        ),
        "inbox": sweep.delete(INBOX, and_(done, INBOX.c.received_at < now - keys_for)),
        "event_keys": sweep.delete(EVENT_KEYS, EVENT_KEYS.c.received_at < now - keys_for),
        "messages": _delete_talk(session, sweep, now - conversations_for),
        "room_lines": sweep.delete(
            ROOM_LINES,
            and_(
                ROOM_LINES.c.created_at < now - conversations_for,
                ~_has_open_case(ROOM_LINES.c.conversation_id),
            ),
        ),
        "cases": _empty_cases(session, sweep, now - conversations_for),
        # Lines to customers go with their messages; what is for staff has no message.
        "outbox": sweep.delete(
            OUTBOX,
            and_(
                OUTBOX.c.message_id.is_(None),
                OUTBOX.c.state.not_in(_UNSENT),
                OUTBOX.c.created_at < now - keys_for,
            ),
        ),
        "timers": sweep.delete(
            TIMERS,
            and_(
                TIMERS.c.state.in_((TimerState.DONE.value, TimerState.CANCELLED.value)),
                TIMERS.c.due_at < now - keys_for,
            ),
        ),
        "lanes": sweep.delete(
            LANES,
            and_(
                LANES.c.pending == 0,
                LANES.c.owner.is_(None),
                ~exists().where(INBOX.c.lane == LANES.c.name),
            ),
        ),
        "staff_sessions": sweep.delete(
            STAFF_SESSIONS,
            or_(
                STAFF_SESSIONS.c.seen_at < now - SESSION_IDLE, STAFF_SESSIONS.c.created_at < now - SESSION_AGE
            ),
        ),
        "staff_link_codes": sweep.delete(
            STAFF_LINK_CODES,
            STAFF_LINK_CODES.c.expires_at < now,
        ),
        "login_failures": sweep.delete(LOGIN_FAILURES, LOGIN_FAILURES.c.failed_at < now - LOGIN_FAILURES_FOR),
        "desk_events": sweep.delete(DESK_EVENTS, DESK_EVENTS.c.at < now - DESK_EVENTS_FOR),
    }
    session.expire_all()
    return counts


class _Sweep:
    """Deletes or empties at most ``limit`` rows with one statement."""

    def __init__(self, session: Session, limit: int) -> None:
        self._session = session
        self.limit = limit

    def delete(self, table: Table, which: ColumnElement[bool]) -> int:
        return change(self._session, delete(table).where(*self._few(table, which)))

    def empty(self, table: Table, which: ColumnElement[bool], **values: Any) -> int:
        return change(self._session, update(table).where(*self._few(table, which)).values(**values))

    def _few(self, table: Table, which: ColumnElement[bool]) -> tuple[ColumnElement[bool], ...]:
        # Neither database has LIMIT on a DELETE. The condition is said twice: a row that changed
        # between the two readings must still meet it.
        keys: list[Column[Any]] = list(table.primary_key.columns)
        chosen = select(*keys).where(which).limit(self.limit)
        key: ColumnElement[Any] = keys[0] if len(keys) == 1 else tuple_(*keys)
        return key.in_(chosen), which


def _delete_talk(session: Session, sweep: _Sweep, before: datetime) -> int:
    """Deletes lines of conversations in which the customer was silent since ``before``."""
    silent = or_(CONVERSATIONS.c.last_message_at.is_(None), CONVERSATIONS.c.last_message_at < before)
    ids = session.scalars(
        select(MESSAGES.c.id)
        .join(CONVERSATIONS, CONVERSATIONS.c.id == MESSAGES.c.conversation_id)
        .where(
            MESSAGES.c.created_at < before,
            silent,
            ~_has_open_case(CONVERSATIONS.c.id),
            MESSAGES.c.delivery.not_in(_UNSENT),
        )
        .order_by(MESSAGES.c.created_at)
        .limit(sweep.limit)
    ).all()
    session.execute(delete(FAQ_MISSES).where(FAQ_MISSES.c.message_id.in_(ids)))
    session.execute(
        update(SURVEY_ANSWERS).where(SURVEY_ANSWERS.c.message_id.in_(ids)).values(message_id=None)
    )
    session.execute(delete(BUTTONS).where(BUTTONS.c.message_id.in_(ids)))
    session.execute(delete(OUTBOX).where(OUTBOX.c.message_id.in_(ids)))
    return change(session, delete(MESSAGES).where(MESSAGES.c.id.in_(ids)))


def _has_open_case(conversation_id: ColumnElement[int]) -> ColumnElement[bool]:
    return exists().where(CASES.c.conversation_id == conversation_id, CASES.c.state != CaseState.CLOSED.value)


def _empty_cases(session: Session, sweep: _Sweep, before: datetime) -> int:
    """Takes the customer's words out of cases that were closed before then; the rest is history."""
    closed = CASES.c.closed_at < before
    details = select(CASES.c.id).where(closed)
    sweep.empty(CASE_EVENTS, and_(CASE_EVENTS.c.detail != "", CASE_EVENTS.c.case_id.in_(details)), detail="")
    return sweep.empty(CASES, and_(closed, CASES.c.evidence != ""), evidence="")
