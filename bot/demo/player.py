"""Plays the past of the sample shop through the real desk: orders, customers and staff, in their own time."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass
from datetime import datetime

from bot.app import Installation
from bot.webchat import messages
from bot.workers.inbox_worker import InboxWorker
from desk.ports import UnitOfWork
from desk.values import Buyer, Case, OrderEvent, OrderItem, OrderSnapshot, OrderStatus, StaffMember

_MOST_ROUNDS = 1000


class PlayedClock:
    """A clock that shows the time that is being played."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """The time that is being played."""
        return self.now


@dataclass(frozen=True, slots=True)
class Sale:
    """One order of the sample shop; ``lines`` are (sku, name, price in fen, quantity)."""

    number: str
    buyer: Buyer
    lines: tuple[tuple[str, str, int, int], ...]

    def event(self, status: OrderStatus, at: datetime) -> OrderEvent:
        """What the shop's system would report."""
        sent = status not in {OrderStatus.CREATED, OrderStatus.PAID, OrderStatus.CANCELLED}
        return OrderEvent(
            id=f"demo:{self.number}:{status.value}",
            status=status,
            occurred_at=at,
            order=OrderSnapshot(
                external_id=self.number,
                buyer=self.buyer,
                items=tuple(OrderItem(sku, name, count, price) for sku, name, price, count in self.lines),
                amount_minor=sum(price * count for _, _, price, count in self.lines),
                currency="CNY",
                carrier="中通快递" if sent else "",
                tracking_no=f"7700{self.number[-4:]:0>10}" if sent else "",
            ),
        )


class Player:
    """Moves the clock and lets everything happen that is due by then."""

    def __init__(self, installation: Installation, clock: PlayedClock) -> None:
        self.installation = installation
        self.clock = clock
        self.desk = installation.service_desk
        database, bells, owner = installation.database, installation.wakeups, installation.owner
        self._inbox = InboxWorker(database, bells, installation.inbox_handlers(), owner, clock)
        self._outboxes = installation.outbox_workers()
        self._timers = installation.timer_workers()
        self._identities: dict[str, int] = {}

    async def go_to(self, at: datetime) -> None:
        """Moves on to ``at``; timers that are due on the way fire at their own time."""
        for _ in range(_MOST_ROUNDS):
            due_at = await self.installation.database.read(lambda unit: unit.timers.next_due_at())
            if due_at is None or due_at > at:
                break
            self.clock.now = max(self.clock.now, due_at)
            await self.settle()
        self.clock.now = max(self.clock.now, at)

    async def settle(self) -> None:
        """Lets everything happen that can happen now."""
        for _ in range(_MOST_ROUNDS):
            worked = await self._inbox.work_one_lane()
            for timers in self._timers:
                worked |= bool(await timers.fire_due())
            for outbox in self._outboxes:
                worked |= bool(await outbox.send_due())
            if not worked:
                return

    async def reports(self, sale: Sale, status: OrderStatus) -> None:
        """The shop's system reports that an order has got this status."""
        event = sale.event(status, self.clock.now)
        await self.installation.database.write(lambda unit: self.desk.apply_order_event(unit, event))
        await self.settle()

    async def opens(self, customer: str, sale: Sale | None = None) -> None:
        """A customer opens the chat page, perhaps through the link of an order."""
        token_hash = None
        if sale is not None:
            token_hash = _hash(await self.desk.order_links(sale.number))
        opened = await self.desk.open_chat(_hash(f"demo:{customer}"), secrets.token_urlsafe(16), token_hash)
        self._identities[customer] = opened.identity_id
        await self.settle()

    async def says(self, customer: str, text: str) -> None:
        """A customer writes, having read everything before."""
        identity_id = self._identities[customer]
        await self.desk.mark_seen(identity_id, 1_000_000)
        message = messages.ChatMessage(secrets.token_urlsafe(12), text, None)
        body = json.dumps({"client_msg_id": message.client_msg_id, "text": text}).encode("ascii")
        await self.desk.accept(messages.to_raw_input(identity_id, message, body))
        await self.settle()

    async def case_of(self, customer: str) -> Case:
        """The newest case of a customer."""

        def find(unit: UnitOfWork) -> Case | None:
            conversation = unit.conversations.find_of_identity(self._identities[customer])
            return unit.cases.find_newest(conversation.id) if conversation is not None else None

        found = await self.installation.database.read(find)
        if found is None:
            raise LookupError(f"{customer} has no case")
        return found

    async def staff_says(self, customer: str, staff: StaffMember, text: str) -> None:
        """A staff member answers the newest case of a customer, taking it if need be."""
        case = await self.case_of(customer)
        await self.installation.staff_desk.reply(case.number, staff, text, secrets.token_urlsafe(12))
        await self.settle()

    async def staff_closes(self, customer: str, staff: StaffMember) -> None:
        """A staff member closes the newest case of a customer."""
        case = await self.case_of(customer)
        await self.installation.staff_desk.close_case(case.number, staff, "resolved")
        await self.settle()


def _hash(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()
