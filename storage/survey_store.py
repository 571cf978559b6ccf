"""回访 surveys with their answers, and the 反馈 feedback that comes of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, or_
from sqlmodel import Session, col, select

from desk.errors import NotFoundError
from desk.values import (
    Conversation,
    Feedback,
    Order,
    Sentiment,
    SentimentLabel,
    SkipReason,
    Survey,
    SurveyState,
)
from storage.conflicts import insert_unless_there, stored_id
from storage.tables.care import FeedbackRow, SurveyAnswerRow, SurveyRow
from storage.tables.orders import OrderBindingRow, OrderRow
from storage.tables.people import ContactRow, ConversationRow, IdentityRow

_OPEN = (SurveyState.ASKING, SurveyState.ANSWERING)
_FINAL = (SurveyState.DONE, SurveyState.SKIPPED, SurveyState.EXPIRED)
_CHANGEABLE = frozenset(
    {
        "skip_reason",
        "identity_id",
        "conversation_id",
        "rating",
        "comment",
        "due_at",
        "asked_at",
        "reminded_at",
        "expires_at",
        "finished_at",
        "outcome_unknown",
    }
)

# Every message takes it, and building it each time would take longer than running it.
_ANSWERED_SINCE = (
    select(SurveyRow)
    .where(
        col(SurveyRow.conversation_id) == bindparam("in_conversation"),
        col(SurveyRow.state).in_([SurveyState.ANSWERING.value, SurveyState.DONE.value]),
        or_(col(SurveyRow.rating).is_not(None), col(SurveyRow.comment).is_not(None)),
        col(SurveyRow.updated_at) >= bindparam("since"),
    )
    .order_by(col(SurveyRow.updated_at).desc(), col(SurveyRow.id).desc())
)


class SqlSurveyStore:
    """Surveys and feedback as rows."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def schedule(
        self, subject_type: str, subject_id: int, kind: str, round: int, due_at: datetime, now: datetime
    ) -> tuple[Survey, bool]:
        """Creates the survey, or returns the one there is; True when it was created now."""
        created = insert_unless_there(
            self._session,
            SurveyRow(
                subject_type=subject_type,
                subject_id=subject_id,
                kind=kind,
                round=round,
                state=SurveyState.SCHEDULED,
                due_at=due_at,
                created_at=now,
                updated_at=now,
            ),
        )
        survey = self.find(subject_type, subject_id, kind, round)
        if survey is None:
            raise NotFoundError("the survey was deleted while it was being scheduled")
        return survey, created

    def get(self, survey_id: int) -> Survey:
        """Returns the survey.

        Raises:
            NotFoundError: There is none.
        """
        row = self._session.get(SurveyRow, survey_id)
        if row is None:
            raise NotFoundError(f"no survey {survey_id}")
        return to_survey(row)

    def find(self, subject_type: str, subject_id: int, kind: str, round: int) -> Survey | None:
        """Returns the one survey of that kind and round about that subject."""
        row = self._session.exec(
            select(SurveyRow).where(
                col(SurveyRow.subject_type) == subject_type,
                col(SurveyRow.subject_id) == subject_id,
                col(SurveyRow.kind) == kind,
                col(SurveyRow.round) == round,
            )
        ).first()
        return None if row is None else to_survey(row)

    def find_open_of_conversation(self, conversation_id: int) -> Sequence[Survey]:
        """Returns the surveys being asked or answered there, the one asked last first."""
        return _to_surveys(
            self._session.exec(
                select(SurveyRow)
                .where(col(SurveyRow.conversation_id) == conversation_id, col(SurveyRow.state).in_(_OPEN))
                .order_by(
                    func.coalesce(col(SurveyRow.asked_at), col(SurveyRow.updated_at)).desc(),
                    col(SurveyRow.id).desc(),
                )
            )
        )

    def find_answered_since(self, conversation_id: int, since: datetime) -> Sequence[Survey]:
        """See ``SurveyStore.find_answered_since``."""
        which = {"in_conversation": conversation_id, "since": since}
        return _to_surveys(self._session.exec(_ANSWERED_SINCE, params=which))

    def find_scheduled_of_identity(self, identity_id: int) -> Sequence[Survey]:
        """Returns the scheduled surveys about orders bound to the identity, the one due first first."""
        return _to_surveys(
            self._session.exec(
                select(SurveyRow)
                .join(OrderBindingRow, col(OrderBindingRow.order_id) == col(SurveyRow.subject_id))
                .where(
                    col(OrderBindingRow.identity_id) == identity_id,
                    col(SurveyRow.subject_type) == "order",
                    col(SurveyRow.state) == SurveyState.SCHEDULED,
                )
                .order_by(col(SurveyRow.due_at), col(SurveyRow.id))
            )
        )

    def count_asked(self, contact_id: int, since: datetime) -> int:
        """Counts the surveys that this person was asked since then, on all their identities."""
        return self._session.exec(
            select(func.count())
            .select_from(SurveyRow)
            .join(IdentityRow, col(IdentityRow.id) == col(SurveyRow.identity_id))
            .where(col(IdentityRow.contact_id) == contact_id, col(SurveyRow.asked_at) >= since)
        ).one()

    def change(self, survey_id: int, *, state: SurveyState, now: datetime, **changes: Any) -> Survey:
        """Sets ``state`` and any of the survey's fields by name.

        A survey that ends without a given ``finished_at`` ends now; one that is not skipped has no
        reason for it.

        Raises:
            NotFoundError: There is no such survey.
            TypeError: A name is not that of a field that may change.
        """
        unknown = changes.keys() - _CHANGEABLE
        if unknown:
            raise TypeError(f"a survey has no such field to change: {', '.join(sorted(unknown))}")
        row = self._lock_row(survey_id)
        row.state = state
        row.updated_at = now
        if state is not SurveyState.SKIPPED:
            row.skip_reason = None
        if state not in _FINAL:
            row.finished_at = None
        elif row.finished_at is None:
            row.finished_at = now
        for name, value in changes.items():
            setattr(row, name, value)
        self._session.flush()
        return to_survey(row)

    def skip(self, survey_id: int, reason: SkipReason, now: datetime) -> None:
        """Ends the survey unasked, with the reason that staff can read."""
        self.change(survey_id, state=SurveyState.SKIPPED, now=now, skip_reason=reason)

    def record_answer(
        self, survey_id: int, question: str, value: str, message_id: int | None, now: datetime
    ) -> int:
        """Appends the answer as the next revision of that question; returns the revision, from 1."""
        self._lock_row(survey_id)
        newest = self._session.exec(
            select(func.max(col(SurveyAnswerRow.revision))).where(
                col(SurveyAnswerRow.survey_id) == survey_id, col(SurveyAnswerRow.question) == question
            )
        ).one()
        revision = (newest or 0) + 1
        self._session.add(
            SurveyAnswerRow(
                survey_id=survey_id,
                question=question,
                revision=revision,
                value=value,
                message_id=message_id,
                answered_at=now,
            )
        )
        self._session.flush()
        return revision

    def save_feedback(
        self, survey: Survey, order: Order | None, conversation: Conversation, now: datetime
    ) -> Feedback:
        """Creates or updates the one feedback of this survey from its rating and comment.

        A changed comment loses its sentiment until it is scored again.
        """
        insert_unless_there(
            self._session,
            FeedbackRow(
                survey_id=survey.id,
                order_id=None if order is None else order.id,
                conversation_id=conversation.id,
                rating=survey.rating,
                comment=survey.comment,
                created_at=now,
                updated_at=now,
            ),
        )
        row = self._session.exec(
            select(FeedbackRow)
            .where(col(FeedbackRow.survey_id) == survey.id)
            .with_for_update()
            .execution_options(populate_existing=True)
        ).one()
        if row.comment != survey.comment:
            row.sentiment_label = None
            row.sentiment_score = None
            row.sentiment_evidence = []
            row.sentiment_scorer = ""
        if (row.rating, row.comment) != (survey.rating, survey.comment):
            row.rating = survey.rating
            row.comment = survey.comment
            row.updated_at = now
        self._session.flush()
        return self.get_feedback(stored_id(row.id))

    def get_feedback(self, feedback_id: int) -> Feedback:
        """Returns the feedback, with the name that its customer has now.

        Raises:
            NotFoundError: There is none.
        """
        row = self._session.get(FeedbackRow, feedback_id)
        if row is None:
            raise NotFoundError(f"no feedback {feedback_id}")
        contact_id, contact_name, channel, order_external_id = self._session.exec(
            select(
                col(ContactRow.id), col(ContactRow.name), col(IdentityRow.channel), col(OrderRow.external_id)
            )
            .select_from(ConversationRow)
            .join(IdentityRow, col(IdentityRow.id) == col(ConversationRow.identity_id))
            .join(ContactRow, col(ContactRow.id) == col(IdentityRow.contact_id))
            .outerjoin(OrderRow, col(OrderRow.id) == row.order_id)
            .where(col(ConversationRow.id) == row.conversation_id)
        ).one()
        return Feedback(
            id=feedback_id,
            survey_id=row.survey_id,
            order_id=row.order_id,
            order_external_id=order_external_id,
            contact_id=stored_id(contact_id),
            contact_name=contact_name,
            conversation_id=row.conversation_id,
            channel=channel,
            rating=row.rating,
            comment=row.comment,
            sentiment=to_sentiment(row),
            created_at=row.created_at,
            updated_at=row.updated_at,
        )

    def set_sentiment(self, feedback_id: int, comment: str, sentiment: Sentiment) -> bool:
        """Stores the score if the comment is still the one that was scored."""
        row = self._session.get(FeedbackRow, feedback_id, with_for_update=True, populate_existing=True)
        if row is None or row.comment != comment:
            return False
        row.sentiment_label = sentiment.label
        row.sentiment_score = sentiment.score
        row.sentiment_evidence = list(sentiment.evidence)
        row.sentiment_scorer = sentiment.scorer
        self._session.flush()
        return True

    def _lock_row(self, survey_id: int) -> SurveyRow:
        row = self._session.get(SurveyRow, survey_id, with_for_update=True, populate_existing=True)
        if row is None:
            raise NotFoundError(f"no survey {survey_id}")
        return row


def to_sentiment(row: FeedbackRow) -> Sentiment | None:
    """Returns the sentiment of a feedback row; None until it is scored."""
    if row.sentiment_label is None or row.sentiment_score is None:
        return None
    return Sentiment(
        label=SentimentLabel(row.sentiment_label),
        score=row.sentiment_score,
        evidence=tuple(row.sentiment_evidence),
        scorer=row.sentiment_scorer,
    )


def to_survey(row: SurveyRow) -> Survey:
    """Returns the row as a value."""
    return Survey(
        id=stored_id(row.id),
        subject_type=row.subject_type,
        subject_id=row.subject_id,
        kind=row.kind,
        round=row.round,
        state=SurveyState(row.state),
        skip_reason=None if row.skip_reason is None else SkipReason(row.skip_reason),
        identity_id=row.identity_id,
        conversation_id=row.conversation_id,
        rating=row.rating,
        comment=row.comment,
        due_at=row.due_at,
        asked_at=row.asked_at,
        reminded_at=row.reminded_at,
        expires_at=row.expires_at,
        finished_at=row.finished_at,
        outcome_unknown=row.outcome_unknown,
    )


def _to_surveys(rows: Iterable[SurveyRow]) -> list[Survey]:
    return [to_survey(row) for row in rows]
