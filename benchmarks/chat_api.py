"""Measures the chat API: stored-then-acknowledged posts a second, and the time from a post to its answer.

    .venv/bin/python benchmarks/chat_api.py [--customers 64] [--posts 960] [--rounds 3] [--questions 6]

Everything runs on this machine over loopback. ``huiyin serve`` runs as a process of its own with SQLite in a
temporary folder. Beside it stands the usual way to write such an intake, as a named baseline: *one transaction
per request*, a FastAPI app that commits each post by itself on one connection (same SQLite, WAL,
synchronous=FULL), checks nothing and answers nobody. The rounds of both alternate. The machine's own fdatasync
is measured with them, because no commit can be faster.

intake     So many customers at once post as fast as they are acknowledged, 15 posts each at most, since a
           customer may write 20 times in 10 s. Huiyin understands and answers meanwhile.
answers    So many customers with an open event stream ask a frequent question a second.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

POSTS_EACH = 15
QUESTION = "什么时候发货"
LONGEST = 240
"""Seconds; then it gives up."""


@dataclass(slots=True)
class Result:
    """Times in seconds, ``total`` for all posts together."""

    total: float = 0.0
    acknowledged: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)


class Browser:
    """One customer on one connection of bare HTTP/1.1: a full client would be what is measured."""

    def __init__(self, port: int, number: int) -> None:
        self._port = port
        # Sessions are limited by address, and all of 127/8 is this machine's.
        self._address = (f"127.0.{1 + number // 250}.{1 + number % 250}", 0)
        self.token = ""
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def connect(self) -> None:
        """Opens the connection."""
        self._reader, self._writer = await asyncio.open_connection(
            "127.0.0.1", self._port, local_addr=self._address if sys.platform == "linux" else None
        )

    async def open_session(self) -> None:
        """Connects and opens a chat session."""
        await self.connect()
        _, answer = await self.post("/api/v1/chat/sessions", {"client_session_id": uuid.uuid4().hex})
        self.token = answer["token"]

    async def post(self, path: str, body: dict[str, str]) -> tuple[int, Any]:
        """Posts JSON and returns status and answer."""
        content = json.dumps(body, ensure_ascii=False).encode()
        self._send("POST", path, f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n")
        self._writer.write(content)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        return int(head.split(b" ", 2)[1]), json.loads(await self._reader.readexactly(length))

    async def say(self, text: str) -> float:
        """Posts a message; returns how long the acknowledgement took."""
        start = time.perf_counter()
        status, answer = await self.post(
            "/api/v1/chat/messages", {"client_msg_id": uuid.uuid4().hex, "text": text}
        )
        if status != 202:
            raise SystemExit(f"a post was answered with {status}: {answer}")
        return time.perf_counter() - start

    async def answers(self, take: Callable[[], None]) -> None:
        """Reads the event stream for ever and calls ``take`` for each line of the bot."""
        self._send("GET", "/api/v1/chat/events?after=0", "")
        async for line in self._reader:
            if line.startswith(b"data: ") and b'"author": "bot"' in line:
                take()

    def _send(self, method: str, path: str, more: str) -> None:
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {self.token}\r\n{more}\r\n"
        )
        self._writer.write(head.encode())

    async def close(self) -> None:
        """Closes the connection."""
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()


async def side_by_side(works: list[Awaitable[Any]]) -> None:
    """Runs all at once."""
    async with asyncio.TaskGroup() as tasks:
        for work in works:
            tasks.create_task(_run(work))


async def _run(work: Awaitable[Any]) -> None:
    await work


async def measure_intake(port: int, first: int, customers: int, posts: int, *, sessions: bool) -> Result:
    """Posts as fast as is acknowledged, from so many customers at once."""
    waves = [
        [Browser(port, first + wave * customers + number) for number in range(customers)]
        for wave in range(max(1, posts // (customers * POSTS_EACH)))
    ]
    result = Result()

    async def write(browser: Browser) -> None:
        for number in range(POSTS_EACH):
            result.acknowledged.append(await browser.say(f"{QUESTION} {number}"))

    for wave in waves:
        for browser in wave:
            await (browser.open_session() if sessions else browser.connect())
        start = time.perf_counter()
        await side_by_side([write(browser) for browser in wave])
        result.total += time.perf_counter() - start
        await side_by_side([browser.close() for browser in wave])
    return result


async def measure_answers(port: int, first: int, customers: int, questions: int) -> Result:
    """Asks once a second from each of so many customers and waits for the answer in the event stream."""
    result = Result()

    async def talk(browser: Browser, screen: Browser) -> None:
        answered = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(screen.answers(answered.set))
            await asyncio.sleep(random.random())
            for _ in range(questions):
                answered.clear()
                start = time.perf_counter()
                result.acknowledged.append(await browser.say(QUESTION))
                await answered.wait()
                result.answered.append(time.perf_counter() - start)
                await asyncio.sleep(max(0.0, 1.0 - result.answered[-1]))
            reading.cancel()

    pairs = []
    for number in range(first, first + customers):
        browser, screen = Browser(port, number), Browser(port, number)
        await browser.open_session()
        await screen.connect()
        screen.token = browser.token
        pairs.append((browser, screen))
    start = time.perf_counter()
    await side_by_side([talk(*pair) for pair in pairs])
    result.total = time.perf_counter() - start
    await side_by_side([each.close() for pair in pairs for each in pair])
    return result


async def wait_until_worked(database: Path) -> float:
    """Waits until every post has been worked; returns how long that took."""
    from storage.sqlite_engine import make_engine

    start, engine = time.perf_counter(), make_engine(database, "read_only")
    try:
        while True:
            with engine.connect() as connection:
                left = connection.exec_driver_sql("SELECT count(*) FROM inbox WHERE state = 'ready'").scalar()
            if not left:
                return time.perf_counter() - start
            await asyncio.sleep(0.05)
    finally:
        engine.dispose()


def measure_fdatasync(folder: Path) -> float:
    """The median of 200 appends of 4 KiB, each with its fdatasync, in seconds."""
    times = []
    descriptor = os.open(folder / "fdatasync", os.O_WRONLY | os.O_CREAT, 0o600)
    sync = getattr(os, "fdatasync", os.fsync)
    for _ in range(200):
        start = time.perf_counter()
        os.write(descriptor, b"x" * 4096)
        sync(descriptor)
        times.append(time.perf_counter() - start)
    os.close(descriptor)
    return statistics.median(times)


def serve_peer(folder: str, port: int) -> None:
    """The baseline: one transaction per request."""
    import threading

    import uvicorn
    from fastapi import FastAPI
    from fastapi.responses import JSONResponse

    from storage.sqlite_engine import sqlite_module

    connection = sqlite_module().connect(f"{folder}/peer.db", isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE messages (id INTEGER PRIMARY KEY, key TEXT UNIQUE, text TEXT, at REAL)")
    lock = threading.Lock()

    def store(key: str, text: str) -> None:
        with lock:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(
                "INSERT INTO messages (key, text, at) VALUES (?, ?, ?)", (key, text, time.time())
            )
            connection.execute("COMMIT")

    async def post(body: dict[str, str]) -> JSONResponse:
        await asyncio.to_thread(store, body["client_msg_id"], body["text"])
        return JSONResponse({"client_msg_id": body["client_msg_id"], "status": "stored"}, 202)

    app = FastAPI()
    app.add_api_route("/api/v1/chat/messages", post, methods=["POST"])
    uvicorn.run(app, port=port, log_level="error", http="httptools", lifespan="off")


@contextmanager
def running(command: list[str], port: int, environ: dict[str, str]) -> Iterator[None]:
    """Runs a server until the end of the block."""
    process = subprocess.Popen(
        [sys.executable, *command], env={**os.environ, **environ}, cwd=ROOT, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(600):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            if process.poll() is not None:
                raise SystemExit(f"the server ended with {process.returncode}")
            time.sleep(0.1)
        time.sleep(1.0)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def quantile(times: list[float], share: float) -> str:
    """A quantile in milliseconds."""
    return f"{sorted(times)[min(len(times) - 1, int(share * len(times)))] * 1000:.1f}"


async def measure(arguments: argparse.Namespace, folder: Path, port: int, peer_port: int) -> None:
    """Runs everything and prints the tables."""
    ours, peers, ratios, worked, syncs = [], [], [], [], []
    used = 0
    for _ in range(arguments.rounds):
        syncs.append(measure_fdatasync(folder))
        mine = await measure_intake(port, used, arguments.customers, arguments.posts, sessions=True)
        worked.append(len(mine.acknowledged) / (mine.total + await wait_until_worked(folder / "huiyin.db")))
        peer = await measure_intake(peer_port, used, arguments.customers, arguments.posts, sessions=False)
        used += arguments.posts // POSTS_EACH + arguments.customers
        ours.append(mine)
        peers.append(peer)
        ratios.append(peer.total / mine.total)
    answers = await measure_answers(port, used, arguments.customers, arguments.questions)

    cores, sync = os.cpu_count(), statistics.median(syncs) * 1000
    print(
        f"{arguments.customers} customers at once, {arguments.rounds} rounds, {cores} cores, fdatasync {sync:.2f} ms\n"
    )
    print("| intake | posts/s, median (all) | ack p50 ms | ack p99 ms |\n|---|---|---|---|")
    for name, results in (
        ("Huiyin, answering meanwhile", ours),
        ("one transaction per request, only storing", peers),
    ):
        speeds = [len(result.acknowledged) / result.total for result in results]
        times = [each for result in results for each in result.acknowledged]
        all_speeds = ", ".join(f"{speed:.0f}" for speed in speeds)
        print(
            f"| {name} | {statistics.median(speeds):.0f} ({all_speeds}) | {quantile(times, 0.5)} | {quantile(times, 0.99)} |"
        )
    print(
        f"\nRatio of intake: {statistics.median(ratios):.2f}. Worked to the end: {statistics.median(worked):.0f} posts/s.\n"
    )
    print(
        "| one question a second each | answers | ack p50 ms | ack p99 ms | answer p50 ms | answer p99 ms |"
    )
    print("|---|---|---|---|---|---|")
    print(
        f"| Huiyin | {len(answers.answered)} | {quantile(answers.acknowledged, 0.5)} | {quantile(answers.acknowledged, 0.99)} "
        f"| {quantile(answers.answered, 0.5)} | {quantile(answers.answered, 0.99)} |"
    )


def main() -> None:
    """Reads the arguments and measures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--customers", type=int, default=64)
    parser.add_argument("--posts", type=int, default=960)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--questions", type=int, default=6)
    parser.add_argument("--peer", nargs=2, metavar=("FOLDER", "PORT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peer:
        serve_peer(arguments.peer[0], int(arguments.peer[1]))
        return
    with tempfile.TemporaryDirectory(prefix="huiyin-bench-") as name:
        port, peer_port = free_port(), free_port()
        environ = {"HUIYIN_VAR_DIR": name, "HUIYIN_LISTEN": f"127.0.0.1:{port}", "HUIYIN_LOG_LEVEL": "error"}
        with (
            running(["-m", "bot", "serve"], port, environ),
            running([__file__, "--peer", name, str(peer_port)], peer_port, {}),
        ):
            asyncio.run(asyncio.wait_for(measure(arguments, Path(name), port, peer_port), LONGEST))


if __name__ == "__main__":
    main()
