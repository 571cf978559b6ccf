"""What is wrong with a channel, in words for staff.

A channel tells its state as ``ok``, ``off`` or sentences in English joined by ``; ``, which ``/readyz``
shows as they are. What is not known here is shown as it is.
"""

from __future__ import annotations

from console.texts import text

_KNOWN = (
    ("Telegram cannot be reached", "trouble.unreachable"),
    ("Telegram refuses the token", "trouble.token"),
    ("Telegram has not taken the webhook", "trouble.not_taken"),
    ("Telegram could not bring updates", "trouble.not_brought"),
    ("another program polls", "trouble.second_poller"),
    ("another program has set a webhook", "trouble.foreign_webhook"),
    ("another program has removed the webhook", "trouble.removed_webhook"),
    ("updates cannot be stored", "trouble.not_stored"),
)


def told(state: str, language: str) -> str:
    """One sentence about Telegram; empty when all is well or it is off."""
    if state in ("ok", "off"):
        return ""
    parts = [_words(part.strip(), language) for part in state.split(";")]
    return text("trouble.telegram", language).format(what=" ".join(part for part in parts if part))


def _words(part: str, language: str) -> str:
    key = next((key for beginning, key in _KNOWN if part.startswith(beginning)), None)
    return part if key is None else text(key, language)
