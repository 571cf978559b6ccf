"""What people read: every number can be explained, and nothing is searched by wildcard."""

from __future__ import annotations

from datetime import datetime

import pytest
from care_stories import (
    DAY,
    HOUR,
    NOW,
    SECOND,
    Customer,
    ask,
    bound,
    customer,
    event,
    hears,
    order,
    question,
    staff,
    survey,
    writes,
)
from contract_backend import Backend

from desk.errors import NotFoundError
from desk.follow_up import DUE_TIMER, FollowUp
from desk.settings import DeskSettings
from desk.values import (
    Attachment,
    AttachmentKind,
    Author,
    Buyer,
    Case,
    CaseReason,
    CaseState,
    Delivery,
    Feedback,
    Outgoing,
    Priority,
    Reply,
    Sentiment,
    SentimentLabel,
    SkipReason,
    Speaker,
    StaffMember,
    SurveyState,
    Timer,
)
from storage.reports import Badge, CaseTab, LastLine, Reports, SurveyLine, SurveyOutcome
from storage.unit_of_work import SqlUnitOfWork


def opened(database: Backend, who: Customer, priority: Priority = Priority.NORMAL, hours: int = 0) -> Case:
    return database.run(
        lambda unit: unit.cases.open(
            who.conversation.id, CaseReason.ANGER, "垃圾", priority, NOW + hours * HOUR
        )[0]
    )


def taken(database: Backend, case: Case, by: StaffMember) -> None:
    def work(unit: SqlUnitOfWork) -> None:
        unit.cases.take(case.id, by, NOW + HOUR)
        unit.conversations.set_speaker(case.conversation_id, Speaker.PERSON, "taken", by.id, NOW)

    database.run(work)


def numbers(database: Backend, tab: str, staff_id: int | None = None, limit: int = 20) -> list[int]:
    page = database.run(lambda unit: Reports(unit.session).cases(tab, staff_id, limit))
    return [row.id for row in page.rows]


def said(database: Backend, who: Customer, number: str, rating: int, comment: str | None) -> Feedback:
    bought = order(database, number, delivered_at=NOW)
    planned = ask(database, survey(database, bought), who)

    def work(unit: SqlUnitOfWork) -> Feedback:
        done = unit.surveys.change(
            planned.id, state=SurveyState.DONE, now=NOW, rating=rating, comment=comment
        )
        return unit.surveys.save_feedback(done, bought, who.conversation, NOW)

    return database.run(work)


# --- Cases -------------------------------------------------------------------------------------------


def test_lines_show_what_came_with_the_words_and_what_they_correct(database: Backend) -> None:
    who = customer(database)
    case = opened(database, who)
    photo = Attachment(AttachmentKind.PHOTO, "AgAC-1", size=9, source_chat="5", source_message="17")
    first = writes(database, who, "坏了", "5:17")
    database.run(
        lambda unit: unit.conversations.add_incoming(
            who.conversation, "5:17", 1000, "", None, NOW + HOUR, (photo,)
        )
    )
    page = database.run(lambda unit: Reports(unit.session).case_page(case.number, lines=9))
    assert [(line.text, line.attachments, line.edits_message_id) for line in page.lines] == [
        ("坏了", (), None),
        ("", (photo,), first.id),
    ]
    (row,) = database.run(lambda unit: Reports(unit.session).cases("open", None, 9)).rows
    assert row.last_line == LastLine(Author.CUSTOMER, "", NOW + HOUR, (photo,))


def test_open_cases_come_by_waiting_urgency_and_age(database: Backend) -> None:
    lin, wang = staff(database, "lin"), staff(database, "wang")
    people = [customer(database, str(number)) for number in range(5)]
    mine = opened(database, people[0], Priority.URGENT)
    taken(database, mine, lin)
    late, early = opened(database, people[1], hours=2), opened(database, people[2], hours=1)
    urgent = opened(database, people[3], Priority.URGENT, hours=3)
    closed = opened(database, people[4])
    database.run(lambda unit: unit.cases.close(closed.id, None, "customer_changed_mind", NOW))
    assert numbers(database, "open") == [urgent.id, early.id, late.id, mine.id]
    assert numbers(database, CaseTab.MINE, lin.id) == [mine.id]
    assert numbers(database, "mine", wang.id) == []
    assert numbers(database, "closed") == [closed.id]
    page = database.run(lambda unit: Reports(unit.session).cases("open", None, 3))
    assert (len(page.rows), page.more) == (3, True)
    rest = database.run(lambda unit: Reports(unit.session).cases("open", None, 3, offset=3))
    assert ([row.id for row in rest.rows], rest.more) == ([mine.id], False)
    assert database.run(lambda unit: Reports(unit.session).badge(lin.id)) == Badge(3, 1, 0)
    with pytest.raises(ValueError):
        numbers(database, "all")


def test_a_case_in_the_list_says_who_waits_why_and_what_was_said_last(database: Backend) -> None:
    lin, who = staff(database, "lin", "小林"), customer(database)
    writes(database, who, "上个月的话", "1:0", NOW - DAY)
    writes(database, who, "气死了", "1:1")
    case = opened(database, who, Priority.HIGH)
    writes(database, who, "有人吗", "1:2", NOW + SECOND)

    def row() -> object:
        (one,) = database.run(lambda unit: Reports(unit.session).cases("open", None, 5)).rows
        return one.unread, one.last_line, one.staff_name

    assert row() == (2, LastLine(Author.CUSTOMER, "有人吗", NOW + SECOND), None)
    (line,) = database.run(lambda unit: Reports(unit.session).cases("open", None, 5)).rows
    assert (line.number, line.reason, line.evidence, line.priority) == (
        case.number,
        CaseReason.ANGER,
        "垃圾",
        Priority.HIGH,
    )
    assert (line.channel, line.waiting_since, line.state) == ("telegram", NOW, CaseState.WAITING)
    taken(database, case, lin)
    answer = Reply("您好", author=Author.STAFF, speakers=frozenset({Speaker.PERSON}))
    hears(database, who, answer, "staff:1", NOW + HOUR, lin)
    assert row() == (0, LastLine(Author.STAFF, "您好", NOW + HOUR), "小林")
    writes(database, who, "谢谢", "1:3", NOW + 2 * HOUR)
    assert row() == (1, LastLine(Author.CUSTOMER, "谢谢", NOW + 2 * HOUR), "小林")


def test_the_page_of_a_case_has_everything_about_its_customer(database: Backend) -> None:
    lin, who, other = staff(database, "lin", "小林"), customer(database, "1"), customer(database, "2")
    web = customer(database, "w", "webchat")
    writes(database, other, "别人的话", "2:1")
    bought = order(database, "A-1", buyer="buyer-1")
    order(database, "B-1", buyer="stranger")
    feedback = said(database, who, "A-2", 1, "漏水")
    earlier = opened(database, web)
    database.run(lambda unit: unit.cases.close(earlier.id, lin, "solved", NOW))
    writes(database, who, "气死了", "1:1")
    case = opened(database, who)

    def work(unit: SqlUnitOfWork) -> None:
        unit.identities.set_buyer(who.contact_id, "buyer-1", "王小明", "13800001111")
        unit.identities.move_to_contact(web.identity.id, who.contact_id, "order_link", NOW)
        unit.cases.add_note(case.id, lin, "已联系仓库", NOW)

    database.run(work)
    hears(database, who, Reply("被拦下的话", reason="faq 0.9"), "reply:1", sent=False)
    page = database.run(lambda unit: Reports(unit.session).case_page(case.number))
    assert page.case == case
    assert (page.contact.name, page.contact.phone, page.contact.buyer_id) == (
        "王小明",
        "13800001111",
        "buyer-1",
    )
    assert (page.identity.channel, page.identity.reachable, page.speaker) == ("telegram", True, Speaker.BOT)
    assert [one.channel for one in page.other_identities] == ["webchat"]
    assert [(line.text, line.delivery, line.seq, line.reason) for line in page.lines] == [
        ("气死了", Delivery.SENT, 1, ""),
        ("被拦下的话", Delivery.QUEUED, None, "faq 0.9"),
    ]
    assert {one.snapshot.external_id for one in page.orders} == {"A-1", "A-2"}
    assert bought in page.orders
    assert [one.id for one in page.feedback] == [feedback.id]
    assert [one.id for one in page.earlier] == [earlier.id]
    assert [(step.kind, step.detail, step.staff_name) for step in page.history] == [
        ("opened", "anger: 垃圾", None),
        ("note", "已联系仓库", "小林"),
    ]
    newest = database.run(lambda unit: Reports(unit.session).case_page(case.number, lines=1))
    assert [line.text for line in newest.lines] == ["被拦下的话"]
    with pytest.raises(NotFoundError):
        database.run(lambda unit: Reports(unit.session).case_page("HY-1"))


def test_dead_letters_stand_on_the_badge(database: Backend) -> None:
    lin = staff(database)

    def work(unit: SqlUnitOfWork) -> None:
        unit.inbox.add("webchat", "k", "h", "identity:1", b"{", NOW)
        (claim,) = unit.inbox.claim_lanes("worker-1", 1, HOUR, NOW)
        item = unit.inbox.find_head(claim, NOW)
        assert item is not None
        unit.inbox.bury(claim, item.id, "JSONDecodeError")

    database.run(work)
    assert database.run(lambda unit: Reports(unit.session).badge(lin.id)) == Badge(0, 0, 1)


# --- Feedback and customers ----------------------------------------------------------------------------


def test_feedback_is_found_by_label_rating_and_words(database: Backend) -> None:
    who = customer(database)
    good, bad, silent = (
        said(database, who, "A-1", 5, "很好, 100% 满意"),
        said(database, who, "A-2", 1, "Broken_杯 漏水"),
        said(database, who, "B-3", 3, None),
    )
    score = Sentiment(SentimentLabel.NEGATIVE, -0.9, ("漏水",), "lexicon-1")
    database.run(lambda unit: unit.surveys.set_sentiment(bad.id, "Broken_杯 漏水", score))

    def find(label: str | None = None, rating: int | None = None, words: str = "") -> list[int]:
        page = database.run(lambda unit: Reports(unit.session).feedback(label, rating, words, 10))
        return [one.id for one in page.rows]

    assert find() == [silent.id, bad.id, good.id]
    assert find("negative") == [bad.id]
    assert find(rating=5) == [good.id]
    assert find(words="漏水") == [bad.id]
    assert find(words="BROKEN") == [bad.id]
    assert find(words=" a-1 ") == [good.id]
    assert find(words="%") == [good.id]
    assert find(words="_") == [bad.id]
    assert find(words="\\") == []
    assert find(words="' OR 1=1 --") == []
    (found,) = database.run(lambda unit: Reports(unit.session).feedback("negative", None, "", 10)).rows
    assert found == database.run(lambda unit: unit.surveys.get_feedback(bad.id))


def test_customers_are_found_by_name_phone_buyer_and_order(database: Backend) -> None:
    first, second = customer(database, "1"), customer(database, "2")
    order(database, "A-77", buyer="buyer%1")
    writes(database, second, "在吗", "2:1")
    database.run(lambda unit: unit.identities.set_buyer(first.contact_id, "buyer%1", "王小明", "13800001111"))

    def find(words: str) -> list[int]:
        page = database.run(lambda unit: Reports(unit.session).customers(words, 10))
        return [one.contact_id for one in page.rows]

    assert find("") == [second.contact_id, first.contact_id]
    for words in ("小明", "1380000", "BUYER%", "%", "a-77"):
        assert find(words) == [first.contact_id], words
    for words in ("_", "%%", "李"):
        assert find(words) == [], words
    (found,) = database.run(lambda unit: Reports(unit.session).customers("小明", 10)).rows
    assert (found.channels, found.last_message_at) == (("telegram",), None)


def test_who_only_bought_is_a_customer_and_an_empty_contact_is_none(database: Backend) -> None:
    buyer = database.run(lambda unit: unit.identities.open_buyer(Buyer("b-7", "李雷", "13900002222"), NOW))
    told = event(order="A-7", buyer="b-7")
    database.run(lambda unit: unit.orders.save(told, buyer.id, None, NOW))
    who = customer(database, "1")
    database.run(lambda unit: unit.identities.move_to_contact(who.identity.id, buyer.id, "order_link", NOW))
    quiet = database.run(lambda unit: unit.identities.open_buyer(Buyer("b-8", "韩梅梅", ""), NOW))

    def find(words: str) -> list[tuple[int, tuple[str, ...], datetime | None]]:
        page = database.run(lambda unit: Reports(unit.session).customers(words, 10))
        return [(one.contact_id, one.channels, one.last_message_at) for one in page.rows]

    bought, wrote = (quiet.id, (), None), (buyer.id, ("telegram",), None)
    # The contact that the identity left behind is nobody, and is not shown.
    assert find("") == [bought, wrote]
    assert find("梅梅") == find("B-8") == [bought]
    assert find("a-7") == find("1390000") == [wrote]
    writes(database, who, "在吗", "1:1")
    assert find("") == [(buyer.id, ("telegram",), NOW), bought]


# --- Surveys -------------------------------------------------------------------------------------------


def test_every_delivered_order_is_accounted_for_once(database: Backend) -> None:
    who = customer(database)
    plans = {
        name: survey(database, order(database, f"A-{name}", delivered_at=NOW))
        for name in ("planned", "held", "queued", "waiting", "answered", "expired", "lost", "found", "capped")
    }
    order(database, "B-shipped")
    for name in ("queued", "waiting", "answered", "expired", "lost", "found"):
        ask(database, plans[name], who)
    hears(
        database,
        who,
        question(plans["waiting"].id),
        f"survey:{plans['waiting'].id}:ask",
    )
    hears(database, who, question(plans["queued"].id), f"survey:{plans['queued'].id}:ask", sent=False)

    def work(unit: SqlUnitOfWork) -> None:
        change = unit.surveys.change
        change(plans["answered"].id, state=SurveyState.ANSWERING, now=NOW, rating=4)
        change(plans["expired"].id, state=SurveyState.EXPIRED, now=NOW)
        change(plans["lost"].id, state=SurveyState.EXPIRED, now=NOW, outcome_unknown=True)
        change(plans["found"].id, state=SurveyState.DONE, now=NOW, outcome_unknown=True, rating=5)
        unit.surveys.skip(plans["capped"].id, SkipReason.CAPPED, NOW)
        unit.timers.set(DUE_TIMER, str(plans["held"].id), NOW + DAY, {"held": "quiet"})

    database.run(work)
    accounting = database.run(lambda unit: Reports(unit.session).survey_accounting())
    assert accounting.delivered == 9
    assert (accounting.sent, accounting.answered, accounting.expired) == (4, 2, 1)
    assert (accounting.pending, accounting.uncertain, accounting.missing) == (3, 1, 0)
    assert accounting.skipped == {SkipReason.CAPPED: 1}
    assert accounting.balanced

    def line(name: str) -> SurveyLine:
        page = database.run(lambda unit: Reports(unit.session).survey_rows(20))
        return next(one for one in page.rows if one.survey_id == plans[name].id)

    outcomes = {name: line(name).outcome.value for name in plans}
    assert outcomes == {
        "planned": "pending",
        "held": "pending",
        "queued": "pending",
        "waiting": "waiting",
        "answered": "answered",
        "expired": "expired",
        "lost": "uncertain",
        "found": "answered",
        "capped": "skipped",
    }
    assert (line("held").held, line("held").next_try_at) == ("quiet", NOW + DAY)
    assert (line("capped").skip_reason, line("answered").rating) == (SkipReason.CAPPED, 4)
    assert (line("waiting").channel, line("planned").channel) == ("telegram", None)


def test_a_question_that_the_desk_has_not_sent_yet_is_pending(database: Backend) -> None:
    who = customer(database)
    bought = order(database, "A-1", delivered_at=NOW)
    bound(database, who, bought)
    planned = survey(database, bought)
    due = Timer(1, DUE_TIMER, str(planned.id), NOW, {})
    desk = FollowUp(DeskSettings())
    database.run(lambda unit: desk.fire_due(unit, due, NOW + DAY))

    def outcome() -> SurveyOutcome:
        (line,) = database.run(lambda unit: Reports(unit.session).survey_rows(5)).rows
        return line.outcome

    def send(unit: SqlUnitOfWork) -> None:
        (outgoing,) = unit.outbox.find_due(["telegram"], 5, NOW + DAY)
        unit.outbox.mark_sending(outgoing.id, "worker-1", NOW + DAY)
        unit.outbox.mark_sent(outgoing, "77", NOW + DAY)

    assert outcome() is SurveyOutcome.PENDING
    database.run(send)
    assert outcome() is SurveyOutcome.WAITING


@pytest.mark.parametrize("state", [SurveyState.ASKING, SurveyState.EXPIRED])
def test_a_question_whose_sending_is_proved_late_is_uncertain_no_more(
    database: Backend, state: SurveyState
) -> None:
    who = customer(database)
    planned = survey(database, order(database, "A-1", delivered_at=NOW))
    ask(database, planned, who)
    hears(database, who, question(planned.id), f"survey:{planned.id}:ask", sent=False)

    def next_outgoing(unit: SqlUnitOfWork) -> Outgoing:
        (outgoing,) = unit.outbox.find_due(["telegram"], 5, NOW)
        unit.outbox.mark_sending(outgoing.id, "worker-1", NOW)
        return outgoing

    def die(unit: SqlUnitOfWork) -> int:
        outgoing = next_outgoing(unit)
        unit.outbox.end(outgoing.id, Delivery.DEAD, "BadRequest", NOW)
        unit.surveys.change(planned.id, state=state, now=NOW, outcome_unknown=True)
        return outgoing.id

    def outcome() -> SurveyOutcome:
        (line,) = database.run(lambda unit: Reports(unit.session).survey_rows(5)).rows
        return line.outcome

    outgoing_id = database.run(die)
    assert outcome() is SurveyOutcome.UNCERTAIN
    database.run(lambda unit: unit.dead_letters.replay("outbox", outgoing_id, NOW))
    assert outcome() is SurveyOutcome.PENDING
    # Dead again: it was never sent, so the survey must not claim that it was.
    database.run(lambda unit: unit.outbox.end(outgoing_id, Delivery.DEAD, "BadRequest", NOW))
    assert outcome() is SurveyOutcome.UNCERTAIN
    database.run(lambda unit: unit.dead_letters.replay("outbox", outgoing_id, NOW))
    database.run(lambda unit: unit.outbox.mark_sent(next_outgoing(unit), "77", NOW))
    asked = database.run(lambda unit: unit.surveys.get(planned.id))
    assert not asked.outcome_unknown
    assert outcome() is (SurveyOutcome.WAITING if state is SurveyState.ASKING else SurveyOutcome.EXPIRED)


def test_a_reminder_that_was_sent_proves_nothing_about_the_question(database: Backend) -> None:
    who = customer(database)
    planned = survey(database, order(database, "A-1", delivered_at=NOW))
    ask(database, planned, who)
    database.run(
        lambda unit: unit.surveys.change(planned.id, state=SurveyState.ASKING, now=NOW, outcome_unknown=True)
    )
    hears(database, who, question(planned.id), f"survey:{planned.id}:remind")
    assert database.run(lambda unit: unit.surveys.get(planned.id)).outcome_unknown


def test_a_delivered_order_without_a_survey_is_noticed(database: Backend) -> None:
    order(database, "A-1", delivered_at=NOW)
    accounting = database.run(lambda unit: Reports(unit.session).survey_accounting())
    assert (accounting.delivered, accounting.missing, accounting.balanced) == (1, 1, False)
    (line,) = database.run(lambda unit: Reports(unit.session).survey_rows(5, outcome="missing")).rows
    assert (line.order_external_id, line.customer_name, line.survey_id) == ("A-1", "王小明", None)
    assert database.run(lambda unit: Reports(unit.session).survey_rows(5, outcome="skipped")).rows == ()


def test_survey_rows_come_in_pages(database: Backend) -> None:
    who = customer(database)
    for number in range(3):
        bought = order(database, f"A-{number}", delivered_at=NOW + number * HOUR)
        bound(database, who, bought)
        survey(database, bought)
    page = database.run(lambda unit: Reports(unit.session).survey_rows(2, outcome=SurveyOutcome.PENDING))
    assert ([one.order_external_id for one in page.rows], page.more) == (["A-2", "A-1"], True)
    rest = database.run(lambda unit: Reports(unit.session).survey_rows(2, 2, "pending"))
    assert ([one.order_external_id for one in rest.rows], rest.more) == (["A-0"], False)


# --- FAQ and audit ---------------------------------------------------------------------------------------


def test_questions_without_an_answer_are_counted(database: Backend) -> None:
    who = customer(database)
    for number, words in enumerate(["能开发票吗", "有实体店吗", "能开发票吗"]):
        at = NOW + number * HOUR
        line = writes(database, who, words, f"1:{number}", at)
        database.run(
            lambda unit, line=line, words=words, at=at: unit.faq.record_miss(
                who.conversation.id, line.id, words, at
            )
        )
    page = database.run(lambda unit: Reports(unit.session).faq_misses(10))
    assert [(one.text, one.count, one.last_at) for one in page.rows] == [
        ("能开发票吗", 2, NOW + 2 * HOUR),
        ("有实体店吗", 1, NOW + HOUR),
    ]
    assert page.rows[0].conversation_id == who.conversation.id


def test_the_audit_is_read_newest_first(database: Backend) -> None:
    lin = staff(database, "lin", "小林")
    database.run(lambda unit: unit.staff.audit(None, "migrate", "database", "", NOW))
    database.run(lambda unit: unit.staff.audit(lin.id, "contact.view", "contact:1", "phone", NOW + HOUR))
    page = database.run(lambda unit: Reports(unit.session).audit(10))
    assert [(one.staff_name, one.action, one.at) for one in page.rows] == [
        ("小林", "contact.view", NOW + HOUR),
        (None, "migrate", NOW),
    ]
