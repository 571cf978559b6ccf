"""The inbox: nothing is lost, nothing is worked twice, and each lane keeps its order."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from time import sleep

import pytest
from contract_backend import Backend
from sqlalchemy import text

from desk.errors import LeaseLostError, NotFoundError
from desk.values import Claim, InboxItem
from storage.unit_of_work import SqlUnitOfWork

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
LEASE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


def put(database: Backend, lane: str, key: str, *, body: str = "", at: datetime = NOW) -> int | None:
    """Adds one item; its bytes are ``body`` or else the key."""
    raw = (body or key).encode()
    return database.run(lambda unit: unit.inbox.add("telegram", key, f"hash of {body or key}", lane, raw, at))


def claim_one(database: Backend, owner: str = "worker-1", *, at: datetime = NOW) -> Claim:
    (claim,) = database.run(lambda unit: unit.inbox.claim_lanes(owner, 1, LEASE, at))
    return claim


def head(database: Backend, claim: Claim, *, at: datetime = NOW) -> InboxItem | None:
    return database.run(lambda unit: unit.inbox.find_head(claim, at))


def expired_claim(database: Backend, owner: str) -> Claim:
    """A claim whose lease is over: by the database's clock on PostgreSQL, by ours on SQLite."""
    (claim,) = database.run(lambda unit: unit.inbox.claim_lanes(owner, 1, timedelta(milliseconds=1), NOW))
    sleep(0.005)
    return claim


def test_same_update_twice_is_stored_once(database: Backend) -> None:
    assert put(database, "chat:1", "7:100") is not None
    assert database.bells == {"inbox"}
    assert put(database, "chat:1", "7:100") is None
    assert database.bells == set()
    assert database.count("inbox") == 1
    assert database.count("lanes", "pending = 1") == 1


def test_same_update_from_many_connections_is_stored_once(database: Backend) -> None:
    stored = database.run_together(
        [lambda unit: unit.inbox.add("telegram", "7:100", "hash", "chat:1", b"{}", NOW)] * 6
    )
    assert sum(item_id is not None for item_id in stored) == 1
    assert database.count("lanes", "pending = 1") == 1


def test_an_update_id_that_comes_again_with_other_bytes_is_another_update(database: Backend) -> None:
    put(database, "chat:1", "7:100", body="first")
    put(database, "chat:1", "7:100", body="second", at=NOW + SECOND)
    known = database.run(lambda unit: unit.inbox.find_keys("telegram", "7:100", "chat:1"))
    assert [(key.body_hash, key.received_at) for key in known] == [
        ("hash of first", NOW),
        ("hash of second", NOW + SECOND),
    ]


def test_asking_for_an_unknown_key_makes_no_work(database: Backend) -> None:
    assert database.run(lambda unit: unit.inbox.find_keys("telegram", "7:100", "chat:1")) == []
    assert database.run(lambda unit: unit.inbox.claim_lanes("worker-1", 5, LEASE, NOW)) == []


def test_what_is_rolled_back_was_never_there(database: Backend) -> None:
    def work(unit: SqlUnitOfWork) -> None:
        unit.inbox.add("telegram", "7:100", "hash", "chat:1", b"{}", NOW)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        database.run(work)
    assert database.count("inbox") == 0
    assert database.count("lanes") == 0


def test_items_of_a_lane_come_in_the_order_of_their_ids(database: Backend) -> None:
    for key in ("a", "b", "c"):
        put(database, "chat:1", key)
    claim = claim_one(database)
    seen = []
    while (item := head(database, claim)) is not None:
        seen.append((item.source_key, item.raw, item.lane, item.received_at, item.attempts))
        database.run(lambda unit, id=item.id: unit.inbox.finish(claim, id))
    assert seen == [(key, key.encode(), "chat:1", NOW, 0) for key in ("a", "b", "c")]


def test_the_lane_that_waits_longest_is_claimed_first(database: Backend) -> None:
    put(database, "chat:late", "a", at=NOW + 2 * SECOND)
    put(database, "chat:early", "b", at=NOW)
    put(database, "chat:middle", "c", at=NOW + SECOND)
    claims = database.run(lambda unit: unit.inbox.claim_lanes("worker-1", 2, LEASE, NOW))
    assert [claim.lane for claim in claims] == ["chat:early", "chat:middle"]


def test_a_lane_given_back_waits_since_its_new_head(database: Backend) -> None:
    put(database, "chat:busy", "a", at=NOW)
    put(database, "chat:busy", "b", at=NOW + 2 * SECOND)
    claim = claim_one(database)
    put(database, "chat:quiet", "c", at=NOW + SECOND)
    item = head(database, claim)
    assert item is not None
    database.run(lambda unit: unit.inbox.finish(claim, item.id))
    database.run(lambda unit: unit.inbox.release(claim))
    assert "inbox" in database.bells
    assert claim_one(database).lane == "chat:quiet"


def test_a_leased_lane_is_not_claimed_again(database: Backend) -> None:
    put(database, "chat:1", "a")
    claim_one(database)
    put(database, "chat:1", "b")
    assert database.run(lambda unit: unit.inbox.claim_lanes("worker-1", 5, LEASE, NOW)) == []


def test_two_workers_never_hold_the_same_lane(postgresql: Backend) -> None:
    for number in range(24):
        put(postgresql, f"chat:{number}", f"7:{number}")
    held = postgresql.run_together(
        [
            lambda unit, owner=f"worker-{number}": unit.inbox.claim_lanes(owner, 3, LEASE, NOW)
            for number in range(8)
        ]
    )
    lanes = [claim.lane for claims in held for claim in claims]
    assert len(lanes) == len(set(lanes))
    left = postgresql.run(lambda unit: unit.inbox.claim_lanes("worker-9", 99, LEASE, NOW))
    assert len(lanes) + len(left) == 24


def test_another_owner_waits_for_the_end_of_a_lease(postgresql: Backend) -> None:
    put(postgresql, "chat:1", "a")
    claim_one(postgresql)
    # Whatever our own clocks say, the database's clock decides.
    far = NOW + timedelta(days=999)
    assert postgresql.run(lambda unit: unit.inbox.claim_lanes("worker-2", 5, LEASE, far)) == []


def test_a_restart_voids_all_leases_at_once(sqlite: Backend) -> None:
    put(sqlite, "chat:1", "a")
    before = claim_one(sqlite, "start-1")
    after = claim_one(sqlite, "start-2", at=NOW - timedelta(days=1))
    assert after.fence > before.fence


def test_a_worker_that_lost_its_lease_cannot_mark_done(database: Backend) -> None:
    put(database, "chat:1", "a")
    late = expired_claim(database, "worker-1")
    item = head(database, late)
    assert item is not None
    now_its = claim_one(database, "worker-2", at=NOW + SECOND)
    assert now_its.fence == late.fence + 1

    for attempt in (
        lambda unit: unit.inbox.finish(late, item.id),
        lambda unit: unit.inbox.retry(late, item.id, "TimeoutError", NOW),
        lambda unit: unit.inbox.bury(late, item.id, "TimeoutError"),
    ):
        with pytest.raises(LeaseLostError):
            database.run(attempt)
    assert head(database, late) is None
    assert database.run(lambda unit: unit.inbox.extend(late, LEASE, NOW)) is False
    database.run(lambda unit: unit.inbox.release(late))

    assert head(database, now_its) == item
    database.run(lambda unit: unit.inbox.finish(now_its, item.id))
    assert database.count("inbox", "state = 'done'") == 1


def test_the_same_owner_with_an_older_fence_has_lost_the_lane_too(database: Backend) -> None:
    put(database, "chat:1", "a")
    late = expired_claim(database, "worker-1")
    item = head(database, late)
    assert item is not None
    claim_one(database, "worker-1", at=NOW + SECOND)
    with pytest.raises(LeaseLostError):
        database.run(lambda unit: unit.inbox.finish(late, item.id))


def test_a_prolonged_lease_holds(database: Backend) -> None:
    put(database, "chat:1", "a")
    claim = expired_claim(database, "worker-1")
    assert database.run(lambda unit: unit.inbox.extend(claim, LEASE, NOW)) is True
    assert database.run(lambda unit: unit.inbox.claim_lanes("worker-1", 5, LEASE, NOW)) == []


def test_an_item_is_finished_once(database: Backend) -> None:
    put(database, "chat:1", "a")
    put(database, "chat:1", "b")
    claim = claim_one(database)
    item = head(database, claim)
    assert item is not None
    database.run(lambda unit: unit.inbox.finish(claim, item.id))
    with pytest.raises(LeaseLostError):
        database.run(lambda unit: unit.inbox.finish(claim, item.id))
    assert database.count("lanes", "pending = 1") == 1


def test_a_failed_item_holds_up_its_own_lane_only(database: Backend) -> None:
    put(database, "chat:1", "a")
    put(database, "chat:1", "b")
    claim = claim_one(database)
    item = head(database, claim)
    assert item is not None

    def fail(unit: SqlUnitOfWork) -> None:
        unit.inbox.retry(claim, item.id, "TimeoutError", NOW + 10 * SECOND)
        assert unit.inbox.find_head(claim, NOW) is None
        unit.inbox.release(claim)

    database.run(fail)
    put(database, "chat:1", "c", at=NOW + SECOND)
    put(database, "chat:2", "d", at=NOW + 2 * SECOND)
    at = NOW + 9 * SECOND
    claims = database.run(lambda unit: unit.inbox.claim_lanes("worker-1", 5, LEASE, at))
    assert [each.lane for each in claims] == ["chat:2"]

    again = claim_one(database, at=NOW + 10 * SECOND)
    item = head(database, again, at=NOW + 10 * SECOND)
    assert item is not None
    assert (item.source_key, item.attempts) == ("a", 1)
    database.run(lambda unit: unit.inbox.finish(again, item.id))
    following = head(database, again)
    assert following is not None
    assert following.source_key == "b"


def test_a_clock_that_steps_back_holds_up_no_lane(database: Backend) -> None:
    put(database, "chat:1", "a")
    claim = claim_one(database)
    item = head(database, claim)
    assert item is not None

    def fail(unit: SqlUnitOfWork) -> None:
        unit.inbox.retry(claim, item.id, "TimeoutError", NOW + 60 * SECOND)
        unit.inbox.release(claim)

    database.run(fail)
    little = NOW - 60 * SECOND
    assert database.run(lambda unit: unit.inbox.claim_lanes("worker-1", 5, LEASE, little)) == []
    much = NOW - timedelta(hours=1)
    again = claim_one(database, at=much)
    found = head(database, again, at=much)
    assert found is not None
    assert (found.source_key, found.attempts) == ("a", 1)


def test_a_poisonous_item_is_buried_and_can_be_replayed(database: Backend) -> None:
    put(database, "chat:1", "a", body="{broken")
    put(database, "chat:1", "b")
    claim = claim_one(database)
    item = head(database, claim)
    assert item is not None
    database.run(lambda unit: unit.inbox.bury(claim, item.id, "ValueError"))
    following = head(database, claim)
    assert following is not None
    assert following.source_key == "b"

    (letter,) = database.run(lambda unit: unit.dead_letters.all(10))
    assert (letter.origin, letter.kind, letter.lane, letter.error) == (
        "inbox",
        "telegram",
        "chat:1",
        "ValueError",
    )
    assert (letter.id, letter.attempts, letter.created_at, letter.body) == (item.id, 1, NOW, "{broken")
    assert database.run(lambda unit: unit.dead_letters.count()) == 1

    database.run(lambda unit: unit.dead_letters.replay("inbox", item.id, NOW))
    assert database.bells == {"inbox"}
    with pytest.raises(NotFoundError):
        database.run(lambda unit: unit.dead_letters.replay("inbox", item.id, NOW))
    assert database.run(lambda unit: unit.dead_letters.count()) == 0
    replayed = head(database, claim)
    assert replayed is not None
    assert (replayed.source_key, replayed.attempts) == ("a", 0)
    assert database.count("lanes", "pending = 2") == 1


@pytest.mark.parametrize("origin", ["inbox", "outbox", "timer", "drawer"])
def test_what_is_not_dead_cannot_be_replayed(database: Backend, origin: str) -> None:
    with pytest.raises(NotFoundError):
        database.run(lambda unit: unit.dead_letters.replay(origin, 1, NOW))
    with pytest.raises(NotFoundError):
        database.run(lambda unit: unit.dead_letters.replay(origin, 2**70, NOW))


@pytest.mark.parametrize("wrong_count", [0, 7])
def test_giving_back_mends_a_wrong_count(database: Backend, wrong_count: int) -> None:
    put(database, "chat:1", "a")
    claim = claim_one(database)
    with database.engine.begin() as connection:
        connection.execute(text(f"UPDATE lanes SET pending = {wrong_count}"))
    database.run(lambda unit: unit.inbox.release(claim))
    claim = claim_one(database)
    item = head(database, claim)
    assert item is not None
    database.run(lambda unit: unit.inbox.finish(claim, item.id))
    database.run(lambda unit: unit.inbox.release(claim))
    assert database.run(lambda unit: unit.inbox.claim_lanes("worker-1", 5, LEASE, NOW)) == []


def test_many_workers_work_every_item_once_and_in_order(database: Backend) -> None:
    lanes, per_lane = 4, 10
    worked: dict[str, list[int]] = {f"chat:{lane}": [] for lane in range(lanes)}
    guard = threading.Lock()
    all_in = threading.Event()

    def produce(lane: str) -> None:
        for number in range(per_lane):
            put(database, lane, f"{lane}-{number}", body=f"{number}")

    def consume(owner: str) -> None:
        while True:
            nothing_more = all_in.is_set()
            claims = database.run(
                lambda unit: unit.inbox.claim_lanes(owner, 1, LEASE, datetime.now(UTC)), owner
            )
            if not claims:
                if nothing_more:
                    return
                sleep(0.002)
                continue
            (claim,) = claims
            for _ in range(3):
                item = head(database, claim, at=datetime.now(UTC))
                if item is None:
                    break
                with guard:
                    worked[claim.lane].append(int(item.raw))
                database.run(lambda unit, id=item.id, held=claim: unit.inbox.finish(held, id), owner)
            database.run(lambda unit, held=claim: unit.inbox.release(held), owner)

    # On SQLite the workers are tasks of one process, so they share one owner.
    owners = [f"worker-{number}" if database.is_postgresql else "the one process" for number in range(4)]
    producers = [threading.Thread(target=produce, args=(lane,)) for lane in worked]
    consumers = [threading.Thread(target=consume, args=(owner,)) for owner in owners]
    for thread in (*producers, *consumers):
        thread.start()
    for thread in producers:
        thread.join(timeout=60)
    all_in.set()
    for thread in consumers:
        thread.join(timeout=60)

    assert worked == {lane: list(range(per_lane)) for lane in worked}
    assert database.count("inbox", "state = 'done'") == lanes * per_lane
    assert database.count("lanes", "pending = 0 AND owner IS NULL AND ready_since IS NULL") == lanes


# --- What nobody can read ----------------------------------------------------------------------------


def bury_new(database: Backend, key: str = "undecodable:1", raw: bytes = b"\xff{") -> int | None:
    return database.run(
        lambda unit: unit.inbox.bury_new(
            "telegram", key, f"hash of {raw!r}", "chat:1", raw, "JSONDecodeError", NOW
        )
    )


def test_bytes_that_nobody_can_read_are_a_dead_letter_at_once(database: Backend) -> None:
    buried = bury_new(database)
    (letter,) = database.run(lambda unit: unit.dead_letters.all(9))
    assert (letter.origin, letter.id, letter.kind, letter.lane) == ("inbox", buried, "telegram", "chat:1")
    assert (letter.error, letter.created_at) == ("JSONDecodeError", NOW)
    assert database.run(lambda unit: unit.inbox.claim_lanes("worker-1", 9, LEASE, NOW)) == []
    assert bury_new(database) is None
    assert bury_new(database, raw=b"\xfe{") is not None, "other bytes under the same key are kept too"


def test_what_was_buried_holds_up_nothing_and_can_be_replayed(database: Backend) -> None:
    buried = bury_new(database)
    assert buried is not None
    put(database, "chat:1", "7:100")
    claim = claim_one(database)
    item = head(database, claim)
    assert item is not None
    assert item.source_key == "7:100"
    database.run(lambda unit: unit.inbox.finish(claim, item.id))
    database.run(lambda unit: unit.inbox.release(claim))
    database.run(lambda unit: unit.dead_letters.replay("inbox", buried, NOW))
    again = head(database, claim_one(database))
    assert again is not None
    assert (again.id, again.raw) == (buried, b"\xff{")
