"""The console as one router: staff pages and what shop systems call."""

from __future__ import annotations

from fastapi import APIRouter

from console.api.orders import order_router
from console.deps import ConsoleDeps
from console.errors import install_error_handlers
from console.pages.assets import add_assets
from console.pages.attachments import add_attachments
from console.pages.case_actions import add_case_actions
from console.pages.cases import add_case_pages
from console.pages.events import add_events
from console.pages.faq import add_faq_pages
from console.pages.feedback import add_feedback_pages
from console.pages.login import add_login_pages
from console.pages.records import add_record_pages
from console.pages.staff import add_staff_pages
from console.pages.telegram_accounts import add_telegram_accounts
from console.pages.visit import ConsoleRoom

__all__ = ["ConsoleDeps", "console_router", "install_error_handlers"]


def console_router(deps: ConsoleDeps) -> APIRouter:
    """All routes of the console. Include it in the application without a prefix."""
    room = ConsoleRoom(deps)
    for add in (
        add_assets,
        add_login_pages,
        add_events,
        add_case_pages,
        add_case_actions,
        add_attachments,
        add_feedback_pages,
        add_faq_pages,
        add_record_pages,
        add_staff_pages,
        add_telegram_accounts,
    ):
        add(room)
    router = APIRouter()
    router.include_router(room.router)
    router.include_router(order_router(deps))
    return router
