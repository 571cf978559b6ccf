"""Rasa and the FAQ search make one list of answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

import pytest

from desk.errors import UnderstandingError
from desk.values import FaqBook, FaqEntry, FaqMatch, Understanding
from nlu.faq_search import FaqSearch
from nlu.rasa_client import Entity, Parsed, RasaUnderstander


def entry(number: int, slug: str, enabled: bool = True) -> FaqEntry:
    return FaqEntry(number, slug, "测试", f"问题{slug}", (), "好的。", enabled=enabled)


SHIP, PRESALE, INVOICE, RETURN, GONE = (
    entry(1, "ship"),
    entry(2, "presale"),
    entry(3, "invoice"),
    entry(4, "return"),
    entry(5, "gone", enabled=False),
)
MORE = tuple(entry(number, f"more-{number}") for number in range(10, 15))
BOOK = FaqBook(1, (SHIP, PRESALE, INVOICE, RETURN, *MORE))
ENTRIES = {"shipping_time": (SHIP, PRESALE), "invoice": (INVOICE,), "closed_topic": (GONE, RETURN)}


class FakeParser:
    """Says this, after so many seconds, or fails."""

    def __init__(self, parsed: Parsed | None, seconds: float = 0.0) -> None:
        self._parsed, self._seconds = parsed, seconds
        self.heard: list[tuple[str, float | None]] = []

    async def parse(self, text: str, within: float | None = None) -> Parsed:
        self.heard.append((text, within))
        await asyncio.sleep(self._seconds)
        if self._parsed is None:
            raise UnderstandingError("Rasa gave no answer: late")
        return self._parsed


class FakeSearch:
    """Finds these, after so many seconds."""

    def __init__(self, found: Mapping[str, float] | None = None, seconds: float = 0.0) -> None:
        self._found, self._seconds = found or {}, seconds

    async def understand(self, text: str, faq: FaqBook) -> Understanding:
        await asyncio.sleep(self._seconds)
        entries = {entry.slug: entry for entry in faq.entries}
        matches = tuple(FaqMatch(entries[slug], score) for slug, score in self._found.items())
        return Understanding("faq-search", None, max(self._found.values(), default=0.0), matches)


def entries_of(intent: str, book: FaqBook) -> Sequence[FaqEntry]:
    return ENTRIES.get(intent, ())


def understand(
    parsed: Parsed | None, found: Mapping[str, float] | None = None, share: float = 0.9
) -> Understanding:
    understander = RasaUnderstander(FakeParser(parsed), FakeSearch(found), entries_of, share=share)
    return asyncio.run(understander.understand("一句话", BOOK))


def said(*ranking: tuple[str, float], sure: bool = True) -> Parsed:
    intent, confidence = ranking[0] if sure else (None, 0.0)
    return Parsed(intent, confidence, ranking)


def scores(understanding: Understanding) -> dict[str, float]:
    return {match.entry.slug: round(match.score, 3) for match in understanding.matches}


def test_a_sure_intent_brings_its_entry_to_the_top() -> None:
    found = understand(said(("invoice", 0.9), ("shipping_time", 0.05)), {"return": 0.4, "ship": 0.3})
    assert (found.source, found.intent, found.confidence, found.degraded) == ("rasa", "invoice", 0.9, False)
    assert scores(found) == {"invoice": 0.81, "return": 0.4, "ship": 0.3}


def test_of_several_entries_the_nearest_one_rises() -> None:
    found = understand(said(("shipping_time", 0.8)), {"presale": 0.3, "ship": 0.2})
    assert scores(found) == {"presale": 0.72, "ship": 0.2}


def test_where_the_search_found_none_the_first_one_rises() -> None:
    assert scores(understand(said(("shipping_time", 0.8)))) == {"ship": 0.72}


def test_an_exact_wording_beats_a_sure_intent() -> None:
    found = understand(said(("invoice", 0.99)), {"return": 1.0})
    assert list(scores(found)) == ["return", "invoice"]


def test_an_unsure_intent_lowers_nothing() -> None:
    assert scores(understand(said(("invoice", 0.1)), {"invoice": 0.6})) == {"invoice": 0.6}


def test_an_unsure_rasa_still_gives_choices() -> None:
    found = understand(said(("invoice", 0.39), ("shipping_time", 0.38), sure=False), {"return": 0.2})
    assert found.intent is None
    assert found.confidence == pytest.approx(0.351)
    assert scores(found) == {"invoice": 0.351, "ship": 0.342, "return": 0.2}


def test_an_intent_without_entries_is_still_an_intent() -> None:
    found = understand(said(("complaint", 0.95)), {"return": 0.2})
    assert (found.intent, found.confidence, scores(found)) == ("complaint", 0.95, {"return": 0.2})


def test_what_the_shop_switched_off_stays_off() -> None:
    assert scores(understand(said(("closed_topic", 1.0)))) == {"return": 0.9}


def test_five_are_the_most() -> None:
    many = {entry.slug: 0.5 - 0.05 * number for number, entry in enumerate(MORE)}
    found = understand(said(("invoice", 0.9)), many)
    assert list(scores(found)) == ["invoice", "more-10", "more-11", "more-12", "more-13"]


def test_a_value_said_twice_is_one() -> None:
    number = Entity("order_number", "20251122", 0, 8)
    parsed = Parsed("invoice", 0.9, entities=(number, Entity("order_number", "20251122", 9, 17)))
    assert understand(parsed).entities == (("order_number", "20251122"),)


def test_without_rasa_the_search_answers_and_says_that_it_is_second_best() -> None:
    found = understand(None, {"return": 0.7})
    assert (found.source, found.intent, found.confidence, found.degraded) == ("faq-search", None, 0.7, True)
    assert scores(found) == {"return": 0.7}


def test_a_blank_text_is_nothing_to_both() -> None:
    understander = RasaUnderstander(FakeParser(Parsed()), FaqSearch(), entries_of)
    assert asyncio.run(understander.understand(" ", BOOK)) == Understanding("rasa")


def test_both_work_side_by_side() -> None:
    understander = RasaUnderstander(FakeParser(said(("invoice", 0.9)), 0.3), FakeSearch({}, 0.3), entries_of)
    began = time.monotonic()
    asyncio.run(understander.understand("一句话", BOOK))
    assert time.monotonic() - began < 0.55


def test_a_search_that_takes_too_long_is_left_out() -> None:
    parser = FakeParser(said(("invoice", 0.9)))
    found = asyncio.run(
        RasaUnderstander(parser, FakeSearch({"return": 1.0}, 9.0), entries_of, within=0.1).understand(
            "一句话", BOOK
        )
    )
    assert parser.heard == [("一句话", 0.1)]
    assert (found.source, scores(found)) == ("rasa", {"invoice": 0.81})
    with pytest.raises(UnderstandingError):
        asyncio.run(
            RasaUnderstander(FakeParser(None), FakeSearch({}, 9.0), entries_of, within=0.1).understand(
                "一句话", BOOK
            )
        )
