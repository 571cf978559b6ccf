"""Everything held about one person, for that person (PIPL 45, GDPR 15 and 20)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, and_, or_, select
from sqlmodel import Session

from desk.errors import NotFoundError
from storage.case_store import case_number
from storage.order_store import ids_of_contact
from storage.tables.care import CASE_EVENTS, CASES, FAQ_MISSES, FEEDBACK, SURVEY_ANSWERS, SURVEYS
from storage.tables.orders import ORDER_EVENTS, ORDER_ITEMS, ORDERS
from storage.tables.people import CHAT_SESSIONS, CONTACTS, CONVERSATIONS, IDENTITIES, MESSAGES
from storage.tables.rooms import ROOM_LINES, ROOM_THREADS
from storage.tables.staff import STAFF

_Plain = dict[str, Any]


def export_contact(session: Session, contact_id: int) -> _Plain:
    """Returns what is held about the contact: identities, talk, orders, surveys, feedback, cases, notes.

    Times are ISO 8601 strings, money stays in minor units. Of an order that belongs to another buyer
    and is only bound to the contact, the buyer is left out.

    Raises:
        NotFoundError: There is no such contact.
    """
    contact = session.execute(select(CONTACTS).where(CONTACTS.c.id == contact_id)).one_or_none()
    if contact is None:
        raise NotFoundError(f"no contact {contact_id}")
    talks = select(CONVERSATIONS.c.id).join(IDENTITIES).where(IDENTITIES.c.contact_id == contact_id)
    identities = select(IDENTITIES.c.id).where(IDENTITIES.c.contact_id == contact_id)
    own_orders = select(ORDERS.c.id).where(
        or_(ORDERS.c.contact_id == contact_id, ORDERS.c.buyer_id == contact.buyer_id)
    )
    # Nobody was asked yet, but it is about an order of theirs.
    unasked = and_(
        SURVEYS.c.identity_id.is_(None),
        SURVEYS.c.subject_type == "order",
        SURVEYS.c.subject_id.in_(own_orders),
    )
    return {
        "contact": _plain(contact._mapping, without=("id",)),
        "identities": _identities(session, contact_id),
        "orders": _orders(session, contact_id, contact.buyer_id),
        "surveys": _surveys(
            session,
            or_(SURVEYS.c.identity_id.in_(identities), SURVEYS.c.conversation_id.in_(talks), unasked),
        ),
        "feedback": _feedback(session, FEEDBACK.c.conversation_id.in_(talks)),
        "cases": _cases(session, CASES.c.conversation_id.in_(talks)),
        "unanswered_questions": _rows(
            session,
            select(FAQ_MISSES.c.text, FAQ_MISSES.c.created_at)
            .where(FAQ_MISSES.c.conversation_id.in_(talks))
            .order_by(FAQ_MISSES.c.id),
        ),
    }


def _identities(session: Session, contact_id: int) -> list[_Plain]:
    found = session.execute(
        select(IDENTITIES).where(IDENTITIES.c.contact_id == contact_id).order_by(IDENTITIES.c.id)
    ).all()
    edited = MESSAGES.alias("edited")
    return [
        {
            **_plain(identity._mapping, without=("id", "contact_id")),
            "web_chat_sessions": _rows(
                session,
                select(CHAT_SESSIONS.c.session, CHAT_SESSIONS.c.created_at).where(
                    CHAT_SESSIONS.c.identity_id == identity.id
                ),
            ),
            "messages": _rows(
                session,
                select(
                    MESSAGES.c.seq,
                    MESSAGES.c.author,
                    MESSAGES.c.staff_name,
                    MESSAGES.c.text,
                    MESSAGES.c.attachments,
                    MESSAGES.c.revision,
                    edited.c.seq.label("edits_seq"),
                    MESSAGES.c.reason,
                    MESSAGES.c.understanding,
                    MESSAGES.c.action,
                    MESSAGES.c.delivery,
                    MESSAGES.c.created_at,
                    MESSAGES.c.sent_at,
                )
                .join(CONVERSATIONS, CONVERSATIONS.c.id == MESSAGES.c.conversation_id)
                .outerjoin(edited, edited.c.id == MESSAGES.c.edits_message_id)
                .where(CONVERSATIONS.c.identity_id == identity.id)
                .order_by(MESSAGES.c.id),
            ),
            "staff_room_topics": _of_rooms(session, ROOM_THREADS, identity.id, "thread_id"),
            "staff_room_lines": _of_rooms(session, ROOM_LINES, identity.id, "provider_id", "kind"),
        }
        for identity in found
    ]


def _of_rooms(session: Session, table: Table, identity_id: int, *columns: str) -> list[_Plain]:
    return _rows(
        session,
        select(table.c.room, *(table.c[name] for name in columns), table.c.created_at)
        .join(CONVERSATIONS, CONVERSATIONS.c.id == table.c.conversation_id)
        .where(CONVERSATIONS.c.identity_id == identity_id)
        .order_by(table.c.id),
    )


def _orders(session: Session, contact_id: int, buyer_id: str | None) -> list[_Plain]:
    found = session.execute(
        select(ORDERS).where(ORDERS.c.id.in_(ids_of_contact(contact_id))).order_by(ORDERS.c.id)
    ).all()
    exported = []
    for order in found:
        own = order.contact_id == contact_id or (buyer_id is not None and order.buyer_id == buyer_id)
        buyer = () if own else ("buyer_id", "buyer_name", "buyer_phone", "buyer_birthday")
        exported.append(
            {
                **_plain(order._mapping, without=("id", "contact_id", "status_rank", *buyer)),
                "items": _children(session, ORDER_ITEMS, ORDER_ITEMS.c.order_id == order.id, "order_id"),
                "events": _children(session, ORDER_EVENTS, ORDER_EVENTS.c.order_id == order.id, "order_id"),
            }
        )
    return exported


def _surveys(session: Session, which: ColumnElement[bool]) -> list[_Plain]:
    found = session.execute(
        select(SURVEYS, ORDERS.c.external_id)
        .outerjoin(ORDERS, ORDERS.c.id == SURVEYS.c.subject_id)
        .where(which)
        .order_by(SURVEYS.c.id)
    ).all()
    internal = ("id", "subject_id", "identity_id", "conversation_id", "external_id")
    return [
        {
            **_plain(survey._mapping, without=internal),
            "order": survey.external_id,
            "answers": _children(
                session, SURVEY_ANSWERS, SURVEY_ANSWERS.c.survey_id == survey.id, "survey_id", "message_id"
            ),
        }
        for survey in found
    ]


def _feedback(session: Session, which: ColumnElement[bool]) -> list[_Plain]:
    found = session.execute(
        select(FEEDBACK, ORDERS.c.external_id.label("order"))
        .outerjoin(ORDERS, ORDERS.c.id == FEEDBACK.c.order_id)
        .where(which)
        .order_by(FEEDBACK.c.id)
    ).all()
    internal = ("id", "survey_id", "order_id", "conversation_id")
    return [_plain(row._mapping, without=internal) for row in found]


def _cases(session: Session, which: ColumnElement[bool]) -> list[_Plain]:
    found = session.execute(select(CASES).where(which).order_by(CASES.c.id)).all()
    return [
        {
            "number": case_number(case.id),
            **_plain(case._mapping, without=("id", "conversation_id", "staff_id")),
            "history": _rows(
                session,
                select(
                    CASE_EVENTS.c.kind,
                    CASE_EVENTS.c.detail,
                    STAFF.c.name.label("staff_name"),
                    CASE_EVENTS.c.at,
                )
                .outerjoin(STAFF, STAFF.c.id == CASE_EVENTS.c.staff_id)
                .where(CASE_EVENTS.c.case_id == case.id)
                .order_by(CASE_EVENTS.c.id),
            ),
        }
        for case in found
    ]


def _children(session: Session, table: Table, which: ColumnElement[bool], *without: str) -> list[_Plain]:
    columns = [column for column in table.c if column.name not in ("id", *without)]
    return _rows(session, select(*columns).where(which).order_by(table.c.id))


def _rows(session: Session, query: Select[*tuple[Any, ...]]) -> list[_Plain]:
    return [_plain(row._mapping) for row in session.execute(query)]


def _plain(row: Mapping[Any, Any], without: Sequence[str] = ()) -> _Plain:
    return {
        str(name): value.isoformat() if isinstance(value, datetime) else value
        for name, value in row.items()
        if str(name) not in without
    }
