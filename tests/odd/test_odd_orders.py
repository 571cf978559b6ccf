"""Whatever a shop system signs is stored as it is or refused with a reason; what is not signed does nothing."""

from __future__ import annotations

import base64
import copy
import hashlib
import hmac
import itertools
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import corpus
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from odd_chat import Page, check_refusal
from odd_door import Answer, Door, dead_letters, play_examples, rows_of
from odd_strategies import (
    SHARES,
    corpus_bodies,
    json_bytes,
    odd_bodies,
    odd_header_values,
    odd_json_values,
    odd_settings,
    odd_texts,
    plain_corpus,
    plain_texts,
)
from shop import API_KEY, SHOP_SECRET_BYTES, Shop, play

Do = Callable[[Awaitable[Any]], Any]
Signed = list[tuple[bytes, bytes]]

_EVENTS = "/api/v1/orders/events"
_AS_JSON = (b"content-type", b"application/json")


def signed(body: bytes, webhook_id: bytes = b"msg_odd", secret: bytes = SHOP_SECRET_BYTES) -> Signed:
    """Headers that fit the body, made now."""
    stamp = str(int(datetime.now(UTC).timestamp())).encode()
    mac = hmac.new(secret, webhook_id + b"." + stamp + b"." + body, hashlib.sha256).digest()
    return [
        (b"webhook-id", webhook_id),
        (b"webhook-timestamp", stamp),
        (b"webhook-signature", b"v1," + base64.b64encode(mac)),
    ]


async def post(door: Door, body: bytes, headers: Signed) -> Answer:
    """Sends an order event."""
    return await door.ask("POST", _EVENTS, headers=[_AS_JSON, *headers], body=body)


# --- Not signed ------------------------------------------------------------------------------------------


def _flip(raw: bytes, at: int, bit: int) -> bytes:
    at %= len(raw)
    return raw[:at] + bytes([raw[at] ^ 1 << bit]) + raw[at + 1 :]


_STAMPS = [
    b"", b" ", b"nan", b"NaN", b"inf", b"-inf", b"1e400", b"-1", b"0", b"0x10", b"1_000", b"9" * 400, b"99999999999999999",
    b"253402300800", b"-62135596801", b"now", b"2026-11-21T04:00:00Z", "１７００００００００".encode(), b"1700000000", b"\xb2",
]  # fmt: skip

_forgeries = st.one_of(
    st.tuples(st.just("body"), odd_bodies),
    st.tuples(st.just("flip_body"), st.integers(0, 2000), st.integers(0, 7)),
    st.tuples(st.just("flip_signature"), st.integers(0, 100), st.integers(0, 6)),
    st.tuples(st.just("header"), st.integers(0, 2), odd_header_values),
    st.tuples(st.just("stamp"), st.sampled_from(_STAMPS)),
    st.tuples(st.just("late"), st.integers(301, 10**12)),
    # A busy machine may take a while to look, and what was a second too early is then in time.
    st.tuples(st.just("early"), st.integers(400, 10**12)),
    st.tuples(st.just("drop"), st.sets(st.integers(0, 2), min_size=1)),
    st.tuples(st.just("key"), st.binary(min_size=1, max_size=64)),
    st.tuples(st.just("version"), st.sampled_from([b"v1a", b"v2", b"V1", b"", b"v", b"v1 v1", b"\xff"])),
    st.tuples(st.just("other_id"), st.binary(max_size=40).map(lambda raw: raw.translate(None, b"\0\r\n"))),
)


def _forge(body: bytes, how: tuple[Any, ...]) -> tuple[bytes, Signed]:
    """The request spoiled in one way."""
    headers = signed(body)
    kind, given_ = how[0], how[1]
    if kind == "body":
        return given_, headers
    if kind == "flip_body":
        return _flip(body, given_, how[2]), headers
    if kind == "flip_signature":
        signature = headers[2][1]
        spoiled = b"v1," + _flip(signature[3:], given_, how[2])
        # Base64 readers skip what they do not know, and the last letter has bits to spare.
        assume(not _same_bytes(spoiled, signature))
        headers[2] = (headers[2][0], spoiled.translate(None, b"\0\r\n"))
    elif kind == "header":
        assume(how[2].strip() != headers[given_][1])
        headers[given_] = (headers[given_][0], how[2])
    elif kind == "stamp":
        headers[1] = (headers[1][0], given_)
    elif kind in {"late", "early"}:
        # Signed again, so that only the time is wrong.
        stamp = str(int(datetime.now(UTC).timestamp()) + (given_ if kind == "early" else -given_)).encode()
        mac = hmac.new(SHOP_SECRET_BYTES, b"msg_odd." + stamp + b"." + body, hashlib.sha256).digest()
        headers[1:] = [(b"webhook-timestamp", stamp), (b"webhook-signature", b"v1," + base64.b64encode(mac))]
    elif kind == "drop":
        headers = [header for at, header in enumerate(headers) if at not in given_]
    elif kind == "key":
        assume(given_ != SHOP_SECRET_BYTES)
        headers = signed(body, secret=given_)
    elif kind == "version":
        headers[2] = (headers[2][0], given_ + headers[2][1][2:])
    else:
        assume(given_.strip() != b"msg_odd")
        headers[0] = (headers[0][0], given_)
    return body, headers


def _same_bytes(spoiled: bytes, signature: bytes) -> bool:
    try:
        return base64.b64decode(spoiled[3:].split(b" ")[0]) == base64.b64decode(signature[3:])
    except ValueError:
        return False


def test_what_is_not_signed_is_always_refused_alike_and_changes_nothing(tmp_path: Path) -> None:
    sent = itertools.count()

    def story(shop: Shop, door: Door, do: Do) -> None:
        body = json_bytes(shop.order_event("delivered"))
        answers: set[tuple[int, bytes, tuple[tuple[bytes, bytes], ...]]] = set()

        @odd_settings(SHARES["orders_forged"])
        @given(_forgeries)
        def examples(how: tuple[Any, ...]) -> None:
            spoiled, headers = _forge(body, how)
            assume((spoiled, how[0]) != (body, "body"))
            next(sent)
            answer = do(post(door, spoiled, headers))
            assert answer.status == 401, how
            answers.add((answer.status, answer.body, answer.headers))

        before = do(rows_of(shop))
        examples()
        assert len(answers) == 1
        assert do(rows_of(shop)) == before
        # The very same event, signed, is taken: it was the signature that was wrong.
        assert do(post(door, body, signed(body))).status == 202

    play_examples(tmp_path, story)
    assert next(sent) >= SHARES["orders_forged"]


# --- Signed ----------------------------------------------------------------------------------------------

_PLACES = [
    ("type",), ("id",), ("occurred_at",), ("order",), ("order", "id"), ("order", "buyer"), ("order", "buyer", "id"),
    ("order", "buyer", "name"), ("order", "buyer", "phone"), ("order", "buyer", "birthday"), ("order", "items"),
    ("order", "items", 0), ("order", "items", 0, "sku"), ("order", "items", 0, "name"), ("order", "items", 0, "quantity"),
    ("order", "items", 0, "price"), ("order", "amount"), ("order", "currency"), ("order", "carrier"),
    ("order", "tracking_no"), ("more",), ("order", "more"),
]  # fmt: skip

_odd_events = st.lists(
    st.tuples(st.sampled_from(_PLACES), st.one_of(odd_texts, odd_json_values)), min_size=1, max_size=3
)


def _changed(event: dict[str, Any], changes: list[tuple[tuple[Any, ...], Any]]) -> bytes:
    event = copy.deepcopy(event)
    for place, value in changes:
        at: Any = event
        for step in place[:-1]:
            inner = (
                at.get(step) if isinstance(at, dict) else at[step] if isinstance(at, list) and at else None
            )
            at = inner if isinstance(inner, dict | list) else {}
        if isinstance(at, dict) or (at and isinstance(place[-1], int)):
            at[place[-1]] = value
    return json_bytes(event)


def test_signed_oddities_are_stored_or_refused_and_a_refusal_changes_nothing(tmp_path: Path) -> None:
    sent = itertools.count()
    statuses: list[int] = []

    def story(shop: Shop, door: Door, do: Do) -> None:
        async def post_and_look(body: bytes, number: int) -> None:
            before = await rows_of(shop)
            answer = await post(door, body, signed(body, f"msg_{number}".encode()))
            statuses.append(answer.status)
            if answer.status in {200, 202}:
                await shop.settle()
                assert await dead_letters(shop) == []
            else:
                check_refusal(answer)
                assert await rows_of(shop) == before

        @odd_settings(SHARES["orders_signed"])
        @given(st.one_of(_odd_events, _odd_events, _odd_events, corpus_bodies))
        def examples(content: Any) -> None:
            number = next(sent)
            event = shop.order_event("delivered", f"O-{number}")
            do(post_and_look(content if isinstance(content, bytes) else _changed(event, content), number))

        examples()

    play_examples(tmp_path, story)
    assert next(sent) >= SHARES["orders_signed"]
    # Both ways were really taken.
    assert min(sum(status == 202 for status in statuses), statuses.count(422)) > 20


def test_odd_but_valid_words_are_stored_and_shown_as_they_are(tmp_path: Path) -> None:
    """In the customer's own answer and in the link: nothing is filled in, cut or taken for a command."""

    def story(shop: Shop, door: Door, do: Do) -> None:
        numbers = itertools.count(1)

        async def order(order_id: str, name: str, item: str, carrier: str) -> None:
            number = next(numbers)
            order_id = f"{number}{order_id}"[:128]
            event = shop.order_event(
                "shipped", order_id, buyer=f"b-{number}", carrier=carrier, tracking_no=name
            )
            event["id"] = f"evt-{number}"
            event["order"]["buyer"]["name"] = name
            event["order"]["items"][0]["name"] = item
            body = json.dumps(event, ensure_ascii=False).encode()
            assert (await post(door, body, signed(body, f"msg_{number}".encode()))).status == 202
            await shop.settle()
            stored = await shop.run(lambda unit: unit.orders.lock(order_id))
            assert stored is not None
            assert (stored.snapshot.buyer.name, stored.snapshot.carrier) == (name, carrier)
            link = await door.ask(
                "GET",
                f"/api/v1/orders/{quote(order_id, safe='')}/links",
                headers=[(b"authorization", b"Bearer " + API_KEY.encode())],
            )
            assert link.status == 200, order_id
            token = json.loads(link.body)["web"].partition("#order=")[2]
            page = await Page.open(door, number, token)
            await page.write("status", "查订单")
            await shop.settle()
            lines, _ = await page.screen()
            shown = "\n".join(line.text for line in lines if line.author == "bot")
            assert order_id in shown
            # The one exception has a test of its own, below.
            assert item in shown or "{number}" in item

        @odd_settings(15)
        @given(plain_texts(100), plain_texts(128), plain_texts(100), plain_texts(100))
        def examples(order_id: str, name: str, item: str, carrier: str) -> None:
            do(order(order_id, name, item, carrier))

        # Each text of the corpus in each place once, then mixed ones.
        known = [text[:100] for text in plain_corpus]
        for at, text in enumerate(known):
            do(order(text, known[at - 1], known[at - 2], known[at - 3]))
        examples()

    play_examples(tmp_path, story)


def test_a_placeholder_of_ours_in_a_shops_words_stays_there(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        item = {"sku": "S-1", "name": "第{number}号杯子", "quantity": 1, "price": "1.00"}
        await shop.reports_event("paid", items=[item])
        customer = await shop.customer(order_token=await shop.link())
        assert "第{number}号杯子" in (await customer.says("查订单"))[0]

    play(tmp_path, story)


@pytest.mark.parametrize("name", ["xss.script", "template.own_names", "sql.drop", "unicode.bidi_override"])
def test_an_id_that_is_odd_is_an_id(tmp_path: Path, name: str) -> None:
    """What the shop may call an order, it may ask for."""
    order_id = corpus.TEXTS[name]
    assert order_id in plain_corpus

    def story(shop: Shop, door: Door, do: Do) -> None:
        async def ask() -> None:
            await shop.reports_event("paid", order_id)
            link = await door.ask(
                "GET",
                f"/api/v1/orders/{quote(order_id, safe='')}/links",
                headers=[(b"authorization", b"Bearer " + API_KEY.encode())],
            )
            assert link.status == 200

        do(ask())

    play_examples(tmp_path, story)
