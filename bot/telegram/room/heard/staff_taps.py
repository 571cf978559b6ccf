"""Buttons that staff tap on cards. What a button carries authorises nothing: who, where and state decide."""

from __future__ import annotations

import re
from dataclasses import dataclass

from aiogram.types import CallbackQuery

from bot.telegram.room.heard.acting import Complete, RoomActing
from bot.telegram.room.room_rows import CHANNEL, RoomRows
from desk.ports import UnitOfWork
from desk.staff_desk import StaffDesk
from desk.values import Case, CaseState, Role, StaffMember

_DATA = re.compile(r"([A-Za-z0-9_-]{22}):(take|close|hand|note|back|to:([0-9]{1,9}))")
_QUERY_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class _Tap:
    """A tap on the newest card of a case, by somebody on staff."""

    query_id: str
    staff: StaffMember
    user_id: int
    case: Case
    action: str
    to_staff_id: int | None


class StaffTaps:
    """Hears taps in the group and answers each of them."""

    def __init__(self, acting: RoomActing, staff_desk: StaffDesk) -> None:
        self._acting = acting
        self._staff_desk = staff_desk

    async def hear(self, query: CallbackQuery, complete: Complete) -> None:
        """One tap."""
        if query.from_user.is_bot or _QUERY_ID.fullmatch(query.id) is None:
            await self._acting.transactions.write(complete)
            return
        tap = await self._acting.transactions.read(lambda unit: self._read(unit, query))
        if isinstance(tap, str):
            await self._answer(query.id, tap, None, complete)
        elif tap.case.state is CaseState.CLOSED:
            await self._answer(query.id, "closed_already", tap.case, complete)
        elif tap.action in ("hand", "note", "back"):
            await self._prepare(tap, complete)
        else:
            await self._act(tap, complete)

    def _read(self, unit: UnitOfWork, query: CallbackQuery) -> _Tap | str:
        """What was tapped, or the code of the sentence that says why it does nothing."""
        staff = unit.staff_accounts.find(CHANNEL, str(query.from_user.id))
        if staff is None:
            return "unlinked"
        found = _DATA.fullmatch(query.data or "")
        if found is None or query.message is None:
            return "forged"
        card = unit.staff_rooms.find_card_by_token(found[1])
        if card is None or card.case_id is None:
            return "stale"
        place = (str(query.message.chat.id), str(query.message.message_id))
        if place != (card.room, card.provider_id):
            return "forged"
        to_staff_id = int(found[3]) if found[3] is not None else None
        action = "to" if to_staff_id is not None else found[2]
        case = unit.cases.get(card.case_id)
        return _Tap(query.id, staff, query.from_user.id, case, action, to_staff_id)

    async def _act(self, tap: _Tap, complete: Complete) -> None:
        """接单, 结案, or 转交 to the colleague that was chosen."""
        desk, number, staff = self._staff_desk, tap.case.number, tap.staff
        match tap.action:
            case "take":
                what, code = "take", "took"

                async def deed(finish: Complete) -> None:
                    await desk.take_case(number, staff, finish)

            case "close":
                what, code = "close", "closed_now"

                async def deed(finish: Complete) -> None:
                    await desk.close_case(number, staff, "", finish)

            case _:
                what, code = "hand_over", "handed_over"

                async def deed(finish: Complete) -> None:
                    await desk.hand_over(number, staff, tap.to_staff_id or 0, finish)

        await self._acting.do(
            deed,
            complete,
            done=lambda rows: rows.answer_tap(tap.query_id, code, case_id=tap.case.id),
            refused=lambda rows, code: rows.answer_tap(tap.query_id, code, case_id=tap.case.id),
            what=what,
            case_id=tap.case.id,
        )

    async def _prepare(self, tap: _Tap, complete: Complete) -> None:
        """What asks on: who shall get the case, or what the note is."""

        def work(rows: RoomRows) -> None:
            rows.answer_tap(tap.query_id, self._ask_on(rows, tap), case_id=tap.case.id)

        await self._acting.tell(work, complete)

    @staticmethod
    def _ask_on(rows: RoomRows, tap: _Tap) -> str:
        if tap.action == "note":
            rows.ask_note(tap.case, tap.staff.id, tap.user_id, tap.query_id)
            return "ask_note"
        if tap.action == "back":
            rows.update_card(tap.case, f"back{tap.query_id}")
            return "back_now"
        if tap.case.staff_id not in (None, tap.staff.id) and tap.staff.role is Role.AGENT:
            return "taken"
        others = [one for one in rows.unit.staff_accounts.find_linked(CHANNEL) if one.id != tap.case.staff_id]
        if not others:
            return "nobody"
        rows.choose_colleague(tap.case, f"choose{tap.query_id}")
        return "choose"

    async def _answer(self, query_id: str, code: str, case: Case | None, complete: Complete) -> None:
        ids = {} if case is None else {"case_id": case.id}
        await self._acting.tell(lambda rows: rows.answer_tap(query_id, code, **ids), complete)
