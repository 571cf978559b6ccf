"""订单: orders as the shop tells of them, the links that bind them to customers, and known keys."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Index, Table, UniqueConstraint
from sqlmodel import Field, SQLModel

from desk.values import OrderStatus
from storage.tables import naming as _naming  # noqa: F401  (sets the convention that names constraints)
from storage.tables.checks import one_of
from storage.times import UtcDateTime


class OrderRow(SQLModel, table=True):
    """The newest known state of an order. Money is in minor units of ``currency``.

    ``erased_at`` says that the buyer's name and marks were erased; later events do not bring them back.
    """

    __tablename__ = "orders"
    __table_args__ = (
        UniqueConstraint("external_id"),
        one_of("status", OrderStatus),
        CheckConstraint("status_rank >= 0", name="status_rank"),
        Index(None, "contact_id"),
        Index(None, "buyer_id"),
        Index(None, "delivered_at"),
    )

    id: int | None = Field(default=None, primary_key=True)
    external_id: str
    buyer_id: str
    buyer_name: str
    buyer_phone: str = ""
    buyer_birthday: str = ""
    contact_id: int | None = Field(default=None, foreign_key="contacts.id")
    status: str
    status_rank: int
    occurred_at: datetime = Field(sa_type=UtcDateTime)
    delivered_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    amount_minor: int = Field(sa_type=BigInteger)
    currency: str
    carrier: str = ""
    tracking_no: str = ""
    erased_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    created_at: datetime = Field(sa_type=UtcDateTime)
    updated_at: datetime = Field(sa_type=UtcDateTime)


class OrderItemRow(SQLModel, table=True):
    """One line of an order, in the order in which the shop listed them."""

    __tablename__ = "order_items"
    __table_args__ = (UniqueConstraint("order_id", "position"),)

    id: int | None = Field(default=None, primary_key=True)
    order_id: int = Field(foreign_key="orders.id")
    position: int
    sku: str
    name: str
    quantity: int = Field(sa_type=BigInteger)
    price_minor: int = Field(sa_type=BigInteger)


class OrderEventRow(SQLModel, table=True):
    """One event of an order's history; ``applied`` is false when it came too late to count."""

    __tablename__ = "order_events"
    __table_args__ = (
        UniqueConstraint("event_id"),
        one_of("status", OrderStatus),
        Index(None, "order_id"),
    )

    id: int | None = Field(default=None, primary_key=True)
    event_id: str
    order_id: int = Field(foreign_key="orders.id")
    status: str
    occurred_at: datetime = Field(sa_type=UtcDateTime)
    applied: bool
    recorded_at: datetime = Field(sa_type=UtcDateTime)


class EventKeyRow(SQLModel, table=True):
    """A key that came in before (a webhook id, an event id), so that the second time has no effect."""

    __tablename__ = "event_keys"
    __table_args__ = (Index(None, "received_at"),)

    scope: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    body_hash: str
    received_at: datetime = Field(sa_type=UtcDateTime)


class OrderLinkRow(SQLModel, table=True):
    """A link that binds one order to the one identity that opens it first.

    The token itself is kept only while the link is unused, because the shop's systems may ask for it
    again; once used, its hash is enough to give the same customer the same answer.
    """

    __tablename__ = "order_links"
    __table_args__ = (
        UniqueConstraint("token"),
        UniqueConstraint("token_hash"),
        CheckConstraint("(identity_id IS NULL) = (bound_at IS NULL)", name="bound_at"),
        CheckConstraint("(token IS NULL) = (identity_id IS NOT NULL)", name="token"),
        Index(None, "order_id"),
        Index(None, "identity_id"),
    )

    id: int | None = Field(default=None, primary_key=True)
    order_id: int = Field(foreign_key="orders.id")
    token: str | None
    token_hash: str
    expires_at: datetime = Field(sa_type=UtcDateTime)
    identity_id: int | None = Field(default=None, foreign_key="identities.id")
    bound_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    created_at: datetime = Field(sa_type=UtcDateTime)


class OrderBindingRow(SQLModel, table=True):
    """An identity that may see an order and be asked about it."""

    __tablename__ = "order_bindings"
    __table_args__ = (
        UniqueConstraint("order_id", "identity_id"),
        Index(None, "identity_id"),
    )

    id: int | None = Field(default=None, primary_key=True)
    order_id: int = Field(foreign_key="orders.id")
    identity_id: int = Field(foreign_key="identities.id")
    bound_at: datetime = Field(sa_type=UtcDateTime)


ORDERS: Table = SQLModel.metadata.tables["orders"]
ORDER_ITEMS: Table = SQLModel.metadata.tables["order_items"]
ORDER_EVENTS: Table = SQLModel.metadata.tables["order_events"]
EVENT_KEYS: Table = SQLModel.metadata.tables["event_keys"]
ORDER_LINKS: Table = SQLModel.metadata.tables["order_links"]
ORDER_BINDINGS: Table = SQLModel.metadata.tables["order_bindings"]
