"""Leases of single workers on SQL."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import case, or_, update
from sqlalchemy.orm import Session

from storage.statements import insert_into, lease_clock, on_postgresql
from storage.tables.work import LEASES


class SqlLeaseStore:
    """One row per name. ``fence`` rises whenever the owner changes."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def acquire(self, name: str, owner: str, lease: timedelta, now: datetime) -> bool:
        """Takes or prolongs the lease; False while another living owner holds it."""
        end = lease_clock(self._session, now, ahead=lease)
        free = None
        if on_postgresql(self._session):
            free = or_(
                LEASES.c.owner.is_(None),
                LEASES.c.owner == owner,
                LEASES.c.leased_until <= lease_clock(self._session, now),
            )
        taken = self._session.execute(
            insert_into(self._session, LEASES)
            .values(name=name, owner=owner, fence=1, leased_until=end)
            .on_conflict_do_update(
                index_elements=["name"],
                set_={
                    "owner": owner,
                    "fence": LEASES.c.fence + case((LEASES.c.owner == owner, 0), else_=1),
                    "leased_until": end,
                },
                where=free,
            )
            .returning(LEASES.c.name)
        )
        return taken.one_or_none() is not None

    def release(self, name: str, owner: str) -> None:
        """Gives the lease back. Does nothing when it has another owner by now."""
        self._session.execute(
            update(LEASES)
            .where(LEASES.c.name == name, LEASES.c.owner == owner)
            .values(owner=None, leased_until=None)
        )
