"""Health, figures, API page, and errors for people and programs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import httpx
import pytest
from console_rig import Rig
from fastapi import FastAPI
from pydantic import BaseModel

from console.errors import install_error_handlers
from console.status import status_router
from desk.errors import StorageUnavailableError, TooFastError


def ask(app: FastAPI, path: str, method: str = "GET", **more: object) -> httpx.Response:
    """One request."""

    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
            return await client.request(method, path, **more)  # type: ignore[arg-type]

    return asyncio.run(run())


class CountIn(BaseModel):
    """A body for the tests."""

    count: int


def app_with(found: Mapping[str, str] | Exception) -> FastAPI:
    """An application whose parts are as given."""

    async def parts() -> Mapping[str, str]:
        if isinstance(found, Exception):
            raise found
        return found

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(status_router(parts))
    install_error_handlers(app)

    @app.post("/api/v1/count")
    async def count(body: CountIn) -> CountIn:
        return body

    @app.get("/api/v1/fast")
    async def fast() -> None:
        from datetime import timedelta

        raise TooFastError(timedelta(milliseconds=1200))

    @app.get("/console/broken")
    async def broken() -> None:
        raise ValueError("CANARY 13800001234")

    return app


@pytest.mark.parametrize(
    ("found", "status", "word"),
    [
        ({"storage": "ok", "nlu": "off"}, 200, "ready"),
        ({"storage": "ok", "nlu": "down"}, 200, "degraded"),
        ({"storage": "locked"}, 503, "unavailable"),
        (StorageUnavailableError("disk full"), 503, "unavailable"),
    ],
)
def test_readiness_says_whether_a_message_can_be_taken(
    found: Mapping[str, str] | Exception, status: int, word: str
) -> None:
    answer = ask(app_with(found), "/readyz")
    assert (answer.status_code, answer.json()["status"]) == (status, word)


def test_liveness_and_figures() -> None:
    app = app_with({})
    assert ask(app, "/healthz").json() == {"status": "ok"}
    assert ask(app, "/metrics").headers["content-type"].startswith("text/plain")


def test_the_api_page_needs_nothing_from_elsewhere() -> None:
    page = ask(Rig.with_fakes().app, "/api/docs")
    assert page.status_code == 200
    assert "/api/v1/orders/events" in page.text
    assert "https://" not in page.text
    assert "/console/cases" not in str(ask(Rig.with_fakes().app, "/api/openapi.json").json()["paths"])


@pytest.mark.parametrize(
    "body", [b'{"count": "CANARY"}', b'{"count": NaN}', b'{"count": "\\ud83d"}', b"{CANARY", b"\xff"]
)
def test_refused_bodies_are_never_repeated(body: bytes) -> None:
    headers = {"content-type": "application/json"}
    answer = ask(app_with({}), "/api/v1/count", "POST", content=body, headers=headers)
    assert answer.status_code in (400, 422)
    assert set(answer.json()["detail"]) <= {"field", "reason"}
    assert "CANARY" not in answer.text


def test_limits_say_when_to_come_back() -> None:
    answer = ask(app_with({}), "/api/v1/fast")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "2")


def test_people_get_pages_and_programs_get_json() -> None:
    app = app_with({})
    page = ask(app, "/console/nowhere")
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert ask(app, "/api/nowhere").json() == {"detail": {"reason": "not found"}}
    assert ask(app, "/api/v1/fast", "DELETE").status_code == 405


def test_a_fault_shows_neither_trace_nor_words(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    answer = ask(app_with({}), "/console/broken")
    assert answer.status_code == 500
    # Where lines go depends on whether the application's logs were set up before.
    output = "".join(capsys.readouterr()) + caplog.text
    for place in (answer.text, output):
        assert "CANARY" not in place
        assert "Traceback" not in place
    assert "ValueError" in output
