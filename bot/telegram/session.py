"""aiogram's connection to a Bot API server, and the one call that aiogram must not decode for us."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import ClientDecodeError
from aiogram.methods import Response, TelegramMethod
from aiogram.methods.base import TelegramType
from aiohttp import ClientError, ClientTimeout

from desk.errors import DeskError

CALL_SECONDS = 20.0
"""How long any method may take before its outcome counts as unknown."""
_CONNECT_SECONDS = 10.0
_GRACE_SECONDS = 10.0
_MOST_BYTES = 16 * 1024 * 1024
_LONGEST_WAIT = timedelta(hours=1)


class FetchError(DeskError):
    """No updates could be had just now; nothing was confirmed.

    Attributes:
        words: What Telegram said, or the type of the fault; for people, never for the log.
        retry_after: The wait that Telegram demanded, or None.
    """

    def __init__(self, words: str, retry_after: timedelta | None = None) -> None:
        super().__init__(words)
        self.words = words
        self.retry_after = retry_after


class SecondPollerError(FetchError):
    """Another program polls with this token (HTTP 409)."""


class WebhookSetError(FetchError):
    """A webhook is set for this bot, so nobody can poll (HTTP 409)."""


class TokenRefusedError(FetchError):
    """The token is not, or no longer, a bot's (HTTP 401, or 404 where it is no token at all)."""


class TelegramSession(AiohttpSession):
    """A session that can also hand out the raw bytes of getUpdates."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._answers: dict[type[Any], type[Any]] = {}

    async def fetch_updates(
        self, bot: Bot, offset: int | None, limit: int, seconds: int, allowed: Sequence[str]
    ) -> bytes:
        """Asks for updates and returns the body of a successful answer as it came.

        Args:
            offset: The first update that is wanted; everything before it is confirmed. None = no offset.
            limit: How many at most, 1 to 100.
            seconds: How long Telegram may wait for the first one, 0 to 50.
            allowed: The types that are wanted from now on.

        Raises:
            FetchError: Anything else came, or nothing.
        """
        session = await self.create_session()
        form = {"limit": str(limit), "timeout": str(seconds), "allowed_updates": json.dumps(list(allowed))}
        if offset is not None:
            form["offset"] = str(offset)
        patience = ClientTimeout(total=seconds + _GRACE_SECONDS, sock_connect=_CONNECT_SECONDS)
        try:
            url = self.api.api_url(token=bot.token, method="getUpdates")
            async with session.post(url, data=form, timeout=patience) as answer:
                body = await answer.content.read(_MOST_BYTES)
                while len(body) < _MOST_BYTES and (more := await answer.content.read(_MOST_BYTES)):
                    body += more
                status = answer.status
        except (ClientError, OSError, TimeoutError) as error:
            # Their texts name the address, and the token is a part of it.
            raise FetchError(type(error).__name__) from None
        if status == 200:
            return body
        raise _refused(status, body)

    async def make_request(
        self,
        bot: Bot,
        method: TelegramMethod[TelegramType],
        timeout: int | None = None,  # noqa: ASYNC109 - aiogram's own signature.
    ) -> TelegramType:
        """As aiogram does, but an answer that is no UTF-8 is an answer that cannot be decoded."""
        # Held on to, since pydantic forgets unused classes and takes long to make them anew.
        answer: Any = Response
        self._answers.setdefault(type(method), answer[method.__returning__])
        try:
            return await super().make_request(bot, method, timeout)
        except UnicodeDecodeError as error:
            raise ClientDecodeError("Failed to decode object", error, "") from error


def make_bot(token: str, api_url: str) -> Bot:
    """The bot of this token at any Bot API server; close its session when done."""
    session = TelegramSession(api=TelegramAPIServer.from_base(api_url), timeout=CALL_SECONDS)
    return Bot(token, session=session)


def _refused(status: int, body: bytes) -> FetchError:
    words, wait = f"HTTP {status}", None
    try:
        said: Any = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        said = None
    if isinstance(said, dict):
        if isinstance(said.get("description"), str):
            words = said["description"][:300]
        parameters = said.get("parameters")
        seconds = parameters.get("retry_after") if isinstance(parameters, dict) else None
        if isinstance(seconds, int) and not isinstance(seconds, bool) and seconds > 0:
            wait = min(timedelta(seconds=min(seconds, 10**6)), _LONGEST_WAIT)
    if status == 409:
        return WebhookSetError(words) if "webhook" in words.lower() else SecondPollerError(words)
    if status in (401, 404):
        return TokenRefusedError(words)
    return FetchError(words, wait)
