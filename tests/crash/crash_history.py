"""What the outside world did and saw, as plain values: written by the driver, judged by the checker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from desk.values import OrderStatus


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
class History:
    """Everything that was done from outside, and what came of it there."""

    chats: list[ChatHistory] = field(default_factory=list)
    orders: dict[str, OrderHistory] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


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
