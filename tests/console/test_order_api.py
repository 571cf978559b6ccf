"""What shop systems see: order events are taken once, refused with reasons, and never break anything."""

from __future__ import annotations

import asyncio
import base64
import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from console_rig import API_KEY, NOW, SECRETS, Rig
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook

from desk.errors import StorageUnavailableError
from desk.values import OrderStatus

EVENT: dict[str, Any] = {
    "type": "order.delivered",
    "id": "evt-1",
    "occurred_at": "2026-11-20T10:00:00+08:00",
    "order": {
        "id": "A-1001",
        "buyer": {"id": "b-7", "name": "王小明", "phone": "13800001234"},
        "items": [{"sku": "S1", "name": "保温杯", "quantity": 2, "price": "64.00"}],
        "amount": "128.00",
        "currency": "CNY",
    },
}


def event(change: Callable[[dict[str, Any]], object] = lambda found: None) -> bytes:
    """The sample event as bytes, changed."""
    found = copy.deepcopy(EVENT)
    change(found)
    return json.dumps(found).encode()


def signed(raw: bytes, secret: str = SECRETS[0], webhook_id: str = "wh-1", at: datetime | None = None) -> Any:
    """Headers that fit the body."""
    at = at or datetime.now(UTC)
    signature = Webhook(secret).sign(webhook_id, at, raw.decode("utf-8", "replace"))
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signature,
    }


async def post(rig: Rig, raw: bytes, headers: dict[str, str] | None = None) -> httpx.Response:
    """Sends an event, signed unless headers are given."""
    async with rig.client() as client:
        return await client.post(
            "/api/v1/orders/events", content=raw, headers=signed(raw) if headers is None else headers
        )


def test_a_signed_event_is_stored_and_a_second_delivery_is_known(rig: Rig) -> None:
    raw = event()
    first = asyncio.run(post(rig, raw))
    again = asyncio.run(post(rig, raw))
    assert (first.status_code, first.json()) == (202, {"duplicate": False})
    assert (again.status_code, again.json()) == (200, {"duplicate": True})
    stored = rig.orders.events["wh-1"]
    assert stored[1] == raw
    assert stored[0].status is OrderStatus.DELIVERED
    assert stored[0].order.amount_minor == 12800
    assert stored[0].order.items[0].price_minor == 6400
    assert stored[0].occurred_at == datetime(2026, 11, 20, 2, tzinfo=UTC)


def test_both_secrets_fit_while_one_replaces_the_other(rig: Rig) -> None:
    raw = event()
    assert asyncio.run(post(rig, raw, signed(raw, SECRETS[1]))).status_code == 202


def test_another_body_under_a_known_id_is_a_conflict(rig: Rig) -> None:
    asyncio.run(post(rig, event()))
    other = asyncio.run(post(rig, event(lambda found: found["order"].update(amount="1.00"))))
    assert other.status_code == 409
    assert set(other.json()["detail"]) == {"reason"}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda headers: headers.clear(),
        lambda headers: headers.pop("webhook-id"),
        lambda headers: headers.update({"webhook-signature": "v1"}),
        lambda headers: headers.update({"webhook-signature": "v1,***"}),
        lambda headers: headers.update({"webhook-signature": "v1,é"}),
        lambda headers: headers.update({"webhook-signature": "v1,a,b"}),
        lambda headers: headers.update({"webhook-signature": "v2," + base64.b64encode(b"x" * 32).decode()}),
        lambda headers: headers.update({"webhook-timestamp": "nan"}),
        lambda headers: headers.update({"webhook-timestamp": "1e999"}),
        lambda headers: headers.update({"webhook-timestamp": "-99999999999999"}),
        lambda headers: headers.update({"webhook-id": "another"}),
    ],
)
def test_whatever_is_not_signed_is_refused(rig: Rig, spoil: Callable[[dict[str, str]], object]) -> None:
    raw = event()
    headers = signed(raw)
    spoil(headers)
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}
    answer = asyncio.run(post(rig, raw, encoded))  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()) == (401, {"detail": {"reason": "not authorised"}})
    assert not rig.orders.events


def test_an_unknown_key_an_old_and_a_future_signature_and_a_changed_body_are_refused(rig: Rig) -> None:
    raw = event()
    unknown = "whsec_" + base64.b64encode(b"k" * 32).decode()
    now = datetime.now(UTC)
    for headers in (
        signed(raw, unknown),
        signed(raw, at=now - timedelta(seconds=310)),
        signed(raw, at=now + timedelta(seconds=310)),
        signed(raw + b" "),
    ):
        assert asyncio.run(post(rig, raw, headers)).status_code == 401
    assert asyncio.run(post(rig, b"\xff\xfe")).status_code == 401
    assert not rig.orders.events


BAD: list[tuple[str, Callable[[dict[str, Any]], object]]] = [
    ("type", lambda found: found.update(type="order.eaten")),
    ("type", lambda found: found.pop("type")),
    ("id", lambda found: found.update(id="")),
    ("id", lambda found: found.update(id=7)),
    ("id", lambda found: found.update(id="x" * 129)),
    ("id", lambda found: found.update(id="a\u0000b")),
    ("occurred_at", lambda found: found.update(occurred_at="2026-11-20T10:00:00")),
    ("occurred_at", lambda found: found.update(occurred_at=1700000000)),
    ("occurred_at", lambda found: found.update(occurred_at="yesterday")),
    ("occurred_at", lambda found: found.update(occurred_at="0001-01-01T00:00:00+14:00")),
    ("occurred_at", lambda found: found.update(occurred_at="9999-12-31T23:59:59-14:00")),
    ("occurred_at", lambda found: found.update(occurred_at=(NOW + timedelta(minutes=11)).isoformat())),
    ("order", lambda found: found.update(order=[])),
    ("order.buyer.name", lambda found: found["order"]["buyer"].update(name="\ud83d")),
    ("order.buyer.name", lambda found: found["order"]["buyer"].update(name="   ")),
    ("order.buyer.phone", lambda found: found["order"]["buyer"].update(phone="1" * 33)),
    ("order.buyer.birthday", lambda found: found["order"]["buyer"].update(birthday="2026-02-30")),
    ("order.items", lambda found: found["order"].update(items={})),
    ("order.items", lambda found: found["order"].update(items=found["order"]["items"] * 501)),
    ("order.items.0.price", lambda found: found["order"]["items"][0].update(price=64.0)),
    ("order.items.0.price", lambda found: found["order"]["items"][0].update(price="64.001")),
    ("order.items.0.price", lambda found: found["order"]["items"][0].update(price="６４")),
    ("order.items.0.price", lambda found: found["order"]["items"][0].update(price=True)),
    ("order.items.0.price", lambda found: found["order"]["items"][0].update(price="-1")),
    ("order.items.0.quantity", lambda found: found["order"]["items"][0].update(quantity=0)),
    ("order.items.0.quantity", lambda found: found["order"]["items"][0].update(quantity=1_000_001)),
    ("order.items.0.quantity", lambda found: found["order"]["items"][0].update(quantity="2")),
    ("order.amount", lambda found: found["order"].update(amount=10**400)),
    ("order.amount", lambda found: found["order"].update(amount="999999999999999")),
    ("order.currency", lambda found: found["order"].update(currency="cny")),
    ("order.currency", lambda found: found["order"].update(currency="XXX")),
]


@pytest.mark.parametrize(("field", "change"), BAD)
def test_a_malformed_event_is_refused_by_the_name_of_its_field(
    rig: Rig, field: str, change: Callable[[dict[str, Any]], object]
) -> None:
    answer = asyncio.run(post(rig, event(change)))
    assert answer.status_code == 422
    assert answer.json()["detail"]["field"] == field
    assert answer.json()["detail"]["reason"]
    assert not rig.orders.events


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
        b'{"id": "x", "id": "y"}',
        b'{"id": NaN}',
        b'{"id": -Infinity}',
        b'{"id": ' + b"9" * 5000 + b"}",
        json.dumps({"a": [[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]}).encode(),
    ],
)
def test_a_body_that_is_no_plain_json_object_is_refused(rig: Rig, raw: bytes) -> None:
    answer = asyncio.run(post(rig, raw))
    assert answer.status_code == 422
    assert answer.json()["detail"]["field"] == "body" or raw == b'{"id": 999}'


def test_amounts_follow_the_decimals_of_their_currency(rig: Rig) -> None:
    def yen(found: dict[str, Any]) -> None:
        found["order"].update(currency="JPY", amount="1500", items=[])

    assert asyncio.run(post(rig, event(yen))).status_code == 202
    assert rig.orders.events["wh-1"][0].order.amount_minor == 1500

    def fraction(found: dict[str, Any]) -> None:
        found["order"].update(currency="JPY", amount="1500.5", items=[])

    answer = asyncio.run(post(rig, event(fraction)))
    assert (answer.status_code, answer.json()["detail"]["field"]) == (422, "order.amount")


def test_unknown_fields_are_no_reason_to_lose_an_event(rig: Rig) -> None:
    raw = event(lambda found: found.update(shop_extra={"weight": 1.5}))
    assert asyncio.run(post(rig, raw)).status_code == 202


def test_a_body_above_256_kib_is_refused_announced_or_not(rig: Rig) -> None:
    big = b'{"x":"' + b"a" * (256 * 1024) + b'"}'
    assert asyncio.run(post(rig, big)).status_code == 413

    async def in_pieces() -> httpx.Response:
        async def pieces() -> Any:
            for at in range(0, len(big), 65536):
                yield big[at : at + 65536]

        async with rig.client() as client:
            return await client.post("/api/v1/orders/events", content=pieces(), headers=signed(big))

    assert asyncio.run(in_pieces()).status_code == 413


def test_what_cannot_be_stored_is_to_be_sent_again(rig: Rig) -> None:
    rig.orders.fault = StorageUnavailableError("disk full", timedelta(seconds=7))
    answer = asyncio.run(post(rig, event()))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")


def test_a_fault_of_ours_is_a_500_without_its_words(rig: Rig) -> None:
    rig.orders.fault = RuntimeError("王小明 13800001234")
    answer = asyncio.run(post(rig, event()))
    assert answer.status_code == 500
    assert answer.json() == {"detail": {"reason": "something went wrong on our side"}}


CANARY = "CANARY-7731"


@pytest.mark.parametrize("where", ["type", "id", "occurred_at", "amount", "currency", "price", "key"])
def test_refusals_never_repeat_what_came_in(rig: Rig, where: str) -> None:
    def spoil(found: dict[str, Any]) -> None:
        if where in ("type", "occurred_at"):
            found[where] = CANARY
        elif where == "id":
            found["id"] = CANARY * 20
        elif where == "price":
            found["order"]["items"][0]["price"] = CANARY
        elif where == "key":
            found["order"][CANARY] = float("nan")
        else:
            found["order"][where] = CANARY

    answer = asyncio.run(post(rig, event(spoil)))
    assert answer.status_code == 422
    assert CANARY not in answer.text


async def links(rig: Rig, order: str, authorization: str | None) -> httpx.Response:
    """Asks for an order's links."""
    headers = {} if authorization is None else {"Authorization": authorization}
    async with rig.client() as client:
        return await client.get(f"/api/v1/orders/{order}/links", headers=headers)


def test_links_need_the_key_and_an_order_that_is_there(rig: Rig) -> None:
    rig.orders.links["A-1001"] = "tok"
    rig.orders.links["A/1%?"] = "tok2"
    for wrong in (None, "", API_KEY, f"Basic {API_KEY}", f"Bearer {API_KEY}x", "Bearer "):
        assert asyncio.run(links(rig, "A-1001", wrong)).status_code == 401
    right = f"Bearer {API_KEY}"
    found = asyncio.run(links(rig, "A-1001", right))
    assert found.json() == {"telegram": None, "web": "http://127.0.0.1:8080/chat#order=tok"}
    assert asyncio.run(links(rig, "A%2F1%25%3F", right)).json()["web"].endswith("tok2")
    for missing in ("nobody", "x" * 129, "a%00b", "%ff%fe"):
        assert asyncio.run(links(rig, missing, right)).status_code == 404


FUZZED = Rig.with_fakes()


@settings(max_examples=150, deadline=None)
@given(
    raw=st.one_of(
        st.binary(max_size=300),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
            ),
            max_leaves=12,
        ).map(lambda value: json.dumps(value).encode()),
        st.tuples(
            st.sampled_from(["type", "id", "occurred_at", "amount", "currency", "items", "buyer"]),
            st.none()
            | st.booleans()
            | st.integers()
            | st.floats()
            | st.text(max_size=30)
            | st.just("\ud800"),
        ).map(
            lambda pair: event(
                lambda found: (
                    found.update({pair[0]: pair[1]})
                    if pair[0] in found
                    else found["order"].update({pair[0]: pair[1]})
                )
            )
        ),
    ),
    sign=st.booleans(),
    junk=st.binary(max_size=60),
)
def test_no_body_and_no_header_breaks_the_door(raw: bytes, sign: bool, junk: bytes) -> None:
    FUZZED.orders.events.clear()
    headers: Any = signed(raw)
    if not sign:
        headers = [(b"webhook-id", junk), (b"webhook-timestamp", junk), (b"webhook-signature", b"v1," + junk)]
        headers = [(name, value.replace(b"\r", b"").replace(b"\n", b"")) for name, value in headers]
    answer = asyncio.run(post(FUZZED, raw, headers))
    assert answer.status_code in ((202, 401, 422) if sign else (401,))
