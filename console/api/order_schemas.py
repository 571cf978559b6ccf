"""Order events as shop systems send them, checked strictly and turned into the desk's values."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema
from pydantic_core import PydanticCustomError

from console.api.currencies import exponent_of
from console.api.strict_json import read_object
from desk.errors import InvalidInputError
from desk.values import Buyer, OrderEvent, OrderItem, OrderSnapshot, OrderStatus

_LATEST = timedelta(minutes=10)
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_MOST_MINOR = 10**15
_MONEY = re.compile(r"[0-9]{1,15}(\.[0-9]{1,6})?")
# Lone surrogates besides: JSON can spell them, neither database can hold them.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def _refuse(reason: str) -> PydanticCustomError:
    # The reason is the whole message: no template, so nothing that came in can reach it.
    return PydanticCustomError("order_event", reason)


def _text(shortest: int, longest: int) -> BeforeValidator:
    if shortest:
        wording = f"must be text of {shortest} to {longest} characters without control characters"
    else:
        wording = f"must be text of at most {longest} characters without control characters"

    def check(value: Any) -> str:
        if value is None and not shortest:
            return ""
        if not isinstance(value, str) or not shortest <= len(value) <= longest or _CONTROLS.search(value):
            raise _refuse(wording)
        if shortest and not value.strip():
            raise _refuse("must not be blank")
        return value

    return BeforeValidator(check)


def _money(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise _refuse('must be a decimal string such as "128.00", or an integer; never a float')
    if isinstance(value, int):
        if not 0 <= value <= _MOST_MINOR:
            raise _refuse("must be from 0 to 1000000000000000")
        return Decimal(value)
    if not _MONEY.fullmatch(value):
        raise _refuse('must be a decimal string such as "128.00"')
    return Decimal(value)


def _currency(value: Any) -> str:
    if not isinstance(value, str) or exponent_of(value) is None:
        raise _refuse("must be an ISO 4217 code such as CNY")
    return value


def _quantity(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 1_000_000:
        raise _refuse("must be an integer from 1 to 1000000")
    return value


def _moment(value: Any) -> datetime:
    if not isinstance(value, str) or len(value) > 40 or not value.isascii():
        raise _refuse("must be an ISO 8601 time with an offset")
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise _refuse("must carry an offset, such as +08:00 or Z")
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _refuse("must be an ISO 8601 time with an offset") from None
    if moment < _EARLIEST:
        raise _refuse("must not be before the year 2000")
    return moment


def _birthday(value: Any) -> str:
    if value is None or value == "":
        return ""
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        raise _refuse("must be a date such as 1990-01-31")
    try:
        date.fromisoformat(value)
    except ValueError:
        raise _refuse("must be a date such as 1990-01-31") from None
    return value


def _schema(kind: Any, **more: Any) -> WithJsonSchema:
    return WithJsonSchema({"type": kind, **more})


Id = Annotated[str, _text(1, 128), _schema("string", minLength=1, maxLength=128)]
Name = Annotated[str, _text(1, 500), _schema("string", minLength=1, maxLength=500)]
Short = Annotated[str, _text(0, 128), _schema(["string", "null"], maxLength=128)]
Phone = Annotated[str, _text(0, 32), _schema(["string", "null"], maxLength=32)]
Money = Annotated[
    Decimal,
    BeforeValidator(_money),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^[0-9]{1,15}(\.[0-9]{1,6})?$"},
                {"type": "integer", "minimum": 0, "maximum": _MOST_MINOR},
            ],
            "description": "In whole units of the currency, never a float.",
            "examples": ["128.00"],
        }
    ),
]
Currency = Annotated[
    str, BeforeValidator(_currency), _schema("string", pattern="^[A-Z]{3}$", examples=["CNY"])
]
Quantity = Annotated[int, BeforeValidator(_quantity), _schema("integer", minimum=1, maximum=1_000_000)]
Moment = Annotated[datetime, BeforeValidator(_moment), _schema("string", format="date-time")]
Birthday = Annotated[str, BeforeValidator(_birthday), _schema(["string", "null"], format="date")]


class _In(BaseModel):
    # Fields that we do not know are left out: a shop that adds one to its events must not lose them.
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)


class BuyerIn(_In):
    """Who bought. ``id`` is the shop's own, opaque here."""

    id: Id
    name: Name
    phone: Phone = ""
    birthday: Birthday = ""


class ItemIn(_In):
    """One line of an order."""

    sku: Id
    name: Name
    quantity: Quantity
    price: Money


class OrderIn(_In):
    """The order as it stands after the event."""

    id: Id
    buyer: BuyerIn
    items: Annotated[list[ItemIn], Field(max_length=500)]
    amount: Money
    currency: Currency
    carrier: Short = ""
    tracking_no: Short = ""


class OrderEventIn(_In):
    """One order event."""

    type: Literal[
        "order.created",
        "order.paid",
        "order.shipped",
        "order.delivered",
        "order.returned",
        "order.refunded",
        "order.cancelled",
    ]
    id: Id
    occurred_at: Moment
    order: OrderIn


def order_event_schema() -> dict[str, Any]:
    """The JSON schema of an order event in one piece.

    Pydantic points to ``#/$defs``, which inside an OpenAPI document is a place that does not exist.
    """
    schema = OrderEventIn.model_json_schema()
    parts = schema.pop("$defs")

    def whole(value: Any) -> Any:
        if isinstance(value, dict):
            found = value.get("$ref")
            if isinstance(found, str):
                return whole(parts[found.rpartition("/")[2]])
            return {key: whole(inner) for key, inner in value.items()}
        return [whole(inner) for inner in value] if isinstance(value, list) else value

    result: dict[str, Any] = whole(schema)
    return result


def parse_order_event(raw: bytes, now: datetime) -> OrderEvent:
    """The event in a request's raw body; also reads stored bytes again (``now`` = when they came).

    Raises:
        InvalidInputError: Naming the field, dotted, and a reason that repeats nothing of the input.
    """
    document = read_object(raw)
    try:
        event = OrderEventIn.model_validate(document)
    except ValidationError as error:
        raise _translated(error) from None
    if event.occurred_at > now + _LATEST:
        raise InvalidInputError("occurred_at", "must not be more than 10 minutes ahead")
    order = event.order
    return OrderEvent(
        id=event.id,
        status=OrderStatus(event.type.removeprefix("order.")),
        occurred_at=event.occurred_at,
        order=OrderSnapshot(
            external_id=order.id,
            buyer=Buyer(order.buyer.id, order.buyer.name, order.buyer.phone, order.buyer.birthday),
            items=tuple(
                OrderItem(
                    item.sku,
                    item.name,
                    item.quantity,
                    _minor(item.price, order.currency, f"order.items.{at}.price"),
                )
                for at, item in enumerate(order.items)
            ),
            amount_minor=_minor(order.amount, order.currency, "order.amount"),
            currency=order.currency,
            carrier=order.carrier,
            tracking_no=order.tracking_no,
        ),
    )


def _minor(amount: Decimal, currency: str, field: str) -> int:
    exponent = exponent_of(currency) or 0
    minor = amount.scaleb(exponent)
    if minor != minor.to_integral_value():
        raise InvalidInputError(field, f"must have at most {exponent} decimals in this currency")
    if minor > _MOST_MINOR:
        raise InvalidInputError(field, "is larger than can be stored")
    return int(minor)


_REASONS = {
    "missing": "is required",
    "literal_error": "must be one of order.created, order.paid, order.shipped, order.delivered, "
    "order.returned, order.refunded, order.cancelled",
    "list_type": "must be a list",
    "too_long": "must have at most 500 items",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
}


def _translated(error: ValidationError) -> InvalidInputError:
    # Locations hold only names of our own fields and list positions, since unknown keys are left out.
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"]) or "body"
    if first["type"] == "order_event":
        return InvalidInputError(field, first["msg"])
    return InvalidInputError(field, _REASONS.get(first["type"], "is not valid"))
