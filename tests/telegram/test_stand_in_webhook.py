"""The stand-in for Telegram: webhooks, their retries and what getWebhookInfo says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

from telegram_api import TelegramApi
from telegram_api.http_door import Answer
from telegram_api.plain_bot import PlainBot, Receiver, play


def play_with_receiver(story: Callable[[TelegramApi, PlainBot, Receiver], Awaitable[None]]) -> None:
    """Plays a story in which the webhook has a far end."""

    async def run(api: TelegramApi, bot: PlainBot) -> None:
        async with Receiver() as far:
            await story(api, bot, far)
            await bot("deleteWebhook")

    play(run)


def test_a_webhook_gets_each_update_once_with_the_secret() -> None:
    async def story(api: TelegramApi, bot: PlainBot, far: Receiver) -> None:
        xiaoming = api.user(5)
        xiaoming.says("早于")
        body = await bot("setWebhook", url=far.url, secret_token="s-3_cret", max_connections=2)
        assert body == {"ok": True, "result": True, "description": "Webhook was set"}
        xiaoming.says("晚于")
        await api.until(lambda: len(far.bodies) == 2)
        assert far.texts == ["早于", "晚于"]
        assert {headers["x-telegram-bot-api-secret-token"] for headers in far.headers} == {"s-3_cret"}
        await api.until(lambda: not api.pending())
        info = await bot.result("getWebhookInfo")
        assert info["pending_update_count"] == 0
        assert (info["url"], info["max_connections"], "last_error_date" in info) == (far.url, 2, False)

        assert await bot.refusal("getUpdates") == (
            409,
            "Conflict: can't use getUpdates method while webhook is active;"
            " use deleteWebhook to delete the webhook first",
        )
        assert (await bot("deleteWebhook"))["description"] == "Webhook was deleted"
        xiaoming.says("之后")
        assert len(await bot.updates()) == 1

    play_with_receiver(story)


def test_what_set_webhook_refuses() -> None:
    async def story(api: TelegramApi, bot: PlainBot, far: Receiver) -> None:
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(bot.refusal("getUpdates", timeout=30))
            await api.until(lambda: len(api.calls("getUpdates")) == 1)
            await bot.result("setWebhook", url=far.url)
        assert waiting.result() == (409, "Conflict: terminated by setWebhook request")
        code, words = await bot.refusal("setWebhook", url=far.url)
        assert (code, words) == (429, "Too Many Requests: retry after 1")
        api.clock.turn(1.1)
        assert (await bot("setWebhook", url=far.url))["description"] == "Webhook is already set"
        api.clock.turn(1.1)
        wrong = await bot.refusal("setWebhook", url=far.url, secret_token="ключ")
        assert wrong == (400, "Bad Request: secret token contains unallowed characters")
        api.plain_webhooks = False
        api.clock.turn(1.1)
        plain = await bot.refusal("setWebhook", url=far.url)
        assert plain == (400, "Bad Request: bad webhook: An HTTPS URL must be provided for webhook")

    play_with_receiver(story)


def test_pending_updates_can_be_dropped() -> None:
    async def story(api: TelegramApi, bot: PlainBot, far: Receiver) -> None:
        api.user(5).says("没了")
        await bot.result("setWebhook", url=far.url, drop_pending_updates=True)
        api.user(5).says("还有")
        await api.until(lambda: far.bodies)
        assert far.texts == ["还有"]

    play_with_receiver(story)


def test_a_failed_update_is_tried_again_and_blocks_its_chat_only() -> None:
    async def story(api: TelegramApi, bot: PlainBot, far: Receiver) -> None:
        api.webhook.hurry = 20.0
        bad = {"left": 5}

        def answers(update: dict[str, Any]) -> Answer:
            if update["message"]["text"] == "坏的" and bad["left"]:
                bad["left"] -= 1
                return Answer(b"", 500)
            return Answer(b"{}")

        far.answers = answers
        await bot.result("setWebhook", url=far.url)
        api.user(5).says("坏的")
        api.user(5).says("等着")
        api.user(6).says("别人")
        await api.until(lambda: "等着" in far.texts)
        assert far.texts.index("别人") < far.texts.index("等着")
        assert far.texts.count("坏的") == 6
        tries = [one for one in api.deliveries() if one.lane == ("chat", 5)][:6]
        waits = [(after.at - before.at) * 20 for before, after in pairwise(tries)]
        assert [wait >= least for wait, least in zip(waits[1:], (2, 4, 8, 16), strict=True)] == [True] * 4
        info = await bot.result("getWebhookInfo")
        assert info["last_error_message"] == "Wrong response from the webhook: 500 Internal Server Error"
        assert abs(info["last_error_date"] - api.clock.wall()) < 10

    play_with_receiver(story)


def test_retry_after_is_honoured() -> None:
    async def story(api: TelegramApi, bot: PlainBot, far: Receiver) -> None:
        answers = [Answer(b"", 503, headers={"Retry-After": "600"})]
        far.answers = lambda update: answers.pop() if answers else Answer(b"{}")
        await bot.result("setWebhook", url=far.url)
        api.user(5).says("忙吗")
        await api.until(lambda: api.deliveries() and api.deliveries()[0].error)
        assert (await bot.result("getWebhookInfo"))["pending_update_count"] == 1
        api.clock.turn(590)
        await asyncio.sleep(0.05)
        assert len(far.bodies) == 1
        api.clock.turn(10)
        await api.until(lambda: len(far.bodies) == 2)

    play_with_receiver(story)


def test_nobody_at_the_far_end_loses_nothing_for_a_day() -> None:
    async def story(api: TelegramApi, bot: PlainBot, far: Receiver) -> None:
        await bot.result("setWebhook", url=far.url)
        far.door.refuse()
        api.webhook.hurry = 0.0001  # Only the first retry, which is at once, comes in the time of this test.
        api.user(5).says("喂")
        await api.until(lambda: len(api.deliveries()) >= 2)
        assert (await bot.result("getWebhookInfo"))["last_error_message"] == "Connection refused"
        far.door.listen()
        api.clock.turn(20_000)
        await api.until(lambda: far.bodies)
        far.answers = lambda update: Answer(b"", 302)
        api.user(5).says("过期")
        await api.until(lambda: len(far.bodies) >= 3)
        api.clock.turn(24 * 3600 + 1)
        await api.until(lambda: not api.pending())

    play_with_receiver(story)


def test_a_webhook_that_is_gone_is_removed_after_23_hours() -> None:
    async def story(api: TelegramApi, bot: PlainBot, far: Receiver) -> None:
        far.answers = lambda update: Answer(b"", 410)
        await bot.result("setWebhook", url=far.url)
        api.user(5).says("在吗")
        await api.until(lambda: len(api.deliveries()) >= 2)
        api.clock.turn(23 * 3600 + 1)
        await api.until(lambda: not api.webhook.active)
        assert (await bot.result("getWebhookInfo"))["url"] == ""
        assert len(await bot.updates()) == 1

    play_with_receiver(story)


def test_taps_have_a_lane_of_their_own() -> None:
    async def story(api: TelegramApi, bot: PlainBot, far: Receiver) -> None:
        xiaoming = api.user(5)
        xiaoming.starts()
        message = await bot.say(
            5, "?", reply_markup={"inline_keyboard": [[{"text": "好", "callback_data": "1"}]]}
        )
        await bot.updates(api.pending()[-1] + 1)
        far.answers = lambda update: Answer(b"", 500 if "message" in update else 200)
        await bot.result("setWebhook", url=far.url)
        xiaoming.says("堵住")
        xiaoming.taps(message, "好")
        await api.until(lambda: any("callback_query" in body for body in far.bodies))
        assert len(api.pending()) == 1

    play_with_receiver(story)


def test_a_method_in_the_answer_is_carried_out() -> None:
    async def story(api: TelegramApi, bot: PlainBot, far: Receiver) -> None:
        far.answers = lambda update: Answer('{"method":"sendMessage","chat_id":5,"text":"收到"}'.encode())
        await bot.result("setWebhook", url=far.url)
        api.user(5).says("喂")
        await api.until(lambda: [seen.text for seen in api.user(5).sees(by_bot=True)] == ["收到"])

    play_with_receiver(story)


def test_updates_may_come_twice_or_shuffled() -> None:
    async def story(api: TelegramApi, bot: PlainBot, far: Receiver) -> None:
        await bot.result("setWebhook", url=far.url)
        api.user(5).says("一")
        await api.until(lambda: far.bodies and not api.pending())
        api.deliver_again(far.bodies[0]["update_id"])
        await api.until(lambda: len(far.bodies) == 2)
        assert far.bodies[0] == far.bodies[1]

        api.shuffle(seed=2)
        held = [Answer(b"", 500, delay=0.2)]
        far.answers = lambda update: held.pop() if held else Answer(b"{}")
        for text in "二三四":
            api.user(5).says(text)
        await api.until(lambda: not api.pending())
        assert sorted(far.texts[2:]) == sorted("二二三四")
        assert far.texts[-1] == "二"

    play_with_receiver(story)
