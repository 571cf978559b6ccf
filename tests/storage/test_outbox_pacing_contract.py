"""The outbox of a channel with limits: what leaves first, what waits, what leaves joined, what was called."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from contract_backend import Backend
from sqlalchemy import event

from desk.values import Conversation, Delivery, Message, Outgoing, OutgoingKind, Reply, SendRank
from storage.unit_of_work import SqlUnitOfWork

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
GROUP = "-100"


def talk(database: Backend, who: str = "4711") -> Conversation:
    return database.run(lambda unit: unit.identities.open("telegram", who, NOW))[1]


def say(
    database: Backend, conversation: Conversation, text: str, kind: OutgoingKind = OutgoingKind.REPLY
) -> Message:
    said = database.run(
        lambda unit: unit.outbox.say(conversation, Reply(text, kind=kind), f"key of {text}", NOW)
    )
    assert said is not None
    return said


def show(
    database: Backend,
    key: str,
    *,
    kind: OutgoingKind = OutgoingKind.RELAY,
    rank: SendRank = SendRank.RELAYED,
    lane: str = "room:-100:1",
    recipient: str = GROUP,
    wait: timedelta = timedelta(0),
    at: datetime = NOW,
) -> int:
    stored = database.run(
        lambda unit: unit.outbox.add_for_staff(
            key, "telegram", lane, recipient, {"do": "line", "message_id": 1}, at,
            kind=kind, rank=rank, wait=wait,
        )
    )  # fmt: skip
    assert stored is not None
    return stored


def due(database: Backend, *, at: datetime = NOW, held: tuple[str, ...] = (), limit: int = 50) -> list[str]:
    found = database.run(lambda unit: unit.outbox.find_due(("telegram",), limit, at, held))
    return [outgoing.dedupe_key for outgoing in found]


def head(database: Backend, *, at: datetime = NOW) -> Outgoing:
    return database.run(lambda unit: unit.outbox.find_due(("telegram",), 1, at))[0]


def call(database: Backend, outgoing_id: int, *, at: datetime = NOW) -> None:
    database.run(lambda unit: unit.outbox.mark_sending(outgoing_id, "worker-1", at))


def requeue(database: Backend, outgoing_id: int, until: datetime, **how: bool) -> None:
    database.run(
        lambda unit: unit.outbox.requeue(outgoing_id, until, "NotSentError", maybe_duplicate=False, **how)
    )


def state(database: Backend, outgoing_id: int) -> str:
    (found,) = [
        each for each in Delivery if database.count("outbox", f"id = {outgoing_id} AND state = '{each}'")
    ]
    return found.value


# --- What leaves first -------------------------------------------------------------------------------


def test_replies_leave_before_what_is_relayed_and_surveys_after_it(database: Backend) -> None:
    show(database, "update", rank=SendRank.UPDATE, kind=OutgoingKind.NOTICE, lane="room:-100:4")
    say(database, talk(database, "1"), "满意吗", kind=OutgoingKind.SURVEY)
    show(database, "relayed", lane="room:-100:2")
    show(database, "repeat", rank=SendRank.REPEAT, kind=OutgoingKind.ALERT, lane="room:-100:3")
    say(database, talk(database, "2"), "您好")
    show(database, "card", rank=SendRank.FIRST, kind=OutgoingKind.ALERT)
    assert due(database) == ["key of 您好", "card", "repeat", "relayed", "update", "key of 满意吗"]
    assert due(database, limit=2) == ["key of 您好", "card"]
    assert head(database).rank is SendRank.FIRST


def test_within_a_lane_nothing_overtakes_whatever_its_rank(database: Backend) -> None:
    show(database, "update", rank=SendRank.UPDATE)
    show(database, "card", rank=SendRank.FIRST)
    show(database, "relayed elsewhere", lane="room:-100:2")
    assert due(database) == ["relayed elsewhere", "update"]


def test_a_reply_lends_its_rank_to_the_survey_that_it_waits_behind(database: Backend) -> None:
    asked, wrote = talk(database, "1"), talk(database, "2")
    say(database, asked, "满意吗", kind=OutgoingKind.SURVEY)
    say(database, wrote, "满意吗？", kind=OutgoingKind.SURVEY)
    show(database, "relayed", lane="room:-100:2")
    say(database, wrote, "您好")
    assert due(database) == ["key of 满意吗？", "relayed", "key of 满意吗"]
    call(database, head(database).id)
    assert due(database) == ["relayed", "key of 满意吗"], "still one after the other"


def test_what_waits_for_a_recipient_that_is_called_otherwise_now_keeps_to_its_limits(
    database: Backend,
) -> None:
    show(database, "old")
    show(database, "else", lane="room:-300:1", recipient="-300")
    database.run(lambda unit: unit.outbox.readdress("telegram", GROUP, "-200"))
    assert due(database, held=("-200",)) == ["else"]
    assert due(database, held=(GROUP,)) == ["old", "else"]


def test_nothing_leaves_for_a_recipient_that_is_held(database: Backend) -> None:
    say(database, talk(database, "1"), "一")
    say(database, talk(database, "2"), "二")
    show(database, "card")
    assert due(database, held=(GROUP, "1")) == ["key of 二"]
    assert due(database, held=(GROUP, "1", "2")) == []
    assert due(database, held=("3",)) == ["key of 一", "key of 二", "card"]


def test_heads_of_lanes_are_looked_up_and_not_sorted(sqlite: Backend) -> None:
    """Judged by the plan, as time is a bad witness: one index gives the order, another each head."""
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(sqlite.engine, "before_cursor_execute", note)
    due(sqlite, held=("1",))
    event.remove(sqlite.engine, "before_cursor_execute", note)
    statement = statements[-1]
    assert statement.startswith("SELECT outbox.id")
    with sqlite.engine.connect() as connection:
        plan = connection.exec_driver_sql(
            f"EXPLAIN QUERY PLAN {statement}", (None,) * statement.count("?")
        ).all()
    steps = [row[3] for row in plan]
    assert "SCAN outbox USING INDEX ix_outbox_queued_rank_id" in steps
    assert any("ix_outbox_unsent_lane_channel_id (lane=? AND channel=?)" in step for step in steps)
    assert not any("TEMP B-TREE" in step for step in steps)


# --- What waits --------------------------------------------------------------------------------------


def test_a_wait_given_at_creation_is_kept(database: Backend) -> None:
    show(database, "line", wait=3 * SECOND)
    assert due(database, at=NOW) == []
    assert due(database, at=NOW + 2 * SECOND) == []
    assert due(database, at=NOW + 3 * SECOND) == ["line"]


@pytest.mark.parametrize("step", [SECOND, 10 * MINUTE, 30 * HOUR], ids=str)
def test_a_clock_that_steps_back_behind_its_creation_ends_a_wait(database: Backend, step: timedelta) -> None:
    show(database, "line", wait=3 * SECOND)
    assert due(database, at=NOW - step) == ["line"]


def test_what_waits_holds_up_its_lane_only(database: Backend) -> None:
    show(database, "line", wait=3 * SECOND)
    show(database, "card", kind=OutgoingKind.ALERT)
    show(database, "other", lane="room:-100:2")
    assert due(database) == ["other"]


def test_a_first_step_that_went_well_is_no_failed_try(database: Backend) -> None:
    row = show(database, "card")
    call(database, row)
    requeue(database, row, NOW, counts=False)
    assert head(database).attempts == 0
    call(database, row)
    requeue(database, row, NOW)
    assert head(database).attempts == 1


def test_a_wait_after_a_first_step_is_kept_too(database: Backend) -> None:
    row = show(database, "card")
    call(database, row)
    requeue(database, row, NOW + 30 * SECOND, counts=False, demanded=True)
    assert due(database, at=NOW - SECOND) == []
    assert due(database, at=NOW + 29 * SECOND) == []
    assert due(database, at=NOW + 30 * SECOND) == ["card"]


def test_a_demanded_wait_of_a_day_is_kept_to_its_end(database: Backend) -> None:
    row = show(database, "card")
    call(database, row)
    requeue(database, row, NOW + 24 * 60 * MINUTE, demanded=True)
    assert due(database, at=NOW + 24 * 60 * MINUTE - SECOND) == []
    assert due(database, at=NOW + 24 * 60 * MINUTE) == ["card"]


def test_only_waits_that_the_channel_demanded_are_told(database: Backend) -> None:
    for key, recipient, seconds, demanded in (
        ("a", "-1", 20, True),
        ("b", "-1", 40, True),
        ("c", "-2", 30, True),
        ("d", "-3", 50, False),
    ):
        row = show(database, key, lane=f"room:{key}", recipient=recipient)
        call(database, row)
        requeue(database, row, NOW + seconds * SECOND, demanded=demanded)
    show(database, "e", lane="room:e", recipient="-4", wait=MINUTE)

    def waits(at: datetime) -> list[tuple[str, datetime]]:
        return list(database.run(lambda unit: unit.outbox.find_demanded_waits("telegram", at)))

    assert waits(NOW) == [("-2", NOW + 30 * SECOND), ("-1", NOW + 40 * SECOND)]
    assert waits(NOW + 30 * SECOND) == [("-1", NOW + 40 * SECOND)]
    assert waits(NOW + MINUTE) == []
    assert waits(NOW - HOUR) == [], "measured by a clock that has stepped back"
    assert database.run(lambda unit: unit.outbox.find_demanded_waits("web", NOW)) == []


def test_a_demand_is_over_when_the_next_try_fails_otherwise(database: Backend) -> None:
    row = show(database, "card")
    call(database, row)
    requeue(database, row, NOW + MINUTE, demanded=True)
    call(database, row)
    requeue(database, row, NOW + MINUTE)
    assert database.run(lambda unit: unit.outbox.find_demanded_waits("telegram", NOW)) == []


def test_when_the_next_may_leave_is_that_of_the_first_of_a_lane(database: Backend) -> None:
    def next_due() -> datetime | None:
        return database.run(lambda unit: unit.outbox.next_due_at("telegram"))

    assert next_due() is None
    first = show(database, "line", wait=MINUTE)
    show(database, "behind it")
    assert next_due() == NOW + MINUTE
    show(database, "other", lane="room:-100:2", wait=3 * SECOND)
    assert next_due() == NOW + 3 * SECOND
    assert database.run(lambda unit: unit.outbox.next_due_at("web")) is None
    database.run(lambda unit: unit.outbox.end(first, Delivery.WITHHELD, "", NOW))
    assert next_due() == NOW


def test_a_replayed_letter_waits_for_nothing_whatever_the_clock(database: Backend) -> None:
    row = show(database, "card", kind=OutgoingKind.ALERT)
    call(database, row)
    requeue(database, row, NOW + MINUTE, demanded=True)
    database.run(lambda unit: unit.outbox.end(row, Delivery.DEAD, "BadRequest", NOW))
    database.run(lambda unit: unit.dead_letters.replay("outbox", row, NOW + HOUR))
    assert due(database, at=NOW + 10 * MINUTE) == ["card"]
    assert database.run(lambda unit: unit.outbox.find_demanded_waits("telegram", NOW)) == []


# --- What leaves joined ------------------------------------------------------------------------------


def followers(database: Backend, limit: int = 50) -> list[str]:
    def work(unit: SqlUnitOfWork) -> list[str]:
        (first, *_) = unit.outbox.find_due(("telegram",), 1, NOW)
        return [outgoing.dedupe_key for outgoing in unit.outbox.find_followers(first, limit)]

    return database.run(work)


def test_relayed_lines_that_wait_in_a_row_may_leave_together(database: Backend) -> None:
    show(database, "1")
    show(database, "2", wait=3 * SECOND)
    show(database, "elsewhere", lane="room:-100:2")
    show(database, "3")
    show(database, "note", kind=OutgoingKind.NOTICE)
    show(database, "4")
    assert followers(database) == ["2", "3"]
    assert followers(database, limit=1) == ["2"]


def test_what_is_no_relayed_line_has_no_followers(database: Backend) -> None:
    show(database, "card", kind=OutgoingKind.ALERT, rank=SendRank.FIRST)
    show(database, "1")
    assert followers(database) == []


def test_a_line_for_another_room_does_not_follow(database: Backend) -> None:
    show(database, "1")
    show(database, "2", recipient="-200")
    show(database, "3")
    assert followers(database) == []


def test_what_is_being_sent_ends_the_row(database: Backend) -> None:
    show(database, "1")
    second = show(database, "2")
    show(database, "3")
    call(database, second)
    assert followers(database) == []


# --- What was called ---------------------------------------------------------------------------------


def test_every_call_of_late_is_known_whatever_became_of_it(database: Backend) -> None:
    sent, again, dead, old, uncalled = (
        show(database, key, lane=f"room:{key}", recipient=f"-{key}") for key in "12345"
    )
    call(database, old, at=NOW - 2 * MINUTE)
    for seconds, row in ((3, sent), (1, again), (2, dead)):
        call(database, row, at=NOW + seconds * SECOND)
    requeue(database, again, NOW + MINUTE, demanded=True)
    database.run(lambda unit: unit.outbox.end(dead, Delivery.DEAD, "BadRequest", NOW))

    def settle(unit: SqlUnitOfWork) -> None:
        (row,) = (each for each in unit.outbox.find_stuck(("telegram",), "x", NOW + HOUR) if each.id == sent)
        unit.outbox.mark_sent(row, "77", NOW)

    database.run(settle)
    assert state(database, uncalled) == "queued"
    calls = database.run(lambda unit: unit.outbox.find_calls_since("telegram", NOW - MINUTE))
    assert calls == [("-2", NOW + SECOND), ("-3", NOW + 2 * SECOND), ("-1", NOW + 3 * SECOND)]
    assert database.run(lambda unit: unit.outbox.find_calls_since("web", NOW - MINUTE)) == []


def test_lines_that_leave_joined_are_one_call(database: Backend) -> None:
    first, second = show(database, "1"), show(database, "2")
    alone = show(database, "3", lane="room:-200:1", recipient="-200")

    def work(unit: SqlUnitOfWork) -> None:
        for row in (first, second, alone):
            unit.outbox.mark_sending(row, "worker-1", NOW)

    database.run(work)
    calls = database.run(lambda unit: unit.outbox.find_calls_since("telegram", NOW - MINUTE))
    assert sorted(calls) == [(GROUP, NOW), ("-200", NOW)]


# --- Notices -----------------------------------------------------------------------------------------


def test_a_notice_that_nobody_takes_is_no_dead_letter_and_not_tried_again(database: Backend) -> None:
    notice = show(database, "tap", kind=OutgoingKind.NOTICE)
    relay = show(database, "line", lane="room:-100:2")
    for row in (notice, relay):
        call(database, row)
        assert database.run(lambda unit, id=row: unit.outbox.end(id, Delivery.DEAD, "BadRequest", NOW))
    assert (state(database, notice), state(database, relay)) == ("withheld", "dead")
    assert [each.id for each in database.run(lambda unit: unit.dead_letters.all(10))] == [relay]
    again = database.run(
        lambda unit: unit.outbox.add_for_staff(
            "tap", "telegram", "x", GROUP, {}, NOW, kind=OutgoingKind.NOTICE
        )
    )
    assert again is None


def test_a_dead_letter_for_staff_shows_what_was_to_be_done(database: Backend) -> None:
    row = show(database, "line")
    database.run(lambda unit: unit.outbox.end(row, Delivery.DEAD, "BadRequest", NOW))
    (letter,) = database.run(lambda unit: unit.dead_letters.all(10))
    assert (letter.kind, letter.body) == ("relay", '{"do": "line", "message_id": 1}')
