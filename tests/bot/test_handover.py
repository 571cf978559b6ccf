"""Commands that write, while a service holds the database and while none does."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from cli_rig import environment, huiyin, serving
from shop import Shop, play, shop_settings

from bot.commands.handover import HandoverError, open_runner, run_command
from bot.commands.serving import announced, command_key, find_serving
from bot.settings import load_settings
from desk.errors import ConflictError, InvalidInputError, NotFoundError
from storage.locks import AlreadyServingError, SingleServeLock

HASH = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaA"
LI = {"login": "li", "name": "小李", "role": "agent", "password_hash": HASH}


def ask(shop: Shop, peer: str = "127.0.0.1", **headers: str) -> httpx.AsyncClient:
    """A client of the running service, from some address."""
    transport = httpx.ASGITransport(app=shop.installation.web_app(), client=(peer, 4711))
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080", headers=headers)


def key_of(shop: Shop) -> dict[str, str]:
    return {"Authorization": f"Bearer {command_key(shop.installation.settings)}"}


# --- Beside a running service ----------------------------------------------------------------------------


def test_a_command_beside_a_running_serve_is_handed_over(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        announcement = tmp_path / "var" / "serve.json"
        assert stat.S_IMODE(announcement.stat().st_mode) == 0o600
        assert json.loads(announcement.read_text())["pid"] == service.process.pid

        added = huiyin(tmp_path, "staff", "add", "li.ming", "--name", "小李")
        assert added.returncode == 0, added.stderr
        assert "li.ming\t小李\tagent" in huiyin(tmp_path, "staff", "list").stdout
        assert "add_staff" in service.output

        taken = huiyin(tmp_path, "staff", "add", "LI.MING")
        assert taken.returncode == 1
        assert "the login is taken" in taken.stderr

        refused = huiyin(tmp_path, "serve")
        assert refused.returncode == 1
        assert f"process {service.process.pid} already serves" in refused.stderr
        assert "our own service" in huiyin(tmp_path, "doctor", LISTEN=f"127.0.0.1:{service.port}").stdout

        key = (tmp_path / "var" / "secrets" / "COMMAND_KEY").read_text().strip()
        assert key not in service.output + announcement.read_text()
        assert service.stop() == 0
        assert not announcement.exists()
        assert "Stopped" in service.output
    # The same command again, now that nobody serves: run here.
    assert huiyin(tmp_path, "staff", "add", "wang").returncode == 0
    assert "wang\twang\tagent" in huiyin(tmp_path, "staff", "list").stdout


def test_after_a_crash_commands_run_by_themselves_and_serve_starts_again(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        assert "password" in service.output
        assert service.stop(signal.SIGKILL) == -signal.SIGKILL
    assert (tmp_path / "var" / "serve.json").exists()
    assert huiyin(tmp_path, "staff", "add", "li").returncode == 0
    with serving(tmp_path) as again:
        # The first password is shown on the very first start only.
        assert "shown only this once" not in again.output
        assert again.stop(signal.SIGTERM) == 0


# --- Who may ask -------------------------------------------------------------------------------------------


def test_only_the_key_opens_the_door(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        async with ask(shop) as client:
            for headers in ({}, {"Authorization": "Bearer "}, {"Authorization": "Bearer wrong"}):
                answer = await client.post("/internal/commands/add_staff", json=LI, headers=headers)
                assert answer.status_code == 401
            answer = await client.post("/internal/commands/add_staff", json=LI, headers=key_of(shop))
            assert answer.json() == {"result": {"login": "li", "role": "agent", "has_admin": True}}
        assert [member.login for member in await shop.run(lambda unit: unit.staff.all())] == ["admin", "li"]

    play(tmp_path, story)


@pytest.mark.parametrize(
    ("peer", "headers"),
    [
        ("203.0.113.9", {}),
        ("10.0.0.7", {}),
        ("nonsense", {}),
        # A proxy on this machine speaks for somebody else.
        ("127.0.0.1", {"X-Forwarded-For": "203.0.113.9"}),
        ("127.0.0.1", {"Forwarded": "for=203.0.113.9"}),
        ("::1", {"Via": "1.1 proxy"}),
    ],
)
def test_to_anybody_else_the_door_is_not_there(tmp_path: Path, peer: str, headers: dict[str, str]) -> None:
    async def story(shop: Shop) -> None:
        async with ask(shop, peer) as client:
            answer = await client.post(
                "/internal/commands/add_staff", json=LI, headers={**key_of(shop), **headers}
            )
            assert answer.status_code == 404
        assert len(await shop.run(lambda unit: unit.staff.all())) == 1

    play(tmp_path, story)


def test_what_does_not_fit_is_refused_in_words(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        cases: list[tuple[str, bytes, int, str]] = [
            ("nothing_of_the_kind", b"{}", 404, "NotFoundError"),
            ("add_staff", b"{}", 422, "InvalidInputError"),
            ("add_staff", b"[]", 422, "InvalidInputError"),
            ("add_staff", b'{"login": NaN}', 422, "InvalidInputError"),
            ("add_staff", b"\xff", 422, "InvalidInputError"),
            (
                "add_staff",
                json.dumps({**LI, "password_hash": "plain words"}).encode(),
                422,
                "InvalidInputError",
            ),
            ("add_staff", json.dumps({**LI, "login": "admin"}).encode(), 409, "ConflictError"),
            ("erase_contact", b'{"contact_id": 99}', 404, "NotFoundError"),
            ("erase_contact", b'{"contact_id": true}', 422, "InvalidInputError"),
            ("replay_dead_letter", b'{"origin": "inbox", "id": 1}', 404, "NotFoundError"),
            ("record_export", b'{"action": "anything", "subject": "x"}', 422, "InvalidInputError"),
            ("import_faq", b'{"text": "entries: 7"}', 422, "InvalidInputError"),
            ("import_orders", b'{"events": [{}]}', 422, "InvalidInputError"),
        ]
        async with ask(shop) as client:
            for name, body, status, kind in cases:
                answer = await client.post(f"/internal/commands/{name}", content=body, headers=key_of(shop))
                assert (answer.status_code, answer.json()["detail"]["kind"]) == (status, kind), (name, body)
            large = await client.post(
                "/internal/commands/add_staff", content=b" " * (32 * 1024 * 1024 + 1), headers=key_of(shop)
            )
            assert large.status_code == 413
            openapi = await client.get("/api/openapi.json")
            assert "internal" not in openapi.text

    play(tmp_path, story)


# --- Who is asked --------------------------------------------------------------------------------------------


def test_a_left_over_announcement_is_not_believed(tmp_path: Path) -> None:
    settings = shop_settings(tmp_path)
    with SingleServeLock(tmp_path), announced(settings, 8080):
        found = find_serving(settings)
        assert found is not None
        assert (found.host, found.port, found.pid) == ("127.0.0.1", 8080, os.getpid())
        # Somebody else holds the lock by now: the port may be anybody's, and must not see the key.
        (tmp_path / "serve.lock").write_text("1\n")
        assert find_serving(settings) is None
    assert find_serving(settings) is None


def test_a_holder_that_does_not_listen_is_told_after_a_while(tmp_path: Path) -> None:
    settings = shop_settings(tmp_path)

    async def attempt() -> None:
        async with open_runner(settings, timedelta(seconds=0.3)):
            raise AssertionError("there is nobody to ask")

    with SingleServeLock(tmp_path), pytest.raises(HandoverError, match="does not listen"):
        asyncio.run(attempt())


def test_errors_come_back_as_what_they_are(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        settings = shop_settings(tmp_path / "var")
        _expect(settings, "add_staff", {**LI, "login": "admin"}, ConflictError)
        _expect(settings, "add_staff", {**LI, "role": "king"}, InvalidInputError)
        _expect(settings, "link_order", {"order_id": "A-1"}, NotFoundError)
        other_key = tmp_path / "var" / "secrets" / "COMMAND_KEY"
        other_key.write_text("a-key-of-another-installation-Zq8vN2xT7w\n")
        _expect(settings, "add_staff", LI, HandoverError)
        assert service.stop() == 0


def _expect(settings: object, name: str, args: dict[str, str], error: type[Exception]) -> None:
    with pytest.raises(error):
        asyncio.run(run_command(settings, name, args))  # type: ignore[arg-type]


def test_two_commands_at_once_wait_for_each_other(tmp_path: Path) -> None:
    assert huiyin(tmp_path, "migrate").returncode == 0
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "bot", "staff", "add", f"member-{number}"],
            cwd=tmp_path,
            env=environment(tmp_path),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for number in range(3)
    ]
    for process in started:
        _, err = process.communicate(timeout=90)
        assert process.returncode == 0, err.decode()
    assert huiyin(tmp_path, "staff", "list").stdout.count("agent") == 3


def test_a_service_on_every_address_is_found_on_loopback(tmp_path: Path) -> None:
    settings = shop_settings(tmp_path, LISTEN="0.0.0.0:8080", ALLOW_HTTP="1")
    with SingleServeLock(tmp_path), announced(settings, 8080):
        found = find_serving(settings)
        assert found is not None
        assert found.host == "127.0.0.1"


def test_on_postgresql_commands_run_beside_a_running_service(tmp_path: Path, postgres_url: str) -> None:
    with serving(tmp_path, DATABASE_URL=postgres_url) as service:
        assert not (tmp_path / "var" / "serve.json").exists()
        added = huiyin(tmp_path, "staff", "add", "li.ming", DATABASE_URL=postgres_url)
        assert added.returncode == 0, added.stderr
        assert "li.ming" in huiyin(tmp_path, "staff", "list", DATABASE_URL=postgres_url).stdout
        assert "add_staff" not in service.output
        doctor = huiyin(tmp_path, "doctor", DATABASE_URL=postgres_url, LISTEN="127.0.0.1:18998")
        assert "PostgreSQL" in doctor.stdout
        assert doctor.returncode == 0, doctor.stdout
        assert service.stop() == 0
    gone = huiyin(tmp_path, "staff", "list", DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    assert gone.returncode == 1
    assert "on our side" not in gone.stderr


def test_two_services_never_share_a_database_whatever_their_folders(tmp_path: Path) -> None:
    """The lock lies beside the SQLite file, not in the folder of settings and secrets."""
    shared = f"sqlite:///{tmp_path}/shop.db"
    first = load_settings({"HUIYIN_VAR_DIR": str(tmp_path / "a"), "HUIYIN_DATABASE_URL": shared})
    second = load_settings({"HUIYIN_VAR_DIR": str(tmp_path / "b"), "HUIYIN_DATABASE_URL": shared})
    with SingleServeLock(first.lock_dir), pytest.raises(AlreadyServingError):
        SingleServeLock(second.lock_dir).acquire()
