"""Staff, their logins, the audit, and what their screens show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from desk.values import DeskEvent, Role, RoomLine, RoomThread, StaffMember


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


class StaffAccountStore(Protocol):
    """Which channel's user acts as which staff member, and the codes that make it so."""

    def add_code(self, staff_id: int, code_hash: str, expires_at: datetime, now: datetime) -> None:
        """Stores a code; earlier ones of this person that were not used are void."""
        ...

    def use_code(self, code_hash: str, channel: str, external_id: str, now: datetime) -> StaffMember | None:
        """Links the user by a code that lives, was not used and belongs to nobody disabled; else None.

        A user who acted as somebody else acts as this person from now on.
        """
        ...

    def find(self, channel: str, external_id: str) -> StaffMember | None:
        """Whom the user acts as; None for a stranger and for somebody disabled."""
        ...

    def find_linked(self, channel: str) -> Sequence[StaffMember]:
        """Everybody who can act on that channel and is not disabled, by name."""
        ...

    def unlink(self, staff_id: int, channel: str) -> int:
        """Ends every link of that person on the channel; how many there were."""
        ...


class StaffRoomStore(Protocol):
    """客服群: whose topic is whose, and which line there stands for what."""

    def find_thread(self, room: str, conversation_id: int) -> RoomThread | None: ...

    def find_conversation_id(self, room: str, thread_id: str) -> int | None: ...

    def set_thread(self, thread: RoomThread, now: datetime) -> None:
        """Stores the topic of a conversation, in place of the one before."""
        ...

    def forget_thread(self, room: str, conversation_id: int) -> None: ...

    def remember_line(self, line: RoomLine, now: datetime) -> None:
        """Stores a line; the same (room, provider_id, message_id) again changes nothing."""
        ...

    def find_lines(self, room: str, provider_id: str) -> Sequence[RoomLine]:
        """What a line there stands for, oldest first."""
        ...

    def find_line_of_message(self, room: str, message_id: int) -> RoomLine | None:
        """The newest line that shows that message or became it."""
        ...

    def find_card(self, room: str, case_id: int) -> RoomLine | None:
        """The newest card of the case."""
        ...

    def find_card_by_token(self, token: str) -> RoomLine | None: ...

    def count_cards_since(self, room: str, since: datetime) -> int: ...

    def move(self, old_room: str, new_room: str) -> None:
        """The chat has another id now; its threads and lines in the old one are void."""
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
