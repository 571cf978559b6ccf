"""Insertions that two transactions may race, settled by the database's own constraints."""

from __future__ import annotations

from sqlmodel import Session, SQLModel

from storage.statements import insert_into
from storage.tables.care import COUNTERS


def insert_unless_there(session: Session, row: SQLModel) -> bool:
    """Inserts the row unless some unique constraint or unique index has one like it.

    On PostgreSQL a transaction that is inserting the same key is waited for; the row that is then
    there can be read by the next statement. So the caller reads by the unique key afterwards, and
    gets its own row or the other's.

    Args:
        session: Anything pending in it is flushed first.
        row: Not attached to a session; an ``id`` that is None is left to the database.

    Returns:
        True when the row was inserted.
    """
    session.flush()
    values = row.model_dump()
    if values.get("id", 0) is None:
        del values["id"]
    table = SQLModel.metadata.tables[str(row.__tablename__)]
    inserted = session.execute(
        insert_into(session, table)
        .values(values)
        .on_conflict_do_nothing()
        .returning(*table.primary_key.columns)
    )
    return inserted.one_or_none() is not None


def stored_id(row_id: int | None) -> int:
    """Returns the id of a row that is stored; a row has none only before its first flush."""
    if row_id is None:
        raise ValueError("the row has not been stored yet")
    return row_id


def raise_counter(session: Session, name: str, by: int = 1) -> int:
    """Adds to a counter and returns its new value; its row stays locked until the transaction ends.

    A counter that is not there counts as 0.
    """
    statement = (
        insert_into(session, COUNTERS)
        .values(name=name, value=by)
        .on_conflict_do_update(index_elements=["name"], set_={"value": COUNTERS.c.value + by})
        .returning(COUNTERS.c.value)
    )
    return int(session.execute(statement).scalar_one())
