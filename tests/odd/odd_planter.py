"""Sends canaries in everything that can be sent to a server."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import re
import socket
import time
import uuid
from datetime import UTC, datetime
from typing import Any

import httpx
from odd_canaries import Canaries
from odd_server import Served

_CSRF = re.compile(r'name="csrf" value="([^"]+)"')


class Planter:
    """Sends canaries in everything that can be sent, and keeps what was answered in refusal."""

    def __init__(self, served: Served, canaries: Canaries, secrets: dict[str, str]) -> None:
        self.served = served
        self.canaries = canaries
        self.secrets = secrets
        self.refusals: list[str] = []
        self.http = httpx.Client(
            base_url=served.url,
            trust_env=False,
            timeout=30,
            headers={
                "User-Agent": canaries.word("user agent"),
                "Referer": f"https://shop.example/{canaries.word('referer')}",
                "X-Forwarded-For": canaries.word("forwarded for"),
            },
        )

    def send(self, method: str, path: str, *statuses: int, **more: Any) -> httpx.Response:
        """One request, whose answer has one of the statuses."""
        answer = self.http.request(method, path, **more)
        assert answer.status_code in statuses, (method, path, answer.status_code, answer.text[:500])
        if answer.status_code >= 400:
            self.refusals.append(answer.text)
        return answer

    def chat(self) -> dict[str, str]:
        """A customer; returns the headers that prove the session."""
        one = self.canaries
        opened = self.send(
            "POST",
            "/api/v1/chat/sessions",
            200,
            json={"client_session_id": one.word("client session id"), "order_token": one.word("order token")},
            params={"q": one.word("query of sessions")},
        ).json()
        self.secrets["chat token"] = opened["token"].partition(".")[2]
        headers = {"Authorization": f"Bearer {opened['token']}"}
        same = str(uuid.uuid4())
        where = "/api/v1/chat/messages"
        for text in ("怎么退货", "质量太差了，我要投诉", "查订单", "转人工", ""):
            said = {"client_msg_id": one.word("message id"), "text": text + one.words("message text")}
            self.send("POST", where, 202, json=said, headers=headers)
        said = {"client_msg_id": same, "text": one.words("pressed text"), "button_id": one.word("button id")}
        self.send("POST", where, 202, json=said, headers=headers)
        self.send("POST", where, 409, json={**said, "text": one.words("conflicting text")}, headers=headers)
        for body in (
            f'{{"client_msg_id":"a b {one.word("bad message id")}","text":"x"}}',
            f'{{"client_msg_id":"a","text":["{one.word("text in a list")}"]}}',
            f'{{"text":"{one.word("cut body")}',
            f'{{"{one.word("unknown key")}":NaN}}',
            json.dumps({"client_msg_id": "a", "text": one.words("long text") * 900}),
            f"[[[{one.word('list body')}",
        ):
            self.send("POST", where, 422, content=body.encode(), headers=headers)
        gbk = f"你好{one.word('gbk body')}".encode("gbk")
        self.send("POST", where, 422, content=gbk, headers=headers)
        self.send("POST", "/api/v1/chat/seen", 422, json={"seq": one.word("seq")}, headers=headers)
        self.send("GET", "/api/v1/chat/events", 422, params={"after": one.word("after")}, headers=headers)
        for authorization in (
            f"Bearer {one.word('bad token')}",
            f"Basic {one.word('basic')}",
            one.word("no scheme"),
        ):
            self.send("POST", where, 401, json=said, headers={"Authorization": authorization})
        return headers

    def order(self, secret: str, api_key: str) -> None:
        """The shop's systems."""
        one = self.canaries
        event: dict[str, Any] = {
            "type": "order.delivered",
            "id": one.word("event id"),
            "occurred_at": datetime.now(UTC).isoformat(),
            "order": {
                "id": one.word("order id"),
                "buyer": {
                    "id": one.word("buyer id"),
                    "name": one.words("buyer name"),
                    "phone": one.phone("buyer phone"),
                    "birthday": "1990-01-31",
                },
                "items": [
                    {"sku": one.word("sku"), "name": one.words("item"), "quantity": 1, "price": "1.00"}
                ],
                "amount": "1.00",
                "currency": "CNY",
                "carrier": one.words("carrier"),
                "tracking_no": one.word("tracking"),
            },
        }
        webhook_id = one.word("webhook id")
        self._event(event, secret, 202, webhook_id=webhook_id)
        event["order"]["carrier"] = one.words("other carrier")
        self._event(event, secret, 409, webhook_id=webhook_id)
        for place in ("amount", "currency", "items"):
            self._event({**event, "order": {**event["order"], place: one.word(f"bad {place}")}}, secret, 422)
        self._event({**event, "type": one.word("bad type"), one.word("order key"): 1}, secret, 422)
        self._event(event, secret, 401, signature=f"v1,{one.word('signature')}")
        self._event(
            event, secret, 401, signature=one.word("odd signature"), webhook_id=one.word("bad webhook id")
        )
        self._event(event, "whsec_" + base64.b64encode(one.word("forged key").encode()).decode(), 401)
        links = f"/api/v1/orders/{event['order']['id']}/links"
        self.send("GET", links, 401, headers={"Authorization": f"Bearer {one.word('bad api key')}"})
        key = {"Authorization": f"Bearer {api_key}"}
        self.send("GET", f"/api/v1/orders/{one.word('unknown order')}/links", 404, headers=key)
        until = time.monotonic() + 10
        while self.http.get(links, headers=key).status_code != 200:
            assert time.monotonic() < until
            time.sleep(0.1)
        link = self.http.get(links, headers=key).json()["web"].partition("#order=")[2]
        self.secrets["order link"] = link
        session = {"client_session_id": one.word("buyer's session id"), "order_token": link}
        self.send("POST", "/api/v1/chat/sessions", 200, json=session)

    def _event(
        self, event: dict[str, Any], secret: str, status: int, *, webhook_id: str = "", signature: str = ""
    ) -> None:
        body = json.dumps(event, ensure_ascii=False).encode()
        stamp = str(int(time.time()))
        webhook_id = webhook_id or f"msg_{uuid.uuid4().hex}"
        key = base64.b64decode(secret.removeprefix("whsec_"))
        mac = hmac.new(key, f"{webhook_id}.{stamp}.".encode() + body, hashlib.sha256).digest()
        headers = {
            "webhook-id": webhook_id,
            "webhook-timestamp": stamp,
            "webhook-signature": signature or f"v1,{base64.b64encode(mac).decode()}",
        }
        self.send("POST", "/api/v1/orders/events", status, content=body, headers=headers)

    def console(self, login: str, password: str) -> None:
        """Strangers and staff. The page of a refused form shows again what was typed: that is no leak."""
        one = self.canaries
        form = self._form("/console/login")
        wrong = {**form, "login": one.word("wrong login"), "password": one.word("wrong password")}
        assert self.http.post("/console/login", data=wrong).status_code == 401
        self.send("POST", "/console/login", 403, data={**wrong, "csrf": one.word("csrf")})
        self.send("POST", "/console/login", 415, json={"password": one.word("password in json")})
        cookie = {"Cookie": f"__Host-huiyin={one.word('cookie')}"}
        self.send("GET", "/console/cases", 303, headers=cookie, params={"q": one.word("query of a stranger")})
        self.send("POST", "/console/login", 303, data={**form, "login": login, "password": password})
        # httpx keeps Secure cookies from plain HTTP, which browsers do not on this machine.
        for name, value in self.http.cookies.items():
            self.secrets[f"cookie {name}"] = value
            self.http.headers["Cookie"] = f"{name}={value}"
        page = self.send("GET", "/console/cases", 200, params={"q": one.word("search")}).text
        number = re.search(r"HY-\d+", page)
        assert number is not None
        case = f"/console/cases/{number.group()}"
        form = self._form(case)
        self.secrets["form token"] = form["csrf"]
        reply = {**form, "text": one.words("staff reply"), "client_msg_id": one.word("reply id")}
        self.send("POST", f"{case}/reply", 303, data=reply)
        self.send("POST", f"{case}/note", 303, data={**form, "text": one.words("note")})
        assert self.http.post(f"{case}/note", data={**form, "text": " "}).status_code == 422
        self.send("POST", f"{case}/close", 303, data={**form, "reason": one.words("reason")})
        self.send("GET", f"/console/cases/{one.word('unknown case')}", 404)
        self.send("GET", f"/console/{one.word('unknown page')}", 404)
        entry = {name: one.words(f"faq {name}") for name in ("question", "variants", "answer", "category")}
        self.send(
            "POST", "/console/faq/new", 303, data={**form, **entry, "slug": "a-canary", "enabled": "yes"}
        )
        wrong = {**form, "old": one.word("old password"), "new": one.word("new password"), "again": "x"}
        self.http.post("/console/account/password", data=wrong)

    def _form(self, path: str) -> dict[str, str]:
        answer = self.http.get(path)
        for name, value in answer.cookies.items():
            self.http.headers["Cookie"] = f"{name}={value}"
        found = _CSRF.search(answer.text)
        assert found is not None, answer.text[:500]
        return {"csrf": found.group(1)}

    def wire(self) -> None:
        """What is no HTTP, or breaks off."""
        one = self.canaries
        for raw in (
            f"{one.word('bad method')} / HTTP/1.1\r\n\r\n",
            f"GET /{one.word('space in path')} x y HTTP/1.1\r\nHost: a\r\n\r\n",
            f"GET / HTTP/1.1\r\nHost: a\r\n{one.word('bad header')}\r\n\r\n",
            f"GET / HTTP/1.1\r\nHost: a\r\nX-Odd: {one.word('control in header')}\x01\x00\r\n\r\n",
            f"GET /%zz{one.word('bad escape')}?%ff HTTP/1.1\r\nHost: a\r\n\r\n",
            f"POST /console/login HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n{one.word('broken off')}",
            "POST /api/v1/chat/sessions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            f"zz\r\n{one.word('bad chunk')}\r\n",
            f"GET / HTTP/1.1\r\nHost: a\r\nX-Big: {one.word('huge header') * 8000}\r\n\r\n",
            f"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-A: {one.word('upgrade')}\r\n\r\n",
            f"\x16\x03\x01{one.word('tls')}",
        ):
            self.refusals.append(_speak(self.served.port, raw.encode("latin-1")))


def _speak(port: int, raw: bytes) -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
        answer = b""
        with contextlib.suppress(OSError):
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65536):
                answer += part
    status = answer[9:12]
    assert not status.startswith(b"5"), answer[:300]
    return answer.decode("latin-1")
