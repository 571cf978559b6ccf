"""Staff, their logins, the audit, and what their screens show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from desk.values import DeskEvent, Role, StaffMember


@dataclass(frozen=True, slots=True)
class StaffSession:
    """A login. ``csrf`` must come with every change."""

    staff: StaffMember
    token_hash: str
    csrf: str
    created_at: datetime
    seen_at: datetime


class StaffStore(Protocol):
    """客服, their logins and the audit of what they did."""

    def add(self, login: str, name: str, role: Role, password_hash: str, now: datetime) -> StaffMember:
        """Raises ConflictError when the login is taken (case does not count)."""
        ...

    def get(self, staff_id: int) -> StaffMember: ...

    def find_by_login(self, login: str) -> tuple[StaffMember, str] | None:
        """The member and their password hash."""
        ...

    def all(self, *, for_update: bool = False) -> Sequence[StaffMember]:
        """Everybody, also those disabled; ``for_update`` locks them all, so that nobody changes meanwhile."""
        ...

    def change(
        self,
        staff_id: int,
        *,
        name: str | None = None,
        role: Role | None = None,
        disabled: bool | None = None,
        password_hash: str | None = None,
    ) -> StaffMember:
        """Changes what is given. A changed role or password and disabling end all their sessions."""
        ...

    def open_session(self, staff_id: int, token_hash: str, csrf: str, now: datetime) -> None: ...

    def find_session(self, token_hash: str, now: datetime) -> StaffSession | None:
        """A living session: idle for at most 30 minutes, at most 12 hours old, member not disabled."""
        ...

    def touch_session(self, token_hash: str, now: datetime) -> None: ...

    def end_session(self, token_hash: str) -> None: ...

    def count_failures(self, scope: str, key_hash: str, since: datetime) -> int: ...

    def record_failure(self, scope: str, key_hash: str, now: datetime) -> None: ...

    def clear_failures(self, scope: str, key_hash: str) -> None: ...

    def audit(self, staff_id: int | None, action: str, subject: str, detail: str, now: datetime) -> None:
        """Appends to the audit; each entry carries the hash of the one before."""
        ...

    def verify_audit(self) -> int | None:
        """Id of the first entry whose hash does not fit; None when all is well."""
        ...


class DeskEventStore(Protocol):
    """What the staff's screens show live."""

    def add(
        self,
        kind: str,
        case_id: int | None,
        conversation_id: int | None,
        payload: Mapping[str, Any],
        now: datetime,
    ) -> None: ...

    def find_after(self, event_id: int, limit: int) -> Sequence[DeskEvent]: ...

    def last_id(self) -> int: ...
