"""A person's rights: everything is given out on demand, and after erasure nothing of them is left."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Event
from time import sleep

import pytest
from care_stories import (
    CANARY,
    DAY,
    HOUR,
    NOW,
    Customer,
    ask,
    bound,
    customer,
    delivery_of,
    digest_of,
    event,
    found_in_rows,
    hears,
    order,
    question,
    staff,
    survey,
    writes,
)
from contract_backend import Backend

from desk.case_opening import ALERT_TIMER
from desk.errors import NotFoundError
from desk.follow_up import DUE_TIMER, REMINDER_TIMER, SCORE_TIMER
from desk.values import (
    Author,
    CaseReason,
    Delivery,
    Order,
    OrderEvent,
    OrderStatus,
    Priority,
    Reply,
    Sentiment,
    SentimentLabel,
    SkipReason,
    Speaker,
    Survey,
    SurveyState,
    Understanding,
)
from storage.contact_erasure import without_buyer
from storage.reports import Reports
from storage.unit_of_work import SqlUnitOfWork

WEEK, MONTH, YEAR = 7 * DAY, 35 * DAY, 365 * DAY


@dataclass(frozen=True)
class Told:
    """A customer whose every word and mark is a canary, and what exists about them."""

    who: Customer
    answered: Survey
    planned: Survey
    unsent: Survey
    bought: Order


def told(database: Backend) -> Told:
    """A long story: bought, asked, unhappy, with a person; in every place a canary."""
    who = customer(database, f"{CANARY}-chat-5", "webchat")
    agent = staff(database)
    orders = [
        database.run(lambda unit, number=number: unit.orders.save(_delivered(number), None, NOW, NOW))
        for number in ("A-1", "A-2", "A-3")
    ]
    for bought in orders:
        bound(database, who, bought)
    answered, planned, unsent = (survey(database, bought) for bought in orders)
    answered, unsent = ask(database, answered, who), ask(database, unsent, who)
    hears(database, who, question(answered.id, f"{CANARY} 满意吗"), f"survey:{answered.id}:ask")
    line = writes(database, who, f"{CANARY} 漏水", f"{CANARY}-chat-5:1")
    said = Reply(f"{CANARY} 先生您好", author=Author.STAFF, speakers=frozenset(), reason=f"{CANARY} reason")
    hears(database, who, said, "reply:1", staff=agent)
    hears(database, who, question(unsent.id), f"survey:{unsent.id}:ask", sent=False)

    def work(unit: SqlUnitOfWork) -> None:
        unit.orders.get_or_create_link(orders[0].id, NOW + DAY, NOW)
        unit.identities.set_buyer(who.contact_id, f"{CANARY}-buyer", f"{CANARY} 王", f"{CANARY} 138")
        unit.orders.set_contact_of_buyer(f"{CANARY}-buyer", who.contact_id)
        unit.chat_sessions.open(f"{CANARY}-client", f"{CANARY}-session", who.identity.id, NOW)
        heard = Understanding("faq-search", "complaint", 0.9, entities=(("thing", f"{CANARY} 杯"),))
        unit.conversations.set_outcome(line.id, f"{CANARY} 漏水 is anger", heard, "person")
        unit.surveys.record_answer(answered.id, "overall", "1", line.id, NOW)
        unit.surveys.record_answer(answered.id, "comment", f"{CANARY} 漏水", line.id, NOW)
        changed = unit.surveys.change(
            answered.id, state=SurveyState.ANSWERING, now=NOW, rating=1, comment=f"{CANARY} 漏水"
        )
        feedback = unit.surveys.save_feedback(changed, orders[0], who.conversation, NOW)
        score = Sentiment(SentimentLabel.NEGATIVE, -0.9, (f"{CANARY} 漏",), "lexicon")
        unit.surveys.set_sentiment(feedback.id, f"{CANARY} 漏水", score)
        case, _ = unit.cases.open(who.conversation.id, CaseReason.ANGER, f"{CANARY} 漏水", Priority.HIGH, NOW)
        unit.cases.add_note(case.id, agent, f"{CANARY} 住在上海", NOW)
        unit.cases.take(case.id, agent, NOW)
        unit.conversations.set_speaker(who.conversation.id, Speaker.PERSON, "taken", agent.id, NOW)
        unit.faq.record_miss(who.conversation.id, line.id, f"{CANARY} 问题", NOW)
        unit.desk_events.add("message", case.id, who.conversation.id, {"text": CANARY}, NOW)
        card, others = {"do": "card", "case_id": case.id}, {"do": "card", "case_id": 10 * case.id}
        unit.outbox.add_for_staff("alert:1", "telegram", "room:-100:1", "-100", card, NOW)
        unit.outbox.add_for_staff("alert:2", "telegram", "room:-100:2", "-100", others, NOW)
        lane = f"identity:{who.identity.id}"
        unit.inbox.add("webchat", "k1", "h1", lane, f"{CANARY} 第一".encode(), NOW)
        (claim,) = unit.inbox.claim_lanes("worker-1", 1, HOUR, NOW)
        item = unit.inbox.find_head(claim, NOW)
        assert item is not None
        unit.inbox.finish(claim, item.id)
        unit.inbox.release(claim)
        unit.inbox.add("webchat", "k2", "h2", lane, f"{CANARY} 第二".encode(), NOW)
        unit.inbox.add("orders", "k3", "h3", "order:A-1", _raw_event(), NOW)
        for kind, key in (
            (DUE_TIMER, planned.id),
            (REMINDER_TIMER, answered.id),
            (SCORE_TIMER, feedback.id),
            (ALERT_TIMER, case.id),
        ):
            unit.timers.set(kind, str(key), NOW + DAY, {})

    database.run(work)
    return Told(who, answered, planned, unsent, orders[0])


def erase(database: Backend, story: Told) -> dict[str, int]:
    return dict(database.run(lambda unit: unit.contact_data.erase(story.who.contact_id, NOW + HOUR)))


def test_a_customer_gets_everything_that_is_held_about_them(database: Backend) -> None:
    story = told(database)
    exported = database.run(lambda unit: unit.contact_data.export(story.who.contact_id))
    as_json = json.dumps(exported, ensure_ascii=False)
    for piece in ("王", "138", "先生您好", "漏水", "住在上海", "chat-5", "session", "问题", "漏水 is anger"):
        assert f"{CANARY} {piece}" in as_json or f"{CANARY}-{piece}" in as_json, piece
    assert [one["external_id"] for one in exported["orders"]] == ["A-1", "A-2", "A-3"]
    assert exported["orders"][0]["items"][0]["name"] == "茶杯"
    assert [one["value"] for one in exported["surveys"][0]["answers"]] == ["1", f"{CANARY} 漏水"]
    assert exported["cases"][0]["history"][-1]["staff_name"] == "小林"
    with pytest.raises(NotFoundError):
        database.run(lambda unit: unit.contact_data.export(99))


def test_an_export_tells_nothing_about_another_buyer(database: Backend) -> None:
    who, owner = customer(database, "1"), customer(database, "2")
    gift = order(database, buyer="owner")
    database.run(lambda unit: unit.identities.set_buyer(owner.contact_id, "owner", "李四", "13911112222"))
    database.run(lambda unit: unit.identities.set_buyer(who.contact_id, "friend", "张三", ""))
    database.run(lambda unit: unit.orders.set_contact_of_buyer("owner", owner.contact_id))
    bound(database, who, gift)
    writes(database, owner, "这是李四", "2:1")
    exported = database.run(lambda unit: unit.contact_data.export(who.contact_id))
    as_json = json.dumps(exported, ensure_ascii=False)
    assert exported["orders"][0]["external_id"] == "A-1"
    for foreign in ("李四", "13911112222", "王小明", "13800001111"):
        assert foreign not in as_json


def test_after_erasure_no_row_has_a_word_or_mark_of_the_customer(database: Backend) -> None:
    story = told(database)
    assert found_in_rows(database) >= {"messages", "contacts", "identities", "inbox", "cases", "orders"}
    changed = erase(database, story)
    assert found_in_rows(database) == set()
    assert changed["contacts"] == 1
    assert changed["messages"] == 4
    with pytest.raises(NotFoundError):
        database.run(lambda unit: unit.contact_data.erase(99, NOW))


def test_after_erasure_no_byte_of_the_file_has_a_word_of_the_customer(sqlite: Backend) -> None:
    _use_wal(sqlite)
    story = told(sqlite)
    path = _file_of(sqlite)
    assert CANARY.encode() in everything_on_disk(sqlite, path)
    erase(sqlite, story)
    assert CANARY.encode() not in everything_on_disk(sqlite, path)


def bought_only(database: Backend) -> int:
    """A buyer who never wrote: an order, a survey that is planned, an event that waits."""

    def work(unit: SqlUnitOfWork) -> int:
        told = _delivered("A-1")
        contact = unit.identities.open_buyer(told.order.buyer, NOW)
        bought = unit.orders.save(told, contact.id, NOW, NOW)
        unit.orders.get_or_create_link(bought.id, NOW + DAY, NOW)
        unit.surveys.schedule("order", bought.id, "post_delivery", 1, NOW + DAY, NOW)
        unit.inbox.add("orders", "k3", "h3", "order:A-1", _raw_event(), NOW)
        return contact.id

    return database.run(work)


def test_who_only_bought_gets_everything_that_is_held_about_them(database: Backend) -> None:
    contact_id = bought_only(database)
    exported = database.run(lambda unit: unit.contact_data.export(contact_id))
    assert exported["contact"]["phone"] == f"{CANARY} 138"
    assert exported["identities"] == []
    assert [(one["external_id"], one["buyer_name"]) for one in exported["orders"]] == [
        ("A-1", f"{CANARY} 王")
    ]
    assert [(one["order"], one["state"]) for one in exported["surveys"]] == [("A-1", "scheduled")]


def test_after_erasure_nothing_is_left_of_who_only_bought(database: Backend) -> None:
    contact_id = bought_only(database)
    assert found_in_rows(database) == {"contacts", "inbox", "orders"}
    changed = database.run(lambda unit: unit.contact_data.erase(contact_id, NOW + HOUR))
    assert found_in_rows(database) == set()
    assert (changed["contacts"], changed["orders"], changed["surveys"]) == (1, 1, 1)
    page = database.run(lambda unit: Reports(unit.session).customers("", 10))
    assert page.rows == ()


def test_after_erasure_no_byte_of_the_file_has_a_word_of_who_only_bought(sqlite: Backend) -> None:
    _use_wal(sqlite)
    contact_id = bought_only(sqlite)
    path = _file_of(sqlite)
    assert CANARY.encode() in everything_on_disk(sqlite, path)
    sqlite.run(lambda unit: unit.contact_data.erase(contact_id, NOW + HOUR))
    assert CANARY.encode() not in everything_on_disk(sqlite, path)


def test_an_order_that_is_stored_during_the_erasure_is_not_left_behind(postgresql: Backend) -> None:
    """The erasure waits for it, or the order makes a contact of its own that can be erased too."""
    contact_id = bought_only(postgresql)
    opened = Event()

    def buy(unit: SqlUnitOfWork) -> None:
        told = _delivered("A-2")
        contact = unit.identities.open_buyer(told.order.buyer, NOW)
        assert contact.id == contact_id
        opened.set()
        sleep(0.3)
        unit.orders.save(told, contact.id, NOW, NOW)

    def erase_it(unit: SqlUnitOfWork) -> None:
        assert opened.wait(10)
        unit.contact_data.erase(contact_id, NOW)

    postgresql.run_together([buy, erase_it])
    assert found_in_rows(postgresql) == set()


def test_erasure_stops_what_is_pending(database: Backend) -> None:
    story = told(database)
    erase(database, story)
    assert database.count("timers", "state = 'pending'") == 0
    assert database.count("outbox", "state IN ('queued', 'sending')") == 1
    assert database.count("outbox", "state = 'queued' AND lane = 'room:-100:2'") == 1
    assert database.count("chat_sessions") == 0
    assert database.count("cases", "state <> 'closed'") == 0
    (shown,) = database.run(lambda unit: unit.desk_events.find_after(1, 5))
    assert (shown.kind, shown.conversation_id) == ("case_closed", story.who.conversation.id)
    assert database.count("order_links", "identity_id IS NULL") == 0
    assert database.run(lambda unit: unit.conversations.get(story.who.conversation.id)).speaker is Speaker.BOT
    assert not database.run(lambda unit: unit.identities.get(story.who.identity.id)).reachable
    lane = f"identity:{story.who.identity.id}"
    assert database.count("lanes", f"name = '{lane}' AND pending = 0") == 1
    assert database.count("inbox", f"lane = '{lane}' AND state <> 'done'") == 0


def test_erasure_keeps_the_accounting_of_surveys_whole(database: Backend) -> None:
    story = told(database)
    erase(database, story)
    states = {
        one.id: (one.state, one.skip_reason, one.rating)
        for one in (
            database.run(lambda unit, wanted=wanted.id: unit.surveys.get(wanted))
            for wanted in (story.answered, story.planned, story.unsent)
        )
    }
    assert states == {
        story.answered.id: (SurveyState.DONE, None, 1),
        story.planned.id: (SurveyState.SKIPPED, SkipReason.ERASED, None),
        story.unsent.id: (SurveyState.SKIPPED, SkipReason.ERASED, None),
    }
    accounting = database.run(lambda unit: Reports(unit.session).survey_accounting())
    assert (accounting.delivered, accounting.sent, accounting.skipped_total) == (3, 1, 2)
    assert accounting.balanced


def test_a_later_event_does_not_bring_an_erased_buyer_back(database: Backend) -> None:
    story = told(database)
    erase(database, story)
    later = event(OrderStatus.REFUNDED, order="A-1", buyer=f"{CANARY}-buyer", at=NOW + DAY)
    refunded = database.run(lambda unit: unit.orders.save(later, None, None, NOW + DAY))
    assert refunded.status is OrderStatus.REFUNDED
    assert (refunded.snapshot.buyer.name, refunded.snapshot.buyer.phone) == ("", "")
    assert refunded.snapshot.amount_minor == 3980
    first, second = (database.run(lambda unit, one=one: unit.orders.lock(one)) for one in ("A-1", "A-2"))
    assert first is not None
    assert second is not None
    assert first.snapshot.buyer.id != second.snapshot.buyer.id


def test_an_order_event_that_waits_still_counts_after_erasure(database: Backend) -> None:
    story = told(database)
    erase(database, story)

    def work(unit: SqlUnitOfWork) -> bytes:
        (claim,) = unit.inbox.claim_lanes("worker-2", 5, HOUR, NOW)
        assert claim.lane == "order:A-1"
        item = unit.inbox.find_head(claim, NOW)
        assert item is not None
        return item.raw

    waiting = json.loads(database.run(work))
    assert waiting["type"] == "order.returned"
    assert CANARY not in json.dumps(waiting)


def test_who_writes_again_after_erasure_is_somebody_new(database: Backend) -> None:
    story = told(database)
    erase(database, story)
    again = customer(database, f"{CANARY}-chat-5", "webchat")
    assert again.contact_id != story.who.contact_id
    assert again.conversation.id != story.who.conversation.id


def test_after_erasure_nobody_sees_an_order_through_what_was_bound(database: Backend) -> None:
    story = told(database)
    gift = order(database, "B-1", buyer="other")
    used = bound(database, story.who, gift)
    unused = digest_of(
        database.run(lambda unit: unit.orders.get_or_create_link(story.bought.id, NOW + DAY, NOW))
    )
    friend = customer(database, "2")
    bound(database, friend, gift)
    changed = erase(database, story)
    erased = story.who.identity.id
    assert database.run(lambda unit: unit.orders.find_of_identity(erased, 5)) == []
    assert database.run(lambda unit: unit.identities.find_bound_to_order(story.bought.id)) == []
    for digest in (used, unused):
        assert database.run(lambda unit, digest=digest: unit.orders.find_link(digest)) is None
    assert (changed["order_bindings"], changed["order_links"]) == (4, 5)
    kept = database.run(lambda unit: unit.orders.find_of_identity(friend.identity.id, 5))
    assert [one.id for one in kept] == [gift.id]


def test_erasure_leaves_everybody_else_alone(database: Backend) -> None:
    other = customer(database, "2")
    writes(database, other, "别人的话", "2:1")
    foreign = order(database, "B-1", buyer="other")
    database.run(lambda unit: unit.identities.set_buyer(other.contact_id, "other", "别人", "139"))
    story = told(database)
    bound(database, story.who, foreign)
    erase(database, story)
    assert database.count("messages", "text = '别人的话'") == 1
    assert database.count("contacts", "name = '别人' AND phone = '139'") == 1
    kept = database.run(lambda unit: unit.orders.get(foreign.id))
    assert (kept.snapshot.buyer.name, kept.snapshot.buyer.id) == ("王小明", "other")


def test_a_call_that_is_being_made_ends_uncertain(database: Backend) -> None:
    who = customer(database)
    line = hears(database, who, Reply("稍等"), "reply:9", sent=False)

    def work(unit: SqlUnitOfWork) -> None:
        (outgoing,) = unit.outbox.find_due(["telegram"], 5, NOW)
        unit.outbox.mark_sending(outgoing.id, "worker-1", NOW)

    database.run(work)
    database.run(lambda unit: unit.contact_data.erase(who.contact_id, NOW))
    assert delivery_of(database, line.id) is Delivery.UNCERTAIN


@pytest.mark.parametrize("raw", [b"", b"\xff", b"[]", b"null", b"{}", b'{"order": 5}', b"[" * 100_000])
def test_an_event_that_cannot_be_read_is_emptied(raw: bytes) -> None:
    assert without_buyer(raw) == b""


# --- Retention ---------------------------------------------------------------------------------------


def retain(database: Backend, after: timedelta, limit: int = 100) -> dict[str, int]:
    counts = database.run(
        lambda unit: unit.contact_data.apply_retention(NOW + after, WEEK, MONTH, YEAR, limit)
    )
    return {table: count for table, count in counts.items() if count}


def test_raw_bytes_go_after_a_week_and_keys_after_five(database: Backend) -> None:
    told(database)
    assert retain(database, 6 * DAY) == {}
    assert retain(database, 8 * DAY) == {"inbox_raw": 1, "desk_events": 1}
    assert database.count("inbox", "state = 'done' AND raw IS NULL") == 1
    database.run(lambda unit: unit.orders.remember_event("webhook", "w1", "hash", NOW))
    assert retain(database, 34 * DAY) == {}
    assert retain(database, 36 * DAY) == {"inbox": 1, "event_keys": 1}
    assert database.count("inbox", "state = 'ready'") == 2


def test_a_silent_conversation_loses_its_lines_after_a_year(database: Backend) -> None:
    story = told(database)
    agent = staff(database, "second")
    assert "messages" not in retain(database, 366 * DAY)
    case = database.run(lambda unit: unit.cases.find_open(story.who.conversation.id))
    assert case is not None
    database.run(lambda unit: unit.cases.close(case.id, agent, "solved", NOW))
    done = retain(database, 366 * DAY)
    assert done["messages"] == 3
    assert done["cases"] == 1
    assert database.count("messages") == 1
    assert database.count("messages", "delivery = 'queued'") == 1
    assert database.count("faq_misses") == 0
    assert database.count("cases", "evidence = ''") == 1
    assert database.count("survey_answers", "message_id IS NULL") == 2
    assert "messages" not in retain(database, 366 * DAY)


def test_who_wrote_lately_keeps_the_whole_talk(database: Backend) -> None:
    who = customer(database)
    writes(database, who, "去年", "1:1")
    writes(database, who, "今年", "1:2", NOW + 300 * DAY)
    assert retain(database, 366 * DAY) == {}
    assert database.count("messages") == 2


def test_retention_goes_in_batches(database: Backend) -> None:
    for number in range(5):
        database.run(lambda unit, key=str(number): unit.orders.remember_event("event", key, "h", NOW))
    assert [retain(database, 40 * DAY, limit=2) for _ in range(4)] == [
        {"event_keys": 2},
        {"event_keys": 2},
        {"event_keys": 1},
        {},
    ]


def test_idle_lanes_dead_sessions_and_old_failures_go(database: Backend) -> None:
    agent = staff(database)

    def work(unit: SqlUnitOfWork) -> None:
        unit.inbox.find_keys("webchat", "k", "identity:1")
        unit.inbox.add("webchat", "k", "h", "identity:2", b"{}", NOW)
        unit.staff.open_session(agent.id, "hash", "csrf", NOW)
        unit.staff.record_failure("account", "h", NOW)
        unit.timers.set("survey_due", "1", NOW, {})
        unit.timers.set("survey_due", "2", NOW, {})
        unit.timers.cancel("survey_due", "1")
        unit.outbox.add_for_staff("alert:1", "telegram", "staff", "-100", {}, NOW)
        (alert,) = unit.outbox.find_due(["telegram"], 5, NOW)
        unit.outbox.end(alert.id, Delivery.WITHHELD, "taken", NOW)
        unit.outbox.add_for_staff("alert:2", "telegram", "staff", "-100", {}, NOW)

    database.run(work)
    gone = retain(database, 40 * DAY)
    # On SQLite asking for a key needs no lane's row for a lock, so there is none to delete.
    assert gone.pop("lanes", 0) == (1 if database.is_postgresql else 0)
    assert gone == {"staff_sessions": 1, "login_failures": 1, "timers": 1, "outbox": 1}
    assert database.count("lanes", "name = 'identity:2'") == 1


# --- How to look ------------------------------------------------------------------------------------


def everything_on_disk(database: Backend, path: Path) -> bytes:
    """The bytes of the file and of what stands beside it, after a checkpoint."""
    with database.engine.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.exec_driver_sql("BEGIN")
    return b"".join(one.read_bytes() for one in sorted(path.parent.glob(f"{path.name}*")))


def _use_wal(database: Backend) -> None:
    with database.engine.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        connection.exec_driver_sql("BEGIN")


def _file_of(database: Backend) -> Path:
    with database.engine.connect() as connection:
        return Path(connection.exec_driver_sql("PRAGMA database_list").all()[0][2])


def _delivered(number: str) -> OrderEvent:
    return event(
        OrderStatus.DELIVERED,
        order=number,
        buyer=f"{CANARY}-buyer",
        name=f"{CANARY} 王",
        phone=f"{CANARY} 138",
    )


def _raw_event() -> bytes:
    return json.dumps(
        {
            "type": "order.returned",
            "id": "e-9",
            "order": {"id": "A-1", "buyer": {"id": f"{CANARY}-buyer", "name": f"{CANARY} 王"}},
        }
    ).encode()
