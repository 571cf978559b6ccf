"""One message of a customer, inside one transaction: stored, judged in its situation, carried out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from desk import case_opening, follow_up, policy, sending, survey, understanding_again
from desk.decision import Action, Decision, Situation, Tap
from desk.follow_up import FollowUp
from desk.intake import hash_bytes
from desk.ports import StaffNotifier, UnitOfWork
from desk.settings import DeskSettings
from desk.values import (
    Attachment,
    Case,
    ChannelUser,
    Conversation,
    Delivery,
    FaqBook,
    Message,
    PromptKind,
    Reply,
    Speaker,
    Survey,
    Understanding,
)

_ORDERS_KNOWN = 10
_STILL_TALKING = timedelta(minutes=10)
# A message of unknown outcome is not among them: who presses its button has it.
_NEVER_LEFT = frozenset({Delivery.WITHHELD, Delivery.UNREACHABLE, Delivery.DEAD})


@dataclass(frozen=True, slots=True)
class Incoming:
    """One message of a customer as a channel understood its own format; texts are storable.

    Attributes:
        who: The identity's id, or a channel's user, who is opened in the transaction that decides.
        external_id: The channel's id of the message, unique within the channel.
        revision: 0, or a number that rises with each edit.
        button_id: The opaque id of a pressed button, or None for typed words.
        received_at: When it came in; what it means is judged by then, however late it is worked.
        group_id: The channel's id of the album that it is a part of; empty when it stands alone.
        starts: The customer opened the talk (``/start``): greet rather than answer.
        order_token_hash: SHA-256 of the token of the order link that the start came through, hex.
    """

    who: int | ChannelUser
    external_id: str
    text: str
    received_at: datetime
    revision: int = 0
    client_msg_id: str | None = None
    button_id: str | None = None
    attachments: tuple[Attachment, ...] = ()
    group_id: str = ""
    starts: bool = False
    order_token_hash: str | None = None


class MessageTaking:
    """Decides on customers' messages and stores the outcome. Holds nothing that must survive."""

    def __init__(self, notifier: StaffNotifier, follow_up: FollowUp, settings: DeskSettings) -> None:
        self._notifier = notifier
        self._follow_up = follow_up
        self._settings = settings

    def take(
        self, unit: UnitOfWork, incoming: Incoming, understanding: Understanding, faq: FaqBook, now: datetime
    ) -> None:
        """Stores the message and everything that follows from it; nothing if it was stored before."""
        conversation = unit.conversations.lock_of_identity(_find_identity_id(unit, incoming.who, now))
        message = unit.conversations.add_incoming(
            conversation,
            incoming.external_id,
            incoming.revision,
            incoming.text,
            incoming.client_msg_id,
            incoming.received_at,
            incoming.attachments,
        )
        if message is None:
            return
        was_reachable = unit.identities.get(conversation.identity_id).reachable
        unit.identities.wrote(conversation.identity_id, now)
        if not was_reachable:
            sending.tell_reachability(unit, conversation, now, reachable=True)
        if incoming.starts:
            self._start(unit, incoming, conversation, message, faq, now)
            return
        versions = unit.conversations.find_versions(message.id)
        position = [version.id for version in versions].index(message.id)
        if position < len(versions) - 1:
            # The channel delivered the newer words first, and they were dealt with.
            unit.conversations.set_outcome(message.id, "superseded", understanding, Action.NONE.value)
            return
        before = versions[position - 1] if position > 0 else None
        case = unit.cases.find_open(conversation.id) if conversation.speaker is not Speaker.BOT else None
        situation = self._situation(unit, incoming, conversation, message, understanding, faq, case, now)
        if before is None:
            # An edit of something that never came is the first we hear of it.
            decision = policy.decide(situation)
        else:
            decision = policy.decide_edit(situation, before.text)
        self._carry_out(unit, decision, incoming, conversation, message, before, case, now)
        unit.conversations.set_outcome(message.id, decision.reason, understanding, decision.action.value)
        if understanding.degraded and before is None and incoming.button_id is None:
            # A button says what it means by itself, and an edit is judged by its words alone.
            understanding_again.schedule(unit, message, now)

    def _start(
        self,
        unit: UnitOfWork,
        incoming: Incoming,
        conversation: Conversation,
        message: Message,
        faq: FaqBook,
        now: datetime,
    ) -> None:
        if incoming.order_token_hash is not None:
            identity = unit.identities.get(conversation.identity_id)
            # Who opens the link again gets the same answer again, below the start that asked for it.
            self._follow_up.bind(
                unit, identity, conversation, incoming.order_token_hash, now, asked_by=str(message.id)
            )
        if conversation.speaker is Speaker.BOT:
            # Last, so that a typed digit answers the questions.
            reply = policy.greet(faq.entries, self._settings.variables)
            unit.outbox.say(conversation, reply, f"reply:{message.id}:0", now)
        else:
            _tell_message(unit, conversation, message, None, unit.cases.find_open(conversation.id), now)
        unit.conversations.set_outcome(message.id, "started", None, Action.NONE.value)

    def _situation(
        self,
        unit: UnitOfWork,
        incoming: Incoming,
        conversation: Conversation,
        message: Message,
        understanding: Understanding,
        faq: FaqBook,
        case: Case | None,
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
            orders=unit.orders.find_of_identity(conversation.identity_id, _ORDERS_KNOWN),
            faq={entry.id: entry for entry in faq.entries},
            understanding=understanding,
            variables=self._settings.variables,
            case_number=case.number if case is not None else "",
            now=incoming.received_at,
            attachments=incoming.attachments,
            group_id=incoming.group_id,
        )

    def _carry_out(
        self,
        unit: UnitOfWork,
        decision: Decision,
        incoming: Incoming,
        conversation: Conversation,
        message: Message,
        before: Message | None,
        case: Case | None,
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
        elif conversation.speaker is Speaker.WAITING and not decision.replies and before is None:
            case_opening.reassure(unit, conversation, now)
        if decision.escalation is not None or conversation.speaker is not Speaker.BOT:
            _tell_message(unit, conversation, message, before, case, now)
        for position, reply in enumerate(decision.replies):
            if number:
                # Only the sentences of a handoff name the case; in others the braces may be the shop's own.
                reply = replace(reply, text=reply.text.replace("{number}", number))
            _say(unit, reply, decision, incoming, conversation, f"{message.id}:{position}", now)


def _find_identity_id(unit: UnitOfWork, who: int | ChannelUser, now: datetime) -> int:
    if isinstance(who, int):
        return who
    identity, _ = unit.identities.open(who.channel, who.external_id, now, who.name, who.language)
    return identity.id


def _say(
    unit: UnitOfWork,
    reply: Reply,
    decision: Decision,
    incoming: Incoming,
    conversation: Conversation,
    nth: str,
    now: datetime,
) -> None:
    """Says a reply once. The parts of an album share one key, so that it is answered once as a whole."""
    if decision.once:
        unit.outbox.say(conversation, reply, _once_key(conversation, decision.once), now)
        return
    if incoming.group_id:
        # Words are answered even when a part without words came first; the other way round, silence.
        key = _once_key(conversation, f"album:{incoming.group_id}")
        if unit.outbox.say(conversation, reply, key, now) is not None:
            return
    unit.outbox.say(conversation, reply, f"reply:{nth}", now)


def _once_key(conversation: Conversation, once: str) -> str:
    """The dedupe key of what is said once under that name in the conversation."""
    return f"once:{conversation.id}:{hash_bytes(once.encode())[:32]}"


def _tell_message(
    unit: UnitOfWork,
    conversation: Conversation,
    message: Message,
    before: Message | None,
    case: Case | None,
    now: datetime,
) -> None:
    """Shows staff a line of the customer, or what became of one."""
    case_id = case.id if case is not None else None
    if before is None:
        unit.desk_events.add("message", case_id, conversation.id, {"message_id": message.id}, now)
        return
    edits = message.edits_message_id if message.edits_message_id is not None else before.id
    payload = {"message_id": message.id, "edits": edits}
    unit.desk_events.add("message_edited", case_id, conversation.id, payload, now)


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
