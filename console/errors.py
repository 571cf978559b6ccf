"""How failures look from outside, for the whole application: never a trace, never what came in.

JSON answers read ``{"detail": {"field"?: …, "reason": …}}``; people get a page in their language.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from console.pages.rendering import language_of, render_alone
from console.security.headers import API_HEADERS, PAGE_HEADERS
from console.texts import text
from desk.errors import (
    AlreadyTakenError,
    ConflictError,
    DeskError,
    InvalidInputError,
    NotAllowedError,
    NotFoundError,
    StorageUnavailableError,
    TooFastError,
)

_log = structlog.get_logger(__name__)

_STATUSES: tuple[tuple[type[DeskError], int, str], ...] = (
    (InvalidInputError, 422, "is not valid"),
    (NotFoundError, 404, "not found"),
    (NotAllowedError, 403, "not allowed"),
    (AlreadyTakenError, 409, "somebody else has it"),
    (ConflictError, 409, "conflicts with what is on record"),
    (TooFastError, 429, "too many requests"),
    (StorageUnavailableError, 503, "could not be stored just now; try again"),
)

_REASONS = {
    400: "bad request",
    401: "not authorised",
    403: "not allowed",
    404: "not found",
    405: "method not allowed",
    408: "took too long",
    413: "too large",
    422: "is not valid",
    429: "too many requests",
    500: "something went wrong on our side",
    503: "not available just now; try again",
}


def status_of(error: DeskError) -> int:
    """The HTTP status that stands for a desk error; 500 for one that should never reach the edge."""
    return next((status for kind, status, _ in _STATUSES if isinstance(error, kind)), 500)


def words_for(error: DeskError, language: str) -> str:
    """What to tell staff about a desk error."""
    if isinstance(error, InvalidInputError):
        known = text(error.reason, language, default="")
        return known or text("error.invalid", language).format(field=error.field)
    kind = next((kind for kind, _, _ in _STATUSES if isinstance(error, kind)), DeskError)
    return text(f"error.{kind.__name__}", language)


def wants_json(request: Request) -> bool:
    """Whether the asker is a program: the API, or a script of ours that says so."""
    path = request.url.path
    if path.startswith(("/api/", "/telegram/")):
        return path != "/api/docs"
    accept = request.headers.get("accept", "")
    return "text/html" not in accept and "application/json" in accept


def _answer(
    request: Request,
    status: int,
    reason: str,
    words: str,
    headers: Mapping[str, str],
    field: str | None = None,
) -> Response:
    if wants_json(request):
        detail: dict[str, Any] = {"reason": words if request.url.path.startswith("/console") else reason}
        if field is not None:
            detail["field"] = field
        return JSONResponse({"detail": detail}, status, headers={**API_HEADERS, **headers})
    # Customers may end up here too (a mistyped /chat address); the way back is for staff only.
    inside = request.url.path.startswith("/console")
    return render_alone(
        request, "error.html", status, {**PAGE_HEADERS, **headers}, words=words, code=status, inside=inside
    )


def _retry_after(wait: timedelta) -> dict[str, str]:
    return {"Retry-After": str(max(1, math.ceil(wait.total_seconds())))}


async def _on_desk_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, DeskError):
        raise error
    status = status_of(error)
    words = words_for(error, language_of(request))
    headers: dict[str, str] = {}
    if isinstance(error, TooFastError | StorageUnavailableError):
        headers = _retry_after(error.retry_after)
    if status == 500:
        _log.error("http_failed", kind=type(error).__name__, route=_route_of(request.scope))
    if isinstance(error, InvalidInputError):
        return _answer(request, status, error.reason, words, headers, error.field)
    reason = next((reason for kind, _, reason in _STATUSES if isinstance(error, kind)), _REASONS[500])
    return _answer(request, status, reason, words, headers)


async def _on_http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    status = error.status_code
    reason = _REASONS.get(status) or HTTPStatus(status).phrase.lower()
    words = text(f"error.{status}", language_of(request), default="") or text(
        "error.DeskError", language_of(request)
    )
    return _answer(request, status, reason, words, dict(error.headers or {}))


async def _on_invalid_request(request: Request, error: Exception) -> Response:
    """FastAPI's own handler echoes the input, and fails itself on NaN and lone surrogates."""
    if not isinstance(error, RequestValidationError):
        raise error
    first = error.errors()[0] if error.errors() else {}
    # Integers and short identifiers only: a location may hold a key that the sender made up.
    place = [str(part) for part in first.get("loc", ()) if isinstance(part, int) or _is_name(part)]
    field = ".".join(place[1:]) or (place[0] if place else "body")
    known = {"missing": "is required", "json_invalid": "must be valid JSON"}
    reason = known.get(str(first.get("type")), "is not valid")
    words = text("error.422", language_of(request))
    return _answer(request, 422, reason, words, {}, "body" if first.get("type") == "json_invalid" else field)


def _is_name(part: Any) -> bool:
    return isinstance(part, str) and part.isascii() and part.isidentifier() and len(part) <= 40


def _route_of(scope: Scope) -> str:
    """The route's pattern, never the address: that may hold a customer's ids."""
    pattern = str(getattr(scope.get("route"), "path", "unknown"))
    # ":id" instead of "{id}": logs let through only what looks like an identifier.
    return re.sub(r"\{(\w+)(:\w+)?\}", r":\1", pattern)


class ErrorBoundary:
    """The last line: an error that nobody expected becomes a 500 and a log line with its type.

    Starlette would answer too, but raises the error again for the server to print, and its text may
    quote a customer.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Runs the application inside the boundary."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception as error:  # noqa: BLE001  # The edge of the application: nothing may pass.
            _log.error("http_failed", kind=type(error).__name__, part=_where(error), route=_route_of(scope))
            if started:
                # Half an answer is out; breaking the connection is the only way to say that it is not whole.
                raise ConnectionError("answer aborted") from None
            request = Request(scope, receive)
            words = text("error.500", language_of(request))
            await _answer(request, 500, _REASONS[500], words, {})(scope, receive, send)


def _where(error: Exception) -> str:
    """File and line that raised, without any value."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "unknown"
    return f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"


def install_error_handlers(app: FastAPI) -> None:
    """Makes the application answer every failure as this module says."""
    app.add_exception_handler(DeskError, _on_desk_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_middleware(ErrorBoundary)
