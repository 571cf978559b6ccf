"""CHECK constraints that are written the same way in many tables."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import CheckConstraint


def one_of(column: str, values: type[StrEnum]) -> CheckConstraint:
    """Returns the constraint, named after the column, that only the values of the enum are stored.

    Enums are stored as text with a CHECK, because a native enum type of PostgreSQL cannot lose a
    value again and SQLite has none. A NULL passes: whether there may be one is said by the column.
    """
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)
