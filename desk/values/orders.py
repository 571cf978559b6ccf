"""Orders as the shop reports them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class OrderItem:
    """One line of an order; ``price_minor`` in minor units of the order's currency."""

    sku: str
    name: str
    quantity: int
    price_minor: int


@dataclass(frozen=True, slots=True)
class Buyer:
    """Who bought, as the shop knows them."""

    id: str
    name: str
    phone: str = ""
    birthday: str = ""


@dataclass(frozen=True, slots=True)
class OrderSnapshot:
    """An order as one event tells it."""

    external_id: str
    buyer: Buyer
    items: tuple[OrderItem, ...]
    amount_minor: int
    currency: str
    carrier: str = ""
    tracking_no: str = ""


class OrderStatus(StrEnum):
    """Where an order stands, in rising rank (an equal time is broken by rank)."""

    CREATED = "created"
    PAID = "paid"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    RETURNED = "returned"
    REFUNDED = "refunded"
    CANCELLED = "cancelled"

    @property
    def rank(self) -> int:
        """Position in the life of an order, from 0."""
        return list(OrderStatus).index(self)


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """One thing that happened to an order, as the shop's system reports it."""

    id: str
    status: OrderStatus
    occurred_at: datetime
    order: OrderSnapshot


@dataclass(frozen=True, slots=True)
class Order:
    """订单 as stored: the newest known state."""

    id: int
    snapshot: OrderSnapshot
    contact_id: int | None
    status: OrderStatus
    occurred_at: datetime
    delivered_at: datetime | None
