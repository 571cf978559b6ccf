"""How fast a bot may write: a burst of 3 and 1/s in a private chat, 20/min in a group, 30/s overall."""

from __future__ import annotations

import math
from collections import deque

from telegram_api.clock import Clock
from telegram_api.errors import flood


class _Window:
    """At most ``most`` in any ``seconds``."""

    def __init__(self, most: int, seconds: float) -> None:
        self.most = most
        self.seconds = seconds
        self.times: deque[float] = deque()

    def wait(self, now: float, cost: int) -> float:
        while self.times and self.times[0] <= now - self.seconds:
            self.times.popleft()
        over = len(self.times) + cost - self.most
        if over <= 0:
            return 0.0
        return self.times[min(over, len(self.times)) - 1] + self.seconds - now if self.times else 0.0

    def take(self, now: float, cost: int) -> None:
        self.times.extend([now] * cost)


class _Bucket:
    """A burst of ``most``, and ``rate`` a second after it."""

    def __init__(self, most: int, rate: float, now: float) -> None:
        self.most = most
        self.rate = rate
        self.left = float(most)
        self.seen = now

    def wait(self, now: float, cost: int) -> float:
        self.left = min(self.most, self.left + max(0.0, now - self.seen) * self.rate)
        self.seen = now
        # An album may cost more than a whole burst; it must not wait for ever.
        return max(0.0, (min(cost, self.most) - self.left) / self.rate)

    def take(self, now: float, cost: int) -> None:
        self.left -= cost


class Limits:
    """Keeps to the limits. After a 429 the chat (or the bot) stays shut until ``retry_after`` has passed.

    ``on = False`` switches them off; ``speed = 10`` makes everything ten times as fast, so that a long queue
    can be watched in a short test. The numbers can be changed before the first message.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.on = True
        self.speed = 1.0
        self.burst = 3
        self.per_second = 1.0
        self.group_per_minute = 20
        self.overall_per_second = 30
        self.forget()

    def forget(self) -> None:
        """Begins anew."""
        self._chats: dict[int, _Window | _Bucket] = {}
        self._overall: _Window | None = None
        self._shut: dict[int | None, float] = {}

    def shut_until(self, chat_id: int | None) -> float:
        """Until when (by the clock's ``now``) that chat, or with None the bot, was told to wait."""
        return max(self._shut.get(chat_id, 0.0), self._shut.get(None, 0.0))

    def told_to_wait(self, chat_id: int | None, seconds: float) -> None:
        """Remembers a 429, also one that a fault made."""
        self._shut[chat_id] = max(self._shut.get(chat_id, 0.0), self._clock.now() + seconds)

    def spend(self, chat_id: int, cost: int = 1) -> None:
        """Counts a message; raises the 429 if it is one too many, and then counts nothing."""
        if not self.on:
            return
        now = self._clock.now()
        left = self.shut_until(chat_id) - now
        if left > 0:
            raise flood(math.ceil(left))
        chat = self._chats.get(chat_id)
        if chat is None:
            if chat_id > 0:
                chat = _Bucket(self.burst, self.per_second * self.speed, now)
            else:
                chat = _Window(self.group_per_minute, 60.0 / self.speed)
            self._chats[chat_id] = chat
        if self._overall is None:
            self._overall = _Window(self.overall_per_second, 1.0 / self.speed)
        # A hair's breadth is forgiven: our own clock is not finer than that.
        for shut, rule in ((None, self._overall), (chat_id, chat)):
            wait = rule.wait(now, cost)
            if wait > 0.001:
                seconds = max(1, math.ceil(wait))
                self.told_to_wait(shut, seconds)
                raise flood(seconds)
        self._overall.take(now, cost)
        chat.take(now, cost)
