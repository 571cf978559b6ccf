"""The barest bot there is, for stories about Telegram itself: httpx, and a door for a webhook."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Self

import httpx

from telegram_api.api import TelegramApi
from telegram_api.http_door import Answer, Door, Request


class PlainBot:
    """Calls methods: ``await bot("sendMessage", chat_id=5, text="你好")`` gives the whole answer."""

    def __init__(self, api: TelegramApi) -> None:
        self.api = api
        self.client = httpx.AsyncClient(timeout=10, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()

    async def __call__(self, method: str, **params: Any) -> dict[str, Any]:
        response = await self.client.post(f"{self.api.url}/bot{self.api.token}/{method}", json=params)
        body: dict[str, Any] = response.json()
        assert response.status_code == (200 if body["ok"] else body["error_code"])
        return body

    async def result(self, method: str, **params: Any) -> Any:
        """What a call that must succeed gives."""
        body = await self(method, **params)
        assert body["ok"], body
        return body["result"]

    async def refusal(self, method: str, **params: Any) -> tuple[int, str]:
        """Code and words of a call that must fail."""
        body = await self(method, **params)
        assert not body["ok"], body
        return body["error_code"], body["description"]

    async def say(self, chat_id: int, text: str, **params: Any) -> int:
        """Sends a text that must arrive; returns its number."""
        return int((await self.result("sendMessage", chat_id=chat_id, text=text, **params))["message_id"])

    async def updates(self, offset: int = 0, timeout: int = 0, **params: Any) -> list[dict[str, Any]]:
        """Asks for updates."""
        found: list[dict[str, Any]] = await self.result(
            "getUpdates", offset=offset, timeout=timeout, **params
        )
        return found


class Receiver:
    """A webhook's far end. ``answers`` decides; without it everything is fine."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.answers: Callable[[dict[str, Any]], Answer] = lambda update: Answer(b"{}")
        self.door = Door(self._handle, lambda: False)

    def _handle(self, request: Request) -> Answer:
        body = json.loads(request.body)
        self.bodies.append(body)
        self.headers.append(request.headers)
        return self.answers(body)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.door.port}/hook"

    @property
    def texts(self) -> list[str]:
        """The texts that came."""
        return [body["message"]["text"] for body in self.bodies if "message" in body]

    async def __aenter__(self) -> Self:
        await self.door.start("127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.door.stop()
        assert not self.door.errors, self.door.errors


def play(story: Callable[[TelegramApi, PlainBot], Awaitable[None]]) -> None:
    """Plays a story on a server of its own."""

    async def run() -> None:
        async with TelegramApi() as api, PlainBot(api) as bot:
            await story(api, bot)

    asyncio.run(run())
