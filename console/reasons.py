"""What the bot states as its reason, in words that staff read.

The desk stores a constant word with figures (``faq=delivery-time score=0.93``), never the customer's
words. What is not known here is shown as it is.
"""

from __future__ import annotations

import re

from console.texts import text
from desk.intents import INTENTS

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), key)
    for pattern, key in (
        (r"chosen faq=(?P<faq>\S+)( action=(?P<action>\S+))?", "why.chosen"),
        (r"faq=(?P<faq>\S+) score=(?P<score>[0-9.]+)( action=(?P<action>\S+))?", "why.faq"),
        (r"told (?P<intent>\w+)", "why.told"),
        (r"unsure best=(?P<faq>\S+) score=(?P<score>[0-9.]+)", "why.unsure"),
        (r"not_understood no_match misses=(?P<n>\d+)", "why.not_understood"),
        (r"not_understood best_score=(?P<score>[0-9.]+) misses=(?P<n>\d+)", "why.not_sure_enough"),
        (r"(escalated|handoff) (?P<reason>\w+)", "why.handoff"),
        (r"survey order delivered_at=(?P<day>\S+)", "why.survey"),
        (r"case \S+ taken", "why.taken"),
        (r"case \S+ closed.*", "why.closed"),
        (r"case \S+", "why.case"),
    )
)

_LATER = re.compile(r"(?P<done>.*) later=(?P<intent>\w+)( case=(?P<number>\S+))?")


def stated(reason: str, language: str) -> str:
    """The reason in words; empty for none."""
    if not reason:
        return ""
    known = text(f"why.{reason}", language, default="")
    if known and "{" not in known:
        return known
    later = _LATER.fullmatch(reason)
    if later:
        done = {"done": stated(later["done"], language), "number": later["number"] or ""}
        intent = _intent_in_words(later["intent"], language)
        said = text("why.later" if intent else "why.later_unclear", language).format(intent=intent, **done)
        return said + (text("why.later_case", language).format(**done) if later["number"] else "")
    for pattern, key in _PATTERNS:
        found = pattern.fullmatch(reason)
        if found:
            return text(key, language).format(**_values(found, language))
    return reason


def _values(found: re.Match[str], language: str) -> dict[str, str]:
    values = {name: value or "" for name, value in found.groupdict().items()}
    if "score" in values:
        values["score"] = _percent(values["score"])
    if "intent" in values:
        values["intent"] = _intent_in_words(values["intent"], language)
    if "reason" in values:
        values["reason"] = text(f"reason.{values['reason']}", language, default=values["reason"])
    return values


def _intent_in_words(intent: str, language: str) -> str:
    """The intent's name for staff; empty for ``none``."""
    if intent not in INTENTS:
        return "" if intent == "none" else intent
    return INTENTS[intent].zh if language == "zh" else intent


def _percent(score: str) -> str:
    try:
        return f"{float(score):.0%}"
    except ValueError:
        return score
