"""Which entries of a shop's FAQ answer an intent."""

from __future__ import annotations

from collections.abc import Sequence

from desk.values import FaqBook, FaqEntry


def entries_of(intent: str, book: FaqBook) -> Sequence[FaqEntry]:
    """The entries for an intent; the one that was made first is the most general."""
    return sorted((e for e in book.entries if e.intent == intent), key=lambda entry: entry.id)
