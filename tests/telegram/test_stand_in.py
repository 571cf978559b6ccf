"""The stand-in for Telegram: who may be written to, texts, buttons and edits, in Telegram's words."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from telegram_api import TelegramApi
from telegram_api.plain_bot import PlainBot, play

BUTTONS = {
    "inline_keyboard": [
        [{"text": "好", "callback_data": "r:5"}, {"text": "店铺", "url": "https://shop.example"}]
    ]
}


def test_a_bot_writes_only_to_those_who_started_it() -> None:
    async def story(api: TelegramApi, bot: PlainBot) -> None:
        xiaoming = api.user(5, "小明")
        hello = {"chat_id": 5, "text": "你好"}

        assert await bot.refusal("sendMessage", chat_id=6, text="?") == (400, "Bad Request: chat not found")
        assert await bot.refusal("sendMessage", **hello) == (
            403,
            "Forbidden: bot can't initiate conversation with a user",
        )
        xiaoming.starts("order-7")
        await bot.result("sendMessage", **hello)
        assert [seen.text for seen in xiaoming.sees()] == ["/start order-7", "你好"]

        xiaoming.blocks()
        assert await bot.refusal("sendMessage", **hello) == (403, "Forbidden: bot was blocked by the user")
        xiaoming.unblocks()
        await bot.result("sendMessage", **hello)
        statuses = [one["my_chat_member"]["new_chat_member"]["status"] for one in (await bot.updates())[1:]]
        assert statuses == ["kicked", "member"]

        xiaoming.deletes_account()
        assert await bot.refusal("sendMessage", **hello) == (403, "Forbidden: user is deactivated")

    play(story)


def test_a_wrong_token_and_an_unknown_method_are_refused() -> None:
    async def story(api: TelegramApi, bot: PlainBot) -> None:
        assert (await bot.result("GETME"))["username"] == "huiyin_test_bot"
        assert await bot.refusal("sendTelepathy") == (404, "Not Found")
        old, new = api.token, "7000000001:BBanother"
        api.revoke_token(new)
        async with httpx.AsyncClient(base_url=api.url) as client:
            refused = await client.get(f"/bot{old}/getMe")
            assert (refused.status_code, refused.json()["description"]) == (401, "Unauthorized")
            assert (await client.get(f"/bot{new}/getMe")).json()["ok"]
        assert [call.method for call in api.calls("getme")] == ["getMe"] * 3

    play(story)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"text": ""}, "Bad Request: message text is empty"),
        ({"text": " \n\u200b"}, "Bad Request: message text is empty"),
        ({"text": "字" * 4097}, "Bad Request: message is too long"),
        ({"text": "😀" * 2049}, "Bad Request: message is too long"),
        (
            {"text": "<b>hi", "parse_mode": "HTML"},
            "Bad Request: can't parse entities: Can't find end tag corresponding to start tag \"b\"",
        ),
        (
            {"text": "小 <小明>", "parse_mode": "HTML"},
            'Bad Request: can\'t parse entities: Unsupported start tag "小明" at byte offset 4',
        ),
        (
            {"text": "<b><i>x</b></i>", "parse_mode": "html"},
            'Bad Request: can\'t parse entities: Unmatched end tag at byte offset 7, expected "</i>", found "</b>"',
        ),
        (
            {"text": "a <b", "parse_mode": "HTML"},
            "Bad Request: can't parse entities: Unclosed start tag at byte offset 2",
        ),
        (
            {"text": "x</b>", "parse_mode": "HTML"},
            "Bad Request: can't parse entities: Unexpected end tag at byte offset 1",
        ),
        (
            {"text": "1. 好", "parse_mode": "MarkdownV2"},
            "Bad Request: can't parse entities: Character '.' is reserved and must be escaped with the preceding '\\'",
        ),
        (
            {"text": "*好", "parse_mode": "MarkdownV2"},
            "Bad Request: can't parse entities: Can't find end of Bold entity at byte offset 0",
        ),
        ({"text": "x", "parse_mode": "BBCode"}, "Bad Request: unsupported parse_mode"),
        (
            {"text": "hello", "entities": [{"type": "bold", "offset": 0, "length": 100}]},
            "Bad Request: entity beginning at UTF-16 offset 0 ends after the end of the text at UTF-16 offset 100",
        ),
        (
            {"text": "hello", "entities": [{"type": "bold", "offset": -1, "length": 1}]},
            "Bad Request: receive an entity with incorrect offset -1",
        ),
        (
            {"text": "hello", "entities": [{"type": "glitter", "offset": 0, "length": 1}]},
            "Bad Request: can't parse MessageEntity: Unsupported type specified",
        ),
        (
            {"text": "😀", "entities": [{"type": "bold", "offset": 1, "length": 1}]},
            "Bad Request: entity begins in a middle of a UTF-16 symbol at byte offset 0",
        ),
        (
            {
                "text": "x",
                "reply_markup": {"inline_keyboard": [[{"text": "好", "callback_data": "字" * 22}]]},
            },
            "Bad Request: BUTTON_DATA_INVALID",
        ),
        (
            {"text": "x", "reply_markup": {"inline_keyboard": [[{"text": "好", "callback_data": ""}]]}},
            "Bad Request: BUTTON_DATA_INVALID",
        ),
        (
            {"text": "x", "reply_markup": {"inline_keyboard": [[{"text": "好"}]]}},
            "Bad Request: can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard",
        ),
        (
            {"text": "x", "reply_parameters": {"message_id": 99}},
            "Bad Request: message to be replied not found",
        ),
        ({"text": "x", "message_thread_id": 7}, "Bad Request: message thread not found"),
    ],
)
def test_what_a_message_may_not_be(params: dict[str, Any], words: str) -> None:
    async def story(api: TelegramApi, bot: PlainBot) -> None:
        api.user(5).starts()
        assert await bot.refusal("sendMessage", chat_id=5, **params) == (400, words)
        assert api.user(5).sees(by_bot=True) == []

    play(story)


def test_a_message_is_shown_as_it_was_meant() -> None:
    async def story(api: TelegramApi, bot: PlainBot) -> None:
        xiaoming = api.user(5)
        first = xiaoming.starts()
        api.limits.on = False
        await bot.say(5, " \n<b>订单</b> &lt;1&gt; <a href='https://a.example'>看</a>😀 ", parse_mode="HTML")
        await bot.say(5, r"*粗* _斜_ `x_y` \. ||藏|| [看](https://a.example)", parse_mode="MarkdownV2")
        bold = [{"type": "bold", "offset": 2, "length": 2}]
        await bot.say(
            5, "  ab  ", entities=bold, reply_markup=BUTTONS, reply_parameters={"message_id": first}
        )
        await bot.say(5, "字" * 4096)
        html, markdown, plain, _ = xiaoming.sees(by_bot=True)

        assert html.text == "订单 <1> 看😀"
        assert html.entities == [
            {"type": "bold", "offset": 0, "length": 2},
            {"type": "text_link", "offset": 7, "length": 1, "url": "https://a.example"},
        ]
        assert markdown.text == "粗 斜 x_y . 藏 看"
        assert [mark["type"] for mark in markdown.entities] == [
            "bold",
            "italic",
            "code",
            "spoiler",
            "text_link",
        ]
        assert (plain.text, plain.entities[0]["offset"], plain.reply_to) == ("ab", 0, first)
        assert (plain.labels, plain.button("好")["callback_data"]) == (["好", "店铺"], "r:5")

    play(story)


def test_parameters_may_come_in_any_form() -> None:
    async def story(api: TelegramApi, bot: PlainBot) -> None:
        xiaoming = api.user(5)
        xiaoming.starts()
        api.limits.on = False
        address = f"{api.url}/bot{api.token}/sendMessage"
        markup = json.dumps(BUTTONS)
        await bot.client.get(address, params={"chat_id": 5, "text": "问", "reply_markup": markup})
        await bot.client.post(address, data={"chat_id": 5, "text": "表", "reply_markup": markup})
        parts = {"chat_id": (None, "5"), "text": (None, "件"), "reply_markup": (None, markup)}
        await bot.client.post(address, files=parts)
        await bot.say(5, "J", reply_markup=BUTTONS)
        assert [(seen.text, seen.labels) for seen in xiaoming.sees(by_bot=True)] == [
            (text, ["好", "店铺"]) for text in "问表件J"
        ]
        assert all(call.params["chat_id"] == 5 for call in api.calls("sendMessage"))
        lone = await bot.client.post(
            address,
            content=b'{"chat_id": 5, "text": "\\ud83d"}',
            headers={"content-type": "application/json"},
        )
        assert lone.json()["description"] == "Bad Request: strings must be encoded in UTF-8"

    play(story)


def test_edits_and_deletions() -> None:
    async def story(api: TelegramApi, bot: PlainBot) -> None:
        xiaoming = api.user(5)
        theirs = xiaoming.starts()
        api.limits.on = False
        mine = await bot.say(5, "旧", reply_markup=BUTTONS)
        await bot.result("editMessageText", chat_id=5, message_id=mine, text="新", reply_markup=BUTTONS)
        code, words = await bot.refusal(
            "editMessageText", chat_id=5, message_id=mine, text="新", reply_markup=BUTTONS
        )
        assert (code, words[:41]) == (400, "Bad Request: message is not modified: spe")
        await bot.result("editMessageReplyMarkup", chat_id=5, message_id=mine)
        seen = xiaoming.sees(by_bot=True)[0]
        assert (seen.text, seen.edited, seen.labels) == ("新", True, [])

        edit = {"chat_id": 5, "text": "x"}
        assert (await bot.refusal("editMessageText", message_id=theirs, **edit))[
            1
        ] == "Bad Request: message can't be edited"
        assert (await bot.refusal("editMessageText", message_id=99, **edit))[
            1
        ] == "Bad Request: message to edit not found"
        await bot.result("deleteMessage", chat_id=5, message_id=mine)
        assert (await bot.refusal("deleteMessage", chat_id=5, message_id=mine))[
            1
        ] == "Bad Request: message to delete not found"
        assert xiaoming.sees(by_bot=True) == []
        old = await bot.say(5, "alt")
        api.clock.turn(49 * 3600)
        assert (await bot.refusal("deleteMessage", chat_id=5, message_id=old))[0] == 400

    play(story)


def test_taps_are_answered_within_150_seconds() -> None:
    async def story(api: TelegramApi, bot: PlainBot) -> None:
        xiaoming = api.user(5)
        xiaoming.starts()
        message = await bot.say(5, "满意吗?", reply_markup=BUTTONS)
        xiaoming.taps(message, "好")
        xiaoming.taps(message, data="forged")
        taps = [update["callback_query"] for update in (await bot.updates())[1:]]
        assert [(tap["data"], tap["from"]["id"], tap["message"]["message_id"]) for tap in taps] == [
            ("r:5", 5, message),
            ("forged", 5, message),
        ]
        await bot.result("answerCallbackQuery", callback_query_id=taps[0]["id"], text="谢谢", show_alert=True)
        assert [(notice["text"], notice["show_alert"]) for notice in xiaoming.notices()] == [("谢谢", True)]
        too_old = (400, "Bad Request: query is too old and response timeout expired or query ID is invalid")
        assert await bot.refusal("answerCallbackQuery", callback_query_id="12") == too_old
        api.clock.turn(151)
        assert await bot.refusal("answerCallbackQuery", callback_query_id=taps[1]["id"]) == too_old

    play(story)


def test_the_menu_and_the_small_print() -> None:
    async def story(api: TelegramApi, bot: PlainBot) -> None:
        xiaoming = api.user(5, "小明")
        xiaoming.starts()
        commands = [{"command": "human", "description": "转人工"}]
        await bot.result("setMyCommands", commands=commands)
        assert api.world.commands == commands
        bad_name = [{"command": "转人工", "description": "x"}]
        assert (await bot.refusal("setMyCommands", commands=bad_name))[
            1
        ] == "Bad Request: BOT_COMMAND_INVALID"
        await bot.result("sendChatAction", chat_id=5, action="typing")
        assert (await bot.result("getChat", chat_id=5))["first_name"] == "小明"
        await bot.say(5, "选", reply_markup={"keyboard": [["1", "2"]]})
        assert (xiaoming.keyboard() or {})["keyboard"] == [[{"text": "1"}, {"text": "2"}]]
        await bot.say(5, "好", reply_markup={"remove_keyboard": True})
        assert xiaoming.keyboard() is None

    play(story)
