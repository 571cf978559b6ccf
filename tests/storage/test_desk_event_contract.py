"""Desk events: a screen that resumes misses none, whatever the order of commits."""

from __future__ import annotations

import pytest
from care_stories import DAY, NOW
from contract_backend import Backend
from sqlmodel import Session

from storage.desk_event_store import SqlDeskEventStore
from storage.unit_of_work import SqlUnitOfWork


def add(database: Backend, *kinds: str) -> None:
    def work(unit: SqlUnitOfWork) -> None:
        for kind in kinds:
            unit.desk_events.add(kind, None, None, {"of": kind}, NOW)

    database.run(work)


def kinds_after(database: Backend, position: int, limit: int = 50) -> list[tuple[int, str]]:
    found = database.run(lambda unit: unit.desk_events.find_after(position, limit))
    return [(one.id, one.kind) for one in found]


def test_events_are_numbered_as_they_are_committed_and_ring_the_bell(database: Backend) -> None:
    assert database.run(lambda unit: unit.desk_events.last_id()) == 0
    add(database, "case_opened", "message")
    assert database.bells == {"desk"}
    add(database, "case_taken")
    assert kinds_after(database, 0) == [(1, "case_opened"), (2, "message"), (3, "case_taken")]
    assert kinds_after(database, 1, limit=1) == [(2, "message")]
    assert database.run(lambda unit: unit.desk_events.last_id()) == 3
    (first, *_) = database.run(lambda unit: unit.desk_events.find_after(0, 1))
    assert (first.payload, first.at) == ({"of": "case_opened"}, NOW)


def test_an_event_of_a_longer_transaction_comes_after_what_was_read_meanwhile(postgresql: Backend) -> None:
    with Session(postgresql.engine) as slow:
        SqlDeskEventStore(slow).add("slow", None, None, {}, NOW)
        add(postgresql, "quick")
        assert kinds_after(postgresql, 0) == [(1, "quick")]
        slow.commit()
    assert kinds_after(postgresql, 1) == [(2, "slow")]


def test_events_of_many_transactions_get_numbers_without_gaps(database: Backend) -> None:
    database.run_together([lambda unit: unit.desk_events.add("message", None, None, {}, NOW)] * 6)
    assert [position for position, _ in kinds_after(database, 0)] == [1, 2, 3, 4, 5, 6]


def test_an_event_that_is_rolled_back_takes_no_number(database: Backend) -> None:
    def work(unit: SqlUnitOfWork) -> None:
        unit.desk_events.add("lost", None, None, {}, NOW)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        database.run(work)
    add(database, "kept")
    assert kinds_after(database, 0) == [(1, "kept")]


def test_an_event_of_a_savepoint_that_failed_is_gone(database: Backend) -> None:
    def work(unit: SqlUnitOfWork) -> None:
        savepoint = unit.session.begin_nested()
        unit.desk_events.add("lost", None, None, {}, NOW)
        savepoint.rollback()
        with unit.session.begin_nested():
            unit.desk_events.add("kept", None, None, {}, NOW)

    database.run(work)
    assert kinds_after(database, 0) == [(1, "kept")]


def test_numbers_go_on_when_old_events_are_deleted(database: Backend) -> None:
    add(database, "old")
    keep = 30 * DAY
    database.run(lambda unit: unit.contact_data.apply_retention(NOW + 8 * DAY, keep, keep, keep, 10))
    assert database.count("desk_events") == 0
    assert database.run(lambda unit: unit.desk_events.last_id()) == 1
    add(database, "new")
    assert kinds_after(database, 1) == [(2, "new")]


def test_units_that_share_a_commit_number_their_events_too(sqlite: Backend) -> None:
    with sqlite.engine.connect() as connection, connection.begin():
        for kind in ("first", "second"):
            with Session(connection, join_transaction_mode="create_savepoint") as session:
                SqlDeskEventStore(session).add(kind, None, None, {}, NOW)
                session.commit()
    assert kinds_after(sqlite, 0) == [(1, "first"), (2, "second")]
