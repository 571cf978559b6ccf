"""待发 on SQL: messages on their way out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import takewhile
from secrets import token_urlsafe
from typing import Any
from uuid import uuid4

from sqlalchemy import (
    ColumnElement,
    and_,
    case,
    delete,
    exists,
    false,
    func,
    insert,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.orm import Session

from desk.errors import ConflictError
from desk.values import (
    Author,
    Conversation,
    Delivery,
    Message,
    Outgoing,
    OutgoingKind,
    Prompt,
    Reply,
    SendRank,
    StaffMember,
)
from storage import outbox_statements as statements
from storage.message_statements import CHANGE_MESSAGE, NEXT_SEQ
from storage.message_values import (
    OUTGOING,
    attachments_to_json,
    message_from_row,
    outgoing_from_row,
    prompt_to_json,
)
from storage.outbox_statements import QUEUED, SENDING
from storage.statements import change, lease_clock, on_postgresql, ring_after_commit, word
from storage.survey_questions import asked_survey_id
from storage.tables.care import SURVEYS
from storage.tables.people import BUTTONS, MESSAGES
from storage.tables.work import LEASES, OUTBOX

_STUCK_AFTER = timedelta(minutes=2)
# An owner without a lease is dead, but it may have lost it only just now with a call in flight.
_CALL_MAY_TAKE = timedelta(seconds=20)

_ENDS = frozenset({Delivery.WITHHELD, Delivery.UNCERTAIN, Delivery.UNREACHABLE, Delivery.DEAD})


class SqlOutboxStore:
    """The outbox. A message's own ``delivery`` follows its outbox row.

    Args:
        session: The transaction.
        owner: Who works here. An answer about a call that somebody else alive has taken over since
            changes nothing.
    """

    def __init__(self, session: Session, owner: str = "") -> None:
        self._session = session
        self._owner = owner

    def say(
        self,
        conversation: Conversation,
        reply: Reply,
        dedupe_key: str,
        now: datetime,
        staff: StaffMember | None = None,
        client_msg_id: str | None = None,
    ) -> Message | None:
        """Stores a message to the customer with its outbox row; None when the key is known."""
        if self._session.execute(statements.KNOWN, {"under_key": dedupe_key}).one_or_none() is not None:
            return None
        prompt = _with_button_ids(reply.prompt)
        rank = SendRank.BROADCAST if reply.kind is OutgoingKind.SURVEY else SendRank.FIRST
        lane = f"conversation:{conversation.id}"
        by_staff = staff is not None and reply.author is Author.STAFF
        row = self._session.execute(
            statements.ADD_MESSAGE,
            {
                "conversation_id": conversation.id,
                "author": reply.author.value,
                "staff_id": staff.id if staff is not None and by_staff else None,
                "staff_name": staff.name if staff is not None and by_staff else None,
                "channel": conversation.channel,
                "external_id": f"out:{uuid4()}",
                "text": reply.text,
                "prompt": prompt_to_json(prompt),
                "reason": reply.reason,
                "delivery": Delivery.QUEUED.value,
                "client_msg_id": client_msg_id,
                "created_at": now,
                "attachments": attachments_to_json(reply.attachments),
                "edits_message_id": reply.edits_message_id,
            },
        ).one()
        message = message_from_row(row)
        stored = self._add(
            dedupe_key=dedupe_key,
            kind=reply.kind.value,
            channel=conversation.channel,
            lane=lane,
            conversation_id=conversation.id,
            message_id=message.id,
            of_identity=conversation.identity_id,
            speakers=sorted(speaker.value for speaker in reply.speakers),
            rank=rank.value,
            not_before=now,
            created_at=now,
        )
        if stored is None:
            # Another transaction stored this key between our look and our insert.
            self._session.execute(delete(MESSAGES).where(MESSAGES.c.id == message.id))
            return None
        if rank is SendRank.FIRST:
            # A survey that waits for its turn in a broadcast would keep this waiting as well.
            self._session.execute(
                statements.HURRY,
                {
                    "in_lane": lane,
                    "on_channel": conversation.channel,
                    "behind": rank.value,
                    "rank": rank.value,
                },
            )
        if prompt is not None and prompt.options:
            self._session.execute(
                insert(BUTTONS),
                [
                    {"token": option.button_id, "message_id": message.id, "position": position}
                    for position, option in enumerate(prompt.options)
                ],
            )
        return message

    def add_for_staff(
        self,
        dedupe_key: str,
        channel: str,
        lane: str,
        recipient: str,
        payload: Mapping[str, Any],
        now: datetime,
        *,
        kind: OutgoingKind = OutgoingKind.ALERT,
        rank: SendRank = SendRank.FIRST,
        wait: timedelta = timedelta(0),
    ) -> int | None:
        """Stores something that is to be done on a channel for staff; None when the key is known."""
        return self._add(
            dedupe_key=dedupe_key,
            kind=kind.value,
            channel=channel,
            lane=lane,
            recipient=recipient,
            payload=dict(payload),
            rank=rank.value,
            not_before=now + wait,
            created_at=now,
        )

    def find_due(
        self, channels: Sequence[str], limit: int, now: datetime, held: Collection[str] = ()
    ) -> Sequence[Outgoing]:
        """The queued head of every lane that may leave now, by rank, then oldest first. Nothing is locked."""
        rows = self._session.execute(
            statements.DUE_UNLESS_HELD if held else statements.DUE,
            {
                "channels": list(channels),
                "held": list(held),
                "most": limit,
                **statements.may_leave_at(now),
            },
        )
        return [outgoing_from_row(row) for row in rows]

    def find_followers(self, head: Outgoing, limit: int) -> Sequence[Outgoing]:
        """Locks and returns the queued ``RELAY`` rows that directly follow a ``RELAY`` row in its lane.

        Empty for a head of any other kind. A row for another recipient ends the run as well.
        """
        if head.kind is not OutgoingKind.RELAY:
            return []
        rows = self._session.execute(
            OUTGOING.add_columns(OUTBOX.c.state)
            .where(
                OUTBOX.c.lane == head.lane,
                OUTBOX.c.channel == head.channel,
                OUTBOX.c.id > head.id,
                OUTBOX.c.state.in_([word(Delivery.QUEUED), word(Delivery.SENDING)]),
            )
            .limit(limit)
            .with_for_update(of=OUTBOX)
        )
        follow = (OutgoingKind.RELAY.value, Delivery.QUEUED.value, head.recipient)
        run = takewhile(lambda row: (row.kind, row.state, row.recipient) == follow, rows)
        return [outgoing_from_row(row) for row in run]

    def find_calls_since(self, channel: str, since: datetime) -> Sequence[tuple[str, datetime]]:
        """(recipient, time) of every call that was begun since then, oldest first, for pacing.

        Of a row that was called several times it is the last call; rows that left joined, for one recipient
        at the same microsecond, were one call.
        """
        rows = self._session.execute(
            select(OUTBOX.c.recipient, OUTBOX.c.sending_at)
            .distinct()
            .where(OUTBOX.c.channel == channel, OUTBOX.c.sending_at >= since)
            .order_by(OUTBOX.c.sending_at, OUTBOX.c.recipient)
        )
        return [(row.recipient, row.sending_at) for row in rows]

    def find_demanded_waits(self, channel: str, now: datetime) -> Sequence[tuple[str, datetime]]:
        """(recipient, until) where the channel demanded a wait that is not over yet."""
        until = func.max(OUTBOX.c.not_before, type_=OUTBOX.c.not_before.type)
        rows = self._session.execute(
            select(OUTBOX.c.recipient, until.label("until"))
            .where(QUEUED, OUTBOX.c.channel == channel, OUTBOX.c.demanded, ~statements.MAY_LEAVE)
            .group_by(OUTBOX.c.recipient)
            .order_by(until),
            statements.may_leave_at(now),
        )
        return [(row.recipient, row.until) for row in rows]

    def readdress(self, channel: str, old: str, new: str) -> None:
        """See ``OutboxStore.readdress``. What is being sent right now may come back and be queued again."""
        self._session.execute(
            update(OUTBOX)
            .where(or_(QUEUED, SENDING), OUTBOX.c.channel == channel, OUTBOX.c.recipient == old)
            .values(recipient=new)
        )

    def next_due_at(self, channel: str) -> datetime | None:
        """When the earliest waiting head of a lane may leave; None when none waits.

        It is in the past when something may leave already, whoever it is held back for.
        """
        earliest: datetime | None = self._session.scalars(
            statements.NEXT_DUE_AT, {"on_channel": channel}
        ).one()
        return earliest

    def get_provider_id(self, message_id: int) -> str:
        """What the channel called this message to a customer when it took it; empty if it did not."""
        provider_id = self._session.scalars(
            select(OUTBOX.c.provider_id).where(OUTBOX.c.message_id == message_id)
        ).one_or_none()
        return provider_id or ""

    def get_conversation_id(self, outgoing_id: int) -> int | None:
        """The conversation of a message to a customer; None for one to staff, or one that is erased."""
        conversation_id: int | None = self._session.scalars(
            select(OUTBOX.c.conversation_id).where(OUTBOX.c.id == outgoing_id)
        ).one_or_none()
        return conversation_id

    def find_queued_for_update(self, outgoing_id: int) -> Outgoing | None:
        """Locks one queued row (its conversation must be locked before); None if no longer queued."""
        row = self._session.execute(statements.LOCK_QUEUED, {"this_id": outgoing_id}).one_or_none()
        return None if row is None else outgoing_from_row(row)

    def find_stuck(self, channels: Sequence[str], owner: str, now: datetime) -> Sequence[Outgoing]:
        """Rows left in ``sending`` by an owner that is dead, or for more than two minutes.

        On SQLite every other owner is dead. On PostgreSQL an owner is dead when it holds no lease of
        any name, by the database's clock, and its call is over 20 s old.
        """
        orphaned = OUTBOX.c.sending_owner != owner
        if on_postgresql(self._session):
            orphaned = and_(orphaned, ~self._alive(now), OUTBOX.c.sending_at <= now - _CALL_MAY_TAKE)
        rows = self._session.execute(
            OUTGOING.where(
                SENDING,
                OUTBOX.c.channel.in_(channels),
                or_(orphaned, OUTBOX.c.sending_at <= now - _STUCK_AFTER),
            )
        )
        return [outgoing_from_row(row) for row in rows]

    def mark_sending(self, outgoing_id: int, owner: str, now: datetime) -> None:
        """Records that the call is about to be made.

        Raises:
            ConflictError: It is not queued any more, so nobody may make the call.
        """
        row = self._session.execute(
            statements.MARK_SENDING,
            {
                "this_id": outgoing_id,
                "state": Delivery.SENDING.value,
                "sending_owner": owner,
                "sending_at": now,
            },
        ).one_or_none()
        if row is None:
            raise ConflictError(f"outbox row {outgoing_id} is not queued")
        if row.message_id is not None:
            self._session.execute(
                CHANGE_MESSAGE, {"this_id": row.message_id, "delivery": Delivery.SENDING.value}
            )

    def mark_sent(self, outgoing: Outgoing, provider_id: str, now: datetime) -> None:
        """Records success: the message gets the next ``seq`` of its conversation (lock it first).

        Whatever the row was taken for meanwhile: it was sent, so it must not be sent again. Nothing
        changes when it is on record as sent.
        """
        sent = change(
            self._session,
            statements.MARK_SENT,
            {
                "this_id": outgoing.id,
                "state": Delivery.SENT.value,
                "provider_id": provider_id,
                "error": "",
                "ended_at": now,
            },
        )
        if not sent or outgoing.message_id is None:
            return
        seq = self._session.execute(NEXT_SEQ, {"this_id": outgoing.conversation_id}).scalar_one()
        self._session.execute(
            CHANGE_MESSAGE,
            {"this_id": outgoing.message_id, "seq": seq, "delivery": Delivery.SENT.value, "sent_at": now},
        )
        asked = asked_survey_id(outgoing.dedupe_key)
        if asked is not None:
            # It may have died before, and been replayed, or have been taken for lost.
            self._session.execute(
                update(SURVEYS)
                .where(SURVEYS.c.id == asked, SURVEYS.c.outcome_unknown)
                .values(outcome_unknown=False)
            )
        ring_after_commit(self._session, f"events:{outgoing.conversation_id}")

    def requeue(
        self,
        outgoing_id: int,
        not_before: datetime,
        error: str,
        *,
        maybe_duplicate: bool,
        demanded: bool = False,
        counts: bool = True,
    ) -> None:
        """Puts it back in the queue; the time of its last call is kept.

        Args:
            maybe_duplicate: Once set it stays set.
            demanded: The channel itself demanded to wait until ``not_before``.
            counts: Whether this was a failed try.
        """
        self._write(
            self._mine(outgoing_id, not_before),
            Delivery.QUEUED,
            attempts=OUTBOX.c.attempts + (1 if counts else 0),
            not_before=not_before,
            error=error,
            maybe_duplicate=true() if maybe_duplicate else OUTBOX.c.maybe_duplicate,
            demanded=demanded,
        )
        ring_after_commit(self._session, "outbox")

    def end(self, outgoing_id: int, delivery: Delivery, error: str, now: datetime) -> bool:
        """See ``OutboxStore.end``.

        A ``NOTICE`` is never a dead letter: one that would be ``DEAD`` is ``WITHHELD``. Other than what
        is withheld before a call it keeps its key, so that the same input, taken in once more, does not
        make it be tried again.
        """
        if delivery not in _ENDS:
            raise ValueError(f"{delivery.value} is not an end")
        values: dict[str, Any] = {}
        if delivery is Delivery.WITHHELD:
            values["dedupe_key"] = OUTBOX.c.dedupe_key + f" withheld:{outgoing_id}"
        elif delivery is Delivery.DEAD:
            notice = OUTBOX.c.kind == OutgoingKind.NOTICE.value
            values["state"] = case((notice, Delivery.WITHHELD.value), else_=Delivery.DEAD.value)
        ended = self._write(self._mine(outgoing_id, now), delivery, error=error, ended_at=now, **values)
        # The next of its lane may leave now.
        ring_after_commit(self._session, "outbox")
        return ended > 0

    def _add(self, **values: Any) -> int | None:
        statement = statements.add(on_postgresql(self._session), "of_identity" in values)
        outgoing_id = self._session.execute(statement, values).scalar_one_or_none()
        if outgoing_id is None:
            return None
        ring_after_commit(self._session, "outbox")
        return int(outgoing_id)

    def _write(self, which: ColumnElement[bool], delivery: Delivery, **values: Any) -> int:
        """Changes outbox rows and the messages that they carry; returns how many rows."""
        message_ids = self._session.scalars(
            update(OUTBOX)
            .where(which)
            .values(**{"state": delivery.value, **values})
            .returning(OUTBOX.c.message_id)
        ).all()
        carried = [message_id for message_id in message_ids if message_id is not None]
        if carried:
            self._session.execute(
                update(MESSAGES).where(MESSAGES.c.id.in_(carried)).values(delivery=delivery.value)
            )
        return len(message_ids)

    def _mine(self, outgoing_id: int, now: datetime) -> ColumnElement[bool]:
        """An unfinished row, unless somebody else alive took it over and is sending it right now."""
        taken_over: ColumnElement[bool] = false()
        if self._owner and on_postgresql(self._session):
            taken_over = and_(
                SENDING,
                OUTBOX.c.sending_owner != self._owner,
                self._alive(now),
                OUTBOX.c.sending_at > lease_clock(self._session, now, ahead=-_STUCK_AFTER),
            )
        return and_(OUTBOX.c.id == outgoing_id, or_(QUEUED, SENDING), ~taken_over)

    def _alive(self, now: datetime) -> ColumnElement[bool]:
        return exists().where(
            LEASES.c.owner == OUTBOX.c.sending_owner,
            LEASES.c.leased_until > lease_clock(self._session, now),
        )


def _with_button_ids(prompt: Prompt | None) -> Prompt | None:
    if prompt is None:
        return None
    return replace(
        prompt, options=tuple(replace(option, button_id=token_urlsafe(16)) for option in prompt.options)
    )
