"""Wires everything together and serves until told to stop."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import structlog
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, RedirectResponse
from prometheus_client import CollectorRegistry
from sqlmodel import Session
from starlette.responses import Response

from bot.commands.routes import command_router
from bot.commands.serving import announced
from bot.faq_entries import default_faq, to_entries
from bot.figures import InstallationFigures
from bot.nlu_server.inputs import environment_is_ready, known_intents
from bot.nlu_server.keeper import RasaKeeper
from bot.nlu_server.model_store import ModelStore
from bot.nlu_server.optional_rasa import OptionalRasa
from bot.nlu_server.preparation import Preparation
from bot.nlu_server.remote import RemoteRasa
from bot.settings import Settings
from bot.supervisor import Supervisor
from bot.telegram import capabilities as telegram
from bot.web_server import WebServer
from bot.webchat import messages
from bot.webchat.routes import SessionUnknownError, WebChat, WebChatDeps
from bot.webchat.sender import WebChatSender
from bot.webchat.tokens import ChatTokens
from bot.workers.inbox_worker import InboxWorker
from bot.workers.outbox_worker import OutboxWorker
from bot.workers.timer_worker import TimerWorker
from console.api.order_schemas import parse_order_event
from console.deps import ConsoleDeps
from console.errors import install_error_handlers
from console.first_admin import ensure_first_admin
from console.notifier import ConsoleNotifier
from console.routes import console_router
from console.status import status_router
from desk.follow_up import SCORE_TIMER
from desk.ports import Pace, Sender, SentimentScorer, Understander, UnitOfWork
from desk.service_desk import RETENTION_TIMER, ServiceDesk
from desk.settings import DeskSettings
from desk.staff_desk import StaffDesk
from desk.understanding_again import AGAIN_TIMER
from desk.values import ChannelCapabilities, InboxItem
from nlu.faq_search import FaqSearch
from nlu.snownlp_scorer import SnowNlpScorer
from storage import migrate
from storage.connect import open_database, open_wakeups, ringing, sqlite_path
from storage.locks import SingleServeLock
from storage.reports import Reports
from storage.unit_of_work import SqlUnitOfWork

if TYPE_CHECKING:
    from bot.telegram.channel import Duty, TelegramChannel

T = TypeVar("T")

_log = structlog.get_logger(__name__)

_MOMENT = timedelta(seconds=1)
SCORED_AT_ONCE = 8
"""Comments scored before the first of them is stored."""
LANES_AT_ONCE = 8
"""Conversations that are worked side by side in one process."""


def now_utc() -> datetime:
    """The clock."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Ready:
    """What a started installation tells the person at the keyboard.

    Attributes:
        first_password: Of ``admin``, on the very first start only.
        understanding: A sentence where the FAQ search understands alone, and how to mend it.
    """

    url: str
    first_password: str | None
    understanding: str | None = None


class Installation:
    """All parts of one process over one database. ``async with`` starts and ends it.

    Args:
        understander: Another than Rasa and the FAQ search, for tests.
        scorer: Another than SnowNLP, for tests.
        clock: Another than the machine's, for tests.
        pace: Other limits than Telegram's, for tests and measurements.
        models_in: Another folder than ``VAR_DIR`` whose models are used.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        understander: Understander | None = None,
        scorer: SentimentScorer | None = None,
        clock: Callable[[], datetime] = now_utc,
        pace: Pace | None = None,
        models_in: Path | None = None,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.owner = secrets.token_hex(8)
        self.supervisor = Supervisor()
        self.wakeups = open_wakeups(settings.database_url)
        self.database = open_database(
            settings.database_url,
            ringing(lambda session: SqlUnitOfWork(session, self.owner), self.wakeups),
        )
        self._own_scorer = SnowNlpScorer() if scorer is None else None
        self._rasa = OptionalRasa(FaqSearch()) if understander is None else None
        # Set in ``serve`` only: nothing else is worth half a gigabyte of memory.
        self._rasa_watch: RasaKeeper | RemoteRasa | None = None
        self._models_in = models_in or settings.var_dir
        web_sender = WebChatSender()
        capabilities = {
            WebChatSender.channel: WebChatSender.capabilities,
            telegram.CHANNEL: telegram.CAPABILITIES,
        }
        self.service_desk = ServiceDesk(
            self.database,
            understander or self._rasa or FaqSearch(),
            scorer or self._own_scorer or SnowNlpScorer(),
            ConsoleNotifier(),
            desk_settings(settings, capabilities),
            clock,
        )
        self.staff_desk = StaffDesk(self.database, self.wakeups, clock, capabilities)
        self.telegram = self._connect_telegram(pace)
        self.senders: list[Sender] = [web_sender]
        if self.telegram is not None:
            self.senders.append(self.telegram.sender)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._exits = AsyncExitStack()

    def _connect_telegram(self, pace: Pace | None) -> TelegramChannel | None:
        if self.settings.telegram_token is None:
            return None
        # Only here: building aiogram's types takes seconds, which nobody without a bot should wait for.
        from bot.telegram.channel import TelegramChannel

        return TelegramChannel(
            self.settings,
            self.service_desk,
            self.staff_desk,
            self.database,
            self.wakeups,
            self.owner,
            self.clock,
            pace=pace,
        )

    async def __aenter__(self) -> Installation:
        self._loop = asyncio.get_running_loop()
        if sqlite_path(self.settings.database_url) is not None:
            self._exits.enter_context(SingleServeLock(self.settings.lock_dir))
        try:
            await asyncio.to_thread(migrate.upgrade, self.settings.database_url)
            await self.database.start()
            self._exits.push_async_callback(self.database.close)
            if self._own_scorer is not None:
                self._exits.callback(self._own_scorer.close)
            if self._rasa is not None:
                self._exits.push_async_callback(self._rasa.close)
            if self.telegram is not None:
                self._exits.push_async_callback(self.telegram.close)
        except BaseException:
            await self._exits.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._exits.aclose()

    async def prepare(self) -> str | None:
        """First-start work: the FAQ, the first account. Returns the first password, once."""
        await self.seed_faq()
        now = self.clock()
        await self.database.write(lambda unit: unit.timers.set(RETENTION_TIMER, "daily", now, {}))
        return await ensure_first_admin(self.database, self.clock)

    async def seed_faq(self) -> None:
        """Fills an empty FAQ once; afterwards the database is the truth, even when it is emptied."""
        now = self.clock()

        def work(unit: UnitOfWork) -> int:
            if unit.faq.version() > 0:
                return 0
            entries = to_entries(default_faq())
            for entry in entries:
                unit.faq.put(entry, now)
            return len(entries)

        seeded = await self.database.write(work)
        if seeded:
            _log.info("faq_seeded", count=seeded)

    # --- Serving ------------------------------------------------------------------------------------

    def web_app(self) -> FastAPI:
        """The web application: chat, console, API, health."""
        settings = self.settings
        secrets_in_force = settings.secrets
        app = FastAPI(title="Huiyin 回音", docs_url=None, redoc_url=None, openapi_url=None)
        install_error_handlers(app)
        app.add_exception_handler(SessionUnknownError, _session_unknown)
        chat = WebChat(
            WebChatDeps(
                service_desk=self.service_desk,
                wakeups=self.wakeups,
                tokens=ChatTokens(secrets_in_force.session.get_secret_value().encode()),
                find_typist=self.staff_desk.find_typist,
                is_stopping=self.supervisor.is_stopping,
                seconds_now=time.monotonic,
                shop_name=settings.shop_name,
                embed_origins=settings.embed_origins,
            )
        )
        app.include_router(chat.router())
        app.include_router(
            console_router(
                ConsoleDeps(
                    transactions=self.database,
                    reports=self.read_reports,
                    service_desk=self.service_desk,
                    staff_desk=self.staff_desk,
                    wakeups=self.wakeups,
                    clock=self.clock,
                    public_url=settings.public_url,
                    allow_http=settings.allow_http,
                    shop_secrets=[
                        secret.get_secret_value()
                        for secret in (secrets_in_force.shop, settings.shop_secret_previous)
                        if secret is not None
                    ],
                    api_key=secrets_in_force.api_key.get_secret_value(),
                    shop_name=settings.shop_name,
                    timezone=settings.timezone,
                    is_stopping=self.supervisor.is_stopping,
                    telegram_link=self.telegram.link if self.telegram is not None else None,
                    telegram_state=self._telegram_state,
                    telegram_bot=self.telegram.username if self.telegram is not None else str,
                    media_files={"telegram": self.telegram.files} if self.telegram is not None else {},
                )
            )
        )
        if self.telegram is not None:
            app.include_router(self.telegram.router())
        figures = CollectorRegistry()
        figures.register(
            InstallationFigures(
                lambda: self.read_reports(lambda reports: reports.figures(self.clock())),
                self.supervisor.restarts,
                self._running_loop,
                self.telegram.figures if self.telegram is not None else dict,
                self._rasa.figures if self._rasa is not None else dict,
            )
        )
        app.include_router(status_router(self.parts, figures))
        app.include_router(command_router(self))
        app.add_api_route("/", _to_chat, include_in_schema=False)
        return app

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise RuntimeError("the installation was not entered")
        return self._loop

    async def read_reports(self, read: Callable[[Reports], T]) -> T:
        """Runs a read of the reports on a snapshot."""
        return await self.database.read(lambda unit: read(Reports(_session_of(unit))))

    async def serve(
        self, on_ready: Callable[[Ready], None], *, prepare_with: Callable[[str], None] | None = None
    ) -> None:
        """Serves until SIGTERM or Ctrl-C; what is in hand is finished first.

        Args:
            on_ready: Is told once that everything runs.
            prepare_with: Make Rasa's environment and train meanwhile, where that is needed, and tell the
                person at the keyboard this way.
        """
        server = WebServer(self.web_app(), self.settings.listen)
        prepared = asyncio.Event()

        async def prepare() -> None:
            first_password = await self.prepare()
            prepared.set()
            on_ready(Ready(self.settings.public_url, first_password, self._understanding_sentence()))

        supervisor = self.supervisor
        supervisor.stop_on_signals()
        supervisor.add("web", server.run)
        supervisor.on_stop(server.stop)
        # The web is up meanwhile: what customers write is stored, and answered once the FAQ is there.
        supervisor.add("prepare", prepare, once=True)
        supervisor.on_stop(prepared.set)
        self.add_workers(prepared)
        self._add_understanding(prepared, prepare_with)
        with closing(server), announced(self.settings, server.port):
            await supervisor.run()

    def _add_understanding(self, prepared: asyncio.Event, prepare_with: Callable[[str], None] | None) -> None:
        """Adds what looks after Rasa, which begins once the web is up."""
        if self._rasa is None:
            return
        supervisor, settings = self.supervisor, self.settings
        if settings.nlu_url is not None:
            token = settings.nlu_token.get_secret_value() if settings.nlu_token is not None else None
            remote = RemoteRasa(self._rasa, settings.nlu_url, token, known_intents())
            self._rasa_watch = remote
            supervisor.add("understanding", partial(remote.run, supervisor.is_stopping), listens=True)
            return
        store = ModelStore(self._models_in)
        keeper = RasaKeeper(store, self._rasa)
        self._rasa_watch = keeper
        # Ended after all workers, which may be understanding their last messages.
        self._exits.push_async_callback(keeper.close)

        async def keep() -> None:
            await prepared.wait()
            await keeper.run(supervisor.is_stopping)

        supervisor.add("understanding", keep, listens=True)
        if prepare_with is not None:
            preparation = Preparation(store, keeper, self.clock, prepare_with)

            async def make_ready() -> None:
                await prepared.wait()
                if not supervisor.is_stopping():
                    await preparation.run()

            supervisor.add("understanding_preparation", make_ready, listens=True, once=True)

    def _understanding_sentence(self) -> str | None:
        if not isinstance(self._rasa_watch, RasaKeeper) or self._rasa_watch.is_expected():
            return None
        if environment_is_ready():
            return (
                "语义理解还没有训练，先用问答检索；运行 huiyin nlu train 即可启用。"
                " The understanding is not trained, so the FAQ search understands alone; huiyin nlu train mends it."
            )
        return (
            "没有安装 Rasa，先用问答检索；运行 make nlu-setup，再运行 huiyin nlu train 即可启用。"
            " Rasa is not installed, so the FAQ search understands alone;"
            " make nlu-setup and then huiyin nlu train mend it."
        )

    def add_workers(self, prepared: asyncio.Event | None = None) -> None:
        """Adds the tasks that work inbox, outbox and timers, once ``prepared`` is set (None: at once)."""
        supervisor = self.supervisor

        async def work(run: Callable[[Callable[[], bool]], Awaitable[None]]) -> None:
            if prepared is not None:
                await prepared.wait()
            await run(supervisor.is_stopping)

        inbox = InboxWorker(self.database, self.wakeups, self.inbox_handlers(), self.owner, self.clock)
        for number in range(LANES_AT_ONCE):
            supervisor.add(f"inbox_{number}", partial(work, inbox.run))
        for outbox in self.outbox_workers():
            for number in range(outbox.loops):
                supervisor.add(f"outbox_{outbox.channel}_{number}", partial(work, outbox.run))
        for timers in self.timer_workers():
            supervisor.add(timers.name, partial(work, timers.run))
        if self.telegram is not None:
            for duty in self.telegram.duties():
                self._add_duty(duty, work)
        for name, task in self.wakeups.tasks().items():
            supervisor.add(name, task, listens=True)
        supervisor.on_stop(self.wakeups.ring_all)

    def _add_duty(
        self, duty: Duty, work: Callable[[Callable[[Callable[[], bool]], Awaitable[None]]], Awaitable[None]]
    ) -> None:
        self.supervisor.add(duty.name, partial(work, duty.run), listens=duty.listens, once=duty.once)
        if duty.stop is not None:
            self.supervisor.on_stop(duty.stop)

    def _telegram_state(self) -> str:
        return self.telegram.status() if self.telegram is not None else "off"

    def outbox_workers(self) -> list[OutboxWorker]:
        """One per channel."""
        return [
            OutboxWorker(self.database, self.wakeups, self.service_desk, sender, self.owner, self.clock)
            for sender in self.senders
        ]

    def timer_workers(self) -> list[TimerWorker]:
        """One for everything quick, and one for scoring and understanding, which may take their time."""
        slow = {SCORE_TIMER, AGAIN_TIMER}
        parts = (self.database, self.wakeups, self.service_desk, self.owner, self.clock)
        return [
            TimerWorker(*parts, without=slow),
            TimerWorker(*parts, name="scoring", only=slow, batch=SCORED_AT_ONCE),
        ]

    def inbox_handlers(
        self,
    ) -> Mapping[str, Callable[[InboxItem, Callable[[UnitOfWork], None]], Awaitable[None]]]:
        """What each source of the inbox is worked by. A channel adds its own."""

        async def chat(item: InboxItem, complete: Callable[[UnitOfWork], None]) -> None:
            await self.service_desk.take_message(
                messages.from_inbox(item.source_key, item.raw, item.received_at), complete
            )

        async def orders(item: InboxItem, complete: Callable[[UnitOfWork], None]) -> None:
            # Judged by the time it came in: what was not in the future then is not refused now.
            event = parse_order_event(item.raw, item.received_at)

            def work(unit: UnitOfWork) -> None:
                self.service_desk.apply_order_event(unit, event)
                complete(unit)

            await self.database.write(work)

        telegram = self.telegram.inbox_handlers() if self.telegram is not None else {}
        return {messages.SOURCE: chat, "orders": orders, **telegram}

    async def parts(self) -> Mapping[str, str]:
        """How each part is, for ``/readyz``."""
        now = self.clock()
        dead = await self.database.read(lambda unit: unit.dead_letters.count())
        # Reading works on a full disk; only a write shows that a message can be taken.
        await self.database.write(lambda unit: unit.leases.acquire("readiness", self.owner, _MOMENT, now))
        unsteady = sum(self.supervisor.restarts.values()) > 0
        return {
            "storage": "ok",
            "workers": "restarted" if unsteady else "ok",
            "dead_letters": "ok" if dead == 0 else f"{dead} waiting",
            "telegram": self._telegram_state(),
            "understanding": self._rasa_watch.state() if self._rasa_watch is not None else "ok",
        }


def desk_settings(settings: Settings, capabilities: Mapping[str, ChannelCapabilities]) -> DeskSettings:
    """What the desk needs to know of the settings."""
    variables = {**default_faq().variables, "shop_name": settings.shop_name}
    return DeskSettings(
        variables=variables,
        survey_delay=settings.survey_delay,
        survey_reminder=settings.survey_reminder,
        survey_expires=settings.survey_expires,
        quiet_hours=settings.quiet_hours,
        timezone=settings.timezone,
        capabilities=capabilities,
        raw_retention=settings.raw_retention,
        key_retention=settings.key_retention,
        conversation_retention=settings.conversation_retention,
    )


def _session_of(unit: UnitOfWork) -> Session:
    if not isinstance(unit, SqlUnitOfWork):
        raise TypeError("reports read from SQL only")
    return unit.session


async def _to_chat() -> Response:
    return RedirectResponse("/chat")


async def _session_unknown(_: Request, __: Exception) -> Response:
    detail = {"detail": {"field": "authorization", "reason": "open a session first"}}
    return JSONResponse(detail, 401, headers={"WWW-Authenticate": "Bearer", "Cache-Control": "no-store"})
