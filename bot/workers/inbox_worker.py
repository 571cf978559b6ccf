"""Works the inbox: one lane at a time per worker, several workers side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta

import structlog

from desk.errors import InvalidInputError, LeaseLostError, StorageUnavailableError
from desk.ports import Transactions, UnitOfWork, Wakeups
from desk.values import Claim, InboxItem

_log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=60)
LOOK_AGAIN = timedelta(seconds=1)
MOST_TRIES = 5
MOST_ITEMS_PER_LEASE = 50
"""Then the lane goes back, so that one busy customer does not keep the others waiting."""

InboxHandler = Callable[[InboxItem, Callable[[UnitOfWork], None]], Awaitable[None]]
"""Handles one item; calls the given function last inside its own transaction, which marks it done."""


def wait_after(attempts: int) -> timedelta:
    """How long a lane waits after its ``attempts``-th failed try: 1, 2, 4, 8 … at most 60 s."""
    return timedelta(seconds=min(2 ** max(attempts - 1, 0), 60))


class InboxWorker:
    """Claims lanes and works their items in order.

    Several loops may run on one worker. One of them watches for lanes; when it has found one it works it and
    the next one watches, so that a message wakes one loop and not all of them.
    """

    def __init__(
        self,
        transactions: Transactions,
        wakeups: Wakeups,
        handlers: Mapping[str, InboxHandler],
        owner: str,
        clock: Callable[[], datetime],
    ) -> None:
        self._transactions = transactions
        self._wakeups = wakeups
        self._handlers = handlers
        self._owner = owner
        self._clock = clock
        self._abandoned: list[Claim] = []
        self._watching = asyncio.Lock()

    async def run(self, is_stopping: Callable[[], bool]) -> None:
        """Works until told to stop; what is in hand is finished first."""
        while not is_stopping():
            try:
                async with self._watching:
                    claimed = await self._watch(is_stopping)
                if claimed is not None:
                    await self._work_lane(*claimed, is_stopping)
            except StorageUnavailableError as error:
                _log.warning("inbox_storage_unavailable", reason=str(error).replace(" ", "_"))
                await self._wakeups.wait("inbox", LOOK_AGAIN)

    async def work_one_lane(self, is_stopping: Callable[[], bool] = lambda: False) -> bool:
        """Claims one lane and works it; False when no lane had anything to do."""
        claimed = await self._claim()
        if claimed is None:
            return False
        await self._work_lane(*claimed, is_stopping)
        return True

    async def _watch(self, is_stopping: Callable[[], bool]) -> tuple[Claim, InboxItem | None] | None:
        """Waits until there is a lane to work and claims it; None when told to stop."""
        while not is_stopping():
            claimed = await self._claim()
            if claimed is not None:
                return claimed
            await self._wakeups.wait("inbox", LOOK_AGAIN)
        return None

    async def _work_lane(self, claim: Claim, item: InboxItem | None, is_stopping: Callable[[], bool]) -> None:
        left = MOST_ITEMS_PER_LEASE
        while item is not None:
            left -= 1
            give_back = left <= 0 or is_stopping()
            try:
                item = await self._work(claim, item, give_back=give_back)
            except LeaseLostError:
                _log.warning("lane_lease_lost", lane=claim.lane)
                return
            except StorageUnavailableError:
                # Given back once storage is there again, or the customer would wait for the lease to end.
                self._abandoned.append(claim)
                raise

    async def _claim(self) -> tuple[Claim, InboxItem | None] | None:
        now = self._clock()
        abandoned = tuple(self._abandoned)

        def work(unit: UnitOfWork) -> tuple[Claim, InboxItem | None] | None:
            for claim in abandoned:
                unit.inbox.release(claim)
            for claim in unit.inbox.claim_lanes(self._owner, 1, LEASE, now):
                item = unit.inbox.find_head(claim, now)
                if item is None:
                    unit.inbox.release(claim)
                return claim, item
            return None

        claimed = await self._transactions.write(work, shared=True)
        self._abandoned = [claim for claim in self._abandoned if claim not in abandoned]
        return claimed

    async def _work(self, claim: Claim, item: InboxItem, *, give_back: bool) -> InboxItem | None:
        """Works one item; in the same transaction it is marked done and the next one is fetched."""
        following: list[InboxItem] = []

        def complete(unit: UnitOfWork) -> None:
            # A transaction may be run again from the start: what the first run found is void then.
            following.clear()
            unit.inbox.finish(claim, item.id)
            self._go_on(unit, claim, following, give_back=give_back)

        handler = self._handlers.get(item.source)
        try:
            if handler is None:
                raise LookupError(f"no handler for source {item.source}")
            await handler(item, complete)
        except (LeaseLostError, StorageUnavailableError):
            raise
        except Exception as error:  # noqa: BLE001 - the boundary of one inbox item
            await self._failed(claim, item, error, following, give_back=give_back)
        return following[0] if following else None

    def _go_on(self, unit: UnitOfWork, claim: Claim, following: list[InboxItem], *, give_back: bool) -> None:
        now = self._clock()
        head = None if give_back else unit.inbox.find_head(claim, now)
        if head is not None and unit.inbox.extend(claim, LEASE, now):
            following.append(head)
        else:
            unit.inbox.release(claim)

    async def _failed(
        self,
        claim: Claim,
        item: InboxItem,
        error: Exception,
        following: list[InboxItem],
        *,
        give_back: bool,
    ) -> None:
        attempts = item.attempts + 1
        name = type(error).__name__
        # What breaks a rule today breaks it tomorrow, and the lane's next items would wait for it.
        is_dead = attempts >= MOST_TRIES or isinstance(error, InvalidInputError)
        _log.error(
            "inbox_item_failed",
            item_id=item.id,
            source=item.source,
            attempts=attempts,
            error_type=name,
            dead=is_dead,
            exc_info=error,
        )
        now = self._clock()

        def work(unit: UnitOfWork) -> None:
            following.clear()
            if is_dead:
                unit.inbox.bury(claim, item.id, name)
                self._go_on(unit, claim, following, give_back=give_back)
            else:
                unit.inbox.retry(claim, item.id, name, now + wait_after(attempts))
                unit.inbox.release(claim)

        await self._transactions.write(work, shared=True)
