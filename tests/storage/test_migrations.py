"""Migrations make exactly the tables of the code, on both databases, and can be undone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from contract_backend import in_schema
from sqlalchemy import (
    Connection,
    Engine,
    Index,
    Inspector,
    PrimaryKeyConstraint,
    UniqueConstraint,
    inspect,
    text,
)
from sqlmodel import SQLModel

from desk.errors import NotFoundError
from storage import migrate
from storage.connect import sync_engine
from storage.database import DatabaseRefusedError
from storage.tables import people, rooms, work

_LONGEST_NAME = 63
"""PostgreSQL cuts longer names, and then two may be the same."""


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'huiyin.db'}"
        return
    url: str = request.getfixturevalue("postgres_url")
    schema = "migrations"
    engine = sync_engine(url)
    with engine.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    yield in_schema(url, schema)
    with engine.begin() as connection:
        connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
    engine.dispose()


@pytest.fixture
def engine(empty_url: str) -> Iterator[Engine]:
    engine = sync_engine(empty_url)
    yield engine
    engine.dispose()


def tables(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names()) - {"alembic_version"}


def structure(connection: Connection) -> dict[str, object]:
    """Everything that the database itself knows about its tables, checks and partial indexes included."""
    if connection.dialect.name == "sqlite":
        rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
        # One line per column and constraint; in which order the constraints stand means nothing, nor do
        # the quotes that SQLite puts around the names of a table that was renamed.
        return {
            row.name: sorted(line.strip(" \t,") for line in row.sql.replace('"', "").splitlines())
            for row in rows
            if row.name not in ("alembic_version", "sqlite_sequence")
        }
    inspector: Inspector = inspect(connection)
    found: dict[str, object] = {
        f"columns of {name}": [
            (column["name"], str(column["type"]), column["nullable"])
            for column in inspector.get_columns(name)
        ]
        for name in inspector.get_table_names()
        if name != "alembic_version"
    }
    constraints = connection.execute(
        text(
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE connamespace = current_schema()::regnamespace"
        )
    )
    indexes = connection.execute(
        text("SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema()")
    )
    found.update((name, definition) for name, definition in (*constraints, *indexes))
    return {name: what for name, what in found.items() if not name.startswith("alembic_version")}


def test_up_makes_all_tables_and_down_takes_them_away(empty_url: str, engine: Engine) -> None:
    assert migrate.current(empty_url) is None
    told: list[str] = []
    everything = migrate.pending(empty_url)
    assert migrate.upgrade(empty_url, told.append) == everything
    assert [line.split(" ")[0] for line in told] == everything
    assert migrate.current(empty_url) == migrate.HEAD == everything[-1]
    assert tables(engine) == set(SQLModel.metadata.tables)

    assert migrate.pending(empty_url) == []
    assert migrate.upgrade(empty_url, told.append) == []
    assert len(told) == len(everything)

    migrate.downgrade(empty_url, migrate.BASE)
    assert tables(engine) == set()
    assert migrate.current(empty_url) is None
    assert migrate.upgrade(empty_url) == everything


def test_migrations_and_code_agree_to_the_letter(empty_url: str, engine: Engine) -> None:
    migrate.upgrade(empty_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, SQLModel.metadata) == []
        migrated = structure(connection)
    migrate.downgrade(empty_url, migrate.BASE)
    with engine.begin() as connection:
        SQLModel.metadata.create_all(connection)
        created = structure(connection)
    assert migrated == created
    assert len(created) > len(SQLModel.metadata.tables)


def test_every_constraint_and_index_has_a_name_of_its_own() -> None:
    for table in SQLModel.metadata.tables.values():
        names = [str(each.name) for each in (*table.constraints, *table.indexes) if each.name is not None]
        assert len(names) == len(table.constraints) + len(table.indexes), table.name
        assert len(names) == len(set(names)), table.name
        assert [name for name in names if len(name) > _LONGEST_NAME] == []
        assert table.name == table.name.lower()


def test_what_refers_to_a_message_or_a_person_is_found_by_an_index() -> None:
    """Else each deleted row would have whole tables read, to see whether it is still referred to."""
    leading = {
        next(iter(each.columns))
        for table in SQLModel.metadata.tables.values()
        for each in (*table.indexes, table.primary_key, *table.constraints)
        if isinstance(each, Index | PrimaryKeyConstraint | UniqueConstraint)
    }
    referring = {
        column
        for row in (work.OutboxRow, *people.__dict__.values(), *rooms.__dict__.values())
        if isinstance(row, type) and issubclass(row, SQLModel) and row is not SQLModel
        for column in SQLModel.metadata.tables[row.__tablename__].columns
        # Staff are disabled, never deleted.
        if column.foreign_keys and column.name != "staff_id"
    }
    assert referring
    assert [str(column) for column in referring - leading] == []


def test_a_database_from_the_future_is_refused_in_words(empty_url: str, engine: Engine) -> None:
    migrate.upgrade(empty_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for step in (
        lambda: migrate.pending(empty_url),
        lambda: migrate.upgrade(empty_url),
        lambda: migrate.downgrade(empty_url, migrate.BASE),
    ):
        with pytest.raises(DatabaseRefusedError, match="revision 9999, which this version of the program"):
            step()
    assert tables(engine) == set(SQLModel.metadata.tables)


def test_a_revision_that_nobody_wrote_cannot_be_gone_back_to(empty_url: str) -> None:
    with pytest.raises(NotFoundError):
        migrate.downgrade(empty_url, "0000")


def test_a_failed_migration_leaves_nothing_behind(empty_url: str, engine: Engine) -> None:
    with engine.begin() as connection:
        # In the way of a table that is created late.
        connection.execute(text("CREATE TABLE survey_answers (id INTEGER)"))
    with pytest.raises(Exception, match="survey_answers"):
        migrate.upgrade(empty_url)
    assert tables(engine) == {"survey_answers"}
    assert migrate.current(empty_url) is None


def test_those_that_start_together_migrate_once(empty_url: str) -> None:
    told: list[str] = []
    threads = [Thread(target=migrate.upgrade, args=(empty_url, told.append)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(told) == len(migrate._revisions())
    assert migrate.current(empty_url) == migrate.HEAD


def test_head_is_the_newest_script() -> None:
    scripts = ScriptDirectory.from_config(migrate._config())
    assert scripts.get_current_head() == migrate.HEAD


def test_alembic_is_not_loaded_when_nothing_is_pending(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'huiyin.db'}"
    migrate.upgrade(url)
    program = (
        f"import sys; from storage import migrate; assert migrate.upgrade({url!r}) == [];"
        " sys.exit('alembic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0


# --- 0002: staff rooms and attachments ---------------------------------------------------------------

_TIME = "'2026-11-21 08:00:00.000000+00'"
_PEOPLE = (
    f"INSERT INTO contacts (id, public_id, name, phone, created_at) VALUES (1, 'c', '', '', {_TIME})",
    "INSERT INTO identities (id, contact_id, channel, external_id, reachable, unreachable_reason, language,"
    f" created_at) VALUES (1, 1, 'web', '5', TRUE, '', '', {_TIME})",
    "INSERT INTO conversations (id, public_id, identity_id, speaker, misses, next_seq, seen_seq, created_at)"
    f" VALUES (1, 'v', 1, 'bot', 0, 1, 0, {_TIME})",
)
_MESSAGE = (
    "INSERT INTO messages (id, conversation_id, author, channel, external_id, revision, text, reason, action,"
    f" delivery, created_at) VALUES ({{id}}, 1, 'bot', 'web', 'out:{{id}}', 0, '您好', '', '', 'queued', {_TIME})"
)
_OUTGOING = (
    "INSERT INTO outbox (id, dedupe_key, kind, channel, lane, conversation_id, message_id, recipient, text,"
    " speakers, payload, state, attempts, maybe_duplicate, not_before, provider_id, error, created_at)"
    " VALUES ({id}, 'k{id}', '{kind}', 'web', 'conversation:1', 1, {id}, '5', '', '[]', '{{}}', 'queued', 0,"
    f" FALSE, {_TIME}, '', '', {_TIME})"
)


@pytest.fixture
def old(empty_url: str, engine: Engine) -> Engine:
    """A database of revision 0001 with a reply and a survey that wait, and rows that are gone again."""
    migrate.upgrade(empty_url)
    migrate.downgrade(empty_url, "0001")
    with engine.begin() as connection:
        for statement in _PEOPLE:
            connection.execute(text(statement))
        for id, kind in ((1, "reply"), (2, "survey"), (40, "reply")):
            connection.execute(text(_MESSAGE.format(id=id)))
            connection.execute(text(_OUTGOING.format(id=id, kind=kind).replace(":1", "\\:1")))
            connection.execute(
                text(f"INSERT INTO buttons (token, message_id, position) VALUES ('t{id}', {id}, 0)")
            )
        connection.execute(text("DELETE FROM buttons WHERE message_id = 40"))
        connection.execute(text("DELETE FROM messages WHERE id = 40"))
    return engine


def asked(engine: Engine, query: str) -> list[tuple[object, ...]]:
    with engine.begin() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def test_rows_survive_the_way_up_and_down(empty_url: str, old: Engine) -> None:
    assert migrate.upgrade(empty_url) == ["0002", "0003"]
    assert asked(old, "SELECT id, kind, rank, demanded FROM outbox ORDER BY id") == [
        (1, "reply", 0, False),
        (2, "survey", 3, False),
    ]
    assert asked(old, "SELECT id, text, attachments FROM messages ORDER BY id") == [
        (1, "您好", None),
        (2, "您好", None),
    ]
    assert asked(old, "SELECT token FROM buttons ORDER BY token") == [("t1",), ("t2",)]

    with old.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO outbox (id, dedupe_key, kind, channel, lane, recipient, speakers, payload, state,"
                " attempts, maybe_duplicate, not_before, provider_id, error, created_at, rank, demanded)"
                " SELECT 41, 'relayed', 'relay', channel, 'room', '-100', speakers, payload, state, 0, FALSE,"
                " not_before, '', '', created_at, 2, FALSE FROM outbox WHERE id = 1"
            )
        )
    migrate.downgrade(empty_url, "0001")
    assert asked(old, "SELECT id, kind, text FROM outbox ORDER BY id") == [
        (1, "reply", ""),
        (2, "survey", ""),
    ]
    assert asked(old, "SELECT id FROM messages ORDER BY id") == [(1,), (2,)]
    assert asked(old, "SELECT token FROM buttons ORDER BY token") == [("t1",), ("t2",)]
    assert migrate.upgrade(empty_url) == ["0002", "0003"]


@pytest.mark.parametrize("empty_url", ["sqlite"], indirect=True)
def test_no_id_is_given_twice_though_tables_were_copied(empty_url: str, old: Engine) -> None:
    """SQLite would give 40 again, whose row is gone, as a copied table knows only its own rows."""
    for step in (lambda: migrate.upgrade(empty_url), lambda: migrate.downgrade(empty_url, "0001")):
        step()
        given = asked(old, "SELECT name, seq FROM sqlite_sequence WHERE name IN ('messages', 'outbox')")
        assert sorted(given) == [("messages", 40), ("outbox", 40)]


def test_the_way_down_gives_the_tables_of_before(empty_url: str, engine: Engine) -> None:
    def sorted_columns() -> dict[str, object]:
        with engine.connect() as connection:
            found = structure(connection)
        return {name: sorted(what) if isinstance(what, list) else what for name, what in found.items()}

    migrate.upgrade(empty_url)
    migrate.downgrade(empty_url, migrate.BASE)
    with engine.begin() as connection:
        script = ScriptDirectory.from_config(migrate._config()).get_revision("0001")
        context = MigrationContext.configure(connection)
        with Operations.context(context):
            script.module.upgrade()
    before = sorted_columns()
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO alembic_version VALUES ('0001')"))
    assert migrate.upgrade(empty_url) == ["0002", "0003"]
    migrate.downgrade(empty_url, "0001")
    assert sorted_columns() == before


@pytest.mark.parametrize("empty_url", ["sqlite"], indirect=True)
def test_a_row_that_refers_to_nothing_stops_the_migration(empty_url: str, old: Engine) -> None:
    """While tables are copied SQLite looks at no references, so they are looked at before the commit."""
    with old.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        connection.exec_driver_sql("DELETE FROM messages WHERE id = 1")
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("BEGIN")
    with pytest.raises(DatabaseRefusedError, match=r"a row of (buttons|outbox) refers to a row of messages"):
        migrate.upgrade(empty_url)
    assert migrate.current(empty_url) == "0001"


# --- 0003: intents of FAQ entries --------------------------------------------------------------------


def test_entries_that_came_along_learn_which_intent_they_answer(empty_url: str, engine: Engine) -> None:
    migrate.upgrade(empty_url)
    migrate.downgrade(empty_url, "0002")
    with engine.begin() as connection:
        for id, slug in ((1, "ship-time"), (2, "our-own")):
            connection.execute(
                text(
                    "INSERT INTO faq_entries (id, slug, category, question, variants, answer, quick, enabled,"
                    f" updated_at) VALUES ({id}, '{slug}', '', '?', '[]', '!', FALSE, TRUE, {_TIME})"
                )
            )
    assert migrate.upgrade(empty_url) == ["0003"]
    assert asked(engine, "SELECT id, intent FROM faq_entries ORDER BY id") == [(1, "shipping_time"), (2, "")]
    migrate.downgrade(empty_url, "0002")
    assert asked(engine, "SELECT id, slug FROM faq_entries ORDER BY id") == [(1, "ship-time"), (2, "our-own")]
