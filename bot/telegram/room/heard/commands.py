"""What staff type in the group instead of tapping: commands and their Chinese words. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bot.telegram.room import wording

TAKE, CLOSE, ASSIGN, NOTE, LINK = "take", "close", "assign", "note", "link"
KNOWN = frozenset({TAKE, CLOSE, ASSIGN, NOTE, LINK})

_COMMAND = re.compile(r"/([A-Za-z0-9_]{1,64})(?:@([A-Za-z0-9_]{1,64}))?(?:\s+(.*))?", re.DOTALL)
_WORD = re.compile(rf"({wording.NOTE}|{wording.HAND_OVER})[\s:：]+(\S.*)", re.DOTALL)
_ALONE = {wording.TAKE: TAKE, wording.CLOSE: CLOSE, wording.HAND_OVER: ASSIGN, wording.NOTE: NOTE}
_LONGEST_NAME = 40


@dataclass(frozen=True, slots=True)
class Command:
    """A command. ``name`` is one of ``KNOWN``, or whatever was typed behind the slash."""

    name: str
    rest: str = ""


def read(text: str, username: str | None) -> Command | None:
    """The command that a line is, or None for words to the customer.

    A word that stands alone (接单, 结案) is a command as well, and so is what begins with 备注 and a colon
    or a blank: a note that went to the customer would be the worse mistake.

    Args:
        username: The bot's own name; a command for another bot has the name ``""``.
    """
    found = _COMMAND.fullmatch(text.strip())
    if found is not None:
        if found[2] and username and found[2].casefold() != username.casefold():
            return Command("")
        return Command(found[1].lower(), (found[3] or "").strip())
    if text.startswith("/"):
        return Command("?")
    alone = _ALONE.get(text.strip())
    if alone is not None:
        return Command(alone)
    spoken = _WORD.fullmatch(text.strip())
    if spoken is None:
        return None
    rest = spoken[2].strip()
    if spoken[1] == wording.NOTE:
        return Command(NOTE, rest)
    # Nobody is called by a whole sentence; that is said to the customer.
    is_name = len(rest) <= _LONGEST_NAME and len(rest.split()) == 1
    return Command(ASSIGN, rest) if is_name else None
