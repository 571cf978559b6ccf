"""What staff screens hear live: server-sent events out of stored desk events."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta

from starlette.responses import Response, StreamingResponse

from console.pages.visit import ConsoleRoom, Visit
from console.permissions import Permission
from desk.errors import StorageUnavailableError
from desk.ports import UnitOfWork
from desk.values import DeskEvent, StaffMember

_HEARTBEAT = timedelta(seconds=15)
_LOOK_AGAIN = timedelta(seconds=2)
"""How often the database is asked when no bell rang: a bell is a convenience, not a promise."""
_BATCH = 100
# Keys of a payload that a screen may show; whatever else a future event carries stays inside.
_SHOWN = ("number", "customer", "reason", "rung", "priority", "staff")


def add_events(room: ConsoleRoom) -> None:
    """Declares the route."""

    @room.get("/console/events", Permission.READ_CASES)
    async def events(visit: Visit) -> Response:
        after = await _start(visit)
        return StreamingResponse(
            _stream(visit, after),
            media_type="text/event-stream",
            headers={
                "Cache-Control": "no-store",
                "X-Content-Type-Options": "nosniff",
                # Proxies that gather answers would hold every event back.
                "X-Accel-Buffering": "no",
            },
        )


async def _start(visit: Visit) -> int:
    """Behind which event to begin: what the browser saw last, or now."""
    given = visit.request.headers.get("last-event-id") or visit.request.query_params.get("after", "")
    newest = await visit.deps.transactions.read(lambda unit: unit.desk_events.last_id())
    if given.isascii() and given.isdigit() and len(given) <= 18:
        # Never ahead of what exists: a restored database counts from an earlier id again.
        return min(int(given), newest)
    return newest


async def _stream(visit: Visit, after: int) -> AsyncIterator[str]:
    session = visit.session
    if session is None:
        return

    def look(unit: UnitOfWork) -> list[tuple[DeskEvent, bool]] | None:
        # The session is asked again each time: who is disabled or signs out hears nothing more.
        if unit.staff.find_session(session.token_hash, visit.deps.clock()) is None:
            return None
        return [
            (event, _is_for(unit, event, session.staff))
            for event in unit.desk_events.find_after(after, _BATCH)
        ]

    # The first line sets the id from which the browser resumes, even if nothing happens before a break.
    yield f"retry: 3000\nid: {after}\nevent: hello\ndata: {{}}\n\n"
    silent_for = timedelta()
    # Heard once before looking, a bell that rings between looking and waiting is not missed.
    await visit.deps.wakeups.wait("desk", timedelta())
    while not visit.deps.is_stopping():
        try:
            found = await visit.deps.transactions.read(look)
        except StorageUnavailableError:
            # The browser comes back by itself and resumes.
            return
        if found is None:
            yield "event: signed_out\ndata: {}\n\n"
            return
        for event, yours in found:
            after = event.id
            silent_for = timedelta()
            yield _line(event, yours=yours)
        if len(found) == _BATCH:
            continue
        if silent_for >= _HEARTBEAT:
            silent_for = timedelta()
            yield ": still here\n\n"
        if not await visit.deps.wakeups.wait("desk", _LOOK_AGAIN):
            silent_for += _LOOK_AGAIN


def _is_for(unit: UnitOfWork, event: DeskEvent, staff: StaffMember) -> bool:
    """Whether a case was handed to this very person, and is still theirs."""
    if event.kind != "case_handed_over" or event.case_id is None:
        return False
    return unit.cases.get(event.case_id).staff_id == staff.id


def _line(event: DeskEvent, *, yours: bool = False) -> str:
    data = {key: event.payload[key] for key in _SHOWN if key in event.payload}
    if yours:
        data["yours"] = True
    # JSON without raw line breaks cannot end the event early; lone surrogates stay escaped.
    return f"id: {event.id}\nevent: {event.kind}\ndata: {json.dumps(data, ensure_ascii=True)}\n\n"
