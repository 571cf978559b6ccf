"""A bot without a staff group: taps are answered, and a group can ask for its number."""

from __future__ import annotations

from pathlib import Path

from shop import Shop, play

from bot.telegram.sender import CHAT_NUMBER
from desk import wording


def test_the_clock_on_a_pressed_button_ends(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        await customer.says("真是垃圾")
        await customer.presses(wording.OFFER_NO)
        assert [notice["text"] for notice in customer.user.notices()] == [""]

    play(tmp_path, story, channel="telegram")


def test_a_tap_that_is_answered_too_late_is_no_dead_letter(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        api = shop.telegram.api
        customer = await shop.customer()
        await customer.says("真是垃圾")
        api.fail(
            "error",
            "answerCallbackQuery",
            code=400,
            description="Bad Request: query is too old and response timeout expired or query ID is invalid",
        )
        assert await customer.presses(wording.OFFER_NO) == [wording.OFFER_DECLINED]
        assert len(api.calls("answerCallbackQuery")) == 1
        assert await shop.run(lambda unit: unit.dead_letters.count()) == 0

    play(tmp_path, story, channel="telegram")


def test_a_group_is_told_its_number_when_somebody_asks(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        api = shop.telegram.api
        group = api.group(-1001, forum=False, admin=False)
        owner = group.member(api.user(9, "老板"))
        owner.says("/chatid")
        owner.says("/chatid@huiyin_test_bot")
        owner.says("/chatids")
        await shop.settle()
        assert [seen.text for seen in group.sees(by_bot=True)] == [CHAT_NUMBER.format(chat=-1001)] * 2

    play(tmp_path, story, channel="telegram")
