"""Dead letters on SQL: what failed for good, from inbox, outbox and timers alike."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import case, func, literal, select, union_all, update
from sqlalchemy.orm import Session

from desk.errors import NotFoundError
from desk.values import DeadLetter, Delivery
from storage.inbox_store import add_to_lane
from storage.statements import LARGEST_INTEGER, change, ring_after_commit, word
from storage.tables.people import MESSAGES
from storage.tables.work import INBOX, OUTBOX, TIMERS, InboxState, TimerState

_DEAD_INBOX = INBOX.c.state == word(InboxState.DEAD)
_DEAD_OUTBOX = OUTBOX.c.state == word(Delivery.DEAD)
_DEAD_TIMER = TIMERS.c.state == word(TimerState.DEAD)


class SqlDeadLetterStore:
    """A view on the rows in state ``dead``; nothing is copied."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def all(self, limit: int, offset: int = 0) -> Sequence[DeadLetter]:
        """Returns dead letters, the newest first."""
        keys = union_all(
            select(literal("inbox").label("origin"), INBOX.c.id, INBOX.c.received_at.label("at")).where(
                _DEAD_INBOX
            ),
            select(literal("outbox"), OUTBOX.c.id, OUTBOX.c.created_at).where(_DEAD_OUTBOX),
            select(literal("timer"), TIMERS.c.id, TIMERS.c.due_at).where(_DEAD_TIMER),
        ).subquery()
        rows = self._session.execute(
            select(keys.c.origin, keys.c.id)
            .order_by(keys.c.at.desc(), keys.c.origin, keys.c.id.desc())
            .limit(limit)
            .offset(offset)
        ).all()
        letters = {
            (letter.origin, letter.id): letter
            for letter in (
                *self._from_inbox([row.id for row in rows if row.origin == "inbox"]),
                *self._from_outbox([row.id for row in rows if row.origin == "outbox"]),
                *self._from_timers([row.id for row in rows if row.origin == "timer"]),
            )
        }
        return [letters[row.origin, row.id] for row in rows]

    def count(self) -> int:
        """Returns how many there are."""
        counts = (
            select(func.count()).select_from(table).where(dead).scalar_subquery()
            for table, dead in ((INBOX, _DEAD_INBOX), (OUTBOX, _DEAD_OUTBOX), (TIMERS, _DEAD_TIMER))
        )
        return sum(self._session.execute(select(*counts)).one())

    def replay(self, origin: str, id: int, now: datetime) -> None:
        """Makes it ready again with no tries counted.

        Raises:
            NotFoundError: It is not dead, or its raw bytes are past their time.
        """
        replay = {
            "inbox": self._replay_inbox,
            "outbox": self._replay_outbox,
            "timer": self._replay_timer,
        }.get(origin)
        if replay is None or not 0 < id <= LARGEST_INTEGER or not replay(id, now):
            raise NotFoundError("no such dead letter")

    def _replay_inbox(self, item_id: int, now: datetime) -> bool:
        dead = (INBOX.c.id == item_id, _DEAD_INBOX, INBOX.c.raw.is_not(None))
        lane = self._session.scalars(select(INBOX.c.lane).where(*dead)).one_or_none()
        if lane is None:
            return False
        # The lane first, as everybody does; whether the item is still dead is asked again behind it.
        add_to_lane(self._session, lane, now)
        statement = update(INBOX).where(*dead).values(state=InboxState.READY.value, attempts=0, error="")
        if not change(self._session, statement):
            raise NotFoundError("somebody else replayed it just now")
        ring_after_commit(self._session, "inbox")
        return True

    def _replay_outbox(self, outgoing_id: int, now: datetime) -> bool:
        row = self._session.execute(
            update(OUTBOX)
            .where(OUTBOX.c.id == outgoing_id, _DEAD_OUTBOX)
            .values(
                state=Delivery.QUEUED.value,
                attempts=0,
                error="",
                # What it once had to wait for is over; a time by which nobody waits is that of its birth.
                not_before=case((OUTBOX.c.created_at < now, OUTBOX.c.created_at), else_=now),
                demanded=False,
                ended_at=None,
            )
            .returning(OUTBOX.c.message_id)
        ).one_or_none()
        if row is None:
            return False
        self._session.execute(
            update(MESSAGES).where(MESSAGES.c.id == row.message_id).values(delivery=Delivery.QUEUED.value)
        )
        ring_after_commit(self._session, "outbox")
        return True

    def _replay_timer(self, timer_id: int, now: datetime) -> bool:
        hit = change(
            self._session,
            update(TIMERS)
            .where(TIMERS.c.id == timer_id, _DEAD_TIMER)
            .values(
                state=TimerState.PENDING.value,
                attempts=0,
                error="",
                due_at=now,
                generation=TIMERS.c.generation + 1,
            ),
        )
        ring_after_commit(self._session, "timers")
        return hit == 1

    def _from_inbox(self, ids: Sequence[int]) -> list[DeadLetter]:
        rows = self._session.execute(select(INBOX).where(INBOX.c.id.in_(ids))) if ids else ()
        return [
            DeadLetter(
                origin="inbox",
                id=row.id,
                kind=row.source,
                lane=row.lane,
                error=row.error,
                attempts=row.attempts,
                created_at=row.received_at,
                body="" if row.raw is None else row.raw.decode("utf-8", errors="replace"),
            )
            for row in rows
        ]

    def _from_outbox(self, ids: Sequence[int]) -> list[DeadLetter]:
        if not ids:
            return []
        rows = self._session.execute(
            select(
                OUTBOX.c.id,
                OUTBOX.c.kind,
                OUTBOX.c.lane,
                OUTBOX.c.error,
                OUTBOX.c.attempts,
                OUTBOX.c.created_at,
                MESSAGES.c.text,
                OUTBOX.c.payload,
            )
            .outerjoin(MESSAGES, MESSAGES.c.id == OUTBOX.c.message_id)
            .where(OUTBOX.c.id.in_(ids))
        )
        return [
            DeadLetter(
                origin="outbox",
                id=row.id,
                kind=row.kind,
                lane=row.lane,
                error=row.error,
                attempts=row.attempts,
                created_at=row.created_at,
                body=_to_json(row.payload) if row.text is None else row.text,
            )
            for row in rows
        ]

    def _from_timers(self, ids: Sequence[int]) -> list[DeadLetter]:
        rows = self._session.execute(select(TIMERS).where(TIMERS.c.id.in_(ids))) if ids else ()
        return [
            DeadLetter(
                origin="timer",
                id=row.id,
                kind=row.kind,
                lane=row.key,
                error=row.error,
                attempts=row.attempts,
                created_at=row.due_at,
                body=_to_json(row.payload),
            )
            for row in rows
        ]


def _to_json(payload: Mapping[str, Any]) -> str:
    return json.dumps(payload, ensure_ascii=False)
