"""The staff group itself: which chat it is now, whether it has topics, and whether we may act there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from aiogram import Bot

from bot.telegram.api_errors import MovedError
from bot.telegram.room import wording
from bot.telegram.room.room_rows import CHANNEL
from desk.errors import NotSentError, SendError, SendRefusedError, UnreachableError
from desk.ports import Transactions, UnitOfWork

_log = structlog.get_logger(__name__)

LOOK_AGAIN = timedelta(minutes=10)
"""How long what Telegram said about the chat is believed."""
TRY_AGAIN = timedelta(seconds=15)
"""How long nothing is sent to a group that refused us, so that it is not asked hundreds of times."""
_MOST_MOVES = 8


@dataclass(frozen=True, slots=True)
class _Trouble:
    """A way in which the group can refuse us: what Telegram's words hold, a word for logs, a sentence."""

    signs: tuple[str, ...]
    reason: str
    sentence: str


_TROUBLES = (
    _Trouble(("chat not found", "peer_id_invalid"), "no_such_chat", wording.STATUS_NO_CHAT),
    _Trouble(
        (
            "rights to create a topic",
            "rights to edit the topic",
            "rights to reopen",
            "rights to manage topics",
        ),
        "no_right_to_topics",
        wording.STATUS_NO_TOPICS,
    ),
    _Trouble(
        ("rights to send", "chat_write_forbidden", "need administrator rights", "chat_admin_required"),
        "no_right_to_write",
        wording.STATUS_NO_WRITING,
    ),
)
_REMOVED = _Trouble((), "not_a_member", wording.STATUS_REMOVED)


class RoomPlace:
    """Where the staff group is. The database knows its id; the rest is asked from Telegram again when needed.

    Args:
        chat_id: The id from the settings. A group that became a supergroup has another one by now, which
            is remembered in the database.
    """

    def __init__(
        self, bot: Bot, chat_id: int, transactions: Transactions, clock: Callable[[], datetime]
    ) -> None:
        self._bot = bot
        self._configured = chat_id
        self._transactions = transactions
        self._clock = clock
        self._forum: tuple[int, bool, datetime] | None = None
        self._trouble: _Trouble | None = None

    @property
    def bot_id(self) -> int:
        """The bot's own id."""
        return self._bot.id

    def find_chat(self, unit: UnitOfWork) -> int:
        """The group's id now."""
        chat = self._configured
        for _ in range(_MOST_MOVES):
            moved = unit.bookmarks.find(self._moved(chat))
            if moved is None:
                break
            chat = int(moved)
        return chat

    def is_known(self, unit: UnitOfWork, chat: int) -> bool:
        """Whether the chat is the group, or was it before it became a supergroup."""
        known = self._configured
        for _ in range(_MOST_MOVES):
            if known == chat:
                return True
            moved = unit.bookmarks.find(self._moved(known))
            if moved is None:
                return False
            known = int(moved)
        return False

    def move(self, unit: UnitOfWork, old: int, new: int, now: datetime) -> None:
        """The group has another id; what is queued goes there from now on."""
        if old == new or unit.bookmarks.find(self._moved(old)) is not None or self.is_known(unit, new):
            return
        unit.bookmarks.set(self._moved(old), str(new), now)
        unit.staff_rooms.move(str(old), str(new))
        unit.outbox.readdress(CHANNEL, str(old), str(new))

    async def follow(self, error: MovedError, old: int) -> None:
        """As ``move``, from the answer to a call."""
        now, new = self._clock(), error.chat_id
        await self._transactions.write(lambda unit: self.move(unit, old, new, now))
        _log.info("staff_room_moved", chat_id=new)

    def find_forum(self, chat: int) -> bool | None:
        """Whether the group has topics, as far as that was heard lately."""
        known = self._forum
        if known is None or known[0] != chat or self._clock() - known[2] >= LOOK_AGAIN:
            return None
        return known[1]

    def heard_forum(self, chat: int, forum: bool) -> None:
        """Telegram told by the way whether the group has topics."""
        self._forum = (chat, forum, self._clock())

    def refusal(self, error: SendError) -> NotSentError | None:
        """What to raise when the group as a whole refuses us; None when the fault is the message's.

        The row stays queued then: an alert is told until somebody acknowledges it.
        """
        words = str(error).lower()
        found = next((one for one in _TROUBLES if any(sign in words for sign in one.signs)), None)
        if found is None and isinstance(error, UnreachableError):
            found = _REMOVED
        if found is None or not isinstance(error, UnreachableError | SendRefusedError):
            return None
        self._refused(found)
        # Whoever lets us in again may have changed the group as well.
        self._forum = None
        return NotSentError(f"staff_room_unreachable {found.reason}", TRY_AGAIN)

    def _refused(self, trouble: _Trouble) -> None:
        if trouble is not self._trouble:
            _log.warning("staff_room_unreachable", reason=trouble.reason)
        self._trouble = trouble

    def works(self) -> None:
        """A call to the group went well."""
        if self._trouble is not None:
            _log.info("staff_room_reachable")
        self._trouble = None

    def heard_membership(self, *, inside: bool) -> None:
        """Telegram told that the bot was let in, got other rights, or is out of the group."""
        self._forum = None
        if inside:
            # Whether the new rights are enough shows the next call.
            self.works()
        else:
            self._refused(_REMOVED)

    def status(self) -> str:
        """``ok``, or what is wrong in a few words."""
        return wording.STATUS_OK if self._trouble is None else self._trouble.sentence

    def _moved(self, chat: int) -> str:
        return f"telegram:{self.bot_id}:moved:{chat}"
