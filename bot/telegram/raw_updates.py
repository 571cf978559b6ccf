"""Updates as bytes: what an answer of getUpdates holds, which lane an update belongs to, what to make of ruins.

Nothing here knows aiogram: whatever Telegram sends can be stored, in its order, whether or not anybody
understands it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from json.decoder import JSONDecoder
from typing import Any, Final

from desk.errors import InvalidInputError
from desk.intake import RawInput, hash_bytes

SOURCE = "telegram"
HANDLED = ("message", "edited_message", "callback_query", "my_chat_member")
"""The types we ask Telegram for, and the only ones that anybody here looks at. Reactions are not asked for:
they say nothing that a customer would want answered."""
KNOWN: Final[frozenset[str]] = frozenset(
    re.findall(
        r"\w+",
        """
        message edited_message channel_post edited_channel_post business_connection business_message
        edited_business_message deleted_business_messages guest_message message_reaction
        message_reaction_count inline_query chosen_inline_result callback_query shipping_query
        pre_checkout_query purchased_paid_media poll poll_answer my_chat_member chat_member
        chat_join_request chat_boost removed_chat_boost managed_bot subscription
        """,
    )
)
"""Names of types that may be written to the log; anything else is ``other`` there."""

NOT_JSON, NOT_AN_OBJECT, NO_NUMBER = "not_json", "not_an_object", "no_update_id"
"""Why nobody will understand what came."""
ELSEWHERE = "telegram:other"
"""The lane of what names no chat."""

_ANSWER = re.compile(rb'\s*\{\s*"ok"\s*:\s*true\s*,\s*"result"\s*:\s*\[(.*)\]\s*\}\s*', re.DOTALL)
_NUMBER = re.compile(rb'(?<!\\)"update_id"\s*:\s*([0-9]{1,16})(?![0-9.eE])')
_START = re.compile(rb'\{\s*"update_id"\s*:\s*[0-9]{1,16}\s*[,}]')
_HIGHEST_UPDATE = 2**52
_HIGHEST_CHAT = 2**63
_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = JSONDecoder()


@dataclass(frozen=True, slots=True)
class RawUpdate:
    """One element of an answer, or one body at the webhook.

    Attributes:
        update_id: 1 to 2^52, or None where there is none to be found.
        fault: Why nobody will understand it, or empty. With ``NOT_JSON`` the number is a guess.
    """

    update_id: int | None
    stored: RawInput
    fault: str = ""


def read_update(body: bytes) -> RawUpdate:
    """One update from its bytes, whatever they are."""
    try:
        value = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        return ruin(body)
    return _to_update(value, body)


def open_update(body: bytes) -> dict[str, Any]:
    """The object that stored bytes are.

    Raises:
        InvalidInputError: ``read_update`` finds a fault in them.
    """
    try:
        value = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise InvalidInputError("update", NOT_JSON) from None
    if not isinstance(value, dict):
        raise InvalidInputError("update", NOT_AN_OBJECT)
    if _as_update_id(value.get("update_id")) is None:
        raise InvalidInputError("update", NO_NUMBER)
    return value


def read_answer(body: bytes) -> tuple[RawUpdate, ...] | None:
    """The updates in an answer of getUpdates, each with the very bytes it came in; None if it is no JSON.

    Elements that are no update are among them and say why in ``fault``.
    """
    try:
        return tuple(_elements(body.decode("utf-8")))
    except (ValueError, RecursionError, IndexError):
        return None


def inside(body: bytes) -> bytes | None:
    """What stands between the brackets of an answer of getUpdates, or None if its two ends say that it is none.

    A page of a proxy, or half an answer, is none: what is in it must not be taken for an update.
    """
    found = _ANSWER.fullmatch(body)
    return None if found is None else found[1].strip(b" \t\r\n")


def ruin(body: bytes) -> RawUpdate:
    """Bytes that nobody can decode; its number is guessed from the first ``"update_id": N`` in them."""
    found = _NUMBER.search(body)
    update_id = _as_update_id(int(found[1])) if found else None
    return RawUpdate(update_id, _store(update_id, body, ELSEWHERE), NOT_JSON)


def find_readable(body: bytes, after: int) -> tuple[int, int] | None:
    """The place and the number of the first update that can be read in ruins, from ``after`` on, or None."""
    for found in _START.finditer(body, after):
        try:
            value, _ = _DECODER.raw_decode(body[found.start() :].decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            continue
        update_id = _as_update_id(value.get("update_id"))
        if update_id is not None and any(kind in value for kind in KNOWN):
            return found.start(), update_id
    return None


def type_of(update: Mapping[str, Any]) -> str:
    """The type of an update: one of ``HANDLED`` if it is one of those, else a name that is safe to log."""
    known = (*HANDLED, *sorted(KNOWN))
    return next((kind for kind in known if update.get(kind) is not None), "other")


def lane_of(update: Mapping[str, Any]) -> str:
    """Where the update waits for its turn: behind the others of its chat, or of its topic in a group.

    A tap waits with the messages of the chat in which the button is.
    """
    kind = type_of(update)
    body: Any = update.get(kind)
    if not isinstance(body, dict):
        return ELSEWHERE
    if kind == "callback_query":
        message = body.get("message")
        if isinstance(message, dict):
            return _lane_of_message(message)
        return _lane(_number_in(body.get("from")))
    if kind in ("message", "edited_message", "my_chat_member"):
        return _lane_of_message(body)
    return ELSEWHERE


def _lane_of_message(message: Mapping[str, Any]) -> str:
    chat = message.get("chat")
    chat_id = _number_in(chat)
    if chat_id is None or (isinstance(chat, dict) and chat.get("type") == "private"):
        return _lane(chat_id)
    thread = message.get("message_thread_id")
    return _lane(chat_id, thread if _is_number(thread) else 0)


def _lane(chat_id: int | None, thread: int | None = None) -> str:
    if chat_id is None:
        return ELSEWHERE
    return f"telegram:{chat_id}" if thread is None else f"telegram:{chat_id}:{thread}"


def _number_in(value: Any) -> int | None:
    number = value.get("id") if isinstance(value, dict) else None
    return number if _is_number(number) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -_HIGHEST_CHAT <= value < _HIGHEST_CHAT


def _to_update(value: Any, body: bytes) -> RawUpdate:
    if not isinstance(value, dict):
        return RawUpdate(None, _store(None, body, ELSEWHERE), NOT_AN_OBJECT)
    update_id = _as_update_id(value.get("update_id"))
    fault = "" if update_id is not None else NO_NUMBER
    return RawUpdate(update_id, _store(update_id, body, lane_of(value) if not fault else ELSEWHERE), fault)


def _as_update_id(value: Any) -> int | None:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return value if is_number and 0 < value < _HIGHEST_UPDATE else None


def _store(update_id: int | None, body: bytes, lane: str) -> RawInput:
    key = str(update_id) if update_id is not None else f"undecodable:{hashlib.sha256(body).hexdigest()[:32]}"
    return RawInput(SOURCE, key, hash_bytes(body), lane, body)


def _elements(text: str) -> list[RawUpdate]:
    """Walks an answer so that every element keeps its own bytes.

    Raises:
        ValueError: It is no JSON, or no answer that says ``"ok": true`` with a list.
    """
    at = _after(text, 0, "{")
    ok: Any = None
    found: list[RawUpdate] | None = None
    while True:
        name, at = _DECODER.raw_decode(text, _skip(text, at))
        at = _skip(text, _after(text, at, ":"))
        if name == "result" and text[at] == "[":
            found, at = _list(text, at)
        else:
            value, at = _DECODER.raw_decode(text, at)
            ok = value if name == "ok" else ok
        at = _skip(text, at)
        if text[at] == "}":
            break
        at = _after(text, at, ",")
    if _skip(text, at + 1) != len(text) or ok is not True or found is None:
        raise ValueError("not an answer of getUpdates")
    return found


def _list(text: str, at: int) -> tuple[list[RawUpdate], int]:
    found: list[RawUpdate] = []
    at = _skip(text, at + 1)
    if text[at] == "]":
        return found, at + 1
    while True:
        begin = _skip(text, at)
        value, at = _DECODER.raw_decode(text, begin)
        found.append(_to_update(value, text[begin:at].encode("utf-8")))
        at = _skip(text, at)
        if text[at] == "]":
            return found, at + 1
        at = _after(text, at, ",")


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _after(text: str, at: int, sign: str) -> int:
    at = _skip(text, at)
    if text[at] != sign:
        raise ValueError(f"expected {sign}")
    return at + 1
