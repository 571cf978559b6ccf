"""Passwords: hashed with argon2id in a thread, checked in the same time whether the login exists or not."""

from __future__ import annotations

import asyncio
import secrets
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from desk.errors import InvalidInputError

_SHORTEST = 10
_LONGEST = 256
# No look-alikes (0/O, 1/l/I): the first password is read from a terminal and typed by hand.
_ALPHABET = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_TRIVIAL = (
    "1234567890",
    "0123456789",
    "123456",
    "password",
    "qwertyuiop",
    "qwerty",
    "letmein",
    "admin",
    "huiyin",
)


@cache
def _hash_of_nobody(time_cost: int, memory_kib: int, parallelism: int) -> str:
    """What a login is checked against that does not exist; made once, for making it takes its time."""
    hasher = PasswordHasher(time_cost=time_cost, memory_cost=memory_kib, parallelism=parallelism)
    return hasher.hash(secrets.token_urlsafe(16))


class Passwords:
    """Hashes and checks passwords.

    The defaults are RFC 9106's second recommendation (64 MiB, three passes). At most two run at once,
    so that a flood of logins costs neither all memory nor all cores.
    """

    def __init__(self, time_cost: int = 3, memory_kib: int = 65536, parallelism: int = 4) -> None:
        self._hasher = PasswordHasher(time_cost=time_cost, memory_cost=memory_kib, parallelism=parallelism)
        self._costs = (time_cost, memory_kib, parallelism)
        self._room = asyncio.Semaphore(2)

    async def hash(self, password: str) -> str:
        """The encoded argon2id hash of a password."""
        async with self._room:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def matches(self, password_hash: str | None, password: str) -> bool:
        """Whether the password fits; with None (nobody of that login) it works as hard and says no."""
        async with self._room:
            # Asked for in both cases, so that the very first login takes as long either way.
            nobody = await asyncio.to_thread(_hash_of_nobody, *self._costs)
            fits = await asyncio.to_thread(self._verify, password_hash or nobody, password)
        return fits and password_hash is not None

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False


def new_password() -> str:
    """A generated password: 16 characters, 93 bits, without look-alikes."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(16))


def check_new_password(password: str, login: str) -> None:
    """Refuses a password that is too short, too long or among the first that anybody tries.

    Raises:
        InvalidInputError: The reason is a key of ``console.texts``.
    """
    if len(password) < _SHORTEST:
        raise InvalidInputError("password", "password.too_short")
    if len(password) > _LONGEST:
        raise InvalidInputError("password", "password.too_long")
    plain = password.casefold()
    # The login first: a trivial word may be part of it.
    for known in (login.casefold(), *_TRIVIAL):
        plain = plain.replace(known, "") if known else plain
    if len(plain) < 4 or len(set(password)) < 4:
        raise InvalidInputError("password", "password.too_easy")
