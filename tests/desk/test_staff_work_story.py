"""What staff do for customers on any channel: reply with pictures, correct, hand over; and who they are."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from messenger_rig import PHOTO, FakeMessenger, Friend, events_of, play_messenger
from shop import Shop, play

from desk import wording
from desk.errors import (
    AlreadyTakenError,
    ConflictError,
    InvalidInputError,
    NotAllowedError,
    NotFoundError,
    OutcomeUnknownError,
    TooFastError,
    UnreachableError,
)
from desk.ports import UnitOfWork
from desk.staff_room import StaffRoom
from desk.values import (
    Author,
    Case,
    CaseState,
    ChannelCapabilities,
    Delivery,
    Role,
    RoomLine,
    RoomLineKind,
    RoomThread,
    Speaker,
    StaffMember,
)

RICH = ChannelCapabilities(media=True, edits=True)
MINUTE = timedelta(minutes=1)


async def waiting_case(shop: Shop, friend: Friend) -> Case:
    await friend.says("转人工", "1")
    case = await shop.run(lambda unit: unit.cases.find_open(friend.talk.id))
    assert case is not None
    return case


async def audit_of(shop: Shop) -> list[tuple[int | None, str, str, str]]:
    page = await shop.reports(lambda reports: reports.audit(1000, 0))
    return [(line.staff_id, line.action, line.subject, line.detail) for line in reversed(page.rows)]


# --- Replies with pictures ----------------------------------------------------------------------------------


def test_staff_send_a_picture_with_or_without_words(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger, friend: Friend) -> None:
        case, staff = await waiting_case(shop, friend), await shop.staff()
        with pytest.raises(InvalidInputError):
            await shop.staff_desk.reply(case.number, staff, "  ", "s-0")
        await shop.staff_desk.reply(case.number, staff, "", "s-1", (PHOTO,))
        await shop.staff_desk.reply(case.number, staff, "换这一款", "s-2", (PHOTO,))
        assert await shop.staff_desk.reply(case.number, staff, "", "s-1", (PHOTO,)) is None
        await shop.settle()
        left = [(sent.text, sent.attachments) for sent in messenger.sent[-2:]]
        assert left == [("", (PHOTO,)), ("换这一款", (PHOTO,))]
        told = await events_of(shop, "message")
        assert [event.payload.get("number") for event in told] == [None, case.number, case.number]
        by_staff = await friend.lines(Author.STAFF)
        assert [event.payload["message_id"] for event in told[1:]] == [line.id for line in by_staff]
        assert {event.case_id for event in told} == {case.id}

    play_messenger(tmp_path, story, RICH)


def test_a_channel_that_carries_text_only_refuses_pictures_and_the_case_stays_as_it_is(
    tmp_path: Path,
) -> None:
    async def story(shop: Shop, messenger: FakeMessenger, friend: Friend) -> None:
        case, staff = await waiting_case(shop, friend), await shop.staff()
        with pytest.raises(InvalidInputError) as refused:
            await shop.staff_desk.reply(case.number, staff, "看图", "s-1", (PHOTO,))
        assert refused.value.field == "attachments"
        assert (await shop.run(lambda unit: unit.cases.get(case.id))).state is CaseState.WAITING

    play_messenger(tmp_path, story)


def test_a_desk_that_knows_no_capabilities_carries_text_only(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer, staff = await shop.customer(), await shop.staff()
        await customer.says("转人工")
        with pytest.raises(InvalidInputError):
            await shop.staff_desk.reply("HY-1001", staff, "看图", "s-1", (PHOTO,))

    play(tmp_path, story)


# --- What became of a line ------------------------------------------------------------------------------------


def test_staff_see_whether_their_line_arrived(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger, friend: Friend) -> None:
        case, staff = await waiting_case(shop, friend), await shop.staff()
        await shop.staff_desk.take_case(case.number, staff)
        await shop.settle()
        await shop.staff_desk.reply(case.number, staff, "您好", "s-1")
        await shop.settle()
        messenger.failures = [OutcomeUnknownError("lost"), OutcomeUnknownError("lost")]
        await shop.staff_desk.reply(case.number, staff, "在吗", "s-2")
        await shop.settle()
        await shop.later(MINUTE)
        messenger.failures = [UnreachableError("bot was blocked")]
        await shop.staff_desk.reply(case.number, staff, "再见", "s-3")
        await shop.settle()
        lines = await shop.run(lambda unit: unit.conversations.find_latest(friend.talk.id, 3))
        told = await events_of(shop, "delivery", "reachable")
        assert [
            (event.kind, event.payload.get("message_id"), event.payload.get("delivery")) for event in told
        ] == [
            ("delivery", lines[0].id, "sent"),
            ("delivery", lines[1].id, "uncertain"),
            ("reachable", None, None),
            ("delivery", lines[2].id, "unreachable"),
        ]
        assert {event.case_id for event in told} == {case.id}

    play_messenger(tmp_path, story, RICH)


def test_a_line_that_leaves_after_the_case_was_closed_is_still_told(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger, friend: Friend) -> None:
        case, staff = await waiting_case(shop, friend), await shop.staff()
        message = await shop.staff_desk.reply(case.number, staff, "您好", "s-1")
        assert message is not None
        await shop.staff_desk.close_case(case.number, staff, "好了")
        await shop.settle()
        [event] = await events_of(shop, "delivery")
        assert (event.case_id, event.payload) == (case.id, {"message_id": message.id, "delivery": "sent"})

    play_messenger(tmp_path, story, RICH)


def test_what_the_bot_says_is_told_to_nobody(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger, friend: Friend) -> None:
        await friend.says("怎么退货", "1")
        messenger.failures = [UnreachableError("bot was blocked")]
        await friend.says("怎么退货", "2")
        assert await events_of(shop, "delivery") == []

    play_messenger(tmp_path, story, RICH)


# --- Corrections ------------------------------------------------------------------------------------------------


async def said(shop: Shop, friend: Friend, staff: StaffMember, text: str = "三天到") -> Case:
    case = await waiting_case(shop, friend)
    await shop.staff_desk.reply(case.number, staff, text, "s-1")
    await shop.settle()
    return case


def test_a_line_that_has_not_left_is_changed_where_it_waits(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger, friend: Friend) -> None:
        case, staff = await waiting_case(shop, friend), await shop.staff()
        await shop.staff_desk.reply(case.number, staff, "三天到", "s-1")
        assert await shop.staff_desk.correct_reply(case.number, staff, "s-1", "五天到", 1)
        assert not await shop.staff_desk.correct_reply(case.number, staff, "s-1", "五天到", 1)
        await shop.settle()
        assert messenger.texts[-1] == "五天到"
        assert [line.text for line in await friend.lines(Author.STAFF)] == ["五天到"]
        [event] = await events_of(shop, "message_edited")
        assert event.payload["message_id"] == event.payload["edits"]
        assert [line[1] for line in await audit_of(shop)].count("case.correct") == 1

    play_messenger(tmp_path, story, RICH)


def test_a_line_that_arrived_is_corrected_in_place_where_the_channel_can(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger, friend: Friend) -> None:
        staff = await shop.staff()
        case = await said(shop, friend, staff)
        for revision, text in ((1, "五天到"), (1, "五天到"), (2, "三天到")):
            await shop.staff_desk.correct_reply(case.number, staff, "s-1", text, revision)
            await shop.settle()
        first, second, third = await friend.lines(Author.STAFF)
        assert [second.text, third.text] == ["五天到", "三天到"]
        assert {second.edits_message_id, third.edits_message_id} == {first.id}
        left = [(sent.text, sent.edits_message_id, sent.edits_provider_id) for sent in messenger.sent[-2:]]
        provider_id = await shop.run(lambda unit: unit.outbox.get_provider_id(first.id))
        assert provider_id
        assert left == [("五天到", first.id, provider_id), ("三天到", first.id, provider_id)]
        told = [event.payload for event in await events_of(shop, "message_edited")]
        assert [(each["message_id"], each["edits"]) for each in told] == [
            (second.id, first.id),
            (third.id, first.id),
        ]

    play_messenger(tmp_path, story, RICH)


def test_where_the_channel_cannot_edit_a_new_line_says_that_it_corrects(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger, friend: Friend) -> None:
        staff = await shop.staff()
        case = await said(shop, friend, staff)
        assert not await shop.staff_desk.correct_reply(case.number, staff, "s-1", "三天到", 1)
        assert await shop.staff_desk.correct_reply(case.number, staff, "s-1", "五天到", 2)
        assert not await shop.staff_desk.correct_reply(case.number, staff, "s-1", "五天到", 2)
        # Not left yet: the correction itself is brought up to date.
        assert await shop.staff_desk.correct_reply(case.number, staff, "s-1", "{六}天到", 3)
        await shop.settle()
        assert messenger.texts[-1] == "更正：{六}天到"
        assert await shop.staff_desk.correct_reply(case.number, staff, "s-1", "三天到", 4)
        await shop.settle()
        assert messenger.texts[-2:] == ["更正：{六}天到", "更正：三天到"]

    play_messenger(tmp_path, story)


def test_the_same_revision_with_other_words_is_not_sent_again(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger, friend: Friend) -> None:
        staff = await shop.staff()
        case = await said(shop, friend, staff)
        assert await shop.staff_desk.correct_reply(case.number, staff, "s-1", "五天到", 1)
        await shop.settle()
        assert not await shop.staff_desk.correct_reply(case.number, staff, "s-1", "六天到", 1)

    play_messenger(tmp_path, story, RICH)


def test_only_a_line_of_ones_own_in_an_open_case_can_be_corrected(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger, friend: Friend) -> None:
        staff = await shop.staff()
        case = await said(shop, friend, staff)
        lead = await shop.staff("zhang", Role.LEAD, "张姐")
        for who, line in ((lead, "s-1"), (staff, "s-9")):
            with pytest.raises(NotFoundError):
                await shop.staff_desk.correct_reply(case.number, who, line, "五天到", 1)
        colleague = await shop.staff("zhao", Role.AGENT, "小赵")
        with pytest.raises(AlreadyTakenError):
            await shop.staff_desk.correct_reply(case.number, colleague, "s-1", "五天到", 1)
        with pytest.raises(InvalidInputError):
            await shop.staff_desk.correct_reply(case.number, staff, "s-1", " ", 1)
        await shop.staff_desk.reply(case.number, staff, "看图", "s-2", (PHOTO,))
        assert await shop.staff_desk.correct_reply(case.number, staff, "s-2", "", 1)
        await shop.staff_desk.close_case(case.number, staff, "好了")
        with pytest.raises(ConflictError):
            await shop.staff_desk.correct_reply(case.number, staff, "s-1", "五天到", 1)

    play_messenger(tmp_path, story, RICH)


# --- Handing over ------------------------------------------------------------------------------------------------


def test_a_case_is_handed_to_a_colleague_and_back(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger, friend: Friend) -> None:
        case, li = await waiting_case(shop, friend), await shop.staff()
        zhao = await shop.staff("zhao", Role.AGENT, "小赵")
        await shop.staff_desk.take_case(case.number, li)
        handed = await shop.staff_desk.hand_over(case.number, li, zhao.id)
        assert (handed.staff_name, handed.state) == ("小赵", CaseState.WITH_PERSON)
        # It is no longer theirs to hand over, but a second press of the new owner changes nothing.
        with pytest.raises(AlreadyTakenError):
            await shop.staff_desk.hand_over(case.number, li, li.id)
        assert (await shop.staff_desk.hand_over(case.number, zhao, zhao.id)).staff_name == "小赵"
        await shop.later(MINUTE)
        await shop.staff_desk.hand_over(case.number, zhao, li.id)
        await shop.later(MINUTE)
        await shop.staff_desk.hand_over(case.number, li, zhao.id)
        await shop.settle()
        assert messenger.texts[-4:] == [
            wording.PERSON_JOINED.format(name="小李"),
            wording.PERSON_HANDED_OVER.format(name="小赵"),
            wording.PERSON_HANDED_OVER.format(name="小李"),
            wording.PERSON_HANDED_OVER.format(name="小赵"),
        ]
        told = await events_of(shop, "case_handed_over")
        assert [event.payload for event in told] == [
            {"number": case.number, "to": name} for name in ("小赵", "小李", "小赵")
        ]
        assert (li.id, "case.hand_over", case.number, f"staff:{zhao.id}") in await audit_of(shop)

    play_messenger(tmp_path, story)


def test_a_waiting_case_handed_to_somebody_is_theirs_and_nobody_is_alerted_any_more(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger, friend: Friend) -> None:
        case, li = await waiting_case(shop, friend), await shop.staff()
        zhao = await shop.staff("zhao", Role.AGENT, "小赵")
        await shop.staff_desk.hand_over(case.number, li, zhao.id)
        alerts = len(await events_of(shop, "case_alert"))
        await shop.later(30 * MINUTE)
        assert len(await events_of(shop, "case_alert")) == alerts
        assert messenger.texts[-1] == wording.PERSON_JOINED.format(name="小赵")
        talk = await shop.run(lambda unit: unit.conversations.get(friend.talk.id))
        assert talk.speaker is Speaker.PERSON

    play_messenger(tmp_path, story)


def test_who_may_hand_over_and_to_whom(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger, friend: Friend) -> None:
        case, li = await waiting_case(shop, friend), await shop.staff()
        zhao = await shop.staff("zhao", Role.AGENT, "小赵")
        lead = await shop.staff("zhang", Role.LEAD, "张姐")
        gone = await shop.staff("qian", Role.AGENT, "小钱")
        await shop.staff_desk.change_staff(gone.id, None, disabled=True)
        with pytest.raises(ConflictError):
            await shop.staff_desk.hand_over(case.number, li, gone.id)
        with pytest.raises(NotFoundError):
            await shop.staff_desk.hand_over(case.number, li, 999)
        await shop.staff_desk.take_case(case.number, zhao)
        assert (await shop.staff_desk.hand_over(case.number, lead, li.id)).staff_name == "小李"
        await shop.staff_desk.close_case(case.number, li, "好了")
        with pytest.raises(ConflictError):
            await shop.staff_desk.hand_over(case.number, lead, zhao.id)
        with pytest.raises(NotAllowedError):
            await shop.staff_desk.hand_over(case.number, zhao, zhao.id)

    play_messenger(tmp_path, story)


# --- Together with what asked for it --------------------------------------------------------------------------------


def test_each_act_and_the_item_that_asked_for_it_are_stored_together_or_not_at_all(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger, friend: Friend) -> None:
        case, li = await waiting_case(shop, friend), await shop.staff()
        zhao = await shop.staff("zhao", Role.AGENT, "小赵")
        code = (await shop.staff_desk.make_link_code(li.id, None)).code
        desk = shop.staff_desk
        refused: list[str] = []

        def lane_is_lost(unit: UnitOfWork) -> None:
            raise ConnectionError

        acts = {
            "take": lambda done: desk.take_case(case.number, li, complete=done),
            "reply": lambda done: desk.reply(case.number, li, "您好", "s-1", complete=done),
            "correct": lambda done: desk.correct_reply(case.number, li, "s-1", "您好呀", 1, complete=done),
            "note": lambda done: desk.add_note(case.number, li, "老客户", complete=done),
            "hand over": lambda done: desk.hand_over(case.number, li, zhao.id, complete=done),
            "close": lambda done: desk.close_case(case.number, zhao, "好了", complete=done),
            "link": lambda done: desk.link_account(code, "messenger", "u-7", complete=done),
        }
        for name, act in acts.items():
            before = await audit_of(shop)
            with pytest.raises(ConnectionError):
                await act(lane_is_lost)
            assert await audit_of(shop) == before
            done: list[str] = []
            await act(lambda unit, done=done, name=name: done.append(name))
            assert done == [name]
            assert len(await audit_of(shop)) == len(before) + 1
            refused.append(name)
        assert refused == list(acts)

    play_messenger(tmp_path, story, RICH)


# --- Acting on a channel ---------------------------------------------------------------------------------------------


def test_a_code_makes_a_user_of_the_channel_act_as_a_staff_member_once(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        desk, li = shop.staff_desk, await shop.staff()
        assert await desk.find_by_account("messenger", "u-7") is None
        old = await desk.make_link_code(li.id, li)
        code = await desk.make_link_code(li.id, li)
        assert len(code.code) == 10
        assert code.expires_at - shop.clock() == timedelta(minutes=30)
        with pytest.raises(NotFoundError):
            await desk.link_account(old.code, "messenger", "u-7")
        typed = f" {code.code[:5].lower()}-{code.code[5:].replace('0', 'O').replace('1', 'l')}"
        assert await desk.link_account(typed, "messenger", "u-7") == li
        assert await desk.find_by_account("messenger", "u-7") == li
        assert await desk.find_linked("messenger") == [li]
        with pytest.raises(NotFoundError):
            await desk.link_account(code.code, "messenger", "u-8")
        assert await desk.unlink_account(li.id, "messenger", li) == 1
        assert await desk.unlink_account(li.id, "messenger", None) == 0
        assert await desk.find_by_account("messenger", "u-7") is None
        assert [line for line in await audit_of(shop) if "link" in line[1]] == [
            (li.id, "staff.link_code", f"staff:{li.id}", ""),
            (li.id, "staff.link_code", f"staff:{li.id}", ""),
            (li.id, "staff.link", f"staff:{li.id}", "messenger"),
            (li.id, "staff.unlink", f"staff:{li.id}", "messenger"),
        ]

    play(tmp_path, story)


def test_codes_run_out_and_are_made_by_the_person_or_an_admin_only(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        desk, li = shop.staff_desk, await shop.staff()
        lead = await shop.staff("zhang", Role.LEAD, "张姐")
        admin = await shop.staff("boss", Role.ADMIN, "老板")
        for act in (
            lambda by: desk.make_link_code(li.id, by),
            lambda by: desk.unlink_account(li.id, "messenger", by),
        ):
            with pytest.raises(NotAllowedError):
                await act(lead)
            await act(admin)
        code = await desk.make_link_code(li.id, None)
        await shop.later(timedelta(minutes=30))
        with pytest.raises(NotFoundError):
            await desk.link_account(code.code, "messenger", "u-7")
        with pytest.raises(NotFoundError):
            await desk.make_link_code(999, None)
        await desk.change_staff(li.id, None, disabled=True)
        with pytest.raises(ConflictError):
            await desk.make_link_code(li.id, None)

    play(tmp_path, story)


def test_guessing_codes_ends_after_five_wrong_ones_for_an_hour(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        desk, li = shop.staff_desk, await shop.staff()
        for guess in ("", "😀", "\ud800", "0" * 10, "1" * 5000):
            with pytest.raises(NotFoundError):
                await desk.link_account(guess, "messenger", "u-7")
        code = (await desk.make_link_code(li.id, None)).code
        with pytest.raises(TooFastError) as refused:
            await desk.link_account(code, "messenger", "u-7")
        assert refused.value.retry_after == timedelta(hours=1)
        await shop.later(timedelta(hours=1, seconds=1))
        code = (await desk.make_link_code(li.id, None)).code
        # Somebody else's guesses are their own.
        assert await desk.link_account(code, "messenger", "u-7") == li
        with pytest.raises(NotFoundError):
            await desk.link_account(code, "messenger", "u-7")

    play(tmp_path, story)


# --- The staff room's view -----------------------------------------------------------------------------------------


def test_the_card_of_a_case_shows_it_as_it_is_now(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger, friend: Friend) -> None:
        room = StaffRoom(shop.installation.database, shop.clock)
        for order_id, kind, amount, currency in (
            ("A-2", "delivered", "20.50", "CNY"),
            ("A-3", "refunded", "99.00", "CNY"),
            ("A-4", "cancelled", "99.00", "CNY"),
            ("A-5", "paid", "3.00", "USD"),
        ):
            await shop.reports_event(kind, order_id, amount=amount, currency=currency)
        for number in range(4):
            await friend.sends(f"p-{number}")
        case = await waiting_case(shop, friend)
        # The messenger's user became the buyer's identity through the order link.
        buyer = await shop.run(lambda unit: unit.identities.find_contact_by_buyer("b-1"))
        assert buyer is not None
        await shop.run(
            lambda unit: unit.identities.move_to_contact(friend.identity.id, buyer.id, "test", shop.clock())
        )
        view = await room.read_case(case.id)
        assert view.case == case
        assert view.contact.name == "王女士"
        assert view.spent_minor == (("CNY", 11800 + 2050), ("USD", 300))
        assert len(view.orders) == 3
        assert len(view.lines) == 5
        assert view.lines[-1].text.startswith("好的，正在为您转接客服")
        assert (view.last_staff_line, view.reachable, view.notes) == (None, True, 0)
        assert view.seen_at == shop.clock()
        li = await shop.staff()
        await shop.staff_desk.add_note(case.number, li, "老客户")
        await shop.staff_desk.take_case(case.number, li)
        await shop.settle()
        messenger.failures = [UnreachableError("bot was blocked")]
        await shop.staff_desk.reply(case.number, li, "您好", "s-1")
        await shop.settle()
        view = await room.read_case(case.id)
        assert view.last_staff_line is not None
        assert (view.last_staff_line.text, view.last_staff_line.delivery) == ("您好", Delivery.UNREACHABLE)
        assert (view.reachable, view.notes, view.case.staff_name) == (False, 1, "小李")
        assert await room.find_case_number(friend.talk.id) == case.number
        assert await room.count_waiting() == 0
        await shop.staff_desk.close_case(case.number, li, "好了")
        assert await room.find_case_number(friend.talk.id) is None
        with pytest.raises(NotFoundError):
            await room.read_case(999)

    play_messenger(tmp_path, story)


def test_the_staff_room_remembers_topics_and_what_its_lines_stand_for(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger, friend: Friend) -> None:
        room = StaffRoom(shop.installation.database, shop.clock)
        case = await waiting_case(shop, friend)
        assert await room.count_waiting() == 1
        talk = friend.talk.id
        await room.set_thread(RoomThread("-100", talk, "7"))
        await room.set_thread(RoomThread("-100", talk, "8"))
        assert await room.find_thread("-100", talk) == RoomThread("-100", talk, "8")
        assert await room.find_conversation_id("-100", "8") == talk
        assert await room.find_conversation_id("-100", "7") is None
        first, second = [line.id for line in await friend.lines()][:2]
        card = RoomLine("-100", "50", RoomLineKind.CARD, talk, case.id, token="t" * 22)
        lines = [
            RoomLine("-100", "51", RoomLineKind.RELAYED, talk, case.id, message_id=message_id)
            for message_id in (first, second)
        ]
        await room.remember_line(card, *lines)
        await room.remember_line(*lines)
        assert await room.find_lines("-100", "51") == lines
        assert await room.find_line_of_message("-100", second) == lines[1]
        assert await room.find_card("-100", case.id) == card
        assert await room.find_card_by_token("t" * 22) == card
        assert await room.find_card_by_token("u" * 22) is None
        assert await room.count_cards_since("-100", shop.clock()) == 1
        assert [line.id for line in await room.read_messages([second, first])] == [second, first]
        with pytest.raises(NotFoundError):
            await room.read_messages([first, 999])
        assert await room.get_provider_id(second) == "p-1"
        await room.forget_thread("-100", talk)
        assert await room.find_thread("-100", talk) is None
        await room.move("-100", "-200")
        assert await room.find_lines("-100", "51") == []

    play_messenger(tmp_path, story)
