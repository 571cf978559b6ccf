"""The card of a case: who, order, value, why, evidence, last messages, and buttons. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup, MessageEntity

from bot.telegram.room import wording
from bot.telegram.room.shown.money import money
from bot.telegram.room.shown.shown_text import ShownText, cut, harmless
from bot.telegram.texts import LONGEST_TEXT, units
from desk.values import (
    Attachment,
    Author,
    Case,
    CaseState,
    CaseView,
    Message,
    Order,
    StaffMember,
)

ORDERS_SHOWN = 3
MOST_COUNTED = 100
"""Orders are counted up to here."""
LINES_SHOWN = 6
ITEMS_SHOWN = 3
_NAME_UNITS = 64
_ID_UNITS = 40
_EVIDENCE_UNITS = 300
_ITEM_UNITS = 40
_ORDER_UNITS = 300
_LINE_UNITS = 400
_CURRENCIES_SHOWN = 3
_TOPIC_UNITS = 100
_COLLEAGUES_SHOWN = 30
_BUTTON_UNITS = 40


@dataclass(frozen=True, slots=True)
class Card:
    """A card ready to be sent.

    Attributes:
        whole: Messages that stand on it with all their words, so they need not be relayed again.
    """

    text: str
    entities: Sequence[MessageEntity]
    whole: Sequence[Message] = ()


def card(view: CaseView, order_count: int, zone: tzinfo, console_url: str) -> Card:
    """What staff see of a case, the most important things first, in at most 4,096 UTF-16 units.

    Args:
        order_count: How many orders the contact has; ``MOST_COUNTED`` means at least so many.
        zone: The shop's time zone, in which all times are given.
        console_url: Address of the console without a slash at its end, or empty for no link.
    """
    case = view.case
    shown = ShownText(LONGEST_TEXT)
    mark = wording.CLOSED_MARK if case.state is CaseState.CLOSED else wording.MARK[case.priority]
    shown.add(f"{mark} {case.number}", bold=True)
    shown.add(f" {wording.PRIORITY[case.priority]} · {_state(view, zone)}")
    who = wording.WHO.format(
        name=customer_name(view), channel=wording.CHANNEL.get(view.conversation.channel, "")
    )
    shown.add("\n" + who.removesuffix(" · ") + ("" if view.reachable else wording.UNREACHABLE_MARK))
    shown.add("\n" + wording.WHY.format(reason=wording.REASON[case.reason]))
    evidence = harmless(case.evidence, one_line=True)
    if evidence:
        shown.add(wording.EVIDENCE.format(evidence=cut(evidence, _EVIDENCE_UNITS)))
    if view.last_staff_line is not None:
        shown.add("\n" + last_reply(view.last_staff_line, view.seen_at, zone))
    shown.add("\n" + _value(view, order_count))
    for order in view.orders[:ORDERS_SHOWN]:
        shown.add("\n" + _order(order), most=_ORDER_UNITS)
    whole = _add_lines(shown, view, zone)
    if view.notes:
        shown.add("\n" + wording.NOTES.format(count=view.notes))
    if console_url:
        shown.add("\n")
        shown.add(wording.CONSOLE, link=f"{console_url}/console/cases/{case.number}")
    return Card(*shown.finished(), whole)


def customer_name(view: CaseView) -> str:
    """What the customer is called, fit to be shown."""
    return shown_name(view.contact.name)


def shown_name(name: str, otherwise: str = wording.NAMELESS) -> str:
    """A name in one line without anything hidden; ``otherwise`` when nothing of it is left."""
    return cut(harmless(name, one_line=True), _NAME_UNITS) or otherwise


def topic_name(view: CaseView) -> str:
    """The name of the customer's topic, 1 to 128 characters
    (https://core.telegram.org/bots/api#createforumtopic)."""
    short = "".join(letter for letter in view.conversation.public_id if letter.isalnum())[:6]
    return cut(f"{customer_name(view)} · {short or view.conversation.id}", _TOPIC_UNITS)


def keyboard(case: Case, token: str) -> InlineKeyboardMarkup | None:
    """The buttons of a card by the state of its case; none once it is closed."""
    rows: list[list[tuple[str, str]]] = {
        CaseState.WAITING: [
            [(wording.TAKE, "take"), (wording.CLOSE, "close")],
            [(wording.HAND_OVER, "hand"), (wording.NOTE, "note")],
        ],
        CaseState.WITH_PERSON: [
            [(wording.CLOSE, "close"), (wording.HAND_OVER, "hand"), (wording.NOTE, "note")]
        ],
        CaseState.CLOSED: [],
    }[case.state]
    return _buttons(rows, token) if rows else None


def colleagues(case: Case, staff: Sequence[StaffMember], token: str) -> InlineKeyboardMarkup | None:
    """The buttons of a card while a colleague is chosen: everybody who could get the case."""
    if case.state is CaseState.CLOSED:
        return None
    others = [member for member in staff if member.id != case.staff_id][:_COLLEAGUES_SHOWN]
    named = [(cut(shown_name(one.name, one.login), _BUTTON_UNITS), f"to:{one.id}") for one in others]
    rows = [named[start : start + 2] for start in range(0, len(named), 2)]
    return _buttons([*rows, [(wording.BACK, "back")]], token)


def _buttons(rows: Sequence[Sequence[tuple[str, str]]], token: str) -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup(
        inline_keyboard=[
            [InlineKeyboardButton(text=label, callback_data=f"{token}:{action}") for label, action in row]
            for row in rows
        ]
    )


def last_reply(line: Message, now: datetime, zone: tzinfo) -> str:
    """The delivery line: 「最近回复 12:03 已送达」."""
    return wording.LAST_REPLY.format(
        at=local_time(line.created_at, zone, now), delivery=wording.DELIVERY[line.delivery]
    )


def local_time(at: datetime, zone: tzinfo, now: datetime) -> str:
    """``14:05`` today, ``11-20 14:05`` this year, else ``2025-11-20 14:05``."""
    here, today = at.astimezone(zone), now.astimezone(zone)
    if here.date() == today.date():
        return here.strftime("%H:%M")
    return here.strftime("%m-%d %H:%M" if here.year == today.year else "%Y-%m-%d %H:%M")


def waited(for_: timedelta) -> str:
    """``5 分钟``; from two hours on in hours."""
    minutes = max(1, int(for_.total_seconds() // 60))
    if minutes < 120:
        return wording.MINUTES.format(count=minutes)
    return wording.HOURS.format(count=minutes // 60)


def describe(attachments: Sequence[Attachment]) -> str:
    """What came with words, such as ``[图片]``."""
    return "".join(wording.ATTACHMENT[attachment.kind.value] for attachment in attachments)


def _state(view: CaseView, zone: tzinfo) -> str:
    case = view.case
    since = {
        CaseState.WAITING: case.opened_at,
        CaseState.WITH_PERSON: case.taken_at,
        CaseState.CLOSED: case.closed_at,
    }[case.state]
    at = local_time(since or case.opened_at, zone, view.seen_at)
    if case.state is CaseState.CLOSED and case.staff_id is None:
        return wording.CLOSED_UNTAKEN.format(at=at)
    return wording.STATE[case.state].format(at=at, name=shown_name(case.staff_name or "", "同事"))


def _value(view: CaseView, order_count: int) -> str:
    if order_count == 0:
        return wording.NO_ORDERS
    spent = "、".join(money(amount, currency) for currency, amount in view.spent_minor[:_CURRENCIES_SHOWN])
    count = str(order_count) if order_count < MOST_COUNTED else wording.MORE_ORDERS.format(count=MOST_COUNTED)
    return wording.VALUE.format(spent=spent or "¥0.00", count=count)


def _order(order: Order) -> str:
    snapshot = order.snapshot
    items = "、".join(
        wording.ITEM.format(name=cut(harmless(item.name, one_line=True), _ITEM_UNITS), quantity=item.quantity)
        for item in snapshot.items[:ITEMS_SHOWN]
    )
    if len(snapshot.items) > ITEMS_SHOWN:
        items += wording.MORE_ITEMS.format(count=len(snapshot.items))
    return wording.ORDER.format(
        number=cut(harmless(snapshot.external_id, one_line=True), _ID_UNITS),
        status=wording.STATUS[order.status],
        amount=money(snapshot.amount_minor, snapshot.currency),
        items=items,
    )


def _add_lines(shown: ShownText, view: CaseView, zone: tzinfo) -> list[Message]:
    """Adds the newest lines that fit, oldest first; returns those of people that are whole."""
    lines = [line for line in view.lines if line.author is not Author.SYSTEM][-LINES_SHOWN:]
    if not lines:
        return []
    reserve = 200
    room = shown.left - reserve - units(wording.LINES) - 1
    fitting: list[tuple[str, Message, bool]] = []
    for line in reversed(lines):
        words = harmless(line.text, one_line=True)
        said = " ".join(part for part in (describe(line.attachments), words) if part)
        entry = "\n" + wording.LINE.format(
            at=local_time(line.created_at, zone, view.seen_at), who=_author(line), text=said
        )
        short = cut(entry, _LINE_UNITS)
        if units(short) > room:
            break
        room -= units(short)
        fitting.append((short, line, short == entry))
    if not fitting:
        return []
    shown.add("\n" + wording.LINES)
    for entry, _, _ in reversed(fitting):
        shown.add(entry)
    return [
        line
        for _, line, is_whole in fitting
        if is_whole and line.author in (Author.CUSTOMER, Author.STAFF) and not line.attachments
    ]


def _author(line: Message) -> str:
    if line.author is Author.STAFF and line.staff_name:
        return shown_name(line.staff_name)
    return wording.AUTHOR[line.author]
