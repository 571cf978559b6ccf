"""The staff group and the console at the same time, everything running by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from room_rig import GroupShop, play_live

from desk.errors import AlreadyTakenError
from desk.values import CaseState


def test_two_takes_at_once_one_wins_and_both_views_show_it_within_a_second(tmp_path: Path) -> None:
    async def story(there: GroupShop) -> None:
        li, _ = await there.staff()
        _, wang = await there.staff(9, "小王", "wang")
        for number in range(4):
            await there.customer(1000 + number, f"客户{number}")
        desk = there.shop.staff_desk

        async def take_twice(number: int) -> str:
            name = f"HY-{1001 + number}"
            wang.taps(there.card(name).message_id, "接单")
            # The tap needs a moment on its way; the console is sometimes first and sometimes not.
            await asyncio.sleep(0.02 * number)
            with suppress(AlreadyTakenError):
                await desk.take_case(name, li)
            await there.api.until(lambda: len(there.api.user(9).notices()) > number)
            holder = (await there.case(name)).staff_name
            await there.api.until(lambda: f"{holder} 处理中" in there.card(name).text, 5)
            told = there.api.user(9).notices()[-1]["text"]
            assert told == ("接单成功" if holder == "小王" else f"{name} 已由小李接单")
            return holder or ""

        async def race() -> None:
            holders = [await take_twice(number) for number in range(4)]
            assert set(holders) <= {"小李", "小王"}

        await there.live(race)

    play_live(tmp_path, story)


def test_a_take_in_the_console_shows_in_the_group_within_a_second(tmp_path: Path) -> None:
    async def story(there: GroupShop) -> None:
        li, _ = await there.staff()
        ming = await there.customer()
        took: list[float] = []

        async def watch() -> None:
            async def until(condition: Callable[[], bool]) -> None:
                began = time.monotonic()
                await there.api.until(condition, 5)
                took.append(time.monotonic() - began)

            await asyncio.sleep(0.5)
            ming.says("在吗")
            await asyncio.sleep(0.2)
            await there.shop.staff_desk.take_case("HY-1001", li)
            await until(lambda: "小李 处理中" in there.card().text)
            there.group.member(8).taps(there.card().message_id, "结案")
            began = time.monotonic()
            while (await there.case()).state is not CaseState.CLOSED:
                assert time.monotonic() - began < 5
                await asyncio.sleep(0.01)
            took.append(time.monotonic() - began)
            await until(lambda: "已结案" in there.card().text)

        await there.live(watch)
        assert max(took) < 1.0, took

    play_live(tmp_path, story)
