"""Dying at every commit of a story, one after the other, and how the tests are told how much to do."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from crash_lives import Launcher, launcher

SEED = int(os.environ.get("HUIYIN_TEST_SEED", random.randrange(10**6)))
FULL = os.environ.get("HUIYIN_TEST_CRASH") == "full"
AT_ONCE = 5
"""Stories side by side: most of a story's time is waiting."""
MOST_COMMITS = 150
FEWEST_DEATHS = 10

Play = Callable[[int, str], Awaitable[tuple[bool, int, list[str]]]]
"""Plays a story in a fresh place whose first life dies at that commit, ``before`` or ``after`` it; says
whether it died, how many commits it made, and the faults."""


def kills(default: int) -> int:
    """How often to kill at random moments."""
    return int(os.environ.get("HUIYIN_TEST_KILLS", default))


def run(work: Callable[[Launcher], Coroutine[Any, Any, None]]) -> None:
    """Runs work with a launcher."""

    async def with_launcher() -> None:
        async with launcher() as running:
            await work(running)

    asyncio.run(with_launcher())


async def sweep(name: str, play: Play) -> None:
    """Dies before and after the 1st, 2nd … commit of a story, until the story ends with nobody dead.

    Counting on beyond any number seen before means that no point is missed where commits fall differently
    from run to run.
    """
    alive_since = {"before": MOST_COMMITS, "after": MOST_COMMITS}
    died = 0
    faults: list[str] = []

    async def die_at(number: int, when: str) -> None:
        nonlocal died
        try:
            killed, _, found = await play(number, when)
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
