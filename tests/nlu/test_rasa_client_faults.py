"""A Rasa that is dead, slow or mad: the customer's answer comes in time, and nothing private gets out."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from fake_rasa import (
    INTENTS,
    Asked,
    Behaviour,
    FakeRasa,
    endless_chunks,
    hang,
    late,
    no_http,
    raw,
    reset_within_body,
    told,
    trickle,
    well,
)
from structlog.testing import capture_logs

from desk.errors import UnderstandingError
from desk.values import FaqBook, FaqEntry, Understanding
from nlu.faq_search import FaqSearch
from nlu.rasa_client import Limits, RasaClient, RasaUnderstander

TOKEN = "s3cret-token"
SECRET = "什么时候发货13800138000"
SHIPPING = FaqEntry(1, "ship", "物流", "什么时候发货", ("多久能发出",), "48 小时内。")
BOOK = FaqBook(1, (SHIPPING, FaqEntry(2, "invoice", "下单", "怎么开发票", (), "在订单页。")))

# What the desk allows, and what a busy machine may add to it.
DESK_WITHIN = 1.5
SLACK = 0.4


class Clock:
    """A monotonic clock that moves when told."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


def entries_of(intent: str, book: FaqBook) -> list[FaqEntry]:
    """Only one intent has an entry here."""
    return [entry for entry in book.entries if intent == "shipping_time" and entry.slug == "ship"]


@dataclass
class Shop:
    """A Rasa, its client, and an understander of both."""

    rasa: FakeRasa
    client: RasaClient
    clock: Clock
    understander: RasaUnderstander
    slowest: float = 0.0

    async def hear(self, text: str = SECRET) -> Understanding:
        """Understands a text and takes the time."""
        began = time.monotonic()
        understanding = await self.understander.understand(text, BOOK)
        self.slowest = max(self.slowest, time.monotonic() - began)
        return understanding

    def failures(self) -> dict[str, float]:
        """Failures so far, those that happened."""
        prefix = "rasa_failures_"
        return {
            name.removeprefix(prefix): number
            for name, number in self.client.figures().items()
            if name.startswith(prefix) and number
        }


def play(story: Callable[[Shop], Awaitable[None]], limits: Limits | None = None) -> None:
    """Plays a story in a shop whose Rasa is well at first. Leftovers of any kind fail it."""

    async def run() -> None:
        clock = Clock()
        async with FakeRasa(token=TOKEN) as rasa:
            client = RasaClient(rasa.url, TOKEN, INTENTS, limits or Limits(cached=0), clock)
            try:
                await story(Shop(rasa, client, clock, RasaUnderstander(client, FaqSearch(), entries_of)))
            finally:
                await client.close()

    asyncio.run(run())


def entities(number: int) -> list[dict[str, Any]]:
    return [{"entity": "phone", "value": "1", "start": 0, "end": 1} for _ in range(number)]


def ranked(confidence: object) -> Behaviour:
    return told(intent={"name": "greet", "confidence": confidence})


OVERFLOW = b'{"text": "x", "intent": {"name": "greet", "confidence": 1e400}, "entities": []}'
LONG_NUMBER = OVERFLOW.replace(b"1e400", b"9" * 100_000)
FAULTS: dict[str, tuple[Behaviour, str]] = {
    "hangs": (hang, "late"),
    "takes_30_seconds": (late(30.0), "late"),
    "trickles": (trickle, "late"),
    "resets_within_the_body": (reset_within_body, "broken"),
    "speaks_no_http": (no_http, "broken"),
    "sends_a_page": (raw(b"<html><body>502 Bad Gateway</body></html>", kind="text/html"), "not_json"),
    "sends_nothing": (raw(b""), "not_json"),
    "sends_half_an_object": (raw(b'{"text": "'), "not_json"),
    "sends_no_text_at_all": (raw(b"\xff\xfe\x00\xd8\x81"), "not_json"),
    "nests_100,000_deep": (raw(b"[" * 100_000), "not_json"),
    "sends_a_list": (raw(b"[]"), "wrong_shape"),
    "sends_10_MB": (raw(b" " * 10_000_000), "too_large"),
    "sends_chunks_without_end": (endless_chunks, "too_large"),
    "is_sure_beyond_measure": (raw(OVERFLOW), "wrong_confidence"),
    "writes_numbers_without_end": (raw(LONG_NUMBER), "not_json"),
    "is_NaN_sure": (ranked(float("nan")), "wrong_confidence"),
    "is_less_than_not_sure": (ranked(-0.1), "wrong_confidence"),
    "is_sure_in_words": (ranked("0.9"), "wrong_confidence"),
    "is_true_sure": (ranked(True), "wrong_confidence"),
    "knows_other_intents": (told(intent={"name": "launch_missiles", "confidence": 0.9}), "unknown_intent"),
    "ranks_other_intents": (told(intent_ranking=[{"name": SECRET, "confidence": 0.9}]), "unknown_intent"),
    "names_numbers": (told(intent={"name": 7, "confidence": 0.9}), "wrong_shape"),
    "finds_10,000_entities": (told(entities=entities(10_000)), "too_large"),
    "finds_more_entities_than_characters": (told(entities=entities(1_000)), "wrong_shape"),
    "finds_entities_elsewhere": (
        told(entities=[{"entity": "phone", "value": "1", "start": 0, "end": 99}]),
        "wrong_shape",
    ),
    "answers_401": (raw(b"{}", 401), "unauthorised"),
    "answers_409": (raw(b"{}", 409), "unloaded"),
    "answers_500": (raw(b'{"message": "' + SECRET.encode() + b'"}', 500), "refused"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_care_goes_on_whatever_rasa_does(
    fault: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Five messages meet the fault, then Rasa is left alone, then it is well again and is asked again."""
    behave, reason = FAULTS[fault]

    async def story(shop: Shop) -> None:
        shop.rasa.behave = behave
        for understanding in await asyncio.gather(*(shop.hear() for _ in range(5))):
            assert (understanding.source, understanding.degraded) == ("faq-search", True)
            assert understanding.matches[0].entry == SHIPPING
        assert shop.slowest < DESK_WITHIN + SLACK
        assert shop.failures() == {reason: 5}
        assert shop.client.figures()["rasa_breaker"] == 2

        asked = len(shop.rasa.asked)
        shop.slowest = 0.0
        assert (await shop.hear()).degraded
        assert shop.slowest < SLACK
        with pytest.raises(UnderstandingError) as raised:
            await shop.client.parse(SECRET)
        assert_says_nothing(raised.value)
        assert len(shop.rasa.asked) == asked, "it is left alone"

        shop.rasa.behave = well
        shop.clock.seconds += Limits().pause
        assert (await shop.hear()).source == "rasa"
        assert shop.client.figures()["rasa_breaker"] == 0

    caplog.set_level(logging.DEBUG)
    with capture_logs() as logs:
        play(story, Limits(cached=0, at_once=5))
    assert [(line["event"], line.get("reason")) for line in logs] == [
        ("rasa_left_alone", reason),
        ("rasa_asked_again", None),
    ]
    assert_holds_nothing(str(logs) + caplog.text + "".join(capfd.readouterr()))


@pytest.mark.parametrize("fault", FAULTS)
def test_an_error_says_nothing_of_the_customer_or_the_token(fault: str) -> None:
    behave, reason = FAULTS[fault]

    async def story(shop: Shop) -> None:
        shop.rasa.behave = behave
        with pytest.raises(UnderstandingError) as raised:
            await shop.client.parse(SECRET, within=0.2)
        assert str(raised.value) == f"Rasa gave no answer: {reason}"
        assert_says_nothing(raised.value)

    # Slow enough to come to an end under load, and still short.
    play(story, Limits(cached=0, slow=0.1))


def assert_says_nothing(error: BaseException) -> None:
    assert error.__cause__ is None
    assert error.__context__ is None, "what is hidden there comes out in somebody's log"
    assert_holds_nothing(repr(error))


def assert_holds_nothing(said: str) -> None:
    assert TOKEN not in said
    assert SECRET not in said
    assert "13800138000" not in said


def test_a_killed_rasa_is_refused_twice_and_comes_back() -> None:
    async def story(shop: Shop) -> None:
        assert (await shop.hear()).source == "rasa"
        await shop.rasa.stop()
        for _ in range(5):
            assert (await shop.hear()).degraded
        assert shop.slowest < DESK_WITHIN + SLACK
        assert shop.failures() == {"unreachable": 5}
        with pytest.raises(UnderstandingError, match="unreachable") as raised:
            await shop.client.status()
        assert_says_nothing(raised.value)
        await shop.rasa.start()
        assert (await shop.hear()).degraded, "nobody has looked yet"
        shop.clock.seconds += 1.0
        assert (await shop.hear()).source == "rasa"

    play(story)


def test_a_rasa_that_is_not_reached_costs_two_connect_limits() -> None:
    """Its queue of connections is full, so that packets go nowhere."""

    async def story(shop: Shop) -> None:
        with socket.socket() as deaf:
            deaf.bind(("127.0.0.1", 0))
            deaf.listen(0)
            address = deaf.getsockname()
            fillers = [socket.socket() for _ in range(3)]
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(address)
            shop.client.point_at(f"http://127.0.0.1:{address[1]}", TOKEN)
            await asyncio.sleep(0.05)
            began = time.monotonic()
            assert (await shop.hear()).degraded
            assert 0.35 < time.monotonic() - began < 0.4 + SLACK
            assert shop.failures() == {"unreachable": 1}
            for filler in fillers:
                filler.close()

    play(story)


@pytest.mark.parametrize("how", ["drop_connections", "reset_connections"])
def test_connections_that_died_idle_fail_no_message(how: str) -> None:
    async def story(shop: Shop) -> None:
        for _ in range(20):
            await asyncio.gather(*(shop.hear() for _ in range(4)))
            getattr(shop.rasa, how)()
            # At once, and after the news came.
            assert (await shop.hear()).source == "rasa"
            await asyncio.sleep(0.01)
            assert (await shop.hear()).source == "rasa"
        assert shop.failures() == {}

    play(story)


async def hang_up(rasa: FakeRasa, asked: Asked, writer: asyncio.StreamWriter) -> None:
    """Answers every other request on a connection by closing it, as a server does that was about to."""
    rasa.behave = well if rasa.behave is hang_up else hang_up
    writer.close()


def test_a_connection_closed_just_when_it_is_used_is_replaced() -> None:
    async def story(shop: Shop) -> None:
        await shop.hear()
        shop.rasa.behave = hang_up
        assert (await shop.hear()).source == "rasa"
        assert len(shop.rasa.asked) == 3, "the closed one, then a new one"

        shop.rasa.drop_connections()
        await asyncio.sleep(0.02)
        shop.rasa.behave = hang_up
        assert (await shop.hear()).degraded, "a fresh connection that ends is Rasa's fault"
        assert shop.failures() == {"broken": 1}

    play(story)


def test_slow_answers_are_used_and_end_the_asking_all_the_same() -> None:
    async def story(shop: Shop) -> None:
        shop.rasa.behave = late(0.2)
        for understanding in await asyncio.gather(*(shop.hear() for _ in range(5))):
            assert understanding.source == "rasa"
        assert shop.client.figures()["rasa_breaker"] == 2
        assert (await shop.hear()).degraded

        shop.clock.seconds += 1.0
        assert (await shop.hear()).source == "rasa", "a trial that was slow is still an answer"
        assert shop.client.figures()["rasa_breaker"] == 2
        shop.clock.seconds += 1.99
        assert (await shop.hear()).degraded, "the second pause is twice as long"
        shop.rasa.behave = well
        shop.clock.seconds += 0.01
        assert (await shop.hear()).source == "rasa"
        assert (await shop.hear()).source == "rasa"

    play(story, Limits(cached=0, at_once=5, slow=0.15))


def test_one_message_tries_while_the_others_go_on() -> None:
    async def story(shop: Shop) -> None:
        shop.rasa.behave = raw(b"{}", 500)
        for _ in range(5):
            await shop.hear()
        shop.rasa.behave = late(0.1)
        shop.clock.seconds += 1.0
        asked = len(shop.rasa.asked)
        sources = [found.source for found in await asyncio.gather(*(shop.hear() for _ in range(4)))]
        assert sorted(sources) == ["faq-search"] * 3 + ["rasa"]
        assert len(shop.rasa.asked) == asked + 1

    play(story)


def test_a_trial_whose_caller_gave_up_does_not_block_the_next_one() -> None:
    async def story(shop: Shop) -> None:
        shop.rasa.behave = raw(b"{}", 500)
        for _ in range(5):
            await shop.hear()
        shop.rasa.behave = hang
        shop.clock.seconds += 1.0
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await shop.client.parse(SECRET)
        shop.rasa.behave = well
        shop.clock.seconds += 2.0
        assert (await shop.hear()).source == "rasa"

    play(story)


def test_known_answers_are_given_while_rasa_is_dead() -> None:
    async def story(shop: Shop) -> None:
        await shop.hear()
        await shop.rasa.stop()
        for number in range(6):
            await shop.hear(f"第{number}个什么时候发货")
        assert shop.client.figures()["rasa_breaker"] == 2
        assert (await shop.hear()).source == "rasa"

    play(story, Limits())


def test_80_at_once_and_a_slow_rasa() -> None:
    """Some are understood by Rasa, the others in time by the search; Rasa gets two at a time.

    Not more of them: the searches alone would otherwise keep a busy machine longer than the limit.
    """

    async def story(shop: Shop) -> None:
        shop.rasa.behave = late(0.1)
        found = await asyncio.gather(*(shop.hear(f"{number} 什么时候发货") for number in range(80)))
        assert shop.slowest < DESK_WITHIN + SLACK
        by_rasa = sum(understanding.source == "rasa" for understanding in found)
        assert 10 <= by_rasa <= 30
        assert all(understanding.matches[0].entry == SHIPPING for understanding in found)
        assert shop.rasa.most_at_once <= 4, "two, and two that were given up a moment ago"
        assert len(shop.rasa.asked) < 40, "what cannot be had in time is not asked for"
        assert shop.failures() == {"busy": 80 - by_rasa}
        assert shop.client.figures()["rasa_breaker"] == 0, "a busy Rasa is not an ill one"

    play(story)


def test_a_rasa_that_hangs_under_load_is_found_out() -> None:
    """Everybody waits for a turn, so that nobody has much time left for Rasa itself."""

    async def story(shop: Shop) -> None:
        shop.rasa.behave = hang

        async def come(number: int) -> None:
            await asyncio.sleep(number * 0.02)
            await shop.hear()

        await asyncio.gather(*(come(number) for number in range(200)))
        assert shop.slowest < DESK_WITHIN + SLACK
        assert shop.client.figures()["rasa_breaker"] == 2
        assert shop.failures()["resting"] > 50

    play(story)


def test_the_model_is_swapped_during_requests() -> None:
    """Nobody waits or fails, and after the swap nobody hears the old model, not even from the cache."""

    async def story(shop: Shop) -> None:
        shop.rasa.behave = late(0.005)
        swapped = False

        async def ask(number: int) -> None:
            nonlocal swapped
            for turn in range(10):
                text = f"第{(number + turn) % 7}个什么时候发货"
                after = swapped
                parsed = await shop.client.parse(text)
                assert parsed.model in ("model-a", "model-b")
                if after:
                    assert parsed.model == "model-b", "asked after the swap was known"
                if number == 5 and turn == 3:
                    shop.rasa.model = "model-b"
                    await shop.client.status()
                    swapped = True

        await asyncio.gather(*(ask(number) for number in range(10)))
        assert shop.failures() == {}
        assert shop.client.figures()["rasa_cache_hits"] > 20

    play(story, Limits())
