"""The API as its own OpenAPI document describes it, valid and not, by Schemathesis: no fault of ours."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import schemathesis
from hypothesis import given
from hypothesis.errors import Unsatisfiable
from odd_chat import Page
from odd_door import Door, play_examples
from odd_strategies import odd_settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.transport import Response
from shop import API_KEY, Shop
from test_odd_orders import signed

Do = Callable[[Awaitable[Any]], Any]

_CASES_EACH = 30
_FEWEST_CASES = 300
_NO_SUCH_CASES = {("GET /api/v1/orders/{external_id}/links", GenerationMode.NEGATIVE)}
"""Any text is a valid order id, so that this operation has no invalid cases."""


def test_every_operation_withstands_what_its_schema_allows_and_what_it_does_not(tmp_path: Path) -> None:
    asked: Counter[str] = Counter()
    answered: Counter[tuple[str, int]] = Counter()

    def story(shop: Shop, door: Door, do: Do) -> None:
        schema = schemathesis.openapi.from_dict(shop.installation.web_app().openapi())
        operations = [found.ok() for found in schema.get_all_operations()]
        # Nothing under /api/v1 is left out of the document, and nothing in the document is left out here.
        assert {operation.path for operation in operations} >= {
            "/api/v1/chat/sessions",
            "/api/v1/chat/messages",
            "/api/v1/chat/seen",
            "/api/v1/chat/events",
            "/api/v1/orders/events",
            "/api/v1/orders/{external_id}/links",
        }
        for operation in operations:
            if operation.method.upper() == "POST":
                assert len(list(operation.body)) > 0, f"{operation.label} does not say what it takes"
            for mode in GenerationMode:
                _try(operation, mode, door, do, asked, answered)

    play_examples(tmp_path, story)
    assert sum(asked.values()) >= _FEWEST_CASES
    # The cases got past the first door of every operation.
    for label in asked:
        assert any(name == label and status not in {401, 429} for name, status in answered), answered


def _try(
    operation: Any,
    mode: GenerationMode,
    door: Door,
    do: Do,
    asked: Counter[str],
    answered: Counter[tuple[str, int]],
) -> None:
    numbers = itertools.count(1)

    @odd_settings(_CASES_EACH)
    @given(operation.as_strategy(generation_mode=mode))
    def cases(case: Case) -> None:
        asked[operation.label] += 1
        response = do(_send(case, door, next(numbers)))
        answered[operation.label, response.status_code] += 1
        case.validate_response(response, checks=[not_a_server_error])

    try:
        cases()
    except Unsatisfiable:
        assert (operation.label, mode) in _NO_SUCH_CASES


async def _send(case: Case, door: Door, number: int) -> Response:
    """Sends one case through the door, with the proof that its operation asks for three times out of four."""
    made = case.as_transport_kwargs(base_url="http://127.0.0.1:8080")
    made = {key: value for key, value in made.items() if key in requests.Request("GET").__dict__}
    request = requests.Request(**made).prepare()
    address = urlsplit(request.url or "")
    body = request.body.encode() if isinstance(request.body, str) else request.body or b""
    headers = [(name.encode("latin-1"), _bytes(value)) for name, value in request.headers.items()]
    if number % 4:
        headers = await _proof(case.operation.path, door, number, body) + headers
    answer = await door.ask(
        case.method,
        address.path,
        query=address.query.encode(),
        headers=headers,
        body=body,
        address=f"10.9.{number >> 8}.{number & 255}",
    )
    found: dict[str, list[str]] = {}
    for name, value in answer.headers:
        found.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
    return Response(answer.status, found, answer.body, request, 0.0, verify=True)


async def _proof(path: str, door: Door, number: int, body: bytes) -> list[tuple[bytes, bytes]]:
    if path == "/api/v1/orders/events":
        return signed(body, f"msg_{number}".encode())
    if path.startswith("/api/v1/orders/"):
        return [(b"authorization", b"Bearer " + API_KEY.encode())]
    if path == "/api/v1/chat/sessions":
        return []
    return [(await Page.open(door, 1_000_000 + number)).bearer]


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
