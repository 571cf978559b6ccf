"""The body of a chat message: read once at the edge, and again by the worker from the stored bytes."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from desk.errors import InvalidInputError
from desk.service_desk import Incoming, RawInput
from desk.texts import storable

SOURCE = "webchat"
MOST_CHARACTERS = 4000
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """What the browser sent, checked; ``text`` is storable and not blank."""

    client_msg_id: str
    text: str
    button_id: str | None

    @property
    def body_hash(self) -> str:
        """Of what the message says, so that the same words in other white space are the same body."""
        said = json.dumps([self.text, self.button_id], ensure_ascii=True)
        return hashlib.sha256(said.encode()).hexdigest()


def read_object(body: bytes) -> dict[str, Any]:
    """Reads a JSON object from untrusted bytes.

    Raises:
        InvalidInputError: Not UTF-8, not JSON, nested too deeply, or not an object.
    """
    try:
        value = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InvalidInputError("body", "must be JSON in UTF-8") from error
    if not isinstance(value, dict):
        raise InvalidInputError("body", "must be a JSON object")
    return value


def read_message(body: bytes) -> ChatMessage:
    """Reads and checks a chat message.

    Raises:
        InvalidInputError: Naming the field at fault, never repeating its content.
    """
    fields = read_object(body)
    text = fields.get("text")
    if not isinstance(text, str):
        raise InvalidInputError("text", "must be a string")
    text = storable(text)
    if not text.strip():
        raise InvalidInputError("text", "must not be blank")
    if len(text) > MOST_CHARACTERS:
        raise InvalidInputError("text", f"must have at most {MOST_CHARACTERS} characters")
    button_id = read_id(fields, "button_id") if fields.get("button_id") is not None else None
    return ChatMessage(read_id(fields, "client_msg_id"), text, button_id)


def read_id(fields: dict[str, Any], name: str) -> str:
    """An id of 1 to 64 letters, digits, ``_`` or ``-``; InvalidInputError otherwise."""
    value = fields.get(name)
    if not isinstance(value, str) or _ID.fullmatch(value) is None:
        raise InvalidInputError(name, "must have 1 to 64 letters, digits, _ or -")
    return value


def to_raw_input(identity_id: int, message: ChatMessage, body: bytes) -> RawInput:
    """How a message is put into the inbox: in the lane of its identity."""
    key = f"{identity_id}:{message.client_msg_id}"
    return RawInput(SOURCE, key, message.body_hash, f"identity:{identity_id}", body)


def from_inbox(source_key: str, body: bytes, received_at: datetime) -> Incoming:
    """What the stored bytes mean. Raises InvalidInputError for bytes that the edge would refuse."""
    identity_id, _, _ = source_key.partition(":")
    message = read_message(body)
    return Incoming(
        who=int(identity_id),
        external_id=source_key,
        text=message.text,
        received_at=received_at,
        client_msg_id=message.client_msg_id,
        button_id=message.button_id,
    )
