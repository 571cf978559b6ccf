"""When a person takes over, and how soon."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.escalation import (
    ANGER_WINDOW,
    Escalation,
    Offer,
    is_angry,
    reason_for_rating,
    reason_to_escalate,
)
from desk.values import CaseReason, Priority

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
JUST_OVER = ANGER_WINDOW + timedelta(microseconds=1)
ANY_TEXT = st.text(st.characters(exclude_categories=()))


def test_the_window_is_ten_minutes() -> None:
    assert timedelta(minutes=10) == ANGER_WINDOW


@pytest.mark.parametrize(
    ("text", "evidence", "priority"),
    [
        ("帮我转人工", "转人工", Priority.NORMAL),
        ("转人工，你们太坑人了", "转人工", Priority.HIGH),
        ("转人工，我要投诉", "转人工", Priority.HIGH),
        ("转人工，骗子，我要投诉", "转人工", Priority.URGENT),
        ("不转人工我就投诉", "转人工", Priority.NORMAL),
    ],
)
def test_asking_for_a_person_opens_a_case(text: str, evidence: str, priority: Priority) -> None:
    assert reason_to_escalate(text, None, NOW) == Escalation(CaseReason.ASKED_FOR_PERSON, evidence, priority)


@pytest.mark.parametrize("angered_at", [None, NOW, NOW - timedelta(days=1)])
def test_anger_with_a_threat_is_urgent(angered_at: datetime | None) -> None:
    expected = Escalation(CaseReason.ANGER, "骗子、12315", Priority.URGENT)
    assert reason_to_escalate("骗子，我要打12315", angered_at, NOW) == expected


@pytest.mark.parametrize("since", [timedelta(0), timedelta(minutes=3), ANGER_WINDOW, -ANGER_WINDOW])
@pytest.mark.parametrize("text", ["太差劲了", "再不发货我就投诉"])
def test_anger_again_within_the_window_opens_a_case(text: str, since: timedelta) -> None:
    decision = reason_to_escalate(text, NOW - since, NOW)
    assert isinstance(decision, Escalation)
    assert (decision.reason, decision.priority) == (CaseReason.ANGER, Priority.HIGH)


@pytest.mark.parametrize("angered_at", [None, NOW - JUST_OVER, NOW + JUST_OVER])
@pytest.mark.parametrize(
    ("text", "evidence"),
    [
        ("我真是无语", "无语"),
        ("骗子，太坑了", "骗子、太坑"),
        ("再不发货我就投诉", "投诉"),
    ],
)
def test_first_anger_is_offered_a_person(angered_at: datetime | None, text: str, evidence: str) -> None:
    assert reason_to_escalate(text, angered_at, NOW) == Offer(evidence)


@pytest.mark.parametrize(
    ("text", "evidence"), [("我要投诉", "投诉"), ("我要投诉你们", "投诉"), ("给你差评", "差评")]
)
def test_a_complaint_reaches_a_person_at_once(text: str, evidence: str) -> None:
    expected = Escalation(CaseReason.ANGER, evidence, Priority.HIGH)
    assert reason_to_escalate(text, None, NOW) == expected


@pytest.mark.parametrize(
    "text",
    [
        "人工智能",
        "手工贴",
        "邮政也可以投诉",
        "不用人工了",
        "什么时候发货！！！",
        "你们店差评多吗",
        "垃圾袋多少钱",
        "",
    ],
)
def test_calm_words_call_for_nobody_even_soon_after_anger(text: str) -> None:
    assert reason_to_escalate(text, NOW, NOW) is None
    assert not is_angry(text)


@pytest.mark.parametrize("text", ["气死了", "我要投诉", "再不发货我就投诉"])
def test_anger_and_threats_both_count_as_angry(text: str) -> None:
    assert is_angry(text)


@pytest.mark.parametrize(
    ("rating", "priority"), [(1, Priority.URGENT), (2, Priority.HIGH), (0, Priority.URGENT)]
)
def test_a_low_rating_opens_a_case(rating: int, priority: Priority) -> None:
    assert reason_for_rating(rating) == Escalation(CaseReason.LOW_RATING, f"评分 {rating}", priority)


@pytest.mark.parametrize("rating", [3, 4, 5])
def test_other_ratings_open_none(rating: int) -> None:
    assert reason_for_rating(rating) is None


@given(ANY_TEXT, st.none() | st.timedeltas(min_value=timedelta(days=-2), max_value=timedelta(days=2)))
def test_never_raises_and_always_has_evidence(text: str, since: timedelta | None) -> None:
    decision = reason_to_escalate(text, None if since is None else NOW - since, NOW)
    assert decision is None or decision.evidence
