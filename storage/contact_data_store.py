"""A person's rights over their data, and retention."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from storage.contact_erasure import erase_contact
from storage.contact_export import export_contact
from storage.retention import apply_retention


class SqlContactDataStore:
    """Export, erasure and retention, each told in a module of its own."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def export(self, contact_id: int) -> Mapping[str, Any]:
        """Returns everything held about the contact, as JSON-ready values.

        Raises:
            NotFoundError: There is no such contact.
        """
        return export_contact(self._session, contact_id)

    def erase(self, contact_id: int, now: datetime) -> Mapping[str, int]:
        """Removes the contact's words and marks everywhere, cancels what is pending; rows per table.

        Raises:
            NotFoundError: There is no such contact.
        """
        return erase_contact(self._session, contact_id, now)

    def apply_retention(
        self, now: datetime, raw_for: timedelta, keys_for: timedelta, conversations_for: timedelta, limit: int
    ) -> Mapping[str, int]:
        """Deletes what is past its time, at most ``limit`` rows per table; says how many."""
        return apply_retention(self._session, now, raw_for, keys_for, conversations_for, limit)
