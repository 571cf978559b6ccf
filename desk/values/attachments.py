"""What comes with a message beside words: pictures, voice, files, places."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class AttachmentKind(StrEnum):
    """What kind of thing it is, as people would call it."""

    PHOTO = "photo"
    VIDEO = "video"
    VOICE = "voice"
    AUDIO = "audio"
    DOCUMENT = "document"
    STICKER = "sticker"
    LOCATION = "location"
    CONTACT_CARD = "contact_card"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Attachment:
    """附件: one thing beside the words of a message. The channel keeps the bytes; we keep how to get them.

    Attributes:
        file_id: The channel's own id to fetch or send it again by; empty where there is no file.
        name: File name, a sticker's emoji, ``31.2304,121.4737`` of a place (latitude, longitude in
            degrees), name and phone of a contact card.
        mime: As the channel states it; never trusted.
        size: Bytes, where the channel says.
        source_chat: Chat that it was said in at the channel, and ``source_message`` the message there, so
            that a channel which can copy messages need not send it anew.
    """

    kind: AttachmentKind
    file_id: str = ""
    name: str = ""
    mime: str = ""
    size: int | None = None
    source_chat: str = ""
    source_message: str = ""
