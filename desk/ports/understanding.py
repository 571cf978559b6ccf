"""Roles that understand texts."""

from __future__ import annotations

from typing import Protocol

from desk.values import FaqBook, Sentiment, Understanding


class Understander(Protocol):
    """Finds out what a text means."""

    async def understand(self, text: str, faq: FaqBook) -> Understanding:
        """Understands one text; an empty one has no matches.

        Raises:
            UnderstandingError: It failed. The desk then goes on without it.
        """
        ...


class SentimentScorer(Protocol):
    """Scores how a text feels."""

    async def score(self, text: str) -> Sentiment:
        """Scores one text; blank is neutral, 0.

        Raises:
            UnderstandingError: It failed; the caller tries again later.
        """
        ...
