"""回访 surveys: for every delivered order, sent, answered, or why not."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import and_, case, func, or_, select
from sqlalchemy.sql.elements import ColumnElement
from sqlmodel import Session

from desk.follow_up import DUE_TIMER, POST_DELIVERY
from desk.values import OrderStatus, SkipReason, SurveyState, Timer
from storage.reports.paging import fetch
from storage.reports.values import Page, SurveyAccounting, SurveyLine, SurveyOutcome
from storage.survey_questions import question_unsent
from storage.tables.care import SURVEYS
from storage.tables.orders import ORDERS
from storage.tables.people import CONTACTS, IDENTITIES
from storage.tables.work import TIMERS, TimerState

_OUTCOME: ColumnElement[str] = case(
    (SURVEYS.c.id.is_(None), SurveyOutcome.MISSING.value),
    (SURVEYS.c.state == SurveyState.SKIPPED.value, SurveyOutcome.SKIPPED.value),
    (SURVEYS.c.state == SurveyState.SCHEDULED.value, SurveyOutcome.PENDING.value),
    (
        or_(SURVEYS.c.rating.is_not(None), SURVEYS.c.comment.is_not(None)),
        SurveyOutcome.ANSWERED.value,
    ),
    (question_unsent(), SurveyOutcome.PENDING.value),
    (
        or_(SURVEYS.c.outcome_unknown.is_(True), SURVEYS.c.asked_at.is_(None)),
        SurveyOutcome.UNCERTAIN.value,
    ),
    (SURVEYS.c.state == SurveyState.EXPIRED.value, SurveyOutcome.EXPIRED.value),
    else_=SurveyOutcome.WAITING.value,
)
_OF_ORDER = and_(
    SURVEYS.c.subject_type == "order",
    SURVEYS.c.subject_id == ORDERS.c.id,
    SURVEYS.c.kind == POST_DELIVERY,
    SURVEYS.c.round == 1,
)


def accounting(session: Session) -> SurveyAccounting:
    """Counts every delivered order once, by what became of its survey."""
    counts: dict[SurveyOutcome, int] = dict.fromkeys(SurveyOutcome, 0)
    skipped: dict[SkipReason, int] = {}
    outcome = _OUTCOME.label("outcome")
    grouped = (
        select(outcome, SURVEYS.c.skip_reason)
        .select_from(ORDERS)
        .outerjoin(SURVEYS, _OF_ORDER)
        .where(ORDERS.c.delivered_at.is_not(None))
        .subquery()
    )
    for row in session.execute(
        select(grouped.c.outcome, grouped.c.skip_reason, func.count().label("orders")).group_by(
            grouped.c.outcome, grouped.c.skip_reason
        )
    ):
        counts[SurveyOutcome(row.outcome)] += row.orders
        if row.skip_reason is not None:
            skipped[SkipReason(row.skip_reason)] = row.orders
    delivered = session.scalars(
        select(func.count()).select_from(ORDERS).where(ORDERS.c.delivered_at.is_not(None))
    ).one()
    answered, expired = counts[SurveyOutcome.ANSWERED], counts[SurveyOutcome.EXPIRED]
    return SurveyAccounting(
        delivered=delivered,
        sent=answered + expired + counts[SurveyOutcome.WAITING],
        answered=answered,
        expired=expired,
        pending=counts[SurveyOutcome.PENDING],
        uncertain=counts[SurveyOutcome.UNCERTAIN],
        skipped=skipped,
        missing=counts[SurveyOutcome.MISSING],
    )


def rows(session: Session, limit: int, offset: int, outcome: SurveyOutcome | None) -> Page[SurveyLine]:
    """Returns delivered orders with what became of their survey, the last delivered first."""
    query = (
        select(
            ORDERS.c.id,
            ORDERS.c.external_id,
            ORDERS.c.status,
            ORDERS.c.buyer_name,
            ORDERS.c.delivered_at,
            _OUTCOME.label("outcome"),
            SURVEYS.c.id.label("survey_id"),
            SURVEYS.c.skip_reason,
            SURVEYS.c.due_at,
            SURVEYS.c.asked_at,
            SURVEYS.c.reminded_at,
            SURVEYS.c.finished_at,
            SURVEYS.c.rating,
            SURVEYS.c.comment,
            IDENTITIES.c.channel,
            CONTACTS.c.name.label("contact_name"),
        )
        .select_from(ORDERS)
        .outerjoin(SURVEYS, _OF_ORDER)
        .outerjoin(IDENTITIES, IDENTITIES.c.id == SURVEYS.c.identity_id)
        .outerjoin(CONTACTS, CONTACTS.c.id == IDENTITIES.c.contact_id)
        .where(ORDERS.c.delivered_at.is_not(None))
        .order_by(ORDERS.c.delivered_at.desc(), ORDERS.c.id.desc())
    )
    if outcome is not None:
        query = query.where(_OUTCOME.in_([outcome.value]))
    found, more = fetch(session, query, limit, offset)
    waiting = _timers(session, [row.survey_id for row in found if row.survey_id is not None])
    lines = []
    for row in found:
        timer = waiting.get(row.survey_id)
        lines.append(
            SurveyLine(
                order_id=row.id,
                order_external_id=row.external_id,
                order_status=OrderStatus(row.status),
                customer_name=row.contact_name or row.buyer_name,
                channel=row.channel,
                delivered_at=row.delivered_at,
                outcome=SurveyOutcome(row.outcome),
                survey_id=row.survey_id,
                skip_reason=None if row.skip_reason is None else SkipReason(row.skip_reason),
                due_at=row.due_at,
                next_try_at=None if timer is None else timer.due_at,
                held="" if timer is None else str(timer.payload.get("held", "")),
                asked_at=row.asked_at,
                reminded_at=row.reminded_at,
                finished_at=row.finished_at,
                rating=row.rating,
                comment=row.comment,
            )
        )
    return Page(tuple(lines), more)


def _timers(session: Session, survey_ids: Iterable[int]) -> dict[int, Timer]:
    """The pending timers of scheduled surveys; their payload says why one was put off."""
    found = session.execute(
        select(TIMERS).where(
            TIMERS.c.kind == DUE_TIMER,
            TIMERS.c.key.in_([str(survey_id) for survey_id in survey_ids]),
            TIMERS.c.state == TimerState.PENDING.value,
        )
    )
    return {
        int(row.key): Timer(row.id, row.kind, row.key, row.due_at, row.payload, row.attempts) for row in found
    }
