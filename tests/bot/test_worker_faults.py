"""What goes wrong around the workers: storage that is away, lost leases, work that always fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from shop import Customer, Shop, play
from sqlalchemy import text

from bot.webchat.messages import from_inbox, read_message, to_raw_input
from bot.webchat.sender import WebChatSender
from bot.workers.inbox_worker import InboxWorker
from bot.workers.outbox_worker import OutboxWorker
from bot.workers.timer_worker import TimerWorker
from desk import wording
from desk.errors import ConflictError, OutcomeUnknownError, StorageUnavailableError
from desk.ports import Pace, SendReceipt, UnitOfWork
from desk.values import ChannelCapabilities, Delivery, InboxItem, Outgoing, OutgoingKind, Reply

MINUTE = timedelta(minutes=1)


class FaultyTransactions:
    """Storage that is away whenever ``is_away`` says so of the n-th write, counted from 1."""

    def __init__(self, shop: Shop, is_away: Callable[[int], bool]) -> None:
        self._database = shop.installation.database
        self._is_away = is_away
        self.writes = 0

    async def write(self, work: Callable[[UnitOfWork], Any], *, shared: bool = False) -> Any:
        self.writes += 1
        if self._is_away(self.writes):
            raise StorageUnavailableError("the disk is full")
        return await self._database.write(work, shared=shared)

    async def read(self, work: Callable[[UnitOfWork], Any]) -> Any:
        return await self._database.read(work)


class FakeMessenger:
    """A channel behind a network; ``failures`` are raised one after the other."""

    channel = "messenger"
    capabilities = ChannelCapabilities()
    pace: Pace | None = None

    def __init__(self) -> None:
        self.failures: list[Exception] = []
        self.sent: list[str] = []

    async def send(self, outgoing: Outgoing, followers: Sequence[Outgoing] = ()) -> SendReceipt:
        if self.failures:
            raise self.failures.pop(0)
        self.sent.append(outgoing.text)
        return SendReceipt(f"p-{len(self.sent)}")


def inbox_worker(
    shop: Shop, transactions: Any, owner: str | None = None, handlers: Any = None
) -> InboxWorker:
    installation = shop.installation
    return InboxWorker(
        transactions,
        installation.wakeups,
        handlers or installation.inbox_handlers(),
        owner or installation.owner,
        shop.clock,
    )


def outbox_worker(shop: Shop, transactions: Any, sender: Any) -> OutboxWorker:
    installation = shop.installation
    return OutboxWorker(transactions, installation.wakeups, shop.desk, sender, installation.owner, shop.clock)


async def until(is_so: Callable[[], Coroutine[Any, Any, bool]]) -> None:
    async with asyncio.timeout(20):
        while not await is_so():
            await asyncio.sleep(0.02)


async def run_until(
    shop: Shop,
    worker: InboxWorker | OutboxWorker | TimerWorker,
    bell: str,
    is_so: Callable[[], Coroutine[Any, Any, bool]],
) -> None:
    """Runs the worker as the service does until something is so, then stops it in good order."""
    stopped = False

    async def watch() -> None:
        nonlocal stopped
        try:
            await until(is_so)
        finally:
            stopped = True
            shop.installation.wakeups.ring(bell)

    await asyncio.gather(worker.run(lambda: stopped), watch())


async def accept(shop: Shop, customer: Customer, words: str, client_msg_id: str) -> None:
    """Stores a message as the chat's edge does, without its limit on how fast."""
    identity_id = await shop.desk.find_chat_identity(customer.token.partition(".")[0])
    assert identity_id is not None
    body = f'{{"client_msg_id": "{client_msg_id}", "text": "{words}"}}'.encode()
    await shop.desk.accept(to_raw_input(identity_id, read_message(body), body))


async def own_lines(customer: Customer) -> list[str]:
    return [line["text"] for line in await customer.lines() if line["author"] == "customer"]


async def bot_lines(customer: Customer) -> list[str]:
    return [line["text"] for line in await customer.lines() if line["author"] == "bot"]


# --- Inbox --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("away", [1, 2, 3])
def test_messages_wait_for_storage_and_are_answered_once_and_in_order(tmp_path: Path, away: int) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        for number in range(3):
            await customer.post(f"第 {number} 句", f"m-{number}")
        worker = inbox_worker(shop, FaultyTransactions(shop, lambda write: write == away))

        async def all_are_worked() -> bool:
            return len(await own_lines(customer)) == 3

        await run_until(shop, worker, "inbox", all_are_worked)
        await shop.settle()
        assert await own_lines(customer) == [f"第 {number} 句" for number in range(3)]
        assert len(await bot_lines(customer)) == 3

    play(tmp_path, story)


def test_what_a_failed_message_leaves_behind_waits_for_storage_too(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        await customer.post("在吗")
        tries = 0

        async def clumsy(item: InboxItem, complete: Callable[[UnitOfWork], None]) -> None:
            nonlocal tries
            tries += 1
            if tries < 3:
                raise ZeroDivisionError
            await shop.desk.take_message(from_inbox(item.source_key, item.raw, item.received_at), complete)

        # The second write counts the failed try.
        transactions = FaultyTransactions(shop, lambda write: write == 2)
        worker = inbox_worker(shop, transactions, handlers={"webchat": clumsy})
        with pytest.raises(StorageUnavailableError):
            await worker.work_one_lane()
        assert await worker.work_one_lane()
        assert not await worker.work_one_lane()
        shop.clock.turn(MINUTE)
        assert await worker.work_one_lane()
        await shop.settle()
        assert (tries, len(await bot_lines(customer))) == (3, 1)

    play(tmp_path, story)


def test_a_worker_that_lost_its_lane_drops_what_it_decided(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        await customer.post("什么时候发货")
        successor = inbox_worker(shop, shop.installation.database, owner="the next process")

        async def slow(item: InboxItem, complete: Callable[[UnitOfWork], None]) -> None:
            assert await successor.work_one_lane()
            await shop.desk.take_message(from_inbox(item.source_key, item.raw, item.received_at), complete)

        late = inbox_worker(shop, shop.installation.database, handlers={"webchat": slow})
        assert await late.work_one_lane()
        await shop.settle()
        assert [line["author"] for line in await customer.lines()] == ["customer", "bot"]

    play(tmp_path, story)


def test_a_worker_that_lost_its_lane_does_not_count_its_failure(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        await customer.post("什么时候发货")
        successor = inbox_worker(shop, shop.installation.database, owner="the next process")

        async def fails(item: InboxItem, complete: Callable[[UnitOfWork], None]) -> None:
            assert await successor.work_one_lane()
            raise ZeroDivisionError

        late = inbox_worker(shop, shop.installation.database, handlers={"webchat": fails})
        assert await late.work_one_lane()
        await shop.settle()
        assert [line["author"] for line in await customer.lines()] == ["customer", "bot"]
        assert await shop.run(lambda unit: unit.dead_letters.count()) == 0

    play(tmp_path, story)


def test_an_item_of_a_source_that_nobody_works_is_a_dead_letter_that_can_be_replayed(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        await customer.post("什么时候发货")
        stranger = inbox_worker(shop, shop.installation.database, handlers={"other": None})
        for _ in range(5):
            assert await stranger.work_one_lane()
            shop.clock.turn(MINUTE)
        assert not await stranger.work_one_lane()
        (letter,) = await shop.run(lambda unit: unit.dead_letters.all(10))
        assert (letter.origin, letter.attempts, letter.error) == ("inbox", 5, "LookupError")
        await shop.staff_desk.replay("inbox", letter.id, None)
        await shop.settle()
        assert [line["author"] for line in await customer.lines()] == ["customer", "bot"]

    play(tmp_path, story)


def test_stopping_finishes_the_message_in_hand_and_leaves_the_others_to_the_next_start(
    tmp_path: Path,
) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        for number in range(3):
            await customer.post(f"第 {number} 句")
        assert await shop.inbox.work_one_lane(lambda: True)
        assert await own_lines(customer) == ["第 0 句"]
        await shop.settle()
        assert await own_lines(customer) == [f"第 {number} 句" for number in range(3)]
        assert len(await bot_lines(customer)) == 3

    play(tmp_path, story)


def test_one_busy_customer_does_not_keep_another_one_waiting(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        busy, calm = await shop.customer("busy"), await shop.customer("calm")
        for number in range(70):
            await accept(shop, busy, f"第 {number} 句", f"m-{number}")
            shop.clock.turn(timedelta(seconds=1))
            if number == 40:
                await accept(shop, calm, "什么时候发货", "c-1")
        assert await shop.inbox.work_one_lane()
        assert len(await own_lines(busy)) == 50
        assert await shop.inbox.work_one_lane()
        assert len(await own_lines(calm)) == 1
        await shop.settle()
        assert await own_lines(busy) == [f"第 {number} 句" for number in range(70)]

    play(tmp_path, story)


# --- Timers -------------------------------------------------------------------------------------------------


def test_a_timer_of_unknown_kind_dies_after_ten_tries_while_others_go_on(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        await customer.says("转人工")
        await shop.run(lambda unit: unit.timers.set("mystery", "1", shop.clock(), {}))
        for _ in range(9):
            await shop.later(10 * MINUTE)
        assert await shop.run(lambda unit: unit.dead_letters.count()) == 0
        await shop.later(20 * MINUTE)
        (letter,) = await shop.run(lambda unit: unit.dead_letters.all(10))
        assert (letter.origin, letter.kind, letter.attempts) == ("timer", "mystery", 10)
        events = await shop.run(lambda unit: unit.desk_events.find_after(0, 1000))
        assert [event.kind for event in events].count("case_alert") >= 10

    play(tmp_path, story)


def test_one_bad_timer_of_a_batch_is_tried_alone_and_the_others_fire(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        await shop.reports_event("shipped")
        customer = await shop.customer("wang", order_token=await shop.link())
        await shop.reports_event("delivered")
        due_at = shop.clock() + timedelta(hours=23)
        await shop.run(lambda unit: unit.timers.set("survey_due", "999", due_at, {}))
        await shop.later(timedelta(days=1))
        assert (await customer.texts())[-1] == wording.SURVEY_ASK.format(order="A-1")
        for _ in range(12):
            await shop.later(20 * MINUTE)
        (letter,) = await shop.run(lambda unit: unit.dead_letters.all(10))
        assert (letter.origin, letter.kind, letter.error) == ("timer", "survey_due", "NotFoundError")
        assert (await customer.texts()).count(wording.SURVEY_ASK.format(order="A-1")) == 1

    play(tmp_path, story)


@pytest.mark.parametrize("away", [1, 2, 3])
def test_timers_wait_for_storage_and_fire_once(tmp_path: Path, away: int) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        await customer.says("转人工")
        # A batch with a bad one among them, so that the second and third write are each of one timer.
        await shop.run(lambda unit: unit.timers.set("staff_alert", "999", shop.clock(), {}))
        installation = shop.installation
        worker = TimerWorker(
            FaultyTransactions(shop, lambda write: write == away),
            installation.wakeups,
            shop.desk,
            installation.owner,
            shop.clock,
        )
        shop.clock.turn(2 * MINUTE)

        async def staff_were_told_again() -> bool:
            events = await shop.run(lambda unit: unit.desk_events.find_after(0, 1000))
            return [event.kind for event in events].count("case_alert") == 2

        await run_until(shop, worker, "timers", staff_were_told_again)
        await shop.settle()
        assert await staff_were_told_again()

    play(tmp_path, story)


# --- Outbox -------------------------------------------------------------------------------------------------


def test_answers_wait_for_storage_and_appear_once(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        await customer.post("什么时候发货")
        await shop.inbox.work_one_lane()
        worker = outbox_worker(shop, FaultyTransactions(shop, lambda write: write == 1), WebChatSender())

        async def it_appeared() -> bool:
            return len(await bot_lines(customer)) == 1

        await run_until(shop, worker, "outbox", it_appeared)
        await shop.settle()
        assert await it_appeared()

    play(tmp_path, story)


def say(words: str, kind: OutgoingKind) -> Callable[[UnitOfWork], None]:
    def work(unit: UnitOfWork) -> None:
        from shop import NOON

        _, conversation = unit.identities.open("messenger", "u-1", NOON)
        unit.outbox.say(conversation, Reply(words, kind=kind), words, NOON)

    return work


async def deliveries(shop: Shop) -> dict[str, str]:
    def work(unit: Any) -> dict[str, str]:
        rows = unit.session.execute(
            text("SELECT m.text, o.state FROM outbox o JOIN messages m ON m.id = o.message_id")
        )
        return {row[0]: row[1] for row in rows}

    return await shop.run(work)


@pytest.mark.parametrize("kind", [OutgoingKind.REPLY, OutgoingKind.SURVEY])
def test_what_left_while_storage_went_away_is_recorded_later_and_not_sent_again(
    tmp_path: Path, kind: OutgoingKind
) -> None:
    async def story(shop: Shop) -> None:
        messenger = FakeMessenger()
        # Settle what is stuck, start the call, and then storage is away until the fifth try.
        transactions = FaultyTransactions(shop, lambda write: 3 <= write <= 7)
        shop.outboxes = [outbox_worker(shop, transactions, messenger)]
        await shop.run(say("一", kind))
        await shop.run(say("二", kind))
        for _ in range(4):
            with pytest.raises(StorageUnavailableError):
                await shop.send_due()
            shop.clock.turn(timedelta(seconds=10))
        for _ in range(4):
            shop.clock.turn(3 * MINUTE)
            while True:
                try:
                    if not await shop.send_due():
                        break
                except StorageUnavailableError:
                    pass
        assert messenger.sent == ["一", "二"]
        assert await deliveries(shop) == {"一": Delivery.SENT.value, "二": Delivery.SENT.value}

    play(tmp_path, story)


def test_an_alert_of_unknown_outcome_is_repeated_until_it_arrives(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        messenger = FakeMessenger()
        messenger.failures = [OutcomeUnknownError("timeout")] * 3
        shop.outboxes = [outbox_worker(shop, shop.installation.database, messenger)]

        def add(unit: UnitOfWork) -> None:
            unit.outbox.add_for_staff("a-1", "messenger", "room:1", "room", {"case_id": 1}, shop.clock())

        await shop.run(add)
        for _ in range(6):
            await shop.later(MINUTE)
        assert messenger.sent == [""], "an alert has no words of its own"

    play(tmp_path, story)


def test_what_was_withdrawn_between_looking_and_sending_is_not_sent(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        messenger = FakeMessenger()

        class Withdrawing(FaultyTransactions):
            async def read(self, work: Callable[[UnitOfWork], Any]) -> Any:
                due = await super().read(work)
                for outgoing in due:
                    await shop.run(
                        lambda unit, id=outgoing.id: unit.outbox.end(
                            id, Delivery.WITHHELD, "erased", shop.clock()
                        )
                    )
                return due

        shop.outboxes = [outbox_worker(shop, Withdrawing(shop, lambda write: False), messenger)]
        await shop.run(say("一", OutgoingKind.REPLY))
        await shop.settle()
        assert messenger.sent == []

    play(tmp_path, story)


def test_the_same_key_with_other_words_is_refused_wherever_it_is_stored(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        await accept(shop, customer, "在吗", "m-1")
        await shop.settle()
        with pytest.raises(ConflictError):
            await accept(shop, customer, "别的", "m-1")
        await accept(shop, customer, "在吗", "m-1")
        await shop.settle()
        assert await own_lines(customer) == ["在吗"]

    play(tmp_path, story)
