"""A customer and an agent at once, in two real browsers against a real server."""

from __future__ import annotations

import http.server
import os
import re
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from running_shop import ROOT, RunningShop, free_port

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(240),
    pytest.mark.skipif(
        not CHROMIUM.exists(), reason="Chromium is not installed (Debian: chromium, fonts-noto-cjk)"
    ),
]


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Where screenshots go: into the documentation when asked to, else away."""
    folder = ROOT / "docs/screenshots" if os.environ.get("HUIYIN_TEST_SCREENSHOTS") else tmp_path / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def shop_site(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The shop's own site, on another origin; its address and its folder."""
    folder = tmp_path / "site"
    folder.mkdir()
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", free_port()), partial(_Quiet, directory=str(folder))
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def shop(tmp_path: Path, shop_site: tuple[str, Path]) -> Iterator[RunningShop]:
    running = RunningShop(tmp_path / "var", shop_site[0])
    running.start()
    yield running
    assert running.stop() == 0


def test_from_a_question_to_a_mended_complaint(
    shop: RunningShop, shop_site: tuple[str, Path], pictures: Path
) -> None:
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=15_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        violations: list[str] = []

        # The customer asks, on a phone.
        phone = browser.new_context(
            viewport={"width": 390, "height": 844}, locale="zh-CN", device_scale_factor=2
        )
        chat = phone.new_page()
        chat.on(
            "console", lambda line: violations.append(line.text) if "Content Security" in line.text else None
        )
        chat.goto(f"{shop.url}/chat")
        log = chat.locator("#log")
        box = chat.locator("#box")
        chat.get_by_role("button", name="什么时候发货").first.click()
        expect(log).to_contain_text("小时")
        box.fill("东西不想要了咋办")
        box.press("Enter")
        expect(log).to_contain_text("您是想问")
        chat.screenshot(path=pictures / "chat-phone.png")

        # Nothing is lost or doubled over a reload.
        chat.reload()
        expect(log.get_by_text("东西不想要了咋办", exact=True)).to_have_count(1)

        # The agent signs in and looks at an empty list.
        desk = browser.new_context(viewport={"width": 1360, "height": 900}, locale="zh-CN")
        console = desk.new_page()
        console.on(
            "console", lambda line: violations.append(line.text) if "Content Security" in line.text else None
        )
        console.goto(f"{shop.url}/console")
        console.locator("input[name=login]").fill("admin")
        console.locator("input[name=password]").fill(shop.password)
        console.locator("form[action='/console/login'] button[type=submit]").click()
        console.wait_for_url(re.compile(r"/console/cases"))
        console.goto(f"{shop.url}/console/cases")

        # The parcel arrives; the buyer is asked, is unhappy, and a case is on the agent's screen.
        shop.report("shipped", "20261121-0042")
        chat.goto(shop.order_link("20261121-0042"))
        expect(log).to_contain_text("已关联您的订单 20261121-0042")
        shop.report("delivered", "20261121-0042")
        expect(log).to_contain_text("用着还满意吗")
        chat.get_by_role("button", name=re.compile("非常不满意")).click()
        expect(log).to_contain_text("HY-1001")
        box.fill("有一只杯子收到就有裂纹，包装很薄，很失望")
        box.press("Enter")
        expect(console.locator("#case-list")).to_contain_text("林晓月", timeout=5_000)
        chat.screenshot(path=pictures / "chat-survey.png")
        console.screenshot(path=pictures / "console-cases.png")

        # The agent takes it and answers; the customer sees who is there.
        console.get_by_role("link", name=re.compile("林晓月")).first.click()
        console.locator("form[action$='/take'] button").first.click()
        expect(log).to_contain_text("已接入，为您服务")
        console.locator("#reply-text").fill("林女士您好，裂纹的那只今天给您补发，运费我们出。")
        console.locator("form[action$='/reply'] button[type=submit]").click()
        expect(log).to_contain_text("今天给您补发")
        box.fill("好的，谢谢")
        box.press("Enter")
        expect(console.locator(".talk-card")).to_contain_text("好的，谢谢", timeout=5_000)
        console.screenshot(path=pictures / "console-case.png")
        expect(console.locator("body")).not_to_contain_text("13912345678")

        # The server dies in the middle of the talk; the line typed meanwhile arrives once.
        shop.kill()
        box.fill("补发的也麻烦包厚一点")
        box.press("Enter")
        shop.start()
        expect(console.locator(".talk-card")).to_contain_text("补发的也麻烦包厚一点", timeout=40_000)
        expect(log.get_by_text("补发的也麻烦包厚一点", exact=True)).to_have_count(1)

        # Mended: the case is closed, the bot is back, and asks whether it helped.
        console.reload()
        console.locator("#close-box summary").click()
        console.locator("#close-box input[name=reason]").fill("补发一只")
        console.locator("#close-box button[type=submit]").click()
        expect(log).to_contain_text("问题解决了吗")
        chat.get_by_role("button", name=re.compile("^解决了|解决了$")).last.click()
        expect(log).to_contain_text("太好了")

        # The words are feedback now, scored, beside the rating.
        console.goto(f"{shop.url}/console/feedback")
        expect(console.locator("main")).to_contain_text("裂纹")
        said = console.locator("li, article, section", has_text="裂纹").locator("[class*='mood-']")
        for _ in range(30):
            if said.count():
                break
            # The score comes when it is ready: the scorer loads on first use, and here after a kill.
            console.wait_for_timeout(1000)
            console.reload()
        expect(said.first).to_be_visible()
        console.screenshot(path=pictures / "console-feedback.png")

        # The shop's own page shows the same chat with one tag.
        site, folder = shop_site
        folder.joinpath("index.html").write_text(
            "<!doctype html><html lang=zh><meta charset=utf-8><title>山野茶具</title>"
            "<body style='font-family:sans-serif;background:#f6f3ec;padding:4rem'>"
            "<h1>青瓷主人杯</h1><p>¥68.00 · 手工拉坯，每只略有不同</p>"
            f'<script src="{shop.url}/chat/widget.js" async></script>',
            encoding="utf-8",
        )
        page = browser.new_context(viewport={"width": 1100, "height": 760}, locale="zh-CN").new_page()
        page.goto(f"{site}/index.html")
        page.get_by_role("button").first.click()
        frame = page.frame_locator("iframe")
        expect(frame.locator("#speaker-text")).to_have_text("机器人客服")
        frame.locator("#box").fill("怎么开发票")
        frame.locator("#box").press("Enter")
        expect(frame.locator("#log")).to_contain_text("发票")
        page.wait_for_timeout(600)
        page.screenshot(path=pictures / "widget.png")

        assert violations == []
        browser.close()
