"""One ``serve`` at a time."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

from desk.errors import DeskError


class AlreadyServingError(DeskError):
    """Another process serves from this folder."""


class SingleServeLock:
    """The right to serve from one folder, held through ``flock`` on ``serve.lock`` in it.

    The kernel ends it with the process, however that dies, so a file left behind means nothing. Programs
    that are started from here do not inherit it.

    Args:
        var_dir: The folder; created with mode 0700 if it is missing.
    """

    def __init__(self, var_dir: Path | str) -> None:
        self.path = Path(var_dir) / "serve.lock"
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Takes the lock or refuses; holding it already is fine.

        Raises:
            AlreadyServingError: Another process has it.
        """
        if self._descriptor is not None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Without following links, so that nobody can have another file truncated through this one.
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(self.path, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 20).decode("ascii", "replace").strip()
            os.close(descriptor)
            who = f"process {holder}" if holder.isdigit() else "another process"
            raise AlreadyServingError(
                f"{who} already serves from {self.path.parent}; stop it first or use another folder"
            ) from error
        except OSError:
            os.close(descriptor)
            raise
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode("ascii"))
        self._descriptor = descriptor

    def release(self) -> None:
        """Gives the lock back; does nothing when it is not held.

        The file stays: whoever removed it could take the name away from under a third process. Closing
        is enough, and unlike LOCK_UN it leaves the parent's lock alone when a forked child does it.
        """
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> SingleServeLock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
