"""What was said while a case had no card in the group yet."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from bot.telegram.room.room_rows import RoomRows
from desk.values import Author, Case, Message

TYPED_IN_GROUP = "tg:"
"""How the ids of lines begin that staff typed in the group; those are not shown again."""
MEDIA_BEFORE = timedelta(hours=24)
"""How old a picture may be to be shown with a case that was opened after it."""
_BEFORE = timedelta(seconds=30)
"""The line that opened a case is a little older than the case."""
_LOOKED_AT = 50


def ask_for_unshown(rows: RoomRows, case: Case, whole: Collection[int]) -> None:
    """Asks for the lines of a case whose card was shown just now, without those that stand on it.

    Until a card is there its lines are not asked for one by one: most of them are on the card, and each row
    costs a share of what a group may get.

    Args:
        whole: Ids of the messages that stand on the card with all their words.
    """
    unit, room = rows.unit, str(rows.chat)
    for line in unit.conversations.find_latest(case.conversation_id, _LOOKED_AT):
        if line.id in whole or not is_shown(line) or line.edits_message_id is not None:
            continue
        earliest = case.opened_at - (MEDIA_BEFORE if line.attachments else _BEFORE)
        if line.created_at >= earliest and unit.staff_rooms.find_line_of_message(room, line.id) is None:
            ask_for(rows, case.id, line)


def ask_for(rows: RoomRows, case_id: int, line: Message) -> None:
    """Asks for one line: its words, or each thing that came with them."""
    for part in range(len(line.attachments)):
        rows.media(case_id, line.conversation_id, line.id, part)
    if not line.attachments:
        rows.line(case_id, line.conversation_id, line.id)


def is_shown(line: Message) -> bool:
    """Whether the group sees a line: customers' words, and what staff write elsewhere."""
    return line.author is Author.CUSTOMER or (line.author is Author.STAFF and not typed_in_group(line))


def typed_in_group(line: Message) -> bool:
    """Whether a line was typed in the group."""
    return (line.client_msg_id or "").startswith(TYPED_IN_GROUP)
