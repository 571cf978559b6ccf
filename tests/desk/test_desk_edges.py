"""What rarely happens to a customer's message or survey: each story through a whole installation."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from messenger_rig import FakeMessenger, Friend, play_messenger
from shop import API_KEY, Customer, Shop, play
from sqlalchemy import text

from bot.app import desk_settings
from bot.webchat.sender import WebChatSender
from bot.workers.inbox_worker import InboxWorker
from bot.workers.outbox_worker import OutboxWorker
from bot.workers.timer_worker import TimerWorker
from console.api.order_schemas import parse_order_event
from console.notifier import ConsoleNotifier
from desk import wording
from desk.errors import (
    NotFoundError,
    OutcomeUnknownError,
    SendRefusedError,
    StorageUnavailableError,
    UnderstandingError,
    UnreachableError,
)
from desk.ports import SentimentScorer, Understander, UnitOfWork
from desk.service_desk import RETENTION_TIMER, ServiceDesk
from desk.values import (
    CaseState,
    FaqBook,
    Role,
    Sentiment,
    SentimentLabel,
    Survey,
    SurveyState,
    Understanding,
)
from nlu.faq_search import FaqSearch
from storage.reports import Reports

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
ASK = wording.SURVEY_ASK.format(order="A-1")
REMINDER = wording.SURVEY_REMINDER.format(order="A-1")


# --- Parts of the stories ------------------------------------------------------------------------------


def staff_with(
    shop: Shop,
    understander: Understander | None = None,
    scorer: SentimentScorer | None = None,
    understand_within: timedelta = timedelta(seconds=1.5),
) -> None:
    """Gives the shop a desk that understands and scores with other parts."""
    installation = shop.installation
    settings = desk_settings(installation.settings, {"webchat": WebChatSender.capabilities})
    installation.service_desk = shop.desk = ServiceDesk(
        installation.database,
        understander or FaqSearch(),
        scorer or shop.scorer,
        ConsoleNotifier(),
        replace(settings, understand_within=understand_within),
        shop.clock,
    )
    database, bells, owner = installation.database, installation.wakeups, installation.owner
    shop.inbox = InboxWorker(database, bells, installation.inbox_handlers(), owner, shop.clock)
    shop.outboxes = [OutboxWorker(database, bells, shop.desk, installation.senders[0], owner, shop.clock)]
    shop.timers = [TimerWorker(database, bells, shop.desk, owner, shop.clock)]


async def bound_customer(shop: Shop, name: str = "wang", order_id: str = "A-1") -> Customer:
    await shop.reports_event("shipped", order_id)
    return await shop.customer(name, order_token=await shop.link(order_id))


async def asked_customer(shop: Shop) -> Customer:
    """A customer who was just asked about A-1 and saw it."""
    customer = await bound_customer(shop)
    await shop.reports_event("delivered")
    await shop.later(DAY)
    assert await rating_lines(customer) == [ASK]
    await sees(shop, customer)
    return customer


async def sees(shop: Shop, customer: Customer) -> None:
    await shop.desk.mark_seen(await identity_of(shop, customer), (await customer.lines())[-1]["seq"])


async def identity_of(shop: Shop, customer: Customer) -> int:
    found = await shop.desk.find_chat_identity(customer.token.partition(".")[0])
    assert found is not None
    return found


async def rating_lines(customer: Customer) -> list[str]:
    return [
        line["text"]
        for line in await customer.lines()
        if line["prompt"] and line["prompt"]["kind"] == "survey_rating"
    ]


async def survey_of(shop: Shop, order_id: str = "A-1") -> Survey:
    def read(unit: UnitOfWork) -> Survey:
        order = unit.orders.lock(order_id)
        assert order is not None
        found = unit.surveys.find("order", order.id, "post_delivery", 1)
        assert found is not None
        return found

    return await shop.run(read)


async def skips(shop: Shop) -> dict[str, int]:
    counted = await shop.reports(Reports.survey_accounting)
    assert counted.balanced
    return dict(counted.skipped)


async def feedback(shop: Shop) -> Any:
    (said,) = (await shop.reports(lambda reports: reports.feedback(None, None, "", 10))).rows
    return said


async def timer_states(shop: Shop, kind: str) -> list[str]:
    def read(unit: Any) -> list[str]:
        rows = unit.session.execute(text("SELECT state FROM timers WHERE kind = :kind"), {"kind": kind})
        return [row[0] for row in rows]

    return await shop.run(read)


async def fire_timers(shop: Shop) -> None:
    """Fires all that is due and lets nothing leave yet."""
    while await shop.fire_due():
        pass


async def bury(shop: Shop, kind: str) -> int:
    """Has the one pending timer of this kind fail for good; returns its id."""

    def work(unit: Any) -> int:
        row = unit.session.execute(
            text("SELECT id FROM timers WHERE kind = :kind AND state = 'pending'"), {"kind": kind}
        ).one()
        (timer,) = unit.timers.lock([row.id], shop.clock() + 365 * DAY)
        unit.timers.bury(timer, "Fault")
        return timer.id

    return await shop.run(work)


# --- What was decided and what is true when it leaves -----------------------------------------------------


def test_a_survey_overtaken_by_a_person_is_asked_once_a_day_after_the_case_closed(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await bound_customer(shop)
        staff = await shop.staff()
        await shop.reports_event("delivered")
        shop.clock.turn(DAY)
        await fire_timers(shop)
        assert (await survey_of(shop)).state is SurveyState.ASKING
        await customer.post("转人工")
        await shop.inbox.work_one_lane()
        await shop.staff_desk.take_case("HY-1001", staff)
        await shop.settle()
        held = await survey_of(shop)
        assert (held.state, held.asked_at) == (SurveyState.SCHEDULED, None)
        await shop.later(3 * HOUR)
        assert await rating_lines(customer) == []
        await shop.staff_desk.close_case("HY-1001", staff, "solved")
        await shop.later(DAY - timedelta(minutes=1))
        assert await rating_lines(customer) == []
        await shop.later(2 * HOUR)
        assert await rating_lines(customer) == [ASK]
        assert (await customer.says("5")) == [wording.SURVEY_COMMENT.format(rating=5)]
        assert await skips(shop) == {}

    play(tmp_path, story)


def test_who_opts_out_between_decision_and_sending_is_never_asked(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await bound_customer(shop)
        await shop.reports_event("delivered")
        shop.clock.turn(DAY)
        await fire_timers(shop)
        assert (await survey_of(shop)).state is SurveyState.ASKING
        await customer.post("退订")
        await shop.inbox.work_one_lane()
        await shop.settle()
        assert await skips(shop) == {"opted_out": 1}
        for _ in range(10):
            await shop.later(DAY)
        assert await rating_lines(customer) == []

    play(tmp_path, story)


def test_who_opts_out_after_being_asked_is_not_reminded(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await asked_customer(shop)
        assert await customer.says("退订") == [wording.OPTED_OUT]
        for _ in range(10):
            await shop.later(DAY)
        assert await rating_lines(customer) == [ASK]
        assert (await survey_of(shop)).state is SurveyState.EXPIRED

    play(tmp_path, story)


def test_who_opted_out_without_having_seen_the_question_is_not_reminded_when_it_gets_longer(
    tmp_path: Path,
) -> None:
    async def story(shop: Shop) -> None:
        customer = await bound_customer(shop)
        await shop.reports_event("delivered")
        await shop.later(DAY)
        await customer.says("退订")
        for _ in range(40):
            await shop.later(DAY)
        assert await rating_lines(customer) == [ASK]
        assert await skips(shop) == {"not_seen": 1}

    play(tmp_path, story)


def test_an_order_that_was_sent_back_is_not_reminded_of(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await asked_customer(shop)
        await shop.reports_event("returned")
        for _ in range(8):
            await shop.later(DAY)
        assert await rating_lines(customer) == [ASK]
        assert (await survey_of(shop)).state is SurveyState.EXPIRED

    play(tmp_path, story)


def test_a_reminder_waits_while_a_person_looks_after_the_customer(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await asked_customer(shop)
        staff = await shop.staff()
        await customer.says("怎么退货")
        await customer.says("转人工")
        await shop.staff_desk.take_case("HY-1001", staff)
        await shop.later(DAY)
        await shop.later(HOUR)
        assert await rating_lines(customer) == [ASK]
        await shop.staff_desk.close_case("HY-1001", staff, "solved")
        await shop.later(DAY + HOUR)
        assert await rating_lines(customer) == [ASK, REMINDER]

    play(tmp_path, story)


def test_who_answers_while_the_reminder_is_about_to_leave_is_not_reminded(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await asked_customer(shop)
        button_id = (await customer.lines())[-1]["prompt"]["options"][0]["button_id"]
        shop.clock.turn(DAY)
        await fire_timers(shop)
        assert (await survey_of(shop)).reminded_at is not None
        await customer.post("非常满意", button_id=button_id)
        await shop.inbox.work_one_lane()
        await shop.settle()
        assert await rating_lines(customer) == [ASK]
        assert (await survey_of(shop)).rating == 5

    play(tmp_path, story)


def test_opting_out_on_one_channel_leaves_the_other_identity_of_the_order_to_be_asked(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        phone = await bound_customer(shop, "phone")
        tablet = await shop.customer("tablet", order_token=await shop.link())
        await shop.reports_event("delivered")
        await tablet.says("退订")
        await shop.later(DAY)
        assert await rating_lines(tablet) == []
        assert await rating_lines(phone) == [ASK]

    play(tmp_path, story)


def test_a_screen_that_tells_again_what_it_saw_changes_nothing(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await asked_customer(shop)
        expires_at = (await survey_of(shop)).expires_at
        shop.clock.turn(HOUR)
        await sees(shop, customer)
        assert (await survey_of(shop)).expires_at == expires_at

    play(tmp_path, story)


def test_seeing_one_question_says_nothing_about_a_survey_that_is_being_answered(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await asked_customer(shop)
        await customer.says("4")
        expires_at = (await survey_of(shop)).expires_at
        shop.clock.turn(HOUR)
        await sees(shop, customer)
        assert (await survey_of(shop)).expires_at == expires_at
        await shop.later(7 * DAY)
        ended = await survey_of(shop)
        assert (ended.state, ended.rating, ended.comment) == (SurveyState.DONE, 4, None)
        assert await skips(shop) == {}

    play(tmp_path, story)


def test_a_reminder_that_was_never_seen_is_not_repeated_and_the_survey_ends(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await asked_customer(shop)
        await shop.later(DAY)
        assert await rating_lines(customer) == [ASK, REMINDER]
        for _ in range(3):
            await shop.later(7 * DAY)
        assert await rating_lines(customer) == [ASK, REMINDER]
        assert (await survey_of(shop)).state is SurveyState.EXPIRED

    play(tmp_path, story)


def test_nothing_to_say_is_no_rating_and_no_feedback(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await asked_customer(shop)
        assert await customer.says("没有了") == [wording.SURVEY_NOTED_ASK_RATING]
        assert not (await shop.reports(lambda reports: reports.feedback(None, None, "", 10))).rows
        assert await customer.says("4") == [wording.SURVEY_COMMENT.format(rating=4)]
        assert (await feedback(shop)).rating == 4

    play(tmp_path, story)


# --- A channel behind a network ---------------------------------------------------------------------------


def test_who_cannot_be_reached_when_the_survey_is_due_is_not_asked(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger, friend: Friend) -> None:
        messenger.failures = [UnreachableError("blocked")]
        assert await friend.says("在吗", "1") == []
        await shop.reports_event("delivered")
        await shop.later(DAY)
        assert await skips(shop) == {"unreachable": 1}
        assert len(messenger.tried) == 1

    play_messenger(tmp_path, story)


def test_who_blocked_us_before_the_question_arrived_was_not_asked(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger, friend: Friend) -> None:
        await shop.reports_event("delivered")
        messenger.failures = [UnreachableError("blocked")]
        await shop.later(DAY)
        assert await skips(shop) == {"unreachable": 1}
        for _ in range(8):
            await shop.later(DAY)
        assert [outgoing.text for outgoing in messenger.tried] == [ASK]

    play_messenger(tmp_path, story)


def test_who_blocked_us_after_the_question_arrived_is_not_reminded(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger, friend: Friend) -> None:
        await shop.reports_event("delivered")
        await shop.later(DAY)
        assert messenger.texts == [ASK]
        messenger.failures = [UnreachableError("blocked")]
        await friend.says("怎么退货", "1")
        assert await timer_states(shop, "survey_reminder") == ["cancelled"]
        for _ in range(8):
            await shop.later(DAY)
        assert messenger.texts == [ASK]
        assert (await survey_of(shop)).state is SurveyState.EXPIRED

    play_messenger(tmp_path, story)


def test_a_question_of_unknown_outcome_is_covered_by_the_reminder(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger, friend: Friend) -> None:
        await shop.reports_event("delivered")
        messenger.failures = [OutcomeUnknownError("timeout")]
        await shop.later(DAY)
        assert (messenger.texts, len(messenger.tried)) == ([], 1)
        assert (await survey_of(shop)).outcome_unknown
        await shop.later(DAY)
        assert messenger.texts == [REMINDER]
        assert await friend.says("5", "1") == [wording.SURVEY_COMMENT.format(rating=5)]
        assert (await feedback(shop)).rating == 5

    play_messenger(tmp_path, story)


def test_a_reminder_of_unknown_outcome_is_not_repeated(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger, friend: Friend) -> None:
        await shop.reports_event("delivered")
        await shop.later(DAY)
        messenger.failures = [OutcomeUnknownError("timeout")]
        for _ in range(8):
            await shop.later(DAY)
        assert [outgoing.text for outgoing in messenger.tried] == [ASK, REMINDER]
        assert not (await survey_of(shop)).outcome_unknown

    play_messenger(tmp_path, story)


def test_a_button_of_a_question_that_arrived_after_all_still_counts(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger, friend: Friend) -> None:
        await shop.reports_event("delivered")
        messenger.failures = [OutcomeUnknownError("timeout")]
        await shop.later(DAY)
        (tried,) = messenger.tried
        assert tried.prompt is not None
        best = tried.prompt.options[0]
        assert await friend.says(best.label, "1", best.button_id) == [wording.SURVEY_COMMENT.format(rating=5)]
        assert (await survey_of(shop)).rating == 5

    play_messenger(tmp_path, story)


def test_a_question_that_the_channel_refused_is_a_dead_letter_and_its_outcome_stays_open(
    tmp_path: Path,
) -> None:
    async def story(shop: Shop, messenger: FakeMessenger, friend: Friend) -> None:
        await shop.reports_event("delivered")
        messenger.failures = [SendRefusedError("not like this")]
        await shop.later(DAY)
        assert await shop.run(lambda unit: unit.dead_letters.count()) == 1
        assert (await survey_of(shop)).outcome_unknown

    play_messenger(tmp_path, story)


# --- Understanding never blocks care ----------------------------------------------------------------------


class FakeUnderstander:
    """Does what it is given instead of understanding."""

    def __init__(self, instead: Callable[[], Awaitable[Understanding]]) -> None:
        self._instead = instead

    async def understand(self, text: str, faq: FaqBook) -> Understanding:
        return await self._instead()


async def hang() -> Understanding:
    await asyncio.sleep(60)
    raise AssertionError("nobody waited that long")


async def fail() -> Understanding:
    raise UnderstandingError("down")


async def crash() -> Understanding:
    raise ZeroDivisionError("a fault of the understander's own")


@pytest.mark.parametrize("instead", [hang, fail, crash])
def test_without_understanding_there_is_an_honest_answer_and_a_person(
    tmp_path: Path, instead: Callable[[], Awaitable[Understanding]]
) -> None:
    async def story(shop: Shop) -> None:
        staff_with(shop, FakeUnderstander(instead), understand_within=timedelta(seconds=0.2))
        customer = await shop.customer()
        began = time.monotonic()
        assert await customer.says("什么时候发货") == [wording.NOT_UNDERSTOOD]
        assert time.monotonic() - began < 2
        assert await customer.says("转人工") == [wording.HANDOFF["asked_for_person"].format(number="HY-1001")]
        assert await shop.run(lambda unit: unit.dead_letters.count()) == 0

    play(tmp_path, story)


def test_by_default_understanding_may_take_less_than_two_seconds(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        staff_with(shop, FakeUnderstander(hang))
        customer = await shop.customer()
        began = time.monotonic()
        assert await customer.says("什么时候发货") == [wording.NOT_UNDERSTOOD]
        assert 1.4 < time.monotonic() - began < 2

    play(tmp_path, story)


def test_without_storage_nothing_is_taken_for_misunderstood(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        await shop.installation.database.close()
        with pytest.raises(StorageUnavailableError) as caught:
            await shop.desk.understand("什么时候发货")
        assert caught.value.retry_after > timedelta(0)

    play(tmp_path, story)


# --- The same thing twice, changed, or pressed by somebody else -----------------------------------------------


def test_a_message_repeated_after_its_key_was_forgotten_is_still_not_answered_again(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        await customer.post("怎么退货", "m-1")
        await shop.settle()
        lines = await customer.lines()
        await shop.later(36 * DAY)
        assert (await customer.post("怎么退货", "m-1")).status_code == 202
        await shop.settle()
        assert await customer.lines() == lines

    play(tmp_path, story)


def test_a_button_of_another_customer_does_nothing(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        wang = await asked_customer(shop)
        button_id = (await wang.lines())[-1]["prompt"]["options"][0]["button_id"]
        zhang = await shop.customer("zhang")
        assert await zhang.says("非常满意", button_id) == [wording.LATE_TAP]
        assert await zhang.says("非常满意", "A" * 22) == [wording.LATE_TAP]
        assert (await survey_of(shop)).rating is None

    play(tmp_path, story)


def test_a_button_of_an_older_choice_does_nothing_once_something_else_was_asked(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        await customer.says("东西不想要了咋办")
        (old, *_) = (await customer.lines())[-1]["prompt"]["options"]
        assert await customer.says("真是垃圾") == [wording.OFFER_AFTER_ANGER]
        assert await customer.says(old["label"], old["button_id"]) == [wording.LATE_TAP]
        assert await shop.run(lambda unit: unit.cases.find_by_number("HY-1001")) is None

    play(tmp_path, story)


def test_rejecting_all_choices_calls_a_person_also_when_another_answer_came_in_between(
    tmp_path: Path,
) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        await customer.post("什么时候发货")
        await customer.post("东西不想要了咋办")
        await shop.settle()
        assert (await customer.texts())[-1] == wording.CHOICES
        (handed,) = await customer.presses(wording.CHOICE_PERSON)
        assert "HY-1001" in handed

    play(tmp_path, story)


def test_a_button_of_a_question_that_was_held_back_does_nothing(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        await customer.post("东西不想要了咋办")
        await shop.inbox.work_one_lane()
        await customer.says("转人工")
        await customer.says("不用人工了")

        def held_back(unit: Any) -> str:
            row = unit.session.execute(
                text(
                    "SELECT b.token FROM buttons b JOIN messages m ON m.id = b.message_id"
                    " WHERE m.delivery = 'withheld' ORDER BY b.position LIMIT 1"
                )
            )
            return str(row.scalar_one())

        button_id = await shop.run(held_back)
        assert await customer.says("怎么退货", button_id) == [wording.LATE_TAP]

    play(tmp_path, story)


def test_who_is_waiting_for_nobody_can_still_call_it_off(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        await customer.says("转人工")

        def close_behind_its_back(unit: UnitOfWork) -> None:
            case = unit.cases.find_by_number("HY-1001")
            assert case is not None
            unit.cases.close(case.id, None, "by hand", shop.clock())

        await shop.run(close_behind_its_back)
        await customer.says("不用人工了")
        assert await shop.run(lambda unit: unit.dead_letters.count()) == 0

    play(tmp_path, story)


# --- Comments and their scores ------------------------------------------------------------------------------


class FakeSlowScorer:
    """Scores as positive; while it does so for the first time, something else happens."""

    def __init__(self) -> None:
        self.meanwhile: Callable[[], Awaitable[None]] | None = None
        self.scored: list[str] = []

    async def score(self, text: str) -> Sentiment:
        self.scored.append(text)
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()
        return Sentiment(SentimentLabel.POSITIVE, 0.5, (text,), "fake")


def test_a_comment_changed_while_it_was_being_scored_is_scored_as_it_reads_now(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        scorer = FakeSlowScorer()
        staff_with(shop, scorer=scorer)
        customer = await asked_customer(shop)

        async def says_more() -> None:
            await shop.send_due()
            await customer.post("杯盖有点紧")
            await shop.inbox.work_one_lane()

        scorer.meanwhile = says_more
        await customer.says("颜色很好看")
        said = await feedback(shop)
        assert said.comment == "杯盖有点紧"
        assert said.sentiment is not None
        assert said.sentiment.evidence == ("杯盖有点紧",)
        assert scorer.scored[0] == "颜色很好看"

    play(tmp_path, story)


def test_a_comment_erased_before_it_was_scored_is_not_scored(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await asked_customer(shop)
        await customer.says("5")
        await customer.says("颜色很好看")
        said = await feedback(shop)
        await shop.run(lambda unit: unit.contact_data.erase(said.contact_id, shop.clock()))
        now = shop.clock()
        await shop.run(lambda unit: unit.timers.set("score_feedback", str(said.id), now, {}))
        await shop.settle()
        assert await timer_states(shop, "score_feedback") == ["done"]
        assert (await feedback(shop)).comment is None
        with pytest.raises(NotFoundError):
            await shop.desk.read_lines(999, 0)

    play(tmp_path, story)


# --- Dead letters of timers ---------------------------------------------------------------------------------


def test_a_dead_survey_timer_replayed_too_late_asks_nobody(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await bound_customer(shop)
        await shop.reports_event("delivered")
        dead = await bury(shop, "survey_due")
        await shop.reports_event("refunded")
        await shop.later(DAY)
        await shop.staff_desk.replay("timer", dead, None)
        await shop.settle()
        assert await rating_lines(customer) == []
        assert await skips(shop) == {"refunded": 1}

    play(tmp_path, story)


def test_dead_reminder_expiry_and_alert_timers_replayed_after_the_end_change_nothing(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await asked_customer(shop)
        dead = [await bury(shop, "survey_reminder"), await bury(shop, "survey_expiry")]
        await customer.says("5")
        await customer.says("没有了")
        await customer.says("转人工")
        dead.append(await bury(shop, "staff_alert"))
        await shop.staff_desk.take_case("HY-1001", await shop.staff())
        await shop.settle()
        lines, before = await customer.lines(), await survey_of(shop)
        for letter in dead:
            await shop.staff_desk.replay("timer", letter, None)
        await shop.settle()
        assert await shop.run(lambda unit: unit.dead_letters.count()) == 0
        assert (await customer.lines(), await survey_of(shop)) == (lines, before)
        events = await shop.run(lambda unit: unit.desk_events.find_after(0, 1000))
        assert [event.kind for event in events].count("case_alert") == 1

    play(tmp_path, story)


# --- Orders, links, sessions ----------------------------------------------------------------------------------


def test_an_imported_delivery_is_not_asked_about(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        await shop.reports_event("paid")
        event = shop.order_event("delivered", at=shop.clock.now + timedelta(minutes=1))
        parsed = parse_order_event(json.dumps(event).encode(), shop.clock())
        await shop.run(lambda unit: shop.desk.apply_order_event(unit, parsed, schedule=False))
        await shop.later(DAY)
        assert await skips(shop) == {"imported": 1}

    play(tmp_path, story)


def test_a_survey_that_was_planned_already_is_not_planned_again(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await bound_customer(shop)
        due_at = shop.clock() + 2 * DAY

        def plan(unit: UnitOfWork) -> None:
            # What a second process did that heard of the delivery at the same moment.
            order = unit.orders.lock("A-1")
            assert order is not None
            planned, _ = unit.surveys.schedule("order", order.id, "post_delivery", 1, due_at, shop.clock())
            unit.timers.set("survey_due", str(planned.id), due_at, {})

        await shop.run(plan)
        await shop.reports_event("delivered")
        assert (await survey_of(shop)).due_at == due_at
        await shop.later(2 * DAY)
        assert await rating_lines(customer) == [ASK]

    play(tmp_path, story)


def test_there_is_no_link_for_an_unknown_order(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        answer = await shop.http.get(
            "/api/v1/orders/none/links", headers={"Authorization": f"Bearer {API_KEY}"}
        )
        assert answer.status_code == 404

    play(tmp_path, story)


class ErasingTransactions:
    """Erases the customer between two statements of opening a chat, as another process could."""

    def __init__(self, shop: Shop) -> None:
        self._database = shop.installation.database

    async def write(self, work: Callable[[Any], Any], *, shared: bool = False) -> Any:
        def erased_meanwhile(unit: Any) -> Any:
            class Sessions:
                def find_session(self, client_session_hash: str) -> str | None:
                    found: str | None = real.find_session(client_session_hash)
                    unit.session.execute(text("DELETE FROM chat_sessions"))
                    return found

                def find_identity(self, session: str) -> int | None:
                    found: int | None = real.find_identity(session)
                    return found

            real = unit.chat_sessions
            unit.chat_sessions = Sessions()
            return work(unit)

        return await self._database.write(erased_meanwhile, shared=shared)


def test_a_customer_erased_while_opening_the_chat_is_told_to_open_it_again(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        desk = ServiceDesk(
            ErasingTransactions(shop),  # type: ignore[arg-type]
            FaqSearch(),
            shop.scorer,
            ConsoleNotifier(),
            desk_settings(shop.installation.settings, {}),
            shop.clock,
        )
        known = hashlib.sha256(customer.client_session_id.encode()).hexdigest()
        with pytest.raises(NotFoundError):
            await desk.open_chat(known, "another", None)
        assert (await customer.open()).status_code == 200

    play(tmp_path, story)


# --- Retention, staff, storage ---------------------------------------------------------------------------------


def test_retention_goes_on_after_a_minute_while_there_is_more_and_daily_otherwise(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        def remember_many(unit: UnitOfWork) -> None:
            for number in range(501):
                unit.orders.remember_event("event", f"e-{number}", "0" * 64, shop.clock())

        async def left() -> int:
            def count(unit: Any) -> int:
                return int(unit.session.execute(text("SELECT count(*) FROM event_keys")).scalar_one())

            return await shop.run(count)

        await shop.run(remember_many)
        await shop.later(35 * DAY)
        assert await left() == 501
        await shop.later(DAY)
        assert await left() == 1
        await shop.later(timedelta(minutes=1))
        assert await left() == 0
        assert await timer_states(shop, RETENTION_TIMER) == ["pending"]
        due_at = await shop.run(lambda unit: unit.timers.next_due_at())
        assert due_at == shop.clock() + DAY

    play(tmp_path, story)


def test_an_agent_may_be_disabled_at_any_time(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        agent = await shop.staff()
        assert (await shop.staff_desk.change_staff(agent.id, None, disabled=True)).disabled
        assert (await shop.staff_desk.change_staff(agent.id, None, name="李")).role is Role.AGENT

    play(tmp_path, story)


def test_what_cannot_be_stored_is_refused_with_a_time_to_come_again(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        await shop.installation.database.close()
        answer = await customer.post("在吗")
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1

    play(tmp_path, story)


# --- A person's last words ---------------------------------------------------------------------------------------


def test_what_a_person_said_just_before_closing_the_case_still_arrives(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        staff = await shop.staff()
        await customer.says("转人工")
        await shop.staff_desk.reply("HY-1001", staff, "已给您补发", "s-1")
        await shop.staff_desk.close_case("HY-1001", staff, "solved")
        await shop.settle()
        assert (await customer.texts())[-4:] == [
            wording.PERSON_JOINED.format(name="小李"),
            "已给您补发",
            wording.PERSON_LEFT.format(name="小李"),
            wording.CASE_CLOSED,
        ]
        case = await shop.run(lambda unit: unit.cases.find_by_number("HY-1001"))
        assert case is not None
        assert case.state is CaseState.CLOSED

    play(tmp_path, story)
