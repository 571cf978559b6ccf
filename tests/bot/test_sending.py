"""Channels behind a network: what is sent, sent again, or given up, by class of message."""

from collections.abc import Callable, Coroutine, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from shop import Shop, play

from bot.workers.outbox_worker import OutboxWorker
from desk.errors import NotSentError, OutcomeUnknownError, SendRefusedError, UnreachableError
from desk.ports import Pace, SendReceipt, UnitOfWork
from desk.values import ChannelCapabilities, Delivery, Outgoing, OutgoingKind, Reply, Speaker


class FakeMessenger:
    """A channel behind a network; ``failures`` are raised one after the other."""

    channel = "messenger"
    capabilities = ChannelCapabilities()
    pace: Pace | None = None

    def __init__(self) -> None:
        self.failures: list[Exception] = []
        self.sent: list[str] = []
        self.tried: list[str] = []

    async def send(self, outgoing: Outgoing, followers: Sequence[Outgoing] = ()) -> SendReceipt:
        self.tried.append(outgoing.text)
        if self.failures:
            raise self.failures.pop(0)
        self.sent.append(outgoing.text)
        return SendReceipt(f"p-{len(self.sent)}")


def play_messenger(
    folder: Path, story: Callable[[Shop, FakeMessenger], Coroutine[Any, Any, None]], owner: str = "me"
) -> None:
    async def with_messenger(shop: Shop) -> None:
        messenger = FakeMessenger()
        database, bells = shop.installation.database, shop.installation.wakeups
        shop.outboxes = [OutboxWorker(database, bells, shop.desk, messenger, owner, shop.clock)]
        await story(shop, messenger)

    play(folder, with_messenger)


def say(text: str, kind: OutgoingKind = OutgoingKind.REPLY, who: str = "u-1") -> Callable[[UnitOfWork], None]:
    def work(unit: UnitOfWork) -> None:
        from shop import NOON

        _, conversation = unit.identities.open("messenger", who, NOON)
        unit.outbox.say(conversation, Reply(text, kind=kind), f"key:{who}:{text}", NOON)

    return work


async def deliveries(shop: Shop, who: str = "u-1") -> dict[str, str]:
    """By text, where each message stands."""
    from sqlalchemy import text

    def work(unit: Any) -> dict[str, str]:
        rows = unit.session.execute(
            text("SELECT m.text, o.state FROM outbox o JOIN messages m ON m.id = o.message_id")
        )
        return {row[0]: row[1] for row in rows}

    return await shop.run(work)


def test_messages_of_one_customer_leave_in_order(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger) -> None:
        for number in range(5):
            await shop.run(say(f"第 {number} 句"))
        await shop.settle()
        assert messenger.sent == [f"第 {number} 句" for number in range(5)]

    play_messenger(tmp_path, story)


def test_what_certainly_did_not_leave_is_tried_again_in_order(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger) -> None:
        messenger.failures = [NotSentError("429", timedelta(seconds=30)), NotSentError("down")]
        await shop.run(say("一"))
        await shop.run(say("二"))
        await shop.run(say("别人的", who="u-2"))
        await shop.settle()
        assert messenger.tried[0] == "一"
        await shop.later(timedelta(seconds=29))
        assert "一" not in messenger.sent
        await shop.later(timedelta(seconds=2))
        await shop.later(timedelta(minutes=2))
        assert [line for line in messenger.sent if line != "别人的"] == ["一", "二"]

    play_messenger(tmp_path, story)


def test_after_a_day_of_failing_it_is_a_dead_letter(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger) -> None:
        messenger.failures = [NotSentError("down")] * 1000
        await shop.run(say("一"))
        await shop.settle()
        await shop.later(timedelta(hours=25))
        assert await deliveries(shop) == {"一": Delivery.DEAD.value}
        assert await shop.run(lambda unit: unit.dead_letters.count()) == 1

    play_messenger(tmp_path, story)


@pytest.mark.parametrize("error", [OutcomeUnknownError("timeout"), RuntimeError("our own fault")])
def test_a_reply_of_unknown_outcome_is_sent_once_more_and_no_more(tmp_path: Path, error: Exception) -> None:
    async def story(shop: Shop, messenger: FakeMessenger) -> None:
        messenger.failures = [error, OutcomeUnknownError("timeout")]
        await shop.run(say("一"))
        for _ in range(5):
            await shop.later(timedelta(minutes=5))
        assert messenger.tried == ["一", "一"]
        assert await deliveries(shop) == {"一": Delivery.UNCERTAIN.value}

    play_messenger(tmp_path, story)


def test_a_survey_of_unknown_outcome_is_never_sent_again(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger) -> None:
        messenger.failures = [OutcomeUnknownError("timeout")]
        await shop.run(say("满意吗", OutgoingKind.SURVEY))
        for _ in range(5):
            await shop.later(timedelta(minutes=5))
        assert messenger.tried == ["满意吗"]
        assert await deliveries(shop) == {"满意吗": Delivery.UNCERTAIN.value}

    play_messenger(tmp_path, story)


def test_a_customer_who_blocked_us_gets_nothing_until_they_write_again(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger) -> None:
        messenger.failures = [UnreachableError("blocked")]
        await shop.run(say("一"))
        await shop.run(say("二"))
        await shop.settle()
        assert messenger.tried == ["一"]
        assert set((await deliveries(shop)).values()) == {Delivery.UNREACHABLE.value}

        def wrote(unit: UnitOfWork) -> None:
            identity, _ = unit.identities.open("messenger", "u-1", shop.clock())
            unit.identities.wrote(identity.id, shop.clock())

        await shop.run(wrote)
        await shop.run(say("三"))
        await shop.settle()
        assert messenger.sent == ["三"]

    play_messenger(tmp_path, story)


def test_what_a_channel_will_never_take_is_a_dead_letter_and_can_be_replayed(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger) -> None:
        messenger.failures = [SendRefusedError("too long")]
        await shop.run(say("一"))
        await shop.run(say("二"))
        await shop.settle()
        assert messenger.sent == ["二"]
        (letter,) = await shop.run(lambda unit: unit.dead_letters.all(10))
        await shop.staff_desk.replay(letter.origin, letter.id, None)
        await shop.settle()
        assert messenger.sent == ["二", "一"]

    play_messenger(tmp_path, story)


def test_the_guard_is_asked_again_when_a_message_is_about_to_leave(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger) -> None:
        await shop.run(say("机器人的话"))

        def take_over(unit: UnitOfWork) -> None:
            _, conversation = unit.identities.open("messenger", "u-1", shop.clock())
            unit.conversations.set_speaker(conversation.id, Speaker.PERSON, "test", None, shop.clock())

        await shop.run(take_over)
        await shop.settle()
        assert messenger.tried == []
        assert await deliveries(shop) == {"机器人的话": Delivery.WITHHELD.value}

    play_messenger(tmp_path, story)


def test_a_send_that_a_dead_process_left_open_counts_as_unknown(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger) -> None:
        await shop.run(say("一"))

        def die_while_sending(unit: UnitOfWork) -> None:
            (outgoing,) = unit.outbox.find_due(["messenger"], 10, shop.clock())
            unit.outbox.mark_sending(outgoing.id, "a dead owner", shop.clock())

        await shop.run(die_while_sending)
        await shop.later(timedelta(minutes=3))
        assert messenger.sent == ["一"]
        assert await deliveries(shop) == {"一": Delivery.SENT.value}

    play_messenger(tmp_path, story)
