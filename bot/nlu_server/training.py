"""Trains a model in a child process and puts it into the store."""

from __future__ import annotations

import asyncio
import json
import time
from asyncio.subprocess import Process
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Protocol

from bot.nlu_server import rasa_environment
from bot.nlu_server.inputs import environment_is_ready, fingerprint, known_intents
from bot.nlu_server.model_store import Model, ModelStore
from desk.errors import DeskError

MODULE = "nlu.server.train"
_AT_MOST_SECONDS = 1_800.0
_NICE = 10
"""Training takes its time and leaves the machine to customers."""

Progress = Callable[[str, int, int], None]
"""Is told the stage, the steps done and how many there are."""

NO_ENVIRONMENT = (
    "还没有 Rasa 的环境；请运行 make nlu-setup（需要 Python 3.10 或网络）。"
    " Rasa's environment is not there; make it with: make nlu-setup (needs a Python 3.10 or the network)"
)


class TrainingFailedError(DeskError):
    """No model was made; the message says why in words."""


class StartTraining(Protocol):
    """Starts the training of a model into a file."""

    async def __call__(self, output: Path, private: Path) -> Process:
        """Returns the child, whose standard output tells how far it is; OSError where it cannot start."""
        ...


async def start_rasa_training(output: Path, private: Path) -> Process:
    """Starts the real one."""
    if not environment_is_ready():
        raise TrainingFailedError(NO_ENVIRONMENT)
    return await rasa_environment.start(MODULE, ["--output", str(output)], private, read=True, nice=_NICE)


async def train(
    store: ModelStore,
    report: Progress,
    clock: Callable[[], datetime],
    *,
    force: bool = False,
    start: StartTraining = start_rasa_training,
) -> tuple[Model, bool]:
    """Trains if anything that a model is made from has changed.

    Args:
        force: Train in any case.
        start: Another training than Rasa's, for tests.

    Returns:
        The model in force, and whether it was trained now.

    Raises:
        TrainingFailedError: There is no environment, or Rasa made no model.
        ConflictError: Another training runs.
        OSError: A file cannot be read or stored.
    """
    with store.training():
        made_from = await asyncio.to_thread(fingerprint)
        known = None if force else await asyncio.to_thread(_model_in_force, store, made_from)
        if known is not None:
            return known, False
        draft = store.draft()
        began = time.monotonic()
        try:
            with store.room() as private:
                await _train_into(draft, private, report, start)
            seconds = round(time.monotonic() - began, 1)
            if await asyncio.to_thread(fingerprint) != made_from:
                raise TrainingFailedError(
                    "训练期间文件有改动，请再运行一次。 The files changed during the training; run it again."
                )
            figures = {"seconds": seconds, "bytes": float(draft.stat().st_size)}
            model = store.add(draft, made_from, known_intents(), figures, clock())
        finally:
            draft.unlink(missing_ok=True)
        return model, True


def _model_in_force(store: ModelStore, made_from: str) -> Model | None:
    """A valid model of these inputs, put in force unless a person chose another one since they changed."""
    found = store.newest_for(made_from)
    current = store.current_name()
    if found is not None and found.name != current and not store.is_chosen_for(made_from):
        store.use(found.name)
    return found


async def _train_into(draft: Path, private: Path, report: Progress, start: StartTraining) -> None:
    process = await start(draft, private)
    stage = "starting"
    try:
        async with asyncio.timeout(_AT_MOST_SECONDS):
            # A pipe of subprocess.PIPE is never None.
            assert process.stdout is not None
            async for line in process.stdout:
                said = _read(line)
                if said is None:
                    continue
                stage = said[0]
                report(*said)
            await process.wait()
    except TimeoutError:
        raise TrainingFailedError("训练超过半小时，已放弃。 The training took over half an hour.") from None
    finally:
        await rasa_environment.end(process, patiently=False)
    if stage != "saved" or process.returncode != 0:
        raise TrainingFailedError(
            "训练失败；请运行 make nlu-train 看原因。 The training failed; see why with: make nlu-train"
        )


def _read(line: bytes) -> tuple[str, int, int] | None:
    """A line of progress, or None for anything else that a library may print."""
    try:
        said = json.loads(line)
        return str(said["stage"])[:40], int(said.get("done", 0)), int(said.get("total", 0))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
