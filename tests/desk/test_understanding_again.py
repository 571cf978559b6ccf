"""What was understood with the second best alone is understood again, and nobody is answered twice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from shop import Shop, play
from sqlalchemy import text as sql

from desk import wording
from desk.ports import UnitOfWork
from desk.understanding_again import AGAIN_TIMER
from desk.values import FaqBook, FaqMatch, Understanding
from nlu.faq_search import FaqSearch

MINUTE = timedelta(minutes=1)
KNOWN = {
    "弄不明白咋整": ("product_usage", 0.9, "usage"),
    "这事没完，等着瞧": ("complaint", 0.9, None),
    "转人工": ("request_human", 0.99, None),
    "你们的东西很好": ("praise", 0.95, "praise"),
}


class ShakyUnderstander:
    """The FAQ search, and beside it a better one that is away when a story says so."""

    def __init__(self) -> None:
        self.away = True
        self.asked: list[str] = []
        self.forgets = False
        self._search = FaqSearch()

    async def understand(self, text: str, faq: FaqBook) -> Understanding:
        self.asked.append(text)
        found = await self._search.understand(text, faq)
        if self.away:
            return Understanding(found.source, None, found.confidence, found.matches, degraded=True)
        if self.forgets:
            return Understanding("better")
        intent, confidence, slug = KNOWN.get(text, (None, 0.0, None))
        entry = next((entry for entry in faq.entries if entry.slug == slug), None)
        matches = (FaqMatch(entry, 0.81),) if entry is not None else found.matches
        return Understanding("better", intent, confidence, matches)


async def ask(shop: Shop, query: str, **values: object) -> Sequence[Any]:
    def work(unit: UnitOfWork) -> Sequence[Any]:
        return unit.session.execute(sql(query), values).all()  # type: ignore[attr-defined]

    return await shop.run(work)


async def reasons(shop: Shop) -> list[str]:
    return [row[0] for row in await ask(shop, "SELECT reason FROM messages WHERE author = 'customer'")]


async def misses(shop: Shop) -> list[str]:
    return [row[0] for row in await ask(shop, "SELECT text FROM faq_misses")]


async def waiting(shop: Shop) -> int:
    query = "SELECT count(*) FROM timers WHERE kind = :kind AND state = 'pending'"
    return int((await ask(shop, query, kind=AGAIN_TIMER))[0][0])


async def cases(shop: Shop) -> list[tuple[str, str]]:
    rows = await ask(shop, "SELECT reason, evidence FROM cases ORDER BY id")
    return [(row.reason, row.evidence) for row in rows]


def test_the_record_and_the_misses_are_corrected_and_nothing_is_said(tmp_path: Path) -> None:
    understander = ShakyUnderstander()

    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        assert await customer.says("弄不明白咋整") == [wording.NOT_UNDERSTOOD]
        assert await misses(shop) == ["弄不明白咋整"]
        before = await customer.texts()
        await shop.later(MINUTE)
        assert await misses(shop) == ["弄不明白咋整"]
        understander.away = False
        await shop.later(MINUTE)
        assert await misses(shop) == ["弄不明白咋整"], "the second time is after two minutes, not after one"
        await shop.later(MINUTE)
        assert await misses(shop) == []
        assert [reason.partition(" later=")[2] for reason in await reasons(shop)] == ["product_usage"]
        stored = await ask(shop, "SELECT understanding, action FROM messages WHERE author = 'customer'")
        assert '"better"' in str(stored[0].understanding).replace("'", '"')
        assert stored[0].action == "none", "what was done stays on record"
        assert await customer.texts() == before
        assert await cases(shop) == []
        assert await waiting(shop) == 0

    play(tmp_path, story, understander=understander)


def test_what_turns_out_to_be_unknown_joins_the_misses(tmp_path: Path) -> None:
    understander = ShakyUnderstander()

    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        await customer.says("发票怎么开")
        await customer.says("退订")
        assert await misses(shop) == []
        understander.away, understander.forgets = False, True
        await shop.later(MINUTE)
        assert await misses(shop) == ["发票怎么开"]
        assert all(reason.endswith(" later=none") for reason in await reasons(shop))

    play(tmp_path, story, understander=understander)


def test_what_was_told_or_answered_stays_no_miss(tmp_path: Path) -> None:
    understander = ShakyUnderstander()

    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        await customer.says("你们的东西很好")
        understander.away = False
        await shop.later(MINUTE)
        assert await reasons(shop) == ["told praise later=praise"]
        assert await misses(shop) == []

    play(tmp_path, story, understander=understander)


def test_a_missed_complaint_opens_a_case_in_silence_while_it_is_fresh(tmp_path: Path) -> None:
    understander = ShakyUnderstander()

    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        await customer.says("这事没完，等着瞧")
        before = await customer.texts()
        understander.away = False
        await shop.later(MINUTE)
        assert await cases(shop) == [("anger", "理解为投诉")]
        assert (await reasons(shop))[0].endswith(" later=complaint case=HY-1001")
        assert await customer.texts() == before
        events = await shop.run(lambda unit: unit.desk_events.find_after(0, 1000))
        assert {"case_alert", "case_opened", "message"} <= {event.kind for event in events}

    play(tmp_path, story, understander=understander)


@pytest.mark.parametrize("what", ["too late", "more was said", "with a person"])
def test_a_missed_complaint_opens_no_case_when_it_is_over(tmp_path: Path, what: str) -> None:
    understander = ShakyUnderstander()

    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        await customer.says("这事没完，等着瞧")
        expected: list[tuple[str, str]] = []
        if what == "too late":
            for minutes in (1, 2, 4):
                await shop.later(timedelta(minutes=minutes))
        elif what == "more was said":
            await customer.says("弄不明白咋整")
        else:
            await customer.says("转人工")
            expected = [("asked_for_person", "转人工")]
        understander.away = False
        await shop.later(timedelta(minutes=8 if what == "too late" else 1))
        assert (await reasons(shop))[0].endswith(" later=complaint")
        assert await cases(shop) == expected

    play(tmp_path, story, understander=understander)


def test_a_person_who_was_called_by_words_is_not_called_again(tmp_path: Path) -> None:
    understander = ShakyUnderstander()

    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        await customer.says("转人工")
        await shop.staff_desk.close_case("HY-1001", await shop.staff(), "solved")
        understander.away = False
        await shop.later(MINUTE)
        assert await reasons(shop) == ["escalated asked_for_person later=request_human"]
        assert len(await cases(shop)) == 1

    play(tmp_path, story, understander=understander)


def test_after_a_day_it_is_left_as_it_is(tmp_path: Path) -> None:
    understander = ShakyUnderstander()

    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        await customer.says("弄不明白咋整")
        for _ in range(60):
            await shop.later(timedelta(minutes=30))
        assert await waiting(shop) == 0
        assert len(understander.asked) > 40
        assert await misses(shop) == ["弄不明白咋整"]

    play(tmp_path, story, understander=understander)


def test_a_long_outage_costs_one_question_a_batch(tmp_path: Path) -> None:
    understander = ShakyUnderstander()

    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        for number in range(5):
            await customer.says(f"弄不明白{number}咋整")
        understander.asked.clear()
        shop.clock.turn(MINUTE)
        timers = await shop.run(lambda unit: unit.timers.find_due(shop.clock(), 5, only=[AGAIN_TIMER]))
        assert len(timers) == 5
        assert await shop.desk.prepare_timers(timers) == {}
        assert len(understander.asked) == 1

    play(tmp_path, story, understander=understander)


def test_words_that_were_erased_are_not_looked_at(tmp_path: Path) -> None:
    understander = ShakyUnderstander()

    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        await customer.says("弄不明白咋整")
        await shop.run(lambda unit: unit.timers.set(AGAIN_TIMER, "4711", shop.clock(), {"tries": 0}))
        identity = await customer.identity_id()
        contact = await shop.run(lambda unit: unit.identities.get(identity).contact_id)
        await shop.run(lambda unit: unit.contact_data.erase(contact, shop.clock()))
        understander.away = False
        understander.asked.clear()
        await shop.later(MINUTE)
        assert understander.asked == []
        assert await waiting(shop) == 0

    play(tmp_path, story, understander=understander)


def test_a_button_is_not_understood_again(tmp_path: Path) -> None:
    understander = ShakyUnderstander()

    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        await customer.says("真是垃圾")
        await customer.presses(wording.OFFER_NO)
        assert await waiting(shop) == 1

    play(tmp_path, story, understander=understander)
