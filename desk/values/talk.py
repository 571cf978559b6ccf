"""Who talks, what is said, and what may answer it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Any

from desk.values.attachments import Attachment


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
        attachments: What came with the words; ``text`` is then the caption and may be empty.
        edits_message_id: The message that this one corrects; the text there stays as it was.
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
    attachments: tuple[Attachment, ...] = ()
    edits_message_id: int | None = None


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


class OutgoingKind(StrEnum):
    """What class of message this is; it decides what happens when a send's outcome is unknown.

    ``REPLY`` is sent once more, ``SURVEY`` never again, ``ALERT`` (to staff) again until acknowledged.
    ``RELAY``, a line of the talk shown to staff, is sent once more; queued ones of a lane leave joined.
    ``NOTICE`` (the answer to a tap, a card brought up to date) is worth one try of unknown outcome and
    is never a dead letter.
    """

    REPLY = "reply"
    SURVEY = "survey"
    ALERT = "alert"
    RELAY = "relay"
    NOTICE = "notice"


class SendRank(IntEnum):
    """What leaves first when not everything may leave now. Within a lane the order is never changed."""

    FIRST = 0
    """Replies to customers, new cases to staff, answers to taps."""
    REPEAT = 1
    """A case that still waits, told to staff again."""
    RELAYED = 2
    """Lines of a talk, shown to staff."""
    UPDATE = 3
    """What is shown already, brought up to date. Staff look at it, so it does not wait for a broadcast."""
    BROADCAST = 4
    """Surveys and whatever else nobody waits for."""


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
    attachments: tuple[Attachment, ...] = ()
    edits_message_id: int | None = None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """待发: one message on its way out.

    Attributes:
        lane: Messages of one lane leave in order.
        speakers: Who must hold the conversation for this to leave; empty means any.
        maybe_duplicate: An earlier try's outcome is unknown and this is the second.
        edits_message_id: The message to the customer that this one corrects.
        edits_provider_id: What the channel called that message when it took it; empty if it did not.
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
    rank: SendRank = SendRank.FIRST
    attachments: tuple[Attachment, ...] = ()
    edits_message_id: int | None = None
    edits_provider_id: str = ""


@dataclass(frozen=True, slots=True)
class ChannelUser:
    """Who wrote, as the channel knows them. All but the ids is the customer's own claim.

    Attributes:
        external_id: The channel's opaque id of the user.
        name: What they call themselves; may be empty or hostile.
        language: BCP 47 tag, or empty.
    """

    channel: str
    external_id: str
    name: str = ""
    language: str = ""


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
        edits: A line that was sent can be changed afterwards.
    """

    stores_in_database: bool = False
    confirms_seen: bool = False
    buttons: bool = True
    idempotency_key: bool = False
    reply_window: timedelta | None = None
    replies_per_window: int | None = None
    pulls: bool = False
    media: bool = False
    edits: bool = False
