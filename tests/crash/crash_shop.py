"""The shop's systems: they report what happens to orders, sign it and ask for links."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from crash_history import History, OrderHistory
from driver import PATIENCE, PAUSE, Caller, WorldError
from shop import API_KEY, SHOP_SECRET_BYTES

from desk.values import OrderStatus


class ShopSystem(Caller):
    """The shop's own systems: they report what happens to orders and ask for links."""

    def __init__(self, url: str, history: History) -> None:
        super().__init__(url, 0)
        self._history = history
        self.link_kind = "web"
        """Which of an order's links is given away: ``web`` or ``telegram``."""

    def order(self, external_id: str) -> OrderHistory:
        """An order that the shop is going to tell about."""
        order = OrderHistory(external_id)
        self._history.orders[external_id] = order
        return order

    async def reports(
        self, order: OrderHistory, status: OrderStatus, at: datetime, *, times: int = 1
    ) -> None:
        """Posts an event until it is acknowledged.

        Args:
            times: How often in all; each further time it must be known as a duplicate.
        """
        event_id = f"{order.external_id}-{status.value}-{at.timestamp()}"
        body = json.dumps(_event(event_id, order.external_id, status, at), ensure_ascii=False).encode()
        webhook_id = f"msg_{uuid.uuid4().hex}"
        for time_number in range(times):
            # The second time it comes as a resend of the webhook, the third as another webhook.
            if time_number == 2:
                webhook_id = f"msg_{uuid.uuid4().hex}"
            answer = await self.until(lambda: self._signed(webhook_id, body), {200, 202})  # noqa: B023
            order.events[event_id] = (at, status)
            if time_number and answer.status_code != 200:
                self._history.faults.append(f"event {event_id} came again and was taken for new")

    async def link(self, order: OrderHistory) -> str:
        """The token of the order's link; waits until the order and that kind of link are known."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            answer = await self.until(
                lambda: self.http.build_request(
                    "GET",
                    f"/api/v1/orders/{order.external_id}/links",
                    headers={"Authorization": f"Bearer {API_KEY}"},
                ),
                {200},
                {404},
            )
            # Telegram's needs the bot's name, which a new life has to ask for first.
            link: str | None = answer.json()[self.link_kind]
            if link is not None:
                return link.partition("#order=" if self.link_kind == "web" else "?start=")[2]
            await asyncio.sleep(PAUSE)
        raise WorldError(f"order {order.external_id} never had a link for {self.link_kind}")

    def _signed(self, webhook_id: str, body: bytes) -> httpx.Request:
        stamp = str(int(time.time()))
        signed = f"{webhook_id}.{stamp}.".encode() + body
        signature = base64.b64encode(hmac.new(SHOP_SECRET_BYTES, signed, hashlib.sha256).digest()).decode()
        headers = {
            "webhook-id": webhook_id,
            "webhook-timestamp": stamp,
            "webhook-signature": f"v1,{signature}",
            "content-type": "application/json",
        }
        return self.http.build_request("POST", "/api/v1/orders/events", content=body, headers=headers)


def now() -> datetime:
    """The clock of the outside world."""
    return datetime.now(UTC)


def steps_until_delivered(end: datetime) -> list[tuple[OrderStatus, datetime]]:
    """Statuses up to delivery, each a minute after the one before, the last at ``end``."""
    statuses = (OrderStatus.CREATED, OrderStatus.PAID, OrderStatus.SHIPPED, OrderStatus.DELIVERED)
    return [(status, end - timedelta(minutes=3 - place)) for place, status in enumerate(statuses)]


def _event(event_id: str, order_id: str, status: OrderStatus, at: datetime) -> dict[str, Any]:
    return {
        "type": f"order.{status.value}",
        "id": event_id,
        "occurred_at": at.isoformat(),
        "order": {
            "id": order_id,
            "buyer": {"id": f"buyer of {order_id}", "name": "王女士", "phone": "13812345678"},
            "items": [{"sku": "CUP-1", "name": "保温杯", "quantity": 2, "price": "59.00"}],
            "amount": "118.00",
            "currency": "CNY",
            "carrier": "顺丰速运",
            "tracking_no": "SF1234567890",
        },
    }
