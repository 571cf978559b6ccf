"""What is shown in the group, composed from hostile values: it always fits, and nothing of it acts."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from aiogram.types import MessageEntity
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.telegram.room.heard import commands
from bot.telegram.room.heard.commands import Command
from bot.telegram.room.shown import cards
from bot.telegram.room.shown.money import money
from bot.telegram.room.shown.shown_text import ShownText, cut, harmless
from bot.telegram.texts import units
from desk.values import (
    Author,
    Buyer,
    Case,
    CaseReason,
    CaseState,
    CaseView,
    Contact,
    Conversation,
    Delivery,
    Message,
    Order,
    OrderItem,
    OrderSnapshot,
    OrderStatus,
    Priority,
    Speaker,
)

NOW = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
SHANGHAI = ZoneInfo("Asia/Shanghai")
EVIL = (
    "\u202e<b>&\x00/close @admin 👨‍👩‍👧‍👦\u0301\u0301\u0301\u0301\u0301\u0301\ud800\n*_`[x](tg://user?id=1)"
)

# How long an example takes says something of the machine only.
UNHURRIED = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=5000) | st.just(EVIL * 200)


def view(words: str, *, state: CaseState = CaseState.WAITING, name: str = "小明") -> CaseView:
    """A case in which a customer filled in everything with the same words."""
    conversation = Conversation(7, "pub-lic_id", 7, 7, "telegram", Speaker.WAITING, 0, None, NOW)
    case = Case(
        1,
        "HY-1001",
        7,
        state,
        CaseReason.ANGER,
        words,
        Priority.URGENT,
        None,
        name,
        NOW - timedelta(days=400),
        None,
        None,
        None,
    )
    line = Message(1, 7, 1, Author.CUSTOMER, None, words, None, "", Delivery.SENT, None, NOW)
    by_staff = Message(2, 7, 2, Author.STAFF, name, words, None, "", Delivery.UNREACHABLE, None, NOW)
    snapshot = OrderSnapshot(
        words[:128], Buyer("b", name), (OrderItem("s", words, 2, 5900),) * 9, 11800, "CNY"
    )
    order = Order(1, snapshot, 7, OrderStatus.PAID, NOW, None)
    return CaseView(
        case=case,
        conversation=conversation,
        contact=Contact(7, "p", name, "", None, NOW),
        orders=[order] * 5,
        spent_minor=[("CNY", 11800), ("USD", 10**15), ("JPY", 3), ("EUR", 4)],
        lines=[line, by_staff] * 10,
        last_staff_line=by_staff,
        reachable=False,
        notes=3,
        seen_at=NOW,
    )


def is_well_formed(text: str, entities: list[MessageEntity], most: int = 4096) -> bool:
    """Whether Telegram would take it as it is: length, and borders between whole letters."""
    encoded = text.encode("utf-16-le")
    for entity in entities:
        part = encoded[entity.offset * 2 : (entity.offset + entity.length) * 2].decode("utf-16-le")
        if units(part) != entity.length or part != part.strip():
            return False
    return 0 < units(text) <= most


@UNHURRIED
@given(ANY_TEXT, ANY_TEXT, st.sampled_from(CaseState))
def test_a_card_fits_whatever_customers_write(words: str, name: str, state: CaseState) -> None:
    card = cards.card(view(words, state=state, name=name), 5, SHANGHAI, "https://shop.example")
    assert is_well_formed(card.text, list(card.entities))
    assert "HY-1001" in card.text.split("\n")[0]
    assert "未送达：客户停用了机器人" in card.text
    assert "在控制台打开" in card.text, "the console is never cut off"
    assert "/close" not in card.text
    assert "\u202e" not in card.text


@UNHURRIED
@given(ANY_TEXT)
def test_topics_have_a_name_of_1_to_128_characters(name: str) -> None:
    shown = cards.topic_name(view("x", name=name))
    assert 1 <= units(shown) <= 128
    assert not any(unicodedata.category(letter) in ("Cc", "Cs", "Co", "Zl", "Zp") for letter in shown)


@UNHURRIED
@given(ANY_TEXT, st.integers(1, 4096))
def test_texts_are_cut_between_whole_letters(text: str, most: int) -> None:
    assert units(cut(text, most)) <= most


@UNHURRIED
@given(st.lists(st.tuples(ANY_TEXT, st.booleans()), max_size=8), st.integers(1, 4096))
def test_entities_stand_where_their_words_are(parts: list[tuple[str, bool]], most: int) -> None:
    shown = ShownText(most)
    for text, bold in parts:
        shown.add(harmless(text), bold=bold)
    text, entities = shown.finished()
    assert units(text) <= most
    for entity in entities:
        assert entity.offset + entity.length <= units(text)


def test_nothing_in_a_customers_words_can_be_tapped() -> None:
    assert harmless("/close 现在 (/take) a/b https://x.y/z @li 你@好 mail@x.y") == (
        "／close 现在 (／take) a/b https://x.y/z ＠li 你@好 mail@x.y"
    )
    assert harmless("好\u202e\u200b的\x07") == "好的"
    assert harmless("一\r\n\n\n\n二") == "一\n\n二"
    assert harmless(" 一\n二 ", one_line=True) == "一 二"


def test_callback_data_stays_within_64_bytes() -> None:
    case = view("x").case
    for keyboard in (cards.keyboard(case, "t" * 22), cards.colleagues(case, [], "t" * 22)):
        assert keyboard is not None
        data = [button.callback_data or "" for row in keyboard.inline_keyboard for button in row]
        assert all(1 <= len(one.encode()) <= 64 for one in data)


def test_times_and_amounts_read_as_staff_read_them() -> None:
    assert cards.local_time(NOW, SHANGHAI, NOW) == "12:00"
    assert cards.local_time(NOW - timedelta(days=2), SHANGHAI, NOW) == "11-19 12:00"
    assert cards.local_time(NOW - timedelta(days=400), SHANGHAI, NOW) == "2025-10-17 12:00"
    assert [cards.waited(timedelta(minutes=minutes)) for minutes in (0, 5, 119, 120)] == [
        "1 分钟",
        "5 分钟",
        "119 分钟",
        "2 小时",
    ]
    amounts = [
        money(11800, "CNY"),
        money(-5, "CNY"),
        money(1234567, "USD"),
        money(500, "JPY"),
        money(1, "KWD"),
    ]
    assert amounts == ["¥118.00", "-¥0.05", "USD 12,345.67", "JPY 500", "KWD 0.001"]


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("/take", Command("take")),
        ("/CLOSE  好了 谢谢 ", Command("close", "好了 谢谢")),
        ("/note 第一行\n第二行", Command("note", "第一行\n第二行")),
        ("/take@huiyin_test_bot", Command("take")),
        ("/take@other_bot", Command("")),
        ("/你好", Command("?")),
        (" 接单 ", Command("take")),
        ("结案", Command("close")),
        ("备注：别忘了", Command("note", "别忘了")),
        ("备注 别忘了", Command("note", "别忘了")),
        ("转交 小王", Command("assign", "小王")),
        ("转交 给快递员之后 请告诉我", None),
        ("备注写错了", None),
        ("您好", None),
        ("我们已经结案", None),
    ],
)
def test_what_is_a_command_and_what_is_said_to_the_customer(text: str, command: Command | None) -> None:
    assert commands.read(text, "huiyin_test_bot") == command
