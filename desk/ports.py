"""What the desk needs from the outside, as roles. Adapters implement them; tests pass fakes in.

A unit of work is synchronous and lives inside one transaction; everything that a decision writes goes
through one of them, so that it is stored whole or not at all. Repositories take and give values of
``desk.values``; rows never leave ``storage``. Unless said otherwise ``get_…`` raises
``NotFoundError``, ``find_…`` may return None, and every ``now`` is an aware UTC time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

from desk.values import (
    Buyer,
    Case,
    CaseReason,
    ChannelCapabilities,
    Claim,
    Contact,
    Conversation,
    DeadLetter,
    Delivery,
    DeskEvent,
    FaqBook,
    FaqEntry,
    Feedback,
    Identity,
    InboxItem,
    Message,
    Option,
    Order,
    OrderEvent,
    Outgoing,
    Priority,
    Reply,
    Role,
    Sentiment,
    SkipReason,
    Speaker,
    StaffMember,
    Survey,
    SurveyState,
    Timer,
    Understanding,
)

T = TypeVar("T")


# --- Understanding -------------------------------------------------------------------------------


class Understander(Protocol):
    """Finds out what a text means."""

    async def understand(self, text: str, faq: FaqBook) -> Understanding:
        """Understands one text; an empty one has no matches.

        Raises:
            UnderstandingError: It failed. The desk then goes on without it.
        """
        ...


class SentimentScorer(Protocol):
    """Scores how a text feels."""

    async def score(self, text: str) -> Sentiment:
        """Scores one text; blank is neutral, 0.

        Raises:
            UnderstandingError: It failed; the caller tries again later.
        """
        ...


# --- Channels ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SendReceipt:
    """What the channel calls the message that it took; empty where it does not say."""

    provider_id: str = ""


class Sender(Protocol):
    """Hands messages to one channel. The only code that talks to it."""

    channel: str
    capabilities: ChannelCapabilities

    async def send(self, outgoing: Outgoing) -> SendReceipt:
        """Sends one message. Never called where ``capabilities.stores_in_database``.

        Raises:
            NotSentError: Certainly not sent; try again.
            OutcomeUnknownError: Perhaps sent.
            UnreachableError: The customer blocked us or is gone.
            SendRefusedError: The channel will never take it.
        """
        ...


@dataclass(frozen=True, slots=True)
class StaffAlert:
    """What staff must hear: a case that nobody has taken. ``rung`` counts repeats from 0."""

    case: Case
    customer_name: str
    rung: int


class StaffNotifier(Protocol):
    """Tells staff about a case, inside the transaction that decided to tell.

    An implementation writes rows (a console event, an outbox row); it never calls the network.
    """

    def notify(self, unit: UnitOfWork, alert: StaffAlert, now: datetime) -> None:
        """Records the alert so that it is shown or sent."""
        ...


# --- Storage: what one unit of work offers ---------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StoredKey:
    """What is remembered of a key that came in before."""

    body_hash: str
    received_at: datetime


class InboxStore(Protocol):
    """待处理: raw input and its lanes.

    Lanes are leased, never items: within a lane items are worked strictly in the order of their ids.
    """

    def add(
        self, source: str, source_key: str, body_hash: str, lane: str, raw: bytes, now: datetime
    ) -> int | None:
        """Stores raw bytes; None when (source, source_key, body_hash) is there already.

        The lane's row is locked first, so two adds to one lane never race.
        """
        ...

    def find_keys(self, source: str, source_key: str, lane: str) -> Sequence[StoredKey]:
        """Locks the lane, then says what came in under this key before, oldest first."""
        ...

    def claim_lanes(self, owner: str, limit: int, lease: timedelta, now: datetime) -> Sequence[Claim]:
        """Leases up to ``limit`` lanes that have ready work and no living owner, longest waiting first.

        On PostgreSQL leases are timed by the database's clock. On SQLite the one process that may run
        has a fresh ``owner`` at each start, so leases of another owner are void at once.
        """
        ...

    def find_head(self, claim: Claim, now: datetime) -> InboxItem | None:
        """The next ready item of a leased lane; None when there is none or it must still wait."""
        ...

    def finish(self, claim: Claim, item_id: int) -> None:
        """Marks the item done.

        Raises:
            LeaseLostError: The lane has another owner now; roll back.
        """
        ...

    def retry(self, claim: Claim, item_id: int, error: str, not_before: datetime) -> None:
        """Counts one failed try; the lane waits until ``not_before``. Raises as ``finish``."""
        ...

    def bury(self, claim: Claim, item_id: int, error: str) -> None:
        """Makes the item a dead letter; the lane goes on. Raises as ``finish``."""
        ...

    def release(self, claim: Claim) -> None:
        """Gives the lane back. Does nothing when it has another owner by now."""
        ...

    def extend(self, claim: Claim, lease: timedelta, now: datetime) -> bool:
        """Prolongs the lease; False when it is lost."""
        ...


class OutboxStore(Protocol):
    """待发: messages on their way out. Each has a dedupe key; a known key is not stored again."""

    def say(
        self,
        conversation: Conversation,
        reply: Reply,
        dedupe_key: str,
        now: datetime,
        staff: StaffMember | None = None,
        client_msg_id: str | None = None,
    ) -> Message | None:
        """Stores a message to the customer with its outbox row; None when the key is known.

        Every option of ``reply.prompt`` gets a fresh opaque button id. The message has no ``seq`` yet.
        """
        ...

    def add_alert(
        self,
        dedupe_key: str,
        channel: str,
        lane: str,
        recipient: str,
        text: str,
        payload: Mapping[str, Any],
        now: datetime,
    ) -> int | None:
        """Stores a message to staff on some channel; None when the key is known."""
        ...

    def find_due(self, channels: Sequence[str], limit: int, now: datetime) -> Sequence[Outgoing]:
        """The queued head of every lane that may leave now, oldest first. Nothing is locked."""
        ...

    def get_conversation_id(self, outgoing_id: int) -> int | None:
        """The conversation of a message to a customer; None for one to staff."""
        ...

    def find_queued_for_update(self, outgoing_id: int) -> Outgoing | None:
        """Locks one queued row (its conversation must be locked before); None if no longer queued."""
        ...

    def find_stuck(self, channels: Sequence[str], owner: str, now: datetime) -> Sequence[Outgoing]:
        """Rows left in ``sending`` by an owner that is dead, or for more than two minutes."""
        ...

    def mark_sending(self, outgoing_id: int, owner: str, now: datetime) -> None:
        """Records that the call is about to be made."""
        ...

    def mark_sent(self, outgoing: Outgoing, provider_id: str, now: datetime) -> None:
        """Records success: the message gets the next ``seq`` of its conversation (lock it first)."""
        ...

    def requeue(self, outgoing_id: int, not_before: datetime, error: str, *, maybe_duplicate: bool) -> None:
        """Puts it back in the queue, one try counted."""
        ...

    def end(self, outgoing_id: int, delivery: Delivery, error: str, now: datetime) -> bool:
        """Ends it as withheld, uncertain, unreachable or dead.

        A withheld one gives its dedupe key free: what it asked was never asked.

        Returns:
            False when it has ended already, or another living sender has taken it over.
        """
        ...


class TimerStore(Protocol):
    """定时: one row per (kind, key), unique."""

    def set(self, kind: str, key: str, due_at: datetime, payload: Mapping[str, Any]) -> None:
        """Creates the timer, or moves a pending or finished one to ``due_at`` with this payload."""
        ...

    def cancel(self, kind: str, key: str) -> None:
        """Ends a pending timer; does nothing otherwise."""
        ...

    def find_due(
        self, now: datetime, limit: int, only: Collection[str] | None = None, without: Collection[str] = ()
    ) -> Sequence[Timer]:
        """Due pending timers of the one kind whose oldest is due longest; nothing is locked.

        Args:
            only: Other kinds are passed over; None = none is.
            without: These kinds are passed over.
        """
        ...

    def lock(self, ids: Sequence[int], now: datetime) -> Sequence[Timer]:
        """Locks those that are still pending and due, in id order."""
        ...

    def finish(self, timer: Timer) -> None:
        """Ends the timer, unless it was set anew meanwhile in this unit of work."""
        ...

    def retry(self, timer: Timer, error: str, due_at: datetime) -> None:
        """Counts one failed try."""
        ...

    def bury(self, timer: Timer, error: str) -> None:
        """Makes it a dead letter."""
        ...

    def next_due_at(self) -> datetime | None:
        """When the earliest pending timer is due; None when there is none."""
        ...


class IdentityStore(Protocol):
    """客户 and 渠道身份."""

    def open(self, channel: str, external_id: str, now: datetime) -> tuple[Identity, Conversation]:
        """Finds or creates the identity, with a contact and a conversation of its own."""
        ...

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
    ) -> Message | None:
        """Stores the customer's message with the next ``seq``; None when (channel, external_id,
        revision) is there already. Also sets the conversation's ``last_message_at``."""
        ...

    def set_outcome(
        self, message_id: int, reason: str, understanding: Understanding | None, action: str
    ) -> None:
        """Records what the desk did with a customer's message, and why."""
        ...

    def find_newest_sent(
        self, conversation_id: int, before_message_id: int, written_by: datetime
    ) -> Message | None:
        """The line of highest ``seq`` before that message, whoever wrote it.

        Args:
            written_by: Lines written later do not count, so that what was said before them is understood
                as it was meant even when it is worked late.
        """
        ...

    def get_message(self, message_id: int) -> Message: ...

    def find_newest_prompt(self, conversation_id: int) -> Message | None:
        """The sent line with a prompt that has the highest ``seq``."""
        ...

    def find_option(self, button_id: str) -> tuple[Message, Option] | None:
        """The message and option that an opaque button id stands for."""
        ...

    def find_after(self, conversation_id: int, seq: int, limit: int) -> Sequence[Message]:
        """Lines that the customer sees, ``seq`` above the given one, in order."""
        ...


class OrderStore(Protocol):
    """订单, their links and bindings."""

    def remember_event(self, scope: str, key: str, body_hash: str, now: datetime) -> StoredKey | None:
        """Remembers a key for 35 days; returns what is on record when it is known already."""
        ...

    def lock(self, external_id: str) -> Order | None: ...

    def lock_by_id(self, order_id: int) -> Order:
        """Locks and returns the order, as whoever held it before has left it."""
        ...

    def get(self, order_id: int) -> Order: ...

    def save(
        self, event: OrderEvent, contact_id: int | None, delivered_at: datetime | None, now: datetime
    ) -> Order:
        """Creates the order or overwrites it with this event's state."""
        ...

    def record(self, event: OrderEvent, order_id: int, applied: bool, now: datetime) -> bool:
        """Keeps the event in the order's history; False when that event id is there already."""
        ...

    def set_delivered_at(self, order_id: int, delivered_at: datetime) -> None: ...

    def find_link(self, token_hash: str) -> tuple[int, int | None, datetime] | None:
        """(order id, bound identity id or None, expiry) of a link; locks the link's row."""
        ...

    def get_or_create_link(self, order_id: int, expires_at: datetime, now: datetime) -> str:
        """The token of the current unused link of the order, made when there is none that lives."""
        ...

    def bind(self, token_hash: str, order_id: int, identity_id: int, now: datetime) -> None: ...

    def set_contact_of_buyer(self, buyer_id: str, contact_id: int) -> None:
        """Joins every order of that buyer to the contact."""
        ...

    def find_of_identity(self, identity_id: int, limit: int) -> Sequence[Order]:
        """Orders bound to this identity, newest first. Never anybody else's."""
        ...

    def find_of_contact(self, contact_id: int, limit: int) -> Sequence[Order]: ...


class SurveyStore(Protocol):
    """回访 and feedback."""

    def schedule(
        self, subject_type: str, subject_id: int, kind: str, round: int, due_at: datetime, now: datetime
    ) -> tuple[Survey, bool]:
        """Creates the survey, or returns the one there is; True when it was created now."""
        ...

    def get(self, survey_id: int) -> Survey: ...

    def find(self, subject_type: str, subject_id: int, kind: str, round: int) -> Survey | None: ...

    def find_open_of_conversation(self, conversation_id: int) -> Sequence[Survey]:
        """Surveys being asked or answered there, newest first."""
        ...

    def find_answered_since(self, conversation_id: int, since: datetime) -> Sequence[Survey]:
        """Surveys with a rating or a comment that changed since then there, the latest change first."""
        ...

    def find_scheduled_of_identity(self, identity_id: int) -> Sequence[Survey]:
        """Scheduled surveys about orders bound to the identity."""
        ...

    def count_asked(self, contact_id: int, since: datetime) -> int:
        """How many surveys this person was asked since then."""
        ...

    def change(self, survey_id: int, *, state: SurveyState, now: datetime, **changes: Any) -> Survey:
        """Sets ``state`` and any of the survey's fields by name."""
        ...

    def skip(self, survey_id: int, reason: SkipReason, now: datetime) -> None: ...

    def record_answer(
        self, survey_id: int, question: str, value: str, message_id: int | None, now: datetime
    ) -> int:
        """Appends the answer as the next revision of that question; returns the revision, from 1."""
        ...

    def save_feedback(
        self, survey: Survey, order: Order | None, conversation: Conversation, now: datetime
    ) -> Feedback:
        """Creates or updates the one feedback of this survey from its rating and comment.

        A changed comment loses its sentiment until it is scored again.
        """
        ...

    def get_feedback(self, feedback_id: int) -> Feedback: ...

    def set_sentiment(self, feedback_id: int, comment: str, sentiment: Sentiment) -> bool:
        """Stores the score if the comment is still the one that was scored."""
        ...


class CaseStore(Protocol):
    """工单. At most one open case per conversation."""

    def open(
        self, conversation_id: int, reason: CaseReason, evidence: str, priority: Priority, now: datetime
    ) -> tuple[Case, bool]:
        """Opens a case, or joins the trigger to the open one (priority only rises); True when new."""
        ...

    def find_open(self, conversation_id: int) -> Case | None: ...

    def find_newest(self, conversation_id: int) -> Case | None: ...

    def get(self, case_id: int) -> Case: ...

    def find_by_number(self, number: str) -> Case | None: ...

    def take(self, case_id: int, staff: StaffMember, now: datetime) -> Case:
        """Gives a waiting case to that person; their own again is fine.

        Raises:
            AlreadyTakenError: Somebody else has it.
            ConflictError: It is closed.
        """
        ...

    def close(self, case_id: int, staff: StaffMember | None, reason: str, now: datetime) -> Case: ...

    def set_helped(self, case_id: int, helped: bool, now: datetime) -> None: ...

    def add_note(self, case_id: int, staff: StaffMember, text: str, now: datetime) -> None: ...

    def record(self, case_id: int, kind: str, detail: str, staff_id: int | None, now: datetime) -> None:
        """Appends an event to the case's history."""
        ...


class FaqStore(Protocol):
    """问答, and what it could not answer."""

    def version(self) -> int: ...

    def book(self) -> FaqBook: ...

    def all(self) -> Sequence[FaqEntry]: ...

    def get(self, entry_id: int) -> FaqEntry: ...

    def put(self, entry: FaqEntry, now: datetime) -> FaqEntry:
        """Creates (``id`` 0) or replaces the entry of that slug and raises the version."""
        ...

    def delete(self, slug: str) -> None: ...

    def record_miss(self, conversation_id: int, message_id: int, text: str, now: datetime) -> None:
        """Keeps a question that was not answered, for the owner."""
        ...


@dataclass(frozen=True, slots=True)
class StaffSession:
    """A login. ``csrf`` must come with every change."""

    staff: StaffMember
    token_hash: str
    csrf: str
    created_at: datetime
    seen_at: datetime


class StaffStore(Protocol):
    """客服, their logins and the audit of what they did."""

    def add(self, login: str, name: str, role: Role, password_hash: str, now: datetime) -> StaffMember:
        """Raises ConflictError when the login is taken (case does not count)."""
        ...

    def get(self, staff_id: int) -> StaffMember: ...

    def find_by_login(self, login: str) -> tuple[StaffMember, str] | None:
        """The member and their password hash."""
        ...

    def all(self, *, for_update: bool = False) -> Sequence[StaffMember]:
        """Everybody, also those disabled; ``for_update`` locks them all, so that nobody changes meanwhile."""
        ...

    def change(
        self,
        staff_id: int,
        *,
        name: str | None = None,
        role: Role | None = None,
        disabled: bool | None = None,
        password_hash: str | None = None,
    ) -> StaffMember:
        """Changes what is given. A changed role or password and disabling end all their sessions."""
        ...

    def open_session(self, staff_id: int, token_hash: str, csrf: str, now: datetime) -> None: ...

    def find_session(self, token_hash: str, now: datetime) -> StaffSession | None:
        """A living session: idle for at most 30 minutes, at most 12 hours old, member not disabled."""
        ...

    def touch_session(self, token_hash: str, now: datetime) -> None: ...

    def end_session(self, token_hash: str) -> None: ...

    def count_failures(self, scope: str, key_hash: str, since: datetime) -> int: ...

    def record_failure(self, scope: str, key_hash: str, now: datetime) -> None: ...

    def clear_failures(self, scope: str, key_hash: str) -> None: ...

    def audit(self, staff_id: int | None, action: str, subject: str, detail: str, now: datetime) -> None:
        """Appends to the audit; each entry carries the hash of the one before."""
        ...

    def verify_audit(self) -> int | None:
        """Id of the first entry whose hash does not fit; None when all is well."""
        ...


class DeskEventStore(Protocol):
    """What the staff's screens show live."""

    def add(
        self,
        kind: str,
        case_id: int | None,
        conversation_id: int | None,
        payload: Mapping[str, Any],
        now: datetime,
    ) -> None: ...

    def find_after(self, event_id: int, limit: int) -> Sequence[DeskEvent]: ...

    def last_id(self) -> int: ...


class DeadLetterStore(Protocol):
    """Work that failed for good, from inbox, outbox and timers alike."""

    def all(self, limit: int, offset: int = 0) -> Sequence[DeadLetter]: ...

    def count(self) -> int: ...

    def replay(self, origin: str, id: int, now: datetime) -> None:
        """Makes it ready again with no tries counted. Raises NotFoundError when it is not dead."""
        ...


class LeaseStore(Protocol):
    """The right to be the only worker of some name (a poller, a sender), across processes."""

    def acquire(self, name: str, owner: str, lease: timedelta, now: datetime) -> bool:
        """Takes or prolongs the lease; False while another living owner holds it.

        On PostgreSQL leases are timed by the database's clock. On SQLite the one process that may run
        has a fresh ``owner`` at each start, so a lease of another owner is void at once.
        """
        ...

    def release(self, name: str, owner: str) -> None:
        """Gives the lease back. Does nothing when it has another owner by now."""
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


class UnitOfWork(Protocol):
    """Everything that one transaction may touch."""

    inbox: InboxStore
    outbox: OutboxStore
    timers: TimerStore
    identities: IdentityStore
    chat_sessions: ChatSessionStore
    conversations: ConversationStore
    orders: OrderStore
    surveys: SurveyStore
    cases: CaseStore
    faq: FaqStore
    staff: StaffStore
    desk_events: DeskEventStore
    dead_letters: DeadLetterStore
    contact_data: ContactDataStore
    leases: LeaseStore


class Transactions(Protocol):
    """Runs units of work."""

    async def write(self, work: Callable[[UnitOfWork], T], *, shared: bool = False) -> T:
        """Runs ``work`` in one transaction and returns after the commit is on disk.

        Args:
            work: Synchronous; an exception rolls everything back and is raised here. It may be run
                again from the start after a serialization failure, so it has no effects of its own.
            shared: May share a commit with others that wait (used for intake). Each still succeeds or
                fails alone.

        Raises:
            StorageUnavailableError: Disk full, database locked or down; nothing was stored.
        """
        ...

    async def read(self, work: Callable[[UnitOfWork], T]) -> T:
        """Runs ``work`` against a read-only snapshot."""
        ...


class Wakeups(Protocol):
    """Rings bells between tasks. A bell only saves waiting; whoever waits also looks by itself."""

    def ring(self, bell: str) -> None:
        """Wakes those who wait for ``bell`` (here, and on PostgreSQL in other processes too)."""
        ...

    async def wait(self, bell: str, at_most: timedelta) -> bool:
        """Waits until the bell rings or the time is over; True when it rang."""
        ...
