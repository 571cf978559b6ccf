"""Which Telegram account acts as which staff member: codes that link one, and the end of a link.

A code is shown once, in the answer to the form that made it, and never again; only its hash is kept.
"""

from __future__ import annotations

from starlette.responses import Response

from console.pages.login import account_page
from console.pages.staff import member_id, staff_page
from console.pages.visit import ConsoleRoom, Visit
from console.permissions import Permission

CHANNEL = "telegram"


def add_telegram_accounts(room: ConsoleRoom) -> None:
    """Declares the routes."""

    @room.post("/console/account/telegram-code", Permission.SIGNED_IN)
    async def own_code(visit: Visit) -> Response:
        code = await visit.deps.staff_desk.make_link_code(visit.staff.id, visit.staff)
        return await account_page(visit, code=code)

    @room.post("/console/account/telegram-unlink", Permission.SIGNED_IN)
    async def own_unlink(visit: Visit) -> Response:
        await visit.deps.staff_desk.unlink_account(visit.staff.id, CHANNEL, visit.staff)
        return visit.go("/console/account", "telegram_unlinked")

    @room.post("/console/staff/{id}/telegram-code", Permission.MANAGE_STAFF)
    async def code(visit: Visit) -> Response:
        staff_id = member_id(visit)
        member = await visit.deps.transactions.read(lambda unit: unit.staff.get(staff_id))
        made = await visit.deps.staff_desk.make_link_code(member.id, visit.staff)
        return await staff_page(visit, code=(member, made))

    @room.post("/console/staff/{id}/telegram-unlink", Permission.MANAGE_STAFF)
    async def unlink(visit: Visit) -> Response:
        staff_id = member_id(visit)
        await visit.deps.transactions.read(lambda unit: unit.staff.get(staff_id))
        await visit.deps.staff_desk.unlink_account(staff_id, CHANNEL, visit.staff)
        return visit.go("/console/staff", "telegram_unlinked")
