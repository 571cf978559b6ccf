"""A talk on a channel where people send pictures, change what they said, leave and come back."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from messenger_rig import (
    PHOTO,
    STICKER,
    VOICE,
    FakeMessenger,
    Friend,
    arrives,
    events_of,
    hash_token,
    newcomer,
    play_messenger,
)
from shop import Shop

from desk import wording
from desk.errors import UnreachableError
from desk.service_desk import RawInput
from desk.values import (
    Author,
    OutgoingKind,
    SendRank,
    SkipReason,
    Speaker,
    SurveyState,
)

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
PHOTO_SENTENCE = wording.MEDIA_RECEIVED.format(what="图片")
GREETING = wording.GREETING.format(shop_name="测试小店") + "\n" + wording.GREETING_CHOICES


async def is_asked(shop: Shop, friend: Friend) -> None:
    """The order is delivered and the survey has arrived."""
    await friend.says("在吗", "before")
    await shop.reports_event("delivered")
    await shop.later(DAY)
    assert [line.text for line in await friend.lines()][-1] == wording.SURVEY_ASK.format(order="A-1")


async def survey_state(shop: Shop) -> tuple[SurveyState, int | None, str | None]:
    survey = await shop.run(lambda unit: unit.surveys.get(1))
    return survey.state, survey.rating, survey.comment


async def speaker_of(shop: Shop, friend: Friend) -> Speaker:
    return (await shop.run(lambda unit: unit.conversations.get(friend.talk.id))).speaker


# --- Who writes --------------------------------------------------------------------------------------------


def test_who_writes_for_the_first_time_becomes_a_customer_in_the_deciding_transaction(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger, friend: Friend) -> None:
        await arrives(shop, newcomer("u-9"), "1", "怎么退货")
        await arrives(shop, newcomer("u-9"), "2", "怎么退货")
        assert [sent.recipient for sent in messenger.sent] == ["u-9", "u-9"]
        identity = await shop.run(lambda unit: unit.identities.find("messenger", "u-9"))
        assert identity is not None
        contact = await shop.run(lambda unit: unit.identities.get_contact(identity.contact_id))
        assert contact.name == "小明"

    play_messenger(tmp_path, story)


def test_a_message_that_is_rolled_back_leaves_nobody_behind(tmp_path: Path) -> None:
    class LaneIsLost(Exception):
        pass

    async def story(shop: Shop, messenger: FakeMessenger, friend: Friend) -> None:
        from desk.service_desk import Incoming

        def complete(unit: object) -> None:
            raise LaneIsLost

        with pytest.raises(LaneIsLost):
            await shop.desk.take_message(Incoming(newcomer("u-9"), "1", "怎么退货", shop.clock()), complete)
        assert await shop.run(lambda unit: unit.identities.find("messenger", "u-9")) is None

    play_messenger(tmp_path, story)


# --- Starting ----------------------------------------------------------------------------------------------


def test_a_start_is_greeted_with_questions_that_a_typed_digit_chooses(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger, friend: Friend) -> None:
        assert await friend.does("1", "/start", starts=True) == [GREETING]
        prompt = messenger.sent[-1].prompt
        assert prompt is not None
        questions = await shop.desk.quick_questions()
        assert [option.label for option in prompt.options] == list(questions)
        chosen = await friend.says("2", "2")
        assert (await friend.own_reasons())[-1].startswith("chosen faq=")
        assert await friend.presses(questions[1], "3") == chosen
        # The same start delivered twice is greeted once.
        assert await friend.does("1", "/start", starts=True) == []

    play_messenger(tmp_path, story)


def test_a_start_through_an_order_link_binds_the_order_and_says_so_each_time(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger, friend: Friend) -> None:
        await shop.reports_event("shipped", "A-2", buyer="b-2")
        link = {"starts": True, "order_token_hash": hash_token(await shop.link("A-2"))}
        await arrives(shop, newcomer("u-9"), "1", "/start", **link)
        bound = wording.ORDER_BOUND.format(order="A-2")
        assert messenger.texts == [f"{bound}\n{wording.CONSENT}", GREETING]
        # Digits answer the greeting, which came last.
        await arrives(shop, newcomer("u-9"), "2", "1")
        assert messenger.texts[-1] not in {bound, GREETING, wording.NOT_UNDERSTOOD}
        await arrives(shop, newcomer("u-9"), "3", "/start", **link)
        assert messenger.texts[-2:] == [bound, GREETING]
        await arrives(shop, newcomer("u-10"), "4", "/start", **link)
        assert messenger.texts[-2:] == [wording.LINK_OF_ANOTHER, GREETING]
        await arrives(shop, newcomer("u-10"), "5", "/start", starts=True, order_token_hash="0" * 64)
        assert messenger.texts[-2:] == [wording.LINK_UNKNOWN, GREETING]

    play_messenger(tmp_path, story)


def test_while_a_person_has_the_word_a_start_binds_and_does_not_greet(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger, friend: Friend) -> None:
        await friend.says("转人工", "1")
        await shop.reports_event("shipped", "A-2")
        token_hash = hash_token(await shop.link("A-2"))
        said = await friend.does("2", "/start", starts=True, order_token_hash=token_hash)
        assert [line.partition("\n")[0] for line in said] == [wording.ORDER_BOUND.format(order="A-2")]
        assert await friend.does("3", "/start", starts=True) == []
        assert len(await events_of(shop, "message")) == 3
        assert (await friend.own_reasons())[1:] == ["started", "started"]

    play_messenger(tmp_path, story)


# --- Pictures, voice, files ---------------------------------------------------------------------------------


def test_a_picture_is_kept_and_answered_without_counting_as_a_miss(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger, friend: Friend) -> None:
        for number in range(3):
            assert await friend.sends(f"p-{number}") == [PHOTO_SENTENCE]
        assert await friend.sends("v-1", VOICE) == [wording.MEDIA_RECEIVED.format(what="语音")]
        assert await friend.sends("s-1", STICKER) == [wording.STICKER_RECEIVED]
        talk = await shop.run(lambda unit: unit.conversations.get(friend.talk.id))
        assert (talk.misses, talk.speaker) == (0, Speaker.BOT)
        kept = await friend.lines(Author.CUSTOMER)
        assert [line.attachments for line in kept] == [(PHOTO,)] * 3 + [(VOICE,), (STICKER,)]
        assert await shop.reports(lambda reports: reports.faq_misses(100).rows) == ()

    play_messenger(tmp_path, story)


def test_an_album_is_answered_once_and_its_caption_as_words(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger, friend: Friend) -> None:
        for number in range(4):
            said = await friend.sends(f"a-{number}", group_id="g-1")
            assert said == ([PHOTO_SENTENCE] if number == 0 else [])
        [answer] = await friend.sends("b-0", words="怎么退货", group_id="g-2")
        assert answer.endswith(wording.MEDIA_BESIDE_WORDS.format(what="图片"))
        assert await friend.sends("b-1", group_id="g-2") == []
        # Words in a later part are heard all the same.
        assert await friend.sends("c-0", group_id="g-3") == [PHOTO_SENTENCE]
        assert await friend.sends("c-1", words="怎么退货", group_id="g-3") == [answer]
        # Somebody else's album of the same name is another album.
        await arrives(shop, newcomer("u-9"), "d-0", attachments=(PHOTO,), group_id="g-1")
        assert messenger.texts[-1] == PHOTO_SENTENCE

    play_messenger(tmp_path, story)


def test_a_picture_in_the_survey_is_thanked_for_and_words_after_it_are_the_comment(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger, friend: Friend) -> None:
        await is_asked(shop, friend)
        assert await friend.sends("p-1") == [wording.MEDIA_ASK_RATING.format(what="图片")]
        assert await friend.says("4", "1") == [wording.SURVEY_COMMENT.format(rating=4)]
        assert await friend.sends("p-2") == [wording.MEDIA_AS_COMMENT.format(what="图片")]
        assert await survey_state(shop) == (SurveyState.ANSWERING, 4, None)
        assert await friend.says("杯盖有点松", "2") == [wording.SURVEY_THANKS]
        assert await survey_state(shop) == (SurveyState.DONE, 4, "杯盖有点松")

    play_messenger(tmp_path, story)


def test_a_picture_of_a_broken_cup_after_one_star_reaches_the_person_and_the_survey_stays_open(
    tmp_path: Path,
) -> None:
    async def story(shop: Shop, messenger: FakeMessenger, friend: Friend) -> None:
        await is_asked(shop, friend)
        await friend.says("1", "1")
        assert await friend.sends("p-1") == [wording.MEDIA_AFTER_LOW_RATING.format(what="图片")]
        assert await friend.sends("p-2") == []
        assert await survey_state(shop) == (SurveyState.ANSWERING, 1, None)
        case = await shop.run(lambda unit: unit.cases.find_open(friend.talk.id))
        assert case is not None
        told = await events_of(shop, "message")
        lines = {line.id: line for line in await friend.lines(Author.CUSTOMER)}
        assert [lines[event.payload["message_id"]].attachments for event in told] == [(), (PHOTO,), (PHOTO,)]
        assert {event.case_id for event in told} == {case.id}
        assert await friend.says("杯子碎了", "2") == []
        assert await survey_state(shop) == (SurveyState.DONE, 1, "杯子碎了")

    play_messenger(tmp_path, story)


def test_beside_a_person_pictures_are_shown_to_staff_in_silence(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger, friend: Friend) -> None:
        await friend.says("转人工", "1")
        assert await friend.sends("p-1") == []
        staff = await shop.staff()
        case = await shop.run(lambda unit: unit.cases.find_open(friend.talk.id))
        assert case is not None
        await shop.staff_desk.take_case(case.number, staff)
        await shop.settle()
        assert await friend.sends("p-2") == []
        assert await friend.sends("s-1", STICKER) == []
        assert [event.case_id for event in await events_of(shop, "message")] == [case.id] * 4

    play_messenger(tmp_path, story)


# --- Edits --------------------------------------------------------------------------------------------------


def test_an_edited_question_is_stored_and_not_answered_again(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger, friend: Friend) -> None:
        assert len(await friend.says("怎么退货", "1")) == 1
        for _ in range(2):
            assert await friend.edits("1", "怎么开发票") == []
        said = await friend.lines(Author.CUSTOMER)
        assert [(line.text, line.reason) for line in said][1:] == [("怎么开发票", "edited")]
        assert said[1].edits_message_id == said[0].id
        assert await events_of(shop, "message_edited") == []

    play_messenger(tmp_path, story)


def test_an_edit_between_a_question_and_its_answer_does_not_take_the_digit_away(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger, friend: Friend) -> None:
        await friend.says("怎么退货", "1")
        await friend.does("2", "/start", starts=True)
        await friend.edits("1", "怎么退货呢")
        await friend.says("1", "3")
        assert (await friend.own_reasons())[-1].startswith("chosen faq=")

    play_messenger(tmp_path, story)


def test_an_edit_into_a_wish_for_a_person_opens_one_case(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger, friend: Friend) -> None:
        await friend.says("转人共", "1")
        [handoff] = await friend.edits("1", "转人工")
        case = await shop.run(lambda unit: unit.cases.find_open(friend.talk.id))
        assert case is not None
        assert handoff == wording.HANDOFF["asked_for_person"].replace("{number}", case.number)
        # What was changed is shown to staff, together with what it was before.
        [event] = await events_of(shop, "message_edited")
        first, second = await friend.lines(Author.CUSTOMER)
        assert event.payload == {"message_id": second.id, "edits": first.id}
        assert event.case_id == case.id
        # Once the case is closed, polishing those words opens no other.
        staff = await shop.staff()
        await shop.staff_desk.close_case(case.number, staff, "好了")
        await shop.settle()
        assert await friend.edits("1", "转人工！", revision=2) == []
        assert await speaker_of(shop, friend) is Speaker.BOT

    play_messenger(tmp_path, story)


def test_an_edit_into_a_complaint_opens_a_case(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger, friend: Friend) -> None:
        await friend.says("你好", "1")
        assert len(await friend.edits("1", "我要投诉你们")) == 1
        assert await speaker_of(shop, friend) is Speaker.WAITING

    play_messenger(tmp_path, story)


def test_an_edit_into_stopping_stops_surveys(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger, friend: Friend) -> None:
        await friend.says("退顶", "1")
        assert await friend.edits("1", "退订") == [wording.OPTED_OUT]
        await shop.reports_event("delivered")
        await shop.later(2 * DAY)
        planned = await shop.run(lambda unit: unit.surveys.get(1))
        assert planned.skip_reason is SkipReason.OPTED_OUT

    play_messenger(tmp_path, story)


def test_while_a_case_is_open_edits_are_shown_to_staff_in_silence(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger, friend: Friend) -> None:
        await friend.says("转人工", "1")
        await friend.says("杯子碎了", "2")
        # Long enough that a new message would be told that nobody has come yet.
        await shop.later(6 * MINUTE)
        assert await friend.edits("2", "杯子和盖子碎了") == []
        assert await friend.edits("2", "杯子和盖子都碎了", revision=2) == []
        lines = await friend.lines(Author.CUSTOMER)
        told = [event.payload for event in await events_of(shop, "message_edited")]
        assert told == [
            {"message_id": lines[2].id, "edits": lines[1].id},
            {"message_id": lines[3].id, "edits": lines[1].id},
        ]

    play_messenger(tmp_path, story)


def test_an_edit_of_what_never_came_is_answered_and_the_original_after_it_is_not(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger, friend: Friend) -> None:
        [answer] = await friend.edits("1", "怎么退货", revision=1_790_000_000)
        assert answer != wording.NOT_UNDERSTOOD
        assert await friend.edits("1", "怎么退货呢", revision=1_790_000_060) == []
        assert await friend.says("怎么退", "1") == []
        assert await friend.edits("1", "转人工", revision=1_790_000_030) == []
        assert (await friend.own_reasons())[1:] == ["edited", "superseded", "superseded"]
        assert await speaker_of(shop, friend) is Speaker.BOT

    play_messenger(tmp_path, story)


def test_an_edit_of_an_edit_whose_original_never_came_names_the_first_that_is_known(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger, friend: Friend) -> None:
        await friend.edits("1", "转人工", revision=5)
        await friend.edits("1", "转人工，快点", revision=6)
        first, second = await friend.lines(Author.CUSTOMER)
        [event] = await events_of(shop, "message_edited")
        assert event.payload == {"message_id": second.id, "edits": first.id}

    play_messenger(tmp_path, story)


# --- Leaving and coming back ----------------------------------------------------------------------------------


def test_who_blocked_us_is_sent_nothing_until_they_write_again(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger, friend: Friend) -> None:
        await is_asked(shop, friend)
        messenger.failures = [UnreachableError("bot was blocked")]
        await friend.says("怎么退货", "1")
        tried = len(messenger.tried)
        # Neither the reminder nor the survey of another order is tried.
        await shop.reports_event("shipped", "A-2")
        token_hash = hash_token(await shop.link("A-2"))
        await shop.run(lambda unit: unit.orders.bind(token_hash, 2, friend.identity.id, shop.clock()))
        await shop.reports_event("delivered", "A-2")
        await shop.later(3 * DAY)
        assert len(messenger.tried) == tried
        assert (await shop.run(lambda unit: unit.surveys.get(2))).skip_reason is SkipReason.UNREACHABLE
        [gone] = await events_of(shop, "reachable")
        assert gone.payload == {"identity_id": friend.identity.id, "reachable": False}
        assert len(await friend.says("怎么退货", "2")) == 1
        back = (await events_of(shop, "reachable"))[1]
        assert (back.payload["reachable"], back.case_id, back.conversation_id) == (True, None, friend.talk.id)

    play_messenger(tmp_path, story)


def test_the_channel_may_tell_who_left_and_who_came_back(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger, friend: Friend) -> None:
        completed: list[str] = []

        async def hears(external_id: str, reachable: bool) -> None:
            await shop.desk.hear_reachability(
                newcomer(external_id), reachable, "kicked", lambda unit: completed.append(external_id)
            )

        await is_asked(shop, friend)
        await friend.says("转人工", "1")
        for reachable in (True, False, False):
            await hears("u-1", reachable)
        identity = await shop.run(lambda unit: unit.identities.get(friend.identity.id))
        assert not identity.reachable
        await hears("u-1", True)
        again = await shop.run(lambda unit: unit.identities.get(friend.identity.id))
        assert again.reachable
        assert again.last_message_at == identity.last_message_at
        told = await events_of(shop, "reachable")
        assert [event.payload["reachable"] for event in told] == [False, True]
        assert {event.case_id for event in told} == {1}
        # A stranger who never wrote is nobody here, and stays so.
        await hears("u-77", False)
        assert completed == ["u-1"] * 4 + ["u-77"]
        assert await shop.run(lambda unit: unit.identities.find("messenger", "u-77")) is None

    play_messenger(tmp_path, story)


def test_a_room_row_that_ends_concerns_no_customer(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger, friend: Friend) -> None:
        def queue(kind: OutgoingKind) -> None:
            messenger.failures.append(UnreachableError("the group is gone"))

        for kind in (OutgoingKind.RELAY, OutgoingKind.NOTICE):
            queue(kind)
            await shop.run(
                lambda unit, kind=kind: unit.outbox.add_for_staff(
                    f"room:{kind}", "messenger", "room:-100", "-100", {"do": "line"}, shop.clock(), kind=kind,
                    rank=SendRank.RELAYED,
                )
            )  # fmt: skip
        await shop.settle()
        assert len(messenger.tried) == 2
        assert await events_of(shop, "reachable", "delivery") == []
        assert (await shop.run(lambda unit: unit.identities.get(friend.identity.id))).reachable

    play_messenger(tmp_path, story)


# --- Intake ---------------------------------------------------------------------------------------------------


def raw(key: str, body: bytes, lane: str = "messenger:1") -> RawInput:
    return RawInput("messenger", key, json.dumps([key, body.decode("latin-1")]), lane, body)


def test_a_batch_is_stored_with_its_bookmark_and_known_parts_are_passed_over(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger, friend: Friend) -> None:
        assert await shop.desk.find_bookmark("messenger:offset") is None
        batch = [raw("7", b"{}", "messenger:2"), raw("8", b"{}"), raw("9", b"{}", "messenger:2")]
        bad = [(raw("undecodable:1", b"\xff"), "not_json")]
        assert await shop.desk.accept_batch(batch, bad, ("messenger:offset", "10")) == 4
        assert await shop.desk.find_bookmark("messenger:offset") == "10"
        # A key that came before with another body is another input: ids start anew after a quiet week.
        again = [*batch, raw("8", b"[]")]
        assert await shop.desk.accept_batch(again, bad, ("messenger:offset", "11")) == 1
        assert await shop.desk.accept_batch([]) == 0
        assert await shop.desk.find_bookmark("messenger:offset") == "11"
        dead = await shop.run(lambda unit: unit.dead_letters.all(10))
        assert [letter.error for letter in dead] == ["not_json"]

    play_messenger(tmp_path, story)


def test_a_batch_that_fails_moves_no_bookmark(tmp_path: Path) -> None:
    async def story(shop: Shop, messenger: FakeMessenger, friend: Friend) -> None:

        with pytest.raises(Exception):  # noqa: B017 - whatever the database says of a surrogate
            await shop.desk.accept_batch(
                [raw("7", b"{}"), raw("8\ud800", b"{}")], (), ("messenger:offset", "10")
            )
        assert await shop.desk.find_bookmark("messenger:offset") is None
        assert await shop.desk.accept_batch([raw("7", b"{}")]) == 1

    play_messenger(tmp_path, story)
