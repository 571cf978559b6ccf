"""The staff room (客服群): a chat outside the console in which staff see cases and talk to customers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from desk.values.care import Case
from desk.values.orders import Order
from desk.values.people import Contact
from desk.values.talk import Conversation, Message


class RoomLineKind(StrEnum):
    """What a line in the staff room is to the desk."""

    CARD = "card"
    RELAYED = "relayed"
    """Words of the customer (or of the desk to the customer), shown to staff."""
    SAID = "said"
    """A staff member's own line, which went to the customer."""
    NOTE_PROMPT = "note_prompt"
    """Our question for an internal note; a reply to it is the note."""
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class RoomThread:
    """The topic of one conversation in one staff room.

    Attributes:
        room: The channel's id of the chat, as text.
        thread_id: The channel's id of the topic.
    """

    room: str
    conversation_id: int
    thread_id: str


@dataclass(frozen=True, slots=True)
class RoomLine:
    """A line in the staff room and what it stands for.

    Attributes:
        room: The channel's id of the chat, as text.
        provider_id: The channel's id of the line in that chat.
        message_id: The message that it shows, or that it became; several lines of the customer that were
            joined into one line there are several of these with one ``provider_id``.
        token: 22 random characters on the buttons of a card; they authorise nothing by themselves.
    """

    room: str
    provider_id: str
    kind: RoomLineKind
    conversation_id: int
    case_id: int | None = None
    message_id: int | None = None
    token: str = ""


@dataclass(frozen=True, slots=True)
class CaseView:
    """Everything that a card shows of a case, as it is now.

    Attributes:
        orders: Of the contact, newest first, a few.
        spent_minor: Sum of the amounts of all the contact's orders that were not refunded or cancelled, by
            ISO 4217 currency, in minor units.
        lines: The newest lines, oldest first, whoever wrote them.
        last_staff_line: The newest line that a person wrote to the customer, or None.
        reachable: False when the customer blocked us or is gone.
        notes: How many internal notes the case has.
    """

    case: Case
    conversation: Conversation
    contact: Contact
    orders: Sequence[Order]
    spent_minor: Sequence[tuple[str, int]]
    lines: Sequence[Message]
    last_staff_line: Message | None
    reachable: bool
    notes: int
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class LinkCode:
    """A code that makes a channel's user act as a staff member. Works once, until ``expires_at``."""

    code: str
    expires_at: datetime
