"""An agent's open screen while pictures, lines and a hand-over come in, in a real browser."""

from __future__ import annotations

import asyncio
import struct
import zlib
from contextlib import closing
from pathlib import Path

import pytest
from shop import Shop, play
from staff_browser import PASSWORD, hire
from telegram_rig import TelegramCustomer, console_over
from test_console_attachments import FakeFiles
from test_customer_and_agent import CHROMIUM, FLAGS

from bot.setting_rules import Address
from bot.web_server import WebServer
from desk.values import Attachment, AttachmentKind, Role

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(240),
    pytest.mark.skipif(
        not CHROMIUM.exists(), reason="Chromium is not installed (Debian: chromium, fonts-noto-cjk)"
    ),
]


def picture() -> bytes:
    """A PNG of two by two grey points that browsers really draw."""

    def part(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 0)
    points = zlib.compress(b"\0\x80\x80" * 2)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", points) + part(b"IEND", b"")


def test_a_screen_stays_alive_while_somebody_looks_at_a_picture(tmp_path: Path) -> None:
    from playwright.async_api import async_playwright, expect

    expect.set_options(timeout=15_000)
    files = FakeFiles([picture()])

    async def look(shop: Shop, url: str) -> None:
        boss, li = await hire(shop, "boss", Role.ADMIN), await hire(shop, "li", name="小李")
        customer = TelegramCustomer(shop)
        number = await customer.case()
        await customer.says("看图", [Attachment(AttachmentKind.PHOTO, "f", size=70)])
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
            page = await browser.new_page(locale="zh-CN")
            blocked: list[str] = []
            page.on(
                "console",
                lambda line: blocked.append(line.text) if "Content Security" in line.text else None,
            )
            await page.goto(f"{url}/console/login")
            await page.get_by_label("账号").fill("li")
            await page.get_by_label("密码").fill(PASSWORD)
            await page.get_by_role("button", name="登录").click()
            await page.goto(f"{url}/console/cases/{number}")
            talk = page.locator("#talk")
            await expect(talk).to_contain_text("看图")
            await asyncio.sleep(0.5)
            # Nothing is fetched before somebody opens it.
            assert files.opened == 0
            await talk.locator("summary").click()
            await expect(talk.locator("img")).to_have_js_property("naturalWidth", 2)
            assert files.opened == 1
            # The opened picture has the focus now; what the customer writes must appear all the same.
            await customer.says("还在吗")
            await expect(talk).to_contain_text("还在吗")
            await customer.says("一号", edits=await customer.says("二号"), revision=5)
            await expect(talk).to_contain_text("已修改")
            await expect(talk.locator("img")).to_be_visible()
            assert await page.evaluate("document.activeElement.tagName") == "SUMMARY"
            # The same picture, not fetched again: each fetch would stand in the audit as a look.
            assert files.opened == 1
            await page.goto(f"{url}/console/feedback")
            await shop.staff_desk.hand_over(number, boss, li.id)
            await expect(page.locator("#notices")).to_contain_text(f"{number} 转给您了")
            assert blocked == []
            await browser.close()

    async def story(shop: Shop) -> None:
        app = console_over(
            shop, media_files={"telegram": files}, public_url="http://127.0.0.1", is_stopping=stopping.is_set
        )
        server = WebServer(app, Address("127.0.0.1", 0))
        with closing(server):
            async with asyncio.TaskGroup() as group:
                group.create_task(server.run())
                try:
                    await look(shop, f"http://127.0.0.1:{server.port}")
                finally:
                    stopping.set()
                    server.stop()

    stopping = asyncio.Event()
    play(tmp_path, story)
