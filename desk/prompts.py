"""The desk's own questions and how its lines are built."""

from __future__ import annotations

from collections.abc import Sequence

from desk import wording
from desk.values import FaqEntry, Option, Prompt, PromptKind, Reply, Speaker

ANYBODY = frozenset(Speaker)
WHILE_WAITING = frozenset({Speaker.WAITING})


def rating_prompt(survey_id: int) -> Prompt:
    """The prompt for an overall rating, best first as customers expect."""
    return Prompt(
        PromptKind.SURVEY_RATING,
        tuple(
            Option(label, str(rating), f"rating:{rating}") for rating, label in wording.RATING_LABELS.items()
        ),
        survey_id,
    )


def comment_prompt(survey_id: int) -> Prompt:
    """The prompt for words after a rating."""
    return Prompt(PromptKind.SURVEY_COMMENT, (Option(wording.NO_COMMENT, "0", "no_comment"),), survey_id)


def quick_questions(entries: Sequence[FaqEntry]) -> Prompt | None:
    """The questions that are offered before anything is asked, about no message; None without any."""
    options = tuple(
        Option(entry.question, str(position), f"faq:{entry.id}")
        for position, entry in enumerate((entry for entry in entries if entry.quick), start=1)
    )
    return Prompt(PromptKind.CHOICE, options) if options else None


def helped_prompt(case_id: int) -> Prompt:
    """The prompt after a case was closed."""
    return Prompt(
        PromptKind.HELPED,
        (Option(wording.HELPED_YES, "1", "helped:yes"), Option(wording.HELPED_NO, "2", "helped:no")),
        case_id,
    )


def person_offer() -> Prompt:
    """The prompt that offers a person."""
    return Prompt(
        PromptKind.OFFER_PERSON,
        (Option(wording.OFFER_YES, "1", "person"), Option(wording.OFFER_NO, "2", "no_person")),
    )


def say(
    text: str, reason: str, prompt: Prompt | None = None, speakers: frozenset[Speaker] | None = None
) -> Reply:
    """A line of the bot; it leaves while the bot has the word, unless ``speakers`` says otherwise."""
    return Reply(text, prompt, speakers=speakers or frozenset({Speaker.BOT}), reason=reason)
