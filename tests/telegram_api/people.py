"""People in front of Telegram: what a test makes customers and staff do, and what they see."""

from __future__ import annotations

import re
import secrets
import threading
from typing import TYPE_CHECKING, Any

from telegram_api.locks import locked
from telegram_api.media import describe, mime_of
from telegram_api.methods_about import bot_member
from telegram_api.seen import Seen, show_all
from telegram_api.texts import units
from telegram_api.updates import TAP_LIFE
from telegram_api.world import Chat, Json, Stored, without_reply

if TYPE_CHECKING:
    from telegram_api.api import TelegramApi

_COMMAND = re.compile(r"/[A-Za-z0-9_]{1,64}(?:@\w+)?")
PICTURE = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffd9")
"""The smallest thing that looks like a JPEG."""


class Voice:
    """Somebody in one chat, or in one topic of it. Every method returns the number of the new message."""

    def __init__(self, api: TelegramApi, user: Json, chat: Chat, topic: int | None = None) -> None:
        self._api = api
        self._world = api.world
        self.lock: threading.RLock = api.lock
        self._user = user
        self.chat = chat
        self.topic = topic
        self.id: int = user["id"]

    @locked
    def posts(self, content: Json, reply_to: int | None = None) -> int:
        """Any content, such as ``{"dice": {"emoji": "🎲", "value": 6}}``.

        Raises:
            ValueError: If they have blocked the bot.
        """
        if self.chat.blocked or self.chat.deactivated:
            raise ValueError("who blocked the bot must unblock it to write")
        self.chat.started = True
        topic = self.topic
        if reply_to is not None:
            answered = self.chat.messages[reply_to]
            topic = topic if topic is not None else answered.topic
            content = {"reply_to_message": without_reply(answered.body), **content}
        stored = self._world.store(self.chat, self._user, content, topic)
        self.tell("message", stored)
        return stored.id

    def tell(self, kind: str, stored: Stored) -> None:
        """Tells the bot, where it gets to see the message."""
        if self._bot_sees(stored):
            self._api.updates.add(kind, stored.body, ("chat", self.chat.id))

    def _bot_sees(self, stored: Stored) -> bool:
        chat, body = self.chat, stored.body
        if chat.private:
            return True
        if chat.bot_status in {"left", "kicked"}:
            return False
        if chat.bot_status == "administrator" or self._world.bot_reads_all or stored.service:
            return True
        text = body.get("text", body.get("caption", ""))
        to_bot = body.get("reply_to_message", {}).get("from", {}).get("id") == self._world.bot["id"]
        return text.startswith("/") or to_bot or f"@{self._world.bot['username']}" in text

    def says(self, text: str, reply_to: int | None = None, entities: list[Json] | None = None) -> int:
        """A text. Commands at its beginning are marked as such, as apps do."""
        content: Json = {"text": text}
        command = _COMMAND.match(text)
        marks = list(entities or [])
        if command:
            marks.append({"type": "bot_command", "offset": 0, "length": units(command[0])})
        if marks:
            content["entities"] = marks
        return self.posts(content, reply_to)

    @locked
    def edits(self, message_id: int, text: str) -> None:
        """Changes a text or a caption of their own."""
        stored = self.chat.messages[message_id]
        name = "text" if "text" in stored.body else "caption"
        stored.body = {**stored.body, name: text, "edit_date": int(self._world.clock.wall())}
        stored.body.pop("entities", None)
        self.tell("edited_message", stored)

    @locked
    def taps(self, message_id: int, button: str | None = None, data: str | None = None) -> str:
        """Presses a button by its label; ``data`` forges what is sent. Returns the number of the query."""
        stored = self.chat.messages[message_id]
        if data is None:
            rows = stored.body.get("reply_markup", {}).get("inline_keyboard", [])
            buttons = [one for row in rows for one in row if "callback_data" in one]
            found = [one for one in buttons if button in (one["text"], one["callback_data"])]
            if not found:
                raise LookupError(f"no button {button!r} among {[one['text'] for one in buttons]}")
            data = found[0]["callback_data"]
        query = str(secrets.randbits(62))
        self._world.queries[query] = (self.id, self._world.clock.wall())
        message = stored.body
        if stored.deleted:
            message = {"chat": self.chat.json(), "message_id": stored.id, "date": 0}
        payload = {
            "id": query,
            "from": self._user,
            "message": message,
            "chat_instance": str(abs(hash((self.chat.id, "instance")))),
            "data": data,
        }
        self._api.updates.add("callback_query", payload, ("taps", self.id), TAP_LIFE)
        return query

    def sends(
        self, kind: str, caption: str = "", content: bytes = PICTURE, name: str = "", reply_to: int | None = None,
        size: int | None = None, mime: str = "",
    ) -> int:  # fmt: skip
        """A file: photo, document, voice, video, audio, animation, sticker or video_note."""
        file = self._world.add_file(content, name or f"{kind}.bin", mime or mime_of(kind), size)
        return self.posts({kind: describe(kind, file), **({"caption": caption} if caption else {})}, reply_to)

    def sends_photo(self, caption: str = "", **more: Any) -> int:
        """A photo."""
        return self.sends("photo", caption, **more)

    def sends_document(self, name: str, content: bytes = b"%PDF-1.7", caption: str = "", **more: Any) -> int:
        """A file with a name."""
        return self.sends("document", caption, content, name, **more)

    def sends_voice(self, **more: Any) -> int:
        """A voice message."""
        return self.sends("voice", content=b"OggS", **more)

    def sends_video(self, caption: str = "", **more: Any) -> int:
        """A video."""
        return self.sends("video", caption, **more)

    def sends_sticker(self, **more: Any) -> int:
        """A sticker."""
        return self.sends("sticker", **more)

    def sends_album(self, captions: list[str], kind: str = "photo") -> list[int]:
        """Several files as one album, one for each caption; each arrives as a message of its own."""
        album = str(secrets.randbits(53))
        numbers = []
        for number, caption in enumerate(captions):
            file = self._world.add_file(PICTURE, f"{kind}{number}.bin", mime_of(kind))
            content = {"media_group_id": album, kind: describe(kind, file)}
            numbers.append(self.posts({**content, **({"caption": caption} if caption else {})}))
        return numbers

    def sends_location(self, latitude: float = 31.2304, longitude: float = 121.4737) -> int:
        """A place."""
        return self.posts({"location": {"latitude": latitude, "longitude": longitude}})

    def sends_contact(self, phone: str = "+8613800138000", first_name: str = "小明") -> int:
        """A contact."""
        return self.posts({"contact": {"phone_number": phone, "first_name": first_name}})

    @locked
    def reacts(self, message_id: int, *emoji: str) -> None:
        """Puts emoji under a message, in place of those before."""
        stored = self.chat.messages[message_id]
        before, stored.reactions[self.id] = stored.reactions.get(self.id, []), list(emoji)
        payload = {
            "chat": self.chat.json(),
            "message_id": message_id,
            "user": self._user,
            "date": int(self._world.clock.wall()),
            "old_reaction": [{"type": "emoji", "emoji": one} for one in before],
            "new_reaction": [{"type": "emoji", "emoji": one} for one in emoji],
        }
        if self.chat.private or self.chat.bot_status == "administrator":
            self._api.updates.add("message_reaction", payload, ("reactions", self.chat.id))

    @locked
    def deletes(self, message_id: int) -> None:
        """Takes a message away; a bot is not told."""
        self.chat.messages[message_id].deleted = True


class User(Voice):
    """A person in the private chat with the bot."""

    def starts(self, payload: str = "") -> int:
        """Presses Start, perhaps behind a deep link."""
        return self.says(f"/start {payload}".strip())

    @locked
    def blocks(self) -> None:
        """Blocks the bot."""
        self.chat.blocked = True
        self._member_update("member", "kicked")

    @locked
    def unblocks(self) -> None:
        """Unblocks it."""
        self.chat.blocked = False
        self._member_update("kicked", "member")

    @locked
    def deletes_account(self) -> None:
        """Is gone; nobody is told."""
        self.chat.deactivated = True

    def _member_update(self, old: str, new: str) -> None:
        tell_membership(self._api, self.chat, self._user, old, new, set(), set())

    @locked
    def sees(self, by_bot: bool | None = None) -> list[Seen]:
        """The chat as it looks now; ``by_bot=True`` only what the bot wrote."""
        return show_all(self.chat, by_bot)

    @locked
    def notices(self) -> list[Json]:
        """What answers to their taps showed: ``{"text", "show_alert", "query"}``, empty texts too."""
        return list(self._world.notices.get(self.id, []))

    @locked
    def keyboard(self) -> Json | None:
        """The reply keyboard under the chat."""
        return self.chat.reply_keyboard


def tell_membership(
    api: TelegramApi, chat: Chat, actor: Json, old: str, new: str, old_rights: set[str], new_rights: set[str]
) -> None:
    """The update that says what the bot has become in a chat."""
    payload = {
        "chat": chat.json(),
        "from": actor,
        "date": int(api.world.clock.wall()),
        "old_chat_member": bot_member(api.world, old, old_rights),
        "new_chat_member": bot_member(api.world, new, new_rights),
    }
    api.updates.add("my_chat_member", payload, ("members", chat.id))
