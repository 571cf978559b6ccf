"""The sender alone before the stand-in: customers of Telegram, and messages that are queued for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from shop import Shop, play
from sqlalchemy import text
from telegram_api import TelegramApi

from bot.telegram.pace import TelegramPace
from bot.telegram.sender import RoomSender, TelegramSender
from bot.telegram.session import make_bot
from bot.workers.outbox_worker import OutboxWorker
from desk.ports import SendReceipt, UnitOfWork
from desk.values import Attachment, Option, Outgoing, OutgoingKind, Prompt, Reply, SendRank

ROOM = -1001234567890


class PlainRoom:
    """A staff room that says a row's number, and of joined rows all of theirs."""

    def __init__(self) -> None:
        self.bot: Any = None
        self.first_steps: set[int] = set()
        self.outdated: set[int] = set()

    async def send(self, outgoing: Outgoing, followers: Sequence[Outgoing]) -> SendReceipt:
        number = outgoing.payload["number"]
        if number in self.outdated:
            return SendReceipt()
        if number in self.first_steps:
            self.first_steps.remove(number)
            await self.bot.create_forum_topic(int(outgoing.recipient), f"话题 {number}")
            return SendReceipt(unfinished=True)
        words = " ".join(str(row.payload["number"]) for row in (outgoing, *followers))
        made = await self.bot.send_message(int(outgoing.recipient), words)
        return SendReceipt(str(made.message_id), also=len(followers))


class Desk:
    """Queues messages, runs the sender as the service does, and looks where they stand."""

    def __init__(self, shop: Shop, api: TelegramApi, bot: Any, room: RoomSender | None, speed: float) -> None:
        self.shop, self.api, self.bot, self.room = shop, api, bot, room
        self.speed = speed
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []
        self.worker = self.make_worker()

    def make_worker(self, owner: str | None = None) -> OutboxWorker:
        """A sender that has just started."""
        installation = self.shop.installation
        self.pace = TelegramPace(time.monotonic, self.speed)
        self.sender = TelegramSender(self.bot, self.pace, self.room)
        return OutboxWorker(
            installation.database,
            installation.wakeups,
            self.shop.desk,
            self.sender,
            owner or installation.owner,
            lambda: datetime.now(UTC),
        )

    def start(self) -> None:
        """Runs all loops of the sender."""
        self._stopping = False
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self.worker.run(lambda: self._stopping)) for _ in range(self.worker.loops)
        ]

    async def stop(self) -> None:
        """Ends the loops in good order."""
        self._stopping = True
        self.shop.installation.wakeups.ring("outbox")
        await asyncio.gather(*self._tasks)

    async def say(
        self,
        user_id: int,
        words: str,
        kind: OutgoingKind = OutgoingKind.REPLY,
        prompt: Prompt | None = None,
        attachments: tuple[Attachment, ...] = (),
        edits: int | None = None,
    ) -> int:
        """Queues one message to a customer; returns its number."""
        return (await self.say_all([(user_id, words)], kind, prompt, attachments, edits))[0]

    async def say_all(
        self,
        lines: Sequence[tuple[int, str]],
        kind: OutgoingKind = OutgoingKind.REPLY,
        prompt: Prompt | None = None,
        attachments: tuple[Attachment, ...] = (),
        edits: int | None = None,
    ) -> list[int]:
        """Queues messages to customers in one transaction."""

        def work(unit: UnitOfWork) -> list[int]:
            now, ids = datetime.now(UTC), []
            for user_id, words in lines:
                _, conversation = unit.identities.open("telegram", str(user_id), now)
                reply = Reply(words, prompt, kind=kind, attachments=attachments, edits_message_id=edits)
                message = unit.outbox.say(conversation, reply, f"said:{uuid4()}", now)
                assert message is not None
                ids.append(message.id)
            return ids

        return await self.shop.run(work)

    async def tell_staff(
        self,
        number: int,
        kind: OutgoingKind = OutgoingKind.RELAY,
        rank: SendRank = SendRank.RELAYED,
        lane: str = "room",
        **payload: Any,
    ) -> None:
        """Queues something for the staff's group."""

        def work(unit: UnitOfWork) -> None:
            unit.outbox.add_for_staff(
                f"room:{number}",
                "telegram",
                lane,
                str(ROOM),
                {"do": "line", "number": number, **payload},
                datetime.now(UTC),
                kind=kind,
                rank=rank,
            )

        await self.shop.run(work)

    async def states(self) -> list[str]:
        """Where each message stands, in the order in which they were queued."""

        def work(unit: Any) -> list[str]:
            rows = unit.session.execute(text("SELECT state FROM outbox ORDER BY id"))
            return [row[0] for row in rows]

        return await self.shop.installation.database.read(work)

    async def figures(self, column: str) -> list[Any]:
        """One column of the outbox."""

        def work(unit: Any) -> list[Any]:
            return [row[0] for row in unit.session.execute(text(f"SELECT {column} FROM outbox ORDER BY id"))]

        return await self.shop.run(work)

    async def until_settled(self, seconds: float = 20) -> list[str]:
        """Waits until nothing is queued or under way; where each message stands then."""
        return await self.until(lambda states: not {"queued", "sending"} & set(states), seconds)

    async def until(self, is_so: Callable[[list[str]], bool], seconds: float = 20) -> list[str]:
        """Waits until it is so of the states."""
        async with asyncio.timeout(seconds):
            while not is_so(states := await self.states()):
                await asyncio.sleep(0.02)
        return states


def choice(*labels: str) -> Prompt:
    """A question with these answers, numbered."""
    from desk.values import PromptKind

    options = tuple(
        Option(label, str(number), f"faq:{number}") for number, label in enumerate(labels, start=1)
    )
    return Prompt(PromptKind.CHOICE, options)


def play_sending(
    folder: Path,
    story: Callable[[Desk], Coroutine[Any, Any, None]],
    *,
    room: PlainRoom | None = None,
    speed: float = 1.0,
    runs: bool = True,
) -> None:
    """Plays a story with a sender that runs, or (``runs=False``) that the story starts itself."""

    async def with_telegram(shop: Shop) -> None:
        async with TelegramApi() as api:
            api.limits.speed = speed
            api.group(ROOM, forum=True)
            bot = make_bot(api.token, api.url)
            if room is not None:
                room.bot = bot
            try:
                desk = Desk(shop, api, bot, room, speed)
                if runs:
                    desk.start()
                try:
                    await story(desk)
                finally:
                    await desk.stop()
            finally:
                await bot.session.close()

    play(folder, with_telegram)
