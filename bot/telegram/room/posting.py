"""Calls that put something into the staff group, one at a time, and what to do when the group refuses."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from typing import TypeVar

import structlog
from aiogram import Bot
from aiogram.methods import (
    CopyMessage,
    CreateForumTopic,
    EditMessageText,
    GetChat,
    ReopenForumTopic,
    SendMessage,
    TelegramMethod,
)
from aiogram.types import (
    ForceReply,
    InlineKeyboardMarkup,
    LinkPreviewOptions,
    MessageEntity,
    ReplyParameters,
)

from bot.telegram.api_errors import (
    MarkupError,
    MovedError,
    NothingToCopyError,
    NotModifiedError,
    OtherContentError,
    TopicGoneError,
    errors_translated,
    is_about_user,
)
from bot.telegram.calls import CALL_SECONDS
from bot.telegram.room.place import RoomPlace
from bot.telegram.room.room_rows import RoomRows
from bot.telegram.room.shown import cards
from bot.telegram.room.unshown import ask_for_unshown, typed_in_group
from desk.errors import NotFoundError, NotSentError, OutcomeUnknownError, SendError, SendRefusedError
from desk.ports import Transactions, UnitOfWork
from desk.staff_room import StaffRoom
from desk.values import Case, CaseState, Conversation, RoomLine, RoomLineKind, RoomThread

T = TypeVar("T")

_log = structlog.get_logger(__name__)

_NO_PREVIEW = LinkPreviewOptions(is_disabled=True)
_NOT_A_FORUM = "the chat is not a forum"
_NO_CHAT = "chat not found"
_MOST_REMEMBERED = 512


class StepDoneError(Exception):
    """A step before the message itself was done with a call of its own; the message is to be sent next."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Where things are in the group for one conversation, as the database knows it.

    Attributes:
        chat: The group's id now.
        thread: The number of the conversation's topic, or None.
        card: The newest card of the case, wherever it is.
    """

    chat: int
    conversation: Conversation
    case: Case | None
    thread: int | None
    card: RoomLine | None


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a message goes: a topic, a line that it answers, both or none.

    Attributes:
        private: The chat is somebody's own and not the group.
    """

    chat: int
    thread: int | None = None
    reply_to: int | None = None
    private: bool = False

    def answering(self, line: RoomLine | None) -> Spot:
        """The same place, as an answer to a line, where there is one."""
        return self if line is None else replace(self, reply_to=int(line.provider_id))

    @property
    def reply(self) -> ReplyParameters | None:
        """A line that is gone by now must not keep an answer from being sent."""
        if self.reply_to is None:
            return None
        return ReplyParameters(message_id=self.reply_to, allow_sending_without_reply=True)


class RoomPosting:
    """The ground that everything shown in the group stands on: topics, cards, and errors understood.

    Args:
        zone: The shop's time zone.
        console_url: Address of the installation for links to the console, without a slash at its end.
    """

    def __init__(
        self,
        bot: Bot,
        place: RoomPlace,
        staff_room: StaffRoom,
        transactions: Transactions,
        clock: Callable[[], datetime],
        zone: tzinfo,
        console_url: str,
    ) -> None:
        self._bot = bot
        self.place = place
        self.staff_room = staff_room
        self.transactions = transactions
        self.clock = clock
        self.zone = zone
        self._console_url = console_url
        # What cards show, so that one which shows it already costs no call. Forgetting it costs one.
        self._shown: OrderedDict[tuple[int, str], int] = OrderedDict()

    async def call(self, method: TelegramMethod[T], chat: int | None = None) -> T:
        """Makes one call.

        Args:
            chat: The group, if the call acts in it; None for what acts elsewhere.

        Raises:
            SendError: As the desk's senders do. When the group as a whole refuses us it is a
                ``NotSentError``, so that nothing is given up.
            StepDoneError: The group has another id since a moment ago, which is known now.
        """
        try:
            with errors_translated():
                done = await self._bot(method, request_timeout=CALL_SECONDS)
        except MovedError as error:
            if chat is None:
                raise
            await self.place.follow(error, chat)
            raise StepDoneError from error
        except SendError as error:
            if isinstance(method, CopyMessage) and (is_about_user(error) or _NO_CHAT in str(error).lower()):
                # The chat that it comes from, perhaps; if not, the words that are sent instead will tell.
                raise NothingToCopyError(str(error)) from error
            refusal = None if chat is None else self.place.refusal(error)
            if refusal is None:
                raise
            raise refusal from error
        if chat is not None:
            self.place.works()
        return done

    async def say(
        self,
        spot: Spot,
        text: str,
        entities: Sequence[MessageEntity] = (),
        markup: InlineKeyboardMarkup | ForceReply | None = None,
    ) -> str:
        """Sends a text; returns its number."""
        method = SendMessage(
            chat_id=spot.chat,
            message_thread_id=spot.thread,
            text=text,
            entities=list(entities) or None,
            reply_markup=markup,
            reply_parameters=spot.reply,
            link_preview_options=_NO_PREVIEW,
            parse_mode=None,
        )
        sent = await self._with_plain_text(method, None if spot.private else spot.chat)
        return str(sent.message_id)

    async def _with_plain_text(self, method: TelegramMethod[T], chat: int | None) -> T:
        """Makes a call; once more without entities should Telegram not like them. Refused, it counted for nothing."""
        try:
            return await self.call(method, chat)
        except MarkupError:
            return await self.call(method.model_copy(update={"entities": None}), chat)

    async def is_forum(self, chat: int) -> bool:
        """Whether the group has topics; asked when it was not heard lately."""
        known = self.place.find_forum(chat)
        if known is None:
            known = bool((await self._step(GetChat(chat_id=chat), chat)).is_forum)
            self.place.heard_forum(chat, known)
        return known

    async def _step(self, method: TelegramMethod[T], chat: int) -> T:
        """A call before the message itself. Should nobody know what became of it, the message was not sent."""
        try:
            return await self.call(method, chat)
        except OutcomeUnknownError as error:
            raise NotSentError(f"{type(method).__name__} {error}") from error

    # --- Where things are -------------------------------------------------------------------------

    async def look(self, case_id: int) -> Scene:
        """Where things of the case are.

        Raises:
            NotFoundError: There is no such case (any more).
        """

        def read(unit: UnitOfWork) -> Scene:
            case = unit.cases.get(case_id)
            chat = self.place.find_chat(unit)
            thread = unit.staff_rooms.find_thread(str(chat), case.conversation_id)
            return Scene(
                chat,
                unit.conversations.get(case.conversation_id),
                case,
                None if thread is None else int(thread.thread_id),
                unit.staff_rooms.find_card(str(chat), case.id),
            )

        return await self.transactions.read(read)

    async def spot(self, scene: Scene, *, card: bool = True) -> Spot:
        """Where to write about the case: its topic, or below its card where the group has no topics.

        Args:
            card: Whether an open case must have its card there first.

        Raises:
            StepDoneError: A topic or a card was made first.
        """
        forum = await self.is_forum(scene.chat)
        if forum and scene.thread is None:
            await self._make_topic(scene)
        is_open = scene.case is not None and scene.case.state is not CaseState.CLOSED
        if card and is_open and not self.has_card(scene, forum):
            await self.send_card(scene, forum)
            raise StepDoneError
        if forum:
            return Spot(scene.chat, scene.thread)
        return Spot(scene.chat).answering(scene.card)

    @staticmethod
    def has_card(scene: Scene, forum: bool) -> bool:
        """Whether the card is where people look. One with a lower number than the topic was in an older one."""
        if scene.card is None:
            return False
        return not forum or scene.thread is None or int(scene.card.provider_id) > scene.thread

    async def _make_topic(self, scene: Scene) -> None:
        if scene.case is None:
            raise NotFoundError("case")
        name = cards.topic_name(await self.staff_room.read_case(scene.case.id))
        try:
            made = await self._step(CreateForumTopic(chat_id=scene.chat, name=name), scene.chat)
        except SendRefusedError as error:
            if _NOT_A_FORUM not in str(error).lower():
                raise
            self.place.heard_forum(scene.chat, False)
            raise StepDoneError from error
        now = self.clock()
        thread = RoomThread(str(scene.chat), scene.conversation.id, str(made.message_thread_id))
        # Committed before anything else, or a crash would make a second topic.
        await self.transactions.write(lambda unit: unit.staff_rooms.set_thread(thread, now))
        raise StepDoneError

    async def topic_gone(self, scene: Scene, error: TopicGoneError) -> None:
        """The topic was closed or deleted: opened again, or forgotten so that a new one is made."""
        thread = scene.thread
        if thread is not None and "closed" in str(error).lower():
            await self._step(ReopenForumTopic(chat_id=scene.chat, message_thread_id=thread), scene.chat)
            return
        _log.info("staff_topic_gone", conversation_id=scene.conversation.id)
        room, conversation_id = str(scene.chat), scene.conversation.id

        def forget(unit: UnitOfWork) -> None:
            found = unit.staff_rooms.find_thread(room, conversation_id)
            # Another row may have made the new one meanwhile.
            if found is not None and found.thread_id == str(thread):
                unit.staff_rooms.forget_thread(room, conversation_id)

        await self.transactions.write(forget)

    # --- Cards ------------------------------------------------------------------------------------

    async def send_card(self, scene: Scene, forum: bool) -> str:
        """Sends the card of the case; returns its number."""
        if scene.case is None:
            raise NotFoundError("case")
        case_id = scene.case.id
        card, case = await self._card(case_id)
        token = secrets.token_urlsafe(16)
        markup = cards.keyboard(case, token)
        spot = Spot(scene.chat, scene.thread if forum else None)
        provider_id = await self.say(spot, card.text, card.entities, markup)
        self._remember_shown(scene.chat, provider_id, (card.text, markup))
        now, room, conversation_id = self.clock(), str(scene.chat), scene.conversation.id
        whole = {message.id for message in card.whole}
        lines = [
            RoomLine(room, provider_id, RoomLineKind.RELAYED, conversation_id, case_id, message.id)
            for message in card.whole
            # A line typed here stands where it was typed.
            if not typed_in_group(message)
        ]
        lines.insert(0, RoomLine(room, provider_id, RoomLineKind.CARD, conversation_id, case_id, None, token))

        def remember(unit: UnitOfWork) -> None:
            # Whatever is said or done to the case is either seen here or finds the card, never neither.
            unit.conversations.lock(conversation_id)
            for line in lines:
                unit.staff_rooms.remember_line(line, now)
            rows, after = RoomRows(unit, scene.chat, now), unit.cases.get(case_id)
            ask_for_unshown(rows, after, whole)
            if (after.state, after.staff_id) != (case.state, case.staff_id):
                # Whoever wanted to bring the card up to date meanwhile found none yet.
                rows.update_card(after, f"sent{provider_id}")

        await self.transactions.write(remember)
        return provider_id

    async def edit_card(self, scene: Scene, *, choosing: bool) -> None:
        """Makes the card show the case as it is now.

        Args:
            choosing: With the colleagues as buttons, instead of what can be done.

        Raises:
            NothingToEditError: The card is not there any more.
        """
        if scene.case is None or scene.card is None:
            raise NotFoundError("card")
        card, case = await self._card(scene.case.id)
        markup = cards.keyboard(case, scene.card.token)
        if choosing:
            linked = await self.transactions.read(lambda unit: unit.staff_accounts.find_linked("telegram"))
            markup = cards.colleagues(case, linked, scene.card.token)
        if self._shows(scene.chat, scene.card.provider_id, (card.text, markup)):
            return
        try:
            edit = EditMessageText(
                chat_id=scene.chat,
                message_id=int(scene.card.provider_id),
                text=card.text,
                entities=list(card.entities) or None,
                reply_markup=markup,
                link_preview_options=_NO_PREVIEW,
                parse_mode=None,
            )
            await self._with_plain_text(edit, scene.chat)
        except NotModifiedError:
            pass
        except OtherContentError as error:
            raise NotFoundError("card") from error
        self._remember_shown(scene.chat, scene.card.provider_id, (card.text, markup))

    async def _card(self, case_id: int) -> tuple[cards.Card, Case]:
        view = await self.staff_room.read_case(case_id)
        count = await self.transactions.read(
            lambda unit: len(unit.orders.find_of_contact(view.contact.id, cards.MOST_COUNTED))
        )
        return cards.card(view, count, self.zone, self._console_url), view.case

    def _shows(self, chat: int, provider_id: str, content: object) -> bool:
        return self._shown.get((chat, provider_id)) == hash(repr(content))

    def _remember_shown(self, chat: int, provider_id: str, content: object) -> None:
        self._shown[chat, provider_id] = hash(repr(content))
        self._shown.move_to_end((chat, provider_id))
        while len(self._shown) > _MOST_REMEMBERED:
            self._shown.popitem(last=False)
