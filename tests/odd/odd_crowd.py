"""A shop full of odd people: every text of the corpus stands where staff will see it."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from datetime import timedelta

import corpus
from odd_chat import as_stored, is_takable
from odd_strategies import plain_corpus
from shop import Shop

from desk.values import Role, StaffMember

WRITTEN = [text for text in map(as_stored, corpus.TEXTS.values()) if is_takable(text)]
"""What a customer can send, as it is stored."""
CSRF = "the-form-token-of-the-odd-tests"
COOKIE = "the-session-token-of-the-odd-tests"
_COOKIE_HASH = hashlib.sha256(COOKIE.encode()).hexdigest()
_ANGRY_COMMENT = "质量太差了 "


@dataclass
class Crowd:
    """Who is there.

    Attributes:
        names: Of the customers who wait for a person.
    """

    numbers: list[str]
    names: list[str]
    admin: StaffMember


async def gather(shop: Shop, customers: int, lines_each: int = 5) -> Crowd:
    """Customers with odd names and orders who write odd texts and want a person; staff who answer oddly."""
    texts = iter(WRITTEN * 2)
    names = [plain_corpus[at % len(plain_corpus)][:60] for at in range(customers)]
    admin = await shop.staff("odd-admin", Role.ADMIN, corpus.XSS["img_onerror"][:40])
    agent = await shop.staff("odd-agent", Role.AGENT, corpus.XSS["attribute_focus"][:40])
    for at, name in enumerate(names):
        await _buy(shop, at, name)
        # The session limit counts by address, and all of the shop's httpx clients come from one.
        customer = await _customer(shop, at)
        for _ in range(lines_each):
            answer = await customer.post(next(texts))
            assert answer.status_code == 202, answer.text
        await shop.settle()
        await customer.says("转人工")
    numbers = [line.number for line in (await shop.reports(lambda r: r.cases("open", None, 200))).rows]
    for at, number in enumerate(numbers):
        said = plain_corpus[-at % len(plain_corpus)][:200]
        if at % 3 == 0:
            await shop.staff_desk.reply(number, agent, said, str(uuid.uuid4()))
            await shop.staff_desk.add_note(number, agent, said)
        if at % 6 == 0:
            await shop.staff_desk.close_case(number, agent, said)
    await _review(shop)
    await _spoil(shop)
    await shop.settle()
    return Crowd(numbers, names, admin)


async def _buy(shop: Shop, at: int, name: str) -> None:
    odd = [plain_corpus[(at * 7 + step) % len(plain_corpus)] for step in range(4)]
    event = shop.order_event("shipped", f"ODD-{at}{odd[0]}"[:128], buyer=f"{at}{odd[1]}"[:128])
    event["id"] = f"evt-{at}"
    event["order"] |= {"carrier": odd[2][:128], "tracking_no": odd[3][:128]}
    event["order"]["buyer"] |= {"name": name, "phone": odd[0][:32]}
    event["order"]["items"][0] |= {"sku": odd[1][:128], "name": odd[2][:500]}
    answer = await shop.post_order_event(event)
    assert answer.status_code == 202, answer.text
    await shop.settle()


async def _customer(shop: Shop, at: int):  # type: ignore[no-untyped-def]
    odd = plain_corpus[(at * 7) % len(plain_corpus)]
    order_id = f"ODD-{at}{odd}"[:128]

    def find_token(unit):  # type: ignore[no-untyped-def]
        order = unit.orders.lock(order_id)
        return unit.orders.get_or_create_link(order.id, shop.clock() + timedelta(days=30), shop.clock())

    return await shop.customer(f"odd-{at}", order_token=await shop.run(find_token))


async def _review(shop: Shop) -> None:
    """Two customers rate their orders and comment oddly."""
    for at, comment in enumerate((corpus.XSS["svg_onload"], corpus.FORMULAS["cmd"])):
        await shop.reports_event("delivered", f"REVIEWED-{at}", buyer=f"reviewer-{at}")
        customer = await shop.customer(f"reviewer-{at}", order_token=await shop.link(f"REVIEWED-{at}"))
        await shop.later(timedelta(days=1, minutes=1))
        await customer.says("5")
        await customer.says(_ANGRY_COMMENT + comment)


async def _spoil(shop: Shop) -> None:
    """A dead letter whose bytes are odd, too."""
    raw = corpus.XSS["script"].encode() + b"\xff\xfe\x00"
    await shop.run(
        lambda unit: unit.inbox.add("webchat", "1:odd-poison", "0" * 64, "identity:1", raw, shop.clock())
    )
    for _ in range(6):
        await shop.later(timedelta(minutes=1))


async def sign_in(shop: Shop, member: StaffMember) -> list[tuple[bytes, bytes]]:
    """A session of that member, made without the password's cost; returns the cookie's header."""

    def work(unit) -> None:  # type: ignore[no-untyped-def]
        unit.staff.end_session(_COOKIE_HASH)
        unit.staff.change(member.id, role=member.role, disabled=False)
        unit.staff.open_session(member.id, _COOKIE_HASH, CSRF, shop.clock())

    await shop.run(work)
    return [(b"cookie", f"__Host-huiyin={COOKIE}".encode())]
