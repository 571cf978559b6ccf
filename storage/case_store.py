"""工单 cases and their history."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from desk.errors import AlreadyTakenError, ConflictError, NotFoundError
from desk.values import Case, CaseReason, CaseState, Priority, StaffMember
from storage.conflicts import insert_unless_there, stored_id
from storage.tables.care import CaseEventRow, CaseRow
from storage.tables.staff import StaffRow

_FIRST_NUMBER = 1000
_NUMBER = re.compile(r"HY-([0-9]{4,15})")
_RISING = (Priority.NORMAL, Priority.HIGH, Priority.URGENT)


def case_number(case_id: int) -> str:
    """Returns what people call the case, for instance ``HY-1042``."""
    return f"HY-{_FIRST_NUMBER + case_id}"


class SqlCaseStore:
    """Cases as rows.

    Opening, joining, taking, handing over and closing write themselves into the case's history
    (``opened``, ``joined``, ``taken``, ``handed_over``, ``closed``, ``helped``, ``note``); ``record`` is for
    everything else.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def open(
        self, conversation_id: int, reason: CaseReason, evidence: str, priority: Priority, now: datetime
    ) -> tuple[Case, bool]:
        """Opens a case, or joins the trigger to the open one (priority only rises); True when new.

        The reason and evidence of a trigger that joins are kept in the history.
        """
        row = CaseRow(
            conversation_id=conversation_id,
            state=CaseState.WAITING,
            reason=reason,
            evidence=evidence,
            priority=priority,
            opened_at=now,
        )
        created = insert_unless_there(self._session, row)
        there = self._lock_open(conversation_id)
        if there is None:
            # The open case was closed between the two statements, so this trigger opens its own.
            created = insert_unless_there(self._session, row)
            there = self._lock_open(conversation_id)
        if there is None:
            raise ConflictError("the case was closed while it was being opened")
        if not created:
            there.priority = max(Priority(there.priority), priority, key=_RISING.index)
        self.record(
            stored_id(there.id), "opened" if created else "joined", f"{reason}: {evidence}", None, now
        )
        return self._to_case(there), created

    def find_open(self, conversation_id: int) -> Case | None:
        """Returns the conversation's open case; whoever decides on it has locked the conversation."""
        row = self._session.exec(_open_of(conversation_id).execution_options(populate_existing=True)).first()
        return None if row is None else self._to_case(row)

    def find_newest(self, conversation_id: int) -> Case | None:
        """Returns the conversation's newest case, open or closed."""
        row = self._session.exec(
            select(CaseRow)
            .where(col(CaseRow.conversation_id) == conversation_id)
            .order_by(col(CaseRow.id).desc())
            .limit(1)
        ).first()
        return None if row is None else self._to_case(row)

    def get(self, case_id: int) -> Case:
        """Returns the case.

        Raises:
            NotFoundError: There is none.
        """
        row = self._session.get(CaseRow, case_id)
        if row is None:
            raise NotFoundError(f"no case {case_id}")
        return self._to_case(row)

    def find_by_number(self, number: str) -> Case | None:
        """Returns the case of that number; None also for what is no number."""
        match = _NUMBER.fullmatch(number)
        row = None if match is None else self._session.get(CaseRow, int(match[1]) - _FIRST_NUMBER)
        return None if row is None else self._to_case(row)

    def take(self, case_id: int, staff: StaffMember, now: datetime) -> Case:
        """Gives a waiting case to that person; their own again is fine.

        Raises:
            AlreadyTakenError: Somebody else has it.
            ConflictError: It is closed.
            NotFoundError: There is no such case.
        """
        row = self._lock(case_id)
        if row.state == CaseState.CLOSED:
            raise ConflictError(f"{case_number(case_id)} is closed")
        if row.state == CaseState.WITH_PERSON:
            if row.staff_id != staff.id:
                raise AlreadyTakenError(f"{case_number(case_id)} is with somebody else")
            return self._to_case(row)
        row.state = CaseState.WITH_PERSON
        row.staff_id = staff.id
        row.taken_at = now
        self.record(case_id, "taken", "", staff.id, now)
        return self._to_case(row)

    def hand_over(self, case_id: int, to: StaffMember, now: datetime) -> Case:
        """Gives an open case to that person, whoever had it; to whom it is already with nothing changes.

        The history's ``handed_over`` names the person who has it now, and in ``detail`` who had it.

        Raises:
            ConflictError: It is closed.
            NotFoundError: There is no such case.
        """
        row = self._lock(case_id)
        if row.state == CaseState.CLOSED:
            raise ConflictError(f"{case_number(case_id)} is closed")
        if row.state == CaseState.WITH_PERSON and row.staff_id == to.id:
            return self._to_case(row)
        before = self._to_case(row).staff_name
        row.state = CaseState.WITH_PERSON
        row.staff_id = to.id
        row.taken_at = row.taken_at or now
        self.record(case_id, "handed_over", before or "", to.id, now)
        return self._to_case(row)

    def count_notes(self, case_id: int) -> int:
        """Counts the notes that staff left for each other."""
        return self._session.exec(
            select(func.count())
            .select_from(CaseEventRow)
            .where(col(CaseEventRow.case_id) == case_id, col(CaseEventRow.kind) == "note")
        ).one()

    def find_all_open(self, limit: int) -> Sequence[Case]:
        """Returns open cases, the longest open first."""
        rows = self._session.execute(
            select(CaseRow, StaffRow.name)
            .outerjoin(StaffRow, col(StaffRow.id) == col(CaseRow.staff_id))
            .where(col(CaseRow.state) != CaseState.CLOSED)
            .order_by(col(CaseRow.opened_at), col(CaseRow.id))
            .limit(limit)
            .execution_options(populate_existing=True)
        )
        return [to_case(row, staff_name) for row, staff_name in rows]

    def count_waiting(self) -> int:
        """Counts open cases that nobody has taken."""
        return self._session.exec(
            select(func.count()).select_from(CaseRow).where(col(CaseRow.state) == CaseState.WAITING)
        ).one()

    def close(self, case_id: int, staff: StaffMember | None, reason: str, now: datetime) -> Case:
        """Closes the case; a closed one stays as it is.

        Raises:
            NotFoundError: There is no such case.
        """
        row = self._lock(case_id)
        if row.state != CaseState.CLOSED:
            row.state = CaseState.CLOSED
            row.closed_at = now
            row.close_reason = reason
            self.record(case_id, "closed", reason, None if staff is None else staff.id, now)
        return self._to_case(row)

    def set_helped(self, case_id: int, helped: bool, now: datetime) -> None:
        """Records whether the customer says that they were helped."""
        self._lock(case_id).helped = helped
        self.record(case_id, "helped", "yes" if helped else "no", None, now)

    def add_note(self, case_id: int, staff: StaffMember, text: str, now: datetime) -> None:
        """Appends a note that only staff read."""
        self._lock(case_id)
        self.record(case_id, "note", text, staff.id, now)

    def record(self, case_id: int, kind: str, detail: str, staff_id: int | None, now: datetime) -> None:
        """Appends an event to the case's history."""
        self._session.add(CaseEventRow(case_id=case_id, kind=kind, detail=detail, staff_id=staff_id, at=now))
        self._session.flush()

    def _lock(self, case_id: int) -> CaseRow:
        row = self._session.get(CaseRow, case_id, with_for_update=True, populate_existing=True)
        if row is None:
            raise NotFoundError(f"no case {case_id}")
        return row

    def _lock_open(self, conversation_id: int) -> CaseRow | None:
        return self._session.exec(
            _open_of(conversation_id).with_for_update().execution_options(populate_existing=True)
        ).first()

    def _to_case(self, row: CaseRow) -> Case:
        staff = None if row.staff_id is None else self._session.get(StaffRow, row.staff_id)
        return to_case(row, None if staff is None else staff.name)


def _open_of(conversation_id: int) -> SelectOfScalar[CaseRow]:
    return select(CaseRow).where(
        col(CaseRow.conversation_id) == conversation_id, col(CaseRow.state) != CaseState.CLOSED
    )


def to_case(row: CaseRow, staff_name: str | None) -> Case:
    """Returns the row as a value."""
    case_id = stored_id(row.id)
    return Case(
        id=case_id,
        number=case_number(case_id),
        conversation_id=row.conversation_id,
        state=CaseState(row.state),
        reason=CaseReason(row.reason),
        evidence=row.evidence,
        priority=Priority(row.priority),
        staff_id=row.staff_id,
        staff_name=staff_name,
        opened_at=row.opened_at,
        taken_at=row.taken_at,
        closed_at=row.closed_at,
        helped=row.helped,
    )
