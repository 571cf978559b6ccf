"""People answer as people do: in their own words, in pieces, late, and on the wrong button."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from shop import Customer, Play, Shop, play

from desk import wording
from desk.follow_up import SCORE_TIMER
from storage.reports import Reports

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


async def asked_customer(shop: Shop, order_id: str = "A-1") -> Customer:
    await shop.reports_event("shipped", order_id)
    customer = await shop.customer("wang", order_token=await shop.link(order_id))
    await shop.reports_event("delivered", order_id)
    await shop.later(DAY)
    return customer


async def feedback(shop: Shop) -> list[tuple[int | None, str | None]]:
    page = await shop.reports(lambda reports: reports.feedback(None, None, "", 10))
    return [(said.rating, said.comment) for said in page.rows]


async def page(shop: Shop, number: str = "HY-1001") -> Any:
    return await shop.reports(lambda reports: reports.case_page(number))


async def offered_customer(shop: Shop) -> Customer:
    customer = await shop.customer()
    await customer.says("量子纠缠速度")
    assert await customer.says("黎曼猜想证明") == [wording.LOST_TWICE]
    return customer


@pytest.mark.parametrize("answer", ["好", "好的", "要", "可以啊", "嗯嗯", "需要，谢谢", "行吧"])
def test_an_offer_of_a_person_is_accepted_in_ones_own_words(
    tmp_path: Path, play_both: Play, answer: str
) -> None:
    async def story(shop: Shop) -> None:
        customer = await offered_customer(shop)
        assert "HY-1001" in (await customer.says(answer))[0]

    play_both(tmp_path, story)


@pytest.mark.parametrize("answer", ["不用了", "算了", "先不要", "不需要"])
def test_and_declined_in_ones_own_words(tmp_path: Path, play_both: Play, answer: str) -> None:
    async def story(shop: Shop) -> None:
        customer = await offered_customer(shop)
        assert await customer.says(answer) == [wording.OFFER_DECLINED]

    play_both(tmp_path, story)


@pytest.mark.parametrize(
    ("answer", "helped"),
    [
        ("没有", False),
        ("还没解决", False),
        ("还是不行", False),
        ("解决了谢谢", True),
        ("嗯", True),
        ("搞定了", True),
    ],
)
def test_whether_it_helped_is_answered_in_ones_own_words(
    tmp_path: Path, play_both: Play, answer: str, helped: bool
) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        staff = await shop.staff()
        await customer.says("转人工")
        await shop.staff_desk.reply("HY-1001", staff, "好了", "s-1")
        await shop.staff_desk.close_case("HY-1001", staff, "solved")
        await shop.settle()
        (answered,) = await customer.says(answer)
        assert (await page(shop)).case.helped is helped
        assert ("HY-1002" in answered) is not helped

    play_both(tmp_path, story)


def test_the_way_to_a_person_is_open_on_an_older_prompt_too(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        await customer.says("东西不想要了咋办")
        older = (await customer.lines())[-1]["prompt"]["options"]
        await customer.says("东西不想要了怎么弄")
        person = next(option for option in older if option["label"] == wording.CHOICE_PERSON)
        other = next(option for option in older if option["label"] != wording.CHOICE_PERSON)
        assert await customer.says(other["label"], other["button_id"]) == [wording.LATE_TAP]
        assert "HY-1001" in (await customer.says(person["label"], person["button_id"]))[0]

    play(tmp_path, story)


def test_a_question_that_the_choices_did_not_meet_is_kept_for_the_owner(
    tmp_path: Path, play_both: Play
) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        await customer.says("东西不想要了咋办")
        await customer.presses(wording.CHOICE_PERSON)
        misses = await shop.reports(lambda reports: reports.faq_misses(10, 0))
        assert [miss.text for miss in misses.rows] == ["东西不想要了咋办"]

    play_both(tmp_path, story)


@pytest.mark.parametrize("words", ["在吗", "我的快递怎么还没到", "这个杯子能放洗碗机吗？", "我想换个颜色"])
def test_an_open_survey_does_not_swallow_questions(tmp_path: Path, play_both: Play, words: str) -> None:
    async def story(shop: Shop) -> None:
        customer = await asked_customer(shop)
        assert await customer.says(words) != [wording.SURVEY_NOTED_ASK_RATING]
        assert await feedback(shop) == []
        assert await customer.presses("满意") == [wording.SURVEY_COMMENT.format(rating=4)]

    play_both(tmp_path, story)


def test_a_survey_that_is_over_is_not_reopened_by_words(tmp_path: Path, play_both: Play) -> None:
    async def story(shop: Shop) -> None:
        customer = await asked_customer(shop)
        await customer.looks()
        await shop.later(DAY)
        await customer.looks()
        await shop.later(9 * DAY)
        await customer.says("五星")
        assert await feedback(shop) == []
        counted = await shop.reports(Reports.survey_accounting)
        assert (counted.expired, counted.balanced) == (1, True)

    play_both(tmp_path, story)


def test_asking_for_a_person_in_a_survey_is_no_comment(tmp_path: Path, play_both: Play) -> None:
    async def story(shop: Shop) -> None:
        customer = await asked_customer(shop)
        await customer.says("4")
        await customer.says("转人工")
        assert await feedback(shop) == [(4, None)]

    play_both(tmp_path, story)


def test_a_rating_button_counts_even_beside_a_person(tmp_path: Path, play_both: Play) -> None:
    async def story(shop: Shop) -> None:
        customer = await asked_customer(shop)
        await customer.says("转人工")
        await shop.staff_desk.take_case("HY-1001", await shop.staff())
        await shop.settle()
        assert await customer.presses("满意") == []
        assert await feedback(shop) == [(4, None)]
        assert await customer.presses("非常不满意") == []
        assert await feedback(shop) == [(1, None)]
        assert (await page(shop)).case.priority.value == "urgent"

    play_both(tmp_path, story)


def test_pressing_a_rating_twice_still_asks_for_the_comment(tmp_path: Path, play_both: Play) -> None:
    async def story(shop: Shop) -> None:
        customer = await asked_customer(shop)
        await customer.presses("一般")
        assert await customer.presses("满意") == [wording.SURVEY_COMMENT.format(rating=4)]
        assert await customer.says("盖子紧") == [wording.SURVEY_THANKS]
        assert await feedback(shop) == [(4, "盖子紧")]

    play_both(tmp_path, story)


def test_a_comment_in_pieces_is_one_comment(tmp_path: Path, play_both: Play) -> None:
    async def story(shop: Shop) -> None:
        customer = await asked_customer(shop)
        await customer.says("4")
        await customer.says("颜色好看")
        assert await customer.says("盖子有一点点紧") == [wording.SURVEY_THANKS]
        assert await feedback(shop) == [(4, "颜色好看\n盖子有一点点紧")]
        await shop.later(11 * MINUTE)
        assert await customer.says("量子纠缠速度") == [wording.NOT_UNDERSTOOD]

    play_both(tmp_path, story)


def test_a_question_between_rating_and_comment_loses_neither(tmp_path: Path, play_both: Play) -> None:
    async def story(shop: Shop) -> None:
        customer = await asked_customer(shop)
        await customer.says("4")
        assert await customer.says("怎么退货") != [wording.SURVEY_THANKS]
        assert await customer.says("盖子有一点点紧") == [wording.SURVEY_THANKS]
        assert await feedback(shop) == [(4, "盖子有一点点紧")]

    play_both(tmp_path, story)


def test_of_two_open_surveys_the_one_rated_low_gets_the_words(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await asked_customer(shop)
        older = (await customer.lines())[-1]["prompt"]["options"]
        await shop.reports_event("shipped", "A-2")
        await customer.open(await shop.link("A-2"))
        await shop.reports_event("delivered", "A-2")
        await shop.later(DAY)
        worst = next(option for option in older if option["label"] == "非常不满意")
        await customer.says(worst["label"], worst["button_id"])
        await customer.says("杯盖漏水")
        assert await feedback(shop) == [(1, "杯盖漏水")]

    play(tmp_path, story)


def test_a_survey_that_could_not_leave_in_time_does_not_leave_at_night(
    tmp_path: Path, play_both: Play
) -> None:
    async def story(shop: Shop) -> None:
        await shop.reports_event("shipped")
        customer = await shop.customer("wang", order_token=await shop.link())
        shop.clock.turn(timedelta(hours=9, minutes=59))
        await shop.reports_event("delivered")
        shop.clock.turn(DAY)
        while await shop.fire_due():
            pass
        await shop.later(timedelta(hours=1))
        assert len(await customer.lines()) == 1
        await shop.later(timedelta(hours=11))
        assert len(await customer.lines()) == 2

    play_both(tmp_path, story, QUIET_HOURS="22:00-09:00")


def test_a_refund_between_deciding_and_sending_calls_the_survey_off(tmp_path: Path, play_both: Play) -> None:
    async def story(shop: Shop) -> None:
        await shop.reports_event("shipped")
        customer = await shop.customer("wang", order_token=await shop.link())
        await shop.reports_event("delivered")
        shop.clock.turn(DAY)
        while await shop.fire_due():
            pass
        await shop.post_order_event(shop.order_event("refunded"))
        await shop.inbox.work_one_lane()
        await shop.settle()
        assert len(await customer.lines()) == 1
        counted = await shop.reports(Reports.survey_accounting)
        assert dict(counted.skipped) == {"refunded": 1}

    play_both(tmp_path, story)


def test_a_digit_means_what_it_meant_when_it_was_sent(tmp_path: Path, play_both: Play) -> None:
    async def story(shop: Shop) -> None:
        await shop.reports_event("shipped")
        customer = await shop.customer("wang", order_token=await shop.link())
        await shop.reports_event("delivered")
        await customer.says("东西不想要了咋办")
        shop.clock.turn(DAY - MINUTE)
        await customer.writes("1")
        shop.clock.turn(2 * MINUTE)
        # The service was down: the survey leaves before the digit is worked.
        while await shop.fire_due() or await shop.send_due():
            pass
        await shop.settle()
        assert await feedback(shop) == []
        assert (await customer.lines())[-1]["author"] == "bot"

    play_both(tmp_path, story)


def test_two_angry_lines_an_hour_apart_are_apart_however_late_they_are_worked(
    tmp_path: Path, play_both: Play
) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        await customer.writes("真是垃圾")
        shop.clock.turn(timedelta(hours=1))
        await customer.writes("真是垃圾")
        await shop.settle()
        assert wording.OFFER_AFTER_ANGER in await customer.texts()
        cases = await shop.reports(lambda reports: reports.cases("open", None, 10))
        assert cases.rows == ()

    play_both(tmp_path, story)


def test_a_reminder_waits_a_day_after_a_case_too(tmp_path: Path, play_both: Play) -> None:
    async def story(shop: Shop) -> None:
        customer = await asked_customer(shop)
        await customer.looks()
        staff = await shop.staff()
        await customer.says("转人工")
        await shop.staff_desk.reply("HY-1001", staff, "好了", "s-1")
        shop.clock.turn(DAY - timedelta(hours=1))
        await shop.staff_desk.close_case("HY-1001", staff, "solved")
        reminder = wording.SURVEY_REMINDER.format(order="A-1")
        await shop.later(timedelta(hours=3))
        assert reminder not in await customer.texts()
        await shop.later(timedelta(hours=22))
        assert reminder in await customer.texts()

    play_both(tmp_path, story)


def test_a_question_that_was_seen_ends_as_unanswered_even_if_its_reminder_was_not_seen(
    tmp_path: Path,
) -> None:
    async def story(shop: Shop) -> None:
        customer = await asked_customer(shop)
        await customer.looks()
        for _ in range(10):
            await shop.later(DAY)
        counted = await shop.reports(Reports.survey_accounting)
        assert (counted.expired, dict(counted.skipped)) == (1, {})

    play(tmp_path, story)


def test_scoring_has_a_worker_of_its_own_so_that_it_delays_no_alert(tmp_path: Path, play_both: Play) -> None:
    async def story(shop: Shop) -> None:
        quick, scoring = shop.timers

        def two_timers(unit: Any) -> None:
            unit.timers.set(SCORE_TIMER, "1", shop.clock(), {})

        await shop.run(two_timers)
        assert await quick.fire_due() == 0
        assert await scoring.fire_due() == 1

    play_both(tmp_path, story)


def test_page_loads_of_known_browsers_do_not_use_up_the_address(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customers = [await shop.customer(f"c{number}") for number in range(20)]
        answers = [await customer.open() for customer in customers for _ in range(3)]
        assert {answer.status_code for answer in answers} == {200}
        strangers = [await Customer(shop, f"stranger-{number:020}").open() for number in range(12)]
        assert [answer.status_code for answer in strangers] == [200] * 10 + [429] * 2

    play(tmp_path, story)


def test_after_erasure_the_same_browser_is_a_stranger(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        await shop.reports_event("shipped")
        customer = await shop.customer("wang", order_token=await shop.link())
        await customer.says("查物流")
        identity_id = await customer.identity_id()
        assert identity_id is not None
        contact_id = (await shop.run(lambda unit: unit.identities.get(identity_id))).contact_id
        await shop.run(lambda unit: unit.contact_data.erase(contact_id, shop.clock()))
        assert (await customer.post("查物流")).status_code == 401
        again = await shop.customer("wang")
        assert await again.lines() == []
        assert "SF1234567890" not in (await again.says("查物流"))[0]

    play(tmp_path, story)


def test_who_waits_long_and_writes_again_is_not_left_without_a_word(tmp_path: Path, play_both: Play) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        await customer.says("转人工")
        assert await customer.says("在吗") == []
        await shop.later(6 * MINUTE)
        assert await customer.says("有人吗") == [wording.STILL_WAITING.format(number="HY-1001")]
        assert await customer.says("喂") == []
        await shop.later(10 * MINUTE)
        assert await customer.says("喂喂") == [wording.STILL_WAITING.format(number="HY-1001")]

    play_both(tmp_path, story)


def test_a_case_closed_without_anybody_speaking_says_nothing_of_a_person(
    tmp_path: Path, play_both: Play
) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        await customer.says("转人工")
        await shop.staff_desk.close_case("HY-1001", await shop.staff(), "duplicate")
        await shop.settle()
        assert (await customer.texts())[-1] == wording.CASE_CLOSED
        assert not any("已结束" in text for text in await customer.texts())

    play_both(tmp_path, story)
