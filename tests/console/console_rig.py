"""The console with what it needs around it, for tests."""

from __future__ import annotations

import base64
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import httpx
from fastapi import FastAPI

from console.deps import ConsoleDeps
from console.passwords import Passwords
from console.routes import console_router, install_error_handlers
from console.status import status_router
from desk.errors import ConflictError, NotFoundError
from desk.values import OrderEvent

T = TypeVar("T")

NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
SECRETS = tuple("whsec_" + base64.b64encode(bytes([at]) * 32).decode() for at in (1, 2))
API_KEY = "an-api-key-for-tests-0123456789"


@dataclass
class Clock:
    """A clock that only moves when told."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def forward(self, by: timedelta) -> None:
        """Moves on."""
        self.now += by


@dataclass(frozen=True)
class Stored:
    """What the fake desk answers."""

    duplicate: bool


@dataclass
class FakeOrderDesk:
    """Keeps order events in memory."""

    events: dict[str, tuple[OrderEvent, bytes]] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    fault: Exception | None = None

    async def accept_order_event(self, webhook_id: str, event: OrderEvent, raw: bytes) -> Stored:
        """Takes it once."""
        if self.fault is not None:
            raise self.fault
        known = self.events.get(webhook_id)
        if known is not None and known[1] != raw:
            raise ConflictError("known with another body")
        self.events[webhook_id] = (event, raw)
        return Stored(duplicate=known is not None)

    async def order_links(self, external_id: str) -> str:
        """The token on record."""
        if external_id not in self.links:
            raise NotFoundError("order")
        return self.links[external_id]


class SilentWakeups:
    """Bells that nobody hears."""

    def ring(self, bell: str) -> None:
        """Does nothing."""

    async def wait(self, bell: str, at_most: timedelta) -> bool:
        """Nothing rang."""
        return False


class Unused:
    """Stands where a test needs nothing; any use of it fails."""


async def parts() -> dict[str, str]:
    """All is well."""
    return {"storage": "ok"}


@dataclass
class Rig:
    """An application with the console in it."""

    app: FastAPI
    deps: ConsoleDeps
    orders: FakeOrderDesk
    clock: Clock

    @classmethod
    def with_fakes(cls, **given: Any) -> Rig:
        """For routes that need no storage."""
        orders = given.pop("orders", FakeOrderDesk())
        clock = given.pop("clock", Clock())
        unused: Any = Unused()
        deps = ConsoleDeps(
            **{
                "transactions": unused,
                "reports": unused,
                "service_desk": orders,
                "staff_desk": unused,
                "wakeups": SilentWakeups(),
                "clock": clock,
                "public_url": "http://127.0.0.1:8080",
                "allow_http": False,
                "shop_secrets": SECRETS,
                "api_key": API_KEY,
                "shop_name": "样品小店",
                "passwords": CHEAP,
                **given,
            }
        )
        app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        app.include_router(console_router(deps))
        app.include_router(status_router(parts))
        install_error_handlers(app)
        return cls(app, deps, orders, clock)

    def client(self, address: str = "203.0.113.9", url: str = "http://127.0.0.1:8080") -> httpx.AsyncClient:
        """A browser without habits: it keeps cookies and follows nothing."""
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False, client=(address, 4000))
        return httpx.AsyncClient(transport=transport, base_url=url)


CHEAP = Passwords(time_cost=1, memory_kib=8, parallelism=1)
_CSRF = re.compile(r'name="csrf" value="([^"]+)"')


def csrf_in(page: str) -> str:
    """The token of the first form on the page."""
    found = _CSRF.search(page)
    assert found is not None
    return found.group(1)


Reading = Callable[[Callable[[Any], T]], Awaitable[T]]
