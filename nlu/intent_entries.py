"""Which entries of a shop's FAQ answer an intent."""

from __future__ import annotations

from collections.abc import Sequence

from desk.values import FaqBook, FaqEntry


def entries_of(intent: str, book: FaqBook) -> Sequence[FaqEntry]:
    """The enabled entries that answer an intent, in the book's order: the first is the most general."""
    return [entry for entry in book.entries if entry.enabled and entry.intent and entry.intent == intent]
