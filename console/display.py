"""How foreign text is shown: nothing hidden, nothing that spills, nothing given away by accident.

Values pass through here on their way into a template, which escapes them as well. What is stored stays
as it came.
"""

from __future__ import annotations

import unicodedata
from datetime import datetime, timedelta, tzinfo

from console.api.currencies import exponent_of

_COMBINING_CAP = 4
_JOINERS = "\u200c\u200d"
_NAMES = {
    "\u202a": "LRE",
    "\u202b": "RLE",
    "\u202c": "PDF",
    "\u202d": "LRO",
    "\u202e": "RLO",
    "\u2066": "LRI",
    "\u2067": "RLI",
    "\u2068": "FSI",
    "\u2069": "PDI",
    "\u200e": "LRM",
    "\u200f": "RLM",
    "\u200b": "ZWSP",
    "\ufeff": "BOM",
}


def _is_tag(character: str) -> bool:
    return 0xE0000 <= ord(character) <= 0xE007F


def _marked(character: str) -> str:
    return f"⟦{_NAMES.get(character) or f'U+{ord(character):04X}'}⟧"


def visible(text: str, *, multiline: bool = True) -> str:
    """The text with control, bidi and invisible characters spelled out, such as ``⟦RLO⟧``.

    At most four combining marks stay on one base character, the rest is counted: ``⟦+37⟧``. Line breaks
    and tabs stay when ``multiline``; otherwise they become spaces.
    """
    out: list[str] = []
    stacked = 0
    for character in text:
        category = unicodedata.category(character)
        # Joiners and variation selectors count as marks: emoji need them, but not five in a row.
        if category in ("Mn", "Me") or character in _JOINERS:
            stacked += 1
            if stacked <= _COMBINING_CAP:
                out.append(character)
            continue
        if stacked > _COMBINING_CAP:
            out.append(f"⟦+{stacked - _COMBINING_CAP}⟧")
        stacked = 0
        if character in "\n\t":
            out.append(character if multiline else " ")
        elif character == "\r":
            continue
        elif category in ("Cc", "Cf", "Cs", "Co"):
            # Tags spell a few flags, or whole hidden sentences; one mark stands for a run of them.
            if not _is_tag(character):
                out.append(_marked(character))
            elif not out or out[-1] != "⟦TAG⟧":
                out.append("⟦TAG⟧")
        elif category in ("Zl", "Zp"):
            out.append("\n" if multiline else " ")
        else:
            out.append(character)
    if stacked > _COMBINING_CAP:
        out.append(f"⟦+{stacked - _COMBINING_CAP}⟧")
    return "".join(out)


def masked_phone(phone: str) -> str:
    """``138****1234``; a short or odd number shows its last two characters at most, none is empty."""
    phone = visible(phone, multiline=False).strip()
    if not phone:
        return ""
    if len(phone) >= 11:
        return f"{phone[:3]}****{phone[-4:]}"
    if len(phone) >= 6:
        return f"****{phone[-2:]}"
    return "****"


def money(amount_minor: int, currency: str) -> str:
    """``¥128.00``; other currencies keep their code: ``USD 3.50``."""
    exponent = exponent_of(currency)
    exponent = 2 if exponent is None else exponent
    sign = "-" if amount_minor < 0 else ""
    whole, rest = divmod(abs(amount_minor), 10**exponent)
    figure = f"{whole:,}" + (f".{rest:0{exponent}d}" if exponent else "")
    return f"{sign}¥{figure}" if currency == "CNY" else f"{visible(currency)} {sign}{figure}"


def local_time(at: datetime | None, zone: tzinfo, now: datetime) -> str:
    """``14:05`` today, ``11-20 14:05`` this year, else ``2025-11-20 14:05``; empty for None."""
    if at is None:
        return ""
    here, today = at.astimezone(zone), now.astimezone(zone)
    if here.date() == today.date():
        return here.strftime("%H:%M")
    if here.year == today.year:
        return here.strftime("%m-%d %H:%M")
    return here.strftime("%Y-%m-%d %H:%M")


def waited(for_: timedelta) -> tuple[str, int]:
    """A waiting time as (key of ``console.texts``, number): minutes below an hour, hours, then days."""
    minutes = max(0, int(for_.total_seconds() // 60))
    if minutes < 1:
        return "waited.now", 0
    if minutes < 60:
        return "waited.minutes", minutes
    if minutes < 48 * 60:
        return "waited.hours", minutes // 60
    return "waited.days", minutes // (24 * 60)
