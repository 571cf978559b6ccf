"""A text made fit for Rasa, with the way back to where each character stood."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace

from nlu.rasa_client.values import Parsed

MAX_TEXT = 1_000
# More is not even looked at; invisible characters may make up to three quarters of it.
_MAX_READ = 4 * MAX_TEXT


@dataclass(frozen=True, slots=True)
class Sendable:
    """A text as Rasa gets it.

    Attributes:
        text: At most 1,000 characters; empty where nothing visible was said, and then not for Rasa,
            which answers 500 to blanks. Never begins with ``/``.
        origins: For each of its characters the index in the customer's text.
        cut: The customer's text goes on.
    """

    text: str
    origins: Sequence[int]
    cut: bool

    def restore(self, parsed: Parsed) -> Parsed:
        """Returns the same with the entities where they stand in the customer's text."""
        plain = isinstance(self.origins, range) and self.origins.start == 0
        if plain and not self.cut:
            return parsed
        entities = tuple(
            replace(entity, start=self.origins[entity.start], end=self.origins[entity.end - 1] + 1)
            for entity in parsed.entities
        )
        return replace(parsed, entities=entities, cut=self.cut)


def make_sendable(text: str) -> Sendable:
    """Takes out what Rasa could stumble over.

    Invisible characters (Unicode Cf: joiners, direction marks, tags) go, other white space and control
    characters become blanks, lone surrogates U+FFFD, blanks around the text go. A leading ``/`` becomes
    a full-width one, for Rasa obeys ``/intent{...}`` instead of understanding it, and strips blanks
    before it looks (``YAMLStoryReader.unpack_regex_message``), so that no blank escapes it.
    """
    cut = len(text) > _MAX_READ
    text = text[:_MAX_READ]
    origins: Sequence[int]
    if text.isprintable():
        seen, origins = text, range(len(text))
    else:
        pairs = [(_seen(character), index) for index, character in enumerate(text)]
        kept = [(character, index) for character, index in pairs if character]
        seen, origins = "".join(character for character, _ in kept), [index for _, index in kept]
    core = seen.strip()
    first = len(seen) - len(seen.lstrip())
    cut = cut or len(core) > MAX_TEXT
    core = core[:MAX_TEXT]
    if core.startswith("/"):
        core = "／" + core[1:]
    return Sendable(core, origins[first : first + len(core)], cut)


def _seen(character: str) -> str:
    """One character as Rasa may see it, or none."""
    if character.isprintable():
        return character
    category = unicodedata.category(character)
    if category == "Cf":
        return ""
    if category == "Cs":
        return "\ufffd"
    return character if category in ("Co", "Cn") else " "
