"""A channel behind a network beside the web chat, and a customer on it who does what people do there."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from shop import Shop, play

from bot.webchat.sender import WebChatSender
from bot.workers.outbox_worker import OutboxWorker
from desk.ports import Pace, SendReceipt, UnitOfWork
from desk.service_desk import Incoming
from desk.staff_desk import StaffDesk
from desk.values import (
    Attachment,
    AttachmentKind,
    Author,
    ChannelCapabilities,
    ChannelUser,
    Conversation,
    DeskEvent,
    Identity,
    Message,
    Outgoing,
)

PHOTO = Attachment(AttachmentKind.PHOTO, "file-1", size=2048, source_chat="5", source_message="17")
STICKER = Attachment(AttachmentKind.STICKER, "file-2", "👍")
VOICE = Attachment(AttachmentKind.VOICE, "file-3", mime="audio/ogg")


class FakeMessenger:
    """A channel behind a network that does not tell what was seen; ``failures`` come one by one."""

    channel = "messenger"
    pace: Pace | None = None

    def __init__(self, capabilities: ChannelCapabilities | None = None) -> None:
        self.capabilities = capabilities or ChannelCapabilities()
        self.failures: list[Exception] = []
        self.sent: list[Outgoing] = []
        self.tried: list[Outgoing] = []

    @property
    def texts(self) -> list[str]:
        return [outgoing.text for outgoing in self.sent]

    async def send(self, outgoing: Outgoing, followers: Sequence[Outgoing] = ()) -> SendReceipt:
        self.tried.append(outgoing)
        if self.failures:
            raise self.failures.pop(0)
        self.sent.append(outgoing)
        return SendReceipt(f"p-{len(self.sent)}")


class Friend:
    """A customer on the messenger, bound to order A-1."""

    def __init__(self, shop: Shop, messenger: FakeMessenger, identity: Identity, talk: Conversation) -> None:
        self._shop, self._messenger = shop, messenger
        self.identity, self.talk = identity, talk

    async def says(self, words: str, external_id: str, button_id: str | None = None) -> list[str]:
        """Writes, lets everything happen, and returns what arrived in answer."""
        return await self.does(external_id, words, button_id=button_id)

    async def sends(
        self, external_id: str, *attachments: Attachment, words: str = "", group_id: str = ""
    ) -> list[str]:
        """Sends pictures and the like, with or without words."""
        return await self.does(external_id, words, attachments=attachments or (PHOTO,), group_id=group_id)

    async def edits(self, external_id: str, words: str, revision: int = 1) -> list[str]:
        """Changes what was said under that id."""
        return await self.does(external_id, words, revision=revision)

    async def does(self, external_id: str, words: str = "", **more: Any) -> list[str]:
        """Whatever comes in, told as the channel tells it."""
        before = len(self._messenger.sent)
        plain = Incoming(self.identity.id, external_id, words, self._shop.clock())
        await self._shop.desk.take_message(replace(plain, **more), lambda unit: None)
        await self._shop.settle()
        return self._messenger.texts[before:]

    async def presses(self, label: str, external_id: str) -> list[str]:
        """Presses the newest button of that label."""
        for outgoing in reversed(self._messenger.sent):
            for option in outgoing.prompt.options if outgoing.prompt is not None else ():
                if option.label == label:
                    return await self.says(label, external_id, option.button_id)
        raise AssertionError(f"no button {label}")

    async def lines(self, author: Author | None = None) -> list[Message]:
        """What the customer sees, or what one of them wrote."""
        _, lines = await self._shop.desk.read_lines(self.identity.id, 0, 1000)
        return [line for line in lines if author is None or line.author is author]

    async def own_reasons(self) -> list[str]:
        """What the desk did with each of the customer's lines."""
        return [line.reason for line in await self.lines(Author.CUSTOMER)]


def play_messenger(
    folder: Path,
    story: Callable[[Shop, FakeMessenger, Friend], Coroutine[Any, Any, None]],
    capabilities: ChannelCapabilities | None = None,
) -> None:
    """Plays a story with a messenger beside the web chat, and a buyer of A-1 on it."""

    async def with_messenger(shop: Shop) -> None:
        messenger = FakeMessenger(capabilities)
        installation = shop.installation
        parts = installation.database, installation.wakeups, shop.desk
        shop.outboxes = [
            OutboxWorker(*parts, sender, installation.owner, shop.clock)
            for sender in (WebChatSender(), messenger)
        ]
        known = {"webchat": WebChatSender.capabilities, "messenger": messenger.capabilities}
        shop.staff_desk = StaffDesk(installation.database, installation.wakeups, shop.clock, known)
        await shop.reports_event("shipped")
        token_hash = hash_token(await shop.link())

        def bind(unit: UnitOfWork) -> tuple[Identity, Conversation]:
            identity, talk = unit.identities.open("messenger", "u-1", shop.clock())
            order = unit.orders.lock("A-1")
            assert order is not None
            unit.orders.bind(token_hash, order.id, identity.id, shop.clock())
            return identity, talk

        await story(shop, messenger, Friend(shop, messenger, *await shop.run(bind)))

    play(folder, with_messenger)


def hash_token(token: str) -> str:
    """How the token of an order link is known to the desk."""
    return hashlib.sha256(token.encode()).hexdigest()


async def events_of(shop: Shop, *kinds: str) -> list[DeskEvent]:
    """What the staff's screens were told, of these kinds, oldest first."""
    found = await shop.run(lambda unit: unit.desk_events.find_after(0, 1000))
    return [event for event in found if event.kind in kinds]


def newcomer(external_id: str, name: str = "小明") -> ChannelUser:
    """Somebody on the messenger whom the desk may never have heard of."""
    return ChannelUser("messenger", external_id, name, "zh-hans")


async def arrives(
    shop: Shop, who: ChannelUser, external_id: str, words: str = "", at: datetime | None = None, **more: Any
) -> None:
    """A message of a channel's user comes in and everything that follows happens."""
    plain = Incoming(who, external_id, words, at or shop.clock())
    await shop.desk.take_message(replace(plain, **more), lambda unit: None)
    await shop.settle()
