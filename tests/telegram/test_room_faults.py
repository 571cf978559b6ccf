"""The staff group when things go wrong: topics and cards deleted, the bot thrown out, restarts, another id."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from room_rig import GROUP, GroupShop, is_card, play

from desk.values import CaseState

MINUTE = timedelta(minutes=1)


def test_a_deleted_topic_is_made_again_with_its_card(tmp_path: Path) -> None:
    async def story(there: GroupShop) -> None:
        _, li = await there.staff()
        ming = await there.customer()
        (old,) = there.group.topics()
        there.group.deletes_topic(old)
        ming.says("还在吗")
        await there.settle()
        await there.later(3)
        (new,) = there.group.topics()
        assert new != old
        (card,) = there.group.sees(new, by_bot=True)
        assert is_card(card)
        assert "客户：还在吗" in card.text, "what stands on the new card is not told twice"
        ming.says("喂")
        await there.settle()
        await there.later(3)
        assert there.group.sees(new, by_bot=True)[-1].text == "小明：喂"
        there.voice(li, card).says("在的")
        li.taps(card.message_id, "结案")
        await there.settle()
        assert "在的" in [seen.text for seen in ming.sees(by_bot=True)]
        assert (await there.case()).state is CaseState.CLOSED
        assert "已结案" in there.card().text

    play(tmp_path, story)


def test_a_closed_topic_is_opened_again(tmp_path: Path) -> None:
    async def story(there: GroupShop) -> None:
        await there.staff()
        ming = await there.customer()
        (topic,) = there.group.topics()
        there.group.shuts_topic(topic, 8)
        there.api.fail("error", "sendMessage", chat=GROUP, description="Bad Request: TOPIC_CLOSED")
        ming.says("还在吗")
        await there.settle()
        await there.later(3)
        assert there.group.topics() == {topic: {**there.group.topics()[topic], "closed": False}}
        assert there.texts()[-1] == "小明：还在吗"

    play(tmp_path, story)


@pytest.mark.parametrize("forum", [True, False])
def test_a_deleted_card_comes_back_when_the_case_changes(tmp_path: Path, forum: bool) -> None:
    async def story(there: GroupShop) -> None:
        li, _ = await there.staff()
        await there.customer()
        old = there.card()
        there.group.member(8).deletes(old.message_id)
        await there.shop.staff_desk.take_case("HY-1001", li)
        await there.settle()
        assert "小李 处理中" in there.card().text
        assert there.card().message_id != old.message_id
        there.answers(there.group.member(8), there.card(), "您好")
        await there.settle()
        assert (await there.case()).staff_name == "小李"

    play(tmp_path, story, forum=forum)


def test_nothing_is_lost_while_the_bot_is_out_of_the_group(tmp_path: Path) -> None:
    async def story(there: GroupShop) -> None:
        await there.staff()
        there.group.kicks_bot()
        await there.settle()
        ming = await there.customer()
        assert there.room.status() == "the bot is not in the staff group"
        ming.says("有人吗")
        await there.later(600)
        assert there.texts() == []
        assert await there.dead() == []
        refused = len(there.api.calls(chat=GROUP))
        assert refused < 60, "a group that refuses us is not asked all the time"
        there.group.bot_becomes("administrator", "can_manage_topics", "can_delete_messages")
        await there.later(60)
        assert there.room.status() == "ok"
        assert "小明" in there.card().text
        assert any("有人吗" in text for text in there.texts())
        assert await there.dead() == []

    play(tmp_path, story)


def test_without_the_right_to_topics_it_says_so_and_goes_on_later(tmp_path: Path) -> None:
    async def story(there: GroupShop) -> None:
        await there.staff()
        there.group.bot_becomes("administrator", "can_delete_messages")
        await there.customer()
        assert there.room.status() == "the bot may not manage topics in the staff group"
        there.group.bot_becomes("administrator", "can_delete_messages", "can_manage_topics")
        await there.later(60)
        assert there.room.status() == "ok"
        assert there.card().topic is not None

    play(tmp_path, story)


@pytest.mark.parametrize("update_first", [True, False])
def test_a_group_that_becomes_a_supergroup_is_followed(tmp_path: Path, update_first: bool) -> None:
    async def story(there: GroupShop) -> None:
        _, li = await there.staff()
        ming = await there.customer()
        new = there.group.upgrades(-1007)
        if update_first:
            await there.settle()
        else:
            # The answer to a call tells it before the update does.
            await there.shop.staff_desk.add_note("HY-1001", (await there.shop.staff("wu")), "嗯")
            there.offset = there.api.pending()[-1] + 1
            await there.room.project_once()
            there.shop.clock.turn(MINUTE)
            await there.outbox.send_due()
        waiting = await there.shop.run(
            lambda unit: unit.outbox.find_due(["telegram"], 50, there.shop.clock() + MINUTE)
        )
        assert {outgoing.recipient for outgoing in waiting} <= {"-1007", ""}
        await there.later(5)
        cards = [seen for seen in new.sees(by_bot=True) if is_card(seen)]
        assert len(cards) == 1
        ming.says("还在吗")
        await there.settle()
        await there.later(3)
        assert new.sees(by_bot=True)[-1].text == "小明：还在吗"
        new.member(8).says("在的", reply_to=cards[0].message_id)
        await there.settle()
        assert ming.sees(by_bot=True)[-1].text == "在的"
        assert li.id == 8
        # And a process that starts now knows it too.
        there.start_again("room-2")
        new.member(8).taps(cards[0].message_id, "结案")
        await there.settle()
        assert (await there.case()).state is CaseState.CLOSED

    play(tmp_path, story, forum=False, group=-500)


@pytest.mark.parametrize("forum", [True, False])
def test_a_restart_at_any_step_shows_everything_once(tmp_path: Path, forum: bool) -> None:
    async def story(there: GroupShop) -> None:
        await there.staff()
        ming = there.api.user(5, "小明")
        ming.starts()
        ming.says("转人工")
        for number in range(3):
            ming.says(f"第{number}句")
        await there.hear()
        while await there.inbox.work_one_lane():
            there.start_again("between")
        for number in range(40):
            there.start_again(f"room-{number}")
            await there.room.project_once()
            there.start_again(f"again-{number}")
            await there.outbox.send_due()
            there.shop.clock.turn(MINUTE / 30)
        await there.settle()
        assert len([text for text in there.texts() if "👤" in text]) == 1
        everything = "\n".join(there.texts())
        assert all(everything.count(f"第{number}句") == 1 for number in range(3))

    play(tmp_path, story, forum=forum)


@pytest.mark.parametrize("kind", ["lost_answer", "status", "cut", "html"])
def test_lost_answers_repeat_an_alert_and_never_lose_one(tmp_path: Path, kind: str) -> None:
    async def story(there: GroupShop) -> None:
        await there.staff()
        there.api.fail(kind, "createForumTopic", chat=GROUP)
        there.api.fail(kind, "sendMessage", chat=GROUP, times=2)
        await there.customer()
        await there.later(60)
        assert any(is_card(seen) for seen in there.sees())
        assert "等待接单" in there.card().text

    play(tmp_path, story)


def test_a_customer_who_was_erased_meanwhile_leaves_no_trace(tmp_path: Path) -> None:
    async def story(there: GroupShop) -> None:
        await there.staff()
        ming = await there.customer()
        ming.says("我的秘密")
        await there.hear()
        while await there.inbox.work_one_lane():
            pass
        await there.room.project_once()
        case = await there.case()

        def erase(unit: Any) -> None:
            contact_id = unit.conversations.get(case.conversation_id).contact_id
            unit.contact_data.erase(contact_id, there.shop.clock.now)

        await there.shop.run(erase)
        await there.later(30)
        assert not any("我的秘密" in text for text in there.texts())
        assert await there.dead() == []

    play(tmp_path, story)


def test_a_case_that_is_still_open_when_the_bot_comes_back_after_days_gets_its_card(tmp_path: Path) -> None:
    async def story(there: GroupShop) -> None:
        await there.staff()
        there.group.kicks_bot()
        await there.settle()
        await there.customer()
        for _ in range(3):
            there.shop.clock.turn(timedelta(hours=25))
            await there.settle()
        there.group.bot_becomes("administrator", "can_manage_topics", "can_delete_messages")
        await there.later(120)
        assert await there.dead() == []
        assert "小明" in there.card().text

    play(tmp_path, story)


def test_a_picture_that_cannot_be_fetched_is_told_in_words_and_the_group_goes_on(tmp_path: Path) -> None:
    async def story(there: GroupShop) -> None:
        await there.staff()
        ming = await there.customer()
        # As for a bot that never met this customer, such as one that took over from another.
        there.api.fail("error", "copyMessage", code=400, description="Bad Request: chat not found", times=99)
        ming.sends_photo("你看")
        await there.settle()
        assert there.texts()[-1] == "小明：[图片]（无法转发，请在控制台查看）\n你看"
        assert there.room.status() == "ok"

    play(tmp_path, story)
