"""The event stream of the web chat: everything after what the browser has, then whatever comes."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

from shop import Customer, Shop, play

from bot.webchat import stream
from bot.webchat.stream import lines_as_events


async def open_stream(
    shop: Shop, customer: Customer, after: int = 0, stopping: list[bool] | None = None
) -> AsyncIterator[str]:
    identity_id = await shop.desk.find_chat_identity(customer.token.partition(".")[0])
    assert identity_id is not None
    return lines_as_events(
        shop.desk,
        shop.installation.wakeups,
        shop.staff_desk.find_typist,
        lambda: bool(stopping),
        identity_id,
        after,
    )


async def following(events: AsyncIterator[str]) -> str:
    async with asyncio.timeout(5):
        return await anext(events)


def test_a_browser_that_comes_back_gets_only_what_it_has_not_seen(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        await customer.says("怎么退货")
        everything = await following(await open_stream(shop, customer))
        assert "id: 1\n" in everything
        assert "id: 2\n" in everything
        rest = await following(await open_stream(shop, customer, after=1))
        assert "id: 1\n" not in rest
        assert "id: 2\n" in rest

    play(tmp_path, story)


def test_new_lines_come_without_asking_again(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        events = await open_stream(shop, customer)
        assert '"speaker": "bot"' in await following(events)
        await customer.post("转人工")
        await shop.settle()
        arrived = await following(events)
        assert '"author": "customer"' in arrived
        assert '"speaker": "waiting"' in arrived

    play(tmp_path, story)


def test_who_is_typing_is_shown_and_fades(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        staff = await shop.staff()
        await customer.says("转人工")
        await shop.staff_desk.take_case("HY-1001", staff)
        await shop.settle()
        events = await open_stream(shop, customer)
        await following(events)
        page = await shop.reports(lambda reports: reports.case_page("HY-1001"))
        shop.staff_desk.typing(page.case.conversation_id, staff)
        assert '"name": "小李"' in await following(events)
        shop.clock.turn(timedelta(seconds=7))
        shop.installation.wakeups.ring(f"events:{page.case.conversation_id}")
        assert '"name": null' in await following(events)

    play(tmp_path, story)


def test_a_long_history_comes_in_pages_and_whole(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        identity_id = await shop.desk.find_chat_identity(customer.token.partition(".")[0])

        def write_much(unit: object) -> None:
            conversation = unit.conversations.lock_of_identity(identity_id)  # type: ignore[attr-defined]
            for number in range(450):
                unit.conversations.add_incoming(  # type: ignore[attr-defined]
                    conversation, f"old-{number}", 0, f"第 {number} 句", None, shop.clock()
                )

        await shop.run(write_much)
        events = await open_stream(shop, customer)
        pages = "".join([await following(events) for _ in range(3)])
        assert [f"id: {seq}\n" in pages for seq in (1, 200, 201, 450)] == [True] * 4
        assert timedelta(seconds=25) > stream.HEARTBEAT

    play(tmp_path, story)


def test_the_stream_ends_when_the_server_stops(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        stopping: list[bool] = []
        events = await open_stream(shop, customer, stopping=stopping)
        await following(events)

        async def stop() -> None:
            await asyncio.sleep(0.1)
            stopping.append(True)
            shop.installation.wakeups.ring_all()

        async def rest() -> list[str]:
            return [event async for event in events]

        async with asyncio.timeout(5):
            left, _ = await asyncio.gather(rest(), stop())
        assert "event: message" not in "".join(left)

    play(tmp_path, story)
