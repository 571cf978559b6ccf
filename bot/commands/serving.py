"""Where a running ``serve`` is found, and the key with which commands prove that they may ask it."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bot.secret_files import keep_secret, make_key
from bot.setting_rules import key as check_key
from bot.settings import Settings
from storage.connect import sqlite_path

SERVING_FILE = "serve.json"
KEY_FILE = "COMMAND_KEY"
_LOCK_FILE = "serve.lock"
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - turned into loopback, not listened on.


@dataclass(frozen=True, slots=True)
class Serving:
    """A service that runs on this machine."""

    host: str
    port: int
    pid: int


def command_key(settings: Settings) -> str:
    """The key of this installation, made on first use.

    Raises:
        SettingsError: It cannot be read, made or kept private.
    """
    return keep_secret(settings.var_dir, KEY_FILE, make_key, check_key, [])


@contextmanager
def announced(settings: Settings, port: int) -> Iterator[None]:
    """Writes ``serve.json`` (mode 0600) while ``serve`` runs, so that commands find it.

    Only on SQLite: on PostgreSQL commands never need it.
    """
    if sqlite_path(settings.database_url) is None:
        yield
        return
    path = settings.var_dir / SERVING_FILE
    host = _WILDCARDS.get(settings.listen.host, settings.listen.host)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump({"host": host, "port": port, "pid": os.getpid()}, file)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def find_serving(settings: Settings) -> Serving | None:
    """The service that holds the lock of this database; None when it has not said yet where it listens.

    The file may be left over from one that was killed, and its port another program's by now, which must
    not be shown the key. So it counts only if it was written by the process that holds the lock.
    """
    try:
        found = json.loads((settings.var_dir / SERVING_FILE).read_text("utf-8"))
        holder = (settings.lock_dir / _LOCK_FILE).read_text("ascii").strip()
        serving = Serving(str(found["host"]), int(found["port"]), int(found["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return serving if holder == str(serving.pid) else None
