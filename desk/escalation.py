"""When a person has to take over from the bot, and how soon.

Evidence is made of folded words of the customer's text, so that staff see at once why; where no word of
the lists stands for it, it tells what the text was understood as.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from desk.intents import COMPLAINT, INTENTS, REQUEST_HUMAN
from desk.values import CaseReason, Priority
from desk.words.anger import anger_words, complaint_words, threat_words
from desk.words.human_request import asks_for_person, declines_person

#: Angry words again within this time open a case.
ANGER_WINDOW = timedelta(minutes=10)

_SEPARATOR = "、"
_LOW_RATING = {2: Priority.HIGH}


@dataclass(frozen=True, slots=True)
class Escalation:
    """Open a case.

    Attributes:
        evidence: The words that decided it, or the rating; never empty.
    """

    reason: CaseReason
    evidence: str
    priority: Priority


@dataclass(frozen=True, slots=True)
class Offer:
    """Offer a person, and open no case yet.

    Attributes:
        evidence: The words that decided it; never empty.
    """

    evidence: str


def reason_to_escalate(
    text: str, angered_at: datetime | None, now: datetime, intent: str | None = None
) -> Escalation | Offer | None:
    """Returns what the words of one message call for; the first rule that fits wins.

    The lists of words come first, because they work whatever became of the understander. Beside them a
    sure ``request_human`` counts as asking for a person, unless the words take that wish back, and a sure
    ``complaint`` as a complaint said outright.

    1. The customer asks for a person: a case, ``NORMAL``, ``HIGH`` with anger words or an outright
       complaint, ``URGENT`` with anger words and a threat, so that asking never makes it less urgent.
    2. Anger words and a threat in one message: a case, ``URGENT``.
    3. Anger words or a threat within ``ANGER_WINDOW`` of the last ones: a case, ``HIGH``.
    4. A complaint said outright (我要投诉, 给你差评): a case, ``HIGH``.
    5. Anger words, or a threat that depends on something: an offer.

    Args:
        text: What the customer wrote.
        angered_at: When anger last showed, before this message; aware.
        now: When this message came; aware. May lie before ``angered_at`` where clocks differ.
        intent: What the understander is sure of; None = of nothing, or it is not there.
    """
    asked, anger, threats = asks_for_person(text), anger_words(text), threat_words(text)
    evidence = _SEPARATOR.join((*anger, *threats))
    if asked is None and intent == REQUEST_HUMAN and not declines_person(text):
        asked = _understood_as(REQUEST_HUMAN)
    if asked is not None:
        return Escalation(CaseReason.ASKED_FOR_PERSON, asked, _priority_beside_wish(text, anger, threats))
    if anger and threats:
        return Escalation(CaseReason.ANGER, evidence, Priority.URGENT)
    if intent == COMPLAINT:
        return Escalation(CaseReason.ANGER, evidence or _understood_as(COMPLAINT), Priority.HIGH)
    if not evidence:
        return None
    if (angered_at is not None and abs(now - angered_at) <= ANGER_WINDOW) or complaint_words(text):
        return Escalation(CaseReason.ANGER, evidence, Priority.HIGH)
    return Offer(evidence)


def _understood_as(intent: str) -> str:
    return f"理解为{INTENTS[intent].zh}"


def _priority_beside_wish(text: str, anger: tuple[str, ...], threats: tuple[str, ...]) -> Priority:
    if anger and threats:
        return Priority.URGENT
    return Priority.HIGH if anger or complaint_words(text) else Priority.NORMAL


def reason_for_rating(rating: int) -> Escalation | None:
    """Returns the case for a rating of 2 (``HIGH``) or less (``URGENT``), else None.

    Args:
        rating: From 1 to 5.
    """
    if rating > 2:
        return None
    return Escalation(CaseReason.LOW_RATING, f"评分 {rating}", _LOW_RATING.get(rating, Priority.URGENT))


def is_angry(text: str) -> bool:
    """Returns whether the text holds anger words or a threat of the speaker's own."""
    return bool(anger_words(text) or threat_words(text))
