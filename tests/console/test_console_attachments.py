"""What customers send beside words: labelled on the page, fetched on demand, never trusted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from shop import Shop, play
from staff_browser import StaffBrowser, hire
from telegram_api import TelegramApi
from telegram_rig import TelegramCustomer, console_over

from bot.telegram.media_files import TelegramFiles
from bot.telegram.session import make_bot
from console.deps import MediaFiles
from console.pages.attachments import picture_type
from desk.errors import DeskError, NotFoundError
from desk.values import Attachment, AttachmentKind

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 40
JPEG = b"\xff\xd8\xff\xe0" + b"\0" * 40
HTML = b"<html><script>alert(1)</script></html>"

Story = Callable[[Shop, StaffBrowser, TelegramApi, TelegramCustomer], Awaitable[None]]


def over_telegram(folder: Path, story: Story) -> None:
    """Plays a story in which an agent looks at files that lie with a Telegram."""

    async def played(shop: Shop) -> None:
        async with TelegramApi() as api:
            api.limits.on = False
            api.user(5).starts()
            bot = make_bot(api.token, api.url)
            files = TelegramFiles(bot, answer_within=timedelta(seconds=1))
            await hire(shop, "li", name="小李")
            try:
                async with StaffBrowser(
                    shop, app=console_over(shop, media_files={"telegram": files})
                ) as browser:
                    await browser.sign_in("li")
                    await story(shop, browser, api, TelegramCustomer(shop))
            finally:
                await bot.session.close()

    play(folder, played)


def kept(api: TelegramApi, content: bytes, name: str = "a.bin") -> str:
    """The id of a file at Telegram."""
    api.user(5).sends_document(name, content)
    return str(list(api.world.files)[-1])


async def address_of(customer: TelegramCustomer) -> str:
    """Where the first attachment of the newest line with one is looked at."""
    line = next(line for line in reversed(await customer.lines()) if line.attachments)
    return f"/console/attachments/{line.id}/0"


def test_a_picture_is_shown_and_each_look_is_recorded(tmp_path: Path) -> None:
    async def story(shop: Shop, browser: StaffBrowser, api: TelegramApi, customer: TelegramCustomer) -> None:
        number = await customer.case()
        photo = Attachment(AttachmentKind.PHOTO, kept(api, JPEG), mime="image/jpeg", size=len(JPEG))
        await customer.says("漏水，看图", [photo])
        address = await address_of(customer)
        page = (await browser.get(f"/console/cases/{number}")).text
        assert f'src="{address}" loading="lazy"' in page
        assert "图片" in page
        assert "漏水，看图" in page
        assert len(api.calls("getFile")) == 0
        shown = await browser.get(address)
        assert (shown.status_code, shown.content) == (200, JPEG)
        assert shown.headers["content-type"] == "image/jpeg"
        assert shown.headers["content-disposition"].startswith("inline")
        assert shown.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in shown.headers["content-security-policy"]
        assert shown.headers["cache-control"] == "no-store"
        assert api.token not in page + str(shown.headers)
        await browser.get(address)
        audit = (await shop.reports(lambda reports: reports.audit(10))).rows
        looks = [(line.staff_name, line.subject) for line in audit if line.action == "attachment.view"]
        assert looks == [("小李", number)] * 2
        assert "查看附件" not in page

    over_telegram(tmp_path, story)


def test_what_only_claims_to_be_a_picture_is_handed_over_as_bytes(tmp_path: Path) -> None:
    async def story(shop: Shop, browser: StaffBrowser, api: TelegramApi, customer: TelegramCustomer) -> None:
        await customer.case()
        for content, mime, name in (
            (HTML, "image/png", "看我.png"),
            (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "image/svg+xml", "a.svg"),
            (b"%PDF-1.7", "application/pdf", "发票.pdf"),
            (b"", "image/png", "empty.png"),
        ):
            await customer.says("", [Attachment(AttachmentKind.DOCUMENT, kept(api, content), name, mime)])
            given = await browser.get(await address_of(customer))
            assert (given.status_code, given.content) == (200, content)
            assert given.headers["content-type"] == "application/octet-stream"
            assert given.headers["content-disposition"].startswith("attachment; ")
            assert "sandbox" in given.headers["content-security-policy"]

    over_telegram(tmp_path, story)


@pytest.mark.parametrize(
    ("given", "kept_name"),
    [
        ("发票.pdf", "%E5%8F%91%E7%A5%A8.pdf"),
        ('a";\r\nSet-Cookie: x=1\r\n.pdf', "a_%3BSet-Cookie_%20x%3D1.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Windows\\evil.exe", "evil.exe"),
        ("gpj.\u202eexe", "gpj.exe"),
        (" .. ", "attachment-"),
    ],
)
def test_file_names_fool_neither_the_page_nor_the_disk(tmp_path: Path, given: str, kept_name: str) -> None:
    async def story(shop: Shop, browser: StaffBrowser, api: TelegramApi, customer: TelegramCustomer) -> None:
        number = await customer.case()
        hostile = f"{given}<img src=x onerror=alert(1)>"
        await customer.says("", [Attachment(AttachmentKind.DOCUMENT, kept(api, b"x"), hostile)])
        page = (await browser.get(f"/console/cases/{number}")).text
        assert "<img src=x" not in page
        assert "\u202e" not in page
        await customer.says("", [Attachment(AttachmentKind.DOCUMENT, kept(api, b"x"), given)])
        answer = await browser.get(await address_of(customer))
        assert answer.status_code == 200
        assert "set-cookie" not in answer.headers
        disposition = answer.headers["content-disposition"]
        assert disposition.isascii()
        assert f"filename*=UTF-8''{kept_name}" in disposition

    over_telegram(tmp_path, story)


def test_places_and_cards_are_text_without_links(tmp_path: Path) -> None:
    async def story(shop: Shop, browser: StaffBrowser, api: TelegramApi, customer: TelegramCustomer) -> None:
        number = await customer.case()
        await customer.says("", [Attachment(AttachmentKind.LOCATION, name="31.2304,121.4737")])
        await customer.says("", [Attachment(AttachmentKind.CONTACT_CARD, name="老王<i> 010-1234")])
        page = (await browser.get(f"/console/cases/{number}")).text
        assert "31.2304,121.4737" in page
        assert "老王&lt;i&gt; 010-1234" in page
        assert "/console/attachments/" not in page
        assert (await browser.get(await address_of(customer))).status_code == 404
        assert "[名片]" in (await browser.get("/console/cases")).text

    over_telegram(tmp_path, story)


def test_a_file_that_cannot_be_had_is_explained_on_a_page(tmp_path: Path) -> None:
    async def story(shop: Shop, browser: StaffBrowser, api: TelegramApi, customer: TelegramCustomer) -> None:
        number = await customer.case()
        await customer.says("", [Attachment(AttachmentKind.VIDEO, "gone-for-ever")])
        gone = await browser.get(await address_of(customer))
        assert gone.status_code == 404
        assert "已经没有这个文件" in gone.text
        assert f'href="/console/cases/{number}"' in gone.text
        huge = Attachment(AttachmentKind.VIDEO, kept(api, b"x"), size=21 * 1024 * 1024)
        await customer.says("", [huge])
        big = await address_of(customer)
        assert f'"{big}"' not in (await browser.get(f"/console/cases/{number}")).text
        assert (await browser.get(big)).status_code == 413
        await customer.says("", [Attachment(AttachmentKind.VOICE, kept(api, b"OggS"))])
        voice = await address_of(customer)
        api.refuse()
        down = await browser.get(voice)
        assert (down.status_code, down.headers["retry-after"]) == (503, "30")
        assert "过一会儿再试" in down.text
        audit = (await shop.reports(lambda reports: reports.audit(20))).rows
        assert not [line for line in audit if line.action == "attachment.view"]
        async with StaffBrowser(shop, app=console_over(shop)) as without:
            await without.sign_in("li")
            off = await without.get(voice)
            assert off.status_code == 503
            assert "没有开启" in off.text

    over_telegram(tmp_path, story)


def test_only_staff_and_only_talks_that_became_a_case_are_looked_at(tmp_path: Path) -> None:
    async def story(shop: Shop, browser: StaffBrowser, api: TelegramApi, customer: TelegramCustomer) -> None:
        await customer.says("看", [Attachment(AttachmentKind.PHOTO, kept(api, PNG))])
        address = await address_of(customer)
        assert (await browser.get(address)).status_code == 404
        await customer.case()
        assert (await browser.get(address)).status_code == 200
        for odd in (address[:-1] + "1", address[:-1] + "x", "/console/attachments/999999/0", address + "%00"):
            assert (await browser.get(odd)).status_code == 404, odd
        async with StaffBrowser(shop, app=console_over(shop)) as stranger:
            answer = await stranger.get(address)
            assert answer.headers["location"].startswith("/console/login")

    over_telegram(tmp_path, story)


class FakeFiles:
    """Files of a channel that can be watched and broken."""

    def __init__(self, pieces: list[bytes], fault: Exception | None = None) -> None:
        self.pieces = pieces
        self.fault = fault
        self.opened = 0
        self.closed = 0

    @asynccontextmanager
    async def __call__(self, attachment: Attachment) -> AsyncIterator[AsyncIterator[bytes]]:
        self.opened += 1
        try:
            yield self._all()
        finally:
            self.closed += 1

    async def _all(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield piece
            await asyncio.sleep(0)
        if self.fault is not None:
            raise self.fault


async def with_files(shop: Shop, files: MediaFiles) -> tuple[StaffBrowser, str]:
    """A signed-in agent, and the address of a photo."""
    await hire(shop, "li")
    customer = TelegramCustomer(shop)
    await customer.case()
    await customer.says("", [Attachment(AttachmentKind.PHOTO, "f")])
    browser = StaffBrowser(shop, app=console_over(shop, media_files={"telegram": files}))
    await browser.sign_in("li")
    return browser, await address_of(customer)


def test_a_picture_in_tiny_pieces_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        files = FakeFiles([bytes([each]) for each in PNG])
        browser, address = await with_files(shop, files)
        async with browser:
            answer = await browser.get(address)
            assert (answer.headers["content-type"], answer.content) == ("image/png", PNG)
        assert (files.opened, files.closed) == (1, 1)

    play(tmp_path, story)


def test_a_file_that_breaks_half_way_breaks_the_answer_and_is_closed(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        files = FakeFiles([JPEG, b"more"], DeskError("the download broke"))
        browser, address = await with_files(shop, files)
        async with browser:
            try:
                cut = await browser.get(address)
            except ConnectionError:
                pass
            else:
                assert cut.content == JPEG + b"more"
            files.fault, files.pieces = NotFoundError("gone"), []
            assert (await browser.get(address)).status_code == 404
        assert (files.opened, files.closed) == (2, 2)

    play(tmp_path, story)


def test_a_browser_that_goes_away_lets_the_file_go(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        files = FakeFiles([JPEG] + [b"x" * 1000] * 100_000)
        browser, address = await with_files(shop, files)
        async with browser:
            cookie = f"__Host-huiyin={browser.http.cookies['__Host-huiyin']}"
            app = console_over(shop, media_files={"telegram": files})
            started = asyncio.Event()

            async def receive() -> dict[str, Any]:
                await started.wait()
                return {"type": "http.disconnect"}

            async def send(message: dict[str, Any]) -> None:
                started.set()

            scope = {
                "type": "http",
                "asgi": {"version": "3.0", "spec_version": "2.3"},
                "http_version": "1.1",
                "method": "GET",
                "scheme": "https",
                "path": address,
                "raw_path": address.encode(),
                "query_string": b"",
                "root_path": "",
                "headers": [(b"host", b"127.0.0.1:8080"), (b"cookie", cookie.encode())],
                "client": ("203.0.113.9", 4000),
                "server": ("127.0.0.1", 8080),
                "state": {},
            }
            await app(scope, receive, send)
        assert (files.opened, files.closed) == (1, 1)

    play(tmp_path, story)


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (PNG, "image/png"),
        (JPEG, "image/jpeg"),
        (b"GIF89a....", "image/gif"),
        (b"GIF87a....", "image/gif"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
        (b"RIFF\x10\0\0\0WAVEfmt ", None),
        (b"<svg", None),
        (b"\x89PNG", None),
        (b"", None),
    ],
)
def test_only_four_kinds_of_pictures_are_shown(head: bytes, kind: str | None) -> None:
    assert picture_type(head) == kind
