"""问答 from a file: what an import would change, and the import itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.commands.arguments import read_flag, read_text
from bot.faq_entries import to_entries
from bot.faq_file import DEFAULT_FAQ, MAX_FILE_CHARACTERS, FaqFile, read_faq
from desk.ports import UnitOfWork
from desk.values import FaqEntry

if TYPE_CHECKING:
    from bot.app import Installation
    from bot.settings import Settings

SHOP_NAME = "shop_name"


@dataclass(frozen=True, slots=True)
class FaqPlan:
    """What importing a file changes.

    Attributes:
        added: Entries of slugs that are not there yet.
        changed: Entries that differ from the stored ones of their slugs.
        unchanged: How many entries are stored exactly so already.
        deleted: Slugs that are stored and not in the file; empty unless the import replaces everything.
        kept: How many stored entries the file does not speak of and that stay.
    """

    added: tuple[FaqEntry, ...]
    changed: tuple[FaqEntry, ...]
    unchanged: int
    deleted: tuple[str, ...]
    kept: int


def plan_import(
    file: FaqFile, stored: Sequence[FaqEntry], variables: Mapping[str, str], *, replace: bool
) -> FaqPlan:
    """Says what an import would do; changes nothing.

    Args:
        variables: What the installation fills in when it answers. A variable that has another value in
            the file is written into the answers, since the installation would not know that value.
        replace: Entries that the file does not have are to be deleted.
    """
    wanted = [_with_values(entry, file.variables, variables) for entry in to_entries(file)]
    by_slug = {entry.slug: entry for entry in stored}
    added, changed, unchanged = [], [], 0
    for entry in wanted:
        known = by_slug.get(entry.slug)
        if known is None:
            added.append(entry)
        elif dataclasses.replace(known, id=0) != entry:
            changed.append(entry)
        else:
            unchanged += 1
    others = [slug for slug in by_slug if slug not in {entry.slug for entry in wanted}]
    return FaqPlan(
        tuple(added),
        tuple(changed),
        unchanged,
        tuple(others) if replace else (),
        0 if replace else len(others),
    )


def _with_values(entry: FaqEntry, own: Mapping[str, str], known: Mapping[str, str]) -> FaqEntry:
    answer = entry.answer
    for name, value in own.items():
        # The shop's name is a setting, whatever a file says.
        if name != SHOP_NAME and known.get(name) != value:
            answer = answer.replace("{" + name + "}", value)
    return entry if answer == entry.answer else dataclasses.replace(entry, answer=answer)


def known_variables(settings: Settings) -> Mapping[str, str]:
    """What this installation fills in for ``{shop_name}`` and the like when it answers."""
    defaults = read_faq(DEFAULT_FAQ.read_text("utf-8")).variables
    return {**defaults, SHOP_NAME: settings.shop_name}


async def import_faq(installation: Installation, args: dict[str, Any]) -> dict[str, Any]:
    """Imports the file ``text`` in one transaction; with ``replace`` deletes what it does not have.

    Raises:
        FaqFileError: The file breaks a rule; nothing is changed.
    """
    file = read_faq(read_text(args, "text", MAX_FILE_CHARACTERS))
    replace = read_flag(args, "replace")
    variables = known_variables(installation.settings)
    now = installation.clock()

    def work(unit: UnitOfWork) -> FaqPlan:
        plan = plan_import(file, unit.faq.all(), variables, replace=replace)
        for entry in (*plan.added, *plan.changed):
            unit.faq.put(entry, now)
        for slug in plan.deleted:
            unit.faq.delete(slug)
        if plan.added or plan.changed or plan.deleted:
            detail = f"added={len(plan.added)} changed={len(plan.changed)} deleted={len(plan.deleted)}"
            unit.staff.audit(None, "faq.import", "faq", detail, now)
        return plan

    plan = await installation.database.write(work)
    return {
        "added": len(plan.added),
        "changed": len(plan.changed),
        "deleted": len(plan.deleted),
        "unchanged": plan.unchanged,
        "kept": plan.kept,
    }
