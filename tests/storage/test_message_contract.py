"""Lines of a talk that carry more than words, or correct what was said before."""

from __future__ import annotations

import pytest
from care_stories import HOUR, NOW, Customer, customer, hears, staff, writes
from contract_backend import Backend
from sqlalchemy import text

from desk.values import Attachment, AttachmentKind, Author, Delivery, Message, Outgoing, Reply, Speaker
from storage.unit_of_work import SqlUnitOfWork

PHOTO = Attachment(AttachmentKind.PHOTO, "AgAC-1", "", "image/jpeg", 34_567, "5", "17")
PLACE = Attachment(AttachmentKind.LOCATION, name="31.2304,121.4737")


def incoming(
    database: Backend, who: Customer, key: str, said: str, revision: int = 0, *attachments: Attachment
) -> Message | None:
    return database.run(
        lambda unit: unit.conversations.add_incoming(
            who.conversation, key, revision, said, None, NOW, attachments
        )
    )


def due(database: Backend) -> list[Outgoing]:
    return list(database.run(lambda unit: unit.outbox.find_due(("telegram",), 9, NOW)))


# --- Attachments -------------------------------------------------------------------------------------


def test_what_comes_with_the_words_is_kept_whole(database: Backend) -> None:
    who = customer(database)
    message = incoming(database, who, "5:17", "坏了", 0, PHOTO, PLACE)
    assert message is not None
    assert message.attachments == (PHOTO, PLACE)
    assert database.run(lambda unit: unit.conversations.get_message(message.id)) == message
    assert database.run(lambda unit: unit.conversations.find_after(who.conversation.id, 0, 9)) == [message]
    bare = incoming(database, who, "5:18", "就这样")
    assert bare is not None
    assert bare.attachments == ()
    assert database.count("messages", "attachments IS NULL") == 1


def test_what_staff_attach_leaves_with_the_words(database: Backend) -> None:
    who = customer(database)
    line = Reply("", author=Author.STAFF, speakers=frozenset({Speaker.PERSON}), attachments=(PHOTO,))
    said = hears(database, who, line, "staff:1", staff=staff(database), sent=False)
    assert said.attachments == (PHOTO,)
    (outgoing,) = due(database)
    assert (outgoing.text, outgoing.attachments) == ("", (PHOTO,))


# --- Edits -------------------------------------------------------------------------------------------


def test_an_edit_names_the_line_that_it_edits(database: Backend) -> None:
    who = customer(database)
    first = writes(database, who, "收到的是红色", "5:17")
    edit, later = (
        incoming(database, who, "5:17", "收到的是蓝色", 1000),
        incoming(database, who, "5:17", "绿色", 2000),
    )
    assert edit is not None
    assert later is not None
    assert (first.edits_message_id, edit.edits_message_id, later.edits_message_id) == (
        None,
        first.id,
        first.id,
    )
    assert incoming(database, who, "5:17", "收到的是蓝色", 1000) is None
    kept = database.run(lambda unit: unit.conversations.get_message(first.id))
    assert kept.text == "收到的是红色"
    for one in (first, edit, later):
        versions = database.run(lambda unit, id=one.id: unit.conversations.find_versions(id))
        assert [version.text for version in versions] == ["收到的是红色", "收到的是蓝色", "绿色"]


def test_an_edit_of_what_never_came_edits_nothing(database: Backend) -> None:
    who, other = customer(database, "1"), customer(database, "2")
    writes(database, other, "别人的", "5:17")
    edit = incoming(database, who, "5:18", "改过的", 1000)
    assert edit is not None
    assert edit.edits_message_id is None


def test_an_edit_is_not_what_was_said_last(database: Backend) -> None:
    who = customer(database)
    first = writes(database, who, "一", "5:1")
    second = writes(database, who, "二", "5:2")
    incoming(database, who, "5:1", "壹", 1000)
    third = writes(database, who, "三", "5:3")
    newest = database.run(
        lambda unit: unit.conversations.find_newest_sent(who.conversation.id, third.id, NOW + HOUR)
    )
    assert newest is not None
    assert newest.id == second.id != first.id


def test_a_correction_of_ours_knows_what_the_channel_called_the_line(database: Backend) -> None:
    who, lin = customer(database), staff(database)
    line = Reply("明天到", author=Author.STAFF, speakers=frozenset())
    said = hears(database, who, line, "staff:1", staff=lin)
    assert database.run(lambda unit: unit.outbox.get_provider_id(said.id)) == "77"
    correction = Reply("后天到", author=Author.STAFF, speakers=frozenset(), edits_message_id=said.id)
    corrected = hears(database, who, correction, "staff:1:edit:1", staff=lin, sent=False)
    assert corrected.edits_message_id == said.id
    assert database.run(lambda unit: unit.outbox.get_provider_id(corrected.id)) == ""
    (outgoing,) = due(database)
    assert (outgoing.edits_message_id, outgoing.edits_provider_id) == (said.id, "77")
    database.run(lambda unit: unit.outbox.mark_sent(outgoing, "77", NOW))
    seen = database.run(lambda unit: unit.conversations.find_after(who.conversation.id, 0, 9))
    assert [(one.seq, one.text, one.edits_message_id) for one in seen] == [
        (1, "明天到", None),
        (2, "后天到", said.id),
    ]


def test_a_line_that_the_channel_never_took_has_no_name_there(database: Backend) -> None:
    who = customer(database)
    asked = writes(database, who, "在吗", "5:1")
    said = hears(database, who, Reply("在"), "reply:1", sent=False)
    for id in (asked.id, said.id, 10**6):
        assert database.run(lambda unit, id=id: unit.outbox.get_provider_id(id)) == ""
    hears(database, who, Reply("在的", edits_message_id=said.id), "reply:2", sent=False)
    row = database.run(lambda unit: unit.outbox.find_queued_for_update(due(database)[0].id + 1))
    assert row is not None
    assert (row.edits_message_id, row.edits_provider_id) == (said.id, "")


def test_deleting_a_line_leaves_what_corrected_it(database: Backend) -> None:
    who = customer(database)
    first = writes(database, who, "红色", "5:17")
    edit = incoming(database, who, "5:17", "蓝色", 1000)
    assert edit is not None
    with database.engine.begin() as connection:
        connection.execute(text("DELETE FROM messages WHERE id = :id"), {"id": first.id})
    assert database.run(lambda unit: unit.conversations.get_message(edit.id)).edits_message_id is None


def test_only_what_has_not_begun_to_leave_can_be_said_otherwise(database: Backend) -> None:
    who = customer(database)
    said = hears(database, who, Reply("明天到"), "staff:1", sent=False)

    def change(words: str) -> bool:
        return database.run(lambda unit: unit.conversations.change_text(said.id, words))

    assert change("后天到")
    (outgoing,) = due(database)
    assert outgoing.text == "后天到"
    database.run(lambda unit: unit.outbox.mark_sending(outgoing.id, "worker-1", NOW))
    assert not change("大后天到")
    database.run(lambda unit: unit.outbox.requeue(outgoing.id, NOW, "NotSent", maybe_duplicate=False))
    assert change("周五到")
    database.run(lambda unit: unit.outbox.requeue(outgoing.id, NOW, "Timeout", maybe_duplicate=True))
    assert not change("周六到"), "it may have left in the try before"
    assert due(database)[0].text == "周五到"
    database.run(lambda unit: unit.outbox.mark_sent(outgoing, "77", NOW))
    assert not change("周日到")
    theirs = writes(database, who, "好", "5:1")
    assert not database.run(lambda unit: unit.conversations.change_text(theirs.id, "不好"))


def test_a_person_finds_their_own_line_and_what_corrected_it(database: Backend) -> None:
    who, lin, wang = customer(database), staff(database), staff(database, "wang", "小王")

    def say(unit: SqlUnitOfWork) -> list[Message | None]:
        mine = Reply("明天到", author=Author.STAFF, speakers=frozenset())
        said = unit.outbox.say(who.conversation, mine, "staff:1", NOW, lin, "-100:9")
        assert said is not None
        edit = Reply("后天到", author=Author.STAFF, speakers=frozenset(), edits_message_id=said.id)
        return [said, unit.outbox.say(who.conversation, edit, "staff:1:edit:1", NOW, lin)]

    lines = database.run(say)
    find = [
        (who.conversation.id, lin.id, "-100:9"),
        (who.conversation.id, wang.id, "-100:9"),
        (who.conversation.id, lin.id, "-100:10"),
        (customer(database, "2").conversation.id, lin.id, "-100:9"),
    ]
    found = [
        database.run(lambda unit, args=args: unit.conversations.find_staff_lines(*args)) for args in find
    ]
    assert found == [lines, [], [], []]


# --- The newest lines --------------------------------------------------------------------------------


def test_the_newest_lines_are_there_whether_sent_or_not(database: Backend) -> None:
    who = customer(database)
    writes(database, who, "一", "5:1")
    hears(database, who, Reply("二"), "reply:1")
    hears(database, who, Reply("三"), "reply:2", sent=False)
    writes(database, customer(database, "2"), "别处", "6:1")

    def latest(limit: int) -> list[tuple[str, Delivery]]:
        lines = database.run(lambda unit: unit.conversations.find_latest(who.conversation.id, limit))
        return [(line.text, line.delivery) for line in lines]

    assert latest(9) == [("一", Delivery.SENT), ("二", Delivery.SENT), ("三", Delivery.QUEUED)]
    assert latest(2) == [("二", Delivery.SENT), ("三", Delivery.QUEUED)]


# --- Who writes --------------------------------------------------------------------------------------


def opens(database: Backend, name: str = "", language: str = "") -> Customer:
    opened = database.run(lambda unit: unit.identities.open("telegram", "4711", NOW, name, language))
    return Customer(*opened)


def name_of(database: Backend, who: Customer) -> str:
    return database.run(lambda unit: unit.identities.get_contact(who.contact_id)).name


def test_a_name_that_the_channel_tells_stands_until_the_shop_tells_one(database: Backend) -> None:
    who = opens(database)
    assert name_of(database, who) == ""
    opens(database, "小明")
    assert name_of(database, who) == "小明"
    opens(database, "明哥")
    opens(database, "")
    assert name_of(database, who) == "小明"
    database.run(lambda unit: unit.identities.set_buyer(who.contact_id, "buyer-1", "王明", ""))
    opens(database, "明哥")
    assert name_of(database, who) == "王明"


def test_a_new_customer_has_name_and_language_at_once(database: Backend) -> None:
    who = opens(database, "小明", "zh-hans")
    assert name_of(database, who) == "小明"
    assert database.count("identities", "language = 'zh-hans'") == 1


def test_the_newest_language_that_is_told_is_kept(database: Backend) -> None:
    for language in ("zh-hans", "", "en", ""):
        opens(database, "", language)
    assert database.count("identities", "language = 'en'") == 1


def test_looking_for_somebody_does_not_make_them(database: Backend) -> None:
    assert database.run(lambda unit: unit.identities.find("telegram", "4711")) is None
    who = opens(database)
    assert database.run(lambda unit: unit.identities.find("telegram", "4711")) == who.identity
    assert database.run(lambda unit: unit.identities.find("web", "4711")) is None
    assert database.count("identities") == 1


def test_who_lets_us_in_again_is_reachable_without_having_written(database: Backend) -> None:
    who = opens(database)
    database.run(lambda unit: unit.identities.mark_unreachable(who.identity.id, "blocked", NOW))
    database.run(lambda unit: unit.identities.mark_reachable(who.identity.id, NOW + HOUR))
    found = database.run(lambda unit: unit.identities.get(who.identity.id))
    assert (found.reachable, found.last_message_at) == (True, None)
    assert database.count("identities", "unreachable_reason = '' AND unreachable_at IS NULL") == 1


@pytest.mark.parametrize("name", ["", "小明"])
def test_who_opens_twice_is_one_person(database: Backend, name: str) -> None:
    assert opens(database, name).contact_id == opens(database, name).contact_id
    assert database.count("contacts") == 1
