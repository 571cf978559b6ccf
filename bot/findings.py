"""What a check of the installation found, one line each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """How something is: fine, off on purpose, worth a look, or to be mended."""

    WELL = "well"
    OFF = "off"
    WATCH = "watch"
    MEND = "mend"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; ``mend`` says what to do, where there is something to do."""

    state: State
    what: str
    mend: str = ""
