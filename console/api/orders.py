"""What shop systems call: order events in, links out."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from console.api.bodies import read_body
from console.api.order_schemas import order_event_schema, parse_order_event
from console.api.signatures import ShopSignatures, key_fits
from console.deps import ConsoleDeps
from desk.errors import InvalidInputError, NotFoundError
from desk.texts import storable

_LARGEST = 256 * 1024
_LONGEST_WEBHOOK_ID = 256


class AcceptedOut(BaseModel):
    """The event is stored; ``duplicate`` when it was before."""

    duplicate: bool


class LinksOut(BaseModel):
    """Where the buyer may talk about the order. ``telegram`` is null while Telegram is off."""

    telegram: str | None
    web: str


class FaultOut(BaseModel):
    """Why a request was refused; never repeats what came in."""

    field: str | None = None
    reason: str


class ErrorOut(BaseModel):
    """The body of every answer that is not a success."""

    detail: FaultOut


def _refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    words = {
        401: "Not signed, badly signed, more than 300 s off, or a wrong key",
        404: "No such order",
        409: "The same id came before with another body",
        413: "Larger than 256 KiB",
        422: "Malformed; names the field",
        503: "Could not be stored just now; send it again after Retry-After seconds",
    }
    return {status: {"model": ErrorOut, "description": words[status]} for status in statuses}


def order_router(deps: ConsoleDeps) -> APIRouter:
    """``POST /api/v1/orders/events`` and ``GET /api/v1/orders/{id}/links``."""
    router = APIRouter(prefix="/api/v1/orders", tags=["orders"])
    signatures = ShopSignatures(deps.shop_secrets)

    @router.post(
        "/events",
        status_code=202,
        response_model=AcceptedOut,
        summary="Report one order event (Standard Webhooks)",
        responses={
            200: {"model": AcceptedOut, "description": "On record already"},
            **_refusals(401, 409, 413, 422, 503),
        },
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": order_event_schema()}},
            },
            "parameters": [
                {"name": name, "in": "header", "required": True, "schema": {"type": "string"}}
                for name in ("webhook-id", "webhook-timestamp", "webhook-signature")
            ],
        },
    )
    async def accept(request: Request) -> JSONResponse:
        raw = await read_body(request, _LARGEST)
        if not signatures.fit(raw, request.headers):
            raise HTTPException(401)
        webhook_id = request.headers["webhook-id"]
        if len(webhook_id) > _LONGEST_WEBHOOK_ID or not webhook_id.isprintable():
            raise InvalidInputError("webhook-id", f"must be at most {_LONGEST_WEBHOOK_ID} characters")
        event = parse_order_event(raw, deps.clock())
        accepted = await deps.service_desk.accept_order_event(webhook_id, event, raw)
        return JSONResponse({"duplicate": accepted.duplicate}, 200 if accepted.duplicate else 202)

    @router.get(
        "/{external_id:path}/links",
        response_model=LinksOut,
        summary="The current unused links of an order",
        responses=_refusals(401, 404, 503),
        openapi_extra={"security": [{"apiKey": []}]},
    )
    async def links(request: Request, external_id: str) -> JSONResponse:
        if not key_fits(request.headers.get("authorization", ""), deps.api_key):
            raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
        # Whatever an event may call an order, it is asked for by; what no database holds names none.
        if not 1 <= len(external_id) <= 128 or storable(external_id) != external_id:
            raise NotFoundError("no such order")
        token = await deps.service_desk.order_links(external_id)
        telegram = deps.telegram_link(token) if deps.telegram_link else None
        return JSONResponse({"telegram": telegram, "web": f"{deps.public_url}/chat#order={token}"})

    return router
