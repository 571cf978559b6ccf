"""会话 on SQL: conversations and their messages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, case, exists, func, insert, or_, select, update
from sqlalchemy.orm import Session

from desk.errors import NotFoundError
from desk.values import Attachment, Author, Conversation, Delivery, Message, Option, Speaker, Understanding
from storage.message_values import (
    MESSAGE_COLUMNS,
    attachments_to_json,
    message_from_row,
    understanding_to_json,
)
from storage.statements import LARGEST_INTEGER, AnyRow, change, insert_into, ring_after_commit
from storage.tables.people import BUTTONS, CONVERSATIONS, IDENTITIES, MESSAGES, SPEAKER_CHANGES
from storage.tables.work import OUTBOX

CONVERSATION = select(
    CONVERSATIONS.c.id,
    CONVERSATIONS.c.public_id,
    CONVERSATIONS.c.identity_id,
    IDENTITIES.c.contact_id,
    IDENTITIES.c.channel,
    CONVERSATIONS.c.speaker,
    CONVERSATIONS.c.misses,
    CONVERSATIONS.c.angered_at,
    CONVERSATIONS.c.last_message_at,
    CONVERSATIONS.c.seen_seq,
).join(IDENTITIES, IDENTITIES.c.id == CONVERSATIONS.c.identity_id)

_IN_DOUBT = exists().where(
    OUTBOX.c.message_id == MESSAGES.c.id,
    or_(
        OUTBOX.c.state.in_([Delivery.SENDING.value, Delivery.UNCERTAIN.value]),
        OUTBOX.c.maybe_duplicate.is_(True),
    ),
)
_BUTTON_ID = re.compile(r"[A-Za-z0-9_-]{22}")


class SqlConversationStore:
    """Conversations and messages. The conversation's row is the lock of all that is decided in it."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def lock(self, conversation_id: int) -> Conversation:
        """Locks the conversation until the transaction ends."""
        return self._get(CONVERSATIONS.c.id == conversation_id, lock=True)

    def lock_of_identity(self, identity_id: int) -> Conversation:
        """Locks the one conversation with that identity."""
        return self._get(CONVERSATIONS.c.identity_id == identity_id, lock=True)

    def get(self, conversation_id: int) -> Conversation:
        """Returns the conversation without locking it."""
        return self._get(CONVERSATIONS.c.id == conversation_id)

    def find_of_identity(self, identity_id: int) -> Conversation | None:
        """Returns the one conversation with that identity."""
        row = self._session.execute(
            CONVERSATION.where(CONVERSATIONS.c.identity_id == identity_id)
        ).one_or_none()
        return None if row is None else conversation_from_row(row)

    def set_speaker(
        self, conversation_id: int, speaker: Speaker, reason: str, staff_id: int | None, now: datetime
    ) -> None:
        """Changes who has the word and records the change, if it is one."""
        before = self.lock(conversation_id).speaker
        if before is speaker and staff_id == self._find_staff_id(conversation_id):
            return
        self._session.execute(
            update(CONVERSATIONS).where(CONVERSATIONS.c.id == conversation_id).values(speaker=speaker.value)
        )
        self._session.execute(
            insert(SPEAKER_CHANGES).values(
                conversation_id=conversation_id,
                from_speaker=before.value,
                to_speaker=speaker.value,
                reason=reason,
                staff_id=staff_id,
                at=now,
            )
        )

    def set_state(self, conversation_id: int, *, misses: int, angered_at: datetime | None) -> None:
        """Sets what the bot remembers of the mood of the talk."""
        self._session.execute(
            update(CONVERSATIONS)
            .where(CONVERSATIONS.c.id == conversation_id)
            .values(misses=misses, angered_at=angered_at)
        )

    def set_seen(self, conversation_id: int, seq: int, now: datetime) -> None:
        """Raises ``seen_seq`` (never lowers it, never above the last ``seq``)."""
        last = CONVERSATIONS.c.next_seq - 1
        shown = max(0, min(seq, LARGEST_INTEGER))
        seen = case((last < shown, last), else_=shown)
        self._session.execute(
            update(CONVERSATIONS)
            .where(CONVERSATIONS.c.id == conversation_id, CONVERSATIONS.c.seen_seq < seen)
            .values(seen_seq=seen, seen_at=now)
        )

    def add_incoming(
        self,
        conversation: Conversation,
        external_id: str,
        revision: int,
        text: str,
        client_msg_id: str | None,
        now: datetime,
        attachments: Sequence[Attachment] = (),
    ) -> Message | None:
        """Stores the customer's message with the next ``seq``; None when it is there already.

        A ``revision`` above 0 names the message of revision 0, where there is one, as the one it edits.
        Lock the conversation first: an unlocked race for the same ``seq`` raises IntegrityError.
        """
        edited: dict[str, Any] = {}
        if revision > 0:
            original = MESSAGES.alias("original")
            edited["edits_message_id"] = (
                select(original.c.id)
                .where(
                    original.c.channel == conversation.channel,
                    original.c.external_id == external_id,
                    original.c.revision == 0,
                    original.c.conversation_id == conversation.id,
                )
                .scalar_subquery()
            )
        row = self._session.execute(
            insert_into(self._session, MESSAGES)
            .values(
                conversation_id=conversation.id,
                seq=select(CONVERSATIONS.c.next_seq)
                .where(CONVERSATIONS.c.id == conversation.id)
                .scalar_subquery(),
                author=Author.CUSTOMER.value,
                channel=conversation.channel,
                external_id=external_id,
                revision=revision,
                text=text,
                delivery=Delivery.SENT.value,
                client_msg_id=client_msg_id,
                created_at=now,
                sent_at=now,
                attachments=attachments_to_json(attachments),
                **edited,
            )
            .on_conflict_do_nothing(index_elements=["channel", "external_id", "revision"])
            .returning(*MESSAGE_COLUMNS)
        ).one_or_none()
        if row is None:
            return None
        self._session.execute(
            update(CONVERSATIONS)
            .where(CONVERSATIONS.c.id == conversation.id)
            .values(next_seq=CONVERSATIONS.c.next_seq + 1, last_message_at=now)
        )
        ring_after_commit(self._session, f"events:{conversation.id}")
        return message_from_row(row)

    def set_outcome(
        self, message_id: int, reason: str, understanding: Understanding | None, action: str
    ) -> None:
        """Records what the desk did with a customer's message, and why."""
        self._session.execute(
            update(MESSAGES)
            .where(MESSAGES.c.id == message_id)
            .values(reason=reason, understanding=understanding_to_json(understanding), action=action)
        )

    def find_newest_sent(
        self, conversation_id: int, before_message_id: int, written_by: datetime
    ) -> Message | None:
        """See ``ConversationStore.find_newest_sent``."""
        own_seq = select(MESSAGES.c.seq).where(MESSAGES.c.id == before_message_id).scalar_subquery()
        upper = select(func.coalesce(own_seq, CONVERSATIONS.c.next_seq)).where(
            CONVERSATIONS.c.id == conversation_id
        )
        which = and_(MESSAGES.c.created_at <= written_by, MESSAGES.c.edits_message_id.is_(None))
        newest = self._find_highest(
            and_(
                MESSAGES.c.conversation_id == conversation_id, MESSAGES.c.seq < upper.scalar_subquery(), which
            )
        )
        if before_message_id:
            which = and_(which, MESSAGES.c.id < before_message_id)
        return self._find_in_doubt(conversation_id, newest, which) or newest

    def get_message(self, message_id: int) -> Message:
        """See ``ConversationStore.get_message``."""
        row = self._session.execute(select(*MESSAGE_COLUMNS).where(MESSAGES.c.id == message_id)).one_or_none()
        if row is None:
            raise NotFoundError("message")
        return message_from_row(row)

    def find_versions(self, message_id: int) -> Sequence[Message]:
        """Every stored version of this customer's message, itself included, by rising revision."""
        one = MESSAGES.alias("one")
        rows = self._session.execute(
            select(*MESSAGE_COLUMNS)
            .join(
                one,
                and_(
                    one.c.channel == MESSAGES.c.channel,
                    one.c.external_id == MESSAGES.c.external_id,
                    one.c.conversation_id == MESSAGES.c.conversation_id,
                ),
            )
            .where(one.c.id == message_id)
            .order_by(MESSAGES.c.revision)
        )
        return [message_from_row(row) for row in rows]

    def find_staff_lines(self, conversation_id: int, staff_id: int, client_msg_id: str) -> Sequence[Message]:
        """The line that this person said under that id of theirs, then what corrected it, oldest first."""
        by_them = and_(MESSAGES.c.conversation_id == conversation_id, MESSAGES.c.staff_id == staff_id)
        said = self._session.execute(
            select(*MESSAGE_COLUMNS)
            .where(by_them, MESSAGES.c.client_msg_id == client_msg_id)
            .order_by(MESSAGES.c.id)
            .limit(1)
        ).one_or_none()
        if said is None:
            return []
        rows = self._session.execute(
            select(*MESSAGE_COLUMNS)
            .where(by_them, MESSAGES.c.edits_message_id == said.id)
            .order_by(MESSAGES.c.id)
        )
        return [message_from_row(row) for row in (said, *rows)]

    def find_newest_prompt(self, conversation_id: int) -> Message | None:
        """See ``ConversationStore.find_newest_prompt``."""
        newest = self._find_highest(
            and_(
                MESSAGES.c.conversation_id == conversation_id,
                MESSAGES.c.seq.is_not(None),
                MESSAGES.c.prompt.is_not(None),
            )
        )
        return self._find_in_doubt(conversation_id, newest, MESSAGES.c.prompt.is_not(None)) or newest

    def find_option(self, button_id: str) -> tuple[Message, Option] | None:
        """The message and option that an opaque button id stands for.

        The id comes from outside and may be any text; one that we cannot have made is not looked up.
        """
        if _BUTTON_ID.fullmatch(button_id) is None:
            return None
        row = self._session.execute(
            select(*MESSAGE_COLUMNS, BUTTONS.c.position)
            .join(BUTTONS, BUTTONS.c.message_id == MESSAGES.c.id)
            .where(BUTTONS.c.token == button_id)
        ).one_or_none()
        if row is None:
            return None
        message = message_from_row(row)
        if message.prompt is None or row.position >= len(message.prompt.options):
            return None
        return message, message.prompt.options[row.position]

    def change_text(self, message_id: int, text: str) -> bool:
        """Changes the words of a message that has not begun to leave; False when it has.

        One that may have left in an earlier try has begun. Lock the conversation first.
        """
        waits = exists().where(
            OUTBOX.c.message_id == MESSAGES.c.id,
            OUTBOX.c.state == Delivery.QUEUED.value,
            OUTBOX.c.maybe_duplicate.is_(False),
        )
        statement = update(MESSAGES).where(MESSAGES.c.id == message_id, waits).values(text=text)
        return change(self._session, statement) == 1

    def find_latest(self, conversation_id: int, limit: int) -> Sequence[Message]:
        """The newest lines, sent or not, oldest of them first."""
        rows = self._session.execute(
            select(*MESSAGE_COLUMNS)
            .where(MESSAGES.c.conversation_id == conversation_id)
            .order_by(MESSAGES.c.id.desc())
            .limit(limit)
        ).all()
        return [message_from_row(row) for row in reversed(rows)]

    def find_after(self, conversation_id: int, seq: int, limit: int) -> Sequence[Message]:
        """Lines that the customer sees, ``seq`` above the given one, in order."""
        rows = self._session.execute(
            select(*MESSAGE_COLUMNS)
            .where(
                MESSAGES.c.conversation_id == conversation_id,
                MESSAGES.c.seq > max(0, min(seq, LARGEST_INTEGER)),
            )
            .order_by(MESSAGES.c.seq)
            .limit(limit)
        )
        return [message_from_row(row) for row in rows]

    def _get(self, which: ColumnElement[bool], *, lock: bool = False) -> Conversation:
        query = CONVERSATION.where(which)
        if lock:
            query = query.with_for_update(of=CONVERSATIONS)
        row = self._session.execute(query).one_or_none()
        if row is None:
            raise NotFoundError("no such conversation")
        return conversation_from_row(row)

    def _find_highest(self, which: ColumnElement[bool]) -> Message | None:
        row = self._session.execute(
            select(*MESSAGE_COLUMNS).where(which).order_by(MESSAGES.c.seq.desc()).limit(1)
        ).one_or_none()
        return None if row is None else message_from_row(row)

    def _find_in_doubt(
        self, conversation_id: int, newest: Message | None, which: ColumnElement[bool]
    ) -> Message | None:
        """The newest line after ``newest`` that left perhaps, so that the customer may be looking at it."""
        row = self._session.execute(
            select(*MESSAGE_COLUMNS)
            .where(
                MESSAGES.c.conversation_id == conversation_id,
                MESSAGES.c.id > (newest.id if newest is not None else 0),
                MESSAGES.c.seq.is_(None),
                _IN_DOUBT,
                which,
            )
            .order_by(MESSAGES.c.id.desc())
            .limit(1)
        ).one_or_none()
        return None if row is None else message_from_row(row)

    def _find_staff_id(self, conversation_id: int) -> int | None:
        """The staff member that the last change of speaker named."""
        staff_id: int | None = self._session.scalars(
            select(SPEAKER_CHANGES.c.staff_id)
            .where(SPEAKER_CHANGES.c.conversation_id == conversation_id)
            .order_by(SPEAKER_CHANGES.c.id.desc())
            .limit(1)
        ).one_or_none()
        return staff_id


def conversation_from_row(row: AnyRow) -> Conversation:
    """Returns the conversation of a row of ``CONVERSATION``."""
    return Conversation(
        id=row.id,
        public_id=row.public_id,
        identity_id=row.identity_id,
        contact_id=row.contact_id,
        channel=row.channel,
        speaker=Speaker(row.speaker),
        misses=row.misses,
        angered_at=row.angered_at,
        last_message_at=row.last_message_at,
        seen_seq=row.seen_seq,
    )
