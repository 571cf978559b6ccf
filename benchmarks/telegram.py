"""Measures the bot in Telegram: replies a second, and the time from a customer's message to its reply.

    .venv/bin/python benchmarks/telegram.py [--rounds 3] [--messages 300] [--seconds 20] [--rate 25] [--mode polling|webhook]

This process is the stand-in Bot API of the tests (``tests/telegram_api``) and its customers. ``huiyin serve``
runs as a process of its own with SQLite in a temporary folder and its FAQ search. Beside it stands a bare
aiogram bot, also a process of its own, which stores nothing, understands nothing and says every text back:
``Dispatcher.start_polling``, or ``SimpleRequestHandler`` on aiohttp. Times are taken in the stand-in: from the
moment a message is handed to it to the arrival of the ``sendMessage`` that replies.

replies    So many messages of 60 customers lie there at once and are worked off. Nothing but this lifts the
           pace: the stand-in's limits are off, and Huiyin is started from here with a pace that never waits,
           for which there is no setting. The rounds of both bots alternate.
latency    25 messages a second, evenly, from 75 customers in turn, with Telegram's limits in force and Huiyin
           as it is: ``huiyin serve`` with its own pace.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from chat_api import free_port, measure_fdatasync, quantile

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

QUESTIONS = ("什么时候发货", "发什么快递", "怎么退货", "可以开发票吗")
TOKEN = "7000000001:AAF-of-nobody-but-this-stand-in-bench"
MODES = ("polling", "webhook")
CROWD = 60
"""Customers whose messages lie there at once."""
ECHO_TIMES = 4
"""So many times more messages for the echo bot, which would be done too soon."""
TAKING_TURNS = 75
TALKERS = 1_000_000
"""The first of the customers' numbers."""
LONGEST = 60.0
"""Seconds without a reply; then it gives up."""


@dataclass(slots=True)
class Round:
    """What was seen: all times in seconds, ``cpu`` of the bot's process."""

    took: float = 0.0
    cpu: float = 0.0
    waited: list[float] = field(default_factory=list)


class Contestant:
    """A bot in a process of its own, and the Telegram that it has to itself."""

    def __init__(self, name: str, api: Any, process: subprocess.Popen[bytes]) -> None:
        self.name = name
        self.api = api
        self._process = process
        self._next_customer = TALKERS
        self._seen = 0

    async def warm_up(self) -> None:
        """Waits until it answers, and lets it answer some more."""
        self.api.limits.on = False
        await self._talk([self._customers(1)[0]], 1)
        await self._talk(self._customers(20), 2)
        self.api.limits.forget()

    async def work_off(self, messages: int) -> Round:
        """Hands over that many messages at once."""
        self.api.limits.on = False
        return await self._talk(self._customers(CROWD), messages // CROWD)

    async def keep_up(self, seconds: float, rate: float) -> Round:
        """Hands over so many messages a second, evenly, with Telegram's limits in force."""
        self.api.limits.on = True
        customers = self._customers(TAKING_TURNS)
        return await self._talk(customers, round(seconds * rate / TAKING_TURNS), 1 / rate)

    def _customers(self, count: int) -> list[int]:
        first, self._next_customer = self._next_customer, self._next_customer + count
        return list(range(first, first + count))

    async def _talk(self, customers: list[int], each: int, every: float = 0.0) -> Round:
        result = Round()
        asked: dict[int, list[float]] = {customer: [] for customer in customers}
        replied: dict[int, list[float]] = {customer: [] for customer in customers}
        people = {customer: self.api.user(customer) for customer in customers}
        cpu, start = self._cpu(), self.api.clock.now()
        for number in range(each * len(customers)):
            if every:
                # By the date it is due, so that a late one does not make all others late.
                await asyncio.sleep(start + number * every - self.api.clock.now())
            customer = customers[number % len(customers)]
            asked[customer].append(self.api.clock.now())
            people[customer].says(QUESTIONS[number % len(QUESTIONS)])
        latest = self.api.clock.now()
        while sum(map(len, replied.values())) < each * len(customers):
            await asyncio.sleep(0.01)
            if self._note_replies(replied):
                latest = self.api.clock.now()
            if self._process.poll() is not None:
                raise SystemExit(f"{self.name} ended with {self._process.returncode}")
            if self.api.clock.now() - latest > LONGEST:
                raise SystemExit(f"{self.name} does not reply any more")
        result.took = max(times[-1] for times in replied.values()) - start
        result.cpu = self._cpu() - cpu
        for customer, times in replied.items():
            if len(times) != each:
                raise SystemExit(f"{self.name} replied {len(times)} times to {each} messages")
            result.waited += [heard - said for said, heard in zip(asked[customer], times, strict=True)]
        return result

    def _note_replies(self, replied: dict[int, list[float]]) -> int:
        calls = self.api.dispatch.calls
        fresh, self._seen = calls[self._seen :], len(calls)
        found = 0
        for call in fresh:
            if call.method == "sendMessage":
                if call.status != 200:
                    raise SystemExit(f"{self.name} was refused: {call.status} {call.description}")
                replied[call.chat].append(call.at)
                found += 1
        return found

    def _cpu(self) -> float:
        """Seconds of computing that its process has used; 0 where the system does not tell."""
        try:
            columns = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(columns[11]) + int(columns[12])) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def contest(mode: str, *, free: bool) -> AsyncIterator[tuple[Contestant, Contestant]]:
    """Huiyin and the echo bot, both ready, until the end of the block; ``free``: Huiyin never waits."""
    from telegram_api import TelegramApi

    async with AsyncExitStack() as exits:
        folder = exits.enter_context(tempfile.TemporaryDirectory(prefix="huiyin-bench-"))
        bots = []
        for name, command in (
            ("Huiyin", [__file__, "--serve-free"] if free else ["-m", "bot", "serve"]),
            ("aiogram echo", [__file__, "--echo"]),
        ):
            api = await exits.enter_async_context(TelegramApi(TOKEN))
            port = free_port()
            environ = {name: value for name, value in os.environ.items() if not name.startswith("HUIYIN_")}
            environ |= {
                "HUIYIN_VAR_DIR": f"{folder}/{name}",
                "HUIYIN_LISTEN": f"127.0.0.1:{port}",
                "HUIYIN_LOG_LEVEL": "error",
                "HUIYIN_TELEGRAM_TOKEN": api.token,
                "HUIYIN_TELEGRAM_API": api.url,
                "HUIYIN_TELEGRAM_MODE": mode,
            }
            process = await exits.enter_async_context(running([sys.executable, *command], environ, folder))
            bots.append(Contestant(name, api, process))
        for bot in bots:
            await bot.warm_up()
        yield bots[0], bots[1]


@asynccontextmanager
async def running(
    command: list[str], environ: dict[str, str], folder: str
) -> AsyncIterator[subprocess.Popen[bytes]]:
    """Runs a process until the end of the block; when it fails, it is told what it complained about."""
    errors = Path(folder, "errors")
    with errors.open("ab") as stderr:
        # Started in the temporary folder, so that nobody's .env is read.
        process = subprocess.Popen(
            command, env={**environ, "PYTHONPATH": str(ROOT)}, cwd=folder, stderr=stderr
        )
    try:
        yield process
    except SystemExit:
        print(errors.read_text(errors="replace")[-2000:], file=sys.stderr)
        raise
    finally:
        process.terminate()
        for _ in range(200):
            # The stand-in goes on meanwhile, for what is under way is finished first.
            await asyncio.sleep(0.1)
            if process.poll() is not None:
                break
        else:
            process.kill()
            process.wait()


# --- The two bots, each in its process -----------------------------------------------------------------------


class NoPace:
    """A pace that never waits; production has none such."""

    def room(self, rank: Any = None) -> int:
        """As ``Pace``."""
        return 1000

    def held(self) -> Collection[str]:
        """As ``Pace``."""
        return ()

    def begin(self, recipient: str) -> None:
        """As ``Pace``."""

    def end(self, recipient: str) -> None:
        """As ``Pace``."""

    def hold(self, recipient: str | None, wait: timedelta) -> None:
        """As ``Pace``."""

    def recall(self, recipient: str, ago: timedelta) -> None:
        """As ``Pace``."""

    def next_change(self) -> timedelta:
        """As ``Pace``."""
        return timedelta(0)


async def serve_free() -> None:
    """``huiyin serve`` with ``NoPace``."""
    from bot.app import Installation
    from bot.logs import configure_logs
    from bot.settings import load_settings

    settings = load_settings()
    configure_logs(settings.log_level, settings.log_format)
    settings.var_dir.mkdir(mode=0o700)
    async with Installation(settings, pace=NoPace()) as installation:
        await installation.serve(lambda _: None)


async def serve_echo() -> None:
    """The baseline, as aiogram's documentation has it."""
    from aiogram import Bot, Dispatcher
    from aiogram.client.session.aiohttp import AiohttpSession
    from aiogram.client.telegram import TelegramAPIServer
    from aiogram.types import Message
    from aiogram.webhook.aiohttp_server import SimpleRequestHandler, setup_application
    from aiohttp import web

    given = os.environ
    session = AiohttpSession(api=TelegramAPIServer.from_base(given["HUIYIN_TELEGRAM_API"]))
    bot, dispatcher = Bot(given["HUIYIN_TELEGRAM_TOKEN"], session=session), Dispatcher()

    async def echo(message: Message) -> None:
        await message.answer(message.text or "")

    dispatcher.message.register(echo)
    if given["HUIYIN_TELEGRAM_MODE"] == "polling":
        await dispatcher.start_polling(bot)
        return
    host, _, port = given["HUIYIN_LISTEN"].partition(":")
    app = web.Application()
    SimpleRequestHandler(dispatcher, bot, secret_token="bench").register(app, "/webhook")
    setup_application(app, dispatcher, bot=bot)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, int(port)).start()
    await bot.set_webhook(f"http://{host}:{port}/webhook", secret_token="bench")
    await asyncio.Event().wait()


# --- All of it -----------------------------------------------------------------------------------------------


async def measure(arguments: argparse.Namespace) -> None:
    """Runs everything and prints the tables."""
    with tempfile.TemporaryDirectory(prefix="huiyin-bench-") as folder:
        sync = measure_fdatasync(Path(folder)) * 1000
    print(f"{os.cpu_count()} cores, load {load()} at the beginning, fdatasync {sync:.2f} ms\n")
    modes = [arguments.mode] if arguments.mode else MODES
    if arguments.rounds:
        print(
            "| replies | Huiyin/s, median (all) | echo/s, median (all) | ratio | Huiyin CPU ms each | echo CPU ms each |"
        )
        print("|---|---|---|---|---|---|")
    for mode in modes if arguments.rounds else ():
        ours: list[Round] = []
        echoes: list[Round] = []
        async with contest(mode, free=True) as (huiyin, echo):
            for _ in range(arguments.rounds):
                ours.append(await huiyin.work_off(arguments.messages))
                echoes.append(await echo.work_off(arguments.messages * ECHO_TIMES))
        ratios = [
            (len(our.waited) / our.took) / (len(other.waited) / other.took)
            for our, other in zip(ours, echoes, strict=True)
        ]
        print(
            f"| {mode} | {speeds(ours)} | {speeds(echoes)} | {statistics.median(ratios):.3f} | {cpu(ours)} | {cpu(echoes)} |"
        )
    if not arguments.seconds:
        return
    print(
        f"\n| {arguments.rate:g} a second for {arguments.seconds:g} s | p50 ms | p99 ms | longest ms | CPU ms each |"
    )
    print("|---|---|---|---|---|")
    for mode in modes:
        async with contest(mode, free=False) as bots:
            for bot in bots:
                before, seen = load(), await bot.keep_up(arguments.seconds, arguments.rate)
                print(
                    f"| {bot.name}, {mode}, load {before} | {quantile(seen.waited, 0.5)} | {quantile(seen.waited, 0.99)} "
                    f"| {quantile(seen.waited, 1)} | {cpu([seen])} |",
                    flush=True,
                )


def load() -> str:
    """How many processes wanted to run, in the last minute."""
    return f"{os.getloadavg()[0]:.1f}"


def speeds(rounds: list[Round]) -> str:
    """Replies a second: the median and all of them."""
    found = [len(each.waited) / each.took for each in rounds]
    return f"{statistics.median(found):.0f} ({', '.join(f'{speed:.0f}' for speed in found)})"


def cpu(rounds: list[Round]) -> str:
    """Milliseconds of computing for one reply, the median."""
    return f"{statistics.median(each.cpu / len(each.waited) for each in rounds) * 1000:.2f}"


def main() -> None:
    """Reads the arguments and measures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--messages", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rate", type=float, default=25.0)
    parser.add_argument("--mode", choices=MODES)
    parser.add_argument("--serve-free", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--echo", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve_free:
        asyncio.run(serve_free())
    elif arguments.echo:
        asyncio.run(serve_echo())
    else:
        started = time.monotonic()
        asyncio.run(measure(arguments))
        print(f"\n{time.monotonic() - started:.0f} s in all, load {load()} at the end.")


if __name__ == "__main__":
    main()
