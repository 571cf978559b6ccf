"""Thirty new cases in a minute: none is lost, and the group never refuses us twice in a row."""

from __future__ import annotations

import re
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from room_rig import GroupShop, is_card, play

from desk.values import CaseState

CUSTOMERS = 30
MORE = re.compile(r"另有 (\d+) 位客户等待")


async def tick(there: GroupShop, seconds: float) -> None:
    """Some seconds pass, for everybody."""
    there.shop.clock.turn(timedelta(seconds=seconds))
    there.api.clock.turn(seconds)
    await there.settle()


def numbers(there: GroupShop) -> list[str]:
    """The cases that have a card, in the order of the cards."""
    return [seen.text.split()[1] for seen in there.sees() if is_card(seen)]


@pytest.mark.parametrize("forum", [True, False])
def test_thirty_new_cases_in_a_minute_lose_none(tmp_path: Path, forum: bool) -> None:
    async def story(there: GroupShop) -> None:
        _, li = await there.staff()
        for number in range(CUSTOMERS):
            user = there.api.user(1000 + number, f"客户{number}")
            user.starts()
            user.says("转人工")
            await tick(there, 2)
        told = [MORE.search(text) for text in there.texts()]
        assert 10 <= len(numbers(there)) <= 20
        assert forum or any(told), there.texts()

        # Somebody takes one of those that have no card yet, in the console.
        hidden = f"HY-{1000 + CUSTOMERS}"
        assert hidden not in numbers(there)
        member = await there.shop.staff_desk.find_by_account("telegram", str(li.id))
        assert member is not None
        await there.shop.staff_desk.take_case(hidden, member)
        for _ in range(100):
            await tick(there, 5)
            if len(numbers(there)) == CUSTOMERS and not await queued(there):
                break
        assert sorted(numbers(there)) == [f"HY-{1001 + number}" for number in range(CUSTOMERS)]
        assert numbers(there).index(hidden) < CUSTOMERS - 1, "a case that was taken does not wait to the end"
        figures = [int(found[1]) for found in map(MORE.search, there.texts()) if found]
        assert figures
        assert all(figure <= CUSTOMERS - 10 for figure in figures)
        assert figures[-1] < max(figures), "each says how many are left when it leaves"

        calls = [call for call in there.api.calls(chat=there.group.id) if call.method != "getChat"]
        refused = [call.status == 429 for call in calls]
        assert not any(one and other for one, other in pairwise(refused))
        assert there.api.early_calls() == []
        assert await there.dead() == []
        assert (await there.case(hidden)).state is CaseState.WITH_PERSON

    play(tmp_path, story, forum=forum, limits=True, speed=1.0)


async def queued(there: GroupShop) -> int:
    """Rows for cards that still wait."""
    from sqlalchemy import text

    def count(unit: Any) -> int:
        words = "SELECT count(*) FROM outbox WHERE state = 'queued' AND payload LIKE '%\"card\"%'"
        return int(unit.session.execute(text(words)).scalar_one())

    return await there.shop.run(count)


def test_the_ladder_repeats_what_waits_and_drops_what_was_taken(tmp_path: Path) -> None:
    async def story(there: GroupShop) -> None:
        _, li = await there.staff()
        await there.customer()
        await there.customer(6, "小红")
        await there.later(125)
        assert "⏰ HY-1001 已等待 2 分钟，还没有人接单" in there.texts()
        li.taps(there.card("HY-1001").message_id, "接单")
        await there.settle()
        await there.later(3600)
        assert sum("HY-1001 已等待" in text for text in there.texts()) == 1
        repeats = [text for text in there.texts() if "HY-1002 已等待" in text]
        assert repeats[:3] == [
            f"⏰ HY-1002 已等待 {waited}，还没有人接单" for waited in ("2 分钟", "5 分钟", "10 分钟")
        ]
        reminder = next(seen for seen in there.sees() if "HY-1002 已等待" in seen.text)
        assert reminder.reply_to == there.card("HY-1002").message_id

    play(tmp_path, story)


def test_a_reminder_that_is_outdated_when_its_turn_comes_is_dropped(tmp_path: Path) -> None:
    async def story(there: GroupShop) -> None:
        li, _ = await there.staff()
        await there.customer()
        there.shop.clock.turn(timedelta(minutes=2))
        await there.shop.fire_due()
        await there.room.project_once()
        await there.shop.staff_desk.take_case("HY-1001", li)
        await there.settle()
        assert not any("已等待" in text for text in there.texts())

    play(tmp_path, story)


def test_many_that_wait_are_told_in_one_line(tmp_path: Path) -> None:
    async def story(there: GroupShop) -> None:
        await there.staff()
        for number in range(9):
            await there.customer(1000 + number, f"客户{number}")
        await there.later(130)
        assert sum("⏰" in text for text in there.texts()) == 5
        assert any("还有 9 位客户等待，最久的是 HY-1001" in text for text in there.texts())

    play(tmp_path, story)
