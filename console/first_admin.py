"""The first start: somebody must be able to sign in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from console.passwords import Passwords, new_password
from desk.ports import Transactions, UnitOfWork
from desk.values import Role

FIRST_LOGIN = "admin"


async def ensure_first_admin(
    transactions: Transactions, clock: Callable[[], datetime], passwords: Passwords | None = None
) -> str | None:
    """Creates ``admin`` when there is no staff at all.

    Returns:
        The generated password, which is nowhere else to be read, or None when staff existed already.
    """
    if await transactions.read(lambda unit: bool(unit.staff.all())):
        return None
    password = new_password()
    password_hash = await (passwords or Passwords()).hash(password)

    def create(unit: UnitOfWork) -> bool:
        # Asked again inside the transaction: two processes may start together.
        if unit.staff.all():
            return False
        now = clock()
        unit.staff.add(FIRST_LOGIN, "管理员", Role.ADMIN, password_hash, now)
        unit.staff.audit(None, "staff_added", FIRST_LOGIN, "first start", now)
        return True

    return password if await transactions.write(create) else None
