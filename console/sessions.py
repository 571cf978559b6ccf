"""Cookies, tokens and where a change may come from."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response


def new_token() -> str:
    """256 random bits, for cookies and forms."""
    return secrets.token_urlsafe(32)


def token_hash(token: str) -> str:
    """What is stored of a session's token: a stolen database opens no session."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def same_token(given: str, wanted: str) -> bool:
    """Compares in constant time; an empty one never fits."""
    left, right = given.encode("utf-8", "surrogatepass"), wanted.encode("utf-8", "surrogatepass")
    return hmac.compare_digest(left, right) and bool(wanted)


@dataclass(frozen=True)
class Cookies:
    """Names and flags of the console's cookies.

    ``Secure`` and ``__Host-`` need HTTPS or a loopback address, which browsers trust as much. Plain HTTP
    elsewhere is only served where the owner allowed it, and gets cookies without both.
    """

    secure: bool

    @classmethod
    def for_url(cls, public_url: str, allow_http: bool) -> Cookies:
        """The cookies that fit the address the console is reached at."""
        parts = urlsplit(public_url)
        plain_elsewhere = parts.scheme == "http" and not is_loopback(parts.hostname or "")
        return cls(secure=not (plain_elsewhere and allow_http))

    @property
    def session(self) -> str:
        """Holds the session's token."""
        return self._named("huiyin")

    @property
    def form(self) -> str:
        """Holds the CSRF token of somebody who is not signed in."""
        return self._named("huiyin-form")

    @property
    def language(self) -> str:
        """Holds ``zh`` or ``en``."""
        return self._named("huiyin-lang")

    def _named(self, name: str) -> str:
        return f"__Host-{name}" if self.secure else name

    def put(self, response: Response, name: str, value: str, max_age: int | None = None) -> None:
        """Sets one; without ``max_age`` it ends with the browser."""
        response.set_cookie(
            name, value, max_age=max_age, path="/", secure=self.secure, httponly=True, samesite="strict"
        )

    def drop(self, response: Response, name: str) -> None:
        """Removes one."""
        response.delete_cookie(name, path="/", secure=self.secure, httponly=True, samesite="strict")


def is_loopback(host: str) -> bool:
    """Whether the host is this machine by its address or by the name ``localhost``."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def from_own_page(request: Request, public_url: str) -> bool:
    """Whether a change was sent from one of our own pages, as far as the browser says.

    Browsers say ``Sec-Fetch-Site`` on HTTPS and loopback and ``Origin`` everywhere; a tool says neither
    and stays bound to the CSRF token alone.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin")
    if origin is None:
        return True
    here = f"{request.url.scheme}://{request.headers.get('host', '')}"
    return origin.casefold() in (_origin_of(public_url), here.casefold())


def _origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".casefold()


def client_network(request: Request) -> str:
    """Who knocks, for counting: the IPv4 address, or the /64 that one IPv6 user has to himself."""
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
