"""Staff: logins, sessions that end when they should, and an audit that shows every change to it."""

from __future__ import annotations

from datetime import timedelta
from time import sleep

import pytest
from care_stories import HOUR, NOW, staff
from contract_backend import Backend
from sqlalchemy import text

from desk.errors import ConflictError, NotFoundError
from desk.values import Role, StaffMember
from storage.unit_of_work import SqlUnitOfWork

MINUTE = timedelta(minutes=1)


def signed_in(database: Backend, who: StaffMember, token_hash: str = "hash-1") -> None:
    database.run(lambda unit: unit.staff.open_session(who.id, token_hash, "csrf-1", NOW))


def alive(database: Backend, after: timedelta, token_hash: str = "hash-1") -> bool:
    return database.run(lambda unit: unit.staff.find_session(token_hash, NOW + after)) is not None


def audited(database: Backend, *details: str) -> None:
    for detail in details:
        database.run(lambda unit, detail=detail: unit.staff.audit(None, "export", "contact:1", detail, NOW))


def tampered(database: Backend, statement: str) -> int:
    """Changes the audit behind everybody's back; returns which entry is found, counted from 1."""
    with database.engine.begin() as connection:
        first = connection.execute(text("SELECT min(id) FROM audit")).scalar_one()
        connection.execute(text(f"{statement} WHERE detail = 'b'"))
    found = database.run(lambda unit: unit.staff.verify_audit())
    assert found is not None
    return int(found - first + 1)


def test_a_login_is_taken_in_any_case(database: Backend) -> None:
    lin = staff(database, " Lin@Shop.cn ")
    assert lin.login == "lin@shop.cn"
    with pytest.raises(ConflictError):
        staff(database, "LIN@shop.CN")
    assert database.run(lambda unit: unit.staff.find_by_login("LIN@SHOP.cn")) == (lin, "argon2-hash")
    assert database.run(lambda unit: unit.staff.find_by_login("nobody")) is None
    assert database.run(lambda unit: unit.staff.all()) == [lin]


def test_a_login_wanted_by_many_at_once_is_given_once(database: Backend) -> None:
    def add(number: int) -> bool:
        try:
            staff(database, "LIN" if number % 2 else "lin")
        except ConflictError:
            return False
        return True

    added = database.run_together([lambda unit, number=number: add(number) for number in range(4)])
    assert added.count(True) == 1


def test_a_session_knows_its_member(database: Backend) -> None:
    lin = staff(database)
    signed_in(database, lin)
    session = database.run(lambda unit: unit.staff.find_session("hash-1", NOW))
    assert session is not None
    assert (session.staff, session.csrf, session.created_at, session.seen_at) == (lin, "csrf-1", NOW, NOW)
    assert not alive(database, timedelta(), "another hash")
    database.run(lambda unit: unit.staff.end_session("hash-1"))
    assert not alive(database, timedelta())


def test_an_idle_session_dies_and_cannot_be_woken(database: Backend) -> None:
    signed_in(database, staff(database))
    assert alive(database, 30 * MINUTE)
    assert not alive(database, 31 * MINUTE)
    database.run(lambda unit: unit.staff.touch_session("hash-1", NOW + 31 * MINUTE))
    assert not alive(database, 31 * MINUTE)
    database.run(lambda unit: unit.staff.touch_session("hash-1", NOW + 20 * MINUTE))
    assert alive(database, 50 * MINUTE)


def test_a_session_dies_of_age_however_busy(database: Backend) -> None:
    signed_in(database, staff(database))
    for quarters in range(1, 12 * 4 + 2):
        at = NOW + quarters * 15 * MINUTE
        database.run(lambda unit, at=at: unit.staff.touch_session("hash-1", at))
    assert alive(database, 12 * HOUR)
    assert not alive(database, 12 * HOUR + MINUTE)


@pytest.mark.parametrize(
    "change", [{"disabled": True}, {"role": Role.LEAD}, {"password_hash": "another"}], ids=str
)
def test_what_changes_a_members_rights_ends_their_sessions(
    database: Backend, change: dict[str, object]
) -> None:
    lin, wang = staff(database, "lin"), staff(database, "wang")
    signed_in(database, lin, "hash-1")
    signed_in(database, wang, "hash-2")
    database.run(lambda unit: unit.staff.change(lin.id, **change))
    assert not alive(database, timedelta(), "hash-1")
    assert alive(database, timedelta(), "hash-2")
    assert database.count("staff_sessions") == 1


def test_a_new_name_ends_no_session(database: Backend) -> None:
    lin = staff(database)
    signed_in(database, lin)
    changed = database.run(
        lambda unit: unit.staff.change(lin.id, name="林姐", role=Role.AGENT, disabled=False)
    )
    assert changed.name == "林姐"
    assert alive(database, timedelta())
    assert database.run(lambda unit: unit.staff.get(lin.id)) == changed
    for work in (lambda unit: unit.staff.get(99), lambda unit: unit.staff.change(99, name="x")):
        with pytest.raises(NotFoundError):
            database.run(work)


def test_of_two_admins_who_demote_each_other_at_once_one_stays(database: Backend) -> None:
    admins = [staff(database, login, role=Role.ADMIN).id for login in ("lin", "wang")]

    def demote(staff_id: int, unit: SqlUnitOfWork) -> bool:
        # What was read before the lock must not be believed afterwards.
        unit.staff.get(staff_id)
        members = unit.staff.all(for_update=True)
        sleep(0.05)
        if [each.id for each in members if each.role is Role.ADMIN] == [staff_id]:
            return False
        unit.staff.change(staff_id, role=Role.AGENT)
        return True

    demoted = database.run_together(
        [lambda unit, staff_id=staff_id: demote(staff_id, unit) for staff_id in admins]
    )
    assert sorted(demoted) == [False, True]
    assert database.count("staff", "role = 'admin'") == 1


def test_failed_logins_are_counted_by_account_and_forgotten(database: Backend) -> None:
    for minute in (0, 5, 10):
        database.run(lambda unit, at=NOW + minute * MINUTE: unit.staff.record_failure("account", "h1", at))
    database.run(lambda unit: unit.staff.record_failure("address", "h1", NOW))

    def count(scope: str, since: timedelta) -> int:
        return database.run(lambda unit: unit.staff.count_failures(scope, "h1", NOW + since))

    assert (count("account", timedelta()), count("account", 5 * MINUTE)) == (3, 2)
    database.run(lambda unit: unit.staff.clear_failures("account", "h1"))
    assert (count("account", timedelta()), count("address", timedelta())) == (0, 1)


def test_an_untouched_audit_is_whole(database: Backend) -> None:
    assert database.run(lambda unit: unit.staff.verify_audit()) is None
    lin = staff(database)
    audited(database, "a", "b")
    database.run(lambda unit: unit.staff.audit(lin.id, "contact.view", "contact:1", "电话", NOW))
    assert database.run(lambda unit: unit.staff.verify_audit()) is None
    assert database.count("audit") == 3


def test_a_flipped_byte_in_the_audit_is_found(database: Backend) -> None:
    audited(database, "a", "b", "c")
    assert tampered(database, "UPDATE audit SET detail = 'B'") == 2


def test_a_forged_hash_is_found(database: Backend) -> None:
    audited(database, "a", "b", "c")
    assert tampered(database, "UPDATE audit SET hash = 'x'") == 2


@pytest.mark.parametrize(
    ("details", "found"), [("bcd", 2), ("abc", 3), ("acb", 3)], ids=["first", "middle", "last"]
)
def test_a_missing_entry_is_found(database: Backend, details: str, found: int) -> None:
    audited(database, *details)
    assert tampered(database, "DELETE FROM audit") == found


def test_entries_written_at_once_make_one_chain(database: Backend) -> None:
    database.run_together(
        [
            lambda unit, number=number: unit.staff.audit(None, "view", f"case:{number}", "", NOW)
            for number in range(8)
        ]
    )
    assert database.count("audit") == 8
    assert database.run(lambda unit: unit.staff.verify_audit()) is None
