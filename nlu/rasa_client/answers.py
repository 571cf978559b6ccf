"""Reads what Rasa answers, and believes none of it unseen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from nlu.rasa_client.values import Entity, Failure, Parsed, RasaStatus

MAX_RANKING = 10
MAX_ENTITIES = 50
FALLBACK = "nlu_fallback"
"""Rasa's word for "I am not sure"; it stands first in the ranking with the threshold for a confidence."""

_MAX_NAME = 64
_MAX_MODEL = 255
# Single-precision classifiers may answer a hair more than one.
_NEARLY_ONE = 1.0 + 1e-6


class _RubbishError(Exception):
    """Something in the answer is wrong; never leaves this module."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure = failure


def read_parsed(body: bytes, text: str, intents: Mapping[str, str]) -> Parsed | Failure:
    """Reads the answer of ``POST /model/parse``.

    Args:
        body: The whole body, of a bounded size.
        text: What was sent.
        intents: Every known intent by its own name, so that one string serves all answers kept.

    Returns:
        The answer, or the first thing that is wrong with it.
    """
    try:
        answer = _load(body)
        ranking = _ranking(answer.get("intent_ranking"), intents)
        name, confidence = _intent(answer.get("intent"), intents)
        if name is None or name == FALLBACK:
            name, confidence = None, 0.0
        elif all(name != ranked for ranked, _ in ranking):
            ranking = [(name, confidence), *ranking]
        ranking.sort(key=lambda item: -item[1])
        return Parsed(
            name,
            confidence,
            tuple(ranking[:MAX_RANKING]),
            _entities(answer.get("entities"), text),
            _optional_word(answer.get("model_id")),
        )
    except _RubbishError as rubbish:
        return rubbish.failure


def read_status(body: bytes) -> RasaStatus | Failure:
    """Reads the answer of ``GET /status``, which Rasa gives only while it has a model."""
    try:
        answer = _load(body)
        return RasaStatus(
            True, _optional_word(answer.get("model_file")), _optional_word(answer.get("model_id"))
        )
    except _RubbishError as rubbish:
        return rubbish.failure


def _load(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = Failure.NOT_JSON
    if answer is Failure.NOT_JSON:
        # Raised out here so that it has no context: the decoder's error holds the whole body.
        raise _RubbishError(Failure.NOT_JSON)
    if not isinstance(answer, dict):
        raise _RubbishError(Failure.WRONG_SHAPE)
    return answer


def _ranking(items: object, intents: Mapping[str, str]) -> list[tuple[str, float]]:
    """The intents of the ranking without the fallback; a missing ranking is an empty one."""
    if items is None:
        return []
    if not isinstance(items, list) or len(items) > len(intents) + 1:
        raise _RubbishError(Failure.WRONG_SHAPE)
    ranking: dict[str, float] = {}
    for item in items:
        name, confidence = _intent(item, intents)
        if name is None or name in ranking:
            raise _RubbishError(Failure.WRONG_SHAPE)
        ranking[name] = confidence
    ranking.pop(FALLBACK, None)
    return list(ranking.items())


def _intent(item: object, intents: Mapping[str, str]) -> tuple[str | None, float]:
    """Name, None for none, and confidence."""
    if not isinstance(item, dict) or "name" not in item:
        raise _RubbishError(Failure.WRONG_SHAPE)
    name, confidence = item["name"], item.get("confidence")
    if name is not None and not isinstance(name, str):
        raise _RubbishError(Failure.WRONG_SHAPE)
    if name is not None and name != FALLBACK and name not in intents:
        raise _RubbishError(Failure.UNKNOWN_INTENT)
    # A bool is an int to Python; NaN is never within bounds; an endless int is compared without a float.
    if isinstance(confidence, bool) or not isinstance(confidence, int | float):
        raise _RubbishError(Failure.WRONG_CONFIDENCE)
    if not 0.0 <= confidence <= _NEARLY_ONE:
        raise _RubbishError(Failure.WRONG_CONFIDENCE)
    return (name if name is None or name == FALLBACK else intents[name]), min(1.0, float(confidence))


def _entities(items: object, text: str) -> tuple[Entity, ...]:
    """The first fifty; more than the text has characters cannot be meant seriously."""
    if not isinstance(items, list) or len(items) > len(text):
        raise _RubbishError(Failure.WRONG_SHAPE)
    return tuple(_entity(item, text) for item in items[:MAX_ENTITIES])


def _entity(item: object, text: str) -> Entity:
    if not isinstance(item, dict):
        raise _RubbishError(Failure.WRONG_SHAPE)
    name, value, start, end = (item.get(key) for key in ("entity", "value", "start", "end"))
    if not isinstance(name, str) or not 0 < len(name) <= _MAX_NAME:
        raise _RubbishError(Failure.WRONG_SHAPE)
    if not isinstance(value, str) or len(value) > len(text):
        raise _RubbishError(Failure.WRONG_SHAPE)
    if type(start) is not int or type(end) is not int or not 0 <= start < end <= len(text):
        raise _RubbishError(Failure.WRONG_SHAPE)
    return Entity(name, value, start, end)


def _optional_word(item: object) -> str | None:
    """A short string of visible characters, or None where there is none."""
    if item is None:
        return None
    if not isinstance(item, str) or not 0 < len(item) <= _MAX_MODEL or not item.isprintable():
        raise _RubbishError(Failure.WRONG_SHAPE)
    return item
