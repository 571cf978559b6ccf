"""From a reported delivery to stored, scored feedback: orders come in signed, surveys go out once."""

import base64
import hashlib
import json
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from shop import SHOP_SECRET, Customer, Play, Shop, play

from bot.commands.contacts import erase_contact
from bot.commands.orders import import_orders
from console.api.order_schemas import parse_order_event
from desk import wording
from desk.errors import ConflictError
from desk.follow_up import FollowUp
from desk.ports import UnitOfWork
from desk.settings import DeskSettings
from desk.values import Contact, OrderStatus, SentimentLabel
from storage.reports import Reports
from storage.sqlite_database import SqliteDatabase
from storage.sqlite_engine import sqlite_module

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


class FakeStore:
    """A store, or a whole unit of work, of which some parts behave as another process made them."""

    def __init__(self, real: object, **parts: Any) -> None:
        self._real = real
        self.__dict__.update(parts)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


async def bound_customer(shop: Shop, order_id: str = "A-1", name: str = "wang") -> Customer:
    await shop.reports_event("shipped", order_id)
    return await shop.customer(name, order_token=await shop.link(order_id))


async def reports_with(shop: Shop, kind: str, buyer: dict[str, str], **more: Any) -> None:
    event = shop.order_event(kind, **more)
    event["order"]["buyer"] = buyer
    assert (await shop.post_order_event(event)).status_code in {200, 202}
    await shop.settle()


async def buyer_contact(shop: Shop, buyer: str = "b-1") -> Contact | None:
    return await shop.run(lambda unit: unit.identities.find_contact_by_buyer(buyer))


async def accounting(shop: Shop) -> Any:
    return await shop.reports(Reports.survey_accounting)


async def rating_lines(customer: Customer) -> list[str]:
    return [
        line["text"]
        for line in await customer.lines()
        if line["prompt"] and line["prompt"]["kind"] == "survey_rating"
    ]


def test_a_buyer_is_asked_after_delivery_and_the_answer_becomes_scored_feedback(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await bound_customer(shop)
        await shop.reports_event("delivered")
        assert await rating_lines(customer) == []
        await shop.later(DAY)
        assert await rating_lines(customer) == [wording.SURVEY_ASK.format(order="A-1")]
        assert await customer.says("4") == [wording.SURVEY_COMMENT.format(rating=4)]
        assert await customer.says("杯子很好，就是盖子有点紧") == [wording.SURVEY_THANKS]
        page = await shop.reports(lambda reports: reports.feedback(None, None, "", 10))
        (said,) = page.rows
        assert (said.rating, said.comment) == (4, "杯子很好，就是盖子有点紧")
        assert said.sentiment is not None
        assert said.sentiment.label is SentimentLabel.POSITIVE
        assert said.sentiment.evidence == ("好",)
        assert (said.order_external_id, said.channel, said.contact_name) == ("A-1", "webchat", "王女士")
        counted = await accounting(shop)
        assert counted.balanced
        assert counted.answered == 1

    play(tmp_path, story)


@pytest.mark.parametrize("answer", ["5", "５分", "五星", "非常满意"])
def test_the_rating_may_be_typed_in_many_ways(tmp_path: Path, play_both: Play, answer: str) -> None:
    async def story(shop: Shop) -> None:
        customer = await bound_customer(shop)
        await shop.reports_event("delivered")
        await shop.later(DAY)
        assert await customer.says(answer) == [wording.SURVEY_COMMENT.format(rating=5)]
        assert await customer.presses(wording.NO_COMMENT) == [wording.SURVEY_THANKS]

    play_both(tmp_path, story)


def test_a_low_rating_calls_a_person_and_the_words_after_it_are_feedback_too(
    tmp_path: Path, play_both: Play
) -> None:
    async def story(shop: Shop) -> None:
        customer = await bound_customer(shop)
        await shop.reports_event("delivered")
        await shop.later(DAY)
        answers = await customer.presses("非常不满意")
        assert answers == [wording.HANDOFF["low_rating"].format(number="HY-1001")]
        assert await customer.says("杯盖漏水") == []
        (said,) = (await shop.reports(lambda reports: reports.feedback(None, None, "", 10))).rows
        assert (said.rating, said.comment) == (1, "杯盖漏水")
        assert said.sentiment is not None
        page = await shop.reports(lambda reports: reports.case_page("HY-1001"))
        assert page.case.reason.value == "low_rating"
        assert page.case.priority.value == "urgent"
        assert [order.snapshot.external_id for order in page.orders] == ["A-1"]

    play_both(tmp_path, story)


def test_events_repeated_and_reordered_change_nothing(tmp_path: Path, play_both: Play) -> None:
    async def story(shop: Shop) -> None:
        customer = await bound_customer(shop)
        now = shop.clock.now
        delivered = shop.order_event("delivered", at=now)
        paid = shop.order_event("paid", at=now - DAY)
        created = shop.order_event("created", at=now - 2 * DAY)
        for event in (delivered, paid, delivered, created, paid):
            answer = await shop.post_order_event(event)
            assert answer.status_code in {200, 202}
        again = await shop.post_order_event(delivered)
        assert (again.status_code, again.json()) == (200, {"duplicate": True})
        await shop.settle()
        assert "已签收" in (await customer.says("查订单"))[0]
        await shop.later(DAY)
        await shop.later(timedelta(hours=1))
        assert len(await rating_lines(customer)) == 1

    play_both(tmp_path, story)


def test_the_same_event_with_another_body_is_a_conflict(tmp_path: Path, play_both: Play) -> None:
    async def story(shop: Shop) -> None:
        event = shop.order_event("paid")
        assert (await shop.post_order_event(event)).status_code in {200, 202}
        event["order"]["amount"] = "1.00"
        assert (await shop.post_order_event(event)).status_code == 409

    play_both(tmp_path, story)


def test_a_delivery_reported_after_the_return_is_stored_and_not_asked_about(
    tmp_path: Path, play_both: Play
) -> None:
    async def story(shop: Shop) -> None:
        customer = await bound_customer(shop)
        now = shop.clock.now
        await shop.reports_event("returned", at=now)
        await shop.reports_event("delivered", at=now - DAY)
        await shop.later(2 * DAY)
        assert await rating_lines(customer) == []
        counted = await accounting(shop)
        assert counted.balanced
        assert dict(counted.skipped) == {"returned": 1}

    play_both(tmp_path, story)


def test_a_refund_before_the_survey_is_due_calls_it_off(tmp_path: Path, play_both: Play) -> None:
    async def story(shop: Shop) -> None:
        customer = await bound_customer(shop)
        await shop.reports_event("delivered")
        shop.clock.turn(DAY - timedelta(milliseconds=1))
        await shop.reports_event("refunded")
        await shop.later(DAY)
        assert await rating_lines(customer) == []
        assert dict((await accounting(shop)).skipped) == {"refunded": 1}

    play_both(tmp_path, story)


def test_without_anybody_bound_the_reason_is_stored_and_a_later_link_revives_it(
    tmp_path: Path, play_both: Play
) -> None:
    async def story(shop: Shop) -> None:
        await shop.reports_event("delivered")
        await shop.later(2 * DAY)
        assert dict((await accounting(shop)).skipped) == {"nobody_bound": 1}
        customer = await shop.customer("wang", order_token=await shop.link())
        assert len(await rating_lines(customer)) == 1
        assert (await accounting(shop)).balanced

    play_both(tmp_path, story)


def test_at_night_nobody_is_asked(tmp_path: Path, play_both: Play) -> None:
    async def story(shop: Shop) -> None:
        customer = await bound_customer(shop)
        shop.clock.turn(timedelta(hours=11))
        await shop.reports_event("delivered")
        await shop.later(DAY)
        assert await rating_lines(customer) == []
        await shop.later(timedelta(hours=10))
        assert len(await rating_lines(customer)) == 1

    play_both(tmp_path, story, QUIET_HOURS="22:00-09:00")


def test_where_nobody_tells_what_was_seen_the_reminder_comes_after_a_day(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await bound_customer(shop)
        await shop.reports_event("delivered")
        await shop.later(DAY)
        await shop.later(DAY)
        assert (await rating_lines(customer))[1:] == [wording.SURVEY_REMINDER.format(order="A-1")]
        await shop.later(3 * DAY)
        assert len(await rating_lines(customer)) == 2
        await shop.later(8 * DAY)
        assert (await accounting(shop)).balanced
        assert await customer.presses("满意") == [wording.SURVEY_OVER]

    play(tmp_path, story, channel="telegram")


def test_one_reminder_after_it_was_seen_then_it_expires(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await bound_customer(shop)
        await shop.reports_event("delivered")
        await shop.later(DAY)
        # Not seen yet: reminding somebody of what they never saw would only be a second first question.
        await shop.later(DAY)
        assert len(await rating_lines(customer)) == 1
        await customer.looks()
        await shop.later(DAY)
        assert (await rating_lines(customer))[1:] == [wording.SURVEY_REMINDER.format(order="A-1")]
        await shop.later(3 * DAY)
        assert len(await rating_lines(customer)) == 2
        await customer.looks()
        await shop.later(8 * DAY)
        assert (await accounting(shop)).balanced
        assert await customer.presses("满意") == [wording.SURVEY_OVER]

    play(tmp_path, story)


def test_a_question_never_seen_ends_as_not_seen(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        await bound_customer(shop)
        await shop.reports_event("delivered")
        await shop.later(DAY)
        for _ in range(6):
            await shop.later(7 * DAY)
        counted = await accounting(shop)
        assert counted.balanced
        assert dict(counted.skipped) == {"not_seen": 1}

    play(tmp_path, story)


def test_opting_out_stops_what_is_planned_and_opting_in_brings_the_next_one(
    tmp_path: Path, play_both: Play
) -> None:
    async def story(shop: Shop) -> None:
        customer = await bound_customer(shop)
        await shop.reports_event("delivered")
        assert await customer.says("退订") == [wording.OPTED_OUT]
        await shop.later(2 * DAY)
        assert await rating_lines(customer) == []
        assert dict((await accounting(shop)).skipped) == {"opted_out": 1}
        assert await customer.says("恢复订阅") == [wording.OPTED_IN]
        await shop.reports_event("shipped", "A-2")
        await customer.open(await shop.link("A-2"))
        await shop.reports_event("delivered", "A-2")
        await shop.later(DAY)
        assert len(await rating_lines(customer)) == 1

    play_both(tmp_path, story)


def test_a_survey_waits_while_a_person_looks_after_the_customer(tmp_path: Path, play_both: Play) -> None:
    async def story(shop: Shop) -> None:
        customer = await bound_customer(shop)
        await shop.reports_event("delivered")
        await customer.says("转人工")
        staff = await shop.staff()
        await shop.staff_desk.take_case("HY-1001", staff)
        await shop.later(DAY)
        assert await rating_lines(customer) == []
        await shop.staff_desk.close_case("HY-1001", staff, "solved")
        await shop.later(timedelta(hours=23))
        assert await rating_lines(customer) == []
        await shop.later(timedelta(hours=2))
        assert len(await rating_lines(customer)) == 1

    play_both(tmp_path, story)


def test_an_order_link_opens_for_one_identity_only_and_binding_tells_that_we_will_ask(
    tmp_path: Path, play_both: Play
) -> None:
    async def story(shop: Shop) -> None:
        await shop.reports_event("shipped")
        token = await shop.link()
        wang = await shop.customer("wang", order_token=token)
        assert wording.CONSENT in (await wang.texts())[0]
        await wang.open(token)
        await shop.settle()
        # A page that is loaded again stays as it is; who presses Start again gets the same answer again.
        again = await wang.texts()
        assert len(again) == (1 if wang.channel == "webchat" else 2)
        assert all("A-1" in text for text in again)
        zhang = await shop.customer("zhang", order_token=token)
        assert await zhang.texts() == [wording.LINK_OF_ANOTHER]
        assert "SF1234567890" in (await wang.says("查物流"))[0]
        assert "SF1234567890" not in (await zhang.says("查物流"))[0]
        assert await shop.link() != token

    play_both(tmp_path, story)


def test_an_unknown_or_expired_link_is_told_kindly(tmp_path: Path, play_both: Play) -> None:
    async def story(shop: Shop) -> None:
        await shop.reports_event("shipped")
        token = await shop.link()
        unknown = await shop.customer("li", order_token="A" * 22)
        assert await unknown.texts() == [wording.LINK_UNKNOWN]
        shop.clock.turn(timedelta(days=31))
        late = await shop.customer("zhao", order_token=token)
        assert await late.texts() == [wording.LINK_UNKNOWN]

    play_both(tmp_path, story)


def test_two_orders_of_one_buyer_join_one_contact_and_another_buyer_stays_apart(
    tmp_path: Path, play_both: Play
) -> None:
    async def story(shop: Shop) -> None:
        await shop.reports_event("shipped", "A-1", buyer="b-1")
        await shop.reports_event("shipped", "A-2", buyer="b-1")
        await shop.reports_event("shipped", "B-1", buyer="b-2")
        phone = await shop.customer("phone", order_token=await shop.link("A-1"))
        tablet = await shop.customer("tablet", order_token=await shop.link("A-2"))
        await phone.open(await shop.link("B-1"))
        await shop.settle()

        async def contact_of(customer: Customer) -> int:
            identity_id = await customer.identity_id()
            assert identity_id is not None
            return (await shop.run(lambda unit: unit.identities.get(identity_id))).contact_id

        assert await contact_of(phone) == await contact_of(tablet)
        first, second = await buyer_contact(shop, "b-1"), await buyer_contact(shop, "b-2")
        assert first is not None
        assert second is not None
        assert await contact_of(phone) == first.id != second.id

    play_both(tmp_path, story)


def test_who_only_bought_is_a_customer_whom_staff_can_find(tmp_path: Path, play_both: Play) -> None:
    async def story(shop: Shop) -> None:
        await shop.reports_event("shipped", "A-1")
        await shop.reports_event("shipped", "A-2")
        (line,) = (await shop.reports(lambda reports: reports.customers("王女士", 10))).rows
        assert (line.name, line.phone, line.buyer_id) == ("王女士", "13812345678", "b-1")
        assert (line.channels, line.last_message_at) == ((), None)
        for number in ("A-1", "A-2"):
            order = await shop.run(lambda unit, number=number: unit.orders.lock(number))
            assert order is not None
            assert order.contact_id == line.contact_id
        # An event that comes too late changes neither the order nor who its buyer is.
        renamed = {"id": "b-1", "name": "旧名字"}
        await reports_with(shop, "created", renamed, at=shop.clock.now - DAY)
        found = await buyer_contact(shop)
        assert found is not None
        assert found.name == "王女士"
        await reports_with(shop, "delivered", renamed, at=shop.clock.now + SECOND)
        found = await buyer_contact(shop)
        assert found is not None
        assert (found.name, found.phone) == ("旧名字", "13812345678")

    play_both(tmp_path, story)


def test_who_binds_an_order_joins_the_contact_of_its_buyer(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        await bound_customer(shop)
        (line,) = (await shop.reports(lambda reports: reports.customers("", 10))).rows
        assert (line.name, line.buyer_id, line.channels) == ("王女士", "b-1", ("webchat",))

    play(tmp_path, story)


def test_an_erased_buyer_does_not_come_back_by_events_of_the_erased_order(
    tmp_path: Path, play_both: Play
) -> None:
    async def story(shop: Shop) -> None:
        await shop.reports_event("shipped")
        contact = await buyer_contact(shop)
        assert contact is not None
        await erase_contact(shop.installation, {"contact_id": contact.id})
        shop.clock.turn(SECOND)
        await shop.reports_event("delivered")
        assert await buyer_contact(shop) is None
        order = await shop.run(lambda unit: unit.orders.lock("A-1"))
        assert order is not None
        assert order.status is OrderStatus.DELIVERED
        assert order.snapshot.buyer.name == ""
        assert (await shop.reports(lambda reports: reports.customers("", 10))).rows == ()
        # A new order is a new beginning: its buyer is somebody new, who can be found and erased.
        await shop.reports_event("shipped", "A-2")
        again = await buyer_contact(shop)
        assert again is not None
        assert again.id != contact.id

    play_both(tmp_path, story)


def test_after_the_command_neither_the_file_nor_its_wal_has_a_byte_of_the_buyer(
    tmp_path: Path, play_both: Play
) -> None:
    async def story(shop: Shop) -> None:
        await reports_with(shop, "shipped", {"id": "b-1", "name": "canary", "phone": "canary"})
        contact = await buyer_contact(shop)
        assert contact is not None
        files = [tmp_path / "huiyin.db", tmp_path / "huiyin.db-wal"]
        assert any(b"canary" in file.read_bytes() for file in files)
        await erase_contact(shop.installation, {"contact_id": contact.id})
        for file in files:
            assert b"canary" not in file.read_bytes(), file.name
        assert files[1].stat().st_size == 0

    play_both(tmp_path, story)


def test_erasing_succeeds_while_a_reader_keeps_the_wal(tmp_path: Path, play_both: Play) -> None:
    async def story(shop: Shop) -> None:
        await shop.reports_event("shipped")
        contact = await buyer_contact(shop)
        assert contact is not None
        reader = sqlite_module().connect(tmp_path / "huiyin.db", isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM contacts").fetchall()
        done = await erase_contact(shop.installation, {"contact_id": contact.id})
        assert done["erased"]["contacts"] == 1
        reader.close()
        await shop.reports_event("shipped", "A-2")
        assert isinstance(shop.installation.database, SqliteDatabase)
        assert await shop.installation.database.checkpoint()
        await shop.installation.database.close()
        assert not await shop.installation.database.checkpoint()

    play_both(tmp_path, story)


def test_a_newer_event_stored_in_the_same_moment_wins_over_a_delivery(
    tmp_path: Path, play_both: Play
) -> None:
    async def story(shop: Shop) -> None:
        await shop.reports_event("shipped")
        earlier = shop.order_event("delivered", at=shop.clock.now - DAY)
        parsed = parse_order_event(json.dumps(earlier).encode(), shop.clock())

        def work(unit: UnitOfWork) -> None:
            # The other transaction had not committed when this one looked.
            unseen = FakeStore(unit.orders, lock=lambda external_id: None)
            shop.desk.apply_order_event(cast(UnitOfWork, FakeStore(unit, orders=unseen)), parsed)

        await shop.run(work)
        assert (await accounting(shop)).delivered == 0

    play_both(tmp_path, story)


def test_a_contact_that_becomes_another_buyer_in_the_same_moment_stays_apart(tmp_path: Path) -> None:
    def refuse(*_: object) -> int:
        raise ConflictError("has become another buyer")

    async def story(shop: Shop) -> None:
        await shop.reports_event("shipped")
        token_hash = hashlib.sha256((await shop.link()).encode()).hexdigest()
        customer = await shop.customer()
        identity_id = await customer.identity_id()
        assert identity_id is not None

        def work(unit: UnitOfWork) -> None:
            taken = FakeStore(unit.identities, set_buyer=refuse)
            FollowUp(DeskSettings()).bind(
                cast(UnitOfWork, FakeStore(unit, identities=taken)),
                unit.identities.get(identity_id),
                unit.conversations.lock_of_identity(identity_id),
                token_hash,
                shop.clock(),
            )

        await shop.run(work)
        await shop.settle()
        assert "SF1234567890" in (await customer.says("查物流"))[0]
        lines = (await shop.reports(lambda reports: reports.customers("", 10))).rows
        assert sorted((line.buyer_id, line.channels) for line in lines if line.buyer_id) == [("b-1", ())]
        assert [line.channels for line in lines if line.buyer_id is None] == [("webchat",)]

    play(tmp_path, story)


def test_imported_orders_make_the_contacts_of_their_buyers(tmp_path: Path, play_both: Play) -> None:
    async def story(shop: Shop) -> None:
        events = [
            shop.order_event("delivered", f"A-{number}", buyer=f"b-{number % 2}") for number in range(4)
        ]
        await import_orders(shop.installation, {"events": events, "schedule_surveys": False})
        page = await shop.reports(lambda reports: reports.customers("王女士", 10))
        assert {line.buyer_id for line in page.rows} == {"b-0", "b-1"}

    play_both(tmp_path, story)


def test_a_rating_may_be_changed_and_its_history_is_kept(tmp_path: Path, play_both: Play) -> None:
    async def story(shop: Shop) -> None:
        customer = await bound_customer(shop)
        await shop.reports_event("delivered")
        await shop.later(DAY)
        await customer.presses("满意")
        await customer.says("没有了")
        assert await customer.presses("一般") == [wording.SURVEY_UPDATED.format(rating=3)]
        (said,) = (await shop.reports(lambda reports: reports.feedback(None, None, "", 10))).rows
        assert said.rating == 3

    play_both(tmp_path, story)


def test_a_question_in_the_middle_of_a_survey_is_answered(tmp_path: Path, play_both: Play) -> None:
    async def story(shop: Shop) -> None:
        customer = await bound_customer(shop)
        await shop.reports_event("delivered")
        await shop.later(DAY)
        await customer.says("5")
        (answer,) = await customer.says("怎么退货")
        assert answer != wording.SURVEY_THANKS

    play_both(tmp_path, story)


def test_a_scorer_that_is_down_delays_the_score_and_loses_nothing(tmp_path: Path, play_both: Play) -> None:
    async def story(shop: Shop) -> None:
        customer = await bound_customer(shop)
        await shop.reports_event("delivered")
        await shop.later(DAY)
        await customer.says("5")
        shop.scorer.broken = True
        assert await customer.says("很好") == [wording.SURVEY_THANKS]
        (said,) = (await shop.reports(lambda reports: reports.feedback(None, None, "", 10))).rows
        assert said.sentiment is None
        shop.scorer.broken = False
        await shop.later(timedelta(minutes=5))
        (said,) = (await shop.reports(lambda reports: reports.feedback(None, None, "", 10))).rows
        assert said.sentiment is not None

    play_both(tmp_path, story)


def test_nobody_is_asked_more_than_three_times_a_week(tmp_path: Path, play_both: Play) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        for number in range(5):
            await shop.reports_event("shipped", f"A-{number}")
            await customer.open(await shop.link(f"A-{number}"))
            await shop.reports_event("delivered", f"A-{number}")
        await shop.later(DAY)
        assert len(await rating_lines(customer)) == 3
        assert dict((await accounting(shop)).skipped) == {"capped": 2}

    play_both(tmp_path, story)


def test_while_the_secret_is_changed_both_are_good(tmp_path: Path, play_both: Play) -> None:
    async def story(shop: Shop) -> None:
        assert (await shop.post_order_event(shop.order_event("paid"))).status_code in {200, 202}

    fresh = "whsec_" + base64.b64encode(hashlib.sha256(b"the next secret").digest()).decode()
    play_both(tmp_path, story, SHOP_SECRET=fresh, SHOP_SECRET_PREVIOUS=SHOP_SECRET)
