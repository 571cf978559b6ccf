"""May it leave now, and what follows from its having left or not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from desk import follow_up
from desk.follow_up import FollowUp
from desk.ports import UnitOfWork
from desk.values import Conversation, Delivery, Outgoing, OutgoingKind

STAFF_KEY = "staff:"
"""What the dedupe key of a line begins with that a person said."""


class Sending:
    """The guard before a message leaves, and the consequences of what became of it."""

    def __init__(self, follow_up: FollowUp, clock: Callable[[], datetime]) -> None:
        self._follow_up = follow_up
        self._clock = clock

    def why_withhold(self, unit: UnitOfWork, outgoing: Outgoing, conversation: Conversation) -> str | None:
        """See ``ServiceDesk.why_withhold``."""
        if outgoing.speakers and conversation.speaker not in outgoing.speakers:
            return f"speaker_is_{conversation.speaker.value}"
        if outgoing.kind is OutgoingKind.SURVEY:
            return self._follow_up.why_withhold(unit, outgoing, conversation, self._clock())
        return None

    def delivered(self, unit: UnitOfWork, outgoing: Outgoing, now: datetime) -> None:
        """See ``ServiceDesk.delivered``."""
        tell_delivery(unit, outgoing, Delivery.SENT, now)

    def not_delivered(
        self, unit: UnitOfWork, outgoing: Outgoing, delivery: Delivery, why: str, now: datetime
    ) -> None:
        """See ``ServiceDesk.not_delivered``."""
        if delivery is Delivery.UNREACHABLE and outgoing.conversation_id is not None:
            mark_unreachable(unit, unit.conversations.get(outgoing.conversation_id), why, now)
        if outgoing.kind is OutgoingKind.SURVEY:
            self._follow_up.not_delivered(unit, outgoing, delivery, why, now)
        tell_delivery(unit, outgoing, delivery, now)


def tell_delivery(unit: UnitOfWork, outgoing: Outgoing, delivery: Delivery, now: datetime) -> None:
    """Shows staff what became of a line that one of them said; nothing for any other line."""
    if (
        outgoing.conversation_id is None
        or outgoing.message_id is None
        or not outgoing.dedupe_key.startswith(STAFF_KEY)
    ):
        return
    # The case may have been closed in the meantime, and who said it still wants to know.
    case = unit.cases.find_newest(outgoing.conversation_id)
    unit.desk_events.add(
        "delivery",
        case.id if case is not None else None,
        outgoing.conversation_id,
        {"message_id": outgoing.message_id, "delivery": delivery.value},
        now,
    )


def mark_unreachable(unit: UnitOfWork, conversation: Conversation, why: str, now: datetime) -> None:
    """The customer blocked us or is gone: nothing is sent until they write again.

    Reminders end at once. A survey that is not due yet stays planned: when its time comes it goes to
    another identity of theirs, to this one if it wrote meanwhile, or ends as skipped ``unreachable``.
    The conversation must be locked.
    """
    if unit.identities.get(conversation.identity_id).reachable:
        unit.identities.mark_unreachable(conversation.identity_id, why, now)
        tell_reachability(unit, conversation, now, reachable=False)
    for asked in unit.surveys.find_open_of_conversation(conversation.id):
        unit.timers.cancel(follow_up.REMINDER_TIMER, str(asked.id))


def tell_reachability(
    unit: UnitOfWork, conversation: Conversation, now: datetime, *, reachable: bool
) -> None:
    """Shows staff that a customer cannot be reached any more, or can again."""
    case = unit.cases.find_open(conversation.id)
    unit.desk_events.add(
        "reachable",
        case.id if case is not None else None,
        conversation.id,
        {"identity_id": conversation.identity_id, "reachable": reachable},
        now,
    )
