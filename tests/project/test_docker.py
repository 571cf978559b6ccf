"""What the image and compose.yml promise, read from the files: no Docker is needed."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]


def instructions() -> list[tuple[str, str]]:
    """Pairs of instruction and arguments, with continued lines joined and comments left out."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text("utf-8"), flags=re.M)
    joined = re.sub(r"\\\n\s*", "", text)
    return [(line.split()[0], line.split(None, 1)[1]) for line in joined.splitlines() if line.strip()]


def stage(name: str) -> list[tuple[str, str]]:
    """The instructions of one stage."""
    found: list[tuple[str, str]] = []
    inside = False
    for instruction, arguments in instructions():
        if instruction == "FROM":
            inside = arguments.endswith(f" AS {name}")
        if inside:
            found.append((instruction, arguments))
    return found


def test_stages_stand_on_one_pinned_image_and_the_last_is_the_app() -> None:
    froms = [arguments for instruction, arguments in instructions() if instruction == "FROM"]
    assert froms == [
        "${PYTHON_IMAGE} AS build",
        "${NLU_PYTHON_IMAGE} AS nlu-build",
        "${NLU_PYTHON_IMAGE} AS nlu",
        "${PYTHON_IMAGE} AS app",
    ]
    image, nlu_image = [arguments for instruction, arguments in instructions() if instruction == "ARG"]
    assert re.fullmatch(r"PYTHON_IMAGE=python:3\.1[1-4][\d.]*-slim-[a-z]+", image)
    assert re.fullmatch(r"NLU_PYTHON_IMAGE=python:3\.10[\d.]*-slim-[a-z]+", nlu_image)


def test_the_app_runs_as_nobody_in_particular_and_stops_in_order() -> None:
    app = dict(stage("app"))
    assert app["USER"] == "10001"
    assert app["STOPSIGNAL"] == "SIGTERM"
    assert app["VOLUME"] == "/app/var"
    assert app["ENTRYPOINT"] == '["huiyin"]'
    assert app["CMD"] == '["serve"]'
    order = [instruction for instruction, _ in stage("app")]
    assert order.index("USER") > max(i for i, name in enumerate(order) if name in ("RUN", "COPY"))


def test_the_health_check_asks_healthz() -> None:
    check = dict(stage("app"))["HEALTHCHECK"]
    command = yaml.safe_load(check.partition(" CMD ")[2])
    assert command[:2] == ["python", "-c"]
    assert "/healthz" in command[2]
    compile(command[2], "HEALTHCHECK", "exec")
    refused = subprocess.run(
        [sys.executable, *command[1:-1], command[2].replace("8080", "9")], capture_output=True, check=False
    )
    assert refused.returncode == 1


def test_the_image_holds_every_room_and_nothing_else_of_ours() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    rooms = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    copied = [arguments.split() for instruction, arguments in stage("app") if instruction == "COPY"]
    assert copied == [["--from=build", "/app/.venv", ".venv"], *([room, room] for room in rooms)]
    allowed = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert "*" in allowed
    sources = {
        source
        for name in ("build", "nlu-build", "nlu", "app")
        for i, a in stage(name)
        if i == "COPY"
        for source in a.split()[:-1]
    }
    assert {f"!{source}" for source in sources if not source.startswith(("--from", "/app"))} == {
        line for line in allowed if line.startswith("!")
    }


def test_no_secret_is_built_in() -> None:
    text = (ROOT / "Dockerfile").read_text("utf-8")
    assert not re.search(r"SECRET|PASSWORD|TOKEN|API_KEY", text)


@pytest.fixture
def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yml").read_text("utf-8"))["services"]
    return found


def test_compose_has_no_default_password(services: dict[str, Any]) -> None:
    for name in ("app", "nlu"):
        assert services[name]["environment"]["HUIYIN_NLU_TOKEN"].startswith("${HUIYIN_NLU_TOKEN:?")
    for name, variable in (("app", "PGPASSWORD"), ("db", "POSTGRES_PASSWORD")):
        assert services[name]["environment"][variable].startswith("${POSTGRES_PASSWORD:?")
    assert "@db/" in services["app"]["environment"]["HUIYIN_DATABASE_URL"]
    assert services["app"]["env_file"] == [{"path": ".env", "required": False}]


def test_compose_opens_nothing_beyond_this_machine(services: dict[str, Any]) -> None:
    assert services["app"]["ports"] == ["127.0.0.1:8080:8080"]
    assert "ports" not in services["db"]
    assert "ports" not in services["nlu"]
    # Rasa hears the app on a network without a way out, and nobody else.
    assert services["nlu"]["networks"] == ["understanding"]
    assert services["app"]["networks"] == ["default", "understanding"]
    networks = yaml.safe_load((ROOT / "compose.yml").read_text("utf-8"))["networks"]
    assert networks == {"understanding": {"internal": True}}


def test_understanding_runs_unprivileged_and_the_app_does_not_wait_for_it(services: dict[str, Any]) -> None:
    nlu = dict(stage("nlu"))
    assert nlu["USER"] == "10002"
    assert nlu["STOPSIGNAL"] == "SIGTERM"
    assert "RASA_TELEMETRY_ENABLED=false" in nlu["ENV"]
    assert services["nlu"]["build"]["target"] == "nlu"
    assert services["nlu"]["read_only"] is True
    assert services["nlu"]["cap_drop"] == ["ALL"]
    assert "nlu" not in services["app"]["depends_on"]
    assert services["app"]["environment"]["HUIYIN_NLU_URL"] == "http://nlu:5005"
    refused = subprocess.run(
        [sys.executable, ROOT / "bot" / "nlu_server" / "container.py"],
        env={"HUIYIN_NLU_TOKEN": "short", "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 1
    assert "at least 24 random characters" in refused.stderr


def test_compose_keeps_data_and_waits_for_the_database(services: dict[str, Any]) -> None:
    assert services["app"]["build"]["target"] == "app"
    assert services["app"]["depends_on"] == {"db": {"condition": "service_healthy"}}
    assert "pg_isready" in shlex.join(services["db"]["healthcheck"]["test"])
    assert services["app"]["volumes"] == ["var:/app/var"]
    assert services["db"]["image"].startswith("postgres:16-")
    assert services["db"]["volumes"] == ["db:/var/lib/postgresql/data"]


def test_hadolint_has_nothing_to_say() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists():
        pytest.skip("hadolint is not in this environment")
    done = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
