"""Deeds of staff in the group: each ends in one transaction that acts and marks the update done, or refuses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

from bot.telegram.room.place import RoomPlace
from bot.telegram.room.room_rows import RoomRows
from desk.errors import (
    AlreadyTakenError,
    ConflictError,
    DeskError,
    InvalidInputError,
    LeaseLostError,
    NotAllowedError,
    NotFoundError,
    StorageUnavailableError,
    TooFastError,
)
from desk.ports import Transactions, UnitOfWork
from desk.values import CaseState

Complete = Callable[[UnitOfWork], None]
Tell = Callable[[RoomRows, str], None]
"""Answers with a sentence by its code, inside a transaction."""


class RoomActing:
    """Does what somebody asked for, exactly once, and answers in the same transaction."""

    def __init__(self, place: RoomPlace, transactions: Transactions, clock: Callable[[], datetime]) -> None:
        self.place = place
        self.transactions = transactions
        self.clock = clock

    async def do(
        self,
        deed: Callable[[Complete], Awaitable[object]],
        complete: Complete,
        *,
        done: Callable[[RoomRows], None] | None = None,
        refused: Tell,
        what: str,
        case_id: int | None = None,
    ) -> None:
        """Does the deed.

        Args:
            deed: Acts at the desk and calls what it is given last in its transaction.
            done: What else belongs into that transaction.
            refused: Answers when the desk refuses, in a transaction of its own.
            what: The kind of deed; the same refusal reads differently for different deeds.
        """

        def finish(unit: UnitOfWork) -> None:
            if done is not None:
                done(self.rows(unit))
            complete(unit)

        try:
            await deed(finish)
        except (StorageUnavailableError, LeaseLostError):
            raise
        except DeskError as error:
            failure = error

            def refuse(unit: UnitOfWork) -> None:
                refused(self.rows(unit), _code(unit, failure, what, case_id))
                complete(unit)

            await self.transactions.write(refuse)

    async def tell(self, told: Callable[[RoomRows], object], complete: Complete) -> None:
        """Only answers."""

        def work(unit: UnitOfWork) -> None:
            told(self.rows(unit))
            complete(unit)

        await self.transactions.write(work)

    def rows(self, unit: UnitOfWork) -> RoomRows:
        """Rows for the group as it is now."""
        return RoomRows(unit, self.place.find_chat(unit), self.clock())


def _code(unit: UnitOfWork, error: DeskError, what: str, case_id: int | None) -> str:
    """Which sentence tells of the refusal.

    Raises:
        DeskError: It is none that a person could have caused.
    """
    if isinstance(error, AlreadyTakenError):
        return "taken"
    if isinstance(error, NotAllowedError):
        return "not_allowed"
    if isinstance(error, TooFastError):
        return "link_too_fast"
    if isinstance(error, InvalidInputError):
        if error.field == "attachments":
            return "no_media"
        return "empty" if "empty" in error.reason else "too_long"
    if isinstance(error, NotFoundError):
        return {"link": "link_wrong", "hand_over": "no_colleague"}.get(what, "no_case")
    if isinstance(error, ConflictError):
        is_closed = case_id is None or unit.cases.get(case_id).state is CaseState.CLOSED
        if not is_closed:
            return "no_colleague" if what == "hand_over" else "taken"
        return {"reply": "closed", "edit": "edit_late"}.get(what, "closed_already")
    raise error
