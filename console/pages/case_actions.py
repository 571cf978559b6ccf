"""What staff do with a case. The desk checks who may, and writes it into the audit."""

from __future__ import annotations

import hashlib
import re

from starlette.responses import Response

from console.errors import status_of, wants_json, words_for
from console.pages.cases import case_page, number_in
from console.pages.visit import HOME, ConsoleRoom, Visit
from console.permissions import Permission
from console.sessions import new_token
from desk.errors import DeskError, InvalidInputError, NotAllowedError, NotFoundError
from desk.ports import UnitOfWork

_LONGEST = 4000
_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")


def add_case_actions(room: ConsoleRoom) -> None:
    """Declares the routes."""

    @room.post("/console/cases/{number}/take", Permission.ANSWER_CASES)
    async def take(visit: Visit) -> Response:
        number = number_in(visit)
        try:
            await visit.deps.staff_desk.take_case(number, visit.staff)
        except NotFoundError:
            raise
        except DeskError as error:
            return await _refused(visit, error)
        return visit.go(f"{HOME}/{number}", "taken")

    @room.post("/console/cases/{number}/reply", Permission.ANSWER_CASES)
    async def reply(visit: Visit) -> Response:
        number = number_in(visit)
        given = visit.form.get("client_msg_id", "")
        client_msg_id = given if _ID.fullmatch(given) else new_token()
        text = visit.form.get("text", "")
        try:
            text = visit.field("text", _LONGEST, required=True)
            # The words belong to the id: the same form sent twice is one message, but words that were
            # changed after a lost answer are a message of their own and not swallowed as a repetition.
            mark = hashlib.sha256(text.encode()).hexdigest()[:16]
            await visit.deps.staff_desk.reply(number, visit.staff, text, f"{client_msg_id}:{mark}")
        except NotFoundError:
            raise
        except DeskError as error:
            return await _refused(visit, error, reply=text, client_msg_id=client_msg_id)
        return visit.go(f"{HOME}/{number}", "replied")

    @room.post("/console/cases/{number}/note", Permission.ANSWER_CASES)
    async def note(visit: Visit) -> Response:
        number = number_in(visit)
        text = visit.form.get("text", "")
        try:
            text = visit.field("text", _LONGEST, required=True)
            await visit.deps.staff_desk.add_note(number, visit.staff, text)
        except NotFoundError:
            raise
        except DeskError as error:
            return await _refused(visit, error, note=text)
        return visit.go(f"{HOME}/{number}", "noted")

    @room.post("/console/cases/{number}/close", Permission.ANSWER_CASES)
    async def close(visit: Visit) -> Response:
        number = number_in(visit)
        try:
            reason = visit.field("reason", 500)
            await visit.deps.staff_desk.close_case(number, visit.staff, reason)
        except NotFoundError:
            raise
        except DeskError as error:
            return await _refused(visit, error)
        return visit.go(f"{HOME}/{number}", "closed")

    @room.post("/console/cases/{number}/hand-over", Permission.ANSWER_CASES)
    async def hand_over(visit: Visit) -> Response:
        number = number_in(visit)
        try:
            to_staff_id = await _colleague(visit)
            await visit.deps.staff_desk.hand_over(number, visit.staff, to_staff_id)
        except NotFoundError:
            raise
        except DeskError as error:
            return await _refused(visit, error)
        return visit.go(f"{HOME}/{number}", "handed_over")

    @room.post("/console/cases/{number}/phone", Permission.REVEAL_PHONE)
    async def phone(visit: Visit) -> Response:
        number = number_in(visit)
        found = await visit.deps.staff_desk.reveal_phone(number, visit.staff)
        if wants_json(visit.request):
            return visit.json({"phone": found})
        return await case_page(visit, phone=found)

    @room.post("/console/cases/{number}/typing", Permission.ANSWER_CASES)
    async def typing(visit: Visit) -> Response:
        number = number_in(visit)

        def whose(unit: UnitOfWork) -> tuple[int, int | None]:
            case = unit.cases.find_by_number(number)
            if case is None:
                raise NotFoundError("no such case")
            return case.conversation_id, case.staff_id

        conversation_id, staff_id = await visit.deps.transactions.read(whose)
        # The customer is told a name, so only the person who has the case can be seen typing.
        if staff_id != visit.staff.id:
            raise NotAllowedError("not your case")
        visit.deps.staff_desk.typing(conversation_id, visit.staff)
        return visit.json({"done": True})


async def _colleague(visit: Visit) -> int:
    """Whom the form chose.

    Raises:
        InvalidInputError: Nobody who works here.
    """
    given = visit.form.get("to", "")
    members = await visit.deps.transactions.read(lambda unit: list(unit.staff.all()))
    for member in members:
        if str(member.id) == given and not member.disabled:
            return member.id
    raise InvalidInputError("to", "form.choice")


async def _refused(
    visit: Visit, error: DeskError, *, reply: str = "", note: str = "", client_msg_id: str = ""
) -> Response:
    """A script gets the error as JSON; a person gets the page back with their words in it."""
    status = status_of(error)
    if status == 500 or wants_json(visit.request):
        raise error
    return await case_page(
        visit,
        status,
        fault=words_for(error, visit.language),
        reply=reply,
        note=note,
        client_msg_id=client_msg_id,
    )
