"""The stand-in for Telegram: groups, forum topics, rights, and groups that become supergroups."""

from __future__ import annotations

from telegram_api import TelegramApi
from telegram_api.plain_bot import PlainBot, play

STAFF = -1001234567890


def test_a_topic_is_born_used_closed_and_deleted() -> None:
    async def story(api: TelegramApi, bot: PlainBot) -> None:
        api.limits.on = False
        group = api.group(STAFF, forum=True)
        topic = await bot.result("createForumTopic", chat_id=STAFF, name="小明 · HY-1042")
        thread = topic["message_thread_id"]
        there = {"chat_id": STAFF, "message_thread_id": thread}
        card = await bot.result("sendMessage", text="新客户", **there)
        assert (card["message_thread_id"], card["is_topic_message"]) == (thread, True)
        assert card["reply_to_message"]["forum_topic_created"]["name"] == "小明 · HY-1042"
        await bot.say(STAFF, "大家好")
        assert [seen.text for seen in group.sees(thread)] == ["新客户"]
        assert [seen.text for seen in group.sees(None)] == ["大家好"]

        lili = group.member(api.user(8, "丽丽"), thread)
        reply = lili.says("我来", reply_to=card["message_id"])
        message = (await bot.updates())[0]["message"]
        assert message["reply_to_message"]["message_id"] == card["message_id"]
        assert (message["message_thread_id"], message["from"]["first_name"]) == (thread, "丽丽")
        answer = await bot.result(
            "sendMessage", chat_id=STAFF, text="好", reply_parameters={"message_id": reply}
        )
        assert answer["message_thread_id"] == thread, "an answer goes where the question is"

        await bot.result("editForumTopic", name="小明 ✓", **there)
        same = await bot.refusal("editForumTopic", name="小明 ✓", **there)
        assert same == (400, "Bad Request: TOPIC_NOT_MODIFIED")
        await bot.result("closeForumTopic", **there)
        assert group.topics() == {thread: {"name": "小明 ✓", "closed": True}}
        await bot.result("sendMessage", text="管理员还能写", **there)
        await bot.result("reopenForumTopic", **there)

        group.deletes_topic(thread)
        gone = (400, "Bad Request: message thread not found")
        assert await bot.refusal("sendMessage", text="?", **there) == gone
        assert await bot.refusal("closeForumTopic", **there) == gone
        assert group.sees(thread) == []
        other = await bot.result("createForumTopic", chat_id=STAFF, name="另一个")
        await bot.result("deleteForumTopic", chat_id=STAFF, message_thread_id=other["message_thread_id"])
        assert group.topics() == {}

    play(story)


def test_rights_in_a_forum() -> None:
    async def story(api: TelegramApi, bot: PlainBot) -> None:
        group = api.group(STAFF, forum=True)
        thread = (await bot.result("createForumTopic", chat_id=STAFF, name="一"))["message_thread_id"]
        lili = api.user(8, "丽丽")
        group.bot_becomes("administrator", "can_delete_messages")
        refused = await bot.refusal("createForumTopic", chat_id=STAFF, name="二")
        assert refused == (400, "Bad Request: not enough rights to create a topic")
        group.shuts_topic(thread, lili)
        closed = await bot.refusal("sendMessage", chat_id=STAFF, message_thread_id=thread, text="?")
        assert closed == (400, "Bad Request: TOPIC_CLOSED")
        api.group(-1005, "普通群")
        plain = await bot.refusal("createForumTopic", chat_id=-1005, name="二")
        assert plain == (400, "Bad Request: the chat is not a forum")
        updates = await bot.updates()
        change = updates[0]["my_chat_member"]
        assert change["old_chat_member"]["can_manage_topics"] is True
        assert change["new_chat_member"]["can_manage_topics"] is False
        assert "forum_topic_closed" in updates[1]["message"]

    play(story)


def test_who_is_in_the_group() -> None:
    async def story(api: TelegramApi, bot: PlainBot) -> None:
        group = api.group(STAFF, forum=True)
        group.member(api.user(8, "丽丽"), status="creator")
        group.member(api.user(9, "阿强"))
        api.user(10)
        assert (await bot.result("getChat", chat_id=STAFF))["is_forum"] is True
        administrators = await bot.result("getChatAdministrators", chat_id=STAFF)
        assert [member["status"] for member in administrators] == ["administrator", "creator"]
        assert administrators[0]["can_manage_topics"] is True
        statuses = []
        for user_id in (8, 9, 10):
            member = await bot.result("getChatMember", chat_id=STAFF, user_id=user_id)
            statuses.append(member["status"])
        assert statuses == ["creator", "member", "left"]

        group.kicks_bot()
        kicked = (403, "Forbidden: bot was kicked from the supergroup chat")
        assert await bot.refusal("sendMessage", chat_id=STAFF, text="?") == kicked
        assert await bot.refusal("getChat", chat_id=STAFF) == kicked
        group.bot_becomes("left")
        outside = await bot.refusal("sendMessage", chat_id=STAFF, text="?")
        assert outside == (403, "Forbidden: bot is not a member of the supergroup chat")

    play(story)


def test_without_rights_a_bot_hears_only_what_is_meant_for_it() -> None:
    async def story(api: TelegramApi, bot: PlainBot) -> None:
        group = api.group(STAFF, admin=False)
        mine = await bot.say(STAFF, "我是机器人")
        lili = group.member(api.user(8))
        lili.says("午饭吃什么")
        lili.says("/link 123456")
        lili.says("回你", reply_to=mine)
        lili.says("喂 @huiyin_test_bot")
        texts = [update["message"]["text"] for update in await bot.updates()]
        assert texts == ["/link 123456", "回你", "喂 @huiyin_test_bot"]

    play(story)


def test_taps_in_a_group_say_who_tapped() -> None:
    async def story(api: TelegramApi, bot: PlainBot) -> None:
        group = api.group(STAFF, forum=True)
        buttons = {"inline_keyboard": [[{"text": "接单", "callback_data": "take:1"}]]}
        card = await bot.say(STAFF, "HY-1042", reply_markup=buttons)
        group.member(api.user(8)).taps(card, "接单")
        group.member(api.user(9)).taps(card, "接单")
        taps = [update["callback_query"] for update in await bot.updates()]
        assert [tap["from"]["id"] for tap in taps] == [8, 9]
        assert {tap["message"]["chat"]["id"] for tap in taps} == {STAFF}

    play(story)


def test_a_group_becomes_a_supergroup() -> None:
    async def story(api: TelegramApi, bot: PlainBot) -> None:
        group = api.group(-500, "小群")
        group.member(api.user(8))
        await bot.say(-500, "旧")
        new = group.upgrades(-1009)
        body = await bot("sendMessage", chat_id=-500, text="?")
        assert body == {
            "ok": False,
            "error_code": 400,
            "description": "Bad Request: group chat was upgraded to a supergroup chat",
            "parameters": {"migrate_to_chat_id": -1009},
        }
        before, after = [update["message"] for update in await bot.updates()]
        assert (before["chat"]["id"], before["migrate_to_chat_id"]) == (-500, -1009)
        assert (after["chat"]["id"], after["migrate_from_chat_id"]) == (-1009, -500)
        await bot.say(-1009, "新")
        assert [seen.text for seen in new.sees()] == ["新"]

    play(story)
