"""A whole installation behind both of its doors to Telegram, with the stand-in on the other side."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

import shop as shops
from aiogram import Bot
from aiogram.types import Message as TelegramMessage
from aiogram.types import Update
from fastapi import FastAPI
from shop import Shop
from sqlalchemy import text
from telegram_api import TelegramApi

from bot.setting_rules import Address
from bot.telegram.poller import PollerTimes, UpdatePoller
from bot.telegram.raw_updates import SOURCE
from bot.telegram.session import make_bot
from bot.telegram.setup import SetupTimes, TelegramSetup
from bot.telegram.update_handler import UpdateHandler
from bot.telegram.webhook import TelegramWebhook
from bot.web_server import WebServer
from bot.workers.inbox_worker import InboxWorker
from console.errors import install_error_handlers
from desk.errors import StorageUnavailableError
from desk.intake import RawInput
from desk.ports import UnitOfWork
from desk.values import Author, DeadLetter, InboxItem, Message

SECRET = "Hk3-vQ9_xT7wLd4RkB9mHcZq8vN2uYpA"
QUICK = PollerTimes(
    poll=2, first_pause=0.01, longest_pause=0.05, token_pause=0.05, standby=0.02, stuck_pause=0.6
)


class FakeRoom:
    """Stands for the staff group: remembers what it was given."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self.given: list[str] = []
        self.codes: list[str] = []

    async def handle(self, update: Update, item: InboxItem, complete: Callable[[UnitOfWork], None]) -> None:
        self.given.append(update.event_type)
        await self._shop.run(complete)

    async def handle_link(
        self, message: TelegramMessage, code: str, item: InboxItem, complete: Callable[[UnitOfWork], None]
    ) -> None:
        self.codes.append(code)
        await self._shop.run(complete)


class FlakyDesk:
    """The desk over a disk that is full as long as ``away`` is above 0; it counts down with each try."""

    def __init__(self, shop: Shop) -> None:
        self._desk = shop.desk
        self.away = 0
        self.batches: list[list[str]] = []

    async def accept_batch(
        self, inputs: list[RawInput], undecodable: Any = (), bookmark: tuple[str, str] | None = None
    ) -> int:
        if self.away > 0:
            self.away -= 1
            raise StorageUnavailableError("the disk is full", retry_after=timedelta(milliseconds=20))
        stored = await self._desk.accept_batch(inputs, undecodable, bookmark)
        self.batches.append([raw.source_key for raw in inputs])
        return stored

    def __getattr__(self, name: str) -> Any:
        return getattr(self._desk, name)


class TelegramShop:
    """One installation, its bot, and the stand-in."""

    def __init__(self, shop: Shop, api: TelegramApi, bot: Bot, staff_chat: int | None) -> None:
        self.shop, self.api, self.bot = shop, api, bot
        self.room = FakeRoom(shop)
        self.desk = FlakyDesk(shop)
        database, clock = shop.installation.database, shop.clock
        self.handler = UpdateHandler(
            bot, shop.desk, database, clock, staff_chat, self.room, lambda: "huiyin_test_bot"
        )
        self.worker = InboxWorker(
            database,
            shop.installation.wakeups,
            {**shop.installation.inbox_handlers(), SOURCE: self.handler},
            shop.installation.owner,
            clock,
        )
        self.pollers = 0

    def poller(self, times: PollerTimes = QUICK, owner: str | None = None) -> UpdatePoller:
        """A poller of a process that has just started, over the same database."""
        self.pollers += 1
        installation = self.shop.installation
        desk: Any = self.desk
        return UpdatePoller(
            self.bot, desk, installation.database, owner or f"poller-{self.pollers}", self.shop.clock, times
        )

    async def polls(
        self, until: Callable[[], Any], poller: UpdatePoller | None = None, seconds: float = 15
    ) -> UpdatePoller:
        """Lets a poller run until something is so, then stops it as the supervisor does."""
        poller = poller or self.poller()
        stopping = False

        async def watch() -> None:
            nonlocal stopping
            try:
                async with asyncio.timeout(seconds):
                    while not await _is_so(until):
                        await asyncio.sleep(0.005)
            finally:
                stopping = True
                poller.stop()

        await asyncio.gather(poller.run(lambda: stopping), watch())
        return poller

    async def polls_all(self, poller: UpdatePoller | None = None) -> UpdatePoller:
        """Until Telegram has nothing left that is not confirmed."""
        return await self.polls(lambda: not self.api.pending() and not self.api.updates.again, poller)

    async def settle(self) -> None:
        """Works everything in the inbox."""
        while await self.worker.work_one_lane():
            pass

    async def hears(self) -> None:
        """Polls all that waits, and works it."""
        await self.polls_all()
        await self.settle()

    async def lines(self, user_id: int) -> list[Message]:
        """The conversation of a user, in the order in which the desk stored it."""

        def work(unit: UnitOfWork) -> list[Message]:
            identity = unit.identities.find("telegram", str(user_id))
            found = unit.conversations.find_of_identity(identity.id) if identity is not None else None
            return list(unit.conversations.find_latest(found.id, 1000)) if found is not None else []

        return await self.shop.run(work)

    async def said(self, user_id: int) -> list[str]:
        """What the customer said."""
        return [line.text for line in await self.lines(user_id) if line.author is Author.CUSTOMER]

    async def answers(self, user_id: int) -> list[Message]:
        """What the bot said in answer."""
        return [line for line in await self.lines(user_id) if line.author is not Author.CUSTOMER]

    async def dead(self) -> list[DeadLetter]:
        """Dead letters as staff see them."""
        return list(await self.shop.run(lambda unit: unit.dead_letters.all(10_000)))

    async def items(self) -> list[tuple[str, str]]:
        """(key, state) of everything from Telegram in the inbox."""

        def work(unit: Any) -> list[tuple[str, str]]:
            found = unit.session.execute(
                text("SELECT source_key, state FROM inbox WHERE source = 'telegram' ORDER BY id")
            )
            return [(row[0], row[1]) for row in found]

        return await self.shop.run(work)


async def _is_so(until: Callable[[], Any]) -> bool:
    found = until()
    return bool(await found if isinstance(found, Awaitable) else found)


def play(
    folder: Path,
    story: Callable[[TelegramShop], Coroutine[Any, Any, None]],
    staff_chat: int | None = None,
    **settings: str,
) -> None:
    """Plays a story with a fresh installation and a stand-in of its own."""

    async def run(shop: Shop) -> None:
        async with TelegramApi() as api:
            bot = make_bot(api.token, api.url)
            try:
                await story(TelegramShop(shop, api, bot, staff_chat))
            finally:
                await bot.session.close()

    shops.play(folder, run, **settings)


class Webhook:
    """The webhook's door on a real port, and Telegram told of it."""

    def __init__(self, telegram: TelegramShop, secret: str | None = SECRET) -> None:
        self._telegram = telegram
        self.app = FastAPI(openapi_url=None)
        install_error_handlers(self.app)
        desk: Any = telegram.desk
        self.app.include_router(TelegramWebhook(desk, secret).router())
        self._secret = secret or ""
        self.url = ""

    async def while_open(self, story: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Serves while the story goes on."""

        server = WebServer(self.app, Address("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{server.port}"
        setup = TelegramSetup(self._telegram.bot, self.url, self._secret, times=SetupTimes(0.01, 0.05, 0.05))

        async def tell() -> None:
            try:
                while server._server is None or not server._server.started:
                    await asyncio.sleep(0.005)
                await setup.run()
                await story()
            finally:
                await self._telegram.bot.delete_webhook()
                server.stop()

        try:
            await asyncio.gather(server.run(), tell())
        finally:
            server._socket.close()
