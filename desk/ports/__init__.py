"""What the desk needs from the outside, as roles. Adapters implement them; tests pass fakes in.

A unit of work is synchronous and lives inside one transaction; everything that a decision writes goes
through one of them, so that it is stored whole or not at all. Repositories take and give values of
``desk.values``; rows never leave ``storage``. Unless said otherwise ``get_…`` raises
``NotFoundError``, ``find_…`` may return None, and every ``now`` is an aware UTC time.
"""

from __future__ import annotations

from desk.ports.care import CaseStore, FaqStore, OrderStore, SurveyStore
from desk.ports.channels import Pace, Sender, SendReceipt, StaffAlert, StaffNotifier
from desk.ports.people import ChatSessionStore, ContactDataStore, ConversationStore, IdentityStore
from desk.ports.staff import (
    DeskEventStore,
    StaffAccountStore,
    StaffRoomStore,
    StaffSession,
    StaffStore,
)
from desk.ports.understanding import SentimentScorer, Understander
from desk.ports.unit_of_work import Transactions, UnitOfWork, Wakeups
from desk.ports.work import (
    BookmarkStore,
    DeadLetterStore,
    InboxStore,
    LeaseStore,
    OutboxStore,
    StoredKey,
    TimerStore,
)

__all__ = [
    "BookmarkStore",
    "CaseStore",
    "ChatSessionStore",
    "ContactDataStore",
    "ConversationStore",
    "DeadLetterStore",
    "DeskEventStore",
    "FaqStore",
    "IdentityStore",
    "InboxStore",
    "LeaseStore",
    "OrderStore",
    "OutboxStore",
    "Pace",
    "SendReceipt",
    "Sender",
    "SentimentScorer",
    "StaffAccountStore",
    "StaffAlert",
    "StaffNotifier",
    "StaffRoomStore",
    "StaffSession",
    "StaffStore",
    "StoredKey",
    "SurveyStore",
    "TimerStore",
    "Transactions",
    "Understander",
    "UnitOfWork",
    "Wakeups",
]
