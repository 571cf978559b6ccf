"""People, orders and surveys to tell stories with."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from contract_backend import Backend
from sqlalchemy import text
from sqlmodel import SQLModel

from desk.values import (
    Buyer,
    Conversation,
    Delivery,
    Identity,
    Message,
    Order,
    OrderEvent,
    OrderItem,
    OrderSnapshot,
    OrderStatus,
    OutgoingKind,
    Prompt,
    PromptKind,
    Reply,
    Role,
    StaffMember,
    Survey,
    SurveyState,
)
from storage.unit_of_work import SqlUnitOfWork

CANARY = "canary"
NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Customer:
    identity: Identity
    conversation: Conversation

    @property
    def contact_id(self) -> int:
        return self.identity.contact_id


def customer(
    database: Backend, external_id: str = "10001", channel: str = "telegram", at: datetime = NOW
) -> Customer:
    identity, conversation = database.run(lambda unit: unit.identities.open(channel, external_id, at))
    return Customer(identity, conversation)


def writes(database: Backend, who: Customer, text: str, key: str, at: datetime = NOW) -> Message:
    def work(unit: SqlUnitOfWork) -> Message | None:
        unit.conversations.lock(who.conversation.id)
        unit.identities.wrote(who.identity.id, at)
        return unit.conversations.add_incoming(who.conversation, key, 0, text, None, at)

    message = database.run(work)
    assert message is not None
    return message


def hears(
    database: Backend,
    who: Customer,
    reply: Reply,
    key: str,
    at: datetime = NOW,
    staff: StaffMember | None = None,
    *,
    sent: bool = True,
) -> Message:
    def work(unit: SqlUnitOfWork) -> Message | None:
        unit.conversations.lock(who.conversation.id)
        message = unit.outbox.say(who.conversation, reply, key, at, staff)
        assert message is not None
        if sent:
            (outgoing,) = (
                row for row in unit.outbox.find_due([who.identity.channel], 50, at) if row.dedupe_key == key
            )
            unit.outbox.mark_sending(outgoing.id, "worker-1", at)
            unit.outbox.mark_sent(outgoing, "77", at)
        return message

    message = database.run(work)
    assert message is not None
    return message


def event(
    status: OrderStatus = OrderStatus.CREATED,
    *,
    order: str = "A-1",
    buyer: str = "buyer-1",
    name: str = "王小明",
    phone: str = "13800001111",
    at: datetime = NOW,
    event_id: str = "",
    items: tuple[OrderItem, ...] = (OrderItem("sku-1", "茶杯", 2, 1990),),
) -> OrderEvent:
    return OrderEvent(
        id=event_id or f"{order}:{status}:{at.isoformat()}",
        status=status,
        occurred_at=at,
        order=OrderSnapshot(order, Buyer(buyer, name, phone), items, 3980, "CNY", "顺丰", "SF100"),
    )


def order(
    database: Backend, number: str = "A-1", *, buyer: str = "buyer-1", delivered_at: datetime | None = None
) -> Order:
    status = OrderStatus.SHIPPED if delivered_at is None else OrderStatus.DELIVERED
    told = event(status, order=number, buyer=buyer)
    return database.run(lambda unit: unit.orders.save(told, None, delivered_at, NOW))


def bound(database: Backend, who: Customer, bought: Order, at: datetime = NOW) -> str:
    """Binds the order through a fresh link; returns the hash of its token."""

    def work(unit: SqlUnitOfWork) -> str:
        digest = digest_of(unit.orders.get_or_create_link(bought.id, at + 30 * DAY, at))
        unit.orders.bind(digest, bought.id, who.identity.id, at)
        return digest

    return database.run(work)


def digest_of(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def survey(database: Backend, about: Order, at: datetime = NOW) -> Survey:
    planned, created = database.run(
        lambda unit: unit.surveys.schedule("order", about.id, "post_delivery", 1, at + DAY, at)
    )
    assert created
    return planned


def ask(database: Backend, planned: Survey, who: Customer, at: datetime = NOW) -> Survey:
    return database.run(
        lambda unit: unit.surveys.change(
            planned.id,
            state=SurveyState.ASKING,
            now=at,
            identity_id=who.identity.id,
            conversation_id=who.conversation.id,
            asked_at=at,
            expires_at=at + 3 * DAY,
        )
    )


def question(survey_id: int, text: str = "满意吗?") -> Reply:
    prompt = Prompt(PromptKind.SURVEY_RATING, (), survey_id)
    return Reply(text, prompt, kind=OutgoingKind.SURVEY, reason="survey")


def staff(database: Backend, login: str = "lin", name: str = "小林", role: Role = Role.AGENT) -> StaffMember:
    return database.run(lambda unit: unit.staff.add(login, name, role, "argon2-hash", NOW))


def delivery_of(database: Backend, message_id: int) -> Delivery:
    def work(unit: SqlUnitOfWork) -> str:
        from storage.tables.people import MessageRow

        row = unit.session.get(MessageRow, message_id)
        assert row is not None
        return row.delivery

    return Delivery(database.run(work))


def found_in_rows(database: Backend) -> set[str]:
    """The tables with a canary anywhere in any row."""
    found = set()
    with database.engine.connect() as connection:
        for table in SQLModel.metadata.sorted_tables:
            for row in connection.execute(text(f"SELECT * FROM {table.name}")):
                if any(CANARY in _shown(value) for value in row):
                    found.add(table.name)
    return found


def _shown(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
