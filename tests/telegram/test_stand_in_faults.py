"""The stand-in for Telegram: limits, faults on order, and what is written down of every call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest
from telegram_api import TelegramApi, TelegramProcess
from telegram_api.plain_bot import PlainBot, play

STAFF = -1001234567890


def test_a_private_chat_takes_three_at_once_and_then_one_a_second() -> None:
    async def story(api: TelegramApi, bot: PlainBot) -> None:
        xiaoming = api.user(5)
        xiaoming.starts()
        for number in range(3):
            await bot.say(5, str(number))
        body = await bot("sendMessage", chat_id=5, text="3")
        assert body == {
            "ok": False,
            "error_code": 429,
            "description": "Too Many Requests: retry after 1",
            "parameters": {"retry_after": 1},
        }
        assert api.early_calls() == []
        await bot("sendMessage", chat_id=5, text="too early")
        assert [call.params["text"] for call in api.early_calls()] == ["too early"]
        await bot.result("sendChatAction", chat_id=5, action="typing")
        api.user(6).starts()
        await bot.say(6, "others may go on")
        api.clock.turn(1.1)
        await bot.say(5, "4")
        assert await bot.refusal("sendMessage", chat_id=5, text="5") == (
            429,
            "Too Many Requests: retry after 1",
        )
        assert [seen.text for seen in xiaoming.sees(by_bot=True)] == ["0", "1", "2", "4"]
        waits = [call.retry_after for call in api.calls("sendMessage", chat=5)]
        assert [wait > 0 for wait in waits] == [False, False, False, True, True, False, True]

    play(story)


def test_a_group_takes_twenty_a_minute_topics_and_edits_included() -> None:
    async def story(api: TelegramApi, bot: PlainBot) -> None:
        api.group(STAFF, forum=True)
        await bot.result("createForumTopic", chat_id=STAFF, name="一")
        last = 0
        for number in range(18):
            last = await bot.say(STAFF, str(number))
        await bot.result("editMessageText", chat_id=STAFF, message_id=last, text="改")
        api.clock.turn(29)
        code, words = await bot.refusal("sendMessage", chat_id=STAFF, text="?")
        assert code == 429
        wait = int(words.removeprefix("Too Many Requests: retry after "))
        assert 20 < wait <= 31
        api.clock.turn(wait - 5)
        assert (await bot.refusal("sendMessage", chat_id=STAFF, text="?"))[0] == 429
        api.clock.turn(5.1)
        await bot.say(STAFF, "好了")

    play(story)


def test_a_bot_sends_thirty_a_second() -> None:
    async def story(api: TelegramApi, bot: PlainBot) -> None:
        api.limits.overall_per_second = 10
        for user_id in range(1, 30):
            api.user(user_id).starts()
        answers = [await bot("sendMessage", chat_id=user_id, text="群发") for user_id in range(1, 30)]
        codes = [answer.get("error_code", 200) for answer in answers[:11]]
        assert codes == [200] * 10 + [429]
        api.clock.turn(1.1)
        api.limits.speed = 1000.0
        api.limits.forget()
        for number in range(20):
            await bot.say(29, f"快一千倍 {number}")

    play(story)


@pytest.mark.parametrize(
    ("kind", "options", "code", "description"),
    [
        ("status", {"code": 500}, 500, "Internal Server Error"),
        ("flood", {"retry_after": 7}, 429, "Too Many Requests: retry after 7"),
        (
            "error",
            {"code": 403, "description": "bot was blocked by the user"},
            403,
            "Forbidden: bot was blocked by the user",
        ),
        ("error", {"code": 401, "description": "Unauthorized"}, 401, "Unauthorized"),
    ],
)
def test_answers_on_order(kind: str, options: dict[str, object], code: int, description: str) -> None:
    async def story(api: TelegramApi, bot: PlainBot) -> None:
        api.user(5).starts()
        api.user(6).starts()
        api.fail(kind, "sendMessage", chat=5, times=2, **options)
        await bot.say(6, "not meant")
        assert await bot.refusal("sendMessage", chat_id=5, text="x") == (code, description)
        assert await bot.refusal("sendMessage", chat_id=5, text="x") == (code, description)
        api.clock.turn(10)
        await bot.say(5, "again")
        assert [seen.text for seen in api.user(5).sees(by_bot=True)] == ["again"]
        assert [call.fault for call in api.calls("sendMessage")] == ["", kind, kind, ""]
        # The second of them came although the first had said to wait.
        assert len(api.early_calls()) == (kind == "flood")

    play(story)


async def _lost(bot: PlainBot, *errors: type[Exception]) -> None:
    with pytest.raises(errors):
        await bot("sendMessage", chat_id=5, text="x")


def _with_xiaoming(story: Callable[[TelegramApi, PlainBot], Awaitable[None]]) -> None:
    async def run(api: TelegramApi, bot: PlainBot) -> None:
        api.user(5).starts()
        api.limits.on = False
        await story(api, bot)

    play(run)


def test_answers_that_are_no_answers() -> None:
    async def story(api: TelegramApi, bot: PlainBot) -> None:
        address = f"{api.url}/bot{api.token}/sendMessage"
        message = {"chat_id": 5, "text": "x"}
        api.fail("status", code=502)
        page = await bot.client.post(address, json=message)
        assert (page.status_code, page.headers["content-type"]) == (502, "text/html")
        api.fail("html")
        page = await bot.client.post(address, json=message)
        assert (page.status_code, page.text[:6]) == (200, "<html>")
        api.fail("not_ok")
        assert (await bot.client.post(address, json=message)).json()["ok"] is False
        api.fail("status", code=504, executed=True)
        assert (await bot.client.post(address, json=message)).status_code == 504
        assert len(api.user(5).sees(by_bot=True)) == 1, "only the last one was carried out"
        api.fail("slow", seconds=0.3)
        assert (await bot.client.post(address, json=message)).elapsed.total_seconds() >= 0.3

    _with_xiaoming(story)


def test_a_lost_request_sends_nothing_and_a_lost_answer_was_sent() -> None:
    async def story(api: TelegramApi, bot: PlainBot) -> None:
        xiaoming = api.user(5)
        api.reset_connections()
        await _lost(bot, httpx.ReadError, httpx.RemoteProtocolError, httpx.WriteError)
        assert api.calls() == []
        api.fail("lost_request", "sendMessage")
        await _lost(bot, httpx.ReadError)
        assert (xiaoming.sees(by_bot=True), api.calls()[-1].executed) == ([], False)

        api.fail("lost_answer", "sendMessage")
        await _lost(bot, httpx.ReadError)
        api.fail("lost_answer", "sendMessage", how="close")
        await _lost(bot, httpx.RemoteProtocolError)
        api.fail("cut", "sendMessage")
        await _lost(bot, httpx.RemoteProtocolError)
        api.fail("hang", "sendMessage")
        bot.client.timeout = httpx.Timeout(0.3)
        await _lost(bot, httpx.ReadTimeout)
        assert len(xiaoming.sees(by_bot=True)) == 4
        assert [(call.executed, call.status) for call in api.calls()[1:]] == [(True, 0)] * 4

    _with_xiaoming(story)


def test_connections_are_refused_for_a_while() -> None:
    async def story(api: TelegramApi, bot: PlainBot) -> None:
        await bot.say(5, "vorher")
        api.refuse()
        for _ in range(2):
            await _lost(bot, httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError)
        await _lost(bot, httpx.ConnectError)
        api.listen()
        await bot.say(5, "nachher")
        assert len(api.calls("sendMessage")) == 2

    _with_xiaoming(story)


def test_a_lost_answer_to_get_updates_confirms_all_the_same() -> None:
    async def story(api: TelegramApi, bot: PlainBot) -> None:
        last = (await bot.updates())[-1]["update_id"]
        api.fail("lost_answer", "getUpdates")
        with pytest.raises(httpx.ReadError):
            await bot.updates(last + 1)
        assert api.pending() == []

    _with_xiaoming(story)


def test_the_server_runs_in_a_process_of_its_own() -> None:
    with TelegramProcess() as api:
        xiaoming = api.user(5, "小明")
        xiaoming.starts("order-7")
        api.limits.set(on=False)
        group = api.group(STAFF, forum=True)
        address = f"{api.url}/bot{api.token}/"
        updates = httpx.get(address + "getUpdates", trust_env=False).json()["result"]
        assert updates[0]["message"]["from"]["first_name"] == "小明"
        api.fail("lost_answer", "sendMessage", chat=5)
        with pytest.raises(httpx.HTTPError):
            httpx.post(address + "sendMessage", json={"chat_id": 5, "text": "在"}, trust_env=False)
        buttons = {"inline_keyboard": [[{"text": "好", "callback_data": "1"}]]}
        question = {"chat_id": 5, "text": "?", "reply_markup": buttons}
        httpx.post(address + "sendMessage", json=question, trust_env=False)
        seen = api.until(lambda: xiaoming.sees(by_bot=True))
        assert [(one.text, one.labels) for one in seen] == [("在", []), ("?", ["好"])]
        xiaoming.taps(seen[1].message_id, "好")
        group.member(xiaoming).sends_document("a.pdf", b"%PDF")
        assert len(api.pending()) == 3
        api.clock.turn(151)
        assert len(api.pending()) == 2
        assert api.calls("sendMessage")[0].fault == "lost_answer"
        with pytest.raises(RuntimeError, match="no button"):
            xiaoming.taps(seen[1].message_id, "坏")


def test_a_thread_serves_and_another_one_plays() -> None:
    with TelegramApi().in_thread() as api:
        xiaoming = api.user(5)
        xiaoming.starts()
        address = f"{api.url}/bot{api.token}/sendMessage"
        with httpx.Client(trust_env=False) as client:
            assert client.post(address, json={"chat_id": 5, "text": "你好"}).json()["ok"]
            api.refuse()
            with pytest.raises(httpx.HTTPError):
                client.post(address, json={"chat_id": 5, "text": "?"})
            api.listen()
            assert client.post(address, json={"chat_id": 5, "text": "又好了"}).json()["ok"]
        assert [seen.text for seen in xiaoming.sees(by_bot=True)] == ["你好", "又好了"]


def test_a_fault_of_the_stand_in_itself_is_not_hidden() -> None:
    async def run() -> None:
        async with TelegramApi() as api, PlainBot(api) as bot:
            api.user(5).starts()
            api.world.number = None  # type: ignore[method-assign, assignment]
            await bot.client.post(f"{api.url}/bot{api.token}/sendMessage", json={"chat_id": 5, "text": "x"})

    with pytest.raises(AssertionError, match="the stand-in is broken"):
        asyncio.run(run())
