"""``serve``'s side of the hand-over: commands of this machine's command line, run inside the service."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

import structlog
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from bot.commands.serving import command_key
from console.api.signatures import key_fits
from console.api.strict_json import read_object
from console.errors import status_of
from desk.errors import DeskError, InvalidInputError

if TYPE_CHECKING:
    from bot.app import Installation

_log = structlog.get_logger(__name__)

MOST_BYTES = 32 * 1024 * 1024
_NO_STORE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
# A proxy in front of us comes from loopback too, on behalf of anybody; it says so in one of these.
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


def command_router(installation: Installation) -> APIRouter:
    """``POST /internal/commands/{name}`` with ``Authorization: Bearer`` and the key of ``var/secrets``.

    Answers 200 ``{"result": …}``, or ``{"detail": {"kind", "reason", "field"?}}``. To anybody but this
    machine it is not there (404).
    """
    router = APIRouter(include_in_schema=False)
    key = command_key(installation.settings)

    @router.post("/internal/commands/{name}")
    async def run(request: Request, name: str) -> JSONResponse:
        if not _from_this_machine(request):
            return _refusal(404, "NotFoundError", "not found")
        if not key_fits(request.headers.get("authorization", ""), key):
            return _refusal(401, "NotAllowedError", "the key does not fit")
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_BYTES:
                return _refusal(413, "InvalidInputError", f"must have at most {MOST_BYTES} bytes", "body")
        try:
            # Loaded on the first command: starting need not wait for them.
            from bot.commands.registry import get_command

            result = await get_command(name)(installation, read_object(bytes(body)))
        except InvalidInputError as error:
            return _refusal(422, "InvalidInputError", error.reason, error.field)
        except DeskError as error:
            return _refusal(status_of(error), type(error).__name__, str(error))
        # An import comes in hundreds of batches.
        (_log.debug if name == "import_orders" else _log.info)("command_done", action=name)
        return JSONResponse({"result": result}, headers=_NO_STORE)

    return router


def _from_this_machine(request: Request) -> bool:
    """Whether the peer is loopback, or our own address where we listen on no loopback one."""
    if request.client is None or any(name in request.headers for name in _FORWARDED):
        return False
    try:
        peer = ipaddress.ip_address(request.client.host)
        if peer.is_loopback:
            return True
        server: tuple[str, int | None] = request.scope["server"]
        return peer == ipaddress.ip_address(server[0])
    except (ValueError, KeyError, TypeError):
        return False


def _refusal(status: int, kind: str, reason: str, field: str | None = None) -> JSONResponse:
    detail: dict[str, Any] = {"kind": kind, "reason": reason}
    if field is not None:
        detail["field"] = field
    return JSONResponse({"detail": detail}, status, headers=_NO_STORE)
