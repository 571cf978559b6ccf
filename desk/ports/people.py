"""Customers, what they said, and their rights over it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from desk.values import (
    Attachment,
    Buyer,
    Contact,
    Conversation,
    Identity,
    Message,
    Option,
    Speaker,
    Understanding,
)


class IdentityStore(Protocol):
    """客户 and 渠道身份."""

    def open(
        self, channel: str, external_id: str, now: datetime, name: str = "", language: str = ""
    ) -> tuple[Identity, Conversation]:
        """Finds or creates the identity, with a contact and a conversation of its own.

        Args:
            name: What the channel's user calls themselves. It is the contact's name while the shop has
                told no other; it never overwrites one.
            language: BCP 47 tag; the newest one that is not empty is kept.
        """
        ...

    def find(self, channel: str, external_id: str) -> Identity | None: ...

    def get(self, identity_id: int) -> Identity: ...

    def get_contact(self, contact_id: int) -> Contact: ...

    def find_contact_by_buyer(self, buyer_id: str) -> Contact | None: ...

    def open_buyer(self, buyer: Buyer, now: datetime) -> Contact:
        """Finds or creates the contact that is this buyer, whether or not they ever wrote.

        Refreshes name and phone; empty ones overwrite nothing. Until the transaction ends nobody can
        erase the contact, so that what is stored about the buyer does not outlive an erasure.
        """
        ...

    def set_buyer(self, contact_id: int, buyer_id: str, name: str, phone: str) -> int:
        """Makes the contact that buyer, or refreshes name and phone (empty ones overwrite nothing).

        Returns:
            The contact that is that buyer now: this one, or another that was it before or became it at
            the same time. Nothing is changed then, because people never merge by this.

        Raises:
            ConflictError: This contact is another buyer.
        """
        ...

    def move_to_contact(self, identity_id: int, contact_id: int, reason: str, now: datetime) -> None:
        """Joins an identity to another contact; recorded so that staff can undo it.

        The contact that it leaves stays, because the record names it; left empty it is not shown.
        """
        ...

    def wrote(self, identity_id: int, now: datetime) -> None:
        """Records that the customer wrote: reachable again, ``last_message_at`` = now."""
        ...

    def mark_unreachable(self, identity_id: int, reason: str, now: datetime) -> None: ...

    def mark_reachable(self, identity_id: int, now: datetime) -> None:
        """The channel tells that the customer let us in again, without having written."""
        ...

    def set_opted_out(self, identity_id: int, at: datetime | None) -> None: ...

    def record_consent(self, identity_id: int, version: str, now: datetime) -> bool:
        """Stores version and time once; False when this version is on record already."""
        ...

    def find_bound_to_order(self, order_id: int) -> Sequence[Identity]:
        """Identities bound to the order; the one that wrote last comes first."""
        ...


class ChatSessionStore(Protocol):
    """Sessions of the web chat."""

    def open(self, client_session_hash: str, session: str, identity_id: int, now: datetime) -> str:
        """Stores the session or returns the one that this client has already."""
        ...

    def find_session(self, client_session_hash: str) -> str | None: ...

    def find_identity(self, session: str) -> int | None: ...


class ConversationStore(Protocol):
    """会话 and its messages. Lock before deciding; two in id order."""

    def lock(self, conversation_id: int) -> Conversation: ...

    def lock_of_identity(self, identity_id: int) -> Conversation: ...

    def get(self, conversation_id: int) -> Conversation: ...

    def find_of_identity(self, identity_id: int) -> Conversation | None: ...

    def set_speaker(
        self, conversation_id: int, speaker: Speaker, reason: str, staff_id: int | None, now: datetime
    ) -> None:
        """Changes who has the word and records the change as an event."""
        ...

    def set_state(self, conversation_id: int, *, misses: int, angered_at: datetime | None) -> None: ...

    def set_seen(self, conversation_id: int, seq: int, now: datetime) -> None:
        """Raises ``seen_seq`` (never lowers it, never above the last ``seq``)."""
        ...

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
        """Stores the customer's message with the next ``seq``; None when (channel, external_id,
        revision) is there already. Also sets the conversation's ``last_message_at``.

        A ``revision`` above 0 names the message of revision 0, where there is one, as the one it edits.
        """
        ...

    def set_outcome(
        self, message_id: int, reason: str, understanding: Understanding | None, action: str
    ) -> None:
        """Records what the desk did with a customer's message, and why."""
        ...

    def correct_understanding(self, message_id: int, reason: str, understanding: Understanding) -> None:
        """Records what a customer's message is understood as now; what was done stays on record."""
        ...

    def find_newest_sent(
        self, conversation_id: int, before_message_id: int, written_by: datetime
    ) -> Message | None:
        """The line of highest ``seq`` before that message, whoever wrote it; what edits another is none.

        A later line of ours that is being sent, or whose outcome is unknown, comes before it: the customer
        answers what they see, and that may well be there.

        Args:
            written_by: Lines written later do not count, so that what was said before them is understood
                as it was meant even when it is worked late.
        """
        ...

    def get_message(self, message_id: int) -> Message: ...

    def find_versions(self, message_id: int) -> Sequence[Message]:
        """Every stored version of this customer's message, itself included, by rising revision."""
        ...

    def find_staff_lines(self, conversation_id: int, staff_id: int, client_msg_id: str) -> Sequence[Message]:
        """The line that this person said under that id of theirs, then what corrected it, oldest first."""
        ...

    def find_newest_prompt(self, conversation_id: int) -> Message | None:
        """The sent line with a prompt that has the highest ``seq``, or a later one that left perhaps."""
        ...

    def find_option(self, button_id: str) -> tuple[Message, Option] | None:
        """The message and option that an opaque button id stands for."""
        ...

    def change_text(self, message_id: int, text: str) -> bool:
        """Changes the words of a message that has not begun to leave; False when it has."""
        ...

    def find_latest(self, conversation_id: int, limit: int) -> Sequence[Message]:
        """The newest lines, sent or not, oldest of them first."""
        ...

    def find_after(self, conversation_id: int, seq: int, limit: int) -> Sequence[Message]:
        """Lines that the customer sees, ``seq`` above the given one, in order."""
        ...


class ContactDataStore(Protocol):
    """A person's rights over their data, and retention."""

    def export(self, contact_id: int) -> Mapping[str, Any]:
        """Everything held about the contact, as JSON-ready values."""
        ...

    def erase(self, contact_id: int, now: datetime) -> Mapping[str, int]:
        """Removes the contact's words and marks everywhere, cancels what is pending; rows per table.

        Orders keep their figures without a name. The accounting of surveys stays whole.
        """
        ...

    def apply_retention(
        self, now: datetime, raw_for: timedelta, keys_for: timedelta, conversations_for: timedelta, limit: int
    ) -> Mapping[str, int]:
        """Deletes what is past its time, at most ``limit`` rows per table; says how many."""
        ...
