"""Files of Telegram, fetched while somebody looks: whole, bounded, and silent about the token."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from telegram_api import TelegramApi

from bot.telegram.media_files import CHUNK_BYTES, MOST_BYTES, MediaUnavailableError, TelegramFiles
from bot.telegram.session import make_bot
from desk.errors import DeskError, InvalidInputError, NotFoundError
from desk.values import Attachment, AttachmentKind

Open = Callable[..., Awaitable[list[bytes]]]


def play(story: Callable[[TelegramApi, Open], Awaitable[None]], patience: float = 10.0) -> None:
    """Plays a story; whatever goes wrong never shows the token."""

    told: list[str] = []

    async def run() -> None:
        async with TelegramApi() as api:
            bot = make_bot(api.token, api.url)
            token = api.token
            files = TelegramFiles(bot, answer_within=timedelta(seconds=patience))

            async def read(file_id: str, size: int | None = None) -> list[bytes]:
                try:
                    async with files(Attachment(AttachmentKind.DOCUMENT, file_id, size=size)) as pieces:
                        return [piece async for piece in pieces]
                except DeskError as error:
                    told.append("".join(traceback.format_exception(error)))
                    raise

            try:
                await story(api, read)
            finally:
                await bot.session.close()
            secret = token.partition(":")[2]
            assert not any(secret in each for each in told)

    asyncio.run(run())


def sent(api: TelegramApi, content: bytes, **more: int) -> str:
    """The id of a file that somebody sent."""
    user = api.user(5)
    user.starts()
    user.sends_document("发票 #1?.pdf", content, **more)
    return str(list(api.world.files)[-1])


def test_a_file_comes_whole_and_in_small_pieces() -> None:
    async def story(api: TelegramApi, read: Open) -> None:
        content = bytes(range(256)) * 2000
        pieces = await read(sent(api, content))
        assert b"".join(pieces) == content
        assert max(map(len, pieces)) <= CHUNK_BYTES
        assert await read(sent(api, b"")) == []

    play(story)


def test_what_is_gone_or_too_big_is_told_apart() -> None:
    async def story(api: TelegramApi, read: Open) -> None:
        for gone in ("never-there", ""):
            with pytest.raises(NotFoundError):
                await read(gone)
        with pytest.raises(InvalidInputError):
            await read(sent(api, b"x", size=MOST_BYTES + 1))
        before = len(api.calls("getFile"))
        with pytest.raises(InvalidInputError):
            await read(sent(api, b"x"), MOST_BYTES + 1)
        assert len(api.calls("getFile")) == before

    play(story)


def test_a_file_that_is_longer_than_said_is_cut_off() -> None:
    async def story(api: TelegramApi, read: Open) -> None:
        with pytest.raises(InvalidInputError):
            await read(sent(api, bytes(MOST_BYTES + 1), size=10))

    play(story)


def test_trouble_on_the_way_is_one_kind_of_error() -> None:
    async def story(api: TelegramApi, read: Open) -> None:
        file_id = sent(api, b"x" * 1000)
        for kind, options in (
            ("status", {"code": 502}),
            ("html", {}),
            ("lost_answer", {}),
            ("hang", {}),
            ("flood", {"retry_after": 5}),
        ):
            api.fail(kind, "getFile", **options)
            with pytest.raises(MediaUnavailableError):
                await read(file_id)
        assert b"".join(await read(file_id)) == b"x" * 1000
        api.refuse()
        with pytest.raises(MediaUnavailableError):
            await read(file_id)

    play(story, patience=0.5)


def test_a_token_refused_in_the_middle_is_no_missing_file() -> None:
    async def story(api: TelegramApi, read: Open) -> None:
        file_id = sent(api, b"x")
        api.revoke_token("7000000001:AAanother-token-of-the-tests")
        with pytest.raises(MediaUnavailableError):
            await read(file_id)

    play(story)


def test_only_so_many_are_open_at_once_and_a_closed_one_makes_room() -> None:
    async def run() -> None:
        async with TelegramApi() as api:
            bot = make_bot(api.token, api.url)
            short = timedelta(milliseconds=200)
            files = TelegramFiles(bot, answer_within=short, at_once=1)
            wanted = Attachment(AttachmentKind.PHOTO, sent(api, b"x" * 500_000))
            try:
                async with files(wanted) as pieces:
                    assert await anext(aiter(pieces))
                    with pytest.raises(MediaUnavailableError):
                        async with files(wanted):
                            pass
                async with files(wanted) as pieces:
                    assert sum([len(piece) async for piece in pieces]) == 500_000
            finally:
                await bot.session.close()

    asyncio.run(run())


def test_a_connection_that_breaks_half_way_is_told() -> None:
    async def run() -> None:
        async with TelegramApi() as api:
            bot = make_bot(api.token, api.url)
            files = TelegramFiles(bot, answer_within=timedelta(seconds=2))
            try:
                async with files(Attachment(AttachmentKind.VIDEO, sent(api, bytes(15_000_000)))) as pieces:
                    assert await anext(aiter(pieces))
                    api.drop_connections()
                    with pytest.raises(MediaUnavailableError) as told:
                        [piece async for piece in pieces]
                assert api.token not in "".join(traceback.format_exception(told.value))
            finally:
                await bot.session.close()

    asyncio.run(run())
