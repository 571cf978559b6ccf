"""getUpdates, with one long poll at a time."""

from __future__ import annotations

import asyncio

from telegram_api.clock import Clock
from telegram_api.errors import POLLING_ENDED_BY_WEBHOOK, POLLING_WITH_WEBHOOK, TWO_POLLERS, ApiError
from telegram_api.forms import Params
from telegram_api.updates import UpdateQueue

_LONGEST_WAIT = 50
_MOST_BYTES = 1 << 22
_GATHERING = 0.002


class _LongPoll:
    """A request that waits, until it is woken or ended."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.ended_by = ""

    def end(self, words: str) -> None:
        self.ended_by = self.ended_by or words
        self.event.set()


class Poller:
    """Answers getUpdates.

    Not copied from the official server: it answers the second and later of quick conflicts three seconds
    late, and makes a short poll that repeats an offset wait three seconds.
    """

    def __init__(self, queue: UpdateQueue, clock: Clock) -> None:
        self._queue = queue
        self._clock = clock
        self._waiting: _LongPoll | None = None
        self._last_offset = -1
        self._last_end = float("-inf")

    def wake(self) -> None:
        """There may be something to deliver. Only in the server's own loop."""
        if self._waiting is not None:
            self._waiting.event.set()

    def end_for_webhook(self) -> None:
        """Ends a long poll because a webhook is set."""
        if self._waiting is not None:
            self._waiting.end(POLLING_ENDED_BY_WEBHOOK)

    async def get_updates(self, params: Params, webhook_set: bool) -> bytes:
        """The JSON of the updates that follow the offset.

        Raises:
            ApiError: 409 with a webhook, or when another poller comes.
        """
        if webhook_set:
            raise ApiError(409, POLLING_WITH_WEBHOOK)
        offset = params.number("offset")
        limit = params.number("limit", 100)
        limit = limit if 1 <= limit <= 100 else 100
        timeout = min(max(params.number("timeout"), 0), _LONGEST_WAIT)
        self._queue.allow(params.get("allowed_updates"))
        if offset == self._last_offset and self._clock.now() < self._last_end + 0.5:
            limit = 1
        self._last_offset = offset
        body = self._take(offset, limit)
        if body == b"[]" and timeout:
            body = await self._wait(offset, limit, timeout)
        self._last_end = self._clock.now()
        return body

    async def _wait(self, offset: int, limit: int, timeout: float) -> bytes:
        if self._waiting is not None:
            self._waiting.end(TWO_POLLERS)
        mine = self._waiting = _LongPoll()
        try:
            async with asyncio.timeout(timeout):
                while True:
                    await mine.event.wait()
                    if not mine.ended_by:
                        await asyncio.sleep(_GATHERING)
                    if mine.ended_by:
                        raise ApiError(409, mine.ended_by)
                    mine.event.clear()
                    body = self._take(offset, limit)
                    if body != b"[]":
                        return body
        except TimeoutError:
            return b"[]"
        finally:
            if self._waiting is mine:
                self._waiting = None

    def _take(self, offset: int, limit: int) -> bytes:
        left, parts = _MOST_BYTES, []
        for update in self._queue.batch(offset, limit):
            left -= 50 + len(update.raw)
            if left <= 0:
                break
            parts.append(update.raw)
        return b"[" + b",".join(parts) + b"]"
