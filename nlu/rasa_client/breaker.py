"""Leaves a failing Rasa alone, and tries now and then whether it is well again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum


class BreakerState(IntEnum):
    """As a figure: the higher, the worse."""

    CLOSED = 0
    """Rasa is asked."""
    TRIAL = 1
    """One message asks; the others go without until it is back."""
    OPEN = 2
    """Nobody asks."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Leave to ask once; ``trial`` when the outcome decides for everybody."""

    trial: bool


class Breaker:
    """Opens after failures in a row; after a pause, one trial closes it or makes the next pause longer.

    Args:
        failures: How many in a row, at least 1.
        pause: Seconds of the first pause.
        longest_pause: Seconds of the longest.
        seconds_now: A monotonic clock.
    """

    def __init__(
        self, failures: int, pause: float, longest_pause: float, seconds_now: Callable[[], float]
    ) -> None:
        self._failures = failures
        self._first_pause = pause
        self._longest_pause = longest_pause
        self._seconds_now = seconds_now
        self._in_a_row = 0
        self._pause = pause
        self._again_at: float | None = None
        self._on_trial = False

    @property
    def state(self) -> BreakerState:
        """A breaker whose pause is over is open until somebody asks."""
        if self._again_at is None:
            return BreakerState.CLOSED
        return BreakerState.TRIAL if self._on_trial else BreakerState.OPEN

    @property
    def pause(self) -> float:
        """Seconds of the pause that runs or comes next."""
        return self._pause

    def allows(self) -> bool:
        """True when asking makes sense now."""
        if self._again_at is None:
            return True
        return not self._on_trial and self._seconds_now() >= self._again_at

    def enter(self) -> Turn | None:
        """Gives leave to ask, or None; whoever got it says later how it went, by one of the three below."""
        if not self.allows():
            return None
        self._on_trial = self._again_at is not None
        return Turn(self._on_trial)

    def succeed(self, turn: Turn) -> None:
        """It went well. What was asked before the breaker opened no longer decides anything."""
        if turn.trial:
            self._again_at, self._on_trial, self._pause = None, False, self._first_pause
        self._in_a_row = 0

    def fail(self, turn: Turn) -> None:
        """Rasa failed."""
        if turn.trial:
            self._pause = min(self._longest_pause, 2 * self._pause)
            self._again_at, self._on_trial = self._seconds_now() + self._pause, False
            return
        self._in_a_row += 1
        if self._again_at is None and self._in_a_row >= self._failures:
            self._again_at = self._seconds_now() + self._pause

    def leave(self, turn: Turn) -> None:
        """Nothing was learned about Rasa; a trial is free for the next one."""
        if turn.trial:
            self._on_trial = False
