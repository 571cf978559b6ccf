"""The staff room: whose topic is whose, and which line there stands for what."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest
from care_stories import HOUR, NOW, Customer, customer, writes
from contract_backend import Backend

from desk.values import Case, CaseReason, Priority, RoomLine, RoomLineKind, RoomThread

ROOM, OTHER_ROOM = "-100", "-200"
TOKEN = "t" * 22


def opened(database: Backend, who: Customer) -> Case:
    return database.run(
        lambda unit: unit.cases.open(who.conversation.id, CaseReason.ANGER, "", Priority.NORMAL, NOW)
    )[0]


def thread(database: Backend, who: Customer, thread_id: str, room: str = ROOM) -> RoomThread:
    made = RoomThread(room, who.conversation.id, thread_id)
    database.run(lambda unit: unit.staff_rooms.set_thread(made, NOW))
    return made


def remember(database: Backend, *lines: RoomLine, at: datetime = NOW) -> None:
    for line in lines:
        database.run(lambda unit, line=line: unit.staff_rooms.remember_line(line, at))


def lines(database: Backend, provider_id: str, room: str = ROOM) -> list[RoomLine]:
    return list(database.run(lambda unit: unit.staff_rooms.find_lines(room, provider_id)))


# --- Topics ------------------------------------------------------------------------------------------


def test_a_topic_is_found_from_both_sides(database: Backend) -> None:
    who, other = customer(database, "1"), customer(database, "2")
    made = thread(database, who, "77")
    elsewhere = thread(database, who, "77", OTHER_ROOM)

    def find_thread(room: str, conversation_id: int) -> RoomThread | None:
        return database.run(lambda unit: unit.staff_rooms.find_thread(room, conversation_id))

    assert find_thread(ROOM, who.conversation.id) == made
    assert find_thread(OTHER_ROOM, who.conversation.id) == elsewhere
    assert find_thread(ROOM, other.conversation.id) is None
    assert database.run(lambda unit: unit.staff_rooms.find_conversation_id(ROOM, "77")) == who.conversation.id
    assert database.run(lambda unit: unit.staff_rooms.find_conversation_id(ROOM, "78")) is None
    database.run(lambda unit: unit.staff_rooms.forget_thread(ROOM, who.conversation.id))
    assert find_thread(ROOM, who.conversation.id) is None
    assert find_thread(OTHER_ROOM, who.conversation.id) == elsewhere


def test_a_new_topic_takes_the_place_of_the_one_before(database: Backend) -> None:
    who, other = customer(database, "1"), customer(database, "2")
    thread(database, who, "77")
    thread(database, who, "78")
    assert database.run(lambda unit: unit.staff_rooms.find_conversation_id(ROOM, "77")) is None
    assert database.run(lambda unit: unit.staff_rooms.find_conversation_id(ROOM, "78")) == who.conversation.id
    thread(database, other, "78")
    assert (
        database.run(lambda unit: unit.staff_rooms.find_conversation_id(ROOM, "78")) == other.conversation.id
    )
    assert database.count("room_threads") == 1


# --- Lines -------------------------------------------------------------------------------------------


def test_a_line_there_may_stand_for_several_lines_of_the_customer(database: Backend) -> None:
    who = customer(database)
    messages = [writes(database, who, words, f"5:{words}") for words in "一二三"]
    shown = [
        RoomLine(ROOM, "900", RoomLineKind.RELAYED, who.conversation.id, None, message.id)
        for message in messages
    ]
    remember(database, *shown)
    assert lines(database, "900") == shown
    assert lines(database, "900", OTHER_ROOM) == []
    assert lines(database, "901") == []


def test_the_same_line_again_changes_nothing(database: Backend) -> None:
    who = customer(database)
    message = writes(database, who, "一", "5:1")
    card = RoomLine(
        ROOM, "900", RoomLineKind.CARD, who.conversation.id, opened(database, who).id, None, TOKEN
    )
    said = RoomLine(ROOM, "901", RoomLineKind.SAID, who.conversation.id, None, message.id)
    for _ in range(2):
        remember(database, card, said)
    remember(database, replace(card, token="u" * 22), replace(said, kind=RoomLineKind.OTHER))
    assert (lines(database, "900"), lines(database, "901")) == ([card], [said])


def test_the_newest_line_that_shows_a_message_is_found(database: Backend) -> None:
    who = customer(database)
    message, other = writes(database, who, "一", "5:1"), writes(database, who, "二", "5:2")
    first = RoomLine(ROOM, "900", RoomLineKind.RELAYED, who.conversation.id, None, message.id)
    remember(database, first, replace(first, provider_id="899"), replace(first, room=OTHER_ROOM))
    found = database.run(lambda unit: unit.staff_rooms.find_line_of_message(ROOM, message.id))
    assert found == replace(first, provider_id="899")
    assert database.run(lambda unit: unit.staff_rooms.find_line_of_message(ROOM, other.id)) is None


def test_the_newest_card_of_a_case_is_found_and_any_by_its_buttons(database: Backend) -> None:
    who = customer(database)
    case = opened(database, who)
    old = RoomLine(ROOM, "900", RoomLineKind.CARD, who.conversation.id, case.id, None, TOKEN)
    new = replace(old, provider_id="950", token="n" * 22)
    note = replace(old, provider_id="960", kind=RoomLineKind.NOTE_PROMPT, token="")
    remember(database, old, new, note)
    assert database.run(lambda unit: unit.staff_rooms.find_card(ROOM, case.id)) == new
    assert database.run(lambda unit: unit.staff_rooms.find_card(OTHER_ROOM, case.id)) is None
    assert database.run(lambda unit: unit.staff_rooms.find_card(ROOM, case.id + 1)) is None
    assert database.run(lambda unit: unit.staff_rooms.find_card_by_token(TOKEN)) == old
    assert database.run(lambda unit: unit.staff_rooms.find_card_by_token("x" * 22)) is None


@pytest.mark.parametrize("forged", ["", "t" * 21, "x" * 5000, "\0" * 22, "\ud83d" * 22, "é" * 22])
def test_a_forged_token_is_that_of_no_card(database: Backend, forged: str) -> None:
    who = customer(database)
    remember(
        database,
        RoomLine(ROOM, "900", RoomLineKind.CARD, who.conversation.id, opened(database, who).id, None, ""),
    )
    assert database.run(lambda unit: unit.staff_rooms.find_card_by_token(forged)) is None


def test_cards_of_late_are_counted(database: Backend) -> None:
    who = customer(database)
    case = opened(database, who)
    card = RoomLine(ROOM, "900", RoomLineKind.CARD, who.conversation.id, case.id, None, TOKEN)
    remember(database, card, replace(card, room=OTHER_ROOM), at=NOW)
    remember(database, replace(card, provider_id="901"), at=NOW + HOUR)
    remember(database, replace(card, provider_id="902", kind=RoomLineKind.OTHER), at=NOW + HOUR)

    def count(since: datetime) -> int:
        return database.run(lambda unit: unit.staff_rooms.count_cards_since(ROOM, since))

    assert [count(NOW), count(NOW + HOUR), count(NOW + 2 * HOUR)] == [2, 1, 0]


def test_when_the_chat_has_another_id_what_is_known_of_the_old_one_is_void(database: Backend) -> None:
    who = customer(database)
    line = RoomLine(
        ROOM, "900", RoomLineKind.CARD, who.conversation.id, opened(database, who).id, None, TOKEN
    )
    remember(database, line, replace(line, room=OTHER_ROOM))
    thread(database, who, "77")
    kept = thread(database, who, "78", OTHER_ROOM)
    database.run(lambda unit: unit.staff_rooms.move(ROOM, ROOM))
    assert lines(database, "900") == [line]
    database.run(lambda unit: unit.staff_rooms.move(ROOM, "-1001"))
    assert lines(database, "900") == lines(database, "900", "-1001") == []
    assert database.run(lambda unit: unit.staff_rooms.find_thread(ROOM, who.conversation.id)) is None
    assert lines(database, "900", OTHER_ROOM) == [replace(line, room=OTHER_ROOM)]
    assert database.run(lambda unit: unit.staff_rooms.find_thread(OTHER_ROOM, who.conversation.id)) == kept
