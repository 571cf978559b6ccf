"""What a model is made from, and a fingerprint that changes whenever any of it does."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
SERVER = ROOT / "nlu" / "server"
PYTHON = SERVER / ".venv" / "bin" / "python"
"""Of Rasa's own environment, which ``make nlu-setup`` makes."""
_LOCK = SERVER / "requirements.lock"
_LOCK_IN_FORCE = PYTHON.parents[1] / "requirements.lock"

_SINGLE = (ROOT / "config.yml", SERVER / "domain.yml", SERVER / "train.py", _LOCK)
_FOLDERS = ((SERVER / "data", (".yml",)), (SERVER / "components", (".py", ".txt")))


def environment_is_ready() -> bool:
    """Whether Rasa's environment holds what its lock says; where it does, Rasa can be started."""
    try:
        return PYTHON.exists() and _LOCK_IN_FORCE.read_bytes() == _LOCK.read_bytes()
    except OSError:
        return False


def input_files() -> Iterator[Path]:
    """Every file that has a say in what a model becomes, in an order that is always the same."""
    yield from _SINGLE
    for folder, endings in _FOLDERS:
        yield from sorted(file for file in folder.rglob("*") if file.suffix in endings and file.is_file())


def fingerprint() -> str:
    """SHA-256 over names and contents of all inputs.

    Raises:
        OSError: One of them cannot be read.
    """
    whole = hashlib.sha256()
    for file in input_files():
        # Each file is hashed by itself, so no content can pass for the name of the next one.
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        whole.update(f"{file.relative_to(ROOT).as_posix()} {content}\n".encode())
    return whole.hexdigest()


def known_intents() -> tuple[str, ...]:
    """The intents of the domain that comes along.

    Raises:
        OSError: The domain cannot be read.
        ValueError: It is no domain.
    """
    try:
        domain = yaml.safe_load((SERVER / "domain.yml").read_text("utf-8"))
    except yaml.YAMLError as error:
        raise ValueError("domain.yml is not YAML") from error
    intents = domain.get("intents") if isinstance(domain, dict) else None
    if not isinstance(intents, list) or not all(isinstance(name, str) for name in intents):
        raise ValueError("domain.yml lists no intents")
    return tuple(intents)
