"""What the outside world did and saw, as plain values: written by the driver, judged by the checker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from desk.values import OrderStatus

UNCERTAIN = "outbox rows are uncertain"
"""What ``Records.unfinished`` calls them; on Telegram a death may be the reason."""


LATER = "later"
"""The state of a row that may not leave yet."""


@dataclass(slots=True)
class Said:
    """One message of a customer.

    Attributes:
        answers: Patterns of the lines that must come in answer, each once and in this order.
        acknowledged: Whether a 202 came.
    """

    client_msg_id: str
    text: str
    answers: tuple[str, ...] = ()
    acknowledged: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a customer's screen."""

    seq: int
    author: str
    text: str
    client_msg_id: str | None = None


@dataclass(slots=True)
class ChatHistory:
    """One customer's conversation.

    Attributes:
        session: The public name of the web chat's session; ``telegram:`` and the user's number there.
        said: In the order in which it was sent; each was acknowledged before the next was sent.
        seen: Lines by seq as they came, over all connections and lives.
        last: The whole conversation as a reader sees it who comes at the very end.
        orders: Whose link the customer opened.
        surveys: By order, how many questions and reminders must be on the screen: (fewest, most).
        cases: How many cases the customer's words must have opened.
        faults: What was wrong already while it happened.
    """

    name: str
    session: str = ""
    said: list[Said] = field(default_factory=list)
    seen: dict[int, Line] = field(default_factory=dict)
    last: list[Line] = field(default_factory=list)
    orders: list[str] = field(default_factory=list)
    surveys: dict[str, tuple[int, int]] = field(default_factory=dict)
    cases: int = 0
    faults: list[str] = field(default_factory=list)
    channel: str = "webchat"


@dataclass(slots=True)
class OrderHistory:
    """One order as the shop told of it.

    Attributes:
        events: Acknowledged events by id, with the time they occurred and the status.
        rating: What the customer answered to the survey, if it was asked; ``comment`` likewise.
        answered: Whether the customer had the chance to answer.
    """

    external_id: str
    events: dict[str, tuple[datetime, OrderStatus]] = field(default_factory=dict)
    rating: int | None = None
    comment: str | None = None


@dataclass(slots=True)
class Update:
    """One update as Telegram knows it.

    Attributes:
        confirmed: Whether the bot acknowledged it: by a higher offset, or with 2xx.
        variants: In how many different bytes it was delivered; the same bytes again count once.
    """

    confirmed: bool = False
    variants: int = 1


@dataclass(frozen=True, slots=True)
class Shown:
    """A message that the bot wrote and Telegram showed; ``at`` in seconds since 1970."""

    text: str
    at: float


@dataclass(slots=True)
class TelegramHistory:
    """What passed between the bot and Telegram, as Telegram saw it.

    Attributes:
        updates: By number.
        shown: By chat, in the order in which it appeared, every copy.
        edits: By session, (message, new text) of each edit.
        taps: The query of every tap, by session.
        notices: How often each tap was answered, by query.
        relayed: Customers' words that staff must see in the group, in this order.
        topics: How many topics were made.
        deaths: When lives ended by kill -9, in seconds since 1970.
    """

    updates: dict[int, Update] = field(default_factory=dict)
    shown: dict[int, list[Shown]] = field(default_factory=dict)
    edits: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    taps: dict[str, list[str]] = field(default_factory=dict)
    notices: dict[str, int] = field(default_factory=dict)
    relayed: list[str] = field(default_factory=list)
    topics: int = 0
    deaths: list[float] = field(default_factory=list)


@dataclass(slots=True)
class History:
    """Everything that was done from outside, and what came of it there."""

    chats: list[ChatHistory] = field(default_factory=list)
    orders: dict[str, OrderHistory] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    telegram: TelegramHistory | None = None


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """An order as the database has it. ``surveys`` counts its survey rows."""

    status: OrderStatus
    occurred_at: datetime
    delivered: bool
    event_ids: frozenset[str]
    surveys: int
    rating: int | None
    comment: str | None
    answers: tuple[tuple[str, str], ...]
    feedback: int
    unscored: int


@dataclass(frozen=True, slots=True)
class CaseRecord:
    """A case as the database has it. ``first_alerts`` counts alerts of rung 0, as told and as recorded."""

    session: str
    is_open: bool
    first_alerts: tuple[int, int]


@dataclass(frozen=True, slots=True)
class OutgoingRecord:
    """One row of the outbox to Telegram.

    Attributes:
        chat: To whom; 0 for the answer to a tap.
        lane: Rows of one lane leave in the order in which they lie here.
        state: Where it ended.
        twice: Whether it was tried once more after a try of unknown outcome.
        text: What it says, where that is known to the database.
        error: Why it failed, at its last try.
        called_at: When its last try began, in seconds since 1970; 0 if it was never tried.
        ended_at: When it ended; 0 if it did not.
    """

    chat: int
    lane: str
    kind: str
    state: str
    twice: bool
    text: str = ""
    called_at: float = 0.0
    ended_at: float = 0.0
    error: str = ""


@dataclass(slots=True)
class TelegramRecords:
    """What the database holds of Telegram.

    Attributes:
        updates: By number, the states of its rows in the inbox.
        lines: By session, everything that was said, in order of ``seq``; edits are not among it.
        edits: By session, (message, new text).
        outgoing: In the order in which it was decided.
    """

    updates: dict[str, list[str]] = field(default_factory=dict)
    lines: dict[str, list[Line]] = field(default_factory=dict)
    edits: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    outgoing: list[OutgoingRecord] = field(default_factory=list)


@dataclass(slots=True)
class Records:
    """What the stopped server left in its database.

    Attributes:
        lines: By session, how many lines have a seq.
        unfinished: By table, how many rows wait that should not.
        accounting: Of surveys: ``delivered``, ``accounted`` and ``missing``.
        integrity: What SQLite's own checks say, other than ok.
    """

    orders: Mapping[str, OrderRecord] = field(default_factory=dict)
    cases: list[CaseRecord] = field(default_factory=list)
    lines: Mapping[str, int] = field(default_factory=dict)
    unfinished: Mapping[str, int] = field(default_factory=dict)
    accounting: Mapping[str, int] = field(default_factory=dict)
    integrity: list[str] = field(default_factory=list)
    telegram: TelegramRecords | None = None
