"""转交: a case goes to a colleague, with the customer's knowledge and on the record."""

from __future__ import annotations

from pathlib import Path

from shop import Shop, play
from staff_browser import StaffBrowser, hire
from test_console_cases import angry

from desk.values import Role


def test_an_agent_hands_a_case_to_a_colleague_who_goes_on_with_it(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer, number = await angry(shop)
        li = await hire(shop, "li", name="小李")
        zhou = await hire(shop, "zhou", name="小周")
        async with StaffBrowser(shop) as mine, StaffBrowser(shop) as theirs:
            await mine.sign_in("li")
            await theirs.sign_in("zhou")
            await mine.get(f"/console/cases/{number}")
            await mine.post(f"/console/cases/{number}/take")
            page = (await mine.get(f"/console/cases/{number}")).text
            assert f'<option value="{zhou.id}">' in page
            # Who has it cannot be given it.
            assert f'<option value="{li.id}">' not in page
            handed = await mine.post(f"/console/cases/{number}/hand-over", {"to": str(zhou.id)})
            assert handed.status_code == 303
            assert "said=handed_over" in handed.headers["location"]
            await shop.settle()
            assert any("小周" in text for text in await customer.texts())
            assert number in (await theirs.get("/console/cases?tab=mine")).text
            after = (await mine.get(f"/console/cases/{number}")).text
            assert "小周 正在处理" in after
            assert "原先是 小李" in after
            assert "hand-over" not in after
            refused = await mine.post(f"/console/cases/{number}/reply", {"text": "还是我来"})
            assert refused.status_code == 409
            answered = await theirs.post(f"/console/cases/{number}/reply", {"text": "我是小周"})
            assert answered.status_code == 303
            back = await mine.post(f"/console/cases/{number}/hand-over", {"to": str(li.id)})
            assert back.status_code == 409
        audit = (await shop.reports(lambda reports: reports.audit(20))).rows
        handovers = [
            (line.staff_name, line.subject, line.detail) for line in audit if "hand_over" in line.action
        ]
        assert handovers == [("小李", number, f"staff:{zhou.id}")]

    play(tmp_path, story)


def test_a_lead_takes_a_colleagues_case_over_with_one_button(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        _, number = await angry(shop)
        await hire(shop, "li", name="小李")
        await hire(shop, "zhou", name="小周")
        zhao = await hire(shop, "zhao", Role.LEAD, "赵主管")
        async with StaffBrowser(shop) as li, StaffBrowser(shop) as zhou, StaffBrowser(shop) as lead:
            for browser, login in ((li, "li"), (zhou, "zhou"), (lead, "zhao")):
                await browser.sign_in(login)
            assert "接过来" not in (await lead.get(f"/console/cases/{number}")).text
            await li.post(f"/console/cases/{number}/take")
            assert "接过来" not in (await zhou.get(f"/console/cases/{number}")).text
            assert "接过来" not in (await li.get(f"/console/cases/{number}")).text
            page = (await lead.get(f"/console/cases/{number}")).text
            assert "接过来" in page
            assert f'name="to" value="{zhao.id}"' in page
            await lead.post(f"/console/cases/{number}/hand-over", {"to": str(zhao.id)})
            assert "赵主管 处理中" in (await li.get(f"/console/cases/{number}")).text

    play(tmp_path, story)


def test_a_waiting_case_can_be_given_to_the_right_person_at_once(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        _, number = await angry(shop)
        await hire(shop, "li")
        zhou = await hire(shop, "zhou", name="小周")
        async with StaffBrowser(shop) as browser:
            await browser.sign_in("li")
            answer = await browser.script(f"/console/cases/{number}/hand-over", {"to": str(zhou.id)})
            assert answer.json() == {"done": True}
            assert "小周 处理中" in (await browser.get("/console/cases")).text

    play(tmp_path, story)


def test_nobody_outside_the_house_gets_a_case_and_a_closed_one_stays(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        _, number = await angry(shop)
        await hire(shop, "li")
        gone = await hire(shop, "gone")
        await shop.staff_desk.change_staff(gone.id, None, disabled=True)
        zhou = await hire(shop, "zhou", name="小周")
        async with StaffBrowser(shop) as browser:
            await browser.sign_in("li")
            await browser.post(f"/console/cases/{number}/take")
            assert f'value="{gone.id}"' not in (await browser.get(f"/console/cases/{number}")).text
            for to in (str(gone.id), "", "0", "9" * 30, "x", f" {zhou.id}"):
                refused = await browser.post(f"/console/cases/{number}/hand-over", {"to": to})
                assert refused.status_code == 422, to
                assert "请选择列表里的一项" in refused.text
            await browser.post(f"/console/cases/{number}/close")
            late = await browser.post(f"/console/cases/{number}/hand-over", {"to": str(zhou.id)})
            assert late.status_code == 409

    play(tmp_path, story)
