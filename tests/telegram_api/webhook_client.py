"""Posts to a webhook over kept connections; a general HTTP client spends ten times as long on it."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit

import httptools


@dataclass
class Response:
    """What the webhook answered."""

    status: int = 0
    reason: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class WebhookClient:
    """Connections to one webhook, each with one request at a time."""

    def __init__(self, url: str, headers: dict[str, str], trust: ssl.SSLContext | None) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._tls = (trust or ssl.create_default_context()) if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = [
            f"POST {target} HTTP/1.1",
            f"Host: {parts.netloc.rpartition('@')[2]}",
            "Connection: keep-alive",
        ]
        self._head = "\r\n".join([*lines, *(f"{name}: {value}" for name, value in headers.items())])
        self.idle: list[_Connection] = []
        self.open: set[_Connection] = set()

    async def post(self, body: bytes) -> Response:
        """Sends one body.

        Raises:
            OSError: If no answer came.
        """
        while self.idle and not self.idle[-1].usable:
            self.idle.pop()
        if self.idle:
            connection = self.idle.pop()
        else:
            loop = asyncio.get_running_loop()
            _, protocol = await loop.create_connection(
                lambda: _Connection(self), self._host, self._port, ssl=self._tls
            )
            connection = cast(_Connection, protocol)
        try:
            head = f"{self._head}\r\nContent-Length: {len(body)}\r\n\r\n"
            response = await connection.ask(head.encode() + body)
        except BaseException:
            connection.close()
            raise
        if connection.usable:
            self.idle.append(connection)
        return response

    def close(self) -> None:
        """Closes all connections."""
        for connection in list(self.open):
            connection.close()


class _Connection(asyncio.Protocol):
    def __init__(self, client: WebhookClient) -> None:
        self._client = client
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Response] | None = None
        self._parser: Any = None
        self._response = Response()
        self.usable = True

    async def ask(self, request: bytes) -> Response:
        if self._transport is None:
            raise ConnectionResetError
        self._response = Response()
        self._parser = httptools.HttpResponseParser(self)
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiting

    def close(self) -> None:
        self.usable = False
        if self._transport is not None:
            self._transport.abort()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._client.open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.usable = False
        self._client.open.discard(self)
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(exc or ConnectionResetError())

    def data_received(self, data: bytes) -> None:
        if self._waiting is None or self._waiting.done():
            self.close()  # Nobody asked.
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()

    # What the parser calls.

    def on_status(self, reason: bytes) -> None:
        self._response.reason = reason.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._response.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._response.body += body

    def on_message_complete(self) -> None:
        self._response.status = self._parser.get_status_code()
        if not self._parser.should_keep_alive():
            self.close()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(self._response)
