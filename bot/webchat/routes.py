"""The customer's chat page and its API. Every POST is on disk before it is acknowledged."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from importlib import resources

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from bot.webchat import api_schema, messages, rate_limit
from bot.webchat.rate_limit import RateLimit
from bot.webchat.stream import lines_as_events
from bot.webchat.tokens import ChatTokens
from desk import wording
from desk.errors import InvalidInputError, NotAllowedError, NotFoundError
from desk.ports import Wakeups
from desk.service_desk import ServiceDesk

MOST_BYTES = 64 * 1024
SLOWEST_SECONDS = 15.0
_TYPES = {"css": "text/css", "js": "text/javascript", "html": "text/html", "svg": "image/svg+xml"}
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; frame-ancestors {ancestors}"
)


@dataclass(frozen=True, slots=True)
class WebChatDeps:
    """What the web chat is given.

    Attributes:
        embed_origins: Origins whose pages may show the chat in a frame, besides our own.
        seconds_now: A monotonic clock for rate limits.
    """

    service_desk: ServiceDesk
    wakeups: Wakeups
    tokens: ChatTokens
    find_typist: Callable[[int], str | None]
    is_stopping: Callable[[], bool]
    seconds_now: Callable[[], float]
    shop_name: str
    embed_origins: tuple[str, ...] = ()


class WebChat:
    """The routes and what they share: rate limits and files."""

    def __init__(self, deps: WebChatDeps) -> None:
        self._deps = deps
        self._message_rate = RateLimit(rate_limit.MESSAGES, deps.seconds_now)
        self._session_rate = RateLimit(rate_limit.SESSIONS, deps.seconds_now)
        self._stream_rate = RateLimit(rate_limit.STREAMS, deps.seconds_now)
        self._seen_rate = RateLimit(rate_limit.SEEN, deps.seconds_now)
        self._files = _load_files()
        self._page_csp = _CSP.format(ancestors=" ".join(("'self'", *deps.embed_origins)))

    def router(self) -> APIRouter:
        """The router to be mounted at the root."""
        router = APIRouter()
        router.add_api_route("/chat", self.page, methods=["GET"], include_in_schema=False)
        router.add_api_route("/chat/widget.js", self.widget, methods=["GET"], include_in_schema=False)
        router.add_api_route("/chat/static/{name}", self.static, methods=["GET"], include_in_schema=False)
        api = APIRouter(prefix="/api/v1/chat", tags=["chat"])
        api.add_api_route(
            "/sessions",
            self.open_session,
            methods=["POST"],
            responses=api_schema.refusals(422, 429, 503),
            openapi_extra=api_schema.SESSION,
        )
        api.add_api_route(
            "/messages",
            self.post_message,
            methods=["POST"],
            status_code=202,
            responses=api_schema.refusals(401, 409, 422, 429, 503),
            openapi_extra=api_schema.MESSAGE,
        )
        api.add_api_route(
            "/seen",
            self.post_seen,
            methods=["POST"],
            status_code=204,
            responses=api_schema.refusals(401, 422, 503),
            openapi_extra=api_schema.SEEN,
        )
        api.add_api_route(
            "/events",
            self.events,
            methods=["GET"],
            response_class=StreamingResponse,
            responses=api_schema.EVENT_STREAM | api_schema.refusals(401, 422, 429),
            openapi_extra=api_schema.EVENTS,
        )
        router.include_router(api)
        return router

    # --- Pages --------------------------------------------------------------------------------------

    async def page(self) -> Response:
        """The chat page."""
        return self._file("chat.html", self._page_csp, "no-cache")

    async def widget(self) -> Response:
        """The one tag that a shop puts into its pages."""
        headers_csp = "default-src 'none'"
        return self._file("widget.js", headers_csp, "public, max-age=300", cross_origin=True)

    async def static(self, name: str) -> Response:
        """Scripts, styles and icons of the page."""
        return self._file(name, "default-src 'none'; style-src 'unsafe-inline'", "no-cache")

    def _file(self, name: str, csp: str, cache: str, *, cross_origin: bool = False) -> Response:
        found = self._files.get(name)
        if found is None:
            raise NotFoundError("file")
        body, media_type = found
        headers = {
            "Content-Security-Policy": csp,
            "Cache-Control": cache,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "cross-origin" if cross_origin else "same-origin",
        }
        return Response(body, media_type=media_type, headers=headers)

    # --- API ----------------------------------------------------------------------------------------

    async def open_session(self, request: Request) -> JSONResponse:
        """Opens a session: `{client_session_id, order_token?}` → `{session, token, …}`.

        The same `client_session_id` (16 to 64 characters, kept secret by the browser) gets the same
        session again.
        """
        fields = messages.read_object(await read_body(request))
        client_session_id = messages.read_id(fields, "client_session_id")
        if len(client_session_id) < 16:
            raise InvalidInputError("client_session_id", "must have at least 16 characters")
        order_token = messages.read_id(fields, "order_token") if fields.get("order_token") else None
        client_hash = _hash(client_session_id)
        # Every page load asks for its session again, and many customers may share one address: only
        # who is new counts for the address.
        known = await self._deps.service_desk.is_chat_known(client_hash)
        address = request.client.host if request.client is not None else ""
        self._session_rate.hit(f"client:{client_hash}" if known else f"address:{address}")
        opened = await self._deps.service_desk.open_chat(
            client_hash,
            secrets.token_urlsafe(16),
            _hash(order_token) if order_token is not None else None,
        )
        shop_name = self._deps.shop_name
        return JSONResponse(
            {
                "session": opened.session,
                "token": self._deps.tokens.make(opened.session),
                "shop_name": shop_name,
                "greeting": wording.GREETING.format(shop_name=shop_name),
                "quick_questions": list(await self._deps.service_desk.quick_questions()),
            },
            headers=_NO_STORE,
        )

    async def post_message(self, request: Request) -> JSONResponse:
        """Stores a message: `{client_msg_id, text, button_id?}` → 202 once it is on disk.

        The same again gets the same answer; another text under the same id is a conflict (409).
        """
        identity_id = await self._identify(request)
        body = await read_body(request)
        message = messages.read_message(body)
        self._message_rate.hit(str(identity_id))
        accepted = await self._deps.service_desk.accept(messages.to_raw_input(identity_id, message, body))
        return JSONResponse(
            {
                "client_msg_id": message.client_msg_id,
                "received_at": accepted.received_at.astimezone(UTC).isoformat(),
                "status": "stored",
            },
            status_code=202,
            headers=_NO_STORE,
        )

    async def post_seen(self, request: Request) -> Response:
        """Tells which lines the customer's screen showed: `{seq}` → 204."""
        identity_id = await self._identify(request)
        self._seen_rate.hit(str(identity_id))
        seq = messages.read_object(await read_body(request)).get("seq")
        if not isinstance(seq, int) or isinstance(seq, bool) or not 0 <= seq < 2**31:
            raise InvalidInputError("seq", "must be a whole number from 0")
        await self._deps.service_desk.mark_seen(identity_id, seq)
        return Response(status_code=204)

    async def events(self, request: Request) -> StreamingResponse:
        """Server-sent events after `after`; read with `fetch` and the session's token."""
        identity_id = await self._identify(request)
        self._stream_rate.hit(str(identity_id))
        after = request.query_params.get("after", "0")
        if not (after.isascii() and after.isdigit()) or len(after) > 9:
            raise InvalidInputError("after", "must be a whole number from 0")
        deps = self._deps
        lines = lines_as_events(
            deps.service_desk, deps.wakeups, deps.find_typist, deps.is_stopping, identity_id, int(after)
        )
        headers = {**_NO_STORE, "X-Accel-Buffering": "no"}
        return StreamingResponse(lines, media_type="text/event-stream", headers=headers)

    async def _identify(self, request: Request) -> int:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        session = self._deps.tokens.find_session(token.strip()) if scheme.lower() == "bearer" else None
        if session is None:
            raise SessionUnknownError("no valid session token")
        identity_id = await self._deps.service_desk.find_chat_identity(session)
        if identity_id is None:
            raise SessionUnknownError("session is gone")
        return identity_id


class SessionUnknownError(NotAllowedError):
    """The request proves no session; the browser opens one and tries again (HTTP 401)."""


_NO_STORE = {"Cache-Control": "no-store"}


async def read_body(request: Request) -> bytes:
    """Reads at most 64 KiB within 15 seconds.

    Raises:
        InvalidInputError: More than that.
        HTTPException: 408 when it takes longer, 400 when the browser goes away meanwhile.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(SLOWEST_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MOST_BYTES:
                    raise InvalidInputError("body", f"must have at most {MOST_BYTES} bytes")
    except TimeoutError:
        raise HTTPException(408) from None
    except ClientDisconnect:
        # A phone that loses its network is no fault of ours, and nobody hears the answer.
        raise HTTPException(400) from None
    return bytes(body)


def _hash(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


def _load_files() -> dict[str, tuple[bytes, str]]:
    folder = resources.files("bot.webchat").joinpath("static")
    found: dict[str, tuple[bytes, str]] = {}
    for file in folder.iterdir():
        media_type = _TYPES.get(file.name.rpartition(".")[2])
        if media_type is not None:
            found[file.name] = (file.read_bytes(), f"{media_type}; charset=utf-8")
    return found
