"""What channels behind a network and staff rooms hold about a person: handed out, erased, and gone in time."""

from __future__ import annotations

import json
from datetime import timedelta

from care_stories import CANARY, DAY, HOUR, NOW, Customer, customer, found_in_rows, hears, staff, writes
from contract_backend import Backend

from desk.values import (
    Attachment,
    AttachmentKind,
    Author,
    Case,
    CaseReason,
    OutgoingKind,
    Priority,
    Reply,
    RoomLine,
    RoomLineKind,
    RoomThread,
)
from storage.unit_of_work import SqlUnitOfWork

ROOM = "-100"
CHAT = f"{CANARY}-5"
CARD = Attachment(AttachmentKind.CONTACT_CARD, name=f"{CANARY} 王 138", source_chat=CHAT, source_message="18")
FILE = Attachment(
    AttachmentKind.DOCUMENT, f"{CANARY}-file", f"{CANARY} 病历.pdf", f"{CANARY}/pdf", 9, CHAT, "17"
)


def told(database: Backend) -> tuple[Customer, Case]:
    """A customer of a messenger who sent files, and whom staff talk to in a room of their own."""
    opened = database.run(
        lambda unit: unit.identities.open("telegram", CHAT, NOW, f"{CANARY} 小明", f"{CANARY}-zh")
    )
    who = Customer(*opened)
    first = writes(database, who, f"{CANARY} 红色", f"{CHAT}:17")
    edit = database.run(
        lambda unit: unit.conversations.add_incoming(
            who.conversation, f"{CHAT}:17", 1000, f"{CANARY} 蓝色", None, NOW, (CARD, FILE)
        )
    )
    assert edit is not None
    answer = Reply(
        f"{CANARY} 您好",
        author=Author.STAFF,
        speakers=frozenset(),
        attachments=(FILE,),
        edits_message_id=None,
    )
    hears(database, who, answer, "staff:1", staff=staff(database))

    def work(unit: SqlUnitOfWork) -> Case:
        case, _ = unit.cases.open(who.conversation.id, CaseReason.ANGER, CANARY, Priority.HIGH, NOW)
        unit.staff_rooms.set_thread(RoomThread(ROOM, who.conversation.id, "77"), NOW)
        for line in (
            RoomLine(ROOM, "900", RoomLineKind.CARD, who.conversation.id, case.id, None, "t" * 22),
            RoomLine(ROOM, "901", RoomLineKind.RELAYED, who.conversation.id, case.id, first.id),
        ):
            unit.staff_rooms.remember_line(line, NOW)
        for number, payload in enumerate(
            ({"case_id": case.id}, {"message_id": edit.id}, {"do": "waiting_more"})
        ):
            unit.outbox.add_for_staff(
                f"r{number}", "telegram", f"room:{number}", ROOM, payload, NOW, kind=OutgoingKind.RELAY
            )
        for key, lane in (
            ("1", f"telegram:{CHAT}"),
            ("2", f"telegram:{ROOM}:77"),
            ("3", f"telegram:{ROOM}:78"),
        ):
            raw = CANARY if key != "3" else "somebody else"
            unit.inbox.add("telegram", key, "h", lane, raw.encode(), NOW)
        unit.inbox.bury_new("telegram", "4", "h", f"telegram:{CHAT}", CANARY.encode(), "TypeError", NOW)
        return case

    return who, database.run(work)


def test_a_customer_gets_what_they_sent_and_where_staff_talked_about_it(database: Backend) -> None:
    who, _ = told(database)
    exported = database.run(lambda unit: unit.contact_data.export(who.contact_id))
    (identity,) = exported["identities"]
    assert [(one["revision"], one["edits_seq"]) for one in identity["messages"]] == [
        (0, None),
        (1000, 1),
        (0, None),
    ]
    (card, file) = identity["messages"][1]["attachments"]
    assert (card["kind"], card["name"]) == ("contact_card", f"{CANARY} 王 138")
    assert (file["file_id"], file["size"]) == (f"{CANARY}-file", 9)
    assert identity["messages"][2]["attachments"][0]["name"] == f"{CANARY} 病历.pdf"
    assert [(one["room"], one["thread_id"]) for one in identity["staff_room_topics"]] == [(ROOM, "77")]
    assert [(one["provider_id"], one["kind"]) for one in identity["staff_room_lines"]] == [
        ("900", "card"),
        ("901", "relayed"),
    ]
    assert json.loads(json.dumps(exported)) == exported


def test_after_erasure_no_row_has_anything_of_what_they_sent(database: Backend) -> None:
    who, _ = told(database)
    other = customer(database, "6")
    database.run(
        lambda unit: unit.conversations.add_incoming(
            other.conversation, "6:1", 0, "", None, NOW, (Attachment(AttachmentKind.PHOTO, "theirs"),)
        )
    )
    kept = RoomLine(ROOM, "902", RoomLineKind.RELAYED, other.conversation.id)
    database.run(lambda unit: unit.staff_rooms.remember_line(kept, NOW))
    assert found_in_rows(database) == {
        "cases",
        "case_events",
        "contacts",
        "identities",
        "inbox",
        "lanes",
        "messages",
        "outbox",
    }
    changed = database.run(lambda unit: unit.contact_data.erase(who.contact_id, NOW + HOUR))
    assert found_in_rows(database) == set()
    assert database.count("inbox", "raw IS NOT NULL") == 1
    assert database.count("inbox", "lane = 'telegram:-100:78' AND state = 'ready'") == 1
    assert (changed["room_lines"], changed["room_threads"]) == (2, 1)
    assert database.run(lambda unit: unit.staff_rooms.find_lines(ROOM, "902")) == [kept]
    assert database.count("messages", "attachments IS NOT NULL") == 1


def test_what_staff_answered_outside_of_topics_goes_with_what_it_quoted(database: Backend) -> None:
    who, _ = told(database)

    def work(unit: SqlUnitOfWork) -> None:
        for key, lane in (("8", f"telegram:{ROOM}:0"), ("9", "telegram:-200:0")):
            unit.inbox.add("telegram", key, "h", lane, f"{CANARY} quoted".encode(), NOW)
        for claim in unit.inbox.claim_lanes("worker", 9, HOUR, NOW):
            item = unit.inbox.find_head(claim, NOW)
            if item is not None and claim.lane.endswith(":0"):
                unit.inbox.finish(claim, item.id)

    database.run(work)
    database.run(lambda unit: unit.contact_data.erase(who.contact_id, NOW + HOUR))
    assert database.count("inbox", f"lane = 'telegram:{ROOM}:0' AND raw IS NULL AND state = 'done'") == 1
    assert database.count("inbox", "lane = 'telegram:-200:0' AND raw IS NOT NULL") == 1, "another room"


def test_after_erasure_nothing_of_theirs_is_shown_to_staff_any_more(database: Backend) -> None:
    who, _ = told(database)
    database.run(lambda unit: unit.contact_data.erase(who.contact_id, NOW + HOUR))
    due = database.run(lambda unit: unit.outbox.find_due(("telegram",), 9, NOW))
    assert [outgoing.payload for outgoing in due] == [{"do": "waiting_more"}]


def retain(database: Backend, after: timedelta) -> dict[str, int]:
    counts = database.run(
        lambda unit: unit.contact_data.apply_retention(NOW + after, 7 * DAY, 35 * DAY, 365 * DAY, 100)
    )
    return {table: count for table, count in counts.items() if count}


def test_lines_of_staff_rooms_go_with_the_talk(database: Backend) -> None:
    who, case = told(database)
    assert "room_lines" not in retain(database, 366 * DAY), "the case is open"
    assert database.count("room_lines") == 2
    database.run(lambda unit: unit.cases.close(case.id, None, "solved", NOW))
    assert "room_lines" not in retain(database, 364 * DAY)
    done = retain(database, 366 * DAY)
    assert done["messages"] == 3
    assert database.count("room_lines") == 0
    assert database.run(lambda unit: unit.staff_rooms.find_thread(ROOM, who.conversation.id)) is not None


def test_codes_go_when_their_time_is_over_and_links_stay(database: Backend) -> None:
    lin, wang = staff(database), staff(database, "wang", "小王")

    def work(unit: SqlUnitOfWork) -> None:
        unit.staff_accounts.add_code(lin.id, "h1", NOW + HOUR, NOW)
        unit.staff_accounts.use_code("h1", "telegram", "5", NOW)
        unit.staff_accounts.add_code(wang.id, "h2", NOW + 3 * HOUR, NOW)

    database.run(work)
    assert retain(database, HOUR / 2) == {}
    assert retain(database, 2 * HOUR) == {"staff_link_codes": 1}
    assert retain(database, 400 * DAY) == {"staff_link_codes": 1}
    assert database.run(lambda unit: unit.staff_accounts.find("telegram", "5")) == lin
