"""Understands with Rasa while there is one, and with the FAQ search alone where none is expected."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from desk.errors import UnderstandingError
from desk.ports import Understander
from desk.values import FaqBook, Understanding
from nlu.intent_entries import entries_of
from nlu.rasa_client import FIGURES, Parsed, RasaClient, RasaUnderstander

UP = "rasa_up"
STARTS = "rasa_starts"
ALL_FIGURES: Mapping[str, str] = {
    **FIGURES,
    UP: "1 = a Rasa server is there and well, 0 = the FAQ search understands alone",
    STARTS: "Rasa servers of our own that were started and got well",
}
"""What ``OptionalRasa.figures`` holds, each with its meaning."""


class OptionalRasa:
    """The understander of an installation, whatever becomes of Rasa meanwhile.

    Attributes:
        expected: Rasa is there, or will be: what is understood without it is worth understanding again.
        up: Rasa is there and well.
        starts: How many servers of our own got well.
    """

    def __init__(self, search: Understander) -> None:
        self._search = search
        self._client: RasaClient | None = None
        self._intents: frozenset[str] = frozenset()
        self._replaced: list[RasaClient] = []
        self._both = RasaUnderstander(self, search, entries_of)
        self.expected = False
        self.up = False
        self.starts = 0

    async def understand(self, text: str, faq: FaqBook) -> Understanding:
        """Understands one text; raises UnderstandingError where nobody answers in time."""
        return await (self._both if self.expected else self._search).understand(text, faq)

    async def parse(self, text: str, within: float | None = None) -> Parsed:
        """Asks Rasa; UnderstandingError where there is none yet."""
        if self._client is None:
            raise UnderstandingError("there is no Rasa yet")
        return await self._client.parse(text, within)

    def point_at(self, url: str, token: str | None, intents: Collection[str]) -> None:
        """Asks this server from now on; what is on its way is still answered by the one before."""
        if self._client is not None and self._intents == frozenset(intents):
            self._client.point_at(url, token)
        else:
            if self._client is not None:
                self._replaced.append(self._client)
            self._client, self._intents = RasaClient(url, token, intents), frozenset(intents)
        self.expected = self.up = True

    async def is_well(self) -> bool:
        """Whether the server answers and has a model."""
        if self._client is None:
            return False
        try:
            return (await self._client.status()).ready
        except UnderstandingError:
            return False

    def figures(self) -> dict[str, float]:
        """What happened since the start, by the names of ``ALL_FIGURES``."""
        known = self._client.figures() if self._client is not None else dict.fromkeys(FIGURES, 0.0)
        return {**known, UP: float(self.up), STARTS: float(self.starts)}

    async def close(self) -> None:
        """Closes the connections."""
        clients = [*self._replaced, *([self._client] if self._client is not None else [])]
        for client in clients:
            await client.close()
