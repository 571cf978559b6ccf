"""Signing in: what is refused, how often it may be tried, how long it lasts."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from shop import Shop, play
from staff_browser import PASSWORD, StaffBrowser, hire

from console.first_admin import ensure_first_admin
from console.passwords import check_new_password
from desk.errors import InvalidInputError
from desk.values import Role

SESSION = "__Host-huiyin"


def plain(answer: httpx.Response, login: str) -> str:
    """A page without what differs each time."""
    return re.sub(r'name="csrf" value="[^"]+"', "", answer.text).replace(f'value="{login}"', "")


def test_a_wrong_password_and_an_unknown_login_read_the_same(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        await hire(shop, "li")
        async with StaffBrowser(shop) as browser:
            wrong = await browser.sign_in("li", "not the password")
            unknown = await browser.sign_in("nobody", "not the password")
            assert wrong.status_code == unknown.status_code == 401
            assert plain(wrong, "li") == plain(unknown, "nobody")
            assert (await browser.sign_in("LI")).status_code == 303

    play(tmp_path, story)


def test_the_cookie_is_kept_from_scripts_other_sites_and_plain_http(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        await hire(shop, "li")
        async with StaffBrowser(shop) as browser:
            cookie = (await browser.sign_in("li")).headers["set-cookie"]
            assert cookie.startswith(f"{SESSION}=")
            for flag in ("HttpOnly", "Secure", "SameSite=strict", "Path=/"):
                assert flag in cookie
            assert "Domain" not in cookie

    play(tmp_path, story)


def test_pages_tell_the_browser_to_be_strict(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        async with StaffBrowser(shop) as browser:
            for path in ("/console/login", "/console/nowhere"):
                headers = (await browser.get(path)).headers
                policy = headers["content-security-policy"]
                assert "default-src 'none'" in policy
                assert "require-trusted-types-for 'script'" in policy
                assert "unsafe" not in policy
                assert headers["cache-control"] == "no-store"
                assert headers["x-content-type-options"] == "nosniff"

    play(tmp_path, story)


def test_five_failures_from_one_address_close_the_door_for_five_minutes(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        await hire(shop, "li")
        async with StaffBrowser(shop) as browser, StaffBrowser(shop, "198.51.100.7") as elsewhere:
            for number in range(5):
                assert (await browser.sign_in(f"guess{number}", "wrong")).status_code == 401
            refused = await browser.sign_in("li")
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "300")
            assert (await elsewhere.sign_in("li")).status_code == 303
            shop.clock.turn(timedelta(minutes=5, seconds=1))
            assert (await browser.sign_in("li")).status_code == 303

    play(tmp_path, story)


def test_ten_failures_on_one_account_close_it_from_everywhere(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        await hire(shop, "li")
        for number in range(10):
            async with StaffBrowser(shop, f"198.51.100.{number}") as browser:
                assert (await browser.sign_in("li", "wrong")).status_code == 401
        async with StaffBrowser(shop, "198.51.100.99") as browser:
            assert (await browser.sign_in("li")).status_code == 429
            shop.clock.turn(timedelta(minutes=15, seconds=1))
            assert (await browser.sign_in("li")).status_code == 303

    play(tmp_path, story)


def test_signing_in_again_ends_the_session_before(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        await hire(shop, "li")
        async with StaffBrowser(shop) as browser, StaffBrowser(shop) as thief:
            await browser.sign_in("li")
            first = browser.http.cookies[SESSION]
            thief.http.cookies.set(SESSION, first, domain="127.0.0.1", path="/")
            assert (await thief.get("/console/cases")).status_code == 200
            await browser.get("/console/account")
            again = await browser.post("/console/login", {"login": "li", "password": PASSWORD})
            assert again.status_code == 303
            assert browser.http.cookies[SESSION] != first
            assert (await thief.get("/console/cases")).status_code == 303

    play(tmp_path, story)


def test_a_session_ends_idle_old_disabled_or_signed_out(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        boss = await hire(shop, "boss", Role.ADMIN)
        li = await hire(shop, "li")
        async with StaffBrowser(shop) as browser:
            await browser.sign_in("li")
            shop.clock.turn(timedelta(minutes=29))
            assert (await browser.get("/console/cases")).status_code == 200
            shop.clock.turn(timedelta(minutes=31))
            assert (await browser.get("/console/cases")).status_code == 303
            await browser.sign_in("li")
            for _ in range(29):
                shop.clock.turn(timedelta(minutes=25))
                last = await browser.get("/console/cases")
            assert last.status_code == 303
            await browser.sign_in("li")
            await shop.staff_desk.change_staff(li.id, boss, disabled=True)
            assert (await browser.get("/console/cases")).status_code == 303
            assert (await browser.sign_in("li")).status_code == 401
            await shop.staff_desk.change_staff(li.id, boss, disabled=False)
            await browser.sign_in("li")
            token = browser.http.cookies[SESSION]
            assert (await browser.post("/console/logout")).status_code == 303
            browser.http.cookies.set(SESSION, token, domain="127.0.0.1", path="/")
            assert (await browser.get("/console/cases")).status_code == 303

    play(tmp_path, story)


def test_refreshes_by_script_do_not_keep_a_session_alive(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        await hire(shop, "li")
        async with StaffBrowser(shop) as browser:
            await browser.sign_in("li")
            for _ in range(2):
                shop.clock.turn(timedelta(minutes=16))
                last = await browser.get("/console/cases", headers={"X-Huiyin-Live": "1"})
            assert last.status_code == 303

    play(tmp_path, story)


def test_a_changed_password_signs_out_everywhere_else(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        await hire(shop, "li")
        async with StaffBrowser(shop) as browser, StaffBrowser(shop) as other:
            await browser.sign_in("li")
            await other.sign_in("li")
            form = {"old": PASSWORD, "new": "brand-new-secret-4", "again": "brand-new-secret-4"}
            for wrong in ({"old": "no"}, {"again": "different"}, {"new": "short", "again": "short"}):
                refused = await browser.post("/console/account/password", form | wrong)
                assert refused.status_code == 422
            assert (await browser.post("/console/account/password", form)).status_code == 303
            assert (await browser.get("/console/account")).status_code == 200
            assert (await other.get("/console/account")).status_code == 303
            assert (await other.sign_in("li")).status_code == 401
            assert (await other.sign_in("li", "brand-new-secret-4")).status_code == 303

    play(tmp_path, story)


def test_login_leads_nowhere_but_into_the_console(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        await hire(shop, "li")
        for target in (
            "https://evil.example/",
            "//evil.example/console/",
            "/console/../chat",
            "/console/\\evil",
            "javascript:1",
            "/console\n/x",
        ):
            async with StaffBrowser(shop) as browser:
                await browser.get("/console/login")
                form = {"login": "li", "password": PASSWORD, "next": target}
                answer = await browser.post("/console/login", form)
                assert answer.headers["location"] == "/console/cases"

    play(tmp_path, story)


def test_the_first_admin_is_made_once(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        # The installation made one already when it was prepared.
        assert await ensure_first_admin(shop.installation.database, shop.clock) is None
        members = await shop.run(lambda unit: list(unit.staff.all()))
        assert [(member.login, member.role) for member in members] == [("admin", Role.ADMIN)]

    play(tmp_path, story)


@pytest.mark.parametrize("password", ["short", "1234567890", "aaaaaaaaaaaa", "liliadmin123456", "x" * 257])
def test_passwords_that_everybody_tries_are_refused(password: str) -> None:
    with pytest.raises(InvalidInputError):
        check_new_password(password, "liliadmin")


def test_a_plain_password_of_ten_is_fine() -> None:
    check_new_password("tea-leaf-42x", "li")
