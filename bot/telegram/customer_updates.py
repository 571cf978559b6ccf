"""What customers do in their private chat with the bot, told to the desk."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import structlog
from aiogram import F, Router
from aiogram.enums import ChatType
from aiogram.types import CallbackQuery, ChatMemberUpdated, Message, User

from bot.telegram.attachments import attachments_of, is_service, words_of
from desk.errors import InvalidInputError
from desk.intake import hash_bytes
from desk.ports import Transactions, UnitOfWork
from desk.service_desk import Incoming, ServiceDesk
from desk.texts import storable
from desk.values import ChannelUser, InboxItem, OutgoingKind, SendRank

_log = structlog.get_logger(__name__)

CHANNEL = "telegram"
Complete = Callable[[UnitOfWork], None]

_COMMAND = re.compile(r"/([A-Za-z0-9_]{1,64})(?:@([A-Za-z0-9_]{1,64}))?(?:\s+(.*))?", re.DOTALL)
_WORDS = {"human": "转人工", "orders": "查订单", "stop": "退订"}
"""What a command says in words; the desk understands the words."""
_GREETS = frozenset({"start", "help"})
_ORDER_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")
_QUERY_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LANGUAGE = re.compile(r"[A-Za-z0-9-]{2,35}")
_LONGEST_NAME = 128
_LONGEST_BUTTON = 64
_LONGEST_GROUP = 64
_HIGHEST = 2**52
_LATEST = 2**31
_BLANKS = re.compile(r"\s+")


class Linker(Protocol):
    """Makes a Telegram user act as a staff member."""

    async def handle_link(self, message: Message, code: str, item: InboxItem, complete: Complete) -> None:
        """Answers ``/link CODE`` of a private chat; calls ``complete`` once, in a transaction."""
        ...


@dataclass(frozen=True, slots=True)
class _Command:
    name: str
    rest: str


class CustomerUpdates:
    """Handlers of private chats. Each calls ``complete`` in the transaction that acts.

    Args:
        linker: None where no staff group is connected.
        find_username: The bot's own name, once Telegram has told it.
        bot_id: Whose chats these are. Numbers of messages begin anew with another bot, so they are no ids
            without it: a customer's words must not be taken for what they told the bot before this one.
    """

    def __init__(
        self,
        service_desk: ServiceDesk,
        transactions: Transactions,
        linker: Linker | None,
        find_username: Callable[[], str | None],
        clock: Callable[[], datetime],
        bot_id: int,
    ) -> None:
        self._bot_id = bot_id
        self._desk = service_desk
        self._transactions = transactions
        self._linker = linker
        self._find_username = find_username
        self._clock = clock

    def router(self) -> Router:
        """A router for private chats alone."""
        router = Router(name="customers")
        router.message.register(self.hear, F.chat.type == ChatType.PRIVATE)
        router.edited_message.register(self.hear_edit, F.chat.type == ChatType.PRIVATE)
        router.callback_query.register(self.hear_tap)
        router.my_chat_member.register(self.hear_membership, F.chat.type == ChatType.PRIVATE)
        return router

    async def hear(self, message: Message, item: InboxItem, complete: Complete) -> None:
        """A message of a customer."""
        await self._take(message, 0, item, complete)

    async def hear_edit(self, edited_message: Message, item: InboxItem, complete: Complete) -> None:
        """A message that the customer changed; it keeps its id and gets a revision."""
        message = edited_message
        if message.edit_date is None or not 0 < message.edit_date < _LATEST:
            raise InvalidInputError("edit_date", "must be a time")
        await self._take(message, message.edit_date, item, complete)

    async def hear_tap(self, callback_query: CallbackQuery, item: InboxItem, complete: Complete) -> None:
        """A pressed button. The data authorises nothing; the desk looks up whose button it is."""
        query = callback_query
        answer_too = self._answering(query.id, complete)
        if query.from_user.is_bot:
            await self._set_aside("tap_of_a_bot", item, answer_too)
            return
        is_plain = _QUERY_ID.fullmatch(query.id) is not None
        await self._desk.take_message(
            Incoming(
                who=_user(query.from_user),
                external_id=f"tap:{query.id if is_plain else hash_bytes(_bytes(query.id))[:32]}",
                text=_label(query),
                received_at=item.received_at,
                button_id=storable(query.data or "")[:_LONGEST_BUTTON],
            ),
            answer_too,
        )

    async def hear_membership(
        self, my_chat_member: ChatMemberUpdated, item: InboxItem, complete: Complete
    ) -> None:
        """The customer blocked the bot, or let it in again."""
        status = str(my_chat_member.new_chat_member.status)
        if status not in ("kicked", "member"):
            await self._set_aside("membership", item, complete)
            return
        blocked = status == "kicked"
        why = "blocked" if blocked else "unblocked"
        # The chat is named after the customer in it; who acted is the customer as well.
        user = ChannelUser(CHANNEL, str(_number(my_chat_member.chat.id)))
        await self._desk.hear_reachability(user, not blocked, why, complete)

    async def _take(self, message: Message, revision: int, item: InboxItem, complete: Complete) -> None:
        writer = message.from_user
        if writer is None or writer.is_bot:
            await self._set_aside("message_of_a_bot", item, complete)
            return
        if is_service(message):
            await self._set_aside("service_message", item, complete)
            return
        command = self._command(message)
        if command is not None and command.name == "link" and self._linker is not None and revision == 0:
            await self._linker.handle_link(message, command.rest.strip(), item, complete)
            return
        text, attachments = words_of(message), attachments_of(message)
        starts, token_hash = False, None
        if command is not None and command.name in _GREETS:
            # The token of a link is a secret of its customer and is not kept among the words.
            starts, text = revision == 0, f"/{command.name}"
            if command.name == "start" and _ORDER_TOKEN.fullmatch(command.rest):
                token_hash = hash_bytes(command.rest.encode())
        elif command is not None and command.name == "link":
            text = "/link"
        elif command is not None:
            text = _in_words(command, text)
        await self._desk.take_message(
            Incoming(
                who=_user(writer),
                external_id=f"{self._bot_id}:{_number(message.chat.id)}:{_number(message.message_id)}",
                text=text,
                received_at=item.received_at,
                revision=revision,
                attachments=attachments,
                group_id=storable(message.media_group_id or "")[:_LONGEST_GROUP],
                starts=starts,
                order_token_hash=token_hash if starts else None,
            ),
            complete,
        )

    def _command(self, message: Message) -> _Command | None:
        found = _COMMAND.fullmatch(storable(message.text or ""))
        if found is None:
            return None
        own = self._find_username()
        if found[2] and own and found[2].casefold() != own.casefold():
            return None
        return _Command(found[1].lower(), (found[3] or "").strip())

    def _answering(self, query_id: str, complete: Complete) -> Complete:
        """Completes and has the tap answered, so that the button does not look stuck.

        What there is to say comes as a message; the answer itself says nothing.
        """
        if _QUERY_ID.fullmatch(query_id) is None:
            return complete
        now = self._clock()

        def work(unit: UnitOfWork) -> None:
            unit.outbox.add_for_staff(
                f"tap:{query_id}",
                CHANNEL,
                f"tap:{query_id}",
                "",
                {"do": "answer_tap", "query_id": query_id, "code": "heard"},
                now,
                kind=OutgoingKind.NOTICE,
                rank=SendRank.FIRST,
            )
            complete(unit)

        return work

    async def _set_aside(self, kind: str, item: InboxItem, complete: Complete) -> None:
        _log.info("telegram_update_ignored", kind=kind, item_id=item.id)
        await self._transactions.write(complete)


def _in_words(command: _Command, text: str) -> str:
    words = _WORDS.get(command.name)
    if words is None:
        return text
    # What somebody writes behind /human is for the person; behind the others it changes nothing.
    return f"{words}，{command.rest}" if command.name == "human" and command.rest else words


def _user(user: User) -> ChannelUser:
    """Who wrote. Names are whatever people make them."""
    name = storable(" ".join(part for part in (user.first_name, user.last_name) if part))
    language = user.language_code or ""
    return ChannelUser(
        CHANNEL,
        str(_number(user.id)),
        _BLANKS.sub(" ", name).strip()[:_LONGEST_NAME],
        language if _LANGUAGE.fullmatch(language) else "",
    )


def _label(query: CallbackQuery) -> str:
    """What is written on the pressed button, as far as the message still shows it."""
    keyboard = query.message.reply_markup if isinstance(query.message, Message) else None
    buttons = [button for row in keyboard.inline_keyboard for button in row] if keyboard is not None else []
    found = (button.text for button in buttons if query.data and button.callback_data == query.data)
    return storable(next(found, ""))


def _number(number: int) -> int:
    """An id as Telegram gives them out (at most 52 bits); InvalidInputError for anything beyond."""
    if not -_HIGHEST <= number <= _HIGHEST:
        raise InvalidInputError("id", "must have at most 52 bits")
    return number


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
