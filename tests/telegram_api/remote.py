"""The handle of a server in another process; its stories read as those with ``TelegramApi``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from telegram_api.control import PATH, encode
from telegram_api.seen import Call, Seen
from telegram_api.webhook import Delivery

_SHAPES: dict[str, Callable[..., Any]] = {
    "sees": Seen,
    "calls": Call,
    "early_calls": Call,
    "deliveries": Delivery,
}


class Remote:
    """Something over there: every method goes over HTTP, ``set(name=value)`` changes attributes."""

    def __init__(self, api: RemoteApi, on: str, key: tuple[Any, ...] = ()) -> None:
        self._api = api
        self._on = on
        self._key = key

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._api.order(self._on, list(self._key), name, args, kwargs)

        return call


class RemoteGroup(Remote):
    """A group over there."""

    def member(self, user: RemoteUser | int, topic: int | None = None, status: str = "member") -> Remote:
        """A person in it."""
        user_id = user if isinstance(user, int) else user.id
        member = Remote(self._api, "member", (self._key[0], user_id, topic, status))
        member.set()
        return member


class RemoteUser(Remote):
    """A person over there."""

    @property
    def id(self) -> int:
        """Their number."""
        return int(self._key[0])


class RemoteApi(Remote):
    """A ``TelegramApi`` over there."""

    def __init__(self, url: str, token: str) -> None:
        super().__init__(self, "api")
        self.url = url
        self.token = token
        self.clock = Remote(self, "clock")
        self.limits = Remote(self, "limits")
        self.webhook = Remote(self, "webhook")
        self._client = httpx.Client(timeout=10, trust_env=False)

    def close(self) -> None:
        """Lets go of the connection."""
        self._client.close()

    def order(self, on: str, key: list[Any], do: str, args: Any, kwargs: Any) -> Any:
        """Sends one order.

        Raises:
            RuntimeError: If it could not be carried out.
        """
        body = encode({"on": on, "key": key, "do": do, "args": args, "kwargs": kwargs})
        answer = self._client.post(self.url + PATH, content=json.dumps(body)).json()
        if "error" in answer:
            raise RuntimeError(answer["error"])
        result = answer["result"]
        shape = _SHAPES.get(do)
        return [shape(**each) for each in result] if shape else result

    def user(self, user_id: int, first_name: str = "", **info: Any) -> RemoteUser:
        """A person."""
        self.order("api", [], "user", [user_id], {"first_name": first_name, **info})
        return RemoteUser(self, "user", (user_id,))

    def group(self, group_id: int, title: str = "客服群", **kwargs: Any) -> RemoteGroup:
        """A group."""
        self.order("api", [], "group", [group_id, title], kwargs)
        return RemoteGroup(self, "group", (group_id,))

    def until(self, condition: Callable[[], Any], seconds: float = 10.0) -> Any:
        """Waits until the condition holds and returns what it returned.

        Raises:
            AssertionError: If that takes too long.
        """
        ends = time.monotonic() + seconds
        while not (found := condition()):
            if time.monotonic() > ends:
                raise AssertionError(f"not within {seconds} s; the last calls: {self.calls()[-5:]}")
            time.sleep(0.01)
        return found


class TelegramProcess:
    """``with TelegramProcess() as api``: the server as a process of its own."""

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments
        self._process: subprocess.Popen[str] | None = None
        self._api: RemoteApi | None = None

    def __enter__(self) -> RemoteApi:
        folder = str(Path(__file__).resolve().parents[1])
        paths = os.pathsep.join([folder, *filter(None, [os.environ.get("PYTHONPATH")])])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "telegram_api.serve", *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": paths},
        )
        assert self._process.stdout is not None
        self._api = RemoteApi(**json.loads(self._process.stdout.readline()))
        return self._api

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        assert self._api is not None
        self._api.close()
        self._process.communicate(timeout=10)  # The end of its input ends it.
        assert self._process.returncode == 0, "the stand-in itself is broken; see its standard error"
