"""A whole installation for tests: real storage, real web application, a clock that tests turn.

Messages go in through HTTP and what customers see comes out of it; nothing runs in the background, so a
test says with ``settle`` when everything that is due happens.
"""

from __future__ import annotations

import asyncio
import atexit
import base64
import hashlib
import hmac
import json
import shutil
import tempfile
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import httpx
from telegram_api import TelegramApi
from telegram_customer import TOKEN, FreePace, TelegramCustomer, WebhookRig, telegram_settings

from bot.app import Installation
from bot.logs import configure_logs
from bot.settings import LogFormat, LogLevel, Settings, load_settings
from bot.workers.inbox_worker import InboxWorker
from desk.errors import UnderstandingError
from desk.ports import Understander, UnitOfWork
from desk.values import Role, Sentiment, SentimentLabel, StaffMember

T = TypeVar("T")

SHOP_SECRET_BYTES = hashlib.sha256(b"the shop of the tests").digest()
SHOP_SECRET = "whsec_" + base64.b64encode(SHOP_SECRET_BYTES).decode()
API_KEY = "shop-api-key-Zq8vN2xT7wLd4RkB9mHc"
NOON = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
"""12:00 in Shanghai."""


class FakeClock:
    """A clock that stands still until it is turned."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def turn(self, by: timedelta) -> None:
        """Turns it forward (or back)."""
        self.now += by


class FakeScorer:
    """Scores by one word of each kind; ``broken`` makes it fail."""

    def __init__(self) -> None:
        self.broken = False

    async def score(self, text: str) -> Sentiment:
        if self.broken:
            raise UnderstandingError("scorer is down")
        if "差" in text or "漏" in text:
            return Sentiment(SentimentLabel.NEGATIVE, -0.8, ("差",), "fake")
        if "好" in text:
            return Sentiment(SentimentLabel.POSITIVE, 0.8, ("好",), "fake")
        return Sentiment(SentimentLabel.NEUTRAL, 0.0, (), "fake")


class Customer:
    """A browser on the chat page."""

    channel = "webchat"

    def __init__(self, shop: Shop, client_session_id: str) -> None:
        self._shop = shop
        self.client_session_id = client_session_id
        self.token = ""

    async def open(self, order_token: str | None = None) -> httpx.Response:
        body = {"client_session_id": self.client_session_id}
        if order_token is not None:
            body["order_token"] = order_token
        answer = await self._shop.http.post("/api/v1/chat/sessions", json=body)
        if answer.status_code == 200:
            self.token = answer.json()["token"]
        return answer

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    async def post(
        self, text: str, client_msg_id: str | None = None, button_id: str | None = None
    ) -> httpx.Response:
        body = {"client_msg_id": client_msg_id or str(uuid.uuid4()), "text": text}
        if button_id is not None:
            body["button_id"] = button_id
        return await self._shop.http.post("/api/v1/chat/messages", json=body, headers=self.headers)

    async def writes(self, text: str) -> None:
        """Writes, and nothing else happens yet."""
        answer = await self.post(text)
        assert answer.status_code == 202, answer.text

    async def looks(self) -> None:
        """The page tells that everything on it was seen."""
        seen = {"seq": (await self.lines())[-1]["seq"]}
        answer = await self._shop.http.post("/api/v1/chat/seen", json=seen, headers=self.headers)
        assert answer.status_code == 204, answer.text

    async def identity_id(self) -> int:
        """The customer's identity at the desk."""
        identity_id = await self._shop.desk.find_chat_identity(self.token.partition(".")[0])
        assert identity_id is not None
        return identity_id

    async def says(self, text: str, button_id: str | None = None) -> list[str]:
        """Writes, lets everything happen, and returns the lines that came in answer."""
        before = len(await self.lines())
        answer = await self.post(text, button_id=button_id)
        assert answer.status_code == 202, answer.text
        await self._shop.settle()
        return [line["text"] for line in (await self.lines())[before:] if line["author"] != "customer"]

    async def presses(self, label: str) -> list[str]:
        """Presses the newest button with this label."""
        for line in reversed(await self.lines()):
            for option in (line["prompt"] or {"options": []})["options"]:
                if option["label"] == label:
                    return await self.says(label, option["button_id"])
        raise AssertionError(f"no button {label}")

    async def lines(self) -> list[dict[str, Any]]:
        """Everything on the customer's screen, in order of ``seq``."""
        from bot.webchat.stream import line_as_json

        _, lines = await self._shop.desk.read_lines(await self.identity_id(), 0, 1000)
        return [line_as_json(line) for line in lines]

    async def texts(self) -> list[str]:
        return [line["text"] for line in await self.lines()]


class Shop:
    """One installation under test.

    Args:
        telegram: The stand-in that its customers come from; None = from the web chat.
    """

    def __init__(
        self,
        installation: Installation,
        clock: FakeClock,
        scorer: FakeScorer,
        telegram: TelegramApi | None = None,
    ) -> None:
        self.installation = installation
        self.clock = clock
        self.scorer = scorer
        self.desk = installation.service_desk
        self.staff_desk = installation.staff_desk
        database, bells, owner = installation.database, installation.wakeups, installation.owner
        self.inbox = InboxWorker(database, bells, installation.inbox_handlers(), owner, clock)
        self.outboxes = installation.outbox_workers()
        self.timers = installation.timer_workers()
        transport = httpx.ASGITransport(app=installation.web_app(), raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080")
        self.telegram = WebhookRig(telegram, self.http) if telegram is not None else None

    async def customer(self, name: str = "wang", order_token: str | None = None) -> Any:
        """A customer of the channel that the story is played on, perhaps behind an order's link."""
        if self.telegram is not None:
            guest = TelegramCustomer(self, self.telegram, name)
            await guest.open(order_token)
            return guest
        customer = Customer(self, f"{name}-{uuid.uuid5(uuid.NAMESPACE_DNS, name)}")
        answer = await customer.open(order_token)
        assert answer.status_code == 200, answer.text
        await self.settle()
        return customer

    async def staff(self, login: str = "li", role: Role = Role.AGENT, name: str = "小李") -> StaffMember:
        return await self.staff_desk.add_staff(login, name, role, "no-password", None)

    async def settle(self) -> None:
        """Lets everything that is due happen."""
        for _ in range(100):
            worked = await self.telegram.bring() if self.telegram is not None else False
            worked |= await self.inbox.work_one_lane()
            worked |= await self.fire_due()
            worked |= await self.send_due()
            if not worked:
                return
        raise AssertionError("it never settles")

    async def fire_due(self) -> bool:
        """Fires one round of timers; says whether any was due."""
        return any([await timers.fire_due() for timers in self.timers])

    async def send_due(self) -> bool:
        """Sends one round of messages; says whether any was due."""
        return any([await outbox.send_due() for outbox in self.outboxes])

    async def later(self, by: timedelta) -> None:
        """Turns the clock forward and lets everything happen."""
        self.clock.turn(by)
        await self.settle()

    async def run(self, work: Callable[[UnitOfWork], T]) -> T:
        return await self.installation.database.write(work)

    async def reports(self, read: Callable[..., T]) -> T:
        return await self.installation.read_reports(read)

    # --- The shop's own systems ------------------------------------------------------------------

    async def post_order_event(
        self, event: dict[str, Any] | bytes, *, webhook_id: str | None = None, at: datetime | None = None
    ) -> httpx.Response:
        body = event if isinstance(event, bytes) else json.dumps(event, ensure_ascii=False).encode()
        webhook_id = webhook_id or f"msg_{uuid.uuid4().hex}"
        # Signatures are checked against the machine's clock, not the installation's.
        stamp = str(int((at or datetime.now(UTC)).timestamp()))
        signed = f"{webhook_id}.{stamp}.".encode() + body
        signature = base64.b64encode(hmac.new(SHOP_SECRET_BYTES, signed, hashlib.sha256).digest()).decode()
        headers = {
            "webhook-id": webhook_id,
            "webhook-timestamp": stamp,
            "webhook-signature": f"v1,{signature}",
            "content-type": "application/json",
        }
        return await self.http.post("/api/v1/orders/events", content=body, headers=headers)

    def order_event(
        self,
        kind: str,
        order_id: str = "A-1",
        *,
        at: datetime | None = None,
        buyer: str = "b-1",
        **order: Any,
    ) -> dict[str, Any]:
        occurred_at = at or self.clock.now
        return {
            "type": f"order.{kind}",
            "id": f"evt-{order_id}-{kind}-{occurred_at.timestamp()}",
            "occurred_at": occurred_at.isoformat(),
            "order": {
                "id": order_id,
                "buyer": {"id": buyer, "name": "王女士", "phone": "13812345678"},
                "items": [{"sku": "CUP-1", "name": "保温杯", "quantity": 2, "price": "59.00"}],
                "amount": "118.00",
                "currency": "CNY",
                "carrier": "顺丰速运",
                "tracking_no": "SF1234567890",
                **order,
            },
        }

    async def reports_event(self, kind: str, order_id: str = "A-1", **more: Any) -> None:
        """The shop's system reports an event, and everything that follows happens."""
        answer = await self.post_order_event(self.order_event(kind, order_id, **more))
        assert answer.status_code in {200, 202}, answer.text
        await self.settle()

    async def link(self, order_id: str = "A-1") -> str:
        """The token of the order's link."""
        answer = await self.http.get(
            f"/api/v1/orders/{order_id}/links", headers={"Authorization": f"Bearer {API_KEY}"}
        )
        assert answer.status_code == 200, answer.text
        token: str = answer.json()["web"].partition("#order=")[2]
        return token


def shop_settings(folder: Path, **changes: str) -> Settings:
    """Settings of a test installation in ``folder``."""
    environ = {
        "HUIYIN_VAR_DIR": str(folder),
        "HUIYIN_SHOP_SECRET": SHOP_SECRET,
        "HUIYIN_API_KEY": API_KEY,
        "HUIYIN_SHOP_NAME": "测试小店",
        "HUIYIN_QUIET_HOURS": "off",
    }
    environ.update({f"HUIYIN_{name}": value for name, value in changes.items()})
    return load_settings(environ)


@cache
def _prepared_database() -> Path:
    """A database after the first start. Copying it is quicker than starting for the first time."""
    folder = Path(tempfile.mkdtemp(prefix="huiyin-prepared-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)

    async def start_once() -> None:
        async with Installation(shop_settings(folder), scorer=FakeScorer(), clock=FakeClock()) as first:
            await first.prepare()

    asyncio.run(start_once())
    return folder / "huiyin.db"


Story = Callable[["Shop"], Coroutine[Any, Any, T] | Awaitable[T]]
Play = Callable[..., Any]
"""How a test that takes ``play_both`` names it."""


def play(
    folder: Path,
    story: Story[T],
    channel: str = "webchat",
    understander: Understander | None = None,
    **settings: str,
) -> T:
    """Plays one story against a fresh installation in ``folder``, with customers of that channel."""

    if "DATABASE_URL" not in settings:
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "huiyin.db").exists():
            shutil.copyfile(_prepared_database(), folder / "huiyin.db")

    async def run() -> T:
        configure_logs(LogLevel.ERROR, LogFormat.JSON)
        clock, scorer = FakeClock(), FakeScorer()
        async with AsyncExitStack() as exits:
            telegram: TelegramApi | None = None
            changes = dict(settings)
            if channel == "telegram":
                telegram = await exits.enter_async_context(TelegramApi(TOKEN))
                telegram.limits.on = False
                changes |= telegram_settings(telegram)
            installation = Installation(
                shop_settings(folder, **changes),
                understander=understander,
                scorer=scorer,
                clock=clock,
                pace=FreePace(),
            )
            await exits.enter_async_context(installation)
            await installation.prepare()
            shop = Shop(installation, clock, scorer, telegram)
            await exits.enter_async_context(shop.http)
            await shop.settle()
            return await story(shop)

    return asyncio.run(run())
