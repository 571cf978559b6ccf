"""The FAQ: every change is seen, and questions without an answer are kept once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from care_stories import HOUR, NOW, customer, writes
from contract_backend import Backend

from desk.errors import ConflictError, NotFoundError
from desk.values import FaqEntry

SHIPPING = FaqEntry(
    0, "shipping", "物流", "多久发货?", ("什么时候发货", "几天发货"), "48 小时内发货。", None, True
)
RETURNS = FaqEntry(
    0, "returns", "售后", "怎么退货?", (), "七天无理由。", "refund_status", intent="return_policy"
)


def put(database: Backend, entry: FaqEntry) -> FaqEntry:
    return database.run(lambda unit: unit.faq.put(entry, NOW))


def version(database: Backend) -> int:
    return database.run(lambda unit: unit.faq.version())


def test_an_entry_comes_back_as_it_was_put(database: Backend) -> None:
    assert version(database) == 0
    stored = put(database, SHIPPING)
    assert stored == replace(SHIPPING, id=stored.id)
    assert database.run(lambda unit: unit.faq.get(stored.id)) == stored
    assert version(database) == 1
    returns = put(database, RETURNS)
    assert database.run(lambda unit: unit.faq.get(returns.id)) == replace(RETURNS, id=returns.id)


def test_importing_again_replaces_by_slug(database: Backend) -> None:
    first = put(database, SHIPPING)
    again = put(database, replace(SHIPPING, answer="24 小时内发货。", variants=()))
    assert (again.id, again.answer, again.variants) == (first.id, "24 小时内发货。", ())
    assert database.count("faq_entries") == 1
    assert version(database) == 2


def test_an_edited_entry_may_get_another_slug_but_not_a_taken_one(database: Backend) -> None:
    shipping, returns = put(database, SHIPPING), put(database, RETURNS)
    moved = put(database, replace(shipping, slug="dispatch"))
    assert (moved.id, moved.slug) == (shipping.id, "dispatch")
    with pytest.raises(ConflictError):
        put(database, replace(returns, slug="dispatch"))
    with pytest.raises(NotFoundError):
        put(database, replace(returns, id=99))
    assert version(database) == 3


def test_the_book_has_the_enabled_entries_only(database: Backend) -> None:
    shipping = put(database, SHIPPING)
    put(database, replace(RETURNS, enabled=False))
    book = database.run(lambda unit: unit.faq.book())
    assert (book.version, book.entries) == (2, (shipping,))
    assert [entry.slug for entry in database.run(lambda unit: unit.faq.all())] == ["shipping", "returns"]


def test_a_deleted_entry_is_gone_and_everybody_notices(database: Backend) -> None:
    stored = put(database, SHIPPING)
    database.run(lambda unit: unit.faq.delete("shipping"))
    assert version(database) == 2
    with pytest.raises(NotFoundError):
        database.run(lambda unit: unit.faq.get(stored.id))
    with pytest.raises(NotFoundError):
        database.run(lambda unit: unit.faq.delete("shipping"))
    assert version(database) == 2


def test_changes_at_once_each_raise_the_version(database: Backend) -> None:
    entries = [replace(SHIPPING, slug=f"entry-{number}") for number in range(3)] + [RETURNS] * 3
    database.run_together([lambda unit, entry=entry: unit.faq.put(entry, NOW) for entry in entries])
    assert version(database) == 6
    assert database.count("faq_entries") == 4


def test_a_question_without_an_answer_is_kept_once(database: Backend) -> None:
    who = customer(database)
    line = writes(database, who, "能开发票吗", "1:1")
    for _ in range(2):
        database.run(
            lambda unit: unit.faq.record_miss(who.conversation.id, line.id, "能开发票吗", NOW + HOUR)
        )
    assert database.count("faq_misses", "text = '能开发票吗'") == 1
    other = writes(database, who, "能开专票吗", "1:2")
    for _ in range(2):
        database.run(lambda unit: unit.faq.delete_miss(other.id))
    assert database.count("faq_misses") == 1
    database.run(lambda unit: unit.faq.delete_miss(line.id))
    assert database.count("faq_misses") == 0
