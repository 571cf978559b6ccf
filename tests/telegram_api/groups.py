"""Groups in front of Telegram: forums with topics, members, and what becomes of the bot in them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Literal

from telegram_api.locks import locked
from telegram_api.methods_change import remove_topic
from telegram_api.people import User, Voice, tell_membership
from telegram_api.seen import Seen, show_all
from telegram_api.world import Chat, Json

if TYPE_CHECKING:
    from telegram_api.api import TelegramApi


class Group:
    """A group. People speak in it through ``member``."""

    def __init__(self, api: TelegramApi, chat: Chat) -> None:
        self._api = api
        self.lock: threading.RLock = api.lock
        self.chat = chat
        self.id = chat.id

    @locked
    def member(self, user: User | int, topic: int | None = None, status: str = "member") -> Voice:
        """A person in the group (who joins if need be), speaking in that topic."""
        user_id = user if isinstance(user, int) else user.id
        self.chat.members.setdefault(user_id, {"status": status})
        return Voice(self._api, self._api.world.users[user_id], self.chat, topic)

    @locked
    def leaves(self, user: User | int) -> None:
        """A person leaves."""
        user_id = user if isinstance(user, int) else user.id
        self.chat.members[user_id] = {"status": "left"}

    @locked
    def sees(self, topic: int | Literal["all"] | None = "all", by_bot: bool | None = None) -> list[Seen]:
        """What is to be seen in a topic (None: in General), or everywhere."""
        found = show_all(self.chat, by_bot)
        return found if topic == "all" else [seen for seen in found if seen.topic == topic]

    @locked
    def topics(self) -> dict[int, Json]:
        """The topics that are there: number → name and whether it is closed."""
        return {
            topic.id: {"name": topic.name, "closed": topic.closed}
            for topic in self.chat.topics.values()
            if not topic.deleted
        }

    @locked
    def deletes_topic(self, topic: int) -> None:
        """Staff take a topic away; a bot is not told."""
        remove_topic(self.chat, self.chat.topics[topic])

    @locked
    def shuts_topic(self, topic: int, user: User | int, closed: bool = True) -> None:
        """Staff close or reopen a topic."""
        self.chat.topics[topic].closed = closed
        name = "forum_topic_closed" if closed else "forum_topic_reopened"
        voice = self.member(user, topic)
        stored = self._api.world.store(
            self.chat, self._api.world.users[voice.id], {name: {}}, topic, service=True
        )
        voice.tell("message", stored)

    @locked
    def bot_becomes(self, status: str, *rights: str, by: int | None = None) -> None:
        """Makes the bot administrator (with rights), member, left or kicked, and tells it."""
        chat = self.chat
        old, chat.bot_status = chat.bot_status, status
        old_rights, chat.bot_rights = chat.bot_rights, set(rights)
        users = self._api.world.users
        actor = (
            users[by]
            if by
            else next(iter(users.values()), {"id": 1, "is_bot": False, "first_name": "管理员"})
        )
        tell_membership(self._api, chat, actor, old, status, old_rights, chat.bot_rights)

    def kicks_bot(self) -> None:
        """Removes the bot."""
        self.bot_becomes("kicked")

    @locked
    def upgrades(self, new_id: int) -> Group:
        """Turns a small group into a supergroup with another number, and tells it in both."""
        old, world = self.chat, self._api.world
        new = self._api.group(new_id, old.info["title"], kind="supergroup")
        new.chat.members = dict(old.members)
        new.chat.bot_status, new.chat.bot_rights = old.bot_status, set(old.bot_rights)
        users = self._api.world.users
        sender = (
            users[next(iter(old.members))]
            if old.members
            else {"id": 1, "is_bot": False, "first_name": "管理员"}
        )
        for chat, content in (
            (old, {"migrate_to_chat_id": new_id}),
            (new.chat, {"migrate_from_chat_id": self.id}),
        ):
            stored = world.store(chat, sender, content, service=True)
            self._api.updates.add("message", stored.body, ("chat", chat.id))
        old.upgraded_to = new_id
        return new
