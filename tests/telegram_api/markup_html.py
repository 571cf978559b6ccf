"""Telegram's HTML, as strict as the original and with its words; offsets in messages are in bytes."""

from __future__ import annotations

import re
from typing import Any

_KINDS = {
    "b": "bold", "strong": "bold", "i": "italic", "em": "italic", "u": "underline", "ins": "underline",
    "s": "strikethrough", "strike": "strikethrough", "del": "strikethrough", "tg-spoiler": "spoiler",
    "span": "spoiler", "code": "code", "pre": "pre", "blockquote": "blockquote", "a": "text_link",
    "tg-emoji": "custom_emoji",
}  # fmt: skip
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
_REFERENCE = re.compile(r"&(?:#x([0-9a-fA-F]+)|#([0-9]+)|(lt|gt|amp|quot));?")
_END_OF_NAME = re.compile(r"[\s>]")
_ATTRIBUTE = re.compile(r"\s*([^\s=>]*)")


def _letter(match: re.Match[str]) -> str:
    if match[3]:
        return _NAMED[match[3]]
    code = int(match[1], 16) if match[1] else int(match[2])
    if not 0 < code <= 0x10FFFF:
        return match[0]
    if 0xD800 <= code <= 0xDFFF:
        raise ValueError(
            "Text contains invalid Unicode characters after decoding HTML entities, check for unmatched"
            " surrogate code units"
        )
    return chr(code)


class _Reader:
    def __init__(self, source: str) -> None:
        self.source = source
        self.at = 0
        self.parts: list[str] = []
        self.length = 0
        self.entities: list[dict[str, Any]] = []
        self.open: list[tuple[str, dict[str, str], int]] = []

    def bytes_to(self, position: int) -> int:
        return len(self.source[:position].encode())

    def write(self, text: str) -> None:
        plain = _REFERENCE.sub(_letter, text)
        self.parts.append(plain)
        self.length += len(plain.encode("utf-16-le")) // 2

    def read(self) -> tuple[str, list[dict[str, Any]]]:
        while self.at < len(self.source):
            begins = self.source.find("<", self.at)
            if begins < 0:
                begins = len(self.source)
            self.write(self.source[self.at : begins])
            self.at = begins
            if begins == len(self.source):
                break
            if self.source.startswith("</", begins):
                self.end_tag(begins)
            else:
                self.start_tag(begins)
        if self.open:
            raise ValueError(f'Can\'t find end tag corresponding to start tag "{self.open[-1][0]}"')
        return "".join(self.parts), self.entities

    def start_tag(self, begins: int) -> None:
        offset = self.bytes_to(begins)
        ends = _END_OF_NAME.search(self.source, begins + 1)
        if ends is None:
            raise ValueError(f"Unclosed start tag at byte offset {offset}")
        name = self.source[begins + 1 : ends.start()].lower()
        if name not in _KINDS:
            raise ValueError(f'Unsupported start tag "{name}" at byte offset {offset}')
        attributes, self.at = self.attributes(name, ends.start(), offset)
        if name == "span" and attributes.get("class") != "tg-spoiler":
            raise ValueError(f'Tag "span" must have class "tg-spoiler" at byte offset {offset}')
        self.open.append((name, attributes, self.length))

    def attributes(self, tag: str, at: int, offset: int) -> tuple[dict[str, str], int]:
        found: dict[str, str] = {}
        while True:
            match = _ATTRIBUTE.match(self.source, at)
            assert match is not None
            at = match.end()
            if not match[1]:
                if self.source.startswith(">", at):
                    return found, at + 1
                if at == len(self.source):
                    raise ValueError(f'Unclosed start tag "{tag}" at byte offset {offset}')
                raise ValueError(f'Empty attribute name in the tag "{tag}" at byte offset {offset}')
            while at < len(self.source) and self.source[at].isspace():
                at += 1
            if not self.source.startswith("=", at):
                if match[1] == "expandable" and tag == "blockquote":
                    found["expandable"] = ""
                    continue
                if at == len(self.source):
                    raise ValueError(f'Unclosed start tag "{tag}" at byte offset {offset}')
                raise ValueError(
                    f'Expected equal sign in declaration of an attribute of the tag "{tag}" at byte offset {offset}'
                )
            at += 1
            while at < len(self.source) and self.source[at].isspace():
                at += 1
            quote = self.source[at : at + 1]
            if not quote:
                raise ValueError(f'Unclosed start tag "{tag}" at byte offset {offset}')
            if quote in "\"'":
                ends = self.source.find(quote, at + 1)
                if ends < 0:
                    raise ValueError(f"Unclosed start tag at byte offset {offset}")
                value, at = self.source[at + 1 : ends], ends + 1
            else:
                token = re.compile(r"[A-Za-z0-9.-]*").match(self.source, at)
                assert token is not None
                value, begun, at = token[0], at, token.end()
                if not self.source[at : at + 1] or self.source[at] not in " \t\r\n>":
                    raise ValueError(f"Unexpected end of name token at byte offset {self.bytes_to(begun)}")
            found[match[1].lower()] = _REFERENCE.sub(_letter, value)

    def end_tag(self, begins: int) -> None:
        offset = self.bytes_to(begins)
        if not self.open:
            raise ValueError(f"Unexpected end tag at byte offset {offset}")
        ends = self.source.find(">", begins)
        if ends < 0:
            raise ValueError(f"Unclosed end tag at byte offset {offset}")
        found = self.source[begins + 2 : ends].strip().lower()
        name, attributes, started = self.open.pop()
        if found and found != name:
            raise ValueError(
                f'Unmatched end tag at byte offset {offset}, expected "</{name}>", found "</{found}>"'
            )
        self.at = ends + 1
        if self.length > started:
            self.close(name, attributes, started)

    def close(self, name: str, attributes: dict[str, str], started: int) -> None:
        entity: dict[str, Any] = {"type": _KINDS[name], "offset": started, "length": self.length - started}
        if name == "a":
            entity["url"] = attributes.get("href") or "".join(self.parts)[-entity["length"] :]
        elif name == "tg-emoji":
            entity["custom_emoji_id"] = attributes.get("emoji-id", "")
        elif name == "blockquote" and "expandable" in attributes:
            entity["type"] = "expandable_blockquote"
        elif name == "code" and attributes.get("class", "").startswith("language-"):
            entity["language"] = attributes["class"].removeprefix("language-")
        self.entities.append(entity)


def parse_html(source: str) -> tuple[str, list[dict[str, Any]]]:
    """The text without tags, and its entities.

    Raises:
        ValueError: In the words of the official server.
    """
    return _Reader(source).read()
