"""The statements that every message on its way out takes, built once; see ``message_statements``."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache

from sqlalchemy import Executable, Integer, and_, bindparam, false, func, insert, or_, select, update

from desk.values import Delivery
from storage.message_values import MESSAGE_COLUMNS, OUTGOING
from storage.statements import dialect_insert, word
from storage.tables.people import IDENTITIES, MESSAGES
from storage.tables.work import OUTBOX

# We never wait longer by ourselves; what does was set by a clock that stepped back. A wait that the channel
# demanded is kept however long it is: that its clock was ours tells the time of its call.
_LONGEST_WAIT = timedelta(minutes=65)
_CLOCKS_MAY_DIFFER = timedelta(minutes=2)

QUEUED = OUTBOX.c.state == word(Delivery.QUEUED)
SENDING = OUTBOX.c.state == word(Delivery.SENDING)

KNOWN = select(OUTBOX.c.id).where(OUTBOX.c.dedupe_key == bindparam("under_key"))
ADD_MESSAGE = insert(MESSAGES).returning(*MESSAGE_COLUMNS)

_never_tried = and_(OUTBOX.c.attempts == 0, OUTBOX.c.sending_at.is_(None))
MAY_LEAVE = or_(
    OUTBOX.c.not_before <= bindparam("now"),
    # It was stored by a clock that has stepped back since. Its wait, if it had any, is not begun anew.
    and_(_never_tried, OUTBOX.c.created_at > bindparam("now")),
    and_(OUTBOX.c.demanded.is_(False), OUTBOX.c.not_before > bindparam("too_late")),
    # Its last call lies ahead, so its wait was measured by another clock. Where there was none (NULL)
    # this must say no: its negation is asked for as well.
    func.coalesce(OUTBOX.c.sending_at > bindparam("ahead"), false()),
)
"""A queued row need not wait. No clock that steps back may make it wait for what it never had to."""

# Said with min(), which is one look into an index for each row. With NOT EXISTS PostgreSQL compares the
# rows of a long lane each with each.
_lane = OUTBOX.alias("lane")
_first = select(func.min(_lane.c.id)).where(
    _lane.c.lane == OUTBOX.c.lane,
    _lane.c.channel == OUTBOX.c.channel,
    _lane.c.state.in_([word(Delivery.QUEUED), word(Delivery.SENDING)]),
)
_IS_HEAD = OUTBOX.c.id == _first.scalar_subquery()

DUE = (
    OUTGOING.where(QUEUED, OUTBOX.c.channel.in_(bindparam("channels", expanding=True)), MAY_LEAVE, _IS_HEAD)
    .order_by(None)
    .order_by(OUTBOX.c.rank, OUTBOX.c.id)
    .limit(bindparam("most", type_=Integer))
)
DUE_UNLESS_HELD = DUE.where(OUTBOX.c.recipient.not_in(bindparam("held", expanding=True)))
NEXT_DUE_AT = select(func.min(OUTBOX.c.not_before, type_=OUTBOX.c.not_before.type)).where(
    QUEUED, OUTBOX.c.channel == bindparam("on_channel"), _IS_HEAD
)
HURRY = update(OUTBOX).where(
    OUTBOX.c.lane == bindparam("in_lane"),
    OUTBOX.c.channel == bindparam("on_channel"),
    # Said so that the index of unsent rows fits.
    OUTBOX.c.state.in_([word(Delivery.QUEUED), word(Delivery.SENDING)]),
    QUEUED,
    OUTBOX.c.rank > bindparam("behind"),
)
"""What waits in a lane, and would leave later than something that waits behind it."""
LOCK_QUEUED = OUTGOING.where(OUTBOX.c.id == bindparam("this_id"), QUEUED).with_for_update(of=OUTBOX)
MARK_SENDING = (
    update(OUTBOX).where(OUTBOX.c.id == bindparam("this_id"), QUEUED).returning(OUTBOX.c.message_id)
)
MARK_SENT = update(OUTBOX).where(OUTBOX.c.id == bindparam("this_id"), OUTBOX.c.state != word(Delivery.SENT))


def may_leave_at(now: datetime) -> dict[str, datetime]:
    """Returns the parameters of ``MAY_LEAVE``."""
    return {"now": now, "too_late": now + _LONGEST_WAIT, "ahead": now + _CLOCKS_MAY_DIFFER}


@cache
def add(postgres: bool, to_identity: bool) -> Executable:
    """Returns the INSERT of a row; ``to_identity``: its recipient is looked up by ``of_identity``."""
    insert = dialect_insert(OUTBOX, postgres=postgres)
    if to_identity:
        recipient = select(IDENTITIES.c.external_id).where(IDENTITIES.c.id == bindparam("of_identity"))
        insert = insert.values(recipient=recipient.scalar_subquery())
    return insert.on_conflict_do_nothing(index_elements=["dedupe_key"]).returning(OUTBOX.c.id)
