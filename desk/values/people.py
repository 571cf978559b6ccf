"""Customers and staff."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


@dataclass(frozen=True, slots=True)
class Contact:
    """客户: a person. ``buyer_id`` is the shop's id for them, at most one."""

    id: int
    public_id: str
    name: str
    phone: str
    buyer_id: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Identity:
    """渠道身份: one channel's user."""

    id: int
    contact_id: int
    channel: str
    external_id: str
    reachable: bool
    opted_out_at: datetime | None
    consented_at: datetime | None
    last_message_at: datetime | None


class Role(StrEnum):
    """What a staff member may do."""

    AGENT = "agent"
    LEAD = "lead"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class StaffMember:
    """客服."""

    id: int
    login: str
    name: str
    role: Role
    disabled: bool


@dataclass(frozen=True, slots=True)
class DeskEvent:
    """Something that the staff's screens should show. ``id`` rises, so a screen can resume."""

    id: int
    kind: str
    case_id: int | None
    conversation_id: int | None
    payload: Mapping[str, Any]
    at: datetime
