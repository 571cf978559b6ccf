"""Forks lives of the server from a process that has everything imported and warm.

A life is the real ``Installation`` with its real storage, workers and web server on a port of its own; only
the scorer is a light one. Started as a program by ``crash_lives.Launcher``, which talks to it in lines of
JSON::

    → {"start": 1, "environ": {…}, "log": PATH, "kill_at": 7, "when": "before"}   ← {"started": 1, "pid": 4711}
    → {"signal": 9, "life": 1}                                     ← {"ended": 1, "status": -9, "commits": 6}

The parent has one thread only, since a fork would leave the locks of others locked for ever.
"""

from __future__ import annotations

import asyncio
import gc
import json
import mmap
import os
import select
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import uvicorn.lifespan.off
import uvicorn.loops.asyncio
import uvicorn.protocols.http.httptools_impl  # noqa: F401 - what a life would import later
from aiogram.methods import (
    AnswerCallbackQuery,
    CreateForumTopic,
    DeleteWebhook,
    EditMessageText,
    GetMe,
    GetWebhookInfo,
    Response,
    SendMessage,
    SetMyCommands,
    SetWebhook,
)
from argon2 import PasswordHasher
from commit_points import CommitPoints
from shop import FakeScorer, Shop, play

import console.deps
from bot.app import Installation
from bot.logs import configure_logs
from bot.settings import LogFormat, LogLevel, load_settings
from desk.intake import RawInput
from desk.service_desk import ServiceDesk
from nlu.faq_search import FaqSearch

_CALLED = (
    AnswerCallbackQuery,
    CreateForumTopic,
    DeleteWebhook,
    EditMessageText,
    GetMe,
    GetWebhookInfo,
    SendMessage,
    SetMyCommands,
    SetWebhook,
)
HASTE = 0.3
"""Seconds between acknowledging and storing, in a life that is broken on purpose."""


@dataclass(frozen=True, slots=True)
class _Life:
    number: int
    pid: int
    shared: mmap.mmap


def main() -> None:
    """Warms up, then serves commands until standard input ends."""
    make_light()
    understander = FaqSearch()
    warm_up(understander)
    gc.collect()
    gc.freeze()  # Else the first collection in a child would copy every page of the parent.
    lives: dict[int, _Life] = {}
    woken, wake = os.pipe()
    for end in (woken, wake):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    _tell(ready=os.getpid())
    try:
        _serve_commands(lives, woken, understander)
    finally:
        for life in lives.values():
            os.kill(life.pid, signal.SIGKILL)


def make_light() -> None:
    """Hashes passwords with little effort: every start makes one hash, which takes longer than the rest."""
    module = sys.modules[console.deps.Passwords.__module__]
    assert hasattr(module, "PasswordHasher")
    module.PasswordHasher = _LightHasher


class _LightHasher(PasswordHasher):
    def __init__(self, **_: int) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)


def warm_up(understander: FaqSearch) -> None:
    """Plays a small story in this process, so that caches are filled and late imports are done."""

    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        await customer.says("什么时候发货")
        await shop.reports_event("delivered")
        await shop.customer("li", await shop.link())
        understander.find_nearest("什么时候发货", await shop.run(lambda unit: unit.faq.book()))

    configure_logs(LogLevel.WARNING, LogFormat.JSON)
    for method in _CALLED:
        # The type of each answer is made when it is first needed, and kept.
        _ = Response[method.__returning__]
    with tempfile.TemporaryDirectory(prefix="huiyin-warm-") as folder:
        play(Path(folder), story)
    if threading.active_count() != 1:
        raise RuntimeError(f"a fork would lose these threads: {threading.enumerate()}")


def _serve_commands(lives: dict[int, _Life], woken: int, understander: FaqSearch) -> None:
    waiting = b""
    while True:
        readable, _, _ = select.select([0, woken], [], [])
        if woken in readable:
            os.read(woken, 4096)
            _reap(lives)
        if 0 not in readable:
            continue
        chunk = os.read(0, 65536)
        if not chunk:
            return
        *lines, waiting = (waiting + chunk).split(b"\n")
        for line in lines:
            command = json.loads(line)
            if "start" in command:
                life = _fork(command, understander)
                lives[life.number] = life
                _tell(started=life.number, pid=life.pid)
            elif command["life"] in lives:
                # Not reaped yet, so the pid is still its own.
                os.kill(lives[command["life"]].pid, command["signal"])


def _reap(lives: dict[int, _Life]) -> None:
    for life in list(lives.values()):
        pid, status = os.waitpid(life.pid, os.WNOHANG)
        if pid:
            del lives[life.number]
            commits = CommitPoints.read(life.shared)
            life.shared.close()
            _tell(ended=life.number, status=os.waitstatus_to_exitcode(status), commits=commits)


def _fork(command: Mapping[str, Any], understander: FaqSearch) -> _Life:
    shared = mmap.mmap(-1, 8)
    pid = os.fork()
    if pid:
        return _Life(command["start"], pid, shared)
    status = 70
    try:
        _live(command, shared, understander)
        status = 0
    except BaseException:  # noqa: BLE001 - a child must never go on as a second launcher
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _live(command: Mapping[str, Any], shared: mmap.mmap, understander: FaqSearch) -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    log = os.open(command["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, source in ((0, nothing), (1, log), (2, log)):
        os.dup2(source, descriptor)
    configure_logs(LogLevel.INFO, LogFormat.JSON)
    CommitPoints(shared, command["kill_at"], command["when"]).listen()

    async def serve() -> None:
        settings = load_settings(command["environ"])
        async with Installation(settings, understander=understander, scorer=FakeScorer()) as installation:
            if command["hasty"]:
                installation.service_desk.__class__ = HastyDesk
            await installation.serve(lambda _: None)

    asyncio.run(serve())


class HastyDesk(ServiceDesk):
    """A desk with the fault that Telegram's updates are lost by: it stores them after they are confirmed."""

    async def accept_batch(
        self,
        inputs: Sequence[RawInput],
        undecodable: Sequence[tuple[RawInput, str]] = (),
        bookmark: tuple[str, str] | None = None,
    ) -> int:
        """Moves the offset or lets the webhook answer at once, and stores a moment later."""
        loop, later = asyncio.get_running_loop(), super().accept_batch
        if bookmark is not None:
            await later((), (), bookmark)
        loop.call_later(HASTE, lambda: self._late.append(loop.create_task(later(inputs, undecodable))))
        return len(inputs)

    @cached_property
    def _late(self) -> list[asyncio.Task[int]]:
        return []


def _tell(**what: int) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")


if __name__ == "__main__":
    main()
