"""What the chat API takes and answers, as its OpenAPI document says it.

The bodies are read and checked by ``bot.webchat.messages``, from the raw bytes that are stored.
"""

from __future__ import annotations

from typing import Any

from bot.webchat.messages import MOST_CHARACTERS

_ID = "^[A-Za-z0-9_-]{1,64}$"
_FAULT = {
    "type": "object",
    "required": ["detail"],
    "properties": {
        "detail": {
            "type": "object",
            "required": ["reason"],
            "properties": {"field": {"type": "string"}, "reason": {"type": "string"}},
        }
    },
}
_WORDS = {
    401: "No valid session token (Authorization: Bearer …); open a session first",
    409: "The same id came before with another text",
    422: "Malformed; names the field",
    429: "Too fast; not stored; come again after Retry-After seconds",
    503: "Could not be stored just now; send it again after Retry-After seconds",
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """How these refusals are described."""
    content = {"application/json": {"schema": _FAULT}}
    return {status: {"description": _WORDS[status], "content": content} for status in statuses}


def _body(required: list[str], properties: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "required": required, "properties": properties}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _string(pattern: str, description: str = "") -> dict[str, Any]:
    return {"type": "string", "pattern": pattern, **({"description": description} if description else {})}


SESSION = _body(
    ["client_session_id"],
    {
        "client_session_id": _string("^[A-Za-z0-9_-]{16,64}$", "Random, kept secret by the browser"),
        "order_token": _string(_ID, "From an order's link"),
    },
)
MESSAGE = _body(
    ["client_msg_id", "text"],
    {
        "client_msg_id": _string(_ID, "Made by the browser; the same for a repeated message"),
        "text": {"type": "string", "minLength": 1, "maxLength": MOST_CHARACTERS},
        "button_id": _string(_ID, "Of a pressed button"),
    },
)
SEEN = _body(["seq"], {"seq": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}})
EVENTS: dict[str, Any] = {
    "parameters": [
        {
            "name": "after",
            "in": "query",
            "description": "The highest seq that the browser has",
            "schema": {"type": "integer", "minimum": 0, "maximum": 999_999_999, "default": 0},
        }
    ]
}
EVENT_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-sent events",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}
