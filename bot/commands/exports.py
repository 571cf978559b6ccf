"""Exports are read from a read-only database; that they were made is written here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.commands.arguments import read_text
from desk.errors import InvalidInputError

if TYPE_CHECKING:
    from bot.app import Installation

_ACTIONS = frozenset({"contact.export", "feedback.export"})


async def record_export(installation: Installation, args: dict[str, Any]) -> dict[str, Any]:
    """Leaves a line in the audit: personal data are about to leave the installation."""
    action = read_text(args, "action", 40)
    if action not in _ACTIONS:
        raise InvalidInputError("action", "must be contact.export or feedback.export")
    subject = read_text(args, "subject", 100)
    now = installation.clock()
    await installation.database.write(
        lambda unit: unit.staff.audit(None, action, subject, "command line", now)
    )
    return {}
