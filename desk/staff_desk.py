"""What staff may ask of the desk. Every call is one transaction and leaves a line in the audit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from desk import case_opening, staff_lines
from desk.errors import AlreadyTakenError, ConflictError, InvalidInputError, NotAllowedError, NotFoundError
from desk.ports import Transactions, UnitOfWork, Wakeups
from desk.staff_accounts import Complete, StaffAccounts, id_of
from desk.staff_lines import MOST_CHARACTERS
from desk.values import (
    Attachment,
    Case,
    CaseState,
    ChannelCapabilities,
    Conversation,
    FaqEntry,
    Message,
    Role,
    StaffMember,
)

__all__ = ["MOST_CHARACTERS", "TYPING_LASTS", "StaffDesk"]

T = TypeVar("T")

TYPING_LASTS = timedelta(seconds=6)
"""How long 「正在输入」 stays without being renewed."""


class StaffDesk(StaffAccounts):
    """Cases, FAQ, dead letters and accounts, for staff.

    Everybody on staff may read; an agent acts on cases that nobody has or that are their own, a lead or
    an admin on all. What takes ``complete`` calls it last inside its transaction, if it raises nothing.
    """

    def __init__(
        self,
        transactions: Transactions,
        wakeups: Wakeups,
        clock: Callable[[], datetime],
        capabilities: Mapping[str, ChannelCapabilities] | None = None,
    ) -> None:
        # A channel that is not among the capabilities carries text only.
        super().__init__(transactions, clock)
        self._wakeups = wakeups
        self._capabilities = capabilities or {}
        # Who is typing is worth a few seconds at most, so it is the one thing kept in memory.
        self._typing: dict[int, tuple[str, datetime]] = {}

    async def take_case(self, number: str, staff: StaffMember, complete: Complete | None = None) -> Case:
        """接单: gives a waiting case to ``staff``; their own again is fine.

        Raises:
            NotFoundError: No such case.
            AlreadyTakenError: Somebody else was faster.
            ConflictError: It is closed.
        """

        def work(unit: UnitOfWork, case: Case, conversation: Conversation, now: datetime) -> Case:
            taken = case_opening.take_case(unit, case, conversation, staff, now)
            unit.staff.audit(staff.id, "case.take", case.number, "", now)
            return taken

        return await self._on_case(number, work, complete)

    async def hand_over(
        self, number: str, staff: StaffMember, to_staff_id: int, complete: Complete | None = None
    ) -> Case:
        """转交: gives a case to a colleague, who has the word from then on; theirs already is fine.

        Raises:
            NotFoundError: No such case or colleague.
            NotAllowedError: It is a colleague's case; leads and admins may hand over any.
            ConflictError: The case is closed, or the colleague's account is disabled.
        """

        def work(unit: UnitOfWork, case: Case, conversation: Conversation, now: datetime) -> Case:
            _refuse_foreign(case, staff)
            to = unit.staff.get(to_staff_id)
            if to.disabled:
                raise ConflictError("the colleague's account is disabled")
            if case.state is CaseState.WITH_PERSON and case.staff_id == to.id:
                return case
            handed = case_opening.hand_over(unit, case, conversation, to, now)
            unit.staff.audit(staff.id, "case.hand_over", case.number, f"staff:{to.id}", now)
            return handed

        return await self._on_case(number, work, complete)

    async def reply(
        self,
        number: str,
        staff: StaffMember,
        text: str,
        client_msg_id: str,
        attachments: Sequence[Attachment] = (),
        complete: Complete | None = None,
    ) -> Message | None:
        """Says ``text`` to the customer; a waiting case is taken by it.

        Args:
            text: At most 4,000 characters; may be empty beside attachments.
            attachments: What goes with it, where the customer's channel can carry it.

        Returns:
            The message, or None when this ``client_msg_id`` was sent before (nothing is sent again).

        Raises:
            InvalidInputError: Empty, too long, or attachments that the customer's channel cannot carry.
            NotAllowedError: The case is a colleague's.
            ConflictError: The case is closed.
        """
        staff_lines.check_text(text, may_be_empty=bool(attachments))

        def work(unit: UnitOfWork, case: Case, conversation: Conversation, now: datetime) -> Message | None:
            _refuse_foreign(case, staff)
            if attachments and not self._can(conversation).media:
                raise InvalidInputError("attachments", "the customer's channel carries text only")
            if case.state is CaseState.WAITING:
                case = case_opening.take_case(unit, case, conversation, staff, now)
            elif case.state is CaseState.CLOSED:
                raise ConflictError(f"case {case.number} is closed")
            return staff_lines.say(unit, case, conversation, staff, text, client_msg_id, attachments, now)

        sent = await self._on_case(number, work, complete)
        if sent is not None:
            self._typing.pop(sent.conversation_id, None)
        return sent

    async def correct_reply(
        self,
        number: str,
        staff: StaffMember,
        client_msg_id: str,
        text: str,
        revision: int,
        complete: Complete | None = None,
    ) -> bool:
        """Corrects a line that ``staff`` said under ``client_msg_id``.

        Args:
            revision: Rises with each edit; the same one again changes nothing.

        Returns:
            Whether anything changed for the customer.

        Raises:
            NotFoundError: No such case, or no such line of this person in it.
            InvalidInputError: Empty or too long.
            NotAllowedError: The case is a colleague's.
            ConflictError: The case is closed.
        """

        def work(unit: UnitOfWork, case: Case, conversation: Conversation, now: datetime) -> bool:
            _refuse_foreign(case, staff)
            if case.state is CaseState.CLOSED:
                raise ConflictError(f"case {case.number} is closed")
            capabilities = self._can(conversation)
            return staff_lines.correct(
                unit, case, conversation, staff, client_msg_id, text, revision, capabilities, now
            )

        return await self._on_case(number, work, complete)

    async def close_case(
        self, number: str, staff: StaffMember, reason: str, complete: Complete | None = None
    ) -> Case:
        """结案: hands the word back to the bot, which thanks and asks whether it helped.

        Closing a closed case again changes nothing.
        """

        def work(unit: UnitOfWork, case: Case, conversation: Conversation, now: datetime) -> Case:
            if case.state is CaseState.CLOSED:
                return case
            _refuse_foreign(case, staff)
            closed = case_opening.close_case(unit, case, conversation, staff, reason, now)
            unit.staff.audit(staff.id, "case.close", case.number, reason, now)
            return closed

        return await self._on_case(number, work, complete)

    async def add_note(
        self, number: str, staff: StaffMember, text: str, complete: Complete | None = None
    ) -> None:
        """备注: an internal note that the customer never sees."""
        if not text.strip() or len(text) > MOST_CHARACTERS:
            raise InvalidInputError("text", f"must have 1 to {MOST_CHARACTERS} characters")

        def work(unit: UnitOfWork, case: Case, conversation: Conversation, now: datetime) -> None:
            unit.cases.add_note(case.id, staff, text, now)
            unit.desk_events.add("case_noted", case.id, conversation.id, {"number": case.number}, now)
            unit.staff.audit(staff.id, "case.note", case.number, "", now)

        await self._on_case(number, work, complete)

    async def reveal_phone(self, number: str, staff: StaffMember) -> str:
        """The customer's phone number in full; that it was looked at is audited."""

        def work(unit: UnitOfWork, case: Case, conversation: Conversation, now: datetime) -> str:
            unit.staff.audit(staff.id, "contact.reveal_phone", case.number, "", now)
            return unit.identities.get_contact(conversation.contact_id).phone

        return await self._on_case(number, work)

    async def replay(self, origin: str, id: int, staff: StaffMember | None) -> None:
        """Makes a dead letter ready again.

        Raises:
            NotFoundError: It is not dead (any more).
        """
        now = self._clock()

        def work(unit: UnitOfWork) -> None:
            unit.dead_letters.replay(origin, id, now)
            unit.staff.audit(id_of(staff), "dead_letter.replay", f"{origin}:{id}", "", now)

        await self._transactions.write(work)

    async def put_faq(self, entry: FaqEntry, staff: StaffMember | None) -> FaqEntry:
        """Creates the entry, or replaces the one of that slug."""
        now = self._clock()

        def work(unit: UnitOfWork) -> FaqEntry:
            stored = unit.faq.put(entry, now)
            unit.staff.audit(id_of(staff), "faq.put", entry.slug, "", now)
            return stored

        return await self._transactions.write(work)

    async def delete_faq(self, slug: str, staff: StaffMember | None) -> None:
        """Deletes an entry; NotFoundError when there is none."""
        now = self._clock()

        def work(unit: UnitOfWork) -> None:
            unit.faq.delete(slug)
            unit.staff.audit(id_of(staff), "faq.delete", slug, "", now)

        await self._transactions.write(work)

    def typing(self, conversation_id: int, staff: StaffMember) -> None:
        """Somebody types a reply: the customer's screen shows it for a few seconds."""
        self._typing[conversation_id] = (staff.name, self._clock() + TYPING_LASTS)
        self._wakeups.ring(f"events:{conversation_id}")

    def find_typist(self, conversation_id: int) -> str | None:
        """Who is typing to this customer at the moment."""
        found = self._typing.get(conversation_id)
        if found is None or found[1] < self._clock():
            self._typing.pop(conversation_id, None)
            return None
        return found[0]

    def _can(self, conversation: Conversation) -> ChannelCapabilities:
        return self._capabilities.get(conversation.channel) or ChannelCapabilities()

    async def _on_case(
        self,
        number: str,
        work: Callable[[UnitOfWork, Case, Conversation, datetime], T],
        complete: Complete | None = None,
    ) -> T:
        """Runs ``work`` with the conversation locked and the case read under that lock."""
        now = self._clock()

        def locked(unit: UnitOfWork) -> T:
            found = unit.cases.find_by_number(number)
            if found is None:
                raise NotFoundError("case")
            conversation = unit.conversations.lock(found.conversation_id)
            result = work(unit, unit.cases.get(found.id), conversation, now)
            if complete is not None:
                complete(unit)
            return result

        return await self._transactions.write(locked)


def _refuse_foreign(case: Case, staff: StaffMember) -> None:
    if case.staff_id is None or case.staff_id == staff.id or staff.role in {Role.LEAD, Role.ADMIN}:
        return
    if case.state is CaseState.WITH_PERSON:
        raise AlreadyTakenError(f"case {case.number} is with {case.staff_name}")
    raise NotAllowedError(f"case {case.number} belongs to {case.staff_name}")
