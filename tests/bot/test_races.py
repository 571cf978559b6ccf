"""A person takes over while messages arrive and answers leave, in every order that a seed can think of.

Every transaction waits for its turn, and a seeded dice says whose turn it is: the same seed plays the
same order. HUIYIN_TEST_RACES says how many seeds.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from shop import Shop, play

from bot.app import desk_settings
from bot.webchat.messages import from_inbox, read_message, to_raw_input
from bot.webchat.sender import WebChatSender
from bot.workers.inbox_worker import InboxWorker
from bot.workers.outbox_worker import OutboxWorker
from console.notifier import ConsoleNotifier
from desk import wording
from desk.errors import AlreadyTakenError, ConflictError, NotAllowedError
from desk.ports import UnitOfWork
from desk.service_desk import ServiceDesk
from desk.staff_desk import StaffDesk
from desk.values import Author, Case, CaseState, FaqBook, InboxItem, Message, StaffMember, Understanding

T = TypeVar("T")

SEEDS = int(os.environ.get("HUIYIN_TEST_RACES", "200"))
WORDS = ("什么时候发货", "怎么退货", "转人工", "在吗", "不用人工了", "量子纠缠速度")
COMPLAINT = "垃圾店，我要投诉你们"
"""The bot has something to say to it even while the customer waits."""


class Dice:
    """Lets one of those who wait go on whenever everybody waits."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self._running = 0
        self._waiting: list[asyncio.Future[None]] = []

    async def turn(self) -> None:
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(mine)
        self._running -= 1
        self._roll()
        await mine

    async def play(self, *actors: Coroutine[Any, Any, None]) -> None:
        self._running = len(actors)
        await asyncio.gather(*(self._act(actor) for actor in actors))

    async def _act(self, actor: Coroutine[Any, Any, None]) -> None:
        try:
            await actor
        finally:
            self._running -= 1
            self._roll()

    def _roll(self) -> None:
        if self._running == 0 and self._waiting:
            self._running = 1
            self._waiting.pop(self.random.randrange(len(self._waiting))).set_result(None)


class TurnTransactions:
    """Storage where every transaction waits for its turn; ``dice`` is None while nothing races."""

    def __init__(self, shop: Shop) -> None:
        self._database = shop.installation.database
        self.dice: Dice | None = None

    async def write(self, work: Callable[[UnitOfWork], T], *, shared: bool = False) -> T:
        if self.dice is not None:
            await self.dice.turn()
        return await self._database.write(work, shared=shared)

    async def read(self, work: Callable[[UnitOfWork], T]) -> T:
        if self.dice is not None:
            await self.dice.turn()
        return await self._database.read(work)


class FakeUnderstander:
    """Knows nothing, at once: what the bot answers does not matter here."""

    async def understand(self, text: str, faq: FaqBook) -> Understanding:
        return Understanding("fake")


class Race:
    """One customer, two people and three workers of one installation."""

    def __init__(self, shop: Shop, li: StaffMember, zhao: StaffMember) -> None:
        installation = shop.installation
        database = self.transactions = TurnTransactions(shop)
        self.shop, self.li, self.zhao = shop, li, zhao
        self.desk = ServiceDesk(
            database,
            FakeUnderstander(),
            shop.scorer,
            ConsoleNotifier(),
            desk_settings(installation.settings, {"webchat": WebChatSender.capabilities}),
            shop.clock,
        )
        self.staff_desk = StaffDesk(database, installation.wakeups, shop.clock)

        async def chat(item: InboxItem, complete: Callable[[UnitOfWork], None]) -> None:
            await self.desk.take_message(from_inbox(item.source_key, item.raw, item.received_at), complete)

        bells, owner = installation.wakeups, installation.owner
        self.inbox = InboxWorker(database, bells, {"webchat": chat}, owner, shop.clock)
        self.outbox = OutboxWorker(database, bells, self.desk, installation.senders[0], owner, shop.clock)

    async def run(self, seed: int) -> None:
        dice = Dice(seed)
        self.identity_id = (await self.desk.open_chat(f"{seed:064x}", f"session-{seed}", None)).identity_id
        self.said: list[str] = []
        self.replied: list[str] = []
        self.took: list[str] = []
        self.lines_at_take = 0
        # A case waits already, and two sentences of the bot are somewhere on their way.
        await self._says("怎么退货", "m-first")
        if dice.random.random() < 0.5:
            await self.inbox.work_one_lane()
        await self._says("转人工", "m-0")
        await self.inbox.work_one_lane()
        for _ in range(dice.random.randrange(3)):
            await self.outbox.send_due()
        self.case = await self.shop.run(self._find_case)
        self.transactions.dice = dice
        try:
            await dice.play(
                self._customer(dice.random.sample([COMPLAINT, *dice.random.sample(WORDS, 1)], 2)),
                self._work(lambda: self.inbox.work_one_lane(), 2),
                self._work(lambda: self.inbox.work_one_lane(), 2),
                self._work(lambda: self.outbox.send_due(), 3),
                self._person(self.li, dice),
                self._person(self.zhao, dice),
            )
        finally:
            self.transactions.dice = None
        while await self.inbox.work_one_lane() or await self.outbox.send_due():
            pass
        await self._check()

    # --- Who acts ------------------------------------------------------------------------------------

    async def _customer(self, words: list[str]) -> None:
        for number, text in enumerate(words, start=1):
            await self._says(text, f"m-{number}")

    async def _says(self, text: str, client_msg_id: str) -> None:
        body = json.dumps({"client_msg_id": client_msg_id, "text": text}).encode()
        await self.desk.accept(to_raw_input(self.identity_id, read_message(body), body))
        self.said.append(text)

    async def _work(self, work: Callable[[], Coroutine[Any, Any, object]], times: int) -> None:
        for _ in range(times):
            await work()

    async def _person(self, staff: StaffMember, dice: Dice) -> None:
        number = self.case.number
        for _ in range(dice.random.choice((0, 3, 8))):
            await dice.turn()
        try:
            await self.staff_desk.take_case(number, staff)
        except AlreadyTakenError:
            # Who insists is refused as well.
            with pytest.raises((AlreadyTakenError, NotAllowedError)):
                await self.staff_desk.reply(number, staff, "我也来", f"s-{number}-{staff.id}-x")
            return
        except ConflictError:
            # Closed, by the customer or the other one, before this one came.
            return
        self.took.append(staff.name)
        self.lines_at_take = len(await self._lines())
        for count in range(2):
            text = f"{staff.name} 第 {count} 句"
            await self.staff_desk.reply(number, staff, text, f"s-{number}-{staff.id}-{count}")
            self.replied.append(text)
        if dice.random.random() < 0.5:
            await self._check_that_the_bot_was_silent()
            await self.staff_desk.close_case(number, staff, "solved")

    # --- What must be so ---------------------------------------------------------------------------------

    def _find_case(self, unit: UnitOfWork) -> Case:
        conversation = unit.conversations.lock_of_identity(self.identity_id)
        case = unit.cases.find_open(conversation.id)
        assert case is not None
        return case

    async def _lines(self) -> list[Message]:
        """What the customer sees, read out of turn."""
        _, lines = await self.shop.desk.read_lines(self.identity_id, 0, 1000)
        return list(lines)

    async def _check_that_the_bot_was_silent(self) -> None:
        since = (await self._lines())[self.lines_at_take :]
        assert [line.text for line in since if line.author is Author.BOT] == []

    async def _check(self) -> None:
        conversation, lines = await self.desk.read_lines(self.identity_id, 0, 1000)
        assert [line.seq for line in lines] == list(range(1, len(lines) + 1))
        assert [line.text for line in lines if line.author is Author.CUSTOMER] == self.said
        assert [line.text for line in lines if line.author is Author.STAFF] == self.replied
        assert len(self.took) <= 1
        self._check_who_spoke(lines)
        case = await self.shop.run(lambda unit: unit.cases.get(self.case.id))
        if self.took:
            assert case.staff_name == self.took[0]
            if case.state is CaseState.WITH_PERSON:
                await self._check_that_the_bot_was_silent()
        else:
            assert (case.state, case.staff_name) == (CaseState.CLOSED, None)
        newest = await self.shop.run(lambda unit: unit.cases.find_newest(conversation.id))
        assert newest is not None
        expected = {"closed": "bot", "waiting": "waiting", "with_person": "person"}
        assert conversation.speaker.value == expected[newest.state.value]
        assert await self.shop.run(lambda unit: unit.dead_letters.count()) == 0

    def _check_who_spoke(self, lines: list[Message]) -> None:
        """Between "joined" and "left" no bot, outside of it no person."""
        with_person = False
        for line in lines:
            if line.author is Author.SYSTEM:
                joined = {wording.PERSON_JOINED.format(name=staff.name) for staff in (self.li, self.zhao)}
                assert (line.text in joined) is not with_person
                with_person = line.text in joined
            elif line.author is not Author.CUSTOMER:
                assert (line.author is Author.STAFF) is with_person, line.text


@pytest.mark.timeout(120 + SEEDS)
def test_whoever_comes_first_exactly_one_speaks_and_nothing_is_lost(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        race = Race(shop, await shop.staff(), await shop.staff("zhao", name="小赵"))
        ends = {"taken": 0, "called off": 0}
        for seed in range(SEEDS):
            try:
                await race.run(seed)
            except BaseException as error:
                error.add_note(f"seed {seed}")
                raise
            ends["taken" if race.took else "called off"] += 1
            shop.clock.turn(timedelta(seconds=1))
        # The dice do make a difference.
        assert min(ends.values()) > 0 or SEEDS < 100

    play(tmp_path, story)
