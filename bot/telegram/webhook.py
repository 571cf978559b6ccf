"""POST /telegram/webhook: Telegram brings updates. Each is on disk before it is acknowledged."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import math

import structlog
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from bot.telegram.raw_updates import read_update
from bot.telegram.setup import WEBHOOK_PATH
from desk.errors import StorageUnavailableError
from desk.service_desk import ServiceDesk

_log = structlog.get_logger(__name__)

MOST_BYTES = 128 * 1024
"""Twice what Telegram sends at most."""
SLOWEST_SECONDS = 15.0
_SECRET_HEADER = b"x-telegram-bot-api-secret-token"


class TelegramWebhook:
    """The route.

    Args:
        secret: What Telegram was told to show; None = we poll, and the route is not there.
    """

    def __init__(self, service_desk: ServiceDesk, secret: str | None) -> None:
        self._desk = service_desk
        self._secret = None if secret is None else hashlib.sha256(secret.encode()).digest()

    def router(self) -> APIRouter:
        """The router to be mounted at the root."""
        router = APIRouter(include_in_schema=False)
        router.add_api_route(WEBHOOK_PATH, self.take, methods=["POST"])
        return router

    async def take(self, request: Request) -> Response:
        """200 once the update is on disk, 503 when it is not; never a method in the answer.

        What nobody can decode is stored as a dead letter and acknowledged too: Telegram would bring it
        again and again for a day, and the chat's later messages would wait behind it.
        """
        if self._secret is None:
            return _answer(404, "not found")
        if not self._is_from_telegram(request):
            return _answer(401, "not authorised")
        try:
            body = await _read(request)
        except TimeoutError:
            return _answer(408, "took too long")
        except ClientDisconnect:
            return _answer(400, "incomplete")
        if body is None:
            _log.error("telegram_update_too_large")
            return _answer(413, "too large")
        update = read_update(body)
        try:
            if update.fault:
                _log.error("telegram_update_undecodable", update_id=update.update_id, reason=update.fault)
                await self._desk.accept_batch([], [(update.stored, update.fault)])
            else:
                await self._desk.accept_batch([update.stored])
        except StorageUnavailableError as error:
            wait = max(1, math.ceil(error.retry_after.total_seconds()))
            return _answer(503, "could not be stored just now", {"Retry-After": str(wait)})
        return JSONResponse({}, headers=_NO_STORE)

    def _is_from_telegram(self, request: Request) -> bool:
        shown = [value for name, value in request.scope["headers"] if name.lower() == _SECRET_HEADER]
        # Hashed, so that neither the length nor the bytes change how long the comparison takes.
        given = hashlib.sha256(shown[0] if len(shown) == 1 else b"").digest()
        return hmac.compare_digest(given, self._secret or b"") and len(shown) == 1


_NO_STORE = {"Cache-Control": "no-store"}


def _answer(status: int, reason: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"detail": {"reason": reason}}, status, headers={**_NO_STORE, **(headers or {})})


async def _read(request: Request) -> bytes | None:
    """The body, or None when it is longer than allowed."""
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and (len(length) > 12 or int(length) > MOST_BYTES):
        return None
    body = bytearray()
    async with asyncio.timeout(SLOWEST_SECONDS):
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_BYTES:
                return None
    return bytes(body)
