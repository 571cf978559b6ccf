"""A whole installation with a staff group, the stand-in on the other side, and hands to turn everything."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import shop as shops
from aiogram import Bot
from shop import NOON, FakeClock, FakeScorer, Shop, shop_settings
from telegram_api import Group, Seen, TelegramApi, User, Voice

from bot.app import Installation
from bot.logs import configure_logs
from bot.settings import LogFormat, LogLevel
from bot.supervisor import Supervisor
from bot.telegram.pace import TelegramPace
from bot.telegram.poller import PollerTimes, UpdatePoller
from bot.telegram.raw_updates import HANDLED, SOURCE, read_answer
from bot.telegram.room.staff_group import StaffGroup
from bot.telegram.sender import TelegramSender
from bot.telegram.session import TelegramSession, make_bot
from bot.telegram.update_handler import UpdateHandler
from bot.workers.inbox_worker import InboxWorker
from bot.workers.outbox_worker import OutboxWorker
from desk.staff_room import StaffRoom
from desk.values import Case, DeadLetter, Role, StaffMember

GROUP = -1001234567890
CONSOLE = "https://shop.example"
_QUICK = PollerTimes(
    poll=1, first_pause=0.01, longest_pause=0.05, token_pause=0.05, standby=0.02, stuck_pause=0.6
)


class GroupShop:
    """One installation whose staff have a group."""

    def __init__(
        self, shop: Shop, api: TelegramApi, forum: bool, speed: float, owner: str = "room-1"
    ) -> None:
        self.shop, self.api = shop, api
        self.group: Group = api.group(GROUP, forum=forum)
        self.bot: Bot = make_bot(api.token, api.url)
        # Turning the shop's clock ends demanded waits, too.
        self.pace = TelegramPace(lambda: time.monotonic() + (shop.clock.now - NOON).total_seconds(), speed)
        self.offset: int | None = None
        self.start_again(owner)

    def start_again(self, owner: str) -> None:
        """A process that knows nothing but the database."""
        installation, clock = self.shop.installation, self.shop.clock
        database, wakeups = installation.database, installation.wakeups
        self.room = StaffGroup(
            bot=self.bot,
            chat_id=self.group.id,
            staff_desk=self.shop.staff_desk,
            staff_room=StaffRoom(database, clock),
            transactions=database,
            wakeups=wakeups,
            owner=installation.owner,
            clock=clock,
            timezone=installation.settings.timezone,
            console_url=CONSOLE,
            find_username=lambda: "huiyin_test_bot",
        )
        self.outbox = OutboxWorker(
            database,
            wakeups,
            self.shop.desk,
            TelegramSender(self.bot, self.pace, self.room.sender),
            installation.owner,
            clock,
        )
        handler = UpdateHandler(
            self.bot,
            self.shop.desk,
            database,
            clock,
            self.group.id,
            self.room.updates,
            lambda: "huiyin_test_bot",
        )
        self.inbox = InboxWorker(
            database,
            wakeups,
            {**installation.inbox_handlers(), SOURCE: handler},
            installation.owner,
            clock,
        )

    # --- Letting things happen ----------------------------------------------------------------------

    async def hear(self) -> bool:
        """Fetches what Telegram has; says whether there was anything."""
        session = self.bot.session
        assert isinstance(session, TelegramSession)
        heard = False
        while self.api.pending():
            body = await session.fetch_updates(self.bot, self.offset, 100, 0, HANDLED)
            updates = read_answer(body) or ()
            await self.shop.desk.accept_batch([update.stored for update in updates])
            if updates:
                heard = True
                self.offset = (updates[-1].update_id or 0) + 1
        return heard

    async def step(self) -> bool:
        """One round of everything; says whether anything was to be done."""
        worked = await self.hear()
        worked |= await self.inbox.work_one_lane()
        worked |= await self.shop.fire_due()
        worked |= await self.shop.send_due()
        worked |= await self.room.project_once() > 0
        worked |= await self.outbox.send_due() > 0
        return worked

    async def settle(self) -> None:
        """Lets everything that is due happen."""
        for _ in range(2000):
            if not await self.step():
                return
        raise AssertionError("it never settles")

    async def later(self, seconds: float) -> None:
        """Turns the clock and lets everything happen; what is due in between happens when it is due."""
        whole = timedelta(seconds=seconds)
        while whole > timedelta(0):
            turn = min(whole, timedelta(seconds=20))
            self.shop.clock.turn(turn)
            whole -= turn
            await self.settle()

    async def live(self, story: Callable[[], Awaitable[None]]) -> None:
        """Plays a story while everything runs by itself."""
        supervisor, installation = Supervisor(), self.shop.installation
        stopping = supervisor.is_stopping
        poller = UpdatePoller(
            self.bot, self.shop.desk, installation.database, installation.owner, self.shop.clock, _QUICK
        )
        runs: list[tuple[str, Callable[[], Awaitable[None]]]] = [
            ("poller", lambda: poller.run(stopping)),
            ("room", lambda: self.room.run(stopping)),
        ]
        runs += [(f"inbox_{number}", lambda: self.inbox.run(stopping)) for number in range(3)]
        runs += [(f"outbox_{number}", lambda: self.outbox.run(stopping)) for number in range(4)]
        runs += [(f"web_{one.channel}", _run(one, stopping)) for one in self.shop.outboxes]
        runs += [(one.name, _run(one, stopping)) for one in self.shop.timers]
        for name, run in runs:
            supervisor.add(name, run)
        supervisor.on_stop(poller.stop)
        supervisor.on_stop(installation.wakeups.ring_all)

        async def tell() -> None:
            try:
                await story()
            finally:
                supervisor.stop()

        await asyncio.gather(supervisor.run(), tell())
        assert not any(supervisor.restarts.values()), supervisor.restarts

    # --- People -------------------------------------------------------------------------------------

    async def staff(
        self, user_id: int = 8, name: str = "小李", login: str = "li", role: Role = Role.AGENT
    ) -> tuple[StaffMember, Voice]:
        """Somebody on staff whose Telegram account is linked."""
        member = await self.shop.staff(login, role, name)
        code = (await self.shop.staff_desk.make_link_code(member.id, None)).code
        user = self.api.user(user_id, name)
        user.says(f"/link {code}")
        await self.settle()
        assert "绑定成功" in user.sees(by_bot=True)[-1].text
        return member, self.group.member(user)

    async def customer(self, user_id: int = 5, name: str = "小明", words: str = "转人工") -> User:
        """A customer of the bot who wants a person."""
        user = self.api.user(user_id, name)
        user.starts()
        user.says(words)
        await self.settle()
        return user

    # --- Looking ------------------------------------------------------------------------------------

    def sees(self) -> list[Seen]:
        """What the bot wrote in the group."""
        return self.group.sees(by_bot=True)

    def texts(self) -> list[str]:
        """The texts of it."""
        return [seen.text for seen in self.sees()]

    def card(self, number: str = "HY-1001") -> Seen:
        """The newest card of a case."""
        cards = [seen for seen in self.sees() if is_card(seen) and number in seen.text.split("\n")[0]]
        assert cards, self.texts()
        return cards[-1]

    async def case(self, number: str = "HY-1001") -> Case:
        """The case now."""
        found = await self.shop.run(lambda unit: unit.cases.find_by_number(number))
        assert found is not None
        return found

    async def dead(self) -> list[DeadLetter]:
        """Dead letters as staff see them."""
        return list(await self.shop.run(lambda unit: unit.dead_letters.all(1000)))

    def voice(self, staff: Voice, seen: Seen) -> Voice:
        """Somebody on staff, speaking where that line is."""
        return self.group.member(staff.id, seen.topic)

    def answers(self, staff: Voice, seen: Seen, text: str) -> int:
        """They answer the customer: in the topic, or as a reply where there are no topics."""
        reply_to = None if seen.topic is not None else seen.message_id
        return self.voice(staff, seen).says(text, reply_to=reply_to)

    def reactions(self, message_id: int) -> list[str]:
        """What the bot put under a line."""
        line = next(seen for seen in self.group.sees() if seen.message_id == message_id)
        return [emoji for found in line.reactions.values() for emoji in found]


def is_card(seen: Seen) -> bool:
    """Whether the bot's line is a card."""
    return seen.text[:1] in "🔴🟠🔵✅" and "👤" in seen.text


def _run(worker: Any, stopping: Callable[[], bool]) -> Callable[[], Awaitable[None]]:
    return lambda: worker.run(stopping)


def play(
    folder: Path,
    story: Callable[[GroupShop], Coroutine[Any, Any, None]],
    *,
    forum: bool = True,
    limits: bool = False,
    speed: float = 100_000.0,
    group: int = GROUP,
) -> None:
    """Plays a story with a clock that stands still until it is turned.

    Args:
        limits: Whether the stand-in keeps Telegram's limits; both sides are ``speed`` times as fast then.
    """

    async def run(shop: Shop) -> None:
        async with TelegramApi() as api:
            api.limits.on, api.limits.speed = limits, speed
            there = GroupShop(shop, api, forum, speed, group)
            try:
                await story(there)
            finally:
                await there.bot.session.close()

    shops.play(folder, run)


class RunningClock(FakeClock):
    """The machine's clock."""

    def __call__(self) -> datetime:
        return datetime.now(UTC)


def play_live(
    folder: Path,
    story: Callable[[GroupShop], Coroutine[Any, Any, None]],
    *,
    forum: bool = True,
    limits: bool = False,
    speed: float = 100_000.0,
    group: int = GROUP,
) -> None:
    """Plays a story by the machine's clock."""

    async def run() -> None:
        configure_logs(LogLevel.ERROR, LogFormat.JSON)
        clock, scorer = RunningClock(), FakeScorer()
        installation = Installation(shop_settings(folder), scorer=scorer, clock=clock)
        async with installation, TelegramApi() as api:
            await installation.prepare()
            api.limits.on, api.limits.speed = limits, speed
            shop = Shop(installation, clock, scorer)
            async with shop.http:
                there = GroupShop(shop, api, forum, speed, group)
                try:
                    await story(there)
                finally:
                    await there.bot.session.close()

    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(shops._prepared_database(), folder / "huiyin.db")
    asyncio.run(run())
