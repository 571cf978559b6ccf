"""Makes Rasa's environment and trains, while the service runs already; never in its way."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime

import structlog

from bot.nlu_server.inputs import ROOT, environment_is_ready
from bot.nlu_server.keeper import RasaKeeper
from bot.nlu_server.model_store import ModelStore
from bot.nlu_server.training import TrainingFailedError, train
from bot.setting_rules import SettingsError
from desk.errors import ConflictError

_log = structlog.get_logger(__name__)

# Our settings hold secrets; what the `make run` above us was told is not meant for this one.
_NOT_FOR_MAKE = ("HUIYIN_", "MAKE", "MFLAGS")
_ALONE = (
    "语义理解没有准备好，先用问答检索，其他功能照常。"
    " Understanding could not be prepared; the FAQ search understands alone and all else works."
)


async def make_environment() -> bool:
    """Runs ``make nlu-setup``, which tells the person at the keyboard what it lacks."""
    make = shutil.which("make")
    if make is None:
        return False
    # Its own output goes to our standard error; standard output is for results.
    process = await asyncio.create_subprocess_exec(
        make, "--silent", "nlu-setup", cwd=ROOT, stdin=asyncio.subprocess.DEVNULL, stdout=2,
        env={name: value for name, value in os.environ.items() if not name.startswith(_NOT_FOR_MAKE)},
        start_new_session=True,
    )  # fmt: skip
    try:
        return await process.wait() == 0
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


class Preparation:
    """Run once by the supervisor.

    Args:
        store: Where the model goes.
        keeper: Takes the model up by itself; it is told that one may be coming.
        clock: The clock.
        tell: Shows a sentence to the person at the keyboard.
        make: Another way to make the environment, for tests.
        is_ready: Whether the environment is there already.
    """

    def __init__(
        self,
        store: ModelStore,
        keeper: RasaKeeper,
        clock: Callable[[], datetime],
        tell: Callable[[str], None],
        make: Callable[[], Awaitable[bool]] = make_environment,
        is_ready: Callable[[], bool] = environment_is_ready,
    ) -> None:
        self._store = store
        self._keeper = keeper
        self._clock = clock
        self._tell = tell
        self._make = make
        self._is_ready = is_ready
        keeper.preparing = True

    async def run(self) -> None:
        """Does what is to do, and gives up in words."""
        try:
            await self._prepare()
        except (ConflictError, TrainingFailedError) as error:
            self._tell(f"{error} {_ALONE}")
            _log.warning("understanding_not_prepared", error_type=type(error).__name__)
        except (OSError, ValueError, SettingsError) as error:
            self._tell(_ALONE)
            _log.warning("understanding_not_prepared", error_type=type(error).__name__)
        finally:
            self._keeper.preparing = False

    async def _prepare(self) -> None:
        if not self._is_ready() and not await self._make():
            self._tell(_ALONE)
            _log.warning("understanding_not_prepared", reason="no_environment")
            return
        told = False

        def report(stage: str, done: int, total: int) -> None:
            nonlocal told
            if not told:
                told = True
                self._tell(
                    "正在后台训练语义理解，一两分钟，期间照常服务……"
                    " Training the understanding in the background, a minute or two …"
                )
            _log.debug("understanding_training", phase=stage, part=done, total=total)

        model, trained = await train(self._store, report, self._clock)
        if trained:
            self._tell("语义理解训练好了，会自动用上。 The understanding is trained and taken up by itself.")
            _log.info("understanding_trained", version=model.name, took_seconds=model.figures["seconds"])
