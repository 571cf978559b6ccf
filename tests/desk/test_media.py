"""What the bot does with pictures, voice and files, rule by rule; and with words that were changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from desk import media, prompts, wording
from desk.decision import Action, Decision, Situation
from desk.escalation import Escalation
from desk.policy import decide, decide_edit, greet
from desk.values import (
    Attachment,
    AttachmentKind,
    CaseReason,
    FaqEntry,
    FaqMatch,
    Priority,
    PromptKind,
    Speaker,
    Survey,
    SurveyState,
    Understanding,
)

NOW = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
RETURNS = FaqEntry(2, "returns", "售后", "怎么退货", (), "7 天无理由", quick=True)
SHIPPING = FaqEntry(1, "ship-when", "物流", "什么时候发货", (), "48 小时内发货")
INVOICE = FaqEntry(5, "invoice", "其他", "怎么开发票", (), "订单页申请", quick=True)
PHOTO = Attachment(AttachmentKind.PHOTO, "f-1")


def situation(text: str = "", attachments: tuple[Attachment, ...] = (PHOTO,), **changes: object) -> Situation:
    plain = Situation(
        text=text, tap=None, speaker=Speaker.BOT, misses=1, angered_at=None, message_id=31, prompt=None,
        survey=None, lately_answered=None, orders=(), faq={}, understanding=Understanding("none"),
        variables={"shop_name": "小店"}, case_number="HY-1", now=NOW, attachments=attachments,
    )  # fmt: skip
    return replace(plain, **changes)  # type: ignore[arg-type]


def survey(rating: int | None = None, comment: str | None = None) -> Survey:
    return Survey(
        id=7, subject_type="order", subject_id=1, kind="post_delivery", round=1,
        state=SurveyState.ANSWERING, skip_reason=None, identity_id=1, conversation_id=1, rating=rating,
        comment=comment, due_at=NOW, asked_at=NOW, reminded_at=None, expires_at=None, finished_at=None,
    )  # fmt: skip


def only_text(decision: Decision) -> str:
    [reply] = decision.replies
    return reply.text


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (AttachmentKind.PHOTO, "图片"),
        (AttachmentKind.VIDEO, "视频"),
        (AttachmentKind.VOICE, "语音"),
        (AttachmentKind.DOCUMENT, "文件"),
        (AttachmentKind.LOCATION, "位置"),
        (AttachmentKind.CONTACT_CARD, "名片"),
    ],
)
def test_what_came_without_words_is_named_kept_and_no_miss(kind: AttachmentKind, name: str) -> None:
    decision = decide(situation(attachments=(Attachment(kind),)))
    assert f"您发的{name}收到了" in only_text(decision)
    assert "转人工" in only_text(decision)
    assert (decision.missed, decision.misses, decision.action) == (False, 1, Action.NONE)
    assert decision.reason == "media_received"


def test_every_kind_has_a_name() -> None:
    assert set(wording.MEDIA_NAMES) == set(AttachmentKind)


def test_a_sticker_gets_a_lighter_sentence() -> None:
    decision = decide(situation(attachments=(Attachment(AttachmentKind.STICKER, name="👍"),)))
    assert only_text(decision) == wording.STICKER_RECEIVED
    assert (decision.missed, decision.misses) == (False, 1)


def test_blank_or_invisible_words_are_no_words() -> None:
    assert decide(situation("\u200b \n")).reason == "media_received"


def test_parts_of_an_album_share_the_name_under_which_they_are_answered_once() -> None:
    first, second = (decide(situation(group_id=group)).once for group in ("g-1", "g-2"))
    assert first
    assert second
    assert first != second
    assert decide(situation()).once == ""


def test_a_caption_is_answered_as_words_and_the_picture_is_not_pretended_to_be_seen() -> None:
    matches = (FaqMatch(RETURNS, 0.99),)
    understood = Understanding("fake", matches=matches)
    decision = decide(situation("怎么退货", understanding=understood))
    assert only_text(decision) == "7 天无理由\n" + wording.MEDIA_BESIDE_WORDS.format(what="图片")
    plain = decide(situation("怎么退货", (), understanding=understood))
    assert only_text(plain) == "7 天无理由"


def test_a_caption_nobody_understands_is_a_miss_and_says_what_was_not_read() -> None:
    decision = decide(situation("嗯嗯啊啊哦", misses=0))
    assert decision.missed
    assert only_text(decision).endswith(wording.MEDIA_BESIDE_WORDS.format(what="图片"))


def test_a_caption_that_asks_for_a_person_gets_one() -> None:
    decision = decide(situation("转人工"))
    assert decision.escalation is not None
    assert only_text(decision) == wording.HANDOFF["asked_for_person"]


def test_a_picture_in_answer_to_the_comment_question_leaves_the_question_open() -> None:
    decision = decide(situation(prompt=prompts.comment_prompt(7), survey=survey(rating=4)))
    [reply] = decision.replies
    assert reply.prompt == prompts.comment_prompt(7)
    assert "图片收到了，谢谢" in reply.text
    assert (decision.survey_id, decision.comment, decision.survey_done) == (None, None, False)


def test_a_picture_in_answer_to_the_rating_question_asks_for_the_rating_again() -> None:
    decision = decide(situation(prompt=prompts.rating_prompt(7), survey=survey()))
    [reply] = decision.replies
    assert reply.prompt == prompts.rating_prompt(7)
    assert decision.rating is None


@pytest.mark.parametrize("prompt", [prompts.comment_prompt(7), prompts.person_offer()])
def test_a_picture_after_a_survey_that_is_over_is_a_picture_like_any_other(prompt: object) -> None:
    known = survey() if prompt == prompts.person_offer() else None
    assert decide(situation(prompt=prompt, survey=known)).reason == "media_received"


def test_a_picture_after_a_low_rating_is_thanked_for_and_the_survey_waits_for_words() -> None:
    decision = decide(situation(speaker=Speaker.WAITING, survey=survey(rating=1)))
    [reply] = decision.replies
    assert reply.speakers == {Speaker.WAITING}
    assert "客服接入就能看到" in reply.text
    assert (decision.survey_id, decision.survey_done, decision.escalation) == (None, False, None)
    assert decision.once


@pytest.mark.parametrize(
    ("speaker", "asked", "reason"),
    [
        (Speaker.WAITING, None, "waiting_for_person"),
        (Speaker.WAITING, survey(), "waiting_for_person"),
        (Speaker.WAITING, survey(1, "杯子碎了"), "waiting_for_person"),
        (Speaker.PERSON, survey(1), "with_person"),
    ],
)
def test_beside_a_person_pictures_are_kept_in_silence(
    speaker: Speaker, asked: Survey | None, reason: str
) -> None:
    decision = decide(situation(speaker=speaker, survey=asked))
    assert decision == Decision(Action.NONE, reason, misses=1)


def test_a_caption_after_a_low_rating_is_the_comment() -> None:
    decision = decide(situation("杯子碎了", speaker=Speaker.WAITING, survey=survey(rating=1)))
    assert (decision.comment, decision.survey_done) == ("杯子碎了", True)


def test_a_message_without_attachments_is_never_taken_for_media() -> None:
    assert not media.says_nothing_else(situation("", ()))
    assert decide(situation("", ())).reason == "empty"


# --- Greeting ----------------------------------------------------------------------------------------------


def test_the_greeting_offers_the_quick_questions_to_tap_or_type() -> None:
    reply = greet((RETURNS, SHIPPING, INVOICE), {"shop_name": "小店"})
    assert reply.prompt is not None
    assert (reply.prompt.kind, reply.prompt.subject_id) == (PromptKind.CHOICE, None)
    assert [(option.typed, option.label, option.value) for option in reply.prompt.options] == [
        ("1", "怎么退货", "faq:2"),
        ("2", "怎么开发票", "faq:5"),
    ]
    assert "小店" in reply.text
    assert reply.text.endswith(wording.GREETING_CHOICES)


def test_without_quick_questions_the_greeting_asks_nothing() -> None:
    reply = greet((SHIPPING,), {"shop_name": "小店"})
    assert reply.prompt is None
    assert wording.GREETING_CHOICES not in reply.text


# --- Edits --------------------------------------------------------------------------------------------------


def test_an_edit_is_never_answered() -> None:
    sure = Understanding("fake", matches=(FaqMatch(RETURNS, 1.0),))
    assert decide_edit(situation("怎么退货", (), understanding=sure), "怎么退或") == Decision(
        Action.NONE, "edited", misses=1
    )


def test_an_edit_into_stopping_stops_and_says_so() -> None:
    decision = decide_edit(situation("退订", ()), "退顶")
    assert decision.opt_out is True
    assert only_text(decision) == wording.OPTED_OUT


def test_an_edit_of_stopping_into_stopping_is_not_confirmed_again() -> None:
    assert decide_edit(situation("退订！", ()), "退订") == Decision(Action.NONE, "edited", misses=1)


def test_an_edit_into_asking_for_a_person_brings_one() -> None:
    decision = decide_edit(situation("转人工", ()), "转人共")
    assert decision.escalation == Escalation(CaseReason.ASKED_FOR_PERSON, "转人工", Priority.NORMAL)
    assert only_text(decision) == wording.HANDOFF["asked_for_person"]


def test_an_edit_of_asking_for_a_person_brings_no_second_one() -> None:
    assert decide_edit(situation("转人工，谢谢", ()), "转人工").escalation is None


def test_an_edit_into_a_complaint_brings_a_person_and_one_angry_word_does_not() -> None:
    assert decide_edit(situation("我要投诉你们", ()), "你好").escalation is not None
    mild = decide_edit(situation("垃圾", ()), "你好")
    assert (mild.escalation, mild.replies, mild.angry) == (None, (), True)


def test_anger_that_was_there_before_the_edit_is_not_counted_twice() -> None:
    just_now = NOW - timedelta(minutes=1)
    same = decide_edit(situation("垃圾东西", (), angered_at=just_now), "垃圾")
    assert (same.escalation, same.angry) == (None, False)
    again = decide_edit(situation("垃圾东西", (), angered_at=just_now), "你好")
    assert again.escalation is not None
    assert again.escalation.reason is CaseReason.ANGER


def test_while_a_person_is_there_an_edit_joins_the_case_in_silence() -> None:
    decision = decide_edit(situation("我要投诉", (), speaker=Speaker.PERSON), "你好")
    assert decision.escalation is not None
    assert decision.replies == ()
    assert decision.reason == "edited"
