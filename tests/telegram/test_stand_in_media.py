"""The stand-in for Telegram: files, albums and everything else that is no text."""

from __future__ import annotations

from telegram_api import TelegramApi
from telegram_api.plain_bot import PlainBot, play


def test_files_go_both_ways() -> None:
    async def story(api: TelegramApi, bot: PlainBot) -> None:
        xiaoming = api.user(5)
        xiaoming.starts()
        api.limits.on = False
        xiaoming.sends_document("发票.pdf", b"%PDF-invoice", "我的发票")
        xiaoming.sends("video", size=21 * 1024 * 1024)
        _, document, video = [update["message"] for update in await bot.updates()]
        file = await bot.result("getFile", file_id=document["document"]["file_id"])
        path = f"{api.url}/file/bot{api.token}/{file['file_path']}"
        assert (await bot.client.get(path)).content == b"%PDF-invoice"
        api.clock.turn(3601)
        assert (await bot.client.get(path)).status_code == 404
        assert (await bot.refusal("getFile", file_id=video["video"]["file_id"]))[
            1
        ] == "Bad Request: file is too big"

        file_id = document["document"]["file_id"]
        await bot.result("sendDocument", chat_id=5, document=file_id, caption="回")
        await bot.result("sendPhoto", chat_id=5, photo=file_id)
        await bot.result("sendVoice", chat_id=5, voice=file_id)
        await bot.result("sendVideo", chat_id=5, video=file_id)
        await bot.result("sendLocation", chat_id=5, latitude=31.2, longitude=121.4)
        wrong = await bot.refusal("sendPhoto", chat_id=5, photo="nonsense")
        assert wrong == (400, "Bad Request: wrong file identifier/HTTP URL specified")
        address = f"{api.url}/bot{api.token}/sendPhoto"
        uploaded = await bot.client.post(address, data={"chat_id": "5"}, files={"photo": ("a.jpg", b"JPEG")})
        assert api.world.files[uploaded.json()["result"]["photo"][-1]["file_id"]].content == b"JPEG"
        album = [{"type": "photo", "media": file_id, "caption": "一"}, {"type": "photo", "media": file_id}]
        sent = await bot.result("sendMediaGroup", chat_id=5, media=album)
        assert len({part["media_group_id"] for part in sent}) == 1
        kinds = [seen.media for seen in xiaoming.sees(by_bot=True)]
        assert kinds == ["document", "photo", "voice", "video", "location", "photo", "photo", "photo"]

        copied = await bot.result("copyMessage", chat_id=5, from_chat_id=5, message_id=document["message_id"])
        assert copied.keys() == {"message_id"}
        seen = xiaoming.sees(by_bot=True)[-1]
        assert (seen.text, seen.file_id, "forward_origin" in seen.body) == ("我的发票", file_id, False)
        lost = await bot.refusal("copyMessage", chat_id=5, from_chat_id=5, message_id=404)
        assert lost == (400, "Bad Request: message to copy not found")
        forwarded = await bot.result(
            "forwardMessage", chat_id=5, from_chat_id=5, message_id=document["message_id"]
        )
        assert forwarded["forward_origin"]["sender_user"]["id"] == 5

    play(story)


def test_everything_a_customer_can_send_arrives() -> None:
    async def story(api: TelegramApi, bot: PlainBot) -> None:
        xiaoming = api.user(5, "小明", username="xm")
        await bot.updates(allowed_updates=["message", "edited_message", "message_reaction"])
        first = xiaoming.says("你好")
        xiaoming.edits(first, "您好")
        xiaoming.sends_photo("图")
        xiaoming.sends_voice()
        xiaoming.sends_sticker()
        xiaoming.sends_location()
        xiaoming.sends_contact()
        xiaoming.sends_album(["一", ""])
        xiaoming.posts({"dice": {"emoji": "🎲", "value": 6}})
        answer = await bot.say(5, "嗯")
        xiaoming.reacts(answer, "👍")
        api.clock.turn(1)  # Else it is the same offset again within half a second, and one update comes.
        updates = await bot.updates()
        kinds = [next(key for key in update if key != "update_id") for update in updates]
        assert kinds == ["message", "edited_message", *["message"] * 8, "message_reaction"]
        numbers = [update["update_id"] for update in updates]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert updates[1]["edited_message"]["text"] == "您好"
        assert updates[7]["message"]["media_group_id"] == updates[8]["message"]["media_group_id"]
        assert updates[-1]["message_reaction"]["new_reaction"] == [{"type": "emoji", "emoji": "👍"}]
        await bot.result(
            "setMessageReaction", chat_id=5, message_id=first, reaction=[{"type": "emoji", "emoji": "👌"}]
        )
        assert (
            await bot.refusal(
                "setMessageReaction", chat_id=5, message_id=first, reaction=[{"type": "emoji", "emoji": "🪑"}]
            )
        )[1] == "Bad Request: REACTION_INVALID"

    play(story)
