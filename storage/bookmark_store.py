"""书签 on SQL: where readers of streams stand."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.statements import insert_into
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
            insert_into(self._session, BOOKMARKS)
            .values(name=name, value=value, updated_at=now)
            .on_conflict_do_update(index_elements=["name"], set_={"value": value, "updated_at": now})
        )
