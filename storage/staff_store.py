"""客服 staff, their logins, and the audit of what they did."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import func
from sqlmodel import Session, col, delete, select, update

from desk.errors import ConflictError, NotFoundError
from desk.ports import StaffSession
from desk.values import Role, StaffMember
from storage.conflicts import insert_unless_there, raise_counter, stored_id
from storage.tables.care import CounterRow
from storage.tables.staff import AuditRow, LoginFailureRow, StaffRow, StaffSessionRow

# OWASP ASVS 5.0, 7.3.1 and 7.3.2, ask for both; the figures are RELIABILITY T9's.
SESSION_IDLE = timedelta(minutes=30)
SESSION_AGE = timedelta(hours=12)

_AUDIT = "audit"
_FIRST_HASH = "0" * 64


def fold_login(login: str) -> str:
    """Returns the form in which logins are stored and compared: trimmed and without case."""
    return login.strip().casefold()


class SqlStaffStore:
    """Staff as rows."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, login: str, name: str, role: Role, password_hash: str, now: datetime) -> StaffMember:
        """Adds a member.

        Raises:
            ConflictError: The login is taken (case does not count).
        """
        row = StaffRow(
            login=fold_login(login), name=name, role=role, password_hash=password_hash, created_at=now
        )
        if not insert_unless_there(self._session, row):
            raise ConflictError("the login is taken")
        stored = self._session.exec(select(StaffRow).where(col(StaffRow.login) == row.login)).one()
        return to_member(stored)

    def get(self, staff_id: int) -> StaffMember:
        """Returns the member.

        Raises:
            NotFoundError: There is none.
        """
        row = self._session.get(StaffRow, staff_id)
        if row is None:
            raise NotFoundError(f"no staff member {staff_id}")
        return to_member(row)

    def find_by_login(self, login: str) -> tuple[StaffMember, str] | None:
        """Returns the member and their password hash."""
        row = self._session.exec(select(StaffRow).where(col(StaffRow.login) == fold_login(login))).first()
        return None if row is None else (to_member(row), row.password_hash)

    def all(self, *, for_update: bool = False) -> Sequence[StaffMember]:
        """Returns everybody, also those disabled, in the order in which they were added.

        ``for_update`` locks them all first, in that order, so that nobody changes meanwhile.
        """
        query = select(StaffRow).order_by(col(StaffRow.id))
        if for_update:
            # Not against those who only name a member, as whoever writes to the audit does.
            query = query.with_for_update(key_share=True).execution_options(populate_existing=True)
        return [to_member(row) for row in self._session.exec(query)]

    def change(
        self,
        staff_id: int,
        *,
        name: str | None = None,
        role: Role | None = None,
        disabled: bool | None = None,
        password_hash: str | None = None,
    ) -> StaffMember:
        """Changes what is given. A changed role or password and disabling end all their sessions.

        Raises:
            NotFoundError: There is no such member.
        """
        lock = {"key_share": True}
        row = self._session.get(StaffRow, staff_id, with_for_update=lock, populate_existing=True)
        if row is None:
            raise NotFoundError(f"no staff member {staff_id}")
        ends_sessions = password_hash is not None or disabled is True or role not in (None, Role(row.role))
        if name is not None:
            row.name = name
        if role is not None:
            row.role = role
        if disabled is not None:
            row.disabled = disabled
        if password_hash is not None:
            row.password_hash = password_hash
        self._session.flush()
        if ends_sessions:
            self._session.exec(delete(StaffSessionRow).where(col(StaffSessionRow.staff_id) == staff_id))
        return to_member(row)

    def open_session(self, staff_id: int, token_hash: str, csrf: str, now: datetime) -> None:
        """Stores a login; only the hash of its token is ever given to this store."""
        self._session.add(
            StaffSessionRow(token_hash=token_hash, staff_id=staff_id, csrf=csrf, created_at=now, seen_at=now)
        )
        self._session.flush()

    def find_session(self, token_hash: str, now: datetime) -> StaffSession | None:
        """Returns a living session: not idle, not too old, its member not disabled."""
        found = self._session.exec(
            select(StaffSessionRow, StaffRow)
            .join(StaffRow, col(StaffRow.id) == col(StaffSessionRow.staff_id))
            .where(
                col(StaffSessionRow.token_hash) == token_hash,
                col(StaffSessionRow.seen_at) >= now - SESSION_IDLE,
                col(StaffSessionRow.created_at) >= now - SESSION_AGE,
                col(StaffRow.disabled).is_(False),
            )
        ).first()
        if found is None:
            return None
        session, staff = found
        return StaffSession(
            staff=to_member(staff),
            token_hash=session.token_hash,
            csrf=session.csrf,
            created_at=session.created_at,
            seen_at=session.seen_at,
        )

    def touch_session(self, token_hash: str, now: datetime) -> None:
        """Records that the session was used; a dead one stays dead."""
        self._session.exec(
            update(StaffSessionRow)
            .where(
                col(StaffSessionRow.token_hash) == token_hash,
                col(StaffSessionRow.seen_at) >= now - SESSION_IDLE,
                col(StaffSessionRow.seen_at) < now,
            )
            .values(seen_at=now)
        )

    def end_session(self, token_hash: str) -> None:
        """Ends the login; does nothing when there is none."""
        self._session.exec(delete(StaffSessionRow).where(col(StaffSessionRow.token_hash) == token_hash))

    def count_failures(self, scope: str, key_hash: str, since: datetime) -> int:
        """Counts failed logins of that account or address since then."""
        return self._session.exec(
            select(func.count())
            .select_from(LoginFailureRow)
            .where(
                col(LoginFailureRow.scope) == scope,
                col(LoginFailureRow.key_hash) == key_hash,
                col(LoginFailureRow.failed_at) >= since,
            )
        ).one()

    def record_failure(self, scope: str, key_hash: str, now: datetime) -> None:
        """Counts one failed login."""
        self._session.add(LoginFailureRow(scope=scope, key_hash=key_hash, failed_at=now))
        self._session.flush()

    def clear_failures(self, scope: str, key_hash: str) -> None:
        """Forgets the failed logins of that account or address."""
        self._session.exec(
            delete(LoginFailureRow).where(
                col(LoginFailureRow.scope) == scope, col(LoginFailureRow.key_hash) == key_hash
            )
        )

    def audit(self, staff_id: int | None, action: str, subject: str, detail: str, now: datetime) -> None:
        """Appends to the audit; each entry carries the hash of the one before.

        The counter's row is locked until the transaction ends, so the chain never forks; its value is
        the number of entries, so that a missing end is found out too.
        """
        raise_counter(self._session, _AUDIT)
        newest = self._session.exec(select(AuditRow.hash).order_by(col(AuditRow.id).desc()).limit(1)).first()
        row = AuditRow(
            staff_id=staff_id,
            action=action,
            subject=subject,
            detail=detail,
            at=now,
            prev_hash=newest or _FIRST_HASH,
            hash="",
        )
        row.hash = _hash(row)
        self._session.add(row)
        self._session.flush()

    def verify_audit(self) -> int | None:
        """Returns the id of the first entry whose hash does not fit; None when all is well.

        When entries are missing at the end, it is the id after the last one that is there.
        """
        count = 0
        last_id = 0
        before = _FIRST_HASH
        while batch := self._audit_after(last_id):
            for row in batch:
                last_id = stored_id(row.id)
                if row.prev_hash != before or row.hash != _hash(row):
                    return last_id
                before = row.hash
            count += len(batch)
        expected = self._session.exec(select(CounterRow.value).where(col(CounterRow.name) == _AUDIT)).first()
        return None if count == (expected or 0) else last_id + 1

    def _audit_after(self, audit_id: int) -> Sequence[AuditRow]:
        # In batches, because an audit of years need not be in memory at once.
        return self._session.exec(
            select(AuditRow)
            .where(col(AuditRow.id) > audit_id)
            .order_by(col(AuditRow.id))
            .limit(500)
            .execution_options(populate_existing=True)
        ).all()


def _hash(row: AuditRow) -> str:
    """Returns SHA-256 over the hash before and the entry as JSON with sorted keys, in hex."""
    entry = json.dumps(
        {
            "staff_id": row.staff_id,
            "action": row.action,
            "subject": row.subject,
            "detail": row.detail,
            "at": row.at.astimezone(UTC).isoformat(timespec="microseconds"),
        },
        ensure_ascii=True,
        sort_keys=True,
        separators=(",", ":"),
    )
    return hashlib.sha256(f"{row.prev_hash}\n{entry}".encode("ascii")).hexdigest()


def to_member(row: StaffRow) -> StaffMember:
    """Returns the row as a value."""
    return StaffMember(
        id=stored_id(row.id), login=row.login, name=row.name, role=Role(row.role), disabled=row.disabled
    )
