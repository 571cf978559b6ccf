"""Limits on how fast one customer may write, checked before anything is stored.

Kept in memory: what a restart forgets is a few seconds of counting.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from desk.errors import TooFastError


@dataclass(frozen=True, slots=True)
class Rate:
    """At most ``count`` within any window of ``seconds``."""

    count: int
    seconds: float


MESSAGES = (Rate(20, 10), Rate(60, 60), Rate(600, 3600))
"""Of one customer (T13 of the threat model)."""
SESSIONS = (Rate(30, 60), Rate(300, 3600))
"""Sessions opened by one known browser, or new ones from one address."""
SEEN = (Rate(60, 10), Rate(180, 60))
"""Reports of one customer's screen about what it showed."""
STREAMS = (Rate(60, 60),)
"""Event streams opened by one customer."""


class RateLimit:
    """Sliding windows per key; the keys used longest ago are forgotten first.

    Args:
        seconds_now: A monotonic clock in seconds.
        most_keys: How many keys are remembered.
    """

    def __init__(
        self, rates: Sequence[Rate], seconds_now: Callable[[], float], most_keys: int = 20_000
    ) -> None:
        self._rates = rates
        self._seconds_now = seconds_now
        self._most_keys = most_keys
        self._longest = max(rate.seconds for rate in rates)
        self._keep = max(rate.count for rate in rates)
        self._hits: OrderedDict[str, deque[float]] = OrderedDict()

    def hit(self, key: str) -> None:
        """Counts one; raises ``TooFastError`` (and counts nothing) when a rate is reached."""
        now = self._seconds_now()
        hits = self._hits.setdefault(key, deque(maxlen=self._keep))
        self._hits.move_to_end(key)
        while hits and now - hits[0] >= self._longest:
            hits.popleft()
        for rate in self._rates:
            if len(hits) >= rate.count and now - hits[-rate.count] < rate.seconds:
                raise TooFastError(timedelta(seconds=hits[-rate.count] + rate.seconds - now))
        hits.append(now)
        while len(self._hits) > self._most_keys:
            self._hits.popitem(last=False)
