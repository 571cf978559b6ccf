"""No answer of Rasa is believed unseen, and no text reaches it that it could stumble over."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fake_rasa import INTENTS, parse_answer
from hypothesis import given
from hypothesis import strategies as st

from nlu.rasa_client.answers import FALLBACK, read_parsed, read_status
from nlu.rasa_client.sendable import MAX_TEXT, make_sendable
from nlu.rasa_client.values import Entity, Failure, Parsed, RasaStatus

KNOWN = {name: name for name in INTENTS}
TEXT = "订单 20251122 到哪了"


def read(**changes: Any) -> Parsed | Failure:
    """Reads a good answer with some parts exchanged; ``...`` leaves one out."""
    answer = {key: value for key, value in (parse_answer(TEXT) | changes).items() if value is not ...}
    return read_parsed(json.dumps(answer).encode(), TEXT, KNOWN)


def soundly_read(**changes: Any) -> Parsed:
    parsed = read(**changes)
    assert isinstance(parsed, Parsed), parsed
    return parsed


def entity(**changes: Any) -> dict[str, Any]:
    found = {"entity": "order_number", "value": "20251122", "start": 3, "end": 11, "extractor": "X"} | changes
    return {key: value for key, value in found.items() if value is not ...}


def test_a_good_answer_is_read_whole() -> None:
    parsed = soundly_read(entities=[entity()], model_id="f" * 32, anything={"more": [1]})
    assert (parsed.intent, parsed.confidence, parsed.model) == ("shipping_time", 0.92, "f" * 32)
    assert parsed.entities == (Entity("order_number", "20251122", 3, 11),)


def test_a_ranking_is_put_in_order() -> None:
    ranking = [{"name": "greet", "confidence": 0.1}, {"name": "invoice", "confidence": 0.8}]
    assert soundly_read(intent=ranking[1], intent_ranking=ranking).ranking == (
        ("invoice", 0.8),
        ("greet", 0.1),
    )


def test_an_intent_that_is_not_ranked_is_ranked() -> None:
    """Some classifiers rank nothing."""
    only = {"name": "invoice", "confidence": 1}
    for nothing in (..., None, []):
        assert soundly_read(intent=only, intent_ranking=nothing).ranking == (("invoice", 1.0),)


def test_no_intent_is_no_intent() -> None:
    parsed = soundly_read(intent={"name": None, "confidence": 0.0}, intent_ranking=[])
    assert parsed == Parsed()
    unsure = {"name": FALLBACK, "confidence": 0.4}
    parsed = soundly_read(intent=unsure, intent_ranking=[unsure, {"name": "greet", "confidence": 0.39}])
    assert (parsed.intent, parsed.confidence, parsed.ranking) == (None, 0.0, (("greet", 0.39),))


def test_a_ranking_is_bounded() -> None:
    many = {f"intent_{number}": f"intent_{number}" for number in range(50)}
    ranking = [{"name": name, "confidence": 0.02} for name in many]
    body = json.dumps({"intent": ranking[0], "intent_ranking": ranking, "entities": []}).encode()
    parsed = read_parsed(body, TEXT, many)
    assert isinstance(parsed, Parsed)
    assert len(parsed.ranking) == 10


def test_a_hair_above_one_is_one() -> None:
    parsed = soundly_read(intent={"name": "greet", "confidence": 1.0000001}, intent_ranking=[])
    assert parsed.confidence == 1.0


def test_many_entities_are_cut_to_fifty() -> None:
    answer = parse_answer("今天" * 200) | {
        "entities": [
            {"entity": "date", "value": "今天", "start": 2 * n, "end": 2 * n + 2} for n in range(200)
        ]
    }
    parsed = read_parsed(json.dumps(answer).encode(), "今天" * 200, KNOWN)
    assert isinstance(parsed, Parsed)
    assert len(parsed.entities) == 50


@pytest.mark.parametrize(
    ("changes", "failure"),
    [
        ({"intent": ...}, Failure.WRONG_SHAPE),
        ({"intent": None}, Failure.WRONG_SHAPE),
        ({"intent": "greet"}, Failure.WRONG_SHAPE),
        ({"intent": {"confidence": 0.5}}, Failure.WRONG_SHAPE),
        ({"intent": {"name": ["greet"], "confidence": 0.5}}, Failure.WRONG_SHAPE),
        ({"intent": {"name": "greet"}}, Failure.WRONG_CONFIDENCE),
        ({"intent": {"name": "greet", "confidence": None}}, Failure.WRONG_CONFIDENCE),
        ({"intent": {"name": "greet", "confidence": 10**400}}, Failure.WRONG_CONFIDENCE),
        ({"intent": {"name": "greet", "confidence": float("inf")}}, Failure.WRONG_CONFIDENCE),
        ({"intent": {"name": None, "confidence": -1}}, Failure.WRONG_CONFIDENCE),
        ({"intent": {"name": "GREET", "confidence": 0.5}}, Failure.UNKNOWN_INTENT),
        ({"intent": {"name": "", "confidence": 0.5}}, Failure.UNKNOWN_INTENT),
        ({"intent_ranking": {}}, Failure.WRONG_SHAPE),
        ({"intent_ranking": ["greet"]}, Failure.WRONG_SHAPE),
        ({"intent_ranking": [{"name": "greet", "confidence": 0.1}] * 2}, Failure.WRONG_SHAPE),
        ({"intent_ranking": [{"name": None, "confidence": 0.1}]}, Failure.WRONG_SHAPE),
        ({"intent_ranking": [{"name": "greet", "confidence": 0.1}] * 99}, Failure.WRONG_SHAPE),
        ({"entities": ...}, Failure.WRONG_SHAPE),
        ({"entities": {"phone": "1"}}, Failure.WRONG_SHAPE),
        ({"entities": ["phone"]}, Failure.WRONG_SHAPE),
        ({"entities": [entity(entity=7)]}, Failure.WRONG_SHAPE),
        ({"entities": [entity(entity="")]}, Failure.WRONG_SHAPE),
        ({"entities": [entity(entity="x" * 65)]}, Failure.WRONG_SHAPE),
        ({"entities": [entity(value=20251122)]}, Failure.WRONG_SHAPE),
        ({"entities": [entity(value="1" * 99)]}, Failure.WRONG_SHAPE),
        ({"entities": [entity(value=...)]}, Failure.WRONG_SHAPE),
        ({"entities": [entity(start=-1)]}, Failure.WRONG_SHAPE),
        ({"entities": [entity(start=11)]}, Failure.WRONG_SHAPE),
        ({"entities": [entity(start=True)]}, Failure.WRONG_SHAPE),
        ({"entities": [entity(start=3.0)]}, Failure.WRONG_SHAPE),
        ({"entities": [entity(end=len(TEXT) + 1)]}, Failure.WRONG_SHAPE),
        ({"entities": [entity(end=...)]}, Failure.WRONG_SHAPE),
        ({"model_id": 7}, Failure.WRONG_SHAPE),
        ({"model_id": ""}, Failure.WRONG_SHAPE),
        ({"model_id": "x" * 256}, Failure.WRONG_SHAPE),
        ({"model_id": "a\nb"}, Failure.WRONG_SHAPE),
    ],
)
def test_rubbish_is_called_by_its_kind(changes: dict[str, Any], failure: Failure) -> None:
    assert read(**changes) is failure


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(INTENTS),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                (
                    "name",
                    "confidence",
                    "intent",
                    "intent_ranking",
                    "entities",
                    "entity",
                    "value",
                    "start",
                    "end",
                )
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(intent=JSON, ranking=JSON, entities=JSON, model=JSON)
def test_whatever_comes_is_sound_or_refused(intent: Any, ranking: Any, entities: Any, model: Any) -> None:
    parsed = read(intent=intent, intent_ranking=ranking, entities=entities, model_id=model)
    if isinstance(parsed, Parsed):
        assert 0.0 <= parsed.confidence <= 1.0
        assert parsed.intent is None or parsed.intent in KNOWN
        assert all(name in KNOWN and 0.0 <= confidence <= 1.0 for name, confidence in parsed.ranking)


@given(st.binary(max_size=64))
def test_any_bytes_are_read_without_a_crash(body: bytes) -> None:
    read_parsed(body, TEXT, KNOWN)
    read_status(body)


def test_status_is_read() -> None:
    assert read_status(b'{"model_file": "a.tar.gz", "model_id": "1"}') == RasaStatus(True, "a.tar.gz", "1")
    assert read_status(b"{}") == RasaStatus(True)
    assert read_status(b'{"model_file": 7}') is Failure.WRONG_SHAPE
    assert read_status(b"null") is Failure.WRONG_SHAPE
    assert read_status(b"<html>") is Failure.NOT_JSON


ODD = st.text(st.characters(), max_size=40) | st.text(
    st.sampled_from("/／ \n\t\u3000\u00a0\u200b\u200d\ufeff\u202e\x00\x1c\x85\ud83d货1"), max_size=40
)


@given(ODD)
def test_what_is_sent_is_fit_for_rasa(text: str) -> None:
    sendable = make_sendable(text)
    assert not sendable.text.startswith("/")
    assert sendable.text == sendable.text.strip()
    assert len(sendable.text) == len(sendable.origins) <= MAX_TEXT
    sendable.text.encode()
    assert all(
        sent == text[origin] or sent in " ／\ufffd"
        for sent, origin in zip(sendable.text, sendable.origins, strict=True)
    )


@given(ODD, st.data())
def test_an_entity_finds_its_way_back(text: str, data: st.DataObject) -> None:
    sendable = make_sendable(text)
    if not sendable.text:
        return
    start = data.draw(st.integers(0, len(sendable.text) - 1))
    end = data.draw(st.integers(start + 1, len(sendable.text)))
    found = Parsed(entities=(Entity("x", "y", start, end),))
    (back,) = sendable.restore(found).entities
    assert 0 <= back.start < back.end <= len(text)
    assert back.start == sendable.origins[start]
