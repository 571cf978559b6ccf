"""The follow-up after delivery (回访), inside a unit of work: orders in, surveys out, answers stored."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from desk import prompts, survey, wording
from desk.decision import Decision
from desk.errors import ConflictError
from desk.ports import UnitOfWork
from desk.settings import DeskSettings
from desk.values import (
    Conversation,
    Delivery,
    Identity,
    Order,
    OrderEvent,
    OrderStatus,
    Outgoing,
    OutgoingKind,
    Prompt,
    PromptKind,
    Reply,
    SkipReason,
    Speaker,
    Survey,
    SurveyState,
    Timer,
)

DUE_TIMER = "survey_due"
REMINDER_TIMER = "survey_reminder"
EXPIRY_TIMER = "survey_expiry"
SCORE_TIMER = "score_feedback"
POST_DELIVERY = "post_delivery"
OPTED_OUT = SkipReason.OPTED_OUT.value
_FINAL_SKIPS = frozenset({OPTED_OUT, SkipReason.REFUNDED, SkipReason.RETURNED, SkipReason.CANCELLED})

ERASED_BUYER = "erased:"
"""What the buyer id of an order begins with once its buyer was erased."""

SURVEY_SPEAKERS = frozenset({Speaker.BOT})
_OPEN = frozenset({SurveyState.ASKING, SurveyState.ANSWERING})


class FollowUp:
    """Everything from an order event to stored feedback. Holds settings only."""

    def __init__(self, settings: DeskSettings) -> None:
        self._settings = settings

    # --- Orders -----------------------------------------------------------------------------------

    def apply_order_event(
        self, unit: UnitOfWork, event: OrderEvent, now: datetime, *, schedule: bool = True
    ) -> Order:
        """Applies an event: newer ones overwrite, older ones are kept in the history only.

        Newer = greater ``occurred_at``; equal times go by the status' rank. The first delivery known is
        what a survey counts from, in whatever order events arrive. The buyer is a contact from the first
        order on, so that they can be found and erased even if they never write; a buyer who was erased
        does not come back by events of the orders they had.

        Args:
            schedule: False for imports: a delivered order then ends as skipped ``imported``.
        """
        known = unit.orders.lock(event.order.external_id)
        is_newer = known is None or (event.occurred_at, event.status.rank) > (
            known.occurred_at,
            known.status.rank,
        )
        delivered_at = known.delivered_at if known is not None else None
        newly_delivered = event.status is OrderStatus.DELIVERED and delivered_at is None
        if newly_delivered:
            delivered_at = event.occurred_at
        if known is None or is_newer:
            erased = known is not None and known.snapshot.buyer.id.startswith(ERASED_BUYER)
            contact_id = None if erased else unit.identities.open_buyer(event.order.buyer, now).id
            order = unit.orders.save(event, contact_id, delivered_at, now)
        else:
            order = known
            if newly_delivered:
                unit.orders.set_delivered_at(order.id, event.occurred_at)
                order = replace(order, delivered_at=delivered_at)
        unit.orders.record(event, order.id, is_newer, now)
        if newly_delivered:
            self._schedule(unit, order, event.occurred_at, now, schedule=schedule)
        elif survey.called_off(order.status) is not None:
            self._call_off(unit, order, now)
        return order

    def _schedule(
        self, unit: UnitOfWork, order: Order, delivered_at: datetime, now: datetime, *, schedule: bool
    ) -> None:
        due_at = survey.first_due(
            delivered_at,
            self._settings.survey_delay,
            self._settings.quiet_hours,
            self._settings.timezone,
            now,
        )
        planned, is_new = unit.surveys.schedule("order", order.id, POST_DELIVERY, 1, due_at, now)
        if not is_new:
            return
        reason = survey.called_off(order.status)
        if reason is None and not schedule:
            reason = SkipReason.IMPORTED
        if reason is not None:
            unit.surveys.skip(planned.id, reason, now)
            return
        unit.timers.set(DUE_TIMER, str(planned.id), due_at, {})

    def _call_off(self, unit: UnitOfWork, order: Order, now: datetime) -> None:
        reason = survey.called_off(order.status)
        planned = unit.surveys.find("order", order.id, POST_DELIVERY, 1)
        if reason is not None and planned is not None and planned.state is SurveyState.SCHEDULED:
            unit.timers.cancel(DUE_TIMER, str(planned.id))
            unit.surveys.skip(planned.id, reason, now)

    # --- Order links --------------------------------------------------------------------------------

    def bind(
        self,
        unit: UnitOfWork,
        identity: Identity,
        conversation: Conversation,
        token_hash: str,
        now: datetime,
        asked_by: str = "",
    ) -> None:
        """Binds an order to the identity through its link and says so in the conversation.

        The conversation must be locked. The identity joins the contact of that buyer only if its own
        contact has no other buyer; phone and name never merge.

        Args:
            asked_by: What makes this asking another than the one before, where the channel does not show
                earlier lines to who opens the link again; empty = the same link is answered once.
        """
        asked = f"link:{token_hash[:24]}"
        if asked_by:
            asked += f":{asked_by}"
        link = unit.orders.find_link(token_hash)
        if link is None:
            self._tell(unit, conversation, wording.LINK_UNKNOWN, f"{asked}:unknown", now)
            return
        order_id, bound_to, expires_at = link
        if bound_to is not None and bound_to != identity.id:
            self._tell(unit, conversation, wording.LINK_OF_ANOTHER, f"{asked}:other", now)
            return
        if bound_to is None and expires_at <= now:
            self._tell(unit, conversation, wording.LINK_UNKNOWN, f"{asked}:expired", now)
            return
        if bound_to is None:
            # Joining touches all orders of the buyer, so it comes before one of them is locked.
            self._join_buyer(unit, identity, unit.orders.get(order_id), now)
        # Locked, so that a survey which is just being decided sees this binding or is seen by it.
        order = unit.orders.lock_by_id(order_id)
        if bound_to is None:
            unit.orders.bind(token_hash, order_id, identity.id, now)
            self._revive(unit, order, now)
        sentence = wording.ORDER_BOUND.format(order=order.snapshot.external_id)
        if unit.identities.record_consent(identity.id, wording.CONSENT_VERSION, now):
            sentence += "\n" + wording.CONSENT
        # The same link opened again by the same identity: same key, so nothing is said twice.
        key = f"{asked}:bound:{identity.id}:{wording.CONSENT_VERSION}"
        self._tell(unit, conversation, sentence, key, now)

    def _join_buyer(self, unit: UnitOfWork, identity: Identity, order: Order, now: datetime) -> None:
        buyer = order.snapshot.buyer
        own = unit.identities.get_contact(identity.contact_id)
        if own.buyer_id not in {None, buyer.id}:
            return
        try:
            buyer_contact_id = unit.identities.set_buyer(own.id, buyer.id, buyer.name, buyer.phone)
        except ConflictError:
            # Another link made this contact another buyer in the same moment: they stay apart.
            return
        if buyer_contact_id == own.id:
            unit.orders.set_contact_of_buyer(buyer.id, own.id)
        else:
            unit.identities.move_to_contact(identity.id, buyer_contact_id, "order_link", now)

    def _revive(self, unit: UnitOfWork, order: Order, now: datetime) -> None:
        """A survey skipped because nobody was bound is planned again, if it is not too late."""
        planned = unit.surveys.find("order", order.id, POST_DELIVERY, 1)
        if (
            planned is None
            or planned.skip_reason is not SkipReason.NOBODY_BOUND
            or order.delivered_at is None
            or now - order.delivered_at > survey.TOO_OLD_AFTER
        ):
            return
        due_at = survey.first_due(
            order.delivered_at,
            self._settings.survey_delay,
            self._settings.quiet_hours,
            self._settings.timezone,
            now,
        )
        unit.surveys.change(planned.id, state=SurveyState.SCHEDULED, now=now, skip_reason=None, due_at=due_at)
        unit.timers.set(DUE_TIMER, str(planned.id), due_at, {})

    def _tell(self, unit: UnitOfWork, conversation: Conversation, text: str, key: str, now: datetime) -> None:
        reply = Reply(text, speakers=prompts.ANYBODY, reason="order_link")
        unit.outbox.say(conversation, reply, f"{key}:{conversation.id}", now)

    # --- Due, reminder, expiry ----------------------------------------------------------------------

    def conversation_of(self, unit: UnitOfWork, timer: Timer) -> int | None:
        """The conversation that firing this timer will touch, to be locked first; None if none."""
        asked = unit.surveys.get(int(timer.key))
        if asked.conversation_id is not None:
            return asked.conversation_id
        chosen = survey.choose_identity(unit.identities.find_bound_to_order(asked.subject_id))
        if isinstance(chosen, SkipReason):
            return None
        conversation = unit.conversations.find_of_identity(chosen.id)
        return conversation.id if conversation is not None else None

    def fire_due(self, unit: UnitOfWork, timer: Timer, now: datetime) -> None:
        """Sends a scheduled survey, or stores why not, or looks again later."""
        # The order first: its events and bindings change what is decided here.
        order = unit.orders.lock_by_id(unit.surveys.get(int(timer.key)).subject_id)
        planned = unit.surveys.get(int(timer.key))
        if planned.state is not SurveyState.SCHEDULED:
            return
        chosen = survey.choose_identity(unit.identities.find_bound_to_order(order.id))
        case = survey.CaseTimes()
        asked_lately = 0
        if isinstance(chosen, Identity):
            conversation = unit.conversations.lock_of_identity(chosen.id)
            case = _case_times(unit, conversation)
            asked_lately = unit.surveys.count_asked(chosen.contact_id, now - survey.CAP_WINDOW)
        decision = survey.decide_due(
            planned,
            order,
            chosen,
            case,
            asked_lately,
            self._settings.quiet_hours,
            self._settings.timezone,
            now,
        )
        if isinstance(decision, survey.Skip):
            unit.surveys.skip(planned.id, decision.reason, now)
        elif isinstance(decision, survey.Hold):
            unit.timers.set(DUE_TIMER, timer.key, decision.until, {"held": decision.reason})
        else:
            self._ask(unit, planned, order, decision.identity, now)

    def _ask(
        self, unit: UnitOfWork, planned: Survey, order: Order, identity: Identity, now: datetime
    ) -> None:
        conversation = unit.conversations.lock_of_identity(identity.id)
        expires_at = now + self._settings.survey_expires
        unit.surveys.change(
            planned.id,
            state=SurveyState.ASKING,
            now=now,
            identity_id=identity.id,
            conversation_id=conversation.id,
            asked_at=now,
            expires_at=expires_at,
        )
        text = wording.SURVEY_ASK.format(order=order.snapshot.external_id)
        question = Reply(
            text,
            prompts.rating_prompt(planned.id),
            kind=OutgoingKind.SURVEY,
            speakers=SURVEY_SPEAKERS,
            reason=f"survey order delivered_at={order.delivered_at:%Y-%m-%d}"
            if order.delivered_at
            else "survey",
        )
        unit.outbox.say(conversation, question, f"survey:{planned.id}:ask", now)
        unit.timers.set(REMINDER_TIMER, str(planned.id), now + self._settings.survey_reminder, {})
        unit.timers.set(EXPIRY_TIMER, str(planned.id), expires_at, {})

    def fire_reminder(self, unit: UnitOfWork, timer: Timer, now: datetime) -> None:
        """Reminds once, if nothing was answered; waits for quiet hours, cases and unseen questions."""
        asked = unit.surveys.get(int(timer.key))
        if asked.state is not SurveyState.ASKING or asked.conversation_id is None or asked.reminded_at:
            return
        conversation = unit.conversations.lock(asked.conversation_id)
        identity = unit.identities.get(conversation.identity_id)
        if identity.opted_out_at is not None or not identity.reachable:
            return
        order = unit.orders.get(asked.subject_id)
        if survey.called_off(order.status) is not None:
            return
        quiet = self._settings.quiet_hours
        allowed = quiet.next_allowed(now, self._settings.timezone) if quiet is not None else now
        held_until = survey.held_by_case(_case_times(unit, conversation), now)
        if held_until is not None:
            allowed = max(allowed, held_until)
        elif not self._seen(unit, asked, conversation):
            allowed = max(allowed, now + self._settings.survey_reminder)
        if allowed > now:
            unit.timers.set(REMINDER_TIMER, timer.key, allowed, {})
            return
        unit.surveys.change(asked.id, state=asked.state, now=now, reminded_at=now)
        text = wording.SURVEY_REMINDER.format(order=order.snapshot.external_id)
        reminder = Reply(
            text,
            prompts.rating_prompt(asked.id),
            kind=OutgoingKind.SURVEY,
            speakers=SURVEY_SPEAKERS,
            reason="survey_reminder",
        )
        unit.outbox.say(conversation, reminder, f"survey:{asked.id}:remind", now)

    def fire_expiry(self, unit: UnitOfWork, timer: Timer, now: datetime) -> None:
        """Ends a survey that was not answered in time; unseen ones get longer, then end ``not_seen``."""
        asked = unit.surveys.get(int(timer.key))
        if asked.state not in _OPEN or asked.conversation_id is None or asked.asked_at is None:
            return
        conversation = unit.conversations.lock(asked.conversation_id)
        unit.timers.cancel(REMINDER_TIMER, timer.key)
        if asked.rating is not None or asked.comment is not None:
            unit.surveys.change(asked.id, state=SurveyState.DONE, now=now, finished_at=now)
        elif self._seen(unit, asked, conversation):
            unit.surveys.change(asked.id, state=SurveyState.EXPIRED, now=now, finished_at=now)
        elif now - asked.asked_at < survey.GIVE_UP_UNSEEN_AFTER:
            until = now + self._settings.survey_expires
            unit.surveys.change(asked.id, state=asked.state, now=now, expires_at=until)
            unit.timers.set(EXPIRY_TIMER, timer.key, until, {})
            unit.timers.set(REMINDER_TIMER, timer.key, now + self._settings.survey_reminder, {})
        else:
            unit.surveys.skip(asked.id, SkipReason.NOT_SEEN, now)

    def seen(self, unit: UnitOfWork, conversation: Conversation, seq: int, now: datetime) -> None:
        """The customer saw lines up to ``seq``: expiry of surveys seen now counts from here."""
        unseen = {
            line.prompt.subject_id
            for line in unit.conversations.find_after(conversation.id, conversation.seen_seq, 500)
            if line.prompt is not None
            and line.prompt.kind is PromptKind.SURVEY_RATING
            and line.seq is not None
            and line.seq <= seq
        }
        unit.conversations.set_seen(conversation.id, seq, now)
        for asked in unit.surveys.find_open_of_conversation(conversation.id):
            if asked.id in unseen and asked.state is SurveyState.ASKING:
                expires_at = now + self._settings.survey_expires
                unit.surveys.change(asked.id, state=asked.state, now=now, expires_at=expires_at)
                unit.timers.set(EXPIRY_TIMER, str(asked.id), expires_at, {})

    def _seen(self, unit: UnitOfWork, asked: Survey, conversation: Conversation) -> bool:
        capabilities = self._settings.capabilities.get(conversation.channel)
        if capabilities is None or not capabilities.confirms_seen or asked.reminded_at is not None:
            # A reminder only goes to who has seen the question.
            return True
        unseen = unit.conversations.find_after(conversation.id, conversation.seen_seq, 500)
        return not any(
            line.prompt is not None
            and line.prompt.kind is PromptKind.SURVEY_RATING
            and line.prompt.subject_id == asked.id
            for line in unseen
        )

    # --- About to leave -----------------------------------------------------------------------------

    def why_withhold(
        self, unit: UnitOfWork, outgoing: Outgoing, conversation: Conversation, now: datetime
    ) -> str | None:
        """Why a survey message that was decided on must not leave after all; None = it may."""
        identity = unit.identities.get(conversation.identity_id)
        if identity.opted_out_at is not None:
            return OPTED_OUT
        if outgoing.prompt is None or outgoing.prompt.subject_id is None:
            return None
        asked = unit.surveys.get(outgoing.prompt.subject_id)
        if asked.state is not SurveyState.ASKING:
            return f"survey_is_{asked.state.value}"
        reason = survey.called_off(unit.orders.get(asked.subject_id).status)
        if reason is not None:
            return reason.value
        quiet = self._settings.quiet_hours
        if quiet is not None and quiet.next_allowed(now, self._settings.timezone) > now:
            return "quiet"
        return None

    # --- What became of a survey message --------------------------------------------------------------

    def not_delivered(
        self, unit: UnitOfWork, outgoing: Outgoing, delivery: Delivery, why: str, now: datetime
    ) -> None:
        """A survey message ended other than sent: the survey's state must not claim that it was asked.

        Only the first question counts; a reminder that does not leave is simply gone.
        """
        if outgoing.prompt is None or outgoing.prompt.subject_id is None:
            return
        asked = unit.surveys.get(outgoing.prompt.subject_id)
        if asked.state is not SurveyState.ASKING or asked.reminded_at is not None:
            return
        if delivery in {Delivery.UNCERTAIN, Delivery.DEAD}:
            unit.surveys.change(asked.id, state=asked.state, now=now, outcome_unknown=True)
            return
        unit.timers.cancel(REMINDER_TIMER, str(asked.id))
        unit.timers.cancel(EXPIRY_TIMER, str(asked.id))
        if delivery is Delivery.UNREACHABLE:
            unit.surveys.skip(asked.id, SkipReason.UNREACHABLE, now)
        elif why in _FINAL_SKIPS:
            unit.surveys.skip(asked.id, SkipReason(why), now)
        else:
            # A person took the word between the decision and the sending: hold it as if it were due now.
            unit.surveys.change(
                asked.id, state=SurveyState.SCHEDULED, now=now, asked_at=None, expires_at=None
            )
            unit.timers.set(DUE_TIMER, str(asked.id), now + survey.HOLD_STEP, {"held": why})

    # --- Answers --------------------------------------------------------------------------------------

    def store_answer(
        self,
        unit: UnitOfWork,
        decision: Decision,
        conversation: Conversation,
        message_id: int,
        now: datetime,
    ) -> None:
        """Stores what a decision says about a survey: the answer, its history and the feedback."""
        if decision.survey_id is None:
            return
        asked = unit.surveys.get(decision.survey_id)
        changes: dict[str, object] = {}
        if decision.rating is not None:
            unit.surveys.record_answer(asked.id, "overall", str(decision.rating), message_id, now)
            changes["rating"] = decision.rating
        if decision.comment is not None:
            unit.surveys.record_answer(asked.id, "comment", decision.comment, message_id, now)
            changes["comment"] = decision.comment
        state = SurveyState.ANSWERING
        if decision.survey_done or asked.state is SurveyState.DONE:
            state = SurveyState.DONE
            changes["finished_at"] = asked.finished_at or now
            unit.timers.cancel(EXPIRY_TIMER, str(asked.id))
        unit.timers.cancel(REMINDER_TIMER, str(asked.id))
        asked = unit.surveys.change(asked.id, state=state, now=now, **changes)
        if asked.rating is None and asked.comment is None:
            return
        order = unit.orders.get(asked.subject_id)
        feedback = unit.surveys.save_feedback(asked, order, conversation, now)
        if decision.comment is not None:
            unit.timers.set(SCORE_TIMER, str(feedback.id), now, {})
        unit.desk_events.add("feedback", None, conversation.id, {"feedback_id": feedback.id}, now)

    def opt_out(
        self, unit: UnitOfWork, identity: Identity, conversation: Conversation, now: datetime
    ) -> None:
        """退订: stops what is planned, in this same transaction.

        What is queued already meets the opt-out at the guard when it is about to leave.
        """
        unit.identities.set_opted_out(identity.id, now)
        for planned in unit.surveys.find_scheduled_of_identity(identity.id):
            bound = unit.identities.find_bound_to_order(planned.subject_id)
            if survey.choose_identity(bound) is SkipReason.OPTED_OUT:
                unit.timers.cancel(DUE_TIMER, str(planned.id))
                unit.surveys.skip(planned.id, SkipReason.OPTED_OUT, now)
        for asked in unit.surveys.find_open_of_conversation(conversation.id):
            unit.timers.cancel(REMINDER_TIMER, str(asked.id))


def _case_times(unit: UnitOfWork, conversation: Conversation) -> survey.CaseTimes:
    newest = unit.cases.find_newest(conversation.id)
    if newest is None:
        return survey.CaseTimes()
    return survey.CaseTimes(newest.closed_at is None, newest.closed_at)


def survey_prompt(prompt: Prompt | None) -> bool:
    """Whether the prompt belongs to a survey."""
    return prompt is not None and prompt.kind in {PromptKind.SURVEY_RATING, PromptKind.SURVEY_COMMENT}
