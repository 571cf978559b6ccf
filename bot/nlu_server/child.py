"""Runs a module of Rasa's environment as a child that does not outlive its parent.

Started as ``python -I child.py`` with that environment's Python 3.10, so nothing of ours is imported here.
The first line on standard input says in JSON what to run: ``{"module", "arguments", "parent", "nice"}``. It
comes that way and not as arguments because one of them is a token, and everybody on the machine may list
arguments.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import sys
import threading
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def _die_with(parent: int) -> None:
    """Has the kernel kill us when the parent ends; where it cannot, the end of our input does it."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        # It ended before the kernel had heard of it.
        os._exit(1)

    def watch() -> None:
        while os.read(0, 64):
            continue
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def _read_line() -> bytes:
    """The first line, without reading on: what follows belongs to the watch."""
    line = bytearray()
    while not line.endswith(b"\n"):
        piece = os.read(0, 1)
        if not piece:
            os._exit(1)
        line += piece
    return bytes(line)


def main() -> None:
    """Runs what the first line says as if it were the command line of that module."""
    order = json.loads(_read_line())
    _die_with(order["parent"])
    os.nice(order["nice"])
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    sys.argv = [order["module"], *order["arguments"]]
    runpy.run_module(order["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
