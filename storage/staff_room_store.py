"""客服群 on SQL: whose topic is whose, and which line there stands for what."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, delete, func, literal_column, or_, select
from sqlalchemy.orm import Session

from desk.values import RoomLine, RoomLineKind, RoomThread
from storage.statements import AnyRow, insert_into, word
from storage.tables.rooms import ROOM_LINES, ROOM_THREADS

_LINE = select(
    ROOM_LINES.c.room,
    ROOM_LINES.c.provider_id,
    ROOM_LINES.c.kind,
    ROOM_LINES.c.conversation_id,
    ROOM_LINES.c.case_id,
    ROOM_LINES.c.message_id,
    ROOM_LINES.c.token,
)
_CARD = ROOM_LINES.c.kind == word(RoomLineKind.CARD)
_TOKEN = re.compile(r"[A-Za-z0-9_-]{22}")


class SqlStaffRoomStore:
    """Topics and lines. They hold ids only; what the lines say is read where it stands."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def find_thread(self, room: str, conversation_id: int) -> RoomThread | None:
        """Returns the topic of the conversation."""
        thread_id = self._session.scalars(
            select(ROOM_THREADS.c.thread_id).where(
                ROOM_THREADS.c.room == room, ROOM_THREADS.c.conversation_id == conversation_id
            )
        ).one_or_none()
        return None if thread_id is None else RoomThread(room, conversation_id, thread_id)

    def find_conversation_id(self, room: str, thread_id: str) -> int | None:
        """Returns whose topic it is."""
        conversation_id: int | None = self._session.scalars(
            select(ROOM_THREADS.c.conversation_id).where(
                ROOM_THREADS.c.room == room, ROOM_THREADS.c.thread_id == thread_id
            )
        ).one_or_none()
        return conversation_id

    def set_thread(self, thread: RoomThread, now: datetime) -> None:
        """Stores the topic of a conversation, in place of the one before."""
        self._session.execute(
            delete(ROOM_THREADS).where(
                ROOM_THREADS.c.room == thread.room,
                or_(
                    ROOM_THREADS.c.conversation_id == thread.conversation_id,
                    ROOM_THREADS.c.thread_id == thread.thread_id,
                ),
            )
        )
        self._session.execute(
            ROOM_THREADS.insert().values(
                room=thread.room,
                conversation_id=thread.conversation_id,
                thread_id=thread.thread_id,
                created_at=now,
            )
        )

    def forget_thread(self, room: str, conversation_id: int) -> None:
        """Forgets the topic of the conversation; its lines stay."""
        self._session.execute(
            delete(ROOM_THREADS).where(
                ROOM_THREADS.c.room == room, ROOM_THREADS.c.conversation_id == conversation_id
            )
        )

    def remember_line(self, line: RoomLine, now: datetime) -> None:
        """Stores a line; the same (room, provider_id, message_id) again changes nothing."""
        self._session.execute(
            insert_into(self._session, ROOM_LINES)
            .values(
                room=line.room,
                provider_id=line.provider_id,
                kind=line.kind.value,
                conversation_id=line.conversation_id,
                case_id=line.case_id,
                message_id=line.message_id,
                token=line.token,
                created_at=now,
            )
            .on_conflict_do_nothing()
        )

    def find_lines(self, room: str, provider_id: str) -> Sequence[RoomLine]:
        """Returns what a line there stands for, oldest first."""
        rows = self._session.execute(
            _LINE.where(ROOM_LINES.c.room == room, ROOM_LINES.c.provider_id == provider_id).order_by(
                ROOM_LINES.c.id
            )
        )
        return [_line(row) for row in rows]

    def find_line_of_message(self, room: str, message_id: int) -> RoomLine | None:
        """Returns the newest line that shows that message or became it."""
        return self._find_newest(and_(ROOM_LINES.c.room == room, ROOM_LINES.c.message_id == message_id))

    def find_card(self, room: str, case_id: int) -> RoomLine | None:
        """Returns the newest card of the case."""
        return self._find_newest(and_(ROOM_LINES.c.room == room, ROOM_LINES.c.case_id == case_id, _CARD))

    def find_card_by_token(self, token: str) -> RoomLine | None:
        """Returns the card with these buttons.

        The token comes from outside and may be any text; one that we cannot have made is not looked up.
        """
        if _TOKEN.fullmatch(token) is None:
            return None
        # Said once more as a literal, so that the partial index fits.
        return self._find_newest(
            and_(ROOM_LINES.c.token == token, ROOM_LINES.c.token != literal_column("''"), _CARD)
        )

    def count_cards_since(self, room: str, since: datetime) -> int:
        """Counts the cards that were shown in the room since then."""
        return self._session.execute(
            select(func.count())
            .select_from(ROOM_LINES)
            .where(_CARD, ROOM_LINES.c.room == room, ROOM_LINES.c.created_at >= since)
        ).scalar_one()

    def move(self, old_room: str, new_room: str) -> None:
        """Forgets the threads and lines of the old id, as they are not those of the new one."""
        if old_room == new_room:
            return
        for table in (ROOM_LINES, ROOM_THREADS):
            self._session.execute(delete(table).where(table.c.room == old_room))

    def _find_newest(self, which: ColumnElement[bool]) -> RoomLine | None:
        row = self._session.execute(
            _LINE.where(which).order_by(ROOM_LINES.c.id.desc()).limit(1)
        ).one_or_none()
        return None if row is None else _line(row)


def _line(row: AnyRow) -> RoomLine:
    return RoomLine(
        room=row.room,
        provider_id=row.provider_id,
        kind=RoomLineKind(row.kind),
        conversation_id=row.conversation_id,
        case_id=row.case_id,
        message_id=row.message_id,
        token=row.token,
    )
