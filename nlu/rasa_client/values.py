"""What Rasa said, once it was found to be sound."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Failure(StrEnum):
    """Why there is no answer; the only words that errors, logs and figures have for it."""

    UNREACHABLE = "unreachable"
    """No connection, twice."""
    LATE = "late"
    """Rasa had its time and did not use it."""
    BUSY = "busy"
    """Too many were asking: the time was up before Rasa had enough of it."""
    RESTING = "resting"
    """Rasa failed again and again, so it is not asked for a while."""
    BROKEN = "broken"
    """The connection ended within the answer, or what came was no HTTP."""
    UNAUTHORISED = "unauthorised"
    """HTTP 401 or 403: the token is wrong."""
    UNLOADED = "unloaded"
    """HTTP 409: Rasa has no model."""
    REFUSED = "refused"
    """Any other status than 200."""
    TOO_LARGE = "too_large"
    NOT_JSON = "not_json"
    WRONG_SHAPE = "wrong_shape"
    """JSON, with a part missing, of another type, or out of bounds."""
    WRONG_CONFIDENCE = "wrong_confidence"
    """A confidence that is no number from 0 to 1."""
    UNKNOWN_INTENT = "unknown_intent"
    CLOSED = "closed"
    """The client was closed."""


@dataclass(frozen=True, slots=True)
class Entity:
    """A value that stands in a text.

    Attributes:
        name: ``order_number``, ``phone``, ``date``.
        value: The customer's own characters, hence never shown by ``repr``.
        start: Index of its first character in the text that was given to ``parse``.
        end: Index after its last character.
    """

    name: str
    value: str = field(repr=False)
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Parsed:
    """What Rasa takes a text to mean.

    Attributes:
        intent: The intent, or None where Rasa is sure of none (its fallback) or was not asked (blank).
        confidence: Of the intent, from 0 to 1; 0 without one.
        ranking: At most ten intents with their confidences, best first, also where ``intent`` is None.
        entities: At most fifty, in Rasa's order.
        model: Id of the model that answered, where it is known.
        cut: The text was longer than 1,000 characters and only its beginning was understood.
    """

    intent: str | None = None
    confidence: float = 0.0
    ranking: tuple[tuple[str, float], ...] = ()
    entities: tuple[Entity, ...] = ()
    model: str | None = None
    cut: bool = False


@dataclass(frozen=True, slots=True)
class RasaStatus:
    """How a Rasa server is that answers.

    Attributes:
        ready: It has a model.
        model_file: Name of the model's file.
        model: Id of the model (32 hexadecimal digits in Rasa 3.6).
    """

    ready: bool
    model_file: str | None = None
    model: str | None = None
