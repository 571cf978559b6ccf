"""Cases: at most one is open per conversation, and one person has it."""

from __future__ import annotations

import pytest
from care_stories import HOUR, NOW, customer, staff
from contract_backend import Backend
from sqlalchemy import text

from desk.errors import AlreadyTakenError, ConflictError, NotFoundError
from desk.values import Case, CaseReason, CaseState, Priority
from storage.unit_of_work import SqlUnitOfWork


def opened(
    database: Backend,
    conversation_id: int,
    reason: CaseReason = CaseReason.ANGER,
    evidence: str = "垃圾",
    priority: Priority = Priority.NORMAL,
) -> tuple[Case, bool]:
    return database.run(lambda unit: unit.cases.open(conversation_id, reason, evidence, priority, NOW))


def history(database: Backend, case_id: int) -> list[tuple[str, str]]:
    with database.engine.connect() as connection:
        rows = connection.execute(
            text("SELECT kind, detail FROM case_events WHERE case_id = :id ORDER BY id"), {"id": case_id}
        )
        return [(row.kind, row.detail) for row in rows]


def test_a_case_is_opened_with_a_number(database: Backend) -> None:
    who = customer(database)
    case, is_new = opened(database, who.conversation.id)
    assert is_new
    assert (case.number, case.state, case.staff_name) == (f"HY-{1000 + case.id}", CaseState.WAITING, None)
    assert database.run(lambda unit: unit.cases.get(case.id)) == case
    assert database.run(lambda unit: unit.cases.find_by_number(case.number)) == case
    assert database.run(lambda unit: unit.cases.find_open(who.conversation.id)) == case


def test_a_number_of_no_case_finds_none(database: Backend) -> None:
    case, _ = opened(database, customer(database).conversation.id)
    digits = str(1000 + case.id)
    wide = "".join(chr(ord(digit) - ord("0") + ord("０")) for digit in digits)
    for number in (
        f"HY-{1001 + case.id}",
        "HY-999",
        digits,
        f"hy-{digits}",
        f"HY-{wide}",
        "HY-" + "9" * 40,
        "",
    ):
        assert database.run(lambda unit, number=number: unit.cases.find_by_number(number)) is None


def test_further_triggers_join_the_open_case_and_priority_only_rises(database: Backend) -> None:
    who = customer(database)
    first, _ = opened(database, who.conversation.id, priority=Priority.HIGH)
    urgent, is_new = opened(database, who.conversation.id, CaseReason.LOW_RATING, "评分 1", Priority.URGENT)
    calmer, _ = opened(database, who.conversation.id, CaseReason.ASKED_FOR_PERSON, "转人工", Priority.NORMAL)
    assert (urgent.id, is_new, urgent.priority) == (first.id, False, Priority.URGENT)
    assert (calmer.priority, calmer.reason, calmer.evidence) == (Priority.URGENT, CaseReason.ANGER, "垃圾")
    assert history(database, first.id) == [
        ("opened", "anger: 垃圾"),
        ("joined", "low_rating: 评分 1"),
        ("joined", "asked_for_person: 转人工"),
    ]


def test_twenty_angry_messages_at_once_open_one_case(database: Backend) -> None:
    who = customer(database)

    def angry(unit: SqlUnitOfWork) -> tuple[Case, bool]:
        return unit.cases.open(who.conversation.id, CaseReason.ANGER, "气死了", Priority.HIGH, NOW)

    together = 10 if database.is_postgresql else 4
    results = []
    while len(results) < 20:
        results += database.run_together([angry] * together)
    assert len({case.id for case, _ in results}) == 1
    assert [is_new for _, is_new in results].count(True) == 1
    assert database.count("cases") == 1
    assert database.count("case_events", "kind = 'joined'") == 19


def test_a_case_closed_while_another_trigger_waits_makes_room_for_a_new_one(postgresql: Backend) -> None:
    who = customer(postgresql)
    first, _ = opened(postgresql, who.conversation.id)

    def close(unit: SqlUnitOfWork) -> bool:
        unit.cases.close(first.id, None, "customer_changed_mind", NOW)
        return False

    def trigger(unit: SqlUnitOfWork) -> bool:
        return unit.cases.open(who.conversation.id, CaseReason.ANGER, "气死了", Priority.HIGH, NOW)[1]

    _, is_new = postgresql.run_together([close, trigger])
    assert postgresql.count("cases", "state <> 'closed'") == (1 if is_new else 0)


def test_one_of_those_who_reach_for_a_case_gets_it(database: Backend) -> None:
    case, _ = opened(database, customer(database).conversation.id)
    people = [staff(database, f"agent-{number}") for number in range(4)]

    def take(unit: SqlUnitOfWork, number: int) -> bool:
        try:
            unit.cases.take(case.id, people[number], NOW)
        except AlreadyTakenError:
            return False
        return True

    won = database.run_together([lambda unit, number=number: take(unit, number) for number in range(4)])
    assert won.count(True) == 1
    winner = people[won.index(True)]
    again = database.run(lambda unit: unit.cases.take(case.id, winner, NOW + HOUR))
    assert (again.staff_id, again.staff_name, again.taken_at) == (winner.id, winner.name, NOW)
    assert [kind for kind, _ in history(database, case.id)] == ["opened", "taken"]


def test_a_case_is_closed_once_and_then_not_taken(database: Backend) -> None:
    who = customer(database)
    case, _ = opened(database, who.conversation.id)
    agent = staff(database)
    database.run(lambda unit: unit.cases.take(case.id, agent, NOW))
    closed = database.run(lambda unit: unit.cases.close(case.id, agent, "solved", NOW + HOUR))
    assert (closed.state, closed.closed_at) == (CaseState.CLOSED, NOW + HOUR)
    later = database.run(lambda unit: unit.cases.close(case.id, agent, "again", NOW + 2 * HOUR))
    assert later.closed_at == NOW + HOUR
    with pytest.raises(ConflictError):
        database.run(lambda unit: unit.cases.take(case.id, agent, NOW))
    assert database.run(lambda unit: unit.cases.find_open(who.conversation.id)) is None
    assert database.run(lambda unit: unit.cases.find_newest(who.conversation.id)) == closed
    _, is_new = opened(database, who.conversation.id)
    assert is_new
    assert [kind for kind, _ in history(database, case.id)] == ["opened", "taken", "closed"]


def test_notes_and_the_customers_verdict_are_history(database: Backend) -> None:
    case, _ = opened(database, customer(database).conversation.id)
    agent = staff(database)
    database.run(lambda unit: unit.cases.add_note(case.id, agent, "已联系仓库", NOW))
    database.run(lambda unit: unit.cases.set_helped(case.id, True, NOW))
    database.run(lambda unit: unit.cases.record(case.id, "sla_breached", "15 min", None, NOW))
    assert database.run(lambda unit: unit.cases.get(case.id)).helped is True
    assert history(database, case.id)[1:] == [
        ("note", "已联系仓库"),
        ("helped", "yes"),
        ("sla_breached", "15 min"),
    ]


def test_an_unknown_case_is_said_to_be_unknown(database: Backend) -> None:
    agent = staff(database)
    assert database.run(lambda unit: unit.cases.find_newest(1)) is None
    for work in (
        lambda unit: unit.cases.get(5),
        lambda unit: unit.cases.take(5, agent, NOW),
        lambda unit: unit.cases.close(5, agent, "", NOW),
        lambda unit: unit.cases.set_helped(5, True, NOW),
        lambda unit: unit.cases.add_note(5, agent, "", NOW),
    ):
        with pytest.raises(NotFoundError):
            database.run(work)


# --- Handing over ------------------------------------------------------------------------------------


def test_a_waiting_case_can_be_given_to_somebody(database: Backend) -> None:
    case, _ = opened(database, customer(database).conversation.id)
    lin = staff(database)
    given = database.run(lambda unit: unit.cases.hand_over(case.id, lin, NOW + HOUR))
    assert (given.state, given.staff_name, given.taken_at) == (CaseState.WITH_PERSON, "小林", NOW + HOUR)
    assert history(database, case.id)[-1] == ("handed_over", "")


def test_a_case_goes_to_another_whoever_has_it(database: Backend) -> None:
    case, _ = opened(database, customer(database).conversation.id)
    lin, wang = staff(database), staff(database, "wang", "小王")
    database.run(lambda unit: unit.cases.take(case.id, lin, NOW))
    for _ in range(2):
        given = database.run(lambda unit: unit.cases.hand_over(case.id, wang, NOW + HOUR))
        assert (given.staff_id, given.staff_name) == (wang.id, "小王")
        assert given.taken_at == NOW, "somebody has had it since then"
    assert [kind for kind, _ in history(database, case.id)] == ["opened", "taken", "handed_over"]
    assert history(database, case.id)[-1] == ("handed_over", "小林")
    assert database.count("case_events", f"kind = 'handed_over' AND staff_id = {wang.id}") == 1
    with pytest.raises(AlreadyTakenError):
        database.run(lambda unit: unit.cases.take(case.id, lin, NOW))


def test_a_closed_case_goes_to_nobody(database: Backend) -> None:
    case, _ = opened(database, customer(database).conversation.id)
    lin = staff(database)
    database.run(lambda unit: unit.cases.close(case.id, None, "solved", NOW))
    with pytest.raises(ConflictError):
        database.run(lambda unit: unit.cases.hand_over(case.id, lin, NOW))
    with pytest.raises(NotFoundError):
        database.run(lambda unit: unit.cases.hand_over(case.id + 1, lin, NOW))


def test_open_cases_are_counted_and_listed_the_longest_open_first(database: Backend) -> None:
    lin = staff(database)
    cases = []
    for hours in (3, 1, 2, 0):
        who = customer(database, str(hours))
        cases.append(
            database.run(
                lambda unit, id=who.conversation.id, at=NOW + hours * HOUR: unit.cases.open(
                    id, CaseReason.ANGER, "", Priority.NORMAL, at
                )
            )[0]
        )
    database.run(lambda unit: unit.cases.take(cases[1].id, lin, NOW))
    database.run(lambda unit: unit.cases.close(cases[3].id, None, "solved", NOW))
    found = database.run(lambda unit: unit.cases.find_all_open(9))
    assert [case.id for case in found] == [cases[1].id, cases[2].id, cases[0].id]
    assert [case.staff_name for case in found] == ["小林", None, None]
    assert [case.id for case in database.run(lambda unit: unit.cases.find_all_open(2))] == [
        cases[1].id,
        cases[2].id,
    ]
    assert database.run(lambda unit: unit.cases.count_waiting()) == 2


def test_notes_are_counted_and_nothing_else(database: Backend) -> None:
    case, _ = opened(database, customer(database, "1").conversation.id)
    other, _ = opened(database, customer(database, "2").conversation.id)
    lin = staff(database)

    def work(unit: SqlUnitOfWork) -> tuple[int, int]:
        unit.cases.take(case.id, lin, NOW)
        unit.cases.add_note(case.id, lin, "老客户", NOW)
        unit.cases.add_note(case.id, lin, "要发票", NOW)
        return unit.cases.count_notes(case.id), unit.cases.count_notes(other.id)

    assert database.run(work) == (2, 0)
