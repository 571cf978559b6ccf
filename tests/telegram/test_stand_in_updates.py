"""The stand-in for Telegram: how updates wait, are confirmed, redelivered, overtaken and lost."""

from __future__ import annotations

import asyncio
import json
import time

from telegram_api import TelegramApi
from telegram_api.plain_bot import PlainBot, play


def test_updates_come_again_until_they_are_confirmed() -> None:
    async def story(api: TelegramApi, bot: PlainBot) -> None:
        xiaoming = api.user(5)
        for number in range(5):
            xiaoming.says(str(number))
        first = await bot.updates()
        assert [update["message"]["text"] for update in first] == list("01234")
        assert len(await bot.updates()) == 1, "the same offset again at once gets one only"
        api.clock.turn(1)
        assert await bot.updates() == first
        rest = await bot.updates(first[1]["update_id"] + 1, limit=2)
        assert [update["message"]["text"] for update in rest] == ["2", "3"]
        assert api.pending() == [update["update_id"] for update in first[2:]]
        last = await bot.updates(-1)
        assert [update["message"]["text"] for update in last] == ["4"]
        assert len(api.pending()) == 1, "a negative offset forgets what is before"
        assert await bot.updates(last[0]["update_id"] + 1) == []
        assert api.pending() == []

    play(story)


def test_a_long_poll_waits_and_is_woken() -> None:
    async def story(api: TelegramApi, bot: PlainBot) -> None:
        begun = time.monotonic()
        assert await bot.updates(timeout=1) == []
        assert 0.9 < time.monotonic() - begun < 5

        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(bot.updates(timeout=30))
            await api.until(lambda: len(api.calls("getUpdates")) == 2)
            api.user(5).says("早")
        assert waiting.result()[0]["message"]["text"] == "早"

    play(story)


def test_the_second_poller_ends_the_first() -> None:
    async def story(api: TelegramApi, bot: PlainBot) -> None:
        async with asyncio.TaskGroup() as tasks:
            first = tasks.create_task(bot("getUpdates", timeout=30))
            await api.until(lambda: len(api.calls("getUpdates")) == 1)
            second = tasks.create_task(bot.updates(timeout=30))
            words = (await first)["description"]
            api.user(5).says("我在")
        assert words == (
            "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
        )
        assert second.result()[0]["message"]["text"] == "我在"
        assert [call.status for call in api.calls("getUpdates")] == [409, 200]

    play(story)


def test_who_hangs_up_leaves_no_poll_behind() -> None:
    async def story(api: TelegramApi, bot: PlainBot) -> None:
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(bot.updates(timeout=30))
            await api.until(lambda: len(api.calls("getUpdates")) == 1)
            waiting.cancel()
        await api.until(lambda: not api.door.connections)
        api.user(5).says("还在吗")
        assert len(await bot.updates(timeout=30)) == 1

    play(story)


def test_messages_live_a_day_and_taps_150_seconds() -> None:
    async def story(api: TelegramApi, bot: PlainBot) -> None:
        xiaoming = api.user(5)
        xiaoming.starts()
        buttons = {"inline_keyboard": [[{"text": "5 分", "callback_data": "5"}]]}
        xiaoming.taps(await bot.say(5, "几分?", reply_markup=buttons), "5 分")
        assert len(api.pending()) == 2
        api.clock.turn(151)
        assert ["message" in update for update in await bot.updates()] == [True]
        api.clock.turn(24 * 3600 - 100)
        assert await bot.updates() == []

    play(story)


def test_a_bot_gets_what_it_asked_for() -> None:
    async def story(api: TelegramApi, bot: PlainBot) -> None:
        xiaoming = api.user(5)
        first = xiaoming.starts()
        xiaoming.reacts(first, "👍")  # Not by default.
        await bot.updates(allowed_updates=["edited_message"])
        xiaoming.says("不要")
        xiaoming.edits(first, "/start x")
        assert api.push("future_thing", {"x": 1}) is None
        api.clock.turn(1)
        await bot.updates(allowed_updates=[])
        assert api.push("future_thing", {"x": 1}) is not None
        api.clock.turn(1)
        kinds = [next(key for key in update if key != "update_id") for update in await bot.updates()]
        assert kinds == ["message", "edited_message", "future_thing"]

    play(story)


def test_taps_and_messages_overtake_each_other() -> None:
    async def story(api: TelegramApi, bot: PlainBot) -> None:
        xiaoming = api.user(5)
        xiaoming.starts()
        buttons = {"inline_keyboard": [[{"text": "好", "callback_data": "1"}]]}
        message = await bot.say(5, "?", reply_markup=buttons)
        api.hold_messages(5)
        xiaoming.says("先说的")
        xiaoming.says("再说的")
        xiaoming.taps(message, "好")
        api.release_messages(5)
        api.hold_taps(5)
        xiaoming.taps(message, "好")
        xiaoming.says("最后说的")
        api.release_taps(5)
        seen = [update.get("message", {}).get("text", "tap") for update in await bot.updates()]
        assert seen == ["/start", "tap", "先说的", "再说的", "最后说的", "tap"]

    play(story)


def test_numbers_begin_anew_after_a_quiet_week() -> None:
    async def story(api: TelegramApi, bot: PlainBot) -> None:
        xiaoming = api.user(5)
        xiaoming.says("上周")
        last = (await bot.updates())[0]["update_id"]
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(bot.updates(last + 1, timeout=30))
            await api.until(lambda: not api.pending())
            assert api.restart_ids(1000) == 1000
            xiaoming.says("这周")
        update = waiting.result()[0]
        assert (update["update_id"], update["message"]["text"]) == (1000, "这周")
        assert await bot.updates(last + 1) == [update], "an offset of before confirms nothing"
        assert await bot.updates(1001) == []

    play(story)


def test_updates_may_come_twice_or_shuffled_and_be_anything() -> None:
    async def story(api: TelegramApi, bot: PlainBot) -> None:
        xiaoming = api.user(5)
        for number in range(20):
            xiaoming.says(str(number))
        numbers = api.pending()
        assert len(await bot.updates(numbers[-1] + 1)) == 0
        api.deliver_again(numbers[3])
        api.deliver_again(numbers[3], changed=True)
        again = await bot.updates(numbers[-1] + 2, timeout=1)
        assert [update["update_id"] for update in again] == [numbers[3]] * 2
        assert again[0] == again[1]

        for number in range(20):
            xiaoming.says(str(number))
        api.shuffle(seed=1)
        texts = [update["message"]["text"] for update in await bot.updates()]
        assert texts != sorted(texts, key=int)
        assert sorted(texts, key=int) == [str(number) for number in range(20)]

        api.shuffle(None)
        await bot.updates(api.pending()[-1] + 1)
        api.push_raw('{"update_id":@ID,"message":"not an object"}')
        assert (await bot.updates())[0]["message"] == "not an object"
        api.push_raw(b'{"update_id":@ID,"message":{"text":"\xff')
        api.clock.turn(1)
        answer = await bot.client.post(f"{api.url}/bot{api.token}/getUpdates")
        assert b"\xff" in answer.content
        try:
            json.loads(answer.content)
        except ValueError:
            return
        raise AssertionError("the batch can be decoded")

    play(story)


def test_what_is_longer_than_64_kib_is_dropped() -> None:
    async def story(api: TelegramApi, bot: PlainBot) -> None:
        api.user(5).says("字" * 22_000)
        assert await bot.updates() == []
        assert api.updates.too_big[0][0] == "message"

    play(story)


def test_a_server_in_a_thread_tells_of_updates_at_once() -> None:
    with TelegramApi().in_thread() as api:

        async def wait() -> list[dict[str, object]]:
            async with PlainBot(api) as bot:
                api.clock.turn(5)
                async with asyncio.TaskGroup() as tasks:
                    waiting = tasks.create_task(bot.updates(timeout=30))
                    await api.until(lambda: api.calls("getUpdates"))
                    api.user(5).says("隔着线程")
                return waiting.result()

        assert len(asyncio.run(wait())) == 1
