"""Updates are brought to the webhook: stored before 200, refused in a way that makes Telegram come again."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from aiogram.types import BotCommandScopeAllPrivateChats
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from intake_rig import SECRET, TelegramShop, Webhook, play
from telegram_api import TelegramApi

from bot.telegram.session import make_bot
from bot.telegram.setup import WEBHOOK_PATH, SetupTimes, TelegramSetup
from bot.telegram.watch import UpdateWatch

HEADER = "X-Telegram-Bot-Api-Secret-Token"
UPDATE = b'{"update_id":77,"message":{"message_id":1,"date":1,"chat":{"id":5,"type":"private"},"text":"x"}}'


def door(hook: Webhook) -> httpx.AsyncClient:
    """A stranger at the webhook, without a network in between."""
    transport = httpx.ASGITransport(app=hook.app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")


def test_what_telegram_brings_is_stored_answered_and_forgotten_there(tmp_path: Path) -> None:
    async def story(telegram: TelegramShop) -> None:
        hook = Webhook(telegram)

        async def talk() -> None:
            xiaoming = telegram.api.user(5, "小明")
            for number in range(5):
                xiaoming.says(f"第 {number} 句")
            await telegram.api.until(lambda: not telegram.api.pending())
            await telegram.settle()
            assert await telegram.said(5) == [f"第 {number} 句" for number in range(5)]
            assert {delivery.status for delivery in telegram.api.deliveries()} == {200}
            told = telegram.api.calls("setWebhook")[-1].params
            assert told["url"] == hook.url + WEBHOOK_PATH
            assert told["secret_token"] == SECRET
            assert told["allowed_updates"] == [
                "message",
                "edited_message",
                "callback_query",
                "my_chat_member",
            ]
            assert told.get("drop_pending_updates", "false") == "false"

        await hook.while_open(talk)

    play(tmp_path, story)


def test_what_cannot_be_stored_is_brought_again_and_none_is_lost_or_doubled(tmp_path: Path) -> None:
    async def story(telegram: TelegramShop) -> None:
        hook = Webhook(telegram)
        telegram.api.webhook.hurry = 100.0

        async def talk() -> None:
            telegram.desk.away = 4
            xiaoming = telegram.api.user(5)
            for number in range(3):
                xiaoming.says(f"第 {number} 句")
            await telegram.api.until(lambda: not telegram.api.pending())
            for update_id in list(telegram.api.updates.history):
                telegram.api.deliver_again(update_id)
            telegram.api.shuffle(5)
            await asyncio.sleep(0.3)
            await telegram.settle()
            assert await telegram.said(5) == [f"第 {number} 句" for number in range(3)]
            statuses = [delivery.status for delivery in telegram.api.deliveries()]
            assert statuses.count(503) == 4
            assert statuses.count(200) == 6

        await hook.while_open(talk)

    play(tmp_path, story)


def test_who_shows_no_secret_or_a_wrong_one_is_refused_and_nothing_is_stored(tmp_path: Path) -> None:
    counted = 0

    async def story(telegram: TelegramShop) -> None:
        hook = Webhook(telegram)
        async with door(hook) as client:
            assert (await client.post(WEBHOOK_PATH, content=UPDATE)).status_code == 401
            twice = [(HEADER, SECRET), (HEADER, SECRET)]
            assert (await client.post(WEBHOOK_PATH, content=UPDATE, headers=twice)).status_code == 401
            secrets: list[bytes] = []

            @settings(
                max_examples=300,
                derandomize=True,
                deadline=None,
                database=None,
                phases=(Phase.generate,),
                suppress_health_check=list(HealthCheck),
            )
            @given(
                st.one_of(
                    st.binary(max_size=300),
                    st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")),
                    st.integers(0, len(SECRET) - 1).map(lambda at: SECRET[:at].encode()),
                    st.sampled_from([SECRET.lower(), SECRET + "x", SECRET + " x", "\xff" + SECRET]).map(
                        lambda text: text.encode("latin-1")
                    ),
                )
            )
            def gather(secret: bytes) -> None:
                secrets.append(secret.translate(None, b"\r\n\x00"))

            gather()
            nonlocal counted
            for secret in secrets:
                answer = await client.post(WEBHOOK_PATH, content=UPDATE, headers=[(HEADER.encode(), secret)])
                assert answer.status_code == 401, secret
                counted += 1
        assert await telegram.items() == []

    play(tmp_path, story)
    assert counted >= 300


def test_odd_bodies_with_the_right_secret_are_kept_as_dead_letters_and_acknowledged(tmp_path: Path) -> None:
    async def story(telegram: TelegramShop) -> None:
        hook = Webhook(telegram)
        bodies = [
            b"", b"{", b"\xff\xfe", b"null", b"[]", b'"x"', b'{"update_id":"7"}', b'{"update_id":true}',
            b'{"update_id":1.5}', b'{"update_id":-3}', b'{"update_id":8,"message":' + b"[" * 60_000,
            b"9" * 5000, b'{"update_id":1e400}', b'{"update_id":' + b"9" * 30 + b"}",
        ]  # fmt: skip
        async with door(hook) as client:
            for body in bodies * 2:
                answer = await client.post(WEBHOOK_PATH, content=body, headers={HEADER: SECRET})
                assert (answer.status_code, answer.content) == (200, b"{}"), body[:30]
            too_long = b"x" * (128 * 1024 + 1)
            for content in (too_long, _in_pieces(too_long)):
                answer = await client.post(WEBHOOK_PATH, content=content, headers={HEADER: SECRET})
                assert answer.status_code == 413
        dead = await telegram.dead()
        assert len(dead) == len(bodies)
        assert "undecodable:" in "".join(key for key, _ in await telegram.items())
        # Staff may try them again; they are still not to be understood.
        await telegram.shop.staff_desk.replay("inbox", dead[0].id, None)
        await telegram.settle()
        assert len(await telegram.dead()) == len(bodies)

    play(tmp_path, story)


async def _in_pieces(body: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(body), 4096):
        yield body[at : at + 4096]


def test_while_we_poll_there_is_no_webhook(tmp_path: Path) -> None:
    async def story(telegram: TelegramShop) -> None:
        hook = Webhook(telegram, secret=None)
        async with door(hook) as client:
            for shown in ("", SECRET, hashlib.sha256(b"").hexdigest()):
                answer = await client.post(WEBHOOK_PATH, content=UPDATE, headers={HEADER: shown})
                assert answer.status_code == 404

    play(tmp_path, story)


def test_changing_from_polling_to_the_webhook_and_back_loses_nothing(tmp_path: Path) -> None:
    async def story(telegram: TelegramShop) -> None:
        xiaoming = telegram.api.user(5)
        xiaoming.says("一")
        await telegram.polls(lambda: telegram.api.calls("getUpdates"))
        hook = Webhook(telegram)

        async def talk() -> None:
            xiaoming.says("二")
            await telegram.api.until(lambda: not telegram.api.pending())

        await hook.while_open(talk)
        xiaoming.says("三")
        await telegram.hears()
        assert await telegram.said(5) == ["一", "二", "三"]

    play(tmp_path, story)


def test_setting_up_goes_on_until_telegram_has_taken_everything() -> None:
    async def story() -> None:
        async with TelegramApi() as api:
            bot = make_bot(api.token, api.url)
            setup = TelegramSetup(bot, "https://kefu.example.cn", SECRET, times=SetupTimes(0.01, 0.05, 0.05))
            api.fail("status", "setWebhook", code=502)
            api.fail("flood", "setWebhook", retry_after=1)
            api.fail("lost_answer", "getMe")
            api.fail("html", "setMyCommands", times=2)
            await asyncio.wait_for(setup.run(), 15)
            assert setup.profile is not None
            assert setup.profile.username == "huiyin_test_bot"
            assert setup.status() == "ok"
            commands = await bot.get_my_commands(scope=BotCommandScopeAllPrivateChats())
            assert [(one.command, one.description) for one in commands] == [
                ("help", "帮助"),
                ("human", "转人工"),
                ("orders", "查订单"),
                ("stop", "退订"),
            ]
            assert (await bot.get_webhook_info()).url == f"https://kefu.example.cn{WEBHOOK_PATH}"
            await bot.session.close()

    asyncio.run(story())


def test_what_waits_at_telegram_and_what_it_cannot_bring_is_told() -> None:
    async def story() -> None:
        async with TelegramApi() as api:
            bot = make_bot(api.token, api.url)
            url = "http://127.0.0.1:9"
            watch = UpdateWatch(bot, url, lambda: datetime.now(UTC))
            assert dict(watch.figures()) == {}
            await watch.look()
            assert watch.status() == "another program has removed the webhook"
            await bot.set_webhook(url + WEBHOOK_PATH)
            await watch.look()
            assert watch.status() == "ok"
            for number in range(101):
                api.user(5).says(str(number))
            await api.until(lambda: any(delivery.error for delivery in api.deliveries()))
            await watch.look()
            assert "could not bring updates to the webhook" in watch.status()
            assert "updates wait" not in watch.status(), "one look may see a moment's heap"
            await watch.look()
            assert "101 updates wait at Telegram" in watch.status()
            assert watch.figures()["telegram_updates_pending"] == 101
            assert watch.figures()["telegram_webhook_last_error_timestamp_seconds"] > 0
            later = UpdateWatch(bot, url, lambda: datetime.now(UTC) + timedelta(minutes=11))
            await later.look()
            assert later.status() == "ok"
            api.fail("status", "getWebhookInfo", code=502)
            await later.look()
            assert later.status() == "ok"
            polling = UpdateWatch(bot, None, lambda: datetime.now(UTC))
            await polling.look()
            assert polling.status() == "another program has set a webhook for this bot"
            await bot.session.close()

    asyncio.run(story())


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_only_posts_are_taken(tmp_path: Path, method: str) -> None:
    async def story(telegram: TelegramShop) -> None:
        async with door(Webhook(telegram)) as client:
            assert (await client.request(method, WEBHOOK_PATH)).status_code == 405

    play(tmp_path, story)
