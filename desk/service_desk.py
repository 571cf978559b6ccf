"""The service desk as channels see it: asks ports, lets pure functions decide, stores the outcome."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from desk import case_opening, follow_up, policy, survey
from desk.decision import Action, Decision, Situation, Tap
from desk.errors import ConflictError, NotFoundError, StorageUnavailableError
from desk.follow_up import FollowUp
from desk.ports import SentimentScorer, StaffNotifier, Transactions, Understander, UnitOfWork
from desk.settings import DeskSettings
from desk.values import (
    Conversation,
    Delivery,
    FaqBook,
    Feedback,
    Message,
    OrderEvent,
    Outgoing,
    OutgoingKind,
    PromptKind,
    Sentiment,
    Speaker,
    Survey,
    Timer,
    Understanding,
)

_log = logging.getLogger(__name__)

WEB_CHAT = "webchat"
RETENTION_TIMER = "retention"
_RETENTION_EVERY = timedelta(hours=24)
_RETENTION_BATCH = 500
_ORDERS_KNOWN = 10
_STILL_TALKING = timedelta(minutes=10)
# A message of unknown outcome is not among them: who presses its button has it.
_NEVER_LEFT = frozenset({Delivery.WITHHELD, Delivery.UNREACHABLE, Delivery.DEAD})


@dataclass(frozen=True, slots=True)
class Incoming:
    """One message of a customer as a channel understood its own format.

    Attributes:
        external_id: The channel's id of the message, unique within the channel.
        revision: 0, or a number that rises with each edit.
        button_id: The opaque id of a pressed button, or None for typed words.
        received_at: When it came in; what it means is judged by then, however late it is worked.
    """

    identity_id: int
    external_id: str
    text: str
    received_at: datetime
    revision: int = 0
    client_msg_id: str | None = None
    button_id: str | None = None


@dataclass(frozen=True, slots=True)
class RawInput:
    """Bytes that an edge wants stored before it acknowledges them.

    Attributes:
        source: Which edge (``webchat``, ``orders``, ``telegram``).
        source_key: The sender's own id of it, unique within the source.
        body_hash: SHA-256 of the body, hex.
    """

    source: str
    source_key: str
    body_hash: str
    lane: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Accepted:
    """Raw input is on disk. ``duplicate`` = it was before; ``received_at`` is the first time."""

    received_at: datetime
    duplicate: bool


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
        self._scorer = scorer
        self._notifier = notifier
        self._settings = settings
        self._clock = clock
        self._follow_up = FollowUp(settings)
        self._faq = FaqBook(-1, ())

    # --- Edges --------------------------------------------------------------------------------------

    async def accept(self, raw: RawInput) -> Accepted:
        """Stores raw input; returns after it is on disk.

        Raises:
            ConflictError: The same key came before with another body.
            StorageUnavailableError: It was not stored; the sender must try again.
        """
        now = self._clock()
        return await self._transactions.write(lambda unit: _store(unit, raw, now), shared=True)

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
        now = self._clock()
        body_hash = hash_bytes(raw)

        def work(unit: UnitOfWork) -> Accepted:
            first: datetime | None = None
            for scope, key in (("webhook", webhook_id), ("event", event.id)):
                known = unit.orders.remember_event(scope, key, body_hash, now)
                if known is not None and known.body_hash != body_hash:
                    raise ConflictError(f"{scope} id is known with another body")
                if known is not None:
                    first = known.received_at if first is None else min(first, known.received_at)
            lane = f"order:{event.order.external_id}"
            added = unit.inbox.add("orders", event.id, body_hash, lane, raw, now)
            return Accepted(first or now, duplicate=first is not None or added is None)

        return await self._transactions.write(work, shared=True)

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
        understanding = await self.understand(incoming.text)
        now = self._clock()
        faq = self._faq

        def work(unit: UnitOfWork) -> None:
            self._decide_and_store(unit, incoming, understanding, faq, now)
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

    def _decide_and_store(
        self, unit: UnitOfWork, incoming: Incoming, understanding: Understanding, faq: FaqBook, now: datetime
    ) -> None:
        conversation = unit.conversations.lock_of_identity(incoming.identity_id)
        message = unit.conversations.add_incoming(
            conversation,
            incoming.external_id,
            incoming.revision,
            incoming.text,
            incoming.client_msg_id,
            incoming.received_at,
        )
        if message is None:
            return
        unit.identities.wrote(incoming.identity_id, now)
        if incoming.revision > 0:
            # An edit corrects the record; it is never answered a second time.
            unit.conversations.set_outcome(message.id, "edited", understanding, Action.NONE.value)
            return
        situation = self._situation(unit, incoming, conversation, message, understanding, faq, now)
        decision = policy.decide(situation)
        self._carry_out(unit, decision, conversation, message, now)
        unit.conversations.set_outcome(message.id, decision.reason, understanding, decision.action.value)

    def _situation(
        self,
        unit: UnitOfWork,
        incoming: Incoming,
        conversation: Conversation,
        message: Message,
        understanding: Understanding,
        faq: FaqBook,
        now: datetime,
    ) -> Situation:
        tap = _find_tap(unit, incoming.button_id, conversation)
        newest = unit.conversations.find_newest_sent(conversation.id, message.id, incoming.received_at)
        prompt = newest.prompt if newest is not None else None
        about = tap.prompt if tap is not None else prompt
        asked: Survey | None = None
        if follow_up.survey_prompt(about) and about is not None and about.subject_id is not None:
            found = unit.surveys.get(about.subject_id)
            asked = found if survey.may_still_answer(found, now) else None
        elif conversation.speaker is Speaker.WAITING:
            asked = next(
                (
                    rated
                    for rated in unit.surveys.find_open_of_conversation(conversation.id)
                    if rated.rating is not None and rated.comment is None
                ),
                None,
            )
        lately = unit.surveys.find_answered_since(conversation.id, now - _STILL_TALKING)
        open_case = unit.cases.find_open(conversation.id) if conversation.speaker is not Speaker.BOT else None
        return Situation(
            text=incoming.text,
            tap=tap,
            speaker=conversation.speaker,
            misses=conversation.misses,
            angered_at=conversation.angered_at,
            message_id=message.id,
            prompt=prompt,
            survey=asked,
            lately_answered=lately[0] if lately else None,
            orders=unit.orders.find_of_identity(incoming.identity_id, _ORDERS_KNOWN),
            faq={entry.id: entry for entry in faq.entries},
            understanding=understanding,
            variables=self._settings.variables,
            case_number=open_case.number if open_case is not None else "",
            now=incoming.received_at,
        )

    def _carry_out(
        self,
        unit: UnitOfWork,
        decision: Decision,
        conversation: Conversation,
        message: Message,
        now: datetime,
    ) -> None:
        angered_at = message.created_at if decision.angry else conversation.angered_at
        unit.conversations.set_state(conversation.id, misses=decision.misses, angered_at=angered_at)
        if decision.opt_out is not None:
            identity = unit.identities.get(conversation.identity_id)
            if decision.opt_out:
                self._follow_up.opt_out(unit, identity, conversation, now)
            else:
                unit.identities.set_opted_out(identity.id, None)
        self._follow_up.store_answer(unit, decision, conversation, message.id, now)
        if decision.helped is not None and decision.case_id is not None:
            unit.cases.set_helped(decision.case_id, decision.helped, now)
        if decision.missed:
            unit.faq.record_miss(conversation.id, message.id, message.text, now)
        elif decision.rejected_question_id is not None:
            question = unit.conversations.get_message(decision.rejected_question_id)
            unit.faq.record_miss(conversation.id, question.id, question.text, now)
        if decision.back_to_bot:
            case_opening.withdraw(unit, conversation, now)
        number = ""
        if decision.escalation is not None:
            case, _ = case_opening.open_case(unit, self._notifier, conversation, decision.escalation, now)
            number = case.number
        elif conversation.speaker is Speaker.WAITING and not decision.replies:
            case_opening.reassure(unit, conversation, now)
        if decision.escalation is not None or conversation.speaker is not Speaker.BOT:
            unit.desk_events.add("message", None, conversation.id, {"message_id": message.id}, now)
        for position, reply in enumerate(decision.replies):
            if number:
                # Only the sentences of a handoff name the case; in others the braces may be the shop's own.
                reply = replace(reply, text=reply.text.replace("{number}", number))
            unit.outbox.say(conversation, reply, f"reply:{message.id}:{position}", now)

    # --- Sending ------------------------------------------------------------------------------------

    def why_withhold(self, unit: UnitOfWork, outgoing: Outgoing, conversation: Conversation) -> str | None:
        """The guard, asked again when a message is about to leave; None = it may."""
        if outgoing.speakers and conversation.speaker not in outgoing.speakers:
            return f"speaker_is_{conversation.speaker.value}"
        if outgoing.kind is OutgoingKind.SURVEY:
            return self._follow_up.why_withhold(unit, outgoing, conversation, self._clock())
        return None

    def not_delivered(
        self, unit: UnitOfWork, outgoing: Outgoing, delivery: Delivery, why: str, now: datetime
    ) -> None:
        """Draws the consequences of a message that ended other than sent; its conversation is locked."""
        if delivery is Delivery.UNREACHABLE and outgoing.conversation_id is not None:
            conversation = unit.conversations.get(outgoing.conversation_id)
            if unit.identities.get(conversation.identity_id).reachable:
                unit.identities.mark_unreachable(conversation.identity_id, why, now)
            for asked in unit.surveys.find_open_of_conversation(conversation.id):
                unit.timers.cancel(follow_up.REMINDER_TIMER, str(asked.id))
        if outgoing.kind is OutgoingKind.SURVEY:
            self._follow_up.not_delivered(unit, outgoing, delivery, why, now)

    # --- Timers -------------------------------------------------------------------------------------

    async def prepare_timers(self, timers: Sequence[Timer]) -> Mapping[int, Any]:
        """Does what firing these timers needs outside a transaction: scoring comments.

        Returns:
            By timer id, what ``fire_timers`` must be given.

        Raises:
            UnderstandingError: The scorer failed; the timers are tried again later.
        """
        scored: dict[int, tuple[str, Sentiment]] = {}
        for timer in timers:
            if timer.kind == follow_up.SCORE_TIMER:
                feedback = await self._get_feedback(int(timer.key))
                if feedback.comment is not None:
                    scored[timer.id] = (feedback.comment, await self._scorer.score(feedback.comment))
        return scored

    async def _get_feedback(self, feedback_id: int) -> Feedback:
        return await self._transactions.read(lambda unit: unit.surveys.get_feedback(feedback_id))

    def fire_timers(
        self, unit: UnitOfWork, timers: Sequence[Timer], prepared: Mapping[int, Any], now: datetime
    ) -> None:
        """Fires locked timers, one after the other, inside one transaction.

        ``lock_for_timers`` was called before in the same transaction.
        """
        for timer in timers:
            self._fire(unit, timer, prepared, now)
            unit.timers.finish(timer)

    def lock_for_timers(self, unit: UnitOfWork, timers: Iterable[Timer]) -> None:
        """Locks every conversation that firing these timers will touch, in id order."""
        touched: set[int] = set()
        for timer in timers:
            found: int | None = None
            if timer.kind in {follow_up.DUE_TIMER, follow_up.REMINDER_TIMER, follow_up.EXPIRY_TIMER}:
                found = self._follow_up.conversation_of(unit, timer)
            elif timer.kind == case_opening.ALERT_TIMER:
                found = unit.cases.get(int(timer.key)).conversation_id
            if found is not None:
                touched.add(found)
        for conversation_id in sorted(touched):
            unit.conversations.lock(conversation_id)

    def _fire(self, unit: UnitOfWork, timer: Timer, prepared: Mapping[int, Any], now: datetime) -> None:
        if timer.kind == follow_up.DUE_TIMER:
            self._follow_up.fire_due(unit, timer, now)
        elif timer.kind == follow_up.REMINDER_TIMER:
            self._follow_up.fire_reminder(unit, timer, now)
        elif timer.kind == follow_up.EXPIRY_TIMER:
            self._follow_up.fire_expiry(unit, timer, now)
        elif timer.kind == follow_up.SCORE_TIMER:
            self._store_score(unit, timer, prepared, now)
        elif timer.kind == case_opening.ALERT_TIMER:
            self._repeat_alert(unit, timer, now)
        elif timer.kind == RETENTION_TIMER:
            self._apply_retention(unit, timer, now)
        else:
            raise NotFoundError(f"timer kind {timer.kind}")

    def _store_score(
        self, unit: UnitOfWork, timer: Timer, prepared: Mapping[int, Any], now: datetime
    ) -> None:
        if timer.id not in prepared:
            return
        comment, sentiment = prepared[timer.id]
        if unit.surveys.set_sentiment(int(timer.key), comment, sentiment):
            unit.desk_events.add("feedback", None, None, {"feedback_id": int(timer.key)}, now)
        else:
            # The customer changed the comment meanwhile: score what it says now.
            unit.timers.set(follow_up.SCORE_TIMER, timer.key, now, {})

    def _repeat_alert(self, unit: UnitOfWork, timer: Timer, now: datetime) -> None:
        case = unit.cases.get(int(timer.key))
        if case.taken_at is None and case.closed_at is None:
            conversation = unit.conversations.get(case.conversation_id)
            case_opening.alert(unit, self._notifier, case, conversation, int(timer.payload["rung"]), now)

    def _apply_retention(self, unit: UnitOfWork, timer: Timer, now: datetime) -> None:
        deleted = unit.contact_data.apply_retention(
            now,
            self._settings.raw_retention,
            self._settings.key_retention,
            self._settings.conversation_retention,
            _RETENTION_BATCH,
        )
        # A full batch means that there is more: go on in a minute instead of holding the writer long.
        more = any(count >= _RETENTION_BATCH for count in deleted.values())
        unit.timers.set(
            RETENTION_TIMER, timer.key, now + (timedelta(minutes=1) if more else _RETENTION_EVERY), {}
        )


def hash_bytes(body: bytes) -> str:
    """SHA-256 of a body, hex: how input is recognised as the same."""
    return hashlib.sha256(body).hexdigest()


def _store(unit: UnitOfWork, raw: RawInput, now: datetime) -> Accepted:
    for known in unit.inbox.find_keys(raw.source, raw.source_key, raw.lane):
        if known.body_hash != raw.body_hash:
            raise ConflictError("the same id came before with another text")
        return Accepted(known.received_at, duplicate=True)
    unit.inbox.add(raw.source, raw.source_key, raw.body_hash, raw.lane, raw.raw, now)
    return Accepted(now, duplicate=False)


def _find_tap(unit: UnitOfWork, button_id: str | None, conversation: Conversation) -> Tap | None:
    if button_id is None:
        return None
    found = unit.conversations.find_option(button_id)
    if found is None or found[0].conversation_id != conversation.id or found[0].prompt is None:
        return Tap(None, None)
    message, option = found
    prompt = message.prompt
    if prompt is None or message.delivery in _NEVER_LEFT:
        return Tap(None, None)
    newest = unit.conversations.find_newest_prompt(conversation.id)
    lasts = prompt.kind is PromptKind.SURVEY_RATING or option.value == "person"
    if not lasts and (newest is None or newest.id != message.id):
        # Anything but a rating or a person is taken while it is the newest thing asked, not days later.
        return Tap(None, None)
    return Tap(prompt, option)
