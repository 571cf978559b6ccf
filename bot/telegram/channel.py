"""Telegram as one part: everything that ``bot.app`` needs of it, wired together."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from aiogram.utils.deep_linking import create_deep_link
from fastapi import APIRouter

from bot.settings import Settings, TelegramMode
from bot.telegram.media_files import TelegramFiles
from bot.telegram.pace import TelegramPace
from bot.telegram.poller import UpdatePoller
from bot.telegram.raw_updates import SOURCE
from bot.telegram.room.staff_group import StaffGroup
from bot.telegram.sender import TelegramSender
from bot.telegram.session import make_bot
from bot.telegram.setup import BotProfile, TelegramSetup
from bot.telegram.update_handler import UpdateHandler
from bot.telegram.watch import UpdateWatch
from bot.telegram.webhook import TelegramWebhook
from desk.ports import Pace, Transactions, UnitOfWork, Wakeups
from desk.service_desk import ServiceDesk
from desk.staff_desk import StaffDesk
from desk.staff_room import StaffRoom
from desk.values import InboxItem


@dataclass(frozen=True, slots=True)
class Duty:
    """A task for the supervisor.

    Attributes:
        run: Given ``is_stopping``; returns soon after that says so.
        listens: It only waits for news and may be cancelled at any moment.
        once: It has done its work when it ends.
        stop: Called once when stopping begins, to end a wait.
    """

    name: str
    run: Callable[[Callable[[], bool]], Awaitable[None]]
    listens: bool = False
    once: bool = False
    stop: Callable[[], None] | None = None


class TelegramChannel:
    """The bot of one token, in one process.

    Args:
        pace: Other limits than Telegram's, for tests and measurements.
    """

    def __init__(
        self,
        settings: Settings,
        service_desk: ServiceDesk,
        staff_desk: StaffDesk,
        transactions: Transactions,
        wakeups: Wakeups,
        owner: str,
        clock: Callable[[], datetime],
        *,
        pace: Pace | None = None,
    ) -> None:
        token, staff_chat = settings.telegram_token, settings.telegram_staff_chat
        if token is None:
            raise ValueError("Telegram is off: no token is set")
        self.bot = make_bot(token.get_secret_value(), settings.telegram_api)
        self._username = ""
        polls = settings.telegram_mode is TelegramMode.POLLING
        secret = settings.secrets.telegram.get_secret_value()
        public_url = None if polls else settings.public_url
        self.poller = UpdatePoller(self.bot, service_desk, transactions, owner, clock) if polls else None
        self._webhook = TelegramWebhook(service_desk, None if polls else secret)
        self._setup = TelegramSetup(self.bot, public_url, secret, self._remember)
        self._watch = UpdateWatch(self.bot, public_url, clock)
        self.room = (
            StaffGroup(
                bot=self.bot,
                chat_id=staff_chat,
                staff_desk=staff_desk,
                staff_room=StaffRoom(transactions, clock),
                transactions=transactions,
                wakeups=wakeups,
                owner=owner,
                clock=clock,
                timezone=settings.timezone,
                console_url=settings.public_url,
                find_username=self.username,
            )
            if staff_chat is not None
            else None
        )
        room_sender = self.room.sender if self.room is not None else None
        self.sender = TelegramSender(self.bot, pace or TelegramPace(time.monotonic), room_sender)
        self._handler = UpdateHandler(
            self.bot,
            service_desk,
            transactions,
            clock,
            staff_chat,
            self.room.updates if self.room is not None else None,
            self.username,
        )
        self.files = TelegramFiles(self.bot)

    def inbox_handlers(
        self,
    ) -> Mapping[str, Callable[[InboxItem, Callable[[UnitOfWork], None]], Awaitable[None]]]:
        """What works the updates that were stored."""
        return {SOURCE: self._handler}

    def router(self) -> APIRouter:
        """The webhook's route; it answers 404 while we poll."""
        return self._webhook.router()

    def duties(self) -> list[Duty]:
        """The tasks that must run while the installation serves."""

        async def set_up(_: Callable[[], bool]) -> None:
            await self._setup.run()

        async def watch(_: Callable[[], bool]) -> None:
            await self._watch.run()

        duties = [
            Duty("telegram_setup", set_up, listens=True, once=True),
            Duty("telegram_watch", watch, listens=True),
        ]
        if self.poller is not None:
            duties.append(Duty(self.poller.name, self.poller.run, stop=self.poller.stop))
        if self.room is not None:
            duties.append(Duty("telegram_room", self.room.run))
        return duties

    def username(self) -> str:
        """The bot's name without ``@``; empty until Telegram has told it."""
        return self._username

    def link(self, order_token: str) -> str | None:
        """The deep link that binds an order; None until the bot's name is known.

        Source: https://core.telegram.org/bots/features#deep-linking
        """
        if not self._username:
            return None
        return create_deep_link(username=self._username, link_type="start", payload=order_token)

    def status(self) -> str:
        """``ok``, or what is wrong, in words for ``/readyz`` and the console."""
        parts = [self._setup.status(), self._watch.status()]
        if self.poller is not None:
            parts.append(self.poller.status())
        if self.room is not None:
            parts.append(self.room.status())
        return "; ".join(dict.fromkeys(part for part in parts if part != "ok")) or "ok"

    def figures(self) -> Mapping[str, float]:
        """Gauges for ``/metrics``, by name."""
        return self._watch.figures()

    async def close(self) -> None:
        """Closes the connections to Telegram."""
        await self.bot.session.close()

    def _remember(self, profile: BotProfile) -> None:
        self._username = profile.username
