"""From the desk's events to rows for the staff group, inside one unit of work."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from bot.telegram.room.allowance import Allowance
from bot.telegram.room.room_rows import RoomRows
from bot.telegram.room.unshown import ask_for, is_shown, typed_in_group
from desk.errors import NotFoundError
from desk.ports import UnitOfWork
from desk.values import Author, Case, CaseState, Delivery, DeskEvent, Message

CARDS_A_MINUTE = 10
"""New cards beyond these wait: with its topic a card is two of the group's twenty messages a minute."""
REPEATS_A_MINUTE = 5
"""Reminders of single cases beyond these are one line for all."""
MOST_OPEN = 2000

_UNDELIVERED = {
    Delivery.UNREACHABLE: "undelivered",
    Delivery.DEAD: "refused",
    Delivery.WITHHELD: "withheld",
    Delivery.UNCERTAIN: "uncertain",
}


class Projection:
    """Turns events into rows. Everything it does is part of the caller's transaction.

    Args:
        bot_id: Whose group it is.
        chat: The group's id now.
    """

    def __init__(self, unit: UnitOfWork, bot_id: int, chat: int, now: datetime) -> None:
        self._unit = unit
        self._now = now
        self._rows = RoomRows(unit, chat, now)
        self._room = str(chat)
        self._cards = Allowance(unit, f"telegram:{bot_id}:room_cards", CARDS_A_MINUTE, now)
        self._repeats = Allowance(unit, f"telegram:{bot_id}:room_repeats", REPEATS_A_MINUTE, now)
        self._given: set[int] = set()
        self.batched = False
        """Whether a case did not get its card yet, because too many came at once."""

    def take(self, event: DeskEvent) -> None:
        """Writes the rows of one event. Events of other kinds, or about what was erased, have none."""
        try:
            match event.kind:
                case "case_opened":
                    self._opened(self._case(event))
                case "case_alert":
                    self._alerted(self._case(event), event.payload.get("rung"))
                case "case_taken" | "case_closed" | "case_handed_over":
                    self._changed(self._case(event), event)
                case "case_noted":
                    self._update_soon(self._case(event))
                case "message" | "message_edited":
                    self._said(event)
                case "delivery":
                    self._delivered(event)
                case "reachable":
                    self._reachable(event)
                case _:
                    pass
        except NotFoundError:
            return

    def catch_up(self, known: Collection[int]) -> tuple[int, frozenset[int]]:
        """Gives cards to open cases that have none, as many as this minute allows, the longest open first.

        Args:
            known: Cases that need not be looked at, because they were found to have one.

        Returns:
            How many are left without one, and the open cases that need not be looked at again.
        """
        cases = self._unit.cases.find_all_open(MOST_OPEN)
        carded = {case.id for case in cases if case.id in known or case.id in self._given}
        left = 0
        # Those that nobody has taken come first; a card of the others only opens a view on the talk.
        for case in sorted(cases, key=lambda case: case.state is not CaseState.WAITING):
            if case.id in carded:
                continue
            if not self._has_card(case):
                if self._cards.left == 0:
                    left += 1
                    continue
                self._give_card(case)
            carded.add(case.id)
        if left > 0:
            self._rows.waiting_more()
        return left, frozenset(carded)

    def _opened(self, case: Case) -> None:
        if case.state is CaseState.CLOSED:
            return
        if self._cards.left == 0:
            self.batched = True
        else:
            self._give_card(case)

    def _give_card(self, case: Case) -> None:
        self._given.add(case.id)
        if not self._rows.card(case):
            return
        self._cards.use()

    def _alerted(self, case: Case, rung: object) -> None:
        if not isinstance(rung, int) or rung <= 0 or case.state is not CaseState.WAITING:
            return
        if not self._has_card(case):
            # Its card is on the way, and tells the same.
            self.batched = True
        elif self._repeats.left == 0:
            self._rows.waiting_more()
        else:
            self._repeats.use()
            self._rows.repeat(case, rung)

    def _changed(self, case: Case, event: DeskEvent) -> None:
        if self._has_card(case):
            self._rows.update_card(case, f"event{event.id}")
        elif case.state is not CaseState.CLOSED:
            # Somebody looks after it now: what is said must be seen here, however many are waiting.
            self._give_card(case)

    def _update_soon(self, case: Case) -> None:
        # A card that is still to come will show it as it is then.
        if self._has_card(case):
            self._rows.update_card_soon(case)

    def _said(self, event: DeskEvent) -> None:
        message = self._message(event)
        case_id = event.case_id
        if case_id is None:
            found = self._unit.cases.find_open(message.conversation_id)
            case_id = None if found is None else found.id
        # Until its card is there the card will ask for what was said.
        if case_id is None or self._unit.staff_rooms.find_card(self._room, case_id) is None:
            return
        edits = event.payload.get("edits")
        original = self._unit.conversations.get_message(edits) if isinstance(edits, int) else message
        if not is_shown(original):
            return
        if event.kind == "message_edited":
            self._rows.edited(case_id, message.conversation_id, message.id, original.id, event.id)
        else:
            ask_for(self._rows, case_id, message)

    def _delivered(self, event: DeskEvent) -> None:
        message = self._message(event)
        if message.author is not Author.STAFF:
            return
        delivery = event.payload.get("delivery")
        code = next((code for kind, code in _UNDELIVERED.items() if kind.value == delivery), None)
        if code is not None:
            # Of a correction that did not arrive it is told at the line that it corrects.
            said = message.edits_message_id or message.id
            self._rows.say(code, f"{message.id}", conversation_id=message.conversation_id, message_id=said)
        elif delivery == Delivery.SENT.value and typed_in_group(message):
            self._rows.react(message.id)
        case = self._unit.cases.find_newest(message.conversation_id)
        if case is not None:
            self._update_soon(case)

    def _reachable(self, event: DeskEvent) -> None:
        identity_id = event.payload.get("identity_id")
        conversation_id = event.conversation_id
        if conversation_id is None and isinstance(identity_id, int):
            conversation = self._unit.conversations.find_of_identity(identity_id)
            conversation_id = None if conversation is None else conversation.id
        case = None if conversation_id is None else self._unit.cases.find_open(conversation_id)
        if case is None:
            return
        code = "back" if event.payload.get("reachable") else "blocked"
        self._rows.say(code, f"event{event.id}", conversation_id=conversation_id, case_id=case.id)
        self._rows.update_card(case, f"event{event.id}")

    def _case(self, event: DeskEvent) -> Case:
        if event.case_id is None:
            raise NotFoundError("case")
        return self._unit.cases.get(event.case_id)

    def _message(self, event: DeskEvent) -> Message:
        message_id = event.payload.get("message_id")
        if not isinstance(message_id, int):
            raise NotFoundError("message")
        return self._unit.conversations.get_message(message_id)

    def _has_card(self, case: Case) -> bool:
        return self._unit.staff_rooms.find_card(self._room, case.id) is not None
