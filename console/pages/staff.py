"""Accounts of staff."""

from __future__ import annotations

import re

from starlette.responses import Response

from console.errors import status_of, words_for
from console.pages.visit import ConsoleRoom, Visit
from console.passwords import new_password
from console.permissions import Permission
from desk.errors import AlreadyTakenError, ConflictError, DeskError, InvalidInputError, NotFoundError
from desk.ports import UnitOfWork
from desk.values import LinkCode, Role, StaffMember

_LOGIN = re.compile(r"[a-z0-9][a-z0-9._-]{1,39}")


def add_staff_pages(room: ConsoleRoom) -> None:
    """Declares the routes."""

    @room.get("/console/staff", Permission.MANAGE_STAFF)
    async def staff(visit: Visit) -> Response:
        return await staff_page(visit)

    @room.post("/console/staff", Permission.MANAGE_STAFF)
    async def add(visit: Visit) -> Response:
        password = new_password()
        try:
            login = visit.field("login", 40, required=True).casefold()
            if not _LOGIN.fullmatch(login):
                raise InvalidInputError("login", "staff.login_wrong")
            name = visit.field("name", 40, required=True)
            role = _role(visit)
            password_hash = await visit.deps.passwords.hash(password)
            member = await visit.deps.staff_desk.add_staff(login, name, role, password_hash, visit.staff)
        except ConflictError:
            return await staff_page(visit, 409, fault=visit.words("staff.login_taken"))
        except DeskError as error:
            return await staff_page(visit, status_of(error), fault=words_for(error, visit.language))
        return await staff_page(visit, fresh=(member, password))

    @room.post("/console/staff/{id}/role", Permission.MANAGE_STAFF)
    async def role(visit: Visit) -> Response:
        return await _change(visit, role=_role(visit))

    @room.post("/console/staff/{id}/disabled", Permission.MANAGE_STAFF)
    async def disable(visit: Visit) -> Response:
        return await _change(visit, disabled=visit.form.get("disabled") == "yes")

    @room.post("/console/staff/{id}/password", Permission.MANAGE_STAFF)
    async def reset(visit: Visit) -> Response:
        password = new_password()
        password_hash = await visit.deps.passwords.hash(password)
        member = await visit.deps.staff_desk.change_staff(
            member_id(visit), visit.staff, password_hash=password_hash
        )
        return await staff_page(visit, fresh=(member, password))


def _role(visit: Visit) -> Role:
    given = visit.form.get("role", "")
    if given not in set(Role):
        raise InvalidInputError("role", "form.choice")
    return Role(given)


def member_id(visit: Visit) -> int:
    """The account in the address; NotFoundError where it is no number."""
    given = str(visit.request.path_params["id"])
    if not (given.isascii() and given.isdigit() and len(given) <= 15):
        raise NotFoundError("no such account")
    return int(given)


async def _change(visit: Visit, *, role: Role | None = None, disabled: bool | None = None) -> Response:
    try:
        await visit.deps.staff_desk.change_staff(member_id(visit), visit.staff, role=role, disabled=disabled)
    except AlreadyTakenError:
        raise
    except ConflictError:
        return await staff_page(visit, 409, fault=visit.words("staff.last_admin"))
    return visit.go("/console/staff", "staff_changed")


async def staff_page(
    visit: Visit,
    status: int = 200,
    *,
    fault: str = "",
    fresh: tuple[StaffMember, str] | None = None,
    code: tuple[StaffMember, LinkCode] | None = None,
) -> Response:
    """The page of all accounts; ``fresh`` and ``code`` show a password or a link code, this once."""

    def read(unit: UnitOfWork) -> tuple[list[StaffMember], set[int]]:
        linked = {member.id for member in unit.staff_accounts.find_linked("telegram")}
        return list(unit.staff.all()), linked

    members, linked = await visit.deps.transactions.read(read)
    return await visit.page(
        "staff.html",
        status,
        members=members,
        linked=linked,
        telegram_on=visit.deps.telegram_state() != "off",
        bot_name=visit.deps.telegram_bot(),
        roles=[each.value for each in Role],
        fault=fault,
        fresh=fresh,
        code=code,
        typed=visit.form,
    )
