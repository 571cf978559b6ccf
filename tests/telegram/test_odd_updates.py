"""5,000 odd updates through both doors: nothing stops, nothing is lost, and staff see what nobody can read."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
from intake_rig import SECRET, TelegramShop, Webhook, play
from odd_updates import gather, numbered
from sqlalchemy import text

from bot.telegram.setup import WEBHOOK_PATH

POLLED = 1500
BROUGHT = 3500
_GATHERED = POLLED + BROUGHT + 300
"""A few more, because not everything can stand in a list of updates."""
_AT_ONCE = 100
_WORKERS = 4


def can_be_read(raw: bytes) -> bool:
    """Whether these bytes are an update at all: JSON in UTF-8, an object, with a number of an update."""
    try:
        value = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError):
        return False
    number = value.get("update_id") if isinstance(value, dict) else None
    return type(number) is int and 0 < number < 2**52


def is_one_element(raw: bytes) -> bool:
    """Whether these bytes among others in a list are either ruins, or one thing and no more or less."""
    try:
        return len(json.loads(b"[" + raw + b"]")) == 1
    except (ValueError, RecursionError):
        return raw.strip(b" \t\r\n,") == raw != b""


async def stored(telegram: TelegramShop) -> dict[str, str]:
    """State by hash of everything that came in."""

    def work(unit: Any) -> dict[str, str]:
        found = unit.session.execute(text("SELECT body_hash, state FROM inbox WHERE source = 'telegram'"))
        return {row[0]: row[1] for row in found}

    return await telegram.shop.run(work)


class Crowd:
    """Sends odd updates in portions, and after each a normal question that must be answered."""

    def __init__(self, telegram: TelegramShop, bring: Callable[[list[bytes]], Awaitable[None]]) -> None:
        self._telegram = telegram
        self._bring = bring
        self._number = 0
        self.sent: list[bytes] = []
        self.answered = 0

    async def talk(self, raws: list[bytes]) -> None:
        for at in range(0, len(raws), _AT_ONCE):
            await self._bring(raws[at : at + _AT_ONCE])
            # As the service does it, with several workers side by side.
            await asyncio.gather(*(self._telegram.settle() for _ in range(_WORKERS)))
            self._number += 1
            person = 10_000 + self._number
            assert (await self._telegram.said(person), len(await self._telegram.answers(person))) == (
                ["什么时候发货"],
                1,
            ), f"the question after {at + _AT_ONCE} odd updates"
            self.answered += 1

    def question(self) -> dict[str, Any]:
        """The normal message that goes along with the next portion."""
        person = 10_000 + self._number + 1
        return {
            "message_id": 1,
            "date": 1_790_000_000,
            "chat": {"id": person, "type": "private", "first_name": "小明"},
            "from": {"id": person, "is_bot": False, "first_name": "小明"},
            "text": "什么时候发货",
        }

    async def check(self) -> None:
        """Everything that came is there and worked; what nobody can read is a dead letter."""
        states = await stored(self._telegram)
        lost = [raw for raw in self.sent if hashlib.sha256(raw).hexdigest() not in states]
        assert lost == []
        assert set(states.values()) <= {"done", "dead"}
        unreadable = [raw for raw in self.sent if not can_be_read(raw)]
        assert unreadable
        hidden = [raw for raw in unreadable if states[hashlib.sha256(raw).hexdigest()] != "dead"]
        assert hidden == []
        dead = await self._telegram.dead()
        assert len(dead) == sum(state == "dead" for state in states.values())
        # What fails does so because of what came, at the first try, and never because of a fault of ours.
        assert {letter.error for letter in dead} <= {
            "not_json", "not_an_object", "no_update_id", "InvalidInputError",
        }  # fmt: skip


def test_odd_updates_that_are_polled(tmp_path: Path) -> None:
    async def story(telegram: TelegramShop) -> None:
        api, poller = telegram.api, telegram.poller()

        async def bring(raws: list[bytes]) -> None:
            for raw in raws[: len(raws) // 2]:
                push(raw)
            api.push("message", crowd.question())
            for raw in raws[len(raws) // 2 :]:
                push(raw)
            await telegram.polls_all(poller)

        def push(raw: bytes) -> None:
            number = api.updates.next_id
            crowd.sent.append(numbered(raw, number))
            api.push_raw(crowd.sent[-1])

        crowd = Crowd(telegram, bring)
        api.user(1).says("在吗")
        await telegram.polls_all(poller)
        odd = [raw for raw in gather(_GATHERED)[BROUGHT:] if is_one_element(numbered(raw, 1))][:POLLED]
        await crowd.talk(odd)
        await crowd.check()
        assert len(crowd.sent) == POLLED
        assert crowd.answered == POLLED // _AT_ONCE

    play(tmp_path, story)


def test_odd_updates_that_are_brought(tmp_path: Path) -> None:
    async def story(telegram: TelegramShop) -> None:
        transport = httpx.ASGITransport(app=Webhook(telegram).app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            next_id = 500_000_000

            async def post(body: bytes) -> None:
                headers = {"X-Telegram-Bot-Api-Secret-Token": SECRET}
                answer = await client.post(WEBHOOK_PATH, content=body, headers=headers)
                assert (answer.status_code, answer.content) == (200, b"{}"), body[:200]

            async def bring(raws: list[bytes]) -> None:
                nonlocal next_id
                bodies = []
                for raw in raws:
                    next_id += 1
                    bodies.append(numbered(raw, next_id))
                crowd.sent += bodies
                next_id += 1
                question = json.dumps({"update_id": next_id, "message": crowd.question()}).encode()
                bodies.insert(len(bodies) // 2, question)
                await asyncio.gather(*(post(body) for body in bodies))

            crowd = Crowd(telegram, bring)
            await crowd.talk(list(gather(_GATHERED)[:BROUGHT]))
            await crowd.check()
            assert len(crowd.sent) == BROUGHT
            assert crowd.answered == BROUGHT // _AT_ONCE

    play(tmp_path, story)


def test_the_oracle_knows_what_can_be_read() -> None:
    assert can_be_read(b'{"update_id":1}')
    assert not can_be_read(b'{"update_id":true}')
    assert not can_be_read(b'{"update_id":1')
    assert not can_be_read(b"\xff")
    assert is_one_element(b"null")
    assert is_one_element(b"{{")
    assert not is_one_element(b"1,2")
    assert not is_one_element(b" ")
    assert len({numbered(raw, 1) for raw in gather(_GATHERED)}) > 4900
