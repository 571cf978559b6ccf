"""What a text means, and how it feels."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class SentimentLabel(StrEnum):
    """The sentiment of one text."""

    NEGATIVE = "negative"
    NEUTRAL = "neutral"
    POSITIVE = "positive"
    MIXED = "mixed"


@dataclass(frozen=True, slots=True)
class Sentiment:
    """How a text feels.

    Attributes:
        label: One of four.
        score: From -1 (very unhappy) to 1 (very happy).
        evidence: Words of the text that speak for the label, strongest first; may be empty.
        scorer: Name and version of what scored it.
    """

    label: SentimentLabel
    score: float
    evidence: tuple[str, ...] = ()
    scorer: str = ""


@dataclass(frozen=True, slots=True)
class FaqEntry:
    """One frequent question with its answer.

    Attributes:
        slug: Stable name, unique, ``[a-z0-9-]+``.
        question: How the shop would put the question.
        variants: Other ways that customers put it.
        answer: The answer; ``{shop_name}`` and the like stand for shop variables.
        action: ``order_status``, ``tracking`` or ``refund_status`` where stored orders answer;
            ``answer`` is then what a customer without a bound order gets. Otherwise None.
        quick: Shown as a quick-question button.
        enabled: Searched and shown.
        intent: Which intent of ``desk.intents`` it answers; empty for none. Of several entries the one
            that was made first is the most general.
    """

    id: int
    slug: str
    category: str
    question: str
    variants: tuple[str, ...]
    answer: str
    action: str | None = None
    quick: bool = False
    enabled: bool = True
    intent: str = ""


@dataclass(frozen=True, slots=True)
class FaqBook:
    """All enabled entries; ``version`` changes whenever any of them does."""

    version: int
    entries: tuple[FaqEntry, ...]


@dataclass(frozen=True, slots=True)
class FaqMatch:
    """An entry and how near the text is to it, from 0 to 1."""

    entry: FaqEntry
    score: float


@dataclass(frozen=True, slots=True)
class Understanding:
    """What a text was taken to mean.

    Attributes:
        source: Which understander spoke, for instance ``faq-search``.
        intent: Name of the intent, or None when none is known.
        confidence: From 0 to 1.
        matches: FAQ entries, nearest first, at most five.
        entities: Found values by name (``order_number`` and so on).
        degraded: True when the better understander was not there and this is the second best.
    """

    source: str
    intent: str | None = None
    confidence: float = 0.0
    matches: tuple[FaqMatch, ...] = ()
    entities: tuple[tuple[str, str], ...] = ()
    degraded: bool = False
