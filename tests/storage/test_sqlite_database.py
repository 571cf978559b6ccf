"""The SQLite engine: group commit, failing neighbours, full disks, locks, readers, one serve."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
import threading
import types
from collections.abc import Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import IntegrityError, OperationalError

from desk.errors import ConflictError, InvalidInputError, NotFoundError, StorageUnavailableError
from storage import sqlite_engine
from storage.connect import open_database, open_readonly, ringing, sqlite_path, sync_engine
from storage.database import AFTER_COMMIT, DatabaseRefusedError
from storage.locks import AlreadyServingError, SingleServeLock
from storage.sqlite_database import SqliteDatabase
from storage.sqlite_engine import refuse_network_file_system, sqlite_module, wal_is_safe
from storage.statements import ring_after_commit
from storage.wakeups import LocalWakeups

TABLE = "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT UNIQUE NOT NULL)"
FAST = timedelta(milliseconds=200)


def plain_unit(session):
    """Gives tests the bare session; the engine does not care what a unit of work offers."""
    return session


def add(body: str) -> Callable:
    return lambda session: (
        session.execute(text("INSERT INTO notes (body) VALUES (:body)"), {"body": body}).lastrowid
    )


def bodies(session) -> list[str]:
    return list(session.execute(text("SELECT body FROM notes ORDER BY id")).scalars())


@asynccontextmanager
async def opened(path: Path, **options):
    database = SqliteDatabase(path / "notes.db", plain_unit, busy_timeout=FAST, **options)
    await database.start()
    try:
        await database.write(lambda session: session.execute(text(TABLE)) and None)
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def writer_held(database: SqliteDatabase):
    """Keeps the writer busy with a unit that commits nothing, so that others queue behind it."""
    entered, leave = threading.Event(), threading.Event()

    def hold(session) -> None:
        entered.set()
        leave.wait(10)
        raise ConflictError("held long enough")

    holding = asyncio.get_running_loop().create_task(database.write(hold))
    assert await asyncio.to_thread(entered.wait, 10)
    try:
        yield
    finally:
        leave.set()
        with suppress(ConflictError):
            await holding


def count_commits(database: SqliteDatabase) -> list[None]:
    commits: list[None] = []
    event.listen(database.write_engine, "commit", lambda connection: commits.append(None))
    return commits


async def queued(database: SqliteDatabase, works, *, shared: bool = True) -> list[asyncio.Task]:
    """Starts writes in order and lets them reach the queue."""
    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(database.write(work, shared=shared)) for work in works]
    await asyncio.sleep(0)
    return tasks


def test_stores_returns_and_reads_back(tmp_path):
    async def scenario():
        async with opened(tmp_path) as database:
            assert await database.write(add("一")) == 1
            assert await database.read(bodies) == ["一"]

    asyncio.run(scenario())


def test_shared_units_share_commits_in_order(tmp_path):
    async def scenario():
        async with opened(tmp_path) as database:
            commits = count_commits(database)
            async with writer_held(database):
                tasks = await queued(database, [add(f"{number:03}") for number in range(130)])
            assert await asyncio.gather(*tasks) == list(range(1, 131))
            assert len(commits) == 3, "64 + 64 + 2"
            assert await database.read(bodies) == [f"{number:03}" for number in range(130)]

    asyncio.run(scenario())


def test_other_units_have_a_commit_each_and_do_not_split_shared_ones(tmp_path):
    async def scenario():
        async with opened(tmp_path) as database:
            commits = count_commits(database)
            async with writer_held(database):
                tasks = []
                for number in range(5):
                    tasks += await queued(database, [add(f"shared {number}")])
                    tasks += await queued(database, [add(f"alone {number}")], shared=False)
            await asyncio.gather(*tasks)
            assert len(commits) == 1 + 5
            stored = await database.read(bodies)
            assert [body for body in stored if body[0] == "a"] == [f"alone {number}" for number in range(5)]
            assert [body for body in stored if body[0] == "s"] == [f"shared {number}" for number in range(5)]

    asyncio.run(scenario())


def test_a_failing_shared_unit_harms_no_neighbour(tmp_path):
    def fails_late(session):
        add("half done")(session)
        raise ConflictError("changed my mind")

    async def scenario():
        async with opened(tmp_path) as database:
            commits = count_commits(database)
            async with writer_held(database):
                tasks = await queued(
                    database,
                    [add("a"), fails_late, add("b"), add("a"), lambda session: next(iter(())), add("c")],
                )
            got = await asyncio.gather(*tasks, return_exceptions=True)
            assert [type(one) for one in got] == [
                int, ConflictError, int, IntegrityError, RuntimeError, int,
            ]  # fmt: skip
            assert len(commits) == 1
            assert await database.read(bodies) == ["a", "b", "c"]

    asyncio.run(scenario())


def test_an_error_shows_no_values(tmp_path):
    async def scenario():
        async with opened(tmp_path) as database:
            await database.write(add("13800138000"))
            with pytest.raises(IntegrityError) as caught:
                await database.write(add("13800138000"))
            assert "13800138000" not in str(caught.value)

    asyncio.run(scenario())


def test_a_failing_unit_of_its_own_is_rolled_back_whole(tmp_path):
    def fails(session):
        add("x")(session)
        raise ConflictError("no")

    async def scenario():
        async with opened(tmp_path) as database:
            commits = count_commits(database)
            with pytest.raises(ConflictError):
                await database.write(fails)
            assert await database.read(bodies) == []
            assert commits == []

    asyncio.run(scenario())


def test_a_constraint_checked_at_commit_fails_its_own_unit_only(tmp_path):
    async def scenario():
        async with opened(tmp_path) as database:
            await database.write(
                lambda session: (
                    session.execute(
                        text(
                            "CREATE TABLE replies (note INTEGER REFERENCES notes(id)"
                            " DEFERRABLE INITIALLY DEFERRED)"
                        )
                    )
                    and None
                )
            )
            orphan = text("INSERT INTO replies VALUES (99)")
            async with writer_held(database):
                tasks = await queued(
                    database, [add("a"), lambda session: session.execute(orphan) and None, add("b")]
                )
            got = await asyncio.gather(*tasks, return_exceptions=True)
            assert [type(one) for one in got] == [int, IntegrityError, int]
            assert await database.read(bodies) == ["a", "b"]

    asyncio.run(scenario())


def test_a_cancelled_waiter_changes_nothing(tmp_path):
    async def scenario():
        async with opened(tmp_path) as database:
            async with writer_held(database):
                tasks = await queued(database, [add("a"), add("b")])
                tasks += await queued(database, [add("c")], shared=False)
                tasks[0].cancel()
                tasks[2].cancel()
                await asyncio.sleep(0)
            got = await asyncio.gather(*tasks, return_exceptions=True)
            assert [type(one) for one in got] == [asyncio.CancelledError, int, asyncio.CancelledError]
            await database.write(add("d"))
            assert await database.read(bodies) == ["a", "b", "c", "d"]

    asyncio.run(scenario())


def another_connection(database: SqliteDatabase):
    # From the same SQLite library: two libraries in one process do not see each other's locks.
    return sqlite_module().connect(database.path, isolation_level=None, timeout=0)


def limit_pages(database: SqliteDatabase, pages: int) -> Callable:
    # A full disk without a disk: SQLite answers SQLITE_FULL from this page on, on this connection.
    return lambda session: session.execute(text(f"PRAGMA max_page_count={pages}")).scalar() and None


def test_a_full_disk_is_told_and_passes(tmp_path):
    big = "x" * 200_000

    async def scenario():
        async with opened(tmp_path) as database:
            await database.write(limit_pages(database, 12))
            async with writer_held(database):
                tasks = await queued(database, [add("a"), add(big), add("b")])
            got = await asyncio.gather(*tasks, return_exceptions=True)
            assert [type(one) for one in got] == [int, StorageUnavailableError, int]
            assert "disk is full" in str(got[1])
            with pytest.raises(StorageUnavailableError):
                await database.write(add(big))
            assert await database.read(bodies) == ["a", "b"]
            await database.write(limit_pages(database, 1_000_000))
            await database.write(add(big), shared=True)
            assert await database.read(bodies) == ["a", "b", big]

    asyncio.run(scenario())


def test_a_unit_that_hides_a_full_disk_is_not_taken_for_stored(tmp_path):
    def hides(session):
        with suppress(OperationalError):
            add("x" * 200_000)(session)
        return "fine"

    async def scenario():
        async with opened(tmp_path) as database:
            await database.write(limit_pages(database, 12))
            async with writer_held(database):
                tasks = await queued(database, [add("a"), hides, add("b")])
            got = await asyncio.gather(*tasks, return_exceptions=True)
            assert [type(one) for one in got] == [int, StorageUnavailableError, int]
            assert await database.read(bodies) == ["a", "b"]

    asyncio.run(scenario())


def test_a_failing_commit_fails_all_of_it(tmp_path):
    async def scenario():
        async with opened(tmp_path) as database:

            def fail(connection):
                error = sqlite_module().OperationalError("disk I/O error")
                error.sqlite_errorcode = 10
                raise OperationalError("COMMIT", None, error)

            async with writer_held(database):
                tasks = await queued(database, [add("a"), add("b")])
                event.listen(database.write_engine, "commit", fail)
            got = await asyncio.gather(*tasks, return_exceptions=True)
            assert [type(one) for one in got] == [StorageUnavailableError] * 2
            assert got[0] is not got[1]
            event.remove(database.write_engine, "commit", fail)
            await database.write(add("c"))
            assert await database.read(bodies) == ["c"]

    asyncio.run(scenario())


def test_a_commit_that_waits_for_a_reader_gives_its_lock_back(tmp_path):
    """In a rollback journal COMMIT itself may be refused; SQLite then keeps the transaction open."""

    async def scenario():
        async with opened(tmp_path, module=old_sqlite()) as database:
            reader = another_connection(database)
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM notes").fetchall()
            with pytest.raises(StorageUnavailableError):
                await database.write(add("a"))
            reader.execute("COMMIT")
            reader.execute("BEGIN IMMEDIATE")
            reader.execute("ROLLBACK")
            reader.close()
            await database.write(add("b"))
            assert await database.read(bodies) == ["b"]

    asyncio.run(scenario())


def test_a_foreign_lock_is_told_after_the_timeout_to_all_who_waited_that_long(tmp_path):
    async def scenario():
        async with opened(tmp_path) as database:
            begins: list[None] = []
            event.listen(database.write_engine, "begin", lambda connection: begins.append(None), insert=True)
            foreign = another_connection(database)
            foreign.execute("BEGIN EXCLUSIVE")
            tasks = await queued(database, [add("a"), add("b")], shared=False)
            tasks += await queued(database, [add("c")])
            got = await asyncio.gather(*tasks, return_exceptions=True)
            assert [type(one) for one in got] == [StorageUnavailableError] * 3
            assert len(begins) <= 2, "those who wait do not each wait for the lock once more"
            foreign.execute("ROLLBACK")
            foreign.close()
            await database.write(add("d"))
            assert await database.read(bodies) == ["d"]

    asyncio.run(scenario())


def test_readers_never_write_and_see_a_snapshot(tmp_path):
    async def scenario():
        async with opened(tmp_path) as database:
            with pytest.raises(StorageUnavailableError, match="read-only"):
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
            assert await database.read(bodies) == ["y"]

    asyncio.run(scenario())


def test_bells_ring_after_the_commit_and_only_then(tmp_path):
    rung: list[tuple[str, bool]] = []

    async def scenario():
        async with opened(tmp_path) as database:
            here = threading.get_ident()

            def work(name: str, fail: bool = False):
                def unit(session):
                    add(name)(session)
                    session.info[AFTER_COMMIT].append(
                        lambda: rung.append((name, threading.get_ident() == here))
                    )
                    if fail:
                        raise ConflictError("no")

                return unit

            await database.write(work("a"))
            assert rung == [("a", True)]
            with pytest.raises(ConflictError):
                await database.write(work("b", fail=True), shared=True)
            await asyncio.sleep(0)
            assert rung == [("a", True)]

    asyncio.run(scenario())


def test_bells_that_stores_ask_for_are_rung_after_the_commit(tmp_path):
    bells = LocalWakeups()
    heard = {}

    def work(session):
        add("a")(session)
        ring_after_commit(session, "inbox")
        ring_after_commit(session, "events:1")

    async def scenario():
        database = SqliteDatabase(tmp_path / "notes.db", ringing(plain_unit, bells))
        await database.start()
        await database.write(lambda session: session.execute(text(TABLE)) and None)
        await database.write(work, shared=True)
        for bell in ("inbox", "events:1", "outbox"):
            heard[bell] = await bells.wait(bell, timedelta(0))
        await database.close()

    asyncio.run(scenario())
    assert heard == {"inbox": True, "events:1": True, "outbox": False}


def test_closing_what_was_never_started_creates_nothing(tmp_path):
    asyncio.run(SqliteDatabase(tmp_path / "notes.db", plain_unit).close())
    assert list(tmp_path.iterdir()) == []


def test_a_full_queue_refuses(tmp_path):
    async def scenario():
        async with opened(tmp_path, queue_limit=2) as database:
            async with writer_held(database):
                tasks = await queued(database, [add("a"), add("b")])
                with pytest.raises(StorageUnavailableError, match="too many"):
                    await database.write(add("c"))
            await asyncio.gather(*tasks)
            assert await database.read(bodies) == ["a", "b"]

    asyncio.run(scenario())


def test_close_finishes_what_waits_and_empties_the_wal(tmp_path):
    async def scenario():
        async with opened(tmp_path) as database:
            async with writer_held(database):
                tasks = await queued(database, [add(f"{number:03}") for number in range(100)])
                tasks += await queued(database, [add("alone")], shared=False)
                closing = asyncio.get_running_loop().create_task(database.close())
                await asyncio.sleep(0.05)
                with pytest.raises(StorageUnavailableError, match="closed"):
                    await database.write(add("late"))
            await closing
            assert len(await asyncio.gather(*tasks)) == 101
            with pytest.raises(StorageUnavailableError, match="closed"):
                await database.read(bodies)

    asyncio.run(scenario())
    assert not (tmp_path / "notes.db-wal").exists()
    with sqlite3.connect(f"file:{tmp_path / 'notes.db'}?immutable=1", uri=True) as connection:
        assert connection.execute("SELECT count(*) FROM notes").fetchone() == (101,)
    connection.close()


def test_settings_of_every_connection(tmp_path):
    wanted = {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "secure_delete": 1,
        "journal_size_limit": 67_108_864,
        "trusted_schema": 0,
        "busy_timeout": 200,
    }

    def settings(session):
        return {name: session.execute(text(f"PRAGMA {name}")).scalar() for name in wanted}

    async def scenario():
        async with opened(tmp_path) as database:
            assert await database.write(settings) == wanted
            assert await database.read(settings) == wanted

    asyncio.run(scenario())
    assert stat.S_IMODE((tmp_path / "notes.db").stat().st_mode) == 0o600


def old_sqlite() -> types.ModuleType:
    """The driver, claiming to be Debian 12's version."""
    module = types.ModuleType("old_sqlite")
    module.__dict__.update(vars(sqlite_module()))
    module.sqlite_version_info = (3, 40, 1)
    return module


@pytest.mark.parametrize(
    ("version", "safe"),
    [
        ((3, 40, 1), False),
        ((3, 44, 5), False),
        ((3, 44, 6), True),
        ((3, 46, 1), False),
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 53, 0), True),
    ],
)
def test_versions_with_the_wal_reset_fault(version, safe):
    assert wal_is_safe(version) is safe


def test_wal_is_refused_and_left_on_a_faulty_version(tmp_path):
    async def scenario():
        async with opened(tmp_path) as database:
            await database.write(add("a"))
        database = SqliteDatabase(tmp_path / "notes.db", plain_unit, module=old_sqlite())
        await database.start()
        mode = text("PRAGMA journal_mode")
        assert await database.write(lambda session: session.execute(mode).scalar()) == "delete"
        assert await database.read(bodies) == ["a"]
        await database.close()

    asyncio.run(scenario())


def test_a_damaged_file_is_refused(tmp_path):
    (tmp_path / "notes.db").write_bytes(b"this is no database " * 300)
    database = SqliteDatabase(tmp_path / "notes.db", plain_unit)
    with pytest.raises(DatabaseRefusedError, match="not a database"):
        asyncio.run(database.start())
    asyncio.run(database.close())


def test_a_network_file_system_is_refused(tmp_path):
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_text(
        "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
        "30 27 0:40 / /mnt/shared\\040disk rw,relatime shared:1 - nfs4 server:/export rw\n"
        "31 30 0:41 / /mnt/shared\\040disk/local rw - xfs /dev/vdb rw\n"
    )
    with pytest.raises(DatabaseRefusedError, match="nfs4"):
        refuse_network_file_system(Path("/mnt/shared disk/huiyin.db"), mountinfo)
    refuse_network_file_system(Path("/mnt/shared disk/local/huiyin.db"), mountinfo)
    refuse_network_file_system(Path("/srv/huiyin.db"), mountinfo)
    refuse_network_file_system(Path("/srv/huiyin.db"), tmp_path / "missing")


def test_a_place_that_cannot_be_used_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    database = SqliteDatabase(tmp_path / "file" / "notes.db", plain_unit)
    with pytest.raises(DatabaseRefusedError, match="cannot be opened"):
        asyncio.run(database.start())


def test_reading_commands_work_beside_serve_and_write_nothing(tmp_path):
    url = f"sqlite:///{tmp_path / 'notes.db'}"
    with pytest.raises(NotFoundError):
        open_readonly(url)

    def check() -> None:
        engine = open_readonly(url)
        with engine.connect() as connection:
            assert connection.execute(text("SELECT body FROM notes")).scalars().all() == ["a"]
            with pytest.raises(OperationalError):
                connection.execute(text("DELETE FROM notes"))
        engine.dispose()

    async def scenario():
        async with opened(tmp_path) as database:
            await database.write(add("a"))
            check()

    asyncio.run(scenario())
    check()


def test_the_engine_for_migrations_writes_and_creates_a_private_file(tmp_path):
    engine = sync_engine(f"sqlite:///{tmp_path / 'var' / 'notes.db'}")
    with engine.begin() as connection:
        connection.execute(text(TABLE))
    with engine.connect() as connection:
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
    assert stat.S_IMODE((tmp_path / "var" / "notes.db").stat().st_mode) == 0o600


def test_addresses(tmp_path):
    assert sqlite_path("sqlite:///var/huiyin.db") == Path("var/huiyin.db")
    assert sqlite_path("postgresql://host/name") is None
    assert isinstance(open_database(f"sqlite:///{tmp_path / 'x.db'}", plain_unit), SqliteDatabase)
    for wrong in ("sqlite://", "sqlite:///:memory:", "nonsense"):
        with pytest.raises(InvalidInputError):
            sqlite_path(wrong)
    with pytest.raises(InvalidInputError):
        open_database("mysql://host/name", plain_unit)


def test_the_standard_library_serves_where_pysqlite3_is_missing(monkeypatch):
    monkeypatch.setattr(sqlite_engine, "_bundled", None)
    assert sqlite_module() is sqlite3


SERVE = """
import sys
from storage.locks import SingleServeLock
SingleServeLock(sys.argv[1]).acquire()
print("serving", flush=True)
sys.stdin.read()
"""


def test_a_second_serve_is_refused_until_the_first_is_dead(tmp_path):
    (tmp_path / "serve.lock").write_text("99999999\n")
    first = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(sqlite_engine.__file__).parent.parent,
    )
    try:
        assert first.stdout is not None
        assert first.stdout.readline() == b"serving\n"
        with pytest.raises(AlreadyServingError, match=f"process {first.pid} already serves"):
            SingleServeLock(tmp_path).acquire()
    finally:
        first.kill()
        first.communicate()
    with SingleServeLock(tmp_path) as lock:
        lock.acquire()
        assert (tmp_path / "serve.lock").read_text() == f"{os.getpid()}\n"
        with pytest.raises(AlreadyServingError):
            SingleServeLock(tmp_path).acquire()
    with SingleServeLock(tmp_path):
        pass


def test_programs_started_from_here_do_not_inherit_the_lock(tmp_path):
    lock = SingleServeLock(tmp_path)
    lock.acquire()
    child = subprocess.Popen(
        [sys.executable, "-c", "print(flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        close_fds=False,
    )
    try:
        assert child.stdout is not None
        child.stdout.readline()
        lock.release()
        with SingleServeLock(tmp_path):
            pass
    finally:
        child.communicate(b"\n")
