"""The Rasa client with a Rasa that is well: what it asks, what it keeps, what it never sends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fake_rasa import INTENTS, Asked, FakeRasa, late, parse_answer, redirect, send, told, well

from desk.errors import UnderstandingError
from nlu.rasa_client import FIGURES, Entity, Limits, Parsed, RasaClient, RasaStatus

TOKEN = "s3cret+&=/令牌"


def play(
    story: Callable[[FakeRasa, RasaClient], Awaitable[None]], limits: Limits | None = None, **given: Any
) -> None:
    """Plays a story with a Rasa and a client of it."""

    async def run() -> None:
        async with FakeRasa(token=TOKEN) as rasa:
            client = RasaClient(rasa.url, TOKEN, INTENTS, limits, **given)
            try:
                await story(rasa, client)
            finally:
                await client.close()

    asyncio.run(run())


def test_a_text_is_understood() -> None:
    async def story(rasa: FakeRasa, client: RasaClient) -> None:
        parsed = await client.parse("什么时候发货")
        assert (parsed.intent, parsed.confidence, parsed.model) == ("shipping_time", 0.92, "model-a")
        assert parsed.ranking[0] == ("shipping_time", 0.92)
        assert sorted(name for name, _ in parsed.ranking) == sorted(INTENTS)
        assert not parsed.cut
        asked = rasa.asked[0]
        assert (asked.method, asked.path, asked.token) == ("POST", "/model/parse", TOKEN)
        assert asked.text == "什么时候发货"
        assert asked.headers["accept-encoding"] == "identity"

    play(story)


def test_a_rasa_behind_a_path_is_found_there() -> None:
    async def story(rasa: FakeRasa, client: RasaClient) -> None:
        client.point_at(f"{rasa.url}/nlu/", TOKEN)
        await client.parse("发货")
        assert rasa.asked[-1].path == "/nlu/model/parse"

    play(story)


@pytest.mark.parametrize(
    "blank", ["", " ", "\n\t\r ", "\u3000\u00a0", "\u200b\u200d\ufeff", "\u202e\U000e0041", "\x00\x1f"]
)
def test_a_blank_text_never_goes_to_rasa(blank: str) -> None:
    async def story(rasa: FakeRasa, client: RasaClient) -> None:
        assert await client.parse(blank) == Parsed()
        assert rasa.asked == []
        assert client.figures()["rasa_calls"] == 0

    play(story)


@pytest.mark.parametrize(
    "before", ["", " ", "\n", "\u3000", "\u00a0\t", "\u200b", "\ufeff \u2066", "\x1c\x85"]
)
def test_a_command_to_rasa_becomes_a_text(before: str) -> None:
    async def story(rasa: FakeRasa, client: RasaClient) -> None:
        assert (await client.parse(before + "/complaint")).intent == "shipping_time"
        assert rasa.texts == ["／complaint"]

    play(story)


def test_slashes_within_a_text_stay() -> None:
    async def story(rasa: FakeRasa, client: RasaClient) -> None:
        await client.parse("M/L 码 //")
        await client.parse("//greet")
        assert rasa.texts == ["M/L 码 //", "／/greet"]

    play(story)


def test_a_long_text_is_understood_by_its_beginning() -> None:
    async def story(rasa: FakeRasa, client: RasaClient) -> None:
        assert (await client.parse("货" * 1_001)).cut
        assert not (await client.parse("单" * 1_000 + "  \n")).cut
        assert (await client.parse("五" * 5_000_000)).cut
        assert [len(text or "") for text in rasa.texts] == [1_000, 1_000, 1_000]

    play(story)


def test_nothing_that_a_keyboard_can_make_crashes_it() -> None:
    async def story(rasa: FakeRasa, client: RasaClient) -> None:
        for odd in (
            "发\x00货",
            "发货\ud83d",
            "\udc00\ud83d",
            "👨‍👩‍👧 家",
            "ẗ̈" * 200,
            "\u202e货发",
            "=cmd|' /C'!A0",
            "\r\nX: y",
        ):
            assert (await client.parse(odd)).intent == "shipping_time"
        assert rasa.texts[:3] == ["发 货", "发货\ufffd", "\ufffd\ufffd"]

    play(story)


def test_entities_stand_where_the_customer_wrote_them() -> None:
    async def story(rasa: FakeRasa, client: RasaClient) -> None:
        core = "订单 20251122 到哪了"
        found = [
            {"entity": "order_number", "value": "20251122", "start": 3, "end": 11, "confidence_entity": 1.0}
        ]
        rasa.knows[core] = {"entities": found}
        assert (await client.parse(core)).entities == (Entity("order_number", "20251122", 3, 11),)
        shifted = "\u3000\n订\u200b单\t2025\u200b1122 到哪了  "
        (entity,) = (await client.parse(shifted)).entities
        assert (entity.name, entity.value) == ("order_number", "20251122")
        assert shifted[entity.start : entity.end] == "2025\u200b1122"
        assert "20251122" not in repr(entity), "a phone in a log would be one line away"
        assert rasa.texts == [core], "the second one is the same text to Rasa"

    play(story)


def test_the_same_text_is_asked_once() -> None:
    async def story(rasa: FakeRasa, client: RasaClient) -> None:
        first = await client.parse("在吗")
        assert await client.parse(" 在吗\n") == first
        assert await client.parse("在吗？") == first
        assert rasa.texts == ["在吗", "在吗？"]
        figures = client.figures()
        assert (figures["rasa_calls"], figures["rasa_cache_hits"], figures["rasa_cached"]) == (3, 1, 2)
        assert set(figures) == set(FIGURES)

    play(story)


def test_kept_answers_are_bounded_and_the_ones_used_last_stay() -> None:
    async def story(rasa: FakeRasa, client: RasaClient) -> None:
        for text in ("一", "二", "一", "三", "一", "二"):
            await client.parse(text)
        assert rasa.texts == ["一", "二", "三", "二"]
        for _ in range(2):
            await client.parse("很长" * 60)
        assert len(rasa.texts) == 6, "a long text is not kept"
        assert client.figures()["rasa_cached"] == 2

    play(story, Limits(cached=2))


def test_the_cache_can_be_off() -> None:
    async def story(rasa: FakeRasa, client: RasaClient) -> None:
        for _ in range(3):
            await client.parse("在吗")
        assert len(rasa.texts) == 3

    play(story, Limits(cached=0))


def test_connections_are_used_again() -> None:
    async def story(rasa: FakeRasa, client: RasaClient) -> None:
        for number in range(20):
            await client.parse(f"第{number}个")
        assert rasa.connections == 1

    play(story)


def test_a_rasa_that_is_not_sure_says_so() -> None:
    async def story(rasa: FakeRasa, client: RasaClient) -> None:
        unsure = {"name": "nlu_fallback", "confidence": 0.4}
        ranking = [unsure, {"name": "greet", "confidence": 0.31}, {"name": "invoice", "confidence": 0.33}]
        rasa.behave = told(intent=unsure, intent_ranking=ranking)
        parsed = await client.parse("那个")
        assert (parsed.intent, parsed.confidence) == (None, 0.0)
        assert parsed.ranking == (("invoice", 0.33), ("greet", 0.31))

    play(story)


def test_status_tells_the_model() -> None:
    async def story(rasa: FakeRasa, client: RasaClient) -> None:
        assert await client.status() == RasaStatus(True, "models/model-a.tar.gz", "model-a")
        assert (rasa.asked[0].method, rasa.asked[0].path, rasa.asked[0].token) == ("GET", "/status", TOKEN)
        rasa.model = None
        assert await client.status() == RasaStatus(False)

    play(story)


def test_another_model_means_other_answers() -> None:
    """A model that says its name in each answer: the first new answer ends all old ones."""

    async def story(rasa: FakeRasa, client: RasaClient) -> None:
        assert (await client.parse("在吗")).model == "model-a"
        rasa.model = "model-b"
        assert (await client.parse("在吗")).model == "model-a", "it was not asked, so it could not tell"
        assert (await client.parse("别的")).model == "model-b"
        assert (await client.parse("在吗")).model == "model-b"
        assert rasa.texts == ["在吗", "别的", "在吗"]

    play(story)


def test_a_health_check_notices_another_model() -> None:
    """A model that does not say its name in answers."""

    async def story(rasa: FakeRasa, client: RasaClient) -> None:
        rasa.tells_model = False
        await client.status()
        await client.parse("在吗")
        await client.status()
        await client.parse("在吗")
        assert len(rasa.texts) == 1
        rasa.model = "model-b"
        await client.status()
        assert client.figures()["rasa_cached"] == 0
        await client.parse("在吗")
        assert len(rasa.texts) == 2

    play(story)


def test_models_change_under_way() -> None:
    """The old model's answer comes after the new one's: it is given, and not kept."""

    async def story(rasa: FakeRasa, client: RasaClient) -> None:
        rasa.behave = held = Held()
        old = asyncio.gather(client.parse("在吗"))
        await held.came.wait()
        rasa.behave, rasa.model = well, "model-b"
        assert (await client.parse("别的")).model == "model-b"
        held.goes_on.set()
        assert (await old)[0].model == "model-a"
        assert (await client.parse("在吗")).model == "model-b"
        assert (await client.parse("别的")).model == "model-b"
        assert rasa.texts == ["在吗", "别的", "在吗"]

    play(story)


class Held:
    """Answers with the model of the time when it was asked, once it may go on."""

    def __init__(self) -> None:
        self.came, self.goes_on = asyncio.Event(), asyncio.Event()

    async def __call__(self, rasa: FakeRasa, asked: Asked, writer: asyncio.StreamWriter) -> None:
        answer = parse_answer(asked.text or "") | {"model_id": rasa.model}
        self.came.set()
        await self.goes_on.wait()
        await send(writer, 200, answer)


def test_moving_to_another_server_loses_nothing() -> None:
    async def story(rasa: FakeRasa, client: RasaClient) -> None:
        await client.parse("在吗")
        rasa.behave = late(0.1)
        async with FakeRasa(token="other") as new:
            new.model = "model-b"
            under_way = asyncio.gather(*(client.parse(f"第{number}个") for number in range(2)))
            await asyncio.sleep(0.05)
            client.point_at(new.url, "other")
            assert (await client.parse("在吗")).model == "model-b"
            assert {parsed.model for parsed in await under_way} == {"model-a"}
            assert (await client.parse("第0个")).model == "model-b"
            assert new.texts == ["在吗", "第0个"]
            # And back.
            rasa.behave = well
            client.point_at(rasa.url, TOKEN)
            assert (await client.parse("在吗")).model == "model-a"

    play(story)


def test_the_token_follows_no_redirect() -> None:
    async def story(rasa: FakeRasa, client: RasaClient) -> None:
        async with FakeRasa() as elsewhere:
            rasa.behave = redirect(elsewhere.url + "/model/parse")
            with pytest.raises(UnderstandingError, match="refused"):
                await client.parse("在吗")
            assert elsewhere.asked == []

    play(story)


def test_a_closed_client_fails_in_words() -> None:
    async def story(rasa: FakeRasa, client: RasaClient) -> None:
        await client.parse("在吗")
        await client.close()
        with pytest.raises(UnderstandingError, match="closed"):
            await client.parse("别的")
        with pytest.raises(UnderstandingError, match="closed"):
            await client.status()

    play(story)
