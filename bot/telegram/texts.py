"""Texts as Telegram counts them: in UTF-16 units, and cut where people would cut them."""

from __future__ import annotations

import unicodedata
from itertools import accumulate

LONGEST_TEXT = 4096
"""UTF-16 units of a message."""
LONGEST_CAPTION = 1024

_JOINER = "\u200d"
_SENTENCE_ENDS = "。！？；…!?;"
_CLOSERS = "”’」』）)》】\"'"
_SHORTEST_SHARE = 0.5
"""A piece is cut at a nicer place only where it stays at least this full."""


def units(text: str) -> int:
    """The length in UTF-16 units."""
    return len(text) + sum(1 for letter in text if letter > "\uffff")


def split_text(text: str, longest: int = LONGEST_TEXT, first: int | None = None) -> list[str]:
    """Cuts a text into pieces that fit; together they say everything but the blanks at the cuts.

    Cut at the end of a line, else of a sentence, else between words, else between whole letters as people
    see them: an emoji of several code points stays whole unless it alone is longer than a piece.

    Args:
        longest: UTF-16 units of a piece, at least 2.
        first: UTF-16 units of the first piece where that is less.
    """
    pieces: list[str] = []
    rest = text
    limit = longest if first is None else first
    while units(rest) > limit:
        cut = _where_to_cut(rest, limit)
        pieces.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip(" \n")
        limit = longest
    if rest or not pieces:
        pieces.append(rest)
    return [piece for piece in pieces if piece] or [text]


def _where_to_cut(text: str, limit: int) -> int:
    """How many code points of a text that is too long go into the next piece; at least one."""
    lengths = accumulate(2 if letter > "\uffff" else 1 for letter in text)
    most = sum(1 for _ in _take_up_to(lengths, limit))
    least = int(most * _SHORTEST_SHARE)
    for is_good in (_ends_line, _ends_sentence, _ends_word):
        for at in range(most, least, -1):
            if is_good(text, at) and not _joined(text, at):
                return at
    for at in range(most, 0, -1):
        if not _joined(text, at):
            return at
    return max(most, 1)


def _take_up_to(lengths: accumulate[int], limit: int) -> list[int]:
    taken = []
    for length in lengths:
        if length > limit:
            break
        taken.append(length)
    return taken


def _ends_line(text: str, at: int) -> bool:
    return text[at - 1] == "\n" or text[at : at + 1] == "\n"


def _ends_sentence(text: str, at: int) -> bool:
    before, after = text[at - 1], text[at : at + 1]
    if after and after in _SENTENCE_ENDS + _CLOSERS:
        return False
    return (
        before in _SENTENCE_ENDS
        or (before in _CLOSERS and at > 1 and text[at - 2] in _SENTENCE_ENDS)
        or (before == "." and after == " ")
    )


def _ends_word(text: str, at: int) -> bool:
    return text[at - 1].isspace() or text[at : at + 1].isspace()


def _joined(text: str, at: int) -> bool:
    """Whether what stands before and after is one letter to people."""
    if at >= len(text):
        return False
    before, after = text[at - 1], text[at]
    if after == _JOINER or before == _JOINER or (before == "\r" and after == "\n"):
        return True
    if unicodedata.combining(after) or unicodedata.category(after) in {"Mn", "Me", "Mc"}:
        return True
    if "\U0001f3fb" <= after <= "\U0001f3ff" or "\U000e0020" <= after <= "\U000e007f":
        # Skin colours, and the letters that follow a black flag.
        return True
    if _is_flag_half(before) and _is_flag_half(after):
        halves = 0
        while halves < at and _is_flag_half(text[at - 1 - halves]):
            halves += 1
        return halves % 2 == 1
    return False


def _is_flag_half(letter: str) -> bool:
    return "\U0001f1e6" <= letter <= "\U0001f1ff"
