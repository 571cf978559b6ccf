"""``huiyin serve`` as a process of its own, with everything that it writes kept in files."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

_START = "from bot.cli import main; main()"
_STARTS_WITHIN = 40.0
_STOPS_WITHIN = 15.0


@dataclass(frozen=True)
class Served:
    """A running server.

    Attributes:
        folder: Its ``VAR_DIR``.
        output: What it prints and logs; complete once it has stopped.
    """

    url: str
    port: int
    folder: Path
    output: Path

    def secrets(self) -> dict[str, str]:
        """The secrets that it made for itself."""
        kept = self.folder / "secrets"
        return {path.name: path.read_text().strip() for path in kept.iterdir()} if kept.is_dir() else {}


@contextlib.contextmanager
def serving(folder: Path, **settings: str) -> Iterator[Served]:
    """Serves until the block ends, then stops it as a person would."""
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port = chosen.getsockname()[1]
    output = folder.parent / f"output-{port}.txt"
    # Nothing of the machine's own settings may leak in.
    environ = {name: value for name, value in os.environ.items() if not name.startswith("HUIYIN_")}
    environ |= {"HUIYIN_VAR_DIR": str(folder), "HUIYIN_LISTEN": f"127.0.0.1:{port}"}
    environ |= {f"HUIYIN_{name}": value for name, value in settings.items()}
    with output.open("wb") as written:
        process = subprocess.Popen(
            [sys.executable, "-c", _START, "serve"],
            cwd=folder.parent,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(url, process, output)
        yield Served(url, port, folder, output)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOPS_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


def _wait_for(url: str, process: subprocess.Popen[bytes], output: Path) -> None:
    until = time.monotonic() + _STARTS_WITHIN
    while time.monotonic() < until:
        assert process.poll() is None, output.read_text(errors="replace")
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/healthz", trust_env=False).status_code == 200:
                return
        time.sleep(0.1)
    raise AssertionError("it does not start: " + output.read_text(errors="replace"))
