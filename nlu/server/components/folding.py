"""Folds the many ways of typing one sentence into one, and remembers where each character came from.

Full-width letters, traditional characters, capitals and rows of the same sign carry no meaning for a shop, but
each would be a feature of its own. The classifier sees the folded text; entities are reported in the customer's.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

_MAX_ROW = 2


@dataclass(frozen=True)
class FoldedText:
    """A folded text and, for each of its characters, the index of the character that it came from."""

    text: str
    origins: tuple[int, ...]

    def original_span(self, start: int, end: int) -> tuple[int, int]:
        """Returns where ``text[start:end]`` (not empty) stands in the text before folding."""
        return self.origins[start], self.origins[end - 1] + 1


@lru_cache(maxsize=1)
def _converter() -> Any:
    # Imported late: the dictionaries take a moment, and only a process that understands texts needs them.
    from opencc import OpenCC

    return OpenCC("t2s")


@lru_cache(maxsize=20_000)
def _fold_char(char: str) -> str:
    folded = unicodedata.normalize("NFKC", char).lower()
    if "\u4e00" <= folded <= "\u9fff":
        # Character by character and not phrase by phrase, so that no span ever moves.
        converted = str(_converter().convert(folded))
        return converted if len(converted) == 1 else folded
    return folded


def fold(text: str) -> FoldedText:
    """Returns `text` with one form per character, and no row of a character longer than two; digits stay."""
    chars: list[str] = []
    origins: list[int] = []
    for index, char in enumerate(text):
        for folded in _fold_char(char):
            if not folded.isdigit() and chars[-_MAX_ROW:] == [folded] * _MAX_ROW:
                continue
            chars.append(folded)
            origins.append(index)
    return FoldedText("".join(chars), tuple(origins))
