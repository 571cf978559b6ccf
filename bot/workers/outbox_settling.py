"""What follows from how a call to a channel ended, by class of message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.workers.outbox_picking import Picked, end, lock_conversations
from desk.errors import NotSentError, SendRefusedError, UnreachableError
from desk.ports import SendReceipt, UnitOfWork
from desk.service_desk import ServiceDesk
from desk.values import Delivery, Outgoing, OutgoingKind

GIVE_UP_AFTER = timedelta(hours=24)
_ROOM_CLOSED_PAUSE = timedelta(minutes=1)
_ONCE_MORE = frozenset({OutgoingKind.REPLY, OutgoingKind.RELAY})


def wait_after(attempts: int) -> timedelta:
    """How long to wait after the ``attempts``-th failed try: 1, 2, 4 … at most 60 s."""
    return timedelta(seconds=min(2 ** min(max(attempts - 1, 0), 6), 60))


@dataclass(frozen=True, slots=True)
class Ended:
    """A call that has ended, or whose answer nobody will ever hear.

    Attributes:
        outcome: A receipt, or why there is none; any error but the desk's means that it may have left.
        at: When that was known; demanded waits count from here.
    """

    picked: Picked
    outcome: SendReceipt | Exception
    at: datetime


def settle(unit: UnitOfWork, service_desk: ServiceDesk, ended: Ended) -> None:
    """Records what became of a message and of those that were joined with it."""
    head, followers = ended.picked.head, ended.picked.followers
    lock_conversations(unit, [head])
    outcome, now = ended.outcome, ended.at
    if isinstance(outcome, SendReceipt):
        carried = 0 if outcome.unfinished else 1 + outcome.also
        for outgoing in (head, *followers)[:carried]:
            unit.outbox.mark_sent(outgoing, outcome.provider_id, now)
            service_desk.delivered(unit, outgoing, now)
        _put_back(unit, (head, *followers)[carried:], now)
    elif isinstance(outcome, NotSentError | UnreachableError | SendRefusedError):
        # Only the first one is blamed; the others may do better without it.
        settle_failed(unit, service_desk, head, outcome, now)
        _put_back(unit, followers, now)
    else:
        for outgoing in (head, *followers):
            settle_failed(unit, service_desk, outgoing, outcome, now)


def settle_failed(
    unit: UnitOfWork, service_desk: ServiceDesk, outgoing: Outgoing, error: Exception, now: datetime
) -> None:
    """Puts a message that did not, or perhaps did, leave back into the queue, or ends it."""
    name = type(error).__name__
    # What staff must know is told however long it takes; a case that is over by then needs no card any more.
    gives_up = now - outgoing.created_at >= GIVE_UP_AFTER and outgoing.kind is not OutgoingKind.ALERT
    again = None
    if isinstance(error, NotSentError):
        if not gives_up:
            again = error.retry_after or wait_after(outgoing.attempts + 1)
        ending = Delivery.DEAD, name
    elif isinstance(error, UnreachableError):
        if outgoing.kind is OutgoingKind.ALERT:
            # The staff's room, not a customer: somebody may let us in again.
            again = _ROOM_CLOSED_PAUSE
        ending = Delivery.UNREACHABLE, str(error)
    elif isinstance(error, SendRefusedError):
        ending = Delivery.DEAD, str(error)
    else:
        # Not at once: what swallowed this answer would often swallow the next one as well.
        wait = wait_after(outgoing.attempts + 1)
        settle_unknown(unit, service_desk, outgoing, name, now, wait)
        return
    if again is not None:
        unit.outbox.requeue(
            outgoing.id,
            now + again,
            name,
            maybe_duplicate=outgoing.maybe_duplicate,
            demanded=isinstance(error, NotSentError) and error.retry_after is not None,
        )
        return
    delivery, why = ending
    if delivery is Delivery.DEAD and outgoing.kind is OutgoingKind.NOTICE:
        # Nobody can do anything about it, and soon nobody cares.
        delivery = Delivery.UNCERTAIN
    end(unit, service_desk, outgoing, delivery, why, now)


def settle_unknown(
    unit: UnitOfWork, service_desk: ServiceDesk, outgoing: Outgoing, why: str, now: datetime, wait: timedelta
) -> None:
    """A message that may or may not have left is sent again after ``wait``, or ends, by its class."""
    once_more = outgoing.kind in _ONCE_MORE and not outgoing.maybe_duplicate
    if once_more or outgoing.kind is OutgoingKind.ALERT:
        unit.outbox.requeue(outgoing.id, now + wait, why, maybe_duplicate=True)
    else:
        end(unit, service_desk, outgoing, Delivery.UNCERTAIN, why, now)


def put_back(unit: UnitOfWork, picked: Sequence[Picked], now: datetime) -> None:
    """Puts back what was picked but must not leave yet after all; no try is counted."""
    for one in picked:
        _put_back(unit, (one.head, *one.followers), now)


def _put_back(unit: UnitOfWork, outgoings: Sequence[Outgoing], now: datetime) -> None:
    for outgoing in outgoings:
        unit.outbox.requeue(outgoing.id, now, "", maybe_duplicate=outgoing.maybe_duplicate, counts=False)
