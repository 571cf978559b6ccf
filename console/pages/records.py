"""Work that failed for good, and the audit of what staff did."""

from __future__ import annotations

from starlette.responses import Response

from console.pages.visit import ConsoleRoom, Visit
from console.permissions import Permission
from desk.errors import NotFoundError

_PAGE = 30
_AUDIT_PAGE = 50
_ORIGINS = ("inbox", "outbox", "timer")


def add_record_pages(room: ConsoleRoom) -> None:
    """Declares the routes."""

    @room.get("/console/dead-letters", Permission.READ_DEAD_LETTERS)
    async def dead_letters(visit: Visit) -> Response:
        number = visit.query_number("page", 0, 100_000)
        found = await visit.deps.transactions.read(
            lambda unit: list(unit.dead_letters.all(_PAGE + 1, number * _PAGE))
        )
        return await visit.page(
            "dead_letters.html", letters=found[:_PAGE], more=len(found) > _PAGE, page=number, query=""
        )

    @room.post("/console/dead-letters/{origin}/{id}/replay", Permission.REPLAY_DEAD_LETTERS)
    async def replay(visit: Visit) -> Response:
        origin, given = visit.request.path_params["origin"], str(visit.request.path_params["id"])
        if origin not in _ORIGINS or not (given.isascii() and given.isdigit() and len(given) <= 15):
            raise NotFoundError("no such dead letter")
        await visit.deps.staff_desk.replay(origin, int(given), visit.staff)
        return visit.go("/console/dead-letters", "replayed")

    @room.get("/console/audit", Permission.READ_AUDIT)
    async def audit(visit: Visit) -> Response:
        number = visit.query_number("page", 0, 100_000)
        found = await visit.deps.reports(lambda reports: reports.audit(_AUDIT_PAGE, number * _AUDIT_PAGE))
        # The whole chain is walked on the first page only; it grows for years.
        broken = None
        if number == 0:
            broken = await visit.deps.transactions.read(lambda unit: unit.staff.verify_audit())
        # Accounts are recorded by their number, which stays when a login changes hands; shown by name.
        members = await visit.deps.transactions.read(lambda unit: list(unit.staff.all()))
        names = {f"staff:{member.id}": f"{member.name} ({member.login})" for member in members}
        return await visit.page(
            "audit.html", names=names, lines=found.rows, more=found.more, page=number, broken=broken, query=""
        )
