"""订单 in the database, with their history, links and bindings."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import CompoundSelect, Integer, bindparam, union
from sqlalchemy import select as sa_select
from sqlmodel import Session, col, delete, select, update

from desk.errors import ConflictError, NotFoundError
from desk.ports import StoredKey
from desk.values import Buyer, Order, OrderEvent, OrderItem, OrderSnapshot, OrderStatus
from storage.conflicts import insert_unless_there, stored_id
from storage.tables.orders import (
    EventKeyRow,
    OrderBindingRow,
    OrderEventRow,
    OrderItemRow,
    OrderLinkRow,
    OrderRow,
)
from storage.tables.people import ContactRow, IdentityRow


def token_digest(token: str) -> str:
    """Returns the hash under which a link's token is looked up: SHA-256 of its UTF-8, in hex."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def ids_of_contact(contact_id: int) -> CompoundSelect[int]:
    """Returns the selection of the ids of a contact's orders.

    An order belongs to a contact when the event that told of it named the contact, when its buyer is
    the contact's buyer (orders usually come before their buyer writes), or when an identity of the
    contact is bound to it. A union, because an OR over three tables would read every order.
    """
    return union(
        sa_select(col(OrderRow.id)).where(col(OrderRow.contact_id) == contact_id),
        sa_select(col(OrderRow.id))
        .join(ContactRow, col(ContactRow.buyer_id) == col(OrderRow.buyer_id))
        .where(col(ContactRow.id) == contact_id),
        sa_select(col(OrderBindingRow.order_id))
        .join(IdentityRow, col(IdentityRow.id) == col(OrderBindingRow.identity_id))
        .where(col(IdentityRow.contact_id) == contact_id),
    )


# Every message takes it, and building it each time would take longer than running it.
_BOUND_TO = (
    select(OrderRow)
    .join(OrderBindingRow, col(OrderBindingRow.order_id) == col(OrderRow.id))
    .where(col(OrderBindingRow.identity_id) == bindparam("of_identity"))
    .order_by(col(OrderRow.occurred_at).desc(), col(OrderRow.id).desc())
    .limit(bindparam("most", type_=Integer))
)


class SqlOrderStore:
    """Orders as rows."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def remember_event(self, scope: str, key: str, body_hash: str, now: datetime) -> StoredKey | None:
        """Remembers a key; returns what is on record when it is known already."""
        row = EventKeyRow(scope=scope, key=key, body_hash=body_hash, received_at=now)
        if insert_unless_there(self._session, row):
            return None
        known = self._session.exec(
            select(EventKeyRow).where(col(EventKeyRow.scope) == scope, col(EventKeyRow.key) == key)
        ).one()
        return StoredKey(known.body_hash, known.received_at)

    def lock(self, external_id: str) -> Order | None:
        """Locks and returns the order that the shop calls so."""
        row = self._lock_row(external_id)
        return None if row is None else to_orders(self._session, [row])[0]

    def lock_by_id(self, order_id: int) -> Order:
        """Locks and returns the order, as whoever held it before has left it.

        Raises:
            NotFoundError: There is none.
        """
        return to_orders(self._session, [self._lock_row_by_id(order_id)])[0]

    def get(self, order_id: int) -> Order:
        """Returns the order.

        Raises:
            NotFoundError: There is none.
        """
        row = self._session.get(OrderRow, order_id)
        if row is None:
            raise NotFoundError(f"no order {order_id}")
        return to_orders(self._session, [row])[0]

    def save(
        self, event: OrderEvent, contact_id: int | None, delivered_at: datetime | None, now: datetime
    ) -> Order:
        """Creates the order or overwrites it with this event's state.

        A None for ``contact_id`` or ``delivered_at`` leaves what is known. A buyer who was erased is
        not written back. An older event changes nothing, because another transaction may have stored a
        newer one since the caller looked.
        """
        snapshot = event.order
        row = self._lock_row(snapshot.external_id)
        if row is None:
            insert_unless_there(
                self._session,
                OrderRow(
                    external_id=snapshot.external_id,
                    buyer_id=snapshot.buyer.id,
                    buyer_name=snapshot.buyer.name,
                    status=event.status,
                    status_rank=event.status.rank,
                    occurred_at=event.occurred_at,
                    amount_minor=snapshot.amount_minor,
                    currency=snapshot.currency,
                    created_at=now,
                    updated_at=now,
                ),
            )
            row = self._lock_row(snapshot.external_id)
            if row is None:
                raise ConflictError("the order came and went while it was being saved")
        if (event.occurred_at, event.status.rank) < (row.occurred_at, row.status_rank):
            return to_orders(self._session, [row])[0]
        self._overwrite(row, event, contact_id, delivered_at, now)
        return to_orders(self._session, [row])[0]

    def record(self, event: OrderEvent, order_id: int, applied: bool, now: datetime) -> bool:
        """Keeps the event in the order's history; False when that event id is there already."""
        return insert_unless_there(
            self._session,
            OrderEventRow(
                event_id=event.id,
                order_id=order_id,
                status=event.status,
                occurred_at=event.occurred_at,
                applied=applied,
                recorded_at=now,
            ),
        )

    def set_delivered_at(self, order_id: int, delivered_at: datetime) -> None:
        """Records when the order was delivered.

        Raises:
            NotFoundError: There is no such order.
        """
        self._lock_row_by_id(order_id).delivered_at = delivered_at
        self._session.flush()

    def set_contact_of_buyer(self, buyer_id: str, contact_id: int) -> None:
        """Gives the orders of that buyer to the contact that turned out to be them."""
        self._session.exec(
            update(OrderRow).where(col(OrderRow.buyer_id) == buyer_id).values(contact_id=contact_id)
        )

    def find_link(self, token_hash: str) -> tuple[int, int | None, datetime] | None:
        """Returns (order id, bound identity id or None, expiry) of a link; locks the link's row."""
        row = self._lock_link(token_hash)
        return None if row is None else (row.order_id, row.identity_id, row.expires_at)

    def get_or_create_link(self, order_id: int, expires_at: datetime, now: datetime) -> str:
        """Returns the token of the current unused link of the order, made when there is none that lives.

        Raises:
            NotFoundError: There is no such order.
        """
        self._lock_row_by_id(order_id)  # Two who ask at once shall get the same link.
        token = self._session.exec(
            select(OrderLinkRow.token)
            .where(
                col(OrderLinkRow.order_id) == order_id,
                col(OrderLinkRow.identity_id).is_(None),
                col(OrderLinkRow.expires_at) > now,
            )
            .order_by(col(OrderLinkRow.id).desc())
        ).first()
        if token is not None:
            return token
        token = secrets.token_urlsafe(16)
        self._session.add(
            OrderLinkRow(
                order_id=order_id,
                token=token,
                token_hash=token_digest(token),
                expires_at=expires_at,
                created_at=now,
            )
        )
        self._session.flush()
        return token

    def bind(self, token_hash: str, order_id: int, identity_id: int, now: datetime) -> None:
        """Uses the link for this identity and binds the order to it; the same again changes nothing.

        Raises:
            NotFoundError: There is no such link of this order.
            ConflictError: The link belongs to another identity.
        """
        link = self._lock_link(token_hash)
        if link is None or link.order_id != order_id:
            raise NotFoundError(f"no such link of order {order_id}")
        if link.identity_id not in (None, identity_id):
            raise ConflictError("the link belongs to another identity")
        if link.identity_id is None:
            link.identity_id = identity_id
            link.bound_at = now
            link.token = None
            self._session.flush()
        insert_unless_there(
            self._session, OrderBindingRow(order_id=order_id, identity_id=identity_id, bound_at=now)
        )

    def find_of_identity(self, identity_id: int, limit: int) -> Sequence[Order]:
        """Returns the orders bound to this identity, newest first; never anybody else's."""
        rows = self._session.exec(_BOUND_TO, params={"of_identity": identity_id, "most": limit}).all()
        return to_orders(self._session, rows)

    def find_of_contact(self, contact_id: int, limit: int) -> Sequence[Order]:
        """Returns the contact's orders as ``ids_of_contact`` defines them, newest first; for staff."""
        rows = self._session.exec(
            select(OrderRow)
            .where(col(OrderRow.id).in_(ids_of_contact(contact_id)))
            .order_by(col(OrderRow.occurred_at).desc(), col(OrderRow.id).desc())
            .limit(limit)
        ).all()
        return to_orders(self._session, rows)

    def _lock_row(self, external_id: str) -> OrderRow | None:
        return self._session.exec(
            select(OrderRow)
            .where(col(OrderRow.external_id) == external_id)
            .with_for_update()
            .execution_options(populate_existing=True)
        ).first()

    def _lock_row_by_id(self, order_id: int) -> OrderRow:
        row = self._session.get(OrderRow, order_id, with_for_update=True, populate_existing=True)
        if row is None:
            raise NotFoundError(f"no order {order_id}")
        return row

    def _lock_link(self, token_hash: str) -> OrderLinkRow | None:
        return self._session.exec(
            select(OrderLinkRow)
            .where(col(OrderLinkRow.token_hash) == token_hash)
            .with_for_update()
            .execution_options(populate_existing=True)
        ).first()

    def _overwrite(
        self,
        row: OrderRow,
        event: OrderEvent,
        contact_id: int | None,
        delivered_at: datetime | None,
        now: datetime,
    ) -> None:
        snapshot = event.order
        if row.erased_at is None:
            row.buyer_id = snapshot.buyer.id
            row.buyer_name = snapshot.buyer.name
            row.buyer_phone = snapshot.buyer.phone
            row.buyer_birthday = snapshot.buyer.birthday
            row.contact_id = row.contact_id if contact_id is None else contact_id
        row.delivered_at = row.delivered_at if delivered_at is None else delivered_at
        row.status = event.status
        row.status_rank = event.status.rank
        row.occurred_at = event.occurred_at
        row.amount_minor = snapshot.amount_minor
        row.currency = snapshot.currency
        row.carrier = snapshot.carrier
        row.tracking_no = snapshot.tracking_no
        row.updated_at = now
        self._session.flush()
        order_id = stored_id(row.id)
        self._session.exec(delete(OrderItemRow).where(col(OrderItemRow.order_id) == order_id))
        self._session.add_all(
            OrderItemRow(
                order_id=order_id,
                position=position,
                sku=item.sku,
                name=item.name,
                quantity=item.quantity,
                price_minor=item.price_minor,
            )
            for position, item in enumerate(snapshot.items)
        )
        self._session.flush()


def to_orders(session: Session, rows: Iterable[OrderRow]) -> list[Order]:
    """Returns the rows as values, with their items read in one query."""
    by_id = {stored_id(row.id): row for row in rows}
    items: dict[int, list[OrderItem]] = {order_id: [] for order_id in by_id}
    if items:
        for item in session.exec(
            select(OrderItemRow)
            .where(col(OrderItemRow.order_id).in_(items))
            .order_by(col(OrderItemRow.order_id), col(OrderItemRow.position))
        ):
            items[item.order_id].append(OrderItem(item.sku, item.name, item.quantity, item.price_minor))
    return [
        Order(
            id=order_id,
            snapshot=OrderSnapshot(
                external_id=row.external_id,
                buyer=Buyer(row.buyer_id, row.buyer_name, row.buyer_phone, row.buyer_birthday),
                items=tuple(items[order_id]),
                amount_minor=row.amount_minor,
                currency=row.currency,
                carrier=row.carrier,
                tracking_no=row.tracking_no,
            ),
            contact_id=row.contact_id,
            status=OrderStatus(row.status),
            occurred_at=row.occurred_at,
            delivered_at=row.delivered_at,
        )
        for order_id, row in by_id.items()
    ]
