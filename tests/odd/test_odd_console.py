"""Odd words on every page of the console, and odd requests to every route: shown as text, refused in words."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_from_bytes, urlencode

import corpus
import pytest
from hypothesis import given
from hypothesis import strategies as st
from odd_crowd import CSRF, WRITTEN, Crowd, gather, sign_in
from odd_door import Door, dead_letters, play_examples, rows_of
from odd_pages import Form, PageReader, check_answer, routes_of
from odd_strategies import SHARES, odd_header_values, odd_headers, odd_settings, odd_texts
from shop import Shop

from console.display import visible

Do = Callable[[Awaitable[Any]], Any]
Cookie = list[tuple[bytes, bytes]]

_FORM = (b"content-type", b"application/x-www-form-urlencoded")
_MOST_ALIKE = 30
"""Pages of one kind that are read; there are ninety FAQ entries."""


async def _walk(door: Door, cookie: Cookie) -> dict[str, PageReader]:
    """Every page that can be reached by links, read and found harmless."""
    waiting, read = ["/console"], dict[str, PageReader]()
    known = {"/console"}
    kinds: Counter[str] = Counter()
    while waiting:
        at = waiting.pop(0)
        path, _, query = at.partition("?")
        answer = await door.ask("GET", path, query=query.encode(), headers=cookie)
        assert answer.status in {200, 303}, (at, answer.status)
        page = check_answer(answer)
        links = set(page.links) if page is not None else set()
        links.add(answer.header("location"))
        if page is not None:
            read[at] = page
        for link in sorted(links):
            target = link.partition("#")[0]
            target = path + target if target.startswith("?") else target
            if target.startswith("/console") and target not in known and "/static/" not in target:
                known.add(target)
                kind = re.sub(r"\d+|(?<==)[^&]*", "N", target)
                kinds[kind] += 1
                if kinds[kind] <= _MOST_ALIKE:
                    waiting.append(target)
    return read


def test_odd_words_are_shown_as_text_on_every_page(tmp_path: Path) -> None:
    def story(shop: Shop, door: Door, do: Do) -> None:
        async def look() -> None:
            crowd = await gather(shop, 25)
            pages = await _walk(door, await sign_in(shop, crowd.admin))
            patterns = {pattern for method, pattern in routes_of(door.app) if method == "GET"}
            # Each kind of page was among them.
            for pattern in sorted(patterns):
                # A file that a customer sent is no page; it has stories of its own.
                passed_by = re.search("static|events|alive|login|attachments", pattern)
                if pattern.startswith("/console") and not passed_by:
                    shape = re.sub(r"\{\w+\}", "[^/?]+", pattern)
                    assert pattern == "/console" or any(re.match(f"{shape}($|[?])", at) for at in pages), (
                        pattern
                    )
            shown = "\n".join("".join(page.text) for page in pages.values())
            _find_all(shown, crowd.names, multiline=False)
            _find_all(shown, WRITTEN[: 25 * 5], multiline=True)

        do(look())

    play_examples(tmp_path, story)


# Payloads that are only dangerous in another place than between tags.
_TEXT_ONLY = {
    "javascript_link", "markdown_link", "entities", "overlong_entity", "angle_full_width", "markdown_specials",
    "attribute_focus", "dangling", "broken_tag", "broken_name",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(set(corpus.XSS) - _TEXT_ONLY))
def test_the_reader_of_pages_would_see_markup_that_came_through(name: str) -> None:
    page = PageReader()
    page.feed(f"<!doctype html><main><p>{corpus.XSS[name]}</p></main>")
    page.close()
    assert page.faults != []
    attribute = PageReader()
    attribute.feed(f'<!doctype html><input value="{corpus.XSS["attribute_focus"]}">')
    assert attribute.faults != []


def _find_all(shown: str, texts: list[str], *, multiline: bool) -> None:
    # White space at the ends is nobody's loss, and HTML readers make line ends alike.
    missing = [text for text in texts if visible(text, multiline=multiline).strip() not in shown]
    assert missing == []


# --- Odd requests ----------------------------------------------------------------------------------------

_keys = st.one_of(
    st.sampled_from(
        ["page", "tab", "q", "after", "said", "next", "since", "rating", "text", "case", "v", "x"]
    ),
    odd_texts,
)
_requests = st.fixed_dictionaries(
    {
        "part": odd_texts,
        "path": st.sampled_from(corpus.PATHS),
        "query": st.one_of(
            st.just(b""),
            st.lists(st.tuples(_keys, odd_texts), max_size=3).map(lambda pairs: _encoded(pairs)),
            st.binary(max_size=40).map(lambda raw: quote_from_bytes(raw, safe="&=+;%").encode()),
        ),
        "cookie": odd_header_values,
        "headers": odd_headers,
        "fields": st.lists(odd_texts, min_size=6, max_size=6),
        "keep": st.integers(0, 63),
        "raw": st.binary(max_size=200),
    }
)


def _encoded(pairs: list[tuple[str, str]]) -> bytes:
    return urlencode([(key[:200], value[:3000]) for key, value in pairs], errors="surrogatepass").encode()


def test_no_odd_request_of_staff_or_strangers_breaks_a_page(tmp_path: Path) -> None:
    sent = itertools.count()
    answered: dict[tuple[str, str], set[int]] = {}

    def story(shop: Shop, door: Door, do: Do) -> None:
        crowd: Crowd = do(gather(shop, 8))
        cookie: Cookie = do(sign_in(shop, crowd.admin))
        forms = _forms(do(_walk(door, cookie)))
        routes = [
            (method, pattern)
            for method, pattern in routes_of(door.app)
            if pattern.startswith(("/console", "/api/docs", "/metrics", "/healthz", "/readyz"))
        ]
        before = do(rows_of(shop))

        @odd_settings(SHARES["console"])
        @given(_requests)
        def examples(request: dict[str, Any]) -> None:
            # What is odd comes from Hypothesis; which part of a request is odd goes in turns, because one
            # odd part after the other would mostly meet the check of the one before.
            number = next(sent)
            # Shifted with each round of the routes, or a route would meet the same odd part each time.
            turn = number + number // len(routes)
            if number % 10 == 0:
                # Some of what is sent signs out, disables accounts or changes roles, as it should.
                do(sign_in(shop, crowd.admin))
            method, pattern = routes[number % len(routes)]
            path = request["path"] if turn % 9 == 4 else _path(pattern, request["part"], crowd, turn)
            headers = list(request["headers"]) if turn % 5 == 3 else []
            if turn % 11 == 6:
                headers.append((b"cookie", request["cookie"]))
            elif turn % 17 != 7:
                headers += cookie
            if turn % 4 == 1:
                headers.append((b"accept", b"application/json"))
            body = b""
            if method == "POST":
                headers.append(_FORM)
                csrf = "x" if turn % 7 == 3 else CSRF
                body = _body(forms.get(pattern), request, csrf) if turn % 8 != 5 else request["raw"]
            answer = do(door.ask(method, path, query=request["query"], headers=headers, body=body))
            check_answer(answer)
            answered.setdefault((method, pattern), set()).add(answer.status)

        examples()
        assert set(answered) == set(routes)
        assert set(do(rows_of(shop))) == set(before)
        do(_all_is_well(shop, door))

    play_examples(tmp_path, story)
    assert next(sent) >= SHARES["console"]
    # The requests reached further than the first check.
    stopped = [route for route, statuses in answered.items() if not statuses & {200, 303, 409, 422, 429}]
    assert len(stopped) <= 3, {route: answered[route] for route in stopped}


def _forms(pages: dict[str, PageReader]) -> dict[str, Form]:
    """The forms of the pages by the pattern of the route they go to, with names in place of numbers."""
    found: dict[str, Form] = {}
    for at, page in pages.items():
        for form in page.forms:
            found.setdefault(form.action.partition("?")[0] or at.partition("?")[0], form)
    by_pattern: dict[str, Form] = {}
    for action, form in found.items():
        shape = re.sub(r"/HY-\d+", "/{number}", action)
        shape = re.sub(r"/(inbox|outbox|timer)/\d+", "/{origin}/{id}", shape)
        by_pattern.setdefault(re.sub(r"/\d+", "/{id}", shape), form)
    return by_pattern


def _path(pattern: str, part: str, crowd: Crowd, turn: int) -> str:
    """The route's path with parts that exist, or odd ones every sixth time."""
    number = crowd.numbers[turn % len(crowd.numbers)]
    known = {"number": number, "id": str(turn % 7), "origin": "inbox", "name": "console.css"}
    known |= {"message_id": str(turn % 50), "n": str(turn % 3)}

    def fill(match: re.Match[str]) -> str:
        if turn % 6 == 2:
            return quote(part[:500], safe="", errors="surrogatepass") or "%20"
        return known[match.group(1).partition(":")[0]]

    return re.sub(r"\{([\w:]+)\}", fill, pattern)


def _body(form: Form | None, request: dict[str, Any], csrf: str) -> bytes:
    fields = {"csrf": csrf}
    names = [name for name in (form.fields if form is not None else ("text", "name")) if name != "csrf"]
    for at, name in enumerate(names):
        # Some fields stay as the page filled them in, so that the others are looked at, too.
        own = form.fields[name] if form is not None else ""
        odd = request["fields"][at % len(request["fields"])]
        fields[name] = own if own and request["keep"] >> (at % 6) & 1 else odd
    return urlencode(fields, errors="surrogatepass").encode()[:130_000]


async def _all_is_well(shop: Shop, door: Door) -> None:
    """Whatever staff typed in, customers are still answered: no entry of theirs breaks the bot."""
    await shop.settle()
    letters = len(await dead_letters(shop))
    customer = await shop.customer("afterwards")
    for text in ("什么时候发货", "怎么退货", "{{7*7}}", "在吗"):
        assert await customer.says(text) != []
    entries = await shop.run(lambda unit: list(unit.faq.all()))
    for entry in entries[-10:]:
        assert (await customer.post(entry.question)).status_code in {202, 422, 429}
        await shop.settle()
    assert len(await dead_letters(shop)) == letters
