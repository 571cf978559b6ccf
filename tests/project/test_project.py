"""Facts about the repository itself."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ["requirements.lock", "requirements-dev.lock", "requirements-uv.lock"]


def git(*arguments: str) -> str:
    done = subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, check=False)
    if done.returncode not in (0, 1):
        pytest.skip("this is not a git checkout")
    return done.stdout.decode("utf-8", "replace")


def tracked() -> list[Path]:
    return [ROOT / name for name in git("ls-files", "-z").split("\0") if name and (ROOT / name).is_file()]


def test_dependencies_are_locked_by_hash_and_without_addresses() -> None:
    assert not [path for path in tracked() if path.name in ("uv.lock", "poetry.lock", "Pipfile.lock")]
    for name in LOCKS:
        text = (ROOT / name).read_text("utf-8")
        assert "://" not in text
        assert "--index-url" not in text
        packages = re.findall(r"^[a-z0-9][\w.-]*==", text, re.M)
        assert packages
        for block in re.split(r"^(?=[a-z0-9])", text, flags=re.M)[1:]:
            assert "--hash=sha256:" in block, block.split()[0]


def test_the_development_lock_holds_all_of_the_other_at_the_same_versions() -> None:
    pins = [
        set(re.findall(r"^[a-z0-9][\w.-]*==\S+", (ROOT / name).read_text("utf-8"), re.M))
        for name in LOCKS[:2]
    ]
    assert pins[0] <= pins[1]


def test_every_target_of_the_makefile_is_explained_and_phony() -> None:
    text = (ROOT / "Makefile").read_text("utf-8")
    targets = dict(re.findall(r"^([a-z][a-z-]*):(?!=)(.*)$", text, re.M))
    assert {"setup", "run", "demo", "test", "check", "bench", "lock", "clean", "doctor"} <= targets.keys()
    assert [name for name, rest in targets.items() if not re.search(r" ## [A-Z].*[一-鿿]", rest)] == []
    phony = re.search(r"^\.PHONY: (.*)$", text, re.M)
    assert phony is not None
    assert set(phony[1].split()) == targets.keys()


def test_nothing_tracked_names_a_machine() -> None:
    home = re.compile(rb"/(?:home|Users)/[a-z][\w.-]*/|/root/|[A-Z]:\\Users\\")
    guilty = [path.relative_to(ROOT).as_posix() for path in tracked() if home.search(path.read_bytes())]
    assert [name for name in guilty if name != Path(__file__).relative_to(ROOT).as_posix()] == []


def test_data_and_secrets_are_never_committed() -> None:
    ignored = git("check-ignore", "var/huiyin.db", "var/secrets/API_KEY", ".env", ".venv/bin/python")
    assert len(ignored.split()) == 4
    assert [path for path in tracked() if path.is_relative_to(ROOT / "var") or path.name == ".env"] == []


def test_the_gate_runs_what_people_run() -> None:
    gate = ROOT / ".ci" / "run"
    assert gate.stat().st_mode & 0o111
    assert gate.read_text("utf-8").splitlines()[-1] == "make test"


def test_nobody_without_a_bot_waits_until_aiogram_is_loaded() -> None:
    """Its types take seconds to build, at every command and every start."""
    asked = "import sys, bot.app, bot.cli; print('aiogram' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True, cwd=ROOT)
    assert told.stdout.strip() == "False"
