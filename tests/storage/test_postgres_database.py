"""The PostgreSQL engine: units, retries, limits, snapshots. Skipped where none can be had."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, ProgrammingError

import storage.postgres_database
from desk.errors import ConflictError, InvalidInputError, StorageUnavailableError
from storage.connect import open_database, open_readonly, sync_engine
from storage.database import AFTER_COMMIT
from storage.postgres_database import PostgresDatabase
from storage.postgres_engine import postgres_url as normal_url

FAST = timedelta(milliseconds=300)


def plain_unit(session):
    return session


def add(body: str) -> Callable:
    statement = text("INSERT INTO notes (body) VALUES (:body) RETURNING id")
    return lambda session: session.execute(statement, {"body": body}).scalar_one()


def bodies(session) -> list[str]:
    return list(session.execute(text("SELECT body FROM notes ORDER BY id")).scalars())


def run(statement: str) -> Callable:
    return lambda session: session.execute(text(statement)) and None


@asynccontextmanager
async def opened(url: str, **options):
    database = PostgresDatabase(url, plain_unit, wait=FAST, **options)
    await database.start()
    try:
        await database.write(run("DROP TABLE IF EXISTS notes"))
        await database.write(run("CREATE TABLE notes (id serial PRIMARY KEY, body text UNIQUE NOT NULL)"))
        yield database
    finally:
        await database.close()


def test_stores_returns_and_reads_back(postgres_url):
    async def scenario():
        async with opened(postgres_url) as database:
            writes = [database.write(add(f"{number:02}"), shared=True) for number in range(30)]
            assert sorted(await asyncio.gather(*writes)) == list(range(1, 31))
            assert sorted(await database.read(bodies)) == [f"{number:02}" for number in range(30)]

    asyncio.run(scenario())


def test_a_failing_unit_is_rolled_back_and_shows_no_values(postgres_url):
    def fails(session):
        add("x")(session)
        raise ConflictError("no")

    async def scenario():
        async with opened(postgres_url) as database:
            with pytest.raises(ConflictError):
                await database.write(fails)
            assert await database.read(bodies) == []
            await database.write(add("13800138000"))
            with pytest.raises(IntegrityError) as caught:
                await database.write(add("13800138000"))
            assert "13800138000" not in f"{caught.value} {caught.value.orig}"
            assert "23505" in str(caught.value)
            assert "notes_body_key" in str(caught.value)

    asyncio.run(scenario())


def test_a_deadlock_is_run_again_from_the_start(postgres_url):
    async def scenario():
        async with opened(postgres_url):
            # The server looks for deadlocks after a second, so the limit on waiting must be longer.
            again = PostgresDatabase(postgres_url, plain_unit, wait=timedelta(seconds=5))
            await again.write(add("1"))
            await again.write(add("2"))
            both_hold_one = threading.Barrier(2)
            runs: list[str] = []

            def cross(first: str, second: str):
                def unit(session):
                    runs.append(first)
                    for body in (first, second):
                        lock = text("SELECT id FROM notes WHERE body = :body FOR UPDATE")
                        session.execute(lock, {"body": body})
                        if len(runs) <= 2 and body == first:
                            both_hold_one.wait(10)
                    session.execute(text("INSERT INTO notes (body) VALUES (:body)"), {"body": first + second})

                return unit

            await asyncio.gather(again.write(cross("1", "2")), again.write(cross("2", "1")))
            assert len(runs) == 3
            assert sorted(await again.read(bodies)) == ["1", "12", "2", "21"]
            await again.close()

    asyncio.run(scenario())


def test_gives_up_after_five_retries(postgres_url, monkeypatch):
    monkeypatch.setattr(storage.postgres_database.time, "sleep", lambda seconds: None)
    runs: list[None] = []

    def always_loses(session):
        runs.append(None)
        session.execute(text("DO $$ BEGIN RAISE EXCEPTION 'lost' USING ERRCODE = '40001'; END $$"))

    async def scenario():
        async with opened(postgres_url) as database:
            with pytest.raises(StorageUnavailableError, match="40001"):
                await database.write(always_loses)
            assert len(runs) == 6

    asyncio.run(scenario())


def test_a_lock_that_is_held_too_long_is_told(postgres_url):
    async def scenario():
        async with opened(postgres_url) as database:
            await database.write(add("a"))
            with psycopg.connect(postgres_url) as foreign:
                foreign.execute("SELECT * FROM notes FOR UPDATE")
                with pytest.raises(StorageUnavailableError, match=r"55P03|57014"):
                    await database.write(run("UPDATE notes SET body = 'b'"))
            await database.write(run("UPDATE notes SET body = 'c'"))
            assert await database.read(bodies) == ["c"]

    asyncio.run(scenario())


def test_a_fault_of_ours_is_not_called_unavailable(postgres_url):
    async def scenario():
        async with opened(postgres_url) as database:
            with pytest.raises(ProgrammingError):
                await database.write(run("SELECT * FROM no_such_table"))

    asyncio.run(scenario())


def test_cut_connections_are_told_and_replaced(postgres_url):
    cut = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE pid <> pg_backend_pid() AND datname = current_database()"
    )

    async def scenario():
        async with opened(postgres_url) as database:

            def cut_off(session):
                add("lost")(session)
                with psycopg.connect(postgres_url, autocommit=True) as foreign:
                    foreign.execute(cut)
                add("lost too")(session)

            with pytest.raises(StorageUnavailableError):
                await database.write(cut_off)
            with psycopg.connect(postgres_url, autocommit=True) as foreign:
                foreign.execute(cut)
            await database.write(add("kept"))
            assert await database.read(bodies) == ["kept"]

    asyncio.run(scenario())


def test_a_server_that_does_not_answer_is_told():
    database = PostgresDatabase("postgresql://nobody@127.0.0.1:1/nothing", plain_unit, wait=FAST)

    async def scenario():
        with pytest.raises(StorageUnavailableError, match="cannot be reached"):
            await database.start()
        with pytest.raises(StorageUnavailableError):
            await database.write(bodies)
        await database.close()

    asyncio.run(scenario())


def test_readers_never_write_and_see_a_snapshot(postgres_url):
    async def scenario():
        async with opened(postgres_url) as database:
            with pytest.raises(Exception, match="25006"):
                await database.read(add("x"))
            read_once, write_done = threading.Event(), threading.Event()

            def twice(session):
                before = bodies(session)
                read_once.set()
                write_done.wait(10)
                return before, bodies(session)

            reading = asyncio.get_running_loop().create_task(database.read(twice))
            await asyncio.to_thread(read_once.wait, 10)
            await database.write(add("y"))
            write_done.set()
            assert await reading == ([], [])
            zone = await database.read(lambda session: session.execute(text("SHOW timezone")).scalar())
            assert zone == "UTC"

    asyncio.run(scenario())


def test_a_cancelled_waiter_changes_nothing_and_close_drains(postgres_url):
    rung: list[int] = []

    async def scenario():
        async with opened(postgres_url, writers=1) as database:
            here = threading.get_ident()
            entered, leave = threading.Event(), threading.Event()

            def hold(session) -> None:
                entered.set()
                leave.wait(10)
                session.info[AFTER_COMMIT].append(lambda: rung.append(threading.get_ident()))

            loop = asyncio.get_running_loop()
            holding = loop.create_task(database.write(hold))
            await asyncio.to_thread(entered.wait, 10)
            tasks = [loop.create_task(database.write(add(body))) for body in "abc"]
            await asyncio.sleep(0)
            tasks[1].cancel()
            await asyncio.sleep(0)
            closing = loop.create_task(database.close())
            await asyncio.sleep(0.05)
            with pytest.raises(StorageUnavailableError, match="closed"):
                await database.write(add("late"))
            leave.set()
            await holding
            await closing
            assert rung == [here]
            got = await asyncio.gather(*tasks, return_exceptions=True)
            assert [type(one) for one in got] == [int, asyncio.CancelledError, int]
        with psycopg.connect(postgres_url) as connection:
            rows = connection.execute("SELECT body FROM notes ORDER BY id").fetchall()
        assert rows == [("a",), ("b",), ("c",)]

    asyncio.run(scenario())


def test_a_full_queue_refuses(postgres_url):
    async def scenario():
        async with opened(postgres_url, writers=1, queue_limit=1) as database:
            entered, leave = threading.Event(), threading.Event()

            def hold(session) -> None:
                entered.set()
                leave.wait(10)

            holding = asyncio.get_running_loop().create_task(database.write(hold))
            await asyncio.to_thread(entered.wait, 10)
            with pytest.raises(StorageUnavailableError, match="too many"):
                await database.write(add("a"))
            leave.set()
            await holding
            await database.write(add("b"))
            assert await database.read(bodies) == ["b"]

    asyncio.run(scenario())


def test_engines_for_commands(postgres_url):
    writing = sync_engine(postgres_url)
    with writing.begin() as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS commands (id integer)"))
    reading = open_readonly(postgres_url)
    with reading.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM commands")).scalar() == 0
        with pytest.raises(Exception, match="25006"):
            connection.execute(text("INSERT INTO commands VALUES (1)"))


def test_addresses():
    assert str(normal_url("postgresql://host/name")) == "postgresql+psycopg://host/name"
    assert isinstance(open_database("postgresql://host/name", plain_unit), PostgresDatabase)
    for wrong in ("mysql://host/name", "nonsense"):
        with pytest.raises(InvalidInputError):
            normal_url(wrong)
