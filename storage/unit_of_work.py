"""Everything that one transaction may touch."""

from __future__ import annotations

from sqlmodel import Session

from desk.ports import (
    BookmarkStore,
    CaseStore,
    ChatSessionStore,
    ContactDataStore,
    ConversationStore,
    DeadLetterStore,
    DeskEventStore,
    FaqStore,
    IdentityStore,
    InboxStore,
    LeaseStore,
    OrderStore,
    OutboxStore,
    StaffAccountStore,
    StaffRoomStore,
    StaffStore,
    SurveyStore,
    TimerStore,
)
from storage.bookmark_store import SqlBookmarkStore
from storage.case_store import SqlCaseStore
from storage.contact_data_store import SqlContactDataStore
from storage.conversation_store import SqlConversationStore
from storage.dead_letter_store import SqlDeadLetterStore
from storage.desk_event_store import SqlDeskEventStore
from storage.faq_store import SqlFaqStore
from storage.identity_store import SqlChatSessionStore, SqlIdentityStore
from storage.inbox_store import SqlInboxStore
from storage.lease_store import SqlLeaseStore
from storage.order_store import SqlOrderStore
from storage.outbox_store import SqlOutboxStore
from storage.staff_account_store import SqlStaffAccountStore
from storage.staff_room_store import SqlStaffRoomStore
from storage.staff_store import SqlStaffStore
from storage.survey_store import SqlSurveyStore
from storage.timer_store import SqlTimerStore


class SqlUnitOfWork:
    """All stores over one session. Whoever opened the session commits it.

    What the work wants rung afterwards stands in ``session.info["after_commit_bells"]``, a set of names.

    Args:
        session: The transaction.
        owner: Who works here, unique to each start of a process; it is the owner of its leases.
    """

    def __init__(self, session: Session, owner: str) -> None:
        self.session = session
        self.owner = owner
        self.inbox: InboxStore = SqlInboxStore(session)
        self.outbox: OutboxStore = SqlOutboxStore(session, owner)
        self.timers: TimerStore = SqlTimerStore(session)
        self.identities: IdentityStore = SqlIdentityStore(session)
        self.chat_sessions: ChatSessionStore = SqlChatSessionStore(session)
        self.conversations: ConversationStore = SqlConversationStore(session)
        self.orders: OrderStore = SqlOrderStore(session)
        self.surveys: SurveyStore = SqlSurveyStore(session)
        self.cases: CaseStore = SqlCaseStore(session)
        self.faq: FaqStore = SqlFaqStore(session)
        self.staff: StaffStore = SqlStaffStore(session)
        self.desk_events: DeskEventStore = SqlDeskEventStore(session)
        self.dead_letters: DeadLetterStore = SqlDeadLetterStore(session)
        self.contact_data: ContactDataStore = SqlContactDataStore(session)
        self.leases: LeaseStore = SqlLeaseStore(session)
        self.bookmarks: BookmarkStore = SqlBookmarkStore(session)
        self.staff_accounts: StaffAccountStore = SqlStaffAccountStore(session)
        self.staff_rooms: StaffRoomStore = SqlStaffRoomStore(session)
