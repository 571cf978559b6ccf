"""Bells: nothing rung is missed, all who wait wake, memory stays bounded."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import psycopg
import pytest

from storage.postgres_wakeups import PostgresWakeups
from storage.wakeups import LocalWakeups

NOW = timedelta(0)
SOON = timedelta(milliseconds=20)
LONG = timedelta(seconds=20)


def test_a_ring_wakes_everyone_who_waits():
    async def scenario():
        bells = LocalWakeups()
        loop = asyncio.get_running_loop()
        waiting = [loop.create_task(bells.wait("events:42", LONG)) for _ in range(5)]
        other = loop.create_task(bells.wait("events:43", SOON))
        await asyncio.sleep(0)
        bells.ring("events:42")
        assert await asyncio.gather(*waiting) == [True] * 5
        assert await other is False

    asyncio.run(scenario())


def test_a_ring_while_nobody_waits_is_kept_for_one_wait():
    async def scenario():
        bells = LocalWakeups()
        bells.ring("inbox")
        bells.ring("inbox")
        assert await bells.wait("inbox", LONG) is True
        assert await bells.wait("inbox", SOON) is False
        assert await bells.wait("outbox", NOW) is False

    asyncio.run(scenario())


def test_a_busy_task_misses_no_ring_that_another_heard():
    async def scenario():
        bells = LocalWakeups()
        heard: list[str] = []
        busy, done = asyncio.Event(), asyncio.Event()

        async def idle() -> None:
            await bells.wait("events:1", LONG)
            heard.append("idle")

        async def occupied() -> None:
            await bells.wait("events:1", NOW)
            busy.set()
            await done.wait()
            if await bells.wait("events:1", SOON):
                heard.append("occupied")

        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(idle()), loop.create_task(occupied())]
        await busy.wait()
        bells.ring("events:1")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert heard == ["idle"]
        done.set()
        await asyncio.gather(*tasks)
        assert heard == ["idle", "occupied"]

    asyncio.run(scenario())


def test_waiting_from_ever_new_tasks_does_not_spin():
    async def scenario():
        bells = LocalWakeups()
        bells.ring("inbox")
        loop = asyncio.get_running_loop()
        assert await loop.create_task(bells.wait("inbox", SOON)) is True
        assert await loop.create_task(bells.wait("inbox", SOON)) is False

    asyncio.run(scenario())


def test_a_cancelled_wait_hears_nothing():
    async def scenario():
        bells = LocalWakeups()
        loop = asyncio.get_running_loop()
        waiting = loop.create_task(bells.wait("inbox", LONG))
        await asyncio.sleep(0)
        bells.ring("inbox")
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await bells.wait("inbox", SOON) is True

    asyncio.run(scenario())


def test_rings_from_another_thread():
    async def scenario():
        bells = LocalWakeups()
        bells.ring("inbox")
        waiting = asyncio.get_running_loop().create_task(bells.wait("timers", LONG))
        await asyncio.sleep(0)
        await asyncio.to_thread(bells.ring, "timers")
        assert await waiting is True

    asyncio.run(scenario())


def test_a_ring_without_any_loop_is_no_error():
    LocalWakeups().ring("inbox")


def test_memory_is_bounded_and_waiters_are_kept():
    async def scenario():
        bells = LocalWakeups()
        waiting = asyncio.get_running_loop().create_task(bells.wait("events:0", LONG))
        await asyncio.sleep(0)
        for number in range(1, 20_000):
            bells.ring(f"events:{number}")
        assert len(bells._bells) <= 4097
        bells.ring("events:0")
        assert await waiting is True

    asyncio.run(scenario())


@asynccontextmanager
async def running(*bells: PostgresWakeups):
    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(one()) for bell in bells for one in (bell.listen, bell.notify)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        got = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(one) for one in got] == [asyncio.CancelledError] * len(tasks)


async def rings_until_heard(here: PostgresWakeups, there: PostgresWakeups, bell: str) -> bool:
    """Rings again and again, since the other side may not listen yet."""
    waiting = asyncio.get_running_loop().create_task(there.wait(bell, LONG))
    while not waiting.done():
        here.ring(bell)
        await asyncio.wait([waiting], timeout=0.05)
    return await waiting


def test_other_processes_hear_a_bell(postgres_url):
    async def scenario():
        here, there = PostgresWakeups(postgres_url), PostgresWakeups(postgres_url)
        async with running(here, there):
            assert await rings_until_heard(here, there, "events:7")
            assert await rings_until_heard(there, here, "outbox")

    asyncio.run(scenario())


def test_own_bells_do_not_come_back(postgres_url):
    async def scenario():
        here, there = PostgresWakeups(postgres_url), PostgresWakeups(postgres_url)
        async with running(here, there):
            await rings_until_heard(there, here, "ready")
            await rings_until_heard(here, there, "ready")
            while await here.wait("inbox", NOW):
                pass
            here.ring("inbox")
            assert await here.wait("inbox", LONG) is True
            assert await there.wait("inbox", LONG) is True
            assert await here.wait("inbox", SOON) is False

    asyncio.run(scenario())


def test_listening_survives_a_cut_connection(postgres_url):
    async def scenario():
        here, there = PostgresWakeups(postgres_url), PostgresWakeups(postgres_url)
        async with running(here, there):
            assert await rings_until_heard(here, there, "events:1")
            with psycopg.connect(postgres_url, autocommit=True) as foreign:
                foreign.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE pid <> pg_backend_pid() AND datname = current_database()"
                )
            assert await rings_until_heard(here, there, "events:2")

    asyncio.run(scenario())
