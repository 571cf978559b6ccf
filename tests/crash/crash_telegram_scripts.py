"""What people do in Telegram: a short story, one with the staff group, and the load for random kills."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from random import Random

from crash_patterns import handoff_line
from crash_scripts import HELP, call_a_person, questions
from crash_staff import NAME
from crash_telegram import PAUSE, TelegramWorld
from driver import PATIENCE, WorldError
from telegram_api import Seen

from bot.telegram.room import wording as room_wording
from desk import wording

GROUP = -1_001_234_567_890
COLLEAGUE = 900
LOST = ("杯盖拧不开", "还有一点点漏水")
COMES = "马上给您换一个"
_IMPATIENT = 3.0
"""Seconds after which a member of staff taps once more where nothing happened."""


# --- Stories ------------------------------------------------------------------------------------------


async def asks_in_telegram(world: TelegramWorld) -> None:
    """A customer presses Start and asks a frequent question."""
    async with world.customer() as customer:
        await customer.open()
        question, answer = questions()[0]
        await customer.ask(question, answer)


async def asks_twice_and_edits(world: TelegramWorld) -> None:
    """A customer asks two things at once, corrects the second, and calls a person by a button."""
    async with world.customer() as customer:
        await customer.open()
        asked = list(questions()[:2])
        await customer.ask_all(asked, world.random)
        await customer.edits(customer.history.said[-1], f"{asked[-1][0]} 谢谢")
        customer.history.cases = 1
        await customer.ask(HELP, handoff_line("asked_for_person"))


async def is_helped_in_the_group(world: TelegramWorld) -> None:
    """A customer calls a person; staff take the case in the group, write, and close it."""
    async with world.customer() as customer:
        await customer.open()
        customer.history.cases = 1
        colleague = Colleague(world)
        await customer.ask(HELP, handoff_line("asked_for_person"))

        def hears(line: str) -> Callable[[], bool]:
            return lambda: customer.has_seen_line(line)

        joined, left = wording.PERSON_JOINED.format(name=NAME), wording.PERSON_LEFT.format(name=NAME)
        await colleague.taps(room_wording.TAKE, hears(joined))
        await customer.hears(joined)
        for line in LOST:
            await customer.say(line)
        for line in LOST:
            await colleague.sees(line)
        await colleague.says(COMES)
        await customer.hears(COMES)
        await colleague.taps(room_wording.CLOSE, hears(left))
        await customer.hears(left)
        await customer.hears(wording.CASE_CLOSED)
        await customer.press(wording.HELPED_YES, wording.HELPED_THANKS)


class Colleague:
    """A member of staff in the group, a forum with one topic for each customer."""

    def __init__(self, world: TelegramWorld) -> None:
        self._world = world
        self._group = world.api.group(GROUP, forum=True)
        self._group.member(world.api.user(COLLEAGUE, NAME))

    async def taps(self, label: str, happened: Callable[[], bool]) -> None:
        """Taps the newest button of that label, again and again, until it had its effect."""
        ends = time.monotonic() + PATIENCE
        tap_again = 0.0
        while not happened():
            if time.monotonic() > ends:
                raise WorldError(f"{label} had no effect in the group")
            if time.monotonic() > tap_again and (card := self._find_card(label)) is not None:
                voice, message_id = self._group.member(COLLEAGUE, card.topic), card.message_id
                self._world.do(lambda: voice.taps(message_id, label))  # noqa: B023
                tap_again = time.monotonic() + _IMPATIENT
            await asyncio.sleep(PAUSE)

    async def says(self, text: str) -> None:
        """Writes in the customer's topic."""
        topic = self._group.sees(by_bot=True)[-1].topic
        self._world.do(lambda: f"staff:{self._group.member(COLLEAGUE, topic).says(text)}")

    async def sees(self, text: str) -> None:
        """Waits for words of the customer."""
        self._world.seen.relayed.append(text)
        ends = time.monotonic() + PATIENCE
        while not any(text in seen.text for seen in self._group.sees(by_bot=True)):
            if time.monotonic() > ends:
                raise WorldError(f"the group never saw {text!r}")
            await asyncio.sleep(PAUSE)

    def _find_card(self, label: str) -> Seen | None:
        cards = [seen for seen in self._group.sees(by_bot=True) if label in seen.labels]
        return cards[-1] if cards else None


# --- Load ---------------------------------------------------------------------------------------------


async def chat_in_telegram(world: TelegramWorld, random: Random, stop: asyncio.Event) -> None:
    """Customers who come, ask several things, correct themselves and call a person, one after the other."""
    while not stop.is_set():
        async with world.customer() as customer:
            await customer.open()
            asked = random.sample(questions(), random.randint(1, 3))
            await customer.ask_all(asked, random)
            if random.random() < 0.3:
                await customer.edits(customer.history.said[-1], f"{asked[-1][0]} 谢谢")
            await call_a_person(customer, random)


async def write_and_go(world: TelegramWorld, random: Random, stop: asyncio.Event) -> None:
    """Customers who write one line and wait for nothing."""
    while not stop.is_set():
        async with world.customer() as customer:
            await customer.say(random.choice(questions())[0])
            await asyncio.sleep(random.uniform(0.05, 0.15))
