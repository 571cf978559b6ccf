"""Updates that Telegram would hardly send: real ones bent and broken, any JSON, any bytes."""

from __future__ import annotations

import copy
import json
import os
import random
from functools import cache
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

NUMBER = "@ID"
"""Stands in the bytes where the update's number goes."""
_QUOTED = json.dumps(NUMBER).encode()

_any_text = st.text(st.characters(exclude_categories=()), max_size=12)
_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.integers(-(2**70), 2**70),
    st.sampled_from([2**31, 2**53, -(2**63), 10**400, 1.5, 1e400, float("nan")]),
    _any_text,
    st.sampled_from(
        ["", "private", "supergroup", "/start x", "/link", "转人工", "\x00", "\ud800", "x" * 5000]
    ),
)
_values = st.recursive(
    _scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_any_text, inner, max_size=3)),
    max_leaves=5,
)


def _person(number: int) -> dict[str, Any]:
    return {"id": number, "is_bot": False, "first_name": "小明", "language_code": "zh-hans"}


def _message(number: int, **content: Any) -> dict[str, Any]:
    chat = {"id": number, "type": "private", "first_name": "小明"}
    return {"message_id": 7, "date": 1_790_000_000, "chat": chat, "from": _person(number), **content}


def real_updates(person: int, message: int) -> list[dict[str, Any]]:
    """One of each kind that we handle, of that person, with that number of a message."""
    size = {"file_id": "F", "file_unique_id": "U", "width": 9, "height": 9, "file_size": 3}
    bot = {"id": 7_000_000_001, "is_bot": True, "first_name": "回音"}
    button = {"inline_keyboard": [[{"text": "好", "callback_data": "B" * 22}]]}
    entity = {"type": "bot_command", "offset": 0, "length": 6}
    group = {"id": -100, "type": "supergroup", "title": "群", "is_forum": True}
    told = [
        ("message", _message(person, text="什么时候发货")),
        ("message", _message(person, text="/start abc", entities=[entity])),
        ("message", _message(person, photo=[size, size], caption="碎了", media_group_id="g")),
        ("message", _message(person, location={"latitude": 1.5, "longitude": 2.5})),
        ("message", _message(person, contact={"phone_number": "1", "first_name": "a"})),
        ("message", _message(person, sticker={**size, "type": "regular", "is_animated": False, "is_video": False})),
        ("message", {**_message(person, text="群里"), "chat": group, "message_thread_id": 3}),
        ("edited_message", _message(person, text="改了", edit_date=1_790_000_009)),
        (
            "callback_query",
            {
                "id": "1", "from": _person(person), "chat_instance": "1", "data": "B" * 22,
                "message": {**_message(person, text="?", reply_markup=button), "from": bot},
            },
        ),
        (
            "my_chat_member",
            {
                "chat": {"id": person, "type": "private"}, "from": _person(person), "date": 1,
                "old_chat_member": {"user": bot, "status": "member"},
                "new_chat_member": {"user": bot, "status": "kicked", "until_date": 0},
            },
        ),
    ]  # fmt: skip
    for _, body in told:
        if "message_id" in body:
            body["message_id"] = message
    return [{"update_id": NUMBER, kind: body} for kind, body in told]


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) inside."""
    keys: list[Any] = list(value) if isinstance(value, dict) else list(range(len(value)))
    found = [(value, key) for key in keys]
    for key in keys:
        if isinstance(value[key], dict | list):
            found += _places(value[key])
    return found


class _Bender:
    """Bends and breaks real updates with what Hypothesis found; the same each time for one seed."""

    def __init__(self, chance: random.Random, values: list[Any], noise: list[bytes]) -> None:
        self._chance = chance
        self._values = values
        self._noise = noise

    def next(self) -> bytes:
        """One more odd update."""
        make = self._chance.choices(
            [self._bent, self._broken, self._alien, self._just_bytes], [55, 25, 12, 8]
        )[0]
        return make()

    def _value(self) -> Any:
        return copy.deepcopy(self._chance.choice(self._values))

    def _real(self) -> dict[str, Any]:
        person, message = self._chance.randint(100, 140), self._chance.randint(1, 3000)
        return self._chance.choice(real_updates(person, message))

    def _bent(self) -> bytes:
        chance, update = self._chance, self._real()
        for _ in range(chance.randint(1, 3)):
            places = _places(update)[1:]
            if not places:
                break
            container, key = chance.choice(places)
            how = chance.choice(["replace", "replace", "remove", "add"])
            if how == "replace" or isinstance(container, list):
                container[key] = self._value()
            elif how == "remove":
                del container[key]
            else:
                container[str(self._value())[:20]] = self._value()
        if chance.random() < 0.1:
            update["update_id"] = chance.choice([self._value(), 5, "77", 2**60])
        return json.dumps(update, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")

    def _broken(self) -> bytes:
        chance, raw = self._chance, json.dumps(self._real()).encode()
        at = chance.randrange(1, len(raw))
        how = chance.choice(["cut", "head", "flip", "flip", "insert", "insert", "nest"])
        if how == "cut":
            return raw[:at]
        if how == "head":
            return raw[at:]
        if how == "flip":
            return raw[:at] + bytes([raw[at] ^ chance.randint(1, 255)]) + raw[at + 1 :]
        if how == "nest":
            depth = chance.choice([50, 900, 1100, 20_000]) + chance.randint(0, 40)
            return b'{"update_id":"@ID","message":' + b"[" * depth + b"]" * depth + b"}"
        return raw[:at] + chance.choice(self._noise) + raw[at:]

    def _alien(self) -> bytes:
        value = self._value()
        if isinstance(value, dict) and self._chance.random() < 0.7:
            value = {"update_id": NUMBER, **value}
        elif self._chance.random() < 0.5:
            kind = self._chance.choice(["message", "callback_query", "poll", "my_chat_member", "future"])
            value = {"update_id": NUMBER, kind: value, "n": self._chance.randint(0, 10**6)}
        return json.dumps(value).encode()

    def _just_bytes(self) -> bytes:
        return self._chance.choice(self._noise) + self._chance.choice(self._noise)


def numbered(raw: bytes, number: int) -> bytes:
    """With the number in its place."""
    return raw.replace(_QUOTED, str(number).encode()).replace(NUMBER.encode(), b"0")


@cache
def gather(count: int) -> tuple[bytes, ...]:
    """That many different odd updates, always the same unless ``HUIYIN_TEST_ODD_SEED`` says otherwise."""
    chosen = os.environ.get("HUIYIN_TEST_ODD_SEED", "")
    number = random.SystemRandom().randrange(2**32) if chosen == "random" else int(chosen or 20261121)
    print(f"HUIYIN_TEST_ODD_SEED={number}")
    values: list[Any] = []
    noise: list[bytes] = []

    @seed(number)
    @settings(
        max_examples=250,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(_values, min_size=3, max_size=3), st.binary(min_size=1, max_size=60))
    def draw(some: list[Any], raw: bytes) -> None:
        values.extend(some)
        noise.append(raw)

    draw()
    bender = _Bender(random.Random(number), values, noise)
    found: dict[bytes, None] = {}
    while len(found) < count:
        found.setdefault(bender.next())
    return tuple(found)
