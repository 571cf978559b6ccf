"""Live events: what an open console hears, where it resumes, when it goes silent."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from shop import Shop, play
from staff_browser import StaffBrowser, hire
from telegram_rig import XIAOMING, TelegramCustomer

import desk
from console.pages.rendering import STATIC
from desk.values import Role


class Listening:
    """A stream of events, read over ASGI as a server would."""

    def __init__(self, app: Any, cookie: str, query: bytes = b"", headers: tuple[Any, ...] = ()) -> None:
        self._app = app
        self.text = ""
        self.status = 0
        self._gone = asyncio.Event()
        self._more = asyncio.Event()
        self._scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "https",
            "path": "/console/events",
            "raw_path": b"/console/events",
            "query_string": query,
            "root_path": "",
            "headers": [(b"host", b"127.0.0.1:8080"), (b"cookie", cookie.encode()), *headers],
            "client": ("203.0.113.9", 4000),
            "server": ("127.0.0.1", 8080),
            "state": {},
        }

    async def run(self) -> None:
        """Until the other side ends it, or ``leave``."""
        await self._app(self._scope, self._receive, self._send)

    async def until(self, words: str) -> str:
        """Waits for words in the stream."""
        async with asyncio.timeout(10):
            while words not in self.text:
                self._more.clear()
                await self._more.wait()
        return self.text

    def leave(self) -> None:
        """Closes the tab."""
        self._gone.set()

    async def _receive(self) -> dict[str, Any]:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        self.text += message.get("body", b"").decode()
        self._more.set()


def cookie_of(browser: StaffBrowser) -> str:
    """The session's cookie header."""
    return f"__Host-huiyin={browser.http.cookies['__Host-huiyin']}"


def listen(
    folder: Path, story: Callable[[Shop, StaffBrowser, Callable[..., Listening]], Awaitable[None]]
) -> None:
    """Plays a story with streams that end with it."""

    async def played(shop: Shop) -> None:
        await hire(shop, "li", Role.AGENT)
        async with StaffBrowser(shop) as browser, asyncio.TaskGroup() as group:
            await browser.sign_in("li")
            streams: list[Listening] = []

            def open_stream(*given: Any) -> Listening:
                stream = Listening(shop.installation.web_app(), cookie_of(browser), *given)
                streams.append(stream)
                group.create_task(stream.run())
                return stream

            try:
                await story(shop, browser, open_stream)
            finally:
                for stream in streams:
                    stream.leave()

    play(folder, played)


def test_a_case_rings_at_once_and_a_resumed_stream_misses_nothing(tmp_path: Path) -> None:
    async def story(shop: Shop, browser: StaffBrowser, open_stream: Callable[..., Listening]) -> None:
        first = open_stream()
        await first.until("event: hello")
        customer = await shop.customer("wang")
        await customer.says("转人工")
        heard = await first.until("event: case_alert")
        assert '"rung": 0' in heard
        assert "HY-" in heard
        start = heard.split("id: ")[1].split("\n")[0]
        resumed = open_stream(b"", ((b"last-event-id", start.encode()),))
        assert "event: case_opened" in await resumed.until("event: case_alert")
        by_query = open_stream(f"after={start}".encode())
        await by_query.until("event: case_alert")
        ahead = open_stream(b"after=999999999")
        await ahead.until("event: hello")
        await customer.says("还在吗")
        await ahead.until("event: message")

    listen(tmp_path, story)


def test_who_signs_out_hears_nothing_more(tmp_path: Path) -> None:
    async def story(shop: Shop, browser: StaffBrowser, open_stream: Callable[..., Listening]) -> None:
        stream = open_stream()
        await stream.until("event: hello")
        await browser.post("/console/logout")
        customer = await shop.customer("wang")
        await customer.says("转人工")
        assert "case_alert" not in await stream.until("event: signed_out")

    listen(tmp_path, story)


def test_events_carry_no_words_of_customers(tmp_path: Path) -> None:
    async def story(shop: Shop, browser: StaffBrowser, open_stream: Callable[..., Listening]) -> None:
        stream = open_stream()
        await stream.until("event: hello")
        customer = await shop.customer("wang")
        await customer.says("转人工")
        await customer.says("CANARY-4411")
        heard = await stream.until("event: message")
        assert "CANARY" not in heard

    listen(tmp_path, story)


def test_a_colleague_hears_that_a_case_was_handed_to_them(tmp_path: Path) -> None:
    async def story(shop: Shop, browser: StaffBrowser, open_stream: Callable[..., Listening]) -> None:
        customer = await shop.customer("wang")
        await customer.says("转人工")
        number = (await shop.reports(lambda reports: reports.cases("open", None, 1))).rows[0].number
        boss = await hire(shop, "boss", Role.ADMIN)
        zhou = await hire(shop, "zhou")
        li = next(one for one in await shop.run(lambda unit: list(unit.staff.all())) if one.login == "li")
        stream = open_stream()
        await stream.until("event: hello")
        await shop.staff_desk.hand_over(number, boss, zhou.id)
        heard = await stream.until("event: case_handed_over")
        await stream.until(f'"number": "{number}"')
        assert "yours" not in heard
        await shop.staff_desk.hand_over(number, boss, li.id)
        await stream.until('"yours": true')

    listen(tmp_path, story)


def test_open_screens_hear_of_edits_deliveries_and_reachability(tmp_path: Path) -> None:
    async def story(shop: Shop, browser: StaffBrowser, open_stream: Callable[..., Listening]) -> None:
        customer = TelegramCustomer(shop)
        await customer.case()
        line = await customer.says("CANARY-1")
        stream = open_stream()
        await stream.until("event: hello")
        await customer.says("CANARY-2", edits=line, revision=7)
        heard = await stream.until("event: message_edited")
        await shop.desk.hear_reachability(XIAOMING, False, "blocked", lambda unit: None)
        heard = await stream.until("event: reachable")
        assert "CANARY" not in heard
        await shop.run(lambda unit: unit.desk_events.add("delivery", None, None, {"x": 1}, shop.clock()))
        await stream.until("event: delivery")

    listen(tmp_path, story)


def test_the_script_listens_to_every_kind_that_the_desk_tells() -> None:
    told = set()
    for file in Path(desk.__file__).parent.glob("*.py"):
        told |= set(re.findall(r'desk_events\.add\(\s*"(\w+)"', file.read_text("utf-8")))
    script = (STATIC / "live.js").read_text("utf-8")
    assert {"message_edited", "delivery", "case_handed_over", "reachable"} <= told
    assert {kind for kind in told if f'"{kind}"' not in script} == set()
