"""客户 customers and their 反馈 feedback."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import exists, func, or_, select
from sqlmodel import Session

from desk.values import Feedback, Sentiment, SentimentLabel
from storage.reports.paging import fetch, page
from storage.reports.values import CustomerLine, Page
from storage.statements import AnyRow
from storage.tables.care import FEEDBACK
from storage.tables.orders import ORDERS
from storage.tables.people import CONTACTS, CONVERSATIONS, IDENTITIES

_FEEDBACK = (
    select(
        *FEEDBACK.c,
        ORDERS.c.external_id.label("order_external_id"),
        IDENTITIES.c.contact_id,
        IDENTITIES.c.channel,
        CONTACTS.c.name.label("contact_name"),
    )
    .join(CONVERSATIONS, CONVERSATIONS.c.id == FEEDBACK.c.conversation_id)
    .join(IDENTITIES, IDENTITIES.c.id == CONVERSATIONS.c.identity_id)
    .join(CONTACTS, CONTACTS.c.id == IDENTITIES.c.contact_id)
    .outerjoin(ORDERS, ORDERS.c.id == FEEDBACK.c.order_id)
    .order_by(FEEDBACK.c.created_at.desc(), FEEDBACK.c.id.desc())
)


def feedback(
    session: Session, label: SentimentLabel | None, rating: int | None, text: str, limit: int, offset: int
) -> Page[Feedback]:
    """Returns feedback, newest first."""
    query = _FEEDBACK
    if label is not None:
        query = query.where(FEEDBACK.c.sentiment_label == label.value)
    if rating is not None:
        query = query.where(FEEDBACK.c.rating == rating)
    if text.strip():
        # autoescape: a customer's % or _ is that character, not a wildcard.
        query = query.where(
            or_(
                *(
                    column.icontains(text.strip(), autoescape=True)
                    for column in (FEEDBACK.c.comment, CONTACTS.c.name, ORDERS.c.external_id)
                )
            )
        )
    return page(session, query, limit, offset, _to_feedback)


def feedback_of_contact(session: Session, contact_id: int, limit: int) -> tuple[Feedback, ...]:
    """Returns what one contact said, newest first."""
    return page(session, _FEEDBACK.where(IDENTITIES.c.contact_id == contact_id), limit, 0, _to_feedback).rows


def customers(session: Session, text: str, limit: int, offset: int) -> Page[CustomerLine]:
    """Returns customers whose name, phone, buyer id or order id contains the text.

    Who only bought is a customer too, without channels. A contact that nothing belongs to any more, as
    one whose identity joined another or a buyer who was erased, is not.
    """
    talked = (
        select(IDENTITIES.c.contact_id, func.max(IDENTITIES.c.last_message_at).label("wrote_at"))
        .group_by(IDENTITIES.c.contact_id)
        .subquery()
    )
    ordered = exists().where(ORDERS.c.contact_id == CONTACTS.c.id, ORDERS.c.erased_at.is_(None))
    query = (
        select(*CONTACTS.c, talked.c.wrote_at)
        .outerjoin(talked, talked.c.contact_id == CONTACTS.c.id)
        .where(or_(talked.c.contact_id.is_not(None), CONTACTS.c.buyer_id.is_not(None), ordered))
        .order_by(talked.c.wrote_at.desc().nulls_last(), CONTACTS.c.id.desc())
    )
    wanted = text.strip()
    if wanted:
        by_order = select(ORDERS.c.buyer_id).where(ORDERS.c.external_id.icontains(wanted, autoescape=True))
        query = query.where(
            or_(
                CONTACTS.c.name.icontains(wanted, autoescape=True),
                CONTACTS.c.phone.icontains(wanted, autoescape=True),
                CONTACTS.c.buyer_id.icontains(wanted, autoescape=True),
                CONTACTS.c.buyer_id.in_(by_order),
            )
        )
    rows, more = fetch(session, query, limit, offset)
    channels = _channels(session, [row.id for row in rows])
    return Page(
        tuple(
            CustomerLine(
                contact_id=row.id,
                public_id=row.public_id,
                name=row.name,
                phone=row.phone,
                buyer_id=row.buyer_id,
                channels=channels.get(row.id, ()),
                last_message_at=row.wrote_at,
            )
            for row in rows
        ),
        more,
    )


def _channels(session: Session, contact_ids: Iterable[int]) -> dict[int, tuple[str, ...]]:
    channels: dict[int, tuple[str, ...]] = {}
    for row in session.execute(
        select(IDENTITIES.c.contact_id, IDENTITIES.c.channel)
        .where(IDENTITIES.c.contact_id.in_(contact_ids))
        .distinct()
        .order_by(IDENTITIES.c.contact_id, IDENTITIES.c.channel)
    ):
        channels[row.contact_id] = (*channels.get(row.contact_id, ()), row.channel)
    return channels


def _to_feedback(row: AnyRow) -> Feedback:
    sentiment = None
    if row.sentiment_label is not None:
        sentiment = Sentiment(
            label=SentimentLabel(row.sentiment_label),
            score=row.sentiment_score,
            evidence=tuple(row.sentiment_evidence),
            scorer=row.sentiment_scorer,
        )
    return Feedback(
        id=row.id,
        survey_id=row.survey_id,
        order_id=row.order_id,
        order_external_id=row.order_external_id,
        contact_id=row.contact_id,
        contact_name=row.contact_name,
        conversation_id=row.conversation_id,
        channel=row.channel,
        rating=row.rating,
        comment=row.comment,
        sentiment=sentiment,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
