"""Answers from stored orders: status, tracking, refund. Only ever given the asker's own orders."""

from __future__ import annotations

from collections.abc import Sequence

from desk import wording
from desk.values import Order, OrderStatus

MOST_ORDERS = 3
ITEMS_SHOWN = 2
_MONEY_BACK = frozenset({OrderStatus.RETURNED, OrderStatus.REFUNDED, OrderStatus.CANCELLED})
_BEFORE_SHIPPING = frozenset({OrderStatus.CREATED, OrderStatus.PAID})


def answer(action: str, orders: Sequence[Order]) -> str:
    """Answers one order question.

    Args:
        action: ``order_status``, ``tracking`` or ``refund_status``.
        orders: The asker's orders, newest first, at least one; the first three are told.
    """
    if action == "refund_status":
        orders = [order for order in orders if order.status in _MONEY_BACK]
        if not orders:
            return wording.REFUND_NONE
    line = {"tracking": _tracking, "refund_status": _refund}.get(action, _status)
    return "\n".join([wording.ORDERS_INTRO, *(line(order) for order in orders[:MOST_ORDERS])])


def describe_items(order: Order) -> str:
    """The first items of an order, for instance 「保温杯×2、杯刷×1 等 3 件」."""
    items = order.snapshot.items
    shown = "、".join(f"{item.name}×{item.quantity}" for item in items[:ITEMS_SHOWN])
    if len(items) > ITEMS_SHOWN:
        shown += f" 等 {len(items)} 种"
    return shown


def _status(order: Order) -> str:
    return wording.ORDER_LINE.format(
        order=order.snapshot.external_id,
        items=describe_items(order),
        status=wording.ORDER_STATUS[order.status],
    )


def _tracking(order: Order) -> str:
    status = wording.ORDER_STATUS[order.status]
    snapshot = order.snapshot
    if order.status in _BEFORE_SHIPPING or not snapshot.tracking_no:
        return wording.TRACKING_PENDING.format(order=snapshot.external_id, status=status)
    return wording.TRACKING_LINE.format(
        order=snapshot.external_id, carrier=snapshot.carrier, tracking_no=snapshot.tracking_no, status=status
    )


def _refund(order: Order) -> str:
    return wording.REFUND_LINE.format(
        order=order.snapshot.external_id, status=wording.ORDER_STATUS[order.status]
    )
