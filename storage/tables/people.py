"""客户 contacts, their 渠道身份 identities, 会话 conversations and 消息 messages."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, Index, Table, UniqueConstraint
from sqlmodel import Field, SQLModel

from desk.values import Author, Delivery, Speaker
from storage.tables import naming as _naming  # noqa: F401  (sets the convention that names constraints)
from storage.tables.checks import one_of
from storage.times import UtcDateTime

# Keys of other rows name ids (``reply:17:0``): were the id of a deleted row given again, as SQLite does
# when it was the highest, what belongs to the old row would be taken for the new one's.
_NO_ID_TWICE = {"sqlite_autoincrement": True}

_JSON_OR_NULL = JSON(none_as_null=True)


class ContactRow(SQLModel, table=True):
    """A person. A buyer of the shop is one contact."""

    __tablename__ = "contacts"
    __table_args__ = (
        UniqueConstraint("public_id"),
        UniqueConstraint("buyer_id"),
        _NO_ID_TWICE,
    )

    id: int | None = Field(default=None, primary_key=True)
    public_id: str
    buyer_id: str | None = None
    name: str = ""
    phone: str = ""
    created_at: datetime = Field(sa_type=UtcDateTime)


class IdentityRow(SQLModel, table=True):
    """One channel's user."""

    __tablename__ = "identities"
    __table_args__ = (
        UniqueConstraint("channel", "external_id"),
        CheckConstraint("(consent_version IS NULL) = (consented_at IS NULL)", name="consent_version"),
        Index(None, "contact_id"),
        _NO_ID_TWICE,
    )

    id: int | None = Field(default=None, primary_key=True)
    contact_id: int = Field(foreign_key="contacts.id")
    channel: str
    external_id: str
    reachable: bool = True
    unreachable_reason: str = ""
    unreachable_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    opted_out_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    language: str = ""
    consent_version: str | None = None
    consented_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_message_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    created_at: datetime = Field(sa_type=UtcDateTime)


class ContactMoveRow(SQLModel, table=True):
    """An identity that joined another contact, kept so that staff can undo it."""

    __tablename__ = "contact_moves"
    __table_args__ = (
        Index(None, "identity_id"),
        Index(None, "from_contact_id"),
        Index(None, "to_contact_id"),
    )

    id: int | None = Field(default=None, primary_key=True)
    identity_id: int = Field(foreign_key="identities.id")
    from_contact_id: int = Field(foreign_key="contacts.id")
    to_contact_id: int = Field(foreign_key="contacts.id")
    reason: str
    moved_at: datetime = Field(sa_type=UtcDateTime)
    undone_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class ChatSessionRow(SQLModel, table=True):
    """A session of the web chat; of the client's own id only the hash is kept."""

    __tablename__ = "chat_sessions"
    __table_args__ = (UniqueConstraint("client_session_hash"), Index(None, "identity_id"))

    session: str = Field(primary_key=True)
    client_session_hash: str
    identity_id: int = Field(foreign_key="identities.id")
    created_at: datetime = Field(sa_type=UtcDateTime)


class ConversationRow(SQLModel, table=True):
    """The whole talk with one identity. Its row is the lock that every decision takes first.

    ``next_seq`` is what the next visible line gets. Whose contact it is says the identity.
    """

    __tablename__ = "conversations"
    __table_args__ = (
        UniqueConstraint("public_id"),
        UniqueConstraint("identity_id"),
        one_of("speaker", Speaker),
        CheckConstraint("misses >= 0", name="misses"),
        CheckConstraint("seen_seq >= 0 AND seen_seq < next_seq", name="seen_seq"),
        Index(None, "last_message_at"),
        _NO_ID_TWICE,
    )

    id: int | None = Field(default=None, primary_key=True)
    public_id: str
    identity_id: int = Field(foreign_key="identities.id")
    speaker: str = Speaker.BOT.value
    misses: int = 0
    angered_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    next_seq: int = 1
    seen_seq: int = 0
    seen_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_message_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    created_at: datetime = Field(sa_type=UtcDateTime)


class SpeakerChangeRow(SQLModel, table=True):
    """Who got the word, when and why: the start and the end of every human stretch."""

    __tablename__ = "speaker_changes"
    __table_args__ = (
        one_of("from_speaker", Speaker),
        one_of("to_speaker", Speaker),
        Index(None, "conversation_id", "id"),
    )

    id: int | None = Field(default=None, primary_key=True)
    conversation_id: int = Field(foreign_key="conversations.id")
    from_speaker: str
    to_speaker: str
    reason: str
    staff_id: int | None = Field(default=None, foreign_key="staff.id")
    at: datetime = Field(sa_type=UtcDateTime)


class MessageRow(SQLModel, table=True):
    """One line of a conversation. ``seq`` is given when the customer can see it, without gaps.

    ``external_id`` is the channel's id of a customer's message; our own lines have ``out:`` and a
    UUID there. ``understanding`` holds the entries' ids and slugs, not their texts. Without anything
    beside the words ``attachments`` is NULL.
    """

    __tablename__ = "messages"
    __table_args__ = (
        UniqueConstraint("conversation_id", "seq"),
        UniqueConstraint("channel", "external_id", "revision"),
        # Both databases let any number of rows have no client_msg_id.
        UniqueConstraint("conversation_id", "author", "client_msg_id"),
        one_of("author", Author),
        one_of("delivery", Delivery),
        CheckConstraint("seq >= 1", name="seq"),
        CheckConstraint("(delivery = 'sent') = (seq IS NOT NULL)", name="delivered"),
        Index(None, "conversation_id", "id"),
        Index(None, "created_at"),
        Index(None, "staff_id"),
        Index(None, "edits_message_id"),
        _NO_ID_TWICE,
    )

    id: int | None = Field(default=None, primary_key=True)
    conversation_id: int = Field(foreign_key="conversations.id")
    seq: int | None = None
    author: str
    staff_id: int | None = Field(default=None, foreign_key="staff.id")
    staff_name: str | None = None
    channel: str
    external_id: str
    revision: int = Field(default=0, sa_type=BigInteger)
    text: str
    prompt: dict[str, Any] | None = Field(default=None, sa_type=_JSON_OR_NULL)
    reason: str = ""
    understanding: dict[str, Any] | None = Field(default=None, sa_type=_JSON_OR_NULL)
    action: str = ""
    delivery: str
    client_msg_id: str | None = None
    created_at: datetime = Field(sa_type=UtcDateTime)
    sent_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    attachments: list[dict[str, Any]] | None = Field(default=None, sa_type=_JSON_OR_NULL)
    edits_message_id: int | None = Field(default=None, foreign_key="messages.id", ondelete="SET NULL")


class ButtonRow(SQLModel, table=True):
    """An opaque id that stands for one option of one message's prompt, by its position from 0."""

    __tablename__ = "buttons"
    __table_args__ = (
        UniqueConstraint("message_id", "position"),
        CheckConstraint("position >= 0", name="position"),
    )

    token: str = Field(primary_key=True)
    message_id: int = Field(foreign_key="messages.id", ondelete="CASCADE")
    position: int


CONTACTS: Table = SQLModel.metadata.tables["contacts"]
IDENTITIES: Table = SQLModel.metadata.tables["identities"]
CONTACT_MOVES: Table = SQLModel.metadata.tables["contact_moves"]
CHAT_SESSIONS: Table = SQLModel.metadata.tables["chat_sessions"]
CONVERSATIONS: Table = SQLModel.metadata.tables["conversations"]
SPEAKER_CHANGES: Table = SQLModel.metadata.tables["speaker_changes"]
MESSAGES: Table = SQLModel.metadata.tables["messages"]
BUTTONS: Table = SQLModel.metadata.tables["buttons"]
