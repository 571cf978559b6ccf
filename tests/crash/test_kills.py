"""kill -9 at any moment, again and again, under load, and at every commit of three stories."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from crash_lives import Launcher, Place, launcher
from crash_runs import copy_place, play_load, play_story
from crash_scripts import STORIES, World, asks_once
from crash_staff import hire

pytestmark = pytest.mark.crash

KILLS = int(os.environ.get("HUIYIN_TEST_KILLS", "40"))
SEED = int(os.environ.get("HUIYIN_TEST_SEED", random.randrange(10**6)))
FULL = os.environ.get("HUIYIN_TEST_CRASH") == "full"
AT_ONCE = 3
"""Stories side by side: most of a story's time is waiting."""
MOST_COMMITS = 120
FEWEST_DEATHS = 10


def run(work: Callable[[Launcher], Coroutine[Any, Any, None]]) -> None:
    """Runs work with a launcher."""

    async def with_launcher() -> None:
        async with launcher() as running:
            await work(running)

    asyncio.run(with_launcher())


@pytest.mark.timeout(120 + 3 * KILLS)
def test_forty_random_kills_under_load_lose_and_double_nothing(tmp_path: Path) -> None:
    async def work(running: Launcher) -> None:
        print(f"HUIYIN_TEST_SEED={SEED} HUIYIN_TEST_KILLS={KILLS} plays this again")
        place = Place(tmp_path / "load", SURVEY_REMINDER="2s")
        faults = await play_load(running, place, KILLS, SEED)
        assert not faults, "\n".join(faults)

    run(work)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", STORIES)
def test_every_commit_point_of_a_story(name: str, tmp_path: Path) -> None:
    if not FULL and name != next(iter(STORIES)):
        pytest.skip("HUIYIN_TEST_CRASH=full plays this one too")

    async def work(running: Launcher) -> None:
        template = Place(tmp_path / "template")
        _, commits, faults = await play_story(running, template, asks_once, 0, "before")
        assert not faults, faults
        assert commits > 5, "the commits are not counted"
        hire(template.database)

        def place(folder: Path) -> Place:
            return copy_place(template, folder)

        await sweep(running, place, tmp_path, name, STORIES[name])

    run(work)


@pytest.mark.timeout(900)
@pytest.mark.skipif(not FULL, reason="HUIYIN_TEST_CRASH=full plays this one too")
def test_every_commit_point_of_the_first_start(tmp_path: Path) -> None:
    async def work(running: Launcher) -> None:
        await sweep(running, Place, tmp_path, "first_start", asks_once)

    run(work)


async def sweep(
    running: Launcher,
    make_place: Callable[[Path], Place],
    folder: Path,
    name: str,
    story: Callable[[World], Awaitable[None]],
) -> None:
    """Dies before and after the 1st, 2nd … commit of a story, until the story ends with nobody dead.

    Counting on beyond any number seen before means that no point is missed where commits fall differently
    from run to run.
    """
    alive_since = {"before": MOST_COMMITS, "after": MOST_COMMITS}
    died = 0
    faults: list[str] = []

    async def die_at(number: int, when: str) -> None:
        nonlocal died
        place = make_place(folder / f"{number}-{when}")
        try:
            killed, _, found = await play_story(running, place, story, number, when)
        except BaseExceptionGroup as failure:
            failure.add_note(f"killed {when} commit {number}")
            raise
        died += killed
        if not killed:
            alive_since[when] = min(alive_since[when], number)
        faults.extend(f"killed {when} commit {number}: {fault}" for fault in found)

    async def play_on() -> None:
        while points:
            number, when = points.pop(0)
            if number < alive_since[when]:
                await die_at(number, when)

    points = [(number, when) for number in range(1, MOST_COMMITS) for when in ("before", "after")]
    async with asyncio.TaskGroup() as tasks:
        for _ in range(AT_ONCE):
            tasks.create_task(play_on())
    assert not faults, "\n".join(faults)
    assert died >= FEWEST_DEATHS, f"{name}: a life died only {died} times"
    print(f"{name}: died at {died} points")
