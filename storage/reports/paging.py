"""One page of a query."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Select
from sqlmodel import Session

from storage.reports.values import Page
from storage.statements import AnyRow

T = TypeVar("T")


def fetch(
    session: Session, query: Select[*tuple[Any, ...]], limit: int, offset: int
) -> tuple[Sequence[AnyRow], bool]:
    """Returns at most ``limit`` rows, and whether there are more."""
    rows = session.execute(query.limit(limit + 1).offset(offset)).all()
    return rows[:limit], len(rows) > limit


def page(
    session: Session,
    query: Select[*tuple[Any, ...]],
    limit: int,
    offset: int,
    to_value: Callable[[AnyRow], T],
) -> Page[T]:
    """Returns a page of values."""
    rows, more = fetch(session, query, limit, offset)
    return Page(tuple(to_value(row) for row in rows), more)
