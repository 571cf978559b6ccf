"""待处理 on SQL: raw input, worked lane by lane in order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache

from sqlalchemy import Executable, Integer, and_, bindparam, case, func, null, or_, select, update
from sqlalchemy.orm import Session

from desk.errors import LeaseLostError
from desk.ports import StoredKey
from desk.values import Claim, InboxItem
from storage.statements import (
    change,
    dialect_insert,
    insert_into,
    lease_end,
    lease_ends,
    on_postgresql,
    ring_after_commit,
    word,
)
from storage.tables.work import INBOX, LANES, InboxState

# A lane waits for a minute at most; what waits longer was set by a clock that has stepped back since.
_LONGEST_WAIT = timedelta(minutes=2)
_READY = INBOX.c.state == word(InboxState.READY)
_KEYS = (
    select(INBOX.c.body_hash, INBOX.c.received_at)
    .where(INBOX.c.source == bindparam("source"), INBOX.c.source_key == bindparam("source_key"))
    .order_by(INBOX.c.id)
)
_MAY_GO_ON = or_(
    LANES.c.not_before.is_(None),
    LANES.c.not_before <= bindparam("now"),
    LANES.c.not_before > bindparam("too_late"),
)
_HELD = and_(
    LANES.c.name == bindparam("of_lane"),
    LANES.c.owner == bindparam("by_owner"),
    LANES.c.fence == bindparam("with_fence"),
)
_HEAD = (
    select(
        INBOX.c.id,
        INBOX.c.source,
        INBOX.c.source_key,
        INBOX.c.lane,
        INBOX.c.raw,
        INBOX.c.received_at,
        INBOX.c.attempts,
    )
    .join(LANES, LANES.c.name == INBOX.c.lane)
    .where(INBOX.c.lane == bindparam("of_lane"), _READY, _HELD, _MAY_GO_ON)
    .order_by(INBOX.c.id)
    .limit(1)
)
_HELD_LANE = select(LANES.c.pending, LANES.c.not_before).where(_HELD).with_for_update()
_WAITING_SINCE = (
    select(INBOX.c.received_at)
    .where(INBOX.c.lane == bindparam("of_lane"), _READY)
    .order_by(INBOX.c.id)
    .limit(1)
)
_WRITE_LANE = update(LANES).where(_HELD)
_TAKE_OFF = _WRITE_LANE.values(pending=case((LANES.c.pending > 0, LANES.c.pending - 1), else_=0))
_SET_ITEM = update(INBOX).where(
    INBOX.c.id == bindparam("item_id"), INBOX.c.lane == bindparam("of_lane"), _READY
)
_SET_TRIED = _SET_ITEM.values(attempts=INBOX.c.attempts + 1)


class SqlInboxStore:
    """The inbox and its lanes.

    The lane's row is the lock of the lane: whoever adds, claims, finishes or gives back writes it
    first, so ids rise within a lane in the order of commits.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(
        self, source: str, source_key: str, body_hash: str, lane: str, raw: bytes, now: datetime
    ) -> int | None:
        """Stores raw bytes; None when (source, source_key, body_hash) is there already."""
        add_to_lane(self._session, lane, now)
        item_id = self._session.execute(
            _add_item(on_postgresql(self._session)),
            {
                "source": source,
                "source_key": source_key,
                "body_hash": body_hash,
                "lane": lane,
                "raw": raw,
                "received_at": now,
            },
        ).scalar_one_or_none()
        if item_id is None:
            self._session.execute(
                update(LANES)
                .where(LANES.c.name == lane)
                .values(
                    pending=LANES.c.pending - 1,
                    ready_since=case((LANES.c.pending == 1, null()), else_=LANES.c.ready_since),
                )
            )
            return None
        ring_after_commit(self._session, "inbox")
        return int(item_id)

    def bury_new(
        self, source: str, source_key: str, body_hash: str, lane: str, raw: bytes, error: str, now: datetime
    ) -> int | None:
        """Stores raw bytes that nobody can read as a dead letter at once; None as ``add``."""
        item_id = self._session.execute(
            _add_item(on_postgresql(self._session)),
            {
                "source": source,
                "source_key": source_key,
                "body_hash": body_hash,
                "lane": lane,
                "raw": raw,
                "received_at": now,
                "state": InboxState.DEAD.value,
                "error": error,
            },
        ).scalar_one_or_none()
        return None if item_id is None else int(item_id)

    def find_keys(self, source: str, source_key: str, lane: str) -> Sequence[StoredKey]:
        """Locks the lane, then says what came in under this key before, oldest first."""
        if on_postgresql(self._session):
            # An update that changes nothing creates the lane's row or locks it, in one statement.
            self._session.execute(
                insert_into(self._session, LANES)
                .values(name=lane)
                .on_conflict_do_update(index_elements=["name"], set_={"pending": LANES.c.pending})
            )
        rows = self._session.execute(_KEYS, {"source": source, "source_key": source_key})
        return [StoredKey(row.body_hash, row.received_at) for row in rows]

    def claim_lanes(self, owner: str, limit: int, lease: timedelta, now: datetime) -> Sequence[Claim]:
        """Leases up to ``limit`` lanes that have ready work and no living owner, longest waiting first."""
        # Lanes are skipped when locked, never items: skipping a locked head would break the order.
        postgres = on_postgresql(self._session)
        names = self._session.scalars(
            _find_free(postgres), {"by_owner": owner, "most": limit, **_times(now)}
        ).all()
        if not names:
            return []
        rows = self._session.execute(
            _lease(postgres), {"names": names, "owner": owner, **lease_ends(self._session, now, lease)}
        )
        fences = {row.name: row.fence for row in rows}
        return [Claim(name, owner, fences[name]) for name in names]

    def find_head(self, claim: Claim, now: datetime) -> InboxItem | None:
        """The next ready item of a lane; None when there is none, it must wait or the lease is lost."""
        row = self._session.execute(_HEAD, {**_claimed(claim), **_times(now)}).one_or_none()
        if row is None:
            return None
        return InboxItem(row.id, row.source, row.source_key, row.lane, row.raw, row.received_at, row.attempts)

    def finish(self, claim: Claim, item_id: int) -> None:
        """Marks the item done.

        Raises:
            LeaseLostError: The lane has another owner now; roll back.
        """
        self._take_off(claim)
        self._set_item(claim, item_id, state=InboxState.DONE.value, error="")

    def retry(self, claim: Claim, item_id: int, error: str, not_before: datetime) -> None:
        """Counts one failed try; the whole lane waits until ``not_before``, or order would break."""
        self._write_lane(claim, not_before=not_before)
        self._set_item(claim, item_id, _SET_TRIED, error=error)

    def bury(self, claim: Claim, item_id: int, error: str) -> None:
        """Makes the item a dead letter; the lane goes on. Raises as ``finish``."""
        self._take_off(claim)
        self._set_item(claim, item_id, _SET_TRIED, state=InboxState.DEAD.value, error=error)

    def release(self, claim: Claim) -> None:
        """Gives the lane back. Does nothing when it has another owner by now."""
        # Locked by itself first: only a statement that starts afterwards sees what an add, for which
        # this one may have waited, has put in.
        lane = self._session.execute(_HELD_LANE, _claimed(claim)).one_or_none()
        if lane is None:
            return
        waiting_since = self._session.scalars(_WAITING_SINCE, {"of_lane": claim.lane}).one_or_none()
        # The count is mended by what is there, so that a lane can neither be forgotten nor be claimed
        # for nothing again and again.
        pending = 0 if waiting_since is None else max(lane.pending, 1)
        self._write_lane(claim, owner=None, leased_until=None, pending=pending, ready_since=waiting_since)
        if pending and lane.not_before is None:
            ring_after_commit(self._session, "inbox")

    def extend(self, claim: Claim, lease: timedelta, now: datetime) -> bool:
        """Prolongs the lease; False when it is lost."""
        statement = _extend(on_postgresql(self._session))
        return (
            change(self._session, statement, {**_claimed(claim), **lease_ends(self._session, now, lease)})
            == 1
        )

    def _take_off(self, claim: Claim) -> None:
        self._write_lane(claim, _TAKE_OFF, not_before=None)

    def _write_lane(self, claim: Claim, statement: Executable = _WRITE_LANE, **values: object) -> None:
        if change(self._session, statement, {**_claimed(claim), **values}) != 1:
            raise LeaseLostError(f"lane {claim.lane} is no longer held with fence {claim.fence}")

    def _set_item(
        self, claim: Claim, item_id: int, statement: Executable = _SET_ITEM, **values: object
    ) -> None:
        if change(self._session, statement, {"item_id": item_id, "of_lane": claim.lane, **values}) != 1:
            raise LeaseLostError(f"inbox item {item_id} is no longer ready in lane {claim.lane}")


def add_to_lane(session: Session, lane: str, now: datetime) -> None:
    """Counts one more ready item in the lane, whose row is then locked."""
    session.execute(_add_to_lane(on_postgresql(session)), {"name": lane, "pending": 1, "ready_since": now})


# Every message takes all of these, and building them each time would take longer than running them.


@cache
def _add_item(postgres: bool) -> Executable:
    return (
        dialect_insert(INBOX, postgres=postgres)
        .on_conflict_do_nothing(index_elements=["source", "source_key", "body_hash"])
        .returning(INBOX.c.id)
    )


@cache
def _add_to_lane(postgres: bool) -> Executable:
    insert = dialect_insert(LANES, postgres=postgres)
    return insert.on_conflict_do_update(
        index_elements=["name"],
        set_={
            "pending": LANES.c.pending + 1,
            "ready_since": func.coalesce(LANES.c.ready_since, insert.excluded.ready_since),
        },
    )


@cache
def _find_free(postgres: bool) -> Executable:
    ended = LANES.c.leased_until <= (func.clock_timestamp() if postgres else bindparam("now"))
    free = [LANES.c.owner.is_(None), ended]
    if not postgres:
        free.append(LANES.c.owner != bindparam("by_owner"))
    return (
        select(LANES.c.name)
        .where(LANES.c.pending > 0, _MAY_GO_ON, or_(*free))
        .order_by(LANES.c.ready_since, LANES.c.name)
        .limit(bindparam("most", type_=Integer))
        .with_for_update(skip_locked=True)
    )


@cache
def _lease(postgres: bool) -> Executable:
    return (
        update(LANES)
        .where(LANES.c.name.in_(bindparam("names", expanding=True)))
        .values(fence=LANES.c.fence + 1, leased_until=lease_end(postgres=postgres))
        .returning(LANES.c.name, LANES.c.fence)
    )


@cache
def _extend(postgres: bool) -> Executable:
    return update(LANES).where(_HELD).values(leased_until=lease_end(postgres=postgres))


def _times(now: datetime) -> dict[str, datetime]:
    return {"now": now, "too_late": now + _LONGEST_WAIT}


def _claimed(claim: Claim) -> dict[str, object]:
    return {"of_lane": claim.lane, "by_owner": claim.owner, "with_fence": claim.fence}
