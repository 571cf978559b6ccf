"""Both ways through the staff group: media, edits, notes, hand-overs, and what became of a line."""

from __future__ import annotations

from pathlib import Path

import pytest
from room_rig import GROUP, GroupShop, play

from desk.values import CaseState, Role


@pytest.mark.parametrize("forum", [True, False])
def test_media_and_edits_pass_both_ways(tmp_path: Path, forum: bool) -> None:
    async def story(there: GroupShop) -> None:
        _, li = await there.staff()
        ming = await there.customer()
        card = there.card()
        picture = ming.sends_photo("杯口裂了")
        await there.settle()
        copy = there.sees()[-1]
        assert (copy.media, copy.text, copy.topic) == ("photo", "小明：杯口裂了", card.topic)
        ming.sends_voice()
        ming.sends_sticker()
        ming.sends_location()
        await there.settle()
        voice, sticker, place = there.sees()[-3:]
        assert (voice.media, voice.text) == ("voice", "小明：")
        assert (sticker.media, sticker.text) == ("sticker", "")
        assert place.media == "location"

        ming.edits(picture, "杯口裂了，两个都裂")
        await there.settle()
        assert there.sees()[-1].text.removeprefix("✏️ 客户改为：") in (
            "杯口裂了，两个都裂",
            "[图片] 杯口裂了，两个都裂",
        )
        assert there.sees()[-1].reply_to == copy.message_id

        word = ming.says("还有，盒子也坏了")
        await there.settle()
        await there.later(3)
        line = there.sees()[-1]
        ming.edits(word, "盒子没坏")
        await there.settle()
        assert there.sees()[-1].text == "✏️ 客户改为：盒子没坏"
        assert there.sees()[-1].reply_to == line.message_id

        photo = there.voice(li, card).sends_photo("像这样吗", reply_to=None if forum else copy.message_id)
        await there.settle()
        shown = ming.sees(by_bot=True)[-1]
        assert (shown.media, shown.text) == ("photo", "像这样吗")
        assert there.reactions(photo) == ["👍"]

        said = there.answers(li, line, "明天到")
        await there.settle()
        there.voice(li, card).edits(said, "后天到")
        await there.settle()
        assert ming.sees(by_bot=True)[-1].text == "后天到"
        assert ming.sees(by_bot=True)[-1].edited
        assert not any("明天到" in text or "后天到" in text for text in there.texts() if "👤" not in text)
        assert await there.dead() == []

    play(tmp_path, story, forum=forum)


def test_pictures_sent_before_the_case_are_shown_with_it(tmp_path: Path) -> None:
    async def story(there: GroupShop) -> None:
        ming = there.api.user(5, "小明")
        ming.starts()
        ming.sends_photo("碎了")
        ming.sends_photo("另一面")
        await there.settle()
        ming.says("转人工")
        await there.settle()
        await there.later(3)
        kinds = [(seen.media, seen.text) for seen in there.sees() if seen.media]
        assert kinds == [("photo", "小明：碎了"), ("photo", "小明：另一面")]

    play(tmp_path, story)


def test_lines_are_joined_and_none_is_lost(tmp_path: Path) -> None:
    async def story(there: GroupShop) -> None:
        await there.staff()
        ming = await there.customer()
        long = "很长的话" * 500
        words = [f"第{number}句" for number in range(5)] + [long, long + "二", long + "三"]
        for text in words:
            ming.says(text)
        await there.settle()
        await there.later(3)
        relayed = [text for text in there.texts() if text.startswith("小明：")]
        assert relayed[0].startswith("小明：第0句\n第1句\n第2句\n第3句\n第4句\n很长")
        everything = "\n".join(relayed)
        assert all(text in everything for text in words)
        assert len(relayed) < len(words)
        assert all(len(text) <= 4096 for text in relayed)

    play(tmp_path, story)


def test_an_edit_of_any_of_several_joined_lines_answers_the_joined_one(tmp_path: Path) -> None:
    async def story(there: GroupShop) -> None:
        await there.staff()
        ming = await there.customer()
        ming.says("一")
        second = ming.says("二")
        await there.settle()
        await there.later(3)
        joined = there.sees()[-1]
        ming.edits(second, "三")
        await there.settle()
        assert there.sees()[-1].reply_to == joined.message_id

    play(tmp_path, story)


@pytest.mark.parametrize("forum", [True, False])
def test_what_did_not_arrive_is_said_where_it_was_written(tmp_path: Path, forum: bool) -> None:
    async def story(there: GroupShop) -> None:
        _, li = await there.staff()
        ming = await there.customer()
        card = there.card()
        there.answers(li, card, "在的")
        await there.settle()
        ming.blocks()
        await there.settle()
        assert "停用了机器人" in there.texts()[-1]
        assert "已停用机器人" in there.card().text
        lost = there.answers(li, card, "在吗")
        await there.settle()
        answer = next(seen for seen in there.sees() if seen.reply_to == lost)
        assert "未送达" in answer.text
        assert there.reactions(lost) == []
        await there.later(20)
        assert "未送达：客户停用了机器人" in there.card().text
        ming.unblocks()
        ming.says("我回来了")
        await there.settle()
        await there.later(3)
        assert any("客户回来了" in text for text in there.texts())
        assert there.texts()[-1] == "小明：我回来了"
        assert "已停用机器人" not in there.card().text

    play(tmp_path, story, forum=forum)


@pytest.mark.parametrize("forum", [True, False])
def test_a_note_is_asked_for_and_never_reaches_the_customer(tmp_path: Path, forum: bool) -> None:
    async def story(there: GroupShop) -> None:
        _, li = await there.staff()
        ming = await there.customer()
        card = there.card()
        before = len(ming.sees())
        li.taps(card.message_id, "备注")
        await there.settle()
        question = there.sees()[-1]
        assert "小李，请回复这条消息" in question.text
        assert (
            there.api.calls("sendMessage", there.group.id)[-1].params["reply_markup"]["force_reply"] is True
        )
        note = there.voice(li, card).says("老客户，态度好点", reply_to=question.message_id)
        await there.settle()
        typed = [
            there.answers(li, card, text)
            for text in ("/note 第二条", "备注：第三条", "/note@huiyin_test_bot 四")
        ]
        await there.settle()
        assert [there.reactions(number) for number in (note, *typed)] == [["👍"]] * 4
        await there.later(20)
        assert "备注 4 条" in there.card().text
        assert len(ming.sees()) == before

    play(tmp_path, story, forum=forum)


@pytest.mark.parametrize("forum", [True, False])
def test_a_case_is_handed_over_by_button_and_by_name(tmp_path: Path, forum: bool) -> None:
    async def story(there: GroupShop) -> None:
        _, li = await there.staff()
        wang, _ = await there.staff(9, "小王", "wang")
        ming = await there.customer()
        card = there.card()
        li.taps(card.message_id, "接单")
        await there.settle()
        li.taps(card.message_id, "转交")
        await there.settle()
        assert there.card().labels == ["小王", "返回"]
        li.taps(card.message_id, "返回")
        await there.settle()
        assert there.card().labels == ["结案", "转交", "备注"]
        li.taps(card.message_id, "转交")
        await there.settle()
        li.taps(card.message_id, "小王")
        await there.settle()
        assert (await there.case()).staff_id == wang.id
        assert "小王 处理中" in there.card().text
        assert there.card().labels == ["结案", "转交", "备注"]
        assert "小王" in ming.sees(by_bot=True)[-1].text

        back = there.answers(li, card, "/assign li")
        await there.settle()
        assert "已由小王接单" in there.texts()[-1], "it is not theirs any more"
        assert there.sees()[-1].reply_to == back
        there.answers(there.group.member(9), card, "/assign 不存在的人")
        await there.settle()
        assert "没有找到这位同事" in there.texts()[-1]
        there.answers(there.group.member(9), card, "转交 小李")
        await there.settle()
        assert "小李 处理中" in there.card().text

    play(tmp_path, story, forum=forum)


@pytest.mark.parametrize("forum", [True, False])
def test_everything_can_be_typed(tmp_path: Path, forum: bool) -> None:
    async def story(there: GroupShop) -> None:
        _, li = await there.staff()
        ming = await there.customer()
        card = there.card()
        there.answers(li, card, "/take")
        await there.settle()
        assert (await there.case()).staff_name == "小李"
        there.answers(li, card, "/close 换货完成")
        await there.settle()
        assert (await there.case()).state is CaseState.CLOSED
        ming.says("转人工")
        await there.settle()
        second = there.card("HY-1002")
        there.answers(li, second, "接单")
        await there.settle()
        assert (await there.case("HY-1002")).staff_name == "小李"
        there.answers(li, second, "/frobnicate 客户")
        await there.settle()
        assert "没有这个命令" in there.texts()[-1]
        there.answers(li, second, "结案")
        await there.settle()
        assert (await there.case("HY-1002")).state is CaseState.CLOSED
        assert not any(word in seen.text for seen in ming.sees() for word in ("/take", "接单", "frobnicate"))
        late = there.answers(li, second, "还有一件事")
        await there.settle()
        assert "没有进行中的工单" in there.texts()[-1]
        assert there.sees()[-1].reply_to == late
        assert "还有一件事" not in [seen.text for seen in ming.sees()]

    play(tmp_path, story, forum=forum)


def test_a_lead_may_act_on_a_colleagues_case_and_an_agent_may_not(tmp_path: Path) -> None:
    async def story(there: GroupShop) -> None:
        _, li = await there.staff()
        _, wang = await there.staff(9, "小王", "wang")
        _, zhao = await there.staff(10, "赵姐", "zhao", Role.LEAD)
        ming = await there.customer()
        card = there.card()
        li.taps(card.message_id, "接单")
        await there.settle()
        there.answers(wang, card, "我来说两句")
        await there.settle()
        assert there.texts()[-1] == "HY-1001 已由小李接单，请联系小李或请组长处理。"
        assert "我来说两句" not in [seen.text for seen in ming.sees()]
        there.answers(zhao, card, "我是组长")
        await there.settle()
        assert ming.sees(by_bot=True)[-1].text == "我是组长"

    play(tmp_path, story)


def test_a_note_below_a_picture_stays_among_staff(tmp_path: Path) -> None:
    async def story(there: GroupShop) -> None:
        _, li = await there.staff()
        ming = await there.customer()
        before = len(ming.sees())
        line = there.voice(li, there.card()).sends_photo("备注：这位客户常来")
        await there.settle()
        assert len(ming.sees()) == before
        assert there.reactions(line) == ["👍"]
        case = await there.case()
        assert await there.shop.run(lambda unit: unit.cases.count_notes(case.id)) == 1

    play(tmp_path, story)


@pytest.mark.parametrize("forum", [True, False])
def test_a_note_stays_among_staff_though_nobody_knows_that_it_was_asked_for(
    tmp_path: Path, forum: bool
) -> None:
    """The question arrived, but its answer from Telegram did not, so we never learned its number."""

    async def story(there: GroupShop) -> None:
        _, li = await there.staff()
        ming = await there.customer()
        before = len(ming.sees())
        there.api.fail("lost_answer", "sendMessage", chat=GROUP)
        there.voice(li, there.card()).taps(there.card().message_id, "备注")
        await there.settle()
        asked = there.sees()[-1]
        assert "备注" in asked.text
        line = there.voice(li, asked).says("这位客户常来", reply_to=asked.message_id)
        await there.settle()
        assert len(ming.sees()) == before
        assert there.reactions(line) == ["👍"]
        case = await there.case()
        assert await there.shop.run(lambda unit: unit.cases.count_notes(case.id)) == 1

    play(tmp_path, story, forum=forum)


def test_a_line_that_is_edited_into_a_note_does_not_reach_the_customer(tmp_path: Path) -> None:
    async def story(there: GroupShop) -> None:
        _, li = await there.staff()
        ming = await there.customer()
        line = there.answers(li, there.card(), "马上给您看看")
        await there.settle()
        before = [seen.text for seen in ming.sees()]
        there.voice(li, there.card()).edits(line, "备注：这位客户常来")
        await there.settle()
        assert [seen.text for seen in ming.sees()] == before
        assert "也没有发给客户" in there.texts()[-1]

    play(tmp_path, story)


def test_an_answer_to_a_line_that_nobody_knows_is_not_dropped_in_silence(tmp_path: Path) -> None:
    async def story(there: GroupShop) -> None:
        _, li = await there.staff()
        ming = await there.customer()
        there.api.fail("lost_answer", "sendMessage", chat=GROUP)
        ming.says("还在吗")
        await there.settle()
        await there.later(4)
        first = next(seen for seen in there.sees() if seen.text == "小明：还在吗")
        li.says("在的", reply_to=first.message_id)
        await there.settle()
        assert "在的" not in [seen.text for seen in ming.sees()]
        assert there.texts()[-1].startswith("请在客户的话题里使用")

    play(tmp_path, story, forum=False)
