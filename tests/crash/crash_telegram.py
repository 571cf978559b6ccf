"""Customers in Telegram and the Telegram that they use, which outlives every life of the server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from random import Random
from typing import TypeVar

from crash_history import ChatHistory, OrderHistory, Said, Shown, TelegramHistory, Update
from crash_lives import Place
from crash_patterns import bound_line, fits, reminder_line, survey_line
from crash_records import reading
from crash_scripts import World
from crash_telegram_records import TELEGRAM, session_of, was_worked
from driver import PATIENCE, WorldError
from telegram_api import Seen, TelegramApi, User

from desk import wording

Found = TypeVar("Found")

POLLING, WEBHOOK = "polling", "webhook"
MODES = (POLLING, WEBHOOK)
PAUSE = 0.03
HURRY = 40.0
"""Webhooks are tried again that many times as fast as Telegram would: soon after a life is up again."""


_TOKEN = "7000000001:AAcrash-tests-token-of-35-characters"
_GREETING = wording.GREETING.format(shop_name="本店") + "*"


@asynccontextmanager
async def telegram(shuffle: int | None = None) -> AsyncIterator[TelegramApi]:
    """Telegram in this process.

    Args:
        shuffle: Deliver out of order, by this seed.
    """
    async with TelegramApi(_TOKEN) as api:
        # How fast the bot writes is looked at elsewhere; a 429 here would only be waited out.
        api.limits.on = False
        api.webhook.hurry = HURRY
        if shuffle is not None:
            api.shuffle(shuffle)
        yield api


def telegram_settings(api: TelegramApi, mode: str, group: int | None = None) -> dict[str, str]:
    """What a place must be given for its lives to be that bot."""
    settings = {"TELEGRAM_TOKEN": api.token, "TELEGRAM_API": api.url, "TELEGRAM_MODE": mode}
    if group is not None:
        settings["TELEGRAM_STAFF_CHAT"] = str(group)
    return settings


def without_hint(text: str) -> str:
    """The words alone, without how to answer them by typing."""
    return text.removesuffix(f"\n{wording.TYPE_A_DIGIT}")


class TelegramWorld(World):
    """Customers in Telegram and a shop, around one server.

    Args:
        random: Whether Telegram delivers something twice.
        in_order: Whether it keeps the order within a chat; else nobody writes before their last words were worked.
    """

    def __init__(self, place: Place, api: TelegramApi, random: Random, in_order: bool = True) -> None:
        super().__init__(place.url)
        self.shop.link_kind = TELEGRAM
        self.place = place
        self.api = api
        self.random = random
        self.in_order = in_order
        self.seen = self.history.telegram = TelegramHistory()
        self.update_of: dict[str, int] = {}
        self._count = 0
        self._to_repeat: list[int] = []

    @asynccontextmanager
    async def customer(self) -> AsyncIterator[TelegramCustomer]:  # type: ignore[override]
        """A new customer in a private chat with the bot."""
        self._count += 1
        yield TelegramCustomer(self, 1000 + self._count)

    def do(self, act: Callable[[], str]) -> str:
        """Lets somebody act, and notes which update that made; sometimes it comes once more.

        Args:
            act: Returns the name by which the update is found in ``update_of``.
        """
        first = self.api.updates.next_id
        name = act()
        for number in range(first, self.api.updates.next_id):
            self.seen.updates[number] = Update()
            self.update_of[name] = number
            if self.random.random() < 0.2:
                self.deliver_again(number)
        self._repeat()
        return name

    def deliver_again(self, number: int) -> None:
        """Has Telegram deliver an update once more, in the same bytes or in others.

        While order is kept that happens after it was confirmed: else it could overtake what was said before.
        """
        self._to_repeat.append(number)
        self._repeat()

    def _repeat(self) -> None:
        waiting = set(self.api.pending()) if self.in_order else set()
        for number in [number for number in self._to_repeat if number not in waiting]:
            self._to_repeat.remove(number)
            self._repeat_now(number)

    def _repeat_now(self, number: int) -> None:
        changed = self.random.random() < 0.5
        # Asked for once more in other bytes again, they are the same other bytes.
        self.seen.updates[number].variants = max(self.seen.updates[number].variants, 1 + changed)
        self.api.deliver_again(number, changed=changed)

    def nothing_waits(self) -> bool:
        """Whether Telegram has got rid of everything."""
        self._repeat()
        if self._to_repeat:
            return False
        if self.api.webhook.active:
            return not (self.api.pending() or self.api.updates.fresh or self.api.webhook.is_busy)
        return not (self.api.pending() or self.api.updates.again)

    def somebody_died(self) -> None:
        """Notes that a life ended by kill -9."""
        self.seen.deaths.append(time.time())

    async def read_again(self, lines: Mapping[str, int]) -> None:
        """Nothing to do: what Telegram shows is looked at when the last life has ended."""

    def look_back(self) -> None:
        """Gathers what passed between the bot and Telegram."""
        waiting = set(self.api.pending())
        for number in self.api.updates.history:
            update = self.seen.updates.setdefault(number, Update())
            update.confirmed = number not in waiting
        for chat in self.history.chats:
            for said in chat.said:
                number = self.update_of[said.client_msg_id]
                said.acknowledged = self.seen.updates[number].confirmed
        for call in self.api.calls():
            if call.executed and call.chat is not None and call.method in {"sendMessage", "copyMessage"}:
                shown = Shown(without_hint(str(call.params.get("text", ""))), call.wall)
                self.seen.shown.setdefault(call.chat, []).append(shown)
            if call.executed and call.method == "createForumTopic":
                self.seen.topics += 1
            if call.executed and call.method == "answerCallbackQuery":
                query = str(call.params["callback_query_id"])
                self.seen.notices[query] = self.seen.notices.get(query, 0) + 1


class TelegramCustomer:
    """A person in Telegram, with the same words as ``driver.Customer``."""

    def __init__(self, world: TelegramWorld, number: int) -> None:
        self._world = world
        self._user: User = world.api.user(number, f"客户{number}")
        self.history = ChatHistory(f"Telegram {number}", session_of(TELEGRAM, str(number)))
        self.history.channel = TELEGRAM
        world.history.chats.append(self.history)

    @property
    def last_seq(self) -> int:
        """The newest message of the bot, 0 before the first."""
        return max((seen.message_id for seen in self._user.sees(by_bot=True)), default=0)

    async def open(self) -> None:
        """Presses Start, and waits until greeted."""
        await self._start("")

    async def bind(self, order: OrderHistory, order_token: str) -> None:
        """Comes through an order's deep link and waits until the bot says so."""
        self.history.orders.append(order.external_id)
        await self._start(order_token)
        await self.sees(bound_line(order.external_id))

    async def _start(self, payload: str) -> None:
        before = self.last_seq
        # The token behind the command is not kept.
        await self._act("/start", (_GREETING,), lambda: f"{self._user.id}:{self._user.starts(payload)}")
        await self.sees(_GREETING, before)

    async def say(self, text: str, *answers: str, twice: bool = False) -> Said:
        """Writes.

        Args:
            answers: Patterns of the answers that must come.
            twice: Telegram delivers it once more.
        """
        said = await self._act(text, answers, lambda: f"{self._user.id}:{self._user.says(text)}")
        if twice:
            self._world.deliver_again(self._world.update_of[said.client_msg_id])
        if not self._world.in_order:
            await self.is_heard(said)
        return said

    async def edits(self, said: Said, text: str) -> None:
        """Changes the words of a message; nothing is answered."""
        message = int(said.client_msg_id.partition(":")[2])

        def edit() -> str:
            self._user.edits(message, text)
            return f"edit of {said.client_msg_id}"

        self._world.do(edit)
        edits = self._world.seen.edits.setdefault(self.history.session, [])
        edits.append((said.client_msg_id, text))

    async def ask(self, text: str, answer: str) -> Seen:
        """Says something and waits for the answer."""
        before = self.last_seq
        await self.say(text, answer)
        return await self.sees(answer, before)

    async def ask_all(self, asked: list[tuple[str, str]], random: Random) -> None:
        """Says several things in a row, and waits for the answers."""
        before = self.last_seq
        for question, answer in asked:
            await self.say(question, answer, twice=random.random() < 0.2)
        await self.sees(asked[-1][1], before)

    async def hears(self, pattern: str) -> None:
        """Waits for a line that must come once more without being asked for."""
        said = self.history.said[-1]
        said.answers = (*said.answers, pattern)
        await self.sees(pattern)

    async def is_heard(self, said: Said) -> None:
        """Waits until a message was worked, which nobody in Telegram can see."""
        await self._until(lambda: self._was_worked(said) or None, said.text)

    def _was_worked(self, said: Said) -> bool:
        with reading(self._world.place.database) as session:
            return was_worked(session, said.client_msg_id)

    async def press(self, label: str, answer: str) -> Seen:
        """Presses the newest button of that label."""
        before = self.last_seq
        for seen in reversed(self._user.sees(by_bot=True)):
            # On the button stands what may be typed instead, too.
            found = [each for each in seen.labels if each == label or each.endswith(f" {label}")]
            if found:
                await self._tap(seen.message_id, found[0], answer)
                return await self.sees(answer, before)
        raise WorldError(f"there is no button {label}")

    async def _tap(self, message_id: int, button: str, answer: str) -> None:
        def tap() -> str:
            query = self._user.taps(message_id, button)
            self._world.seen.taps.setdefault(self.history.session, []).append(query)
            return f"tap:{query}"

        await self._act(button, (answer,), tap)

    async def has_seen(self) -> None:
        """Telegram tells nobody what was seen."""

    async def is_asked(self, order: str) -> None:
        """Waits for the survey; where its send was in doubt, the one reminder covers it."""
        patterns = survey_line(order), reminder_line(order)
        await self._until(lambda: next((one for p in patterns for one in self._fitting(p, 0)), None), order)

    async def sees(self, pattern: str, after: int = 0) -> Seen:
        """Waits for a message of the bot that fits the pattern."""
        return await self._until(lambda: next(iter(self._fitting(pattern, after)), None), pattern)

    def has_seen_line(self, pattern: str) -> bool:
        """Whether the bot has written something that fits the pattern."""
        return bool(self._fitting(pattern, 0))

    def _fitting(self, pattern: str, after: int) -> list[Seen]:
        found = self._user.sees(by_bot=True)
        return [seen for seen in found if seen.message_id > after and fits(pattern, without_hint(seen.text))]

    async def _act(self, text: str, answers: tuple[str, ...], act: Callable[[], str]) -> Said:
        said = Said(self._world.do(act), text, answers)
        self.history.said.append(said)
        return said

    async def _until(self, look: Callable[[], Found | None], what: str) -> Found:
        ends = time.monotonic() + PATIENCE
        while time.monotonic() < ends:
            if (found := look()) is not None:
                return found
            await asyncio.sleep(PAUSE)
        raise WorldError(f"{self.history.name} never saw {what!r}")
