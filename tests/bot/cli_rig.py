"""Runs the command line as a person does: in a process of its own, in a folder of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

REPOSITORY = Path(__file__).parents[2]


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """The variables of a process whose installation lives in ``folder/var``."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HUIYIN_")}
    given = {f"HUIYIN_{name}": value for name, value in settings.items()}
    return {**kept, "PYTHONPATH": str(REPOSITORY), "PYTHONWARNINGS": "error", "LC_ALL": "C.UTF-8", **given}


def huiyin(
    folder: Path, *args: str, stdin: str | bytes = "", **settings: str
) -> subprocess.CompletedProcess[str]:
    """Runs one command to its end; never with a stack trace on either stream."""
    done = subprocess.run(
        [sys.executable, "-m", "bot", *args],
        cwd=folder,
        env=environment(folder, **settings),
        input=stdin.encode() if isinstance(stdin, str) else stdin,
        capture_output=True,
        timeout=90,
        check=False,
    )
    out, err = done.stdout.decode(), done.stderr.decode()
    assert "Traceback" not in out + err, err
    assert "Warning" not in err, err
    return subprocess.CompletedProcess(done.args, done.returncode, out, err)


def free_port() -> int:
    """A port that nothing listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Service:
    """A running ``serve`` or ``demo``."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path, port: int, log: Path) -> None:
        self.process = process
        self.folder = folder
        self.url = f"http://127.0.0.1:{port}"
        self.port = port
        self._log = log

    @property
    def output(self) -> str:
        """Everything it printed so far."""
        return self._log.read_text("utf-8")

    def stop(self, number: int = signal.SIGINT) -> int:
        """Sends a signal and waits for the end; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout=30)


@contextmanager
def serving(folder: Path, *args: str, **settings: str) -> Iterator[Service]:
    """Starts ``huiyin serve`` (or what ``args`` say) and yields it once it answers."""
    port = free_port()
    log = folder / f"service-{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "bot", *(args or ("serve",))],
            cwd=folder,
            env=environment(folder, LISTEN=f"127.0.0.1:{port}", **settings),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    service = Service(process, folder, port, log)
    try:
        until = time.monotonic() + 60
        while not _answers(service):
            assert process.poll() is None, service.output
            assert time.monotonic() < until, service.output
            time.sleep(0.1)
        yield service
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(timeout=30)


def _answers(service: Service) -> bool:
    if "Ctrl-C" not in service.output:
        return False
    try:
        with urlopen(f"{service.url}/healthz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
