"""When a survey may go out, and what an answer means."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from desk import survey
from desk.quiet_hours import QuietHours
from desk.survey import Ask, CaseTimes, Hold, Skip
from desk.values import (
    Buyer,
    Identity,
    Order,
    OrderSnapshot,
    OrderStatus,
    SkipReason,
    Survey,
    SurveyState,
)

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOON = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 21, 16, 0, tzinfo=UTC)
NIGHT = QuietHours(time(22), time(9))
MORNING = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)

WANG = Identity(1, 1, "webchat", "w", True, None, NOON, NOON)


def planned(due_at: datetime = NOON, **changes: object) -> Survey:
    plain = Survey(
        id=7, subject_type="order", subject_id=1, kind="post_delivery", round=1,
        state=SurveyState.SCHEDULED, skip_reason=None, identity_id=None, conversation_id=None, rating=None,
        comment=None, due_at=due_at, asked_at=None, reminded_at=None, expires_at=None, finished_at=None,
    )  # fmt: skip
    return replace(plain, **changes)  # type: ignore[arg-type]


def delivered(
    status: OrderStatus = OrderStatus.DELIVERED, at: datetime | None = NOON - timedelta(days=1)
) -> Order:
    snapshot = OrderSnapshot("A-1", Buyer("b1", "王女士"), (), 5900, "CNY")
    return Order(1, snapshot, 1, status, NOON, at)


def decide(
    *,
    order: Order | None = None,
    chosen: Identity | SkipReason = WANG,
    case: CaseTimes | None = None,
    asked_lately: int = 0,
    quiet: QuietHours | None = NIGHT,
    due_at: datetime = NOON,
    now: datetime = NOON,
) -> Ask | Skip | Hold:
    return survey.decide_due(
        planned(due_at), order or delivered(), chosen, case or CaseTimes(), asked_lately, quiet, SHANGHAI, now
    )


def test_a_reachable_buyer_is_asked_in_daytime() -> None:
    assert decide() == Ask(WANG)
    assert decide(quiet=None, now=MIDNIGHT) == Ask(WANG)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (OrderStatus.REFUNDED, SkipReason.REFUNDED),
        (OrderStatus.RETURNED, SkipReason.RETURNED),
        (OrderStatus.CANCELLED, SkipReason.CANCELLED),
    ],
)
def test_an_order_that_came_to_nothing_is_not_asked_about(status: OrderStatus, reason: SkipReason) -> None:
    assert decide(order=delivered(status)) == Skip(reason)


def test_nobody_is_asked_about_a_delivery_of_long_ago() -> None:
    old = delivered(at=NOON - timedelta(days=14, seconds=1))
    assert decide(order=old) == Skip(SkipReason.TOO_OLD)
    assert decide(order=delivered(at=NOON - timedelta(days=14))) == Ask(WANG)


def test_a_delivery_that_grew_old_behind_a_case_says_so() -> None:
    old = delivered(at=NOON - timedelta(days=15))
    assert decide(order=old, case=CaseTimes(open=True)) == Skip(SkipReason.CASE_OPEN)
    lately = CaseTimes(closed_at=NOON - timedelta(hours=1))
    assert decide(order=old, case=lately) == Skip(SkipReason.CASE_OPEN)


@pytest.mark.parametrize("reason", [SkipReason.NOBODY_BOUND, SkipReason.OPTED_OUT, SkipReason.UNREACHABLE])
def test_without_anybody_to_ask_the_reason_is_kept(reason: SkipReason) -> None:
    assert decide(chosen=reason) == Skip(reason)


def test_an_open_case_holds_the_survey_until_a_day_after_it_closed() -> None:
    assert decide(case=CaseTimes(open=True)) == Hold(NOON + survey.HOLD_STEP, "case_open")
    closed_at = NOON - timedelta(hours=23)
    assert decide(case=CaseTimes(closed_at=closed_at)) == Hold(closed_at + timedelta(hours=24), "case_open")
    assert decide(case=CaseTimes(closed_at=NOON - timedelta(hours=24))) == Ask(WANG)


def test_a_case_that_stays_open_for_a_week_ends_the_waiting() -> None:
    due_at = NOON - timedelta(days=7)
    assert decide(case=CaseTimes(open=True), due_at=due_at) == Skip(SkipReason.CASE_OPEN)


def test_nobody_is_asked_too_often() -> None:
    assert decide(asked_lately=survey.CAP) == Skip(SkipReason.CAPPED)


def test_at_night_the_survey_waits_for_the_morning() -> None:
    assert decide(now=MIDNIGHT) == Hold(MORNING, "quiet")


def test_the_first_due_time_is_after_the_delay_outside_the_night_and_never_past() -> None:
    day = timedelta(days=1)
    assert survey.first_due(NOON, day, NIGHT, SHANGHAI, NOON) == NOON + day
    assert survey.first_due(MIDNIGHT - day, day, NIGHT, SHANGHAI, NOON) == MORNING
    assert survey.first_due(NOON - 5 * day, day, None, SHANGHAI, NOON) == NOON


def test_the_latest_writer_who_can_be_reached_and_agrees_is_asked() -> None:
    gone = replace(WANG, id=2, reachable=False)
    out = replace(WANG, id=3, opted_out_at=NOON)
    assert survey.choose_identity([gone, out, WANG]) == WANG
    assert survey.choose_identity([]) is SkipReason.NOBODY_BOUND
    assert survey.choose_identity([out]) is SkipReason.OPTED_OUT
    assert survey.choose_identity([out, gone]) is SkipReason.UNREACHABLE


@pytest.mark.parametrize(
    ("text", "rating"),
    [
        ("5", 5), ("５", 5), (" 4 分。", 4), ("3星", 3), ("五星好评", 5), ("两颗星", 2), ("⭐⭐⭐", 3), ("⭐️⭐️", 2),
        ("非常满意", 5), ("满意！", 4), ("一般般", 3), ("不满意", 2), ("非常不满意", 1), ("星", None), ("分", None),
        ("6", None), ("0", None), ("", None), ("⭐⭐⭐⭐⭐⭐", None), ("5天了还没到", None), ("10分", None),
    ],
)  # fmt: skip
def test_ratings_are_read_from_digits_stars_and_words(text: str, rating: int | None) -> None:
    assert survey.read_rating(text) == rating


@pytest.mark.parametrize(
    ("text", "nothing"), [("没有了", True), ("没啥。", True), ("无", True), ("没有异味", False)]
)
def test_nothing_to_add_is_understood(text: str, nothing: bool) -> None:
    assert survey.says_no_comment(text) is nothing


def test_answers_are_taken_until_the_survey_expires() -> None:
    later = NOON + timedelta(days=1)
    assert survey.may_still_answer(planned(state=SurveyState.ASKING), NOON)
    assert survey.may_still_answer(planned(state=SurveyState.DONE, expires_at=later), NOON)
    assert not survey.may_still_answer(planned(state=SurveyState.DONE, expires_at=later), later)
    assert not survey.may_still_answer(planned(state=SurveyState.DONE), NOON)
    assert not survey.may_still_answer(planned(state=SurveyState.EXPIRED, expires_at=later), NOON)


def test_an_unknown_delivery_time_is_not_called_old() -> None:
    assert decide(order=delivered(at=None)) == Ask(WANG)
