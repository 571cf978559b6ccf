"""What was understood with the second best alone is understood again once the better one is back.

That corrects the record and the list of misses, and says nothing: the customer had their answer then. One
thing is done late, because not doing it would leave somebody alone who needs a person: a wish for one, or a
complaint, that no word of the lists stood for opens a case while it is fresh, the bot still has the word and
nobody said anything since. That too is silent: staff are called as at any other time, and what a customer
who waits is told (``case_opening.reassure``) is told to this one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from desk import case_opening, policy
from desk.errors import NotFoundError
from desk.escalation import Escalation, reason_to_escalate
from desk.ports import StaffNotifier, Transactions, UnitOfWork
from desk.values import Author, Message, Speaker, Timer, Understanding

AGAIN_TIMER = "understand_again"
GIVEN_UP_AFTER = timedelta(hours=24)
FRESH = timedelta(minutes=10)
"""So long after it was said a request for a person may still open a case."""

_FIRST = timedelta(minutes=1)
_LONGEST = timedelta(minutes=30)
_LOOKED_BACK = 20

Understand = Callable[[str], Awaitable[Understanding]]


def schedule(unit: UnitOfWork, message: Message, now: datetime, tries: int = 0) -> None:
    """Sets the next time: after 1, 2, 4 … minutes, then every 30; none once the message is a day old."""
    due_at = now + min(_FIRST * 2 ** min(tries, 10), _LONGEST)
    if due_at <= message.created_at + GIVEN_UP_AFTER:
        unit.timers.set(AGAIN_TIMER, str(message.id), due_at, {"tries": tries})


def find_message(unit: UnitOfWork, timer: Timer) -> Message | None:
    """The timer's message, or None where it is deleted or its words are erased."""
    try:
        message = unit.conversations.get_message(int(timer.key))
    except NotFoundError:
        return None
    return message if message.text.strip() else None


async def prepare(
    transactions: Transactions, understand: Understand, timers: Sequence[Timer]
) -> Mapping[int, Understanding]:
    """Understands the texts anew, one after the other, so that those who write now hardly wait.

    Returns:
        By timer id; what is missing is to be tried later. After the first text that is still understood
        with the second best alone no other is asked for: a long outage costs one question a batch.
    """
    found: dict[int, Understanding] = {}
    for timer in timers:
        if timer.kind != AGAIN_TIMER:
            continue
        message = await transactions.read(partial(find_message, timer=timer))
        if message is None:
            continue
        understanding = await understand(message.text)
        if understanding.degraded:
            break
        found[timer.id] = understanding
    return found


def fire(
    unit: UnitOfWork, notifier: StaffNotifier, timer: Timer, prepared: Mapping[int, Any], now: datetime
) -> None:
    """Corrects what is on record of one message, or sets the next time. Its conversation is locked."""
    message = find_message(unit, timer)
    if message is None:
        return
    again: Understanding | None = prepared.get(timer.id)
    if again is None:
        schedule(unit, message, now, int(timer.payload["tries"]) + 1)
        return
    understanding = policy.believable(message.text, again)
    note = f"{message.reason} later={understanding.intent or 'none'}"
    escalation = _find_missed_call(unit, message, understanding, now)
    if escalation is not None:
        conversation = unit.conversations.get(message.conversation_id)
        case, _ = case_opening.open_case(unit, notifier, conversation, escalation, now)
        unit.desk_events.add("message", case.id, conversation.id, {"message_id": message.id}, now)
        note += f" case={case.number}"
    unit.conversations.correct_understanding(message.id, note, again)
    if policy.is_understood(understanding):
        if message.reason.startswith(policy.NOT_UNDERSTOOD):
            unit.faq.delete_miss(message.id)
    elif message.reason.startswith(policy.ANSWERED_BY_FAQ):
        unit.faq.record_miss(message.conversation_id, message.id, message.text, message.created_at)


def _find_missed_call(
    unit: UnitOfWork, message: Message, understanding: Understanding, now: datetime
) -> Escalation | None:
    """What should have called a person and still may."""
    if now - message.created_at > FRESH:
        return None
    intent = policy.sure_intent(understanding)
    escalation = reason_to_escalate(message.text, None, message.created_at, intent)
    if not isinstance(escalation, Escalation):
        return None
    if isinstance(reason_to_escalate(message.text, None, message.created_at), Escalation):
        # The words alone called a person at once; whatever became of that case, it is no second one.
        return None
    if unit.conversations.get(message.conversation_id).speaker is not Speaker.BOT:
        return None
    lines = unit.conversations.find_latest(message.conversation_id, _LOOKED_BACK)
    since = [line for line in lines if line.id > message.id]
    # Where the message is not even among the latest lines, more was said since than is looked at.
    if len(since) == len(lines) or any(line.author is not Author.BOT for line in since):
        return None
    return escalation
