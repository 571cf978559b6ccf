"""Leases of single workers on SQL."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache

from sqlalchemy import Executable, case, func, or_, update
from sqlalchemy.orm import Session

from storage.statements import dialect_insert, lease_end, lease_ends, on_postgresql
from storage.tables.work import LEASES


class SqlLeaseStore:
    """One row per name. ``fence`` rises whenever the owner changes."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def acquire(self, name: str, owner: str, lease: timedelta, now: datetime) -> bool:
        """Takes or prolongs the lease; False while another living owner holds it."""
        taken = self._session.execute(
            _acquire(on_postgresql(self._session)),
            {"name": name, "owner": owner, "fence": 1, **lease_ends(self._session, now, lease)},
        )
        return taken.one_or_none() is not None

    def release(self, name: str, owner: str) -> None:
        """Gives the lease back. Does nothing when it has another owner by now."""
        self._session.execute(
            update(LEASES)
            .where(LEASES.c.name == name, LEASES.c.owner == owner)
            .values(owner=None, leased_until=None)
        )


@cache
def _acquire(postgres: bool) -> Executable:
    insert = dialect_insert(LEASES, postgres=postgres).values(leased_until=lease_end(postgres=postgres))
    owner = insert.excluded.owner
    free = None
    if postgres:
        free = or_(
            LEASES.c.owner.is_(None), LEASES.c.owner == owner, LEASES.c.leased_until <= func.clock_timestamp()
        )
    return insert.on_conflict_do_update(
        index_elements=["name"],
        set_={
            "owner": owner,
            "fence": LEASES.c.fence + case((LEASES.c.owner == owner, 0), else_=1),
            "leased_until": insert.excluded.leased_until,
        },
        where=free,
    ).returning(LEASES.c.name)
