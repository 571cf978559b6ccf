"""Staff accounts, and which channel's user acts as which of them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from desk.errors import ConflictError, NotAllowedError, NotFoundError, TooFastError
from desk.intake import hash_bytes
from desk.ports import Transactions, UnitOfWork
from desk.values import LinkCode, Role, StaffMember

Complete = Callable[[UnitOfWork], None]

LINK_CODE_LIVES = timedelta(minutes=30)
MOST_WRONG_CODES = 5
"""By one user of one channel within ``WRONG_CODES_COUNT_FOR``."""
WRONG_CODES_COUNT_FOR = timedelta(hours=1)

# Crockford's base32: what looks alike is one character, so that a code can be read out and typed.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LOOKS_LIKE = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})
_CODE_LENGTH = 10
_SCOPE = "link_code"


class StaffAccounts:
    """Who is on staff. Every change leaves a line in the audit."""

    def __init__(self, transactions: Transactions, clock: Callable[[], datetime]) -> None:
        self._transactions = transactions
        self._clock = clock

    async def add_staff(
        self, login: str, name: str, role: Role, password_hash: str, by: StaffMember | None
    ) -> StaffMember:
        """Creates an account; ConflictError when the login is taken."""
        now = self._clock()

        def work(unit: UnitOfWork) -> StaffMember:
            member = unit.staff.add(login, name, role, password_hash, now)
            unit.staff.audit(id_of(by), "staff.add", f"staff:{member.id}", role.value, now)
            return member

        return await self._transactions.write(work)

    async def change_staff(
        self,
        staff_id: int,
        by: StaffMember | None,
        *,
        name: str | None = None,
        role: Role | None = None,
        disabled: bool | None = None,
        password_hash: str | None = None,
    ) -> StaffMember:
        """Changes an account; the last working admin can be neither disabled nor demoted."""
        now = self._clock()

        def work(unit: UnitOfWork) -> StaffMember:
            member = unit.staff.get(staff_id)
            loses_admin = disabled is True or (role is not None and role is not Role.ADMIN)
            if member.role is Role.ADMIN and loses_admin:
                everybody = unit.staff.all(for_update=True)
                admins = [other.id for other in everybody if other.role is Role.ADMIN and not other.disabled]
                if admins == [staff_id]:
                    raise ConflictError("the last admin must stay")
            changed = unit.staff.change(
                staff_id, name=name, role=role, disabled=disabled, password_hash=password_hash
            )
            what = {"name": name, "role": role, "disabled": disabled, "password": password_hash}
            detail = ",".join(key for key, value in what.items() if value is not None)
            unit.staff.audit(id_of(by), "staff.change", f"staff:{staff_id}", detail, now)
            return changed

        return await self._transactions.write(work)

    # --- Acting on a channel --------------------------------------------------------------------------

    async def make_link_code(self, staff_id: int, by: StaffMember | None) -> LinkCode:
        """A code (关联码) that makes a channel's user act as that person; the codes before it are void.

        Args:
            by: That person themselves, an admin, or None for the command line.

        Raises:
            NotFoundError: No such person.
            NotAllowedError: ``by`` is neither.
            ConflictError: The person is disabled.
        """
        if by is not None and by.id != staff_id and by.role is not Role.ADMIN:
            raise NotAllowedError("a link code is made by the person or an admin")
        now = self._clock()
        code = "".join(secrets.choice(_ALPHABET) for _ in range(_CODE_LENGTH))
        expires_at = now + LINK_CODE_LIVES

        def work(unit: UnitOfWork) -> None:
            if unit.staff.get(staff_id).disabled:
                raise ConflictError("the account is disabled")
            unit.staff_accounts.add_code(staff_id, _hash_code(code), expires_at, now)
            unit.staff.audit(id_of(by), "staff.link_code", f"staff:{staff_id}", "", now)

        await self._transactions.write(work)
        return LinkCode(code, expires_at)

    async def link_account(
        self, code: str, channel: str, external_id: str, complete: Complete | None = None
    ) -> StaffMember:
        """Makes the channel's user act as the person whose code this is.

        Args:
            code: As typed: small letters, blanks, dashes and look-alikes (O for 0) are fine.

        Raises:
            NotFoundError: No such code, used before, or too old. It counts as a wrong one.
            TooFastError: Five wrong ones by this user within the hour; not even a right one is taken.
        """
        now = self._clock()
        guesser = hash_bytes(f"{channel}:{external_id}".encode())

        def work(unit: UnitOfWork) -> StaffMember | None:
            wrong = unit.staff.count_failures(_SCOPE, guesser, now - WRONG_CODES_COUNT_FOR)
            if wrong >= MOST_WRONG_CODES:
                raise TooFastError(WRONG_CODES_COUNT_FOR)
            member = unit.staff_accounts.use_code(_hash_code(code), channel, external_id, now)
            if member is None:
                # Committed although it is refused: a guess must count.
                unit.staff.record_failure(_SCOPE, guesser, now)
                return None
            unit.staff.clear_failures(_SCOPE, guesser)
            unit.staff.audit(member.id, "staff.link", f"staff:{member.id}", channel, now)
            if complete is not None:
                complete(unit)
            return member

        linked = await self._transactions.write(work)
        if linked is None:
            raise NotFoundError("link code")
        return linked

    async def unlink_account(self, staff_id: int, channel: str, by: StaffMember | None) -> int:
        """Ends every link of that person on the channel; how many there were.

        Raises:
            NotAllowedError: ``by`` is neither that person nor an admin.
        """
        if by is not None and by.id != staff_id and by.role is not Role.ADMIN:
            raise NotAllowedError("a link is ended by the person or an admin")
        now = self._clock()

        def work(unit: UnitOfWork) -> int:
            ended = unit.staff_accounts.unlink(staff_id, channel)
            if ended:
                unit.staff.audit(id_of(by), "staff.unlink", f"staff:{staff_id}", channel, now)
            return ended

        return await self._transactions.write(work)

    async def find_by_account(self, channel: str, external_id: str) -> StaffMember | None:
        """Whom the channel's user acts as; None for a stranger and for somebody disabled."""
        return await self._transactions.read(lambda unit: unit.staff_accounts.find(channel, external_id))

    async def find_linked(self, channel: str) -> Sequence[StaffMember]:
        """Everybody who can act on that channel, by name."""
        return await self._transactions.read(lambda unit: unit.staff_accounts.find_linked(channel))


def id_of(staff: StaffMember | None) -> int | None:
    """The id for the audit; None stands for the command line."""
    return staff.id if staff is not None else None


def _hash_code(code: str) -> str:
    return hash_bytes(code.upper().translate(_LOOKS_LIKE).encode("utf-8", "replace"))
