"""The same things over HTTP, for a test that serves in another process.

``POST /_control`` with ``{"on": "user", "key": [5], "do": "says", "args": ["你好"], "kwargs": {}}`` answers
``{"result": …}``. ``on`` is api, user, group, member (key: group, user, topic), clock, limits, webhook or
bot; ``do`` a public method of it, or ``set`` to change plain attributes.
"""

from __future__ import annotations

import base64
import dataclasses
import json
from typing import TYPE_CHECKING, Any

from telegram_api.http_door import Answer, Request

if TYPE_CHECKING:
    from telegram_api.api import TelegramApi

PATH = "/_control"


def encode(value: Any) -> Any:
    """Makes JSON of it: bytes, dataclasses and handles too."""
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {
            field.name: encode(getattr(value, field.name))
            for field in fields
            if not field.name.startswith("_")
        }
    if isinstance(value, dict):
        return {str(key): encode(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [encode(inner) for inner in value]
    return value if isinstance(value, str | int | float | bool | None) else str(type(value).__name__)


def decode(value: Any) -> Any:
    """The other way round, for arguments."""
    if isinstance(value, dict):
        if value.keys() == {"base64"}:
            return base64.b64decode(value["base64"])
        return {key: decode(inner) for key, inner in value.items()}
    return [decode(inner) for inner in value] if isinstance(value, list) else value


def _target(api: TelegramApi, on: str, key: list[Any]) -> Any:
    if on == "user":
        return api.user(*key)
    if on == "group":
        return api.group(*key)
    if on == "member":
        return api.group(key[0]).member(*key[1:])
    plain = {
        "api": api, "clock": api.clock, "limits": api.limits, "webhook": api.webhook, "world": api.world,
        "updates": api.updates,
    }  # fmt: skip
    return plain[on]


def handle(api: TelegramApi, request: Request) -> Answer:
    """Does what a test orders."""
    try:
        order = json.loads(request.body)
        target = _target(api, order["on"], order.get("key", []))
        kwargs = decode(order.get("kwargs", {}))
        if order["do"].startswith("_"):
            raise AttributeError(order["do"])
        result = None
        if order["do"] == "set":
            for name, value in kwargs.items():
                getattr(target, name)
                setattr(target, name, value)
        else:
            found = getattr(target, order["do"])
            result = found(*decode(order.get("args", [])), **kwargs) if callable(found) else found
    except (ValueError, LookupError, AttributeError, TypeError) as error:
        words = {"error": f"{type(error).__name__}: {error}"}
        return Answer(json.dumps(words, ensure_ascii=False).encode(), 400)
    return Answer(json.dumps({"result": encode(result)}, ensure_ascii=False).encode("utf-8", "surrogatepass"))
