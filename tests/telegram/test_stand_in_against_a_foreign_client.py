"""The stand-in for Telegram, seen by a client that we did not write: python-telegram-bot.

What both misunderstand in the same way stays hidden, but a client that thousands use with the real server
reads our answers, follows our updates and maps our errors.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from telegram_api import TelegramApi
from telegram_api.http_door import Answer
from telegram_api.plain_bot import Receiver

# Not "telegram": without the package that name is this folder, which can be imported as well.
ext = pytest.importorskip(
    "telegram.ext", reason="python-telegram-bot is not installed, so no foreign client checks the stand-in"
)
telegram = pytest.importorskip("telegram")
errors = pytest.importorskip("telegram.error")

STAFF = -1001234567890


@pytest.fixture(autouse=True)
def _no_old_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes waiting times as the client will give them in its next version; else it warns of them."""
    monkeypatch.setenv("PTB_TIMEDELTA", "true")


def _builder(api: TelegramApi) -> Any:
    builder = ext.ApplicationBuilder().token(api.token).base_url(f"{api.url}/bot")
    return builder.base_file_url(f"{api.url}/file/bot").read_timeout(5).get_updates_read_timeout(5)


def _echo_bot(api: TelegramApi) -> Any:
    """Echoes texts, offers buttons on /start, marks the message when one is tapped, answers edits."""

    async def start(update: Any, context: Any) -> None:
        button = telegram.InlineKeyboardButton("满意", callback_data="yes")
        markup = telegram.InlineKeyboardMarkup([[button]])
        await update.message.reply_text(f"欢迎 {context.args}", reply_markup=markup)

    async def echo(update: Any, context: Any) -> None:
        if update.edited_message:
            await update.edited_message.reply_text(f"改成 {update.edited_message.text}")
        else:
            await update.message.reply_text(update.message.text, do_quote=True)

    async def document(update: Any, context: Any) -> None:
        file = await update.message.document.get_file()
        content = bytes(await file.download_as_bytearray())
        await update.message.reply_document(content, filename="zurück.bin", caption=content.decode())

    async def tap(update: Any, context: Any) -> None:
        await update.callback_query.answer("谢谢")
        await update.callback_query.edit_message_text(f"选了 {update.callback_query.data}")

    application = _builder(api).build()
    application.add_handler(ext.CommandHandler("start", start))
    application.add_handler(ext.MessageHandler(ext.filters.TEXT, echo))
    application.add_handler(ext.MessageHandler(ext.filters.Document.ALL, document))
    application.add_handler(ext.CallbackQueryHandler(tap))
    return application


async def _talk(api: TelegramApi) -> None:
    """A customer's side of the story, the same over polling and webhook."""
    xiaoming = api.user(5, "小明 <b>")
    api.limits.on = False

    def texts() -> list[str]:
        return [seen.text for seen in xiaoming.sees(by_bot=True)]

    xiaoming.starts("order-7")
    await api.until(lambda: texts() == ["欢迎 ['order-7']"])
    asked = xiaoming.says("在吗 😀")
    await api.until(lambda: len(texts()) == 2)
    assert xiaoming.sees(by_bot=True)[-1].reply_to == asked
    xiaoming.edits(asked, "在不在")
    await api.until(lambda: texts()[-1] == "改成 在不在")
    xiaoming.taps(xiaoming.sees(by_bot=True)[0].message_id, "满意")
    await api.until(lambda: texts()[0] == "选了 yes")
    assert xiaoming.sees(by_bot=True)[0].labels == []
    assert [notice["text"] for notice in xiaoming.notices()] == ["谢谢"]
    xiaoming.sends_document("内容.txt", "内容".encode())
    await api.until(lambda: texts()[-1] == "内容")
    assert xiaoming.sees(by_bot=True)[-1].media == "document"
    for number in range(20):
        xiaoming.says(f"第 {number} 句")
    await api.until(lambda: texts()[-1] == "第 19 句")
    assert texts()[-20:] == [f"第 {number} 句" for number in range(20)]


def test_an_echo_bot_polls() -> None:
    async def run() -> None:
        async with TelegramApi() as api:
            application = _echo_bot(api)
            async with application:
                await application.start()
                await application.updater.start_polling(timeout=1)
                await _talk(api)
                await application.updater.stop()
                await application.stop()
            assert api.pending() == []

    asyncio.run(run())


def test_an_echo_bot_behind_a_webhook() -> None:
    async def run() -> None:
        async with TelegramApi() as api, Receiver() as far:
            application = _echo_bot(api)

            def store(update: dict[str, Any]) -> Answer:
                application.update_queue.put_nowait(telegram.Update.de_json(update, application.bot))
                return Answer(b"")

            far.answers = store
            async with application:
                await application.start()
                await application.bot.set_webhook(far.url, secret_token="s3cret", max_connections=1)
                assert (await application.bot.get_webhook_info()).max_connections == 1
                await _talk(api)
                await application.bot.delete_webhook()
                await application.stop()
            assert {headers["x-telegram-bot-api-secret-token"] for headers in far.headers} == {"s3cret"}

    asyncio.run(run())


@asynccontextmanager
async def _bot(api: TelegramApi) -> AsyncIterator[Any]:
    application = _builder(api).build()
    async with application:
        yield application.bot


def _play(story: Callable[[TelegramApi, Any], Awaitable[None]]) -> None:
    async def run() -> None:
        async with TelegramApi() as api, _bot(api) as bot:
            await story(api, bot)

    asyncio.run(run())


def test_refusals_are_understood() -> None:
    async def story(api: TelegramApi, bot: Any) -> None:
        xiaoming = api.user(5)
        with pytest.raises(errors.BadRequest, match="Chat not found"):
            await bot.send_message(404, "?")
        with pytest.raises(errors.Forbidden, match="can't initiate conversation"):
            await bot.send_message(5, "?")
        xiaoming.starts()
        for number in range(3):
            await bot.send_message(5, str(number))
        with pytest.raises(errors.RetryAfter) as flood:
            await bot.send_message(5, "3")
        assert flood.value.retry_after == timedelta(seconds=1)
        api.limits.on = False
        xiaoming.blocks()
        with pytest.raises(errors.Forbidden, match="blocked by the user"):
            await bot.send_message(5, "?")
        xiaoming.unblocks()
        with pytest.raises(errors.BadRequest, match="Message is too long"):
            await bot.send_message(5, "字" * 4097)
        with pytest.raises(errors.BadRequest, match="Can't parse entities"):
            await bot.send_message(5, "<小明>", parse_mode="HTML")
        wide = telegram.InlineKeyboardButton("好", callback_data="x" * 65)
        with pytest.raises(errors.BadRequest, match=r"(?i)button_data_invalid"):
            await bot.send_message(5, "x", reply_markup=telegram.InlineKeyboardMarkup([[wide]]))
        with pytest.raises(errors.BadRequest, match="Query is too old"):
            await bot.answer_callback_query("1")
        api.group(-500).upgrades(-1009)
        with pytest.raises(errors.ChatMigrated) as moved:
            await bot.send_message(-500, "?")
        assert moved.value.new_chat_id == -1009

    _play(story)


def test_faults_are_understood() -> None:
    async def story(api: TelegramApi, bot: Any) -> None:
        api.user(5).starts()
        api.limits.on = False
        expected: list[tuple[str, dict[str, Any], type[Exception]]] = [
            ("status", {"code": 500}, errors.NetworkError),
            ("status", {"code": 502}, errors.NetworkError),
            ("flood", {"retry_after": 9}, errors.RetryAfter),
            ("error", {"code": 401, "description": "Unauthorized"}, errors.InvalidToken),
            ("error", {"code": 409, "description": "Conflict: x"}, errors.Conflict),
            ("lost_answer", {}, errors.NetworkError),
            ("hang", {}, errors.TimedOut),
        ]
        for kind, options, error in expected:
            api.fail(kind, "sendMessage", **options)
            with pytest.raises(error):
                await bot.send_message(5, kind, read_timeout=0.5)
        assert [seen.text for seen in api.user(5).sees(by_bot=True)] == ["lost_answer", "hang"]

    _play(story)


def test_a_second_poller_is_a_conflict() -> None:
    async def story(api: TelegramApi, bot: Any) -> None:
        async with _bot(api) as twin, asyncio.TaskGroup() as tasks:
            first = tasks.create_task(_outcome(bot.get_updates(timeout=4)))
            await api.until(lambda: len(api.calls("getUpdates")) == 1)
            second = tasks.create_task(_outcome(twin.get_updates(timeout=4)))
            await first
            api.user(5).says("你好")
        assert isinstance(first.result(), errors.Conflict)
        assert second.result()[0].message.text == "你好"

    _play(story)


async def _outcome(call: Awaitable[Any]) -> Any:
    try:
        return await call
    except errors.TelegramError as error:
        return error


def test_a_forum_is_understood() -> None:
    async def story(api: TelegramApi, bot: Any) -> None:
        group = api.group(STAFF, forum=True)
        lili = group.member(api.user(8, "丽丽"), status="creator")
        api.limits.on = False
        assert (await bot.get_chat(STAFF)).is_forum
        me = await bot.get_chat_member(STAFF, bot.id)
        assert (me.status, me.can_manage_topics) == ("administrator", True)
        assert len(await bot.get_chat_administrators(STAFF)) == 2
        topic = await bot.create_forum_topic(STAFF, "小明")
        card = await bot.send_message(STAFF, "新客户", message_thread_id=topic.message_thread_id)
        assert card.is_topic_message
        assert card.reply_to_message.forum_topic_created.name == "小明"
        await bot.edit_forum_topic(STAFF, topic.message_thread_id, name="小明 ✓")
        await bot.close_forum_topic(STAFF, topic.message_thread_id)
        await bot.reopen_forum_topic(STAFF, topic.message_thread_id)
        photo = group.member(8, topic.message_thread_id).sends_photo("这个")
        copied = await bot.copy_message(STAFF, STAFF, photo, message_thread_id=topic.message_thread_id)
        assert group.sees(topic.message_thread_id)[-1].message_id == copied.message_id
        await bot.set_message_reaction(STAFF, photo, "👌")
        await bot.send_chat_action(STAFF, "typing", message_thread_id=topic.message_thread_id)
        lili.reacts(card.message_id, "👍")
        group.bot_becomes("member")
        updates = await bot.get_updates()
        assert updates[0].message.photo
        assert updates[0].message.message_thread_id == topic.message_thread_id
        assert updates[1].my_chat_member.new_chat_member.status == "member"
        group.bot_becomes("administrator", "can_manage_topics")
        await bot.set_my_commands([("human", "转人工")])
        assert [command.description for command in await bot.get_my_commands()] == ["转人工"]
        group.deletes_topic(topic.message_thread_id)
        with pytest.raises(errors.BadRequest, match="Message thread not found"):
            await bot.send_message(STAFF, "?", message_thread_id=topic.message_thread_id)

    _play(story)


def test_every_kind_of_message_is_understood() -> None:
    async def story(api: TelegramApi, bot: Any) -> None:
        xiaoming = api.user(5, "小明")
        api.limits.on = False
        await bot.get_updates(allowed_updates=telegram.Update.ALL_TYPES)
        first = xiaoming.starts()
        xiaoming.sends_photo("图")
        for kind in ("voice", "video", "audio", "animation", "sticker", "video_note"):
            xiaoming.sends(kind)
        xiaoming.sends_location()
        xiaoming.sends_contact()
        xiaoming.sends_album(["一", "二"])
        xiaoming.reacts(first, "👍")
        xiaoming.blocks()
        xiaoming.unblocks()
        api.group(-500).upgrades(-1009)
        updates = await bot.get_updates(offset=api.pending()[0])
        assert len(updates) == 17
        photo = next(update.message for update in updates if update.message and update.message.photo)
        for send in (
            bot.send_photo(5, photo.photo[-1].file_id, caption="回"),
            bot.send_document(5, photo.photo[-1].file_id),
            bot.send_voice(5, photo.photo[-1].file_id),
            bot.send_video(5, photo.photo[-1].file_id),
            bot.send_location(5, 31.2, 121.4),
            bot.forward_message(5, 5, first),
            bot.edit_message_text("新", 5, (await bot.send_message(5, "旧")).message_id),
        ):
            assert (await send).chat.id == 5
        album = [telegram.InputMediaPhoto(photo.photo[-1].file_id), telegram.InputMediaPhoto(b"JPEG")]
        assert len(await bot.send_media_group(5, album)) == 2

    _play(story)
