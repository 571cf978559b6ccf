"""Parameters of a method: from the query, JSON, a form or a form with files, all to the same values."""

from __future__ import annotations

import io
import json
from typing import Any
from urllib.parse import parse_qsl

from python_multipart.multipart import parse_form, parse_options_header

from telegram_api.errors import bad
from telegram_api.http_door import Request

_STRUCTURES = {
    "allowed_updates", "caption_entities", "commands", "entities", "link_preview_options", "media",
    "menu_button", "reaction", "reply_markup", "reply_parameters", "scope",
}  # fmt: skip
_NUMBERS = {
    "chat_id", "from_chat_id", "limit", "max_connections", "message_id", "message_thread_id", "offset",
    "reply_to_message_id", "timeout", "user_id",
}  # fmt: skip


class Params(dict[str, Any]):
    """What a method was called with; structures are decoded, and a test reads them as it would write them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.files: dict[str, tuple[str, bytes]] = {}

    def number(self, name: str, default: int = 0) -> int:
        """A whole number; what is none counts as the default, as in the official server."""
        value = self.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else default

    def text(self, name: str) -> str:
        """A text; missing is empty."""
        value = self.get(name, "")
        if isinstance(value, str):
            return value
        return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)

    def flag(self, name: str) -> bool:
        """Yes or no."""
        value = self.get(name, False)
        return value if isinstance(value, bool) else str(value).strip().lower() in {"true", "yes", "1"}


def _decode(name: str, value: Any) -> Any:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise bad("strings must be encoded in UTF-8") from None
        if name in _STRUCTURES:
            try:
                return json.loads(value)
            except ValueError:
                return value  # Each method says in its own words what it cannot read.
        if name in _NUMBERS:
            digits = value.strip()
            return int(digits) if digits.removeprefix("-").isdecimal() and digits.isascii() else value
    return value


def read_params(request: Request) -> Params:
    """Reads all parameters of a request.

    Raises:
        ApiError: If they cannot be read.
    """
    params = Params()
    pairs: list[tuple[str, Any]] = list(parse_qsl(request.query, keep_blank_values=True))
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind == "application/json" and request.body:
            values = json.loads(request.body)
            if not isinstance(values, dict):
                raise bad("can't parse JSON object")
            pairs += values.items()
        elif kind == "multipart/form-data":
            pairs += _multipart(request, params)
        elif request.body:
            pairs += parse_qsl(request.body.decode(), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise bad("strings must be encoded in UTF-8") from None
    except ValueError:
        raise bad("can't parse JSON object") from None
    for name, value in pairs:
        if value is not None:
            params[name] = _decode(name, value)
    return params


def _multipart(request: Request, params: Params) -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []

    def on_field(field: Any) -> None:
        pairs.append(((field.field_name or b"").decode(), (field.value or b"").decode()))

    def on_file(file: Any) -> None:
        name = (file.field_name or b"").decode()
        file.file_object.seek(0)
        params.files[name] = ((file.file_name or b"file").decode(), file.file_object.read())

    header = request.headers["content-type"]
    if b"boundary" not in parse_options_header(header)[1]:
        raise bad("can't parse form")
    parse_form({"Content-Type": header.encode("latin-1")}, io.BytesIO(request.body), on_field, on_file)
    return pairs
