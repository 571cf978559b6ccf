"""The test's side of the launcher: starting lives, killing them and hearing of their end."""

from __future__ import annotations

import asyncio
import atexit
import itertools
import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from shop import API_KEY, SHOP_SECRET

_HERE = Path(__file__).resolve().parent
_NUMBERS = itertools.count(1)


@dataclass(slots=True)
class Life:
    """One process of the server, from fork to end.

    Attributes:
        status: The exit code, or minus the signal; None while it lives.
        commits: How many commits wrote something, once it has ended.
    """

    number: int
    launcher: Launcher
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    status: int | None = None
    commits: int = 0

    async def end(self, number: signal.Signals = signal.SIGKILL) -> int:
        """Sends the signal, waits for the end and returns the status."""
        self.launcher.send({"signal": int(number), "life": self.number})
        await asyncio.wait_for(self.ended.wait(), 20)
        assert self.status is not None
        return self.status


class Launcher:
    """The launcher as one test uses it. Made by ``launcher()``."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._lives: dict[int, Life] = {}

    def send(self, command: Mapping[str, Any]) -> None:
        """Writes one command."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")

    def start(self, place: Place, kill_at: int = 0, when: str = "before") -> Life:
        """Forks a life at a place; the place must not have another that lives."""
        life = Life(next(_NUMBERS), self)
        self._lives[life.number] = life
        self.send(
            {
                "start": life.number,
                "environ": place.environ,
                "log": str(place.log),
                "kill_at": kill_at,
                "when": when,
                "hasty": place.hasty,
            }
        )
        return life

    async def hear(self, told: asyncio.StreamReader) -> None:
        """Reads what the launcher tells until it ends."""
        async for line in told:
            news = json.loads(line)
            if "ended" in news:
                life = self._lives.pop(news["ended"])
                life.status, life.commits = news["status"], news["commits"]
                life.ended.set()
        for life in self._lives.values():
            life.ended.set()

    async def end_all(self) -> None:
        """Kills whatever still lives."""
        for life in list(self._lives.values()):
            await life.end()


@asynccontextmanager
async def launcher() -> AsyncIterator[Launcher]:
    """The launcher, for one event loop; in the end nothing lives any more."""
    process = _process()
    assert process.stdout is not None
    told = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(told), os.fdopen(os.dup(process.stdout.fileno()), "rb")
    )
    try:
        async with asyncio.TaskGroup() as tasks:
            running = Launcher(process)
            hearing = tasks.create_task(running.hear(told))
            try:
                yield running
            finally:
                await running.end_all()
                hearing.cancel()
    finally:
        transport.close()


@cache
def _process() -> subprocess.Popen[bytes]:
    """Starts the launcher, once for all tests: it takes longer to get ready than many a story."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("HUIYIN_")}
    environ["PYTHONPATH"] = os.pathsep.join([str(_HERE), str(_HERE.parent), str(_HERE.parent.parent)])
    process = subprocess.Popen(
        [sys.executable, str(_HERE / "launcher.py")],
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environ,
    )
    atexit.register(process.communicate)  # The end of its input ends it, with whatever still lives.
    assert process.stdout is not None
    if b"ready" not in process.stdout.readline():
        raise RuntimeError("the launcher did not start")
    return process


class Place:
    """A data folder and the port that all its lives serve on, one after the other.

    Attributes:
        hasty: Its lives are broken on purpose: they acknowledge updates before they store them.
    """

    def __init__(self, folder: Path, **settings: str) -> None:
        self.var = folder / "var"
        self.log = folder / "log"
        folder.mkdir(parents=True, exist_ok=True)
        self.hasty = False
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environ = {
            "HUIYIN_VAR_DIR": str(self.var),
            "HUIYIN_LISTEN": f"127.0.0.1:{self.port}",
            "HUIYIN_SHOP_SECRET": SHOP_SECRET,
            "HUIYIN_API_KEY": API_KEY,
            "HUIYIN_QUIET_HOURS": "off",
            "HUIYIN_SURVEY_DELAY": "1s",
            **{f"HUIYIN_{name}": value for name, value in settings.items()},
        }

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.var / "huiyin.db"

    def complaints(self) -> list[str]:
        """Lines of the log that tell of an error; a kill is no excuse for one."""
        if not self.log.exists():
            return []
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return [line for line in lines if not line.startswith("{") or '"level": "error"' in line]


def _free_port() -> int:
    # Below the range from which the system gives ports to outgoing connections: one of those must not
    # take the port while the server is down.
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
