"""客服 accounts from the command line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bot.commands.arguments import read_text
from desk.errors import InvalidInputError, NotFoundError
from desk.values import Role

if TYPE_CHECKING:
    from bot.app import Installation

_LOGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


def check_login(login: str) -> str:
    """Returns the login, trimmed.

    Raises:
        InvalidInputError: It could not be typed on any keyboard.
    """
    login = login.strip()
    if not _LOGIN.fullmatch(login):
        raise InvalidInputError("login", "must be 1 to 64 letters, digits or . _ @ -, such as li.ming")
    return login


async def add_staff(installation: Installation, args: dict[str, Any]) -> dict[str, Any]:
    """Creates an account from ``login``, ``name``, ``role`` and ``password_hash``.

    Only the hash comes here, so that no password travels. Says whether there is an admin by now.

    Raises:
        ConflictError: The login is taken.
        InvalidInputError: A field breaks a rule.
    """
    try:
        role = Role(args.get("role", ""))
    except ValueError:
        raise InvalidInputError("role", "must be agent, lead or admin") from None
    password_hash = read_text(args, "password_hash", 500)
    if not password_hash.startswith("$argon2id$"):
        raise InvalidInputError("password_hash", "must be an argon2id hash")
    member = await installation.staff_desk.add_staff(
        check_login(read_text(args, "login", 64)),
        read_text(args, "name", 100).strip(),
        role,
        password_hash,
        None,
    )
    everybody = await installation.database.read(lambda unit: unit.staff.all())
    has_admin = any(one.role is Role.ADMIN and not one.disabled for one in everybody)
    return {"login": member.login, "role": member.role.value, "has_admin": has_admin}


async def make_link_code(installation: Installation, args: dict[str, Any]) -> dict[str, Any]:
    """Makes the code by which ``login`` links a Telegram account, and says until when it is good.

    Raises:
        NotFoundError: Nobody has that login.
        ConflictError: The account is disabled.
    """
    login = check_login(read_text(args, "login", 64))
    found = await installation.database.read(lambda unit: unit.staff.find_by_login(login))
    if found is None:
        raise NotFoundError("there is no account of that login; huiyin staff list shows them")
    made = await installation.staff_desk.make_link_code(found[0].id, None)
    return {"login": found[0].login, "code": made.code, "expires_at": made.expires_at.isoformat()}
