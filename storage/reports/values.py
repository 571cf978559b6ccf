"""What the reports return: frozen, ready to be shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

from desk.values import (
    Attachment,
    Author,
    Case,
    CaseReason,
    CaseState,
    Delivery,
    Feedback,
    Order,
    OrderStatus,
    Priority,
    SkipReason,
    Speaker,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows of a list; ``more`` says whether others follow."""

    rows: tuple[T, ...]
    more: bool


class CaseTab(StrEnum):
    """Which cases a staff member looks at: all that are open, their own open ones, or closed ones."""

    OPEN = "open"
    MINE = "mine"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class LastLine:
    """The newest line of a conversation; ``text`` may be empty when there are attachments."""

    author: Author
    text: str
    at: datetime
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class CaseLine:
    """One case in a list.

    Attributes:
        waiting_since: When it was opened.
        unread: Customer's lines since the case was opened that no staff line has followed.
        last_line: None when retention has taken the talk.
    """

    id: int
    number: str
    conversation_id: int
    state: CaseState
    reason: CaseReason
    evidence: str
    priority: Priority
    customer_name: str
    channel: str
    staff_id: int | None
    staff_name: str | None
    waiting_since: datetime
    taken_at: datetime | None
    closed_at: datetime | None
    helped: bool | None
    last_line: LastLine | None
    unread: int


@dataclass(frozen=True, slots=True)
class ContactCard:
    """The customer of a case. ``phone`` is whole; whoever shows it masks it."""

    id: int
    public_id: str
    name: str
    phone: str
    buyer_id: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class IdentityCard:
    """Where the customer writes from, and whether they can be reached there."""

    id: int
    channel: str
    reachable: bool
    unreachable_reason: str
    opted_out_at: datetime | None
    last_message_at: datetime | None


@dataclass(frozen=True, slots=True)
class TalkLine:
    """One line of a conversation as staff see it: also what was withheld, and why.

    Attributes:
        seq: Position in what the customer sees; None while or because it is not there.
        reason: Why the desk said this, or did what it did with this.
        understanding: What the text was taken to mean (source, intent, confidence, matches …).
        revision: Above 0 for a customer's edit of an earlier line.
        attachments: What came with the words; ``text`` is then the caption and may be empty.
        edits_message_id: The line that this one corrects, the customer's or ours.
    """

    id: int
    seq: int | None
    author: Author
    staff_name: str | None
    text: str
    created_at: datetime
    delivery: Delivery
    reason: str
    action: str
    understanding: Mapping[str, Any] | None
    revision: int
    attachments: tuple[Attachment, ...] = ()
    edits_message_id: int | None = None


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """One step of a case; ``kind`` is ``note`` for what staff wrote to each other."""

    kind: str
    detail: str
    staff_name: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class CasePage:
    """Everything on the page of one case.

    Attributes:
        identity: Where this conversation takes place.
        other_identities: The same customer elsewhere.
        lines: The newest lines, oldest first.
        orders: Orders of the contact, newest first.
        feedback: What the contact said before, newest first.
        earlier: The contact's other cases, newest first.
        history: Notes and steps of this case, oldest first.
    """

    case: Case
    contact: ContactCard
    identity: IdentityCard
    other_identities: tuple[IdentityCard, ...]
    speaker: Speaker
    lines: tuple[TalkLine, ...]
    orders: tuple[Order, ...]
    feedback: tuple[Feedback, ...]
    earlier: tuple[Case, ...]
    history: tuple[HistoryLine, ...]


class SurveyOutcome(StrEnum):
    """What became of the one post-delivery survey of a delivered order. Exactly one holds.

    ``ANSWERED``, ``EXPIRED`` and ``WAITING`` were sent; an answer proves that it arrived, whatever was
    known of the sending. ``PENDING`` is planned or still on its way out. ``UNCERTAIN`` may or may not
    have arrived. ``MISSING`` has no survey at all, which must never be.
    """

    ANSWERED = "answered"
    EXPIRED = "expired"
    WAITING = "waiting"
    PENDING = "pending"
    UNCERTAIN = "uncertain"
    SKIPPED = "skipped"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class SurveyAccounting:
    """Where every delivered order's survey stands (RELIABILITY I14).

    Attributes:
        delivered: Orders with a time of delivery.
        sent: Handed to the channel: ``answered`` + ``expired`` + those that wait for an answer.
        skipped: How many were not sent, by reason; reasons without any are left out.
        missing: Delivered orders without a survey.
    """

    delivered: int
    sent: int
    answered: int
    expired: int
    pending: int
    uncertain: int
    skipped: Mapping[SkipReason, int]
    missing: int

    @property
    def skipped_total(self) -> int:
        """How many were not sent, for whatever reason."""
        return sum(self.skipped.values())

    @property
    def balanced(self) -> bool:
        """Whether sent + skipped + pending + uncertain = delivered, so that no order is unaccounted for."""
        return self.sent + self.skipped_total + self.pending + self.uncertain == self.delivered


@dataclass(frozen=True, slots=True)
class SurveyLine:
    """A delivered order: its survey was sent, answered, or why not.

    Attributes:
        survey_id: None when the outcome is ``MISSING``.
        next_try_at: When a pending one is looked at again.
        held: Why a pending one was put off (``quiet``, ``case_open`` …); empty when it was not.
    """

    order_id: int
    order_external_id: str
    order_status: OrderStatus
    customer_name: str
    channel: str | None
    delivered_at: datetime
    outcome: SurveyOutcome
    survey_id: int | None
    skip_reason: SkipReason | None
    due_at: datetime | None
    next_try_at: datetime | None
    held: str
    asked_at: datetime | None
    reminded_at: datetime | None
    finished_at: datetime | None
    rating: int | None
    comment: str | None


@dataclass(frozen=True, slots=True)
class MissLine:
    """A question that the FAQ could not answer, and how often it was put."""

    text: str
    count: int
    last_at: datetime
    conversation_id: int


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One entry of the audit; without staff it was done from the command line or by itself."""

    id: int
    at: datetime
    staff_id: int | None
    staff_name: str | None
    action: str
    subject: str
    detail: str


@dataclass(frozen=True, slots=True)
class Badge:
    """The numbers beside the menu: cases nobody has taken, one's own open ones, and dead letters."""

    waiting: int
    mine: int
    dead_letters: int


@dataclass(frozen=True, slots=True)
class Figures:
    """How much waits, for monitoring. Counts and seconds only.

    Attributes:
        oldest_inbox_seconds: How long the oldest unworked input has waited; 0 when there is none.
        late_timer_seconds: How late the earliest due timer is; 0 when none is due.
    """

    inbox_waiting: int
    oldest_inbox_seconds: float
    outbox_waiting: int
    timers_waiting: int
    late_timer_seconds: float
    dead_letters: int
    cases_waiting: int
    cases_with_person: int


@dataclass(frozen=True, slots=True)
class CustomerLine:
    """A customer in a list. ``phone`` is whole; whoever shows it masks it."""

    contact_id: int
    public_id: str
    name: str
    phone: str
    buyer_id: str | None
    channels: tuple[str, ...]
    last_message_at: datetime | None
