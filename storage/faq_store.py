"""问答 entries, and the questions that they could not answer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete
from sqlmodel import Session, col, select

from desk.errors import ConflictError, NotFoundError
from desk.values import FaqBook, FaqEntry
from storage.conflicts import insert_unless_there, raise_counter, stored_id
from storage.tables.care import FAQ_MISSES, CounterRow, FaqEntryRow, FaqMissRow

_COUNTER = "faq"
_VERSION = select(CounterRow.value).where(col(CounterRow.name) == _COUNTER)


class SqlFaqStore:
    """The FAQ as rows. Every change raises one counter, whose lock also puts changes in a row."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def version(self) -> int:
        """Returns a number that rises with every change; 0 before the first."""
        value = self._session.exec(_VERSION).first()
        return value or 0

    def book(self) -> FaqBook:
        """Returns all enabled entries with their version."""
        # The version is read first: entries that are newer than it only cost one more reading.
        version = self.version()
        rows = self._session.exec(
            select(FaqEntryRow).where(col(FaqEntryRow.enabled).is_(True)).order_by(col(FaqEntryRow.id))
        )
        return FaqBook(version, tuple(_to_entry(row) for row in rows))

    def all(self) -> Sequence[FaqEntry]:
        """Returns all entries, also those switched off, in the order of their creation."""
        return [
            _to_entry(row) for row in self._session.exec(select(FaqEntryRow).order_by(col(FaqEntryRow.id)))
        ]

    def get(self, entry_id: int) -> FaqEntry:
        """Returns the entry.

        Raises:
            NotFoundError: There is none.
        """
        row = self._session.get(FaqEntryRow, entry_id)
        if row is None:
            raise NotFoundError(f"no FAQ entry {entry_id}")
        return _to_entry(row)

    def put(self, entry: FaqEntry, now: datetime) -> FaqEntry:
        """Creates (``id`` 0) or replaces the entry of that slug and raises the version.

        With an ``id`` that entry is replaced, and its slug may change.

        Raises:
            NotFoundError: There is no entry of that id.
            ConflictError: The slug belongs to another entry.
        """
        raise_counter(self._session, _COUNTER)
        same_slug = self._session.exec(select(FaqEntryRow).where(col(FaqEntryRow.slug) == entry.slug)).first()
        row = same_slug
        if entry.id:
            row = self._session.get(FaqEntryRow, entry.id)
            if row is None:
                raise NotFoundError(f"no FAQ entry {entry.id}")
            if same_slug is not None and same_slug is not row:
                raise ConflictError(f"another FAQ entry is called {entry.slug}")
        if row is None:
            row = FaqEntryRow(
                slug=entry.slug, category="", question="", answer="", variants=[], updated_at=now
            )
        row.slug = entry.slug
        row.category = entry.category
        row.question = entry.question
        row.variants = list(entry.variants)
        row.answer = entry.answer
        row.action = entry.action
        row.quick = entry.quick
        row.enabled = entry.enabled
        row.intent = entry.intent
        row.updated_at = now
        self._session.add(row)
        self._session.flush()
        return _to_entry(row)

    def delete(self, slug: str) -> None:
        """Deletes the entry and raises the version.

        Raises:
            NotFoundError: There is none of that slug.
        """
        raise_counter(self._session, _COUNTER)
        row = self._session.exec(select(FaqEntryRow).where(col(FaqEntryRow.slug) == slug)).first()
        if row is None:
            raise NotFoundError(f"no FAQ entry {slug}")
        self._session.delete(row)
        self._session.flush()

    def record_miss(self, conversation_id: int, message_id: int, text: str, now: datetime) -> None:
        """Keeps a question that was not answered, once per message."""
        insert_unless_there(
            self._session,
            FaqMissRow(conversation_id=conversation_id, message_id=message_id, text=text, created_at=now),
        )

    def delete_miss(self, message_id: int) -> None:
        """Forgets that the message's question was not answered; does nothing where it was."""
        self._session.execute(delete(FAQ_MISSES).where(FAQ_MISSES.c.message_id == message_id))


def _to_entry(row: FaqEntryRow) -> FaqEntry:
    return FaqEntry(
        id=stored_id(row.id),
        slug=row.slug,
        category=row.category,
        question=row.question,
        variants=tuple(row.variants),
        answer=row.answer,
        action=row.action,
        quick=row.quick,
        enabled=row.enabled,
        intent=row.intent,
    )
