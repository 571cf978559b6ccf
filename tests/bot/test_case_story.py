"""An unhappy customer reaches a person: case, alert, exactly one speaker, and back to the bot."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from shop import Play, Shop, play

from desk import wording
from desk.case_opening import next_alert_at
from desk.errors import AlreadyTakenError, ConflictError, InvalidInputError, NotAllowedError, NotFoundError
from desk.values import CaseState, Role


async def alerts(shop: Shop) -> list[tuple[str, int]]:
    events = await shop.run(lambda unit: unit.desk_events.find_after(0, 1000))
    return [
        (event.payload["number"], event.payload["rung"]) for event in events if event.kind == "case_alert"
    ]


async def page(shop: Shop, number: str = "HY-1001") -> Any:
    return await shop.reports(lambda reports: reports.case_page(number))


@pytest.mark.parametrize("words", ["转人工", "人工", "我要找真人客服！！", "轉人工", "转人公"])
def test_asking_for_a_person_opens_a_case_and_tells_staff_at_once(
    tmp_path: Path, play_both: Play, words: str
) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        assert await customer.says(words) == [wording.HANDOFF["asked_for_person"].format(number="HY-1001")]
        assert await alerts(shop) == [("HY-1001", 0)]
        case = (await page(shop)).case
        assert case.state is CaseState.WAITING
        assert case.evidence

    play_both(tmp_path, story)


@pytest.mark.parametrize("words", ["人工智能是什么", "这个是手工贴吗", "邮政也可以投诉", "不用人工了"])
def test_words_that_only_look_like_it_call_nobody(tmp_path: Path, play_both: Play, words: str) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        await customer.says(words)
        assert await alerts(shop) == []

    play_both(tmp_path, story)


def test_a_second_angry_message_calls_a_person(tmp_path: Path, play_both: Play) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        assert await customer.says("真是垃圾") == [wording.OFFER_AFTER_ANGER]
        shop.clock.turn(timedelta(minutes=9))
        assert "工单" in (await customer.says("你们就是骗子"))[0]
        assert (await page(shop)).case.reason.value == "anger"

    play_both(tmp_path, story)


def test_anger_long_apart_only_offers_a_person_each_time(tmp_path: Path, play_both: Play) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        await customer.says("真是垃圾")
        shop.clock.turn(timedelta(minutes=11))
        assert await customer.says("真是垃圾") == [wording.OFFER_AFTER_ANGER]

    play_both(tmp_path, story)


def test_staff_are_told_again_until_somebody_takes_the_case(tmp_path: Path, play_both: Play) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        await customer.says("转人工")
        for minutes in (2, 3, 5, 10, 10):
            await shop.later(timedelta(minutes=minutes))
        assert [rung for _, rung in await alerts(shop)] == [0, 1, 2, 3, 4, 5]
        await shop.staff_desk.take_case("HY-1001", await shop.staff())
        await shop.later(timedelta(hours=1))
        assert len(await alerts(shop)) == 6

    play_both(tmp_path, story)


def test_after_an_outage_the_missed_alerts_are_one_alert(tmp_path: Path, play_both: Play) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        await customer.says("转人工")
        await shop.later(timedelta(hours=3))
        assert len(await alerts(shop)) == 2
        await shop.later(timedelta(minutes=10))
        assert len(await alerts(shop)) == 3

    play_both(tmp_path, story)


def test_alerts_are_due_at_once_then_after_2_5_10_minutes_and_every_10(
    tmp_path: Path, play_both: Play
) -> None:
    async def story(shop: Shop) -> None:
        opened_at = shop.clock()
        minutes = [(next_alert_at(opened_at, rung) - opened_at).total_seconds() / 60 for rung in range(-1, 7)]
        assert minutes == [0, 0, 2, 5, 10, 20, 30, 40]

    play_both(tmp_path, story)


def test_the_bot_is_silent_while_a_person_speaks_and_comes_back_after(
    tmp_path: Path, play_both: Play
) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        staff = await shop.staff()
        await customer.says("转人工")
        assert await customer.says("什么时候发货") == []
        await shop.staff_desk.take_case("HY-1001", staff)
        await shop.settle()
        assert (await customer.texts())[-1] == wording.PERSON_JOINED.format(name="小李")
        assert await customer.says("什么时候发货") == []
        await shop.staff_desk.reply("HY-1001", staff, "您好，今天就发", "s-1")
        await shop.settle()
        last = (await customer.lines())[-1]
        assert (last["author"], last["staff_name"], last["text"]) == ("staff", "小李", "您好，今天就发")
        await shop.staff_desk.close_case("HY-1001", staff, "solved")
        await shop.settle()
        assert (await customer.texts())[-2:] == [wording.PERSON_LEFT.format(name="小李"), wording.CASE_CLOSED]
        assert await customer.presses(wording.HELPED_YES) == [wording.HELPED_THANKS]
        assert (await page(shop)).case.helped is True
        assert len(await customer.says("什么时候发货")) == 1

    play_both(tmp_path, story)


def test_not_helped_opens_a_new_case_at_once(tmp_path: Path, play_both: Play) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        staff = await shop.staff()
        await customer.says("转人工")
        await shop.staff_desk.reply("HY-1001", staff, "好了", "s-1")
        await shop.staff_desk.close_case("HY-1001", staff, "solved")
        await shop.settle()
        assert await customer.says("2") == [wording.HANDOFF["not_helped"].format(number="HY-1002")]
        assert (await page(shop)).case.helped is False
        assert (await page(shop, "HY-1002")).case.priority.value == "high"

    play_both(tmp_path, story)


def test_more_triggers_join_the_open_case_and_raise_its_priority(tmp_path: Path, play_both: Play) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        await customer.says("转人工")
        assert await customer.says("垃圾店，我要投诉你们") == [wording.STILL_WAITING.format(number="HY-1001")]
        assert (await page(shop)).case.priority.value == "urgent"
        assert await alerts(shop) == [("HY-1001", 0)]

    play_both(tmp_path, story)


def test_who_changes_their_mind_is_back_with_the_bot(tmp_path: Path, play_both: Play) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        await customer.says("转人工")
        assert await customer.says("不用人工了") == [wording.BACK_TO_BOT]
        assert (await page(shop)).case.state is CaseState.CLOSED
        assert len(await customer.says("怎么退货")) == 1
        await shop.later(timedelta(hours=1))
        assert len(await alerts(shop)) == 1

    play_both(tmp_path, story)


def test_two_people_take_a_case_and_one_wins(tmp_path: Path, play_both: Play) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        li, zhao = await shop.staff(), await shop.staff("zhao", name="小赵")
        await customer.says("转人工")
        await shop.staff_desk.take_case("HY-1001", li)
        with pytest.raises(AlreadyTakenError):
            await shop.staff_desk.take_case("HY-1001", zhao)
        with pytest.raises(AlreadyTakenError):
            await shop.staff_desk.reply("HY-1001", zhao, "我来", "s-1")
        with pytest.raises(AlreadyTakenError):
            await shop.staff_desk.close_case("HY-1001", zhao, "solved")
        again = await shop.staff_desk.take_case("HY-1001", li)
        assert again.staff_id == li.id
        lead = await shop.staff("chen", Role.LEAD, "陈主管")
        await shop.staff_desk.close_case("HY-1001", lead, "solved")

    play_both(tmp_path, story)


def test_a_bots_answer_still_in_the_outbox_is_held_back_when_a_person_takes_over(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        staff = await shop.staff()
        await customer.post("什么时候发货", "m-1")
        await shop.inbox.work_one_lane()
        await customer.post("转人工", "m-2")
        await shop.inbox.work_one_lane()
        await shop.staff_desk.take_case("HY-1001", staff)
        await shop.settle()
        assert [line["author"] for line in await customer.lines()] == ["customer", "customer", "system"]
        lines = (await page(shop)).lines
        assert [line.delivery.value for line in lines if line.author.value == "bot"] == [
            "withheld",
            "withheld",
        ]

    play(tmp_path, story)


def test_a_reply_sent_twice_arrives_once_and_bad_ones_are_refused(tmp_path: Path, play_both: Play) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        staff = await shop.staff()
        await customer.says("转人工")
        assert await shop.staff_desk.reply("HY-1001", staff, "您好", "s-1") is not None
        assert await shop.staff_desk.reply("HY-1001", staff, "您好", "s-1") is None
        await shop.settle()
        assert (await customer.texts()).count("您好") == 1
        for text in ("", "  ", "长" * 4001):
            with pytest.raises(InvalidInputError):
                await shop.staff_desk.reply("HY-1001", staff, text, "s-2")
        with pytest.raises(InvalidInputError):
            await shop.staff_desk.add_note("HY-1001", staff, " ")
        with pytest.raises(NotFoundError):
            await shop.staff_desk.reply("HY-9999", staff, "您好", "s-3")
        await shop.staff_desk.close_case("HY-1001", staff, "solved")
        await shop.staff_desk.close_case("HY-1001", staff, "solved")
        with pytest.raises(ConflictError):
            await shop.staff_desk.reply("HY-1001", staff, "还有吗", "s-4")
        other = await shop.staff("zhao", name="小赵")
        with pytest.raises(NotAllowedError):
            await shop.staff_desk.reply("HY-1001", other, "还有吗", "s-5")

    play_both(tmp_path, story)


def test_typing_is_shown_for_a_moment(tmp_path: Path, play_both: Play) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        staff = await shop.staff()
        await customer.says("转人工")
        case = (await page(shop)).case
        shop.staff_desk.typing(case.conversation_id, staff)
        assert shop.staff_desk.find_typist(case.conversation_id) == "小李"
        shop.clock.turn(timedelta(seconds=7))
        assert shop.staff_desk.find_typist(case.conversation_id) is None
        shop.staff_desk.typing(case.conversation_id, staff)
        await shop.staff_desk.reply("HY-1001", staff, "您好", "s-1")
        assert shop.staff_desk.find_typist(case.conversation_id) is None

    play_both(tmp_path, story)


def test_what_staff_do_is_in_the_audit(tmp_path: Path, play_both: Play) -> None:
    async def story(shop: Shop) -> None:
        await shop.reports_event("shipped")
        customer = await shop.customer("wang", order_token=await shop.link())
        staff = await shop.staff()
        await customer.says("转人工")
        await shop.staff_desk.take_case("HY-1001", staff)
        await shop.staff_desk.add_note("HY-1001", staff, "老客户")
        assert await shop.staff_desk.reveal_phone("HY-1001", staff) == "13812345678"
        done = [line.action for line in (await shop.reports(lambda reports: reports.audit(20))).rows]
        assert {"case.take", "case.note", "contact.reveal_phone", "staff.add"} <= set(done)
        assert await shop.run(lambda unit: unit.staff.verify_audit()) is None
        assert "老客户" not in await customer.texts()

    play_both(tmp_path, story)


def test_the_last_admin_stays(tmp_path: Path, play_both: Play) -> None:
    async def story(shop: Shop) -> None:
        (admin,) = await shop.run(lambda unit: unit.staff.all())
        with pytest.raises(ConflictError):
            await shop.staff_desk.change_staff(admin.id, None, disabled=True)
        with pytest.raises(ConflictError):
            await shop.staff_desk.change_staff(admin.id, None, role=Role.AGENT)
        other = await shop.staff("chen", Role.ADMIN, "陈")
        changed = await shop.staff_desk.change_staff(admin.id, other, role=Role.AGENT)
        assert changed.role is Role.AGENT

    play_both(tmp_path, story)


def test_faq_changes_are_live_at_once_and_dead_letters_can_be_replayed(
    tmp_path: Path, play_both: Play
) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        book = await shop.run(lambda unit: unit.faq.book())
        entry = next(
            entry for entry in book.entries if entry.question == "怎么退货" or "退货" in entry.question
        )
        from dataclasses import replace

        await shop.staff_desk.put_faq(replace(entry, answer="找老板退"), None)
        assert await customer.says(entry.question) == ["找老板退"]
        await shop.staff_desk.delete_faq(entry.slug, None)
        assert "找老板退" not in await customer.says(entry.question)
        with pytest.raises(NotFoundError):
            await shop.staff_desk.replay("inbox", 1, None)

    play_both(tmp_path, story)
