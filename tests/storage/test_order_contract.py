"""Orders: an event has its effect once, and an order is shown to whom it was bound, nobody else."""

from __future__ import annotations

from threading import Event

import pytest
from care_stories import DAY, HOUR, NOW, bound, customer, digest_of, event, order
from contract_backend import Backend
from sqlalchemy.exc import IntegrityError

from desk.errors import ConflictError, NotFoundError
from desk.ports import StoredKey
from desk.values import OrderEvent, OrderItem, OrderStatus
from storage.tables.orders import OrderLinkRow, OrderRow
from storage.unit_of_work import SqlUnitOfWork


def test_a_key_is_remembered_with_its_body_and_first_time(database: Backend) -> None:
    assert database.run(lambda unit: unit.orders.remember_event("webhook", "w1", "hash", NOW)) is None
    again = database.run(lambda unit: unit.orders.remember_event("webhook", "w1", "other", NOW + HOUR))
    assert again == StoredKey("hash", NOW)
    assert database.run(lambda unit: unit.orders.remember_event("event", "w1", "hash", NOW)) is None


def test_one_key_from_many_connections_is_new_once(database: Backend) -> None:
    known = database.run_together([lambda unit: unit.orders.remember_event("webhook", "w1", "hash", NOW)] * 6)
    assert known.count(None) == 1
    assert known.count(StoredKey("hash", NOW)) == 5


def test_an_order_is_stored_and_overwritten_with_its_items(database: Backend) -> None:
    first = order(database)
    assert (first.snapshot.items, first.status) == (
        (OrderItem("sku-1", "茶杯", 2, 1990),),
        OrderStatus.SHIPPED,
    )
    items = (OrderItem("sku-2", "茶壶", 1, 9900), OrderItem("sku-1", "茶杯", 1, 1990))
    told = event(OrderStatus.DELIVERED, at=NOW + HOUR, items=items)
    database.run(lambda unit: unit.orders.save(told, None, NOW + HOUR, NOW + HOUR))
    again = database.run(lambda unit: unit.orders.get(first.id))
    assert again.snapshot == told.order
    assert (again.status, again.occurred_at, again.delivered_at) == (
        OrderStatus.DELIVERED,
        NOW + HOUR,
        NOW + HOUR,
    )
    assert database.count("orders") == 1
    assert database.count("order_items") == 2


def test_what_an_event_does_not_know_stays_known(database: Backend) -> None:
    who = customer(database)
    known = event(OrderStatus.DELIVERED)
    database.run(lambda unit: unit.orders.save(known, who.contact_id, NOW, NOW))
    later = event(OrderStatus.REFUNDED, at=NOW + HOUR)
    refunded = database.run(lambda unit: unit.orders.save(later, None, None, NOW + HOUR))
    assert (refunded.contact_id, refunded.delivered_at) == (who.contact_id, NOW)


def test_an_order_created_by_several_at_once_is_one_and_the_newest_wins(database: Backend) -> None:
    told = [event(OrderStatus.SHIPPED, at=NOW + hours * HOUR) for hours in range(6)]

    def save(one: OrderEvent, unit: SqlUnitOfWork) -> None:
        known = unit.orders.lock("A-1")
        if known is None or known.occurred_at < one.occurred_at:
            unit.orders.save(one, None, None, NOW)

    database.run_together([lambda unit, one=one: save(one, unit) for one in told])
    assert database.count("orders") == 1
    assert database.count("order_items") == 1
    stored = database.run(lambda unit: unit.orders.lock("A-1"))
    assert stored is not None
    assert stored.occurred_at == NOW + 5 * HOUR


def test_an_event_enters_the_history_once(database: Backend) -> None:
    bought = order(database)
    told = event(OrderStatus.PAID, event_id="e-1")
    assert database.run(lambda unit: unit.orders.record(told, bought.id, True, NOW))
    assert not database.run(lambda unit: unit.orders.record(told, bought.id, True, NOW))
    assert database.count("order_events", "applied") == 1


def test_a_delivery_that_was_told_late_is_recorded(database: Backend) -> None:
    bought = order(database)
    database.run(lambda unit: unit.orders.set_delivered_at(bought.id, NOW - DAY))
    assert database.run(lambda unit: unit.orders.get(bought.id)).delivered_at == NOW - DAY


def test_an_unknown_order_is_said_to_be_unknown(database: Backend) -> None:
    assert database.run(lambda unit: unit.orders.lock("none")) is None
    with pytest.raises(NotFoundError):
        database.run(lambda unit: unit.orders.get(7))
    with pytest.raises(NotFoundError):
        database.run(lambda unit: unit.orders.lock_by_id(7))
    with pytest.raises(NotFoundError):
        database.run(lambda unit: unit.orders.get_or_create_link(7, NOW + DAY, NOW))
    with pytest.raises(NotFoundError):
        database.run(lambda unit: unit.orders.set_delivered_at(7, NOW))


def test_who_locks_an_order_sees_what_the_one_before_wrote(postgresql: Backend) -> None:
    bought = order(postgresql)
    refunded = event(OrderStatus.REFUNDED, at=NOW + HOUR)
    is_locked, has_read = Event(), Event()

    def refund(unit: SqlUnitOfWork) -> OrderStatus:
        unit.orders.lock_by_id(bought.id)
        is_locked.set()
        assert has_read.wait(10)
        return unit.orders.save(refunded, None, None, NOW).status

    def decide(unit: SqlUnitOfWork) -> OrderStatus:
        assert is_locked.wait(10)
        assert unit.orders.get(bought.id).status is OrderStatus.SHIPPED
        has_read.set()
        return unit.orders.lock_by_id(bought.id).status

    assert postgresql.run_together([refund, decide]) == [OrderStatus.REFUNDED] * 2


def test_the_current_link_stays_until_it_is_used_or_dies(database: Backend) -> None:
    bought = order(database)
    who = customer(database)
    first = link(database, bought.id)
    assert link(database, bought.id) == first
    database.run(lambda unit: unit.orders.bind(digest_of(first), bought.id, who.identity.id, NOW))
    second = link(database, bought.id)
    assert second != first
    later = database.run(
        lambda unit: unit.orders.get_or_create_link(bought.id, NOW + 60 * DAY, NOW + 30 * DAY)
    )
    assert later not in (first, second)


def test_everybody_who_asks_at_once_gets_the_same_link(database: Backend) -> None:
    bought = order(database)
    tokens = database.run_together(
        [lambda unit: unit.orders.get_or_create_link(bought.id, NOW + DAY, NOW)] * 6
    )
    assert len(set(tokens)) == 1
    assert len(tokens[0]) == 22


def test_an_order_link_binds_one_identity_only(database: Backend) -> None:
    bought = order(database)
    mine, other = customer(database, "1"), customer(database, "2")
    digest = bound(database, mine, bought)
    assert database.run(lambda unit: unit.orders.find_link(digest)) == (
        bought.id,
        mine.identity.id,
        NOW + 30 * DAY,
    )
    database.run(lambda unit: unit.orders.bind(digest, bought.id, mine.identity.id, NOW + HOUR))
    with pytest.raises(ConflictError):
        database.run(lambda unit: unit.orders.bind(digest, bought.id, other.identity.id, NOW + HOUR))
    assert [
        one.id for one in database.run(lambda unit: unit.orders.find_of_identity(mine.identity.id, 5))
    ] == [bought.id]
    assert database.run(lambda unit: unit.orders.find_of_identity(other.identity.id, 5)) == []


def test_a_link_that_two_open_at_once_binds_one_of_them(database: Backend) -> None:
    bought = order(database)
    people = [customer(database, str(number)) for number in range(5)]
    digest = digest_of(link(database, bought.id))

    def open_link(identity_id: int, unit: SqlUnitOfWork) -> bool:
        try:
            unit.orders.bind(digest, bought.id, identity_id, NOW)
        except ConflictError:
            return False
        return True

    won = database.run_together([lambda unit, who=who.identity.id: open_link(who, unit) for who in people])
    assert won.count(True) == 1
    assert database.count("order_bindings") == 1


def test_a_used_link_keeps_only_the_hash_of_its_token(database: Backend) -> None:
    bought = order(database)
    bound(database, customer(database), bought)
    assert database.count("order_links", "token IS NULL AND identity_id IS NOT NULL") == 1


def test_a_link_of_another_order_binds_nothing(database: Backend) -> None:
    first, second = order(database, "A-1"), order(database, "A-2")
    who = customer(database)
    digest = digest_of(link(database, first.id))
    with pytest.raises(NotFoundError):
        database.run(lambda unit: unit.orders.bind(digest, second.id, who.identity.id, NOW))
    assert database.run(lambda unit: unit.orders.find_link("0" * 64)) is None


def test_staff_see_orders_of_the_buyer_and_of_bound_identities(database: Backend) -> None:
    own, present, strange = (
        order(database, "A-1"),
        order(database, "A-2", buyer="friend"),
        order(database, "A-3", buyer="stranger"),
    )
    who = customer(database)
    bound(database, who, present)
    database.run(lambda unit: unit.identities.set_buyer(who.contact_id, "buyer-1", "王小明", ""))
    found = database.run(lambda unit: unit.orders.find_of_contact(who.contact_id, 10))
    assert {one.id for one in found} == {own.id, present.id}
    assert strange.id not in {one.id for one in found}


def test_a_buyer_who_turns_up_gets_all_their_orders(database: Backend) -> None:
    bought = [order(database, "A-1"), order(database, "A-2"), order(database, "A-3", buyer="stranger")]
    who = customer(database)
    database.run(lambda unit: unit.orders.set_contact_of_buyer("buyer-1", who.contact_id))
    contacts = [database.run(lambda unit, one=one.id: unit.orders.get(one)).contact_id for one in bought]
    assert contacts == [who.contact_id, who.contact_id, None]


def test_the_database_refuses_rubbish(database: Backend) -> None:
    bought = order(database)
    rubbish = [
        OrderLinkRow(order_id=bought.id, token=None, token_hash="h", expires_at=NOW, created_at=NOW),
        OrderLinkRow(order_id=99, token="t", token_hash="h", expires_at=NOW, created_at=NOW),
        OrderRow(
            external_id="B",
            buyer_id="",
            buyer_name="",
            status="eaten",
            status_rank=1,
            occurred_at=NOW,
            amount_minor=1,
            currency="CNY",
            created_at=NOW,
            updated_at=NOW,
        ),
    ]
    for row in rubbish:
        with pytest.raises(IntegrityError):
            database.run(lambda unit, row=row: unit.session.add(row))


def link(database: Backend, order_id: int) -> str:
    return database.run(lambda unit: unit.orders.get_or_create_link(order_id, NOW + 30 * DAY, NOW))
