"""Writing what a command exports: whole or not at all, for its owner's eyes only, and safe to open."""

from __future__ import annotations

import io
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

# What makes a spreadsheet take a cell for a formula (OWASP "CSV Injection"; RELIABILITY T6), with the
# full-width forms that some of them fold, and what they skip before it.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\0", "＝", "＋", "－", "＠")
_SKIPPED = (
    " \u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000\u200b\ufeff"
)


def defused(text: str) -> str:
    """Returns the text with ``'`` before each line of it that a spreadsheet could take for a formula."""
    if text.lstrip(_SKIPPED).startswith(_FORMULA_STARTS):
        text = "'" + text
    first, *others = text.splitlines(keepends=True) or [""]
    return first + "".join(
        "'" + line if line.lstrip(_SKIPPED).startswith(_FORMULA_STARTS) and line.strip() else line
        for line in others
    )


@contextmanager
def writing(file: Path | None) -> Iterator[IO[str]]:
    """Yields where to write: standard output, or a draft that becomes ``file`` (0600) at the end."""
    if file is None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            # Whatever the terminal speaks: an export loses no character.
            sys.stdout.reconfigure(encoding="utf-8", newline="")
        yield sys.stdout
        sys.stdout.flush()
        return
    draft = file.with_name(f".{file.name}.{secrets.token_hex(6)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)


def write_text(file: Path | None, text: str) -> None:
    """Writes a text to the file, or to standard output."""
    with writing(file) as stream:
        stream.write(text)
