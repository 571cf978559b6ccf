"""What aiogram raises, turned into the desk's errors. The one place that knows Telegram's words.

Whether a call that failed may have been carried out decides if it is made again:

    answer with ``ok: false`` and 4xx    certainly not carried out
    429                                  certainly not; Telegram says when to come back
    5xx, with JSON or a proxy's page     unknown: the server behind may have done it before it failed
    no answer, half an answer, no JSON   unknown
    no connection                        certainly not carried out

A kept connection that the other side closed looks like a lost answer, so it is unknown, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import structlog
from aiogram.exceptions import (
    AiogramError,
    ClientDecodeError,
    TelegramAPIError,
    TelegramConflictError,
    TelegramEntityTooLarge,
    TelegramForbiddenError,
    TelegramMigrateToChat,
    TelegramNetworkError,
    TelegramNotFound,
    TelegramRetryAfter,
    TelegramServerError,
    TelegramUnauthorizedError,
)
from aiohttp import ClientConnectorError, ConnectionTimeoutError, InvalidURL

from desk.errors import NotSentError, OutcomeUnknownError, SendError, SendRefusedError, UnreachableError

_log = structlog.get_logger(__name__)

_LONGEST_REASON = 200


class TokenRefusedError(NotSentError):
    """Telegram does not know the bot's token any more. Nothing leaves until there is a right one."""


class MovedError(NotSentError):
    """The group became a supergroup and has another id now.

    Attributes:
        chat_id: The new one.
    """

    def __init__(self, chat_id: int) -> None:
        super().__init__("the group was upgraded to a supergroup")
        self.chat_id = chat_id


class NotModifiedError(SendRefusedError):
    """The message shows what it should already."""


class NothingToEditError(SendRefusedError):
    """The message is not there, or must not be edited any more."""


class OtherContentError(SendRefusedError):
    """There is no text to edit but a caption, or the other way round."""


class NothingToCopyError(SendRefusedError):
    """The message to copy is gone, or is of a kind that cannot be copied."""


class TopicGoneError(SendRefusedError):
    """The forum topic was deleted or closed."""


class MarkupError(SendRefusedError):
    """Telegram does not understand the entities; the same as plain text will do."""


_WORDS: tuple[tuple[type[SendRefusedError], tuple[str, ...]], ...] = (
    (NotModifiedError, ("message is not modified", "message_not_modified", "topic_not_modified")),
    (
        NothingToEditError,
        ("message to edit not found", "message can't be edited", "message_id_invalid", "message_edit_time"),
    ),
    (OtherContentError, ("there is no text in the message", "there is no caption in the message")),
    (NothingToCopyError, ("message to copy not found", "message can't be copied")),
    (
        TopicGoneError,
        ("message thread not found", "topic_deleted", "topic_closed", "topic_id_invalid", "topic not found"),
    ),
    (
        MarkupError,
        ("can't parse entities", "can't parse messageentity", "can't find end of the entity", "entity beg")
        + ("entity_bounds_invalid", "incorrect offset", "incorrect length", "button_user_invalid"),
    ),
)
_USER_GONE = (
    "user not found",
    "user is deactivated",
    "bot was blocked",
    "user_is_blocked",
    "input_user_deactivated",
    "bot can't initiate conversation",
    "user_id_invalid",
)
_GONE = ("chat not found", "peer_id_invalid", *_USER_GONE)


@contextmanager
def errors_translated() -> Iterator[None]:
    """Raises what aiogram raises inside as the desk's errors."""
    try:
        yield
    except (AiogramError, OSError) as error:
        raise translated(error) from error


def translated(error: AiogramError | OSError) -> SendError:
    """The desk's error for one of aiogram's. Its text is what Telegram said, which quotes no message."""
    if isinstance(error, TelegramRetryAfter):
        return NotSentError("too many requests", timedelta(seconds=error.retry_after))
    if isinstance(error, TelegramMigrateToChat):
        return MovedError(error.migrate_to_chat_id)
    if isinstance(error, TelegramEntityTooLarge):
        # For aiogram this is a network error, although Telegram answered.
        return SendRefusedError("request entity too large")
    if isinstance(error, TelegramNetworkError):
        return _of_network(error)
    if isinstance(error, TelegramServerError):
        return OutcomeUnknownError("server error at telegram")
    if isinstance(error, TelegramUnauthorizedError | TelegramNotFound):
        # 404 is the answer to a token that cannot be one; our methods exist.
        _log.error("telegram_token_refused", error_type=type(error).__name__)
        return TokenRefusedError("the bot's token was refused")
    if isinstance(error, TelegramConflictError):
        return NotSentError("conflict")
    if isinstance(error, TelegramAPIError):
        return _of_words(error)
    if isinstance(error, ClientDecodeError):
        return OutcomeUnknownError("an answer that cannot be read")
    return OutcomeUnknownError(type(error).__name__)


def is_about_user(error: SendError) -> bool:
    """Whether a refusal can only be about a private chat; of a copy others may be about where it comes from."""
    words = str(error).lower()
    return any(sign in words for sign in _USER_GONE)


def _of_network(error: TelegramNetworkError) -> SendError:
    cause = error.__cause__
    # Its own text may name the address, and the token is a part of that.
    name = type(cause).__name__ if cause is not None else type(error).__name__
    if isinstance(cause, ClientConnectorError | ConnectionTimeoutError | InvalidURL):
        return NotSentError(name)
    return OutcomeUnknownError(name)


def _of_words(error: TelegramAPIError) -> SendError:
    words = error.message.lower()
    reason = error.message[:_LONGEST_REASON]
    if isinstance(error, TelegramForbiddenError) or any(sign in words for sign in _GONE):
        return UnreachableError(reason)
    if "too many requests" in words:
        # Without a number; the sender's own growing waits will do.
        return NotSentError("too many requests")
    for refused, signs in _WORDS:
        if any(sign in words for sign in signs):
            return refused(reason)
    return SendRefusedError(reason)
