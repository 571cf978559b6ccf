"""Orders, surveys, cases and the FAQ."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from desk.ports.work import StoredKey
from desk.values import (
    Case,
    CaseReason,
    Conversation,
    FaqBook,
    FaqEntry,
    Feedback,
    Order,
    OrderEvent,
    Priority,
    Sentiment,
    SkipReason,
    StaffMember,
    Survey,
    SurveyState,
)


class OrderStore(Protocol):
    """订单, their links and bindings."""

    def remember_event(self, scope: str, key: str, body_hash: str, now: datetime) -> StoredKey | None:
        """Remembers a key for 35 days; returns what is on record when it is known already."""
        ...

    def lock(self, external_id: str) -> Order | None: ...

    def lock_by_id(self, order_id: int) -> Order:
        """Locks and returns the order, as whoever held it before has left it."""
        ...

    def get(self, order_id: int) -> Order: ...

    def save(
        self, event: OrderEvent, contact_id: int | None, delivered_at: datetime | None, now: datetime
    ) -> Order:
        """Creates the order or overwrites it with this event's state."""
        ...

    def record(self, event: OrderEvent, order_id: int, applied: bool, now: datetime) -> bool:
        """Keeps the event in the order's history; False when that event id is there already."""
        ...

    def set_delivered_at(self, order_id: int, delivered_at: datetime) -> None: ...

    def find_link(self, token_hash: str) -> tuple[int, int | None, datetime] | None:
        """(order id, bound identity id or None, expiry) of a link; locks the link's row."""
        ...

    def get_or_create_link(self, order_id: int, expires_at: datetime, now: datetime) -> str:
        """The token of the current unused link of the order, made when there is none that lives."""
        ...

    def bind(self, token_hash: str, order_id: int, identity_id: int, now: datetime) -> None: ...

    def set_contact_of_buyer(self, buyer_id: str, contact_id: int) -> None:
        """Joins every order of that buyer to the contact."""
        ...

    def find_of_identity(self, identity_id: int, limit: int) -> Sequence[Order]:
        """Orders bound to this identity, newest first. Never anybody else's."""
        ...

    def find_of_contact(self, contact_id: int, limit: int) -> Sequence[Order]: ...


class SurveyStore(Protocol):
    """回访 and feedback."""

    def schedule(
        self, subject_type: str, subject_id: int, kind: str, round: int, due_at: datetime, now: datetime
    ) -> tuple[Survey, bool]:
        """Creates the survey, or returns the one there is; True when it was created now."""
        ...

    def get(self, survey_id: int) -> Survey: ...

    def find(self, subject_type: str, subject_id: int, kind: str, round: int) -> Survey | None: ...

    def find_open_of_conversation(self, conversation_id: int) -> Sequence[Survey]:
        """Surveys being asked or answered there, newest first."""
        ...

    def find_answered_since(self, conversation_id: int, since: datetime) -> Sequence[Survey]:
        """Surveys with a rating or a comment that changed since then there, the latest change first."""
        ...

    def find_scheduled_of_identity(self, identity_id: int) -> Sequence[Survey]:
        """Scheduled surveys about orders bound to the identity."""
        ...

    def count_asked(self, contact_id: int, since: datetime) -> int:
        """How many surveys this person was asked since then."""
        ...

    def change(self, survey_id: int, *, state: SurveyState, now: datetime, **changes: Any) -> Survey:
        """Sets ``state`` and any of the survey's fields by name."""
        ...

    def skip(self, survey_id: int, reason: SkipReason, now: datetime) -> None: ...

    def record_answer(
        self, survey_id: int, question: str, value: str, message_id: int | None, now: datetime
    ) -> int:
        """Appends the answer as the next revision of that question; returns the revision, from 1."""
        ...

    def save_feedback(
        self, survey: Survey, order: Order | None, conversation: Conversation, now: datetime
    ) -> Feedback:
        """Creates or updates the one feedback of this survey from its rating and comment.

        A changed comment loses its sentiment until it is scored again.
        """
        ...

    def get_feedback(self, feedback_id: int) -> Feedback: ...

    def set_sentiment(self, feedback_id: int, comment: str, sentiment: Sentiment) -> bool:
        """Stores the score if the comment is still the one that was scored."""
        ...


class CaseStore(Protocol):
    """工单. At most one open case per conversation."""

    def open(
        self, conversation_id: int, reason: CaseReason, evidence: str, priority: Priority, now: datetime
    ) -> tuple[Case, bool]:
        """Opens a case, or joins the trigger to the open one (priority only rises); True when new."""
        ...

    def find_open(self, conversation_id: int) -> Case | None: ...

    def find_newest(self, conversation_id: int) -> Case | None: ...

    def get(self, case_id: int) -> Case: ...

    def find_by_number(self, number: str) -> Case | None: ...

    def take(self, case_id: int, staff: StaffMember, now: datetime) -> Case:
        """Gives a waiting case to that person; their own again is fine.

        Raises:
            AlreadyTakenError: Somebody else has it.
            ConflictError: It is closed.
        """
        ...

    def hand_over(self, case_id: int, to: StaffMember, now: datetime) -> Case:
        """转交: gives an open case to that person, whoever had it; the history says so.

        Raises:
            ConflictError: It is closed.
        """
        ...

    def count_notes(self, case_id: int) -> int: ...

    def find_all_open(self, limit: int) -> Sequence[Case]:
        """Open cases, the longest open first."""
        ...

    def count_waiting(self) -> int:
        """How many open cases nobody has taken."""
        ...

    def close(self, case_id: int, staff: StaffMember | None, reason: str, now: datetime) -> Case: ...

    def set_helped(self, case_id: int, helped: bool, now: datetime) -> None: ...

    def add_note(self, case_id: int, staff: StaffMember, text: str, now: datetime) -> None: ...

    def record(self, case_id: int, kind: str, detail: str, staff_id: int | None, now: datetime) -> None:
        """Appends an event to the case's history."""
        ...


class FaqStore(Protocol):
    """问答, and what it could not answer."""

    def version(self) -> int: ...

    def book(self) -> FaqBook: ...

    def all(self) -> Sequence[FaqEntry]: ...

    def get(self, entry_id: int) -> FaqEntry: ...

    def put(self, entry: FaqEntry, now: datetime) -> FaqEntry:
        """Creates (``id`` 0) or replaces the entry of that slug and raises the version."""
        ...

    def delete(self, slug: str) -> None: ...

    def record_miss(self, conversation_id: int, message_id: int, text: str, now: datetime) -> None:
        """Keeps a question that was not answered, for the owner."""
        ...

    def delete_miss(self, message_id: int) -> None:
        """Forgets that the message's question was not answered; does nothing where it was."""
        ...
