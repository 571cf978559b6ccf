"""What the console is given: roles, so that tests may pass in anything that plays them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Protocol, TypeVar
from zoneinfo import ZoneInfo

from console.passwords import Passwords
from desk.ports import Transactions, Wakeups
from desk.values import (
    Attachment,
    Case,
    FaqEntry,
    LinkCode,
    Message,
    OrderEvent,
    Role,
    StaffMember,
)
from storage.reports import Reports

T = TypeVar("T")


class Accepted(Protocol):
    """What became of an order event that was stored."""

    @property
    def duplicate(self) -> bool:
        """True when it was on record already."""
        ...


class OrderDesk(Protocol):
    """The part of the service desk that shop systems reach."""

    async def accept_order_event(self, webhook_id: str, event: OrderEvent, raw: bytes) -> Accepted:
        """Stores the event; raises ConflictError or StorageUnavailableError."""
        ...

    async def order_links(self, external_id: str) -> str:
        """The token of the order's current unused link; raises NotFoundError."""
        ...


class StaffDeskRole(Protocol):
    """What staff do. Each call is checked and audited there, and raises DeskErrors."""

    async def take_case(self, number: str, staff: StaffMember) -> Case: ...

    async def reply(
        self, number: str, staff: StaffMember, text: str, client_msg_id: str
    ) -> Message | None: ...

    def typing(self, conversation_id: int, staff: StaffMember) -> None: ...

    async def close_case(self, number: str, staff: StaffMember, reason: str) -> Case: ...

    async def hand_over(self, number: str, staff: StaffMember, to_staff_id: int) -> Case: ...

    async def make_link_code(self, staff_id: int, by: StaffMember | None) -> LinkCode: ...

    async def unlink_account(self, staff_id: int, channel: str, by: StaffMember | None) -> int: ...

    async def add_note(self, number: str, staff: StaffMember, text: str) -> None: ...

    async def reveal_phone(self, number: str, staff: StaffMember) -> str: ...

    async def replay(self, origin: str, id: int, staff: StaffMember) -> None: ...

    async def put_faq(self, entry: FaqEntry, staff: StaffMember) -> FaqEntry: ...

    async def delete_faq(self, slug: str, staff: StaffMember) -> None: ...

    async def add_staff(
        self, login: str, name: str, role: Role, password_hash: str, by: StaffMember | None
    ) -> StaffMember: ...

    async def change_staff(
        self,
        staff_id: int,
        by: StaffMember | None,
        *,
        name: str | None = None,
        role: Role | None = None,
        disabled: bool | None = None,
        password_hash: str | None = None,
    ) -> StaffMember: ...


class ReadReports(Protocol):
    """Runs one read of the reports outside the event loop."""

    def __call__(self, read: Callable[[Reports], T]) -> Awaitable[T]: ...


class MediaFiles(Protocol):
    """Opens files that a channel keeps for us."""

    def __call__(self, attachment: Attachment) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Opens the file of an attachment; gives its bytes in small pieces.

        Opening and reading raise NotFoundError where the file is gone, InvalidInputError where it is too
        big to be fetched, and any other DeskError where the channel does not answer just now.
        """
        ...


@dataclass(frozen=True)
class ConsoleDeps:
    """Everything that pages and API need.

    Attributes:
        public_url: Where the console is reached, without a trailing slash.
        allow_http: Plain HTTP outside loopback is accepted, so cookies go without ``Secure``.
        shop_secrets: One secret, or two while it is being changed.
        is_stopping: Ends open streams when the server is about to stop.
        telegram_link: Turns an order token into a Telegram link, or into None while the bot's name is not
            known; None while Telegram is off.
        telegram_state: ``off``, ``ok`` or sentences about what is wrong, as ``/readyz`` shows them.
        telegram_bot: The bot's user name without ``@``; empty while it is not known.
        media_files: Opens files, by channel; a channel that is off is not in it.
    """

    transactions: Transactions
    reports: ReadReports
    service_desk: OrderDesk
    staff_desk: StaffDeskRole
    wakeups: Wakeups
    clock: Callable[[], datetime]
    public_url: str
    allow_http: bool
    shop_secrets: Sequence[str]
    api_key: str
    shop_name: str
    timezone: tzinfo = field(default_factory=lambda: ZoneInfo("Asia/Shanghai"))
    passwords: Passwords = field(default_factory=Passwords)
    is_stopping: Callable[[], bool] = lambda: False
    telegram_link: Callable[[str], str | None] | None = None
    telegram_state: Callable[[], str] = lambda: "off"
    telegram_bot: Callable[[], str] = lambda: ""
    media_files: Mapping[str, MediaFiles] = field(default_factory=dict)
