"""Cases as staff work them: read, taken, answered once, noted, closed; and nothing given away."""

from __future__ import annotations

import re
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from shop import Shop, play
from staff_browser import StaffBrowser, hire

from desk.values import Role

_ID = re.compile(r'name="client_msg_id" value="([^"]+)"')
PHONE = "13812345678"


async def angry(shop: Shop, name: str = "王女士", text: str = "转人工") -> tuple[Any, str]:
    """A customer with a delivered order who wants a person; the customer and the case's number."""
    await shop.reports_event("shipped", "A-1", buyer="b-1")
    event = shop.order_event("delivered", "A-1", at=shop.clock.now + timedelta(seconds=1))
    event["order"]["buyer"] = {"id": "b-1", "name": name, "phone": PHONE}
    assert (await shop.post_order_event(event)).status_code == 202
    await shop.settle()
    customer = await shop.customer("wang", await shop.link("A-1"))
    await customer.says(text)
    page = await shop.reports(lambda reports: reports.cases("open", None, 10))
    return customer, page.rows[0].number


def test_a_case_is_read_taken_answered_and_closed(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer, number = await angry(shop)
        await hire(shop, "li", name="小李")
        async with StaffBrowser(shop) as browser:
            await browser.sign_in("li")
            overview = (await browser.get("/console/cases")).text
            assert number in overview
            assert "王女士" in overview
            assert 'id="badge">1<' in overview
            page = (await browser.get(f"/console/cases/{number}")).text
            assert "要求人工" in page
            assert "保温杯" in page
            assert "SF1234567890" in page
            assert "¥118.00" in page
            assert "转人工：要求人工" in page
            assert (
                (await browser.post(f"/console/cases/{number}/take"))
                .headers["location"]
                .endswith("said=taken")
            )
            sent = await browser.post(
                f"/console/cases/{number}/reply", {"text": "您好，马上处理", "client_msg_id": "a" * 20}
            )
            assert sent.status_code == 303
            await shop.settle()
            assert "您好，马上处理" in await customer.texts()
            assert "已送达" in (await browser.get(f"/console/cases/{number}")).text
            await browser.post(f"/console/cases/{number}/note", {"text": "补发一个"})
            assert "补发一个" in (await browser.get(f"/console/cases/{number}")).text
            assert "补发一个" not in " ".join(await customer.texts())
            await browser.post(f"/console/cases/{number}/close", {"reason": "已补发"})
            assert "还没有" not in (await browser.get("/console/cases?tab=closed")).text
            assert "现在没有客户在等" in (await browser.get("/console/cases")).text

    play(tmp_path, story)


def test_a_reply_sent_twice_arrives_once_and_changed_words_are_not_swallowed(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer, number = await angry(shop)
        await hire(shop, "li")
        async with StaffBrowser(shop) as browser:
            await browser.sign_in("li")
            page = await browser.get(f"/console/cases/{number}")
            found = _ID.search(page.text)
            assert found is not None
            form = {"text": "第一句", "client_msg_id": found.group(1)}
            for _ in range(3):
                assert (await browser.script(f"/console/cases/{number}/reply", form)).json() == {"done": True}
            await browser.script(f"/console/cases/{number}/reply", form | {"text": "改过的句子"})
            await shop.settle()
            texts = await customer.texts()
            assert texts.count("第一句") == 1
            assert texts.count("改过的句子") == 1

    play(tmp_path, story)


def test_a_colleagues_case_can_be_read_and_noted_but_not_answered(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer, number = await angry(shop)
        for login, role in (("li", Role.AGENT), ("zhou", Role.AGENT), ("zhao", Role.LEAD)):
            await hire(shop, login, role, f"客服{login}")
        async with StaffBrowser(shop) as li, StaffBrowser(shop) as zhou, StaffBrowser(shop) as zhao:
            await li.sign_in("li")
            await zhou.sign_in("zhou")
            await zhao.sign_in("zhao")
            assert (await li.post(f"/console/cases/{number}/take")).status_code == 303
            taken = await zhou.post(f"/console/cases/{number}/take")
            assert taken.status_code == 409
            assert "同事已经接了这个工单" in taken.text
            refused = await zhou.post(f"/console/cases/{number}/reply", {"text": "我来答<b>"})
            assert refused.status_code == 409
            spoken = await zhou.script(f"/console/cases/{number}/reply", {"text": "我来答"})
            assert (spoken.status_code, spoken.json()["detail"]["reason"]) == (409, "同事已经接了这个工单。")
            assert (await zhou.post(f"/console/cases/{number}/close")).status_code == 409
            assert "客服li 正在处理" in (await zhou.get(f"/console/cases/{number}")).text
            assert (await zhou.post(f"/console/cases/{number}/note", {"text": "看过"})).status_code == 303
            assert (await zhou.script(f"/console/cases/{number}/typing")).status_code == 403
            assert (await li.script(f"/console/cases/{number}/typing")).status_code == 200
            sent = await zhao.post(f"/console/cases/{number}/reply", {"text": "我是主管"})
            assert sent.status_code == 303
            await shop.settle()
            assert "我是主管" in await customer.texts()

    play(tmp_path, story)


def test_a_refused_form_gives_the_words_back(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        _, number = await angry(shop)
        await hire(shop, "li")
        async with StaffBrowser(shop) as browser:
            await browser.sign_in("li")
            long = "长" * 4001
            refused = await browser.post(
                f"/console/cases/{number}/reply", {"text": long, "client_msg_id": "b" * 20}
            )
            assert refused.status_code == 422
            assert long in refused.text
            assert "b" * 20 in refused.text
            assert (await browser.post(f"/console/cases/{number}/reply", {"text": " \n "})).status_code == 422

    play(tmp_path, story)


def test_phones_are_masked_until_asked_for_and_asking_is_recorded(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        _, number = await angry(shop)
        await hire(shop, "li", name="小李")
        async with StaffBrowser(shop) as browser:
            await browser.sign_in("li")
            for path in (
                "/console/cases",
                f"/console/cases/{number}",
                "/console/feedback",
                "/console/surveys",
            ):
                assert PHONE not in (await browser.get(path)).text
            assert "138****5678" in (await browser.get(f"/console/cases/{number}")).text
            assert (await browser.http.get(f"/console/cases/{number}/phone")).status_code == 405
            assert (await browser.script(f"/console/cases/{number}/phone")).json() == {"phone": PHONE}
            assert PHONE in (await browser.post(f"/console/cases/{number}/phone")).text
        lines = (await shop.reports(lambda reports: reports.audit(5))).rows
        assert [(line.action, line.subject, line.staff_name) for line in lines[:2]] == [
            ("contact.reveal_phone", number, "小李")
        ] * 2
        assert not any(PHONE in line.detail for line in lines)

    play(tmp_path, story)


class Markup(HTMLParser):
    """Fails on markup that none of our templates has."""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        names = {name for name, _ in attributes}
        # The policy would block a handler or a style, so there must be none to begin with.
        assert not [name for name in names if name.startswith("on") or name == "style"]
        assert tag != "script" or "src" in names
        assert tag not in ("iframe", "object", "embed", "base")


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{7*7}}${7*7}",
    "</textarea><svg onload=alert(1)>",
    "javascript:alert(1)",
]


def test_what_customers_write_stays_text(tmp_path: Path) -> None:
    text = " ".join(HOSTILE)

    async def story(shop: Shop) -> None:
        customer, number = await angry(shop, name=text)
        await customer.says(text)
        await hire(shop, "boss", Role.ADMIN, text)
        await shop.run(lambda unit: unit.faq.record_miss(1, 1, text, shop.clock.now))
        async with StaffBrowser(shop) as browser:
            await browser.sign_in("boss")
            await browser.post(f"/console/cases/{number}/take")
            await browser.post(f"/console/cases/{number}/note", {"text": text})
            for path in (
                "/console/cases",
                f"/console/cases/{number}",
                "/console/feedback?q=" + text,
                "/console/surveys",
                "/console/faq",
                "/console/staff",
                "/console/audit",
                "/console/account",
            ):
                page = await browser.get(path)
                assert page.status_code == 200
                assert "<script>alert" not in page.text
                assert "<img src=x" not in page.text
                assert "<svg onload" not in page.text
                assert 'href="javascript' not in page.text
                Markup().feed(page.text)
            assert "{{7*7}}${7*7}" in page.text

    play(tmp_path, story)


def test_unknown_numbers_and_odd_ones_are_not_there(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        await hire(shop, "li")
        async with StaffBrowser(shop) as browser:
            await browser.sign_in("li")
            for number in ("HY-9999999", "HY-", "1", "HY-1%00", "%ff", "HY-" + "9" * 30, "'; DROP"):
                assert (await browser.get(f"/console/cases/{number}")).status_code == 404, number

    play(tmp_path, story)


def test_feedback_is_filtered_and_the_accounting_adds_up(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        await shop.reports_event("shipped", "A-1")
        customer = await shop.customer("wang", await shop.link("A-1"))
        await shop.reports_event("delivered", "A-1", at=shop.clock.now + timedelta(seconds=1))
        await shop.reports_event("delivered", "A-2", buyer="b-2")
        await shop.later(timedelta(hours=25))
        await customer.says("5")
        await customer.says("杯子很好")
        await hire(shop, "li")
        async with StaffBrowser(shop) as browser:
            await browser.sign_in("li")
            for query, found in (
                ("", True),
                ("?rating=5", True),
                ("?rating=1", False),
                ("?label=positive", True),
                ("?label=negative", False),
                ("?q=杯子", True),
                ("?q=%25", False),
                ("?q=A-1", True),
                ("?rating=x&label=y&page=z", True),
                ("?page=99999", False),
                ("?page=999999999999999999999", True),
            ):
                answer = await browser.get(f"/console/feedback{query}")
                assert answer.status_code == 200
                assert ("杯子很好<" in answer.text) == found, query
            surveys = (await browser.get("/console/surveys")).text
            assert "账是平的" in surveys
            assert "没有客户打开过订单链接" in surveys

    play(tmp_path, story)
