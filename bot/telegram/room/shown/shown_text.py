"""Texts for the staff group: foreign words made harmless, and entities by UTF-16 offsets instead of markup."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

from aiogram.types import MessageEntity, User

from bot.telegram.texts import LONGEST_TEXT, units

_COMBINING_CAP = 4
_JOINERS = "\u200c\u200d"
# What an app would show as a command or a mention that can be tapped. A customer's "/close" in a topic
# must never close a case because somebody on staff touched it.
_COMMAND = re.compile(r"(?<![\w/:.])/(?=[A-Za-z0-9_])")
_MENTION = re.compile(r"(?<!\w)@(?=\w)")
_GAP = re.compile(r"\n{3,}")


def cut(text: str, most: int, ending: str = "…") -> str:
    """The text in at most ``most`` UTF-16 units; what was shortened ends in ``ending``."""
    if units(text) <= most:
        return text
    room = most - units(ending)
    if room <= 0:
        return ""
    used = 0
    for position, letter in enumerate(text):
        used += 2 if letter > "\uffff" else 1
        if used > room:
            return text[:position].rstrip() + ending
    return text


def harmless(text: str, *, one_line: bool = False) -> str:
    """Foreign words as they may stand in the group.

    Control, bidi and invisible characters are left out, at most four combining marks stay on one letter,
    and nothing becomes a command or a mention. Line breaks stay, at most two in a row, unless
    ``one_line``.
    """
    out: list[str] = []
    stacked = 0
    for letter in text.replace("\r\n", "\n").replace("\r", "\n"):
        category = unicodedata.category(letter)
        if category in ("Mn", "Me") or letter in _JOINERS:
            stacked += 1
            if stacked <= _COMBINING_CAP:
                out.append(letter)
            continue
        stacked = 0
        if letter == "\n" or category in ("Zl", "Zp"):
            out.append("\n")
        elif letter == "\t" or category == "Zs":
            out.append(" ")
        elif category not in ("Cc", "Cf", "Cs", "Co"):
            out.append(letter)
    shown = "".join(out).strip()
    if one_line:
        shown = " ".join(shown.split())
    else:
        shown = _GAP.sub("\n\n", shown)
    return _MENTION.sub("＠", _COMMAND.sub("／", shown))


@dataclass
class ShownText:
    """A text that grows up to a limit, with its entities. What does not fit any more is left out.

    Attributes:
        most: The limit in UTF-16 units.
    """

    most: int = LONGEST_TEXT
    text: str = ""
    entities: list[MessageEntity] = field(default_factory=list)

    @property
    def left(self) -> int:
        """How many units still fit."""
        return self.most - units(self.text)

    def add(
        self,
        words: str,
        *,
        bold: bool = False,
        link: str = "",
        user: User | None = None,
        most: int | None = None,
    ) -> bool:
        """Adds words, cut to ``most`` units and to what is left; says whether all of them are there."""
        room = self.left if most is None else min(most, self.left)
        shown = cut(words, room)
        # An entity must neither begin nor end in blanks, or Telegram moves its borders.
        length = units(shown.rstrip())
        if length:
            offset = units(self.text)
            if bold:
                self.entities.append(MessageEntity(type="bold", offset=offset, length=length))
            if link:
                self.entities.append(MessageEntity(type="text_link", offset=offset, length=length, url=link))
            if user is not None:
                self.entities.append(
                    MessageEntity(type="text_mention", offset=offset, length=length, user=user)
                )
        self.text += shown
        return shown == words

    def finished(self) -> tuple[str, Sequence[MessageEntity]]:
        """The text and its entities."""
        return self.text, self.entities
