"""``doctor`` looks at Telegram: what is missing, and how to mend it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from telegram_api import TelegramApi

from bot.findings import Finding, State
from bot.telegram.checkup import WantedSetup, check_telegram
from bot.telegram.session import make_bot

GROUP = -1001234567890
HERE = "https://shop.example"
POLLING = WantedSetup(HERE, webhook=False, staff_chat=None)
WEBHOOK = WantedSetup(HERE, webhook=True, staff_chat=None)
IN_GROUP = WantedSetup(HERE, webhook=False, staff_chat=GROUP)

Check = Callable[..., Awaitable[list[Finding]]]


def play(story: Callable[[TelegramApi, Check], Awaitable[None]]) -> None:
    """Plays a story with a Telegram; whatever was found never shows the token."""

    async def run() -> None:
        async with TelegramApi() as api:
            bot = make_bot(api.token, api.url)

            async def check(wanted: WantedSetup, seconds: float = 10.0) -> list[Finding]:
                found = await check_telegram(bot, wanted, datetime.now(UTC), timedelta(seconds=seconds))
                secret = bot.token.partition(":")[2]
                assert not any(secret in each.what + each.mend for each in found)
                return found

            try:
                await story(api, check)
            finally:
                await bot.session.close()

    asyncio.run(run())


def states(found: list[Finding]) -> list[State]:
    """How each is."""
    return [each.state for each in found]


def worst(found: list[Finding]) -> Finding:
    """The finding that matters most, with words on how to mend it."""
    order = [State.MEND, State.WATCH, State.OFF, State.WELL]
    first = min(found, key=lambda each: order.index(each.state))
    assert first.mend or first.state is State.WELL
    return first


def test_all_is_well_with_a_bot_that_leads_a_forum() -> None:
    async def story(api: TelegramApi, check: Check) -> None:
        api.group(GROUP, forum=True)
        found = await check(IN_GROUP)
        assert set(states(found)) == {State.WELL}
        assert "@huiyin_test_bot" in found[0].what
        assert "一个话题" in found[-1].what

    play(story)


def test_without_a_group_that_is_said_and_is_no_fault() -> None:
    async def story(api: TelegramApi, check: Check) -> None:
        found = await check(POLLING)
        assert states(found) == [State.WELL, State.WELL, State.OFF]
        assert "HUIYIN_TELEGRAM_STAFF_CHAT" in found[-1].mend

    play(story)


def test_a_token_that_telegram_does_not_know_ends_the_questions() -> None:
    async def story(api: TelegramApi, check: Check) -> None:
        api.revoke_token("7000000001:AAanother-token-of-the-tests")
        found = await check(IN_GROUP)
        assert states(found) == [State.MEND]
        assert "@BotFather" in found[0].mend

    play(story)


def test_no_network_a_page_and_silence_are_findings_in_words() -> None:
    async def story(api: TelegramApi, check: Check) -> None:
        api.refuse()
        refused = await check(IN_GROUP)
        assert states(refused) == [State.WATCH]
        assert "连不上" in refused[0].what
        api.listen()
        api.fail("html", "getMe")
        assert "看不懂" in (await check(IN_GROUP))[0].what
        api.fail("status", "getMe", code=502)
        assert states(await check(IN_GROUP)) == [State.WATCH]
        api.fail("hang", "getWebhookInfo")
        silent = await check(IN_GROUP, 0.3)
        assert states(silent) == [State.WELL, State.WATCH]
        assert "0.3 秒内没有答复" in silent[-1].what
        api.fail("flood", "getMe", retry_after=7)
        assert "7 秒后" in (await check(IN_GROUP))[0].what

    play(story)


def test_a_webhook_must_point_here_over_https_on_a_port_that_telegram_knows() -> None:
    async def story(api: TelegramApi, check: Check) -> None:
        plain = await check(WantedSetup("http://127.0.0.1:8080", webhook=True, staff_chat=None))
        assert "https" in worst(plain).mend
        port = await check(WantedSetup("https://shop.example:8080", webhook=True, staff_chat=None))
        assert "8443" in worst(port).mend
        unset = worst(await check(WEBHOOK))
        assert (unset.state, "huiyin serve" in unset.mend) == (State.WATCH, True)
        api.webhook.settings.url = "https://elsewhere.example/hooks/S3CR3T"
        elsewhere = worst(await check(WEBHOOK))
        assert elsewhere.state is State.MEND
        assert "elsewhere.example" in elsewhere.what
        assert "S3CR3T" not in elsewhere.what
        api.webhook.settings.url = f"{HERE}/telegram/webhook"
        assert State.MEND not in states(await check(WEBHOOK))

    play(story)


def test_a_failing_webhook_tells_telegrams_words_while_they_are_fresh() -> None:
    async def story(api: TelegramApi, check: Check) -> None:
        api.webhook.settings.url = f"{HERE}/telegram/webhook"
        api.webhook.settings.last_error_date = int(datetime.now(UTC).timestamp()) - 60
        api.webhook.settings.last_error_message = "SSL error \x1b[31m{certificate verify failed}"
        failing = worst(await check(WEBHOOK))
        assert "certificate verify failed" in failing.what
        assert "\x1b" not in failing.what
        api.webhook.settings.last_error_date -= 7200
        assert "certificate" not in str(await check(WEBHOOK))

    play(story)


def test_what_waits_at_telegram_and_a_webhook_in_the_pollers_way_are_told() -> None:
    async def story(api: TelegramApi, check: Check) -> None:
        user = api.user(5)
        user.starts()
        for number in range(120):
            user.says(str(number))
        assert "121 条" in worst(await check(POLLING)).what
        api.webhook.settings.url = "https://elsewhere.example/hook"
        told = await check(POLLING)
        assert "elsewhere.example" in next(each.what for each in told if "轮询" in each.what)
        assert State.MEND not in states(told)

    play(story)


def test_each_missing_right_in_the_group_is_named() -> None:
    async def story(api: TelegramApi, check: Check) -> None:
        nowhere = worst(await check(IN_GROUP))
        assert nowhere.state is State.MEND
        assert "-100" in nowhere.mend
        group = api.group(GROUP, forum=True)
        group.bot_becomes("administrator", "can_delete_messages")
        assert "管理话题" in worst(await check(IN_GROUP)).mend
        group.bot_becomes("administrator", "can_manage_topics")
        assert "可选" in worst(await check(IN_GROUP)).what
        group.bot_becomes("member")
        blind = worst(await check(IN_GROUP))
        assert blind.state is State.MEND
        assert "隐私模式" in blind.what
        api.world.bot_reads_all = True
        no_topics = worst(await check(IN_GROUP))
        assert no_topics.state is State.MEND
        assert "不能建话题" in no_topics.what
        assert "隐私模式" not in no_topics.what
        group.kicks_bot()
        assert "不在群里" in worst(await check(IN_GROUP)).what

    play(story)


def test_a_plain_group_will_do_if_the_bot_reads_along() -> None:
    async def story(api: TelegramApi, check: Check) -> None:
        group = api.group(GROUP)
        assert "普通群" in (await check(IN_GROUP))[-1].what
        group.bot_becomes("member")
        assert worst(await check(IN_GROUP)).state is State.MEND
        api.world.bot_reads_all = True
        assert worst(await check(IN_GROUP)).state is State.WATCH

    play(story)


def test_a_private_chat_and_a_group_that_moved_are_told() -> None:
    async def story(api: TelegramApi, check: Check) -> None:
        api.user(5).starts()
        private = worst(await check(WantedSetup(HERE, webhook=False, staff_chat=5)))
        assert (private.state, "不是群" in private.what) == (State.MEND, True)
        small = api.group(-4711)
        small.upgrades(GROUP)
        moved = worst(await check(WantedSetup(HERE, webhook=False, staff_chat=-4711)))
        assert moved.state is State.MEND
        assert str(GROUP) in moved.mend

    play(story)
