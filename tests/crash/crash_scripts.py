"""What the outside world does: three short stories for the commit points, and the load for random kills."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import cache
from random import Random
from typing import TYPE_CHECKING

from crash_history import History, OrderHistory
from crash_patterns import handoff_line, reminder_line
from crash_shop import ShopSystem, now, steps_until_delivered
from crash_staff import NAME, StaffMember
from driver import Customer

from bot.faq_file import DEFAULT_FAQ, read_faq
from desk import wording
from desk.escalation import reason_to_escalate
from desk.policy import fill
from desk.values import OrderStatus
from desk.words.opt_out import asks_to_stop

if TYPE_CHECKING:
    from crash_telegram import TelegramCustomer

HELP = "转人工"
NO_HELP = "不用转人工了"
RAGE = "你们就是骗子，我要投诉你们"
BAD = "杯子漏水，太差了"
GOOD = "杯子很好看"
STOP = "退订"


@cache
def questions() -> Sequence[tuple[str, str]]:
    """Frequent questions with their answers, as a fresh shop has them; no two answers are the same."""
    text = DEFAULT_FAQ.read_text(encoding="utf-8")
    file = read_faq(text)
    variables = {**file.variables, "shop_name": "本店"}
    found = [
        (entry.question, fill(entry.answer, variables))
        for entry in file.entries
        if entry.action is None
        and entry.category != "会话"
        and "*" not in entry.answer
        and reason_to_escalate(entry.question, None, now()) is None
        and not asks_to_stop(entry.question)
    ]
    return list({answer: (question, answer) for question, answer in found}.values())[:40]


class World:
    """Customers and a shop that reach one server, and the history of what they did and saw."""

    def __init__(self, url: str) -> None:
        self.history = History()
        self.shop = ShopSystem(url, self.history)
        self._url = url
        self._customers: list[Customer] = []
        self._staff: list[StaffMember] = []

    @asynccontextmanager
    async def customer(self) -> AsyncIterator[Customer]:
        """A new customer whose screen follows the conversation until the end of the block."""
        customer = Customer(self._url, len(self._customers) + 1, self.history)
        self._customers.append(customer)
        async with asyncio.TaskGroup() as tasks:
            listening = tasks.create_task(customer.listen())
            try:
                yield customer
            finally:
                listening.cancel()

    async def staff(self) -> StaffMember:
        """A member of staff who has signed in."""
        member = StaffMember(self._url)
        self._staff.append(member)
        await member.sign_in()
        return member

    def nothing_waits(self) -> bool:
        """Whether nothing is on its way to the server."""
        return True

    def somebody_died(self) -> None:
        """A life ended by kill -9, and the next one has not begun."""

    def look_back(self) -> None:
        """The last life has ended: gathers what is still to be known."""

    async def read_again(self, lines: Mapping[str, int]) -> None:
        """Has every customer read the whole conversation once more.

        Args:
            lines: How many there are, by session.
        """
        for customer in self._customers:
            await customer.read_again(lines.get(customer.history.session, 0))

    async def close(self) -> None:
        """Closes all connections."""
        for caller in (self.shop, *self._customers, *self._staff):
            await caller.http.aclose()


# --- Stories ------------------------------------------------------------------------------------------


async def asks_once(world: World) -> None:
    """A customer asks a frequent question, which a first start that broke off could not answer."""
    async with world.customer() as customer:
        await customer.open()
        question, answer = questions()[-1]
        await customer.ask(question, answer)


async def asks_and_calls_a_person(world: World) -> None:
    """A customer asks, gets an answer, asks for a person and goes on writing."""
    async with world.customer() as customer:
        await customer.open()
        question, answer = questions()[0]
        await customer.ask(question, answer)
        customer.history.cases = 1
        await customer.ask(HELP, handoff_line("asked_for_person"))
        await customer.say("杯盖拧不开", twice=True)


async def is_asked_after_delivery(world: World) -> None:
    """An order is delivered, its buyer is asked, gives one point and says why; a person is called."""
    async with world.customer() as customer:
        await customer.open()
        order = world.shop.order("A-1")
        await world.shop.reports(order, OrderStatus.SHIPPED, now() - timedelta(minutes=5))
        await customer.bind(order, await world.shop.link(order))
        customer.history.surveys[order.external_id] = (1, 1)
        await world.shop.reports(order, OrderStatus.DELIVERED, now() - timedelta(minutes=1))
        await customer.is_asked(order.external_id)
        await _is_unhappy(customer, order)


async def is_helped_by_a_person(world: World) -> None:
    """A customer calls a person, who takes the case, replies and closes it; then the bot speaks again."""
    async with world.customer() as customer:
        await customer.open()
        customer.history.cases = 1
        handed_over = await customer.ask(HELP, handoff_line("asked_for_person"))
        number = re.search(r"HY-\d+", handed_over.text)
        assert number is not None
        staff = await world.staff()
        await staff.take(number[0])
        await customer.hears(wording.PERSON_JOINED.format(name=NAME))
        await customer.is_heard(await customer.say("杯盖拧不开"))
        await staff.reply(number[0], "马上给您换一个")
        await customer.hears("马上给您换一个")
        await staff.close(number[0])
        await customer.hears(wording.PERSON_LEFT.format(name=NAME))
        await customer.hears(wording.CASE_CLOSED)
        await customer.press(wording.HELPED_YES, wording.HELPED_THANKS)
        question, answer = questions()[1]
        await customer.ask(question, answer)


async def hears_everything_twice(world: World) -> None:
    """Events come again, late and in the wrong order, and the buyer wants no survey about the next order."""
    shop = world.shop
    order, next_order = shop.order("B-1"), shop.order("B-2")
    created, paid, shipped, delivered = steps_until_delivered(now() - timedelta(minutes=1))
    await shop.reports(order, *delivered, times=3)
    await shop.reports(order, *paid, times=2)
    async with world.customer() as customer:
        customer.history.surveys = {"B-1": (0, 1), "B-2": (0, 0)}
        await customer.bind(order, await shop.link(order))
        await customer.ask(STOP, wording.OPTED_OUT)
        await shop.reports(order, *shipped)
        await shop.reports(order, *created, times=2)
        await shop.reports(next_order, *shipped)
        await customer.bind(next_order, await shop.link(next_order))
        await shop.reports(next_order, *delivered, times=2)
        await shop.reports(order, OrderStatus.REFUNDED, now())


STORIES: dict[str, Callable[[World], Awaitable[None]]] = {
    "asks_and_calls_a_person": asks_and_calls_a_person,
    "is_asked_after_delivery": is_asked_after_delivery,
    "is_helped_by_a_person": is_helped_by_a_person,
    "hears_everything_twice": hears_everything_twice,
}


# --- Load ---------------------------------------------------------------------------------------------


async def chat(world: World, random: Random, stop: asyncio.Event) -> None:
    """Customers who ask several things at once, call a person, change their minds and lose their temper."""
    while not stop.is_set():
        async with world.customer() as customer:
            await customer.open()
            for _ in range(random.randint(1, 4)):
                await customer.ask_all(random.sample(questions(), random.randint(1, 3)), random)
                await asyncio.sleep(random.uniform(0.0, 0.5))
            await call_a_person(customer, random)


async def call_a_person(customer: Customer | TelegramCustomer, random: Random) -> None:
    """A customer loses patience or temper; some change their minds."""
    customer.history.cases += 1
    if random.random() < 0.5:
        await customer.ask(RAGE, handoff_line("anger"))
    else:
        await customer.ask(HELP, handoff_line("asked_for_person"))
    await customer.say("订单里少了一个杯盖")
    if random.random() < 0.5:
        await customer.ask(NO_HELP, wording.BACK_TO_BOT)


async def buy(world: World, random: Random, stop: asyncio.Event, prefix: str) -> None:
    """Buyers whose orders are delivered, who are asked and answer in every way, or never."""
    for number in itertools.count(1):
        if stop.is_set():
            return
        async with world.customer() as customer:
            await _buy(world, customer, world.shop.order(f"{prefix}-{number}"), random)


async def _buy(world: World, customer: Customer, order: OrderHistory, random: Random) -> None:
    steps = steps_until_delivered(now() - timedelta(seconds=random.choice([0, 30])))
    early = random.sample(steps[:3], random.randint(1, 3))
    late = [step for step in steps if step not in early]
    random.shuffle(late)
    await _report(world, random, order, early)
    await customer.open()
    await customer.bind(order, await world.shop.link(order))
    chance = random.random()
    if chance < 0.15:
        customer.history.surveys[order.external_id] = (0, 0)
        await customer.ask(STOP, wording.OPTED_OUT)
    await _report(world, random, order, late)
    if chance > 0.8:
        # It may have been asked already; in any case nobody answers and nobody is reminded.
        await world.shop.reports(order, OrderStatus.REFUNDED, now())
    elif chance >= 0.15:
        customer.history.surveys[order.external_id] = (1, 1)
        await customer.is_asked(order.external_id)
        await _answer(customer, order, random)


async def _report(
    world: World, random: Random, order: OrderHistory, steps: Sequence[tuple[OrderStatus, datetime]]
) -> None:
    for status, at in steps:
        await world.shop.reports(order, status, at, times=random.randint(1, 3))


async def _answer(customer: Customer, order: OrderHistory, random: Random) -> None:
    chance = random.random()
    if chance < 0.3:
        await _is_unhappy(customer, order)
    elif chance < 0.8:
        rating = random.randint(3, 5)
        order.rating = rating
        asked = wording.SURVEY_COMMENT.format(rating=rating)
        if random.random() < 0.5:
            await customer.ask(str(rating), asked)
        else:
            await customer.press(wording.RATING_LABELS[rating], asked)
        if random.random() < 0.5:
            order.comment = GOOD
            await customer.ask(GOOD, wording.SURVEY_THANKS)
        else:
            await customer.press(wording.NO_COMMENT, wording.SURVEY_THANKS)
    else:
        await customer.has_seen()
        await customer.sees(reminder_line(order.external_id))
        await customer.has_seen()


async def _is_unhappy(customer: Customer, order: OrderHistory) -> None:
    order.rating, order.comment = 1, BAD
    customer.history.cases = 1
    await customer.ask("1", handoff_line("low_rating"))
    await customer.say(BAD)
