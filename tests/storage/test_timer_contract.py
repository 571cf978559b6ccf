"""Timers fire once each, survive being set anew, and one worker alone holds a lease."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from time import sleep

import pytest
from contract_backend import Backend

from desk.errors import NotFoundError
from desk.values import Timer
from storage.unit_of_work import SqlUnitOfWork

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
LEASE = timedelta(minutes=1)


def set_timer(
    database: Backend, kind: str, key: str, at: datetime, payload: dict[str, object] | None = None
) -> None:
    database.run(lambda unit: unit.timers.set(kind, key, at, payload or {}))


def due(database: Backend, *, at: datetime = NOW, limit: int = 200) -> list[Timer]:
    return list(database.run(lambda unit: unit.timers.find_due(at, limit)))


def next_due_at(database: Backend) -> datetime | None:
    return database.run(lambda unit: unit.timers.next_due_at())


def test_a_timer_is_due_at_its_time_and_not_before(database: Backend) -> None:
    assert next_due_at(database) is None
    set_timer(database, "survey", "1", NOW, {"order": 7})
    assert database.bells == {"timers"}
    assert next_due_at(database) == NOW
    assert due(database, at=NOW - timedelta(microseconds=1)) == []
    (timer,) = due(database)
    assert timer == Timer(timer.id, "survey", "1", NOW, {"order": 7}, attempts=0)


def test_set_again_moves_the_one_timer(database: Backend) -> None:
    set_timer(database, "survey", "1", NOW, {"round": 1})
    set_timer(database, "survey", "1", NOW + SECOND, {"round": 2})
    assert due(database) == []
    (timer,) = due(database, at=NOW + SECOND)
    assert timer.payload == {"round": 2}
    assert database.count("timers") == 1


def test_due_timers_are_of_one_kind_the_longest_overdue_first(database: Backend) -> None:
    set_timer(database, "sla", "9", NOW - SECOND)
    set_timer(database, "survey", "2", NOW - 2 * SECOND)
    set_timer(database, "survey", "1", NOW - 3 * SECOND)
    set_timer(database, "survey", "3", NOW + SECOND)
    assert [(timer.kind, timer.key) for timer in due(database)] == [("survey", "1"), ("survey", "2")]
    assert [timer.key for timer in due(database, limit=1)] == ["1"]


def test_a_slow_kind_can_be_left_to_its_own_worker(database: Backend) -> None:
    set_timer(database, "score", "1", NOW - 3 * SECOND)
    set_timer(database, "survey", "2", NOW - 2 * SECOND)
    set_timer(database, "sla", "3", NOW - SECOND)

    def found(**kinds: Collection[str]) -> list[str]:
        timers = database.run(lambda unit: unit.timers.find_due(NOW, 9, **kinds))
        return [timer.kind for timer in timers]

    assert found() == ["score"]
    assert found(only={"score"}) == ["score"]
    assert found(only=("sla", "survey")) == ["survey"]
    assert found(only=()) == []
    assert found(without=["score"]) == ["survey"]
    assert found(only=None, without={"score", "survey"}) == ["sla"]
    assert found(only=["score"], without=["score"]) == []


def test_a_finished_timer_never_fires_again(database: Backend) -> None:
    set_timer(database, "survey", "1", NOW)

    def fire(unit: SqlUnitOfWork) -> int:
        locked = unit.timers.lock([timer.id for timer in unit.timers.find_due(NOW, 200)], NOW)
        for timer in locked:
            unit.timers.finish(timer)
        return len(locked)

    assert [database.run(fire), database.run(fire)] == [1, 0]
    assert next_due_at(database) is None


def test_two_workers_never_fire_the_same_timer(postgresql: Backend) -> None:
    for number in range(20):
        set_timer(postgresql, "survey", str(number), NOW)
    found = due(postgresql)

    def fire(unit: SqlUnitOfWork) -> list[str]:
        locked = unit.timers.lock([timer.id for timer in reversed(found)], NOW)
        assert [timer.id for timer in locked] == sorted(timer.id for timer in locked)
        sleep(0.01)
        for timer in locked:
            unit.timers.finish(timer)
        return [timer.key for timer in locked]

    fired = [key for keys in postgresql.run_together([fire] * 5) for key in keys]
    assert sorted(fired) == sorted(str(number) for number in range(20))


def test_what_was_moved_or_cancelled_since_it_was_found_is_not_locked(database: Backend) -> None:
    for key in ("1", "2", "3"):
        set_timer(database, "survey", key, NOW)
    found = due(database)
    set_timer(database, "survey", "1", NOW + SECOND)
    database.run(lambda unit: unit.timers.cancel("survey", "2"))
    locked = database.run(lambda unit: unit.timers.lock([timer.id for timer in found], NOW))
    assert [timer.key for timer in locked] == ["3"]
    assert database.run(lambda unit: unit.timers.lock([], NOW)) == []


@pytest.mark.parametrize("later", [timedelta(0), timedelta(days=1)])
def test_a_timer_set_anew_while_it_fires_outlives_its_end(database: Backend, later: timedelta) -> None:
    set_timer(database, "sla", "1", NOW)

    def fire(unit: SqlUnitOfWork) -> None:
        (timer,) = unit.timers.lock([each.id for each in unit.timers.find_due(NOW, 1)], NOW)
        unit.timers.set("sla", "1", NOW + later, {"rung": 1})
        unit.timers.finish(timer)
        unit.timers.retry(timer, "Error", NOW + timedelta(days=9))
        unit.timers.bury(timer, "Error")

    database.run(fire)
    (timer,) = due(database, at=NOW + later)
    assert (timer.payload, timer.attempts) == ({"rung": 1}, 0)


def test_a_timer_cancelled_while_it_fires_stays_cancelled(database: Backend) -> None:
    set_timer(database, "sla", "1", NOW)

    def fire(unit: SqlUnitOfWork) -> None:
        (timer,) = unit.timers.lock([each.id for each in unit.timers.find_due(NOW, 1)], NOW)
        unit.timers.cancel("sla", "1")
        unit.timers.finish(timer)

    database.run(fire)
    assert database.count("timers", "state = 'cancelled'") == 1
    assert due(database) == []


def test_cancelling_what_is_not_there_does_nothing(database: Backend) -> None:
    database.run(lambda unit: unit.timers.cancel("sla", "1"))
    assert database.count("timers") == 0


@pytest.mark.parametrize("end", ["finish", "cancel"])
def test_an_ended_timer_can_be_set_again(database: Backend, end: str) -> None:
    set_timer(database, "sla", "1", NOW)
    (timer,) = due(database)
    database.run(
        lambda unit: unit.timers.finish(timer) if end == "finish" else unit.timers.cancel("sla", "1")
    )
    assert due(database) == []
    set_timer(database, "sla", "1", NOW)
    assert [again.key for again in due(database)] == ["1"]


def test_a_failed_timer_is_tried_later_in_another_transaction(database: Backend) -> None:
    set_timer(database, "survey", "1", NOW)
    (timer,) = due(database)
    database.run(lambda unit: unit.timers.retry(timer, "KeyError", NOW + SECOND))
    assert due(database) == []
    (again,) = due(database, at=NOW + SECOND)
    assert (again.id, again.attempts) == (timer.id, 1)
    # The timer as it was found is history: somebody else has moved it since.
    database.run(lambda unit: unit.timers.bury(timer, "KeyError"))
    assert due(database, at=NOW + SECOND) == [again]


def test_a_buried_timer_is_a_dead_letter_until_replayed(database: Backend) -> None:
    set_timer(database, "survey", "1", NOW, {"order": 7})
    (timer,) = due(database)
    database.run(lambda unit: unit.timers.bury(timer, "KeyError"))
    assert due(database) == []
    (letter,) = database.run(lambda unit: unit.dead_letters.all(10))
    assert (letter.origin, letter.id, letter.kind, letter.lane) == ("timer", timer.id, "survey", "1")
    assert (letter.error, letter.attempts, letter.body) == ("KeyError", 1, '{"order": 7}')

    later = NOW + timedelta(days=1)
    database.run(lambda unit: unit.dead_letters.replay("timer", timer.id, later))
    assert database.bells == {"timers"}
    (again,) = due(database, at=later)
    assert (again.attempts, again.due_at) == (0, later)
    with pytest.raises(NotFoundError):
        database.run(lambda unit: unit.dead_letters.replay("timer", timer.id, later))


def test_dead_letters_come_newest_first_in_pages(database: Backend) -> None:
    for number in range(5):
        set_timer(database, "survey", str(number), NOW - number * SECOND)
    for timer in due(database):
        database.run(lambda unit, timer=timer: unit.timers.bury(timer, "KeyError"))
    pages = [database.run(lambda unit, at=at: unit.dead_letters.all(2, at)) for at in (0, 2, 4, 6)]
    assert [[letter.lane for letter in page] for page in pages] == [["0", "1"], ["2", "3"], ["4"], []]
    assert database.run(lambda unit: unit.dead_letters.count()) == 5


def test_one_owner_holds_a_lease_until_it_gives_it_back(postgresql: Backend) -> None:
    def acquire(owner: str, lease: timedelta = LEASE) -> bool:
        return postgresql.run(lambda unit: unit.leases.acquire("poller", owner, lease, NOW))

    assert [acquire("a"), acquire("b"), acquire("a")] == [True, False, True]
    postgresql.run(lambda unit: unit.leases.release("poller", "b"))
    assert acquire("b") is False
    postgresql.run(lambda unit: unit.leases.release("poller", "a"))
    assert acquire("b", timedelta(milliseconds=1)) is True
    sleep(0.005)
    assert acquire("a") is True
    assert postgresql.run(lambda unit: unit.leases.acquire("sender", "b", LEASE, NOW)) is True


def test_many_that_reach_for_a_lease_leave_one_holder(postgresql: Backend) -> None:
    taken = postgresql.run_together([lambda unit: unit.leases.acquire("poller", unit.owner, LEASE, NOW)] * 6)
    assert sum(taken) == 1


def test_a_new_start_takes_the_lease_of_the_old_at_once(sqlite: Backend) -> None:
    def acquire(owner: str) -> bool:
        return sqlite.run(lambda unit: unit.leases.acquire("poller", owner, LEASE, NOW))

    assert [acquire("start-1"), acquire("start-1"), acquire("start-2")] == [True, True, True]
    assert sqlite.count("leases", "owner = 'start-2' AND fence = 2") == 1
