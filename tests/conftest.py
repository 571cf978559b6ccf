"""What all tests share: no network but this machine, and a PostgreSQL where one can be had."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import URL, make_url

LOOPBACK = "127.0.0.1,::1,localhost"
LOCAL_SERVERS = (
    "postgresql://postgres@127.0.0.1:5432/postgres?connect_timeout=3",
    "postgresql://root@127.0.0.1:5432/postgres?connect_timeout=3",
)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Sets the options of pytest-socket before it reads them, unless the command line has them."""
    if not config.option.force_enable_socket:
        config.option.disable_socket = True
        config.option.allow_unix_socket = True
        config.option.allow_hosts = config.option.allow_hosts or LOOPBACK


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The address of an empty database of this worker's own; skips where no PostgreSQL can be had.

    In this order: the server of HUIYIN_TEST_POSTGRES_URL, one on 127.0.0.1:5432 that trusts us, or a
    throw-away cluster from installed binaries.
    """
    named = os.environ.get("HUIYIN_TEST_POSTGRES_URL")
    if named:
        with _fresh_database(make_url(named)) as url:
            yield url
        return
    running = next((server for server in LOCAL_SERVERS if _answers(server)), None)
    if running is not None:
        with _fresh_database(make_url(running)) as url:
            yield url
        return
    binaries = _postgres_binaries()
    if binaries is None:
        pytest.skip(
            "no PostgreSQL: none answers on 127.0.0.1:5432 without a password, initdb and pg_ctl are not"
            " installed, and HUIYIN_TEST_POSTGRES_URL is not set"
        )
    with _throwaway_cluster(binaries) as server, _fresh_database(make_url(server)) as url:
        yield url


def _answers(address: str) -> bool:
    try:
        with psycopg.connect(address):
            return True
    except psycopg.OperationalError:
        return False


@contextmanager
def _fresh_database(server: URL) -> Iterator[str]:
    address = server.set(drivername="postgresql").render_as_string(hide_password=False)
    name = f"huiyin_test_{secrets.token_hex(6)}"
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} ENCODING 'UTF8' TEMPLATE template0").format(sql.Identifier(name))
        )
    try:
        yield server.set(drivername="postgresql", database=name).render_as_string(hide_password=False)
    finally:
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _postgres_binaries() -> Path | None:
    """Returns the folder of the newest installed server programs."""

    def version(folder: Path) -> int:
        number = folder.parent.name.partition(".")[0]
        return int(number) if number.isdigit() else 0

    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=version, reverse=True)
    on_path = shutil.which("initdb")
    if on_path:
        folders.append(Path(on_path).resolve().parent)
    return next(
        (folder for folder in folders if (folder / "initdb").exists() and (folder / "pg_ctl").exists()), None
    )


@contextmanager
def _throwaway_cluster(binaries: Path) -> Iterator[str]:
    # Not pytest's tmp_path: other users may not enter it, and a socket's path may have 107 bytes only.
    folder = Path(tempfile.mkdtemp(prefix="huiyin-pg-"))
    user = _somebody_else()
    if user is not None:
        shutil.chown(folder, user)
    data = folder / "data"

    def call(*command: str) -> None:
        with (folder / "output").open("ab") as output:
            subprocess.run(
                [str(binaries / command[0]), *command[1:]],
                check=True,
                user=user,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=60,
            )

    # Nothing here must survive a power cut, so it need not wait for the disk; and it listens on a
    # socket in its folder, which no other cluster can have taken.
    settings = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
    try:
        call("initdb", "-D", str(data), "-U", "postgres", "--auth=trust", "-E", "UTF8", "--no-locale", "-N")
        call("pg_ctl", "-D", str(data), "-o", settings, "-w", "-t", "30", "start")
        try:
            yield f"postgresql://postgres@/postgres?host={folder}"
        finally:
            call("pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _somebody_else() -> str | None:
    """Returns whom to run the server as: initdb refuses root. None means as we are."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
