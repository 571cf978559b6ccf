"""The values that all rooms share: frozen, without behaviour beyond what their fields say.

Times are aware UTC ``datetime``; money is an integer of minor units with an ISO 4217 code;
``id`` is the internal integer key and never leaves the installation, ``public_id`` may.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any


class Speaker(StrEnum):
    """Who may talk to the customer. Exactly one at any time."""

    BOT = "bot"
    WAITING = "waiting"
    PERSON = "person"


class Author(StrEnum):
    """Who wrote a message. ``SYSTEM`` frames the talk (joined, left)."""

    CUSTOMER = "customer"
    BOT = "bot"
    STAFF = "staff"
    SYSTEM = "system"


class SentimentLabel(StrEnum):
    """The sentiment of one text."""

    NEGATIVE = "negative"
    NEUTRAL = "neutral"
    POSITIVE = "positive"
    MIXED = "mixed"


@dataclass(frozen=True, slots=True)
class Sentiment:
    """How a text feels.

    Attributes:
        label: One of four.
        score: From -1 (very unhappy) to 1 (very happy).
        evidence: Words of the text that speak for the label, strongest first; may be empty.
        scorer: Name and version of what scored it.
    """

    label: SentimentLabel
    score: float
    evidence: tuple[str, ...] = ()
    scorer: str = ""


@dataclass(frozen=True, slots=True)
class FaqEntry:
    """One frequent question with its answer.

    Attributes:
        slug: Stable name, unique, ``[a-z0-9-]+``.
        question: How the shop would put the question.
        variants: Other ways that customers put it.
        answer: The answer; ``{shop_name}`` and the like stand for shop variables.
        action: ``order_status``, ``tracking`` or ``refund_status`` where stored orders answer;
            ``answer`` is then what a customer without a bound order gets. Otherwise None.
        quick: Shown as a quick-question button.
        enabled: Searched and shown.
    """

    id: int
    slug: str
    category: str
    question: str
    variants: tuple[str, ...]
    answer: str
    action: str | None = None
    quick: bool = False
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class FaqBook:
    """All enabled entries; ``version`` changes whenever any of them does."""

    version: int
    entries: tuple[FaqEntry, ...]


@dataclass(frozen=True, slots=True)
class FaqMatch:
    """An entry and how near the text is to it, from 0 to 1."""

    entry: FaqEntry
    score: float


@dataclass(frozen=True, slots=True)
class Understanding:
    """What a text was taken to mean.

    Attributes:
        source: Which understander spoke, for instance ``faq-search``.
        intent: Name of the intent, or None when none is known.
        confidence: From 0 to 1.
        matches: FAQ entries, nearest first, at most five.
        entities: Found values by name (``order_number`` and so on).
        degraded: True when the better understander was not there and this is the second best.
    """

    source: str
    intent: str | None = None
    confidence: float = 0.0
    matches: tuple[FaqMatch, ...] = ()
    entities: tuple[tuple[str, str], ...] = ()
    degraded: bool = False


class PromptKind(StrEnum):
    """What a message with options asks for."""

    CHOICE = "choice"
    OFFER_PERSON = "offer_person"
    SURVEY_RATING = "survey_rating"
    SURVEY_COMMENT = "survey_comment"
    HELPED = "helped"


@dataclass(frozen=True, slots=True)
class Option:
    """One thing to choose. ``button_id`` is opaque and authorises nothing by itself.

    Attributes:
        button_id: 22 characters, random; empty until stored.
        label: What the customer reads on the button.
        typed: The typed equivalent, usually a digit.
        value: What the choice means to the desk (``faq:12``, ``person``, ``rating:5`` …).
    """

    label: str
    typed: str
    value: str
    button_id: str = ""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A question that the desk put, and what may answer it.

    Attributes:
        subject_id: A survey, a case, or for ``CHOICE`` the message that the choices are about.
    """

    kind: PromptKind
    options: tuple[Option, ...] = ()
    subject_id: int | None = None


@dataclass(frozen=True, slots=True)
class Contact:
    """客户: a person. ``buyer_id`` is the shop's id for them, at most one."""

    id: int
    public_id: str
    name: str
    phone: str
    buyer_id: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Identity:
    """渠道身份: one channel's user."""

    id: int
    contact_id: int
    channel: str
    external_id: str
    reachable: bool
    opted_out_at: datetime | None
    consented_at: datetime | None
    last_message_at: datetime | None


@dataclass(frozen=True, slots=True)
class Conversation:
    """会话: the whole talk with one identity, for ever.

    Attributes:
        speaker: Who may talk now.
        misses: How many questions in a row could not be answered.
        angered_at: When the last anger word came.
        seen_seq: The highest ``seq`` that the customer's screen confirmed.
    """

    id: int
    public_id: str
    identity_id: int
    contact_id: int
    channel: str
    speaker: Speaker
    misses: int
    angered_at: datetime | None
    last_message_at: datetime | None
    seen_seq: int = 0


class Delivery(StrEnum):
    """Where an outgoing message stands (待发)."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    WITHHELD = "withheld"
    UNCERTAIN = "uncertain"
    UNREACHABLE = "unreachable"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Message:
    """消息: one line of a conversation.

    Attributes:
        seq: Position in what the customer sees, from 1; None while it is not sent.
        reason: Why the desk said this, or did what it did with this.
        delivery: For outgoing messages; customers' own are ``SENT``.
        client_msg_id: The sender's own id for it, where it has one.
    """

    id: int
    conversation_id: int
    seq: int | None
    author: Author
    staff_name: str | None
    text: str
    prompt: Prompt | None
    reason: str
    delivery: Delivery
    client_msg_id: str | None
    created_at: datetime


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


@dataclass(frozen=True, slots=True)
class OrderItem:
    """One line of an order; ``price_minor`` in minor units of the order's currency."""

    sku: str
    name: str
    quantity: int
    price_minor: int


@dataclass(frozen=True, slots=True)
class Buyer:
    """Who bought, as the shop knows them."""

    id: str
    name: str
    phone: str = ""
    birthday: str = ""


@dataclass(frozen=True, slots=True)
class OrderSnapshot:
    """An order as one event tells it."""

    external_id: str
    buyer: Buyer
    items: tuple[OrderItem, ...]
    amount_minor: int
    currency: str
    carrier: str = ""
    tracking_no: str = ""


class OrderStatus(StrEnum):
    """Where an order stands, in rising rank (an equal time is broken by rank)."""

    CREATED = "created"
    PAID = "paid"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    RETURNED = "returned"
    REFUNDED = "refunded"
    CANCELLED = "cancelled"

    @property
    def rank(self) -> int:
        """Position in the life of an order, from 0."""
        return list(OrderStatus).index(self)


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """One thing that happened to an order, as the shop's system reports it."""

    id: str
    status: OrderStatus
    occurred_at: datetime
    order: OrderSnapshot


@dataclass(frozen=True, slots=True)
class Order:
    """订单 as stored: the newest known state."""

    id: int
    snapshot: OrderSnapshot
    contact_id: int | None
    status: OrderStatus
    occurred_at: datetime
    delivered_at: datetime | None


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


@dataclass(frozen=True, slots=True)
class Timer:
    """定时: something to do at ``due_at``. One per (kind, key)."""

    id: int
    kind: str
    key: str
    due_at: datetime
    payload: Mapping[str, Any]
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class InboxItem:
    """待处理: raw bytes as they came in, stored before they were acknowledged."""

    id: int
    source: str
    source_key: str
    lane: str
    raw: bytes
    received_at: datetime
    attempts: int


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work one lane. ``fence`` rises with each owner, so a late one is found out."""

    lane: str
    owner: str
    fence: int


class OutgoingKind(StrEnum):
    """What class of message this is; it decides what happens when a send's outcome is unknown."""

    REPLY = "reply"
    SURVEY = "survey"
    ALERT = "alert"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """待发: one message on its way out.

    Attributes:
        lane: Messages of one lane leave in order.
        speakers: Who must hold the conversation for this to leave; empty means any.
        maybe_duplicate: An earlier try's outcome is unknown and this is the second.
    """

    id: int
    dedupe_key: str
    kind: OutgoingKind
    channel: str
    lane: str
    conversation_id: int | None
    message_id: int | None
    recipient: str
    text: str
    prompt: Prompt | None
    speakers: frozenset[Speaker]
    payload: Mapping[str, Any]
    attempts: int
    maybe_duplicate: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Reply:
    """Something to say to a customer.

    Attributes:
        speakers: Checked again when it is about to leave. A bot's line leaves only while the bot
            has the word; one sentence about waiting also while the customer waits.
    """

    text: str
    prompt: Prompt | None = None
    author: Author = Author.BOT
    kind: OutgoingKind = OutgoingKind.REPLY
    speakers: frozenset[Speaker] = frozenset({Speaker.BOT})
    reason: str = ""


class Role(StrEnum):
    """What a staff member may do."""

    AGENT = "agent"
    LEAD = "lead"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class StaffMember:
    """客服."""

    id: int
    login: str
    name: str
    role: Role
    disabled: bool


@dataclass(frozen=True, slots=True)
class DeskEvent:
    """Something that the staff's screens should show. ``id`` rises, so a screen can resume."""

    id: int
    kind: str
    case_id: int | None
    conversation_id: int | None
    payload: Mapping[str, Any]
    at: datetime


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Work that failed for good until somebody replays it.

    Attributes:
        origin: ``inbox``, ``outbox`` or ``timer``.
        body: The raw text, for those who may see it.
    """

    origin: str
    id: int
    kind: str
    lane: str
    error: str
    attempts: int
    created_at: datetime
    body: str


@dataclass(frozen=True, slots=True)
class ChannelCapabilities:
    """What a channel can do; the desk asks this, never which channel it is.

    Attributes:
        stores_in_database: The customer reads from our database, so sending is part of a transaction
            and can neither fail half way nor happen twice.
        confirms_seen: The channel tells when the customer saw a message.
        buttons: Options can be shown as buttons.
        idempotency_key: A repeated send with the same key is dropped by the channel.
        reply_window: How long after the customer's last message we may write; None = always.
        replies_per_window: How many messages fit in that window; None = any.
        pulls: A bell rings and we fetch what is new.
        media: Pictures, voice and files can be carried.
    """

    stores_in_database: bool = False
    confirms_seen: bool = False
    buttons: bool = True
    idempotency_key: bool = False
    reply_window: timedelta | None = None
    replies_per_window: int | None = None
    pulls: bool = False
    media: bool = False
