"""Lines of a talk as staff see them: what came with them, and what became of words that were changed."""

from __future__ import annotations

from dataclasses import dataclass

from desk.values import Attachment, AttachmentKind
from storage.reports import CasePage, TalkLine

LARGEST_FILE = 20 * 1024 * 1024
"""What a bot may fetch from Telegram (https://core.telegram.org/bots/api#getfile)."""

_PICTURES = (AttachmentKind.PHOTO, AttachmentKind.STICKER)
_IN_WORDS = (AttachmentKind.LOCATION, AttachmentKind.CONTACT_CARD)


_CAME_LATE = "superseded"
"""The desk's reason for an older version that came behind a newer one."""


@dataclass(frozen=True, slots=True)
class ShownAttachment:
    """One thing beside the words of a line.

    Attributes:
        kind: Its kind's value, which has words in ``console.texts``.
        text: File name, place or card, as it came; foreign text.
        href: Where the file is looked at; empty where there is none to fetch.
        picture: Worth a preview in the page. What it really is shows when it is fetched.
        too_big: There is a file, but nobody can fetch it for us.
        kibibytes: Size as the channel states it, rounded up; None where it does not.
    """

    kind: str
    text: str
    href: str
    picture: bool
    too_big: bool
    kibibytes: int | None


@dataclass(frozen=True, slots=True)
class ShownLine:
    """A line with what is known around it.

    Attributes:
        before: The words that this line replaced, where it replaced any that are on the page.
        is_edit: It replaced an earlier line.
        edited_later: Another line on the page replaced it.
    """

    line: TalkLine
    attachments: tuple[ShownAttachment, ...]
    before: str | None
    is_edit: bool
    edited_later: bool


def shown_lines(page: CasePage) -> list[ShownLine]:
    """The lines of the page, oldest first. Nothing is taken away: words that were changed stay too."""
    newest: dict[int, TalkLine] = {}
    replaced: set[int] = set()
    before: dict[int, TalkLine] = {}
    for line in page.lines:
        # Every edit names the first version, so the one before is whatever came last of that first one.
        first = line.edits_message_id if line.edits_message_id is not None else line.id
        if line.reason == _CAME_LATE:
            replaced.add(line.id)
            continue
        if first in newest:
            before[line.id] = newest[first]
            replaced.add(newest[first].id)
        newest[first] = line
    return [
        ShownLine(
            line=line,
            attachments=tuple(_shown(line.id, number, each) for number, each in enumerate(line.attachments)),
            before=before[line.id].text if line.id in before else None,
            is_edit=line.edits_message_id is not None or line.revision > 0,
            edited_later=line.id in replaced,
        )
        for line in page.lines
    ]


def _shown(message_id: int, number: int, attachment: Attachment) -> ShownAttachment:
    size = attachment.size
    too_big = bool(attachment.file_id) and size is not None and size > LARGEST_FILE
    has_file = bool(attachment.file_id) and attachment.kind not in _IN_WORDS and not too_big
    return ShownAttachment(
        kind=attachment.kind.value,
        text=attachment.name,
        href=f"/console/attachments/{message_id}/{number}" if has_file else "",
        picture=has_file and (attachment.kind in _PICTURES or attachment.mime.startswith("image/")),
        too_big=too_big,
        kibibytes=None if size is None else -(-size // 1024),
    )
