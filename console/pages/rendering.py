"""Templates: loaded once, escaped always, with the few filters that show foreign text safely."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from console.display import local_time, masked_phone, money, visible, waited
from console.texts import LANGUAGES, text

_HERE = Path(__file__).resolve().parent.parent
STATIC = _HERE / "static"


def _line(value: object) -> str:
    return visible(str(value), multiline=False)


@lru_cache(maxsize=1)
def static_version() -> str:
    """Changes whenever a style or script does, so that browsers may keep them for long."""
    digest = hashlib.sha256()
    for path in sorted(STATIC.iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


@lru_cache(maxsize=1)
def environment() -> Environment:
    """The templates. A name that a template uses and nobody gave is an error, never an empty place."""
    found = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["shown"] = lambda value: visible(str(value))
    found.filters["line"] = _line
    found.filters["masked"] = masked_phone
    found.globals["money"] = money
    found.globals["static_version"] = static_version()
    return found


def language_of(request: Request) -> str:
    """The language that this browser chose; Chinese unless it chose."""
    for name in ("__Host-huiyin-lang", "huiyin-lang"):
        if request.cookies.get(name) in LANGUAGES:
            return request.cookies[name]
    return "zh"


def render(template: str, language: str, /, **context: Any) -> str:
    """A template's text, with ``t`` for words and ``waited`` for times in that language."""

    def words(key: str, /, **values: Any) -> str:
        return text(key, language).format(**values) if values else text(key, language)

    def wait_words(since: datetime, until: datetime) -> str:
        key, number = waited(until - since if until > since else timedelta())
        return words(key, n=number)

    return (
        environment().get_template(template).render(t=words, waited=wait_words, language=language, **context)
    )


def render_alone(
    request: Request, template: str, status: int, headers: Mapping[str, str], /, **context: Any
) -> HTMLResponse:
    """A page for anybody: no menu, nothing of the shop in it."""
    body = render(template, language_of(request), **context)
    return HTMLResponse(body, status, headers=dict(headers))


def time_filter(zone: Any, now: datetime) -> Any:
    """Shows a time in the shop's zone; the exact one is in the page for those who point at it."""

    def show(at: datetime | None) -> str:
        return local_time(at, zone, now)

    return show


def iso(at: datetime | None) -> str:
    """For ``<time datetime>``."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else ""
