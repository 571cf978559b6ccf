"""The pace of the sender: never above the limits wherever one looks, and nobody waits without need."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sending_rig import ROOM, Desk, PlainRoom, play_sending

from bot.telegram.pace import OVERALL, PER_GROUP, PRIVATE_BURST, TelegramPace
from desk.values import OutgoingKind, SendRank

CUSTOMERS = ["5", "6", "7"]
WAITS = 9_999_999
"""The one customer who just wrote; nobody waits for what the others get."""
GROUP = "-100"
FULL = os.environ.get("HUIYIN_TEST_FULL_PACE") == "1"


class Seconds:
    """A clock without dates."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Made:
    """A call, and when Telegram saw it: somewhere between its beginning and its answer."""

    recipient: str
    began: float
    share: float
    seen: float = 0.0


def densest(moments: list[float], seconds: float) -> int:
    """The most in any stretch that begins with one of them; stretches are half open."""
    ordered = sorted(moments)
    return max(
        (sum(1 for other in ordered if at <= other < at + seconds - 1e-6) for at in ordered), default=0
    )


def check(calls: list[Made]) -> None:
    """Whether an observer at Telegram ever counts more than the limits."""
    assert densest([call.seen for call in calls], 1.0) <= OVERALL
    for recipient in {call.recipient for call in calls if call.recipient}:
        seen = sorted(call.seen for call in calls if call.recipient == recipient)
        if recipient.startswith("-"):
            assert densest(seen, 60.0) <= PER_GROUP
            continue
        for first in range(len(seen)):
            for last in range(first, len(seen)):
                assert last - first + 1 <= PRIVATE_BURST + seen[last] - seen[first] + 1e-6


steps = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), st.sampled_from([*CUSTOMERS, GROUP, "", *map(str, range(20, 50))])),
        st.tuples(st.just("end"), st.integers(0, 30)),
        st.tuples(st.just("wait"), st.sampled_from([0.0, 0.001, 0.01, 0.05, 0.3, 0.9, 1.0, 2.0, 30.0])),
        st.tuples(st.sampled_from(["patience", "end all"]), st.none()),
    ),
    max_size=150,
)


@settings(max_examples=300, deadline=None)
@given(steps, st.lists(st.floats(0, 1), min_size=1))
def test_wherever_between_beginning_and_answer_a_call_is_seen_no_limit_is_passed(
    plan: list[tuple[str, object]], shares: list[float]
) -> None:
    clock = Seconds()
    pace = TelegramPace(clock)
    under_way: list[Made] = []
    done: list[Made] = []

    def end(call: Made) -> None:
        under_way.remove(call)
        call.seen = call.began + (clock.now - call.began) * call.share
        pace.end(call.recipient)
        done.append(call)

    for kind, value in plan:
        if kind == "begin":
            recipient = str(value)
            # Answers to taps come in bursts, as many as the pace allows; others one at a time.
            for _ in range(1 if recipient else 30):
                if pace.room() <= 0 or recipient in pace.held():
                    break
                pace.begin(recipient)
                under_way.append(Made(recipient, clock.now, shares[len(done) % len(shares)]))
        elif kind == "end" and under_way:
            assert isinstance(value, int)
            end(under_way[value % len(under_way)])
        elif kind == "wait":
            assert isinstance(value, float)
            clock.now += value
        elif kind == "patience":
            clock.now += pace.next_change().total_seconds()
        elif kind == "end all":
            while under_way:
                end(under_way[0])
    while under_way:
        end(under_way[0])
    check(done)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([GROUP, *CUSTOMERS]), st.floats(0, 1.5), st.floats(0, 1)), max_size=60)
)
def test_slow_answers_and_impatience_pass_no_limit_either(plan: list[tuple[str, float, float]]) -> None:
    clock = Seconds()
    pace = TelegramPace(clock)
    done: list[Made] = []
    for recipient, answered_after, share in plan:
        while pace.room() <= 0 or recipient in pace.held():
            wait = pace.next_change()
            assert wait > timedelta(0), "held back, but nothing will ever change"
            clock.now += wait.total_seconds()
        pace.begin(recipient)
        assert recipient in pace.held(), "one call at a time"
        began = clock.now
        clock.now += answered_after
        pace.end(recipient)
        done.append(Made(recipient, began, share, began + answered_after * share))
    check(done)


def test_a_person_gets_three_at_once_and_then_one_a_second() -> None:
    clock = Seconds()
    pace = TelegramPace(clock)
    began = []
    for _ in range(6):
        while "5" in pace.held():
            clock.now += pace.next_change().total_seconds()
        pace.begin("5")
        began.append(round(clock.now - 1000, 3))
        pace.end("5")
    assert began == [0, 0, 0, 1, 2, 3]


def test_a_group_gets_twenty_and_then_nothing_until_a_minute_after_the_first_answer() -> None:
    clock = Seconds()
    pace = TelegramPace(clock)
    for _ in range(PER_GROUP):
        assert GROUP not in pace.held()
        pace.begin(GROUP)
        clock.now += 0.5
        pace.end(GROUP)
    assert GROUP in pace.held()
    assert pace.room() == OVERALL - 2, "two were answered within the last second"
    clock.now = 1000.5 + 60 - 0.001
    assert GROUP in pace.held()
    clock.now += 0.001
    assert GROUP not in pace.held()


def test_what_nobody_waits_for_leaves_room_for_a_reply() -> None:
    clock = Seconds()
    pace = TelegramPace(clock)
    assert pace.room(SendRank.BROADCAST) == 8
    for number in range(8):
        pace.begin(str(number))
        pace.end(str(number))
    assert (pace.room(SendRank.BROADCAST), pace.room(SendRank.FIRST)) == (0, OVERALL - 8)
    assert abs(pace.next_change() - timedelta(seconds=4 / OVERALL)) <= timedelta(milliseconds=1)
    clock.now += pace.next_change().total_seconds()
    assert pace.room(SendRank.BROADCAST) == 4


def test_a_demanded_wait_is_kept_to_the_millisecond_and_three_of_them_stop_everything() -> None:
    clock = Seconds()
    pace = TelegramPace(clock)
    pace.hold("5", timedelta(seconds=7))
    assert pace.held() == {"5"}
    assert abs(pace.next_change() - timedelta(seconds=7)) <= timedelta(milliseconds=1)
    clock.now += 6.999
    assert (pace.held(), pace.room()) == ({"5"}, OVERALL)
    clock.now += 0.001
    assert pace.held() == frozenset()
    for recipient in ("5", "6", "7"):
        pace.hold(recipient, timedelta(seconds=3))
    assert pace.room() == 0
    clock.now += 3
    assert (pace.room(), pace.held()) == (OVERALL, frozenset())
    pace.hold(None, timedelta(seconds=60))
    assert pace.room() == 0
    assert abs(pace.next_change() - timedelta(seconds=60)) <= timedelta(milliseconds=1)


def test_calls_of_the_process_before_count() -> None:
    clock = Seconds()
    pace = TelegramPace(clock)
    for number in range(PER_GROUP):
        pace.recall(GROUP, timedelta(seconds=50 - number))
    for _ in range(3):
        pace.recall("5", timedelta(seconds=0.4))
    assert pace.held() == {GROUP, "5"}
    assert pace.room() == OVERALL - 3
    clock.now += 0.6
    assert pace.held() == {GROUP}
    clock.now += 9.4
    assert pace.held() == frozenset()


def test_nothing_held_back_needs_no_waiting() -> None:
    clock = Seconds()
    pace = TelegramPace(clock)
    pace.begin("5")
    pace.end("5")
    pace.begin("")
    pace.end("")
    assert (pace.next_change(), pace.room(), pace.held()) == (timedelta(0), OVERALL - 2, frozenset())


# --- Seen from outside ------------------------------------------------------------------------------------


def watched(desk: Desk) -> None:
    """What the stand-in wrote down keeps to every limit."""
    calls = [call for call in desk.api.calls() if call.method == "sendMessage"]
    assert desk.api.early_calls() == []
    assert [call for call in calls if call.status != 200] == []
    assert densest([call.at for call in calls], 1.0) <= OVERALL
    for chat in {call.chat for call in calls}:
        moments = sorted(call.at for call in calls if call.chat == chat)
        for first, at in enumerate(moments):
            for last in range(first, min(first + 10, len(moments))):
                assert last - first + 1 <= PRIVATE_BURST + moments[last] - at + 1e-3


@pytest.mark.timeout(900)
def test_a_long_queue_leaves_at_almost_the_limit_in_order_and_a_reply_overtakes_it(tmp_path: Path) -> None:
    customers, each = (1000, 10) if FULL else (100, 3)

    async def story(desk: Desk) -> None:
        for number in range(1, customers + 1):
            desk.api.user(number).starts()
        desk.api.user(WAITS).starts()
        for line in range(each):
            await desk.say_all(
                [(number, f"{line}") for number in range(1, customers + 1)], OutgoingKind.SURVEY
            )
        desk.start()
        delays = []
        for turn in range(20 if FULL else 6):
            await asyncio.sleep(1.37)
            asked_at = time.monotonic()
            await desk.say(WAITS, f"回复 {turn}")
            await desk.api.until(lambda turn=turn: len(desk.api.calls(chat=WAITS)) > turn)
            delays.append(desk.api.calls(chat=WAITS)[-1].at - asked_at)
        while {"queued", "sending"} & set(await desk.states()):
            await asyncio.sleep(0.5)
        calls = desk.api.calls("sendMessage")
        rate = (len(calls) - 1) / (calls[-1].at - calls[0].at)
        print(f"\n{len(calls)} messages, {rate:.2f}/s, a reply after at most {max(delays) * 1000:.0f} ms")
        assert len(calls) == customers * each + len(delays)
        assert rate >= 22
        assert max(delays) <= 1.0
        for number in range(1, customers + 1):
            said = [seen.text for seen in desk.api.user(number).sees(by_bot=True)]
            assert said == [f"{line}" for line in range(each)]
        watched(desk)

    play_sending(tmp_path, story, runs=False)


@pytest.mark.parametrize("who", ["a customer who is asked as well", "staff who look at a card"])
def test_a_broadcast_keeps_nobody_waiting_who_looks_at_the_screen(tmp_path: Path, who: str) -> None:
    async def story(desk: Desk) -> None:
        for number in range(1, 101):
            desk.api.user(number).starts()
        await desk.say_all([(number, "满意吗") for number in range(1, 101)], OutgoingKind.SURVEY)
        desk.start()
        await asyncio.sleep(0.3)
        asked_at = time.monotonic()
        if who.startswith("staff"):
            await desk.tell_staff(1, OutgoingKind.NOTICE, SendRank.UPDATE)
            await desk.api.until(lambda: desk.api.group(ROOM).sees(by_bot=True))
        else:
            await desk.say(100, "您好")
            await desk.api.until(lambda: len(desk.api.user(100).sees(by_bot=True)) == 2)
            assert [seen.text for seen in desk.api.user(100).sees(by_bot=True)] == ["满意吗", "您好"]
        assert time.monotonic() - asked_at < 1
        assert "queued" in await desk.states(), "the broadcast still goes on"

    play_sending(tmp_path, story, room=PlainRoom(), runs=False)


def test_a_group_gets_what_matters_first_and_never_a_429(tmp_path: Path) -> None:
    """Thirty new cases, and for each one repeats, lines and updates; the stand-in counts twice as fast."""

    async def story(desk: Desk) -> None:
        plan = (
            [(OutgoingKind.NOTICE, SendRank.UPDATE)] * 10
            + [(OutgoingKind.RELAY, SendRank.RELAYED)] * 10
            + [(OutgoingKind.ALERT, SendRank.REPEAT)] * 5
            + [(OutgoingKind.ALERT, SendRank.FIRST)] * 30
        )
        for number, (kind, rank) in enumerate(plan, start=1):
            await desk.tell_staff(number, kind, rank, lane=f"room:{number}")
        desk.start()
        await desk.until_settled(40)
        said = [int(seen.text) for seen in desk.api.group(ROOM).sees(by_bot=True)]
        assert said == [*range(26, 56), *range(21, 26), *range(11, 21), *range(1, 11)]
        calls = desk.api.calls("sendMessage")
        assert densest([call.at for call in calls], 60 / desk.speed) <= PER_GROUP
        assert {call.status for call in calls} == {200}
        assert desk.api.early_calls() == []

    play_sending(tmp_path, story, room=PlainRoom(), speed=10.0, runs=False)


def test_a_group_at_its_limit_holds_up_no_customer(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        for number in range(40):
            await desk.tell_staff(number, OutgoingKind.ALERT, SendRank.FIRST, lane=f"room:{number}")
        await desk.api.until(lambda: len(desk.api.calls(chat=ROOM)) == PER_GROUP)
        desk.api.user(5).starts()
        asked_at = time.monotonic()
        await desk.say(5, "您好")
        await desk.api.until(lambda: desk.api.user(5).sees(by_bot=True))
        assert time.monotonic() - asked_at < 1
        assert len(desk.api.calls(chat=ROOM)) == PER_GROUP

    play_sending(tmp_path, story, room=PlainRoom())


def test_a_call_that_hangs_holds_up_nobody_else(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        for number in (5, 6):
            desk.api.user(number).starts()
        desk.api.fail("hang", "sendMessage", chat=5)
        await desk.say_all([(5, "会卡住"), (5, "在它后面"), (6, "别人的 1"), (6, "别人的 2")])
        await desk.api.until(lambda: len(desk.api.user(6).sees(by_bot=True)) == 2, 3)
        await desk.until(lambda states: Counter(states) == {"sent": 2, "sending": 1, "queued": 1}, 3)
        assert [seen.text for seen in desk.api.user(5).sees(by_bot=True)] == ["会卡住"]

    play_sending(tmp_path, story)


def test_a_restart_is_no_way_around_the_limits(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        desk.api.user(5).starts()
        desk.api.user(6).starts()
        desk.api.fail("flood", "sendMessage", chat=6, retry_after=3)
        await desk.say_all([(5, str(number)) for number in range(5)])
        await desk.say(6, "要等")
        await desk.api.until(lambda: len(desk.api.user(5).sees(by_bot=True)) == 3)
        await desk.until(lambda states: states[-1] == "queued")
        await desk.stop()
        desk.worker = desk.make_worker("the next process")
        desk.start()
        assert await desk.until_settled() == ["sent"] * 6
        assert [seen.text for seen in desk.api.user(5).sees(by_bot=True)] == [str(n) for n in range(5)]
        assert [call.status for call in desk.api.calls(chat=6)] == [429, 200]
        assert {call.status for call in desk.api.calls(chat=5)} == {200}
        assert desk.api.early_calls() == []

    play_sending(tmp_path, story)
