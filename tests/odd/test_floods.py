"""Floods: who is too fast is told so and when to come again, before anything is stored."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from odd_chat import JSON, Page, check_refusal
from odd_door import Answer, Door, play_examples, rows_of
from shop import Shop

Do = Callable[[Awaitable[Any]], Any]


def _check_told_to_wait(answer: Answer) -> None:
    assert answer.status == 429
    assert 1 <= int(answer.header("retry-after")) <= 3600
    check_refusal(answer)


def test_a_flood_of_messages_is_refused_before_storing_and_others_are_served(tmp_path: Path) -> None:
    def story(shop: Shop, door: Door, do: Do) -> None:
        async def flood() -> None:
            loud, calm = await Page.open(door, 1), await Page.open(door, 2)
            answers = await asyncio.gather(*(loud.write(f"m{at}", f"第 {at} 句") for at in range(200)))
            taken = [at for at, answer in enumerate(answers) if answer.status == 202]
            assert len(taken) == 20
            for answer in answers:
                if answer.status != 202:
                    _check_told_to_wait(answer)
            before = await rows_of(shop)
            for at in range(50):
                _check_told_to_wait(await loud.write(f"n{at}", "再来"))
            assert await rows_of(shop) == before
            assert (await calm.write("calm", "什么时候发货")).status == 202
            await shop.settle()
            lines, _ = await loud.screen()
            said = [line.text for line in lines if line.author == "customer"]
            # They came all at once, so any order is theirs.
            assert sorted(said) == sorted(f"第 {at} 句" for at in taken)
            assert [line.author for line in (await calm.screen())[0]] == ["customer", "bot"]

        do(flood())

    play_examples(tmp_path, story)


def test_a_message_that_was_taken_is_confirmed_again_to_whoever_repeats_it_in_time(tmp_path: Path) -> None:
    """A browser that lost the answer repeats; it is told the same, and one line is stored."""

    def story(shop: Shop, door: Door, do: Do) -> None:
        async def repeat() -> None:
            page = await Page.open(door, 1)
            answers = await asyncio.gather(*(page.write("same", "在吗") for _ in range(15)))
            assert {answer.status for answer in answers} == {202}
            assert len({answer.body for answer in answers}) == 1
            await shop.settle()
            lines, _ = await page.screen()
            assert [line.text for line in lines if line.author == "customer"] == ["在吗"]

        do(repeat())

    play_examples(tmp_path, story)


def test_a_flood_of_sessions_from_one_address_stores_no_more_of_them(tmp_path: Path) -> None:
    def story(shop: Shop, door: Door, do: Do) -> None:
        async def open_one(number: int, address: str) -> Answer:
            body = json.dumps({"client_session_id": f"flood-session-{number:08d}"}).encode()
            return await door.ask("POST", "/api/v1/chat/sessions", headers=[JSON], body=body, address=address)

        async def flood() -> None:
            answers = [await open_one(number, "203.0.113.7") for number in range(60)]
            assert [answer.status for answer in answers[:30]] == [200] * 30
            before = await rows_of(shop)
            for answer in answers[30:]:
                _check_told_to_wait(answer)
            _check_told_to_wait(await open_one(99, "203.0.113.7"))
            assert await rows_of(shop) == before
            assert (await open_one(100, "203.0.113.8")).status == 200

        do(flood())

    play_examples(tmp_path, story)


def test_a_flood_of_streams_and_of_logins_is_told_to_wait(tmp_path: Path) -> None:
    def story(shop: Shop, door: Door, do: Do) -> None:
        async def flood() -> None:
            page = await Page.open(door, 1)
            statuses = []
            for _ in range(70):
                answer = await door.ask("GET", "/api/v1/chat/events", headers=[page.bearer])
                statuses.append(answer.status)
            assert statuses == [200] * 60 + [429] * 10
            _check_told_to_wait(answer)
            shown = await door.ask("GET", "/console/login")
            csrf = shown.body.decode().partition('name="csrf" value="')[2].partition('"')[0]
            cookie = shown.header("set-cookie").partition(";")[0].encode()
            headers = [(b"cookie", cookie), (b"content-type", b"application/x-www-form-urlencoded")]
            body = f"csrf={csrf}&login=admin&password=guess".encode()
            tries = [await door.ask("POST", "/console/login", headers=headers, body=body) for _ in range(8)]
            assert [answer.status for answer in tries] == [401] * 5 + [429] * 3
            assert int(tries[-1].header("retry-after")) >= 1

        do(flood())

    play_examples(tmp_path, story)
