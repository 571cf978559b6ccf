"""The sender: takes queued messages in order per lane and hands them to their channels."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from bot.workers.outbox_picking import Picked, Room, end, lock_conversations, pick, room_of
from bot.workers.outbox_settling import Ended, put_back, settle, settle_unknown
from bot.workers.snooze import Snooze
from desk.errors import (
    NotSentError,
    OutcomeUnknownError,
    SendError,
    StorageUnavailableError,
)
from desk.ports import Sender, SendReceipt, Transactions, UnitOfWork, Wakeups
from desk.service_desk import ServiceDesk
from desk.values import Delivery, Outgoing, OutgoingKind

_log = structlog.get_logger(__name__)

LOOK_AGAIN = timedelta(seconds=1)
LEASE = timedelta(seconds=15)
SEND_WITHIN = timedelta(seconds=10)
"""Shorter than the lease, so that no other process takes over in the middle of a call."""
KEEP_LEASE_EVERY = timedelta(seconds=3)
STORED_BATCH = 64
"""Messages that leave in one transaction where the channel reads from our database."""
CALLS_AT_ONCE = 8
"""Calls of one loop side by side; the loop waits for the slowest of them."""
LOOPS = 8
"""Loops on one worker whose channel is behind a network. One that hangs holds up no other."""

_REMEMBER_CALLS = timedelta(seconds=70)
_ANSWERED_WITHIN = timedelta(seconds=2)
"""When a call of an earlier process was answered is not on record; this is how late it may have been."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What a look at the queue gave: how many messages were worked on, and those whose calls begin now."""

    worked: int = 0
    picked: Sequence[Picked] = ()


@dataclass(frozen=True, slots=True)
class _Past:
    """What a process that becomes the sender must know of the calls before it."""

    calls: Sequence[tuple[str, datetime]] = ()
    waits: Sequence[tuple[str, datetime]] = ()


class OutboxWorker:
    """Sends over one channel, so that a slow one holds up no other. One process at a time, by a lease.

    A message whose channel stores in our database leaves inside the transaction that checks the guard.
    Any other is marked ``sending`` and committed before the call, so that a crash in between is known
    as a send of unknown outcome: a survey is then never sent again, a reply once more, an alert again.

    Several loops may run on one worker. One of them watches the queue and takes what may leave now; then
    it makes the calls and the next one watches. A message under way blocks its lane, so order is kept.
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
        self._watching = asyncio.Lock()
        self._snooze = Snooze(wakeups, "outbox")
        self._kept_at: datetime | None = None
        self._unsettled: dict[int, Ended] = {}
        self._running = 0
        self._is_busy = False
        self._room = Room(0, 0)

    @property
    def channel(self) -> str:
        """The channel it sends over."""
        return self._sender.channel

    @property
    def loops(self) -> int:
        """How many times ``run`` should run side by side."""
        return 1 if self._sender.capabilities.stores_in_database else LOOPS

    async def run(self, is_stopping: Callable[[], bool]) -> None:
        """Sends until told to stop."""
        self._running += 1
        try:
            while not is_stopping():
                try:
                    async with self._watching:
                        picked = await self._watch(is_stopping)
                    await self._send_all(picked)
                except StorageUnavailableError as error:
                    _log.warning("outbox_storage_unavailable", reason=str(error).replace(" ", "_"))
                    await self._wakeups.wait("outbox", LOOK_AGAIN)
        finally:
            self._running -= 1
        if self._running == 0:
            # Another process need not wait for the lease to run out.
            with suppress(StorageUnavailableError):
                await self._transactions.write(
                    lambda unit: unit.leases.release(self._lease_name, self._owner)
                )

    async def send_due(self) -> int:
        """Sends one round of what is due; says how many messages were worked on."""
        async with self._watching:
            found = await self._look()
        await self._send_all(found.picked)
        return found.worked

    async def _watch(self, is_stopping: Callable[[], bool]) -> Sequence[Picked]:
        """Waits until something may leave and returns it; nothing when told to stop."""
        while not is_stopping():
            self._snooze.look()
            found = await self._look()
            if found.picked:
                return found.picked
            if not found.worked:
                await self._snooze.wait(await self._idle_for())
        return ()

    async def _look(self) -> _Found:
        if self._sender.capabilities.stores_in_database:
            # The bell rings for other channels too, and a look costs no commit.
            if not await self._transactions.read(self._find_stored):
                return _Found()
            return _Found(await self._transactions.write(self._send_stored, shared=True))
        for ended in list(self._unsettled.values()):
            await self._settle(ended)
        if not await self._keep_lease():
            return _Found()
        return await self._pick()

    # --- Channels that read from our database ----------------------------------------------------------

    def _find_stored(self, unit: UnitOfWork) -> Sequence[Outgoing]:
        return unit.outbox.find_due([self._sender.channel], 1, self._clock())

    def _send_stored(self, unit: UnitOfWork) -> int:
        now = self._clock()
        if not unit.leases.acquire(self._lease_name, self._owner, LEASE, now):
            return 0
        due = unit.outbox.find_due([self._sender.channel], STORED_BATCH, now)
        conversations = lock_conversations(unit, due)
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
                self._service_desk.delivered(unit, outgoing, now)
            else:
                end(unit, self._service_desk, outgoing, Delivery.WITHHELD, why, now)
        return worked

    # --- Channels behind a network: what leaves next -----------------------------------------------------

    async def _keep_lease(self) -> bool:
        """Takes or prolongs the lease and settles what is stuck, now and then. False = another one sends."""
        now = self._clock()
        if self._kept_at is not None and abs(now - self._kept_at) < KEEP_LEASE_EVERY:
            return True
        is_new = self._kept_at is None
        past = await self._transactions.write(lambda unit: self._lead(unit, is_new))
        self._kept_at = None if past is None else now
        if past is None:
            return False
        self._recall(past, now)
        return True

    def _lead(self, unit: UnitOfWork, is_new: bool) -> _Past | None:
        now = self._clock()
        if not unit.leases.acquire(self._lease_name, self._owner, LEASE, now):
            return None
        channel, past = self._sender.channel, _Past()
        if is_new and self._sender.pace is not None:
            past = _Past(
                unit.outbox.find_calls_since(channel, now - _REMEMBER_CALLS),
                unit.outbox.find_demanded_waits(channel, now),
            )
        # What a dead sender left in ``sending`` has an unknown outcome. Conversations are locked in id
        # order, as in every transaction that locks more than one.
        stuck = unit.outbox.find_stuck([channel], self._owner, now)
        lock_conversations(unit, stuck)
        for outgoing in stuck:
            settle_unknown(unit, self._service_desk, outgoing, "sender_died", now, timedelta(0))
        return past

    def _recall(self, past: _Past, now: datetime) -> None:
        pace = self._sender.pace
        if pace is None:
            return
        for recipient, began_at in past.calls:
            pace.recall(recipient, max(timedelta(0), now - began_at - _ANSWERED_WITHIN))
        for recipient, until in past.waits:
            pace.hold(recipient, until - now)

    async def _pick(self) -> _Found:
        room = self._room = room_of(self._sender.pace, CALLS_AT_ONCE)
        if room.room <= 0:
            return _Found()

        def find(unit: UnitOfWork) -> Sequence[Outgoing]:
            return unit.outbox.find_due([self._sender.channel], room.room, self._clock(), room.held)

        # A look costs no commit, and most looks find nothing; not so in the middle of a long queue.
        expects = self._is_busy and room.unhurried > 0
        if not expects and not room.choose(await self._transactions.read(find)):
            return _Found()

        def work(unit: UnitOfWork) -> tuple[int, list[Picked]] | None:
            now = self._clock()
            if not unit.leases.acquire(self._lease_name, self._owner, LEASE, now):
                return None
            due = room.choose(find(unit))
            return len(due), pick(unit, self._service_desk, due, self._owner, now)

        found = await self._transactions.write(work)
        if found is None:
            self._kept_at = None
            return _Found()
        worked, picked = found
        self._is_busy = worked > 0
        return _Found(worked, await self._begin(picked))

    async def _begin(self, picked: Sequence[Picked]) -> list[Picked]:
        """Begins with what may still leave: the channel may have demanded a wait since we looked."""
        pace = self._sender.pace
        if pace is None:
            return list(picked)
        begun, late = [], []
        for one in picked:
            if pace.room() <= 0 or one.head.recipient in pace.held():
                late.append(one)
            else:
                pace.begin(one.head.recipient)
                begun.append(one)
        if late:
            try:
                await self._transactions.write(lambda unit: put_back(unit, late, self._clock()), shared=True)
            except BaseException:
                for one in begun:
                    pace.end(one.head.recipient)
                raise
        return begun

    async def _idle_for(self) -> timedelta:
        """How long nothing more can happen by itself; no time at all where it has happened already."""
        if self._sender.capabilities.stores_in_database:
            return LOOK_AGAIN
        moments, looked_with = [LOOK_AGAIN], self._room
        if looked_with.room > 0:
            due_at = await self._transactions.read(lambda unit: unit.outbox.next_due_at(self._sender.channel))
            if due_at is not None:
                moments.append(due_at - self._clock())
        pace = self._sender.pace
        if pace is not None:
            # First what is to come, then what has come since we looked: nothing falls in between.
            moments.append(pace.next_change())
            if looked_with.is_narrower_than(room_of(pace, CALLS_AT_ONCE)):
                return timedelta(0)
        return min(moment for moment in moments if moment > timedelta(0))

    # --- Channels behind a network: the call and what follows ----------------------------------------------

    async def _send_all(self, picked: Sequence[Picked]) -> None:
        """Makes the calls side by side; each is settled as soon as its own answer is there."""
        results = await asyncio.gather(*(self._send(one) for one in picked), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _send(self, picked: Picked) -> None:
        recipient, pace = picked.head.recipient, self._sender.pace
        try:
            outcome = await self._call(picked)
            if pace is not None and isinstance(outcome, NotSentError) and outcome.retry_after is not None:
                pace.hold(recipient, outcome.retry_after)
        finally:
            if pace is not None:
                pace.end(recipient)
        await self._settle(Ended(picked, outcome, self._clock()))
        self._snooze.nudge()

    async def _call(self, picked: Picked) -> SendReceipt | Exception:
        head = picked.head
        try:
            async with asyncio.timeout(SEND_WITHIN.total_seconds()):
                return await self._sender.send(head, picked.followers)
        except SendError as error:
            log = _log.info if head.kind is OutgoingKind.NOTICE else _log.warning
            log(
                "send_failed",
                outgoing_id=head.id,
                channel=head.channel,
                kind=head.kind.value,
                error_type=type(error).__name__,
            )
            return error
        except TimeoutError:
            _log.warning("send_timed_out", outgoing_id=head.id, channel=head.channel)
            return OutcomeUnknownError("timeout")
        except Exception as error:  # noqa: BLE001 - the boundary of one outbox item
            _log.error("send_crashed", outgoing_id=head.id, channel=head.channel, exc_info=error)
            # Our own fault before or after the call: nobody knows whether it left.
            return OutcomeUnknownError(type(error).__name__)

    async def _settle(self, ended: Ended) -> None:
        head_id = ended.picked.head.id
        try:
            await self._transactions.write(lambda unit: settle(unit, self._service_desk, ended), shared=True)
        except StorageUnavailableError:
            # What is known is recorded late rather than taken for unknown, should storage be away now.
            self._unsettled[head_id] = ended
            raise
        self._unsettled.pop(head_id, None)
