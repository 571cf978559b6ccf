"""JSON read without the leniencies that let two readers see two documents."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from desk.errors import InvalidInputError

_DEEPEST = 20


def read_object(raw: bytes) -> dict[str, Any]:
    """One JSON object. Lone surrogates may be in its texts; who takes a text out looks for them.

    Refused: bytes that are not UTF-8, a byte order mark, nesting deeper than 20, a key that occurs twice
    in one object, NaN and infinities, integers of thousands of digits.

    Raises:
        InvalidInputError: With field ``body``.
    """
    try:
        document = json.loads(raw.decode("utf-8"), object_pairs_hook=_object, parse_constant=_refuse_constant)
    except UnicodeDecodeError:
        raise InvalidInputError("body", "must be UTF-8") from None
    except (ValueError, RecursionError):
        # ValueError covers JSONDecodeError and an integer of more digits than Python converts.
        raise InvalidInputError("body", "must be valid JSON") from None
    if not isinstance(document, dict):
        raise InvalidInputError("body", "must be a JSON object")
    _check_depth(document)
    return document


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidInputError("body", "has a key twice in one object")
    return found


def _refuse_constant(_: str) -> NoReturn:
    raise InvalidInputError("body", "must not hold NaN or Infinity")


def _check_depth(document: dict[str, Any]) -> None:
    level: list[Any] = [document]
    for _ in range(_DEEPEST + 1):
        if not level:
            return
        level = [
            child
            for value in level
            if isinstance(value, dict | list)
            for child in (value.values() if isinstance(value, dict) else value)
            if isinstance(child, dict | list)
        ]
    raise InvalidInputError("body", f"must not nest deeper than {_DEEPEST}")
