"""What customers do in the messenger, as the desk hears it."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from intake_rig import TelegramShop, play
from shop import Shop

from bot.logs import configure_logs
from bot.settings import LogFormat, LogLevel
from bot.telegram.raw_updates import SOURCE, read_update
from bot.telegram.session import make_bot
from bot.telegram.update_handler import UpdateHandler
from bot.workers.inbox_worker import InboxWorker
from desk import wording
from desk.intake import RawInput
from desk.ports import UnitOfWork
from desk.values import AttachmentKind, Author, Outgoing, SendRank

GROUP = -1001234567890


async def show_answers(telegram: TelegramShop) -> None:
    """Has what the bot said so far arrive, as if it had been sent."""

    def work(unit: UnitOfWork) -> None:
        for outgoing in unit.outbox.find_due(["telegram"], 100, telegram.shop.clock()):
            if outgoing.conversation_id is not None:
                unit.conversations.lock(outgoing.conversation_id)
                unit.outbox.mark_sending(outgoing.id, telegram.shop.installation.owner, telegram.shop.clock())
                unit.outbox.mark_sent(outgoing, f"p-{outgoing.id}", telegram.shop.clock())

    for _ in range(5):
        await telegram.shop.run(work)


async def notices(telegram: TelegramShop) -> list[Outgoing]:
    """Answers to taps that wait to leave."""
    due = await telegram.shop.run(
        lambda unit: list(unit.outbox.find_due(["telegram"], 100, telegram.shop.clock()))
    )
    return [outgoing for outgoing in due if outgoing.payload.get("do") == "answer_tap"]


def tap_of(
    user: Any, data: str | None, *, query: str, chat: int | None = None, label: str = "1 好"
) -> dict[str, Any]:
    """A pressed button as Telegram tells of it."""
    message: dict[str, Any] = {
        "message_id": 900,
        "date": 1_790_000_000,
        "chat": {"id": chat or user.id, "type": "private", "first_name": "x"},
        "from": {"id": 7_000_000_001, "is_bot": True, "first_name": "回音"},
        "text": "?",
    }
    if data is not None and len(data) <= 64:
        message["reply_markup"] = {"inline_keyboard": [[{"text": label, "callback_data": data}]]}
    told = {"id": query, "from": user._user, "message": message, "chat_instance": "1"}
    return {**told, **({"data": data} if data is not None else {})}


def test_every_kind_of_thing_arrives_with_its_file_and_its_words(tmp_path: Path) -> None:
    async def story(telegram: TelegramShop) -> None:
        xiaoming = telegram.api.user(5, "小明")
        xiaoming.sends_photo("屏幕碎了")
        xiaoming.sends_document("发票.pdf", caption="发票")
        xiaoming.sends_voice()
        xiaoming.sends_video("开箱")
        xiaoming.sends("animation")
        xiaoming.sends("video_note")
        xiaoming.sends("audio", name="歌.mp3")
        xiaoming.sends_sticker()
        xiaoming.sends_location(31.2304, 121.4737)
        xiaoming.posts(
            {
                "location": {"latitude": 1.5, "longitude": 2.5},
                "venue": {
                    "location": {"latitude": 1.5, "longitude": 2.5},
                    "title": "门店",
                    "address": "南京路 1 号",
                },
            }
        )
        xiaoming.sends_contact("+8613800138000", "小红")
        xiaoming.posts({"dice": {"emoji": "🎲", "value": 6}})
        xiaoming.posts(
            {
                "poll": {
                    "id": "1", "question": "好不好", "options": [], "total_voter_count": 0, "is_closed": False,
                    "is_anonymous": True, "type": "regular", "allows_multiple_answers": False,
                    "allows_revoting": False, "members_only": False,
                }
            }
        )  # fmt: skip
        xiaoming.posts({"hologram": {"file_id": "h"}})
        await telegram.hears()
        assert await telegram.dead() == []
        own = [line for line in await telegram.lines(5) if line.author is Author.CUSTOMER]
        kinds = [(line.attachments[0].kind, line.text) for line in own]
        kind = AttachmentKind
        assert kinds == [
            (kind.PHOTO, "屏幕碎了"),
            (kind.DOCUMENT, "发票"),
            (kind.VOICE, ""),
            (kind.VIDEO, "开箱"),
            (kind.VIDEO, ""),
            (kind.VIDEO, ""),
            (kind.AUDIO, ""),
            (kind.STICKER, ""),
            (kind.LOCATION, ""),
            (kind.LOCATION, "门店 南京路 1 号"),
            (kind.CONTACT_CARD, ""),
            (kind.OTHER, ""),
            (kind.OTHER, "好不好"),
            (kind.OTHER, ""),
        ]
        names = [line.attachments[0].name for line in own]
        assert names == [
            "", "发票.pdf", "", "video.bin", "animation.bin", "", "歌.mp3", "👍", "31.2304,121.4737", "1.5,2.5",
            "小红 +8613800138000", "🎲", "poll", "unknown",
        ]  # fmt: skip
        photo = own[0].attachments[0]
        sizes = telegram.api.world.chats[5].messages[int(photo.source_message)].body["photo"]
        assert photo.file_id == sizes[-1]["file_id"]
        assert (photo.source_chat, photo.size) == ("5", sizes[-1]["file_size"])
        assert own[2].attachments[0].mime == "audio/ogg"

    play(tmp_path, story)


def test_an_album_is_answered_once(tmp_path: Path) -> None:
    async def story(telegram: TelegramShop) -> None:
        telegram.api.user(5).sends_album(["", "", ""])
        await telegram.hears()
        assert len(await telegram.said(5)) == 3
        assert len(await telegram.answers(5)) == 1

    play(tmp_path, story)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("/human", "转人工"),
        ("/HUMAN@huiyin_test_bot", "转人工"),
        ("/human 快递丢了", "转人工，快递丢了"),
        ("/orders", "查订单"),
        ("/Orders now", "查订单"),
        ("/stop", "退订"),
        ("/help", "/help"),
        ("/start", "/start"),
        ("/start@Huiyin_Test_Bot", "/start"),
        ("/unknown", "/unknown"),
        ("/human@another_bot", "/human@another_bot"),
        ("//", "//"),
        ("/", "/"),
    ],
)
def test_commands_say_what_could_be_typed(tmp_path: Path, command: str, words: str) -> None:
    async def story(telegram: TelegramShop) -> None:
        telegram.api.user(5).says(command)
        await telegram.hears()
        assert await telegram.said(5) == [words]
        answers = await telegram.answers(5)
        assert len(answers) >= 1
        if words in ("/start", "/help"):
            assert wording.GREETING.format(shop_name="测试小店") in answers[-1].text
        if words == "退订":
            assert answers[-1].text == wording.OPTED_OUT
        if words.startswith("转人工"):
            assert "asked_for_person" in answers[-1].reason

    play(tmp_path, story)


def test_a_deep_link_binds_its_order_and_its_token_is_kept_nowhere_in_the_talk(tmp_path: Path) -> None:
    async def story(telegram: TelegramShop) -> None:
        shop: Shop = telegram.shop
        await shop.reports_event("shipped")
        token = await shop.link()
        xiaoming = telegram.api.user(5, "小明")
        xiaoming.starts(token)
        await telegram.hears()
        identity = await shop.run(lambda unit: unit.identities.find("telegram", "5"))
        assert identity is not None
        orders = await shop.run(lambda unit: unit.orders.find_of_identity(identity.id, 10))
        assert [order.snapshot.external_id for order in orders] == ["A-1"]
        lines = await telegram.lines(5)
        assert lines[0].text == "/start"
        assert not any(token in line.text for line in lines)
        # Another person with the same link gets nothing of it.
        telegram.api.user(6, "别人").starts(token)
        telegram.api.user(7, "乱写").starts("不是 token")
        telegram.api.user(8, "假的").starts(hashlib.sha256(b"x").hexdigest())
        await telegram.hears()
        for stranger in ("6", "7", "8"):
            found = await shop.run(lambda unit, who=stranger: unit.identities.find("telegram", who))
            assert found is not None
            assert await shop.run(lambda unit, found=found: unit.orders.find_of_identity(found.id, 10)) == []
        assert await telegram.dead() == []

    play(tmp_path, story)


def test_an_edit_keeps_its_message_and_comes_in_any_order(tmp_path: Path) -> None:
    async def story(telegram: TelegramShop) -> None:
        xiaoming = telegram.api.user(5)
        number = xiaoming.says("什么时候发火")
        await telegram.hears()
        telegram.api.clock.turn(5)
        xiaoming.edits(number, "什么时候发货")
        await telegram.hears()
        first, edit = [line for line in await telegram.lines(5) if line.author is Author.CUSTOMER]
        assert (edit.text, edit.edits_message_id) == ("什么时候发货", first.id)
        # The other way round: Telegram brings the edit first.
        chat = {"id": 6, "type": "private", "first_name": "小红"}
        writer = {"id": 6, "is_bot": False, "first_name": "小红"}
        told = {"message_id": 11, "date": 1_790_000_000, "chat": chat, "from": writer}
        telegram.api.push("edited_message", {**told, "text": "新的", "edit_date": 1_790_000_009})
        telegram.api.push("message", {**told, "text": "旧的"})
        await telegram.hears()
        assert sorted(await telegram.said(6)) == ["新的", "旧的"]
        assert await telegram.dead() == []

    play(tmp_path, story)


def test_taps_are_told_with_their_button_and_each_is_answered(tmp_path: Path) -> None:
    async def story(telegram: TelegramShop) -> None:
        xiaoming = telegram.api.user(5)
        xiaoming.starts()
        await telegram.hears()
        await show_answers(telegram)
        (greeting,) = await telegram.answers(5)
        assert greeting.prompt is not None
        option = greeting.prompt.options[0]
        telegram.api.push(
            "callback_query", tap_of(xiaoming, option.button_id, query="q1", label=option.label)
        )
        await telegram.hears()
        assert (await telegram.said(5))[-1] == option.label
        last = (await telegram.answers(5))[-1]
        assert last.reason not in ("late_tap", "not_understood"), last
        (notice,) = await notices(telegram)
        assert dict(notice.payload) == {"do": "answer_tap", "query_id": "q1", "code": "heard"}
        assert (notice.lane, notice.recipient, notice.rank) == ("tap:q1", "", SendRank.FIRST)

    play(tmp_path, story)


ODD_TAPS = {
    "forged": "A" * 22,
    "somebody else's": "",
    "empty": "",
    "64 bytes": "x" * 64,
    "65 bytes": "y" * 65,
    "10k": "z" * 10_000,
    "NUL": "a\x00b",
    "a lone surrogate": "\ud800",
    "SQL": "'; DROP TABLE messages; --",
    "none": None,
}


@pytest.mark.parametrize("name", list(ODD_TAPS))
def test_a_late_forged_or_foreign_tap_is_answered_politely_and_changes_nothing(
    tmp_path: Path, name: str
) -> None:
    async def story(telegram: TelegramShop) -> None:
        data = ODD_TAPS[name]
        if name == "somebody else's":
            telegram.api.user(6).starts()
            await telegram.hears()
            await show_answers(telegram)
            (greeting,) = await telegram.answers(6)
            assert greeting.prompt is not None
            data = greeting.prompt.options[0].button_id
        xiaoming = telegram.api.user(5)
        pushed = _json(tap_of(xiaoming, data, query="q9"))
        telegram.api.push_raw(b'{"update_id":@ID,"callback_query":%s}' % pushed)
        await telegram.hears()
        assert await telegram.dead() == []
        (answer,) = await telegram.answers(5)
        assert answer.text == wording.LATE_TAP
        assert len(await notices(telegram)) == 1
        speaker = await telegram.shop.run(lambda unit: unit.conversations.get(answer.conversation_id).speaker)
        assert speaker.value == "bot"

    play(tmp_path, story)


def test_a_tap_that_comes_twice_counts_once_and_one_on_a_vanished_message_is_heard(tmp_path: Path) -> None:
    async def story(telegram: TelegramShop) -> None:
        xiaoming = telegram.api.user(5)
        update = telegram.api.push("callback_query", tap_of(xiaoming, "B" * 22, query="q1"))
        assert update is not None
        await telegram.hears()
        telegram.api.deliver_again(update)
        telegram.api.deliver_again(update, changed=True)
        await telegram.hears()
        assert len(await telegram.said(5)) == 1
        chat = {"id": 5, "type": "private", "first_name": "x"}
        gone = {
            **tap_of(xiaoming, "B" * 22, query="q2"),
            "message": {"chat": chat, "message_id": 3, "date": 0},
        }
        telegram.api.push("callback_query", gone)
        inline = {**tap_of(xiaoming, "B" * 22, query="q3"), "inline_message_id": "i"}
        inline.pop("message")
        telegram.api.push("callback_query", inline)
        await telegram.hears()
        assert await telegram.said(5) == ["1 好", "", ""]
        assert await telegram.dead() == []
        assert len({notice.lane for notice in await notices(telegram)}) == 3

    play(tmp_path, story)


def test_who_blocks_the_bot_is_unreachable_until_they_come_back(tmp_path: Path) -> None:
    async def reachable(telegram: TelegramShop) -> bool:
        identity = await telegram.shop.run(lambda unit: unit.identities.find("telegram", "5"))
        assert identity is not None
        return identity.reachable

    async def story(telegram: TelegramShop) -> None:
        xiaoming = telegram.api.user(5)
        xiaoming.starts()
        await telegram.hears()
        assert await reachable(telegram)
        xiaoming.blocks()
        await telegram.hears()
        assert not await reachable(telegram)
        xiaoming.unblocks()
        await telegram.hears()
        assert await reachable(telegram)
        telegram.api.user(6).blocks()  # Who never wrote is nobody to us.
        await telegram.hears()
        assert await telegram.shop.run(lambda unit: unit.identities.find("telegram", "6")) is None
        assert await telegram.dead() == []

    play(tmp_path, story)


def test_hostile_names_and_words_arrive_as_they_are_and_break_nothing(tmp_path: Path) -> None:
    async def story(telegram: TelegramShop) -> None:
        hostile = telegram.api.user(5, "<b>abdo <\x00\n" + "喵" * 300, last_name="\u202e=cmd|' /C calc'!A0")
        words = {"text": "\x00<script>alert(1)</script> \ud83d {{7*7}} %s%n", "message_id": 9, "date": 1}
        told = {**words, "chat": {"id": 5, "type": "private"}, "from": hostile._user}
        telegram.api.push_raw(b'{"update_id":@ID,"message":%s}' % _json(told))
        hostile.says("长" * 5000)
        await telegram.hears()
        said = await telegram.said(5)
        assert said[0] == "<script>alert(1)</script> \ufffd {{7*7}} %s%n"
        assert len(said[1]) == 5000
        identity = await telegram.shop.run(lambda unit: unit.identities.find("telegram", "5"))
        assert identity is not None
        contact = await telegram.shop.run(lambda unit: unit.identities.get_contact(identity.contact_id))
        assert contact.name.startswith("<b>abdo < 喵")
        assert len(contact.name) == 128
        assert await telegram.dead() == []

    play(tmp_path, story)


def test_what_nobody_said_is_set_aside(tmp_path: Path) -> None:
    async def story(telegram: TelegramShop) -> None:
        api = telegram.api
        chat = {"id": 5, "type": "private", "first_name": "x"}
        told = {"message_id": 1, "date": 1_790_000_000, "chat": chat}
        person = {"id": 5, "is_bot": False, "first_name": "x"}
        pushed = [
            ("message", {**told, "from": {"id": 9, "is_bot": True, "first_name": "b"}, "text": "我是机器人"}),
            ("message", {**told, "text": "没有作者"}),
            ("message", {**told, "from": person, "pinned_message": {**told, "text": "旧"}}),
            ("channel_post", {**told, "chat": {"id": -100, "type": "channel", "title": "c"}, "text": "频道"}),
            (
                "message_reaction",
                {"chat": chat, "message_id": 1, "date": 1, "old_reaction": [], "new_reaction": []},
            ),
            ("quantum_leap", {"secret": "小明的电话 13800138000"}),
            ("my_chat_member", _member(chat, person, "restricted")),
            (
                "message",
                {
                    **told,
                    "chat": {"id": -77, "type": "group", "title": "别的群"},
                    "from": person,
                    "text": "群",
                },
            ),
        ]
        for kind, payload in pushed:
            api.push_raw(b'{"update_id":@ID,"%s":%s}' % (kind.encode(), _json(payload)))
        await telegram.hears()
        assert await telegram.dead() == []
        assert await telegram.lines(5) == []
        assert [state for _, state in await telegram.items()] == ["done"] * len(pushed)
        assert telegram.room.given == []

    play(tmp_path, story)


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _member(chat: dict[str, Any], person: dict[str, Any], status: str) -> dict[str, Any]:
    bot = {"id": 7_000_000_001, "is_bot": True, "first_name": "回音"}
    rights = dict.fromkeys(
        [
            "is_member", "can_send_messages", "can_send_audios", "can_send_documents", "can_send_photos",
            "can_send_videos", "can_send_video_notes", "can_send_voice_notes", "can_send_polls",
            "can_send_other_messages", "can_add_web_page_previews", "can_change_info", "can_invite_users",
            "can_pin_messages", "can_manage_topics", "can_edit_tag", "can_react_to_messages",
        ],
        True,
    )  # fmt: skip
    old = {"user": bot, "status": "member"}
    new = {"user": bot, "status": status, "until_date": 0, **rights}
    return {"chat": chat, "from": person, "date": 1, "old_chat_member": old, "new_chat_member": new}


def test_the_log_names_no_type_that_somebody_made_up(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async def story(telegram: TelegramShop) -> None:
        configure_logs(LogLevel.DEBUG, LogFormat.JSON)
        telegram.api.push_raw('{"update_id":@ID,"call_13800138000":{"text":"别记我"}}'.encode())
        telegram.api.user(5, "张三丰").says("这句话谁也不该在日志里看到")
        telegram.api.push_raw(b'{"update_id":@ID,"message":{"text":"SECRET-WORDS"}}')
        await telegram.hears()

    play(tmp_path, story)
    logged = capfd.readouterr().err
    assert '"kind": "other"' in logged
    for private in ("13800138000", "张三丰", "谁也不该", "别记我", "SECRET-WORDS", "AAstandin"):
        assert private not in logged


def test_the_staff_group_goes_to_its_room_also_after_it_moved(tmp_path: Path) -> None:
    async def story(telegram: TelegramShop) -> None:
        group = telegram.api.group(GROUP, forum=True)
        li = telegram.api.user(50, "小李")
        group.member(li).says("接单")
        telegram.api.group(-1009999).member(li).says("别的群")
        await telegram.hears()
        given = list(telegram.room.given)
        assert given.count("message") == 1
        new, name = -1005555555555, f"telegram:{telegram.bot.id}:moved:{GROUP}"
        now = telegram.shop.clock()
        await telegram.shop.run(lambda unit: unit.bookmarks.set(name, str(new), now))
        telegram.api.group(new).member(li).says("搬家以后")
        await telegram.hears()
        assert telegram.room.given.count("message") == 2

    play(tmp_path, story, GROUP)


def test_the_first_word_from_a_group_that_moved_goes_to_the_room_too(tmp_path: Path) -> None:
    async def story(telegram: TelegramShop) -> None:
        group = telegram.api.group(-4242, "客服群")
        li = telegram.api.user(50, "小李")
        group.member(li).says("在吗")
        group.upgrades(-1004242424242)
        await telegram.hears()
        # The farewell of the old group and the first line of the new one both tell of the move.
        assert telegram.room.given.count("message") == 3

    play(tmp_path, story, -4242)


def test_a_link_code_goes_to_the_room_and_is_kept_nowhere_in_the_talk(tmp_path: Path) -> None:
    async def story(telegram: TelegramShop) -> None:
        li = telegram.api.user(50, "小李")
        li.says("/link ABCDE23456")
        li.says("/LINK@huiyin_test_bot  XYZ ")
        await telegram.hears()
        assert telegram.room.codes == ["ABCDE23456", "XYZ"]
        assert await telegram.lines(50) == []

    play(tmp_path, story)


def test_one_update_that_is_none_of_telegrams_does_not_keep_the_next_one_waiting(tmp_path: Path) -> None:
    async def story(telegram: TelegramShop) -> None:
        xiaoming = telegram.api.user(5)
        bad = {"message_id": "x", "date": [], "chat": {"id": 5, "type": "private"}, "text": {}}
        telegram.api.push("message", bad)
        xiaoming.says("什么时候发货")
        await telegram.polls_all()
        await telegram.settle()
        (letter,) = await telegram.dead()
        assert (letter.error, letter.attempts, letter.lane) == ("InvalidInputError", 1, "telegram:5")
        assert await telegram.said(5) == ["什么时候发货"]
        assert len(await telegram.answers(5)) == 1
        telegram.shop.clock.turn(timedelta(hours=1))
        await telegram.settle()
        assert len(await telegram.dead()) == 1

    play(tmp_path, story)


def test_what_customers_tell_another_bot_is_not_taken_for_what_they_told_the_one_before(
    tmp_path: Path,
) -> None:
    """Each bot counts the messages of its chats by itself."""

    async def story(there: TelegramShop) -> None:
        def told(words: str, update_id: int) -> RawInput:
            message = {
                "message_id": 7,
                "date": 1795000000,
                "chat": {"id": 5, "type": "private"},
                "from": {"id": 5, "is_bot": False, "first_name": "小明"},
                "text": words,
            }
            return read_update(json.dumps({"update_id": update_id, "message": message}).encode()).stored

        installation = there.shop.installation
        await there.shop.desk.accept_batch([told("对旧的说", 10)])
        await there.settle()
        other = make_bot("987654:BBFWqK1lMnOpQrStUvWxYz0123456789abc", there.api.url)
        handler = UpdateHandler(other, there.shop.desk, installation.database, there.shop.clock)
        worker = InboxWorker(
            installation.database,
            installation.wakeups,
            {SOURCE: handler},
            installation.owner,
            there.shop.clock,
        )
        await there.shop.desk.accept_batch([told("对新的说", 11), told("对新的说", 12)])
        while await worker.work_one_lane():
            pass
        await other.session.close()
        assert await there.said(5) == ["对旧的说", "对新的说"]

    play(tmp_path, story)
