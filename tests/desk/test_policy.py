"""What the bot does with one message, rule by rule."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from desk import prompts, wording
from desk.decision import Action, Situation, Tap
from desk.policy import decide
from desk.values import (
    Buyer,
    CaseReason,
    FaqEntry,
    FaqMatch,
    Option,
    Order,
    OrderItem,
    OrderSnapshot,
    OrderStatus,
    Priority,
    Prompt,
    PromptKind,
    Speaker,
    Survey,
    SurveyState,
    Understanding,
)

NOW = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)

SHIPPING = FaqEntry(1, "ship-when", "物流", "什么时候发货", (), "{ship_within}内发货，{shop_name}")
RETURNS = FaqEntry(2, "returns", "售后", "怎么退货", (), "7 天无理由")
TRACKING = FaqEntry(3, "tracking", "物流", "我的快递到哪了", (), "请先关联订单", action="tracking")
THANKS = FaqEntry(4, "thanks", "会话", "谢谢", (), "不客气")
REFUND = FaqEntry(5, "refund", "售后", "退款到哪了", (), "请先关联订单", action="refund_status")
STATUS = FaqEntry(6, "order", "物流", "查订单", (), "请先关联订单", action="order_status")


def order(status: OrderStatus = OrderStatus.SHIPPED, tracking_no: str = "SF123", items: int = 1) -> Order:
    bought = tuple(OrderItem(f"S{n}", f"保温杯{n}", 1, 5900) for n in range(items))
    snapshot = OrderSnapshot("A-1", Buyer("b1", "王女士"), bought, 5900, "CNY", "顺丰", tracking_no)
    return Order(1, snapshot, 1, status, NOW, None)


def asked_survey(**changes: object) -> Survey:
    plain = Survey(
        id=7, subject_type="order", subject_id=1, kind="post_delivery", round=1,
        state=SurveyState.ASKING, skip_reason=None, identity_id=1, conversation_id=1, rating=None,
        comment=None, due_at=NOW, asked_at=NOW, reminded_at=None, expires_at=NOW + timedelta(days=7),
        finished_at=None,
    )  # fmt: skip
    return replace(plain, **changes)  # type: ignore[arg-type]


def situation(text: str, *matches: tuple[FaqEntry, float], **changes: object) -> Situation:
    understood = Understanding("fake", matches=tuple(FaqMatch(entry, score) for entry, score in matches))
    plain = Situation(
        text=text, tap=None, speaker=Speaker.BOT, misses=0, angered_at=None, message_id=31, prompt=None, survey=None, lately_answered=None,
        orders=(), faq={entry.id: entry for entry in (SHIPPING, RETURNS, TRACKING)}, understanding=understood,
        variables={"ship_within": "48 小时", "shop_name": "小店"}, case_number="", now=NOW,
    )  # fmt: skip
    return replace(plain, **changes)  # type: ignore[arg-type]


COMMENT_ASKED = Prompt(PromptKind.SURVEY_COMMENT, (Option("没有了", "0", "no_comment"),), 7)
RATING_ASKED = prompts.rating_prompt(7)


def test_a_near_exact_question_is_answered_with_shop_variables_filled_in() -> None:
    decision = decide(situation("什么时候发货", (SHIPPING, 0.99)))
    assert decision.action is Action.ANSWER
    assert decision.replies[0].text == "48 小时内发货，小店"
    assert "faq=ship-when" in decision.reason
    assert decision.misses == 0


def test_likely_questions_are_offered_with_a_person_as_the_last_choice() -> None:
    decision = decide(situation("发货", (SHIPPING, 0.7), (RETURNS, 0.66), (TRACKING, 0.1), misses=1))
    prompt = decision.replies[0].prompt
    assert decision.action is Action.OFFER
    assert prompt is not None
    assert [(option.typed, option.value) for option in prompt.options] == [
        ("1", "faq:1"), ("2", "faq:2"), ("3", "person"),
    ]  # fmt: skip
    assert decision.misses == 1


def test_an_exact_question_is_answered_even_if_another_is_nearly_as_near() -> None:
    decision = decide(situation("什么时候发货", (SHIPPING, 1.0), (RETURNS, 0.98)))
    assert decision.action is Action.ANSWER


def test_what_is_not_known_is_said_honestly_and_kept_for_the_owner() -> None:
    decision = decide(situation("火星上能用吗", (SHIPPING, 0.1)))
    assert decision.replies[0].text == wording.NOT_UNDERSTOOD
    assert decision.missed
    assert decision.misses == 1


def test_lost_twice_in_a_row_offers_a_person() -> None:
    decision = decide(situation("火星上能用吗", misses=1))
    assert decision.action is Action.OFFER
    assert decision.replies[0].prompt is not None
    assert decision.replies[0].prompt.kind is PromptKind.OFFER_PERSON
    assert decision.missed


def test_a_message_of_nothing_but_invisible_characters_is_asked_again() -> None:
    decision = decide(situation("\u200d\u200b", misses=1))
    assert decision.replies[0].text == wording.EMPTY
    assert decision.misses == 1
    assert not decision.missed


def test_asking_for_a_person_calls_one_at_once() -> None:
    decision = decide(situation("转人工", (SHIPPING, 0.9)))
    assert decision.action is Action.PERSON
    assert decision.escalation is not None
    assert decision.escalation.reason is CaseReason.ASKED_FOR_PERSON
    assert decision.replies[0].speakers == {Speaker.WAITING}


def test_one_anger_word_only_offers_a_person() -> None:
    decision = decide(situation("真是垃圾", (SHIPPING, 0.1)))
    assert decision.action is Action.OFFER
    assert decision.escalation is None
    assert decision.angry


def test_a_second_angry_message_calls_a_person() -> None:
    decision = decide(situation("真是垃圾", angered_at=NOW - timedelta(minutes=9)))
    assert decision.escalation is not None
    assert decision.escalation.reason is CaseReason.ANGER


@pytest.mark.parametrize("speaker", list(Speaker))
def test_opting_out_works_in_every_state(speaker: Speaker) -> None:
    decision = decide(situation("退订", speaker=speaker))
    assert decision.opt_out is True
    assert decision.replies[0].speakers == set(Speaker)


def test_opting_in_again_is_possible() -> None:
    decision = decide(situation("恢复订阅"))
    assert decision.opt_out is False
    assert decision.replies[0].text == wording.OPTED_IN


def test_the_bot_is_silent_while_a_person_speaks() -> None:
    decision = decide(situation("什么时候发货", (SHIPPING, 1.0), speaker=Speaker.PERSON))
    assert decision.replies == ()
    assert decision.reason == "with_person"


def test_a_digit_goes_to_the_person_while_one_is_there() -> None:
    decision = decide(situation("5", speaker=Speaker.PERSON, prompt=RATING_ASKED, survey=asked_survey()))
    assert decision.rating is None
    assert decision.replies == ()


def test_asking_again_while_waiting_is_answered_once_more_and_joins_the_case() -> None:
    decision = decide(situation("人工", speaker=Speaker.WAITING, case_number="HY-1001"))
    assert decision.escalation is not None
    assert "HY-1001" in decision.replies[0].text
    assert decision.replies[0].speakers == {Speaker.WAITING}


def test_anger_while_a_person_speaks_counts_but_gets_no_bot_line() -> None:
    decision = decide(situation("垃圾，我要投诉你们", speaker=Speaker.PERSON))
    assert decision.escalation is not None
    assert decision.replies == ()


def test_the_customer_may_change_their_mind_while_waiting() -> None:
    decision = decide(situation("不用人工了", speaker=Speaker.WAITING))
    assert decision.back_to_bot
    assert decision.replies[0].text == wording.BACK_TO_BOT


def test_what_follows_a_low_rating_is_kept_as_the_comment_too() -> None:
    rated = asked_survey(rating=1, state=SurveyState.ANSWERING)
    decision = decide(situation("杯盖漏水", speaker=Speaker.WAITING, survey=rated))
    assert decision.comment == "杯盖漏水"
    assert decision.survey_done


def test_a_typed_digit_chooses_from_the_newest_prompt() -> None:
    choices = Prompt(PromptKind.CHOICE, (Option("怎么退货", "1", "faq:2"), Option("转人工", "2", "person")))
    decision = decide(situation(" １。", prompt=choices))
    assert decision.replies[0].text == RETURNS.answer
    taken = decide(situation("2", prompt=choices))
    assert taken.escalation is not None
    assert taken.escalation.reason is CaseReason.ACCEPTED_OFFER


def test_a_digit_without_a_prompt_is_just_a_digit() -> None:
    assert decide(situation("1")).missed


def test_a_chosen_answer_that_was_deleted_is_admitted() -> None:
    choices = Prompt(PromptKind.CHOICE, (Option("旧问题", "1", "faq:99"),))
    assert decide(situation("1", prompt=choices)).missed


def test_an_offer_can_be_declined() -> None:
    offer = Prompt(PromptKind.OFFER_PERSON, (Option("好", "1", "person"), Option("先不用", "2", "no_person")))
    decision = decide(situation("先不用", prompt=offer))
    assert decision.replies[0].text == wording.OFFER_DECLINED


def test_a_pressed_button_counts_for_its_own_prompt() -> None:
    tap = Tap(RATING_ASKED, RATING_ASKED.options[0])
    decision = decide(situation("非常满意", tap=tap, survey=asked_survey()))
    assert decision.rating == 5
    assert decision.survey_id == 7


def test_a_late_or_foreign_button_changes_nothing() -> None:
    decision = decide(situation("非常满意", tap=Tap(None, None), misses=1, survey=asked_survey()))
    assert decision.rating is None
    assert decision.replies[0].text == wording.LATE_TAP
    assert decision.misses == 1


@pytest.mark.parametrize(
    ("text", "rating"), [("5", 5), ("４分", 4), ("三星", 3), ("非常满意", 5), ("⭐⭐⭐⭐", 4)]
)
def test_a_rating_may_be_typed(text: str, rating: int) -> None:
    decision = decide(situation(text, prompt=RATING_ASKED, survey=asked_survey()))
    assert decision.rating == rating
    assert decision.replies[0].prompt is not None
    assert decision.replies[0].prompt.kind is PromptKind.SURVEY_COMMENT


@pytest.mark.parametrize(("rating", "priority"), [(1, Priority.URGENT), (2, Priority.HIGH)])
def test_a_low_rating_calls_a_person_and_is_stored(rating: int, priority: Priority) -> None:
    decision = decide(situation(str(rating), prompt=RATING_ASKED, survey=asked_survey()))
    assert decision.rating == rating
    assert decision.escalation is not None
    assert decision.escalation.priority is priority


def test_words_instead_of_a_rating_are_kept_and_the_rating_is_asked_again() -> None:
    decision = decide(situation("杯子挺好看", prompt=RATING_ASKED, survey=asked_survey()))
    assert decision.comment == "杯子挺好看"
    assert not decision.survey_done
    assert decision.replies[0].prompt == RATING_ASKED


def test_the_rating_after_such_words_ends_the_survey() -> None:
    noted = asked_survey(comment="杯子挺好看", state=SurveyState.ANSWERING)
    decision = decide(situation("4", prompt=RATING_ASKED, survey=noted))
    assert decision.rating == 4
    assert decision.survey_done


def test_nothing_to_say_instead_of_a_rating_just_asks_again() -> None:
    decision = decide(situation("没有", prompt=RATING_ASKED, survey=asked_survey()))
    assert decision.comment is None
    assert decision.replies[0].prompt == RATING_ASKED


def test_a_comment_ends_the_survey_with_thanks() -> None:
    rated = asked_survey(rating=4, state=SurveyState.ANSWERING)
    decision = decide(situation("快递很快", prompt=COMMENT_ASKED, survey=rated))
    assert decision.comment == "快递很快"
    assert decision.survey_done
    assert decision.replies[0].text == wording.SURVEY_THANKS


@pytest.mark.parametrize("text", ["0", "没有了", "没了", "没什么"])
def test_no_comment_ends_the_survey_too(text: str) -> None:
    rated = asked_survey(rating=4, state=SurveyState.ANSWERING)
    decision = decide(situation(text, prompt=COMMENT_ASKED, survey=rated))
    assert decision.comment is None
    assert decision.survey_done


def test_a_plain_question_in_the_middle_of_a_survey_is_answered() -> None:
    rated = asked_survey(rating=4, state=SurveyState.ANSWERING)
    decision = decide(situation("怎么退货", (RETURNS, 1.0), prompt=COMMENT_ASKED, survey=rated))
    assert decision.action is Action.ANSWER
    assert decision.comment is None


def test_thanks_in_the_middle_of_a_survey_is_a_comment_not_small_talk() -> None:
    rated = asked_survey(rating=4, state=SurveyState.ANSWERING)
    assert decide(situation("谢谢", (THANKS, 1.0), prompt=COMMENT_ASKED, survey=rated)).comment == "谢谢"


def test_one_anger_word_in_a_comment_is_stored_and_offers_a_person() -> None:
    rated = asked_survey(rating=3, state=SurveyState.ANSWERING)
    decision = decide(situation("包装太垃圾", prompt=COMMENT_ASKED, survey=rated))
    assert decision.comment == "包装太垃圾"
    assert decision.replies[0].prompt is not None
    assert decision.replies[0].prompt.kind is PromptKind.OFFER_PERSON


@pytest.mark.parametrize(("prompt", "done"), [(COMMENT_ASKED, True), (RATING_ASKED, False)])
def test_anger_in_a_survey_calls_a_person_and_is_kept_as_feedback(prompt: Prompt, done: bool) -> None:
    decision = decide(situation("垃圾东西，我要投诉你们", prompt=prompt, survey=asked_survey(rating=3)))
    assert decision.escalation is not None
    assert decision.comment == "垃圾东西，我要投诉你们"
    assert decision.survey_done is done


def test_a_rating_may_be_changed_while_the_survey_lives() -> None:
    done = asked_survey(rating=3, comment="还行", state=SurveyState.DONE)
    tap = Tap(RATING_ASKED, RATING_ASKED.options[1])
    decision = decide(situation("满意", tap=tap, survey=done))
    assert decision.rating == 4
    assert decision.replies[0].text == wording.SURVEY_UPDATED.format(rating=4)


def test_a_rating_after_the_end_is_declined_politely() -> None:
    tap = Tap(RATING_ASKED, RATING_ASKED.options[0])
    decision = decide(situation("非常满意", tap=tap, survey=None))
    assert decision.replies[0].text == wording.SURVEY_OVER
    assert decision.rating is None


@pytest.mark.parametrize(("label", "calls"), [("满意", False), ("非常不满意", True)])
def test_a_rating_button_counts_beside_a_person_without_a_word_of_the_bot(label: str, calls: bool) -> None:
    option = next(option for option in RATING_ASKED.options if option.label == label)
    decision = decide(
        situation(label, tap=Tap(RATING_ASKED, option), speaker=Speaker.PERSON, survey=asked_survey())
    )
    assert decision.rating is not None
    assert decision.replies == ()
    assert (decision.escalation is not None) is calls


def test_another_button_beside_a_person_is_just_words() -> None:
    tap = Tap(COMMENT_ASKED, COMMENT_ASKED.options[0])
    decision = decide(situation("没有了", tap=tap, speaker=Speaker.PERSON, survey=asked_survey()))
    assert decision.rating is None


OFFER = Prompt(PromptKind.OFFER_PERSON, (Option("好", "1", "person"), Option("先不用", "2", "no_person")))


@pytest.mark.parametrize(
    ("words", "reason"), [("可以啊", "escalated accepted_offer"), ("算了", "offer_declined")]
)
def test_an_offer_is_answered_in_ones_own_words(words: str, reason: str) -> None:
    assert decide(situation(words, prompt=OFFER)).reason == reason


@pytest.mark.parametrize(("words", "helped"), [("搞定了", True), ("还没有", False), ("什么时候发货", None)])
def test_whether_it_helped_is_answered_in_ones_own_words(words: str, helped: bool | None) -> None:
    assert decide(situation(words, prompt=prompts.helped_prompt(3))).helped is helped


def test_choices_that_were_all_wrong_are_remembered() -> None:
    offered = decide(situation("发货", (SHIPPING, 0.7), (RETURNS, 0.66)))
    choices = offered.replies[0].prompt
    assert choices is not None
    assert choices.subject_id == 31
    assert decide(situation("3", prompt=choices)).rejected_question_id == 31
    assert decide(situation("1", prompt=OFFER)).rejected_question_id is None


@pytest.mark.parametrize("words", ["杯盖能放洗碗机吗", "怎么还没到", "盖子什么颜色？"])
def test_a_question_is_no_answer_to_the_question_for_a_rating(words: str) -> None:
    decision = decide(situation(words, prompt=RATING_ASKED, survey=asked_survey()))
    assert decision.comment is None


def test_a_likely_question_in_the_place_of_a_comment_is_a_question() -> None:
    rated = asked_survey(rating=4, state=SurveyState.ANSWERING)
    asked = decide(situation("能退吗", (RETURNS, 0.5), prompt=COMMENT_ASKED, survey=rated))
    assert asked.comment is None
    said = decide(situation("退货有点麻烦", (RETURNS, 0.5), prompt=COMMENT_ASKED, survey=rated))
    assert said.comment == "退货有点麻烦"


@pytest.mark.parametrize(("before", "after"), [(None, "盖子紧"), ("好看", "好看\n盖子紧")])
def test_words_soon_after_a_rating_still_belong_to_it(before: str | None, after: str) -> None:
    lately = asked_survey(rating=4, comment=before, state=SurveyState.ANSWERING)
    decision = decide(situation("盖子紧", lately_answered=lately))
    assert (decision.comment, decision.survey_id, decision.missed) == (after, 7, False)


def test_helped_or_not_is_recorded_and_not_helped_calls_a_person_again() -> None:
    asked = prompts.helped_prompt(3)
    yes = decide(situation("1", prompt=asked))
    assert (yes.helped, yes.case_id) == (True, 3)
    no = decide(situation("还没解决", prompt=asked))
    assert (no.helped, no.case_id) == (False, 3)
    assert no.escalation is not None
    assert no.escalation.reason is CaseReason.NOT_HELPED


def test_order_questions_are_answered_from_the_askers_orders() -> None:
    decision = decide(situation("快递到哪了", (TRACKING, 1.0), orders=(order(),)))
    assert "SF123" in decision.replies[0].text
    without = decide(situation("快递到哪了", (TRACKING, 1.0)))
    assert without.replies[0].text == "请先关联订单"


def test_an_order_that_has_not_left_has_no_tracking_number_yet() -> None:
    decision = decide(situation("快递到哪了", (TRACKING, 1.0), orders=(order(OrderStatus.PAID),)))
    assert "还没有快递单号" in decision.replies[0].text
    nameless = decide(situation("快递到哪了", (TRACKING, 1.0), orders=(order(tracking_no=""),)))
    assert "还没有快递单号" in nameless.replies[0].text


def test_order_status_names_the_first_items_only() -> None:
    decision = decide(situation("查订单", (STATUS, 1.0), orders=(order(items=3),)))
    assert "保温杯0×1、保温杯1×1 等 3 种" in decision.replies[0].text
    assert "运输中" in decision.replies[0].text


def test_all_items_are_named_when_they_are_few() -> None:
    decision = decide(situation("查订单", (STATUS, 1.0), orders=(order(items=2),)))
    assert "（保温杯0×1、保温杯1×1）" in decision.replies[0].text


def test_refunds_are_told_from_orders_with_money_going_back() -> None:
    none = decide(situation("退款", (REFUND, 1.0), orders=(order(),)))
    assert none.replies[0].text == wording.REFUND_NONE
    some = decide(situation("退款", (REFUND, 1.0), orders=(order(OrderStatus.REFUNDED),)))
    assert "已退款" in some.replies[0].text
