"""Times in the database: UTC and aware, always."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine


class UtcDateTime(TypeDecorator[datetime]):
    """A point in time, to the microsecond.

    PostgreSQL stores it as ``timestamptz``. SQLite stores the UTC time as text of fixed width
    (``2026-11-21 08:00:00.000000``), so that text order is time order. Reading gives an aware UTC
    ``datetime`` on both.

    Raises:
        ValueError: On binding a value without a time zone: nobody can say which instant it means.
    """

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Returns ``timestamptz`` where there is one."""
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turns the value into UTC, without its zone on SQLite, which cannot hold one."""
        if value is None:
            return None
        if not isinstance(value, datetime):
            raise ValueError(f"a time must be a datetime, not {type(value).__name__}")
        if value.utcoffset() is None:
            raise ValueError("a time without a time zone was given; use datetime.now(UTC) or attach the zone")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Gives the zone back; None stays None."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
