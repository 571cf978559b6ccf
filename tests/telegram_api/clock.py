"""The server's clock: it runs, and a test can turn it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime


class Clock:
    """Real time plus what it was turned by. Long polling and slow answers keep to real time."""

    def __init__(self) -> None:
        self._turned = 0.0
        self._listeners: list[Callable[[], None]] = []

    def now(self) -> float:
        """Seconds of a clock without dates: for delays and limits."""
        return time.monotonic() + self._turned

    def wall(self) -> float:
        """Seconds since 1970: for dates and for how long things live."""
        return time.time() + self._turned

    def turn(self, seconds: float) -> None:
        """Turns it forward, or back."""
        self._turned += seconds
        for listener in self._listeners:
            listener()

    def turn_to(self, when: datetime) -> None:
        """Turns it to a date, which must know its zone."""
        if when.tzinfo is None:
            raise ValueError("a date without a zone")
        self.turn(when.timestamp() - self.wall())

    def date(self) -> datetime:
        """The date it shows."""
        return datetime.fromtimestamp(self.wall(), UTC)

    def when_turned(self, listener: Callable[[], None]) -> None:
        """Calls the listener after each turn."""
        self._listeners.append(listener)
