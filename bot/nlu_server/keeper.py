"""Keeps one Rasa server running with the model in force, and exchanges it when another model is put in force."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from bot.nlu_server.inputs import environment_is_ready
from bot.nlu_server.model_store import ModelRefusedError, ModelStore
from bot.nlu_server.optional_rasa import OptionalRasa
from bot.nlu_server.rasa_process import NotStartedError, RasaProcess, StartServer, start_rasa
from bot.setting_rules import SettingsError

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class KeeperTimes:
    """All in seconds.

    Attributes:
        look: Between two looks at the server and at the model in force.
        start: For a server to get well; loading takes 10, on a busy machine a minute.
        pause: After the first failure; doubled after each further one.
        longest_pause: At most.
        steady: A server that ran so long fails for the first time again.
        grace: What is on its way to an old server may take so long; more than any answer may.
    """

    look: float = 2.0
    start: float = 180.0
    pause: float = 1.0
    longest_pause: float = 60.0
    steady: float = 60.0
    grace: float = 3.0


_MISSES = 5
"""Looks in a row without an answer; then the server hangs."""


class RasaKeeper:
    """Run by the supervisor; ``close`` it when nothing is to be understood any more.

    Args:
        store: Where the models are.
        rasa: Is pointed at the server.
        starter: Another server than Rasa, for tests.
        times: Other times, for tests.
        can_start: Whether servers can be started at all.
    """

    def __init__(
        self,
        store: ModelStore,
        rasa: OptionalRasa,
        starter: StartServer = start_rasa,
        times: KeeperTimes | None = None,
        can_start: Callable[[], bool] = environment_is_ready,
    ) -> None:
        self._store = store
        self._rasa = rasa
        self._starter = starter
        self._times = times or KeeperTimes()
        self._can_start = can_start
        self._server: RasaProcess | None = None
        self._began_at = 0.0
        self._pause = self._times.pause
        self._again_at = 0.0
        self._misses = 0
        # The model that could not be loaded; tried again only after another one was put in force.
        self._refused: str | None = None
        self._trouble = ""
        self.preparing = False

    def state(self) -> str:
        """``ok``, ``starting`` or ``degraded: …``, for ``/readyz``."""
        if self._server is not None and self._rasa.up:
            return f"degraded: {self._trouble}" if self._trouble else "ok"
        if self._trouble:
            return f"degraded: {self._trouble}"
        if self.is_expected():
            return "starting"
        return "degraded: no model" if self._can_start() else "degraded: Rasa is not installed"

    def is_expected(self) -> bool:
        """Whether a server is there or will be."""
        if self._server is not None or self.preparing:
            return True
        return self._can_start() and self._store.current_name() is not None

    @property
    def pid(self) -> int | None:
        """Of the server, where there is one."""
        return self._server.pid if self._server is not None else None

    async def run(self, is_stopping: Callable[[], bool]) -> None:
        """Looks after the server until it is told to stop; the server goes on until ``close``."""
        while not is_stopping():
            await self._look()
            await asyncio.sleep(self._times.look)

    async def close(self) -> None:
        """Ends the server, which holds nothing that could be lost."""
        server, self._server = self._server, None
        self._rasa.up = False
        if server is not None:
            await server.end(patiently=False)

    async def _look(self) -> None:
        self._rasa.expected = self.is_expected()
        wanted = self._store.current_name()
        if wanted == self._refused:
            wanted = None
        if self._server is None:
            if wanted is not None and self._can_start() and _seconds() >= self._again_at:
                await self._start(wanted)
            return
        if wanted == self._server.model.name:
            # Somebody went back to it from a model that was no good.
            self._refused, self._trouble = None, ""
        elif wanted is not None:
            await self._exchange(self._server, wanted)
        await self._watch(self._server)

    async def _start(self, name: str) -> None:
        began = _seconds()
        server = await self._try(name)
        if server is None:
            return
        self._server, self._began_at, self._misses, self._trouble = server, _seconds(), 0, ""
        self._rasa.point_at(server.url, server.token, server.model.intents)
        self._rasa.starts += 1
        _log.info("rasa_started", version=name, pid=server.pid, took_seconds=round(_seconds() - began, 1))

    async def _exchange(self, old: RasaProcess, name: str) -> None:
        """Starts a second server, moves over once it understands, and ends the first."""
        began = _seconds()
        new = await self._try(name)
        if new is None:
            # Whatever it was: the model in force runs on, and this one is not tried again and again.
            self._refused = name
            return
        self._server, self._began_at, self._misses, self._trouble = new, _seconds(), 0, ""
        self._rasa.point_at(new.url, new.token, new.model.intents)
        self._rasa.starts += 1
        _log.info("rasa_exchanged", version=name, pid=new.pid, took_seconds=round(_seconds() - began, 1))
        try:
            await asyncio.sleep(self._times.grace)
        finally:
            # Also when we are cancelled meanwhile: nobody else knows of it any more.
            await old.end()

    async def _try(self, name: str) -> RasaProcess | None:
        reason, began = "", _seconds()
        try:
            server = await RasaProcess.start(self._store, name, self._starter, self._times.start)
        except ModelRefusedError:
            self._refused, self._trouble = name, "the model is refused, see huiyin nlu models"
            _log.error("rasa_model_refused", version=name)
            return None
        except NotStartedError as error:
            reason = error.reason
        except (OSError, SettingsError) as error:
            reason = type(error).__name__
        else:
            self._refused = None
            return server
        self._fail("Rasa does not start")
        took = round(_seconds() - began, 1)
        _log.error("rasa_not_started", version=name, reason=reason, took_seconds=took)
        return None

    async def _watch(self, server: RasaProcess) -> None:
        if await server.is_well():
            self._misses = 0
            return
        self._misses += 1
        if server.exit_status is None and self._misses < _MISSES:
            return
        reason = "hung" if server.exit_status is None else "exited"
        if _seconds() - self._began_at >= self._times.steady:
            self._pause = self._times.pause
        self._server, self._rasa.up = None, False
        self._fail("Rasa is started again")
        _log.error("rasa_lost", version=server.model.name, reason=reason, status=server.exit_status)
        await server.end(patiently=False)

    def _fail(self, trouble: str) -> None:
        self._trouble = trouble
        self._again_at = _seconds() + self._pause
        self._pause = min(2 * self._pause, self._times.longest_pause)


def _seconds() -> float:
    return asyncio.get_running_loop().time()
