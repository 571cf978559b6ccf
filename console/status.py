"""Is it alive, can it take messages, what are its figures, what does its API offer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.responses import JSONResponse, Response

from console.pages.rendering import render_alone
from console.security.headers import API_HEADERS, PAGE_HEADERS
from desk.errors import DeskError

_WELL = frozenset({"ok", "off"})
_AT_MOST = 3.0


def status_router(
    parts: Callable[[], Awaitable[Mapping[str, str]]], registry: CollectorRegistry | None = None
) -> APIRouter:
    """``/healthz``, ``/readyz``, ``/metrics``, ``/api/docs`` and ``/api/openapi.json``.

    Args:
        parts: How each part is: ``ok``, ``off`` or a word for what is wrong. ``storage`` decides
            whether a message can be taken; the others only make it ``degraded``.
        registry: Figures to publish. They name states and counts only.
    """
    router = APIRouter(include_in_schema=False)
    figures = registry or CollectorRegistry()

    @router.get("/healthz")
    async def healthz() -> JSONResponse:
        return JSONResponse({"status": "ok"}, headers=dict(API_HEADERS))

    @router.get("/readyz")
    async def readyz() -> JSONResponse:
        try:
            async with asyncio.timeout(_AT_MOST):
                found = dict(await parts())
        except TimeoutError:
            found = {"storage": "slow"}
        except DeskError:
            found = {"storage": "down"}
        if found.get("storage", "ok") not in _WELL:
            answer = {"status": "unavailable", "parts": found}
            return JSONResponse(answer, 503, headers={**API_HEADERS, "Retry-After": "5"})
        status = "ready" if all(state in _WELL for state in found.values()) else "degraded"
        return JSONResponse({"status": status, "parts": found}, headers=dict(API_HEADERS))

    @router.get("/metrics")
    async def metrics() -> Response:
        return Response(
            await asyncio.to_thread(generate_latest, figures),
            headers={**API_HEADERS, "Content-Type": CONTENT_TYPE_LATEST},
        )

    @router.get("/api/openapi.json")
    async def openapi(request: Request) -> JSONResponse:
        return JSONResponse(request.app.openapi(), headers=dict(API_HEADERS))

    @router.get("/api/docs")
    async def docs(request: Request) -> Response:
        document = request.app.openapi()
        return render_alone(
            request, "api_docs.html", 200, PAGE_HEADERS, operations=_operations(document), document=document
        )

    return router


def _operations(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The operations of an OpenAPI document, one after the other, with their schemas resolved by name."""
    found = []
    for path, methods in document.get("paths", {}).items():
        for method, operation in methods.items():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            found.append(
                {
                    "method": method.upper(),
                    "path": path,
                    "summary": operation.get("summary", ""),
                    "description": operation.get("description", ""),
                    "parameters": operation.get("parameters", []),
                    "body": body.get("schema"),
                    "responses": operation.get("responses", {}),
                }
            )
    return found
