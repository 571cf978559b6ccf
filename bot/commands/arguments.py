"""Reading the arguments of a command, which may have come over the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from desk.errors import InvalidInputError


def read_text(args: Mapping[str, Any], name: str, at_most: int) -> str:
    """A text that is not blank.

    Raises:
        InvalidInputError: It is missing, blank, too long or no text.
    """
    value = args.get(name)
    if not isinstance(value, str) or not value.strip() or len(value) > at_most:
        raise InvalidInputError(name, f"must be text of 1 to {at_most} characters")
    return value


def read_number(args: Mapping[str, Any], name: str) -> int:
    """A whole number from 1 that both databases can hold; InvalidInputError otherwise."""
    value = args.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value < 2**63:
        raise InvalidInputError(name, "must be a whole number from 1")
    return value


def read_flag(args: Mapping[str, Any], name: str) -> bool:
    """True or false; a missing one is false. InvalidInputError for anything else."""
    value = args.get(name, False)
    if not isinstance(value, bool):
        raise InvalidInputError(name, "must be true or false")
    return value
