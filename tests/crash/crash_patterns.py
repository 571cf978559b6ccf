"""The lines that customers must see, as patterns in which ``*`` stands for anything."""

from __future__ import annotations

from desk import wording


def bound_line(order: str) -> str:
    """The pattern of the line that says that an order was bound."""
    return wording.ORDER_BOUND.format(order=order) + "*"


def survey_line(order: str) -> str:
    """The pattern of the question that asks about an order."""
    return wording.SURVEY_ASK.format(order=order)


def reminder_line(order: str) -> str:
    """The pattern of the reminder."""
    return wording.SURVEY_REMINDER.format(order=order)


def handoff_line(reason: str) -> str:
    """The pattern of the sentence with which a case begins."""
    return wording.HANDOFF[reason].format(number="*")


def fits(pattern: str, text: str) -> bool:
    """Whether a text fits a pattern, in which ``*`` stands for anything."""
    first, *others = pattern.split("*")
    if not others:
        return text == pattern
    if not text.startswith(first):
        return False
    place = len(first)
    for part in others[:-1]:
        place = text.find(part, place)
        if place < 0:
            return False
        place += len(part)
    return len(text) - place >= len(others[-1]) and text.endswith(others[-1])
