"""The staff group, from an angry customer to 结案, as a forum and as a plain group."""

from __future__ import annotations

from pathlib import Path

import pytest
from room_rig import CONSOLE, GroupShop, play

from desk.values import CaseState, Role


@pytest.mark.parametrize("forum", [True, False])
def test_an_angry_customer_is_looked_after_through_the_group(tmp_path: Path, forum: bool) -> None:
    async def story(there: GroupShop) -> None:
        _, li = await there.staff()
        ming = await there.customer()
        card = there.card()
        assert "等待接单" in card.text
        assert "小明 · Telegram" in card.text
        assert "要求人工" in card.text
        assert card.labels == ["接单", "结案", "转交", "备注"]
        topics = there.group.topics()
        assert len(topics) == (1 if forum else 0)
        assert all(topic["name"].startswith("小明 · ") for topic in topics.values())
        assert card.topic == next(iter(topics), None)

        li.taps(card.message_id, "接单")
        await there.settle()
        assert (await there.case()).state is CaseState.WITH_PERSON
        assert "小李 处理中" in there.card().text
        assert there.card().labels == ["结案", "转交", "备注"]
        assert "小李" in ming.sees(by_bot=True)[-1].text

        ming.says("杯子是坏的")
        ming.says("快一点")
        await there.settle()
        assert there.sees()[-1].message_id == card.message_id, "lines wait three seconds for the next one"
        await there.later(3)
        line = there.sees()[-1]
        assert line.text == "小明：杯子是坏的\n快一点"
        assert line.topic == card.topic
        assert line.reply_to == (card.topic if forum else card.message_id)

        said = there.answers(li, line, "马上给您换一个")
        await there.settle()
        assert ming.sees(by_bot=True)[-1].text == "马上给您换一个"
        assert there.reactions(said) == ["👍"]
        assert not any("马上给您换一个" in text for text in there.texts()), "what is typed here is not echoed"
        await there.later(20)
        assert "最近回复 12:00 已送达" in there.card().text

        li.taps(card.message_id, "结案")
        await there.settle()
        assert (await there.case()).state is CaseState.CLOSED
        assert "✅ HY-1001" in there.card().text
        assert "小李" in there.card().text.split("\n")[0]
        assert there.card().labels == []
        assert "解决了吗" in ming.sees(by_bot=True)[-1].text
        assert await there.dead() == []

    play(tmp_path, story, forum=forum)


@pytest.mark.parametrize("forum", [True, False])
def test_customers_of_the_web_chat_are_looked_after_from_the_group_too(tmp_path: Path, forum: bool) -> None:
    async def story(there: GroupShop) -> None:
        _, li = await there.staff()
        wang = await there.shop.customer()
        await wang.says("转人工")
        await there.settle()
        card = there.card()
        assert "· 网页" in card.text
        said = there.answers(li, card, "您好，我是小李")
        await there.settle()
        assert (await there.case()).staff_name == "小李", "an answer takes the case"
        assert "您好，我是小李" in await wang.texts()
        assert there.reactions(said) == ["👍"]

        photo = there.voice(li, card).sends_photo("看这个", reply_to=card.message_id)
        await there.settle()
        refusal = there.sees()[-1]
        assert "收不到图片" in refusal.text
        assert refusal.reply_to == photo
        assert "看这个" not in await wang.texts()

    play(tmp_path, story, forum=forum)


def test_the_card_tells_who_what_and_why(tmp_path: Path) -> None:
    async def story(there: GroupShop) -> None:
        await there.staff()
        await there.shop.reports_event("paid")
        ming = there.api.user(5, "小明")
        ming.starts(await there.shop.link())
        await there.settle()
        ming.says("气死了，垃圾店，我要投诉")
        await there.settle()
        card = there.card()
        first, *rest = card.text.split("\n")
        assert first.startswith("🔴 HY-1001 紧急 · 等待接单（12:00 起）")
        assert card.entities[0]["type"] == "bold"
        assert "📦 A-1 已付款 ¥118.00：保温杯×2" in rest
        assert "💰 累计消费 ¥118.00，1 单" in rest
        assert any(line.startswith("❗ ") and "“" in line for line in rest), card.text
        assert "12:00 客户：气死了，垃圾店，我要投诉" in rest
        link = next(entity for entity in card.entities if entity["type"] == "text_link")
        assert link["url"] == f"{CONSOLE}/console/cases/HY-1001"
        assert all("parse_mode" not in call.params for call in there.api.calls())

    play(tmp_path, story)


def test_a_second_case_of_a_customer_comes_into_the_same_topic(tmp_path: Path) -> None:
    async def story(there: GroupShop) -> None:
        _, li = await there.staff()
        ming = await there.customer()
        li.taps(there.card().message_id, "结案")
        await there.settle()
        ming.says("转人工")
        await there.settle()
        assert there.card("HY-1002").topic == there.card("HY-1001").topic
        assert len(there.group.topics()) == 1
        assert len(there.api.calls("createForumTopic")) == 1

    play(tmp_path, story)


def test_cases_that_were_open_before_the_group_was_connected_get_their_cards(tmp_path: Path) -> None:
    async def story(there: GroupShop) -> None:
        wang, zhao = await there.shop.customer(), await there.shop.customer("zhao")
        await wang.says("转人工")
        await zhao.says("转人工")
        li = await there.shop.staff()
        await there.shop.staff_desk.close_case("HY-1002", li, "")
        assert there.texts() == []
        await there.settle()
        assert [text.split()[1] for text in there.texts()] == ["HY-1001"]

    play(tmp_path, story)


def test_what_the_console_does_shows_in_the_group(tmp_path: Path) -> None:
    async def story(there: GroupShop) -> None:
        li, _ = await there.staff()
        wu = await there.shop.staff("wu", Role.AGENT, "小吴")
        ming = await there.customer()
        desk = there.shop.staff_desk
        await desk.reply("HY-1001", li, "请稍等", "console-1")
        await there.settle()
        await there.later(3)
        assert there.texts()[-1] == "小李（控制台）：请稍等"
        assert ming.sees(by_bot=True)[-1].text == "请稍等"
        assert "小李 处理中" in there.card().text
        await desk.add_note("HY-1001", li, "老客户")
        await there.later(20)
        assert "备注 1 条" in there.card().text
        await desk.hand_over("HY-1001", li, wu.id)
        await there.settle()
        assert "小吴 处理中" in there.card().text
        await desk.close_case("HY-1001", wu, "解决")
        await there.settle()
        assert "已结案" in there.card().text
        assert there.card().labels == []

    play(tmp_path, story)
