"""How fast a bot may write to Telegram, counted so that it holds wherever one looks."""

from __future__ import annotations

import math
from bisect import insort
from collections import deque
from collections.abc import Callable
from datetime import timedelta
from typing import Protocol

from desk.values import SendRank

OVERALL = 25
"""Calls in any second; Telegram speaks of about 30."""
PRIVATE_BURST = 3
PER_GROUP = 20
"""Calls in any minute for one group."""
_SECOND = 1.0
_MINUTE = 60.0
_AT_ONCE = 8
"""What nobody waits for never leaves faster than this many at once, so that a reply soon finds a slot."""
_PORTION = 4
"""It leaves by fours or more where it can: each look at the queue has its price."""
_FLOODED_BY = 3
"""So many recipients with a demanded wait within a second mean that the bot as a whole is too fast."""


class _Limit(Protocol):
    """The limit of one recipient."""

    under_way: int

    def opens_at(self, now: float) -> float:
        """When the next call may begin; never while one is under way."""
        ...

    def end(self, at: float) -> None:
        """A call was answered, or will never be."""
        ...

    def is_idle(self, now: float) -> bool:
        """Whether forgetting it makes no difference."""
        ...


class _Private:
    """A burst, then one each interval.

    Calls come one after the other. Telegram sees a call between its beginning and its answer, so it sees
    the n-th after this one no later than so many intervals after this one's answer as are due by then.
    """

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._opens_at = -math.inf
        self.under_way = 0

    def opens_at(self, now: float) -> float:
        return self._opens_at

    def end(self, at: float) -> None:
        own = at - (PRIVATE_BURST - 2) * self._interval
        self._opens_at = max(self._opens_at + self._interval, own)

    def is_idle(self, now: float) -> bool:
        return self.under_way == 0 and self._opens_at <= now - (PRIVATE_BURST - 1) * self._interval


class _Window:
    """At most so many in any stretch of some seconds. A call counts until one stretch after its answer."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._ended: deque[float] = deque()
        self.under_way = 0

    def room(self, now: float) -> int:
        while self._ended and self._ended[0] + self._seconds <= now:
            self._ended.popleft()
        return max(0, self._most - self.under_way - len(self._ended))

    def opens_at(self, now: float, wanted: int = 1) -> float:
        if self.room(now) >= wanted:
            return -math.inf
        over = self.under_way + len(self._ended) - self._most + wanted - 1
        # With all of them under way only an answer makes room, and nobody knows when it comes.
        return self._ended[over] + self._seconds if over < len(self._ended) else math.inf

    def end(self, at: float) -> None:
        insort(self._ended, at)

    def is_idle(self, now: float) -> bool:
        return self.room(now) == self._most


class TelegramPace:
    """``Pace`` for one bot: 25/s in all, 3 and then 1/s for a person, 20 a minute for a group.

    One call at a time for each recipient: were two under way and the first refused with a wait, the
    second would come before that is over.

    Args:
        seconds_now: A clock without dates, in seconds.
        speed: How many times faster than at Telegram; for tests.
    """

    def __init__(self, seconds_now: Callable[[], float], speed: float = 1.0) -> None:
        self._seconds_now = seconds_now
        self._speed = speed
        self._per_second = OVERALL * speed / _SECOND
        self._overall = _Window(OVERALL, _SECOND / speed)
        self._tokens = float(_AT_ONCE)
        self._counted_at = -math.inf
        self._limits: dict[str, _Limit] = {}
        self._sweep_at = 64
        self._held_until: dict[str, float] = {}
        self._all_held_until = -math.inf
        self._demanded: deque[tuple[float, str]] = deque(maxlen=64)

    def room(self, rank: SendRank = SendRank.FIRST) -> int:
        """See ``Pace.room``."""
        now = self._seconds_now()
        if self._all_held_until > now:
            return 0
        room = self._overall.room(now)
        if rank >= SendRank.BROADCAST:
            tokens = self._count_tokens(now)
            # The tiniest bit less than a whole one is a rounding error.
            room = min(room, int(tokens + 1e-6))
            # With all tokens there it was the overall limit that held it up, and any slot will do.
            room = room if room >= _PORTION or tokens >= _AT_ONCE else 0
        return room

    def held(self) -> frozenset[str]:
        """See ``Pace.held``."""
        now = self._seconds_now()
        held = {
            recipient
            for recipient, limit in self._limits.items()
            if limit.under_way > 0 or limit.opens_at(now) > now
        }
        for recipient, until in list(self._held_until.items()):
            if until > now:
                held.add(recipient)
            else:
                del self._held_until[recipient]
        return frozenset(held)

    def begin(self, recipient: str) -> None:
        """See ``Pace.begin``. The recipient "" is nobody: answers to taps put nothing into a chat."""
        now = self._seconds_now()
        self._overall.under_way += 1
        self._tokens = max(0.0, self._count_tokens(now) - 1)
        limit = self._limit(recipient, now)
        if limit is not None:
            limit.under_way += 1

    def end(self, recipient: str) -> None:
        """See ``Pace.end``."""
        now = self._seconds_now()
        self._overall.under_way -= 1
        self._overall.end(now)
        limit = self._limit(recipient, now)
        if limit is not None:
            limit.under_way -= 1
            limit.end(now)

    def hold(self, recipient: str | None, wait: timedelta) -> None:
        """See ``Pace.hold``. Several recipients within a second mean everything."""
        now = self._seconds_now()
        until = now + wait.total_seconds()
        if recipient is None:
            self._all_held_until = max(self._all_held_until, until)
            return
        self._held_until[recipient] = max(self._held_until.get(recipient, -math.inf), until)
        self._demanded.append((now, recipient))
        lately = {whose for at, whose in self._demanded if at > now - _SECOND}
        if len(lately) >= _FLOODED_BY:
            self._all_held_until = max(self._all_held_until, until)

    def recall(self, recipient: str, ago: timedelta) -> None:
        """See ``Pace.recall``; the oldest first."""
        now = self._seconds_now()
        at = now - max(0.0, ago.total_seconds())
        self._overall.end(at)
        limit = self._limit(recipient, now)
        if limit is not None:
            limit.end(at)

    def next_change(self) -> timedelta:
        """See ``Pace.next_change``. An answer that is awaited is no date; it changes things when it comes."""
        now = self._seconds_now()
        if self._all_held_until > now:
            return _rounded_up(self._all_held_until - now)
        moments = [self._overall.opens_at(now), self._overall.opens_at(now, _PORTION)]
        wanted = _AT_ONCE if self._overall.room(now) < _PORTION else _PORTION
        moments.append(now + (wanted - self._count_tokens(now)) / self._per_second)
        moments += [
            max(limit.opens_at(now), self._held_until.get(recipient, -math.inf))
            for recipient, limit in self._limits.items()
            if limit.under_way == 0
        ]
        moments += self._held_until.values()
        ahead = [moment - now for moment in moments if now < moment < math.inf]
        return _rounded_up(min(ahead)) if ahead else timedelta(0)

    def _count_tokens(self, now: float) -> float:
        """What nobody waits for may leave evenly, and make good what was late; it never saves up a burst."""
        grown = (now - self._counted_at) * self._per_second
        self._tokens = min(float(_AT_ONCE), self._tokens + grown)
        self._counted_at = now
        return self._tokens

    def _limit(self, recipient: str, now: float) -> _Limit | None:
        if not recipient:
            return None
        limit = self._limits.get(recipient)
        if limit is None:
            if len(self._limits) >= self._sweep_at:
                self._limits = {of: one for of, one in self._limits.items() if not one.is_idle(now)}
                self._sweep_at = max(64, 2 * len(self._limits))
            is_group = recipient.startswith("-")
            limit = _Window(PER_GROUP, _MINUTE / self._speed) if is_group else _Private(1.0 / self._speed)
            self._limits[recipient] = limit
        return limit


def _rounded_up(seconds: float) -> timedelta:
    """So that whoever waits that long finds it over."""
    return timedelta(microseconds=math.ceil(seconds * 1e6))
