"""Lines that were changed, and what became of what staff said."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from shop import Shop, play
from staff_browser import StaffBrowser, hire
from telegram_rig import TelegramCustomer, console_over

from bot.workers.outbox_worker import OutboxWorker
from desk.errors import OutcomeUnknownError, SendError, SendRefusedError, UnreachableError
from desk.ports import Pace, SendReceipt
from desk.values import ChannelCapabilities, Outgoing


def test_an_edited_line_keeps_the_words_before_it(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        await hire(shop, "li")
        customer = TelegramCustomer(shop)
        number = await customer.case()
        line = await customer.says("地址是一号<b>")
        await customer.says("对了")
        await customer.says("地址是二号", edits=line, revision=100)
        await customer.says("地址是三号", edits=line, revision=200)
        async with StaffBrowser(shop, app=console_over(shop)) as browser:
            await browser.sign_in("li")
            talk = (await browser.get(f"/console/cases/{number}")).text.split('id="talk"')[1]
        talk = talk.split("</ol>")[0]
        assert talk.count("已修改") == 2
        # Each version as a line of its own, and once more as what the next one replaced.
        assert talk.count("地址是一号&lt;b&gt;") == 2
        assert talk.count("地址是二号") == 2
        assert talk.count("地址是三号") == 1
        assert talk.count("superseded") == 2
        second = talk.split("地址是二号")[0].rpartition("<li")[2]
        assert "修改前" in second
        assert talk.index("对了") < talk.index("地址是二号")

    play(tmp_path, story)


def test_an_older_version_that_comes_late_replaces_nothing(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        await hire(shop, "li")
        customer = TelegramCustomer(shop)
        number = await customer.case()
        line = await customer.says("第一版")
        await customer.says("第三版", edits=line, revision=300)
        await customer.says("第二版", edits=line, revision=200)
        async with StaffBrowser(shop, app=console_over(shop)) as browser:
            await browser.sign_in("li")
            page = (await browser.get(f"/console/cases/{number}")).text
        newest = page.split("第三版")[0].rpartition("<li")[2].partition(">")[0]
        late = page.split("第二版")[0].rpartition("<li")[2].partition(">")[0]
        assert "superseded" not in newest
        assert "superseded" in late

    play(tmp_path, story)


class FakeTelegram:
    """A channel on which staff lines meet different fates."""

    channel = "telegram"
    capabilities = ChannelCapabilities()
    pace: Pace | None = None

    def __init__(self, fates: dict[str, SendError]) -> None:
        self._fates = fates

    async def send(self, outgoing: Outgoing, followers: Sequence[Outgoing] = ()) -> SendReceipt:
        if outgoing.text in self._fates:
            raise self._fates[outgoing.text]
        return SendReceipt("1")


def test_what_became_of_a_staff_line_stands_below_it(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        li = await hire(shop, "li", name="小李")
        customer = TelegramCustomer(shop)
        number = await customer.case()
        fates = {
            "也许到了": OutcomeUnknownError("timeout"),
            "不收这个": SendRefusedError("bad request"),
            "停用了": UnreachableError("blocked"),
        }
        for text in ("到了", *fates):
            await shop.staff_desk.reply(number, li, text, f"m-{text}")
        async with StaffBrowser(shop, app=console_over(shop)) as browser:
            await browser.sign_in("li")

            async def under(text: str) -> str:
                page = (await browser.get(f"/console/cases/{number}")).text
                return page.split(f"<bdi>{text}</bdi>")[1].split("</li>")[0]

            assert "等待发送" in await under("到了")
            installation = shop.installation
            parts = (installation.database, installation.wakeups, shop.desk)
            shop.outboxes = [OutboxWorker(*parts, FakeTelegram(fates), installation.owner, shop.clock)]
            for _ in range(3):
                await shop.later(timedelta(minutes=2))
            assert "已送达" in await under("到了")
            assert "不确定是否送达" in await under("也许到了")
            assert "未送达：发送失败" in await under("不收这个")
            assert "未送达：客户停用了机器人" in await under("停用了")
            head = (await browser.get(f"/console/cases/{number}")).text.split('id="case-head"')[1]
            assert "联系不上" in head.split("</header>")[0]

    play(tmp_path, story)


def test_a_customer_who_cannot_be_reached_is_marked_until_they_write(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        await hire(shop, "li")
        customer = TelegramCustomer(shop)
        number = await customer.case()

        async def head() -> str:
            page = (await browser.get(f"/console/cases/{number}")).text
            return page.split('id="case-head"')[1].split("</header>")[0]

        async with StaffBrowser(shop, app=console_over(shop)) as browser:
            await browser.sign_in("li")
            assert "联系不上" not in await head()
            await shop.run(
                lambda unit: unit.identities.mark_unreachable(
                    unit.identities.open("telegram", "5", shop.clock())[0].id, "blocked", shop.clock()
                )
            )
            assert "联系不上" in await head()
            await customer.says("我回来了")
            assert "联系不上" not in await head()

    play(tmp_path, story)
