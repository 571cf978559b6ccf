"""Whether the question of a survey has left the house, as the outbox knows it."""

from __future__ import annotations

import re

from sqlalchemy import String, cast, exists, literal
from sqlalchemy.sql.elements import ColumnElement

from desk.values import Delivery
from storage.tables.care import SURVEYS
from storage.tables.work import OUTBOX

_QUESTION_KEY = re.compile(r"survey:([0-9]+):ask")


def asked_survey_id(dedupe_key: str) -> int | None:
    """Returns the id of the survey whose question is stored under the key; None = it is another message."""
    question = _QUESTION_KEY.fullmatch(dedupe_key)
    return None if question is None else int(question[1])


def question_unsent() -> ColumnElement[bool]:
    """Returns the condition that a survey's question still waits in the outbox or is being sent.

    The desk stores the question under the key ``survey:<id>:ask`` (``desk.follow_up``).
    """
    key = literal("survey:").concat(cast(SURVEYS.c.id, String)).concat(":ask")
    return exists().where(
        OUTBOX.c.dedupe_key == key,
        OUTBOX.c.state.in_((Delivery.QUEUED.value, Delivery.SENDING.value)),
    )
