"""Whatever comes in through the chat is answered, kept exactly once, and stops nothing."""

from __future__ import annotations

import itertools
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import corpus
import pytest
from hypothesis import given
from hypothesis import strategies as st
from odd_chat import Page, as_stored, check_refusal, is_takable
from odd_door import Door, dead_letters, play_examples, rows_of
from odd_strategies import (
    SHARES,
    odd_bodies,
    odd_header_values,
    odd_headers,
    odd_settings,
    odd_texts,
)
from shop import Shop

Do = Callable[[Awaitable[Any]], Any]

_A_QUESTION = "什么时候发货"
_LINES_AT_ONCE = 10
_REQUESTS_AT_ONCE = 8


def test_every_odd_message_is_on_the_screen_once_and_the_bot_goes_on(tmp_path: Path) -> None:
    sent = itertools.count()

    def story(shop: Shop, door: Door, do: Do) -> None:
        customers = itertools.count(1)

        async def talk(texts: list[tuple[str, bool]]) -> None:
            page = await Page.open(door, next(customers))
            taken: dict[str, str] = {}
            for at, (text, ascii_only) in enumerate(texts):
                next(sent)
                answer = await page.write(f"m{at}", text, ascii_only=ascii_only)
                stored = as_stored(text)
                is_utf8 = ascii_only or not any(0xD800 <= ord(letter) <= 0xDFFF for letter in text)
                fits = len(json.dumps(text, ensure_ascii=ascii_only).encode("utf-8", "replace")) < 65_000
                if is_takable(stored) and is_utf8 and fits:
                    assert answer.status == 202, (text[:80], answer)
                    taken[f"m{at}"] = stored
                else:
                    assert answer.status == 422, (text[:80], answer)
                    check_refusal(answer)
            await shop.settle()
            lines, speaker = await page.screen()
            own = [(line.client_msg_id, line.text) for line in lines if line.author == "customer"]
            assert own == list(taken.items())
            assert [line.seq for line in lines] == list(range(1, len(lines) + 1))
            await _is_answered(shop, page, speaker)
            await _is_answered(shop, await Page.open(door, next(customers)), "bot")
            assert await dead_letters(shop) == []

        @odd_settings(SHARES["chat_messages"] // _LINES_AT_ONCE)
        @given(
            st.lists(st.tuples(odd_texts, st.booleans()), min_size=_LINES_AT_ONCE, max_size=_LINES_AT_ONCE)
        )
        def examples(texts: list[tuple[str, bool]]) -> None:
            do(talk(texts))

        before = do(rows_of(shop))
        examples()
        # No text was a command: all tables are there, and nobody was made staff.
        after = do(rows_of(shop))
        assert set(after) == set(before)
        assert after["staff"] == before["staff"]

    play_examples(tmp_path, story)
    assert next(sent) >= SHARES["chat_messages"]


async def _is_answered(shop: Shop, page: Page, speaker: str) -> None:
    """A normal question gets an answer of the bot, unless a person was asked for and is awaited."""
    before, _ = await page.screen()
    assert (await page.write("normal", _A_QUESTION)).status == 202
    await shop.settle()
    lines, _ = await page.screen()
    assert lines[len(before)].text == _A_QUESTION
    if speaker == "bot":
        assert [line.author for line in lines[len(before) + 1 :]] == ["bot"]


_ENDPOINTS = [
    ("POST", "/api/v1/chat/sessions"),
    ("POST", "/api/v1/chat/messages"),
    ("POST", "/api/v1/chat/messages"),
    ("POST", "/api/v1/chat/seen"),
    ("GET", "/api/v1/chat/events"),
]
_METHODS = [
    "GET",
    "HEAD",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "PROPFIND",
    "get",
    "X" * 40,
]
_requests = st.fixed_dictionaries(
    {
        "where": st.one_of(
            st.sampled_from(_ENDPOINTS),
            st.sampled_from(_ENDPOINTS),
            st.tuples(st.sampled_from(_METHODS), st.sampled_from([path for _, path in _ENDPOINTS])),
            st.tuples(st.sampled_from(["GET", "POST"]), st.sampled_from(corpus.PATHS)),
        ),
        "query": st.one_of(st.just(b""), st.sampled_from(corpus.AFTER)),
        "type": st.one_of(st.just(b"application/json"), st.sampled_from(corpus.CONTENT_TYPES)),
        "odd_token": st.one_of(st.none(), st.none(), odd_header_values),
        "headers": odd_headers,
        "body": odd_bodies,
    }
)


def test_no_odd_request_is_answered_with_a_fault_of_ours(tmp_path: Path) -> None:
    sent = itertools.count()

    def story(shop: Shop, door: Door, do: Do) -> None:
        customers = itertools.count(1)

        async def knock(requests: list[dict[str, Any]]) -> None:
            page = await Page.open(door, next(customers))
            taken: dict[str, str] = {}
            for request in requests:
                next(sent)
                method, path = request["where"]
                odd_token = request["odd_token"]
                token = page.bearer if odd_token is None else (b"authorization", odd_token)
                answer = await door.ask(
                    method,
                    path,
                    query=request["query"],
                    headers=[token, (b"content-type", request["type"]), *request["headers"]],
                    body=request["body"],
                    address=page.address,
                )
                if odd_token is not None and path in {where for _, where in _ENDPOINTS[1:]}:
                    assert answer.status in {401, 405}, answer
                if answer.status >= 400 and path.startswith("/api/v1/") and method != "HEAD":
                    check_refusal(answer)
                if answer.status == 202:
                    said = json.loads(request["body"])
                    taken.setdefault(said["client_msg_id"], as_stored(said["text"]))
            await shop.settle()
            lines, _ = await page.screen()
            assert {line.client_msg_id: line.text for line in lines if line.author == "customer"} == taken
            assert len([line for line in lines if line.author == "customer"]) == len(taken)
            assert await dead_letters(shop) == []

        @odd_settings(SHARES["chat_requests"] // _REQUESTS_AT_ONCE)
        @given(st.lists(_requests, min_size=_REQUESTS_AT_ONCE, max_size=_REQUESTS_AT_ONCE))
        def examples(requests: list[dict[str, Any]]) -> None:
            do(knock(requests))

        examples()
        do(_is_answered_at_last(shop, door))

    play_examples(tmp_path, story)
    assert next(sent) >= SHARES["chat_requests"]


async def _is_answered_at_last(shop: Shop, door: Door) -> None:
    await _is_answered(shop, await Page.open(door, 9_999_999), "bot")


def test_five_megabytes_are_refused_at_every_door_and_nothing_is_stored(tmp_path: Path) -> None:
    def story(shop: Shop, door: Door, do: Do) -> None:
        page = do(Page.open(door, 1))
        before = do(rows_of(shop))
        for path in (
            "/api/v1/chat/sessions",
            "/api/v1/chat/messages",
            "/api/v1/chat/seen",
            "/api/v1/orders/events",
            "/console/login",
        ):
            answer = do(
                door.ask(
                    "POST",
                    path,
                    headers=[page.bearer, (b"content-type", b"application/x-www-form-urlencoded")],
                    body=corpus.FIVE_MEGABYTES,
                )
            )
            assert 400 <= answer.status < 500, (path, answer.status)
        assert do(rows_of(shop)) == before

    play_examples(tmp_path, story)


_BODIES = ["/api/v1/chat/sessions", "/api/v1/chat/messages", "/api/v1/chat/seen", "/api/v1/orders/events"]


@pytest.mark.parametrize("path", _BODIES)
def test_a_body_that_breaks_off_or_never_ends_is_not_our_fault(
    tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.webchat.routes.SLOWEST_SECONDS", 0.2)
    monkeypatch.setattr("console.api.bodies._SLOWEST", 0.2)

    def story(shop: Shop, door: Door, do: Do) -> None:
        page = do(Page.open(door, 1))
        before = do(rows_of(shop))
        body = b'{"client_msg_id":"half","text":"half a mess'
        for ending, status in (("gone", 400), ("silent", 408)):
            answer = do(door.ask("POST", path, headers=[page.bearer], body=body, ending=ending))
            assert answer.status == status
            check_refusal(answer)
        assert do(rows_of(shop)) == before

    play_examples(tmp_path, story)


def test_unknown_fields_nested_to_any_depth_stop_no_worker(tmp_path: Path) -> None:
    """What the edge can still read, from however deep a stack, the worker can read too."""

    def story(shop: Shop, door: Door, do: Do) -> None:
        async def nest() -> None:
            taken = 0
            for number, depth in enumerate(range(500, 1000, 20)):
                page = await Page.open(door, number)
                nested = b"[" * depth + b"]" * depth
                answer = await page.send(b'{"client_msg_id":"deep","text":"deep","more":' + nested + b"}")
                taken += answer.status == 202
            assert taken
            await shop.settle()
            assert await dead_letters(shop) == []

        do(nest())

    play_examples(tmp_path, story)
