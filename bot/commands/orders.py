"""订单 from the command line: events of an import, and links."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from bot.commands.arguments import read_flag, read_text
from console.api.order_schemas import parse_order_event
from desk.errors import InvalidInputError
from desk.ports import UnitOfWork
from desk.service_desk import hash_bytes
from desk.values import OrderEvent

if TYPE_CHECKING:
    from bot.app import Installation

MOST_EVENTS = 1000


async def import_orders(installation: Installation, args: dict[str, Any]) -> dict[str, Any]:
    """Applies ``events`` (documents of the order API) in one transaction.

    An event whose id is known changes nothing. Surveys are planned only with ``schedule_surveys``;
    otherwise a delivered order's survey is skipped as ``imported``.

    Returns:
        How many orders were ``new`` or ``updated``, and how many events were ``older`` than what is
        stored or ``known`` already.

    Raises:
        InvalidInputError: An event breaks a rule; none of them is applied.
    """
    documents = args.get("events")
    if not isinstance(documents, list) or len(documents) > MOST_EVENTS:
        raise InvalidInputError("events", f"must be a list of at most {MOST_EVENTS}")
    schedule = read_flag(args, "schedule_surveys")
    now = installation.clock()
    events: list[tuple[OrderEvent, str]] = []
    for document in documents:
        raw = json.dumps(document, ensure_ascii=True, sort_keys=True).encode("ascii")
        events.append((parse_order_event(raw, now), hash_bytes(raw)))

    def work(unit: UnitOfWork) -> Counter[str]:
        outcomes: Counter[str] = Counter()
        for event, body_hash in events:
            outcomes[_apply(unit, event, body_hash)] += 1
        if outcomes["new"] or outcomes["updated"]:
            detail = " ".join(f"{name}={count}" for name, count in sorted(outcomes.items()))
            unit.staff.audit(None, "orders.import", "orders", detail, now)
        return outcomes

    def _apply(unit: UnitOfWork, event: OrderEvent, body_hash: str) -> str:
        if unit.orders.remember_event("event", event.id, body_hash, now) is not None:
            return "known"
        before = unit.orders.lock(event.order.external_id)
        installation.service_desk.apply_order_event(unit, event, schedule=schedule)
        if before is None:
            return "new"
        after = unit.orders.lock(event.order.external_id)
        return "older" if after == before else "updated"

    outcomes = await installation.database.write(work)
    return {name: outcomes[name] for name in ("new", "updated", "older", "known")}


async def link_order(installation: Installation, args: dict[str, Any]) -> dict[str, Any]:
    """The current unused link of the order ``order_id``.

    Raises:
        NotFoundError: No such order.
    """
    token = await installation.service_desk.order_links(read_text(args, "order_id", 128))
    return {"web": f"{installation.settings.public_url}/chat#order={token}"}
