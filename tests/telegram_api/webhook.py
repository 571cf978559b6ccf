"""Delivery to a webhook: a lane keeps its order, a failed update is tried again and blocks its lane only."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import json
import random
import ssl
import traceback
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

from telegram_api.clock import Clock
from telegram_api.updates import Update, UpdateQueue
from telegram_api.webhook_client import Response, WebhookClient

_LONGEST_RETRY_AFTER = 3600
_CAP = (60, 120)
_GONE_AFTER = 23 * 3600.0


@dataclass
class Settings:
    """What setWebhook said."""

    url: str = ""
    secret: str = ""
    max_connections: int = 40
    ip_address: str = ""
    last_error_date: int = 0
    last_error_message: str = ""


@dataclass
class Delivery:
    """One attempt, for tests to look at. ``status`` 0 means that no answer came."""

    update_id: int
    lane: Hashable
    at: float
    status: int = 0
    error: str = ""
    took: float = 0.0


@dataclass
class _Lane:
    updates: deque[Update] = field(default_factory=deque)


class WebhookSender:
    """Posts updates to the webhook.

    A failed update is tried again at once, then after 2, 4, 8 … seconds up to a random 60 to 120;
    ``Retry-After`` of the answer counts instead (up to an hour). ``hurry = 20`` makes those delays twenty
    times as short. 410 for 23 hours removes the webhook.
    """

    def __init__(
        self,
        queue: UpdateQueue,
        clock: Clock,
        call_method: Callable[[dict[str, Any]], None],
    ) -> None:
        self._queue = queue
        self._clock = clock
        self._call_method = call_method
        self.trust: ssl.SSLContext | None = None
        """Which certificates an https:// webhook may have; None: those that everybody trusts."""
        self.settings = Settings()
        self.hurry = 1.0
        self.timeout = 60.0
        self.keep_order = True
        """False gives every update a lane of its own."""
        self.deliveries: list[Delivery] = []
        self.errors: list[str] = []
        self._wake = asyncio.Event()
        self._loop_task: asyncio.Task[None] | None = None
        self._sending: set[asyncio.Task[None]] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self._lanes: dict[Hashable, _Lane] = {}
        self._ready: list[tuple[float, int, Hashable]] = []
        self._numbers = itertools.count()
        self._gone_since: float | None = None

    @property
    def active(self) -> bool:
        """Whether a webhook is set."""
        return bool(self.settings.url)

    @property
    def is_busy(self) -> bool:
        """Whether anything is on its way or to be tried again, copies included."""
        return bool(self._lanes)

    def wake(self) -> None:
        """There may be something to do. Only in the server's own loop."""
        self._wake.set()

    def set(self, settings: Settings) -> None:
        """Sets or removes the webhook. What was on its way is delivered anew."""
        self._abandon()
        self.settings = settings
        if settings.url:
            self._lanes.clear()
            self._ready.clear()
            self._queue.expire()
            self._queue.fresh = deque([*self._queue.pending.values(), *self._queue.again])
            self._queue.again.clear()
            self._gone_since = None
            self._loop_task = asyncio.get_running_loop().create_task(self._run(settings))

    def _abandon(self) -> None:
        for task in (*self._sending, *([self._loop_task] if self._loop_task else [])):
            task.cancel()
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
        self._loop_task = None

    async def stop(self) -> None:
        """Ends all deliveries."""
        self._abandon()
        await asyncio.gather(*self._ending, return_exceptions=True)

    async def _run(self, settings: Settings) -> None:
        headers = {"Content-Type": "application/json", "Accept-Encoding": "gzip, deflate"}
        if settings.secret:
            headers["X-Telegram-Bot-Api-Secret-Token"] = settings.secret
        client = WebhookClient(settings.url, headers, self.trust)
        try:
            while True:
                self._wake.clear()
                self._sort_in()
                wait = self._start_ready(client, settings)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._wake.wait()
        finally:
            client.close()

    def _sort_in(self) -> None:
        while self._queue.fresh:
            update = self._queue.fresh.popleft()
            key = update.lane if self.keep_order else ("alone", next(self._numbers))
            lane = self._lanes.setdefault(key, _Lane())
            lane.updates.append(update)
            update.due = self._clock.now()
            if len(lane.updates) == 1:
                heapq.heappush(self._ready, (update.due, next(self._numbers), key))

    def _start_ready(self, client: WebhookClient, settings: Settings) -> float | None:
        while self._ready and len(self._sending) < settings.max_connections:
            due, _, key = self._ready[0]
            left = due - self._clock.now()
            if left > 0:
                return left
            heapq.heappop(self._ready)
            task = asyncio.get_running_loop().create_task(self._send(client, settings, key))
            self._sending.add(task)
            task.add_done_callback(self._sent)
        return None

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        self._wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            self.errors.append("".join(traceback.format_exception(error)))

    async def _send(self, client: WebhookClient, settings: Settings, key: Hashable) -> None:
        lane = self._lanes[key]
        update = lane.updates[0]
        if update.dies < self._clock.wall():
            self._finish(key, update)
            return
        delivery = Delivery(update.id, update.lane, self._clock.now())
        self.deliveries.append(delivery)
        retry_after = 0
        try:
            async with asyncio.timeout(self.timeout):
                response = await client.post(update.raw)
        except TimeoutError:
            delivery.error = "Read timeout expired"
        except ConnectionRefusedError:
            delivery.error = "Connection refused"
        except OSError:
            delivery.error = "Connection reset by peer"
        else:
            delivery.status = response.status
            delivery.error, retry_after = self._judge(response)
        delivery.took = self._clock.now() - delivery.at
        if not delivery.error:
            self._finish(key, update)
            return
        settings.last_error_date = int(self._clock.wall())
        settings.last_error_message = delivery.error
        self._try_again(key, update, retry_after)

    def _judge(self, response: Response) -> tuple[str, int]:
        """What was wrong with an answer (empty: nothing), and how long it asks us to wait."""
        if 200 <= response.status <= 299:
            self._gone_since = None
            self._call_from(response)
            return "", 0
        if response.status != 410:
            self._gone_since = None
        elif self._gone_since is None:
            self._gone_since = self._clock.now()
        elif self._clock.now() > self._gone_since + _GONE_AFTER:
            self.set(Settings())
        wish = response.headers.get("retry-after", "0")
        seconds = int(wish) if wish.isdecimal() else 0
        words = f"Wrong response from the webhook: {response.status} {response.reason}"
        return words, min(seconds, _LONGEST_RETRY_AFTER)

    def _call_from(self, response: Response) -> None:
        try:
            body = json.loads(response.body)
        except ValueError:
            return
        if isinstance(body, dict) and isinstance(body.get("method"), str):
            method = body["method"].lower()
            if not method.startswith("get") and method not in {
                "setwebhook",
                "deletewebhook",
                "close",
                "logout",
            }:
                self._call_method(body)

    def _finish(self, key: Hashable, update: Update) -> None:
        if self._queue.pending.get(update.id) is update:  # Not for a copy that was delivered once more.
            self._queue.forget(update.id)
        lane = self._lanes[key]
        lane.updates.popleft()
        if lane.updates:
            heapq.heappush(self._ready, (lane.updates[0].due, next(self._numbers), key))
        else:
            del self._lanes[key]

    def _try_again(self, key: Hashable, update: Update, retry_after: int) -> None:
        wait = float(retry_after)
        if not retry_after and update.fails:
            update.delay = min(random.randint(*_CAP), update.delay * 2)
            wait = update.delay
        if self._clock.wall() + wait > update.dies:
            self._finish(key, update)
            return
        update.fails += 1
        update.due = self._clock.now() + wait / self.hurry
        heapq.heappush(self._ready, (update.due, next(self._numbers), key))
