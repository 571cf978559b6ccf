"""The desk knows the intents that are trained, and those that everybody agreed upon."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import yaml

from desk.intents import EXPERIENCES, FEEDBACK, INTENTS
from desk.values import FaqBook, FaqEntry
from nlu.intent_entries import entries_of

_ROOT = Path(__file__).parents[2]
_AGREED = _ROOT.parent / "shared" / "intents.csv"


def test_what_is_trained_is_what_is_known() -> None:
    domain = yaml.safe_load((_ROOT / "nlu" / "server" / "domain.yml").read_text(encoding="utf-8"))
    assert set(domain["intents"]) == set(INTENTS)


def test_names_and_groups_are_those_agreed_upon() -> None:
    if not _AGREED.exists():
        pytest.skip("shared/intents.csv is not beside this checkout")
    with _AGREED.open(encoding="utf-8-sig", newline="") as file:
        agreed = [(row["intent"], row["group"], row["zh"]) for row in csv.DictReader(file)]
    assert agreed == [(intent.name, intent.group, intent.zh) for intent in INTENTS.values()]
    assert FEEDBACK < EXPERIENCES < set(INTENTS)


def test_the_entries_of_an_intent_come_in_the_books_order() -> None:
    general = FaqEntry(1, "courier", "物流", "发什么快递", (), "中通。", intent="courier")
    special = FaqEntry(2, "overseas", "物流", "能寄国外吗", (), "不能。", intent="courier")
    off = FaqEntry(3, "pickup", "物流", "能自提吗", (), "不能。", enabled=False, intent="courier")
    other = FaqEntry(4, "other", "其他", "在吗", (), "在。")
    book = FaqBook(1, (general, special, off, other))
    assert entries_of("courier", book) == [general, special]
    assert entries_of("gift", book) == []
    assert entries_of("", book) == []
