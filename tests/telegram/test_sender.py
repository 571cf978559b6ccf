"""What customers of Telegram get to see, played before the stand-in."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sending_rig import Desk, choice, play_sending

from bot.telegram.texts import LONGEST_CAPTION, LONGEST_TEXT, split_text, units
from desk import prompts, wording
from desk.values import Attachment, AttachmentKind

STAFF_CHAT = -1001234567890


async def arrived(desk: Desk, count: int = 1, user_id: int = 5) -> None:
    await desk.api.until(lambda: len(desk.api.user(user_id).sees(by_bot=True)) >= count)
    await desk.until_settled()


def test_words_arrive_as_they_are_without_markup_or_previews(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        desk.api.user(5).starts()
        words = "<b>您好</b> *星* _下划_ [链接](https://example.com) & 😀"
        await desk.say(5, words)
        await arrived(desk)
        (seen,) = desk.api.user(5).sees(by_bot=True)
        assert (seen.text, seen.entities) == (words, [])
        (call,) = desk.api.calls("sendMessage")
        assert call.params["link_preview_options"] == {"is_disabled": True}
        assert "parse_mode" not in call.params
        assert await desk.figures("provider_id") == [str(seen.message_id)]

    play_sending(tmp_path, story)


def test_a_rating_reads_from_top_to_bottom_and_every_button_shows_what_to_type(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        desk.api.user(5).starts()
        ask = wording.SURVEY_ASK.format(order="A-1")
        await desk.say(5, ask, prompt=prompts.rating_prompt(1))
        await desk.say(5, wording.CASE_CLOSED, prompt=prompts.helped_prompt(1))
        await desk.say(5, "您是想问哪一个？", prompt=choice("什么时候发货呢，急用", "怎么退货"))
        await arrived(desk, 3)
        rating, helped, questions = desk.api.user(5).sees(by_bot=True)
        assert rating.labels == ["5 非常满意", "4 满意", "3 一般", "2 不满意", "1 非常不满意"]
        assert [len(row) for row in rating.buttons] == [1] * 5
        assert rating.text == ask, "it says itself that digits will do"
        assert [[button["text"] for button in row] for row in helped.buttons] == [["1 解决了", "2 还没解决"]]
        assert helped.text == f"{wording.CASE_CLOSED}\n{wording.TYPE_A_DIGIT}"
        assert [len(row) for row in questions.buttons] == [1, 1]
        assert {len(button["callback_data"]) for row in rating.buttons for button in row} == {22}

    play_sending(tmp_path, story)


def test_a_long_text_leaves_in_pieces_and_its_buttons_come_last(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        desk.api.user(5).starts()
        words = "\n".join(f"{number}. 一句话，说得不长不短刚刚好。😀" for number in range(400))
        await desk.say(5, words, prompt=choice("好", "不好"))
        await arrived(desk, 2)
        seen = desk.api.user(5).sees(by_bot=True)
        assert "\n".join(one.text for one in seen) == f"{words}\n{wording.TYPE_A_DIGIT}"
        assert [bool(one.buttons) for one in seen] == [False] * (len(seen) - 1) + [True]
        assert all(units(one.text) <= LONGEST_TEXT for one in seen)
        assert await desk.figures("provider_id") == [",".join(str(one.message_id) for one in seen)]

    play_sending(tmp_path, story)


def test_the_rest_of_a_long_text_is_tried_again_without_saying_the_beginning_twice(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        desk.api.user(5).starts()
        desk.api.fail("slow", "sendMessage", chat=5, seconds=0.5)
        await desk.say(5, "一" * 4096 + "二" * 4096)
        await desk.api.until(lambda: desk.api.calls("sendMessage"))
        desk.api.fail("flood", "sendMessage", chat=5, retry_after=1)
        await arrived(desk, 2)
        assert [one.text[0] for one in desk.api.user(5).sees(by_bot=True)] == ["一", "二"]
        assert [call.status for call in desk.api.calls("sendMessage")] == [200, 429, 200]
        assert desk.api.early_calls() == []

    play_sending(tmp_path, story)


def test_what_staff_sent_is_copied_and_sent_anew_where_it_cannot_be_copied(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        desk.api.user(5).starts()
        group = desk.api.group(STAFF_CHAT)
        photo = group.member(desk.api.user(9)).sends_photo("给客户看")
        file_id = group.sees()[-1].file_id
        copied = Attachment(
            AttachmentKind.PHOTO, file_id, source_chat=str(STAFF_CHAT), source_message=str(photo)
        )
        gone = Attachment(AttachmentKind.PHOTO, file_id, source_chat=str(STAFF_CHAT), source_message="99999")
        await desk.say(5, "给客户看", attachments=(copied,))
        await desk.say(5, "没有了的", attachments=(gone,))
        await arrived(desk, 2)
        assert [(one.media, one.text) for one in desk.api.user(5).sees(by_bot=True)] == [
            ("photo", "给客户看"),
            ("photo", "没有了的"),
        ]
        assert [call.method for call in desk.api.calls(chat=5)] == ["copyMessage", "copyMessage", "sendPhoto"]
        assert await desk.states() == ["sent", "sent"]

    play_sending(tmp_path, story)


def test_no_customer_is_blamed_when_it_is_the_staff_group_that_cannot_be_reached(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        desk.api.user(5).starts()
        group = desk.api.group(STAFF_CHAT)
        photo = group.member(desk.api.user(9)).sends_photo("给客户看")
        place = {"source_chat": str(STAFF_CHAT), "source_message": str(photo)}
        with_file = Attachment(AttachmentKind.PHOTO, group.sees()[-1].file_id, **place)
        group.kicks_bot()
        await desk.say(5, "给客户看", attachments=(with_file,))
        await desk.say(5, "骰子", attachments=(Attachment(AttachmentKind.OTHER, **place),))
        await desk.say(5, "还在吗")
        assert await desk.until_settled() == ["sent", "dead", "sent"]
        assert [seen.text for seen in desk.api.user(5).sees(by_bot=True)] == ["给客户看", "还在吗"]
        desk.api.user(5).blocks()
        await desk.say(5, "再看", attachments=(with_file,))
        assert (await desk.until_settled())[-1] == "unreachable"

    play_sending(tmp_path, story)


def test_places_cards_and_stickers_arrive_with_their_words_beside_them(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        desk.api.user(5).starts()
        desk.api.user(5).sends("sticker")
        sticker = desk.api.user(5).sees()[-1].file_id
        attachments = (
            Attachment(AttachmentKind.LOCATION, name="31.2304,121.4737"),
            Attachment(AttachmentKind.CONTACT_CARD, name="王 女士 13812345678"),
            Attachment(AttachmentKind.STICKER, sticker, "👍"),
        )
        await desk.say(5, "我们的地址", attachments=attachments)
        await arrived(desk, 4)
        place, card, mark, words = desk.api.user(5).sees(by_bot=True)
        assert place.body["location"] == {"latitude": 31.2304, "longitude": 121.4737}
        assert card.body["contact"] == {"phone_number": "13812345678", "first_name": "王 女士"}
        assert (mark.media, words.text) == ("sticker", "我们的地址")

    play_sending(tmp_path, story)


def test_a_long_caption_goes_on_below_the_picture(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        desk.api.user(5).starts()
        desk.api.user(5).sends_photo()
        photo = Attachment(AttachmentKind.PHOTO, desk.api.user(5).sees()[-1].file_id)
        words = "字" * 1500
        await desk.say(5, words, attachments=(photo,))
        await arrived(desk, 2)
        seen = desk.api.user(5).sees(by_bot=True)
        assert [one.media for one in seen] == ["photo", ""]
        assert units(seen[0].text) <= LONGEST_CAPTION
        assert "".join(one.text for one in seen) == words

    play_sending(tmp_path, story)


def test_a_correction_changes_the_line_or_the_caption_or_follows_as_a_new_line(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        user = desk.api.user(5)
        user.starts()
        user.sends_photo()
        photo = Attachment(AttachmentKind.PHOTO, user.sees()[-1].file_id)
        line = await desk.say(5, "三天内发火")
        caption = await desk.say(5, "这是发漂", attachments=(photo,))
        await arrived(desk, 2)
        await desk.say(5, "三天内发货", edits=line)
        await desk.say(5, "这是发票", edits=caption)
        assert await desk.until_settled() == ["sent"] * 4
        first, second = user.sees(by_bot=True)
        assert (first.text, first.edited, second.text, second.edited) == (
            "三天内发货",
            True,
            "这是发票",
            True,
        )
        await desk.say(5, "三天内发货。", edits=line)
        await desk.say(5, "三天内发货", edits=line)
        await desk.until_settled()
        desk.api.fail(
            "error", "editMessageText", code=400, description="Bad Request: message to edit not found"
        )
        await desk.say(5, "五天内发货", edits=line)
        await desk.until_settled()
        assert [one.text for one in user.sees(by_bot=True)][2:] == ["更正：五天内发货"]
        desk.api.fail(
            "error", "editMessageText", code=400, description="Bad Request: message is not modified: the same"
        )
        await desk.say(5, "六天内发货", edits=line)
        assert set(await desk.until_settled()) == {"sent"}
        assert len(user.sees(by_bot=True)) == 3

    play_sending(tmp_path, story)


# --- Cutting texts ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "longest", "pieces"),
    [
        ("短", 10, ["短"]),
        ("第一行\n第二行\n第三行", 8, ["第一行\n第二行", "第三行"]),
        ("头一句。第二句话。第三", 10, ["头一句。第二句话。", "第三"]),
        ("他说「好。」然后走了很远", 9, ["他说「好。」", "然后走了很远"]),
        ("hello wide world", 11, ["hello wide", "world"]),
        ("😀😀😀", 3, ["😀", "😀", "😀"]),
        ("啊啊👨‍👩‍👧啊", 9, ["啊啊", "👨‍👩‍👧啊"]),
        ("啊🇨🇳🇨🇳", 7, ["啊🇨🇳", "🇨🇳"]),
        ("啊啊👍🏽", 5, ["啊啊", "👍🏽"]),
        ("a" * 9, 4, ["aaaa", "aaaa", "a"]),
    ],
)
def test_texts_are_cut_where_people_would_cut_them(text: str, longest: int, pieces: list[str]) -> None:
    assert split_text(text, longest) == pieces


@given(st.text(alphabet=st.sampled_from("ab 。\n😀👍🏽🇨\u0301\u200d字"), max_size=60), st.integers(2, 12))
def test_pieces_fit_and_lose_nothing_but_blanks(text: str, longest: int) -> None:
    pieces = split_text(text, longest)

    def solid(words: str) -> str:
        return "".join(words.split())

    assert solid("".join(pieces)) == solid(text)
    assert all(units(piece) <= longest for piece in pieces) or not text.strip()
