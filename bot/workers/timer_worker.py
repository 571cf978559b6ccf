"""Fires timers: up to 200 of one kind in one transaction; a failing one is retried alone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

import structlog

from desk.errors import StorageUnavailableError
from desk.ports import Transactions, UnitOfWork, Wakeups
from desk.service_desk import ServiceDesk
from desk.values import Timer

_log = structlog.get_logger(__name__)

BATCH = 200
LOOK_AGAIN = timedelta(seconds=1)
LEASE = timedelta(seconds=15)
MOST_TRIES = 10


class TimerWorker:
    """Fires what is due. One of each name per installation at a time, by a lease.

    Args:
        name: Of the lease.
        only: The kinds to fire; None = all but those of ``without``.
        batch: How many at most in one transaction.
    """

    def __init__(
        self,
        transactions: Transactions,
        wakeups: Wakeups,
        service_desk: ServiceDesk,
        owner: str,
        clock: Callable[[], datetime],
        *,
        name: str = "timers",
        only: Collection[str] | None = None,
        without: Collection[str] = (),
        batch: int = BATCH,
    ) -> None:
        self._transactions = transactions
        self._wakeups = wakeups
        self._service_desk = service_desk
        self._owner = owner
        self._clock = clock
        self._name = name
        self._only = only
        self._without = without
        self._batch = batch

    @property
    def name(self) -> str:
        """Of the lease, and of the task."""
        return self._name

    async def run(self, is_stopping: Callable[[], bool]) -> None:
        """Fires until told to stop."""
        while not is_stopping():
            try:
                fired = await self.fire_due()
            except StorageUnavailableError as error:
                _log.warning("timers_storage_unavailable", reason=str(error).replace(" ", "_"))
                fired = 0
            if fired == 0:
                await self._wakeups.wait("timers", LOOK_AGAIN)
        # Another process need not wait for the lease to run out.
        with suppress(StorageUnavailableError):
            await self._transactions.write(lambda unit: unit.leases.release(self._name, self._owner))

    async def fire_due(self) -> int:
        """Fires one batch of one kind; says how many timers were due, 0 while another process has the lease."""
        due = await self._transactions.read(self._find_due)
        if not due:
            return 0
        try:
            if not await self._fire(due):
                return 0
        except StorageUnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 - the boundary of one batch; each is then tried alone
            if len(due) > 1:
                _log.warning("timer_batch_failed", kind=due[0].kind, count=len(due), exc_info=error)
            for timer in due:
                await self._fire_alone(timer)
        return len(due)

    def _find_due(self, unit: UnitOfWork) -> Sequence[Timer]:
        return unit.timers.find_due(self._clock(), self._batch, only=self._only, without=self._without)

    async def _fire(self, due: Sequence[Timer]) -> bool:
        prepared = await self._service_desk.prepare_timers(due)
        now = self._clock()

        def work(unit: UnitOfWork) -> bool:
            if not unit.leases.acquire(self._name, self._owner, LEASE, now):
                return False
            # Conversations first, in id order, then timers: the order that every transaction keeps.
            self._service_desk.lock_for_timers(unit, due)
            locked = unit.timers.lock([timer.id for timer in due], now)
            self._service_desk.fire_timers(unit, locked, prepared, now)
            return True

        return await self._transactions.write(work)

    async def _fire_alone(self, timer: Timer) -> None:
        try:
            await self._fire([timer])
        except StorageUnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 - the boundary of one timer
            attempts = timer.attempts + 1
            name = type(error).__name__
            is_dead = attempts >= MOST_TRIES
            _log.error(
                "timer_failed",
                timer_id=timer.id,
                kind=timer.kind,
                attempts=attempts,
                dead=is_dead,
                exc_info=error,
            )
            again_at = self._clock() + timedelta(seconds=min(2**attempts, 600))
            if is_dead:
                await self._transactions.write(lambda unit: unit.timers.bury(timer, name))
            else:
                await self._transactions.write(lambda unit: unit.timers.retry(timer, name, again_at))
