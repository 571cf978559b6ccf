"""Server-sent events of one conversation: everything after ``seq``, then whatever comes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

from desk.ports import Wakeups
from desk.service_desk import ServiceDesk
from desk.staff_desk import TYPING_LASTS
from desk.values import Message

HEARTBEAT = timedelta(seconds=15)
"""Also how often the database is asked when no bell rang: a bell is a convenience, not a promise."""
_PAGE = 200


async def lines_as_events(
    service_desk: ServiceDesk,
    wakeups: Wakeups,
    find_typist: Callable[[int], str | None],
    is_stopping: Callable[[], bool],
    identity_id: int,
    after: int,
) -> AsyncIterator[str]:
    """Yields events until the client goes or the server stops.

    Yields:
        ``message`` with the line's ``seq`` as id, ``state`` and ``typing`` without one, and comments
        as heartbeat. A client resumes with the highest ``seq`` that it has.
    """
    speaker = ""
    typist: str | None = None
    conversation, _ = await service_desk.read_lines(identity_id, after, 1)
    bell = f"events:{conversation.id}"
    # Heard from here on: a ring between the first look and the first wait must not be missed.
    await wakeups.wait(bell, timedelta(0))
    while not is_stopping():
        conversation, lines = await service_desk.read_lines(identity_id, after, _PAGE)
        events = []
        for line in lines:
            if line.seq is not None:
                after = line.seq
                events.append(_event("message", line_as_json(line), str(line.seq)))
        if conversation.speaker.value != speaker:
            speaker = conversation.speaker.value
            events.append(_event("state", {"speaker": speaker}))
        if (now_typing := find_typist(conversation.id)) != typist:
            typist = now_typing
            events.append(_event("typing", {"name": typist}))
        if events:
            yield "".join(events)
        if len(lines) == _PAGE:
            continue
        # A shown typist fades without anybody ringing for it.
        if not await wakeups.wait(bell, TYPING_LASTS if typist is not None else HEARTBEAT):
            yield ": still here\n\n"


def line_as_json(line: Message) -> dict[str, Any]:
    """A line as the customer may see it: no reasons, no internal ids."""
    prompt = None
    if line.prompt is not None:
        prompt = {
            "kind": line.prompt.kind.value,
            "options": [
                {"button_id": option.button_id, "label": option.label, "typed": option.typed}
                for option in line.prompt.options
            ],
        }
    return {
        "seq": line.seq,
        "author": line.author.value,
        "staff_name": line.staff_name,
        "text": line.text,
        "client_msg_id": line.client_msg_id if line.author.value == "customer" else None,
        "prompt": prompt,
        "created_at": line.created_at.isoformat(),
    }


def _event(name: str, data: dict[str, Any], event_id: str = "") -> str:
    # json.dumps escapes line breaks, so one ``data:`` line always holds the whole value.
    head = f"id: {event_id}\n" if event_id else ""
    return f"{head}event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
