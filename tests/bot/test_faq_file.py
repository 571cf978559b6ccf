"""A FAQ file is read strictly, written back whole, and its faults are named."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.faq_file import (
    DEFAULT_FAQ,
    FaqFile,
    FaqFileEntry,
    FaqFileError,
    check_faq,
    faq_book,
    read_faq,
    write_faq,
)
from desk.errors import InvalidInputError
from desk.intents import AFFIRM, DENY, INTENTS, REQUEST_HUMAN
from nlu.intent_entries import entries_of

ENTRY = {
    "slug": "ship",
    "category": "物流",
    "question": "什么时候发货",
    "variants": ["多久发货"],
    "answer": "{within}内发出。",
}


def text_of(entries: list[dict[str, Any]], **variables: str) -> str:
    # JSON is YAML, and its writer makes no references.
    return json.dumps({"variables": {"within": "48 小时", **variables}, "entries": entries})


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(FaqFileError) as caught:
        read_faq(text)
    assert isinstance(caught.value, InvalidInputError)
    return caught.value.problems


@pytest.fixture(scope="module")
def seed() -> FaqFile:
    return read_faq(DEFAULT_FAQ.read_text(encoding="utf-8"))


def test_the_seed_faq_is_whole(seed: FaqFile) -> None:
    assert 60 <= len(seed.entries) <= 100
    assert sum(entry.quick for entry in seed.entries) == 6
    assert {entry.action for entry in seed.entries} == {None, "order_status", "tracking", "refund_status"}
    assert all(5 <= len(entry.variants) <= 10 for entry in seed.entries)
    assert "会话" in {entry.category for entry in seed.entries}


def test_every_intent_that_asks_something_has_an_entry_of_the_seed(seed: FaqFile) -> None:
    answered = {entry.intent for entry in seed.entries if entry.intent}
    # A yes, a no and the wish for a person are acted upon, not answered.
    assert set(INTENTS) - answered == {AFFIRM, DENY, REQUEST_HUMAN}
    book = faq_book(seed)
    assert [entry.slug for entry in entries_of("courier", book)][:2] == ["courier", "remote-area"]
    by_action = {"order_status": "order-status", "tracking": "tracking", "refund_status": "refund-progress"}
    for action, slug in by_action.items():
        first = entries_of(action, book)[0]
        assert (first.slug, first.action) == (slug, action)


def test_every_variable_of_the_seed_faq_has_a_default_and_is_used(seed: FaqFile) -> None:
    used = {name for entry in seed.entries for name in re.findall(r"\{(\w+)\}", entry.answer)}
    assert used == set(seed.variables)
    assert all("{" not in entry.answer.format(**seed.variables) for entry in seed.entries)


def test_the_seed_faq_raises_no_warnings(seed: FaqFile) -> None:
    assert check_faq(seed) == []


def test_what_is_written_reads_the_same(seed: FaqFile) -> None:
    assert read_faq(write_faq(seed)) == seed


LINE = st.text(min_size=1, max_size=30).map(str.strip).filter(bool)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(LINE, LINE, st.booleans(), st.booleans()), max_size=4))
def test_any_accepted_file_reads_the_same_after_writing(
    rows: list[tuple[str, str, bool, bool]],
) -> None:
    raw = [
        {
            "slug": f"e-{n}",
            "category": "测",
            "question": q,
            "answer": a + "\n第二行",
            "quick": k,
            "enabled": e,
        }
        for n, (q, a, k, e) in enumerate(rows)
    ]
    try:
        file = read_faq(yaml.safe_dump({"entries": raw}))
    except FaqFileError:
        return
    assert read_faq(write_faq(file)) == file


def test_a_disabled_entry_stays_in_the_file_and_out_of_the_book() -> None:
    file = read_faq(text_of([ENTRY | {"enabled": False}, ENTRY | {"slug": "two", "question": "别的"}]))
    assert [entry.enabled for entry in read_faq(write_faq(file)).entries] == [False, True]
    assert [(entry.id, entry.slug) for entry in faq_book(file, 7).entries] == [(2, "two")]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"slug": "Bad Slug"}, "entry 1 slug: it must be made as"),
        ({"question": "   "}, "entry 1 (ship) question: it must not be empty."),
        ({"question": "问" * 201}, "entry 1 (ship) question: it must be at most 200 characters."),
        ({"question": "一\n二"}, "entry 1 (ship) question: it must be one line."),
        ({"question": 2024}, "entry 1 (ship) question: it must be text"),
        ({"answer": "答" * 2001}, "entry 1 (ship) answer: it must be at most 2000 characters."),
        ({"answer": "{nobody}"}, "entry 1 (ship) answer: {nobody} is not among the variables."),
        ({"answer": "{within"}, "entry 1 (ship) answer: curly brackets"),
        ({"answer": "{within.__class__}"}, "entry 1 (ship) answer: curly brackets"),
        ({"answer": "铃\x07"}, "entry 1 (ship) answer: it holds a control character"),
        ({"intent": "rule_the_world"}, "entry 1 (ship) intent: there is no such intent; it must be one like"),
        ({"intent": None}, "entry 1 (ship) intent: it must be text"),
        ({"variants": ["多久"] * 51}, "entry 1 (ship) variants: it must have at most 50 items."),
        ({"variants": ["好", None]}, "entry 1 (ship) variants 2: it must be text"),
        ({"variants": "多久"}, "entry 1 (ship) variants: it must be a list."),
        ({"action": "drop_tables"}, "entry 1 (ship) action: it must be order_status, tracking"),
        ({"quick": "yes"}, "entry 1 (ship) quick: it must be true or false."),
        ({"anwser": "x"}, "entry 1 (ship) anwser: there is no such field"),
    ],
)
def test_a_fault_names_entry_and_field(change: dict[str, Any], said: str) -> None:
    found = problems(text_of([ENTRY | change]))
    assert len(found) == 1
    assert found[0].startswith(said)


def test_all_faults_are_told_at_once() -> None:
    missing = {key: value for key, value in ENTRY.items() if key != "answer"}
    found = problems(text_of([missing, ENTRY | {"slug": "b", "quick": 1}]))
    assert found == ("entry 1 (ship) answer: it is missing.", "entry 2 (b) quick: it must be true or false.")


def test_the_same_slug_or_question_twice_is_refused() -> None:
    found = problems(text_of([ENTRY, ENTRY | {"question": "什么时候发货？？"}]))
    assert found == (
        "entry 2 (ship) slug: entry 1 has the same slug.",
        "entry 2 (ship) question: entry 1 has the same question.",
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "5",
        "entries: {}",
        "entries: 3",
        "entries: [3]",
        "a: [",
        "\x00",
        "{" * 3000,
        "entries: []\nmore: 1",
        "? [a]\n: b",
    ]
    + [
        "entries: []\nentries: []",
        "a: &x [1]\nb: *x",
        "entries: !!python/object:os.system []",
        "a: 2024-99-99",
        "a: !!int ''",
    ]
    + [
        "a: !!timestamp x",
        "a: !!bool x",
        "--- 1\n--- 2",
        "1: 2",
        "variables: {Bad: x}\nentries: []",
        "a: \ud800",
        "a: 0x" + "f" * 9999,
    ],
)
def test_what_is_no_faq_file_is_refused_in_words(text: str) -> None:
    assert problems(text)


def test_a_lone_surrogate_written_as_an_escape_is_refused() -> None:
    assert problems('entries: [{slug: a, category: b, question: "\\ud800", answer: c}]')


def test_warnings_tell_what_was_probably_not_meant() -> None:
    entries = [
        ENTRY | {"variants": []},
        ENTRY | {"slug": "two", "question": "请问什么时候发货啊", "variants": ["多久发货", "多久发货？"]},
        ENTRY | {"slug": "three", "question": "怎么退货", "variants": ["多久发货"]},
    ]
    found = " ".join(check_faq(read_faq(text_of(entries, spare="x"))))
    assert "Variable spare is not used" in found
    assert "Entry ship has no variants" in found
    assert "Entry two has the same wording twice" in found
    assert "Entries two and three share a wording" in found
    assert "Entries ship and two ask nearly the same" in found


def test_more_quick_questions_than_buttons_are_warned_about() -> None:
    entries = [
        FaqFileEntry(
            slug=f"e{n}",
            category="测",
            question=f"问题{n}",
            variants=["x" * (n + 1)],
            answer="答",
            quick=True,
        )
        for n in range(7)
    ]
    assert any("7 entries are quick" in line for line in check_faq(FaqFile(entries=entries)))
