"""One running Rasa server with one model: started, found well, watched and ended."""

from __future__ import annotations

import asyncio
import secrets
import socket
from asyncio.subprocess import Process
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Protocol

from bot.nlu_server import rasa_environment
from bot.nlu_server.inputs import SERVER
from bot.nlu_server.model_store import Model, ModelStore
from desk.errors import UnderstandingError
from nlu.rasa_client import Limits, RasaClient

# A text whose meaning every model knows: a model that cannot be read back answers /status all the same.
_KNOWN_TEXT = "你好"
_LOOK_EVERY_SECONDS = 0.3
_REQUEST_SECONDS = "10"


class NotStartedError(Exception):
    """A server did not get well; ``reason`` is one constant word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class StartServer(Protocol):
    """Starts a server that loads the model in ``file``."""

    async def __call__(self, file: Path, port: int, token: str, private: Path) -> Process:
        """Returns the process; OSError where it cannot start."""
        ...


async def start_rasa(file: Path, port: int, token: str, private: Path) -> Process:
    """Starts Rasa, on loopback and with a token; ``nlu/server/README.md`` says why each part is there."""
    arguments = [
        "run", "--quiet", "--enable-api",
        "--interface", "127.0.0.1", "--port", str(port),
        "--model", str(file),
        "--endpoints", str(SERVER / "endpoints.yml"),
        "--credentials", str(SERVER / "credentials.yml"),
        "--request-timeout", _REQUEST_SECONDS, "--response-timeout", _REQUEST_SECONDS,
        "--auth-token", token,
    ]  # fmt: skip
    return await rasa_environment.start("rasa", arguments, private)


class RasaProcess:
    """A server that is well; ``start`` makes one, ``end`` ends it."""

    def __init__(self, model: Model, process: Process, url: str, token: str, exits: ExitStack) -> None:
        self.model = model
        self.url = url
        self.token = token
        self._process = process
        self._exits = exits
        # Its own connections, so that a look does not wait behind customers.
        self._probe = RasaClient(url, token, model.intents, _LIMITS)

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """None while it runs."""
        return self._process.returncode

    @classmethod
    async def start(cls, store: ModelStore, name: str, starter: StartServer, within: float) -> RasaProcess:
        """Starts a server and waits until it understands.

        Raises:
            ModelRefusedError: The model is not the one that was signed.
            NotStartedError: It ended, or did not get well in time.
            OSError: The model cannot be copied, or no process can be started.
        """
        with ExitStack() as exits:
            private = exits.enter_context(store.room())
            # Rasa loads our copy, so nobody can exchange the file between the check and the loading.
            file = private / f"{name}.tar.gz"
            model = await asyncio.to_thread(store.take_out, name, file)
            port, token = _free_port(), secrets.token_urlsafe(32)
            process = await starter(file, port, token, private)
            server = cls(model, process, f"http://127.0.0.1:{port}", token, exits.pop_all())
        try:
            await server._wait_until_well(within)
        except BaseException:
            await server.end(patiently=False)
            raise
        return server

    async def is_well(self) -> bool:
        """Whether it answers."""
        if self.exit_status is not None:
            return False
        with suppress(UnderstandingError):
            return (await self._probe.status()).ready
        return False

    async def end(self, *, patiently: bool = True) -> None:
        """Ends it and removes what it left."""
        await self._probe.close()
        await rasa_environment.end(self._process, patiently=patiently)
        self._exits.close()

    async def _wait_until_well(self, within: float) -> None:
        try:
            async with asyncio.timeout(within):
                while not await self.is_well():
                    if self.exit_status is not None:
                        raise NotStartedError("exited")
                    await asyncio.sleep(_LOOK_EVERY_SECONDS)
                # Also warms it up: no customer waits for the first text, which takes longest.
                await self._probe.parse(_KNOWN_TEXT)
        except TimeoutError:
            raise NotStartedError("late") from None
        except UnderstandingError:
            raise NotStartedError("mute") from None


_LIMITS = Limits(total=3.0, slow=3.0)


def _free_port() -> int:
    """A port of loopback on which nothing listens; should another program be faster, the start fails once."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
