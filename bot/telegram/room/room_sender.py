"""Sends the rows of the staff group. What a row says is found in the database at the moment it leaves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from aiogram.methods import AnswerCallbackQuery, DeleteMessage, SetMessageReaction
from aiogram.types import ForceReply, ReactionTypeEmoji, User

from bot.telegram.api_errors import MarkupError, MovedError, NothingToEditError, TopicGoneError
from bot.telegram.room import wording
from bot.telegram.room.posting import RoomPosting, Scene, Spot, StepDoneError
from bot.telegram.room.relay import RoomRelay
from bot.telegram.room.shown import cards
from bot.telegram.room.shown.shown_text import ShownText, cut
from desk.errors import NotFoundError, NotSentError, SendRefusedError
from desk.ports import SendReceipt, UnitOfWork
from desk.values import CaseState, Outgoing, RoomLine, RoomLineKind

Do = Callable[[Outgoing, Sequence[Outgoing]], Awaitable[SendReceipt]]

_DELIVERED = "👍"
_TAP_UNITS = 200
_MOST_WAITING = 2000
_TOLD_WITHIN = timedelta(minutes=30)
"""A sentence that could not be told for so long is about nothing that anybody remembers."""
_TAP_LIVES = timedelta(seconds=150)
"""https://core.telegram.org/bots/api#answercallbackquery says seconds; the official server keeps them so long."""

_LIVES: Mapping[str, timedelta] = {
    "say": _TOLD_WITHIN,
    "ask_note": _TOLD_WITHIN,
    "waiting_more": _TOLD_WITHIN,
    "answer_tap": _TAP_LIVES,
}


class RoomSender:
    """Hands rows whose payload says what to ``do`` to the staff group.

    A row may need more than one call (a topic, the card, the message). Each is a send of its own for the
    pace: the receipt then says ``unfinished`` and the row comes again. A row about what is not so any more
    is sent by doing nothing.
    """

    def __init__(self, posting: RoomPosting) -> None:
        self._posting = posting
        self._relay = RoomRelay(posting)
        self._dos: Mapping[str, Do] = {
            "card": self._card,
            "repeat": self._repeat,
            "waiting_more": self._waiting_more,
            "line": self._lines,
            "media": self._media,
            "edited": self._edited,
            "update_card": self._update_card,
            "say": self._say,
            "ask_note": self._ask_note,
            "answer_tap": self._answer_tap,
            "react": self._react,
            "take_away": self._take_away,
        }

    async def send(self, outgoing: Outgoing, followers: Sequence[Outgoing] = ()) -> SendReceipt:
        """See ``Sender.send``.

        Raises:
            SendError: As there, but never ``UnreachableError`` for the group: what staff must know waits
                until the group can be reached again.
        """
        do = self._dos.get(str(outgoing.payload.get("do")))
        if do is None:
            raise SendRefusedError("unknown row of the staff room")
        age = self._posting.clock() - outgoing.created_at
        if age > _LIVES.get(str(outgoing.payload["do"]), age):
            return SendReceipt()
        try:
            return await do(outgoing, followers)
        except StepDoneError:
            return SendReceipt(unfinished=True)
        except NotFoundError:
            # What it was about has been erased, or is not shown any more.
            return SendReceipt()

    # --- Cases ------------------------------------------------------------------------------------

    async def _card(self, outgoing: Outgoing, _: Sequence[Outgoing]) -> SendReceipt:
        scene = await self._scene(outgoing)
        forum = await self._posting.is_forum(scene.chat)
        is_closed = scene.case is None or scene.case.state is CaseState.CLOSED
        if is_closed or (self._posting.has_card(scene, forum) and not (forum and scene.thread is None)):
            return SendReceipt()
        async with _Topic(self._posting, scene):
            await self._posting.spot(scene, card=False)
            return SendReceipt(await self._posting.send_card(scene, forum))

    async def _update_card(self, outgoing: Outgoing, _: Sequence[Outgoing]) -> SendReceipt:
        scene = await self._scene(outgoing)
        if scene.card is None or scene.case is None:
            return SendReceipt()
        try:
            await self._posting.edit_card(scene, choosing=outgoing.payload.get("show") == "staff")
        except NothingToEditError:
            if scene.case.state is CaseState.CLOSED:
                return SendReceipt()
            # Somebody deleted it. The failed edit put nothing into the chat, so the new card may follow.
            async with _Topic(self._posting, scene):
                await self._posting.spot(scene, card=False)
                forum = await self._posting.is_forum(scene.chat)
                return SendReceipt(await self._posting.send_card(scene, forum))
        return SendReceipt(scene.card.provider_id)

    async def _repeat(self, outgoing: Outgoing, _: Sequence[Outgoing]) -> SendReceipt:
        scene = await self._scene(outgoing)
        case = scene.case
        if case is None or case.state is not CaseState.WAITING:
            return SendReceipt()
        async with _Topic(self._posting, scene):
            spot = await self._posting.spot(scene)
            waited = cards.waited(self._posting.clock() - case.opened_at)
            text = wording.STILL_WAITING.format(number=case.number, waited=waited)
            provider_id = await self._posting.say(spot.answering(scene.card), text)
        await self._remember(scene, provider_id, RoomLineKind.OTHER)
        return SendReceipt(provider_id)

    async def _waiting_more(self, outgoing: Outgoing, _: Sequence[Outgoing]) -> SendReceipt:
        def read(unit: UnitOfWork) -> tuple[int, str]:
            chat = self._posting.place.find_chat(unit)
            waiting = [
                case for case in unit.cases.find_all_open(_MOST_WAITING) if case.state is CaseState.WAITING
            ]
            hidden = [case for case in waiting if unit.staff_rooms.find_card(str(chat), case.id) is None]
            if hidden:
                return chat, wording.WAITING_MORE.format(count=len(hidden))
            if not waiting:
                return chat, ""
            waited = cards.waited(self._posting.clock() - waiting[0].opened_at)
            return chat, wording.WAITING_ALL.format(
                count=len(waiting), number=waiting[0].number, waited=waited
            )

        chat, text = await self._posting.transactions.read(read)
        if not text:
            return SendReceipt()
        return SendReceipt(await self._posting.say(Spot(chat), text))

    # --- The talk ---------------------------------------------------------------------------------

    async def _lines(self, outgoing: Outgoing, followers: Sequence[Outgoing]) -> SendReceipt:
        scene = await self._scene(outgoing)
        async with _Topic(self._posting, scene):
            return await self._relay.lines(scene, outgoing, followers)

    async def _media(self, outgoing: Outgoing, _: Sequence[Outgoing]) -> SendReceipt:
        scene = await self._scene(outgoing)
        async with _Topic(self._posting, scene):
            return await self._relay.media(scene, outgoing)

    async def _edited(self, outgoing: Outgoing, _: Sequence[Outgoing]) -> SendReceipt:
        scene = await self._scene(outgoing)
        async with _Topic(self._posting, scene):
            return await self._relay.edited(scene, outgoing)

    # --- Sentences --------------------------------------------------------------------------------

    async def _say(self, outgoing: Outgoing, _: Sequence[Outgoing]) -> SendReceipt:
        payload = outgoing.payload
        text = await self._words(wording.SAY, payload)
        if "chat" in payload:
            spot = Spot(int(payload["chat"]), reply_to=_number(payload, "reply_to"), private=True)
            return SendReceipt(await self._posting.say(spot, text))
        thread, reply_to = _number(payload, "thread"), _number(payload, "reply_to")
        if thread is not None or reply_to is not None or "case_id" not in payload:
            message_id = _number(payload, "message_id")
            if message_id is not None:
                return await self._say_about_line(message_id, text)
            chat = await self._posting.transactions.read(self._posting.place.find_chat)
            try:
                return SendReceipt(await self._posting.say(Spot(chat, thread, reply_to), text))
            except TopicGoneError:
                # Whoever it was meant for has thrown the place away.
                return SendReceipt()
        scene = await self._scene(outgoing)
        async with _Topic(self._posting, scene):
            spot = await self._posting.spot(scene)
            return SendReceipt(await self._posting.say(spot, text))

    async def _say_about_line(self, message_id: int, text: str) -> SendReceipt:
        """Says something about a staff member's line, as an answer to it."""

        def read(unit: UnitOfWork) -> tuple[RoomLine | None, int | None]:
            chat = self._posting.place.find_chat(unit)
            line = unit.staff_rooms.find_line_of_message(str(chat), message_id)
            if line is not None and line.case_id is not None:
                return line, line.case_id
            case = unit.cases.find_newest(unit.conversations.get_message(message_id).conversation_id)
            return line, None if case is None else case.id

        line, case_id = await self._posting.transactions.read(read)
        if case_id is None:
            return SendReceipt()
        scene = await self._posting.look(case_id)
        async with _Topic(self._posting, scene):
            spot = await self._posting.spot(scene)
            return SendReceipt(await self._posting.say(spot.answering(line), text))

    async def _ask_note(self, outgoing: Outgoing, _: Sequence[Outgoing]) -> SendReceipt:
        scene = await self._scene(outgoing)
        staff_id, user_id = int(outgoing.payload["staff_id"]), int(outgoing.payload["user_id"])
        staff = await self._posting.transactions.read(lambda unit: unit.staff.get(staff_id))
        if scene.case is None:
            return SendReceipt()
        name = cards.shown_name(staff.name, staff.login)
        shown = ShownText()
        shown.add(name, user=User(id=user_id, is_bot=False, first_name=name))
        shown.add(wording.ASK_NOTE.format(number=scene.case.number))
        # Selective: only whoever was asked gets the field to write in.
        field = ForceReply(selective=True, input_field_placeholder=wording.NOTE_PLACEHOLDER)
        async with _Topic(self._posting, scene):
            spot = (await self._posting.spot(scene)).answering(scene.card)
            try:
                provider_id = await self._posting.say(spot, *shown.finished(), field)
            except MarkupError:
                provider_id = await self._posting.say(spot, shown.text, (), field)
        await self._remember(scene, provider_id, RoomLineKind.NOTE_PROMPT)
        return SendReceipt(provider_id)

    async def _answer_tap(self, outgoing: Outgoing, _: Sequence[Outgoing]) -> SendReceipt:
        code = str(outgoing.payload["code"])
        words = cut(await self._words(wording.TAP, outgoing.payload), _TAP_UNITS)
        try:
            await self._posting.call(
                AnswerCallbackQuery(
                    callback_query_id=str(outgoing.payload["query_id"]),
                    text=words,
                    show_alert=code not in wording.SILENT_TAPS,
                )
            )
        except SendRefusedError:
            # Taps live 150 seconds; nobody looks at the button any more.
            return SendReceipt()
        return SendReceipt()

    # --- Marks ------------------------------------------------------------------------------------

    async def _react(self, outgoing: Outgoing, _: Sequence[Outgoing]) -> SendReceipt:
        message_id = _number(outgoing.payload, "message_id")

        def read(unit: UnitOfWork) -> tuple[int, int | None]:
            chat = self._posting.place.find_chat(unit)
            if message_id is None:
                return chat, _number(outgoing.payload, "line")
            line = unit.staff_rooms.find_line_of_message(str(chat), message_id)
            return chat, None if line is None else int(line.provider_id)

        chat, line = await self._posting.transactions.read(read)
        if line is None:
            return SendReceipt()
        thumb = ReactionTypeEmoji(emoji=_DELIVERED)
        try:
            await self._posting.call(
                SetMessageReaction(chat_id=chat, message_id=line, reaction=[thumb]), chat
            )
        except (SendRefusedError, MovedError):
            # The line is gone, or the group allows no such reaction; the card tells of the delivery.
            return SendReceipt()
        return SendReceipt()

    async def _take_away(self, outgoing: Outgoing, _: Sequence[Outgoing]) -> SendReceipt:
        chat = await self._posting.transactions.read(self._posting.place.find_chat)
        try:
            await self._posting.call(
                DeleteMessage(chat_id=chat, message_id=int(outgoing.payload["line"])), chat
            )
        except (SendRefusedError, NotSentError):
            # Without the right to delete, the code stays; it works only once anyway.
            return SendReceipt()
        return SendReceipt()

    # --- What they have in common -----------------------------------------------------------------

    async def _scene(self, outgoing: Outgoing) -> Scene:
        return await self._posting.look(int(outgoing.payload["case_id"]))

    async def _words(self, sentences: Mapping[str, str], payload: Mapping[str, Any]) -> str:
        """A sentence by its code, with what it speaks of as it is now."""
        template = sentences.get(str(payload["code"]), "")
        case_id, staff_id = _number(payload, "case_id"), _number(payload, "staff_id")

        def read(unit: UnitOfWork) -> dict[str, str]:
            case = None if case_id is None else unit.cases.get(case_id)
            staff = None if staff_id is None else unit.staff.get(staff_id)
            holder = "" if case is None else case.staff_name or ""
            return {
                "number": "" if case is None else case.number,
                "holder": cards.shown_name(holder, "同事"),
                "person": "" if staff is None else cards.shown_name(staff.name, staff.login),
            }

        return template.format(**await self._posting.transactions.read(read))

    async def _remember(self, scene: Scene, provider_id: str, kind: RoomLineKind) -> None:
        now = self._posting.clock()
        case_id = None if scene.case is None else scene.case.id
        line = RoomLine(str(scene.chat), provider_id, kind, scene.conversation.id, case_id)
        await self._posting.transactions.write(lambda unit: unit.staff_rooms.remember_line(line, now))


class _Topic:
    """Sends into a topic; one that was closed or deleted is opened or forgotten, and the row comes again."""

    def __init__(self, posting: RoomPosting, scene: Scene) -> None:
        self._posting = posting
        self._scene = scene

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, TopicGoneError):
            await self._posting.topic_gone(self._scene, error)
            raise StepDoneError from error


def _number(payload: Mapping[str, Any], name: str) -> int | None:
    value = payload.get(name)
    return value if isinstance(value, int) else None
