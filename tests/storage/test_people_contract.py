"""People and their talks: one identity, one conversation, one gapless order of lines."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Barrier
from time import sleep

import pytest
from contract_backend import Backend
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from desk.errors import ConflictError, NotFoundError
from desk.values import (
    Author,
    Buyer,
    Conversation,
    Delivery,
    FaqEntry,
    FaqMatch,
    Identity,
    Message,
    Option,
    Prompt,
    PromptKind,
    Reply,
    Role,
    Speaker,
    Understanding,
)
from storage.unit_of_work import SqlUnitOfWork

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
FAR = NOW + timedelta(days=365)
HOUR = timedelta(hours=1)


def open_identity(
    database: Backend, who: str = "4711", channel: str = "telegram"
) -> tuple[Identity, Conversation]:
    return database.run(lambda unit: unit.identities.open(channel, who, NOW))


def talk(database: Backend, who: str = "4711") -> Conversation:
    return open_identity(database, who)[1]


def hear(
    database: Backend, conversation: Conversation, said: str, key: str = "", revision: int = 0
) -> Message | None:
    return database.run(
        lambda unit: unit.conversations.add_incoming(
            conversation, key or f"{conversation.id}:{said}", revision, said, None, NOW
        )
    )


def heard(database: Backend, conversation: Conversation, said: str) -> Message:
    message = hear(database, conversation, said)
    assert message is not None
    return message


def answer(database: Backend, conversation: Conversation, said: str, prompt: Prompt | None = None) -> Message:
    """Says and sends one line."""

    def work(unit: SqlUnitOfWork) -> Message:
        message = unit.outbox.say(conversation, Reply(said, prompt=prompt), said, NOW)
        assert message is not None
        outgoing = next(
            each for each in unit.outbox.find_due(("telegram",), 99, NOW) if each.message_id == message.id
        )
        unit.outbox.mark_sent(outgoing, "", NOW)
        return message

    return database.run(work)


# --- Identities and contacts -------------------------------------------------------------------------


def test_the_first_message_makes_a_person_with_a_talk_of_their_own(database: Backend) -> None:
    identity, conversation = open_identity(database)
    contact = database.run(lambda unit: unit.identities.get_contact(identity.contact_id))
    assert identity == Identity(identity.id, contact.id, "telegram", "4711", True, None, None, None)
    assert conversation == Conversation(
        id=conversation.id,
        public_id=conversation.public_id,
        identity_id=identity.id,
        contact_id=contact.id,
        channel="telegram",
        speaker=Speaker.BOT,
        misses=0,
        angered_at=None,
        last_message_at=None,
        seen_seq=0,
    )
    assert (contact.name, contact.phone, contact.buyer_id, contact.created_at) == ("", "", None, NOW)
    assert len(contact.public_id) == len(conversation.public_id) == 22
    assert open_identity(database) == (identity, conversation)


def test_the_same_name_on_another_channel_is_somebody_else(database: Backend) -> None:
    here, there = open_identity(database)[0], open_identity(database, channel="web")[0]
    assert here.contact_id != there.contact_id


def test_first_messages_at_the_same_time_make_one_person(postgresql: Backend) -> None:
    opened = postgresql.run_together([lambda unit: unit.identities.open("telegram", "4711", NOW)] * 6)
    assert len({(identity.id, conversation.id) for identity, conversation in opened}) == 1
    counts = [postgresql.count(table) for table in ("contacts", "identities", "conversations")]
    assert counts == [1, 1, 1]


def test_what_is_not_there_is_said_so(database: Backend) -> None:
    for work in (
        lambda unit: unit.identities.get(1),
        lambda unit: unit.identities.get_contact(1),
        lambda unit: unit.conversations.get(1),
        lambda unit: unit.conversations.lock(1),
        lambda unit: unit.conversations.lock_of_identity(1),
    ):
        with pytest.raises(NotFoundError):
            database.run(work)
    assert database.run(lambda unit: unit.identities.find_contact_by_buyer("b-1")) is None
    assert database.run(lambda unit: unit.conversations.find_of_identity(1)) is None


def test_a_contact_becomes_a_buyer_and_is_refreshed(database: Backend) -> None:
    contact_id = open_identity(database)[0].contact_id
    became = database.run(lambda unit: unit.identities.set_buyer(contact_id, "b-1", "王芳", "13800000000"))
    assert became == contact_id
    database.run(lambda unit: unit.identities.set_buyer(contact_id, "b-1", "", ""))
    contact = database.run(lambda unit: unit.identities.find_contact_by_buyer("b-1"))
    assert contact is not None
    assert (contact.id, contact.name, contact.phone) == (contact_id, "王芳", "13800000000")
    database.run(lambda unit: unit.identities.set_buyer(contact_id, "b-1", "王小芳", ""))
    contact = database.run(lambda unit: unit.identities.get_contact(contact_id))
    assert (contact.name, contact.phone) == ("王小芳", "13800000000")


def test_two_buyers_are_never_one_contact(database: Backend) -> None:
    first, second = open_identity(database, "1")[0].contact_id, open_identity(database, "2")[0].contact_id
    database.run(lambda unit: unit.identities.set_buyer(first, "b-1", "", ""))
    with pytest.raises(ConflictError):
        database.run(lambda unit: unit.identities.set_buyer(first, "b-2", "", ""))
    assert database.run(lambda unit: unit.identities.set_buyer(second, "b-1", "王芳", "138")) == first
    assert database.run(lambda unit: unit.identities.get_contact(second)).buyer_id is None
    assert database.run(lambda unit: unit.identities.get_contact(first)).name == ""


def test_of_two_that_become_one_buyer_at_once_both_learn_who_it_is(postgresql: Backend) -> None:
    people = [open_identity(postgresql, str(number))[0].contact_id for number in range(2)]
    both_looked = Barrier(2, timeout=10)

    def become(contact_id: int, unit: SqlUnitOfWork) -> int:
        # Both transactions see that the buyer is nobody yet.
        assert unit.identities.find_contact_by_buyer("b-1") is None
        both_looked.wait()
        is_now = unit.identities.set_buyer(contact_id, "b-1", "王芳", "")
        # The transaction goes on, whoever was faster.
        assert unit.identities.get_contact(is_now).buyer_id == "b-1"
        return is_now

    became = postgresql.run_together(
        [lambda unit, contact_id=contact_id: become(contact_id, unit) for contact_id in people]
    )
    assert became[0] == became[1]
    assert postgresql.count("contacts", "buyer_id = 'b-1'") == 1


def test_of_two_buyers_that_one_contact_becomes_at_once_one_stays(postgresql: Backend) -> None:
    contact_id = open_identity(postgresql)[0].contact_id
    both_looked = Barrier(2, timeout=10)

    def become(buyer_id: str, unit: SqlUnitOfWork) -> bool:
        assert unit.identities.get_contact(contact_id).buyer_id is None
        both_looked.wait()
        try:
            return unit.identities.set_buyer(contact_id, buyer_id, "", "") == contact_id
        except ConflictError:
            return False

    became = postgresql.run_together(
        [lambda unit, buyer_id=buyer_id: become(buyer_id, unit) for buyer_id in ("b-1", "b-2")]
    )
    assert sorted(became) == [False, True]


def test_a_buyer_of_the_shop_is_one_contact_before_they_ever_write(database: Backend) -> None:
    opened = database.run(lambda unit: unit.identities.open_buyer(Buyer("b-1", "王芳", "138"), NOW))
    assert (opened.buyer_id, opened.name, opened.phone, opened.created_at) == ("b-1", "王芳", "138", NOW)
    assert database.run(lambda unit: unit.identities.get_contact(opened.id)) == opened
    again = database.run(lambda unit: unit.identities.open_buyer(Buyer("b-1", "", ""), NOW + HOUR))
    assert again == opened
    renamed = database.run(lambda unit: unit.identities.open_buyer(Buyer("b-1", "王小芳", ""), NOW + HOUR))
    assert renamed == replace(opened, name="王小芳")
    assert database.run(lambda unit: unit.identities.get_contact(opened.id)) == renamed
    other = database.run(lambda unit: unit.identities.open_buyer(Buyer("b-2", "王芳", "138"), NOW))
    assert other.id != opened.id
    assert other.public_id != opened.public_id
    assert database.count("contacts") == 2


def test_orders_of_one_buyer_at_the_same_time_make_one_contact(postgresql: Backend) -> None:
    buyer = Buyer("b-1", "王芳", "138")
    together = Barrier(6, timeout=10)

    def work(unit: SqlUnitOfWork) -> int:
        together.wait()
        return unit.identities.open_buyer(buyer, NOW).id

    assert len(set(postgresql.run_together([work] * 6))) == 1
    assert postgresql.count("contacts") == 1


def test_who_writes_joins_the_contact_that_their_orders_made(database: Backend) -> None:
    buyer = database.run(lambda unit: unit.identities.open_buyer(Buyer("b-1", "王芳", "138"), NOW))
    mine = open_identity(database)[0]
    is_now = database.run(lambda unit: unit.identities.set_buyer(mine.contact_id, "b-1", "王芳", "138"))
    assert is_now == buyer.id


def test_joining_another_contact_is_on_record(database: Backend) -> None:
    mine, conversation = open_identity(database, "1")
    theirs = open_identity(database, "2")[0]
    for _ in range(2):
        database.run(lambda unit: unit.identities.move_to_contact(mine.id, theirs.contact_id, "buyer", NOW))
    assert database.run(lambda unit: unit.identities.get(mine.id)).contact_id == theirs.contact_id
    moved = database.run(lambda unit: unit.conversations.get(conversation.id))
    assert moved.contact_id == theirs.contact_id
    where = (
        f"from_contact_id = {mine.contact_id} AND to_contact_id = {theirs.contact_id} AND undone_at IS NULL"
    )
    assert database.count("contact_moves", where) == 1
    assert database.count("contact_moves") == 1


def test_an_unreachable_customer_is_reachable_again_once_they_write(database: Backend) -> None:
    identity = open_identity(database)[0]
    database.run(lambda unit: unit.identities.mark_unreachable(identity.id, "blocked", NOW))
    assert database.run(lambda unit: unit.identities.get(identity.id)).reachable is False
    database.run(lambda unit: unit.identities.wrote(identity.id, NOW + HOUR))
    again = database.run(lambda unit: unit.identities.get(identity.id))
    assert (again.reachable, again.last_message_at) == (True, NOW + HOUR)


def test_opting_out_and_in(database: Backend) -> None:
    identity = open_identity(database)[0]
    for at in (NOW, None):
        database.run(lambda unit, at=at: unit.identities.set_opted_out(identity.id, at))
        assert database.run(lambda unit: unit.identities.get(identity.id)).opted_out_at == at


def test_consent_is_recorded_once_per_version(database: Backend) -> None:
    identity = open_identity(database)[0]

    def consent(version: str, at: datetime) -> bool:
        return database.run(lambda unit: unit.identities.record_consent(identity.id, version, at))

    assert [consent("1", NOW), consent("1", NOW + HOUR), consent("2", NOW + 2 * HOUR)] == [True, False, True]
    assert database.run(lambda unit: unit.identities.get(identity.id)).consented_at == NOW + 2 * HOUR


def test_of_those_bound_to_an_order_the_last_writer_comes_first(database: Backend) -> None:
    ids = [open_identity(database, who)[0].id for who in ("silent", "early", "late", "stranger")]
    database.run(lambda unit: unit.identities.wrote(ids[1], NOW))
    database.run(lambda unit: unit.identities.wrote(ids[2], NOW + HOUR))
    with database.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO orders (id, external_id, buyer_id, buyer_name, buyer_phone, buyer_birthday, status,"
                " status_rank, occurred_at, amount_minor, currency, carrier, tracking_no, created_at, updated_at)"
                " VALUES (7, 'o', 'b', '', '', '', 'paid', 1, '2026-11-21', 1, 'CNY', '', '', '2026-11-21',"
                " '2026-11-21')"
            )
        )
        for id in ids[:3]:
            connection.execute(
                text(
                    "INSERT INTO order_bindings (order_id, identity_id, bound_at) VALUES (7, :id, '2026-11-21')"
                ),
                {"id": id},
            )
    bound = database.run(lambda unit: unit.identities.find_bound_to_order(7))
    assert [identity.id for identity in bound] == [ids[2], ids[1], ids[0]]


def test_the_same_client_keeps_its_chat_session(database: Backend) -> None:
    identity = open_identity(database, channel="web")[0]
    stored = [
        database.run(lambda unit, s=session: unit.chat_sessions.open("hash", s, identity.id, NOW))
        for session in ("first", "second")
    ]
    assert stored == ["first", "first"]
    assert database.run(lambda unit: unit.chat_sessions.find_session("hash")) == "first"
    assert database.run(lambda unit: unit.chat_sessions.find_session("other")) is None
    assert database.run(lambda unit: unit.chat_sessions.find_identity("first")) == identity.id
    assert database.run(lambda unit: unit.chat_sessions.find_identity("second")) is None


@pytest.mark.parametrize("table", ["contacts", "identities", "conversations", "messages", "inbox", "outbox"])
def test_the_id_of_a_deleted_row_is_never_given_again(database: Backend, table: str) -> None:
    def fill() -> int:
        conversation = talk(database)
        answer(database, conversation, "您好")
        database.run(lambda unit: unit.inbox.add("telegram", "7:1", "hash", "chat:1", b"{}", NOW))
        with database.engine.connect() as connection:
            return int(connection.execute(text(f"SELECT max(id) FROM {table}")).scalar_one())

    before = fill()
    with database.engine.begin() as connection:
        for each in ("outbox", "inbox", "messages", "conversations", "identities", "contacts"):
            connection.execute(text(f"DELETE FROM {each}"))
    assert fill() > before


# --- Conversations and messages ------------------------------------------------------------------------


def test_lines_are_numbered_without_gaps_as_they_become_visible(database: Backend) -> None:
    conversation = talk(database)
    first = heard(database, conversation, "在吗")
    assert database.bells == {f"events:{conversation.id}"}
    assert (first.seq, first.author, first.delivery) == (1, Author.CUSTOMER, Delivery.SENT)
    answer(database, conversation, "在的")
    heard(database, conversation, "什么时候发货")
    found = database.run(lambda unit: unit.conversations.find_after(conversation.id, 1, 10))
    assert [(line.seq, line.text) for line in found] == [(2, "在的"), (3, "什么时候发货")]
    assert len(database.run(lambda unit: unit.conversations.find_after(conversation.id, -(2**70), 2))) == 2
    assert database.run(lambda unit: unit.conversations.find_after(conversation.id, 2**70, 2)) == []
    assert database.run(lambda unit: unit.conversations.get(conversation.id)).last_message_at == NOW


def test_the_same_message_twice_is_stored_once(database: Backend) -> None:
    conversation = talk(database)
    assert hear(database, conversation, "在吗", "chat:1") is not None
    assert hear(database, conversation, "在吗", "chat:1") is None
    assert database.bells == set()
    edited = hear(database, conversation, "在吗？", "chat:1", revision=1_795_000_000)
    assert edited is not None
    assert edited.seq == 2


def test_two_that_decide_at_once_take_turns(postgresql: Backend) -> None:
    conversation = talk(postgresql)

    def work(unit: SqlUnitOfWork) -> int | None:
        locked = unit.conversations.lock(conversation.id)
        # What the other wrote is seen, because the lock was waited for.
        sleep(0.01)
        unit.conversations.set_state(conversation.id, misses=locked.misses + 1, angered_at=None)
        message = unit.conversations.add_incoming(locked, f"from {unit.owner}", 0, "在吗", None, NOW)
        assert message is not None
        return message.seq

    assert sorted(filter(None, postgresql.run_together([work] * 8))) == list(range(1, 9))
    assert postgresql.run(lambda unit: unit.conversations.get(conversation.id)).misses == 8


def test_a_client_id_is_used_once_by_one_author(database: Backend) -> None:
    conversation = talk(database)

    def hear_as(unit: SqlUnitOfWork, external_id: str) -> Message | None:
        return unit.conversations.add_incoming(conversation, external_id, 0, "在吗", "c-1", NOW)

    database.run(lambda unit: hear_as(unit, "1"))
    with pytest.raises(IntegrityError):
        database.run(lambda unit: hear_as(unit, "2"))


def test_the_outcome_is_on_record_for_staff(database: Backend) -> None:
    message = heard(database, talk(database), "怎么退货")
    entry = FaqEntry(3, "return", "售后", "怎么退货？", (), "七天内可退")
    meant = Understanding("faq-search", "return", 0.9, (FaqMatch(entry, 0.9),), (("order_number", "1"),))
    database.run(lambda unit: unit.conversations.set_outcome(message.id, "answered", meant, "answer"))
    with database.engine.connect() as connection:
        row = connection.execute(text("SELECT reason, action, understanding FROM messages")).one()
    assert (row.reason, row.action) == ("answered", "answer")
    assert "return" in str(row.understanding)
    assert "七天内可退" not in str(row.understanding)


def test_the_newest_line_before_a_message_may_be_anybodys(database: Backend) -> None:
    conversation = talk(database)
    other = talk(database, "else")
    first = heard(database, conversation, "在吗")
    assert (
        database.run(lambda unit: unit.conversations.find_newest_sent(conversation.id, first.id, FAR)) is None
    )
    answer(database, conversation, "在的")
    heard(database, other, "别人")
    second = heard(database, conversation, "5")
    answer(database, conversation, "谢谢")
    newest = database.run(lambda unit: unit.conversations.find_newest_sent(conversation.id, second.id, FAR))
    assert newest is not None
    assert newest.text == "在的"
    newest = database.run(lambda unit: unit.conversations.find_newest_sent(conversation.id, 0, FAR))
    assert newest is not None
    assert newest.text == "谢谢"


def test_the_newest_prompt_is_one_that_was_sent(database: Backend) -> None:
    conversation = talk(database)
    assert database.run(lambda unit: unit.conversations.find_newest_prompt(conversation.id)) is None
    prompt = Prompt(PromptKind.CHOICE, (Option("转人工", "1", "person"),))
    asked = answer(database, conversation, "需要转人工吗？", prompt)
    heard(database, conversation, "等等")
    database.run(lambda unit: unit.outbox.say(conversation, Reply("没发出", prompt=prompt), "unsent", NOW))
    newest = database.run(lambda unit: unit.conversations.find_newest_prompt(conversation.id))
    assert newest is not None
    assert (newest.id, newest.prompt) == (asked.id, asked.prompt)


@pytest.mark.parametrize("outcome", ["sending", "uncertain", "again"])
def test_a_question_that_left_perhaps_is_what_the_customer_answers(database: Backend, outcome: str) -> None:
    conversation = talk(database)
    prompt = Prompt(PromptKind.CHOICE, (Option("转人工", "1", "person"),))
    answer(database, conversation, "需要转人工吗？", prompt)

    def ask(unit: SqlUnitOfWork) -> int:
        asked = unit.outbox.say(conversation, Reply("几分？", prompt=prompt), "in doubt", NOW)
        assert asked is not None
        [outgoing] = unit.outbox.find_due(("telegram",), 99, NOW)
        unit.outbox.mark_sending(outgoing.id, "worker-1", NOW)
        if outcome == "uncertain":
            unit.outbox.end(outgoing.id, Delivery.UNCERTAIN, "timeout", NOW)
        elif outcome == "again":
            unit.outbox.requeue(outgoing.id, NOW, "timeout", maybe_duplicate=True)
        return asked.id

    asked_id = database.run(ask)

    def newest(before: int, written_by: datetime = FAR) -> Message | None:
        return database.run(
            lambda unit: unit.conversations.find_newest_sent(conversation.id, before, written_by)
        )

    said = heard(database, conversation, "5")
    found, prompted = (
        newest(said.id),
        database.run(lambda unit: unit.conversations.find_newest_prompt(conversation.id)),
    )
    assert found is not None
    assert prompted is not None
    assert (found.id, prompted.id) == (asked_id, asked_id)
    assert newest(said.id, NOW - timedelta(days=1)) is None, "what was decided after it was written"
    later = heard(database, conversation, "还有")
    found = newest(later.id)
    assert found is not None
    assert found.id == said.id, "after the customer's next line it is not the newest any more"


def test_each_change_of_speaker_is_an_event(database: Backend) -> None:
    conversation = talk(database)
    li = database.run(lambda unit: unit.staff.add("li", "小李", Role.AGENT, "hash", NOW))
    wu = database.run(lambda unit: unit.staff.add("wu", "小吴", Role.AGENT, "hash", NOW))
    for speaker, reason, staff_id in (
        (Speaker.BOT, "nothing new", None),
        (Speaker.WAITING, "asked_for_person", None),
        (Speaker.PERSON, "taken", li.id),
        (Speaker.PERSON, "taken again", li.id),
        (Speaker.PERSON, "passed on", wu.id),
        (Speaker.BOT, "closed", wu.id),
    ):
        database.run(
            lambda unit, to=speaker, why=reason, who=staff_id: unit.conversations.set_speaker(
                conversation.id, to, why, who, NOW
            )
        )
    with database.engine.connect() as connection:
        rows = connection.execute(
            text("SELECT from_speaker, to_speaker, reason FROM speaker_changes ORDER BY id")
        ).all()
    assert [tuple(row) for row in rows] == [
        ("bot", "waiting", "asked_for_person"),
        ("waiting", "person", "taken"),
        ("person", "person", "passed on"),
        ("person", "bot", "closed"),
    ]
    assert database.run(lambda unit: unit.conversations.get(conversation.id)).speaker is Speaker.BOT


def test_the_mood_of_a_talk_is_kept(database: Backend) -> None:
    conversation = talk(database)
    database.run(lambda unit: unit.conversations.set_state(conversation.id, misses=2, angered_at=NOW))
    kept = database.run(lambda unit: unit.conversations.lock_of_identity(conversation.identity_id))
    assert (kept.misses, kept.angered_at) == (2, NOW)
    assert database.run(lambda unit: unit.conversations.find_of_identity(conversation.identity_id)) == kept


def test_seen_only_rises_and_never_beyond_what_was_shown(database: Backend) -> None:
    conversation = talk(database)
    for word in ("一", "二", "三"):
        answer(database, conversation, word)
    seen = []
    for seq in (2, 1, -(2**70), 3, 2**70):
        database.run(lambda unit, seq=seq: unit.conversations.set_seen(conversation.id, seq, NOW))
        seen.append(database.run(lambda unit: unit.conversations.get(conversation.id)).seen_seq)
    assert seen == [2, 2, 2, 3, 3]
