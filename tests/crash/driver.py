"""The outside world over HTTP on loopback: customers in the web chat.

They behave as real ones do: what was not acknowledged is sent again under the same id until it is, and a
broken event stream is opened again after the last line that came.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any

import httpx
from crash_history import ChatHistory, History, Line, OrderHistory, Said
from crash_patterns import bound_line, fits, survey_line

PATIENCE = 60.0
"""Seconds after which something that should happen counts as lost."""
PAUSE = 0.02


class WorldError(AssertionError):
    """The server answered what no crash explains, or did not do what it must within ``PATIENCE``."""


class Caller:
    """Sends requests until they are answered. ``number`` gives each caller an address of its own."""

    def __init__(self, url: str, number: int) -> None:
        # Sessions are limited by address, and Linux lets every one of 127/8 be ours.
        address = f"127.0.{1 + number // 250}.{1 + number % 250}" if sys.platform == "linux" else None
        self.http = httpx.AsyncClient(
            base_url=url,
            timeout=httpx.Timeout(10.0, read=30.0),
            transport=httpx.AsyncHTTPTransport(verify=False, local_address=address),
        )

    async def until(
        self, make: Callable[[], httpx.Request], good: Iterable[int], again: Iterable[int] = ()
    ) -> httpx.Response:
        """Sends what ``make`` makes until a status of ``good`` comes.

        Args:
            again: Statuses besides 429 and 503 after which it is tried again.

        Raises:
            WorldError: Another status came, or nothing for too long.
        """
        good, again, deadline = set(good), {429, 503, *again}, time.monotonic() + PATIENCE
        last = "nothing"
        while time.monotonic() < deadline:
            request = make()
            try:
                answer = await self.http.send(request)
            except httpx.TransportError as error:
                last = type(error).__name__
                await asyncio.sleep(PAUSE)
                continue
            if answer.status_code in good:
                return answer
            if answer.status_code not in again:
                raise WorldError(f"{request.method} {request.url.path}: {answer.status_code} {answer.text}")
            last = str(answer.status_code)
            wait = answer.headers.get("retry-after", "") if answer.status_code == 429 else ""
            await asyncio.sleep(float(wait) if wait else PAUSE)
        raise WorldError(f"{request.method} {request.url.path} was never answered; the last was {last}")


class Customer(Caller):
    """A browser on the chat page."""

    def __init__(self, url: str, number: int, history: History) -> None:
        super().__init__(url, number)
        self.history = ChatHistory(f"customer {number}")
        history.chats.append(self.history)
        self._client_session_id = uuid.uuid4().hex
        self._token = ""
        self._prompts: dict[int, dict[str, Any]] = {}
        self._changed = asyncio.Condition()

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"}

    @property
    def last_seq(self) -> int:
        """The newest line's seq, 0 before the first."""
        return max(self.history.seen, default=0)

    async def open(self, order_token: str | None = None) -> None:
        """Opens the session, or finds it again, perhaps through the link of an order."""
        body = {"client_session_id": self._client_session_id}
        if order_token is not None:
            body["order_token"] = order_token
        answer = await self.until(
            lambda: self.http.build_request("POST", "/api/v1/chat/sessions", json=body), {200}
        )
        session, self._token = answer.json()["session"], answer.json()["token"]
        if self.history.session not in ("", session):
            self.history.faults.append("the same client got another session")
        self.history.session = session

    async def bind(self, order: OrderHistory, order_token: str) -> None:
        """Opens an order's link and waits until the bot says so."""
        self.history.orders.append(order.external_id)
        await self.open(order_token)
        await self.sees(bound_line(order.external_id))

    async def say(self, text: str, *answers: str, button_id: str | None = None, twice: bool = False) -> Said:
        """Sends a message until it is acknowledged.

        Args:
            answers: Patterns of the answers that must come.
            twice: Sends it once more afterwards, as a browser does that missed the 202.
        """
        said = Said(uuid.uuid4().hex, text, answers)
        self.history.said.append(said)
        body = {"client_msg_id": said.client_msg_id, "text": text}
        if button_id is not None:
            body["button_id"] = button_id

        def make() -> httpx.Request:
            return self.http.build_request("POST", "/api/v1/chat/messages", json=body, headers=self._headers)

        first = await self.until(make, {202})
        said.acknowledged = True
        if twice and (await self.until(make, {202})).json() != first.json():
            self.history.faults.append("the same message again got another answer")
        return said

    async def ask_all(self, asked: Sequence[tuple[str, str]], random: Random) -> None:
        """Says several things in a row and waits for the last one's answer."""
        before = self.last_seq
        for question, answer in asked:
            await self.say(question, answer, twice=random.random() < 0.2)
        await self.sees(asked[-1][1], before)

    async def ask(self, text: str, answer: str, button_id: str | None = None) -> Line:
        """Says something and waits for the answer."""
        before = self.last_seq
        await self.say(text, answer, button_id=button_id)
        return await self.sees(answer, before)

    async def hears(self, pattern: str) -> None:
        """Waits for a line that must come once more without being asked for."""
        said = self.history.said[-1]
        said.answers = (*said.answers, pattern)
        await self.sees(pattern)

    async def is_heard(self, said: Said) -> None:
        """Waits until the customer's own line is on the screen, that is, until it was worked."""
        await self._until(lambda line: line.client_msg_id == said.client_msg_id, said.text)

    async def press(self, label: str, answer: str) -> Line:
        """Presses the newest button of that label."""
        for seq in sorted(self._prompts, reverse=True):
            for option in self._prompts[seq]["options"]:
                if option["label"] == label:
                    return await self.ask(label, answer, button_id=option["button_id"])
        raise WorldError(f"there is no button {label}")

    async def is_asked(self, order: str) -> Line:
        """Waits for the question about an order."""
        return await self.sees(survey_line(order))

    async def has_seen(self) -> None:
        """Tells the server that everything on the screen was seen."""
        body = {"seq": self.last_seq}
        await self.until(
            lambda: self.http.build_request("POST", "/api/v1/chat/seen", json=body, headers=self._headers),
            {204},
        )

    async def sees(self, pattern: str, after: int = 0) -> Line:
        """Waits for a line that is no customer's and fits the pattern."""
        return await self._until(
            lambda line: line.seq > after and line.author != "customer" and fits(pattern, line.text), pattern
        )

    async def _until(self, found: Callable[[Line], bool], what: str) -> Line:
        try:
            async with asyncio.timeout(PATIENCE), self._changed:
                while True:
                    for seq in sorted(self.history.seen):
                        if found(self.history.seen[seq]):
                            return self.history.seen[seq]
                    await self._changed.wait()
        except TimeoutError:
            raise WorldError(f"{self.history.name} never saw {what!r}") from None

    async def listen(self) -> None:
        """Reads the event stream for ever, as one that was broken again and again."""
        while True:
            if not self._token:
                await asyncio.sleep(PAUSE)
                continue
            try:
                await self._read_stream(self.last_seq, self._take)
            except httpx.TransportError:
                await asyncio.sleep(PAUSE)

    async def read_again(self, lines: int) -> None:
        """Reads the whole conversation of so many lines from its start into ``history.last``."""

        async def take(event: dict[str, Any]) -> None:
            self.history.last.append(_line(event))

        async with asyncio.timeout(PATIENCE):
            while self._token and len(self.history.last) < lines:
                self.history.last.clear()
                try:
                    await self._read_stream(0, take, lines)
                except httpx.TransportError:
                    await asyncio.sleep(PAUSE)

    async def _read_stream(self, after: int, take: Callable[[dict[str, Any]], Any], most: int = 0) -> None:
        async with self.http.stream(
            "GET", "/api/v1/chat/events", params={"after": after}, headers=self._headers
        ) as stream:
            if stream.status_code == 429:
                await asyncio.sleep(1)
                return
            if stream.status_code != 200:
                self.history.faults.append(f"the event stream answered {stream.status_code}")
                await asyncio.sleep(1)
                return
            name = ""
            async for row in stream.aiter_lines():
                if row.startswith("event: "):
                    name = row.removeprefix("event: ")
                elif row.startswith("data: ") and name == "message":
                    event = json.loads(row.removeprefix("data: "))
                    await take(event)
                    if most and event["seq"] >= most:
                        return

    async def _take(self, event: dict[str, Any]) -> None:
        line = _line(event)
        if line.seq != self.last_seq + 1:
            self.history.faults.append(f"after line {self.last_seq} came line {line.seq}")
        async with self._changed:
            self.history.seen[line.seq] = line
            if event["prompt"] is not None:
                self._prompts[line.seq] = event["prompt"]
            self._changed.notify_all()


def _line(event: dict[str, Any]) -> Line:
    return Line(event["seq"], event["author"], event["text"], event["client_msg_id"])
