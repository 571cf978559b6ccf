"""The sender: takes queued messages in order per lane and hands them to their channels."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

import structlog

from desk.errors import (
    NotSentError,
    OutcomeUnknownError,
    SendError,
    SendRefusedError,
    StorageUnavailableError,
    UnreachableError,
)
from desk.ports import Sender, Transactions, UnitOfWork, Wakeups
from desk.service_desk import ServiceDesk
from desk.values import Delivery, Outgoing, OutgoingKind

_log = structlog.get_logger(__name__)

LOOK_AGAIN = timedelta(seconds=1)
LEASE = timedelta(seconds=15)
SEND_WITHIN = timedelta(seconds=10)
"""Shorter than the lease, so that no other process takes over in the middle of a call."""
BATCH = 64
GIVE_UP_AFTER = timedelta(hours=24)


def wait_after(attempts: int) -> timedelta:
    """How long to wait after the ``attempts``-th failed try: 1, 2, 4 … at most 60 s."""
    return timedelta(seconds=min(2 ** max(attempts - 1, 0), 60))


class OutboxWorker:
    """Sends over one channel, so that a slow one holds up no other. One at a time, by a lease.

    A message whose channel stores in our database leaves inside the transaction that checks the guard.
    Any other is marked ``sending`` and committed before the call, so that a crash in between is known
    as a send of unknown outcome: a survey is then never sent again, a reply once more, an alert again.
    """

    def __init__(
        self,
        transactions: Transactions,
        wakeups: Wakeups,
        service_desk: ServiceDesk,
        sender: Sender,
        owner: str,
        clock: Callable[[], datetime],
    ) -> None:
        self._transactions = transactions
        self._wakeups = wakeups
        self._service_desk = service_desk
        self._sender = sender
        self._lease_name = f"sender:{sender.channel}"
        self._owner = owner
        self._clock = clock
        self._unrecorded: dict[int, tuple[Outgoing, str]] = {}

    @property
    def channel(self) -> str:
        """The channel it sends over."""
        return self._sender.channel

    async def run(self, is_stopping: Callable[[], bool]) -> None:
        """Sends until told to stop."""
        while not is_stopping():
            try:
                sent = await self.send_due()
            except StorageUnavailableError as error:
                _log.warning("outbox_storage_unavailable", reason=str(error).replace(" ", "_"))
                sent = 0
            if sent == 0:
                await self._wakeups.wait("outbox", LOOK_AGAIN)
        # Another process need not wait for the lease to run out.
        with suppress(StorageUnavailableError):
            await self._transactions.write(lambda unit: unit.leases.release(self._lease_name, self._owner))

    async def send_due(self) -> int:
        """Sends one round of what is due; says how many messages were worked on."""
        if self._sender.capabilities.stores_in_database:
            return await self._transactions.write(self._send_stored, shared=True)
        for outgoing, provider_id in list(self._unrecorded.values()):
            await self._record_sent(outgoing, provider_id)
        if not await self._transactions.write(self._settle_stuck):
            return 0
        due = await self._transactions.read(self._find_due)
        for outgoing in due:
            await self._send_over_network(outgoing)
        return len(due)

    # --- Channels that read from our database ----------------------------------------------------------

    def _send_stored(self, unit: UnitOfWork) -> int:
        now = self._clock()
        if not unit.leases.acquire(self._lease_name, self._owner, LEASE, now):
            return 0
        due = unit.outbox.find_due([self._sender.channel], BATCH, now)
        ids = {outgoing.conversation_id for outgoing in due if outgoing.conversation_id is not None}
        conversations = {id: unit.conversations.lock(id) for id in sorted(ids)}
        worked = 0
        for found in due:
            outgoing = unit.outbox.find_queued_for_update(found.id)
            if outgoing is None:
                continue
            worked += 1
            conversation = conversations.get(outgoing.conversation_id or 0)
            why = (
                self._service_desk.why_withhold(unit, outgoing, conversation)
                if conversation is not None
                else None
            )
            if why is None:
                unit.outbox.mark_sent(outgoing, "", now)
            else:
                self._end(unit, outgoing, Delivery.WITHHELD, why, now)
        return worked

    # --- Channels behind a network --------------------------------------------------------------------

    def _find_due(self, unit: UnitOfWork) -> Sequence[Outgoing]:
        return unit.outbox.find_due([self._sender.channel], BATCH, self._clock())

    async def _send_over_network(self, found: Outgoing) -> None:
        outgoing = await self._transactions.write(lambda unit: self._start(unit, found.id))
        if outgoing is None:
            return
        try:
            async with asyncio.timeout(SEND_WITHIN.total_seconds()):
                receipt = await self._sender.send(outgoing)
        except SendError as error:
            _log.warning(
                "send_failed",
                outgoing_id=outgoing.id,
                channel=outgoing.channel,
                kind=outgoing.kind.value,
                error_type=type(error).__name__,
            )
            failure: Exception = error
        except TimeoutError:
            _log.warning("send_timed_out", outgoing_id=outgoing.id, channel=outgoing.channel)
            failure = OutcomeUnknownError("timeout")
        except Exception as error:  # noqa: BLE001 - the boundary of one outbox item
            _log.error("send_crashed", outgoing_id=outgoing.id, channel=outgoing.channel, exc_info=error)
            # Our own fault before or after the call: nobody knows whether it left.
            failure = OutcomeUnknownError(type(error).__name__)
        else:
            await self._record_sent(outgoing, receipt.provider_id)
            return
        await self._transactions.write(lambda unit: self._settle_failed(unit, outgoing, failure))

    def _start(self, unit: UnitOfWork, outgoing_id: int) -> Outgoing | None:
        """Checks the guard once more and records that the call is about to be made."""
        now = self._clock()
        if not unit.leases.acquire(self._lease_name, self._owner, LEASE, now):
            return None
        conversation_id = unit.outbox.get_conversation_id(outgoing_id)
        conversation = unit.conversations.lock(conversation_id) if conversation_id is not None else None
        outgoing = unit.outbox.find_queued_for_update(outgoing_id)
        if outgoing is None:
            return None
        if conversation is not None:
            why = self._service_desk.why_withhold(unit, outgoing, conversation)
            if why is not None:
                self._end(unit, outgoing, Delivery.WITHHELD, why, now)
                return None
            if not unit.identities.get(conversation.identity_id).reachable:
                self._end(unit, outgoing, Delivery.UNREACHABLE, "identity_unreachable", now)
                return None
        unit.outbox.mark_sending(outgoing_id, self._owner, now)
        return outgoing

    async def _record_sent(self, outgoing: Outgoing, provider_id: str) -> None:
        # What is known to have left is recorded late rather than sent again, should storage be away now.
        self._unrecorded[outgoing.id] = (outgoing, provider_id)
        await self._transactions.write(lambda unit: self._settle_sent(unit, outgoing, provider_id))
        del self._unrecorded[outgoing.id]

    def _settle_sent(self, unit: UnitOfWork, outgoing: Outgoing, provider_id: str) -> None:
        if outgoing.conversation_id is not None:
            unit.conversations.lock(outgoing.conversation_id)
        unit.outbox.mark_sent(outgoing, provider_id, self._clock())

    def _settle_stuck(self, unit: UnitOfWork) -> bool:
        """What a dead sender left in ``sending`` has an unknown outcome. False = another one is the sender."""
        now = self._clock()
        if not unit.leases.acquire(self._lease_name, self._owner, LEASE, now):
            return False
        stuck = unit.outbox.find_stuck([self._sender.channel], self._owner, now)
        # Conversations are locked in id order, as in every transaction that locks more than one.
        for outgoing in sorted(stuck, key=lambda found: found.conversation_id or 0):
            self._settle_failed(unit, outgoing, OutcomeUnknownError("sender died while sending"))
        return True

    def _settle_failed(self, unit: UnitOfWork, outgoing: Outgoing, error: Exception) -> None:
        now = self._clock()
        if outgoing.conversation_id is not None:
            unit.conversations.lock(outgoing.conversation_id)
        name = type(error).__name__
        if isinstance(error, NotSentError):
            if now - outgoing.created_at >= GIVE_UP_AFTER:
                self._end(unit, outgoing, Delivery.DEAD, name, now)
            else:
                wait = error.retry_after or wait_after(outgoing.attempts + 1)
                unit.outbox.requeue(outgoing.id, now + wait, name, maybe_duplicate=outgoing.maybe_duplicate)
        elif isinstance(error, UnreachableError):
            self._end(unit, outgoing, Delivery.UNREACHABLE, str(error), now)
        elif isinstance(error, SendRefusedError):
            self._end(unit, outgoing, Delivery.DEAD, str(error), now)
        elif outgoing.kind is OutgoingKind.ALERT:
            unit.outbox.requeue(
                outgoing.id, now + wait_after(outgoing.attempts + 1), name, maybe_duplicate=True
            )
        elif outgoing.kind is OutgoingKind.REPLY and not outgoing.maybe_duplicate:
            unit.outbox.requeue(outgoing.id, now, name, maybe_duplicate=True)
        else:
            self._end(unit, outgoing, Delivery.UNCERTAIN, name, now)

    def _end(self, unit: UnitOfWork, outgoing: Outgoing, delivery: Delivery, why: str, now: datetime) -> None:
        if not unit.outbox.end(outgoing.id, delivery, why, now):
            return
        self._service_desk.not_delivered(unit, outgoing, delivery, why, now)
