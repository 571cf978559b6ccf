"""Telegram as a channel: what customers are told, and the way to the staff room for the rest."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, Protocol

from aiogram import Bot
from aiogram.methods import (
    AnswerCallbackQuery,
    CopyMessage,
    EditMessageCaption,
    EditMessageText,
    SendAudio,
    SendContact,
    SendDocument,
    SendLocation,
    SendMessage,
    SendPhoto,
    SendSticker,
    SendVideo,
    SendVoice,
    TelegramMethod,
)
from aiogram.types import LinkPreviewOptions

from bot.telegram.api_errors import (
    MovedError,
    NothingToCopyError,
    NothingToEditError,
    NotModifiedError,
    OtherContentError,
    TokenRefusedError,
    errors_translated,
    is_about_user,
)
from bot.telegram.calls import Calls
from bot.telegram.capabilities import CAPABILITIES, CHANNEL
from bot.telegram.keyboards import buttons, with_hint
from bot.telegram.texts import LONGEST_CAPTION, LONGEST_TEXT, split_text, units
from desk import wording
from desk.errors import SendRefusedError, UnreachableError
from desk.ports import Pace, SendReceipt
from desk.values import Attachment, AttachmentKind, Outgoing

_NO_PREVIEW = LinkPreviewOptions(is_disabled=True)
_TOKEN_PAUSE = timedelta(minutes=1)
_REMEMBERED = 1000
CHAT_NUMBER = (
    "这个群的编号是 {chat}。要把它设为客服群，请写进 .env：HUIYIN_TELEGRAM_STAFF_CHAT={chat}，再重新启动。"
)
"""The answer to ``/chatid`` in a group that is not connected; {chat} is its number."""
_UNCAPTIONED = {AttachmentKind.STICKER, AttachmentKind.LOCATION, AttachmentKind.CONTACT_CARD}
_BY_FILE: dict[AttachmentKind, tuple[Callable[..., TelegramMethod[Any]], str]] = {
    AttachmentKind.PHOTO: (SendPhoto, "photo"),
    AttachmentKind.VIDEO: (SendVideo, "video"),
    AttachmentKind.VOICE: (SendVoice, "voice"),
    AttachmentKind.AUDIO: (SendAudio, "audio"),
    AttachmentKind.STICKER: (SendSticker, "sticker"),
    AttachmentKind.DOCUMENT: (SendDocument, "document"),
    AttachmentKind.OTHER: (SendDocument, "document"),
}

Step = TelegramMethod[Any]


class RoomSender(Protocol):
    """Carries out what is to be done in the staff room: rows whose ``payload`` has a ``do``."""

    async def send(self, outgoing: Outgoing, followers: Sequence[Outgoing]) -> SendReceipt:
        """As ``Sender.send``, one call each time; it may raise aiogram's errors, too.

        A row that is outdated by now, such as a reminder of a case that was taken, is answered with an
        empty receipt and no call: it is done.
        """
        ...


class TelegramSender:
    """``Sender`` for Telegram.

    Args:
        pace: Takes its slots from ``OutboxWorker``; further calls of one row take theirs here.
        room: None where no staff group is connected.
    """

    channel = CHANNEL
    capabilities = CAPABILITIES

    def __init__(self, bot: Bot, pace: Pace, room: RoomSender | None = None) -> None:
        self.pace: Pace | None = pace
        self._pace = pace
        self._calls = Calls(bot, pace)
        self._room = room
        self._done: OrderedDict[int, list[str]] = OrderedDict()
        # What has nothing to do with a staff group, and must work without one.
        self._own_rows: Mapping[tuple[Any, Any], Callable[[Outgoing], Awaitable[SendReceipt]]] = {
            ("answer_tap", "heard"): self._end_waiting,
            ("say", "chat_number"): self._tell_chat_number,
        }

    async def send(self, outgoing: Outgoing, followers: Sequence[Outgoing] = ()) -> SendReceipt:
        """See ``Sender.send``."""
        try:
            own = self._own_rows.get((outgoing.payload.get("do"), outgoing.payload.get("code")))
            if own is not None:
                return await own(outgoing)
            if "do" in outgoing.payload:
                if self._room is None:
                    raise SendRefusedError("no staff group is connected")
                with errors_translated():
                    return await self._room.send(outgoing, followers)
            return SendReceipt(await self._to_customer(outgoing))
        except TokenRefusedError:
            self._pace.hold(None, _TOKEN_PAUSE)
            raise

    async def _end_waiting(self, outgoing: Outgoing) -> SendReceipt:
        """Ends the little clock on a customer's button; what the tap did is said by a line of its own."""
        query = AnswerCallbackQuery(callback_query_id=str(outgoing.payload["query_id"]))
        with suppress(SendRefusedError):
            # Taps live 150 seconds; after that nobody looks at the button any more.
            await self._calls.make(outgoing.recipient, query)
        return SendReceipt()

    async def _tell_chat_number(self, outgoing: Outgoing) -> SendReceipt:
        text = CHAT_NUMBER.format(chat=outgoing.recipient)
        said = await self._calls.make(
            outgoing.recipient, SendMessage(chat_id=_chat_id(outgoing), text=text, parse_mode=None)
        )
        return SendReceipt(str(said.message_id))

    async def _to_customer(self, outgoing: Outgoing) -> str:
        if outgoing.edits_message_id is None:
            return await self._send_all(outgoing, _steps(outgoing, outgoing.text))
        if outgoing.edits_provider_id.isdecimal() and units(outgoing.text) <= LONGEST_TEXT:
            try:
                return await self._edit(outgoing)
            except NotModifiedError:
                return outgoing.edits_provider_id
            except (NothingToEditError, OtherContentError):
                await self._calls.another(outgoing.recipient)
        return await self._send_all(outgoing, _steps(outgoing, wording.CORRECTION.format(text=outgoing.text)))

    async def _edit(self, outgoing: Outgoing) -> str:
        """Changes the text that was sent, or the caption where the message has none.

        Raises:
            SendError: It cannot be changed, or not now.
        """
        message_id = int(outgoing.edits_provider_id)
        chat_id, markup = _chat_id(outgoing), buttons(outgoing.prompt)
        text = EditMessageText(
            chat_id=chat_id,
            message_id=message_id,
            text=outgoing.text,
            parse_mode=None,
            link_preview_options=_NO_PREVIEW,
            reply_markup=markup,
        )
        try:
            await self._calls.make(outgoing.recipient, text)
        except OtherContentError:
            if units(outgoing.text) > LONGEST_CAPTION:
                raise
            await self._calls.another(outgoing.recipient)
            caption = EditMessageCaption(
                chat_id=chat_id,
                message_id=message_id,
                caption=outgoing.text,
                parse_mode=None,
                reply_markup=markup,
            )
            await self._calls.make(outgoing.recipient, caption)
        return outgoing.edits_provider_id

    async def _send_all(self, outgoing: Outgoing, steps: Sequence[Step]) -> str:
        """Makes the calls that a message takes, nearly always one; returns the ids of what they made.

        What has left of a long message is remembered, so that it is not said twice when the rest is tried
        again. That saves a repetition only: after a restart all of it is sent once more.
        """
        done = self._done.get(outgoing.id, [])
        for number, step in enumerate(steps[len(done) :]):
            if number > 0:
                await self._calls.another(outgoing.recipient)
            made = await self._make(outgoing, step)
            done = [*done, str(made.message_id)]
            if len(steps) > 1:
                self._remember(outgoing.id, done)
        self._done.pop(outgoing.id, None)
        return ",".join(done)

    async def _make(self, outgoing: Outgoing, step: Step) -> Any:
        try:
            return await self._calls.make(outgoing.recipient, step)
        except (NothingToCopyError, UnreachableError, MovedError) as error:
            anew = _without_source(outgoing, step)
            if not isinstance(step, CopyMessage) or is_about_user(error):
                raise
            if anew is None:
                # It may be the place of the copy that cannot be reached; no customer is blamed for that.
                raise NothingToCopyError(str(error)) from error
        await self._calls.another(outgoing.recipient)
        return await self._calls.make(outgoing.recipient, anew)

    def _remember(self, outgoing_id: int, done: list[str]) -> None:
        self._done[outgoing_id] = done
        while len(self._done) > _REMEMBERED:
            self._done.popitem(last=False)


def _chat_id(outgoing: Outgoing) -> int:
    try:
        return int(outgoing.recipient)
    except ValueError:
        raise SendRefusedError("the recipient is no Telegram chat") from None


def _steps(outgoing: Outgoing, text: str) -> list[Step]:
    """The calls for one message: what comes with it first, its words as caption where that is possible."""
    chat_id, markup = _chat_id(outgoing), buttons(outgoing.prompt)
    words = with_hint(text, outgoing.prompt) if text else ""
    caption, pieces = "", split_text(words) if words else []
    attachments = outgoing.attachments
    if attachments and pieces and attachments[0].kind not in _UNCAPTIONED:
        caption, *pieces = split_text(words, first=LONGEST_CAPTION)
    steps: list[Step] = [
        _attached(chat_id, attachment, caption if number == 0 else "")
        for number, attachment in enumerate(attachments)
    ]
    steps += [
        SendMessage(chat_id=chat_id, text=piece, parse_mode=None, link_preview_options=_NO_PREVIEW)
        for piece in pieces
    ]
    if not steps:
        raise SendRefusedError("there is nothing to say")
    if markup is not None:
        steps[-1] = steps[-1].model_copy(update={"reply_markup": markup})
    return steps


def _attached(chat_id: int, attachment: Attachment, caption: str, *, copy: bool = True) -> Step:
    if copy and attachment.source_chat and attachment.source_message.isdecimal():
        return CopyMessage(
            chat_id=chat_id,
            from_chat_id=int(attachment.source_chat),
            message_id=int(attachment.source_message),
            caption=caption or None,
            parse_mode=None,
        )
    if attachment.kind is AttachmentKind.LOCATION:
        try:
            latitude, longitude = (float(part) for part in attachment.name.split(","))
        except ValueError:
            raise SendRefusedError("a place without coordinates") from None
        return SendLocation(chat_id=chat_id, latitude=latitude, longitude=longitude)
    if attachment.kind is AttachmentKind.CONTACT_CARD:
        name, _, phone = attachment.name.strip().rpartition(" ")
        return SendContact(chat_id=chat_id, phone_number=phone, first_name=name.strip() or phone)
    make, field = _BY_FILE[attachment.kind]
    if not attachment.file_id:
        raise SendRefusedError("an attachment without a file")
    captioned: dict[str, Any] = {}
    if caption and attachment.kind not in _UNCAPTIONED:
        captioned = {"caption": caption, "parse_mode": None}
    return make(chat_id=chat_id, **{field: attachment.file_id}, **captioned)


def _without_source(outgoing: Outgoing, step: Step) -> Step | None:
    """The same attachment sent anew instead of copied; None where that cannot be done."""
    if not isinstance(step, CopyMessage):
        return None
    for attachment in outgoing.attachments:
        if attachment.source_message == str(step.message_id) and attachment.file_id:
            anew = _attached(_chat_id(outgoing), attachment, step.caption or "", copy=False)
            return anew.model_copy(update={"reply_markup": step.reply_markup}) if step.reply_markup else anew
    return None
