"""工单 cases in lists and on their page."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import case, func, select
from sqlalchemy.sql.elements import ColumnElement
from sqlmodel import Session

from desk.errors import NotFoundError
from desk.values import Author, Case, CaseReason, CaseState, Delivery, Priority, Speaker
from storage.case_store import SqlCaseStore, case_number
from storage.dead_letter_store import SqlDeadLetterStore
from storage.message_values import attachments_from_json
from storage.order_store import SqlOrderStore
from storage.reports import customer_reports
from storage.reports.paging import fetch
from storage.reports.values import (
    Badge,
    CaseLine,
    CasePage,
    CaseTab,
    ContactCard,
    HistoryLine,
    IdentityCard,
    LastLine,
    Page,
    TalkLine,
)
from storage.statements import AnyRow
from storage.tables.care import CASE_EVENTS, CASES
from storage.tables.people import CONTACTS, CONVERSATIONS, IDENTITIES, MESSAGES
from storage.tables.staff import STAFF

_SOME = 20
"""Orders, feedback and earlier cases on a page: what a person reads before answering."""

_WAITING_FIRST = case((CASES.c.state == CaseState.WAITING.value, 0), else_=1)
_URGENT_FIRST = case(
    (CASES.c.priority == Priority.URGENT.value, 0), (CASES.c.priority == Priority.HIGH.value, 1), else_=2
)
_LINE = (
    select(
        *CASES.c,
        CONTACTS.c.name.label("customer_name"),
        IDENTITIES.c.channel,
        STAFF.c.name.label("staff_name"),
    )
    .join(CONVERSATIONS, CONVERSATIONS.c.id == CASES.c.conversation_id)
    .join(IDENTITIES, IDENTITIES.c.id == CONVERSATIONS.c.identity_id)
    .join(CONTACTS, CONTACTS.c.id == IDENTITIES.c.contact_id)
    .outerjoin(STAFF, STAFF.c.id == CASES.c.staff_id)
)


def cases(session: Session, tab: CaseTab, staff_id: int | None, limit: int, offset: int) -> Page[CaseLine]:
    """Returns the cases of one tab."""
    if tab is CaseTab.CLOSED:
        query = _LINE.where(CASES.c.state == CaseState.CLOSED.value).order_by(
            CASES.c.closed_at.desc(), CASES.c.id.desc()
        )
    else:
        query = _LINE.where(CASES.c.state != CaseState.CLOSED.value).order_by(
            _WAITING_FIRST, _URGENT_FIRST, CASES.c.opened_at, CASES.c.id
        )
    if tab is CaseTab.MINE:
        query = query.where(CASES.c.staff_id == staff_id)
    rows, more = fetch(session, query, limit, offset)
    last = _last_lines(session, {row.conversation_id for row in rows})
    unread = _unread(session, [row.id for row in rows])
    return Page(
        tuple(
            CaseLine(
                id=row.id,
                number=case_number(row.id),
                conversation_id=row.conversation_id,
                state=CaseState(row.state),
                reason=CaseReason(row.reason),
                evidence=row.evidence,
                priority=Priority(row.priority),
                customer_name=row.customer_name,
                channel=row.channel,
                staff_id=row.staff_id,
                staff_name=row.staff_name,
                waiting_since=row.opened_at,
                taken_at=row.taken_at,
                closed_at=row.closed_at,
                helped=row.helped,
                last_line=last.get(row.conversation_id),
                unread=unread.get(row.id, 0),
            )
            for row in rows
        ),
        more,
    )


def case_page(session: Session, number: str, lines: int) -> CasePage:
    """Returns everything on the page of one case."""
    found = SqlCaseStore(session).find_by_number(number)
    if found is None:
        raise NotFoundError("no case of that number")
    talk = session.execute(
        select(CONVERSATIONS.c.speaker, CONVERSATIONS.c.identity_id, IDENTITIES.c.contact_id)
        .join(IDENTITIES, IDENTITIES.c.id == CONVERSATIONS.c.identity_id)
        .where(CONVERSATIONS.c.id == found.conversation_id)
    ).one()
    contact = session.execute(select(CONTACTS).where(CONTACTS.c.id == talk.contact_id)).one()
    identities = {
        row.id: _identity(row)
        for row in session.execute(
            select(IDENTITIES).where(IDENTITIES.c.contact_id == talk.contact_id).order_by(IDENTITIES.c.id)
        )
    }
    return CasePage(
        case=found,
        contact=ContactCard(
            contact.id, contact.public_id, contact.name, contact.phone, contact.buyer_id, contact.created_at
        ),
        identity=identities.pop(talk.identity_id),
        other_identities=tuple(identities.values()),
        speaker=Speaker(talk.speaker),
        lines=_talk(session, found.conversation_id, lines),
        orders=tuple(SqlOrderStore(session).find_of_contact(talk.contact_id, _SOME)),
        feedback=customer_reports.feedback_of_contact(session, talk.contact_id, _SOME),
        earlier=_earlier(session, talk.contact_id, found.id),
        history=_history(session, found.id),
    )


def badge(session: Session, staff_id: int) -> Badge:
    """Returns the numbers beside the menu."""
    waiting, mine = session.execute(
        select(
            _count(CASES.c.state == CaseState.WAITING.value),
            _count(CASES.c.state == CaseState.WITH_PERSON.value, CASES.c.staff_id == staff_id),
        )
    ).one()
    return Badge(waiting, mine, SqlDeadLetterStore(session).count())


def _count(*which: ColumnElement[bool]) -> ColumnElement[int]:
    return select(func.count()).select_from(CASES).where(*which).scalar_subquery()


def _last_lines(session: Session, conversation_ids: Iterable[int]) -> dict[int, LastLine]:
    newest = (
        select(func.max(MESSAGES.c.id))
        .where(MESSAGES.c.conversation_id.in_(conversation_ids), MESSAGES.c.author != Author.SYSTEM.value)
        .group_by(MESSAGES.c.conversation_id)
    )
    return {
        row.conversation_id: LastLine(
            Author(row.author), row.text, row.created_at, attachments_from_json(row.attachments)
        )
        for row in session.execute(
            select(
                MESSAGES.c.conversation_id,
                MESSAGES.c.author,
                MESSAGES.c.text,
                MESSAGES.c.created_at,
                MESSAGES.c.attachments,
            ).where(MESSAGES.c.id.in_(newest))
        )
    }


def _unread(session: Session, case_ids: Iterable[int]) -> dict[int, int]:
    staff_lines = MESSAGES.alias("staff_lines")
    last_staff_line = (
        select(func.max(staff_lines.c.id))
        .where(
            staff_lines.c.conversation_id == CASES.c.conversation_id,
            staff_lines.c.author == Author.STAFF.value,
        )
        .correlate(CASES)
        .scalar_subquery()
    )
    rows = session.execute(
        select(CASES.c.id, func.count())
        .join(MESSAGES, MESSAGES.c.conversation_id == CASES.c.conversation_id)
        .where(
            CASES.c.id.in_(case_ids),
            CASES.c.state != CaseState.CLOSED.value,
            MESSAGES.c.author == Author.CUSTOMER.value,
            MESSAGES.c.revision == 0,
            MESSAGES.c.created_at >= CASES.c.opened_at,
            MESSAGES.c.id > func.coalesce(last_staff_line, 0),
        )
        .group_by(CASES.c.id)
    )
    return {case_id: count for case_id, count in rows}  # noqa: C416 - dict() does not take rows.


def _talk(session: Session, conversation_id: int, limit: int) -> tuple[TalkLine, ...]:
    rows = session.execute(
        select(MESSAGES)
        .where(MESSAGES.c.conversation_id == conversation_id)
        .order_by(MESSAGES.c.id.desc())
        .limit(limit)
    ).all()
    return tuple(
        TalkLine(
            id=row.id,
            seq=row.seq,
            author=Author(row.author),
            staff_name=row.staff_name,
            text=row.text,
            created_at=row.created_at,
            delivery=Delivery(row.delivery),
            reason=row.reason,
            action=row.action,
            understanding=row.understanding,
            revision=row.revision,
            attachments=attachments_from_json(row.attachments),
            edits_message_id=row.edits_message_id,
        )
        for row in reversed(rows)
    )


def _earlier(session: Session, contact_id: int, but: int) -> tuple[Case, ...]:
    ids = session.scalars(
        select(CASES.c.id)
        .join(CONVERSATIONS, CONVERSATIONS.c.id == CASES.c.conversation_id)
        .join(IDENTITIES, IDENTITIES.c.id == CONVERSATIONS.c.identity_id)
        .where(IDENTITIES.c.contact_id == contact_id, CASES.c.id != but)
        .order_by(CASES.c.id.desc())
        .limit(_SOME)
    ).all()
    store = SqlCaseStore(session)
    return tuple(store.get(case_id) for case_id in ids)


def _history(session: Session, case_id: int) -> tuple[HistoryLine, ...]:
    rows = session.execute(
        select(CASE_EVENTS.c.kind, CASE_EVENTS.c.detail, STAFF.c.name, CASE_EVENTS.c.at)
        .outerjoin(STAFF, STAFF.c.id == CASE_EVENTS.c.staff_id)
        .where(CASE_EVENTS.c.case_id == case_id)
        .order_by(CASE_EVENTS.c.id)
    )
    return tuple(HistoryLine(row.kind, row.detail, row.name, row.at) for row in rows)


def _identity(row: AnyRow) -> IdentityCard:
    return IdentityCard(
        id=row.id,
        channel=row.channel,
        reachable=row.reachable,
        unreachable_reason=row.unreachable_reason,
        opted_out_at=row.opted_out_at,
        last_message_at=row.last_message_at,
    )
