"""How long, how often and how much at once Rasa is asked."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one client; times in seconds, all above 0.

    Attributes:
        connect: For one connection, name lookup included.
        total: For one answer, with the wait for a turn, retries and reading.
        slow: An answer that takes Rasa so long counts as a failure of Rasa, although it is used.
        at_once: Requests on their way at the same time. Rasa works one after the other, so two keep it
            busy and more would only wait there, where no limit is.
        failures: So many in a row, and Rasa is left alone.
        pause: How long at first; doubled after each failed trial.
        longest_pause: How long at most.
        cached: Answers that are kept; 0 keeps none.
    """

    connect: float = 0.2
    total: float = 1.5
    slow: float = 0.75
    at_once: int = 2
    failures: int = 5
    pause: float = 1.0
    longest_pause: float = 10.0
    cached: int = 4_096
