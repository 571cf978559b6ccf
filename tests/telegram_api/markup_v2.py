"""Telegram's MarkdownV2: every special character is markup or escaped, anything else is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_RESERVED = "_*[]()~`>#+-=|{}.!"
_NAMES = {
    "_": ("italic", "Italic"),
    "__": ("underline", "Underline"),
    "*": ("bold", "Bold"),
    "~": ("strikethrough", "Strikethrough"),
    "||": ("spoiler", "Spoiler"),
    "`": ("code", "Code"),
    "```": ("pre", "Pre"),
    "[": ("text_link", "TextUrl"),
}


@dataclass
class _Open:
    mark: str
    at: int
    started: int


class _Reader:
    def __init__(self, source: str) -> None:
        self.source = source
        self.at = 0
        self.parts: list[str] = []
        self.length = 0
        self.entities: list[dict[str, Any]] = []
        self.open: list[_Open] = []

    def bytes_to(self, position: int) -> int:
        return len(self.source[:position].encode())

    def write(self, text: str) -> None:
        self.parts.append(text)
        self.length += len(text.encode("utf-16-le")) // 2

    def read(self) -> tuple[str, list[dict[str, Any]]]:
        while self.at < len(self.source):
            letter = self.source[self.at]
            following = self.source[self.at + 1 : self.at + 2]
            if letter == "\\" and following and 0 < ord(following) < 127:
                self.write(following)
                self.at += 2
            elif letter not in _RESERVED or (self.in_code() and letter != "`"):
                self.write(letter)
                self.at += 1
            elif not self.end(letter):
                self.begin(letter)
        if self.open:
            last = self.open[-1]
            raise ValueError(
                f"Can't find end of {_NAMES[last.mark][1]} entity at byte offset {self.bytes_to(last.at)}"
            )
        return "".join(self.parts), self.entities

    def in_code(self) -> bool:
        return bool(self.open) and self.open[-1].mark in {"`", "```"}

    def mark(self, letter: str) -> str:
        """The longest mark that stands here."""
        for mark in ("```", "__", "||"):
            if mark[0] == letter and self.source.startswith(mark, self.at):
                return mark
        return letter

    def end(self, letter: str) -> bool:
        if not self.open:
            return False
        last = self.open[-1]
        if last.mark == "[":
            if letter != "]":
                return False
            self.at += 1
            self.close(self.open.pop(), {"url": self.address()})
            return True
        if not self.source.startswith(last.mark, self.at) or (last.mark == "_" and self.mark("_") == "__"):
            return False
        self.at += len(last.mark)
        self.close(self.open.pop(), {})
        return True

    def address(self) -> str:
        if not self.source.startswith("(", self.at):
            return ""
        begins, letters = self.at, []
        self.at += 1
        while self.at < len(self.source) and self.source[self.at] != ")":
            if self.source[self.at] == "\\":
                self.at += 1
            letters.append(self.source[self.at : self.at + 1])
            self.at += 1
        if self.at >= len(self.source):
            raise ValueError(f"Can't find end of a URL at byte offset {self.bytes_to(begins)}")
        self.at += 1
        return "".join(letters)

    def close(self, opened: _Open, more: dict[str, Any]) -> None:
        if self.length > opened.started and more.get("url") != "":
            entity = {
                "type": _NAMES[opened.mark][0],
                "offset": opened.started,
                "length": self.length - opened.started,
            }
            self.entities.append({**entity, **more})

    def begin(self, letter: str) -> None:
        mark = self.mark(letter)
        if mark not in _NAMES or self.in_code():
            raise ValueError(f"Character '{letter}' is reserved and must be escaped with the preceding '\\'")
        self.open.append(_Open(mark, self.at, self.length))
        self.at += len(mark)
        if mark == "```":
            self.skip_language()

    def skip_language(self) -> None:
        ends = self.at
        while ends < len(self.source) and not self.source[ends].isspace() and self.source[ends] != "`":
            ends += 1
        if self.source.startswith("\n", ends):
            self.at = ends + 1


def parse_markdown_v2(source: str) -> tuple[str, list[dict[str, Any]]]:
    """The text without marks, and its entities. Block quotes and custom emoji are not known here.

    Raises:
        ValueError: In the words of the official server.
    """
    return _Reader(source).read()
