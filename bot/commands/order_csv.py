"""Orders in a CSV file, turned into documents of the order API and checked by its schema.

Rows of one order that agree in status and time are one event with several items and stand together.
Whatever is wrong is told by line and column, never by quoting the cell.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from bot.commands.csv_text import LONGEST_CELL, open_rows
from console.api.order_schemas import parse_order_event
from desk.errors import InvalidInputError
from desk.values import OrderStatus

NEEDED = ("order_id", "buyer_id", "buyer_name", "status", "occurred_at", "amount")
ITEM = ("item_sku", "item_name", "item_quantity", "item_price")
COLUMNS = (*NEEDED[:3], "phone", *NEEDED[3:], "currency", "carrier", "tracking_no", *ITEM)
DEFAULT_CURRENCY = "CNY"

_STATUSES = {
    **{status.value: status for status in OrderStatus},
    "已下单": OrderStatus.CREATED,
    "待付款": OrderStatus.CREATED,
    "已付款": OrderStatus.PAID,
    "待发货": OrderStatus.PAID,
    "已发货": OrderStatus.SHIPPED,
    "运输中": OrderStatus.SHIPPED,
    "已签收": OrderStatus.DELIVERED,
    "已收货": OrderStatus.DELIVERED,
    "已完成": OrderStatus.DELIVERED,
    "交易成功": OrderStatus.DELIVERED,
    "已退货": OrderStatus.RETURNED,
    "已退款": OrderStatus.REFUNDED,
    "已取消": OrderStatus.CANCELLED,
}
_FIELDS = {
    "order.id": "order_id",
    "order.buyer.id": "buyer_id",
    "order.buyer.name": "buyer_name",
    "order.buyer.phone": "phone",
    "order.amount": "amount",
    "order.currency": "currency",
    "order.carrier": "carrier",
    "order.tracking_no": "tracking_no",
    "order.items.0.sku": "item_sku",
    "order.items.0.name": "item_name",
    "order.items.0.quantity": "item_quantity",
    "order.items.0.price": "item_price",
}
# What spreadsheets make of long numbers. The digits are gone, so nothing can be guessed.
_MANGLED = re.compile(r"[0-9](?:\.[0-9]+)?[eE]\+?[0-9]+")
_NUMBERS_AS_TEXT = ("order_id", "buyer_id", "phone", "tracking_no", "item_sku")
_LOCAL_TIME = re.compile(
    r"([0-9]{4})[-/.年]([0-9]{1,2})[-/.月]([0-9]{1,2})日?[T ]+([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?(?:\.[0-9]+)?"
)
_MOST_ITEMS = 500


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong on one line of the file. ``column`` is empty where it is about the whole row."""

    line: int
    column: str
    reason: str

    def __str__(self) -> str:
        place = f"第 {self.line} 行 line {self.line}"
        return f"{place}, {self.column}: {self.reason}" if self.column else f"{place}: {self.reason}"


class UnusableFileError(InvalidInputError):
    """The file as a whole cannot be read: no header, unknown encoding, broken quotes."""


@dataclass(slots=True)
class _Event:
    """Rows of one event, as far as they were read."""

    key: tuple[str, str, str]
    line: int
    document: dict[str, Any]


def read_orders(path: Path, zone: ZoneInfo, now: datetime) -> Iterator[dict[str, Any] | Problem | int]:
    """Reads the file from top to bottom without holding it in memory.

    Args:
        zone: In which times without an offset are meant.

    Yields:
        Documents that the schema accepts, a ``Problem`` for each bad row, and now and then the number of
        rows read so far, for showing progress.

    Raises:
        UnusableFileError: Nothing in it can be read from some line on.
    """
    try:
        with open_rows(path) as rows:
            yield from _read(rows, zone, now)
    except InvalidInputError as error:
        if isinstance(error, UnusableFileError):
            raise
        raise UnusableFileError(error.field, error.reason) from None


def unknown_columns(path: Path) -> list[str]:
    """Columns of the file that an import does not read."""
    with open_rows(path) as rows:
        return [name for name in _header(rows)[1] if name and name not in COLUMNS]


def _header(rows: Iterator[tuple[int, list[str]]]) -> tuple[int, list[str]]:
    line, cells = next(rows, (1, []))
    names = [cell.strip().lstrip("\ufeff").lower() for cell in cells]
    missing = [name for name in NEEDED if name not in names]
    if missing:
        raise UnusableFileError(
            f"line {line}", f"the first line must name the columns; missing: {', '.join(missing)}"
        )
    twice = sorted({name for name in names if name in COLUMNS and names.count(name) > 1})
    if twice:
        raise UnusableFileError(f"line {line}", f"a column stands twice: {', '.join(twice)}")
    for name in names:
        near = difflib.get_close_matches(name, COLUMNS, 1, 0.8)
        if name not in COLUMNS and near and near[0] not in names:
            raise UnusableFileError(f"line {line}", f"a column looks like {near[0]} but is spelt otherwise")
    return line, names


def _read(
    rows: Iterator[tuple[int, list[str]]], zone: ZoneInfo, now: datetime
) -> Iterator[dict[str, Any] | Problem | int]:
    _, names = _header(rows)
    ended: set[bytes] = set()
    event: _Event | None = None
    for count, (line, cells) in enumerate(rows, start=1):
        if count % 1000 == 0:
            yield count
        try:
            row = _row(names, cells)
            document = _document(row, zone)
            _check(document, now)
            key = (row["order_id"], document["type"], document["occurred_at"])
            if event is not None and event.key == key:
                _join(event, document)
                continue
            if event is not None:
                ended.add(_digest(event.key))
                yield _finished(event)
                event = None
            if _digest(key) in ended:
                raise InvalidInputError(
                    "order_id", "rows of one order must stand together; sort the file by it"
                )
            event = _Event(key, line, document)
        except InvalidInputError as error:
            yield Problem(line, error.field, error.reason)
    if event is not None:
        yield _finished(event)


def _row(names: list[str], cells: list[str]) -> Mapping[str, str]:
    if len(cells) > len(names) and any(cell.strip() for cell in cells[len(names) :]):
        raise InvalidInputError("", "has more cells than the first line; put cells with commas into quotes")
    row = dict.fromkeys(COLUMNS, "")
    for name, cell in zip(names, cells, strict=False):
        if name in row:
            row[name] = cell.strip().strip("\u3000\ufeff")
    for name in COLUMNS:
        if len(row[name]) > LONGEST_CELL:
            raise InvalidInputError(name, f"must have at most {LONGEST_CELL} characters")
    for name in _NUMBERS_AS_TEXT:
        # Shops' exports put an apostrophe before long numbers, so that spreadsheets leave them alone.
        row[name] = row[name].removeprefix("'")
        if _MANGLED.fullmatch(row[name]):
            raise InvalidInputError(
                name, "a spreadsheet has shortened this number; format the column as text and export again"
            )
    for name in NEEDED:
        if not row[name]:
            raise InvalidInputError(name, "is required")
    return row


def _document(row: Mapping[str, str], zone: ZoneInfo) -> dict[str, Any]:
    status = _STATUSES.get(row["status"].lower().removeprefix("order."))
    if status is None:
        raise InvalidInputError("status", f"must be one of {', '.join(OrderStatus)}, or 已签收 and the like")
    items = []
    if any(row[name] for name in ITEM):
        for name in ITEM:
            if not row[name]:
                raise InvalidInputError(name, "is required where the row has an item")
        if not re.fullmatch(r"[0-9]{1,7}", row["item_quantity"], re.ASCII):
            raise InvalidInputError("item_quantity", "must be a whole number from 1 to 1000000")
        items.append(
            {
                "sku": row["item_sku"],
                "name": row["item_name"],
                "quantity": int(row["item_quantity"]),
                "price": row["item_price"],
            }
        )
    return {
        "type": f"order.{status.value}",
        "id": "import:",
        "occurred_at": _moment(row["occurred_at"], zone),
        "order": {
            "id": row["order_id"],
            "buyer": {"id": row["buyer_id"], "name": row["buyer_name"], "phone": row["phone"]},
            "items": items,
            "amount": row["amount"],
            "currency": row["currency"].upper() or DEFAULT_CURRENCY,
            "carrier": row["carrier"],
            "tracking_no": row["tracking_no"],
        },
    }


def _moment(text: str, zone: ZoneInfo) -> str:
    """The time in UTC, ISO 8601. Without an offset it is the shop's own time, as exports have it."""
    local = _LOCAL_TIME.fullmatch(text)
    try:
        if local is not None:
            year, month, day, hour, minute, second = (int(part or 0) for part in local.groups())
            moment = datetime(year, month, day, hour, minute, second, tzinfo=zone)
        else:
            if not text.isascii() or len(text) > 40:
                raise ValueError
            moment = datetime.fromisoformat(text)
            if moment.tzinfo is None:
                raise ValueError
        return moment.astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        raise InvalidInputError(
            "occurred_at", "must be a time such as 2026-01-31 18:05:00 or 2026-01-31T18:05:00+08:00"
        ) from None


def _check(document: dict[str, Any], now: datetime) -> None:
    try:
        parse_order_event(json.dumps(document).encode("ascii"), now)
    except InvalidInputError as error:
        raise InvalidInputError(_FIELDS.get(error.field, error.field), error.reason) from None


def _join(event: _Event, document: dict[str, Any]) -> None:
    """Adds the item of a further row; everything else must be as in the first row."""
    first, further = event.document["order"], document["order"]
    for field, column in _FIELDS.items():
        if not field.startswith("order.items") and _at(first, field) != _at(further, field):
            raise InvalidInputError(column, f"differs from line {event.line}, which is the same order")
    if len(first["items"]) >= _MOST_ITEMS:
        raise InvalidInputError("order_id", f"an order has at most {_MOST_ITEMS} items")
    first["items"] += further["items"]


def _at(order: Mapping[str, Any], field: str) -> Any:
    found: Any = order
    for part in field.split(".")[1:]:
        found = found[part]
    return found


def _finished(event: _Event) -> dict[str, Any]:
    """The document with an id that follows from its content: the same row is the same event."""
    content = json.dumps(event.document, ensure_ascii=True, sort_keys=True)
    return {**event.document, "id": f"import:{hashlib.sha256(content.encode('ascii')).hexdigest()}"}


def _digest(key: Iterable[str]) -> bytes:
    return hashlib.blake2b("\0".join(key).encode("utf-8", "surrogatepass"), digest_size=12).digest()
