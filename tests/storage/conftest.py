"""The databases that the storage contract runs on: SQLite always, PostgreSQL wherever one answers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from contract_backend import Backend, in_schema
from sqlalchemy import Engine, text
from sqlmodel import SQLModel

import storage.tables  # noqa: F401  (makes the metadata whole)
from storage import postgres_engine, sqlite_engine


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all tables; a test gets a copy, which is faster than creating them."""
    path = tmp_path_factory.mktemp("template") / "template.db"
    engine = sqlite_engine.make_engine(path, "write")
    with engine.begin() as connection:
        SQLModel.metadata.create_all(connection)
    engine.dispose()
    return path


@pytest.fixture(scope="session")
def contract_engine(postgres_url: str) -> Iterator[Engine]:
    """PostgreSQL with all tables, in a schema of their own."""
    engine = postgres_engine.make_engine(in_schema(postgres_url, "contract"), connections=16)
    with engine.begin() as connection:
        connection.execute(text("CREATE SCHEMA contract"))
        SQLModel.metadata.create_all(connection)
    yield engine
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    """Each database in turn."""
    yield from _backend(request, tmp_path, request.param)


@pytest.fixture
def postgresql(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    """PostgreSQL alone, for what only many processes can do wrong."""
    yield from _backend(request, tmp_path, "postgresql")


@pytest.fixture
def sqlite(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    """SQLite alone."""
    yield from _backend(request, tmp_path, "sqlite")


def _backend(request: pytest.FixtureRequest, tmp_path: Path, dialect: str) -> Iterator[Backend]:
    if dialect == "sqlite":
        path = tmp_path / "huiyin.db"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        engine = sqlite_engine.make_engine(path, "write")
        yield Backend(engine)
        engine.dispose()
        return
    engine = request.getfixturevalue("contract_engine")
    # For a handful of rows this is far faster than TRUNCATE, which makes new files.
    with engine.begin() as connection:
        for table in reversed(SQLModel.metadata.sorted_tables):
            connection.execute(table.delete())
    yield Backend(engine)
