"""Plays scripts against lives that are killed, then lets a last life finish, stops it and has it judged."""

from __future__ import annotations

import asyncio
import shutil
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from random import Random

from checker import find_faults
from crash_lives import Launcher, Life, Place
from crash_records import count_lines, nothing_waits, read_records, reading, unfinished
from crash_scripts import World, buy, chat
from crash_shop import now
from driver import PATIENCE

CHATTING = 6
BUYING = 6


async def play_story(
    launcher: Launcher,
    place: Place,
    script: Callable[[World], Awaitable[None]],
    kill_at: int,
    when: str,
    world: World | None = None,
) -> tuple[bool, int, list[str]]:
    """Plays one story, whose first life dies at a commit point; a second one then goes on.

    Args:
        kill_at: The number of the commit; 0 = nobody dies.
        world: Another than one with customers in the web chat.

    Returns:
        Whether it died there, how many commits the first life made, and the faults.
    """
    world = world or World(place.url)
    first = launcher.start(place, kill_at, when)
    lives = [first]

    async def go_on() -> None:
        await first.ended.wait()
        if first.status != -signal.SIGKILL:
            raise AssertionError(f"a life ended by itself with status {first.status}; see {place.log}")
        world.somebody_died()
        lives.append(launcher.start(place))

    try:
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(go_on())
            await script(world)
            drained_at = await _drain(world, place)
            await _read_again(world, place)
            watching.cancel()
        faults = await _stop(launcher, place, lives, world)
    finally:
        await world.close()
    faults += find_faults(world.history, read_records(place.database, drained_at))
    return first.status == -signal.SIGKILL, first.commits, faults


Busy = Callable[[World, Random, asyncio.Event], Awaitable[None]]
"""Somebody who goes on until the event is set."""


async def play_load(
    launcher: Launcher,
    place: Place,
    kills: int,
    seed: int,
    world: World | None = None,
    crowd: Sequence[Busy] | None = None,
) -> list[str]:
    """Has everybody write and order while lives are killed at random moments; returns the faults.

    Args:
        world: Another than one with customers in the web chat.
        crowd: Who is busy in it.
    """
    random = Random(seed)
    world, stop = world or World(place.url), asyncio.Event()
    if crowd is None:
        crowd = [chat] * CHATTING + [partial(buy, prefix=f"C{number}") for number in range(BUYING)]
    life = launcher.start(place)
    lives = [life]
    try:
        async with asyncio.TaskGroup() as tasks:
            for busy in crowd:
                tasks.create_task(busy(world, Random(random.random()), stop))
            for _ in range(kills):
                await asyncio.sleep(random.uniform(0.05, 1.5))
                if await life.end() != -signal.SIGKILL:
                    raise AssertionError(f"a life ended by itself with status {life.status}")
                world.somebody_died()
                life = launcher.start(place)
                lives.append(life)
            stop.set()
        drained_at = await _drain(world, place)
        await _read_again(world, place)
        faults = await _stop(launcher, place, lives, world)
    finally:
        await world.close()
    faults += find_faults(world.history, read_records(place.database, drained_at))
    messages = sum(len(chat.said) for chat in world.history.chats)
    print(f"{kills} kills: {messages} messages, {len(world.history.orders)} orders")
    return faults


def copy_place(source: Place, folder: Path, **settings: str) -> Place:
    """A place of its own with a copy of a stopped server's data."""
    place = Place(folder, **settings)
    shutil.copytree(source.var, place.var)
    return place


async def _drain(world: World, place: Place) -> datetime:
    """Waits until nothing is left to do; returns when that was."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with reading(place.database) as session:
            if world.nothing_waits() and nothing_waits(session):
                return now()
        await asyncio.sleep(0.1)
    with reading(place.database) as session:
        raise AssertionError(f"never done: {unfinished(session, now())}")


async def _read_again(world: World, place: Place) -> None:
    with reading(place.database) as session:
        lines = count_lines(session)
    await world.read_again(lines)


async def _stop(launcher: Launcher, place: Place, lives: list[Life], world: World) -> list[str]:
    """Stops the last life in good order; a commit point may lie in its very last moments."""
    await _answers(place)  # Before that it could not have heard the signal.
    if await lives[-1].end(signal.SIGTERM) == -signal.SIGKILL:
        world.somebody_died()
        lives.append(launcher.start(place))
        await _answers(place)
        await lives[-1].end(signal.SIGTERM)
    world.look_back()
    faults = [] if lives[-1].status == 0 else [f"the last life ended with status {lives[-1].status}"]
    return faults + [f"log: {line}" for line in place.complaints()]


async def _answers(place: Place) -> None:
    for _ in range(500):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", place.port)
        except OSError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return
