"""Who may do what in the staff group: strangers, forged and late taps, codes, and talk that is nobody's business."""

from __future__ import annotations

import secrets
from datetime import timedelta
from pathlib import Path

import pytest
from room_rig import GROUP, GroupShop, play

from desk.values import CaseState


@pytest.mark.parametrize("forum", [True, False])
def test_strangers_get_one_sentence_a_day_and_change_nothing(tmp_path: Path, forum: bool) -> None:
    async def story(there: GroupShop) -> None:
        ming = await there.customer()
        card = there.card()
        stranger = there.group.member(there.api.user(77, "路人"))
        there.answers(stranger, card, "我是骗子，把密码发我")
        there.answers(stranger, card, "/close")
        there.answers(stranger, card, "接单")
        await there.settle()
        assert len(there.texts()) == 2
        assert "/link" in there.texts()[-1]
        stranger.taps(card.message_id, "接单")
        stranger.taps(card.message_id, "结案")
        await there.settle()
        notices = there.api.user(77).notices()
        assert [notice["show_alert"] for notice in notices] == [True, True]
        assert all("请先绑定" in notice["text"] for notice in notices)
        assert (await there.case()).state is CaseState.WAITING
        assert not any("骗子" in seen.text for seen in ming.sees())
        there.shop.clock.turn(timedelta(days=1))
        there.answers(stranger, card, "又是我")
        await there.settle()
        assert len([text for text in there.texts() if "/link" in text]) == 2

    play(tmp_path, story, forum=forum)


def test_forged_late_and_foreign_taps_are_answered_politely(tmp_path: Path) -> None:
    async def story(there: GroupShop) -> None:
        _, li = await there.staff()
        ming = await there.customer()
        await there.customer(6, "小红")
        first, second = there.card("HY-1001"), there.card("HY-1002")
        token = first.button("接单")["callback_data"].partition(":")[0]
        odd = [
            "",
            "x",
            "take:1",
            f"{token}:drop table",
            f"{token}:to:999999999999",
            f"{secrets.token_urlsafe(16)}:take",
            f"{token}:to:{'9' * 9}",
            "\x00" * 60,
        ]
        for data in odd:
            li.taps(first.message_id, data=data)
        # The button of one card, pressed on another; and by the customer in their own chat.
        li.taps(second.message_id, data=f"{token}:close")
        ming.taps(ming.sees(by_bot=True)[-1].message_id, data=f"{token}:close")
        await there.settle()
        states = [(await there.case(number)).state for number in ("HY-1001", "HY-1002")]
        assert states == [CaseState.WAITING, CaseState.WAITING]
        notices = there.api.user(8).notices()
        assert len(notices) == len(odd) + 1
        assert all(notice["text"] for notice in notices)

        li.taps(first.message_id, "结案")
        await there.settle()
        li.taps(first.message_id, data=f"{token}:take")
        await there.settle()
        assert there.api.user(8).notices()[-1]["text"] == "HY-1001 已经结案了。"
        assert (await there.case()).state is CaseState.CLOSED
        assert await there.dead() == []

    play(tmp_path, story)


def test_a_tap_that_is_delivered_twice_acts_once(tmp_path: Path) -> None:
    async def story(there: GroupShop) -> None:
        _, li = await there.staff()
        ming = await there.customer()
        card = there.card()
        li.taps(card.message_id, "接单")
        number = there.api.pending()[-1]
        await there.settle()
        told = len(ming.sees())
        there.offset = None
        there.api.deliver_again(number)
        there.api.deliver_again(number, changed=True)
        await there.settle()
        assert len(ming.sees()) == told
        assert (await there.case()).staff_name == "小李"

    play(tmp_path, story)


def test_an_account_is_linked_in_the_group_and_the_code_is_taken_away(tmp_path: Path) -> None:
    async def story(there: GroupShop) -> None:
        member = await there.shop.staff()
        code = (await there.shop.staff_desk.make_link_code(member.id, None)).code
        li = there.group.member(there.api.user(8, "随便叫什么"))
        wrong = li.says("/link ABCDE12345")
        await there.settle()
        assert "绑定码不对" in there.texts()[-1]
        right = li.says(f"/link@huiyin_test_bot {code}")
        await there.settle()
        assert "绑定成功，小李" in there.texts()[-1]
        left = {seen.message_id for seen in there.group.sees(by_bot=False)}
        assert not left & {wrong, right}
        li.says(f"/link {code}")
        await there.settle()
        assert "绑定码不对" in there.texts()[-1], "a code works once"
        await there.customer()
        li.taps(there.card().message_id, "接单")
        await there.settle()
        assert (await there.case()).staff_name == "小李"
        linked = await there.shop.staff_desk.find_by_account("telegram", "8")
        assert linked is not None
        await there.shop.staff_desk.unlink_account(member.id, "telegram", None)
        li.taps(there.card().message_id, "结案")
        await there.settle()
        assert (await there.case()).state is CaseState.WITH_PERSON

    play(tmp_path, story)


def test_guessing_codes_ends_soon(tmp_path: Path) -> None:
    async def story(there: GroupShop) -> None:
        member = await there.shop.staff()
        guesser = there.api.user(8)
        for number in range(5):
            guesser.says(f"/link WRONG0000{number}")
        await there.settle()
        assert "绑定码不对" in guesser.sees(by_bot=True)[-1].text
        code = (await there.shop.staff_desk.make_link_code(member.id, None)).code
        guesser.says(f"/link {code}")
        await there.settle()
        assert "试错太多次" in guesser.sees(by_bot=True)[-1].text
        assert await there.shop.staff_desk.find_by_account("telegram", "8") is None

    play(tmp_path, story)


@pytest.mark.parametrize("forum", [True, False])
def test_what_staff_say_among_themselves_is_theirs(tmp_path: Path, forum: bool) -> None:
    async def story(there: GroupShop) -> None:
        _, li = await there.staff()
        _, wang = await there.staff(9, "小王", "wang")
        ming = await there.customer()
        card = there.card()
        lines, seen_by_ming = len(there.texts()), len(ming.sees())
        li.says("午饭吃什么")
        wang.says("/weather@other_bot 上海")
        lunch = li.says("面")
        wang.says("好", reply_to=lunch)
        wang.sends_photo("面")
        there.group.member(8).says("大家好")
        if not forum:
            said = there.answers(li, card, "在的")
            await there.settle()
            wang.says("你回得真快", reply_to=said)
            seen_by_ming += 2
        await there.settle()
        assert len(there.texts()) == lines
        assert len(ming.sees()) == seen_by_ming, [seen.text for seen in ming.sees()]

        li.says("/take")
        await there.settle()
        assert "请在客户的话题里使用" in there.texts()[-1]

    play(tmp_path, story, forum=forum)


def test_what_happens_in_other_groups_and_to_the_group_itself_is_ignored(tmp_path: Path) -> None:
    async def story(there: GroupShop) -> None:
        await there.staff()
        await there.customer()
        card = there.card()
        before = len(there.api.calls("sendMessage"))
        foreign = there.api.group(-1009999, "别的群")
        foreign.member(8).says("/take")
        foreign.member(8).says("/link ABC")
        li = there.group.member(8, card.topic)
        for content in (
            {"new_chat_members": [{"id": 1, "is_bot": False, "first_name": "新人"}]},
            {"left_chat_member": {"id": 1, "is_bot": False, "first_name": "新人"}},
            {"pinned_message": {"message_id": 1, "date": 0, "chat": {"id": GROUP, "type": "supergroup"}}},
            {"new_chat_title": "改名"},
            {"forum_topic_edited": {"name": "改名"}},
        ):
            li.posts(content)
        await there.settle()
        assert len(there.api.calls("sendMessage")) == before
        assert await there.dead() == []

    play(tmp_path, story)


def test_an_anonymous_admin_is_told_that_nobody_knows_who_it_is(tmp_path: Path) -> None:
    async def story(there: GroupShop) -> None:
        ming = await there.customer()
        card = there.card()
        there.api.user(1087968824, "Group", is_bot=True)
        ghost = there.group.member(1087968824, card.topic)
        ghost.says("我是管理员")
        await there.settle()
        assert "匿名管理员" in there.texts()[-1]
        assert "我是管理员" not in [seen.text for seen in ming.sees()]

    play(tmp_path, story)
