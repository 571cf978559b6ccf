"""What a person says to a customer, and corrects, inside a unit of work. The conversation is locked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from desk import prompts, wording
from desk.errors import InvalidInputError, NotFoundError
from desk.ports import UnitOfWork
from desk.sending import STAFF_KEY
from desk.values import (
    Attachment,
    Author,
    Case,
    ChannelCapabilities,
    Conversation,
    Message,
    Reply,
    StaffMember,
)

MOST_CHARACTERS = 4000


def check_text(text: str, *, may_be_empty: bool = False) -> None:
    """Raises InvalidInputError for a text that is blank or too long."""
    if not text.strip() and not may_be_empty:
        raise InvalidInputError("text", "must not be empty")
    if len(text) > MOST_CHARACTERS:
        raise InvalidInputError("text", f"must have at most {MOST_CHARACTERS} characters")


def say(
    unit: UnitOfWork,
    case: Case,
    conversation: Conversation,
    staff: StaffMember,
    text: str,
    client_msg_id: str,
    attachments: Sequence[Attachment],
    now: datetime,
) -> Message | None:
    """Says a line to the customer and shows it to staff; None when it was said before."""
    line = _line(case, text, attachments=tuple(attachments))
    key = f"{STAFF_KEY}{conversation.id}:{client_msg_id}"
    message = unit.outbox.say(conversation, line, key, now, staff=staff, client_msg_id=client_msg_id)
    if message is not None:
        payload = {"message_id": message.id, "number": case.number}
        unit.desk_events.add("message", case.id, conversation.id, payload, now)
        unit.staff.audit(staff.id, "case.reply", case.number, "", now)
    return message


def correct(
    unit: UnitOfWork,
    case: Case,
    conversation: Conversation,
    staff: StaffMember,
    client_msg_id: str,
    text: str,
    revision: int,
    capabilities: ChannelCapabilities,
    now: datetime,
) -> bool:
    """Brings a person's own line up to date with their edit of it; False when it is so already.

    What has not begun to leave is changed where it waits. What has left is corrected by a message of its
    own: in place where the channel can edit, else as a new line that says that it corrects.

    Raises:
        NotFoundError: This person said no such line here.
        InvalidInputError: Nothing would be left of the line.
    """
    lines = unit.conversations.find_staff_lines(conversation.id, staff.id, client_msg_id)
    if not lines:
        raise NotFoundError("line")
    said, newest = lines[0], lines[-1]
    check_text(text, may_be_empty=bool(said.attachments))
    in_place = newest is said or capabilities.edits
    shown = text if in_place else wording.CORRECTION.format(text=text)
    if newest.text == shown:
        return False
    changed = newest
    if not unit.conversations.change_text(newest.id, shown):
        shown = text if capabilities.edits else wording.CORRECTION.format(text=text)
        key = f"{STAFF_KEY}{conversation.id}:{client_msg_id}:edit:{revision}"
        correction = _line(case, shown, edits_message_id=said.id)
        stored = unit.outbox.say(conversation, correction, key, now, staff=staff)
        if stored is None:
            return False
        changed = stored
    payload = {"message_id": changed.id, "edits": said.id, "number": case.number}
    unit.desk_events.add("message_edited", case.id, conversation.id, payload, now)
    unit.staff.audit(staff.id, "case.correct", case.number, "", now)
    return True


def _line(
    case: Case, text: str, attachments: tuple[Attachment, ...] = (), edits_message_id: int | None = None
) -> Reply:
    return Reply(
        text,
        author=Author.STAFF,
        # Said is said: it still leaves when the case is closed before the sender comes to it.
        speakers=prompts.ANYBODY,
        reason=f"case {case.number}",
        attachments=attachments,
        edits_message_id=edits_message_id,
    )
