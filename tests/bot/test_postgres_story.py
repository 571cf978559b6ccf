"""The main stories on PostgreSQL, and two installations that share one database."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql
from shop import Customer, FakeClock, FakeScorer, Shop, play, shop_settings
from sqlalchemy import make_url, text

from bot.app import Installation
from bot.logs import configure_logs
from bot.settings import LogFormat, LogLevel
from bot.webchat.messages import from_inbox
from bot.workers.inbox_worker import InboxWorker
from bot.workers.outbox_worker import OutboxWorker
from bot.workers.timer_worker import TimerWorker
from console.api.order_schemas import parse_order_event
from desk import wording
from desk.ports import Pace, SendReceipt, UnitOfWork
from desk.values import (
    CaseState,
    ChannelCapabilities,
    FaqBook,
    InboxItem,
    Outgoing,
    Reply,
    SentimentLabel,
    Understanding,
)
from storage.reports import Reports

DAY = timedelta(days=1)


@pytest.fixture
def database_url(postgres_url: str) -> Iterator[str]:
    """The address of an empty database of this test's own."""
    name = f"huiyin_story_{secrets.token_hex(6)}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} ENCODING 'UTF8' TEMPLATE template0").format(sql.Identifier(name))
        )
    try:
        yield make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
    finally:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


# --- The main stories -----------------------------------------------------------------------------------


def test_a_question_is_answered_once(tmp_path: Path, database_url: str) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        first = await customer.post("什么时候发货", "m-1")
        again = await customer.post("什么时候发货", "m-1")
        assert first.json() == again.json()
        assert (await customer.post("别的", "m-1")).status_code == 409
        await shop.settle()
        assert [line["author"] for line in await customer.lines()] == ["customer", "bot"]
        assert await customer.says("东西不想要了咋办") == [wording.CHOICES]
        assert len(await customer.says("1")) == 1

    play(tmp_path, story, DATABASE_URL=database_url)


def test_from_delivery_to_scored_feedback(tmp_path: Path, database_url: str) -> None:
    async def story(shop: Shop) -> None:
        await shop.reports_event("shipped")
        customer = await shop.customer("wang", order_token=await shop.link())
        await shop.reports_event("delivered")
        await shop.later(DAY)
        assert (await customer.texts())[-1] == wording.SURVEY_ASK.format(order="A-1")
        assert await customer.presses("满意") == [wording.SURVEY_COMMENT.format(rating=4)]
        assert await customer.says("杯子很好，就是盖子有点紧") == [wording.SURVEY_THANKS]
        (said,) = (await shop.reports(lambda reports: reports.feedback(None, None, "", 10))).rows
        assert (said.rating, said.comment) == (4, "杯子很好，就是盖子有点紧")
        assert said.sentiment is not None
        assert said.sentiment.label is SentimentLabel.POSITIVE
        counted = await shop.reports(Reports.survey_accounting)
        assert (counted.balanced, counted.answered) == (True, 1)

    play(tmp_path, story, DATABASE_URL=database_url)


def test_from_a_low_rating_to_a_customer_who_was_helped(tmp_path: Path, database_url: str) -> None:
    async def story(shop: Shop) -> None:
        await shop.reports_event("shipped")
        customer = await shop.customer("wang", order_token=await shop.link())
        staff = await shop.staff()
        await shop.reports_event("delivered")
        await shop.later(DAY)
        handed = await customer.presses("非常不满意")
        assert handed == [wording.HANDOFF["low_rating"].format(number="HY-1001")]
        assert await customer.says("杯盖漏水") == []
        await shop.later(timedelta(minutes=2))
        events = await shop.run(lambda unit: unit.desk_events.find_after(0, 1000))
        assert [event.kind for event in events].count("case_alert") == 2
        await shop.staff_desk.take_case("HY-1001", staff)
        await shop.staff_desk.reply("HY-1001", staff, "给您补发一个", "s-1")
        await shop.staff_desk.close_case("HY-1001", staff, "solved")
        await shop.settle()
        assert (await customer.texts())[-4:] == [
            wording.PERSON_JOINED.format(name="小李"),
            "给您补发一个",
            wording.PERSON_LEFT.format(name="小李"),
            wording.CASE_CLOSED,
        ]
        assert await customer.presses(wording.HELPED_YES) == [wording.HELPED_THANKS]
        case = (await shop.reports(lambda reports: reports.case_page("HY-1001"))).case
        assert (case.state, case.helped, case.staff_name) == (CaseState.CLOSED, True, "小李")
        (said,) = (await shop.reports(lambda reports: reports.feedback(None, None, "", 10))).rows
        assert (said.rating, said.comment) == (1, "杯盖漏水")
        assert await shop.run(lambda unit: unit.staff.verify_audit()) is None

    play(tmp_path, story, DATABASE_URL=database_url)


# --- One database, several processes ----------------------------------------------------------------------


class FakeUnderstander:
    """Knows nothing, after a while."""

    def __init__(self, takes: float = 0.0) -> None:
        self._takes = takes

    async def understand(self, text: str, faq: FaqBook) -> Understanding:
        await asyncio.sleep(self._takes)
        return Understanding("fake")


def play_shops(
    folder: Path, database_url: str, story: Callable[[list[Shop]], Awaitable[None]], shops: int = 2
) -> None:
    """Plays a story against several installations over one database, in one event loop."""

    async def run() -> None:
        configure_logs(LogLevel.ERROR, LogFormat.JSON)
        clock, scorer = FakeClock(), FakeScorer()
        async with AsyncExitStack() as exits:
            opened = []
            for _ in range(shops):
                installation = Installation(
                    shop_settings(folder, DATABASE_URL=database_url),
                    understander=FakeUnderstander(),
                    scorer=scorer,
                    clock=clock,
                )
                await exits.enter_async_context(installation)
                await installation.prepare()
                shop = Shop(installation, clock, scorer)
                opened.append(shop)
                await exits.enter_async_context(shop.http)
            await story(opened)

    asyncio.run(run())


class Sharing:
    """A customer whose browser reaches either installation."""

    def __init__(self, shops: list[Shop], name: str) -> None:
        self.name = name
        self.doors = [Customer(shop, f"{name}-{uuid.uuid5(uuid.NAMESPACE_DNS, name)}") for shop in shops]

    async def open(self) -> None:
        for door in self.doors:
            assert (await door.open()).status_code == 200
        assert len({door.token for door in self.doors}) == 1

    async def posts(self, words: str, client_msg_id: str) -> None:
        """Sends the same message through all doors at once."""
        answers: list[httpx.Response] = await asyncio.gather(
            *(door.post(words, client_msg_id) for door in self.doors)
        )
        assert [answer.status_code for answer in answers] == [202] * len(self.doors)

    async def lines(self) -> list[dict[str, Any]]:
        return await self.doors[0].lines()

    async def is_answered(self, messages: int) -> bool:
        return len(await self.lines()) >= 2 * messages

    async def check(self, messages: int) -> None:
        """Every message is there exactly once and in order, with one answer each."""
        lines = await self.lines()
        assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
        written = [line["text"] for line in lines if line["author"] == "customer"]
        assert written == [f"{self.name} 第 {number} 句" for number in range(messages)]
        assert [line["author"] for line in lines].count("bot") == messages


async def post_all(customers: list[Sharing], messages: int) -> None:
    async def post(customer: Sharing) -> None:
        for number in range(messages):
            await customer.posts(f"{customer.name} 第 {number} 句", f"m-{number}")

    await asyncio.gather(*(post(customer) for customer in customers))


async def until_answered(customers: list[Sharing], messages: int) -> None:
    async with asyncio.timeout(60):
        for customer in customers:
            while not await customer.is_answered(messages):
                await asyncio.sleep(0.05)


def test_two_installations_work_one_inbox_and_every_message_is_answered_once(
    tmp_path: Path, database_url: str
) -> None:
    async def story(shops: list[Shop]) -> None:
        customers = [Sharing(shops, f"customer{number}") for number in range(20)]
        for customer in customers:
            await customer.open()
        for shop in shops:
            shop.installation.add_workers()

        async def play_customers() -> None:
            try:
                await post_all(customers, 10)
                await until_answered(customers, 10)
            finally:
                for shop in shops:
                    shop.installation.supervisor.stop()

        await asyncio.gather(play_customers(), *(shop.installation.supervisor.run() for shop in shops))
        for shop in shops:
            await shop.settle()
            assert set(shop.installation.supervisor.restarts.values()) == {0}
        for customer in customers:
            await customer.check(10)
        assert await shops[0].run(lambda unit: unit.dead_letters.count()) == 0

    play_shops(tmp_path, database_url, story)


CHILD = """
import asyncio, sys
from pathlib import Path
from test_postgres_story import work_until_killed
asyncio.run(work_until_killed(Path(sys.argv[1]), sys.argv[2]))
"""


async def work_until_killed(folder: Path, database_url: str) -> None:
    """What the other process does; it is slow, so that it is killed with much in hand."""
    configure_logs(LogLevel.ERROR, LogFormat.JSON)
    installation = Installation(
        shop_settings(folder, DATABASE_URL=database_url),
        understander=FakeUnderstander(0.2),
        scorer=FakeScorer(),
        clock=FakeClock(),
    )
    async with installation:
        installation.add_workers()
        await installation.supervisor.run()


async def owned_lanes(shop: Shop) -> set[str]:
    """The lanes that somebody else has leased."""

    def read(unit: Any) -> set[str]:
        rows = unit.session.execute(
            text("SELECT name FROM lanes WHERE owner IS NOT NULL AND owner <> :owner"),
            {"owner": shop.installation.owner},
        )
        return {row[0] for row in rows}

    return await shop.run(read)


async def a_minute_passes(shop: Shop) -> None:
    """For leases, which go by the database's clock."""

    def work(unit: Any) -> None:
        for table in ("lanes", "leases"):
            unit.session.execute(
                text(f"UPDATE {table} SET leased_until = leased_until - interval '61 seconds'")
            )

    await shop.run(work)


def test_what_a_killed_process_had_in_hand_is_taken_over_when_its_leases_end(
    tmp_path: Path, database_url: str
) -> None:
    async def story(shops: list[Shop]) -> None:
        (shop,) = shops
        customers = [Sharing(shops, f"customer{number}") for number in range(20)]
        for customer in customers:
            await customer.open()
        await post_all(customers, 10)
        tests = Path(__file__).parent
        paths = os.pathsep.join(str(path) for path in (tests, tests.parent, tests.parent.parent))
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path), database_url],
            env={**os.environ, "PYTHONPATH": paths},
        )
        try:
            async with asyncio.timeout(60):
                while sum([len(await customer.lines()) for customer in customers]) < 10:
                    assert child.poll() is None
                    await asyncio.sleep(0.05)
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait()
        held = await owned_lanes(shop)
        assert held
        # Until the leases end nobody touches what may still be worked; the other lanes go on at once.
        while await shop.inbox.work_one_lane():
            pass
        assert await owned_lanes(shop) == held
        await a_minute_passes(shop)
        await shop.settle()
        assert await owned_lanes(shop) == set()
        for customer in customers:
            await customer.check(10)

    play_shops(tmp_path, database_url, story, shops=1)


def test_a_process_that_woke_after_its_lease_ended_drops_what_it_decided(
    tmp_path: Path, database_url: str
) -> None:
    async def story(shops: list[Shop]) -> None:
        asleep, awake = shops
        customer = Sharing(shops, "wang")
        await customer.open()
        await customer.posts("wang 第 0 句", "m-0")

        async def sleeps(item: InboxItem, complete: Callable[[UnitOfWork], None]) -> None:
            assert not await awake.inbox.work_one_lane()
            await a_minute_passes(awake)
            assert await awake.inbox.work_one_lane()
            await asleep.desk.take_message(from_inbox(item.source_key, item.raw), complete)

        installation = asleep.installation
        worker = InboxWorker(
            installation.database, installation.wakeups, {"webchat": sleeps}, installation.owner, asleep.clock
        )
        assert await worker.work_one_lane()
        await awake.settle()
        await customer.check(1)

    play_shops(tmp_path, database_url, story)


def test_two_processes_that_fire_the_same_timers_ask_once_and_the_second_one_rests(
    tmp_path: Path, database_url: str
) -> None:
    async def story(shops: list[Shop]) -> None:
        first, second = shops
        await first.reports_event("shipped")
        customer = await first.customer("wang", order_token=await first.link())
        await first.reports_event("delivered")
        first.clock.turn(DAY)
        assert not await second.fire_due()
        await asyncio.gather(first.settle(), second.settle())
        await first.settle()
        assert (await customer.texts()).count(wording.SURVEY_ASK.format(order="A-1")) == 1
        first.clock.turn(DAY)
        assert not await second.fire_due()
        await a_minute_passes(second)
        assert await second.fire_due()

    play_shops(tmp_path, database_url, story)


class FakeMessenger:
    """A channel behind a network."""

    channel = "messenger"
    capabilities = ChannelCapabilities()
    pace: Pace | None = None

    def __init__(self, sent: list[str]) -> None:
        self.sent = sent

    async def send(self, outgoing: Outgoing, followers: Sequence[Outgoing] = ()) -> SendReceipt:
        await asyncio.sleep(0.005)
        self.sent.append(outgoing.text)
        return SendReceipt()


def test_one_process_sends_and_the_other_one_rests_until_it_is_gone(
    tmp_path: Path, database_url: str
) -> None:
    async def story(shops: list[Shop]) -> None:
        sent: list[str] = []
        senders = []
        for shop in shops:
            installation = shop.installation
            senders.append(
                OutboxWorker(
                    installation.database,
                    installation.wakeups,
                    shop.desk,
                    FakeMessenger(sent),
                    installation.owner,
                    shop.clock,
                )
            )

        def say(unit: UnitOfWork) -> None:
            for who in range(5):
                _, conversation = unit.identities.open("messenger", f"u-{who}", shops[0].clock())
                for number in range(3):
                    words = f"{who}:{number}"
                    unit.outbox.say(conversation, Reply(words), words, shops[0].clock())

        await shops[0].run(say)
        assert await senders[0].send_due() == 5
        assert await senders[1].send_due() == 0
        await asyncio.gather(*(sender.send_due() for sender in senders))
        assert len(sent) == 10
        await a_minute_passes(shops[1])
        assert await senders[1].send_due() == 5
        assert sorted(sent) == [f"{who}:{number}" for who in range(5) for number in range(3)]
        for who in range(5):
            assert [words for words in sent if words.startswith(f"{who}:")] == [
                f"{who}:{n}" for n in range(3)
            ]

    play_shops(tmp_path, database_url, story)


def test_two_deliveries_applied_in_the_same_moment_plan_one_survey(tmp_path: Path, database_url: str) -> None:
    async def story(shop: Shop) -> None:
        both_looked = threading.Barrier(2)

        def event(minutes: int) -> Any:
            reported = shop.order_event("delivered", at=shop.clock.now - timedelta(minutes=minutes))
            return parse_order_event(json.dumps(reported).encode(), shop.clock())

        def apply(minutes: int) -> Callable[[UnitOfWork], None]:
            parsed = event(minutes)
            looked = False

            def work(unit: UnitOfWork) -> None:
                nonlocal looked
                if not looked:
                    looked = True
                    real = unit.orders.lock

                    def lock(external_id: str) -> Any:
                        found = real(external_id)
                        both_looked.wait(5)
                        return found

                    unit.orders.lock = lock  # type: ignore[method-assign]
                shop.desk.apply_order_event(unit, parsed)

            return work

        await asyncio.gather(shop.run(apply(1)), shop.run(apply(2)))
        customer = await shop.customer("wang", order_token=await shop.link())
        await shop.later(DAY)
        assert (await customer.texts()).count(wording.SURVEY_ASK.format(order="A-1")) == 1
        assert (await shop.reports(Reports.survey_accounting)).balanced

    play(tmp_path, story, DATABASE_URL=database_url)


def test_two_people_take_a_case_in_two_processes_and_one_wins(tmp_path: Path, database_url: str) -> None:
    async def story(shops: list[Shop]) -> None:
        first, second = shops
        li, zhao = await first.staff(), await first.staff("zhao", name="小赵")
        for number in range(10):
            customer = await first.customer(f"customer{number}")
            await customer.says("转人工")
            case = f"HY-{1001 + number}"
            outcomes = await asyncio.gather(
                first.staff_desk.take_case(case, li),
                second.staff_desk.take_case(case, zhao),
                customer.post("什么时候发货"),
                second.settle(),
                return_exceptions=True,
            )
            refused = [outcome for outcome in outcomes[:2] if isinstance(outcome, Exception)]
            assert [type(error).__name__ for error in refused] == ["AlreadyTakenError"]
            await first.settle()
            await second.settle()
            lines = await customer.lines()
            joined = [line["seq"] for line in lines if line["author"] == "system"]
            assert len(joined) == 1
            assert not [line for line in lines if line["author"] == "bot" and line["seq"] > joined[0]]
            assert [line["text"] for line in lines if line["author"] == "customer"] == [
                "转人工",
                "什么时候发货",
            ]

    play_shops(tmp_path, database_url, story)


def test_a_timer_worker_of_the_next_process_goes_on_after_a_kill(tmp_path: Path, database_url: str) -> None:
    async def story(shops: list[Shop]) -> None:
        dead, alive = shops
        customer = await alive.customer()
        await customer.says("转人工")
        installation = dead.installation
        killed = TimerWorker(
            installation.database, installation.wakeups, dead.desk, installation.owner, dead.clock
        )
        await a_minute_passes(alive)
        alive.clock.turn(timedelta(minutes=2))
        assert await killed.fire_due() > 0
        alive.clock.turn(timedelta(minutes=3))
        assert not await alive.fire_due()
        await a_minute_passes(alive)
        assert await alive.fire_due()
        events = await alive.run(lambda unit: unit.desk_events.find_after(0, 1000))
        assert [event.payload["rung"] for event in events if event.kind == "case_alert"] == [0, 1, 2]

    play_shops(tmp_path, database_url, story)
