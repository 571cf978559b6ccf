"""A chat page made of raw requests."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from odd_door import Answer, Door, Headers

from desk.texts import storable

JSON = (b"content-type", b"application/json")


def as_stored(text: str) -> str:
    """What becomes of a text: surrogate pairs joined as JSON does, broken ones replaced, NUL gone."""
    joined: str = json.loads(json.dumps(text))
    return storable(joined)


def is_takable(text: str) -> bool:
    """Whether the text, as stored, is a message at all."""
    return bool(text.strip()) and len(text) <= 4000


@dataclass(frozen=True)
class Line:
    """One line on the customer's screen."""

    seq: int
    author: str
    text: str
    client_msg_id: str | None


@dataclass(frozen=True)
class Page:
    """A customer's browser, at an address of its own."""

    door: Door
    address: str
    token: str

    @classmethod
    async def open(cls, door: Door, number: int, order_token: str | None = None) -> Page:
        """A fresh customer; each number is another one, elsewhere."""
        address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        asked: dict[str, Any] = {"client_session_id": f"odd-customer-{number:012d}"}
        if order_token is not None:
            asked["order_token"] = order_token
        answer = await door.ask(
            "POST", "/api/v1/chat/sessions", headers=[JSON], body=json.dumps(asked).encode(), address=address
        )
        assert answer.status == 200, answer
        return cls(door, address, json.loads(answer.body)["token"])

    @property
    def bearer(self) -> tuple[bytes, bytes]:
        """The header that proves the session."""
        return b"authorization", b"Bearer " + self.token.encode()

    async def send(self, body: bytes, headers: Headers = (JSON,)) -> Answer:
        """Posts a message's raw body."""
        return await self.door.ask(
            "POST",
            "/api/v1/chat/messages",
            headers=[self.bearer, *headers],
            body=body,
            address=self.address,
        )

    async def write(self, client_msg_id: str, text: str, *, ascii_only: bool = True) -> Answer:
        """Posts a message, its JSON escaped or in UTF-8 (surrogates as the bytes that no UTF-8 has)."""
        body = json.dumps({"client_msg_id": client_msg_id, "text": text}, ensure_ascii=ascii_only)
        return await self.send(body.encode("utf-8", "surrogatepass"))

    async def screen(self) -> tuple[list[Line], str]:
        """What the event stream tells from the start: all lines, and who speaks."""
        answer = await self.door.ask(
            "GET", "/api/v1/chat/events", query=b"after=0", headers=[self.bearer], address=self.address
        )
        assert answer.status == 200, answer
        lines, speaker = [], ""
        for event in answer.body.decode().split("\n\n"):
            fields = dict(line.partition(": ")[::2] for line in event.split("\n") if line)
            if fields.get("event") == "message":
                data = json.loads(fields["data"])
                assert fields["id"] == str(data["seq"])
                lines.append(Line(data["seq"], data["author"], data["text"], data["client_msg_id"]))
            elif fields.get("event") == "state":
                speaker = json.loads(fields["data"])["speaker"]
        return lines, speaker


def check_refusal(answer: Answer) -> None:
    """A refused API request is told why in words of ours, and nothing of what came in."""
    detail = json.loads(answer.body)["detail"]
    assert set(detail) <= {"field", "reason"}
    assert detail["reason"].isascii()
    assert len(detail["reason"]) < 200
    assert detail.get("field", "body").replace(".", "").replace("-", "").isidentifier()
