"""Rows of the outbox that the staff group is made of. They hold ids only; the words are found when they leave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from desk.ports import UnitOfWork
from desk.values import Case, OutgoingKind, SendRank

CHANNEL = "telegram"
JOINED_WITHIN = timedelta(seconds=3)
"""Consecutive lines of a customer within this time leave as one."""
UPDATED_EVERY = timedelta(seconds=20)
"""How often a card is brought up to date for what can be seen elsewhere, too."""
NOBODY = ""
"""The recipient of what puts no message into a chat, so that it does not count for its limit."""


@dataclass(frozen=True, slots=True)
class RoomRows:
    """Writes rows in one unit of work. A row whose key is known is not written again.

    Attributes:
        chat: The group's id now.
    """

    unit: UnitOfWork
    chat: int
    now: datetime

    def card(self, case: Case) -> bool:
        """A card for a case; False when it was asked for before."""
        return self._add(
            f"room:{self.chat}:card:{case.id}",
            self._lane(case.conversation_id, "case"),
            {"do": "card", "case_id": case.id},
        )

    def repeat(self, case: Case, rung: int) -> None:
        """A case that nobody took is told again."""
        self._add(
            f"room:{self.chat}:repeat:{case.id}:{rung}",
            self._lane(case.conversation_id, "case"),
            {"do": "repeat", "case_id": case.id, "rung": rung},
            rank=SendRank.REPEAT,
        )

    def waiting_more(self) -> None:
        """How many wait beyond those who have a card, at most once in a minute."""
        minute = int(self.now.timestamp()) // 60
        # It is older than the cards that it speaks of, so with their rank it leaves before them.
        self._add(
            f"room:{self.chat}:more:{minute}",
            f"room:{self.chat}",
            {"do": "waiting_more"},
            kind=OutgoingKind.NOTICE,
        )

    def line(self, case_id: int, conversation_id: int, message_id: int) -> None:
        """Words of the talk; those that follow within three seconds leave with them."""
        self._add(
            f"room:{self.chat}:line:{message_id}",
            self._lane(conversation_id),
            {"do": "line", "message_id": message_id, "case_id": case_id},
            kind=OutgoingKind.RELAY,
            rank=SendRank.RELAYED,
            wait=JOINED_WITHIN,
        )

    def media(self, case_id: int, conversation_id: int, message_id: int, part: int) -> None:
        """One thing that came with a message; always alone."""
        self._add(
            f"room:{self.chat}:media:{message_id}:{part}",
            self._lane(conversation_id),
            {"do": "media", "message_id": message_id, "case_id": case_id, "part": part, "alone": True},
            kind=OutgoingKind.RELAY,
            rank=SendRank.RELAYED,
        )

    def edited(self, case_id: int, conversation_id: int, message_id: int, edits: int, event_id: int) -> None:
        """A line that was changed: ``message_id`` has its words now, ``edits`` is what was shown before."""
        self._add(
            f"room:{self.chat}:edited:{message_id}:{event_id}",
            self._lane(conversation_id),
            {"do": "edited", "message_id": message_id, "edits": edits, "case_id": case_id, "alone": True},
            kind=OutgoingKind.RELAY,
            rank=SendRank.UPDATE,
        )

    def update_card(self, case: Case, key: str) -> None:
        """The card shows the case as it is now, at once."""
        self._update(case, f"{case.id}:{key}", {}, timedelta(0))

    def choose_colleague(self, case: Case, key: str) -> None:
        """The card shows who could get the case."""
        self._update(case, f"{case.id}:{key}", {"show": "staff"}, timedelta(0), SendRank.FIRST)

    def update_card_soon(self, case: Case) -> None:
        """The card shows the case as it is, once for all that happens in a stretch of time."""
        stretch = UPDATED_EVERY.total_seconds()
        nth, gone = divmod(self.now.timestamp(), stretch)
        # Not before the stretch is over, so that nothing which happens in it is left out.
        wait = timedelta(seconds=stretch - gone)
        self._update(case, f"{case.id}:soon:{int(nth)}", {}, wait, lane="soon")

    def say(
        self,
        code: str,
        key: str,
        *,
        conversation_id: int | None = None,
        chat: int | None = None,
        **ids: Any,
    ) -> bool:
        """A sentence to staff, by its code; False when this was said before.

        Args:
            key: What makes it another sentence than the last of this code.
            chat: Another chat than the group, for a private answer.
            ids: ``case_id``, ``staff_id``, ``thread``, ``reply_to`` (a line there) or ``message_id``.
        """
        where = {} if chat is None else {"chat": chat}
        lane = f"room:{chat}" if chat is not None else self._lane(conversation_id, "case")
        return self._add(
            f"room:{self.chat}:say:{code}:{key}",
            lane,
            {"do": "say", "code": code, **where, **{name: id for name, id in ids.items() if id is not None}},
            kind=OutgoingKind.NOTICE,
            recipient=None if chat is None else str(chat),
        )

    def ask_note(self, case: Case, staff_id: int, user_id: int, key: str) -> None:
        """Asks one person for an internal note."""
        self._add(
            f"room:{self.chat}:ask_note:{key}",
            self._lane(case.conversation_id, "case"),
            {"do": "ask_note", "case_id": case.id, "staff_id": staff_id, "user_id": user_id},
            kind=OutgoingKind.NOTICE,
        )

    def answer_tap(self, query_id: str, code: str, **ids: Any) -> None:
        """The answer to a tap; without one the button looks stuck."""
        self._add(
            f"tap:{query_id}",
            f"tap:{query_id}",
            {"do": "answer_tap", "query_id": query_id, "code": code, **ids},
            kind=OutgoingKind.NOTICE,
            recipient=NOBODY,
        )

    def react(self, message_id: int) -> None:
        """A thumb under a staff member's own line: it was delivered."""
        self._mark("react", f"message{message_id}", {"message_id": message_id})

    def confirm(self, line: int) -> None:
        """A thumb under a line of the group: what it asked for is done."""
        self._mark("react", f"line{line}", {"line": line})

    def take_away(self, line: int) -> None:
        """Deletes a line of the group, where that is allowed: a code must not stay for all to read."""
        self._mark("take_away", f"line{line}", {"line": line})

    def _mark(self, do: str, key: str, ids: Mapping[str, int]) -> None:
        self._add(
            f"room:{self.chat}:{do}:{key}",
            f"room:{self.chat}:{do}:{key}",
            {"do": do, **ids},
            kind=OutgoingKind.NOTICE,
            rank=SendRank.UPDATE,
            recipient=NOBODY,
        )

    def _update(
        self,
        case: Case,
        key: str,
        more: Mapping[str, Any],
        wait: timedelta,
        rank: SendRank = SendRank.UPDATE,
        lane: str = "card",
    ) -> None:
        self._add(
            f"room:{self.chat}:update:{key}",
            self._lane(case.conversation_id, lane),
            {"do": "update_card", "case_id": case.id, **more},
            kind=OutgoingKind.NOTICE,
            rank=rank,
            wait=wait,
        )

    def _lane(self, conversation_id: int | None, what: str = "") -> str:
        """The talk of a conversation has one lane. Cards, sentences and updates of cards have others.

        Lines that wait to be joined, or an update that waits for more, must not keep a new card or a take
        from showing at once. A group gets one call at a time, so none of them disturbs another.
        """
        if conversation_id is None:
            return f"room:{self.chat}"
        return f"room:{self.chat}:{conversation_id}" + (f":{what}" if what else "")

    def _add(
        self,
        dedupe_key: str,
        lane: str,
        payload: Mapping[str, Any],
        *,
        kind: OutgoingKind = OutgoingKind.ALERT,
        rank: SendRank = SendRank.FIRST,
        wait: timedelta = timedelta(0),
        recipient: str | None = None,
    ) -> bool:
        added = self.unit.outbox.add_for_staff(
            dedupe_key,
            CHANNEL,
            lane,
            str(self.chat) if recipient is None else recipient,
            payload,
            self.now,
            kind=kind,
            rank=rank,
            wait=wait,
        )
        return added is not None
