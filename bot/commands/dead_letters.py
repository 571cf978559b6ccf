"""Dead letters from the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.commands.arguments import read_number, read_text

if TYPE_CHECKING:
    from bot.app import Installation


async def replay_dead_letter(installation: Installation, args: dict[str, Any]) -> dict[str, Any]:
    """Makes the dead letter of ``origin`` (inbox, outbox, timer) and ``id`` ready again.

    Raises:
        NotFoundError: It is not dead (any more).
    """
    await installation.staff_desk.replay(read_text(args, "origin", 20), read_number(args, "id"), None)
    return {}
