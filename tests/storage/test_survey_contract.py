"""Surveys: one per subject, kind and round; answers with their history; feedback with its score."""

from __future__ import annotations

import pytest
from care_stories import DAY, HOUR, NOW, Customer, ask, bound, customer, order, survey, writes
from contract_backend import Backend
from sqlalchemy.exc import IntegrityError

from desk.errors import NotFoundError
from desk.values import Feedback, Sentiment, SentimentLabel, SkipReason, Survey, SurveyState
from storage.tables.care import FeedbackRow, SurveyRow
from storage.unit_of_work import SqlUnitOfWork


def rated(database: Backend, planned: Survey, who: Customer, rating: int, comment: str | None) -> Feedback:
    def work(unit: SqlUnitOfWork) -> Feedback:
        changed = unit.surveys.change(
            planned.id, state=SurveyState.DONE, now=NOW, rating=rating, comment=comment
        )
        about = unit.orders.get(planned.subject_id)
        return unit.surveys.save_feedback(changed, about, who.conversation, NOW)

    return database.run(work)


def test_a_survey_is_read_as_it_is_now(postgresql: Backend) -> None:
    """What waited for a lock reads again, and must not be told what it knew before."""
    planned = survey(postgresql, order(postgresql))

    def work(unit: SqlUnitOfWork) -> SurveyState:
        assert unit.surveys.get(planned.id).state is SurveyState.SCHEDULED
        postgresql.run(lambda other: other.surveys.skip(planned.id, SkipReason.REFUNDED, NOW))
        return unit.surveys.get(planned.id).state

    assert postgresql.run(work) is SurveyState.SKIPPED


def test_a_survey_is_planned_once(database: Backend) -> None:
    bought = order(database)
    planned = survey(database, bought)
    assert (planned.state, planned.due_at) == (SurveyState.SCHEDULED, NOW + DAY)
    again, created = database.run(
        lambda unit: unit.surveys.schedule("order", bought.id, "post_delivery", 1, NOW + 9 * DAY, NOW)
    )
    assert (again, created) == (planned, False)
    second, created = database.run(
        lambda unit: unit.surveys.schedule("order", bought.id, "post_delivery", 2, NOW, NOW)
    )
    assert created
    assert second.id != planned.id


def test_a_survey_that_many_plan_at_once_is_one(database: Backend) -> None:
    bought = order(database)
    planned = database.run_together(
        [lambda unit: unit.surveys.schedule("order", bought.id, "post_delivery", 1, NOW, NOW)] * 6
    )
    assert [created for _, created in planned].count(True) == 1
    assert len({one.id for one, _ in planned}) == 1


def test_a_survey_goes_through_its_life(database: Backend) -> None:
    who, bought = customer(database), order(database)
    planned = survey(database, bought)
    asked = ask(database, planned, who)
    assert asked.asked_at == NOW
    assert database.run(lambda unit: unit.surveys.find_open_of_conversation(who.conversation.id)) == [asked]
    done = database.run(
        lambda unit: unit.surveys.change(planned.id, state=SurveyState.DONE, now=NOW + HOUR, rating=5)
    )
    assert (done.rating, done.finished_at) == (5, NOW + HOUR)
    assert database.run(lambda unit: unit.surveys.find_open_of_conversation(who.conversation.id)) == []
    assert database.run(lambda unit: unit.surveys.get(planned.id)) == done


def test_a_skipped_survey_says_why_and_one_planned_again_does_not(database: Backend) -> None:
    planned = survey(database, order(database))
    database.run(lambda unit: unit.surveys.skip(planned.id, SkipReason.NOBODY_BOUND, NOW))
    skipped = database.run(lambda unit: unit.surveys.get(planned.id))
    assert (skipped.state, skipped.skip_reason, skipped.finished_at) == (
        SurveyState.SKIPPED,
        SkipReason.NOBODY_BOUND,
        NOW,
    )
    revived = database.run(
        lambda unit: unit.surveys.change(
            planned.id, state=SurveyState.SCHEDULED, now=NOW, skip_reason=None, due_at=NOW + 2 * DAY
        )
    )
    assert (revived.skip_reason, revived.finished_at, revived.due_at) == (None, None, NOW + 2 * DAY)


def test_a_field_that_a_survey_does_not_have_is_refused(database: Backend) -> None:
    planned = survey(database, order(database))
    with pytest.raises(TypeError, match="stars"):
        database.run(lambda unit: unit.surveys.change(planned.id, state=SurveyState.DONE, now=NOW, stars=5))
    with pytest.raises(NotFoundError):
        database.run(lambda unit: unit.surveys.skip(99, SkipReason.CAPPED, NOW))


def test_the_survey_asked_last_comes_first(database: Backend) -> None:
    who = customer(database)
    early, late = (survey(database, order(database, number)) for number in ("A-1", "A-2"))
    ask(database, late, who, NOW)
    ask(database, early, who, NOW + HOUR)
    found = database.run(lambda unit: unit.surveys.find_open_of_conversation(who.conversation.id))
    assert [one.id for one in found] == [early.id, late.id]


def test_planned_surveys_are_found_through_the_orders_of_the_identity(database: Backend) -> None:
    who, other = customer(database, "1"), customer(database, "2")
    mine, theirs, asked = (order(database, number) for number in ("A-1", "A-2", "A-3"))
    planned = survey(database, mine)
    survey(database, theirs)
    ask(database, survey(database, asked), who)
    bound(database, who, mine)
    bound(database, who, asked)
    bound(database, other, theirs)
    found = database.run(lambda unit: unit.surveys.find_scheduled_of_identity(who.identity.id))
    assert [one.id for one in found] == [planned.id]


def test_a_person_is_counted_over_all_their_channels(database: Backend) -> None:
    telegram, web = customer(database, "1"), customer(database, "2", "webchat")
    stranger = customer(database, "3")
    for number, who, at in (
        ("A-1", telegram, NOW),
        ("A-2", web, NOW - DAY),
        ("A-3", web, NOW - 8 * DAY),
        ("A-4", stranger, NOW),
    ):
        ask(database, survey(database, order(database, number)), who, at)
    database.run(
        lambda unit: unit.identities.move_to_contact(web.identity.id, telegram.contact_id, "order_link", NOW)
    )
    assert database.run(lambda unit: unit.surveys.count_asked(telegram.contact_id, NOW - 7 * DAY)) == 2


def test_a_changed_answer_keeps_what_was_answered_before(database: Backend) -> None:
    who = customer(database)
    planned = survey(database, order(database))
    line = writes(database, who, "5", "1:1")
    revisions = [
        database.run(
            lambda unit, value=value: unit.surveys.record_answer(planned.id, "overall", value, line.id, NOW)
        )
        for value in ("5", "4")
    ]
    assert revisions == [1, 2]
    assert database.run(lambda unit: unit.surveys.record_answer(planned.id, "comment", "好", None, NOW)) == 1


def test_answers_that_come_at_once_get_revisions_of_their_own(database: Backend) -> None:
    planned = survey(database, order(database))
    revisions = database.run_together(
        [lambda unit: unit.surveys.record_answer(planned.id, "overall", "5", None, NOW)] * 5
    )
    assert sorted(revisions) == [1, 2, 3, 4, 5]


def test_a_survey_has_one_feedback_and_a_new_comment_must_be_scored_again(database: Backend) -> None:
    who, bought = customer(database), order(database)
    planned = ask(database, survey(database, bought), who)
    first = rated(database, planned, who, 2, "漏水了")
    assert (first.order_external_id, first.channel, first.contact_id) == ("A-1", "telegram", who.contact_id)
    score = Sentiment(SentimentLabel.NEGATIVE, -0.8, ("漏水",), "lexicon-1")
    assert database.run(lambda unit: unit.surveys.set_sentiment(first.id, "漏水了", score))
    assert database.run(lambda unit: unit.surveys.get_feedback(first.id)).sentiment == score
    same = rated(database, planned, who, 3, "漏水了")
    assert (same.id, same.rating, same.sentiment) == (first.id, 3, score)
    changed = rated(database, planned, who, 5, "修好了")
    assert (changed.id, changed.comment, changed.sentiment) == (first.id, "修好了", None)
    assert database.count("feedback") == 1


def test_a_score_of_an_older_comment_is_not_stored(database: Backend) -> None:
    who = customer(database)
    planned = ask(database, survey(database, order(database)), who)
    said = rated(database, planned, who, 5, "很好")
    score = Sentiment(SentimentLabel.NEGATIVE, -0.5)
    assert not database.run(lambda unit: unit.surveys.set_sentiment(said.id, "不好", score))
    assert not database.run(lambda unit: unit.surveys.set_sentiment(99, "很好", score))
    assert database.run(lambda unit: unit.surveys.get_feedback(said.id)).sentiment is None
    with pytest.raises(NotFoundError):
        database.run(lambda unit: unit.surveys.get_feedback(99))


def test_feedback_follows_its_customer_to_another_contact(database: Backend) -> None:
    web, known = customer(database, "2", "webchat"), customer(database, "1")
    said = rated(database, ask(database, survey(database, order(database)), web), web, 5, None)
    database.run(lambda unit: unit.identities.set_buyer(known.contact_id, "buyer-1", "王小明", "13800001111"))
    database.run(
        lambda unit: unit.identities.move_to_contact(web.identity.id, known.contact_id, "order_link", NOW)
    )
    found = database.run(lambda unit: unit.surveys.get_feedback(said.id))
    assert (found.contact_id, found.contact_name) == (known.contact_id, "王小明")


def test_the_database_refuses_impossible_surveys(database: Backend) -> None:
    who = customer(database)
    planned = survey(database, order(database))
    times = {"due_at": NOW, "created_at": NOW, "updated_at": NOW}
    new = {"subject_type": "order", "subject_id": 9, "kind": "post_delivery", "round": 1, **times}
    score = {"survey_id": planned.id, "conversation_id": who.conversation.id, **times}
    del score["due_at"]
    impossible = [
        SurveyRow(**new, state="skipped"),
        SurveyRow(**new, state="scheduled", skip_reason="capped"),
        SurveyRow(**new, state="skipped", skip_reason="bored"),
        SurveyRow(**new, state="done", rating=6),
        SurveyRow(**{**new, "subject_id": planned.subject_id}, state="scheduled"),
        FeedbackRow(**score, sentiment_label="positive"),
        FeedbackRow(**score, sentiment_score=0.5),
        FeedbackRow(**score, sentiment_label="positive", sentiment_score=2),
    ]
    for row in impossible:
        with pytest.raises(IntegrityError):
            database.run(lambda unit, row=row: unit.session.add(row))
