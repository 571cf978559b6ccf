"""The console's words, Chinese and English side by side. A test compares them with what pages use."""

from __future__ import annotations

from console.texts.cases import CASES
from console.texts.frame import FRAME
from console.texts.rooms import ROOMS

LANGUAGES = ("zh", "en")
TEXTS = FRAME | CASES | ROOMS


def text(key: str, language: str, default: str | None = None) -> str:
    """The words of that key.

    Raises:
        KeyError: There are none and no default was given.
    """
    found = TEXTS.get(key)
    if found is None:
        if default is None:
            raise KeyError(key)
        return default
    return found[LANGUAGES.index(language)]
