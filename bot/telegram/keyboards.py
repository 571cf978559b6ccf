"""The options of a question as buttons under a message, and how to answer without them."""

from __future__ import annotations

from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup

from desk import wording
from desk.values import Option, Prompt

_SHORT = 6
"""Letters of a label that still fits beside another one on a phone."""


def label(option: Option) -> str:
    """What is written on the button: its digit comes first, so that people see what to type instead."""
    if option.typed.isdecimal() and not option.label.startswith(option.typed):
        return f"{option.typed} {option.label}"
    return option.label


def buttons(prompt: Prompt | None) -> InlineKeyboardMarkup | None:
    """The buttons of a question; None where there is nothing to choose.

    Two short ones stand side by side; more stand below each other, so that a scale reads from top to
    bottom and long questions are not cut off.
    """
    if prompt is None or not prompt.options:
        return None
    made = [
        InlineKeyboardButton(text=label(option), callback_data=option.button_id) for option in prompt.options
    ]
    short = all(len(option.label) <= _SHORT for option in prompt.options)
    if len(made) == 2 and short:
        return InlineKeyboardMarkup(inline_keyboard=[made])
    return InlineKeyboardMarkup(inline_keyboard=[[button] for button in made])


def with_hint(text: str, prompt: Prompt | None) -> str:
    """The text of a question, with how to answer it by typing where it does not say so itself.

    Buttons live 150 s at Telegram; what is typed is always understood.
    """
    if prompt is None or not any(option.typed.isdecimal() for option in prompt.options):
        return text
    if any(word in text for word in wording.HOW_TO_TYPE):
        return text
    return f"{text}\n{wording.TYPE_A_DIGIT}"
