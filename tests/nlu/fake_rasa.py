"""A Rasa on loopback that answers as it is told to: well, late, in crumbs, rubbish, or not at all."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

INTENTS = ("shipping_time", "return_policy", "invoice", "greet", "complaint")


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    token: str | None
    text: str | None
    headers: dict[str, str]


Behaviour = Callable[["FakeRasa", Asked, asyncio.StreamWriter], Awaitable[None]]


def parse_answer(
    text: str, intent: str = "shipping_time", confidence: float = 0.92, **more: Any
) -> dict[str, Any]:
    """What Rasa 3.6 answers to a text, as ``POST /model/parse`` gives it."""
    rest = (1.0 - confidence) / (len(INTENTS) - 1) if isinstance(confidence, float) else 0.0
    ranking = [{"name": intent, "confidence": confidence}]
    ranking += [{"name": name, "confidence": rest} for name in INTENTS if name != intent]
    return {
        "text": text,
        "intent": {"name": intent, "confidence": confidence},
        "entities": [],
        "text_tokens": [[0, len(text)]],
        "intent_ranking": ranking,
    } | more


async def well(rasa: FakeRasa, asked: Asked, writer: asyncio.StreamWriter) -> None:
    """Answers as Rasa does, with its own rules: a token, no blanks, no model no answer, slashes obeyed."""
    if rasa.token is not None and asked.token != rasa.token:
        return await send(writer, 401, {"status": "failure", "reason": "NotAuthenticated"})
    if rasa.model is None:
        return await send(writer, 409, {"status": "failure", "reason": "Conflict"})
    if asked.path == "/status":
        file = f"models/{rasa.model}.tar.gz"
        return await send(
            writer, 200, {"model_file": file, "model_id": rasa.model, "num_active_training_jobs": 0}
        )
    text = asked.text or ""
    if not text.strip():
        return await send(writer, 500, {"status": "failure", "reason": "ParsingError"})
    if text.strip().startswith("/"):
        return await send(writer, 200, parse_answer(text, text.strip()[1:], 1.0))
    answer = parse_answer(text, **rasa.knows.get(text, {}))
    if rasa.tells_model:
        answer["model_id"] = rasa.model
    return await send(writer, 200, answer)


async def hang(rasa: FakeRasa, asked: Asked, writer: asyncio.StreamWriter) -> None:
    """Takes the request and says nothing."""
    await rasa.gone.wait()


def late(seconds: float) -> Behaviour:
    """Answers well, after so many seconds."""

    async def behave(rasa: FakeRasa, asked: Asked, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(seconds):
                await rasa.gone.wait()
        except TimeoutError:
            await well(rasa, asked, writer)

    return behave


async def trickle(rasa: FakeRasa, asked: Asked, writer: asyncio.StreamWriter) -> None:
    """Sends the head at once and one byte of a good answer each second."""
    body = json.dumps(parse_answer(asked.text or "")).encode()
    writer.write(_head(200, "application/json", len(body)))
    for byte in body:
        writer.write(bytes((byte,)))
        try:
            async with asyncio.timeout(1.0):
                await rasa.gone.wait()
                return
        except TimeoutError:
            continue


async def reset_within_body(rasa: FakeRasa, asked: Asked, writer: asyncio.StreamWriter) -> None:
    """Sends half of the answer, then resets the connection."""
    body = json.dumps(parse_answer(asked.text or "")).encode()
    writer.write(_head(200, "application/json", len(body)) + body[: len(body) // 2])
    await writer.drain()
    await asyncio.sleep(0.02)
    reset(writer)


def reset(writer: asyncio.StreamWriter) -> None:
    """Ends a connection with RST instead of FIN."""
    link: socket.socket = writer.get_extra_info("socket")
    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def raw(body: bytes, status: int = 200, kind: str = "application/json") -> Behaviour:
    """Answers exactly this body."""

    async def behave(rasa: FakeRasa, asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(_head(status, kind, len(body)) + body)
        await writer.drain()

    return behave


def told(**changes: Any) -> Behaviour:
    """Answers well but for these parts."""

    async def behave(rasa: FakeRasa, asked: Asked, writer: asyncio.StreamWriter) -> None:
        await send(writer, 200, parse_answer(asked.text or "") | changes)

    return behave


async def no_http(rasa: FakeRasa, asked: Asked, writer: asyncio.StreamWriter) -> None:
    """Speaks another protocol."""
    writer.write(b"-ERR unknown command\r\n\r\n")
    await writer.drain()
    writer.close()


async def endless_chunks(rasa: FakeRasa, asked: Asked, writer: asyncio.StreamWriter) -> None:
    """Sends chunk after chunk without ever telling a length."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not rasa.gone.is_set() and not writer.is_closing():
        writer.write(b"2000\r\n" + b" " * 0x2000 + b"\r\n")
        rasa.sent_bytes += 0x2000
        await writer.drain()


def redirect(to: str) -> Behaviour:
    """Sends the client elsewhere."""

    async def behave(rasa: FakeRasa, asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 307 Elsewhere\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()

    return behave


async def send(writer: asyncio.StreamWriter, status: int, answer: Any) -> None:
    """Answers JSON; NaN and Infinity as Python writes them."""
    body = json.dumps(answer).encode()
    writer.write(_head(status, "application/json", len(body)) + body)
    await writer.drain()


def _head(status: int, kind: str, length: int) -> bytes:
    return f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n".encode()


class FakeRasa:
    """The server; use it with ``async with``.

    Attributes:
        behave: What it does with a request; may be exchanged at any time.
        model: Id of the loaded model, or None.
        tells_model: Whether answers name the model.
        knows: For a text, the arguments of ``parse_answer``.
        asked: Every request that came, in order.
        connections: How many were accepted.
        most_at_once: The most requests that were being worked at one time.
        sent_bytes: Of ``endless_chunks``.
        gone: Set when it ends.
    """

    def __init__(self, behave: Behaviour = well, token: str | None = None) -> None:
        self.behave = behave
        self.token = token
        self.model: str | None = "model-a"
        self.tells_model = True
        self.knows: dict[str, dict[str, Any]] = {}
        self.asked: list[Asked] = []
        self.connections = self.most_at_once = self.sent_bytes = 0
        self.gone = asyncio.Event()
        self._port = 0
        self._working = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Where it listens, or listened."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def texts(self) -> list[str | None]:
        """What was to be parsed, in order."""
        return [asked.text for asked in self.asked if asked.path == "/model/parse"]

    async def __aenter__(self) -> FakeRasa:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listens, on the port of before where there was one."""
        self.gone.clear()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Dies: all connections end, new ones are refused."""
        self.gone.set()
        if self._server is not None:
            self._server.close()
        self.drop_connections()
        while self._writers:
            await asyncio.sleep(0.005)

    def drop_connections(self) -> None:
        """Closes every connection, idle ones too, and keeps listening."""
        for writer in self._writers:
            writer.close()

    def reset_connections(self) -> None:
        """The same, the hard way."""
        for writer in self._writers:
            reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            while not self.gone.is_set():
                asked = await _read(reader)
                self.asked.append(asked)
                self._working += 1
                self.most_at_once = max(self.most_at_once, self._working)
                try:
                    await self.behave(self, asked, writer)
                finally:
                    self._working -= 1
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self._writers.discard(writer)
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ", 2)
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in head[1:] if line)
    }
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    parts = urlsplit(target)
    return Asked(
        method,
        parts.path,
        parse_qs(parts.query).get("token", [None])[0],
        json.loads(body)["text"] if body else None,
        headers,
    )
