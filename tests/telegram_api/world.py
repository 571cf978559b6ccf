"""What Telegram knows: people, chats, topics, messages and files."""

from __future__ import annotations

import itertools
import secrets
from dataclasses import dataclass, field
from typing import Any

from telegram_api.clock import Clock
from telegram_api.errors import ApiError, bad, forbidden
from telegram_api.limits import Limits

Json = dict[str, Any]

ADMIN_RIGHTS = (
    "can_manage_chat", "can_delete_messages", "can_manage_video_chats", "can_restrict_members",
    "can_promote_members", "can_change_info", "can_invite_users", "can_post_stories", "can_edit_stories",
    "can_delete_stories", "can_pin_messages", "can_manage_topics", "can_send_welcome_messages",
)  # fmt: skip
GROUP_RIGHTS = (
    "can_send_messages", "can_send_audios", "can_send_documents", "can_send_photos", "can_send_videos",
    "can_send_video_notes", "can_send_voice_notes", "can_send_polls", "can_send_other_messages",
    "can_add_web_page_previews", "can_change_info", "can_invite_users", "can_pin_messages",
)  # fmt: skip


@dataclass
class Stored:
    """A message as it is now. ``body`` is its JSON."""

    body: Json
    by_bot: bool
    topic: int | None
    service: bool = False
    deleted: bool = False
    reactions: dict[int, list[str]] = field(default_factory=dict)

    @property
    def id(self) -> int:
        """Its number in its chat."""
        return int(self.body["message_id"])


@dataclass
class Topic:
    """A topic of a forum; its number is that of the message that created it."""

    id: int
    name: str
    icon_color: int = 0x6FB9F0
    icon_custom_emoji_id: str = ""
    closed: bool = False
    deleted: bool = False


@dataclass
class File:
    """A file, by its id for ever and by its path for an hour."""

    file_id: str
    unique_id: str
    content: bytes
    name: str
    mime: str
    size: int
    path: str = ""
    path_until: float = 0.0


@dataclass
class Chat:
    """A private chat (its id is the user's), a group or a supergroup."""

    id: int
    type: str
    info: Json
    messages: dict[int, Stored] = field(default_factory=dict)
    topics: dict[int, Topic] = field(default_factory=dict)
    members: dict[int, Json] = field(default_factory=dict)
    started: bool = False
    blocked: bool = False
    deactivated: bool = False
    bot_status: str = "member"
    bot_rights: set[str] = field(default_factory=set)
    bot_may_write: bool = True
    upgraded_to: int | None = None
    reply_keyboard: Json | None = None

    @property
    def private(self) -> bool:
        """Whether it is with one person."""
        return self.type == "private"

    @property
    def forum(self) -> bool:
        """Whether it has topics."""
        return bool(self.info.get("is_forum"))

    def json(self) -> Json:
        """The chat as messages carry it."""
        return {"id": self.id, "type": self.type, **self.info}


class World:
    """All of it, with the rules for who may write where."""

    def __init__(self, clock: Clock, limits: Limits, bot: Json) -> None:
        self.clock = clock
        self.limits = limits
        self.bot = bot
        self.users: dict[int, Json] = {}
        self.chats: dict[int, Chat] = {}
        self.files: dict[str, File] = {}
        self.queries: dict[str, tuple[int, float]] = {}
        self.notices: dict[int, list[Json]] = {}
        self.commands: list[Json] = []
        self.bot_reads_all = False
        """Whether privacy mode is off (else the bot sees all only where it is an administrator)."""
        # Private chats and small groups share one row of numbers, as on an account; supergroups count alone.
        self._numbers: dict[int, itertools.count[int]] = {0: itertools.count(1)}

    def number(self, chat: Chat) -> int:
        """The next message number of a chat."""
        key = chat.id if chat.type == "supergroup" else 0
        return next(self._numbers.setdefault(key, itertools.count(1)))

    def store(self, chat: Chat, sender: Json, content: Json, topic: int | None = None, **more: Any) -> Stored:
        """Puts a message into a chat."""
        body: Json = {
            "message_id": self.number(chat),
            "from": sender,
            "chat": chat.json(),
            "date": int(self.clock.wall()),
        }
        if topic is not None:
            body |= {"message_thread_id": topic, "is_topic_message": True}
            if "reply_to_message" not in content and topic in chat.messages:
                # Every message of a topic that answers none "answers" the one that created the topic.
                content = {"reply_to_message": without_reply(chat.messages[topic].body), **content}
        stored = Stored({**body, **content}, by_bot=sender["id"] == self.bot["id"], topic=topic, **more)
        chat.messages[stored.id] = stored
        return stored

    def add_file(self, content: bytes, name: str, mime: str, size: int | None = None) -> File:
        """Keeps a file. ``size`` may claim more than there is."""
        file = File(
            secrets.token_urlsafe(36), secrets.token_urlsafe(9), content, name, mime,
            len(content) if size is None else size,
        )  # fmt: skip
        self.files[file.file_id] = file
        return file

    # Who may be written to.

    def chat_to_read(self, chat_id: Any) -> Chat:
        """A chat that the bot may look at.

        Raises:
            ApiError: If there is none, in Telegram's words.
        """
        if chat_id is None or chat_id == "":
            raise bad("chat_id is empty")
        chat = self.chats.get(chat_id) if isinstance(chat_id, int) else None
        if chat is None:
            raise bad("chat not found")
        if chat.upgraded_to is not None:
            raise bad(
                "group chat was upgraded to a supergroup chat",
                migrate_to_chat_id=chat.upgraded_to,
            )
        if not chat.private and chat.bot_status in {"kicked", "left"}:
            raise self._not_inside(chat)
        return chat

    @staticmethod
    def _not_inside(chat: Chat) -> ApiError:
        how = "was kicked from" if chat.bot_status == "kicked" else "is not a member of"
        return forbidden(f"bot {how} the {chat.type} chat")

    def chat_to_write(self, chat_id: Any) -> Chat:
        """A chat that the bot may write to.

        Raises:
            ApiError: If it may not, in Telegram's words.
        """
        chat = self.chat_to_read(chat_id)
        if chat.deactivated:
            raise forbidden("user is deactivated")
        if chat.blocked:
            raise forbidden("bot was blocked by the user")
        if chat.private and not chat.started:
            raise forbidden("bot can't initiate conversation with a user")
        if not chat.bot_may_write:
            raise bad("not enough rights to send text messages to the chat")
        return chat

    def topic_to_write(self, chat: Chat, thread: Any) -> int | None:
        """The topic meant by ``message_thread_id``, None for none.

        Raises:
            ApiError: If it is not there, or closed for the bot.
        """
        if thread in (None, "", 0):
            return None
        topic = chat.topics.get(thread)
        if topic is None or topic.deleted:
            raise bad("message thread not found")
        if topic.closed and not self.may(chat, "can_manage_topics"):
            raise bad("TOPIC_CLOSED")
        return topic.id

    def may(self, chat: Chat, right: str) -> bool:
        """Whether the bot has an administrator's right there."""
        return chat.bot_status == "administrator" and right in chat.bot_rights

    def message(self, chat: Chat, number: Any, words: str) -> Stored:
        """A message that is there; else a 400 with those words."""
        stored = chat.messages.get(number) if isinstance(number, int) else None
        if stored is None or stored.deleted:
            raise bad(words)
        return stored


def without_reply(body: Json) -> Json:
    """A message as it is quoted inside another one."""
    return {key: value for key, value in body.items() if key not in {"reply_to_message", "pinned_message"}}
