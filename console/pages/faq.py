"""The FAQ, beside what it could not answer."""

from __future__ import annotations

import re
from dataclasses import replace

from starlette.responses import Response

from console.errors import words_for
from console.pages.visit import ConsoleRoom, Visit
from console.permissions import Permission
from desk.errors import DeskError, InvalidInputError, NotFoundError
from desk.intents import INTENTS
from desk.values import FaqEntry

_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_ACTIONS = ("order_status", "tracking", "refund_status")
_MISSES = 30
_NEW = FaqEntry(id=0, slug="", category="", question="", variants=(), answer="")


def add_faq_pages(room: ConsoleRoom) -> None:
    """Declares the routes."""

    @room.get("/console/faq", Permission.READ_FAQ)
    async def faq(visit: Visit) -> Response:
        entries = await visit.deps.transactions.read(lambda unit: list(unit.faq.all()))
        misses = await visit.deps.reports(lambda reports: reports.faq_misses(_MISSES))
        words = visit.query("q", 100)
        if words:
            entries = [entry for entry in entries if _mentions(entry, words.casefold())]
        entries.sort(key=lambda entry: (entry.category, entry.id))
        return await visit.page("faq.html", entries=entries, misses=misses.rows, words=words)

    @room.get("/console/faq/new", Permission.EDIT_FAQ)
    async def new(visit: Visit) -> Response:
        return await _form(visit, replace(_NEW, question=visit.query("question", 200)))

    @room.get("/console/faq/{id}", Permission.EDIT_FAQ)
    async def edit(visit: Visit) -> Response:
        return await _form(visit, await _entry(visit))

    @room.post("/console/faq/new", Permission.EDIT_FAQ)
    async def add(visit: Visit) -> Response:
        return await _save(visit, _NEW)

    @room.post("/console/faq/{id}", Permission.EDIT_FAQ)
    async def save(visit: Visit) -> Response:
        return await _save(visit, await _entry(visit))

    @room.post("/console/faq/{id}/enabled", Permission.EDIT_FAQ)
    async def enable(visit: Visit) -> Response:
        entry = await _entry(visit)
        changed = replace(entry, enabled=visit.form.get("enabled") == "yes")
        await visit.deps.staff_desk.put_faq(changed, visit.staff)
        return visit.go("/console/faq", "faq_saved")

    @room.post("/console/faq/{id}/delete", Permission.EDIT_FAQ)
    async def delete(visit: Visit) -> Response:
        entry = await _entry(visit)
        await visit.deps.staff_desk.delete_faq(entry.slug, visit.staff)
        return visit.go("/console/faq", "faq_deleted")


def _mentions(entry: FaqEntry, words: str) -> bool:
    texts = (entry.question, *entry.variants, entry.answer, entry.category, entry.slug)
    return any(words in text.casefold() for text in texts)


async def _entry(visit: Visit) -> FaqEntry:
    given = str(visit.request.path_params["id"])
    if not (given.isascii() and given.isdigit() and len(given) <= 15):
        raise NotFoundError("no such entry")
    entry_id = int(given)
    return await visit.deps.transactions.read(lambda unit: unit.faq.get(entry_id))


async def _save(visit: Visit, before: FaqEntry) -> Response:
    typed = replace(
        before,
        category=visit.form.get("category", ""),
        question=visit.form.get("question", ""),
        variants=tuple(visit.form.get("variants", "").splitlines()),
        answer=visit.form.get("answer", ""),
        slug=before.slug or visit.form.get("slug", ""),
        action=visit.form.get("action") or None,
        intent=visit.form.get("intent", ""),
        quick="quick" in visit.form,
        enabled="enabled" in visit.form,
    )
    try:
        entry = await _checked(visit, before)
        await visit.deps.staff_desk.put_faq(entry, visit.staff)
    except NotFoundError:
        raise
    except DeskError as error:
        return await _form(visit, typed, words_for(error, visit.language))
    return visit.go("/console/faq", "faq_saved")


async def _checked(visit: Visit, before: FaqEntry) -> FaqEntry:
    slug = before.slug or visit.field("slug", 60, required=True)
    if not _SLUG.fullmatch(slug):
        raise InvalidInputError("slug", "faq.slug_wrong")
    if not before.id:
        known = await visit.deps.transactions.read(lambda unit: {entry.slug for entry in unit.faq.all()})
        # Storing by a known short name would quietly replace that entry.
        if slug in known:
            raise InvalidInputError("slug", "faq.slug_taken")
    action = visit.field("action", 40) or None
    if action is not None and action not in _ACTIONS:
        raise InvalidInputError("action", "form.choice")
    intent = visit.field("intent", 40)
    if intent and intent not in INTENTS:
        raise InvalidInputError("intent", "form.choice")
    variants = [line.strip() for line in visit.field("variants", 10_000).splitlines()]
    return replace(
        before,
        slug=slug,
        category=visit.field("category", 60),
        question=visit.field("question", 200, required=True),
        variants=tuple(dict.fromkeys(line[:200] for line in variants if line)),
        answer=visit.field("answer", 3000, required=True),
        action=action,
        intent=intent,
        quick="quick" in visit.form,
        enabled="enabled" in visit.form,
    )


async def _form(visit: Visit, entry: FaqEntry, fault: str = "") -> Response:
    # A new entry is in use unless somebody unticks it, also after a refused form.
    return await visit.page(
        "faq_entry.html",
        422 if fault else 200,
        entry=entry,
        fault=fault,
        actions=_ACTIONS,
        intents=INTENTS.values(),
        is_new=not entry.id,
    )
