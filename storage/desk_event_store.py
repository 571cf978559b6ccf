"""What staff's screens show live, in an order that no reader can overtake."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session as OrmSession
from sqlmodel import Session, col, select

from desk.values import DeskEvent
from storage.conflicts import raise_counter
from storage.statements import ring_after_commit
from storage.tables.care import CounterRow
from storage.tables.staff import DeskEventRow

_COUNTER = "desk_events"


class SqlDeskEventStore:
    """Desk events in the database.

    An event gets its position when its transaction commits, under the lock of one counter, so that
    positions become visible in rising order: a screen that has read position 7 never misses a 6 that
    was committed later. Taking the lock earlier would let transactions that hold several
    conversations wait for each other in a circle.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(
        self,
        kind: str,
        case_id: int | None,
        conversation_id: int | None,
        payload: Mapping[str, Any],
        now: datetime,
    ) -> None:
        """Appends the event and asks for the bell ``desk`` after the commit."""
        session = self._session
        session.add(
            DeskEventRow(
                kind=kind, case_id=case_id, conversation_id=conversation_id, payload=dict(payload), at=now
            )
        )
        session.flush()
        ring_after_commit(session, "desk")
        if not event.contains(session, "before_commit", _give_positions):
            event.listen(session, "before_commit", _give_positions)

    def find_after(self, event_id: int, limit: int) -> Sequence[DeskEvent]:
        """Returns the committed events after that one, oldest first."""
        rows = self._session.exec(
            select(DeskEventRow)
            .where(col(DeskEventRow.position) > event_id)
            .order_by(col(DeskEventRow.position))
            .limit(limit)
        )
        return [
            DeskEvent(
                id=row.position or 0,
                kind=row.kind,
                case_id=row.case_id,
                conversation_id=row.conversation_id,
                payload=row.payload,
                at=row.at,
            )
            for row in rows
        ]

    def last_id(self) -> int:
        """Returns the id of the newest event, also when it was deleted long ago; 0 before the first."""
        value = self._session.exec(select(CounterRow.value).where(col(CounterRow.name) == _COUNTER)).first()
        return value or 0


def _give_positions(session: OrmSession) -> None:
    """Numbers this transaction's events; other transactions' unnumbered ones are not visible."""
    if session.in_nested_transaction():
        return  # A savepoint is released; the transaction goes on and may still lose the event.
    if not isinstance(session, Session):  # pragma: no cover - the store takes no other.
        raise TypeError("desk events need a SQLModel session")
    session.flush()
    rows = session.exec(
        select(DeskEventRow).where(col(DeskEventRow.position).is_(None)).order_by(col(DeskEventRow.id))
    ).all()
    if not rows:
        return
    last = raise_counter(session, _COUNTER, by=len(rows))
    for position, row in enumerate(rows, start=last - len(rows) + 1):
        row.position = position
    session.flush()
