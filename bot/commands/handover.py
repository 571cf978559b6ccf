"""Runs a writing command: here if the database is free, else inside the ``serve`` that holds it."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

from bot.commands.serving import Serving, command_key, find_serving
from bot.settings import Settings
from desk.errors import (
    AlreadyTakenError,
    ConflictError,
    DeskError,
    InvalidInputError,
    NotAllowedError,
    NotFoundError,
    StorageUnavailableError,
)
from storage.connect import sqlite_path
from storage.locks import AlreadyServingError, SingleServeLock

Run = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]
"""Runs one command by name with its arguments."""

PATIENCE = timedelta(seconds=10)
"""How long a service that is just starting, or another command, is waited for."""
_LOOK_AGAIN = 0.2
_ANSWER_WITHIN = 120.0

_KINDS: dict[str, type[DeskError]] = {
    kind.__name__: kind
    for kind in (NotFoundError, NotAllowedError, ConflictError, AlreadyTakenError, StorageUnavailableError)
}


class HandoverError(DeskError):
    """The running service could not be asked, or did not answer; the message says what to do."""


async def run_command(settings: Settings, name: str, args: dict[str, Any]) -> dict[str, Any]:
    """Runs one writing command and returns its result.

    Raises:
        DeskError: What the command raised, wherever it ran.
        HandoverError: The database is held by a process that cannot be asked.
    """
    async with open_runner(settings) as run:
        return await run(name, args)


@asynccontextmanager
async def open_runner(settings: Settings, patience: timedelta = PATIENCE) -> AsyncIterator[Run]:
    """Yields a function that runs writing commands one after the other.

    On SQLite the lock decides: free = an ``Installation`` of our own without serving, held = the running
    service. On PostgreSQL always our own.
    """
    async with AsyncExitStack() as exits:
        yield await _choose(settings, exits, patience)


async def _choose(settings: Settings, exits: AsyncExitStack, patience: timedelta) -> Run:
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + patience.total_seconds()
    while True:
        try:
            if sqlite_path(settings.database_url) is not None:
                # Asked before anything heavy is loaded.
                with SingleServeLock(settings.lock_dir):
                    pass
            return await _run_here(settings, exits)
        except AlreadyServingError as error:
            serving = find_serving(settings)
            if serving is not None and await asyncio.to_thread(_listens, serving):
                return _run_there(serving, command_key(settings))
            if loop.time() >= give_up_at:
                raise HandoverError(_unreachable(serving, error)) from error
        await asyncio.sleep(_LOOK_AGAIN)


async def _run_here(settings: Settings, exits: AsyncExitStack) -> Run:
    # Only here: whoever hands over needs neither the application nor the commands.
    from bot.app import Installation
    from bot.commands.registry import get_command

    installation = await exits.enter_async_context(Installation(settings))

    async def run(name: str, args: dict[str, Any]) -> dict[str, Any]:
        return await get_command(name)(installation, args)

    return run


def _run_there(serving: Serving, key: str) -> Run:
    async def run(name: str, args: dict[str, Any]) -> dict[str, Any]:
        body = json.dumps(args, ensure_ascii=True).encode("ascii")
        status, answer = await asyncio.to_thread(_post, serving, key, name, body)
        if status == 200:
            result: dict[str, Any] = answer["result"]
            return result
        detail = answer.get("detail")
        raise _translated(status, detail if isinstance(detail, dict) else {})

    return run


def _listens(serving: Serving) -> bool:
    connection = http.client.HTTPConnection(serving.host, serving.port, timeout=3)
    try:
        connection.connect()
    except OSError:
        return False
    finally:
        connection.close()
    return True


def _post(serving: Serving, key: str, name: str, body: bytes) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection(serving.host, serving.port, timeout=_ANSWER_WITHIN)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    try:
        connection.request("POST", f"/internal/commands/{name}", body, headers)
        answer = connection.getresponse()
        document = json.loads(answer.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise HandoverError(
            "正在运行的服务没有答复，不知道做了没有；再执行一次是安全的。"
            f" The running service gave no answer ({type(error).__name__}), so it is not known whether the"
            " command was carried out; running it again is safe."
        ) from error
    finally:
        connection.close()
    return answer.status, document if isinstance(document, dict) else {}


def _translated(status: int, detail: dict[str, Any]) -> DeskError:
    reason = str(detail.get("reason", f"HTTP {status}"))
    kind = detail.get("kind")
    if status == 401:
        return HandoverError(
            "正在运行的服务不认这把钥匙，它用的可能是另一个 HUIYIN_VAR_DIR；重启服务后再试。"
            " The running service does not know this key; perhaps it was started with another"
            " HUIYIN_VAR_DIR. Restart it and try again."
        )
    if kind == "InvalidInputError":
        return InvalidInputError(str(detail.get("field", "body")), reason)
    return _KINDS.get(str(kind), HandoverError)(reason)


def _unreachable(serving: Serving | None, error: AlreadyServingError) -> str:
    if serving is None:
        return (
            "数据库正被另一个进程占用，它没有在监听；请等它结束后再试。"
            f" The database is in use by a process that does not listen; wait for it to end. ({error})"
        )
    return (
        f"数据库正由 {serving.host}:{serving.port} 的服务使用，但从这里连不上它；"
        "服务在容器里时，请在同一个容器里执行（docker compose exec）。"
        f" The service at {serving.host}:{serving.port} holds the database but cannot be reached from here;"
        " if it runs in a container, run this inside the same container (docker compose exec)."
    )
