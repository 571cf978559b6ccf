"""Reads what a server left behind of Telegram: its updates, what was said, and what went out."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any

from crash_history import LATER, Line, OutgoingRecord, TelegramRecords
from sqlalchemy import func, select
from sqlmodel import Session

from storage.tables.people import CONVERSATIONS, IDENTITIES, MESSAGES
from storage.tables.work import INBOX, OUTBOX

TELEGRAM = "telegram"


def session_of(channel: str, external_id: str) -> str:
    """What a history calls the conversation with that user."""
    return f"{TELEGRAM}:{external_id}" if channel == TELEGRAM else external_id


def read_telegram(session: Session, by: datetime) -> TelegramRecords:
    """Everything of Telegram that the checker wants to know.

    Args:
        by: What may not leave before this was not late.
    """
    updates: defaultdict[str, list[str]] = defaultdict(list)
    for row in session.execute(select(INBOX).where(INBOX.c.source == TELEGRAM)):
        updates[row.source_key].append(row.state)
    lines: defaultdict[str, list[Line]] = defaultdict(list)
    edits: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    said = (
        select(MESSAGES, IDENTITIES.c.external_id.label("who"))
        .join(CONVERSATIONS, CONVERSATIONS.c.id == MESSAGES.c.conversation_id)
        .join(IDENTITIES, IDENTITIES.c.id == CONVERSATIONS.c.identity_id)
        .where(IDENTITIES.c.channel == TELEGRAM, MESSAGES.c.seq.is_not(None))
        .order_by(MESSAGES.c.seq)
    )
    for row in session.execute(said):
        who = session_of(TELEGRAM, row.who)
        if row.revision > 0:
            edits[who].append((row.external_id, row.text))
        else:
            own = row.external_id if row.author == "customer" else None
            lines[who].append(Line(row.seq, row.author, row.text, own))
    out = (
        select(OUTBOX, MESSAGES.c.text.label("words"))
        .outerjoin(MESSAGES, MESSAGES.c.id == OUTBOX.c.message_id)
        .where(OUTBOX.c.channel == TELEGRAM)
        .order_by(OUTBOX.c.id)
    )
    return TelegramRecords(updates, lines, edits, [_outgoing(row, by) for row in session.execute(out)])


def was_worked(session: Session, external_id: str) -> bool:
    """Whether a message was decided on."""
    found = select(func.count()).where(MESSAGES.c.channel == TELEGRAM, MESSAGES.c.external_id == external_id)
    return session.scalars(found).one() > 0


def _outgoing(row: Any, by: datetime) -> OutgoingRecord:
    is_later = row.state == "queued" and row.not_before > by
    return OutgoingRecord(
        chat=int(row.recipient or 0),
        lane=row.lane,
        kind=row.kind,
        state=LATER if is_later else row.state,
        twice=row.maybe_duplicate,
        text=row.words or "",
        called_at=_seconds(row.sending_at),
        ended_at=_seconds(row.ended_at),
        error=row.error,
    )


def _seconds(at: datetime | None) -> float:
    return 0.0 if at is None else at.timestamp()
