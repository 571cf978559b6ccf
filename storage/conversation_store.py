"""会话 on SQL: conversations and their messages."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Executable, and_, case, exists, insert, select, update
from sqlalchemy.orm import Session

from desk.errors import NotFoundError
from desk.values import Attachment, Author, Conversation, Delivery, Message, Option, Speaker, Understanding
from storage.message_statements import (
    CHANGE_CONVERSATION,
    CHANGE_MESSAGE,
    CONVERSATION_BY_ID,
    CONVERSATION_OF_IDENTITY,
    COUNT_MESSAGE,
    LOCK_BY_ID,
    LOCK_OF_IDENTITY,
    MESSAGE_BY_ID,
    NEWEST_PROMPT,
    NEWEST_SENT,
    PROMPT_IN_DOUBT,
    SENT_IN_DOUBT,
    SENT_IN_DOUBT_BEFORE,
    VERSIONS,
    add_incoming,
)
from storage.message_values import (
    MESSAGE_COLUMNS,
    attachments_to_json,
    message_from_row,
    understanding_to_json,
)
from storage.statements import (
    LARGEST_INTEGER,
    AnyRow,
    change,
    on_postgresql,
    ring_after_commit,
)
from storage.tables.people import BUTTONS, CONVERSATIONS, MESSAGES, SPEAKER_CHANGES
from storage.tables.work import OUTBOX

_BUTTON_ID = re.compile(r"[A-Za-z0-9_-]{22}")


class SqlConversationStore:
    """Conversations and messages. The conversation's row is the lock of all that is decided in it."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def lock(self, conversation_id: int) -> Conversation:
        """Locks the conversation until the transaction ends."""
        return self._get(LOCK_BY_ID, {"this_id": conversation_id})

    def lock_of_identity(self, identity_id: int) -> Conversation:
        """Locks the one conversation with that identity."""
        return self._get(LOCK_OF_IDENTITY, {"of_identity": identity_id})

    def get(self, conversation_id: int) -> Conversation:
        """Returns the conversation without locking it."""
        return self._get(CONVERSATION_BY_ID, {"this_id": conversation_id})

    def find_of_identity(self, identity_id: int) -> Conversation | None:
        """Returns the one conversation with that identity."""
        row = self._session.execute(CONVERSATION_OF_IDENTITY, {"of_identity": identity_id}).one_or_none()
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
            CHANGE_CONVERSATION, {"this_id": conversation_id, "misses": misses, "angered_at": angered_at}
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
        row = self._session.execute(
            add_incoming(on_postgresql(self._session), revision > 0),
            {
                "in_conversation": conversation.id,
                "on_channel": conversation.channel,
                "known_as": external_id,
                "conversation_id": conversation.id,
                "author": Author.CUSTOMER.value,
                "channel": conversation.channel,
                "external_id": external_id,
                "revision": revision,
                "text": text,
                "delivery": Delivery.SENT.value,
                "client_msg_id": client_msg_id,
                "created_at": now,
                "sent_at": now,
                "attachments": attachments_to_json(attachments),
            },
        ).one_or_none()
        if row is None:
            return None
        self._session.execute(COUNT_MESSAGE, {"this_id": conversation.id, "last_message_at": now})
        ring_after_commit(self._session, f"events:{conversation.id}")
        return message_from_row(row)

    def set_outcome(
        self, message_id: int, reason: str, understanding: Understanding | None, action: str
    ) -> None:
        """Records what the desk did with a customer's message, and why."""
        self._session.execute(
            CHANGE_MESSAGE,
            {
                "this_id": message_id,
                "reason": reason,
                "understanding": understanding_to_json(understanding),
                "action": action,
            },
        )

    def correct_understanding(self, message_id: int, reason: str, understanding: Understanding) -> None:
        """Records what a customer's message is understood as now; what was done stays on record."""
        self._session.execute(
            CHANGE_MESSAGE,
            {
                "this_id": message_id,
                "reason": reason,
                "understanding": understanding_to_json(understanding),
            },
        )

    def find_newest_sent(
        self, conversation_id: int, before_message_id: int, written_by: datetime
    ) -> Message | None:
        """See ``ConversationStore.find_newest_sent``."""
        which: dict[str, Any] = {
            "in_conversation": conversation_id,
            "before_id": before_message_id,
            "written_by": written_by,
        }
        newest = self._find_message(NEWEST_SENT, which)
        in_doubt = SENT_IN_DOUBT_BEFORE if before_message_id else SENT_IN_DOUBT
        return self._find_in_doubt(in_doubt, newest, which) or newest

    def get_message(self, message_id: int) -> Message:
        """See ``ConversationStore.get_message``."""
        row = self._session.execute(MESSAGE_BY_ID, {"this_id": message_id}).one_or_none()
        if row is None:
            raise NotFoundError("message")
        return message_from_row(row)

    def find_versions(self, message_id: int) -> Sequence[Message]:
        """Every stored version of this customer's message, itself included, by rising revision."""
        rows = self._session.execute(VERSIONS, {"this_id": message_id})
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
        which = {"in_conversation": conversation_id}
        newest = self._find_message(NEWEST_PROMPT, which)
        return self._find_in_doubt(PROMPT_IN_DOUBT, newest, which) or newest

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

    def _get(self, statement: Executable, which: Mapping[str, object]) -> Conversation:
        row = self._session.execute(statement, which).one_or_none()
        if row is None:
            raise NotFoundError("no such conversation")
        return conversation_from_row(row)

    def _find_message(self, statement: Executable, which: Mapping[str, object]) -> Message | None:
        row = self._session.execute(statement, which).one_or_none()
        return None if row is None else message_from_row(row)

    def _find_in_doubt(
        self, statement: Executable, newest: Message | None, which: Mapping[str, object]
    ) -> Message | None:
        """The newest line after ``newest`` that left perhaps, so that the customer may be looking at it."""
        return self._find_message(statement, {**which, "after_id": newest.id if newest is not None else 0})

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
