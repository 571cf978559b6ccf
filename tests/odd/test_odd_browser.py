"""A real browser reads what odd customers wrote, and nothing of it runs, loads or asks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import corpus
import pytest
from argon2 import PasswordHasher
from odd_crowd import gather
from odd_server import Served, serving
from playwright.sync_api import Browser, BrowserContext, sync_playwright
from shop import API_KEY, SHOP_SECRET, Shop, play

from desk.values import Role

CHROMIUM = Path("/usr/bin/chromium")
_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
_PASSWORD = "browser-test-Vx7Kq2"
_SENT_AT_ONCE = 18
_WIRE = """
window.__tripped = [];
for (const name of ["alert", "confirm", "prompt", "print", "open"])
  window[name] = (...given) => { window.__tripped.push(name + ": " + given.join()); return null; };
document.addEventListener("securitypolicyviolation", (event) =>
  window.__tripped.push("policy: " + event.violatedDirective + " " + event.blockedURI));
"""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no Chromium at {CHROMIUM}"),
]


@dataclass
class Tripwire:
    """What must never happen, as it happens in any page of a browser."""

    host: str
    tripped: list[str] = field(default_factory=list)

    def watch(self, context: BrowserContext) -> None:
        """Watches every page of this context from before its first script."""
        context.add_init_script(_WIRE)
        context.on("page", self._watch_page)

    def _watch_page(self, page: Any) -> None:
        page.on("dialog", lambda dialog: (self.tripped.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("pageerror", lambda error: self.tripped.append(f"error {error}"))
        page.on("popup", lambda _: self.tripped.append("popup"))
        page.on("request", self._look)

    def _look(self, request: Any) -> None:
        if not request.url.startswith((self.host, "data:", "about:")):
            self.tripped.append(f"request {request.url}")

    def check(self, page: Any) -> None:
        """Nothing tripped, here or anywhere before."""
        self.tripped += page.evaluate("window.__tripped")
        assert self.tripped == [], page.url


@contextmanager
def _browser() -> Iterator[Browser]:
    # Playwright takes every line of a debugging environment for its own.
    os.environ.pop("PWDEBUG", None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=_ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


def _fill(folder: Path) -> tuple[str, list[str]]:
    """A shop full of odd people, and the link of an order that a customer will open."""

    async def story(shop: Shop) -> tuple[str, list[str]]:
        crowd = await gather(shop, 25)
        password_hash = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(_PASSWORD)
        await shop.staff_desk.add_staff("watcher", "看门人", Role.ADMIN, password_hash, None)
        item = {"sku": "X", "name": corpus.XSS["img_onerror"], "quantity": 1, "price": "1.00"}
        await shop.reports_event(
            "shipped", corpus.XSS["svg_onload"], items=[item], carrier=corpus.XSS["script"]
        )

        def find_token(unit: Any) -> str:
            order = unit.orders.lock(corpus.XSS["svg_onload"])
            token: str = unit.orders.get_or_create_link(
                order.id, shop.clock() + timedelta(days=30), shop.clock()
            )
            return token

        return await shop.run(find_token), crowd.numbers

    return play(folder, story)


def test_the_tripwire_trips() -> None:
    """On a page that is as careless as ours must not be."""
    with _browser() as browser:
        wire = Tripwire("http://127.0.0.1:1")
        context = browser.new_context()
        wire.watch(context)
        page = context.new_page()
        for payload in (corpus.XSS["img_onerror"], corpus.XSS["img_remote"]):
            page.set_content(payload)
            page.wait_for_timeout(300)
            wire.tripped += page.evaluate("window.__tripped")
        found = "\n".join(wire.tripped)
        assert "alert: xss" in found
        assert corpus.EVIL_HOST in found


def test_nothing_of_what_customers_write_runs_in_the_chat_or_the_console(tmp_path: Path) -> None:
    folder = tmp_path / "var"
    token, numbers = _fill(folder)
    with serving(folder, SHOP_SECRET=SHOP_SECRET, API_KEY=API_KEY) as served, _browser() as browser:
        wire = Tripwire(served.url)
        payloads = list(corpus.XSS.values())
        for at in range(0, len(payloads), _SENT_AT_ONCE):
            _chat(browser, wire, served, token if at == 0 else "", payloads[at : at + _SENT_AT_ONCE])
        _console(browser, wire, served, numbers)


def _chat(browser: Browser, wire: Tripwire, served: Served, token: str, payloads: list[str]) -> None:
    """A customer writes all of them, asks for the order, and comes back later."""
    context = browser.new_context()
    wire.watch(context)
    page = context.new_page()
    page.goto(f"{served.url}/chat" + (f"#order={token}" if token else ""))
    composer = page.locator("textarea")
    composer.wait_for()
    for payload in [*payloads, "查订单"] if token else payloads:
        composer.fill(payload)
        composer.press("Enter")
    page.reload()
    for payload in payloads:
        first_line = payload.split("\n")[0].strip()
        page.wait_for_function("(text) => document.body.innerText.includes(text)", arg=first_line)
    if token:
        page.wait_for_function(
            "(text) => document.body.innerText.includes(text)", arg=corpus.XSS["img_onerror"] + "×1"
        )
    wire.check(page)
    context.close()


def _console(browser: Browser, wire: Tripwire, served: Served, numbers: list[str]) -> None:
    """Staff sign in and open everything."""
    context = browser.new_context()
    wire.watch(context)
    page = context.new_page()
    page.goto(f"{served.url}/console")
    page.fill("input[name=login]", "watcher")
    page.fill("input[name=password]", _PASSWORD)
    page.click("main form[action='/console/login'] button")
    page.wait_for_url("**/console/cases**")
    rooms = ["cases", "feedback", "surveys", "faq", "dead-letters", "audit", "staff", "account"]
    cases = [f"cases/{number}" for number in numbers]
    for room in [*rooms, *cases]:
        answer = page.goto(f"{served.url}/console/{room}")
        assert answer is not None
        assert answer.status == 200
        wire.check(page)
    context.close()
