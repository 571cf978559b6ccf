"""So many of something in any minute, remembered in the database so that a restart is no way around it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from desk.ports import UnitOfWork

MINUTE = timedelta(minutes=1)


class Allowance:
    """What may still be done in this minute, inside one unit of work.

    Args:
        name: Of the bookmark that remembers the times.
        most: How many in any minute.
    """

    def __init__(self, unit: UnitOfWork, name: str, most: int, now: datetime) -> None:
        self._unit = unit
        self._name = name
        self._most = most
        self._now = now
        self._times = [at for at in _read(unit.bookmarks.find(name)) if now - MINUTE < at <= now]

    @property
    def left(self) -> int:
        """How many more are allowed now."""
        return max(0, self._most - len(self._times))

    def use(self) -> None:
        """One was done now."""
        self._times.append(self._now)
        words = " ".join(f"{at.timestamp():.3f}" for at in self._times[-self._most :])
        self._unit.bookmarks.set(self._name, words, self._now)


def _read(words: str | None) -> list[datetime]:
    return [datetime.fromtimestamp(float(word), UTC) for word in (words or "").split()]
