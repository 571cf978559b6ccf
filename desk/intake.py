"""What comes in from outside, stored before it is acknowledged."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from desk.errors import ConflictError
from desk.ports import Transactions, UnitOfWork
from desk.values import OrderEvent


@dataclass(frozen=True, slots=True)
class RawInput:
    """Bytes that an edge wants stored before it acknowledges them.

    Attributes:
        source: Which edge (``webchat``, ``orders``, ``telegram``).
        source_key: The sender's own id of it, unique within the source.
        body_hash: SHA-256 of the body, hex.
    """

    source: str
    source_key: str
    body_hash: str
    lane: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Accepted:
    """Raw input is on disk. ``duplicate`` = it was before; ``received_at`` is the first time."""

    received_at: datetime
    duplicate: bool


class Intake:
    """Stores raw input. Holds nothing that must survive."""

    def __init__(self, transactions: Transactions, clock: Callable[[], datetime]) -> None:
        self._transactions = transactions
        self._clock = clock

    async def accept(self, raw: RawInput) -> Accepted:
        """See ``ServiceDesk.accept``."""
        now = self._clock()
        return await self._transactions.write(lambda unit: _store(unit, raw, now), shared=True)

    async def accept_batch(
        self,
        inputs: Sequence[RawInput],
        undecodable: Sequence[tuple[RawInput, str]],
        bookmark: tuple[str, str] | None,
    ) -> int:
        """See ``ServiceDesk.accept_batch``."""
        now = self._clock()

        def work(unit: UnitOfWork) -> int:
            stored = 0
            # Lanes are locked in one order by everybody; within a lane the order stays as it came.
            for raw in sorted(inputs, key=lambda raw: raw.lane):
                added = unit.inbox.add(raw.source, raw.source_key, raw.body_hash, raw.lane, raw.raw, now)
                stored += added is not None
            for raw, error in sorted(undecodable, key=lambda pair: pair[0].lane):
                buried = unit.inbox.bury_new(
                    raw.source, raw.source_key, raw.body_hash, raw.lane, raw.raw, error, now
                )
                stored += buried is not None
            if bookmark is not None:
                unit.bookmarks.set(*bookmark, now)
            return stored

        return await self._transactions.write(work, shared=True)

    async def find_bookmark(self, name: str) -> str | None:
        """See ``ServiceDesk.find_bookmark``."""
        return await self._transactions.read(lambda unit: unit.bookmarks.find(name))

    async def accept_order_event(self, webhook_id: str, event: OrderEvent, raw: bytes) -> Accepted:
        """See ``ServiceDesk.accept_order_event``."""
        now = self._clock()
        body_hash = hash_bytes(raw)

        def work(unit: UnitOfWork) -> Accepted:
            first: datetime | None = None
            for scope, key in (("webhook", webhook_id), ("event", event.id)):
                known = unit.orders.remember_event(scope, key, body_hash, now)
                if known is not None and known.body_hash != body_hash:
                    raise ConflictError(f"{scope} id is known with another body")
                if known is not None:
                    first = known.received_at if first is None else min(first, known.received_at)
            lane = f"order:{event.order.external_id}"
            added = unit.inbox.add("orders", event.id, body_hash, lane, raw, now)
            return Accepted(first or now, duplicate=first is not None or added is None)

        return await self._transactions.write(work, shared=True)


def hash_bytes(body: bytes) -> str:
    """SHA-256 of a body, hex: how input is recognised as the same."""
    return hashlib.sha256(body).hexdigest()


def _store(unit: UnitOfWork, raw: RawInput, now: datetime) -> Accepted:
    for known in unit.inbox.find_keys(raw.source, raw.source_key, raw.lane):
        if known.body_hash != raw.body_hash:
            raise ConflictError("the same id came before with another text")
        return Accepted(known.received_at, duplicate=True)
    unit.inbox.add(raw.source, raw.source_key, raw.body_hash, raw.lane, raw.raw, now)
    return Accepted(now, duplicate=False)
