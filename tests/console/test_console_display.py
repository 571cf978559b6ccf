"""Foreign text on staff's screens, and the words around it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import nodes

import console
from console.display import local_time, masked_phone, money, visible, waited
from console.pages.rendering import environment
from console.reasons import stated
from console.texts import TEXTS, text
from desk.values import CaseReason, Delivery, OrderStatus, Priority, Role, SentimentLabel, SkipReason
from storage.reports import SurveyOutcome


def test_tricks_with_direction_and_hidden_characters_become_visible() -> None:
    assert visible("张\u202e伟") == "张⟦RLO⟧伟"
    assert visible("a\x00b\x1b[31m") == "a⟦U+0000⟧b⟦U+001B⟧[31m"
    assert visible("a\u200bb\ufeff") == "a⟦ZWSP⟧b⟦BOM⟧"
    assert visible("x\U000e0041\U000e0042y") == "x⟦TAG⟧y"
    assert visible("a\r\nb\tc\u2028d") == "a\nb\tc\nd"
    assert visible("a\nb", multiline=False) == "a b"


def test_stacked_marks_are_capped_and_emoji_stay_whole() -> None:
    assert visible("z" + "\u0301" * 41) == "z" + "\u0301" * 4 + "⟦+37⟧"
    assert visible("z" + "\u0301\u200d" * 10 + "a").endswith("⟦+16⟧a")
    for emoji in ("👨‍👩‍👧‍👦", "❤️", "1️⃣", "🏳️‍🌈", "👍🏽", "é"):
        assert visible(emoji) == emoji


@given(st.text())
def test_nothing_that_steers_a_screen_survives(raw: str) -> None:
    shown = visible(raw)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]", shown)
    shown.encode("utf-8")


@pytest.mark.parametrize(
    ("phone", "masked"),
    [
        ("13812341234", "138****1234"),
        ("+8613812341234", "+86****1234"),
        ("138123", "****23"),
        ("123", "****"),
        ("", ""),
        (" ", ""),
    ],
)
def test_phones_are_masked(phone: str, masked: str) -> None:
    assert masked_phone(phone) == masked


def test_money_and_times_read_as_people_write_them() -> None:
    assert money(1234567, "CNY") == "¥12,345.67"
    assert money(1500, "JPY") == "JPY 1,500"
    assert money(5, "KWD") == "KWD 0.005"
    zone = ZoneInfo("Asia/Shanghai")
    now = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
    assert local_time(now, zone, now) == "12:00"
    assert local_time(now - timedelta(days=1), zone, now) == "11-20 12:00"
    assert local_time(now - timedelta(days=400), zone, now) == "2025-10-17 12:00"
    assert local_time(None, zone, now) == ""
    assert waited(timedelta(seconds=59)) == ("waited.now", 0)
    assert waited(timedelta(minutes=59)) == ("waited.minutes", 59)
    assert waited(timedelta(hours=47)) == ("waited.hours", 47)
    assert waited(timedelta(days=3)) == ("waited.days", 3)


def test_stated_reasons_are_told_in_words_and_unknown_ones_as_they_are() -> None:
    later = "not_understood no_match misses=1 later=complaint case=HY-9"
    assert stated(later, "zh") == "没听懂（连续第 1 次）；后来理解为“投诉”，补开了工单 HY-9"
    assert stated("helped later=none", "en").endswith("; understood again later")
    assert stated("told wonder", "zh") == "客户在反馈（wonder），已致谢"
    assert stated("told praise", "zh") == "客户在反馈（表扬），已致谢"
    assert stated("told praise", "en") == "Feedback (praise); thanked"
    assert stated("faq=delivery-time score=0.93", "zh") == "匹配问答“delivery-time”，把握 93%"
    assert stated("handoff low_rating", "zh") == "转人工：评分低"
    assert stated("still_waiting", "en") == "Waiting for a person; told so"
    assert stated("something new=1", "zh") == "something new=1"
    assert stated("", "zh") == ""


def used_keys() -> tuple[set[str], set[str]]:
    """Keys that pages and code name in full, and beginnings of those they put together."""
    whole: set[str] = set()
    beginnings: set[str] = set()
    for name in environment().list_templates():
        source, _, _ = environment().loader.get_source(environment(), name)  # type: ignore[union-attr]
        tree = environment().parse(source)
        # Macros are handed keys as plain words.
        whole |= {const.value for const in tree.find_all(nodes.Const) if const.value in TEXTS}
        for call in tree.find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name == "t":
                first = call.args[0]
                if isinstance(first, nodes.Const):
                    whole.add(first.value)
                elif isinstance(first, nodes.Concat) and isinstance(first.nodes[0], nodes.Const):
                    beginnings.add(first.nodes[0].value)
    for path in Path(console.__file__).parent.rglob("*.py"):
        if path.parent.name != "texts":
            source = path.read_text(encoding="utf-8")
            whole |= set(re.findall(r'"([a-z_]+\.[a-zA-Z_.]+)"', source)) & set(TEXTS)
            beginnings |= set(re.findall(r'f"([a-z]+\.)\{', source))
    return whole, beginnings


def test_every_word_that_pages_use_is_there_and_none_is_left_over() -> None:
    whole, beginnings = used_keys()
    assert whole <= set(TEXTS)
    said = {key for key in TEXTS if key.startswith("said.")}
    unused = {key for key in TEXTS if key not in whole and not key.startswith(tuple(beginnings))} - said
    assert not unused, sorted(unused)


def test_every_value_that_pages_name_has_words() -> None:
    for prefix, values in (
        ("reason", CaseReason),
        ("delivery", Delivery),
        ("status", OrderStatus),
        ("priority", Priority),
        ("role", Role),
        ("sentiment", SentimentLabel),
        ("skip", SkipReason),
        ("survey", SurveyOutcome),
    ):
        for value in values:
            for language in ("zh", "en"):
                assert text(f"{prefix}.{value.value}", language)


def test_chinese_and_english_take_the_same_values() -> None:
    for key, (chinese, english) in TEXTS.items():
        assert set(re.findall(r"\{(\w+)\}", chinese)) == set(re.findall(r"\{(\w+)\}", english)), key
