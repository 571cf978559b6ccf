"""What staff write in the group: words to customers, corrections, notes, commands, and links to accounts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aiogram.types import Message, User

from bot.telegram.attachments import attachments_of, words_of
from bot.telegram.room import wording
from bot.telegram.room.heard import commands
from bot.telegram.room.heard.acting import Complete, RoomActing, Tell
from bot.telegram.room.heard.commands import Command
from bot.telegram.room.room_rows import CHANNEL, RoomRows
from bot.telegram.room.unshown import TYPED_IN_GROUP
from desk.errors import NotFoundError
from desk.ports import UnitOfWork
from desk.staff_desk import StaffDesk
from desk.values import Case, CaseState, RoomLine, RoomLineKind, StaffMember

_ANONYMOUS = 1087968824
"""GroupAnonymousBot: whoever writes as the group itself (https://core.telegram.org/bots/api#message)."""
_ADDRESSES = frozenset(
    {RoomLineKind.CARD, RoomLineKind.RELAYED, RoomLineKind.NOTE_PROMPT, RoomLineKind.OTHER}
)
"""Lines that an answer to means the customer; an answer to a colleague's line is talk among staff."""


@dataclass(frozen=True, slots=True)
class _Where:
    """What a line in the group is about.

    Attributes:
        case: The open case of the customer, else the newest one.
        note_case: The case that a note was asked for, if the line answers that.
        said: The line itself, if it went to the customer before.
        answers_us: Whether it answers a line of the bot's own.
    """

    chat: int
    staff: StaffMember | None
    conversation_id: int | None
    case: Case | None
    note_case: Case | None
    said: RoomLine | None
    answers_us: bool


class StaffLines:
    """Hears lines of the group.

    Args:
        find_username: The bot's own name, once Telegram has told it.
    """

    def __init__(
        self, acting: RoomActing, staff_desk: StaffDesk, find_username: Callable[[], str | None]
    ) -> None:
        self._acting = acting
        self._staff_desk = staff_desk
        self._find_username = find_username

    async def hear(self, message: Message, complete: Complete) -> None:
        """A new line."""
        writer = message.from_user
        if writer is None or (writer.is_bot and writer.id != _ANONYMOUS):
            await self._acting.transactions.write(complete)
            return
        # Below a picture as well: a note that is a caption is still none of the customer's business.
        words = message.text or message.caption
        command = commands.read(words_of(message), self._find_username()) if words else None
        if command is not None and command.name == commands.LINK and writer.id != _ANONYMOUS:
            await self.link(message, command.rest, complete, privately=False)
            return
        where = await self._acting.transactions.read(lambda unit: self._where(unit, message, writer))
        is_meant = where.conversation_id is not None or (
            command is not None and command.name in commands.KNOWN
        )
        # What answers a line of ours is for a customer; that we do not know for whom must be told.
        is_meant = is_meant or (where.staff is not None and where.answers_us)
        if not is_meant or (command is not None and command.name == ""):
            # What staff say among themselves, or to another bot, is theirs.
            await self._acting.transactions.write(complete)
        elif where.staff is None:
            await self._refuse_stranger(message, writer, where, complete)
        elif where.conversation_id is None or where.case is None:
            code = "where" if where.conversation_id is None else "no_open_case"
            await self._acting.tell(lambda rows: self._teller(message, where)(rows, code), complete)
        elif where.note_case is not None:
            await self._note(message, where, where.staff, where.note_case, words_of(message), complete)
        elif command is not None:
            await self._command(message, where, where.staff, where.case, command, complete)
        else:
            await self._reply(message, where, where.staff, where.case, complete)

    async def hear_edit(self, message: Message, complete: Complete) -> None:
        """A line that its writer changed. Only what went to a customer is of interest."""
        writer = message.from_user
        where = None
        if writer is not None and not writer.is_bot:
            where = await self._acting.transactions.read(lambda unit: self._where(unit, message, writer))
        if where is None or where.said is None or where.staff is None:
            await self._acting.transactions.write(complete)
            return
        if commands.read(words_of(message), self._find_username()) is not None:
            # Made into a note, say, which is none of the customer's business.
            tell = self._teller(message, where)
            await self._acting.tell(lambda rows: tell(rows, "unknown_command"), complete)
            return
        case, staff = await self._case_of(where.said), where.staff
        revision = message.edit_date or 0

        async def deed(finish: Complete) -> None:
            try:
                await self._staff_desk.correct_reply(
                    case.number, staff, self._client_msg_id(message), words_of(message), revision, finish
                )
            except NotFoundError:
                # Said when the account was linked to somebody else; nobody's line to correct any more.
                await self._acting.transactions.write(complete)

        await self._acting.do(
            deed, complete, refused=self._teller(message, where), what="edit", case_id=case.id
        )

    async def link(self, message: Message, code: str, complete: Complete, *, privately: bool) -> None:
        """Makes a user act as the staff member whose code this is. In the group the code is taken away."""
        writer = message.from_user
        if writer is None or writer.is_bot:
            await self._acting.transactions.write(complete)
            return
        chat = message.chat.id if privately else None
        key = f"{message.chat.id}:{message.message_id}"

        def tell(rows: RoomRows, code: str, staff_id: int | None = None) -> None:
            thread, reply_to = _thread(message), message.message_id
            if privately:
                rows.say(code, key, chat=chat, reply_to=reply_to, staff_id=staff_id)
                return
            rows.say(code, key, thread=thread, reply_to=reply_to, staff_id=staff_id)
            rows.take_away(message.message_id)

        if not code:
            await self._acting.tell(lambda rows: tell(rows, "link_how"), complete)
            return

        def done(rows: RoomRows) -> None:
            staff = rows.unit.staff_accounts.find(CHANNEL, str(writer.id))
            tell(rows, "linked", None if staff is None else staff.id)

        await self._acting.do(
            lambda finish: self._staff_desk.link_account(code, CHANNEL, str(writer.id), finish),
            complete,
            done=done,
            refused=tell,
            what="link",
        )

    # --- What a line can ask for ------------------------------------------------------------------

    async def _reply(
        self, message: Message, where: _Where, staff: StaffMember, case: Case, complete: Complete
    ) -> None:
        if case.state is CaseState.CLOSED:
            # The parts of an album are refused once.
            await self._acting.tell(lambda rows: self._teller(message, where)(rows, "no_open_case"), complete)
            return
        client_msg_id = self._client_msg_id(message)

        def done(rows: RoomRows) -> None:
            # Found by its key, since a transaction that runs again has made it anew.
            found = rows.unit.conversations.find_staff_lines(case.conversation_id, staff.id, client_msg_id)
            if found:
                line = RoomLine(
                    str(message.chat.id),
                    str(message.message_id),
                    RoomLineKind.SAID,
                    case.conversation_id,
                    case.id,
                    found[0].id,
                )
                rows.unit.staff_rooms.remember_line(line, rows.now)

        await self._acting.do(
            lambda finish: self._staff_desk.reply(
                case.number, staff, words_of(message), client_msg_id, attachments_of(message), finish
            ),
            complete,
            done=done,
            refused=self._teller(message, where),
            what="reply",
            case_id=case.id,
        )

    async def _note(
        self,
        message: Message,
        where: _Where,
        staff: StaffMember,
        case: Case,
        text: str,
        complete: Complete,
    ) -> None:
        await self._acting.do(
            lambda finish: self._staff_desk.add_note(case.number, staff, text, finish),
            complete,
            done=lambda rows: rows.confirm(message.message_id),
            refused=self._teller(message, where),
            what="note",
            case_id=case.id,
        )

    async def _command(
        self,
        message: Message,
        where: _Where,
        staff: StaffMember,
        case: Case,
        command: Command,
        complete: Complete,
    ) -> None:
        tell = self._teller(message, where)
        desk, number = self._staff_desk, case.number
        if command.name == commands.NOTE and command.rest:
            await self._note(message, where, staff, case, command.rest, complete)
            return
        if command.name == commands.ASSIGN and command.rest:
            to = await self._find_colleague(command.rest)
            if to is None:
                await self._acting.tell(lambda rows: tell(rows, "no_colleague"), complete)
                return
            to_id = to.id
            await self._acting.do(
                lambda finish: desk.hand_over(number, staff, to_id, finish),
                complete,
                done=lambda rows: rows.confirm(message.message_id),
                refused=tell,
                what="hand_over",
                case_id=case.id,
            )
            return
        if command.name == commands.CLOSE and case.state is not CaseState.CLOSED:
            await self._acting.do(
                lambda finish: desk.close_case(number, staff, command.rest[:500], finish),
                complete,
                done=lambda rows: rows.confirm(message.message_id),
                refused=tell,
                what="close",
                case_id=case.id,
            )
            return
        if command.name == commands.TAKE:
            await self._acting.do(
                lambda finish: desk.take_case(number, staff, finish),
                complete,
                done=lambda rows: rows.confirm(message.message_id),
                refused=tell,
                what="take",
                case_id=case.id,
            )
            return
        codes = {commands.NOTE: "note_how", commands.ASSIGN: "assign_how", commands.CLOSE: "closed_already"}
        code = codes.get(command.name, "unknown_command")
        await self._acting.tell(lambda rows: tell(rows, code), complete)

    async def _refuse_stranger(
        self, message: Message, writer: User, where: _Where, complete: Complete
    ) -> None:
        """Whoever is not linked is told how, once a day; nothing else of theirs is looked at."""
        code = "anonymous" if writer.id == _ANONYMOUS else "unlinked"

        def tell(rows: RoomRows) -> None:
            rows.say(
                code,
                f"{writer.id}:{rows.now.date().isoformat()}",
                conversation_id=where.conversation_id,
                thread=_thread(message),
                reply_to=message.message_id,
            )

        await self._acting.tell(tell, complete)

    # --- What a line is about ---------------------------------------------------------------------

    def _where(self, unit: UnitOfWork, message: Message, writer: User) -> _Where:
        chat = self._acting.place.find_chat(unit)
        room = str(message.chat.id)
        thread, answered = _thread(message), message.reply_to_message
        lines: list[RoomLine] = []
        # In a topic every line "answers" the one that created the topic.
        if answered is not None and answered.message_id != thread:
            found = unit.staff_rooms.find_lines(room, str(answered.message_id))
            lines = [line for line in found if line.kind in _ADDRESSES]
        conversation_id = None
        if thread is not None:
            conversation_id = unit.staff_rooms.find_conversation_id(room, str(thread))
        if conversation_id is None and lines:
            # The newest: a number may have been another line's before, as told by another bot.
            conversation_id = lines[-1].conversation_id
        case = None
        if conversation_id is not None:
            case = unit.cases.find_open(conversation_id) or unit.cases.find_newest(conversation_id)
        asked = next((line for line in lines if line.kind is RoomLineKind.NOTE_PROMPT), None)
        note_case = unit.cases.get(asked.case_id) if asked is not None and asked.case_id is not None else None
        if note_case is None and not lines and answered is not None:
            note_case = self._asked_unknown(unit, answered)
        if note_case is not None and conversation_id is None:
            conversation_id, case = note_case.conversation_id, note_case
        elif note_case is not None and note_case.conversation_id != conversation_id:
            note_case = None
        own = unit.staff_rooms.find_lines(room, str(message.message_id))
        return _Where(
            chat,
            unit.staff_accounts.find(CHANNEL, str(writer.id)),
            conversation_id,
            case,
            note_case,
            next((line for line in own if line.kind is RoomLineKind.SAID), None),
            answered is not None and answered.message_id != thread and self._is_ours(answered),
        )

    def _asked_unknown(self, unit: UnitOfWork, answered: Message) -> Case | None:
        """The case that our own line asks a note for, should its number have got lost on the way back to us.

        Otherwise the note would go to the customer.
        """
        if not self._is_ours(answered):
            return None
        number = wording.asked_for_note(answered.text or "")
        return None if number is None else unit.cases.find_by_number(number)

    def _is_ours(self, line: Message) -> bool:
        return line.from_user is not None and line.from_user.id == self._acting.place.bot_id

    def _client_msg_id(self, message: Message) -> str:
        # In a small group each bot counts the messages by itself.
        return f"{TYPED_IN_GROUP}{self._acting.place.bot_id}:{message.chat.id}:{message.message_id}"

    async def _case_of(self, line: RoomLine) -> Case:
        def read(unit: UnitOfWork) -> Case:
            if line.case_id is None:
                raise NotFoundError("case")
            return unit.cases.get(line.case_id)

        return await self._acting.transactions.read(read)

    async def _find_colleague(self, name: str) -> StaffMember | None:
        """By login or name; None when nobody, or more than one, is called so."""
        wanted = name.removeprefix("@").casefold()
        linked = await self._staff_desk.find_linked(CHANNEL)
        by_login = [member for member in linked if member.login.casefold() == wanted]
        found = by_login or [member for member in linked if member.name.casefold() == wanted]
        return found[0] if len(found) == 1 else None

    @staticmethod
    def _teller(message: Message, where: _Where) -> Tell:
        """Answers the line where it stands, once for all parts of an album."""
        key = message.media_group_id or f"{message.message_id}"
        if message.edit_date is not None:
            key = f"{key}:{message.edit_date}"

        def tell(rows: RoomRows, code: str) -> None:
            rows.say(
                code,
                f"{message.chat.id}:{key}",
                conversation_id=where.conversation_id,
                case_id=None if where.case is None else where.case.id,
                thread=_thread(message),
                reply_to=message.message_id,
            )

        return tell


def _thread(message: Message) -> int | None:
    return message.message_thread_id if message.is_topic_message else None
