"""One visit: a request, who makes it, what they may do, and what goes back.

Every route is declared through :class:`ConsoleRoom` with the permission that it needs; login, origin,
permission and CSRF token are checked in one place before any handler runs.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from console.api.bodies import read_body
from console.deps import ConsoleDeps
from console.errors import wants_json
from console.pages.rendering import iso, language_of, render, time_filter
from console.permissions import Permission, allows
from console.security.headers import API_HEADERS, PAGE_HEADERS
from console.security.throttle import LoginThrottle
from console.sessions import Cookies, from_own_page, new_token, same_token, token_hash
from console.texts import TEXTS, text
from console.troubles import told
from desk.errors import InvalidInputError
from desk.ports import StaffSession
from desk.texts import storable
from desk.values import StaffMember

_LARGEST_FORM = 128 * 1024
_TOUCH_AFTER = timedelta(minutes=1)
HOME = "/console/cases"
_KNOWN_ACTIONS = frozenset(key.removeprefix("did.") for key in TEXTS if key.startswith("did."))


@dataclass
class Visit:
    """What a handler knows and answers with."""

    request: Request
    deps: ConsoleDeps
    cookies: Cookies
    throttle: LoginThrottle
    now: datetime
    language: str
    csrf: str
    session: StaffSession | None = None
    form: Mapping[str, str] = field(default_factory=dict)

    @property
    def staff(self) -> StaffMember:
        """Who is signed in; only routes that need a login ask."""
        if self.session is None:
            raise HTTPException(401)
        return self.session.staff

    def may(self, permission: Permission | str) -> bool:
        """Whether the visitor has that permission; templates ask it too."""
        role = self.session.staff.role if self.session else None
        return allows(role, Permission(permission))

    def words(self, key: str, /, **values: Any) -> str:
        """Words in the visitor's language."""
        return text(key, self.language).format(**values)

    def field(self, name: str, longest: int, *, required: bool = False) -> str:
        """One field of the form, storable and trimmed.

        Raises:
            InvalidInputError: Too long, or empty although required.
        """
        value = storable(self.form.get(name, "")).replace("\r\n", "\n").strip()
        if len(value) > longest:
            raise InvalidInputError(name, "form.too_long")
        if required and not value:
            raise InvalidInputError(name, "form.required")
        return value

    def query(self, name: str, longest: int = 200) -> str:
        """One query parameter, storable, cut to ``longest``; empty when it is not there."""
        return storable(self.request.query_params.get(name, ""))[:longest].strip()

    def query_number(self, name: str, default: int, most: int) -> int:
        """A query parameter as a number from 0 to ``most``; ``default`` for anything else."""
        value = self.request.query_params.get(name, "")
        if not (value.isascii() and value.isdigit() and len(value) <= 18):
            return default
        return min(int(value), most)

    async def page(self, template: str, status: int = 200, /, **context: Any) -> HTMLResponse:
        """A page with the menu, or without one for a visitor who is not signed in."""
        badge = None
        if self.session is not None and self.may(Permission.READ_CASES):
            staff_id = self.session.staff.id
            badge = await self.deps.reports(lambda reports: reports.badge(staff_id))
        return HTMLResponse(
            self.rendered(template, badge=badge, **context), status, headers=dict(PAGE_HEADERS)
        )

    def rendered(self, template: str, /, **context: Any) -> str:
        """A template's text with what all pages share."""
        return render(
            template,
            self.language,
            visit=self,
            staff=self.session.staff if self.session else None,
            may=self.may,
            csrf=self.csrf,
            shop_name=self.deps.shop_name,
            at=time_filter(self.deps.timezone, self.now),
            iso=iso,
            now=self.now,
            path=self.request.url.path,
            known_actions=_KNOWN_ACTIONS,
            said=self._said(),
            trouble=self._trouble(),
            **context,
        )

    def go(self, path: str, said: str = "") -> Response:
        """After a change: back to a page, which says what was done; a script only learns that it was."""
        if wants_json(self.request):
            return self.json({"done": True})
        if said:
            path += f"{'&' if '?' in path else '?'}said={quote(said)}"
        return RedirectResponse(path, 303, headers={"Cache-Control": "no-store"})

    def json(self, value: Any, status: int = 200) -> JSONResponse:
        """A JSON answer to one of our own scripts."""
        return JSONResponse(value, status, headers=dict(API_HEADERS))

    def back(self, default: str = HOME) -> str:
        """Where the form said to return to, if that is a page of the console."""
        return own_path(self.form.get("back", "") or self.request.query_params.get("next", ""), default)

    def _trouble(self) -> str:
        """What everybody on staff must know while they wait for customers; empty when all is well."""
        return told(self.deps.telegram_state(), self.language) if self.session is not None else ""

    def _said(self) -> str:
        # Only words of our own: an address that somebody else wrote must not put text on the page.
        key = self.request.query_params.get("said", "")
        return text(f"said.{key}", self.language, default="") if key else ""


def own_path(path: str, default: str = HOME) -> str:
    """The path if it stays inside the console, else the default."""
    parts = urlsplit(path)
    plain = path.isascii() and path.isprintable() and "\\" not in path and ".." not in path
    if plain and not parts.scheme and not parts.netloc and path.startswith("/console/") and len(path) < 300:
        return path
    return default


Handler = Callable[[Visit], Awaitable[Response]]


class ConsoleRoom:
    """Collects the console's routes, each with its permission."""

    def __init__(self, deps: ConsoleDeps) -> None:
        self.deps = deps
        self.cookies = Cookies.for_url(deps.public_url, deps.allow_http)
        self.throttle = LoginThrottle(deps.transactions, deps.api_key)
        self.router = APIRouter(include_in_schema=False)

    def get(self, path: str, permission: Permission) -> Callable[[Handler], Handler]:
        """Declares a page."""
        return self._route("GET", path, permission)

    def post(self, path: str, permission: Permission) -> Callable[[Handler], Handler]:
        """Declares a change."""
        return self._route("POST", path, permission)

    def _route(self, method: str, path: str, permission: Permission) -> Callable[[Handler], Handler]:
        def declare(handler: Handler) -> Handler:
            async def endpoint(request: Request) -> Response:
                return await self._admit(request, permission, handler)

            # What a test reads to prove that no route was forgotten.
            endpoint.permission = permission  # type: ignore[attr-defined]
            endpoint.__name__ = handler.__name__
            endpoint.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
                [inspect.Parameter("request", inspect.Parameter.POSITIONAL_ONLY, annotation=Request)]
            )
            self.router.add_api_route(path, endpoint, methods=[method], response_model=None)
            return handler

        return declare

    async def _admit(self, request: Request, permission: Permission, handler: Handler) -> Response:
        changes = request.method not in ("GET", "HEAD")
        if changes and not from_own_page(request, self.deps.public_url):
            raise HTTPException(403)
        now = self.deps.clock()
        session = await self._session(request, now)
        if session is None and permission is not Permission.ANYONE:
            return self._to_login(request, changes)
        if not allows(session.staff.role if session else None, permission):
            raise HTTPException(403)
        csrf = session.csrf if session else request.cookies.get(self.cookies.form, "")
        fresh = "" if csrf else new_token()
        visit = Visit(
            request=request,
            deps=self.deps,
            cookies=self.cookies,
            throttle=self.throttle,
            now=now,
            language=language_of(request),
            csrf=csrf or fresh,
            session=session,
        )
        if changes:
            visit.form = await _read_form(request)
            if fresh or not same_token(visit.form.get("csrf", ""), csrf):
                raise HTTPException(403)
        response = await handler(visit)
        if fresh and isinstance(response, HTMLResponse):
            self.cookies.put(response, self.cookies.form, fresh)
        return response

    async def _session(self, request: Request, now: datetime) -> StaffSession | None:
        token = request.cookies.get(self.cookies.session, "")
        if not token:
            return None
        hashed = token_hash(token)
        session = await self.deps.transactions.read(lambda unit: unit.staff.find_session(hashed, now))
        # Streams and refreshes hold a session open for nobody: only what a person does counts as use.
        live = request.url.path == "/console/events" or "x-huiyin-live" in request.headers
        if session is not None and not live and now - session.seen_at >= _TOUCH_AFTER:
            await self.deps.transactions.write(lambda unit: unit.staff.touch_session(hashed, now))
        return session

    def _to_login(self, request: Request, changes: bool) -> Response:
        if changes or wants_json(request) or request.url.path.startswith("/console/events"):
            raise HTTPException(401)
        query = f"?{request.url.query}" if request.url.query else ""
        target = quote(own_path(request.url.path + query), safe="/")
        return RedirectResponse(f"/console/login?next={target}", 303, headers={"Cache-Control": "no-store"})


async def _read_form(request: Request) -> dict[str, str]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().casefold()
    if kind != "application/x-www-form-urlencoded":
        raise HTTPException(415)
    raw = await read_body(request, _LARGEST_FORM)
    try:
        pairs = parse_qsl(raw.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=100)
    except ValueError:
        raise HTTPException(400) from None
    # The first value counts when a name comes twice.
    return dict(reversed(pairs))
