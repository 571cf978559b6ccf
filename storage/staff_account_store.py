"""Which channel's user acts as which staff member, on SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, exists, select, update
from sqlmodel import Session, col
from sqlmodel import select as select_rows

from desk.errors import NotFoundError
from desk.values import StaffMember
from storage.staff_store import to_member
from storage.statements import change, insert_into
from storage.tables.rooms import STAFF_ACCOUNTS, STAFF_LINK_CODES
from storage.tables.staff import STAFF, StaffRow


class SqlStaffAccountStore:
    """Links and the codes that make them. Somebody disabled keeps their links, but acts by none."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add_code(self, staff_id: int, code_hash: str, expires_at: datetime, now: datetime) -> None:
        """Stores a code; earlier ones of this person that were not used are void.

        Raises:
            NotFoundError: There is no such member.
        """
        # Locked, so that of two codes that are made at the same time only one lives.
        lock = select(STAFF.c.id).where(STAFF.c.id == staff_id).with_for_update(key_share=True)
        if self._session.execute(lock).one_or_none() is None:
            raise NotFoundError(f"no staff member {staff_id}")
        self._session.execute(
            delete(STAFF_LINK_CODES).where(
                STAFF_LINK_CODES.c.staff_id == staff_id, STAFF_LINK_CODES.c.used_at.is_(None)
            )
        )
        self._session.execute(
            STAFF_LINK_CODES.insert().values(
                code_hash=code_hash, staff_id=staff_id, expires_at=expires_at, created_at=now
            )
        )

    def use_code(self, code_hash: str, channel: str, external_id: str, now: datetime) -> StaffMember | None:
        """Links the user by a code that lives, was not used and belongs to nobody disabled; else None."""
        enabled = exists().where(STAFF.c.id == STAFF_LINK_CODES.c.staff_id, STAFF.c.disabled.is_(False))
        staff_id = self._session.scalars(
            update(STAFF_LINK_CODES)
            .where(
                STAFF_LINK_CODES.c.code_hash == code_hash,
                STAFF_LINK_CODES.c.used_at.is_(None),
                STAFF_LINK_CODES.c.expires_at > now,
                enabled,
            )
            .values(used_at=now)
            .returning(STAFF_LINK_CODES.c.staff_id)
        ).one_or_none()
        if staff_id is None:
            return None
        self._session.execute(
            insert_into(self._session, STAFF_ACCOUNTS)
            .values(channel=channel, external_id=external_id, staff_id=staff_id, linked_at=now)
            .on_conflict_do_update(
                index_elements=["channel", "external_id"], set_={"staff_id": staff_id, "linked_at": now}
            )
        )
        return self.find(channel, external_id)

    def find(self, channel: str, external_id: str) -> StaffMember | None:
        """Returns whom the user acts as; None for a stranger and for somebody disabled."""
        row = self._session.exec(
            select_rows(StaffRow)
            .join(STAFF_ACCOUNTS, STAFF_ACCOUNTS.c.staff_id == col(StaffRow.id))
            .where(
                STAFF_ACCOUNTS.c.channel == channel,
                STAFF_ACCOUNTS.c.external_id == external_id,
                col(StaffRow.disabled).is_(False),
            )
            .execution_options(populate_existing=True)
        ).one_or_none()
        return None if row is None else to_member(row)

    def find_linked(self, channel: str) -> Sequence[StaffMember]:
        """Returns everybody who can act on that channel and is not disabled, by name."""
        linked = select(STAFF_ACCOUNTS.c.staff_id).where(STAFF_ACCOUNTS.c.channel == channel)
        rows = self._session.exec(
            select_rows(StaffRow)
            .where(col(StaffRow.id).in_(linked), col(StaffRow.disabled).is_(False))
            .order_by(col(StaffRow.name), col(StaffRow.id))
            .execution_options(populate_existing=True)
        )
        return [to_member(row) for row in rows]

    def unlink(self, staff_id: int, channel: str) -> int:
        """Ends every link of that person on the channel; returns how many there were."""
        return change(
            self._session,
            delete(STAFF_ACCOUNTS).where(
                STAFF_ACCOUNTS.c.staff_id == staff_id, STAFF_ACCOUNTS.c.channel == channel
            ),
        )
