"""What a staff room (客服群) outside the console reads and remembers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from desk.ports import Transactions, UnitOfWork
from desk.values import (
    Author,
    CaseView,
    Message,
    Order,
    OrderStatus,
    RoomLine,
    RoomThread,
)

LINES_SHOWN = 5
_LINES_LOOKED_AT = 50
_ORDERS_SHOWN = 3
_ORDERS_COUNTED = 1000
_NOT_SPENT = frozenset({OrderStatus.REFUNDED, OrderStatus.CANCELLED})


class StaffRoom:
    """A staff room's view of cases and its own memory. Holds nothing; changes nothing of a case."""

    def __init__(self, transactions: Transactions, clock: Callable[[], datetime]) -> None:
        self._transactions = transactions
        self._clock = clock

    # --- Cases and talks ------------------------------------------------------------------------------

    async def read_case(self, case_id: int) -> CaseView:
        """Everything that a card shows of a case, as it is now; NotFoundError when there is none."""
        now = self._clock()
        return await self._transactions.read(lambda unit: _view(unit, case_id, now))

    async def find_case_number(self, conversation_id: int) -> str | None:
        """The number of the open case of a conversation, or None."""

        def work(unit: UnitOfWork) -> str | None:
            case = unit.cases.find_open(conversation_id)
            return case.number if case is not None else None

        return await self._transactions.read(work)

    async def read_messages(self, ids: Sequence[int]) -> Sequence[Message]:
        """The messages of these ids in their order; NotFoundError when one is gone (erased)."""
        return await self._transactions.read(
            lambda unit: [unit.conversations.get_message(message_id) for message_id in ids]
        )

    async def count_waiting(self) -> int:
        """How many open cases nobody has taken."""
        return await self._transactions.read(lambda unit: unit.cases.count_waiting())

    async def get_provider_id(self, message_id: int) -> str:
        """What the channel called this message to a customer when it took it; empty if it did not."""
        return await self._transactions.read(lambda unit: unit.outbox.get_provider_id(message_id))

    # --- Topics ---------------------------------------------------------------------------------------

    async def find_thread(self, room: str, conversation_id: int) -> RoomThread | None:
        """The topic of a conversation in that room."""
        return await self._transactions.read(lambda unit: unit.staff_rooms.find_thread(room, conversation_id))

    async def find_conversation_id(self, room: str, thread_id: str) -> int | None:
        """Whose topic that is."""
        return await self._transactions.read(
            lambda unit: unit.staff_rooms.find_conversation_id(room, thread_id)
        )

    async def set_thread(self, thread: RoomThread) -> None:
        """Stores the topic of a conversation, in place of the one before."""
        now = self._clock()
        await self._transactions.write(lambda unit: unit.staff_rooms.set_thread(thread, now))

    async def forget_thread(self, room: str, conversation_id: int) -> None:
        """The topic is gone."""
        await self._transactions.write(lambda unit: unit.staff_rooms.forget_thread(room, conversation_id))

    async def move(self, old_room: str, new_room: str) -> None:
        """The chat has another id now; its topics and lines in the old one are void."""
        await self._transactions.write(lambda unit: unit.staff_rooms.move(old_room, new_room))

    # --- Lines ----------------------------------------------------------------------------------------

    async def remember_line(self, *lines: RoomLine) -> None:
        """Stores what lines of the room stand for; known ones again change nothing."""
        now = self._clock()

        def work(unit: UnitOfWork) -> None:
            for line in lines:
                unit.staff_rooms.remember_line(line, now)

        await self._transactions.write(work)

    async def find_lines(self, room: str, provider_id: str) -> Sequence[RoomLine]:
        """What a line there stands for, oldest first."""
        return await self._transactions.read(lambda unit: unit.staff_rooms.find_lines(room, provider_id))

    async def find_line_of_message(self, room: str, message_id: int) -> RoomLine | None:
        """The newest line that shows that message or became it."""
        return await self._transactions.read(
            lambda unit: unit.staff_rooms.find_line_of_message(room, message_id)
        )

    async def find_card(self, room: str, case_id: int) -> RoomLine | None:
        """The newest card of the case."""
        return await self._transactions.read(lambda unit: unit.staff_rooms.find_card(room, case_id))

    async def find_card_by_token(self, token: str) -> RoomLine | None:
        """The card whose buttons carry that token."""
        return await self._transactions.read(lambda unit: unit.staff_rooms.find_card_by_token(token))

    async def count_cards_since(self, room: str, since: datetime) -> int:
        """How many cards the room got since then."""
        return await self._transactions.read(lambda unit: unit.staff_rooms.count_cards_since(room, since))


def _view(unit: UnitOfWork, case_id: int, now: datetime) -> CaseView:
    case = unit.cases.get(case_id)
    conversation = unit.conversations.get(case.conversation_id)
    orders = unit.orders.find_of_contact(conversation.contact_id, _ORDERS_COUNTED)
    lines = unit.conversations.find_latest(conversation.id, _LINES_LOOKED_AT)
    by_staff = [line for line in lines if line.author is Author.STAFF]
    return CaseView(
        case=case,
        conversation=conversation,
        contact=unit.identities.get_contact(conversation.contact_id),
        orders=orders[:_ORDERS_SHOWN],
        spent_minor=_spent(orders),
        lines=lines[-LINES_SHOWN:],
        last_staff_line=by_staff[-1] if by_staff else None,
        reachable=unit.identities.get(conversation.identity_id).reachable,
        notes=unit.cases.count_notes(case.id),
        seen_at=now,
    )


def _spent(orders: Sequence[Order]) -> Sequence[tuple[str, int]]:
    """What was spent, by currency in the order of the codes."""
    sums: dict[str, int] = {}
    for order in orders:
        if order.status not in _NOT_SPENT:
            currency = order.snapshot.currency
            sums[currency] = sums.get(currency, 0) + order.snapshot.amount_minor
    return tuple(sorted(sums.items()))
