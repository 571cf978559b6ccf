"""Cases: the lists, and the page of one."""

from __future__ import annotations

import re

from starlette.responses import Response

from console.pages.talk import shown_lines
from console.pages.visit import ConsoleRoom, Visit
from console.permissions import Permission
from console.reasons import stated
from console.sessions import new_token
from desk.errors import NotFoundError
from desk.values import CaseState, Role, StaffMember
from storage.reports import CasePage, CaseTab, HistoryLine

_PAGE = 30
_NUMBER = re.compile(r"HY-[0-9]{1,18}")


def add_case_pages(room: ConsoleRoom) -> None:
    """Declares the routes."""

    @room.get("/console/cases", Permission.READ_CASES)
    async def cases(visit: Visit) -> Response:
        wanted = visit.query("tab")
        tab = CaseTab(wanted) if wanted in set(CaseTab) else CaseTab.OPEN
        number = visit.query_number("page", 0, 100_000)
        staff_id = visit.staff.id
        found = await visit.deps.reports(lambda reports: reports.cases(tab, staff_id, _PAGE, number * _PAGE))
        return await visit.page(
            "cases.html", tab=tab.value, lines=found.rows, more=found.more, page=number, query=f"tab={tab}&"
        )

    @room.get("/console/cases/{number}", Permission.READ_CASES)
    async def case(visit: Visit) -> Response:
        return await case_page(visit)


def number_in(visit: Visit) -> str:
    """The case number in the address.

    Raises:
        NotFoundError: It is none.
    """
    number = str(visit.request.path_params["number"])
    if not _NUMBER.fullmatch(number):
        raise NotFoundError("no such case")
    return number


def may_act(visit: Visit, page: CasePage) -> bool:
    """Whether this visitor may answer, hand over and close: nobody has the case, it is theirs, or they lead."""
    case = page.case
    if case.state is CaseState.CLOSED or not visit.may(Permission.ANSWER_CASES):
        return False
    return case.staff_id in (None, visit.staff.id) or visit.staff.role in (Role.LEAD, Role.ADMIN)


async def case_page(
    visit: Visit,
    status: int = 200,
    *,
    fault: str = "",
    reply: str = "",
    note: str = "",
    client_msg_id: str = "",
    phone: str = "",
) -> Response:
    """The page of one case; with ``fault`` it is what a refused form comes back to, words kept."""
    number = number_in(visit)
    page = await visit.deps.reports(lambda reports: reports.case_page(number))
    acts = may_act(visit, page)
    return await visit.page(
        "case.html",
        status,
        page=page,
        case=page.case,
        lines=shown_lines(page),
        reasons=_reasons(page, visit.language),
        may_act=acts,
        colleagues=await _colleagues(visit, page) if acts else [],
        client_msg_id=client_msg_id or new_token(),
        fault=fault,
        reply=reply,
        note=note,
        phone=phone,
        notes=[line for line in page.history if line.kind == "note"],
        steps=_steps(page),
    )


async def _colleagues(visit: Visit, page: CasePage) -> list[StaffMember]:
    """To whom the case may be handed: everybody who works here and does not have it, oneself first."""
    members = await visit.deps.transactions.read(lambda unit: list(unit.staff.all()))
    found = [each for each in members if not each.disabled and each.id != page.case.staff_id]
    return sorted(found, key=lambda each: (each.id != visit.staff.id, each.name, each.id))


def _reasons(page: CasePage, language: str) -> dict[int, str]:
    """The stated reason of each line, told once where the customer's line and the answer share it."""
    found: dict[int, str] = {}
    before = ""
    for line in page.lines:
        words = stated(line.reason, language) if line.author in ("customer", "bot") else ""
        if words and words != before:
            found[line.id] = words
        before = words or before
    return found


def _steps(page: CasePage) -> list[tuple[HistoryLine, int]]:
    """The case's steps without notes; alerts in a row are told once, with their number and last time."""
    found: list[tuple[HistoryLine, int]] = []
    for line in page.history:
        if line.kind == "note":
            continue
        if found and line.kind == found[-1][0].kind == "alerted":
            found[-1] = (line, found[-1][1] + 1)
        else:
            found.append((line, 1))
    return found
