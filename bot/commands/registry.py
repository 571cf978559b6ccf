"""The commands that write, by name: run here or, while ``serve`` holds the database, inside of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from bot.commands import contacts, dead_letters, exports, faq, orders, staff
from desk.errors import NotFoundError

if TYPE_CHECKING:
    from bot.app import Installation

Command = Callable[["Installation", dict[str, Any]], Awaitable[dict[str, Any]]]
"""Takes and gives JSON-ready values, because both may travel; raises DeskErrors."""

COMMANDS: Mapping[str, Command] = {
    "add_staff": staff.add_staff,
    "make_link_code": staff.make_link_code,
    "import_orders": orders.import_orders,
    "link_order": orders.link_order,
    "import_faq": faq.import_faq,
    "erase_contact": contacts.erase_contact,
    "replay_dead_letter": dead_letters.replay_dead_letter,
    "record_export": exports.record_export,
}


def get_command(name: str) -> Command:
    """Returns the command.

    Raises:
        NotFoundError: There is none of that name, as when a newer program asks an older service.
    """
    command = COMMANDS.get(name)
    if command is None:
        raise NotFoundError("there is no such command in the running version; restart the service")
    return command
