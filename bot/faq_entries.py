"""Between the FAQ file and the desk's own value."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import yaml

from bot.faq_file import DEFAULT_FAQ, FaqFile, FaqFileEntry
from desk.values import FaqEntry


@cache
def default_faq() -> FaqFile:
    """The FAQ that a new installation starts with; read once per process.

    Our own file needs no protection from itself, so the fast loader reads it: starting waits for this. A
    test holds it to ``read_faq``.
    """
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return FaqFile.model_validate(yaml.load(DEFAULT_FAQ.read_text(encoding="utf-8"), Loader=loader))  # noqa: S506


def to_entries(file: FaqFile) -> Sequence[FaqEntry]:
    """The file's entries as the desk knows them; ``id`` 0 until stored."""
    return [
        FaqEntry(
            id=0,
            slug=entry.slug,
            category=entry.category,
            question=entry.question,
            variants=tuple(entry.variants),
            answer=entry.answer,
            action=entry.action,
            quick=entry.quick,
            enabled=entry.enabled,
            intent=entry.intent,
        )
        for entry in file.entries
    ]


def from_entries(entries: Sequence[FaqEntry], variables: dict[str, str]) -> FaqFile:
    """The file that holds these entries."""
    return FaqFile(
        variables=variables,
        entries=[
            FaqFileEntry.model_validate(
                {
                    "slug": entry.slug,
                    "category": entry.category,
                    "question": entry.question,
                    "variants": list(entry.variants),
                    "answer": entry.answer,
                    "action": entry.action,
                    "quick": entry.quick,
                    "enabled": entry.enabled,
                    "intent": entry.intent,
                }
            )
            for entry in entries
        ],
    )
