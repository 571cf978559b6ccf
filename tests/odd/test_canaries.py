"""What people and shops send, and our secrets, never reach a log, a figure or an error page."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from odd_canaries import Canaries
from odd_planter import Planter
from odd_server import serving
from shop import API_KEY, SHOP_SECRET, Shop, play
from sqlalchemy import text as sql

from desk.values import Role


def _prepare(folder: Path, canaries: Canaries) -> str:
    """An installation with an account, and with an inbox item that cannot be worked."""
    password = canaries.word("staff password")

    async def story(shop: Shop) -> None:
        password_hash = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(password)
        await shop.staff_desk.add_staff(
            "canary-li", canaries.words("staff name"), Role.ADMIN, password_hash, None
        )
        poison = f'{{"text":"{canaries.word("poison")}'.encode()

        def work(unit: Any) -> None:
            key = f"1:{canaries.word('poison key')}"
            unit.inbox.add("webchat", key, "0" * 64, "identity:1", poison, shop.clock())
            # One try is left: nobody waits for the others here.
            unit.session.connection().execute(sql("UPDATE inbox SET attempts = 4"))

        await shop.run(work)

    play(folder, story)
    return password


@contextlib.contextmanager
def _locked(database: Path) -> Iterator[None]:
    """Somebody else holds the database."""
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


def _break(database: Path, *statements: str) -> None:
    connection = sqlite3.connect(database, isolation_level=None, timeout=10)
    for statement in statements:
        connection.execute(statement)
    connection.close()


def _force_errors(planter: Planter, headers: dict[str, str], *, lock: bool) -> None:
    """Storage that is locked, then storage that lacks tables: every statement fails with its words in it."""
    one, database = planter.canaries, planter.served.folder / "huiyin.db"
    where = "/api/v1/chat/messages"

    def write(*statuses: int) -> None:
        said = {"client_msg_id": one.word("failing message id"), "text": one.words("failing text")}
        planter.send("POST", where, *statuses, json=said, headers=headers)

    if lock:
        with _locked(database):
            write(503)
    _break(database, "ALTER TABLE messages RENAME TO messages_gone", "ALTER TABLE staff RENAME TO staff_gone")
    for _ in range(3):
        write(202, 503)
    for path in ("/console/cases", "/console/faq", f"/console/cases/{one.word('failing page')}"):
        planter.send("GET", path, 303, 404, 500, 503, params={"q": one.word("failing query")})
    session = {"client_session_id": one.word("failing session id")}
    planter.send("POST", "/api/v1/chat/sessions", 200, 500, 503, json=session)
    time.sleep(2)
    _break(database, "ALTER TABLE messages_gone RENAME TO messages", "ALTER TABLE staff_gone RENAME TO staff")


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_word_of_a_customer_and_no_secret_reaches_a_log_or_an_error(tmp_path: Path, form: str) -> None:
    folder, canaries = tmp_path / "var", Canaries(form[0])
    password = _prepare(folder, canaries)
    settings = {"LOG_FORMAT": form, "LOG_LEVEL": "debug"}
    if form == "json":
        settings |= {"SHOP_SECRET": SHOP_SECRET, "API_KEY": API_KEY}
    secrets: dict[str, str] = {"staff password": password}
    with serving(folder, **settings) as served:
        secrets |= served.secrets() | {
            name: settings[name] for name in ("SHOP_SECRET", "API_KEY") if name in settings
        }
        planter = Planter(served, canaries, secrets)
        with planter.http:
            headers = planter.chat()
            planter.order(secrets["SHOP_SECRET"], secrets["API_KEY"])
            planter.console("canary-li", password)
            planter.wire()
            _force_errors(planter, headers, lock=form == "json")
            told = [
                planter.http.get(path).text
                for path in ("/metrics", "/readyz", "/healthz", "/api/openapi.json")
            ]
    logged = served.output.read_text(errors="replace")
    # The log says what happened …
    _check_said(logged, "inbox_item_failed", "http_failed")
    # … and the canaries really were inside.
    stored = b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())
    inside = canaries.found_in(stored.decode("utf-8", "replace"))
    assert {"message text", "buyer name", "staff reply", "poison", "faq answer"} <= set(inside)
    for name, text in {
        "log": logged,
        "refusals": "\n".join(planter.refusals),
        "status": "\n".join(told),
    }.items():
        assert canaries.found_in(text) == [], name
        assert [secret for secret, value in secrets.items() if value in text] == [], name
    assert {"SHOP_SECRET", "API_KEY", "SESSION_SECRET", "chat token", "staff password"} <= set(secrets)
    assert any(name.startswith("cookie") for name in secrets)


def _check_said(logged: str, *events: str) -> None:
    check: Callable[[str], bool] = logged.__contains__
    assert [event for event in events if not check(event)] == [], logged[-3000:]


def test_the_first_start_tells_one_password_and_no_other_secret(tmp_path: Path) -> None:
    with serving(tmp_path / "var", LOG_FORMAT="json", LOG_LEVEL="debug") as served:
        secrets = served.secrets()
    told = served.output.read_text()
    found = re.findall(r"password +(\S+)\n", told)
    assert len(found) == 1
    assert told.count(found[0]) == 1
    assert {"SHOP_SECRET", "API_KEY", "SESSION_SECRET"} <= set(secrets)
    assert [name for name, value in secrets.items() if value in told] == []
    with serving(tmp_path / "var") as served:
        pass
    assert "password" not in served.output.read_text()
