"""Which queued messages leave next: chosen, checked once more and marked, in one transaction."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile

from desk.ports import Pace, UnitOfWork
from desk.service_desk import ServiceDesk
from desk.values import Conversation, Delivery, Outgoing, SendRank

JOINED_AT_MOST = 20
"""Lines of a talk that leave as one."""
ALONE = "alone"
"""Set in the payload of a ``RELAY`` row that is never joined with others."""


@dataclass(frozen=True, slots=True)
class Picked:
    """A message that is marked ``sending``, and the rows behind it that may leave joined with it."""

    head: Outgoing
    followers: tuple[Outgoing, ...] = ()


@dataclass(frozen=True, slots=True)
class Room:
    """How much may be picked at one moment.

    Attributes:
        room: Messages in all.
        unhurried: Of these, messages that nobody waits for.
        held: Recipients that nothing may leave for.
        one_each: Whether a recipient gets one message at a time.
    """

    room: int
    unhurried: int
    held: Collection[str] = ()
    one_each: bool = False

    def is_narrower_than(self, later: Room) -> bool:
        """Whether something could leave later that could not leave now."""
        return (
            self.room < later.room
            or (self.unhurried <= 0 < later.unhurried)
            or not set(self.held) <= set(later.held)
        )

    def choose(self, due: Sequence[Outgoing]) -> list[Outgoing]:
        """Those of the due messages that fit, in their order."""
        chosen: list[Outgoing] = []
        unhurried = self.unhurried
        busy: set[str] = set()
        for outgoing in due:
            if len(chosen) >= self.room:
                break
            if self.one_each and outgoing.recipient in busy:
                continue
            if outgoing.rank >= SendRank.BROADCAST:
                if unhurried <= 0:
                    continue
                unhurried -= 1
            if outgoing.recipient:
                busy.add(outgoing.recipient)
            chosen.append(outgoing)
        return chosen


def room_of(pace: Pace | None, batch: int) -> Room:
    """What the pace allows at this moment, at most ``batch``."""
    if pace is None:
        return Room(batch, batch)
    return Room(min(pace.room(), batch), pace.room(SendRank.BROADCAST), pace.held(), one_each=True)


def pick(
    unit: UnitOfWork,
    service_desk: ServiceDesk,
    due: Sequence[Outgoing],
    owner: str,
    now: datetime,
) -> list[Picked]:
    """Asks the guard about each message once more and marks those that leave as ``sending``.

    What may not leave any more ends here. Conversations are locked in id order.
    """
    conversations = lock_conversations(unit, due)
    picked = []
    for found in due:
        head = unit.outbox.find_queued_for_update(found.id)
        if head is None:
            continue
        ending = _why_end(unit, service_desk, head, conversations.get(head.conversation_id or 0))
        if ending is not None:
            end(unit, service_desk, head, *ending, now)
            continue
        followers = _followers(unit, head)
        for outgoing in (head, *followers):
            unit.outbox.mark_sending(outgoing.id, owner, now)
        picked.append(Picked(head, followers))
    return picked


def lock_conversations(unit: UnitOfWork, outgoings: Sequence[Outgoing]) -> dict[int, Conversation]:
    """Locks every conversation of these messages, in id order; by id."""
    ids = {outgoing.conversation_id for outgoing in outgoings if outgoing.conversation_id is not None}
    return {id: unit.conversations.lock(id) for id in sorted(ids)}


def end(
    unit: UnitOfWork,
    service_desk: ServiceDesk,
    outgoing: Outgoing,
    delivery: Delivery,
    why: str,
    now: datetime,
) -> None:
    """Ends a message other than sent, and draws the consequences, unless it has ended already."""
    if unit.outbox.end(outgoing.id, delivery, why, now):
        service_desk.not_delivered(unit, outgoing, delivery, why, now)


def _why_end(
    unit: UnitOfWork, service_desk: ServiceDesk, head: Outgoing, conversation: Conversation | None
) -> tuple[Delivery, str] | None:
    if conversation is None:
        return None
    why = service_desk.why_withhold(unit, head, conversation)
    if why is not None:
        return Delivery.WITHHELD, why
    if not unit.identities.get(conversation.identity_id).reachable:
        return Delivery.UNREACHABLE, "identity_unreachable"
    return None


def _followers(unit: UnitOfWork, head: Outgoing) -> tuple[Outgoing, ...]:
    if head.payload.get(ALONE):
        return ()
    found = unit.outbox.find_followers(head, JOINED_AT_MOST)
    return tuple(takewhile(lambda row: not row.payload.get(ALONE), found))
