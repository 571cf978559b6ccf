"""客户 rights over their data, from the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.commands.arguments import read_number
from desk.ports import UnitOfWork

if TYPE_CHECKING:
    from bot.app import Installation


async def erase_contact(installation: Installation, args: dict[str, Any]) -> dict[str, Any]:
    """Erases the contact with the internal id ``contact_id``; returns how many rows per table.

    Raises:
        NotFoundError: There is no such contact.
    """
    contact_id = read_number(args, "contact_id")
    now = installation.clock()

    def work(unit: UnitOfWork) -> dict[str, int]:
        erased = dict(unit.contact_data.erase(contact_id, now))
        unit.staff.audit(None, "contact.erase", f"contact:{contact_id}", "command line", now)
        return erased

    done = await installation.database.write(work)
    # What was erased from the file may still stand in SQLite's log of changes.
    await installation.database.checkpoint()
    return {"erased": done}
