"""kill -9 at any moment, again and again, under load, and at every commit of some stories in the web chat."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from crash_lives import Launcher, Place
from crash_runs import copy_place, play_load, play_story
from crash_scripts import STORIES, asks_once
from crash_staff import hire
from crash_sweeps import FULL, SEED, kills, run, sweep

pytestmark = pytest.mark.crash

KILLS = kills(40)


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
        await sweep_web_chat(running, name, lambda folder: copy_place(template, folder), tmp_path)

    run(work)


@pytest.mark.timeout(900)
@pytest.mark.skipif(not FULL, reason="HUIYIN_TEST_CRASH=full plays this one too")
def test_every_commit_point_of_the_first_start(tmp_path: Path) -> None:
    async def work(running: Launcher) -> None:
        await sweep_web_chat(running, "asks_once", Place, tmp_path)

    run(work)


async def sweep_web_chat(
    running: Launcher, name: str, make_place: Callable[[Path], Place], folder: Path
) -> None:
    """Dies at every commit of a story in the web chat."""

    async def play(number: int, when: str) -> tuple[bool, int, list[str]]:
        place = make_place(folder / f"{number}-{when}")
        return await play_story(running, place, {"asks_once": asks_once, **STORIES}[name], number, when)

    await sweep(name, play)
