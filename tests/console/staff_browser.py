"""A staff member's browser, for stories told over HTTP."""

from __future__ import annotations

import re
from types import TracebackType
from typing import Any

import httpx
from fastapi import FastAPI
from shop import Shop

from console.passwords import Passwords
from desk.values import Role, StaffMember

PASSWORD = "correct-horse-9"
_CSRF = re.compile(r'name="csrf" value="([^"]+)"')
_CHEAP = Passwords(time_cost=1, memory_kib=8, parallelism=1)


async def hire(shop: Shop, login: str, role: Role = Role.AGENT, name: str = "") -> StaffMember:
    """An account whose password is ``PASSWORD``."""
    return await shop.staff_desk.add_staff(login, name or login, role, await _CHEAP.hash(PASSWORD), None)


class StaffBrowser:
    """Keeps cookies, follows nothing. HTTPS, because test clients send Secure cookies nowhere else."""

    def __init__(self, shop: Shop, address: str = "203.0.113.9", app: FastAPI | None = None) -> None:
        app = app or shop.installation.web_app()
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False, client=(address, 4000))
        self.http = httpx.AsyncClient(transport=transport, base_url="https://127.0.0.1:8080")
        self.csrf = ""

    async def __aenter__(self) -> StaffBrowser:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.http.aclose()

    async def get(self, path: str, **more: Any) -> httpx.Response:
        """Opens a page and remembers its form token."""
        answer = await self.http.get(path, **more)
        found = _CSRF.search(answer.text)
        if found:
            self.csrf = found.group(1)
        return answer

    async def post(
        self, path: str, form: dict[str, str] | None = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """Sends a form with the token of the last page."""
        return await self.http.post(path, data={"csrf": self.csrf, **(form or {})}, headers=headers)

    async def script(self, path: str, form: dict[str, str] | None = None) -> httpx.Response:
        """Sends a form as the page's own script does."""
        return await self.post(path, form, {"Accept": "application/json", "Sec-Fetch-Site": "same-origin"})

    async def sign_in(self, login: str, password: str = PASSWORD) -> httpx.Response:
        """Fills in the login form; on success remembers the new session's token."""
        await self.get("/console/login")
        answer = await self.post("/console/login", {"login": login, "password": password})
        if answer.status_code == 303:
            await self.get("/console/account")
        return answer
