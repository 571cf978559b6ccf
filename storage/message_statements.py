"""The statements that every message of a customer takes, built once.

Building such a statement takes several times as long as running it. Parameters that choose rows have names that
no column has; those named like a column are what is written.
"""

from __future__ import annotations

from functools import cache

from sqlalchemy import Executable, and_, bindparam, exists, func, or_, select, update

from desk.values import Delivery
from storage.message_values import MESSAGE_COLUMNS
from storage.statements import dialect_insert
from storage.tables.people import CONVERSATIONS, IDENTITIES, MESSAGES
from storage.tables.work import OUTBOX

CONVERSATION = select(
    CONVERSATIONS.c.id,
    CONVERSATIONS.c.public_id,
    CONVERSATIONS.c.identity_id,
    IDENTITIES.c.contact_id,
    IDENTITIES.c.channel,
    CONVERSATIONS.c.speaker,
    CONVERSATIONS.c.misses,
    CONVERSATIONS.c.angered_at,
    CONVERSATIONS.c.last_message_at,
    CONVERSATIONS.c.seen_seq,
).join(IDENTITIES, IDENTITIES.c.id == CONVERSATIONS.c.identity_id)
CONVERSATION_BY_ID = CONVERSATION.where(CONVERSATIONS.c.id == bindparam("this_id"))
CONVERSATION_OF_IDENTITY = CONVERSATION.where(CONVERSATIONS.c.identity_id == bindparam("of_identity"))
LOCK_BY_ID = CONVERSATION_BY_ID.with_for_update(of=CONVERSATIONS)
LOCK_OF_IDENTITY = CONVERSATION_OF_IDENTITY.with_for_update(of=CONVERSATIONS)

CHANGE_CONVERSATION = update(CONVERSATIONS).where(CONVERSATIONS.c.id == bindparam("this_id"))
COUNT_MESSAGE = CHANGE_CONVERSATION.values(next_seq=CONVERSATIONS.c.next_seq + 1)
NEXT_SEQ = COUNT_MESSAGE.returning(CONVERSATIONS.c.next_seq - 1)
CHANGE_MESSAGE = update(MESSAGES).where(MESSAGES.c.id == bindparam("this_id"))

_MESSAGE = select(*MESSAGE_COLUMNS)
MESSAGE_BY_ID = _MESSAGE.where(MESSAGES.c.id == bindparam("this_id"))
_OF_CONVERSATION = MESSAGES.c.conversation_id == bindparam("in_conversation")

_own_seq = select(MESSAGES.c.seq).where(MESSAGES.c.id == bindparam("before_id")).scalar_subquery()
_upper = (
    select(func.coalesce(_own_seq, CONVERSATIONS.c.next_seq))
    .where(CONVERSATIONS.c.id == bindparam("in_conversation"))
    .scalar_subquery()
)
_SAID_BY_THEN = and_(MESSAGES.c.created_at <= bindparam("written_by"), MESSAGES.c.edits_message_id.is_(None))
NEWEST_SENT = (
    _MESSAGE.where(_OF_CONVERSATION, MESSAGES.c.seq < _upper, _SAID_BY_THEN)
    .order_by(MESSAGES.c.seq.desc())
    .limit(1)
)
NEWEST_PROMPT = (
    _MESSAGE.where(_OF_CONVERSATION, MESSAGES.c.seq.is_not(None), MESSAGES.c.prompt.is_not(None))
    .order_by(MESSAGES.c.seq.desc())
    .limit(1)
)

_IN_DOUBT = exists().where(
    OUTBOX.c.message_id == MESSAGES.c.id,
    or_(
        OUTBOX.c.state.in_([Delivery.SENDING.value, Delivery.UNCERTAIN.value]),
        OUTBOX.c.maybe_duplicate.is_(True),
    ),
)
_NEWEST_IN_DOUBT = (
    _MESSAGE.where(
        _OF_CONVERSATION, MESSAGES.c.id > bindparam("after_id"), MESSAGES.c.seq.is_(None), _IN_DOUBT
    )
    .order_by(MESSAGES.c.id.desc())
    .limit(1)
)
SENT_IN_DOUBT = _NEWEST_IN_DOUBT.where(_SAID_BY_THEN)
SENT_IN_DOUBT_BEFORE = SENT_IN_DOUBT.where(MESSAGES.c.id < bindparam("before_id"))
PROMPT_IN_DOUBT = _NEWEST_IN_DOUBT.where(MESSAGES.c.prompt.is_not(None))

_one = MESSAGES.alias("one")
VERSIONS = (
    _MESSAGE.join(
        _one,
        and_(
            _one.c.channel == MESSAGES.c.channel,
            _one.c.external_id == MESSAGES.c.external_id,
            _one.c.conversation_id == MESSAGES.c.conversation_id,
        ),
    )
    .where(_one.c.id == bindparam("this_id"))
    .order_by(MESSAGES.c.revision)
)


@cache
def add_incoming(postgres: bool, edits: bool) -> Executable:
    """Returns the INSERT of a customer's message; ``edits``: it names the one that it edits."""
    seq = select(CONVERSATIONS.c.next_seq).where(CONVERSATIONS.c.id == bindparam("in_conversation"))
    insert = dialect_insert(MESSAGES, postgres=postgres).values(seq=seq.scalar_subquery())
    if edits:
        original = MESSAGES.alias("original")
        edited = select(original.c.id).where(
            original.c.channel == bindparam("on_channel"),
            original.c.external_id == bindparam("known_as"),
            original.c.revision == 0,
            original.c.conversation_id == bindparam("in_conversation"),
        )
        insert = insert.values(edits_message_id=edited.scalar_subquery())
    return insert.on_conflict_do_nothing(index_elements=["channel", "external_id", "revision"]).returning(
        *MESSAGE_COLUMNS
    )
