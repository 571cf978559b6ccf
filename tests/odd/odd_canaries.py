"""Words that occur nowhere else, so that wherever they turn up they came from where they were planted."""

from __future__ import annotations

import itertools


class Canaries:
    """Makes canaries and remembers where each was planted.

    They look like identifiers and phone numbers, which a careless log would let through.
    """

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._numbers = itertools.count(1)
        self.planted: dict[str, str] = {}

    def word(self, where: str) -> str:
        """A word of letters and digits."""
        return self._keep(f"kanarienvogel{self._seed}x{next(self._numbers):03d}x", where)

    def words(self, where: str) -> str:
        """A word inside a Chinese sentence."""
        return f"我的秘密是{self.word(where)}啊"

    def phone(self, where: str) -> str:
        """A mobile number."""
        return self._keep(f"1397{next(self._numbers) * 7919 % 10**7:07d}", where)

    def _keep(self, canary: str, where: str) -> str:
        self.planted[canary] = where
        return canary

    def found_in(self, text: str) -> list[str]:
        """Where those were planted that occur in the text."""
        return [where for canary, where in self.planted.items() if canary.casefold() in text.casefold()]
