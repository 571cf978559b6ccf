"""Linking a Telegram account: a code that is shown once, what it does, and how a link ends."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from shop import Shop, play
from staff_browser import StaffBrowser, hire
from telegram_rig import console_over

from desk.errors import NotFoundError
from desk.values import Role

_CODE = re.compile(r'<code class="secret">([0-9A-Z]{10})</code>')


def code_in(page: str) -> str:
    """The code on the page."""
    found = _CODE.search(page)
    assert found is not None
    return found.group(1)


def test_ones_own_code_links_once_and_the_link_can_be_ended(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        li = await hire(shop, "li", name="小李")
        async with StaffBrowser(shop, app=console_over(shop)) as browser:
            await browser.sign_in("li")
            before = (await browser.get("/console/account")).text
            assert "未关联" in before
            assert "解除关联" not in before
            made = await browser.post("/console/account/telegram-code")
            code = code_in(made.text)
            assert f"/link {code}" in made.text
            assert "@huiyin_test_bot" in made.text
            assert "30 分钟" in made.text
            assert made.headers["cache-control"] == "no-store"
            assert code not in (await browser.get("/console/account")).text
            assert (await shop.staff_desk.link_account(code, "telegram", "77")).id == li.id
            with pytest.raises(NotFoundError):
                await shop.staff_desk.link_account(code, "telegram", "78")
            assert "已关联" in (await browser.get("/console/account")).text
            ended = await browser.post("/console/account/telegram-unlink")
            assert "said=telegram_unlinked" in ended.headers["location"]
            assert await shop.staff_desk.find_by_account("telegram", "77") is None
            assert "未关联" in (await browser.get("/console/account")).text
        actions = [line.action for line in (await shop.reports(lambda reports: reports.audit(10))).rows]
        assert [each for each in actions if "link" in each] == [
            "staff.unlink",
            "staff.link",
            "staff.link_code",
        ]

    play(tmp_path, story)


def test_a_code_is_over_after_half_an_hour_and_when_a_new_one_is_made(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        await hire(shop, "li")
        async with StaffBrowser(shop, app=console_over(shop)) as browser:
            await browser.sign_in("li")
            first = code_in((await browser.post("/console/account/telegram-code")).text)
            second = code_in((await browser.post("/console/account/telegram-code")).text)
            with pytest.raises(NotFoundError):
                await shop.staff_desk.link_account(first, "telegram", "77")
            shop.clock.turn(timedelta(minutes=31))
            with pytest.raises(NotFoundError):
                await shop.staff_desk.link_account(second, "telegram", "77")

    play(tmp_path, story)


def test_an_admin_makes_codes_for_others_and_nobody_else_does(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        await hire(shop, "boss", Role.ADMIN)
        li = await hire(shop, "li", name="小李<b>")
        app = console_over(shop)
        async with StaffBrowser(shop, app=app) as boss, StaffBrowser(shop, app=app) as other:
            await boss.sign_in("boss")
            await boss.get("/console/staff")
            made = await boss.post(f"/console/staff/{li.id}/telegram-code")
            assert "小李&lt;b&gt;" in made.text
            assert (await shop.staff_desk.link_account(code_in(made.text), "telegram", "77")).id == li.id
            assert f"/console/staff/{li.id}/telegram-unlink" in (await boss.get("/console/staff")).text
            await boss.post(f"/console/staff/{li.id}/telegram-unlink")
            assert await shop.staff_desk.find_by_account("telegram", "77") is None
            await boss.post(f"/console/staff/{li.id}/disabled", {"disabled": "yes"})
            assert f"/console/staff/{li.id}/telegram-code" not in (await boss.get("/console/staff")).text
            assert (await boss.post(f"/console/staff/{li.id}/telegram-code")).status_code == 409
            await boss.post(f"/console/staff/{li.id}/disabled", {"disabled": "no"})
            await other.sign_in("li")
            assert (await other.post(f"/console/staff/{li.id}/telegram-code")).status_code == 403

    play(tmp_path, story)


def test_while_telegram_is_off_or_in_trouble_pages_say_so(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        await hire(shop, "li")
        state = "off"
        app = console_over(shop, telegram_state=lambda: state, telegram_bot=lambda: "")
        async with StaffBrowser(shop, app=app) as browser:
            await browser.sign_in("li")
            off = (await browser.get("/console/account")).text
            assert "还没有开启 Telegram" in off
            assert 'role="alert"' not in off
            assert "发给机器人，或发到客服群" in (await browser.post("/console/account/telegram-code")).text
            state = "Telegram cannot be reached; 120 updates wait at Telegram"
            trouble = (await browser.get("/console/cases")).text
            assert "现在连不上 Telegram" in trouble
            assert "120 updates wait" in trouble
            await browser.post("/console/language", {"language": "en"})
            assert "cannot be reached just now" in (await browser.get("/console/cases")).text
            state = "ok"
            assert "in trouble" not in (await browser.get("/console/cases")).text
            state = "Telegram cannot be reached"
            await browser.post("/console/logout")
            assert "cannot be reached" not in (await browser.http.get("/console/login")).text

    play(tmp_path, story)
