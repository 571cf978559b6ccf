"""What comes with a customer's message beside words, as the desk knows it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from aiogram.enums import ContentType
from aiogram.types import Message

from desk.texts import storable
from desk.values import Attachment, AttachmentKind

_LONGEST_NAME = 256
_LONGEST_FILE_ID = 512
_MIME = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,63}/[A-Za-z0-9!#$&^_.+-]{1,63}")
_LARGEST = 2**53

_SERVICE = frozenset(
    {
        ContentType.NEW_CHAT_MEMBERS,
        ContentType.LEFT_CHAT_MEMBER,
        ContentType.CHAT_OWNER_LEFT,
        ContentType.CHAT_OWNER_CHANGED,
        ContentType.NEW_CHAT_TITLE,
        ContentType.NEW_CHAT_PHOTO,
        ContentType.DELETE_CHAT_PHOTO,
        ContentType.GROUP_CHAT_CREATED,
        ContentType.SUPERGROUP_CHAT_CREATED,
        ContentType.CHANNEL_CHAT_CREATED,
        ContentType.MESSAGE_AUTO_DELETE_TIMER_CHANGED,
        ContentType.MIGRATE_TO_CHAT_ID,
        ContentType.MIGRATE_FROM_CHAT_ID,
        ContentType.PINNED_MESSAGE,
        ContentType.SUCCESSFUL_PAYMENT,
        ContentType.REFUNDED_PAYMENT,
        ContentType.USERS_SHARED,
        ContentType.USER_SHARED,
        ContentType.CHAT_SHARED,
        ContentType.CONNECTED_WEBSITE,
        ContentType.WRITE_ACCESS_ALLOWED,
        ContentType.PASSPORT_DATA,
        ContentType.PROXIMITY_ALERT_TRIGGERED,
        ContentType.BOOST_ADDED,
        ContentType.CHAT_BACKGROUND_SET,
        ContentType.FORUM_TOPIC_CREATED,
        ContentType.FORUM_TOPIC_EDITED,
        ContentType.FORUM_TOPIC_CLOSED,
        ContentType.FORUM_TOPIC_REOPENED,
        ContentType.GENERAL_FORUM_TOPIC_HIDDEN,
        ContentType.GENERAL_FORUM_TOPIC_UNHIDDEN,
        ContentType.GIVEAWAY_CREATED,
        ContentType.GIVEAWAY_COMPLETED,
        ContentType.VIDEO_CHAT_SCHEDULED,
        ContentType.VIDEO_CHAT_STARTED,
        ContentType.VIDEO_CHAT_ENDED,
        ContentType.VIDEO_CHAT_PARTICIPANTS_INVITED,
    }
)


def is_service(message: Message) -> bool:
    """Whether Telegram tells of something that happened in the chat, rather than somebody saying something.

    What is of no known kind counts as said: an answer too many is better than a customer not heard.
    """
    return message.content_type in _SERVICE


def attachments_of(message: Message) -> tuple[Attachment, ...]:
    """What the message carries; nothing for plain text."""
    kind = message.content_type
    if kind == ContentType.TEXT:
        return ()
    read = _READERS.get(kind)
    found = (
        read(message) if read is not None else _Found(AttachmentKind.OTHER, name=str(ContentType(kind).value))
    )
    return (
        Attachment(
            kind=found.kind,
            file_id=found.file_id if len(found.file_id) <= _LONGEST_FILE_ID else "",
            name=storable(found.name)[:_LONGEST_NAME],
            mime=found.mime if _MIME.fullmatch(found.mime) else "",
            size=found.size if found.size is not None and 0 <= found.size < _LARGEST else None,
            source_chat=str(message.chat.id),
            source_message=str(message.message_id),
        ),
    )


def words_of(message: Message) -> str:
    """The text or the caption; of what has neither, the words in it that a person would read."""
    if message.text is not None or message.caption is not None:
        return storable(message.text or message.caption or "")
    if message.venue is not None:
        return storable(f"{message.venue.title} {message.venue.address}".strip())
    if message.poll is not None:
        return storable(message.poll.question)
    return ""


class _Found:
    def __init__(
        self,
        kind: AttachmentKind,
        file_id: str = "",
        name: str | None = "",
        mime: str | None = "",
        size: int | None = None,
    ) -> None:
        self.kind = kind
        self.file_id = storable(file_id)
        self.name = name or ""
        self.mime = mime or ""
        self.size = size


def _photo(message: Message) -> _Found:
    sizes = message.photo or []
    if not sizes:
        return _Found(AttachmentKind.PHOTO)
    largest = max(sizes, key=lambda size: size.width * size.height)
    return _Found(AttachmentKind.PHOTO, largest.file_id, size=largest.file_size)


def _document(message: Message) -> _Found:
    file = message.document
    if file is None:
        return _Found(AttachmentKind.DOCUMENT)
    return _Found(AttachmentKind.DOCUMENT, file.file_id, file.file_name, file.mime_type, file.file_size)


def _video(message: Message) -> _Found:
    file = message.animation or message.video
    if file is None:
        return _Found(AttachmentKind.VIDEO)
    return _Found(AttachmentKind.VIDEO, file.file_id, file.file_name, file.mime_type, file.file_size)


def _video_note(message: Message) -> _Found:
    file = message.video_note
    if file is None:
        return _Found(AttachmentKind.VIDEO)
    return _Found(AttachmentKind.VIDEO, file.file_id, size=file.file_size)


def _voice(message: Message) -> _Found:
    file = message.voice
    if file is None:
        return _Found(AttachmentKind.VOICE)
    return _Found(AttachmentKind.VOICE, file.file_id, mime=file.mime_type, size=file.file_size)


def _audio(message: Message) -> _Found:
    file = message.audio
    if file is None:
        return _Found(AttachmentKind.AUDIO)
    return _Found(
        AttachmentKind.AUDIO, file.file_id, file.file_name or file.title, file.mime_type, file.file_size
    )


def _sticker(message: Message) -> _Found:
    file = message.sticker
    if file is None:
        return _Found(AttachmentKind.STICKER)
    return _Found(AttachmentKind.STICKER, file.file_id, file.emoji, size=file.file_size)


def _location(message: Message) -> _Found:
    place = message.venue.location if message.venue is not None else message.location
    if place is None:
        return _Found(AttachmentKind.LOCATION)
    return _Found(AttachmentKind.LOCATION, name=f"{place.latitude},{place.longitude}")


def _contact(message: Message) -> _Found:
    card = message.contact
    if card is None:
        return _Found(AttachmentKind.CONTACT_CARD)
    parts = (card.first_name, card.last_name, card.phone_number)
    return _Found(AttachmentKind.CONTACT_CARD, name=" ".join(part for part in parts if part))


def _dice(message: Message) -> _Found:
    return _Found(AttachmentKind.OTHER, name=message.dice.emoji if message.dice is not None else "")


_READERS: Mapping[str, Callable[[Message], _Found]] = {
    ContentType.PHOTO: _photo,
    ContentType.DOCUMENT: _document,
    ContentType.VIDEO: _video,
    ContentType.ANIMATION: _video,
    ContentType.VIDEO_NOTE: _video_note,
    ContentType.VOICE: _voice,
    ContentType.AUDIO: _audio,
    ContentType.STICKER: _sticker,
    ContentType.LOCATION: _location,
    ContentType.VENUE: _location,
    ContentType.CONTACT: _contact,
    ContentType.DICE: _dice,
}
