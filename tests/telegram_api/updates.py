"""The queue of updates: numbered one after the other, kept 24 hours, taps 150 seconds."""

from __future__ import annotations

import json
import random
import threading
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from telegram_api.clock import Clock
from telegram_api.locks import locked

DAY = 86_400.0
TAP_LIFE = 150.0
LONGEST = 64 * 1024
ON_REQUEST_ONLY = {"chat_member", "message_reaction", "message_reaction_count"}


@dataclass(slots=True)
class Update:
    """One update; ``lane`` is the queue it keeps its order in, ``raw`` exactly what is delivered."""

    id: int
    kind: str
    raw: bytes
    lane: Hashable
    dies: float
    fails: int = 0
    delay: float = 1.0
    due: float = 0.0


class UpdateQueue:
    """Holds updates until they are confirmed or too old.

    Messages of one chat share a lane; taps of one person have a lane of their own, so that nothing is
    promised about their order against messages. ``hold`` keeps a lane back before its updates are numbered,
    which is how the others overtake it.
    """

    def __init__(self, clock: Clock, lock: threading.RLock) -> None:
        self.lock = lock
        self._clock = clock
        self.pending: dict[int, Update] = {}
        self.history: dict[int, Update] = {}
        self.again: deque[Update] = deque()
        """Delivered once more with the next batch, whatever is confirmed."""
        self.fresh: deque[Update] = deque()
        """Not yet seen by the webhook."""
        self.too_big: list[tuple[str, int]] = []
        self.allowed: set[str] | None = None
        self.next_id = random.randrange(100_000_000, 900_000_000)
        self.shuffle: random.Random | None = None
        self._held: dict[Hashable, list[tuple[str, Any, float]]] = {}
        self._listeners: list[Callable[[], None]] = []

    def when_changed(self, listener: Callable[[], None]) -> None:
        """Calls the listener after each new update."""
        self._listeners.append(listener)

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()

    def wants(self, kind: str) -> bool:
        """Whether the bot asked for that kind."""
        return kind in self.allowed if self.allowed is not None else kind not in ON_REQUEST_ONLY

    def allow(self, kinds: Any) -> None:
        """Takes ``allowed_updates``; what is no list changes nothing, an empty one means the default."""
        if isinstance(kinds, list) and all(isinstance(kind, str) for kind in kinds):
            self.allowed = {kind.lower() for kind in kinds} or None

    @locked
    def add(self, kind: str, payload: Any, lane: Hashable, life: float = DAY) -> int | None:
        """Adds an update and returns its number; None if it is held back, unwanted or too big."""
        if not self.wants(kind):
            return None
        if lane in self._held:
            self._held[lane].append((kind, payload, self._clock.wall() + life))
            return None
        return self._number(kind, payload, lane, self._clock.wall() + life)

    def _number(self, kind: str, payload: Any, lane: Hashable, dies: float) -> int | None:
        inner = json.dumps(payload, ensure_ascii=False).encode("utf-8", "surrogatepass")
        if len(inner) + len(kind) + 3 > LONGEST:
            self.too_big.append((kind, len(inner)))
            return None
        return self._put(
            lambda number: b'{"update_id":%d,"%s":%s}' % (number, kind.encode(), inner), kind, lane, dies
        )

    @locked
    def add_raw(self, raw: bytes, lane: Hashable, life: float = DAY) -> int:
        """Adds bytes as they are; ``@ID`` in them becomes the number."""
        dies = self._clock.wall() + life
        return self._put(lambda number: raw.replace(b"@ID", str(number).encode()), "raw", lane, dies)

    def _put(self, build: Callable[[int], bytes], kind: str, lane: Hashable, dies: float) -> int:
        number = self.next_id
        self.next_id += 1
        update = Update(number, kind, build(number), lane, dies)
        self.pending[number] = self.history[number] = update
        self.fresh.append(update)
        self._tell()
        return number

    @locked
    def hold(self, lane: Hashable) -> None:
        """Keeps that lane's new updates back."""
        self._held.setdefault(lane, [])

    @locked
    def release(self, lane: Hashable) -> None:
        """Numbers and delivers what was kept back."""
        for kind, payload, dies in self._held.pop(lane, []):
            self._number(kind, payload, lane, dies)

    @locked
    def deliver_again(self, number: int, changed: bool = False) -> None:
        """Delivers an update once more, with ``changed`` in other bytes of the same meaning."""
        old = self.history[number]
        raw = json.dumps(json.loads(old.raw), indent=1).encode() if changed else old.raw
        # A lane of its own: what comes twice may come at any time.
        copy = Update(number, old.kind, raw, ("again", number, len(self.again), random.random()), old.dies)
        self.again.append(copy)
        self.fresh.append(copy)
        self._tell()

    @locked
    def restart_ids(self, first: int | None = None) -> int:
        """Goes on at a random number, as Telegram does after a quiet week.

        Raises:
            ValueError: If updates still wait; the official server restarts an empty queue only.
        """
        self.expire()
        if self.pending:
            raise ValueError(f"{len(self.pending)} updates wait to be confirmed")
        self.next_id = random.randrange(1, 2**31 - 1_000_000) if first is None else first
        return self.next_id

    @locked
    def expire(self) -> None:
        """Drops what is too old."""
        now = self._clock.wall()
        for number in [number for number, update in self.pending.items() if update.dies < now]:
            del self.pending[number]

    @locked
    def forget(self, number: int) -> None:
        """Drops one."""
        self.pending.pop(number, None)

    @locked
    def clear(self) -> None:
        """Drops all."""
        self.pending.clear()
        self.again.clear()
        self.fresh.clear()

    @locked
    def batch(self, offset: int, limit: int) -> list[Update]:
        """Confirms what is before the offset and returns what follows."""
        self.expire()
        numbers = list(self.pending)
        head = numbers[0] if numbers else self.next_id
        if offset < 0:
            offset += self.next_id
        # Far beyond the end or the beginning: not a number of this queue (the numbers began anew).
        if offset > self.next_id + 10 or offset < self.next_id - 200_000:
            offset = head
        for number in numbers:
            if number >= offset:
                break
            del self.pending[number]
        found = [update for update, _ in zip(self.pending.values(), range(limit), strict=False)]
        while self.again and len(found) < limit:
            found.insert(0, self.again.popleft())
        if self.shuffle is not None:
            self.shuffle.shuffle(found)
        return found
