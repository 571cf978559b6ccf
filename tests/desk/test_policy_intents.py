"""What a sure intent changes, beside the lists of words and below what was just asked."""

from __future__ import annotations

from dataclasses import replace

import pytest
from test_policy import COMMENT_ASKED, RATING_ASKED, SHIPPING, asked_survey, situation

from desk import prompts, wording
from desk.decision import Action, Situation
from desk.policy import SURE_INTENT, decide, sure_intent
from desk.values import CaseReason, FaqEntry, Priority, Prompt, PromptKind, Speaker

GREETING = FaqEntry(11, "greeting", "会话", "你好", (), "您好，欢迎来到{shop_name}！", intent="greet")
PRAISE = FaqEntry(12, "praise", "店铺", "很好", (), "{shop_name}谢谢您！", intent="praise")
LEAKS = FaqEntry(13, "quality", "售后", "质量有问题", (), "请发照片。", intent="quality_problem")
OFFER = prompts.person_offer()
HELPED = prompts.helped_prompt(5)


def understood(
    text: str, intent: str, *matches: tuple[FaqEntry, float], confidence: float = 0.9, **changes: object
) -> Situation:
    plain = situation(text, *matches, **changes)
    return replace(
        plain,
        understanding=replace(plain.understanding, source="rasa", intent=intent, confidence=confidence),
    )


def test_sure_is_what_reaches_the_limit_and_comes_from_the_better_understander() -> None:
    sure = understood("找个活的来", "request_human", confidence=SURE_INTENT).understanding
    assert sure_intent(sure) == "request_human"
    assert sure_intent(replace(sure, confidence=SURE_INTENT - 0.01)) is None
    assert sure_intent(replace(sure, degraded=True)) is None
    assert sure_intent(replace(sure, intent=None)) is None


def test_the_wish_for_a_person_in_new_words_calls_one() -> None:
    decision = decide(understood("能不能来个会喘气的", "request_human"))
    assert decision.action is Action.PERSON
    assert decision.escalation is not None
    assert decision.escalation.reason is CaseReason.ASKED_FOR_PERSON
    assert (decision.escalation.evidence, decision.escalation.priority) == ("理解为转人工", Priority.NORMAL)
    unsure = decide(understood("能不能来个会喘气的", "request_human", confidence=0.6))
    assert unsure.escalation is None


@pytest.mark.parametrize("speaker", [Speaker.BOT, Speaker.WAITING])
def test_who_takes_the_wish_back_is_not_overruled(speaker: Speaker) -> None:
    decision = decide(understood("不用人工了", "request_human", speaker=speaker))
    assert decision.escalation is None
    assert decision.back_to_bot is (speaker is Speaker.WAITING)


def test_a_complaint_in_new_words_is_one_said_outright() -> None:
    decision = decide(understood("这事没完，等着瞧", "complaint"))
    assert decision.escalation is not None
    assert decision.escalation.reason is CaseReason.ANGER
    assert (decision.escalation.evidence, decision.escalation.priority) == ("理解为投诉", Priority.HIGH)
    assert decision.angry
    with_words = decide(understood("真是垃圾，这事没完", "complaint"))
    assert with_words.escalation is not None
    assert with_words.escalation.evidence == "垃圾"
    urgent = decide(understood("骗子，我要打12315", "complaint"))
    assert urgent.escalation is not None
    assert urgent.escalation.priority is Priority.URGENT


def test_a_complaint_while_a_person_is_awaited_joins_the_case() -> None:
    decision = decide(
        understood("这事没完，等着瞧", "complaint", speaker=Speaker.WAITING, case_number="HY-1")
    )
    assert decision.escalation is not None
    assert [reply.reason for reply in decision.replies] == ["still_waiting"]


@pytest.mark.parametrize("text", ["2", " 12。", "２", "6921734952"])
def test_a_number_alone_is_no_intent(text: str) -> None:
    decision = decide(understood(text, "complaint", (SHIPPING, 0.81)))
    assert decision.escalation is None
    assert not decision.angry
    assert decision.missed
    shop_says = decide(understood(text, "complaint", (SHIPPING, 1.0)))
    assert shop_says.action is Action.ANSWER


def test_a_typed_digit_answers_what_was_asked() -> None:
    decision = decide(understood("2", "request_human", prompt=OFFER))
    assert decision.reason == "offer_declined"


@pytest.mark.parametrize(
    ("prompt", "intent", "reason"),
    [
        (OFFER, "affirm", "escalated accepted_offer"),
        (OFFER, "deny", "offer_declined"),
        (HELPED, "affirm", "helped"),
        (HELPED, "deny", "escalated not_helped"),
    ],
)
def test_yes_and_no_in_new_words_answer_what_was_asked(prompt: Prompt, intent: str, reason: str) -> None:
    assert decide(understood("那敢情怎么不是呢", intent, prompt=prompt)).reason == reason
    unsure = decide(understood("那敢情怎么不是呢", intent, prompt=prompt, confidence=0.5))
    assert unsure.missed


def test_a_complaint_in_words_outweighs_a_no() -> None:
    decision = decide(understood("不用了，我要投诉你们", "deny", prompt=OFFER))
    assert decision.escalation is not None
    assert decision.escalation.reason is CaseReason.ANGER


def test_a_yes_to_nothing_is_taken_kindly_and_is_no_question() -> None:
    decision = decide(understood("好的好的就这样", "affirm", misses=1))
    assert (decision.action, decision.reason, decision.misses) == (Action.NONE, "acknowledged", 0)
    assert decision.replies[0].text == wording.ACKNOWLEDGED
    choices = Prompt(PromptKind.CHOICE, ())
    assert decide(understood("好的好的就这样", "affirm", prompt=choices)).missed


def test_a_sure_greeting_is_answered_without_choices() -> None:
    decision = decide(understood("哈喽哈喽", "greet", (GREETING, 0.72), (SHIPPING, 0.7)))
    assert decision.replies[0].text == "您好，欢迎来到小店！"
    other = decide(understood("哈喽哈喽", "thanks", (GREETING, 0.72), (SHIPPING, 0.7)))
    assert other.action is Action.OFFER


@pytest.mark.parametrize("intent", ["praise", "suggestion", "unsubscribe"])
def test_what_is_told_is_no_question(intent: str) -> None:
    decision = decide(understood("说点什么好呢", intent, (SHIPPING, 0.8)))
    assert (decision.action, decision.reason) == (Action.NONE, f"told {intent}")
    assert decision.replies[0].text == wording.FEEDBACK[intent]
    assert decision.opt_out is None


def test_the_shops_own_words_thank_for_praise_whoever_understood_it() -> None:
    faq = {PRAISE.id: PRAISE}
    by_intent = decide(understood("东西真不赖", "praise", faq=faq))
    by_search = decide(situation("很好呀", (PRAISE, 0.9), faq=faq))
    for decision in (by_intent, by_search):
        assert (decision.action, decision.replies[0].text) == (Action.NONE, "小店谢谢您！")


def test_an_exact_question_of_the_shop_is_answered_whatever_was_guessed() -> None:
    decision = decide(understood("什么时候发货", "praise", (SHIPPING, 1.0)))
    assert decision.action is Action.ANSWER


def test_how_it_was_is_the_comment_that_a_survey_asked_for() -> None:
    rated = asked_survey(rating=4)
    for told in (
        understood("拉链有点卡", "quality_problem", (LEAKS, 0.81), prompt=COMMENT_ASKED, survey=rated),
        understood("东西真不赖", "praise", (PRAISE, 0.81), prompt=COMMENT_ASKED, survey=rated),
        situation("质量有问题", (LEAKS, 1.0), prompt=COMMENT_ASKED, survey=rated),
    ):
        decision = decide(told)
        assert (decision.reason, decision.comment) == ("survey_comment", told.text)
    asks = understood("拉链卡了怎么办", "quality_problem", (LEAKS, 0.81), prompt=COMMENT_ASKED, survey=rated)
    assert decide(asks).action is Action.ANSWER


def test_praise_instead_of_a_rating_is_kept_and_trouble_gets_help() -> None:
    praised = decide(understood("东西真不赖", "praise", prompt=RATING_ASKED, survey=asked_survey()))
    assert (praised.reason, praised.comment) == ("survey_comment_first", "东西真不赖")
    trouble = understood(
        "拉链有点卡", "quality_problem", (LEAKS, 0.81), prompt=RATING_ASKED, survey=asked_survey()
    )
    assert decide(trouble).action is Action.ANSWER
    elsewhere = understood("东西真不赖", "praise", prompt=OFFER, survey=asked_survey())
    assert decide(elsewhere).reason == "told praise"


def test_praise_just_after_a_survey_still_belongs_to_it() -> None:
    decision = decide(
        understood("东西真不赖", "praise", lately_answered=asked_survey(rating=5, comment="挺快"))
    )
    assert (decision.reason, decision.comment) == ("survey_comment_continued", "挺快\n东西真不赖")
