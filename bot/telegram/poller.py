"""Asks Telegram for updates and stores them before it asks again, which is what confirms them.

The next call of getUpdates confirms everything before its offset, so the offset moves in the transaction that
stores the updates, never ahead of it. Whatever ends the process in between, Telegram still has what is not
on our disk; what is on it and comes again is recognised.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

import structlog
from aiogram import Bot

from bot.telegram import raw_updates
from bot.telegram.raw_updates import RawUpdate
from bot.telegram.session import (
    FetchError,
    SecondPollerError,
    TelegramSession,
    TokenRefusedError,
    WebhookSetError,
)
from bot.telegram.setup import remove_webhook
from desk.errors import StorageUnavailableError
from desk.ports import Transactions
from desk.service_desk import ServiceDesk

_log = structlog.get_logger(__name__)

T = TypeVar("T")

LEASE = timedelta(seconds=60)
"""Longer than a long poll may take, so that nobody takes over while one is going on."""
_RENEW_AFTER = 10.0
_FULL = 100
_GROWS = 4
MOST_STEPS = 100
"""Numbers passed over in a row, at most, while what comes has none that can be read."""
_TOO_SOON = 0.1
_NEAR = 10_000
"""A number guessed from ruins is believed when it is at most this far after the one that was expected."""


@dataclass(frozen=True, slots=True)
class PollerTimes:
    """How long the poller waits, in seconds.

    Attributes:
        poll: How long Telegram may hold a call until there is something, at most 50.
        first_pause: After the first fault; it doubles with each further one up to ``longest_pause``.
        token_pause: After Telegram refused the token, or said that a webhook is set.
        standby: Between looks at whether the process that polls is still there.
    """

    poll: int = 25
    first_pause: float = 1.0
    longest_pause: float = 30.0
    token_pause: float = 60.0
    standby: float = 5.0
    stuck_pause: float = 2.0


class UpdatePoller:
    """The one poller of a bot, over all processes.

    ``supervisor.add(UpdatePoller.name, …run…)`` and ``supervisor.on_stop(poller.stop)``: it is no task that
    only listens, because a commit is not to be cut short; ``stop`` ends a wait for Telegram at once.
    """

    name = "telegram_poller"

    def __init__(
        self,
        bot: Bot,
        service_desk: ServiceDesk,
        transactions: Transactions,
        owner: str,
        clock: Callable[[], datetime],
        times: PollerTimes | None = None,
    ) -> None:
        if not isinstance(bot.session, TelegramSession):
            raise TypeError("the bot needs a TelegramSession")
        self._bot = bot
        self._session = bot.session
        self._desk = service_desk
        self._transactions = transactions
        self._owner = owner
        self._clock = clock
        self._times = times or PollerTimes()
        self._lease = f"telegram-poller:{bot.id}"
        self._bookmark = f"telegram:{bot.id}:offset"
        self._patience: asyncio.Timeout | None = None
        self._ended = False
        self._status = "ok"
        self._faults = 0
        self._renewed_at: float | None = None
        self._webhook_removed = False
        self._offset: int | None = None
        self._limit = _FULL
        self._moved_by: tuple[int | None, bytes] | None = None
        self._false = b""
        self._unnumbered: tuple[int | None, bytes] | None = None
        self._steps = 0

    def status(self) -> str:
        """``ok``, or what keeps updates from coming in."""
        return self._status

    def stop(self) -> None:
        """Ends a wait for Telegram; what is being stored is stored."""
        self._ended = True
        if self._patience is not None:
            self._patience.reschedule(asyncio.get_running_loop().time())

    async def run(self, is_stopping: Callable[[], bool]) -> None:
        """Polls until told to stop. May be run again afterwards."""
        self._ended = is_stopping()
        try:
            while not is_stopping():
                await self._turn()
        except _EndedError:
            pass
        if self._renewed_at is not None:
            self._renewed_at = None
            try:
                await self._transactions.write(lambda unit: unit.leases.release(self._lease, self._owner))
            except StorageUnavailableError:
                _log.warning("telegram_storage_unavailable")

    async def _turn(self) -> None:
        try:
            if not await self._is_the_poller():
                self._status = "ok"  # Another process of this installation does it.
                await self._pause(self._times.standby)
                return
            if not self._webhook_removed:
                await self._interruptible(remove_webhook(self._bot))
                self._webhook_removed = True
            await self._poll()
        except StorageUnavailableError as error:
            # The offset has not moved: the same updates are asked for again.
            _log.warning("telegram_storage_unavailable")
            self._status = "updates cannot be stored"
            await self._pause(error.retry_after.total_seconds())
        except FetchError as error:
            await self._pause(self._wait_after(error))
        else:
            if self._faults:
                _log.info("telegram_polling_again", count=self._faults)
            self._faults = 0
            self._status = "ok"

    async def _is_the_poller(self) -> bool:
        began = time.monotonic()
        if self._renewed_at is not None and began - self._renewed_at < _RENEW_AFTER:
            return True
        now = self._clock()

        acquired = await self._transactions.write(
            lambda unit: unit.leases.acquire(self._lease, self._owner, LEASE, now), shared=True
        )
        if not acquired:
            if self._renewed_at is not None:
                _log.warning("telegram_poller_replaced")
            self._renewed_at = None
            return False
        if self._renewed_at is None or began - self._renewed_at > LEASE.total_seconds():
            # Another process may have polled meanwhile; it left word of how far it came.
            self._begin_at(await self._desk.find_bookmark(self._bookmark))
        self._renewed_at = began
        return True

    def _begin_at(self, bookmark: str | None) -> None:
        is_number = bookmark is not None and bookmark.isascii() and bookmark.isdigit()
        self._offset = int(bookmark) if is_number and bookmark is not None else None
        self._limit = _FULL
        self._moved_by = self._unnumbered = None
        self._false = b""
        self._steps = 0

    # --- What came ----------------------------------------------------------------------------------

    async def _poll(self) -> None:
        limit = self._limit
        began = time.monotonic()
        body = await self._fetch(limit, self._times.poll)
        updates = raw_updates.read_answer(body)
        if updates is None:
            ruins = raw_updates.inside(body)
            if not ruins:
                raise FetchError("an answer that is none of getUpdates")
            if limit > 1:
                _log.warning("telegram_batch_undecodable", count=limit)
                self._limit = 1
                return
            updates = (raw_updates.ruin(ruins),)
        if not updates:
            self._limit = _FULL
            if time.monotonic() - began < _TOO_SOON:
                # A server that does not wait for news would otherwise be asked without end.
                await self._pause(self._times.first_pause)
            return
        digest = hashlib.sha256(body).digest()
        if self._moved_by is not None and self._moved_by[1] == digest:
            # It was confirmed and came again: Telegram knows it by another number than it bears.
            self._offset, self._false = self._moved_by
            self._moved_by, self._limit = None, 1
            _log.warning("telegram_update_id_false")
            return
        following = self._following(updates, digest)
        if following is None:
            await self._pass_over(updates, digest, body)
            return
        await self._store(updates, following)
        self._moved_by, self._offset = (self._offset, digest), following
        self._unnumbered, self._steps = None, 0
        self._limit = min(_FULL, limit * _GROWS)

    def _following(self, updates: Sequence[RawUpdate], digest: bytes) -> int | None:
        """The offset that confirms these updates; None when none of them has a number to go by.

        It is the last number and not the highest: numbers begin anew, perhaps lower, after a quiet week.
        """
        if digest == self._false:
            return None
        for update in reversed(updates):
            if update.update_id is None:
                continue
            guessed = update.fault == raw_updates.NOT_JSON
            if guessed and self._offset is not None and not 0 <= update.update_id - self._offset < _NEAR:
                continue
            return update.update_id + 1
        return None

    async def _pass_over(self, updates: Sequence[RawUpdate], digest: bytes, body: bytes) -> None:
        """Gets past what has no number: by one, after it has come twice in the same place."""
        await self._store(updates, None)
        if self._unnumbered != (self._offset, digest):
            # Once more by itself, so that a passing repetition of old updates never moves the offset.
            self._unnumbered = (self._offset, digest)
            self._limit = 1
            return
        self._unnumbered = None
        if self._offset is None or self._steps >= MOST_STEPS:
            await self._look_behind(raw_updates.inside(body) or b"")
            return
        self._steps += 1
        following = self._offset + 1
        _log.warning("telegram_update_passed_over", update_id=self._offset, count=self._steps)
        await self._store((), following)
        self._offset = following

    async def _look_behind(self, head: bytes) -> None:
        """Gets past what has no number where none is expected either: by the number of what follows it."""
        # Who asks for the same again within half a second gets one update only.
        await self._pause(self._times.stuck_pause)
        body = await self._fetch(_FULL, 0)
        ruins = raw_updates.inside(body)
        if ruins is None:
            raise FetchError("an answer that is none of getUpdates")
        found = raw_updates.find_readable(ruins, len(head)) if ruins.startswith(head) else None
        if found is None:
            _log.warning("telegram_update_unpassable")
            return
        place, update_id = found
        between = ruins[len(head) : place].strip(b" \t\r\n,")
        await self._store((raw_updates.ruin(between),) if between else (), update_id)
        self._offset, self._steps = update_id, 0
        self._moved_by, self._false = None, b""

    async def _store(self, updates: Sequence[RawUpdate], following: int | None) -> None:
        for update in updates:
            if update.fault:
                _log.error("telegram_update_undecodable", update_id=update.update_id, reason=update.fault)
        await self._desk.accept_batch(
            [update.stored for update in updates if not update.fault],
            [(update.stored, update.fault) for update in updates if update.fault],
            None if following is None else (self._bookmark, str(following)),
        )

    # --- Waiting ------------------------------------------------------------------------------------

    async def _fetch(self, limit: int, seconds: int) -> bytes:
        return await self._interruptible(
            self._session.fetch_updates(self._bot, self._offset, limit, seconds, raw_updates.HANDLED)
        )

    def _wait_after(self, error: FetchError) -> float:
        self._faults += 1
        wait = min(self._times.first_pause * 2.0 ** min(self._faults - 1, 20), self._times.longest_pause)
        if isinstance(error, SecondPollerError):
            _log.error("telegram_second_poller", reason="another_program_polls_with_this_token_stop_one")
            self._status = "another program polls with this bot's token; stop one of the two"
        elif isinstance(error, WebhookSetError):
            # Whoever set it wants the updates. Removing it again and again would deal them out at random.
            _log.error("telegram_webhook_in_the_way", reason="another_program_has_set_a_webhook")
            self._status = "another program has set a webhook for this bot; stop it and restart this one"
            wait = self._times.token_pause
        elif isinstance(error, TokenRefusedError):
            _log.error("telegram_token_refused", reason="telegram_does_not_know_this_token")
            self._status = "Telegram refuses the token; get the current one from BotFather"
            wait = self._times.token_pause
        else:
            _log.warning("telegram_poll_failed", attempts=self._faults)
            self._status = "Telegram cannot be reached"
        return max(wait, error.retry_after.total_seconds() if error.retry_after is not None else 0.0)

    async def _pause(self, seconds: float) -> None:
        await self._interruptible(asyncio.sleep(seconds))

    async def _interruptible(self, what: Awaitable[T]) -> T:
        """Awaits something that may be dropped at any moment.

        Raises:
            _EndedError: ``stop`` was called.
        """
        try:
            async with asyncio.timeout(None) as self._patience:
                if self._ended:
                    self.stop()
                return await what
        except TimeoutError:
            raise _EndedError from None
        finally:
            self._patience = None


class _EndedError(Exception):
    """The poller was told to stop while it waited."""
