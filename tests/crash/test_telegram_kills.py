"""kill -9 under Telegram traffic, polled and brought: at random moments, and at every commit of some stories."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from random import Random

import pytest
from crash_lives import Launcher, Place
from crash_runs import copy_place, play_load, play_story
from crash_scripts import asks_once, buy, is_asked_after_delivery
from crash_staff import hire
from crash_sweeps import FULL, SEED, kills, run, sweep
from crash_telegram import MODES, TelegramWorld, telegram, telegram_settings
from crash_telegram_scripts import (
    COLLEAGUE,
    GROUP,
    asks_in_telegram,
    asks_twice_and_edits,
    chat_in_telegram,
    is_helped_in_the_group,
    write_and_go,
)

pytestmark = [
    pytest.mark.crash,
    pytest.mark.skipif(not FULL, reason="make test-crash kills under Telegram's traffic"),
]

KILLS = max(1, kills(40) // 4)
"""In each mode; the web chat has the whole number."""
SHUFFLED_KILLS = max(1, KILLS // 5)
CROWD = [chat_in_telegram] * 6 + [partial(buy, prefix=f"T{number}") for number in range(4)]
SHORT, SURVEY, STAFF_GROUP, EDITED = "asks", "is_asked", "is_helped_in_the_group", "asks_twice_and_edits"
STORIES: dict[str, Callable[[TelegramWorld], Awaitable[None]]] = {
    SHORT: asks_in_telegram,
    EDITED: asks_twice_and_edits,
    SURVEY: is_asked_after_delivery,
    STAFF_GROUP: is_helped_in_the_group,
}


async def play_telegram_load(
    running: Launcher, folder: Path, mode: str, times: int, *, in_order: bool = True
) -> list[str]:
    """Has everybody write, order and answer in Telegram while lives are killed; returns the faults."""
    print(f"HUIYIN_TEST_SEED={SEED} HUIYIN_TEST_KILLS={kills(40)} plays this again")
    async with telegram(None if in_order else SEED) as api:
        place = Place(folder, SURVEY_REMINDER="2s", **telegram_settings(api, mode))
        world = TelegramWorld(place, api, Random(SEED), in_order)
        faults = await play_load(running, place, times, SEED, world, CROWD)
        deliveries = len(world.seen.updates), sum(len(each) for each in world.seen.shown.values())
        print(f"{mode}: {deliveries[0]} updates, {deliveries[1]} messages of the bot")
        return faults


@pytest.mark.timeout(120 + 3 * KILLS)
@pytest.mark.parametrize("mode", MODES)
def test_random_kills_lose_and_double_nothing(mode: str, tmp_path: Path) -> None:
    async def work(running: Launcher) -> None:
        faults = await play_telegram_load(running, tmp_path / "load", mode, KILLS)
        assert not faults, "\n".join(faults)

    run(work)


@pytest.mark.timeout(120 + 3 * SHUFFLED_KILLS)
@pytest.mark.parametrize("mode", MODES)
def test_shuffled_deliveries_change_nothing(mode: str, tmp_path: Path) -> None:
    async def work(running: Launcher) -> None:
        faults = await play_telegram_load(running, tmp_path / "load", mode, SHUFFLED_KILLS, in_order=False)
        assert not faults, "\n".join(faults)

    run(work)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("mode", MODES)
def test_a_bot_that_acknowledges_before_it_stores_is_found_out(mode: str, tmp_path: Path) -> None:
    async def work(running: Launcher) -> None:
        async with telegram() as api:
            place = Place(tmp_path / "hasty", **telegram_settings(api, mode))
            place.hasty = True
            world = TelegramWorld(place, api, Random(SEED))
            faults = await play_load(running, place, 3, SEED, world, [write_and_go] * 2)
        lost = [fault for fault in faults if "acknowledged and is lost" in fault]
        assert lost, faults
        print(f"{mode}: {len(lost)} of {len(faults)} faults are losses, such as: {lost[0]}")

    run(work)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", STORIES)
def test_every_commit_point_of_a_story(name: str, mode: str, tmp_path: Path) -> None:
    if not FULL:
        pytest.skip("HUIYIN_TEST_CRASH=full plays this one too")

    async def work(running: Launcher) -> None:
        template = Place(tmp_path / "template")
        await play_story(running, template, asks_once, 0, "before")
        hire(template.database, COLLEAGUE)

        async def play(number: int, when: str) -> tuple[bool, int, list[str]]:
            async with telegram() as api:
                group = GROUP if name == STAFF_GROUP else None
                if group is not None:
                    api.group(group, forum=True)
                settings = telegram_settings(api, mode, group)
                place = copy_place(template, tmp_path / f"{number}-{when}", SURVEY_REMINDER="3s", **settings)
                world = TelegramWorld(place, api, Random(number))
                return await play_story(running, place, STORIES[name], number, when, world)

        await sweep(f"{name}, {mode}", play)

    run(work)
