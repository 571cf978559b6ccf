"""Texts and their entities: length in UTF-16 units, trimming, and the checks of the official server."""

from __future__ import annotations

from typing import Any

from telegram_api.errors import bad
from telegram_api.forms import Params
from telegram_api.markup_html import parse_html
from telegram_api.markup_v2 import parse_markdown_v2

ENTITY_TYPES = {
    "mention", "hashtag", "cashtag", "bot_command", "url", "email", "phone_number", "bold", "italic",
    "underline", "strikethrough", "spoiler", "blockquote", "expandable_blockquote", "code", "pre",
    "text_link", "text_mention", "custom_emoji", "date_time",
}  # fmt: skip

Entities = list[dict[str, Any]]


def units(text: str) -> int:
    """The length as Telegram counts it."""
    return len(text) + sum(1 for letter in text if letter > "\uffff")


def read_text(params: Params, name: str, entities_name: str, longest: int) -> tuple[str, Entities]:
    """The text of a message or a caption, cleaned, with its entities.

    Raises:
        ApiError: If the markup or the entities are wrong, or the text is too long.
    """
    text = params.text(name)
    mode = params.text("parse_mode").lower()
    entities: Entities
    if mode:
        if mode not in {"html", "markdownv2"}:
            raise bad("unsupported parse_mode")
        try:
            text, entities = parse_html(text) if mode == "html" else parse_markdown_v2(text)
        except ValueError as error:
            raise bad(f"can't parse entities: {error}") from None
    else:
        entities = _given(params.get(entities_name, []))
    text, entities = _clean(text, entities)
    if units(text) > longest:
        raise bad("message is too long" if name == "text" else "message caption is too long")
    return text, entities


def _given(entities: Any) -> Entities:
    if not isinstance(entities, list):
        raise bad("can't parse entities JSON object")
    for entity in entities:
        if not isinstance(entity, dict):
            raise bad("can't parse MessageEntity: expected an Object")
        for name in ("offset", "length"):
            if not isinstance(entity.get(name), int):
                raise bad(f"can't parse MessageEntity: Can't find field \"{name}\"")
            if not 0 <= entity[name] <= 1_000_000:
                raise bad(f"receive an entity with incorrect {name} {entity[name]}")
        if entity.get("type") not in ENTITY_TYPES:
            raise bad("can't parse MessageEntity: Unsupported type specified")
    return [dict(entity) for entity in entities if entity["length"]]


def _clean(text: str, entities: Entities) -> tuple[str, Entities]:
    """Puts spaces for control characters, checks where entities begin and end, and trims both ends."""
    text = "".join(" " if letter < " " and letter != "\n" else letter for letter in text)
    for entity in entities:
        end = entity["offset"] + entity["length"]
        if entity["offset"] > units(text):
            raise bad(f"entity begins after the end of the text at UTF-16 offset {entity['offset']}")
        if end > units(text):
            raise bad(
                f"entity beginning at UTF-16 offset {entity['offset']} ends after the end of the text at"
                f" UTF-16 offset {end}"
            )
        _must_be_whole(text, entity["offset"], "entity begins in a middle of a UTF-16 symbol")
        words = f"entity beginning at UTF-16 offset {entity['offset']} ends in a middle of a UTF-16 symbol"
        _must_be_whole(text, end, words)
    trimmed = text.strip(" \n")
    shift = units(text) - units(text.lstrip(" \n"))
    end = units(trimmed)
    kept = []
    for entity in entities:
        begins = max(0, entity["offset"] - shift)
        ends = min(end, entity["offset"] + entity["length"] - shift)
        if ends > begins:
            kept.append({**entity, "offset": begins, "length": ends - begins})
    return trimmed, sorted(kept, key=lambda entity: (entity["offset"], -entity["length"]))


def _must_be_whole(text: str, offset: int, words: str) -> None:
    half = text.encode("utf-16-le")[: offset * 2][-2:]
    if half and 0xD8 <= half[1] <= 0xDB:
        raise bad(f"{words} at byte offset {len(text.encode('utf-16-le')[: offset * 2 - 2])}")


def is_blank(text: str) -> bool:
    """Whether nothing of it would be seen."""
    return all(letter.isspace() or letter in "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff" for letter in text)
