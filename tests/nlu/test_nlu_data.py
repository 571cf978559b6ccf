"""What Rasa learns from, looked at without Rasa: the files must fit together before anybody trains on them."""

from __future__ import annotations

import csv
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from nlu.server.components.entity_rules import DATE, ORDER_NUMBER, PHONE, find_entities
from nlu.server.components.folding import fold

ROOT = Path(__file__).resolve().parents[2]
SERVER = ROOT / "nlu" / "server"
SHARED = Path(os.environ.get("HUIYIN_TEST_SHARED") or ROOT.parent / "shared")

FEWEST = 25
FEWEST_WHERE_EASILY_CONFUSED = 40
EASILY_CONFUSED = {
    *(
        "return_policy",
        "return_request",
        "refund_request",
        "refund_status",
        "return_shipping_fee",
        "exchange_request",
    ),
    *("tracking", "delivery_delay", "not_received", "shipping_time", "delivery_schedule", "order_status"),
    *("promotion", "bargain", "price_protection", "gift"),
    *("product_info", "product_usage", "product_stock", "product_authenticity", "size_advice"),
    *("quality_problem", "damaged_item", "wrong_item", "missing_item", "warranty_repair", "complaint"),
    *("cancel_order", "change_order", "change_address"),
}
# 好的, 谢谢亲 or 几时发货 are nobody's own: texts so short are allowed to occur in the corpora as well.
EVERYDAY = 4

_MARK = re.compile(r"\[([^\]]+)\]\((\w+)\)")
_NOT_WORD = re.compile(r"[\W_]+")


def blocks() -> Iterator[tuple[Path, str, list[str]]]:
    """Yields the file, the intent and the examples of each block, marks included."""
    for file in sorted((SERVER / "data").glob("*.yml")):
        for block in yaml.safe_load(file.read_text("utf-8"))["nlu"]:
            yield file, block["intent"], [line.removeprefix("- ") for line in block["examples"].splitlines()]


def plain(example: str) -> str:
    return _MARK.sub(r"\1", example)


def bare(text: str) -> str:
    """Returns the words alone: no sign, no space, no capitals."""
    return _NOT_WORD.sub("", fold(text).text)


EXAMPLES = [(intent, example) for _, intent, examples in blocks() for example in examples]


def test_the_domain_lists_each_intent_that_has_examples_and_no_other() -> None:
    domain = yaml.safe_load((SERVER / "domain.yml").read_text("utf-8"))
    listed = [intent for _, intent, _ in blocks()]
    assert len(domain["intents"]) == 50
    assert len(listed) == len(set(listed))
    assert set(listed) == set(domain["intents"])
    assert set(domain["entities"]) == {ORDER_NUMBER, PHONE, DATE}


def test_the_domain_is_the_agreed_list_of_intents() -> None:
    agreed = SHARED / "intents.csv"
    if not agreed.is_file():
        pytest.skip("the agreed list is not on this machine")
    with agreed.open(encoding="utf-8", newline="") as lines:
        wanted = [row["intent"] for row in csv.DictReader(lines)]
    assert yaml.safe_load((SERVER / "domain.yml").read_text("utf-8"))["intents"] == wanted


def test_every_intent_has_enough_examples() -> None:
    counts = Counter(intent for intent, _ in EXAMPLES)
    assert {intent: count for intent, count in counts.items() if count < FEWEST} == {}
    assert {
        intent: counts[intent] for intent in EASILY_CONFUSED if counts[intent] < FEWEST_WHERE_EASILY_CONFUSED
    } == {}


def test_examples_of_an_intent_are_varied() -> None:
    for _, intent, examples in blocks():
        lengths = [len(plain(example)) for example in examples]
        assert max(lengths) - min(lengths) >= 6, intent
        # An opening that returns again and again would be learnt instead of the meaning.
        openings = Counter(plain(example)[:3] for example in examples if len(plain(example)) > 3)
        assert openings.most_common(1)[0][1] <= max(6, len(examples) // 5), (intent, openings.most_common(1))


def test_no_text_stands_twice_or_under_two_intents() -> None:
    seen: dict[str, str] = {}
    twice = []
    for intent, example in EXAMPLES:
        key = bare(plain(example)) or example
        if key in seen:
            twice.append((example, intent, seen[key]))
        seen[key] = intent
    assert twice == []


def test_examples_are_fit_to_be_read() -> None:
    for intent, example in EXAMPLES:
        assert example == example.strip() != "", (intent, example)
        # Rasa takes a leading slash for a command and not for a text.
        assert not example.startswith(("/", "-")), (intent, example)
        assert example.count("[") == len(_MARK.findall(example)), (intent, example)


def test_each_marked_entity_is_what_the_rules_find() -> None:
    kinds: Counter[str] = Counter()
    for _, example in EXAMPLES:
        if not (marks := _MARK.findall(example)):
            continue
        text = plain(example)
        found = [(text[span.start : span.end], span.kind) for span in find_entities(text)]
        for words, kind in marks:
            assert (words, kind) in found, (text, words, kind, found)
            kinds[kind] += 1
    assert {kind for kind, count in kinds.items() if count >= 8} == {ORDER_NUMBER, PHONE, DATE}


def test_no_example_is_copied_from_the_corpora() -> None:
    if not (SHARED / "data").is_dir():
        pytest.skip("the corpora are not on this machine")
    foreign: set[str] = set()
    turns: set[str] = set()
    for file in sorted((SHARED / "data").rglob("*.csv")):
        with file.open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines):
                texts = {
                    bare(value)
                    for name, value in row.items()
                    if name not in {"intent", "label", "source"} and value
                }
                foreign |= texts
                if file.name == "dev.csv":
                    turns |= texts
    own = {bare(plain(example)): example for _, example in EXAMPLES}
    assert [example for key, example in own.items() if key in foreign and len(key) > EVERYDAY] == []
    # What is measured with must not be learnt, however short it is.
    assert [example for key, example in own.items() if key in turns] == []


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("订单号：2024110512345 咋还没发", [(ORDER_NUMBER, "2024110512345")]),
        ("帮我查４４２０１９９３８８１２", [(ORDER_NUMBER, "４４２０１９９３８８１２")]),
        ("订单HY-20241101催一下", [(ORDER_NUMBER, "HY-20241101")]),
        ("电话打138 1234 5678", [(PHONE, "138 1234 5678")]),
        ("座机010-62345678，找王姐", [(PHONE, "010-62345678")]),
        ("+86 13912345678别打错", [(PHONE, "+86 13912345678")]),
        ("11月3号买的 上週五才發", [(DATE, "11月3号"), (DATE, "上週五")]),
        ("前天和大后天都行", [(DATE, "前天"), (DATE, "大后天")]),
        ("2024-11-03下单，十一月三号付的", [(DATE, "2024-11-03"), (DATE, "十一月三号")]),
        ("999999999999这个能用券不", []),
        ("3号楼2单元", []),
        ("第二天就坏了，买了2个", []),
        ("SF1234567890123到哪了", []),
        ("这款X9000多少钱", []),
        ("", []),
    ],
)
def test_entities_are_found_where_the_customer_wrote_them(text: str, wanted: list[tuple[str, str]]) -> None:
    assert [(span.kind, text[span.start : span.end]) for span in find_entities(text)] == wanted


def test_folding_makes_one_form_of_many_and_knows_the_way_back() -> None:
    folded = fold("請問ＡＢＣ！！！！ 到貨了嗎㍿")
    assert folded.text == "请问abc!! 到货了吗株式会社"
    assert folded.original_span(0, 2) == (0, 2)
    # Four characters of the folded text come from one of the customer's.
    assert folded.original_span(len(folded.text) - 2, len(folded.text)) == (14, 15)
    assert fold("订单1000000").text == "订单1000000"
    assert fold("").text == ""
