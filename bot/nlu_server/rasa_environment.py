"""Starts a module in Rasa's environment: with a folder of its own, few variables and none of our secrets."""

from __future__ import annotations

import asyncio
import json
import os
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from bot.nlu_server.inputs import PYTHON, ROOT

_CHILD = Path(__file__).with_name("child.py")
_SETTINGS = {
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "RASA_TELEMETRY_ENABLED": "false",
    "LOG_LEVEL_LIBRARIES": "ERROR",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "SQLALCHEMY_SILENCE_UBER_WARNING": "1",
    "CUDA_VISIBLE_DEVICES": "-1",
    # Texts are short: more threads would only take time from the customers' own work.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "SANIC_WORKERS": "1",
}
_TERM_SECONDS = 5.0


async def start(
    module: str, arguments: Sequence[str], private: Path, *, read: bool = False, nice: int = 0
) -> Process:
    """Starts ``python -m module arguments`` from the root of the repository.

    What it says is not kept: its lines may hold texts of customers.

    Args:
        private: A folder that only we may enter, as an absolute path; home and place of temporary files.
        read: Its standard output is wanted.
        nice: How much it stands back for others.

    Raises:
        OSError: It cannot be started.
    """
    folder = str(private)
    process = await asyncio.create_subprocess_exec(
        PYTHON, "-I", "-X", "utf8", "-W", "ignore", str(_CHILD),
        stdin=PIPE,
        stdout=PIPE if read else DEVNULL,
        stderr=DEVNULL,
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "HOME": folder, "TMPDIR": folder, **_SETTINGS},
        # A session of its own: Ctrl-C is for us, and we end the child in order.
        start_new_session=True,
    )  # fmt: skip
    order = {"module": module, "arguments": list(arguments), "parent": os.getpid(), "nice": nice}
    # A pipe of subprocess.PIPE is never None.
    assert process.stdin is not None
    with suppress(ConnectionError):
        process.stdin.write(json.dumps(order).encode() + b"\n")
        await process.stdin.drain()
    return process


async def end(process: Process, *, patiently: bool = True) -> None:
    """Ends a child for good; one that does not hear is killed."""
    if process.returncode is None and patiently:
        with suppress(ProcessLookupError):
            process.terminate()
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _TERM_SECONDS)
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    if process.stdin is not None:
        process.stdin.close()
