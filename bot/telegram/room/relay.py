"""Lines of the talk as staff read them in the group: words joined, media copied, edits as answers."""

from __future__ import annotations

from collections.abc import Sequence

from aiogram.methods import CopyMessage

from bot.telegram.api_errors import NothingToCopyError
from bot.telegram.room import wording
from bot.telegram.room.posting import RoomPosting, Scene, Spot
from bot.telegram.room.shown import cards
from bot.telegram.room.shown.shown_text import ShownText, cut, harmless
from bot.telegram.texts import LONGEST_CAPTION, units
from desk.errors import NotFoundError
from desk.ports import SendReceipt, UnitOfWork
from desk.values import (
    Attachment,
    AttachmentKind,
    Author,
    CaseState,
    Message,
    Outgoing,
    RoomLine,
    RoomLineKind,
)

_WITH_CAPTION = frozenset(
    {
        AttachmentKind.PHOTO,
        AttachmentKind.VIDEO,
        AttachmentKind.VOICE,
        AttachmentKind.AUDIO,
        AttachmentKind.DOCUMENT,
    }
)


class RoomRelay:
    """Shows what customers and colleagues in the console say."""

    def __init__(self, posting: RoomPosting) -> None:
        self._posting = posting

    async def lines(self, scene: Scene, outgoing: Outgoing, followers: Sequence[Outgoing]) -> SendReceipt:
        """Sends a line with those of the followers that fit, as one message."""
        rows = [outgoing]
        for follower in followers:
            if follower.payload.get("do") != "line" or follower.payload.get("case_id") != _case_id(scene):
                break
            rows.append(follower)
        name, found = await self._read(scene, [int(row.payload["message_id"]) for row in rows])
        fresh = [message for message in found if message is not None]
        if not fresh or not _is_followed(scene):
            return SendReceipt(also=len(rows) - 1)
        spot = await self._posting.spot(scene)
        shown = ShownText()
        taken: list[Message] = []
        count = 0
        for message in found:
            if message is not None and not self._add(shown, message, taken[-1:], name):
                break
            count += 1
            if message is not None:
                taken.append(message)
        provider_id = await self._posting.say(spot, *shown.finished())
        await self._remember(scene, provider_id, taken)
        return SendReceipt(provider_id, also=count - 1)

    async def media(self, scene: Scene, outgoing: Outgoing) -> SendReceipt:
        """Copies one thing that came with a message, with who sent it and what they wrote below it."""
        message_id, part = int(outgoing.payload["message_id"]), int(outgoing.payload.get("part", 0))
        message, name = await self._posting.transactions.read(
            lambda unit: (unit.conversations.get_message(message_id), _customer_name(unit, scene))
        )
        if part >= len(message.attachments) or not _is_followed(scene):
            return SendReceipt()
        spot = await self._posting.spot(scene)
        attachment = message.attachments[part]
        try:
            provider_id = await self._copy(spot, message, attachment, name, part)
        except NothingToCopyError:
            provider_id = ""
        if not provider_id:
            shown = ShownText()
            shown.add(wording.SAYS.format(who=_who(message, name)), bold=True)
            shown.add(wording.NOT_COPIED.format(what=cards.describe([attachment])))
            if message.text and part == 0:
                shown.add("\n" + harmless(message.text))
            provider_id = await self._posting.say(spot, *shown.finished())
        await self._remember(scene, provider_id, [message])
        return SendReceipt(provider_id)

    async def edited(self, scene: Scene, outgoing: Outgoing) -> SendReceipt:
        """Tells that a line was changed, as an answer to it."""
        message_id, edits = int(outgoing.payload["message_id"]), int(outgoing.payload["edits"])

        def read(unit: UnitOfWork) -> tuple[Message, RoomLine | None, str]:
            line = unit.staff_rooms.find_line_of_message(str(scene.chat), edits)
            return unit.conversations.get_message(message_id), line, _customer_name(unit, scene)

        message, line, name = await self._posting.transactions.read(read)
        if not _is_followed(scene):
            return SendReceipt()
        spot = await self._posting.spot(scene)
        who = wording.AUTHOR[Author.CUSTOMER] if message.author is Author.CUSTOMER else _who(message, name)
        shown = ShownText()
        shown.add(wording.EDITED.format(who=who))
        shown.add(
            " ".join(part for part in (cards.describe(message.attachments), harmless(message.text)) if part)
        )
        provider_id = await self._posting.say(spot.answering(line), *shown.finished())
        await self._remember(scene, provider_id, [message])
        return SendReceipt(provider_id)

    async def _copy(self, spot: Spot, message: Message, attachment: Attachment, name: str, part: int) -> str:
        if not attachment.source_chat or not attachment.source_message:
            return ""
        caption = None
        if attachment.kind in _WITH_CAPTION:
            shown = ShownText(LONGEST_CAPTION)
            shown.add(wording.SAYS.format(who=_who(message, name)))
            if part == 0:
                words = harmless(message.text)
                full = units(words) <= shown.left
                shown.add(words if full else cut(words, shown.left, wording.SEE_CONSOLE))
            caption = shown
        copied = await self._posting.call(
            CopyMessage(
                chat_id=spot.chat,
                from_chat_id=int(attachment.source_chat),
                message_id=int(attachment.source_message),
                message_thread_id=spot.thread,
                caption=None if caption is None else caption.text,
                caption_entities=None if caption is None else list(caption.entities),
                parse_mode=None,
                reply_parameters=spot.reply,
            ),
            spot.chat,
        )
        return str(copied.message_id)

    async def _read(self, scene: Scene, ids: Sequence[int]) -> tuple[str, list[Message | None]]:
        """The customer's name, and those messages that are not shown yet; None for the others."""
        room = str(scene.chat)

        def find(unit: UnitOfWork, message_id: int) -> Message | None:
            if unit.staff_rooms.find_line_of_message(room, message_id) is not None:
                return None
            try:
                return unit.conversations.get_message(message_id)
            except NotFoundError:
                return None

        return await self._posting.transactions.read(
            lambda unit: (_customer_name(unit, scene), [find(unit, message_id) for message_id in ids])
        )

    @staticmethod
    def _add(shown: ShownText, message: Message, before: Sequence[Message], name: str) -> bool:
        """Adds one line if it fits, the first one in any case; who said it only where that changes."""
        who = _who(message, name)
        words = harmless(message.text) or "…"
        is_first = not before
        gap = "" if is_first else "\n"
        head = wording.SAYS.format(who=who) if is_first or _who(before[0], name) != who else ""
        if units(gap + head + words) <= shown.left:
            shown.add(gap)
            shown.add(head, bold=True)
            shown.add(words)
            return True
        if is_first:
            # In a topic it is plain who says it; every word counts more.
            shown.add(cut(words, shown.left, wording.SEE_CONSOLE))
        return is_first

    async def _remember(self, scene: Scene, provider_id: str, messages: Sequence[Message]) -> None:
        now = self._posting.clock()
        lines = [
            RoomLine(
                str(scene.chat),
                provider_id,
                RoomLineKind.RELAYED,
                scene.conversation.id,
                _case_id(scene),
                message.id,
            )
            for message in messages
        ]

        def remember(unit: UnitOfWork) -> None:
            for line in lines:
                unit.staff_rooms.remember_line(line, now)

        await self._posting.transactions.write(remember)


def _case_id(scene: Scene) -> int | None:
    return None if scene.case is None else scene.case.id


def _is_followed(scene: Scene) -> bool:
    """Whether staff see this talk in the group: of a closed case only if it ever had a card there."""
    return scene.card is not None or (scene.case is not None and scene.case.state is not CaseState.CLOSED)


def _customer_name(unit: UnitOfWork, scene: Scene) -> str:
    return unit.identities.get_contact(scene.conversation.contact_id).name


def _who(message: Message, customer: str) -> str:
    if message.author is Author.STAFF:
        return wording.FROM_CONSOLE.format(name=cards.shown_name(message.staff_name or "", "同事"))
    return cards.shown_name(customer)
