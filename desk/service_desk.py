"""The service desk as channels see it: asks ports, lets pure functions decide, stores the outcome."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from desk import sending
from desk.errors import NotFoundError, StorageUnavailableError
from desk.follow_up import FollowUp
from desk.intake import Accepted, Intake, RawInput, hash_bytes
from desk.message_taking import Incoming, MessageTaking
from desk.ports import SentimentScorer, StaffNotifier, Transactions, Understander, UnitOfWork
from desk.sending import Sending
from desk.settings import DeskSettings
from desk.timers import RETENTION_TIMER, Timers
from desk.values import (
    ChannelUser,
    Conversation,
    Delivery,
    FaqBook,
    Message,
    OrderEvent,
    Outgoing,
    Timer,
    Understanding,
)

__all__ = ["RETENTION_TIMER", "Accepted", "ChatOpened", "Incoming", "RawInput", "ServiceDesk", "hash_bytes"]

_log = logging.getLogger(__name__)

WEB_CHAT = "webchat"


@dataclass(frozen=True, slots=True)
class ChatOpened:
    """A web chat session, new or known. Its ``session`` is public, not a secret."""

    session: str
    identity_id: int


class ServiceDesk:
    """What a channel may ask of the desk. Holds no state that must survive."""

    def __init__(
        self,
        transactions: Transactions,
        understander: Understander,
        scorer: SentimentScorer,
        notifier: StaffNotifier,
        settings: DeskSettings,
        clock: Callable[[], datetime],
    ) -> None:
        self._transactions = transactions
        self._understander = understander
        self._settings = settings
        self._clock = clock
        self._follow_up = FollowUp(settings)
        self._intake = Intake(transactions, clock)
        self._taking = MessageTaking(notifier, self._follow_up, settings)
        self._sending = Sending(self._follow_up, clock)
        self._timers = Timers(transactions, scorer, notifier, self._follow_up, settings, self.understand)
        self._faq = FaqBook(-1, ())

    # --- Edges --------------------------------------------------------------------------------------

    async def accept(self, raw: RawInput) -> Accepted:
        """Stores raw input; returns after it is on disk.

        Raises:
            ConflictError: The same key came before with another body.
            StorageUnavailableError: It was not stored; the sender must try again.
        """
        return await self._intake.accept(raw)

    async def accept_batch(
        self,
        inputs: Sequence[RawInput],
        undecodable: Sequence[tuple[RawInput, str]] = (),
        bookmark: tuple[str, str] | None = None,
    ) -> int:
        """Stores a batch and where its reader stands in one transaction; returns after it is on disk.

        What is on record already under the same source, key and body is passed over.

        Args:
            undecodable: What nobody can read, each with the reason; stored as dead letters at once.
            bookmark: Name and new value of the reader's bookmark.

        Returns:
            How many were new.

        Raises:
            StorageUnavailableError: Nothing was stored, the bookmark included.
        """
        return await self._intake.accept_batch(inputs, undecodable, bookmark)

    async def find_bookmark(self, name: str) -> str | None:
        """Where the reader of that name stands, or None when it never stood anywhere."""
        return await self._intake.find_bookmark(name)

    async def open_chat(
        self, client_session_hash: str, new_session: str, order_token_hash: str | None
    ) -> ChatOpened:
        """Opens a web chat session, or finds the one this client has; binds the order of a link.

        Args:
            client_session_hash: SHA-256 of the client's own secret session id, hex.
            new_session: A fresh random name, used if the client is new.
            order_token_hash: SHA-256 of the order link's token, hex, if the customer came through one.
        """
        now = self._clock()

        def work(unit: UnitOfWork) -> ChatOpened:
            session = unit.chat_sessions.find_session(client_session_hash)
            if session is None:
                identity, _ = unit.identities.open(WEB_CHAT, new_session, now)
                session = unit.chat_sessions.open(client_session_hash, new_session, identity.id, now)
            identity_id = unit.chat_sessions.find_identity(session)
            if identity_id is None:
                raise NotFoundError("chat session")
            if order_token_hash is not None:
                conversation = unit.conversations.lock_of_identity(identity_id)
                identity = unit.identities.get(identity_id)
                self._follow_up.bind(unit, identity, conversation, order_token_hash, now)
            return ChatOpened(session, identity_id)

        return await self._transactions.write(work, shared=True)

    async def is_chat_known(self, client_session_hash: str) -> bool:
        """Whether this client has a session already."""
        return await self._transactions.read(
            lambda unit: unit.chat_sessions.find_session(client_session_hash) is not None
        )

    async def find_chat_identity(self, session: str) -> int | None:
        """The identity of a web chat session, or None when there is no such session."""
        return await self._transactions.read(lambda unit: unit.chat_sessions.find_identity(session))

    async def read_lines(
        self, identity_id: int, after: int, limit: int = 200
    ) -> tuple[Conversation, Sequence[Message]]:
        """What the customer sees after ``seq`` = ``after``, in order, with the conversation's state."""

        def work(unit: UnitOfWork) -> tuple[Conversation, Sequence[Message]]:
            conversation = unit.conversations.find_of_identity(identity_id)
            if conversation is None:
                raise NotFoundError("conversation")
            return conversation, unit.conversations.find_after(conversation.id, after, limit)

        return await self._transactions.read(work)

    async def mark_seen(self, identity_id: int, seq: int) -> None:
        """The customer's screen showed every line up to ``seq``."""
        now = self._clock()

        def work(unit: UnitOfWork) -> None:
            conversation = unit.conversations.lock_of_identity(identity_id)
            if seq > conversation.seen_seq:
                self._follow_up.seen(unit, conversation, seq, now)

        await self._transactions.write(work, shared=True)

    async def quick_questions(self) -> Sequence[str]:
        """The questions that are offered as buttons before anything is typed."""
        faq = await self._current_faq()
        return [entry.question for entry in faq.entries if entry.quick]

    # --- Orders -------------------------------------------------------------------------------------

    async def accept_order_event(self, webhook_id: str, event: OrderEvent, raw: bytes) -> Accepted:
        """Stores a verified order event; both its webhook id and its event id have effect once.

        Raises:
            ConflictError: One of the ids came before with another body.
            StorageUnavailableError: It was not stored.
        """
        return await self._intake.accept_order_event(webhook_id, event, raw)

    async def order_links(self, external_id: str) -> str:
        """The token of the order's current unused link.

        Raises:
            NotFoundError: No such order.
        """
        now = self._clock()

        def work(unit: UnitOfWork) -> str:
            order = unit.orders.lock(external_id)
            if order is None:
                raise NotFoundError("order")
            return unit.orders.get_or_create_link(order.id, now + self._settings.link_lives, now)

        return await self._transactions.write(work)

    def apply_order_event(self, unit: UnitOfWork, event: OrderEvent, *, schedule: bool = True) -> None:
        """Applies one order event inside the caller's transaction (inbox worker, import)."""
        self._follow_up.apply_order_event(unit, event, self._clock(), schedule=schedule)

    # --- A customer's message -------------------------------------------------------------------------

    async def take_message(self, incoming: Incoming, complete: Callable[[UnitOfWork], Any]) -> None:
        """Understands one message outside any transaction, then decides and stores in one.

        Args:
            complete: Called last inside the transaction, to mark the inbox item done. Whatever it
                raises rolls everything back.
        """
        understanding = Understanding("none")
        if incoming.starts:
            await self._current_faq()
        elif incoming.text.strip():
            understanding = await self.understand(incoming.text)
        now = self._clock()
        faq = self._faq

        def work(unit: UnitOfWork) -> None:
            self._taking.take(unit, incoming, understanding, faq, now)
            complete(unit)

        # Not shared: a batch of decisions would keep the next acknowledgement waiting for all of them.
        await self._transactions.write(work)

    async def understand(self, text: str) -> Understanding:
        """Understands a text within the time limit; a failure is an understanding of nothing."""
        try:
            async with asyncio.timeout(self._settings.understand_within.total_seconds()):
                return await self._understander.understand(text, await self._current_faq())
        except StorageUnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 - care goes on, whatever fault understanding has
            _log.warning("understanding_failed", exc_info=error)
            return Understanding("none", degraded=True)

    async def _current_faq(self) -> FaqBook:
        version = await self._transactions.read(lambda unit: unit.faq.version())
        if version != self._faq.version:
            self._faq = await self._transactions.read(lambda unit: unit.faq.book())
        return self._faq

    async def hear_reachability(
        self, user: ChannelUser, reachable: bool, why: str, complete: Callable[[UnitOfWork], Any]
    ) -> None:
        """The channel tells that a user blocked us, or let us in again. Who never wrote is nobody to us.

        Args:
            why: The channel's own constant word for it; never the user's words.
            complete: Called last inside the transaction.
        """
        now = self._clock()

        def work(unit: UnitOfWork) -> None:
            identity = unit.identities.find(user.channel, user.external_id)
            if identity is not None:
                conversation = unit.conversations.lock_of_identity(identity.id)
                if not reachable:
                    sending.mark_unreachable(unit, conversation, why, now)
                elif not unit.identities.get(identity.id).reachable:
                    unit.identities.mark_reachable(identity.id, now)
                    sending.tell_reachability(unit, conversation, now, reachable=True)
            complete(unit)

        await self._transactions.write(work)

    # --- Sending ------------------------------------------------------------------------------------

    def why_withhold(self, unit: UnitOfWork, outgoing: Outgoing, conversation: Conversation) -> str | None:
        """The guard, asked again when a message is about to leave; None = it may."""
        return self._sending.why_withhold(unit, outgoing, conversation)

    def delivered(self, unit: UnitOfWork, outgoing: Outgoing, now: datetime) -> None:
        """Draws the consequences of a message that was sent; called after ``mark_sent``."""
        self._sending.delivered(unit, outgoing, now)

    def not_delivered(
        self, unit: UnitOfWork, outgoing: Outgoing, delivery: Delivery, why: str, now: datetime
    ) -> None:
        """Draws the consequences of a message that ended other than sent; its conversation is locked."""
        self._sending.not_delivered(unit, outgoing, delivery, why, now)

    # --- Timers -------------------------------------------------------------------------------------

    async def prepare_timers(self, timers: Sequence[Timer]) -> Mapping[int, Any]:
        """Does what firing these timers needs outside a transaction: scoring, understanding again.

        Returns:
            By timer id, what ``fire_timers`` must be given.

        Raises:
            UnderstandingError: The scorer failed; the timers are tried again later.
        """
        return await self._timers.prepare(timers)

    def lock_for_timers(self, unit: UnitOfWork, timers: Iterable[Timer]) -> None:
        """Locks every conversation that firing these timers will touch, in id order."""
        self._timers.lock_for(unit, timers)

    def fire_timers(
        self, unit: UnitOfWork, timers: Sequence[Timer], prepared: Mapping[int, Any], now: datetime
    ) -> None:
        """Fires locked timers, one after the other, inside one transaction.

        ``lock_for_timers`` was called before in the same transaction.
        """
        self._timers.fire(unit, timers, prepared, now)
