"""What staff may ask of the desk. Every call is one transaction and leaves a line in the audit."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

from desk import case_opening, prompts
from desk.errors import AlreadyTakenError, ConflictError, InvalidInputError, NotAllowedError, NotFoundError
from desk.ports import Transactions, UnitOfWork, Wakeups
from desk.values import (
    Author,
    Case,
    CaseState,
    Conversation,
    FaqEntry,
    Message,
    Reply,
    Role,
    StaffMember,
)

T = TypeVar("T")

MOST_CHARACTERS = 4000
TYPING_LASTS = timedelta(seconds=6)
"""How long 「正在输入」 stays without being renewed."""


class StaffDesk:
    """Cases, FAQ, dead letters and accounts, for staff.

    Everybody on staff may read; an agent acts on cases that nobody has or that are their own, a lead or
    an admin on all.
    """

    def __init__(self, transactions: Transactions, wakeups: Wakeups, clock: Callable[[], datetime]) -> None:
        self._transactions = transactions
        self._wakeups = wakeups
        self._clock = clock
        # Who is typing is worth a few seconds at most, so it is the one thing kept in memory.
        self._typing: dict[int, tuple[str, datetime]] = {}

    async def take_case(self, number: str, staff: StaffMember) -> Case:
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

        return await self._on_case(number, work)

    async def reply(self, number: str, staff: StaffMember, text: str, client_msg_id: str) -> Message | None:
        """Says ``text`` to the customer; a waiting case is taken by it.

        Returns:
            The message, or None when this ``client_msg_id`` was sent before (nothing is sent again).

        Raises:
            InvalidInputError: Empty, or longer than 4,000 characters.
            NotAllowedError: The case is a colleague's.
            ConflictError: The case is closed.
        """
        if not text.strip():
            raise InvalidInputError("text", "must not be empty")
        if len(text) > MOST_CHARACTERS:
            raise InvalidInputError("text", f"must have at most {MOST_CHARACTERS} characters")

        def work(unit: UnitOfWork, case: Case, conversation: Conversation, now: datetime) -> Message | None:
            _refuse_foreign(case, staff)
            if case.state is CaseState.WAITING:
                case = case_opening.take_case(unit, case, conversation, staff, now)
            elif case.state is CaseState.CLOSED:
                raise ConflictError(f"case {case.number} is closed")
            line = Reply(
                text,
                author=Author.STAFF,
                # Said is said: it still leaves when the case is closed before the sender comes to it.
                speakers=prompts.ANYBODY,
                reason=f"case {case.number}",
            )
            key = f"staff:{conversation.id}:{client_msg_id}"
            message = unit.outbox.say(conversation, line, key, now, staff=staff, client_msg_id=client_msg_id)
            if message is not None:
                unit.desk_events.add("message", case.id, conversation.id, {"number": case.number}, now)
                unit.staff.audit(staff.id, "case.reply", case.number, "", now)
            return message

        sent = await self._on_case(number, work)
        if sent is not None:
            self._typing.pop(sent.conversation_id, None)
        return sent

    async def close_case(self, number: str, staff: StaffMember, reason: str) -> Case:
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

        return await self._on_case(number, work)

    async def add_note(self, number: str, staff: StaffMember, text: str) -> None:
        """备注: an internal note that the customer never sees."""
        if not text.strip() or len(text) > MOST_CHARACTERS:
            raise InvalidInputError("text", f"must have 1 to {MOST_CHARACTERS} characters")

        def work(unit: UnitOfWork, case: Case, conversation: Conversation, now: datetime) -> None:
            unit.cases.add_note(case.id, staff, text, now)
            unit.desk_events.add("case_noted", case.id, conversation.id, {"number": case.number}, now)
            unit.staff.audit(staff.id, "case.note", case.number, "", now)

        await self._on_case(number, work)

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
            unit.staff.audit(_id(staff), "dead_letter.replay", f"{origin}:{id}", "", now)

        await self._transactions.write(work)

    async def put_faq(self, entry: FaqEntry, staff: StaffMember | None) -> FaqEntry:
        """Creates the entry, or replaces the one of that slug."""
        now = self._clock()

        def work(unit: UnitOfWork) -> FaqEntry:
            stored = unit.faq.put(entry, now)
            unit.staff.audit(_id(staff), "faq.put", entry.slug, "", now)
            return stored

        return await self._transactions.write(work)

    async def delete_faq(self, slug: str, staff: StaffMember | None) -> None:
        """Deletes an entry; NotFoundError when there is none."""
        now = self._clock()

        def work(unit: UnitOfWork) -> None:
            unit.faq.delete(slug)
            unit.staff.audit(_id(staff), "faq.delete", slug, "", now)

        await self._transactions.write(work)

    async def add_staff(
        self, login: str, name: str, role: Role, password_hash: str, by: StaffMember | None
    ) -> StaffMember:
        """Creates an account; ConflictError when the login is taken."""
        now = self._clock()

        def work(unit: UnitOfWork) -> StaffMember:
            member = unit.staff.add(login, name, role, password_hash, now)
            unit.staff.audit(_id(by), "staff.add", f"staff:{member.id}", role.value, now)
            return member

        return await self._transactions.write(work)

    async def change_staff(
        self,
        staff_id: int,
        by: StaffMember | None,
        *,
        name: str | None = None,
        role: Role | None = None,
        disabled: bool | None = None,
        password_hash: str | None = None,
    ) -> StaffMember:
        """Changes an account; the last working admin can be neither disabled nor demoted."""
        now = self._clock()

        def work(unit: UnitOfWork) -> StaffMember:
            member = unit.staff.get(staff_id)
            loses_admin = disabled is True or (role is not None and role is not Role.ADMIN)
            if member.role is Role.ADMIN and loses_admin:
                everybody = unit.staff.all(for_update=True)
                admins = [other.id for other in everybody if other.role is Role.ADMIN and not other.disabled]
                if admins == [staff_id]:
                    raise ConflictError("the last admin must stay")
            changed = unit.staff.change(
                staff_id, name=name, role=role, disabled=disabled, password_hash=password_hash
            )
            what = {"name": name, "role": role, "disabled": disabled, "password": password_hash}
            detail = ",".join(key for key, value in what.items() if value is not None)
            unit.staff.audit(_id(by), "staff.change", f"staff:{staff_id}", detail, now)
            return changed

        return await self._transactions.write(work)

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

    async def _on_case(self, number: str, work: Callable[[UnitOfWork, Case, Conversation, datetime], T]) -> T:
        """Runs ``work`` with the conversation locked and the case read under that lock."""
        now = self._clock()

        def locked(unit: UnitOfWork) -> T:
            found = unit.cases.find_by_number(number)
            if found is None:
                raise NotFoundError("case")
            conversation = unit.conversations.lock(found.conversation_id)
            return work(unit, unit.cases.get(found.id), conversation, now)

        return await self._transactions.write(locked)


def _refuse_foreign(case: Case, staff: StaffMember) -> None:
    if case.staff_id is None or case.staff_id == staff.id or staff.role in {Role.LEAD, Role.ADMIN}:
        return
    if case.state is CaseState.WITH_PERSON:
        raise AlreadyTakenError(f"case {case.number} is with {case.staff_name}")
    raise NotAllowedError(f"case {case.number} belongs to {case.staff_name}")


def _id(staff: StaffMember | None) -> int | None:
    return staff.id if staff is not None else None
