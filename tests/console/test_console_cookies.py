"""Cookies and origins by the address at which the console is reached."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from console.sessions import Cookies, client_network, from_own_page


@pytest.mark.parametrize(
    ("url", "allow_http", "secure"),
    [
        ("https://shop.example", False, True),
        ("https://shop.example", True, True),
        ("http://127.0.0.1:8080", False, True),
        ("http://127.0.0.1:8080", True, True),
        ("http://localhost:8080", True, True),
        ("http://[::1]:8080", True, True),
        ("http://192.168.1.5:8080", True, False),
        # Not allowed, so the cookie stays strict and signing in does not work: closed rather than open.
        ("http://192.168.1.5:8080", False, True),
        ("http://127.0.0.1.evil.example", True, False),
    ],
)
def test_cookies_are_secure_wherever_browsers_can_keep_them_so(
    url: str, allow_http: bool, secure: bool
) -> None:
    cookies = Cookies.for_url(url, allow_http)
    assert cookies.secure is secure
    assert cookies.session == ("__Host-huiyin" if secure else "huiyin")


def request(headers: dict[str, str], client: str = "203.0.113.9") -> Request:
    """A request to 192.168.1.5."""
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http",
        "method": "POST",
        "scheme": "http",
        "path": "/console/logout",
        "query_string": b"",
        "headers": [(b"host", b"192.168.1.5:8080"), *raw],
        "server": ("192.168.1.5", 8080),
        "client": (client, 5000),
    }
    return Request(scope)


@pytest.mark.parametrize(
    ("headers", "own"),
    [
        ({}, True),
        ({"Origin": "http://192.168.1.5:8080"}, True),
        ({"Origin": "https://console.example"}, True),
        ({"Origin": "http://192.168.1.5"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "https://console.example.evil"}, False),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, True),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://192.168.1.5:8080"}, False),
    ],
)
def test_a_change_comes_from_our_own_page_or_not(headers: dict[str, str], own: bool) -> None:
    assert from_own_page(request(headers), "https://console.example") is own


@pytest.mark.parametrize(
    ("client", "network"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("odd", "odd"),
    ],
)
def test_failures_are_counted_per_network(client: str, network: str) -> None:
    assert client_network(request({}, client)) == network
