"""What a decision about one message depends on, and what it says to do: values only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from desk.escalation import Escalation
from desk.values import Attachment, FaqEntry, Option, Order, Prompt, Reply, Speaker, Survey, Understanding


class Action(StrEnum):
    """What the bot did, as ``huiyin understand`` and the staff read it."""

    ANSWER = "answer"
    OFFER = "offer"
    ASK = "ask"
    PERSON = "person"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Tap:
    """A button that was pressed.

    Attributes:
        prompt: The prompt that the button belongs to; None when the button id is unknown here, belongs
            to somebody else or to something that is over.
    """

    prompt: Prompt | None
    option: Option | None


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that a decision depends on.

    Attributes:
        message_id: Of the message itself.
        prompt: What the newest line before this message asks, if that line is a prompt that was sent.
        survey: The survey that the prompt or tap is about, if it still takes answers; beside a waiting
            case the one whose low rating called for the person.
        lately_answered: A survey that was answered a few minutes ago at most, or rated without a comment
            yet: words that fit nothing else still belong to it.
        faq: Entries by internal id, for choices that were taken.
        case_number: Number of the open case; empty when there is none.
        attachments: What came with the words, or instead of them.
        group_id: The album that the message is a part of; empty when it stands alone.
    """

    text: str
    tap: Tap | None
    speaker: Speaker
    misses: int
    angered_at: datetime | None
    message_id: int
    prompt: Prompt | None
    survey: Survey | None
    lately_answered: Survey | None
    orders: Sequence[Order]
    faq: Mapping[int, FaqEntry]
    understanding: Understanding
    variables: Mapping[str, str]
    case_number: str
    now: datetime
    attachments: tuple[Attachment, ...] = ()
    group_id: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do. Only what is set here happens.

    Attributes:
        reason: Why, for staff: a constant word with details that are not the customer's words.
        misses: The new count of questions in a row without an answer.
        angry: An anger word came.
        missed: Keep the text among the questions that could not be answered.
        rejected_question_id: Message whose question got choices of which none was right; it is kept for
            the owner like one that could not be answered.
        rating: Rating to store for ``survey_id``; ``comment`` likewise.
        survey_done: The survey has all it asked for.
        opt_out: True = 退订, False = 恢复, None = no change.
        helped: The answer to 「解决了吗」 about case ``case_id``.
        back_to_bot: The customer no longer wants a person.
        once: The replies are said once under this name in the whole conversation; empty = once to this
            message.
    """

    action: Action
    reason: str
    replies: tuple[Reply, ...] = ()
    escalation: Escalation | None = None
    misses: int = 0
    angry: bool = False
    missed: bool = False
    rejected_question_id: int | None = None
    survey_id: int | None = None
    rating: int | None = None
    comment: str | None = None
    survey_done: bool = False
    opt_out: bool | None = None
    helped: bool | None = None
    case_id: int | None = None
    back_to_bot: bool = False
    once: str = ""
