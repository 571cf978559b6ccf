"""Durable work: what waits to be done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class InboxItem:
    """待处理: raw bytes as they came in, stored before they were acknowledged."""

    id: int
    source: str
    source_key: str
    lane: str
    raw: bytes
    received_at: datetime
    attempts: int


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work one lane. ``fence`` rises with each owner, so a late one is found out."""

    lane: str
    owner: str
    fence: int


@dataclass(frozen=True, slots=True)
class Timer:
    """定时: something to do at ``due_at``. One per (kind, key)."""

    id: int
    kind: str
    key: str
    due_at: datetime
    payload: Mapping[str, Any]
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Work that failed for good until somebody replays it.

    Attributes:
        origin: ``inbox``, ``outbox`` or ``timer``.
        body: The raw text, for those who may see it.
    """

    origin: str
    id: int
    kind: str
    lane: str
    error: str
    attempts: int
    created_at: datetime
    body: str
