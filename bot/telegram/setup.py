"""What Telegram is told about the bot, in the background: where updates go, which commands the menu shows.

Customers are served whether or not this is done yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from aiogram import Bot
from aiogram.exceptions import (
    AiogramError,
    TelegramNotFound,
    TelegramRetryAfter,
    TelegramUnauthorizedError,
)
from aiogram.types import BotCommand, BotCommandScopeAllPrivateChats

from bot.telegram.raw_updates import HANDLED
from bot.telegram.session import FetchError, TokenRefusedError

_log = structlog.get_logger(__name__)

WEBHOOK_PATH = "/telegram/webhook"
MENU = (("help", "帮助"), ("human", "转人工"), ("orders", "查订单"), ("stop", "退订"))
"""The commands of the menu; each has words that do the same."""
MOST_CONNECTIONS = 40


@dataclass(frozen=True, slots=True)
class BotProfile:
    """Who the bot is at Telegram."""

    id: int
    username: str


@dataclass(frozen=True, slots=True)
class SetupTimes:
    """Pauses in seconds between tries: the first, the longest, and the one after a refused token."""

    first_pause: float = 1.0
    longest_pause: float = 60.0
    token_pause: float = 60.0


class TelegramSetup:
    """Tells Telegram what it must know, again and again until it has taken it.

    ``supervisor.add("telegram_setup", setup.run, listens=True, once=True)``: there is nothing to lose when
    it is cancelled.

    Args:
        public_url: Where Telegram reaches us, without the path; None = we poll, and set no webhook.
        secret: What Telegram shall show at the webhook.
        on_profile: Called once Telegram has said who the bot is.
    """

    def __init__(
        self,
        bot: Bot,
        public_url: str | None,
        secret: str,
        on_profile: Callable[[BotProfile], None] | None = None,
        times: SetupTimes | None = None,
    ) -> None:
        self._bot = bot
        self._webhook_url = None if public_url is None else public_url + WEBHOOK_PATH
        self._secret = secret
        self._on_profile = on_profile
        self._times = times or SetupTimes()
        self._waits_for = ""
        self.profile: BotProfile | None = None

    def status(self) -> str:
        """``ok``, or what Telegram has not taken yet; ``ok`` too before the first try has failed."""
        return self._waits_for or "ok"

    async def run(self) -> None:
        """Returns when everything is done."""
        if self._webhook_url is not None:
            # First, because nothing comes in before.
            await self._until_done("webhook", self._set_webhook)
        await self._until_done("profile", self._ask_who_we_are)
        await self._until_done("commands", self._set_commands)

    async def _set_webhook(self) -> None:
        await self._bot.set_webhook(
            self._webhook_url or "",
            secret_token=self._secret,
            allowed_updates=list(HANDLED),
            max_connections=MOST_CONNECTIONS,
            drop_pending_updates=False,
        )

    async def _ask_who_we_are(self) -> None:
        me = await self._bot.get_me()
        self.profile = BotProfile(me.id, me.username or "")
        if self._on_profile is not None:
            self._on_profile(self.profile)

    async def _set_commands(self) -> None:
        commands = [BotCommand(command=command, description=words) for command, words in MENU]
        await self._bot.set_my_commands(commands, scope=BotCommandScopeAllPrivateChats())

    async def _until_done(self, what: str, call: Callable[[], Awaitable[Any]]) -> None:
        attempts = 0
        while True:
            try:
                await as_fetch(call())
            except FetchError as error:
                attempts += 1
                wait = min(self._times.first_pause * 2.0 ** min(attempts - 1, 20), self._times.longest_pause)
                if isinstance(error, TokenRefusedError):
                    wait = self._times.token_pause
                    self._waits_for = "Telegram refuses the token; get the current one from BotFather"
                elif what == "webhook":
                    self._waits_for = "Telegram has not taken the webhook yet"
                if error.retry_after is not None:
                    wait = max(wait, error.retry_after.total_seconds())
                _log.warning("telegram_setup_failed", part=what, attempts=attempts, error_type=error.words)
            else:
                self._waits_for = ""
                _log.info("telegram_setup_done", part=what, attempts=attempts + 1)
                return
            await asyncio.sleep(wait)


async def remove_webhook(bot: Bot) -> None:
    """Makes polling possible; what waits at Telegram stays there for the poller.

    Raises:
        FetchError: It could not be done just now.
    """
    await as_fetch(bot.delete_webhook(drop_pending_updates=False))


async def as_fetch(call: Awaitable[Any]) -> Any:
    """Awaits a call of aiogram that changes nothing for customers and may be repeated at will.

    Raises:
        FetchError: It failed; ``words`` is the name of aiogram's error, which is safe to log.
    """
    try:
        return await call
    except (TelegramUnauthorizedError, TelegramNotFound) as error:
        raise TokenRefusedError(type(error).__name__) from None
    except TelegramRetryAfter as error:
        raise FetchError(type(error).__name__, timedelta(seconds=error.retry_after)) from None
    except (AiogramError, OSError, TimeoutError) as error:
        raise FetchError(type(error).__name__) from None
