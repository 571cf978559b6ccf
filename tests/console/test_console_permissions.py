"""Every route of the console, for everybody who may knock."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from console_rig import Rig
from fastapi.routing import APIRoute
from shop import Shop, play
from staff_browser import StaffBrowser, hire

from desk.values import Role

# Written down a second time on purpose: a permission that changes by accident fails here.
LEAST: dict[tuple[str, str], str] = {
    ("GET", "/console/static/{name}"): "anyone",
    ("GET", "/console/login"): "anyone",
    ("POST", "/console/login"): "anyone",
    ("POST", "/console/language"): "anyone",
    ("GET", "/console"): "agent",
    ("POST", "/console/logout"): "agent",
    ("GET", "/console/alive"): "agent",
    ("GET", "/console/account"): "agent",
    ("POST", "/console/account/password"): "agent",
    ("GET", "/console/events"): "agent",
    ("GET", "/console/cases"): "agent",
    ("GET", "/console/cases/{number}"): "agent",
    ("POST", "/console/cases/{number}/take"): "agent",
    ("POST", "/console/cases/{number}/reply"): "agent",
    ("POST", "/console/cases/{number}/note"): "agent",
    ("POST", "/console/cases/{number}/close"): "agent",
    ("POST", "/console/cases/{number}/hand-over"): "agent",
    ("GET", "/console/attachments/{message_id}/{n}"): "agent",
    ("POST", "/console/account/telegram-code"): "agent",
    ("POST", "/console/account/telegram-unlink"): "agent",
    ("POST", "/console/cases/{number}/phone"): "agent",
    ("POST", "/console/cases/{number}/typing"): "agent",
    ("GET", "/console/feedback"): "agent",
    ("GET", "/console/surveys"): "agent",
    ("GET", "/console/faq"): "agent",
    ("GET", "/console/faq/new"): "lead",
    ("POST", "/console/faq/new"): "lead",
    ("GET", "/console/faq/{id}"): "lead",
    ("POST", "/console/faq/{id}"): "lead",
    ("POST", "/console/faq/{id}/enabled"): "lead",
    ("POST", "/console/faq/{id}/delete"): "lead",
    ("GET", "/console/dead-letters"): "lead",
    ("POST", "/console/dead-letters/{origin}/{id}/replay"): "lead",
    ("GET", "/console/audit"): "lead",
    ("GET", "/console/staff"): "admin",
    ("POST", "/console/staff"): "admin",
    ("POST", "/console/staff/{id}/role"): "admin",
    ("POST", "/console/staff/{id}/disabled"): "admin",
    ("POST", "/console/staff/{id}/password"): "admin",
    ("POST", "/console/staff/{id}/telegram-code"): "admin",
    ("POST", "/console/staff/{id}/telegram-unlink"): "admin",
}
RANK = ["anyone", "agent", "lead", "admin"]


def flat(routes: list[Any]) -> Iterator[APIRoute]:
    """Routes, also those of included routers."""
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
        else:
            inner = getattr(route, "original_router", None) or getattr(route, "app", None) or route
            yield from flat(list(getattr(inner, "routes", [])))


def console_routes() -> dict[tuple[str, str], APIRoute]:
    """The console's routes by method and path."""
    found = {}
    for route in flat(list(Rig.with_fakes().app.routes)):
        if route.path.startswith("/console"):
            for method in route.methods - {"HEAD"}:
                found[method, route.path] = route
    return found


def address(path: str) -> str:
    """The path with things that are not there."""
    return (
        path.replace("{number}", "HY-999999")
        .replace("{id}", "999999")
        .replace("{message_id}", "999999")
        .replace("{n}", "0")
        .replace("{origin}", "inbox")
        .replace("{name}", "console.css")
    )


def test_every_route_declares_a_permission_and_stands_in_the_table() -> None:
    routes = console_routes()
    assert set(routes) == set(LEAST)
    for route in routes.values():
        assert getattr(route.endpoint, "permission", None) is not None, route.path


def test_every_route_lets_in_exactly_whom_the_table_says(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        for role in Role:
            await hire(shop, f"the-{role}", role)
        for who in RANK:
            async with StaffBrowser(shop, f"198.51.100.{RANK.index(who)}") as browser:
                if who != "anyone":
                    assert (await browser.sign_in(f"the-{who}")).status_code == 303
                await visit_all(browser, who)

    async def visit_all(browser: StaffBrowser, who: str) -> None:
        # What ends the session comes last.
        for (method, path), least in sorted(LEAST.items(), key=lambda item: "logout" in item[0][1]):
            allowed = RANK.index(who) >= RANK.index(least)
            if path == "/console/events" and allowed:
                continue  # It never ends; the tests of live events listen to it.
            if path == "/console/login" and method == "POST":
                continue  # Its own tests.
            if method == "GET":
                answer = await browser.http.get(address(path))
            else:
                await browser.get("/console/account" if who != "anyone" else "/console/login")
                answer = await browser.post(address(path))
            place = (who, method, path, answer.status_code)
            if allowed:
                assert answer.status_code not in (401, 403, 405), place
                assert answer.status_code < 500, place
                sent_to_login = answer.headers.get("location", "").startswith("/console/login")
                assert not sent_to_login or least == "anyone" or "logout" in path, place
            elif who == "anyone":
                expected = 303 if method == "GET" and path != "/console/events" else 401
                assert answer.status_code == expected, place
            else:
                assert answer.status_code == 403, place

    play(tmp_path, story)


def test_no_change_without_proof_that_it_comes_from_our_own_page(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        await hire(shop, "boss", Role.ADMIN)
        async with StaffBrowser(shop) as browser:
            await browser.sign_in("boss")
            right = browser.csrf
            for method, path in LEAST:
                if method != "POST":
                    continue
                where = address(path)
                for token in ("", "x" * 43, right[:-1]):
                    browser.csrf = token
                    assert (await browser.post(where)).status_code == 403, path
                assert (await browser.http.post(where)).status_code in (403, 415), path
                browser.csrf = right
                for headers in (
                    {"Sec-Fetch-Site": "cross-site"},
                    {"Sec-Fetch-Site": "same-site"},
                    {"Sec-Fetch-Site": "none"},
                    {"Origin": "https://evil.example"},
                    {"Origin": "null"},
                ):
                    assert (await browser.post(where, headers=headers)).status_code == 403, (path, headers)
                text = await browser.http.post(where, json={"csrf": right})
                assert text.status_code == 415, path
            assert (await browser.get("/console/account")).status_code == 200

    play(tmp_path, story)


def test_our_own_pages_pass_with_what_browsers_say(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        await hire(shop, "li")
        async with StaffBrowser(shop) as browser:
            await browser.sign_in("li")
            for headers in (
                {"Sec-Fetch-Site": "same-origin", "Origin": "https://127.0.0.1:8080"},
                {"Origin": "http://127.0.0.1:8080"},
                {},
            ):
                answer = await browser.post("/console/language", {"language": "en"}, headers)
                assert answer.status_code == 303

    play(tmp_path, story)
