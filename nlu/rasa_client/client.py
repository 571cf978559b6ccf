"""The client of a Rasa 3.6 server: ``POST /model/parse`` and ``GET /status``, nothing else."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping

import structlog

from desk.errors import UnderstandingError
from nlu.rasa_client.answer_cache import AnswerCache
from nlu.rasa_client.answers import read_parsed, read_status
from nlu.rasa_client.breaker import Breaker, BreakerState, Turn
from nlu.rasa_client.connection import Answer, Connections, Place
from nlu.rasa_client.limits import Limits
from nlu.rasa_client.sendable import make_sendable
from nlu.rasa_client.values import Failure, Parsed, RasaStatus

_log = structlog.get_logger(__name__)

FIGURES: Mapping[str, str] = {
    "rasa_calls": "Texts that were to be understood by Rasa, blank ones left out",
    "rasa_cache_hits": "Texts among them whose answer was known",
    "rasa_cached": "Answers that are known now",
    "rasa_breaker": "0 = Rasa is asked, 1 = one message tries it again, 2 = it failed and is left alone",
} | {f"rasa_failures_{failure}": f"Texts that Rasa did not understand: {failure}" for failure in Failure}
"""What ``RasaClient.figures`` holds, each with its meaning."""

_FAILURE_OF_STATUS = {401: Failure.UNAUTHORISED, 403: Failure.UNAUTHORISED, 409: Failure.UNLOADED}
# With less time left nobody is asked: Rasa would work on what is no longer waited for.
_LEAST_SECONDS = 0.05
# None of these says that Rasa is ill.
_NOT_ITS_FAULT = (Failure.BUSY, Failure.RESTING, Failure.CLOSED)


class RasaClient:
    """Asks one Rasa server.

    Its answers are checked, kept by their exact text while the model stays the same, and limited in time
    and number. When Rasa fails again and again it is left alone for a while, and all calls fail at once.
    For one event loop; ``close`` it there.

    Args:
        url: Where Rasa listens, ``http://127.0.0.1:5005``.
        token: Of ``rasa run --auth-token``; None where it asks for none.
        intents: The intents that Rasa may answer; an answer with another one is rubbish.
        limits: Times and numbers.
        seconds_now: A monotonic clock for the pauses of the breaker.
    """

    def __init__(
        self,
        url: str,
        token: str | None,
        intents: Collection[str],
        limits: Limits | None = None,
        seconds_now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits or Limits()
        self._place = Place(url, token)
        self._intents = {name: name for name in intents}
        self._seconds_now = seconds_now
        self._connections = Connections(self._limits.connect, self._limits.at_once)
        self._permits = asyncio.Semaphore(self._limits.at_once)
        self._cache = AnswerCache(self._limits.cached)
        self._breaker = self._new_breaker()
        self._calls = self._hits = 0
        # Of the event loop's clock; nobody was answered yet.
        self._answered_at = float("-inf")
        self._failures: Counter[Failure] = Counter()

    async def parse(self, text: str, within: float | None = None) -> Parsed:
        """Asks what a text means.

        Args:
            text: Any text; its first 1,000 visible characters count, blanks around them do not. A leading
                ``/`` is a character like any other.
            within: Seconds for everything, waiting for a turn included; never more than the limit.

        Returns:
            What Rasa said; nothing, without asking it, for a text with no visible character.

        Raises:
            UnderstandingError: There is no sound answer within the time. It says why in one constant word.
        """
        sendable = make_sendable(text)
        if not sendable.text:
            return Parsed(cut=sendable.cut)
        self._calls += 1
        known = self._cache.get(sendable.text)
        if known is not None:
            self._hits += 1
            return sendable.restore(known)
        seconds = self._limits.total if within is None else min(within, self._limits.total)
        answer = await self._take_turn(sendable.text, asyncio.get_running_loop().time() + seconds)
        if isinstance(answer, Failure):
            self._failures[answer] += 1
            raise _error(answer)
        return sendable.restore(answer)

    async def status(self) -> RasaStatus:
        """Asks how Rasa is, past the breaker and the queue, and learns which model is loaded.

        Raises:
            UnderstandingError: No sound answer within the time; Rasa is not well, or not there.
        """
        place, generation = self._place, self._cache.generation
        outcome: Answer | RasaStatus | Failure
        try:
            async with asyncio.timeout(self._limits.total):
                outcome = await self._connections.exchange("GET", place.status_url, None)
        except TimeoutError:
            outcome = Failure.LATE
        if isinstance(outcome, Answer):
            outcome = _read_status(outcome)
        if isinstance(outcome, Failure):
            raise _error(outcome)
        if place is self._place:
            self._cache.learn(outcome.model, generation)
        return outcome

    def point_at(self, url: str, token: str | None) -> None:
        """Asks another server from now on, for instance one with a newer model.

        What is on its way still gets its answer from the server before. Kept answers are dropped, and
        the new server starts without the failures of the old one.
        """
        self._place = Place(url, token)
        self._breaker = self._new_breaker()
        self._cache.drop()

    def figures(self) -> dict[str, float]:
        """What happened since the start, by the names of ``FIGURES``."""
        figures: dict[str, float] = {
            "rasa_calls": self._calls,
            "rasa_cache_hits": self._hits,
            "rasa_cached": len(self._cache),
            "rasa_breaker": int(self._breaker.state),
        }
        return figures | {f"rasa_failures_{failure}": self._failures[failure] for failure in Failure}

    async def close(self) -> None:
        """Closes the connections; calls fail from now on."""
        await self._connections.close()

    async def _take_turn(self, text: str, deadline: float) -> Parsed | Failure:
        """Waits for a turn, asks, and tells the breaker how it went."""
        if not self._breaker.allows():
            return Failure.RESTING
        try:
            async with asyncio.timeout_at(deadline):
                await self._permits.acquire()
        except TimeoutError:
            return Failure.BUSY
        try:
            # Asked anew: while this one waited, those before it may have found Rasa ill.
            breaker, now = self._breaker, asyncio.get_running_loop().time
            began = now()
            if deadline - began < _LEAST_SECONDS:
                return Failure.BUSY if breaker.allows() else Failure.RESTING
            turn = breaker.enter()
            if turn is None:
                return Failure.RESTING
            answer: Parsed | Failure = Failure.LATE
            try:
                answer = await self._ask(text, deadline)
            finally:
                # Also when the caller gives up, which is late too: a trial without an outcome would never end.
                if answer is Failure.LATE and not self._is_slow(now() - began, now() - self._answered_at):
                    answer = Failure.BUSY
                self._judge(breaker, turn, answer, now() - began)
            return answer
        finally:
            self._permits.release()

    async def _ask(self, text: str, deadline: float) -> Parsed | Failure:
        place, generation = self._place, self._cache.generation
        body = json.dumps({"text": text}, ensure_ascii=False).encode()
        try:
            async with asyncio.timeout_at(deadline):
                answer = await self._connections.exchange("POST", place.parse_url, body)
        except TimeoutError:
            return Failure.LATE
        if isinstance(answer, Failure):
            return answer
        self._answered_at = asyncio.get_running_loop().time()
        if answer.status != 200:
            return _FAILURE_OF_STATUS.get(answer.status, Failure.REFUSED)
        parsed = read_parsed(answer.body, text, self._intents)
        if isinstance(parsed, Parsed):
            self._cache.keep(text, parsed, generation)
        return parsed

    def _is_slow(self, asked: float, silent: float) -> bool:
        """Whether Rasa is to blame for a time that ran out.

        Not when this one waited so long for its turn that little was left, and others have their answers;
        but a Rasa that hangs under load, where everybody's time is spent on waiting, must be found out.

        Args:
            asked: Seconds since Rasa was asked.
            silent: Seconds since it last answered anybody.
        """
        return asked >= self._limits.slow or silent >= self._limits.slow

    def _judge(self, breaker: Breaker, turn: Turn, answer: Parsed | Failure, seconds: float) -> None:
        """Tells the breaker how it went."""
        before = breaker.state
        if isinstance(answer, Parsed) and seconds < self._limits.slow:
            breaker.succeed(turn)
            if turn.trial:
                _log.info("rasa_asked_again")
        elif answer in _NOT_ITS_FAULT:
            breaker.leave(turn)
        else:
            breaker.fail(turn)
            if breaker.state is BreakerState.OPEN and before is not BreakerState.OPEN:
                reason = str(answer) if isinstance(answer, Failure) else "slow"
                _log.warning("rasa_left_alone", reason=reason, pause_seconds=breaker.pause)

    def _new_breaker(self) -> Breaker:
        limits = self._limits
        return Breaker(limits.failures, limits.pause, limits.longest_pause, self._seconds_now)


def _read_status(answer: Answer) -> RasaStatus | Failure:
    """A server without a model answers 409, and is there all the same."""
    if answer.status == 200:
        return read_status(answer.body)
    failure = _FAILURE_OF_STATUS.get(answer.status, Failure.REFUSED)
    return RasaStatus(False) if failure is Failure.UNLOADED else failure


def _error(failure: Failure) -> UnderstandingError:
    """Raise it outside every ``except``: what it would drag along holds the address with the token."""
    return UnderstandingError(f"Rasa gave no answer: {failure}")
