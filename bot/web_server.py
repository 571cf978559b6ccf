"""uvicorn as one supervised task among others."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from bot.logs import UVICORN_LOGS
from bot.setting_rules import Address
from desk.errors import DeskError


class AddressInUseError(DeskError):
    """Something else listens there already."""


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals belong to the supervisor, which also has workers to drain."""
        yield


class WebServer:
    """Serves one application on one address.

    The socket is bound when the object is made, so that a taken port is told before anything starts.
    """

    def __init__(self, app: ASGIApp, address: Address) -> None:
        self._app = app
        self._socket = _bind(address)
        self._server: _Server | None = None

    @property
    def port(self) -> int:
        """The port in use, also where 0 let the system choose."""
        port: int = self._socket.getsockname()[1]
        return port

    async def run(self) -> None:
        """Serves until ``stop``."""
        config = uvicorn.Config(
            self._app,
            **UVICORN_LOGS,
            server_header=False,
            date_header=False,
            lifespan="off",
            http="httptools",
            ws="none",
            timeout_keep_alive=30,
            timeout_graceful_shutdown=3,
            h11_max_incomplete_event_size=64 * 1024,
        )
        self._server = _Server(config)
        # A copy: a restarted server needs the socket that the crashed one has closed.
        await self._server.serve(sockets=[self._socket.dup()])

    def stop(self) -> None:
        """Lets open requests end (3 s at most) and takes no new ones."""
        if self._server is not None:
            self._server.should_exit = True

    def close(self) -> None:
        """Gives the address free, once nobody serves there any more."""
        self._socket.close()


def _bind(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address.host, address.port))
        listener.listen(512)
    except OSError as error:
        listener.close()
        raise AddressInUseError(
            f"{address.host}:{address.port} 已被占用或无法监听，请停掉占用它的程序，或设置 HUIYIN_LISTEN 换一个端口。"
            f" Cannot listen on {address.host}:{address.port} ({error.strerror});"
            " stop what uses it or set HUIYIN_LISTEN."
        ) from error
    return listener
