"""Files that people sent over Telegram, fetched when somebody on staff looks at one.

The bytes stay with Telegram; we keep a ``file_id`` and stream from there (``getFile``, then a download of
at most 20 MB, https://core.telegram.org/bots/api#getfile). The address of a download holds the bot's
token, so it never leaves this file, not even inside an error.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from urllib.parse import quote

import aiohttp
from aiogram import Bot
from aiogram.exceptions import AiogramError, TelegramBadRequest
from aiogram.methods import GetFile

from desk.errors import DeskError, InvalidInputError, NotFoundError
from desk.values import Attachment

MOST_BYTES = 20 * 1024 * 1024
CHUNK_BYTES = 64 * 1024
_LONGEST_PATH = 1024


class MediaUnavailableError(DeskError):
    """Telegram could not be asked for a file just now; a later try may work."""


class TelegramFiles:
    """Opens files of Telegram for reading.

    Args:
        bot: Shared with whoever else calls Telegram; not closed here.
        answer_within: How long one answer, or one piece of a file, is waited for.
        whole_within: How long a whole file may take, however slow its reader is.
        at_once: Files that may be open at the same time; each holds a few pieces of 64 KiB in memory.
    """

    def __init__(
        self,
        bot: Bot,
        *,
        answer_within: timedelta = timedelta(seconds=10),
        whole_within: timedelta = timedelta(minutes=2),
        at_once: int = 8,
    ) -> None:
        self._bot = bot
        self._answer_within = answer_within.total_seconds()
        self._whole_within = whole_within.total_seconds()
        self._places = asyncio.Semaphore(at_once)

    @asynccontextmanager
    async def __call__(self, attachment: Attachment) -> AsyncIterator[AsyncIterator[bytes]]:
        """Opens the file of an attachment; yields its bytes in pieces of at most 64 KiB.

        Raises:
            NotFoundError: Telegram has it no more, or never had.
            InvalidInputError: It has more than the 20 MB that a bot may fetch.
            MediaUnavailableError: Telegram does not answer, or too many files are open. The pieces raise
                it too, when the connection breaks or a time limit is over.
        """
        if not attachment.file_id:
            raise NotFoundError("the attachment has no file")
        if attachment.size is not None and attachment.size > MOST_BYTES:
            raise InvalidInputError("file", "is too big")
        try:
            await asyncio.wait_for(self._places.acquire(), self._answer_within)
        except TimeoutError:
            raise MediaUnavailableError("too many files are open") from None
        try:
            pieces = self._pieces(await self._path(attachment.file_id))
            async with contextlib.aclosing(pieces):
                yield pieces
        finally:
            self._places.release()

    async def _path(self, file_id: str) -> str:
        """Where the file lies at Telegram for the next hour."""
        try:
            async with asyncio.timeout(self._answer_within):
                found = await self._bot(
                    GetFile(file_id=file_id), request_timeout=int(self._answer_within) + 1
                )
        except TelegramBadRequest as error:
            # In Telegram's words: "file is too big", "wrong file_id or the file is temporarily unavailable".
            if "too big" in error.message:
                raise InvalidInputError("file", "is too big") from None
            raise NotFoundError("Telegram has no such file") from None
        except (AiogramError, TimeoutError) as error:
            raise MediaUnavailableError(f"getFile failed ({type(error).__name__})") from None
        path = found.file_path or ""
        # A server in local mode answers with a place on its own disk, which is not ours to read.
        if not path or path.startswith("/") or ".." in path or len(path) > _LONGEST_PATH:
            raise MediaUnavailableError("the Bot API server names no address to download from")
        return quote(path, safe="/", errors="replace")

    async def _pieces(self, path: str) -> AsyncGenerator[bytes, None]:
        session = self._bot.session
        content = session.stream_content(
            session.api.file_url(self._bot.token, path),
            timeout=max(1, int(self._whole_within)),
            chunk_size=CHUNK_BYTES,
            raise_for_status=True,
        )
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + self._whole_within
        count = 0
        async with contextlib.aclosing(content):
            while True:
                left = ends_at - loop.time()
                try:
                    # One limit around each step: the pieces may be read by another task than opened them.
                    async with asyncio.timeout(max(0.0, min(left, self._answer_within))):
                        piece = await anext(content, b"")
                except aiohttp.ClientResponseError as error:
                    # Without its cause everywhere here: the text of these errors holds the address.
                    if error.status in (400, 404):
                        raise NotFoundError("Telegram has no such file") from None
                    raise MediaUnavailableError(f"the download was refused ({error.status})") from None
                except (aiohttp.ClientError, AiogramError, OSError, TimeoutError) as error:
                    raise MediaUnavailableError(f"the download broke ({type(error).__name__})") from None
                if not piece:
                    return
                count += len(piece)
                if count > MOST_BYTES:
                    raise InvalidInputError("file", "is too big")
                yield piece
