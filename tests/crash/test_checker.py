"""The checker finds what it is there for: each test breaks a whole history in one place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from checker import find_faults
from crash_history import (
    UNCERTAIN,
    CaseRecord,
    ChatHistory,
    History,
    Line,
    OrderHistory,
    OrderRecord,
    Records,
    Said,
)
from crash_patterns import bound_line, fits, handoff_line, reminder_line, survey_line

from desk.values import OrderStatus

NOON = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
EVENTS = {
    "e-1": (NOON, OrderStatus.SHIPPED),
    "e-2": (NOON + timedelta(hours=1), OrderStatus.DELIVERED),
}
TEXTS = [
    ("customer", "什么时候发货", "m-1"),
    ("bot", "48 小时内。", None),
    ("bot", bound_line("A-1").replace("*", ""), None),
    ("bot", survey_line("A-1"), None),
    ("customer", "1", "m-2"),
    ("bot", handoff_line("low_rating").replace("*", "HY-1001"), None),
    ("customer", "漏水", "m-3"),
]


def whole() -> tuple[History, Records]:
    """A history without a fault."""
    lines = [Line(seq, *text) for seq, text in enumerate(TEXTS, start=1)]
    chat = ChatHistory(
        "customer 1",
        "s-1",
        [
            Said("m-1", "什么时候发货", ("48 小时内。",), True),
            Said("m-2", "1", (handoff_line("low_rating"),), True),
            Said("m-3", "漏水", (), True),
        ],
        {line.seq: line for line in lines},
        lines,
        ["A-1"],
        {"A-1": (1, 1)},
        1,
    )
    order = OrderHistory("A-1", dict(EVENTS), 1, "漏水")
    record = OrderRecord(
        OrderStatus.DELIVERED,
        NOON + timedelta(hours=1),
        True,
        frozenset(EVENTS),
        1,
        1,
        "漏水",
        (("overall", "1"), ("comment", "漏水")),
        1,
        0,
    )
    records = Records(
        {"A-1": record},
        [CaseRecord("s-1", True, (1, 1))],
        {"s-1": len(lines)},
        {"inbox items wait": 0},
        {"delivered": 1, "accounted": 1, "missing": 0},
    )
    return History([chat], {"A-1": order}), records


def put(history: History, place: int, author: str, text: str) -> None:
    """Puts a line in at a place from 0 and numbers the lines anew."""
    chat = history.chats[0]
    chat.last.insert(place, Line(0, author, text))
    chat.last = [replace(line, seq=seq) for seq, line in enumerate(chat.last, start=1)]
    chat.seen = {line.seq: line for line in chat.last}


def test_a_whole_history_has_no_faults() -> None:
    assert find_faults(*whole()) == []


@pytest.mark.parametrize("place", [2, 5, 7])
def test_a_doubled_answer_is_found(place: int) -> None:
    history, records = whole()
    put(history, place, "bot", "48 小时内。")
    records.lines = {"s-1": 8}
    assert len(find_faults(history, records)) == 1


@pytest.mark.parametrize("text", [survey_line("A-1"), reminder_line("A-1"), bound_line("A-1")])
def test_a_second_survey_reminder_or_welcome_is_found(text: str) -> None:
    history, records = whole()
    for _ in range(2):
        put(history, 4, "bot", text)
    records.lines = {"s-1": 9}
    assert len(find_faults(history, records)) == 1


@pytest.mark.parametrize("place", range(len(TEXTS)))
def test_any_lost_line_is_found(place: int) -> None:
    history, records = whole()
    del history.chats[0].last[place]
    assert find_faults(history, records)


@pytest.mark.parametrize("place", [0, 1, 2, 3, 4, 5, 6])
def test_a_line_that_was_never_stored_is_found_though_the_rest_is_numbered_well(place: int) -> None:
    history, records = whole()
    chat = history.chats[0]
    del chat.last[place]
    chat.last = [replace(line, seq=seq) for seq, line in enumerate(chat.last, start=1)]
    chat.seen = {line.seq: line for line in chat.last}
    records.lines = {"s-1": 6}
    assert find_faults(history, records)


def test_swapped_messages_are_found() -> None:
    history, records = whole()
    lines = history.chats[0].last
    lines[4], lines[6] = replace(lines[6], seq=5), replace(lines[4], seq=7)
    history.chats[0].seen = {line.seq: line for line in lines}
    assert any("another order" in fault for fault in find_faults(history, records))


def test_a_line_that_changed_after_it_was_shown_is_found() -> None:
    history, records = whole()
    history.chats[0].seen[2] = Line(2, "bot", "24 小时内。")
    assert find_faults(history, records) == ["customer 1: line 2 was seen and is another one now, or gone"]


def _with_order(**changes: object) -> Callable[[Records], None]:
    def change(records: Records) -> None:
        records.orders = {"A-1": replace(records.orders["A-1"], **changes)}  # type: ignore[arg-type]

    return change


def _set(name: str, value: object) -> Callable[[Records], None]:
    def change(records: Records) -> None:
        setattr(records, name, value)

    return change


CASE = CaseRecord("s-1", True, (1, 1))


@pytest.mark.parametrize(
    "change",
    [
        _with_order(surveys=2),
        _with_order(surveys=0),
        _with_order(status=OrderStatus.SHIPPED),
        _with_order(occurred_at=NOON),
        _with_order(delivered=False),
        _with_order(event_ids=frozenset({"e-1"})),
        _with_order(event_ids=frozenset({"e-1", "e-2", "e-3"})),
        _with_order(rating=None),
        _with_order(answers=(("overall", "1"), ("overall", "1"), ("comment", "漏水"))),
        _with_order(answers=(("overall", "1"),)),
        _with_order(feedback=2),
        _with_order(unscored=1),
        _set("orders", {}),
        _set("cases", []),
        _set("cases", [CASE, CASE]),
        _set("cases", [replace(CASE, first_alerts=(2, 1))]),
        _set("cases", [replace(CASE, first_alerts=(0, 0))]),
        _set("accounting", {"delivered": 2, "accounted": 1, "missing": 0}),
        _set("accounting", {"delivered": 1, "accounted": 1, "missing": 1}),
        _set("unfinished", {UNCERTAIN: 1}),
        _set("integrity", ["row 7 missing from index ix_inbox_lane"]),
        _set("lines", {"s-1": 8}),
    ],
)
def test_a_broken_record_is_found(change: Callable[[Records], None]) -> None:
    history, records = whole()
    change(records)
    assert find_faults(history, records)


def test_faults_seen_on_the_way_are_told() -> None:
    history, records = whole()
    history.chats[0].faults.append("after line 3 came line 5")
    history.faults.append("an event came again and was taken for new")
    assert len(find_faults(history, records)) == 2


def test_patterns() -> None:
    assert fits("工单 *。", "工单 HY-1。")
    assert fits("*完", "完")
    assert not fits("ab*ba", "aba")
    assert not fits("工单 *。", "工单 HY-1")
    assert not fits("好", "好的")
