"""Everything that can go wrong with a call, how many copies arrive then, and where the message ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sending_rig import ROOM, Desk, PlainRoom, play_sending
from telegram_api import TelegramApi

from desk.values import Delivery, OutgoingKind, SendRank

REPLY, SURVEY = OutgoingKind.REPLY, OutgoingKind.SURVEY
SENT, UNCERTAIN = Delivery.SENT.value, Delivery.UNCERTAIN.value
UNREACHABLE, DEAD = Delivery.UNREACHABLE.value, Delivery.DEAD.value
Fault = Callable[[TelegramApi], Any]


def fails(kind: str, times: int = 1, **options: Any) -> Fault:
    return lambda api: api.fail(kind, "sendMessage", chat=5, times=times, **options)


def error(code: int, description: str, **parameters: Any) -> Fault:
    return fails("error", code=code, description=description, parameters=parameters)


CASES: dict[str, tuple[Fault, OutgoingKind, int, str]] = {
    # name: what goes wrong, kind of message, copies that arrive, where it ends
    "429": (fails("flood", retry_after=1), REPLY, 1, SENT),
    "429 survey": (fails("flood", retry_after=1), SURVEY, 1, SENT),
    "429 without a number": (error(429, "Too Many Requests"), REPLY, 1, SENT),
    "lost answer": (fails("lost_answer"), REPLY, 2, SENT),
    "lost answer, closed": (fails("lost_answer", how="close"), REPLY, 2, SENT),
    "lost answer survey": (fails("lost_answer"), SURVEY, 1, UNCERTAIN),
    "lost answer twice": (fails("lost_answer", times=2), REPLY, 2, UNCERTAIN),
    "lost request": (fails("lost_request"), REPLY, 1, SENT),
    "lost request survey": (fails("lost_request"), SURVEY, 0, UNCERTAIN),
    "half an answer": (fails("cut"), REPLY, 2, SENT),
    "half an answer survey": (fails("cut"), SURVEY, 1, UNCERTAIN),
    "500": (fails("status", code=500), REPLY, 1, SENT),
    "500 survey": (fails("status", code=500), SURVEY, 0, UNCERTAIN),
    "502 page": (fails("status", code=502), REPLY, 1, SENT),
    "502 page after all": (fails("status", code=502, executed=True), REPLY, 2, SENT),
    "504 page survey": (fails("status", code=504), SURVEY, 0, UNCERTAIN),
    "a page with 200": (fails("html"), REPLY, 1, SENT),
    "200 not ok": (fails("not_ok"), REPLY, 0, DEAD),
    "400": (error(400, "Bad Request: message is too long"), REPLY, 0, DEAD),
    "413": (error(413, "Request Entity Too Large"), REPLY, 0, DEAD),
    "chat not found": (error(400, "Bad Request: chat not found"), REPLY, 0, UNREACHABLE),
    "peer": (error(400, "Bad Request: PEER_ID_INVALID"), SURVEY, 0, UNREACHABLE),
    "deactivated": (error(403, "Forbidden: user is deactivated"), REPLY, 0, UNREACHABLE),
    "blocked": (lambda api: api.user(5).blocks(), REPLY, 0, UNREACHABLE),
    "409": (error(409, "Conflict: whatever"), REPLY, 1, SENT),
    "connection reset": (lambda api: api.reset_connections(), REPLY, 1, SENT),
}


@pytest.mark.parametrize("name", CASES)
def test_each_fault_leaves_exactly_as_many_copies_as_it_must(tmp_path: Path, name: str) -> None:
    breaks, kind, copies, ends = CASES[name]

    async def story(desk: Desk) -> None:
        desk.api.user(5).starts()
        breaks(desk.api)
        await desk.say(5, "您好", kind)
        assert await desk.until_settled() == [ends]
        assert [seen.text for seen in desk.api.user(5).sees(by_bot=True)] == ["您好"] * copies
        assert desk.api.early_calls() == []
        assert await desk.shop.run(lambda unit: unit.dead_letters.count()) == int(ends == DEAD)

    play_sending(tmp_path, story)


def test_a_refused_connection_is_certainly_no_send_even_for_a_survey(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        desk.api.user(5).starts()
        desk.api.refuse()
        await desk.say(5, "满意吗", SURVEY)
        await desk.until(lambda states: states == ["queued"])
        while (await desk.figures("attempts"))[0] < 1:
            await desk.until(lambda states: True)
        desk.api.listen()
        assert await desk.until_settled() == [SENT]
        assert [seen.text for seen in desk.api.user(5).sees(by_bot=True)] == ["满意吗"]

    play_sending(tmp_path, story)


def test_an_answer_that_never_comes_counts_as_unknown_after_ten_seconds(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        for user_id in (5, 6):
            desk.api.user(user_id).starts()
            desk.api.fail("hang", "sendMessage", chat=user_id)
        await desk.say(5, "您好", REPLY)
        await desk.say(6, "满意吗", SURVEY)
        assert await desk.until_settled(30) == [SENT, UNCERTAIN]
        assert [seen.text for seen in desk.api.user(5).sees(by_bot=True)] == ["您好", "您好"]
        assert [seen.text for seen in desk.api.user(6).sees(by_bot=True)] == ["满意吗"]

    play_sending(tmp_path, story)


def test_who_blocked_the_bot_is_not_called_again(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        desk.api.user(5).starts()
        desk.api.user(5).blocks()
        await desk.say_all([(5, str(number)) for number in range(5)])
        assert await desk.until_settled() == [UNREACHABLE] * 5
        assert len(desk.api.calls("sendMessage")) == 1

    play_sending(tmp_path, story)


def test_nothing_leaves_while_the_token_is_refused(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        for user_id in range(1, 30):
            desk.api.user(user_id).starts()
        desk.api.revoke_token(desk.api.token + "x")
        await desk.say_all([(user_id, "您好") for user_id in range(1, 30)])
        await desk.until(lambda states: set(states) == {"queued"})
        await desk.api.until(lambda: desk.api.calls())
        while desk.pace.room() > 0 or "sending" in await desk.states():
            await desk.until(lambda states: True)
        calls = len(desk.api.calls())
        assert calls <= 8 * desk.worker.loops
        assert set(await desk.states()) == {"queued"}
        assert desk.pace.next_change().total_seconds() > 50

    play_sending(tmp_path, story)


# --- The staff's group ----------------------------------------------------------------------------------------


def test_lines_that_wait_leave_joined_and_what_does_not_fit_follows(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        for number in range(1, 6):
            await desk.tell_staff(number)
        await desk.tell_staff(6, alone=True)
        await desk.tell_staff(7)
        desk.start()
        assert await desk.until_settled() == [SENT] * 7
        assert [seen.text for seen in desk.api.group(ROOM).sees(by_bot=True)] == ["1 2 3 4 5", "6", "7"]
        ids = await desk.figures("provider_id")
        assert len(set(ids[:5])) == 1
        assert len(set(ids)) == 3

    play_sending(tmp_path, story, room=PlainRoom(), runs=False)


def test_a_first_step_counts_as_no_try_and_the_message_follows_it(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        assert isinstance(desk.room, PlainRoom)
        desk.room.first_steps = {1}
        await desk.tell_staff(1, OutgoingKind.ALERT, SendRank.FIRST)
        await desk.tell_staff(2, OutgoingKind.ALERT, SendRank.FIRST)
        assert await desk.until_settled() == [SENT] * 2
        assert [call.method for call in desk.api.calls(chat=ROOM)] == [
            "createForumTopic",
            "sendMessage",
            "sendMessage",
        ]
        assert await desk.figures("attempts") == [0, 0]
        assert [seen.text for seen in desk.api.group(ROOM).sees(by_bot=True)] == ["1", "2"]

    play_sending(tmp_path, story, room=PlainRoom())


@pytest.mark.parametrize(
    ("kind", "lost", "ends", "copies"),
    [
        (OutgoingKind.ALERT, 3, SENT, 4),
        (OutgoingKind.RELAY, 1, SENT, 2),
        (OutgoingKind.RELAY, 2, UNCERTAIN, 2),
        (OutgoingKind.NOTICE, 1, UNCERTAIN, 1),
    ],
)
def test_what_staff_are_told_is_repeated_by_its_class(
    tmp_path: Path, kind: OutgoingKind, lost: int, ends: str, copies: int
) -> None:
    async def story(desk: Desk) -> None:
        desk.api.fail("lost_answer", "sendMessage", chat=ROOM, times=lost)
        await desk.tell_staff(1, kind)
        assert await desk.until_settled() == [ends]
        assert [seen.text for seen in desk.api.group(ROOM).sees(by_bot=True)] == ["1"] * copies

    play_sending(tmp_path, story, room=PlainRoom())


def test_a_refused_notice_ends_quietly_and_an_outdated_alert_needs_no_call(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        assert isinstance(desk.room, PlainRoom)
        desk.room.outdated = {2}
        desk.api.fail("error", "sendMessage", code=400, description="Bad Request: query is too old")
        await desk.tell_staff(1, OutgoingKind.NOTICE)
        await desk.tell_staff(2, OutgoingKind.ALERT)
        assert await desk.until_settled() == [UNCERTAIN, SENT]
        assert len(desk.api.calls("sendMessage")) == 1
        assert await desk.shop.run(lambda unit: unit.dead_letters.count()) == 0

    play_sending(tmp_path, story, room=PlainRoom())


def test_one_line_that_telegram_refuses_takes_no_other_with_it(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        for number in range(1, 4):
            await desk.tell_staff(number)
        desk.api.fail("error", "sendMessage", code=400, description="Bad Request: whatever")
        desk.start()
        assert await desk.until_settled() == [DEAD, SENT, SENT]
        assert [seen.text for seen in desk.api.group(ROOM).sees(by_bot=True)] == ["2 3"]

    play_sending(tmp_path, story, room=PlainRoom(), runs=False)


def test_a_group_that_demands_a_wait_gets_nothing_before_it_is_over(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        desk.api.fail("flood", "sendMessage", chat=ROOM, retry_after=2)
        for number in range(1, 9):
            await desk.tell_staff(number, OutgoingKind.ALERT, SendRank.FIRST, lane=f"room:{number}")
        assert await desk.until_settled() == [SENT] * 8
        assert desk.api.early_calls() == []
        assert [call.status for call in desk.api.calls(chat=ROOM)] == [429] + [200] * 8

    play_sending(tmp_path, story, room=PlainRoom())


def test_without_a_staff_group_its_rows_are_refused(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk.tell_staff(1, OutgoingKind.ALERT)
        assert await desk.until_settled() == [DEAD]

    play_sending(tmp_path, story)
