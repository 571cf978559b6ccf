"""An HTTP/1.1 server small enough to misbehave on purpose.

A web framework would not let go of a connection in the middle; here every connection can be reset, closed or
left hanging at any point.
"""

from __future__ import annotations

import asyncio
import contextlib
import http
import socket
import struct
import traceback
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import httptools


@dataclass(slots=True)
class Request:
    """A request that has been read to its end."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Answer:
    """What goes back. ``ending``: send | rst | close | never | cut; ``delay`` in seconds."""

    body: bytes = b""
    status: int = 200
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    ending: str = "send"
    delay: float = 0.0

    def encode(self, keep_alive: bool) -> bytes:
        """The bytes on the wire."""
        try:
            phrase = http.HTTPStatus(self.status).phrase
        except ValueError:
            phrase = "Unknown"
        lines = [
            f"HTTP/1.1 {self.status} {phrase}",
            f"content-type: {self.content_type}",
            f"content-length: {len(self.body)}",
            *(f"{name}: {value}" for name, value in self.headers.items()),
        ]
        if not keep_alive:
            lines.append("connection: close")
        return "\r\n".join([*lines, "", ""]).encode() + self.body


Handler = Callable[[Request], Answer | Awaitable[Answer]]


class Door:
    """Listens on loopback and hands requests to ``handle``; answers at once where ``handle`` does."""

    def __init__(self, handle: Handler, takes_reset: Callable[[], bool]) -> None:
        self.handle = handle
        self.takes_reset = takes_reset
        self.errors: list[str] = []
        self.port = 0
        self.connections: set[_Connection] = set()
        self._keeper: socket.socket | None = None
        self._listening: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._opening: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int) -> None:
        """Takes the port and listens."""
        self._keeper = self._bound(host, port)
        self.port = self._keeper.getsockname()[1]
        self.listen()
        assert self._opening is not None
        await self._opening

    @staticmethod
    def _bound(host: str, port: int) -> socket.socket:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.setblocking(False)
        return sock

    def listen(self) -> None:
        """Listens (again)."""
        if self._listening is not None or self._keeper is None:
            return
        # Listening begins here, not when the server has taken the socket over: nobody is refused between.
        self._listening = self._bound(self._keeper.getsockname()[0], self.port)
        self._listening.listen(1024)
        self._opening = asyncio.get_running_loop().create_task(self._open(self._listening))

    async def _open(self, sock: socket.socket) -> None:
        server = await asyncio.get_running_loop().create_server(lambda: _Connection(self), sock=sock)
        if self._listening is sock:
            self._server = server
        else:
            server.close()

    def refuse(self) -> None:
        """Refuses connections and drops those there are. The keeper, bound but deaf, reserves the port."""
        if self._listening is None:
            return
        if self._server is not None:
            self._server.close()
            self._server = None
        self._listening.close()
        self._listening = None
        self.drop_connections()

    def drop_connections(self) -> None:
        """Resets all connections."""
        for connection in list(self.connections):
            connection.reset()

    async def stop(self) -> None:
        """Frees the port."""
        if self._opening is not None:
            await self._opening
        self.refuse()
        if self._keeper is not None:
            self._keeper.close()
            self._keeper = None
        tasks = [connection.task for connection in self.connections if connection.task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # Dropped transports close their sockets on the next turn of the loop.


class _Connection(asyncio.Protocol):
    def __init__(self, door: Door) -> None:
        self._door = door
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[tuple[Request, bool]] = deque()
        self.task: asyncio.Task[None] | None = None
        self._begin()

    def _begin(self) -> None:
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._fresh = True

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._door.connections.add(self)
        sock = transport.get_extra_info("socket")
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._door.connections.discard(self)
        if self.task is not None:
            self.task.cancel()

    def data_received(self, data: bytes) -> None:
        if self._fresh and self._door.takes_reset():
            self.reset()
            return
        self._fresh = False
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._write(Answer(b"{}", 400), False)

    # What the parser calls.

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        path, _, query = self._url.decode("latin-1").partition("?")
        method = self._parser.get_method().decode("latin-1")
        request = Request(method, path, query, self._headers, b"".join(self._body))
        self._waiting.append((request, self._parser.should_keep_alive()))
        self._begin()
        self._work()

    # Answering, one request after the other.

    def _work(self) -> None:
        while self._waiting and self.task is None and self._transport is not None:
            request, keep_alive = self._waiting.popleft()
            try:
                answer = self._door.handle(request)
            except Exception:  # noqa: BLE001 - a fault of the stand-in itself fails the test when it stops
                answer = self._broken()
            if isinstance(answer, Answer) and not answer.delay:
                self._write(answer, keep_alive)
            else:
                self.task = asyncio.get_running_loop().create_task(self._later(answer, keep_alive))

    async def _later(self, answer: Answer | Awaitable[Answer], keep_alive: bool) -> None:
        try:
            ready = answer if isinstance(answer, Answer) else await answer
            if ready.delay:
                await asyncio.sleep(ready.delay)
        except Exception:  # noqa: BLE001
            ready = self._broken()
        finally:
            self.task = None
        self._write(ready, keep_alive)
        self._work()

    def _broken(self) -> Answer:
        self._door.errors.append(traceback.format_exc())
        return Answer(b"the stand-in itself is broken", 500, "text/plain")

    def _write(self, answer: Answer, keep_alive: bool) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if answer.ending == "send":
            self._transport.write(answer.encode(keep_alive))
            if not keep_alive:
                self._transport.close()
        elif answer.ending == "rst":
            self.reset()
        elif answer.ending == "close":
            self._transport.close()
        elif answer.ending == "cut":
            whole = answer.encode(keep_alive)
            self._transport.write(whole[: len(whole) - len(answer.body) // 2 - 1])
            self._transport.close()

    def reset(self) -> None:
        """Ends the connection with RST instead of FIN."""
        if self._transport is None:
            return
        sock = self._transport.get_extra_info("socket")
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()
