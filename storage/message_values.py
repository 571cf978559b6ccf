"""Message and outbox rows turned into values, and the JSON that parts of them are stored as."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import func, select

from desk.values import (
    Attachment,
    AttachmentKind,
    Author,
    Delivery,
    Message,
    Option,
    Outgoing,
    OutgoingKind,
    Prompt,
    PromptKind,
    SendRank,
    Speaker,
    Understanding,
)
from storage.statements import AnyRow
from storage.tables.people import MESSAGES
from storage.tables.work import OUTBOX

MESSAGE_COLUMNS = (
    MESSAGES.c.id,
    MESSAGES.c.conversation_id,
    MESSAGES.c.seq,
    MESSAGES.c.author,
    MESSAGES.c.staff_name,
    MESSAGES.c.text,
    MESSAGES.c.prompt,
    MESSAGES.c.reason,
    MESSAGES.c.delivery,
    MESSAGES.c.client_msg_id,
    MESSAGES.c.created_at,
    MESSAGES.c.attachments,
    MESSAGES.c.edits_message_id,
)

_EDITED = OUTBOX.alias("edited")
OUTGOING = (
    select(
        OUTBOX.c.id,
        OUTBOX.c.dedupe_key,
        OUTBOX.c.kind,
        OUTBOX.c.channel,
        OUTBOX.c.lane,
        OUTBOX.c.conversation_id,
        OUTBOX.c.message_id,
        OUTBOX.c.recipient,
        func.coalesce(MESSAGES.c.text, "").label("text"),
        MESSAGES.c.prompt,
        OUTBOX.c.speakers,
        OUTBOX.c.payload,
        OUTBOX.c.attempts,
        OUTBOX.c.maybe_duplicate,
        OUTBOX.c.created_at,
        OUTBOX.c.rank,
        MESSAGES.c.attachments,
        MESSAGES.c.edits_message_id,
        func.coalesce(_EDITED.c.provider_id, "").label("edits_provider_id"),
    )
    .outerjoin(MESSAGES, MESSAGES.c.id == OUTBOX.c.message_id)
    .outerjoin(_EDITED, _EDITED.c.message_id == MESSAGES.c.edits_message_id)
    .order_by(OUTBOX.c.id)
)


def message_from_row(row: AnyRow) -> Message:
    """Returns the message of a row that has ``MESSAGE_COLUMNS``."""
    return Message(
        id=row.id,
        conversation_id=row.conversation_id,
        seq=row.seq,
        author=Author(row.author),
        staff_name=row.staff_name,
        text=row.text,
        prompt=prompt_from_json(row.prompt),
        reason=row.reason,
        delivery=Delivery(row.delivery),
        client_msg_id=row.client_msg_id,
        created_at=row.created_at,
        attachments=attachments_from_json(row.attachments),
        edits_message_id=row.edits_message_id,
    )


def outgoing_from_row(row: AnyRow) -> Outgoing:
    """Returns the outgoing message of a row of ``OUTGOING``."""
    return Outgoing(
        id=row.id,
        dedupe_key=row.dedupe_key,
        kind=OutgoingKind(row.kind),
        channel=row.channel,
        lane=row.lane,
        conversation_id=row.conversation_id,
        message_id=row.message_id,
        recipient=row.recipient,
        text=row.text,
        prompt=prompt_from_json(row.prompt),
        speakers=frozenset(Speaker(speaker) for speaker in row.speakers),
        payload=row.payload,
        attempts=row.attempts,
        maybe_duplicate=row.maybe_duplicate,
        created_at=row.created_at,
        rank=SendRank(row.rank),
        attachments=attachments_from_json(row.attachments),
        edits_message_id=row.edits_message_id,
        edits_provider_id=row.edits_provider_id,
    )


def prompt_to_json(prompt: Prompt | None) -> dict[str, Any] | None:
    """Returns the prompt as JSON, button ids included."""
    if prompt is None:
        return None
    return {
        "kind": prompt.kind.value,
        "subject_id": prompt.subject_id,
        "options": [
            {"label": each.label, "typed": each.typed, "value": each.value, "button_id": each.button_id}
            for each in prompt.options
        ],
    }


def prompt_from_json(stored: Mapping[str, Any] | None) -> Prompt | None:
    """Returns what ``prompt_to_json`` was given."""
    if stored is None:
        return None
    return Prompt(
        kind=PromptKind(stored["kind"]),
        options=tuple(Option(**option) for option in stored["options"]),
        subject_id=stored["subject_id"],
    )


def attachments_to_json(attachments: Sequence[Attachment]) -> list[dict[str, Any]] | None:
    """Returns the attachments as JSON; None when there are none."""
    return [asdict(attachment) for attachment in attachments] or None


def attachments_from_json(stored: Sequence[Mapping[str, Any]] | None) -> tuple[Attachment, ...]:
    """Returns what ``attachments_to_json`` was given."""
    return tuple(Attachment(**{**each, "kind": AttachmentKind(each["kind"])}) for each in stored or ())


def understanding_to_json(understanding: Understanding | None) -> dict[str, Any] | None:
    """Returns the understanding as JSON; of FAQ entries the id, slug and question, which may change later."""
    if understanding is None:
        return None
    return {
        "source": understanding.source,
        "intent": understanding.intent,
        "confidence": understanding.confidence,
        "matches": [
            {
                "id": match.entry.id,
                "slug": match.entry.slug,
                "question": match.entry.question,
                "score": match.score,
            }
            for match in understanding.matches
        ],
        "entities": [list(entity) for entity in understanding.entities],
        "degraded": understanding.degraded,
    }
