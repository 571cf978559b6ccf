"""Files beside the words of a talk, fetched from their channel while somebody looks at them.

What a customer sent is never trusted: only pictures that begin like one are shown, everything else is
handed over as bytes to save. Nothing is kept here, and every look stands in the audit before the first
byte leaves.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from urllib.parse import quote

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from console.deps import MediaFiles
from console.pages.visit import HOME, ConsoleRoom, Visit
from console.permissions import Permission
from console.security.headers import PAGE_HEADERS
from desk.errors import DeskError, InvalidInputError, NotFoundError
from desk.ports import UnitOfWork
from desk.values import Attachment, AttachmentKind

_HEAD_BYTES = 16
_LONGEST_NAME = 120
_ENDINGS = {
    AttachmentKind.PHOTO: ".jpg",
    AttachmentKind.VIDEO: ".mp4",
    AttachmentKind.VOICE: ".ogg",
    AttachmentKind.AUDIO: ".mp3",
    AttachmentKind.STICKER: ".webp",
}


def add_attachments(room: ConsoleRoom) -> None:
    """Declares the route."""

    @room.get("/console/attachments/{message_id}/{n}", Permission.READ_ATTACHMENTS)
    async def attachment(visit: Visit) -> Response:
        message_id, number = _number(visit, "message_id"), _number(visit, "n")

        def find(unit: UnitOfWork) -> tuple[Attachment, str, str]:
            message = unit.conversations.get_message(message_id)
            case = unit.cases.find_newest(message.conversation_id)
            # Talks become visible to staff by a case; without one there is nothing to look at.
            if case is None or number >= len(message.attachments):
                raise NotFoundError("no such attachment")
            channel = unit.conversations.get(message.conversation_id).channel
            return message.attachments[number], channel, case.number

        found, channel, case_number = await visit.deps.transactions.read(find)
        if not found.file_id:
            raise NotFoundError("no such attachment")
        files = visit.deps.media_files.get(channel)
        if files is None:
            return await _missing(visit, 503, "file.off", case_number)
        try:
            opened = await _OpenFile.begin(files, found)
        except NotFoundError:
            return await _missing(visit, 404, "file.gone", case_number)
        except InvalidInputError:
            return await _missing(visit, 413, "file.too_big", case_number)
        except DeskError:
            return await _missing(visit, 503, "file.unreachable", case_number)
        try:
            await _record(visit, case_number, f"message:{message_id}:{number} {found.kind.value}")
        except BaseException:
            await opened.close()
            raise
        return _StreamedFile(opened, _headers(opened.head, _name(found, message_id, number)))


def _number(visit: Visit, name: str) -> int:
    given = str(visit.request.path_params[name])
    if not (given.isascii() and given.isdigit() and len(given) <= 15):
        raise NotFoundError("no such attachment")
    return int(given)


async def _record(visit: Visit, case_number: str, detail: str) -> None:
    staff_id, now = visit.staff.id, visit.now
    await visit.deps.transactions.write(
        lambda unit: unit.staff.audit(staff_id, "attachment.view", case_number, detail, now)
    )


async def _missing(visit: Visit, status: int, words: str, case_number: str) -> Response:
    answer = await visit.page(
        "missing_file.html", status, words=visit.words(words), back=f"{HOME}/{case_number}"
    )
    if status == 503:
        answer.headers["Retry-After"] = "30"
    return answer


class _OpenFile:
    """A file whose first bytes are known and whose rest is still to come."""

    def __init__(self, head: bytes, rest: AsyncIterator[bytes], exits: AsyncExitStack) -> None:
        self.head = head
        self._rest = rest
        self._exits = exits

    @classmethod
    async def begin(cls, files: MediaFiles, attachment: Attachment) -> _OpenFile:
        """Opens it and reads as much as shows what it is; raises what ``MediaFiles`` raises."""
        async with AsyncExitStack() as exits:
            pieces = await exits.enter_async_context(files(attachment))
            head = b""
            while len(head) < _HEAD_BYTES and (piece := await anext(pieces, b"")):
                head += piece
            return cls(head, pieces, exits.pop_all())

    async def pieces(self) -> AsyncIterator[bytes]:
        """All of it, one piece at a time."""
        yield self.head
        async for piece in self._rest:
            yield piece

    async def close(self) -> None:
        """Lets the channel go."""
        await self._exits.aclose()


class _StreamedFile(StreamingResponse):
    """Passes a file on piece by piece, and closes it also when the browser goes away before the end."""

    def __init__(self, opened: _OpenFile, headers: dict[str, str]) -> None:
        super().__init__(opened.pieces(), headers=headers)
        self._opened = opened

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._opened.close()


def picture_type(head: bytes) -> str | None:
    """The type of a picture that may be shown, by its first bytes; what the sender claims counts nothing."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return None


def _headers(head: bytes, name: str) -> dict[str, str]:
    shown = picture_type(head)
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name)
    disposition = "attachment" if shown is None else "inline"
    return {
        **PAGE_HEADERS,
        # Opened by itself it is a page of ours to the browser, so it may do nothing at all there.
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Content-Type": shown or "application/octet-stream",
        "Content-Disposition": f"{disposition}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}",
    }


def _name(attachment: Attachment, message_id: int, number: int) -> str:
    """A file name that no file system and no reader can be fooled by."""
    # A sticker's name is its emoji.
    given = "" if attachment.kind is AttachmentKind.STICKER else attachment.name
    last = re.split(r"[/\\]", given)[-1]
    kept = "".join(
        "_" if each in '<>:"|?*%' else each
        for each in last
        if unicodedata.category(each) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
    )
    kept = kept.strip(" .")
    if len(kept) > _LONGEST_NAME:
        stem, dot, ending = kept.rpartition(".")
        kept = f"{stem[: _LONGEST_NAME - 20]}{dot}{ending[:19]}" if dot else kept[:_LONGEST_NAME]
    return kept or f"attachment-{message_id}-{number}{_ENDINGS.get(attachment.kind, '')}"
