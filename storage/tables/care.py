"""What is done for customers: 回访 surveys, 反馈 feedback, 工单 cases and 问答 FAQ."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, BigInteger, CheckConstraint, Index, Table, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from desk.values import CaseReason, CaseState, Priority, SentimentLabel, SkipReason, SurveyState
from storage.tables import naming as _naming  # noqa: F401  (sets the convention that names constraints)
from storage.tables.checks import one_of
from storage.times import UtcDateTime

_OPEN = text("state <> 'closed'")


class SurveyRow(SQLModel, table=True):
    """One survey about one subject; the subject's type, id, kind and round make it the only one."""

    __tablename__ = "surveys"
    __table_args__ = (
        UniqueConstraint("subject_type", "subject_id", "kind", "round"),
        one_of("state", SurveyState),
        one_of("skip_reason", SkipReason),
        CheckConstraint("(state = 'skipped') = (skip_reason IS NOT NULL)", name="skipped"),
        CheckConstraint("rating BETWEEN 1 AND 5", name="rating"),
        CheckConstraint("round >= 1", name="round"),
        Index(None, "conversation_id"),
        Index(None, "identity_id"),
        Index(None, "state"),
    )

    id: int | None = Field(default=None, primary_key=True)
    subject_type: str
    subject_id: int
    kind: str
    round: int
    state: str
    skip_reason: str | None = None
    identity_id: int | None = Field(default=None, foreign_key="identities.id")
    conversation_id: int | None = Field(default=None, foreign_key="conversations.id")
    rating: int | None = None
    comment: str | None = None
    due_at: datetime = Field(sa_type=UtcDateTime)
    asked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    reminded_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    finished_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    outcome_unknown: bool = False
    created_at: datetime = Field(sa_type=UtcDateTime)
    updated_at: datetime = Field(sa_type=UtcDateTime)


class SurveyAnswerRow(SQLModel, table=True):
    """An answer; a changed mind is a further revision, so the history stays."""

    __tablename__ = "survey_answers"
    __table_args__ = (
        UniqueConstraint("survey_id", "question", "revision"),
        CheckConstraint("revision >= 1", name="revision"),
        Index(None, "message_id"),
    )

    id: int | None = Field(default=None, primary_key=True)
    survey_id: int = Field(foreign_key="surveys.id")
    question: str
    revision: int
    value: str
    message_id: int | None = Field(default=None, foreign_key="messages.id")
    answered_at: datetime = Field(sa_type=UtcDateTime)


class FeedbackRow(SQLModel, table=True):
    """What one customer said about one order.

    Who said it is read through the conversation's identity, so that a later merge of contacts
    moves the feedback along.
    """

    __tablename__ = "feedback"
    __table_args__ = (
        UniqueConstraint("survey_id"),
        one_of("sentiment_label", SentimentLabel),
        CheckConstraint("(sentiment_label IS NULL) = (sentiment_score IS NULL)", name="sentiment"),
        CheckConstraint("sentiment_score BETWEEN -1 AND 1", name="sentiment_score"),
        CheckConstraint("rating BETWEEN 1 AND 5", name="rating"),
        Index(None, "conversation_id"),
        Index(None, "order_id"),
        Index(None, "created_at"),
    )

    id: int | None = Field(default=None, primary_key=True)
    survey_id: int = Field(foreign_key="surveys.id")
    order_id: int | None = Field(default=None, foreign_key="orders.id")
    conversation_id: int = Field(foreign_key="conversations.id")
    rating: int | None = None
    comment: str | None = None
    sentiment_label: str | None = None
    sentiment_score: float | None = None
    sentiment_evidence: list[str] = Field(default_factory=list, sa_type=JSON)
    sentiment_scorer: str = ""
    created_at: datetime = Field(sa_type=UtcDateTime)
    updated_at: datetime = Field(sa_type=UtcDateTime)


class CaseRow(SQLModel, table=True):
    """A matter that a person looks after; its number is ``HY-`` and 1000 + ``id``.

    Ids are never used twice (AUTOINCREMENT), because a number may be quoted for years.
    """

    __tablename__ = "cases"
    __table_args__ = (
        one_of("state", CaseState),
        one_of("reason", CaseReason),
        one_of("priority", Priority),
        CheckConstraint("state <> 'with_person' OR staff_id IS NOT NULL", name="staff_id"),
        CheckConstraint("(state = 'closed') = (closed_at IS NOT NULL)", name="closed_at"),
        Index(
            "uq_cases_open_conversation_id",
            "conversation_id",
            unique=True,
            sqlite_where=_OPEN,
            postgresql_where=_OPEN,
        ),
        Index(None, "conversation_id"),
        Index(None, "state", "opened_at"),
        Index(None, "staff_id"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True)
    conversation_id: int = Field(foreign_key="conversations.id")
    state: str
    reason: str
    evidence: str
    priority: str
    staff_id: int | None = Field(default=None, foreign_key="staff.id")
    opened_at: datetime = Field(sa_type=UtcDateTime)
    taken_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    closed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    close_reason: str = ""
    helped: bool | None = None


class CaseEventRow(SQLModel, table=True):
    """One step in a case's history; staff's notes are events of kind ``note``."""

    __tablename__ = "case_events"
    __table_args__ = (Index(None, "case_id"),)

    id: int | None = Field(default=None, primary_key=True)
    case_id: int = Field(foreign_key="cases.id")
    kind: str
    detail: str
    staff_id: int | None = Field(default=None, foreign_key="staff.id")
    at: datetime = Field(sa_type=UtcDateTime)


class FaqEntryRow(SQLModel, table=True):
    """One frequent question."""

    __tablename__ = "faq_entries"
    __table_args__ = (UniqueConstraint("slug"),)

    id: int | None = Field(default=None, primary_key=True)
    slug: str
    category: str
    question: str
    variants: list[str] = Field(default_factory=list, sa_type=JSON)
    answer: str
    action: str | None = None
    quick: bool = False
    enabled: bool = True
    updated_at: datetime = Field(sa_type=UtcDateTime)
    intent: str = ""


class FaqMissRow(SQLModel, table=True):
    """A question that the FAQ could not answer, once per message."""

    __tablename__ = "faq_misses"
    __table_args__ = (
        UniqueConstraint("message_id"),
        Index(None, "conversation_id"),
    )

    id: int | None = Field(default=None, primary_key=True)
    conversation_id: int = Field(foreign_key="conversations.id")
    message_id: int = Field(foreign_key="messages.id")
    text: str
    created_at: datetime = Field(sa_type=UtcDateTime)


class CounterRow(SQLModel, table=True):
    """A number that only rises; its row is also the lock under which it is raised."""

    __tablename__ = "counters"

    name: str = Field(primary_key=True)
    value: int = Field(sa_type=BigInteger)


COUNTERS: Table = SQLModel.metadata.tables["counters"]
SURVEYS: Table = SQLModel.metadata.tables["surveys"]
SURVEY_ANSWERS: Table = SQLModel.metadata.tables["survey_answers"]
FEEDBACK: Table = SQLModel.metadata.tables["feedback"]
CASES: Table = SQLModel.metadata.tables["cases"]
CASE_EVENTS: Table = SQLModel.metadata.tables["case_events"]
FAQ_MISSES: Table = SQLModel.metadata.tables["faq_misses"]
