"""The outbox: each message leaves once, in order, and every end of it is on record."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from contract_backend import Backend

from desk.errors import ConflictError, NotFoundError
from desk.values import (
    Author,
    Conversation,
    Delivery,
    Message,
    Option,
    Outgoing,
    OutgoingKind,
    Prompt,
    PromptKind,
    Reply,
    Role,
    Speaker,
    StaffMember,
)
from storage.unit_of_work import SqlUnitOfWork

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
LEASE = timedelta(minutes=1)
CHANNELS = ("telegram", "web")
STARS = Prompt(
    PromptKind.SURVEY_RATING,
    (Option("★ 1", "1", "rating:1"), Option("★★ 2", "2", "rating:2")),
    subject_id=7,
)


def talk(database: Backend, who: str = "4711", channel: str = "telegram") -> Conversation:
    return database.run(lambda unit: unit.identities.open(channel, who, NOW))[1]


def say(database: Backend, conversation: Conversation, text: str, key: str = "", **reply: object) -> Message:
    said = database.run(
        lambda unit: unit.outbox.say(conversation, Reply(text, **reply), key or f"key of {text}", NOW)  # type: ignore[arg-type]
    )
    assert said is not None
    return said


def due(database: Backend, *, at: datetime = NOW, limit: int = 10) -> list[Outgoing]:
    return list(database.run(lambda unit: unit.outbox.find_due(CHANNELS, limit, at)))


def start(database: Backend, owner: str = "worker-1", *, at: datetime = NOW) -> Outgoing:
    """Marks the first that is due as being sent."""
    outgoing = due(database, at=at)[0]
    database.run(lambda unit: unit.outbox.mark_sending(outgoing.id, owner, at), owner)
    return outgoing


def settle(database: Backend, outgoing: Outgoing) -> None:
    database.run(lambda unit: unit.outbox.mark_sent(outgoing, "tg:1", NOW))


def lines(database: Backend, conversation: Conversation) -> list[tuple[int | None, str, Delivery]]:
    found = database.run(lambda unit: unit.conversations.find_after(conversation.id, 0, 100))
    return [(line.seq, line.text, line.delivery) for line in found]


def test_what_is_said_is_due_at_once_and_has_no_place_yet(database: Backend) -> None:
    conversation = talk(database)
    said = say(database, conversation, "您好", reason="greeting")
    assert database.bells == {"outbox"}
    assert (said.seq, said.author, said.delivery, said.reason) == (
        None,
        Author.BOT,
        Delivery.QUEUED,
        "greeting",
    )
    (outgoing,) = due(database)
    assert outgoing == Outgoing(
        id=outgoing.id,
        dedupe_key="key of 您好",
        kind=OutgoingKind.REPLY,
        channel="telegram",
        lane=f"conversation:{conversation.id}",
        conversation_id=conversation.id,
        message_id=said.id,
        recipient="4711",
        text="您好",
        prompt=None,
        speakers=frozenset({Speaker.BOT}),
        payload={},
        attempts=0,
        maybe_duplicate=False,
        created_at=NOW,
    )
    assert database.run(lambda unit: unit.outbox.get_conversation_id(outgoing.id)) == conversation.id
    assert lines(database, conversation) == []


def test_a_known_key_is_not_said_again(database: Backend) -> None:
    conversation = talk(database)
    say(database, conversation, "您好", "reply:1:0")
    again = database.run(lambda unit: unit.outbox.say(conversation, Reply("再说一遍"), "reply:1:0", NOW))
    assert again is None
    assert database.bells == set()
    assert database.count("messages") == 1


def test_two_that_say_the_same_at_once_leave_one_message(postgresql: Backend) -> None:
    conversation = talk(postgresql)
    both_looked = Barrier(2, timeout=10)

    def work(unit: SqlUnitOfWork) -> Message | None:
        # Both transactions see the key unknown before either stores it.
        unit.outbox.find_due(CHANNELS, 1, NOW)
        both_looked.wait()
        return unit.outbox.say(conversation, Reply("您好", prompt=STARS), "reply:1:0", NOW)

    said = postgresql.run_together([work, work])
    assert sum(message is not None for message in said) == 1
    assert postgresql.count("messages") == 1
    assert postgresql.count("buttons") == 2


def test_every_option_gets_an_opaque_button(database: Backend) -> None:
    conversation = talk(database)
    said = say(database, conversation, "几颗星？", prompt=STARS, kind=OutgoingKind.SURVEY)
    assert said.prompt is not None
    ids = [option.button_id for option in said.prompt.options]
    assert len(set(ids)) == 2
    assert {len(id) for id in ids} == {22}
    assert (said.prompt.kind, said.prompt.subject_id) == (PromptKind.SURVEY_RATING, 7)
    assert due(database)[0].prompt == said.prompt
    assert database.run(lambda unit: unit.conversations.find_option(ids[1])) == (said, said.prompt.options[1])


@pytest.mark.parametrize("forged", ["", "x" * 22, "x" * 5000, "\0" * 22, "\ud83d" * 22, "1 OR 1=1", "é" * 22])
def test_a_forged_button_stands_for_nothing(database: Backend, forged: str) -> None:
    say(database, talk(database), "几颗星？", prompt=STARS)
    assert database.run(lambda unit: unit.conversations.find_option(forged)) is None


def test_staff_speak_under_their_name(database: Backend) -> None:
    conversation = talk(database)

    def work(unit: SqlUnitOfWork) -> Message | None:
        li = unit.staff.add("li", "小李", Role.AGENT, "hash", NOW)
        line = Reply("我来帮您", author=Author.STAFF, speakers=frozenset({Speaker.PERSON}))
        return unit.outbox.say(conversation, line, "staff:1", NOW, staff=li, client_msg_id="c-1")

    said = database.run(work)
    assert said is not None
    assert (said.author, said.staff_name, said.client_msg_id) == (Author.STAFF, "小李", "c-1")
    assert due(database)[0].speakers == frozenset({Speaker.PERSON})


def test_the_bots_line_never_bears_a_staff_name(database: Backend) -> None:
    conversation = talk(database)
    nobody = StaffMember(1, "li", "小李", Role.AGENT, disabled=False)
    frame = Reply("小李为您服务", author=Author.SYSTEM)
    said = database.run(lambda unit: unit.outbox.say(conversation, frame, "joined", NOW, staff=nobody))
    assert said is not None
    assert said.staff_name is None


def test_messages_of_one_conversation_leave_in_order(database: Backend) -> None:
    first, second = talk(database, "1"), talk(database, "2")
    say(database, first, "一")
    say(database, first, "二")
    say(database, second, "甲")
    assert [outgoing.text for outgoing in due(database)] == ["一", "甲"]
    outgoing = start(database)
    assert [each.text for each in due(database)] == ["甲"]
    settle(database, outgoing)
    assert [each.text for each in due(database)] == ["二", "甲"]
    assert [each.text for each in due(database, limit=1)] == ["二"]


def test_only_the_asked_channels_are_looked_at(database: Backend) -> None:
    say(database, talk(database, channel="web"), "网页")
    assert database.run(lambda unit: unit.outbox.find_due(("telegram",), 10, NOW)) == []
    assert database.run(lambda unit: unit.outbox.find_due((), 10, NOW)) == []


def test_what_is_sent_takes_the_next_place_once(database: Backend) -> None:
    conversation = talk(database)
    say(database, conversation, "一")
    say(database, conversation, "二")
    for _ in range(2):
        outgoing = start(database)
        settle(database, outgoing)
        assert database.bells == {f"events:{conversation.id}"}
        settle(database, outgoing)
        assert database.bells == set()
    assert lines(database, conversation) == [(1, "一", Delivery.SENT), (2, "二", Delivery.SENT)]


def test_a_stored_channel_sends_without_a_call(database: Backend) -> None:
    conversation = talk(database, channel="web")
    say(database, conversation, "您好")

    def work(unit: SqlUnitOfWork) -> None:
        unit.conversations.lock(conversation.id)
        (found,) = unit.outbox.find_due(("web",), 10, NOW)
        outgoing = unit.outbox.find_queued_for_update(found.id)
        assert outgoing == found
        unit.outbox.mark_sent(outgoing, "", NOW)
        assert unit.outbox.find_queued_for_update(found.id) is None

    database.run(work)
    assert lines(database, conversation) == [(1, "您好", Delivery.SENT)]


def test_nobody_may_start_the_same_call_twice(database: Backend) -> None:
    say(database, talk(database), "您好")
    outgoing = start(database)
    with pytest.raises(ConflictError):
        database.run(lambda unit: unit.outbox.mark_sending(outgoing.id, "worker-2", NOW))


def test_two_senders_never_take_the_same_message(postgresql: Backend) -> None:
    conversation = talk(postgresql)
    say(postgresql, conversation, "您好")
    (found,) = due(postgresql)

    def work(unit: SqlUnitOfWork) -> bool:
        unit.conversations.lock(conversation.id)
        if unit.outbox.find_queued_for_update(found.id) is None:
            return False
        unit.outbox.mark_sending(found.id, unit.owner, NOW)
        return True

    assert sum(postgresql.run_together([work] * 6)) == 1


def test_a_failed_try_waits_and_holds_up_its_lane(database: Backend) -> None:
    conversation = talk(database)
    say(database, conversation, "一")
    say(database, conversation, "二")
    outgoing = start(database)
    database.run(
        lambda unit: unit.outbox.requeue(outgoing.id, NOW + 10 * SECOND, "Timeout", maybe_duplicate=True)
    )
    assert due(database, at=NOW + 9 * SECOND) == []
    (again,) = due(database, at=NOW + 10 * SECOND)
    assert (again.text, again.attempts, again.maybe_duplicate) == ("一", 1, True)


def test_a_clock_that_steps_back_holds_up_no_reply(database: Backend) -> None:
    say(database, talk(database), "您好")
    assert [each.text for each in due(database, at=NOW - HOUR)] == ["您好"]


def test_a_wait_that_the_channel_demanded_is_kept_for_an_hour(database: Backend) -> None:
    say(database, talk(database), "您好")
    outgoing = start(database)
    database.run(
        lambda unit: unit.outbox.requeue(outgoing.id, NOW + HOUR, "NotSentError", maybe_duplicate=False)
    )
    assert due(database, at=NOW) == []
    assert due(database, at=NOW + 59 * MINUTE) == []
    assert len(due(database, at=NOW + HOUR)) == 1


@pytest.mark.parametrize("step", [10 * MINUTE, HOUR, 30 * HOUR], ids=str)
def test_a_clock_that_steps_back_holds_up_no_retry(database: Backend, step: timedelta) -> None:
    say(database, talk(database), "您好")
    outgoing = start(database)
    database.run(
        lambda unit: unit.outbox.requeue(outgoing.id, NOW + MINUTE, "NotSentError", maybe_duplicate=False)
    )
    assert len(due(database, at=NOW - step)) == 1


def test_a_wait_that_no_channel_can_have_demanded_is_none(database: Backend) -> None:
    """A row without the time of its call is judged by the longest wait there is."""
    say(database, talk(database), "您好")
    (outgoing,) = due(database)
    database.run(
        lambda unit: unit.outbox.requeue(outgoing.id, NOW + HOUR, "NotSentError", maybe_duplicate=False)
    )
    assert due(database, at=NOW - 5 * MINUTE) == []
    assert len(due(database, at=NOW - 6 * MINUTE)) == 1


def test_what_may_be_a_duplicate_stays_one(database: Backend) -> None:
    say(database, talk(database), "您好")
    for maybe_duplicate in (True, False):
        outgoing = start(database)
        database.run(
            lambda unit, id=outgoing.id, flag=maybe_duplicate: unit.outbox.requeue(
                id, NOW, "Timeout", maybe_duplicate=flag
            )
        )
    assert due(database)[0].maybe_duplicate is True


@pytest.mark.parametrize("delivery", [Delivery.UNCERTAIN, Delivery.UNREACHABLE, Delivery.DEAD])
def test_an_end_is_final_and_visible(database: Backend, delivery: Delivery) -> None:
    conversation = talk(database)
    say(database, conversation, "您好", "reply:1:0")
    outgoing = start(database)
    database.run(lambda unit: unit.outbox.end(outgoing.id, delivery, "because", NOW))
    database.run(lambda unit: unit.outbox.requeue(outgoing.id, NOW, "late", maybe_duplicate=False))
    database.run(lambda unit: unit.outbox.end(outgoing.id, Delivery.WITHHELD, "late", NOW))
    assert due(database) == []
    assert database.count("outbox", f"state = '{delivery.value}' AND error = 'because'") == 1
    assert database.count("messages", f"delivery = '{delivery.value}' AND seq IS NULL") == 1
    assert database.run(lambda unit: unit.outbox.say(conversation, Reply("您好"), "reply:1:0", NOW)) is None


def test_sent_is_no_end_to_be_set_by_hand(database: Backend) -> None:
    with pytest.raises(ValueError, match="not an end"):
        database.run(lambda unit: unit.outbox.end(1, Delivery.SENT, "", NOW))


def test_a_withheld_message_gives_its_key_free(database: Backend) -> None:
    conversation = talk(database)
    for _ in range(2):
        say(database, conversation, "几颗星？", "survey:1:ask", kind=OutgoingKind.SURVEY)
        (outgoing,) = due(database)
        database.run(lambda unit, id=outgoing.id: unit.outbox.end(id, Delivery.WITHHELD, "case_open", NOW))
    say(database, conversation, "几颗星？", "survey:1:ask", kind=OutgoingKind.SURVEY)
    assert database.count("outbox", "state = 'withheld'") == 2
    assert len(due(database)) == 1


def test_a_proof_of_sending_counts_even_when_it_comes_late(database: Backend) -> None:
    conversation = talk(database)
    say(database, conversation, "您好")
    outgoing = start(database)
    database.run(lambda unit: unit.outbox.end(outgoing.id, Delivery.UNCERTAIN, "Timeout", NOW))
    settle(database, outgoing)
    assert lines(database, conversation) == [(1, "您好", Delivery.SENT)]


def test_a_dead_message_can_be_replayed(database: Backend) -> None:
    say(database, talk(database), "您好")
    outgoing = start(database)
    database.run(lambda unit: unit.outbox.end(outgoing.id, Delivery.DEAD, "BadRequest", NOW))
    (letter,) = database.run(lambda unit: unit.dead_letters.all(10))
    assert (letter.origin, letter.kind, letter.error, letter.body) == (
        "outbox",
        "reply",
        "BadRequest",
        "您好",
    )
    database.run(lambda unit: unit.dead_letters.replay("outbox", outgoing.id, NOW))
    assert [again.text for again in due(database)] == ["您好"]
    assert database.count("messages", "delivery = 'queued'") == 1
    with pytest.raises(NotFoundError):
        database.run(lambda unit: unit.dead_letters.replay("outbox", outgoing.id, NOW))


def test_an_alert_to_staff_is_stored_once(database: Backend) -> None:
    def alert(unit: SqlUnitOfWork) -> int | None:
        return unit.outbox.add_for_staff(
            "case:1:0", "telegram", "room:-100:7", "-100", {"do": "card", "case_id": 1}, NOW
        )

    alert_id = database.run(alert)
    assert alert_id is not None
    assert database.run(alert) is None
    (outgoing,) = due(database)
    assert (outgoing.kind, outgoing.recipient, outgoing.text) == (OutgoingKind.ALERT, "-100", "")
    assert (outgoing.payload, outgoing.speakers, outgoing.message_id) == (
        {"do": "card", "case_id": 1},
        frozenset(),
        None,
    )
    settle(database, outgoing)
    assert due(database) == []


def stuck(database: Backend, owner: str, *, at: datetime) -> list[int]:
    return [each.id for each in database.run(lambda unit: unit.outbox.find_stuck(CHANNELS, owner, at), owner)]


def test_after_a_restart_every_unfinished_call_is_stuck(sqlite: Backend) -> None:
    say(sqlite, talk(sqlite), "您好")
    outgoing = start(sqlite, "start-1")
    assert stuck(sqlite, "start-1", at=NOW + 119 * SECOND) == []
    assert stuck(sqlite, "start-2", at=NOW) == [outgoing.id]


def test_a_call_without_end_is_stuck(database: Backend) -> None:
    say(database, talk(database), "您好")
    outgoing = start(database, "worker-1")
    assert stuck(database, "worker-1", at=NOW + 120 * SECOND) == [outgoing.id]


def test_a_call_of_a_living_sender_is_left_alone(postgresql: Backend) -> None:
    say(postgresql, talk(postgresql), "您好")
    postgresql.run(lambda unit: unit.leases.acquire("sender", "worker-1", LEASE, NOW))
    outgoing = start(postgresql, "worker-1")
    assert stuck(postgresql, "worker-2", at=NOW + 119 * SECOND) == []
    postgresql.run(lambda unit: unit.leases.release("sender", "worker-1"))
    assert stuck(postgresql, "worker-2", at=NOW + 19 * SECOND) == []
    assert stuck(postgresql, "worker-2", at=NOW + 20 * SECOND) == [outgoing.id]


def test_an_answer_to_a_call_that_was_taken_over_changes_nothing(postgresql: Backend) -> None:
    now = datetime.now(UTC)
    say(postgresql, talk(postgresql), "您好")
    outgoing = start(postgresql, "frozen", at=now)
    postgresql.run(
        lambda unit: unit.outbox.requeue(outgoing.id, now, "sender died", maybe_duplicate=True), "living"
    )
    postgresql.run(lambda unit: unit.leases.acquire("sender", "living", LEASE, now))
    postgresql.run(lambda unit: unit.outbox.mark_sending(outgoing.id, "living", now), "living")

    postgresql.run(
        lambda unit: unit.outbox.requeue(outgoing.id, now, "Reset", maybe_duplicate=True), "frozen"
    )
    postgresql.run(lambda unit: unit.outbox.end(outgoing.id, Delivery.DEAD, "BadRequest", now), "frozen")
    assert postgresql.count("outbox", "state = 'sending' AND sending_owner = 'living'") == 1

    postgresql.run(
        lambda unit: unit.outbox.requeue(outgoing.id, now, "Reset", maybe_duplicate=True), "living"
    )
    assert postgresql.count("outbox", "state = 'queued' AND attempts = 2") == 1
