"""书签 on SQL: where readers of streams stand."""

from __future__ import annotations

from datetime import datetime
from functools import cache

from sqlalchemy import Executable, select
from sqlalchemy.orm import Session

from storage.statements import dialect_insert, on_postgresql
from storage.tables.work import BOOKMARKS


class SqlBookmarkStore:
    """One row per name."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def find(self, name: str) -> str | None:
        """Returns where the reader stands; None when it never began."""
        value: str | None = self._session.scalars(
            select(BOOKMARKS.c.value).where(BOOKMARKS.c.name == name)
        ).one_or_none()
        return value

    def set(self, name: str, value: str, now: datetime) -> None:
        """Stores where the reader stands now."""
        self._session.execute(
            _set(on_postgresql(self._session)), {"name": name, "value": value, "updated_at": now}
        )


@cache
def _set(postgres: bool) -> Executable:
    insert = dialect_insert(BOOKMARKS, postgres=postgres)
    return insert.on_conflict_do_update(
        index_elements=["name"],
        set_={"value": insert.excluded.value, "updated_at": insert.excluded.updated_at},
    )
