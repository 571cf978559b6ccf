"""The checker finds what goes wrong on Telegram: each test breaks a whole history in one place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from checker import find_faults
from crash_history import (
    LATER,
    UNCERTAIN,
    CaseRecord,
    ChatHistory,
    History,
    Line,
    OutgoingRecord,
    Records,
    Said,
    Shown,
    TelegramHistory,
    TelegramRecords,
    Update,
)
from crash_patterns import bound_line, handoff_line, reminder_line, survey_line

ME, GROUP = 7, -100
SESSION = f"telegram:{ME}"
LANE = "conversation:1"
QUESTION, ANSWER = "什么时候发货", "48 小时内。"
BOUND = bound_line("A-1").replace("*", "")
ASKED = survey_line("A-1")
HANDED = handoff_line("asked_for_person").replace("*", "HY-1001")
CARD, RELAYED = "🔵 HY-1001 普通", "客户：杯盖拧不开"
Change = Callable[[History, Records], None]


def whole() -> tuple[History, Records]:
    """A history without a fault: a life died just after it had sent the first answer."""
    chat = ChatHistory(
        "Telegram 7",
        SESSION,
        [
            Said("7:1", QUESTION, (ANSWER,), True),
            Said("tap:q", "转人工", (HANDED,), True),
            Said("7:9", "杯盖拧不开", (), True),
        ],
        orders=["A-1"],
        surveys={"A-1": (1, 1)},
        cases=1,
        channel="telegram",
    )
    seen = TelegramHistory(
        updates={101: Update(True), 102: Update(True, 2), 103: Update(True), 104: Update(True)},
        shown={
            ME: [
                Shown(ANSWER, 10.0),
                Shown(ANSWER, 12.0),
                Shown(BOUND, 13.0),
                Shown(ASKED, 14.0),
                Shown(HANDED, 20.0),
            ],
            GROUP: [Shown(CARD, 21.0), Shown(RELAYED, 25.0)],
        },
        edits={SESSION: [("7:1", "什么时候发货 谢谢")]},
        taps={SESSION: ["q"]},
        notices={"q": 1},
        relayed=["杯盖拧不开"],
        topics=1,
        deaths=[10.5],
    )
    said = [
        ("customer", QUESTION, "7:1"),
        ("bot", ANSWER, None),
        ("bot", BOUND, None),
        ("bot", ASKED, None),
        ("customer", "转人工", "tap:q"),
        ("bot", HANDED, None),
        ("customer", "杯盖拧不开", "7:9"),
    ]
    stored = TelegramRecords(
        updates={"101": ["done"], "102": ["done", "done"], "103": ["done"], "104": ["done"]},
        lines={SESSION: [Line(seq, *line) for seq, line in enumerate(said, start=1)]},
        edits={SESSION: [("7:1", "什么时候发货 谢谢")]},
        outgoing=[
            OutgoingRecord(ME, LANE, "reply", "sent", True, ANSWER, 12.0, 12.1),
            OutgoingRecord(ME, LANE, "reply", "sent", False, BOUND, 13.0, 13.1),
            OutgoingRecord(ME, LANE, "survey", "sent", False, ASKED, 14.0, 14.1),
            OutgoingRecord(0, "tap:q", "notice", "sent", False, "", 19.0, 19.1),
            OutgoingRecord(ME, LANE, "reply", "sent", False, HANDED, 20.0, 20.1),
            OutgoingRecord(GROUP, "room:-100:1", "alert", "sent", False, "", 21.0, 21.1),
            OutgoingRecord(GROUP, "room:-100:1", "relay", "sent", False, "", 25.0, 25.1),
        ],
    )
    records = Records(
        cases=[CaseRecord(SESSION, True, (1, 1))],
        unfinished={"inbox items wait": 0, UNCERTAIN: 0},
        accounting={"delivered": 1, "accounted": 1, "missing": 0},
        telegram=stored,
    )
    return History([chat], telegram=seen), records


def test_a_whole_history_has_no_faults() -> None:
    assert find_faults(*whole()) == []


def seen_of(history: History) -> TelegramHistory:
    assert history.telegram is not None
    return history.telegram


def stored_of(records: Records) -> TelegramRecords:
    assert records.telegram is not None
    return records.telegram


def loses_update(history: History, records: Records) -> None:
    del stored_of(records).updates["101"]


def stores_update_twice(history: History, records: Records) -> None:
    stored_of(records).updates["101"].append("done")


def stores_update_thrice_for_two_deliveries(history: History, records: Records) -> None:
    stored_of(records).updates["102"].append("done")


def leaves_update(history: History, records: Records) -> None:
    stored_of(records).updates["101"][0] = "ready"


def buries_update(history: History, records: Records) -> None:
    stored_of(records).updates["101"][0] = "dead"


def invents_update(history: History, records: Records) -> None:
    stored_of(records).updates["999"] = ["done"]


def never_confirms(history: History, records: Records) -> None:
    seen_of(history).updates[101].confirmed = False


def loses_line(place: int) -> Change:
    def change(history: History, records: Records) -> None:
        del stored_of(records).lines[SESSION][place]

    change.__name__ = f"loses_line_{place}"
    return change


def doubles_line(place: int) -> Change:
    def change(history: History, records: Records) -> None:
        lines = stored_of(records).lines[SESSION]
        lines.insert(place, lines[place])

    change.__name__ = f"doubles_line_{place}"
    return change


def swaps_messages(history: History, records: Records) -> None:
    lines = stored_of(records).lines[SESSION]
    lines[4], lines[6] = lines[6], lines[4]


def loses_edit(history: History, records: Records) -> None:
    stored_of(records).edits[SESSION].clear()


def doubles_edit(history: History, records: Records) -> None:
    stored_of(records).edits[SESSION] *= 2


def hides(place: int) -> Change:
    def change(history: History, records: Records) -> None:
        text = seen_of(history).shown[ME][place].text
        shown = seen_of(history).shown
        shown[ME] = [each for each in shown[ME] if each.text != text]

    change.__name__ = f"hides_{place}"
    return change


def shows_again(place: int) -> Change:
    """A copy without a death and without a second try."""

    def change(history: History, records: Records) -> None:
        lines = seen_of(history).shown[ME]
        lines.insert(place, replace(lines[place], at=lines[place].at + 0.5))

    change.__name__ = f"shows_again_{place}"
    return change


def shows_third_copy(history: History, records: Records) -> None:
    seen_of(history).shown[ME].insert(2, Shown(ANSWER, 12.5))
    seen_of(history).deaths.append(12.2)


def nobody_had_died(history: History, records: Records) -> None:
    seen_of(history).deaths.clear()


def died_long_after(history: History, records: Records) -> None:
    shown = seen_of(history).shown[ME]
    shown[0] = replace(shown[0], at=2.0)


def swaps_answers(history: History, records: Records) -> None:
    shown = seen_of(history).shown[ME]
    shown[2], shown[4] = shown[4], shown[2]


def says_what_nobody_decided(history: History, records: Records) -> None:
    seen_of(history).shown[ME].append(Shown("您好", 30.0))


def asks_twice_after_a_death(history: History, records: Records) -> None:
    """Even a death is no excuse for a second survey."""
    seen_of(history).shown[ME].insert(4, Shown(ASKED, 15.0))
    seen_of(history).deaths.append(14.5)
    rows = stored_of(records).outgoing
    rows[2] = replace(rows[2], twice=True)


def tries_survey_twice(history: History, records: Records) -> None:
    rows = stored_of(records).outgoing
    rows[2] = replace(rows[2], twice=True)


def reminds_twice(history: History, records: Records) -> None:
    for number in range(2):
        seen_of(history).shown[ME].append(Shown(reminder_line("A-1"), 40.0 + number))
        row = OutgoingRecord(ME, LANE, "survey", "sent", False, reminder_line("A-1"), 40.0, 40.1)
        stored_of(records).outgoing.append(row)


def ends(place: int, state: str) -> Change:
    def change(history: History, records: Records) -> None:
        rows = stored_of(records).outgoing
        rows[place] = replace(rows[place], state=state)

    change.__name__ = f"ends_{place}_{state}"
    return change


def leaves_tap(history: History, records: Records) -> None:
    seen_of(history).notices.clear()


def answers_tap_twice(history: History, records: Records) -> None:
    seen_of(history).notices["q"] = 2


def shows_no_card(history: History, records: Records) -> None:
    del seen_of(history).shown[GROUP][0]


def shows_card_twice(history: History, records: Records) -> None:
    seen_of(history).shown[GROUP].insert(0, Shown(CARD, 20.9))


def relays_nothing(history: History, records: Records) -> None:
    del seen_of(history).shown[GROUP][1]


def relays_twice(history: History, records: Records) -> None:
    seen_of(history).shown[GROUP].append(Shown(RELAYED, 26.0))


def relays_in_another_order(history: History, records: Records) -> None:
    seen_of(history).relayed.append("还漏水")
    seen_of(history).shown[GROUP].insert(1, Shown("客户：还漏水", 24.0))


def makes_topics(history: History, records: Records) -> None:
    seen_of(history).topics = 3


def opens_no_case(history: History, records: Records) -> None:
    records.cases.clear()


def stores_nothing(history: History, records: Records) -> None:
    records.telegram = None


@pytest.mark.parametrize(
    "change",
    [
        loses_update,
        stores_update_twice,
        stores_update_thrice_for_two_deliveries,
        leaves_update,
        buries_update,
        invents_update,
        never_confirms,
        *(loses_line(place) for place in (0, 1, 4, 5, 6)),
        *(doubles_line(place) for place in (0, 1, 4, 5, 6)),
        swaps_messages,
        loses_edit,
        doubles_edit,
        *(hides(place) for place in (0, 2, 3, 4)),
        *(shows_again(place) for place in (0, 2, 3, 4)),
        shows_third_copy,
        nobody_had_died,
        died_long_after,
        swaps_answers,
        says_what_nobody_decided,
        asks_twice_after_a_death,
        tries_survey_twice,
        reminds_twice,
        *(ends(place, "uncertain") for place in range(7)),
        *(ends(place, "dead") for place in range(7)),
        *(ends(place, "queued") for place in range(7)),
        ends(1, "withheld"),
        ends(2, "unreachable"),
        leaves_tap,
        answers_tap_twice,
        shows_no_card,
        shows_card_twice,
        relays_nothing,
        relays_twice,
        relays_in_another_order,
        makes_topics,
        opens_no_case,
        stores_nothing,
    ],
    ids=lambda change: change.__name__,
)
def test_a_broken_history_is_found(change: Change) -> None:
    history, records = whole()
    change(history, records)
    assert find_faults(history, records)


def test_a_survey_in_doubt_is_no_fault_when_a_life_died_over_it() -> None:
    history, records = whole()
    rows = stored_of(records).outgoing
    rows[2] = replace(rows[2], state="uncertain")
    records.unfinished = {UNCERTAIN: 1}
    seen_of(history).deaths.append(14.05)
    lines = stored_of(records).lines
    lines = {SESSION: [line for line in lines[SESSION] if line.text != ASKED]}
    stored_of(records).lines = lines
    assert find_faults(history, records) == []
    seen_of(history).shown[ME] = [each for each in seen_of(history).shown[ME] if each.text != ASKED]
    assert find_faults(history, records) == [], "nor when it never arrived"


def test_a_notice_in_doubt_is_no_fault_when_a_life_died_over_it() -> None:
    history, records = whole()
    rows = stored_of(records).outgoing
    rows[3] = replace(rows[3], state="uncertain")
    seen_of(history).deaths.append(19.05)
    for times in (0, 1):
        seen_of(history).notices["q"] = times
        assert find_faults(history, records) == []


def test_an_answer_that_arrived_and_was_then_withheld_is_an_answer() -> None:
    history, records = whole()
    rows = stored_of(records).outgoing
    rows[4] = replace(rows[4], state="withheld", twice=True)
    stored_of(records).lines[SESSION] = [
        line for line in stored_of(records).lines[SESSION] if line.text != HANDED
    ]
    assert find_faults(history, records) == []
    del seen_of(history).shown[ME][4]
    assert find_faults(history, records), "nobody saw it"


@pytest.mark.parametrize(("kind", "faults"), [("notice", 0), ("relay", 1)])
def test_only_a_notice_may_still_have_to_wait(kind: str, faults: int) -> None:
    history, records = whole()
    late = OutgoingRecord(GROUP, "room:-100:1", kind, LATER, False)
    stored_of(records).outgoing.append(late)
    assert len(find_faults(history, records)) == faults
