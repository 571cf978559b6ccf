"""Who acts as which staff member on a channel: by a code that works once, for a while, for one person."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from care_stories import HOUR, NOW, staff
from contract_backend import Backend

from desk.errors import NotFoundError
from desk.values import StaffMember
from storage.unit_of_work import SqlUnitOfWork

END = NOW + timedelta(minutes=30)


def code(database: Backend, member: StaffMember, code_hash: str, expires_at: datetime = END) -> None:
    database.run(lambda unit: unit.staff_accounts.add_code(member.id, code_hash, expires_at, NOW))


def use(database: Backend, code_hash: str, user: str = "5", at: datetime = NOW) -> StaffMember | None:
    return database.run(lambda unit: unit.staff_accounts.use_code(code_hash, "telegram", user, at))


def acts_as(database: Backend, user: str = "5", channel: str = "telegram") -> StaffMember | None:
    return database.run(lambda unit: unit.staff_accounts.find(channel, user))


def test_a_code_links_one_user_once(database: Backend) -> None:
    lin = staff(database)
    code(database, lin, "h1")
    assert acts_as(database) is None
    assert use(database, "h1") == lin
    assert acts_as(database) == lin
    assert acts_as(database, channel="wechat") is None
    assert use(database, "h1", "6") is None
    assert acts_as(database, "6") is None


def test_a_code_is_worth_nothing_after_its_time_or_misspelt(database: Backend) -> None:
    code(database, staff(database), "h1")
    assert use(database, "h1", at=END) is None
    assert use(database, "h2") is None
    assert use(database, "h1", at=END - timedelta(seconds=1)) is not None


def test_a_new_code_makes_the_earlier_ones_of_this_person_void(database: Backend) -> None:
    lin, wang = staff(database), staff(database, "wang", "小王")
    code(database, lin, "h1")
    code(database, wang, "h2")
    code(database, lin, "h3")
    assert use(database, "h1") is None
    assert use(database, "h2", "6") == wang
    assert use(database, "h3") == lin
    code(database, lin, "h4")
    assert database.count("staff_link_codes", "used_at IS NOT NULL") == 2, "what was used stays on record"


def test_nobody_gets_a_code_for_a_stranger(database: Backend) -> None:
    with pytest.raises(NotFoundError):
        database.run(lambda unit: unit.staff_accounts.add_code(99, "h1", END, NOW))


def test_a_user_acts_as_whom_they_linked_last(database: Backend) -> None:
    lin, wang = staff(database), staff(database, "wang", "小王")
    code(database, lin, "h1")
    code(database, wang, "h2")
    assert use(database, "h1") == lin
    assert use(database, "h2") == wang
    assert acts_as(database) == wang
    assert database.count("staff_accounts") == 1


def test_who_is_disabled_acts_as_nobody_until_enabled_again(database: Backend) -> None:
    lin = staff(database)
    code(database, lin, "h1")
    use(database, "h1")
    code(database, lin, "h2")
    database.run(lambda unit: unit.staff.change(lin.id, disabled=True))
    assert acts_as(database) is None
    assert use(database, "h2", "6") is None
    assert database.run(lambda unit: unit.staff_accounts.find_linked("telegram")) == []
    database.run(lambda unit: unit.staff.change(lin.id, disabled=False))
    assert acts_as(database) == lin
    assert use(database, "h2", "6") == lin


def test_everybody_who_is_linked_is_listed_once_by_name(database: Backend) -> None:
    zhang, bao = staff(database, "zhang", "Zhang"), staff(database, "bao", "Bao")
    staff(database, "nobody", "Aaa")
    for member, code_hash, user in ((zhang, "h1", "5"), (zhang, "h2", "6"), (bao, "h3", "7")):
        code(database, member, code_hash)
        use(database, code_hash, user)
    assert database.run(lambda unit: unit.staff_accounts.find_linked("telegram")) == [bao, zhang]
    assert database.run(lambda unit: unit.staff_accounts.find_linked("wechat")) == []


def test_unlinking_ends_every_link_of_one_person_on_one_channel(database: Backend) -> None:
    lin, wang = staff(database), staff(database, "wang", "小王")
    for member, code_hash, user in ((lin, "h1", "5"), (lin, "h2", "6"), (wang, "h3", "7")):
        code(database, member, code_hash)
        use(database, code_hash, user)
    assert database.run(lambda unit: unit.staff_accounts.unlink(lin.id, "wechat")) == 0
    assert database.run(lambda unit: unit.staff_accounts.unlink(lin.id, "telegram")) == 2
    assert (acts_as(database), acts_as(database, "6"), acts_as(database, "7")) == (None, None, wang)
    assert database.run(lambda unit: unit.staff_accounts.unlink(lin.id, "telegram")) == 0


def test_two_who_use_a_code_at_once_do_not_both_get_in(postgresql: Backend) -> None:
    code(postgresql, staff(postgresql), "h1")

    def work(user: str) -> Callable[[SqlUnitOfWork], StaffMember | None]:
        return lambda unit: unit.staff_accounts.use_code("h1", "telegram", user, NOW)

    got_in = postgresql.run_together([work(str(user)) for user in range(4)])
    assert sum(member is not None for member in got_in) == 1
    assert postgresql.count("staff_accounts") == 1


def test_of_two_codes_made_at_once_one_lives(postgresql: Backend) -> None:
    lin = staff(postgresql)

    def make(code_hash: str) -> Callable[[SqlUnitOfWork], None]:
        def work(unit: SqlUnitOfWork) -> None:
            unit.staff_accounts.add_code(lin.id, code_hash, END, NOW)

        return work

    postgresql.run_together([make(f"h{number}") for number in range(4)])
    assert postgresql.count("staff_link_codes") == 1


# --- Bookmarks ---------------------------------------------------------------------------------------


def test_a_bookmark_is_where_it_was_put_last(database: Backend) -> None:
    def find(name: str) -> str | None:
        return database.run(lambda unit: unit.bookmarks.find(name))

    assert find("telegram:1:offset") is None
    database.run(lambda unit: unit.bookmarks.set("telegram:1:offset", "700", NOW))
    database.run(lambda unit: unit.bookmarks.set("telegram:2:offset", "9", NOW))
    database.run(lambda unit: unit.bookmarks.set("telegram:1:offset", "12", NOW + HOUR))
    assert (find("telegram:1:offset"), find("telegram:2:offset")) == ("12", "9")
    assert database.count("bookmarks") == 2
