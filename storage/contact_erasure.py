"""A person's words and marks removed everywhere (PIPL 47, GDPR 17), in one transaction.

What stays says nothing about who it was: figures of orders, ratings, and that a survey was sent or why
not. On SQLite ``secure_delete`` overwrites the freed bytes, and a checkpoint afterwards takes them out of
the WAL; on PostgreSQL they go with the next vacuum.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from secrets import token_urlsafe
from typing import Any

from sqlalchemy import String, Table, and_, case, cast, delete, literal, or_, select, update
from sqlalchemy.sql.elements import ColumnElement
from sqlmodel import Session

from desk.case_opening import ALERT_TIMER
from desk.errors import NotFoundError
from desk.follow_up import DUE_TIMER, ERASED_BUYER, EXPIRY_TIMER, REMINDER_TIMER, SCORE_TIMER
from desk.values import CaseState, Delivery, SkipReason, Speaker, SurveyState
from storage.case_store import case_number
from storage.desk_event_store import SqlDeskEventStore
from storage.statements import AnyRow, change
from storage.survey_questions import question_unsent
from storage.tables.care import CASE_EVENTS, CASES, FAQ_MISSES, FEEDBACK, SURVEY_ANSWERS, SURVEYS
from storage.tables.orders import ORDER_BINDINGS, ORDER_LINKS, ORDERS
from storage.tables.people import (
    BUTTONS,
    CHAT_SESSIONS,
    CONTACT_MOVES,
    CONTACTS,
    CONVERSATIONS,
    IDENTITIES,
    MESSAGES,
    SPEAKER_CHANGES,
)
from storage.tables.rooms import ROOM_LINES, ROOM_THREADS
from storage.tables.staff import DESK_EVENTS
from storage.tables.work import INBOX, LANES, OUTBOX, TIMERS, InboxState, TimerState

ERASED = "erased"
_RATINGS = ("1", "2", "3", "4", "5")


def erase_contact(session: Session, contact_id: int, now: datetime) -> dict[str, int]:
    """Erases the contact and returns how many rows changed, by table.

    Raises:
        NotFoundError: There is no such contact.
    """
    session.flush()
    # Locked before anything is looked up, so that an order or identity which is just joining the contact
    # is there when we look, or comes after the erasure.
    contact = session.execute(
        select(CONTACTS.c.buyer_id).where(CONTACTS.c.id == contact_id).with_for_update()
    ).one_or_none()
    if contact is None:
        raise NotFoundError(f"no contact {contact_id}")
    erasure = _Erasure(session, contact_id, contact.buyer_id, now)
    erasure.run()
    # Rows that this unit of work read before still have the words.
    session.expire_all()
    return erasure.changed


def mark() -> str:
    """Returns an opaque random mark that stands where an id of a person or channel stood."""
    return f"{ERASED_BUYER}{token_urlsafe(16)}"


class _Erasure:
    """One erasure: whose it is, and what it has changed so far."""

    def __init__(self, session: Session, contact_id: int, buyer_id: str | None, now: datetime) -> None:
        self._session = session
        self._contact_id = contact_id
        self._now = now
        self.changed: dict[str, int] = {}
        self._identities = self._ids(IDENTITIES, IDENTITIES.c.contact_id == contact_id)
        # The conversations in id order, as everybody who decides locks them.
        self._conversations = session.scalars(
            select(CONVERSATIONS.c.id)
            .where(CONVERSATIONS.c.identity_id.in_(self._identities))
            .order_by(CONVERSATIONS.c.id)
            .with_for_update()
        ).all()
        self._orders = self._ids(ORDERS, self._own_order(buyer_id))
        self._cases = self._ids(CASES, CASES.c.conversation_id.in_(self._conversations))
        self._feedback = self._ids(FEEDBACK, FEEDBACK.c.conversation_id.in_(self._conversations))
        self._closed: Sequence[AnyRow] = ()

    def run(self) -> None:
        """Erases everything; what is pending ends before its words go."""
        self._end_surveys()
        self._end_cases()
        self._clear_outgoing()
        self._clear_talk()
        self._clear_feedback()
        self._clear_lanes()
        self._clear_rooms()
        self._clear_orders()
        self._clear_person()

    def _own_order(self, buyer_id: str | None) -> ColumnElement[bool]:
        """The order is the contact's own: an order of another buyer that is only bound stays."""
        own = [ORDERS.c.contact_id == self._contact_id]
        if buyer_id is not None:
            own.append(ORDERS.c.buyer_id == buyer_id)
        else:
            bound = select(ORDER_BINDINGS.c.order_id).where(
                ORDER_BINDINGS.c.identity_id.in_(self._identities)
            )
            own.append(and_(ORDERS.c.contact_id.is_(None), ORDERS.c.id.in_(bound)))
        return or_(*own)

    def _end_surveys(self) -> None:
        ours = or_(
            SURVEYS.c.identity_id.in_(self._identities),
            SURVEYS.c.conversation_id.in_(self._conversations),
            and_(
                SURVEYS.c.identity_id.is_(None),
                SURVEYS.c.subject_type == "order",
                SURVEYS.c.subject_id.in_(self._orders),
            ),
        )
        survey_ids = self._ids(SURVEYS, ours)
        unasked = or_(
            SURVEYS.c.state == SurveyState.SCHEDULED.value,
            and_(SURVEYS.c.state == SurveyState.ASKING.value, question_unsent()),
        )
        skipped = self._ids(SURVEYS, and_(SURVEYS.c.id.in_(survey_ids), unasked))
        self._change(
            SURVEYS,
            SURVEYS.c.id.in_(skipped),
            state=SurveyState.SKIPPED.value,
            skip_reason=SkipReason.ERASED.value,
            finished_at=self._now,
        )
        running = (SurveyState.ASKING.value, SurveyState.ANSWERING.value)
        answered = case(
            (SURVEYS.c.rating.is_not(None), SurveyState.DONE.value), else_=SurveyState.EXPIRED.value
        )
        self._change(
            SURVEYS,
            and_(SURVEYS.c.id.in_(survey_ids), SURVEYS.c.state.in_(running)),
            state=answered,
            finished_at=self._now,
        )
        self._change(SURVEYS, SURVEYS.c.id.in_(survey_ids), comment=None, updated_at=self._now)
        # Ratings are figures; whatever else was answered is the customer's words.
        self._change(
            SURVEY_ANSWERS,
            and_(SURVEY_ANSWERS.c.survey_id.in_(survey_ids), SURVEY_ANSWERS.c.value.not_in(_RATINGS)),
            value="",
        )
        self._cancel_timers((DUE_TIMER, REMINDER_TIMER, EXPIRY_TIMER), survey_ids)

    def _end_cases(self) -> None:
        still_open = and_(CASES.c.id.in_(self._cases), CASES.c.state != CaseState.CLOSED.value)
        self._closed = self._session.execute(
            select(CASES.c.id, CASES.c.conversation_id).where(still_open).order_by(CASES.c.id)
        ).all()
        self._change(CASES, still_open, state=CaseState.CLOSED.value, closed_at=self._now)
        self._change(CASES, CASES.c.id.in_(self._cases), evidence="", close_reason=ERASED)
        self._change(CASE_EVENTS, CASE_EVENTS.c.case_id.in_(self._cases), detail="")
        self._cancel_timers((ALERT_TIMER,), self._cases)
        for conversation in self._session.execute(
            select(CONVERSATIONS.c.id, CONVERSATIONS.c.speaker).where(
                CONVERSATIONS.c.id.in_(self._conversations), CONVERSATIONS.c.speaker != Speaker.BOT.value
            )
        ).all():
            self._session.execute(
                SPEAKER_CHANGES.insert().values(
                    conversation_id=conversation.id,
                    from_speaker=conversation.speaker,
                    to_speaker=Speaker.BOT.value,
                    reason=ERASED,
                    at=self._now,
                )
            )
        self._change(
            CONVERSATIONS,
            CONVERSATIONS.c.id.in_(self._conversations),
            speaker=Speaker.BOT.value,
            misses=0,
            angered_at=None,
        )

    def _clear_outgoing(self) -> None:
        ours = OUTBOX.c.conversation_id.in_(self._conversations)
        # A call that is being made cannot be called back, so its outcome stays unknown.
        for before, after in (
            (Delivery.QUEUED, Delivery.WITHHELD),
            (Delivery.SENDING, Delivery.UNCERTAIN),
            (Delivery.DEAD, Delivery.WITHHELD),
        ):
            self._change(
                OUTBOX, and_(ours, OUTBOX.c.state == before.value), state=after.value, ended_at=self._now
            )
            self._change(
                MESSAGES,
                and_(
                    MESSAGES.c.conversation_id.in_(self._conversations), MESSAGES.c.delivery == before.value
                ),
                delivery=after.value,
            )
        self._change(OUTBOX, ours, recipient=ERASED, payload={}, provider_id="", error=ERASED)
        self._change(
            OUTBOX,
            OUTBOX.c.id.in_(self._unsent_for_staff()),
            state=Delivery.WITHHELD.value,
            ended_at=self._now,
        )

    def _unsent_for_staff(self) -> Sequence[int]:
        """What is still to be shown to staff of the contact. It holds ids only, and has nothing to show now."""
        told_by = {
            "case_id": set(self._cases),
            "conversation_id": set(self._conversations),
            "message_id": set(
                self._session.scalars(
                    select(MESSAGES.c.id).where(MESSAGES.c.conversation_id.in_(self._conversations))
                )
            ),
        }
        waiting = self._session.execute(
            select(OUTBOX.c.id, OUTBOX.c.payload).where(
                OUTBOX.c.conversation_id.is_(None),
                OUTBOX.c.state.in_((Delivery.QUEUED.value, Delivery.DEAD.value)),
            )
        )
        return [row.id for row in waiting if any(row.payload.get(key) in told_by[key] for key in told_by)]

    def _clear_talk(self) -> None:
        ours = MESSAGES.c.conversation_id.in_(self._conversations)
        self._delete(BUTTONS, BUTTONS.c.message_id.in_(select(MESSAGES.c.id).where(ours)))
        self._delete(FAQ_MISSES, FAQ_MISSES.c.conversation_id.in_(self._conversations))
        self._change(
            MESSAGES,
            ours,
            text="",
            # Names of files, places, cards of other people; the channel's ids of files and of the chat.
            attachments=None,
            prompt=None,
            understanding=None,
            reason=ERASED,
            client_msg_id=None,
            # The channel's id of a message may name the chat, which is the customer's.
            external_id=literal(f"{mark()}:").concat(cast(MESSAGES.c.id, String)),
        )
        self._delete(
            DESK_EVENTS,
            or_(
                DESK_EVENTS.c.conversation_id.in_(self._conversations), DESK_EVENTS.c.case_id.in_(self._cases)
            ),
        )

        # Screens still show these cases until they hear that they are closed.
        events = SqlDeskEventStore(self._session)
        for closed in self._closed:
            number = case_number(closed.id)
            events.add("case_closed", closed.id, closed.conversation_id, {"number": number}, self._now)

    def _clear_feedback(self) -> None:
        self._change(FEEDBACK, FEEDBACK.c.id.in_(self._feedback), comment=None, sentiment_evidence=[])
        self._cancel_timers((SCORE_TIMER,), self._feedback)

    def _clear_lanes(self) -> None:
        """Empties what came in from the customer; what was not worked yet ends unworked.

        The same for what was said in their own topics of staff rooms, where staff may have quoted them.
        """
        lanes = [f"identity:{identity_id}" for identity_id in self._identities]
        named = [
            f"{row.channel}:{row.external_id}"
            for row in self._session.execute(
                select(IDENTITIES.c.channel, IDENTITIES.c.external_id).where(
                    IDENTITIES.c.id.in_(self._identities)
                )
            )
        ]
        lanes += [*named, *self._topic_lanes()]
        self._change(LANES, LANES.c.name.in_(lanes), pending=0, ready_since=None, not_before=None)
        self._change(INBOX, INBOX.c.lane.in_(lanes), state=InboxState.DONE.value, raw=None, error="")
        # Outside of topics staff answer cards and lines, and what comes in quotes those. Which ones, only the
        # channel could tell; nobody needs the bytes of what was worked.
        worked = and_(INBOX.c.state == InboxState.DONE.value, INBOX.c.raw.is_not(None))
        self._change(INBOX, and_(INBOX.c.lane.in_(self._room_lanes()), worked), raw=None)
        # A lane that is named by the channel's id of the person goes: whoever adds to it
        # meanwhile waits for its row, and then makes a new one.
        self._change(INBOX, INBOX.c.lane.in_(named), lane=ERASED)
        self._delete(LANES, LANES.c.name.in_(named))

    def _topic_lanes(self) -> Sequence[str]:
        """Lanes ``<channel>:<room>:<topic>``; a room's name says nothing of its channel."""
        lanes: set[str] = set()
        for topic in self._session.execute(
            select(ROOM_THREADS.c.room, ROOM_THREADS.c.thread_id).where(
                ROOM_THREADS.c.conversation_id.in_(self._conversations)
            )
        ).all():
            lanes.update(
                self._lanes(INBOX.c.lane.endswith(f":{topic.room}:{topic.thread_id}", autoescape=True))
            )
        return sorted(lanes)

    def _room_lanes(self) -> Sequence[str]:
        """Every lane ``<channel>:<room>:<topic>`` of a room in which something of theirs was shown."""
        rooms = set(
            self._session.scalars(
                select(ROOM_LINES.c.room)
                .where(ROOM_LINES.c.conversation_id.in_(self._conversations))
                .distinct()
            )
        )
        lanes: set[str] = set()
        for room in rooms:
            lanes.update(self._lanes(INBOX.c.lane.contains(f":{room}:", autoescape=True)))
        return sorted(lanes)

    def _lanes(self, which: ColumnElement[bool]) -> Sequence[str]:
        return self._session.scalars(select(INBOX.c.lane).where(which).distinct()).all()

    def _clear_rooms(self) -> None:
        """Forgets which lines and topics of staff rooms were theirs; what stands there is the channel's."""
        for table in (ROOM_LINES, ROOM_THREADS):
            self._delete(table, table.c.conversation_id.in_(self._conversations))

    def _clear_orders(self) -> None:
        for order in self._session.execute(
            select(ORDERS.c.id, ORDERS.c.external_id)
            .where(ORDERS.c.id.in_(self._orders))
            .order_by(ORDERS.c.id)
        ).all():
            self._clear_events(f"order:{order.external_id}")
            # A mark of its own for each order: equal ones would join the orders of different people.
            self._change(
                ORDERS,
                ORDERS.c.id == order.id,
                buyer_id=mark(),
                buyer_name="",
                buyer_phone="",
                buyer_birthday="",
                carrier="",
                tracking_no="",
                erased_at=self._now,
            )
        # Whoever still has such a link, or a session of the person erased, gets at no order by it.
        unused = and_(ORDER_LINKS.c.order_id.in_(self._orders), ORDER_LINKS.c.identity_id.is_(None))
        self._delete(ORDER_LINKS, or_(unused, ORDER_LINKS.c.identity_id.in_(self._identities)))
        self._delete(ORDER_BINDINGS, ORDER_BINDINGS.c.identity_id.in_(self._identities))

    def _clear_events(self, lane: str) -> None:
        """Takes the buyer out of the raw events of one order; those not worked yet still count."""
        self._session.execute(select(LANES.c.name).where(LANES.c.name == lane).with_for_update())
        in_lane = INBOX.c.lane == lane
        self._change(INBOX, and_(in_lane, INBOX.c.state == InboxState.DONE.value), raw=None)
        for item in self._session.execute(
            select(INBOX.c.id, INBOX.c.raw).where(in_lane, INBOX.c.raw.is_not(None))
        ).all():
            self._change(INBOX, INBOX.c.id == item.id, raw=without_buyer(item.raw), error="")

    def _clear_person(self) -> None:
        self._delete(CHAT_SESSIONS, CHAT_SESSIONS.c.identity_id.in_(self._identities))
        self._change(CONTACT_MOVES, CONTACT_MOVES.c.identity_id.in_(self._identities), reason=ERASED)
        for identity_id in self._identities:
            self._change(
                IDENTITIES,
                IDENTITIES.c.id == identity_id,
                external_id=mark(),
                language="",
                reachable=False,
                unreachable_reason=ERASED,
                unreachable_at=self._now,
            )
        self._change(CONTACTS, CONTACTS.c.id == self._contact_id, name="", phone="", buyer_id=None)

    def _cancel_timers(self, kinds: Sequence[str], keys: Sequence[int]) -> None:
        self._change(
            TIMERS,
            and_(
                TIMERS.c.kind.in_(kinds),
                TIMERS.c.key.in_([str(key) for key in keys]),
                TIMERS.c.state.in_((TimerState.PENDING.value, TimerState.DEAD.value)),
            ),
            state=TimerState.CANCELLED.value,
            generation=TIMERS.c.generation + 1,
        )

    def _ids(self, table: Table, which: ColumnElement[bool]) -> Sequence[int]:
        return self._session.scalars(select(table.c.id).where(which).order_by(table.c.id)).all()

    def _change(self, table: Table, which: ColumnElement[bool], **values: Any) -> None:
        self._count(table, change(self._session, update(table).where(which).values(**values)))

    def _delete(self, table: Table, which: ColumnElement[bool]) -> None:
        self._count(table, change(self._session, delete(table).where(which)))

    def _count(self, table: Table, rows: int) -> None:
        # Several statements may touch the same rows; the greatest number is how many there were.
        self.changed[table.name] = max(rows, self.changed.get(table.name, 0))


def without_buyer(raw: bytes) -> bytes:
    """Returns an order event without its buyer; empty when it cannot be read as one."""
    try:
        event = json.loads(raw)
        event["order"]["buyer"] = {"id": ERASED, "name": ERASED}
    except (ValueError, TypeError, KeyError, RecursionError):
        return b""
    return json.dumps(event).encode("ascii")
