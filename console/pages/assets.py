"""Styles, scripts and the icon: read once, served from memory by their exact names."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.responses import Response

from console.pages.rendering import STATIC
from console.pages.visit import ConsoleRoom, Visit
from console.permissions import Permission

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def add_assets(room: ConsoleRoom) -> None:
    """Declares the route."""
    files = {
        path.name: (path.read_bytes(), _TYPES[path.suffix])
        for path in STATIC.iterdir()
        if path.suffix in _TYPES
    }

    @room.get("/console/static/{name}", Permission.ANYONE)
    async def static(visit: Visit) -> Response:
        found = files.get(visit.request.path_params["name"])
        if found is None:
            raise HTTPException(404)
        body, kind = found
        # Pages ask for a new address whenever a file changes, so this one never has to be asked again.
        headers = {
            "Content-Type": kind,
            "Cache-Control": "public, max-age=31536000, immutable"
            if "v" in visit.request.query_params
            else "no-cache",
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
        }
        return Response(body, headers=headers)
