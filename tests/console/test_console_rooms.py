"""FAQ, failed work, accounts and audit."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from shop import Shop, play
from staff_browser import StaffBrowser, hire

from desk.ports import UnitOfWork
from desk.values import Role

ENTRY = {
    "question": "可以用消费券吗",
    "variants": "消费券能用吗\n\n支持消费券吗\n消费券能用吗",
    "answer": "可以，下单时选择即可。",
    "category": "优惠",
    "slug": "voucher",
    "intent": "promotion",
    "enabled": "yes",
}


def test_an_unanswered_question_becomes_an_entry_that_answers(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer("wang")
        await customer.says("可以用消费券吗")
        await hire(shop, "zhao", Role.LEAD)
        async with StaffBrowser(shop) as browser:
            await browser.sign_in("zhao")
            assert "可以用消费券吗" in (await browser.get("/console/faq")).text
            assert "可以用消费券吗" in (await browser.get("/console/faq/new?question=可以用消费券吗")).text
            assert (await browser.post("/console/faq/new", ENTRY)).status_code == 303
            assert "可以，下单时选择即可。" in await customer.says("可以用消费券吗")
            entries = await shop.run(lambda unit: list(unit.faq.all()))
            entry = next(entry for entry in entries if entry.slug == "voucher")
            assert entry.variants == ("消费券能用吗", "支持消费券吗")
            assert entry.intent == "promotion"
            shown = (await browser.get(f"/console/faq/{entry.id}")).text
            assert '<option value="promotion" selected>优惠活动 · promotion</option>' in shown
            assert (
                await browser.post(f"/console/faq/{entry.id}/enabled", {"enabled": "no"})
            ).status_code == 303
            assert "可以，下单时选择即可。" not in await customer.says("可以用消费券吗")
            changed = ENTRY | {"answer": "暂时不行。", "slug": "other", "intent": ""}
            assert (await browser.post(f"/console/faq/{entry.id}", changed)).status_code == 303
            stored = await shop.run(lambda unit: unit.faq.get(entry.id))
            assert (stored.slug, stored.answer, stored.enabled) == ("voucher", "暂时不行。", True)
            assert stored.intent == ""
            assert (await browser.post(f"/console/faq/{entry.id}/delete")).status_code == 303
            assert (await browser.get(f"/console/faq/{entry.id}")).status_code == 404

    play(tmp_path, story)


def test_a_wrong_entry_comes_back_as_it_was_typed(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        await hire(shop, "zhao", Role.LEAD)
        async with StaffBrowser(shop) as browser:
            await browser.sign_in("zhao")
            known = (await shop.run(lambda unit: list(unit.faq.all())))[0]
            for wrong in (
                {"slug": "Bad Slug"},
                {"slug": known.slug},
                {"answer": ""},
                {"question": "问" * 201},
                {"action": "drop_tables"},
                {"intent": "rule_the_world"},
            ):
                refused = await browser.post("/console/faq/new", ENTRY | wrong)
                assert refused.status_code == 422
                assert "支持消费券吗" in refused.text
            assert await shop.run(lambda unit: unit.faq.get(known.id)) == known

    play(tmp_path, story)


def test_failed_work_is_shown_to_leads_and_replayed_once(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        now = shop.clock.now

        def die(unit: UnitOfWork) -> int:
            item = unit.inbox.add("odd", "1", "hash", "lane-1", b'{"text": "<script>\\u4f60"}', now)
            assert item is not None
            claims = unit.inbox.claim_lanes("tests", 5, timedelta(minutes=1), now)
            claim = next(claim for claim in claims if claim.lane == "lane-1")
            unit.inbox.bury(claim, item, "KeyError")
            return item

        item = await shop.run(die)
        await hire(shop, "zhao", Role.LEAD)
        async with StaffBrowser(shop) as browser:
            await browser.sign_in("zhao")
            page = (await browser.get("/console/dead-letters")).text
            assert "KeyError" in page
            assert "&lt;script&gt;" in page
            path = f"/console/dead-letters/inbox/{item}/replay"
            assert (await browser.post(path)).status_code == 303
            assert (await browser.post(path)).status_code == 404
            assert (await browser.post(f"/console/dead-letters/elsewhere/{item}/replay")).status_code == 404
            assert "没有失败的任务" in (await browser.get("/console/dead-letters")).text

    play(tmp_path, story)


def test_accounts_are_added_with_a_password_that_is_shown_once(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        boss = await hire(shop, "boss", Role.ADMIN)
        admin = next(m for m in await shop.run(lambda unit: list(unit.staff.all())) if m.login == "admin")
        async with StaffBrowser(shop) as browser, StaffBrowser(shop) as fresh:
            await browser.sign_in("boss")
            form = {"login": "Zhou", "name": "小周", "role": "agent"}
            added = await browser.post("/console/staff", form)
            password = added.text.split('class="secret">')[1].split("<")[0]
            assert password not in (await browser.get("/console/staff")).text
            assert (await fresh.sign_in("zhou", password)).status_code == 303
            assert (await browser.post("/console/staff", form)).status_code == 409
            for wrong in ({"login": "x y"}, {"name": ""}, {"role": "god"}):
                assert (await browser.post("/console/staff", form | wrong)).status_code == 422
            member = next(m for m in await shop.run(lambda unit: list(unit.staff.all())) if m.login == "zhou")
            await browser.post(f"/console/staff/{member.id}/role", {"role": "lead"})
            assert (await fresh.get("/console/audit")).status_code == 303
            await fresh.sign_in("zhou", password)
            assert (await fresh.get("/console/audit")).status_code == 200
            reset = await browser.post(f"/console/staff/{member.id}/password")
            assert 'class="secret">' in reset.text
            assert (await fresh.sign_in("zhou", password)).status_code == 401
            await browser.post(f"/console/staff/{admin.id}/disabled", {"disabled": "yes"})
            last = await browser.post(f"/console/staff/{boss.id}/disabled", {"disabled": "yes"})
            assert last.status_code == 409
            assert "最后一个管理员" in last.text
            audit = (await browser.get("/console/audit")).text
            assert "记录完整" in audit
            assert "小周 (zhou)" in audit
            assert password not in audit

    play(tmp_path, story)


def test_empty_rooms_teach_the_next_step(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        await hire(shop, "boss", Role.ADMIN)
        async with StaffBrowser(shop) as browser:
            await browser.sign_in("boss")
            for path, words in (
                ("/console/cases", "请先点“开启提示音”"),
                ("/console/cases?tab=mine", "点“接单”"),
                ("/console/cases?tab=closed", "点“结案”"),
                ("/console/feedback", "订单签收后"),
                ("/console/surveys", "/api/v1/orders/events"),
                ("/console/dead-letters", "不会丢"),
            ):
                assert words in (await browser.get(path)).text, path
            await browser.post("/console/language", {"language": "en"})
            english = (await browser.get("/console/cases")).text
            assert '<html lang="en">' in english
            assert "Nobody is waiting" in english

    play(tmp_path, story)
