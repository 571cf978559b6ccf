"""What holds of every talk on every channel: no message lost or doubled, every answer once and in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from crash_history import ChatHistory, Line
from crash_patterns import bound_line, fits, reminder_line, survey_line


def of_messages(chat: ChatHistory) -> Iterator[str]:
    """Every acknowledged message exactly once, in the order in which it was sent."""
    stored = [line.client_msg_id for line in chat.last if line.author == "customer"]
    texts = {line.client_msg_id: line.text for line in chat.last if line.author == "customer"}
    acknowledged = [said.client_msg_id for said in chat.said if said.acknowledged]
    counts = Counter(stored)
    for said in chat.said:
        if said.acknowledged and not counts[said.client_msg_id]:
            yield f"the message {said.text!r} was acknowledged and is lost"
        elif counts[said.client_msg_id] > 1:
            yield f"the message {said.text!r} is there {counts[said.client_msg_id]} times"
        elif counts[said.client_msg_id] and texts[said.client_msg_id] != said.text:
            yield f"the message {said.text!r} has other words now"
    sent = {said.client_msg_id for said in chat.said}
    if strangers := [client_msg_id for client_msg_id in stored if client_msg_id not in sent]:
        yield f"{len(strangers)} messages were never sent by this customer"
    known = [client_msg_id for client_msg_id in stored if client_msg_id in set(acknowledged)]
    if list(dict.fromkeys(known)) != [each for each in acknowledged if each in counts]:
        yield "its messages are in another order than they were sent"


def of_answers(chat: ChatHistory) -> Iterator[str]:
    """Every answer that had to come exactly once, after what it answers and in the same order."""
    told = [pattern for order in chat.orders for pattern in _told_of_order(order)]
    replies = [
        line
        for line in chat.last
        if line.author != "customer" and not any(fits(pattern, line.text) for pattern in told)
    ]
    asked_at = {line.client_msg_id: line.seq for line in chat.last if line.author == "customer"}
    waiting: list[Line] = list(replies)
    for said in chat.said:
        for answer in said.answers:
            place = next((i for i, line in enumerate(waiting) if fits(answer, line.text)), None)
            if place is None:
                yield f"{said.text!r} was not answered with {answer!r}"
                continue
            if place:
                yield f"{waiting[0].text!r} came too early, twice or without being asked for"
            if waiting[place].seq < asked_at.get(said.client_msg_id, 0):
                yield f"{answer!r} came before the question {said.text!r}"
            del waiting[: place + 1]
    for line in waiting:
        yield f"{line.text!r} came twice or without being asked for"


def _told_of_order(order: str) -> tuple[str, str, str]:
    return bound_line(order), survey_line(order), reminder_line(order)
