"""Text made storable, once, at the edge."""

from __future__ import annotations

import re

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def storable(text: str) -> str:
    """Returns the text as both databases can hold it, in linear time.

    Lone surrogates, which no UTF-8 can carry, become U+FFFD; NUL, which PostgreSQL refuses
    (SQLSTATE 22021), is left out. Everything else stays as it is.
    """
    return _LONE_SURROGATE.sub("\ufffd", text.replace("\0", ""))
