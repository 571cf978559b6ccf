"""Understands with Rasa and the FAQ search side by side, and with the search alone where Rasa fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from desk.errors import UnderstandingError
from desk.ports import Understander
from desk.values import FaqBook, FaqEntry, FaqMatch, Understanding
from nlu.faq_search import MAX_MATCHES
from nlu.rasa_client.values import Parsed

SOURCE = "rasa"

EntriesOf = Callable[[str, FaqBook], Sequence[FaqEntry]]
"""The entries of a shop's FAQ that answer an intent, the most general first."""


class Parser(Protocol):
    """Says what a text means, within so many seconds."""

    async def parse(self, text: str, within: float | None = None) -> Parsed:
        """Returns what it means, or raises an UnderstandingError."""
        ...


class RasaUnderstander:
    """The understander of the app where there is a Rasa.

    How the two become one list: an entry's score is the search's. Of the entries that belong to an intent
    in Rasa's ranking, the one that the search finds nearest (the first one, where it finds none) has at
    least the intent's confidence times ``share``. So a sure intent brings its entry to the top whatever
    the words were, an unsure one only among the choices, and an exact wording still beats both.

    Args:
        parser: The Rasa client.
        search: The FAQ search; what it finds is the answer where Rasa has none.
        entries_of: Which entries belong to an intent.
        within: Seconds for both together, below the 1.5 that the desk allows, so that the second best
            still comes when Rasa uses all of them.
        share: How much a confidence is worth as a score, from 0 to 1.
    """

    def __init__(
        self,
        parser: Parser,
        search: Understander,
        entries_of: EntriesOf,
        within: float = 1.3,
        share: float = 0.9,
    ) -> None:
        self._parser = parser
        self._search = search
        self._entries_of = entries_of
        self._within = within
        self._share = share

    async def understand(self, text: str, faq: FaqBook) -> Understanding:
        """Understands one text.

        Returns:
            Of source ``rasa``, with Rasa's intent and its confidence; where Rasa is sure of none, the
            intent is None and the confidence the best score. Without Rasa the search's own
            understanding, ``degraded``.

        Raises:
            UnderstandingError: Neither said anything in time.
        """
        parsed, searched = await asyncio.gather(self._parse(text), self._find(text, faq))
        if parsed is None:
            if searched is None:
                raise UnderstandingError("neither Rasa nor the FAQ search answered")
            return Understanding(
                searched.source, matches=searched.matches, confidence=searched.confidence, degraded=True
            )
        matches = self._merge(searched.matches if searched else (), parsed, faq)
        confidence = (
            parsed.confidence if parsed.intent else max((match.score for match in matches), default=0.0)
        )
        # The same value twice is one value, said twice.
        entities = tuple(dict.fromkeys((entity.name, entity.value) for entity in parsed.entities))
        return Understanding(SOURCE, parsed.intent, confidence, matches, entities)

    async def _parse(self, text: str) -> Parsed | None:
        try:
            return await self._parser.parse(text, self._within)
        except UnderstandingError:
            return None

    async def _find(self, text: str, faq: FaqBook) -> Understanding | None:
        try:
            async with asyncio.timeout(self._within):
                return await self._search.understand(text, faq)
        except (TimeoutError, UnderstandingError):
            return None

    def _merge(self, found: Sequence[FaqMatch], parsed: Parsed, faq: FaqBook) -> tuple[FaqMatch, ...]:
        """One list, best first; equals in the order of the search, then of the ranking."""
        near = {match.entry.id: match.score for match in found}
        merged = {match.entry.id: match for match in found}
        for intent, confidence in parsed.ranking:
            entries = [entry for entry in self._entries_of(intent, faq) if entry.enabled]
            if not entries:
                continue
            best = max(entries, key=lambda entry: near.get(entry.id, -1.0))
            lifted = confidence * self._share
            if best.id not in merged or lifted > merged[best.id].score:
                merged[best.id] = FaqMatch(best, lifted)
        return tuple(sorted(merged.values(), key=lambda match: -match.score)[:MAX_MATCHES])
