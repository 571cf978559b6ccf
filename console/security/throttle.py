"""How often a login may be tried."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from weakref import WeakValueDictionary

from desk.errors import TooFastError
from desk.ports import Transactions, UnitOfWork

_LIMITS = {"login_ip": (5, timedelta(minutes=5)), "login_account": (10, timedelta(minutes=15))}


class LoginThrottle:
    """Five failures per 5 minutes and address, ten per 15 minutes and account (T10).

    Unknown logins count as accounts too, so that the limit does not tell which exist. Keys are stored
    as keyed hashes: the table holds neither addresses nor what somebody typed into the wrong field.
    """

    def __init__(self, transactions: Transactions, key: str) -> None:
        self._transactions = transactions
        self._key = hashlib.sha256(f"login throttle {key}".encode()).digest()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def guarded(self, network: str, login: str, now: datetime) -> AsyncIterator[LoginAttempt]:
        """One attempt at a time per address and per account, so that parallel ones cannot slip through.

        Raises:
            TooFastError: Over a limit.
        """
        keys = {"login_ip": self._hash(network), "login_account": self._hash(login.casefold())}
        # Always the address first, then the account: two attempts can never wait for each other.
        first, second = (self._lock(f"{scope}:{keys[scope]}") for scope in _LIMITS)
        async with first, second:
            await self._transactions.read(lambda unit: _check(unit, keys, now))
            yield LoginAttempt(self._transactions, keys, now)

    def _lock(self, name: str) -> asyncio.Lock:
        lock = self._locks.get(name)
        if lock is None:
            lock = self._locks[name] = asyncio.Lock()
        return lock

    def _hash(self, text: str) -> str:
        return hmac.new(self._key, text.encode("utf-8", "surrogatepass"), "sha256").hexdigest()


def _check(unit: UnitOfWork, keys: dict[str, str], now: datetime) -> None:
    for scope, (most, within) in _LIMITS.items():
        if unit.staff.count_failures(scope, keys[scope], now - within) >= most:
            raise TooFastError(within)


class LoginAttempt:
    """One attempt under way."""

    def __init__(self, transactions: Transactions, keys: dict[str, str], now: datetime) -> None:
        self._transactions = transactions
        self._keys = keys
        self._now = now

    async def failed(self, staff_id: int | None) -> None:
        """Counts it against the address and the account, and audits it for a login that exists."""

        def record(unit: UnitOfWork) -> None:
            for scope, key in self._keys.items():
                unit.staff.record_failure(scope, key, self._now)
            if staff_id is not None:
                unit.staff.audit(staff_id, "login_failed", f"staff:{staff_id}", "", self._now)

        await self._transactions.write(record)

    def clear(self, unit: UnitOfWork) -> None:
        """Forgets the account's failures; the address keeps its own, which others may have made."""
        unit.staff.clear_failures("login_account", self._keys["login_account"])
