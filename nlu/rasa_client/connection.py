"""Carries one request to Rasa and its answer back, within bounds, and keeps the token to itself."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Literal

import aiohttp
from yarl import URL

from nlu.rasa_client.values import Failure

MAX_BODY = 256 * 1024

# Rasa's server closes a connection that was idle for five seconds (Sanic's KEEP_ALIVE_TIMEOUT); ours go first.
_KEEP_IDLE_SECONDS = 4.0


class Place:
    """Where a Rasa server is. Its token is in no ``repr``.

    Args:
        url: ``http://127.0.0.1:5005`` or with a path before ``/model/parse``; any query is dropped.
        token: What ``rasa run --auth-token`` was given; None or empty where it asks for none.
    """

    __slots__ = ("parse_url", "status_url")

    def __init__(self, url: str, token: str | None) -> None:
        # Rasa takes the token in the query string and nowhere else.
        query = {"token": token} if token else {}
        self.parse_url = URL(url).joinpath("model", "parse").with_query(query)
        self.status_url = URL(url).joinpath("status").with_query(query)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        status: HTTP status.
        body: The whole body, at most 256 KiB; empty unless the status is 200.
    """

    status: int
    body: bytes


class Connections:
    """The connections to Rasa; made when first needed, inside the event loop that uses them.

    Args:
        connect_seconds: Limit for one connection.
        at_once: At most so many connections lie idle.
    """

    def __init__(self, connect_seconds: float, at_once: int) -> None:
        self._connect_seconds = connect_seconds
        self._at_once = at_once
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def exchange(
        self, method: Literal["GET", "POST"], url: URL, body: bytes | None
    ) -> Answer | Failure:
        """Sends one request; the caller sets the limit for all of it.

        A connection that cannot be made is tried once more. A connection that Rasa closed while it lay
        idle says nothing about the request, which then takes the next one.

        Returns:
            The answer, or why there is none. It raises nothing: aiohttp's errors hold the address, hence
            the token.
        """
        refused = stale = 0
        while True:
            outcome = await self._try(method, url, body)
            if outcome is Failure.UNREACHABLE and refused == 0:
                refused += 1
            elif outcome is not None:
                return outcome
            elif stale <= self._at_once:
                stale += 1
            else:
                return Failure.BROKEN

    async def close(self) -> None:
        """Closes all; whatever is asked afterwards fails."""
        self._closed = True
        if self._session is not None:
            await self._session.close()

    async def _try(self, method: str, url: URL, body: bytes | None) -> Answer | Failure | None:
        """One try; None when it met a connection that had died idle."""
        if self._closed:
            return Failure.CLOSED
        used = SimpleNamespace(again=False)
        answered = False
        try:
            response = await self._opened().request(
                method,
                url,
                data=body,
                headers={"Content-Type": "application/json"} if body is not None else None,
                allow_redirects=False,  # The token goes nowhere else.
                trace_request_ctx=used,
            )
            answered = True
            try:
                return await _read(response)
            finally:
                # After a whole answer the connection is back in the pool and this does nothing.
                response.close()
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            return Failure.UNREACHABLE
        except aiohttp.ClientConnectionError:
            return None if used.again and not answered else Failure.BROKEN
        except (aiohttp.ClientError, OSError, ValueError):
            return Failure.BROKEN
        except RuntimeError:
            # aiohttp's word for a session that was closed meanwhile.
            return Failure.CLOSED

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            watch = aiohttp.TraceConfig()
            watch.on_connection_reuseconn.append(_note_reuse)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_IDLE_SECONDS),
                timeout=aiohttp.ClientTimeout(total=None, connect=self._connect_seconds),
                cookie_jar=aiohttp.DummyCookieJar(),
                # What was never asked for cannot be a bomb.
                headers={"Accept": "application/json", "Accept-Encoding": "identity"},
                auto_decompress=False,
                trace_configs=[watch],
            )
        return self._session


async def _note_reuse(
    session: aiohttp.ClientSession, context: SimpleNamespace, params: aiohttp.TraceConnectionReuseconnParams
) -> None:
    context.trace_request_ctx.again = True


async def _read(response: aiohttp.ClientResponse) -> Answer | Failure:
    """Reads the body of a 200, and never more than 256 KiB of it."""
    if response.status != 200:
        return Answer(response.status, b"")
    if (response.content_length or 0) > MAX_BODY:
        return Failure.TOO_LARGE
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_BODY:
            return Failure.TOO_LARGE
    return Answer(200, bytes(body))
