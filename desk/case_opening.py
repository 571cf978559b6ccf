"""Opening and closing cases inside a unit of work: every change of speaker goes through here."""

from __future__ import annotations

from datetime import datetime, timedelta

from desk import prompts, wording
from desk.escalation import Escalation
from desk.ports import StaffAlert, StaffNotifier, UnitOfWork
from desk.values import Author, Case, CaseState, Conversation, Reply, Speaker, StaffMember

ALERT_TIMER = "staff_alert"
_RUNGS = (timedelta(minutes=2), timedelta(minutes=5), timedelta(minutes=10))
_EVERY = timedelta(minutes=10)
_PATIENCE = timedelta(minutes=5)


def next_alert_at(opened_at: datetime, rung: int) -> datetime:
    """When staff are told for the ``rung``-th time (0 = at once), as long as nobody took the case.

    At once, then 2, 5 and 10 minutes after opening, then every 10 minutes.
    """
    if rung <= 0:
        return opened_at
    if rung <= len(_RUNGS):
        return opened_at + _RUNGS[rung - 1]
    return opened_at + _RUNGS[-1] + _EVERY * (rung - len(_RUNGS))


def open_case(
    unit: UnitOfWork,
    notifier: StaffNotifier,
    conversation: Conversation,
    escalation: Escalation,
    now: datetime,
) -> tuple[Case, bool]:
    """Opens a case, or joins the trigger to the open one; tells staff at once.

    The conversation must be locked. Returns the case and whether it is new.
    """
    case, is_new = unit.cases.open(
        conversation.id, escalation.reason, escalation.evidence, escalation.priority, now
    )
    if is_new:
        reason = f"case {case.number} {case.reason.value}"
        unit.conversations.set_speaker(conversation.id, Speaker.WAITING, reason, None, now)
        alert(unit, notifier, case, conversation, 0, now)
        unit.desk_events.add(
            "case_opened",
            case.id,
            conversation.id,
            {"number": case.number, "reason": case.reason.value, "priority": case.priority.value},
            now,
        )
    return case, is_new


def alert(
    unit: UnitOfWork,
    notifier: StaffNotifier,
    case: Case,
    conversation: Conversation,
    rung: int,
    now: datetime,
) -> None:
    """Tells staff about a waiting case and sets the timer for the next time."""
    contact = unit.identities.get_contact(conversation.contact_id)
    notifier.notify(unit, StaffAlert(case, contact.name, rung), now)
    following = rung + 1
    due_at = next_alert_at(case.opened_at, following)
    while due_at <= now:
        # After an outage the missed repeats are one repeat, not a burst.
        following += 1
        due_at = next_alert_at(case.opened_at, following)
    unit.timers.set(ALERT_TIMER, str(case.id), due_at, {"rung": following})


def take_case(
    unit: UnitOfWork, case: Case, conversation: Conversation, staff: StaffMember, now: datetime
) -> Case:
    """Gives the case to a person; from here the bot is silent. The conversation must be locked."""
    was_waiting = case.state is CaseState.WAITING
    case = unit.cases.take(case.id, staff, now)
    if not was_waiting:
        return case
    unit.timers.cancel(ALERT_TIMER, str(case.id))
    reason = f"case {case.number} taken"
    unit.conversations.set_speaker(conversation.id, Speaker.PERSON, reason, staff.id, now)
    joined = Reply(
        wording.PERSON_JOINED.format(name=staff.name),
        author=Author.SYSTEM,
        # Who took it and who left is so, whoever has the word by the time it leaves; order does the rest.
        speakers=prompts.ANYBODY,
        reason=reason,
    )
    unit.outbox.say(conversation, joined, f"case:{case.id}:joined", now)
    unit.desk_events.add(
        "case_taken", case.id, conversation.id, {"number": case.number, "by": staff.name}, now
    )
    return case


def hand_over(
    unit: UnitOfWork, case: Case, conversation: Conversation, to: StaffMember, now: datetime
) -> Case:
    """Gives an open case to another person (转交), who has the word from here. The conversation is locked.

    The customer is told who is there now. Raises ConflictError when the case is closed.
    """
    was_waiting = case.state is CaseState.WAITING
    case = unit.cases.hand_over(case.id, to, now)
    unit.timers.cancel(ALERT_TIMER, str(case.id))
    reason = f"case {case.number} handed_over"
    unit.conversations.set_speaker(conversation.id, Speaker.PERSON, reason, to.id, now)
    sentence = wording.PERSON_JOINED if was_waiting else wording.PERSON_HANDED_OVER
    told = Reply(sentence.format(name=to.name), author=Author.SYSTEM, speakers=prompts.ANYBODY, reason=reason)
    # A case may come back to whom it had before; each time is told.
    key = f"case:{case.id}:handed:{to.id}:{now.timestamp():.6f}"
    unit.outbox.say(conversation, told, key, now)
    unit.desk_events.add(
        "case_handed_over", case.id, conversation.id, {"number": case.number, "to": to.name}, now
    )
    return case


def reassure(unit: UnitOfWork, conversation: Conversation, now: datetime) -> None:
    """Tells a customer who writes while nobody has come that they are not forgotten.

    Not in the first minutes and at most once in ten: the bot is no speaker here.
    """
    case = unit.cases.find_open(conversation.id)
    if case is None or now - case.opened_at < _PATIENCE:
        return
    nth = (now - case.opened_at) // _EVERY
    sentence = wording.STILL_WAITING.format(number=case.number)
    reply = Reply(sentence, speakers=prompts.WHILE_WAITING, reason="still_waiting")
    unit.outbox.say(conversation, reply, f"case:{case.id}:waiting:{nth}", now)


def withdraw(unit: UnitOfWork, conversation: Conversation, now: datetime) -> None:
    """The customer no longer wants a person: the case is closed and the bot has the word again."""
    case = unit.cases.find_open(conversation.id)
    if case is not None:
        close_case(unit, case, conversation, None, "customer_changed_mind", now)
    else:
        unit.conversations.set_speaker(conversation.id, Speaker.BOT, "customer_changed_mind", None, now)


def close_case(
    unit: UnitOfWork,
    case: Case,
    conversation: Conversation,
    staff: StaffMember | None,
    reason: str,
    now: datetime,
) -> Case:
    """Closes the case and hands back to the bot (结案). The conversation must be locked.

    Args:
        staff: Who closed it; None when the customer no longer wanted a person. Only after a person's
            work the customer is told, thanked and asked whether it helped.
    """
    case = unit.cases.close(case.id, staff, reason, now)
    unit.timers.cancel(ALERT_TIMER, str(case.id))
    staff_id = staff.id if staff is not None else None
    unit.conversations.set_speaker(
        conversation.id, Speaker.BOT, f"case {case.number} closed {reason}", staff_id, now
    )
    if staff is not None:
        stated = f"case {case.number} closed"
        left = Reply(
            wording.PERSON_LEFT.format(name=staff.name),
            author=Author.SYSTEM,
            speakers=prompts.ANYBODY,
            reason=stated,
        )
        if case.taken_at is not None:
            unit.outbox.say(conversation, left, f"case:{case.id}:left", now)
        thanks = Reply(wording.CASE_CLOSED, prompts.helped_prompt(case.id), reason=stated)
        unit.outbox.say(conversation, thanks, f"case:{case.id}:helped", now)
    unit.desk_events.add("case_closed", case.id, conversation.id, {"number": case.number}, now)
    return case
