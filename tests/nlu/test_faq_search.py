"""The FAQ search finds what the shop knows and leaves the rest alone."""

from __future__ import annotations

import asyncio
import dataclasses
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.faq_file import DEFAULT_FAQ, faq_book, read_faq
from desk.values import FaqBook, FaqEntry, Understanding
from nlu.faq_search import FaqSearch

# The desk's policy decides by these; they were measured by benchmarks/faq_search.py.
NEAR_EXACT = 0.65
LIKELY = 0.33


def entry(number: int, slug: str, question: str, *variants: str) -> FaqEntry:
    return FaqEntry(number, slug, "测试", question, variants, "好的。")


SMALL = FaqBook(
    1,
    (
        entry(1, "ship", "什么时候发货", "多久能发出", "今天发货吗", "下单几天寄出"),
        entry(2, "return", "怎么退货", "可以退货吗", "不喜欢能退吗", "退货流程"),
        entry(3, "invoice", "怎么开发票", "可以开票吗", "发票在哪里下载"),
        entry(4, "refund", "退款什么时候到账", "钱多久退回来", "退款进度"),
    ),
)


@pytest.fixture(scope="module")
def seed() -> FaqBook:
    return faq_book(read_faq(DEFAULT_FAQ.read_text(encoding="utf-8")))


def understand(text: str, book: FaqBook = SMALL) -> Understanding:
    return asyncio.run(FaqSearch().understand(text, book))


def test_the_very_question_wins_with_full_score() -> None:
    found = understand("什么时候发货？")
    assert found.source == "faq-search"
    assert found.intent is None
    assert not found.degraded
    assert found.matches[0].entry.slug == "ship"
    assert found.matches[0].score == found.confidence == 1.0


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("什么时侯发货", "ship"),
        ("怎么退伙", "return"),
        ("怎么开发漂", "invoice"),
        ("退款什么时候到帐", "refund"),
    ],
)
def test_a_typo_is_still_found(text: str, slug: str) -> None:
    found = understand(text)
    assert found.matches[0].entry.slug == slug
    assert found.confidence >= LIKELY


@pytest.mark.parametrize(
    "text",
    [
        "亲，请问一下什么时候发货呀~",
        "你好，在吗？什么时候发货呢😊",
        "请问什麼時候發貨",
        "什麼時候發貨啊！！！",
        "ＯＫ，啥时候发货",
    ],
)
def test_courtesies_marks_width_and_traditional_characters_do_not_matter(text: str) -> None:
    found = understand(text)
    assert found.matches[0].entry.slug == "ship"
    assert found.confidence >= NEAR_EXACT


def test_a_greeting_does_not_drown_the_question(seed: FaqBook) -> None:
    assert understand("你好，在吗，怎么开发票", seed).matches[0].entry.slug == "invoice"
    assert understand("好的谢谢哦", seed).matches[0].entry.slug == "thanks"


def test_the_question_is_found_inside_a_long_story() -> None:
    found = understand(
        "我上周在你们家买了一个杯子给我妈妈用，颜色挺喜欢的，订单20240501123456，退款什么时候到账？"
    )
    assert found.matches[0].entry.slug == "refund"
    assert LIKELY <= found.confidence < 1.0


def test_every_wording_of_the_seed_faq_finds_its_own_entry(seed: FaqBook) -> None:
    search = FaqSearch()
    wordings = [(text, one.slug) for one in seed.entries for text in (one.question, *one.variants)]
    lost = [text for text, slug in wordings if search.find_nearest(text, seed)[0].entry.slug != slug]
    assert len(lost) <= 0.02 * len(wordings), lost


@pytest.mark.parametrize(
    "text",
    [
        "今晚的月亮真圆",
        "给我讲个笑话吧",
        "周杰伦哪首歌最好听",
        "我跟女朋友吵架了好难过",
        "背一首李白的诗",
        "你吃火锅喜欢放香菜吗",
    ],
)
def test_chitchat_is_not_answered(seed: FaqBook, text: str) -> None:
    assert understand(text, seed).confidence < NEAR_EXACT


@pytest.mark.parametrize("text", ["", "   \n\t", "？？！。", "😡😡👍", "\x00\x00", "\u3000"])
def test_a_text_without_words_has_no_matches(text: str) -> None:
    found = understand(text)
    assert found.matches == ()
    assert found.confidence == 0.0


def test_an_empty_book_has_no_matches() -> None:
    assert understand("什么时候发货", FaqBook(1, ())).matches == ()
    assert understand("什么时候发货", FaqBook(1, (entry(1, "odd", "？？", "！"),))).matches == ()


def test_matches_are_distinct_and_at_most_five_and_in_order(seed: FaqBook) -> None:
    matches = understand("退货退款运费怎么算什么时候到账", seed).matches
    assert 0 < len(matches) <= 5
    assert len({match.entry.slug for match in matches}) == len(matches)
    assert [match.score for match in matches] == sorted((match.score for match in matches), reverse=True)


def test_a_disabled_entry_is_passed_over() -> None:
    off = dataclasses.replace(SMALL.entries[0], enabled=False)
    found = understand("什么时候发货", FaqBook(1, (off, *SMALL.entries[1:])))
    assert "ship" not in {match.entry.slug for match in found.matches}


def test_a_changed_book_is_searched_anew() -> None:
    search = FaqSearch()

    async def talk() -> list[str]:
        slugs: list[str] = []
        for version in (1, 2, 2):
            book = FaqBook(version, (entry(1, f"v{version}-{len(slugs)}", "什么时候发货"),))
            slugs.append((await search.understand("什么时候发货", book)).matches[0].entry.slug)
        return slugs

    assert asyncio.run(talk()) == ["v1-0", "v2-1", "v2-2"]


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet=st.characters(), max_size=300))
def test_garbage_never_raises(text: str) -> None:
    for match in FaqSearch().find_nearest(text, SMALL):
        assert 0.0 <= match.score <= 1.0


@pytest.mark.parametrize(
    "text",
    [
        "\ud800" * 500,
        "﷽" * 5000,
        "谢谢你好" * 500 + "x",
        "亲" * 999 + "子",
        "吗" * 5000,
        "-" * 5000,
        "a1" * 2000,
        "e\u0301" * 900,
    ]
    + ["，".join(["我想问一下这个东西怎么还没有到"] * 80)],
)
def test_long_and_odd_texts_neither_raise_nor_stall(seed: FaqBook, text: str) -> None:
    search = FaqSearch()
    search.find_nearest("你好", seed)
    started = time.perf_counter()
    search.find_nearest(text, seed)
    # A hundred times what it takes; only a search that explodes is slower.
    assert time.perf_counter() - started < 0.5


def test_importing_loads_no_conversion_tables() -> None:
    code = "import sys, nlu.faq_search; print(sorted({'opencc', 'jieba', 'snownlp'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
