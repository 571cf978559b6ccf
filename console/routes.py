"""The console as one router: staff pages and what shop systems call."""

from __future__ import annotations

from fastapi import APIRouter

from console.api.orders import order_router
from console.deps import ConsoleDeps
from console.errors import install_error_handlers
from console.pages.assets import add_assets
from console.pages.events import add_events
from console.pages.login import add_login_pages
from console.pages.visit import ConsoleRoom

__all__ = ["ConsoleDeps", "console_router", "install_error_handlers"]


def console_router(deps: ConsoleDeps) -> APIRouter:
    """All routes of the console. Include it in the application without a prefix."""
    room = ConsoleRoom(deps)
    add_assets(room)
    add_login_pages(room)
    add_events(room)
    router = APIRouter()
    router.include_router(room.router)
    router.include_router(order_router(deps))
    return router
