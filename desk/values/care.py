"""Surveys, feedback and cases."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from desk.values.understanding import Sentiment


class SurveyState(StrEnum):
    """Where a survey stands.

    scheduled → asking → (answering →) done; or skipped, expired on the way.
    """

    SCHEDULED = "scheduled"
    ASKING = "asking"
    ANSWERING = "answering"
    DONE = "done"
    SKIPPED = "skipped"
    EXPIRED = "expired"


class SkipReason(StrEnum):
    """Why a survey was not sent."""

    TOO_OLD = "too_old"
    NOBODY_BOUND = "nobody_bound"
    UNREACHABLE = "unreachable"
    CASE_OPEN = "case_open"
    CAPPED = "capped"
    OPTED_OUT = "opted_out"
    REFUNDED = "refunded"
    RETURNED = "returned"
    CANCELLED = "cancelled"
    IMPORTED = "imported"
    NOT_SEEN = "not_seen"
    ERASED = "erased"


@dataclass(frozen=True, slots=True)
class Survey:
    """回访 about one subject (an order, for now).

    Attributes:
        subject_type: ``order``.
        subject_id: The internal id of the order.
        kind: ``post_delivery``.
        round: 1, 2, … for repeated ones.
        skip_reason: Set when ``state`` is ``SKIPPED``.
        outcome_unknown: The question may not have arrived; the reminder covers it.
    """

    id: int
    subject_type: str
    subject_id: int
    kind: str
    round: int
    state: SurveyState
    skip_reason: SkipReason | None
    identity_id: int | None
    conversation_id: int | None
    rating: int | None
    comment: str | None
    due_at: datetime
    asked_at: datetime | None
    reminded_at: datetime | None
    expires_at: datetime | None
    finished_at: datetime | None
    outcome_unknown: bool = False


@dataclass(frozen=True, slots=True)
class Feedback:
    """反馈: what one customer said about one order, scored."""

    id: int
    survey_id: int
    order_id: int | None
    order_external_id: str | None
    contact_id: int
    contact_name: str
    conversation_id: int
    channel: str
    rating: int | None
    comment: str | None
    sentiment: Sentiment | None
    created_at: datetime
    updated_at: datetime


class CaseState(StrEnum):
    """Where a case stands."""

    WAITING = "waiting"
    WITH_PERSON = "with_person"
    CLOSED = "closed"


class CaseReason(StrEnum):
    """Why a case was opened."""

    ASKED_FOR_PERSON = "asked_for_person"
    LOW_RATING = "low_rating"
    ANGER = "anger"
    ACCEPTED_OFFER = "accepted_offer"
    NOT_HELPED = "not_helped"


class Priority(StrEnum):
    """How soon a case should be taken."""

    URGENT = "urgent"
    HIGH = "high"
    NORMAL = "normal"


@dataclass(frozen=True, slots=True)
class Case:
    """工单: one matter that a person looks after. ``number`` reads ``HY-1042``."""

    id: int
    number: str
    conversation_id: int
    state: CaseState
    reason: CaseReason
    evidence: str
    priority: Priority
    staff_id: int | None
    staff_name: str | None
    opened_at: datetime
    taken_at: datetime | None
    closed_at: datetime | None
    helped: bool | None
