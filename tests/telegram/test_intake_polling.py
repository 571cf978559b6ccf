"""Updates come in by polling: stored before they are confirmed, whatever happens in between."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from aiogram import Bot
from aiogram.exceptions import TelegramConflictError
from intake_rig import QUICK, TelegramShop, play
from telegram_api import TelegramApi

from bot.telegram.poller import PollerTimes
from bot.telegram.session import make_bot


def test_what_customers_write_is_stored_answered_and_then_confirmed(tmp_path: Path) -> None:
    async def story(telegram: TelegramShop) -> None:
        xiaoming = telegram.api.user(5, "小明")
        xiaoming.starts()
        xiaoming.says("什么时候发货")
        await telegram.hears()
        assert await telegram.said(5) == ["/start", "什么时候发货"]
        assert len(await telegram.answers(5)) == 2
        assert {state for _, state in await telegram.items()} == {"done"}
        asked = telegram.api.calls("getUpdates")[0].params
        assert asked["allowed_updates"] == ["message", "edited_message", "callback_query", "my_chat_member"]

    play(tmp_path, story)


def test_nothing_is_confirmed_that_is_not_stored_when_the_process_dies_in_between(tmp_path: Path) -> None:
    async def story(telegram: TelegramShop) -> None:
        xiaoming = telegram.api.user(5)
        chance = random.Random(7)
        for round_number in range(12):
            for number in range(5):
                xiaoming.says(f"{round_number}.{number}")
            poller = telegram.poller()
            dying = asyncio.timeout(chance.uniform(0.001, 0.03))
            try:
                async with dying:
                    await poller.run(lambda: False)
            except TimeoutError:
                pass
            # Whatever Telegram has forgotten by now is on our disk.
            kept = {key for key, _ in await telegram.items()}
            forgotten = set(telegram.api.updates.history) - set(telegram.api.pending())
            assert {str(update_id) for update_id in forgotten} <= kept
        await telegram.hears()
        assert await telegram.said(5) == [f"{a}.{b}" for a in range(12) for b in range(5)]

    play(tmp_path, story)


def test_duplicates_and_shuffles_change_nothing(tmp_path: Path) -> None:
    async def story(telegram: TelegramShop) -> None:
        api, xiaoming = telegram.api, telegram.api.user(5)
        for number in range(8):
            xiaoming.says(f"第 {number} 句")
        await telegram.hears()
        before = await telegram.lines(5)
        for update_id in list(api.updates.history):
            api.deliver_again(update_id)
            api.deliver_again(update_id, changed=True)
        api.shuffle(3)
        for number in range(8):
            api.user(6 + number).says("在吗")
        await telegram.hears()
        assert await telegram.lines(5) == before
        assert [await telegram.said(6 + number) for number in range(8)] == [["在吗"]] * 8

    play(tmp_path, story)


@pytest.mark.parametrize("first", [1000, 2_000_000_000])
def test_numbers_that_begin_anew_lose_and_stop_nothing(tmp_path: Path, first: int) -> None:
    async def story(telegram: TelegramShop) -> None:
        xiaoming = telegram.api.user(5)
        xiaoming.says("上周")
        await telegram.hears()
        telegram.api.restart_ids(first)
        for number in range(3):
            xiaoming.says(f"这周 {number}")
        await telegram.hears()
        assert await telegram.said(5) == ["上周", "这周 0", "这周 1", "这周 2"]
        # The same number again with another body, many quiet weeks later.
        telegram.api.restart_ids(first + 5_000_000)
        xiaoming.says("那周")
        await telegram.hears()
        telegram.api.restart_ids(first)
        xiaoming.says("下周")
        await telegram.hears()
        assert (await telegram.said(5))[-1] == "下周"
        assert await telegram.dead() == []

    play(tmp_path, story)


POISON = {
    "not JSON": b'{"update_id":@ID,"message":{"text":"x',
    "not UTF-8": b'{"update_id":@ID,"message":{"text":"\xd6\xd0"}}',
    "without a number": b"\xff\xfe{{{",
    "a nesting bomb": b'{"update_id":@ID,"message":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "a nesting bomb without a number": b"[" * 20_000 + b"]" * 20_000,
    "a huge number": b'{"update_id":@ID,"message":' + b"9" * 5000 + b"}",
    "no object": b'"hello"',
    "null": b"null",
    "an object without a number": b'{"message":{"text":"x"}}',
    "a number that is none": b'{"update_id":"12","message":{}}',
    "another update's number": b'{"update_id":5,"message":',
    "a well-formed lie": b'{"update_id":5,"future_thing":{}}',
    "far too high a number": b'{"update_id":99999999999999999999999,"message":{}}',
}


@pytest.mark.parametrize("name", list(POISON))
@pytest.mark.parametrize("place", ["first", "between", "last"])
def test_a_poisoned_batch_loses_nothing_and_stops_nothing(tmp_path: Path, name: str, place: str) -> None:
    async def story(telegram: TelegramShop) -> None:
        api, xiaoming = telegram.api, telegram.api.user(5)
        if place != "first":
            xiaoming.says("先说的")
        if place == "last":
            await telegram.hears()
        api.push_raw(POISON[name])
        if place == "between":
            xiaoming.says("后说的")
        if place == "first":
            # The very first thing that a new bot hears, with no offset to go by.
            await telegram.polls(lambda: len(api.calls("getUpdates")) > 3)
            xiaoming.says("后说的")
        await telegram.hears()
        said = {"first": ["后说的"], "between": ["先说的", "后说的"], "last": ["先说的"]}[place]
        assert await telegram.said(5) == said
        dead = await telegram.dead()
        expected = 0 if name == "a well-formed lie" else 1
        assert len(dead) == expected, dead
        assert api.pending() == []
        xiaoming.says("还在吗")
        await telegram.hears()
        assert await telegram.said(5) == [*said, "还在吗"]

    play(tmp_path, story)


def test_many_unreadable_updates_in_a_row_are_each_a_dead_letter(tmp_path: Path) -> None:
    async def story(telegram: TelegramShop) -> None:
        api, xiaoming = telegram.api, telegram.api.user(5)
        xiaoming.says("先说的")
        await telegram.hears()
        for number in range(30):
            api.push_raw(f"garbage number {number} {{".encode())
        xiaoming.says("后说的")
        await telegram.hears()
        assert await telegram.said(5) == ["先说的", "后说的"]
        assert len({letter.body for letter in await telegram.dead()}) == 30

    play(tmp_path, story)


@pytest.mark.parametrize("fault", ["html", "not_ok", "cut"])
def test_an_answer_that_is_none_confirms_nothing_and_is_no_update(tmp_path: Path, fault: str) -> None:
    async def story(telegram: TelegramShop) -> None:
        xiaoming = telegram.api.user(5)
        xiaoming.says("第一句")
        await telegram.hears()
        telegram.api.fail(fault, "getUpdates", times=20)
        xiaoming.says("第二句")
        await telegram.hears()
        assert await telegram.said(5) == ["第一句", "第二句"]
        assert await telegram.dead() == []

    play(tmp_path, story)


def test_the_same_is_asked_for_again_while_nothing_can_be_stored(tmp_path: Path) -> None:
    async def story(telegram: TelegramShop) -> None:
        telegram.api.user(5).says("在吗")
        telegram.desk.away = 5
        poller = telegram.poller()

        def stands_still() -> bool:
            return telegram.desk.away == 2

        await telegram.polls(stands_still, poller)
        assert len(telegram.api.pending()) == 1
        assert poller.status() == "updates cannot be stored"
        await telegram.polls_all(poller)
        assert poller.status() == "ok"
        await telegram.settle()
        assert await telegram.said(5) == ["在吗"]
        offsets = {call.params.get("offset") for call in telegram.api.calls("getUpdates")[:3]}
        assert len(offsets) == 1

    play(tmp_path, story)


def test_a_second_poller_is_told_of_in_words_and_outlived(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async def story(telegram: TelegramShop) -> None:
        poller = telegram.poller(PollerTimes(poll=20, first_pause=0.01, longest_pause=0.05))
        other = make_bot(telegram.api.token, telegram.api.url)
        words = []

        async def intrude() -> None:
            await telegram.api.until(lambda: telegram.api.calls("getUpdates"))
            for _ in range(3):
                await _poll_once(other)
                words.append(poller.status())
            await other.session.close()
            telegram.api.user(5).says("还在吗")

        async def all_is_in() -> bool:
            return len(await telegram.items()) == 1

        await asyncio.gather(intrude(), telegram.polls(all_is_in, poller))
        assert any("another program polls with this bot's token" in status for status in words)
        assert poller.status() == "ok"

    play(tmp_path, story)
    assert '"event": "telegram_second_poller"' in capfd.readouterr().err


async def _poll_once(bot: Bot) -> None:
    """A foreign program's long poll, which ends ours, and is ended by our next."""
    with suppress(TelegramConflictError):
        await bot.get_updates(timeout=1)


def test_a_refused_token_is_said_loudly_and_tried_again_slowly(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async def story(telegram: TelegramShop) -> None:
        token = telegram.api.token
        telegram.api.user(5).says("在吗")
        telegram.api.revoke_token("7000000001:AAanother-token-of-the-tests-0000000")
        poller = telegram.poller()
        await telegram.polls(lambda: len(telegram.api.calls()) >= 2, poller)
        assert "get the current one from BotFather" in poller.status()
        telegram.api.revoke_token(token)
        await telegram.polls_all(poller)
        await telegram.settle()
        assert await telegram.said(5) == ["在吗"]

    play(tmp_path, story)
    assert '"event": "telegram_token_refused"' in capfd.readouterr().err


def test_a_flood_wait_is_kept_and_a_network_that_is_away_is_waited_for(tmp_path: Path) -> None:
    async def story(telegram: TelegramShop) -> None:
        api = telegram.api
        api.user(5).says("在吗")
        api.fail("flood", "getUpdates", retry_after=1)
        api.fail("status", "getUpdates", code=502, times=2)
        await telegram.hears()
        polls = api.calls("getUpdates")
        assert [call.status for call in polls[:3]] == [429, 502, 502]
        assert polls[1].at - polls[0].at >= 1.0
        api.refuse()
        poller = telegram.poller()
        await telegram.polls(lambda: poller.status() == "Telegram cannot be reached", poller)
        api.listen()
        api.user(5).says("又在了")
        await telegram.polls_all(poller)
        await telegram.settle()
        assert await telegram.said(5) == ["在吗", "又在了"]

    play(tmp_path, story)


def test_polling_removes_a_webhook_of_before_and_keeps_what_waits(tmp_path: Path) -> None:
    async def story(telegram: TelegramShop) -> None:
        await telegram.bot.set_webhook("https://old.example.cn/hook")
        telegram.api.user(5).says("在吗")
        await telegram.hears()
        assert await telegram.said(5) == ["在吗"]
        assert (await telegram.bot.get_webhook_info()).url == ""

    play(tmp_path, story)


def test_a_webhook_that_somebody_sets_meanwhile_is_told_of(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async def story(telegram: TelegramShop) -> None:
        poller = await telegram.polls(lambda: telegram.api.calls("getUpdates"))
        await telegram.bot.set_webhook("https://other.example.cn/hook")
        await telegram.polls(lambda: "has set a webhook" in poller.status(), poller)
        await telegram.bot.delete_webhook()
        telegram.api.user(5).says("在吗")
        await telegram.polls_all(poller)

    play(tmp_path, story)
    assert '"event": "telegram_webhook_in_the_way"' in capfd.readouterr().err


def test_stopping_ends_a_long_poll_at_once(tmp_path: Path) -> None:
    async def story(telegram: TelegramShop) -> None:
        loop = asyncio.get_running_loop()
        poller = telegram.poller(PollerTimes(poll=25))
        stopped_at = 0.0

        def is_polling() -> bool:
            nonlocal stopped_at
            stopped_at = loop.time()
            return bool(telegram.api.calls("deleteWebhook"))

        await telegram.polls(is_polling, poller)
        assert loop.time() - stopped_at < 2
        await telegram.polls(lambda: True, telegram.poller(PollerTimes(poll=25)))

    play(tmp_path, story)


def test_a_process_that_takes_over_goes_on_where_the_other_stood(tmp_path: Path) -> None:
    async def story(telegram: TelegramShop) -> None:
        xiaoming = telegram.api.user(5)
        xiaoming.says("一")
        first = await telegram.polls_all()
        xiaoming.says("二")
        second = telegram.poller(QUICK)
        await telegram.polls_all(second)
        xiaoming.says("三")
        await telegram.polls_all(first)
        await telegram.settle()
        assert await telegram.said(5) == ["一", "二", "三"]
        keys = [key for key, _ in await telegram.items()]
        assert len(keys) == len(set(keys)) == 3
        assert telegram.desk.batches == [[key] for key in keys], "nothing was fetched twice"

    play(tmp_path, story)


def test_on_postgresql_only_one_process_polls_and_another_takes_over(
    tmp_path: Path, postgres_url: str
) -> None:
    async def story(telegram: TelegramShop) -> None:
        api, poller, other = telegram.api, telegram.poller(owner="one"), telegram.poller(owner="two")

        async def one_after_the_other() -> None:
            await telegram.polls(lambda: api.calls("getUpdates"), poller)
            # It is told to stop and gives the lease back; a process that is killed keeps it for a minute.
            assert await telegram.shop.run(
                lambda unit: unit.leases.acquire(lease, "killed", timedelta(seconds=1), telegram.shop.clock())
            )
            api.forget_calls()
            api.user(5).says("在吗")
            await telegram.polls_all(other)

        lease = f"telegram-poller:{telegram.bot.id}"
        began = time.monotonic()
        await one_after_the_other()
        assert time.monotonic() - began >= 1
        assert other.status() == "ok"
        assert len(await telegram.items()) == 1

    play(tmp_path, story, DATABASE_URL=postgres_url)


def test_the_stand_in_is_what_is_polled() -> None:
    """The rig would prove nothing if the stand-in kept confirmed updates."""

    async def story() -> None:
        async with TelegramApi() as api:
            bot = make_bot(api.token, api.url)
            api.user(5).says("在吗")
            (update,) = await bot.get_updates()
            assert len(api.pending()) == 1
            await bot.get_updates(offset=update.update_id + 1)
            assert api.pending() == []
            await bot.session.close()

    asyncio.run(story())
