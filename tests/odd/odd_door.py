"""The application's door: requests byte for byte as a client may send them, each answer timed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

import shop as shops
from sqlalchemy import text as sql
from starlette.types import ASGIApp

from desk.ports import UnitOfWork

T = TypeVar("T")

LONGEST_SECONDS = 2.0
_GIVE_UP_SECONDS = 20.0
_CHUNK = 64 * 1024

Headers = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Answer:
    """What came back. Of a stream only the first part."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def header(self, name: str) -> str:
        """The first header of that name, or nothing."""
        wanted = name.lower().encode()
        return next((value.decode("latin-1") for key, value in self.headers if key.lower() == wanted), "")


class Door:
    """Sends requests to an application in this process.

    httpx would refuse half of what is sent here, and never comes back from an endless stream.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: bytes = b"",
        headers: Headers = (),
        body: bytes = b"",
        address: str = "203.0.113.1",
        ending: str = "",
    ) -> Answer:
        """One request; fails for an answer that is a server's fault, or late.

        Args:
            path: Percent-encoded, as it stands in the request line.
            address: Where the client comes from.
            ending: What follows the body that should go on: ``gone`` or ``silent``.
        """
        arguments = (method, path, query, tuple(headers), body, address, ending)
        answer, seconds = await self._timed(arguments)
        if seconds > LONGEST_SECONDS:
            # A machine that was busy elsewhere is no hang; an input that takes long takes long again.
            answer, seconds = await self._timed(arguments)
        asked = (method, path[:100], query[:200], arguments[3], body[:300])
        assert seconds <= LONGEST_SECONDS, f"{asked} took {seconds:.1f} s"
        assert 200 <= answer.status < 500, f"{asked} was answered {answer.status}"
        return answer

    async def _timed(self, arguments: tuple[Any, ...]) -> tuple[Answer, float]:
        began = time.perf_counter()
        async with asyncio.timeout(_GIVE_UP_SECONDS):
            answer = await self._ask(*arguments)
        return answer, time.perf_counter() - began

    async def _ask(
        self,
        method: str,
        path: str,
        query: bytes,
        headers: Headers,
        body: bytes,
        address: str,
        ending: str,
    ) -> Answer:
        parts = [body[at : at + _CHUNK] for at in range(0, len(body), _CHUNK)] or [b""]
        gone = asyncio.Event()
        status = 0
        found: tuple[tuple[bytes, bytes], ...] = ()
        out = bytearray()

        async def receive() -> dict[str, Any]:
            if parts:
                part = parts.pop(0)
                return {"type": "http.request", "body": part, "more_body": bool(parts or ending)}
            if ending != "gone":
                await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            nonlocal status, found
            if message["type"] == "http.response.start":
                status, found = message["status"], tuple(message["headers"])
            else:
                out.extend(message.get("body", b""))
                if not message.get("more_body") or out:
                    gone.set()

        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode("utf-8", "surrogatepass"),
            "query_string": query,
            "root_path": "",
            "headers": [(b"host", b"127.0.0.1:8080"), *((name.lower(), value) for name, value in headers)],
            "client": (address, 4000),
            "server": ("127.0.0.1", 8080),
        }
        await self.app(scope, receive, send)
        return Answer(status, found, bytes(out))


def play_examples(
    folder: Path,
    story: Callable[[shops.Shop, Door, Callable[[Awaitable[T]], T]], None],
    **settings: str,
) -> None:
    """Plays a story that is no coroutine, because Hypothesis calls it, against one installation.

    The story runs in a thread and is given the shop, its door and a function that has the event loop do
    something and waits for it.
    """

    async def main(shop: shops.Shop) -> None:
        loop = asyncio.get_running_loop()
        door = Door(shop.installation.web_app())

        def do(work: Coroutine[Any, Any, T]) -> T:
            return asyncio.run_coroutine_threadsafe(work, loop).result(60)

        await asyncio.to_thread(story, shop, door, do)  # type: ignore[arg-type]

    shops.play(folder, main, **settings)


async def rows_of(shop: shops.Shop, *without: str) -> dict[str, int]:
    """How many rows each table holds: what changed if anything changed."""

    def read(unit: UnitOfWork) -> dict[str, int]:
        session = unit.session  # type: ignore[attr-defined]
        names = session.connection().execute(
            sql("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        )
        return {
            name: session.connection().execute(sql(f'SELECT count(*) FROM "{name}"')).scalar_one()
            for (name,) in names.fetchall()
            if name not in without
        }

    return await shop.installation.database.read(read)


async def dead_letters(shop: shops.Shop) -> list[tuple[str, str]]:
    """What could not be worked: where it came from and the type of the error."""
    found = await shop.installation.database.read(lambda unit: unit.dead_letters.all(50))
    return [(letter.origin, letter.error) for letter in found]
