"""Faults that a test orders: what goes wrong with the next calls."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

KINDS = {
    # kind: is the call carried out although the answer is wrong?
    "status": False,  # code=500|502|504: an error of the server, the last two as a page of nginx
    "flood": False,  # retry_after=N: a 429
    "error": False,  # code, description, parameters: any other refusal
    "not_ok": False,  # HTTP 200 with "ok": false
    "html": False,  # HTTP 200 with a page
    "lost_request": False,  # the request was read, then the connection is reset; nothing is done
    "lost_answer": True,  # done, then the connection is reset (how="rst") or closed (how="close")
    "hang": True,  # done, then no answer until the client goes away
    "cut": True,  # done, then half an answer
    "slow": True,  # done, answered after seconds=N
}


@dataclass
class Fault:
    """What goes wrong, for which method and chat (None is any), and how often still."""

    kind: str
    method: str | None
    chat: int | None
    times: int
    executed: bool
    options: dict[str, Any] = field(default_factory=dict)

    def fits(self, method: str, chat: int | None) -> bool:
        """Whether it is meant for this call."""
        return (
            self.times > 0
            and (self.method is None or self.method.lower() == method.lower())
            and (self.chat is None or self.chat == chat)
        )


class Faults:
    """The faults ordered and not yet used up, oldest first."""

    def __init__(self) -> None:
        self.ordered: list[Fault] = []
        self.resets = 0
        """Connections still to reset before a byte of the request is read."""

    def order(
        self,
        kind: str,
        method: str | None = None,
        chat: int | None = None,
        times: int = 1,
        executed: bool | None = None,
        **options: Any,
    ) -> Fault:
        """Adds one; see ``TelegramApi.fail``."""
        if kind not in KINDS:
            raise ValueError(f"no fault {kind!r}; there are {', '.join(KINDS)}")
        fault = Fault(kind, method, chat, times, KINDS[kind] if executed is None else executed, options)
        self.ordered.append(fault)
        return fault

    def take(self, method: str, chat: int | None) -> Fault | None:
        """The fault for this call, used once."""
        for fault in self.ordered:
            if fault.fits(method, chat):
                fault.times -= 1
                if fault.times == 0:
                    self.ordered.remove(fault)
                return fault
        return None

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        self.ordered.clear()
        self.resets = 0
