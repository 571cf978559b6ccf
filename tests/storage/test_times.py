"""UtcDateTime and storable: what goes in comes out, or is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, Table, create_engine, select, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import StatementError

from desk.texts import storable
from storage.postgres_engine import make_engine
from storage.times import UtcDateTime

metadata = MetaData()
moments = Table(
    "moments",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", UtcDateTime, nullable=True),
)

SHANGHAI = timezone(timedelta(hours=8))


@pytest.fixture
def memory_engine():
    engine = create_engine("sqlite://")
    metadata.create_all(engine)
    yield engine
    engine.dispose()


def roundtrip(engine: Engine, value: datetime | None) -> datetime | None:
    with engine.begin() as connection:
        connection.execute(moments.delete())
        connection.execute(moments.insert(), {"id": 1, "at": value})
        return connection.execute(select(moments.c.at)).scalar_one()


def check_roundtrip(engine: Engine) -> None:
    value = datetime(2026, 11, 21, 16, 0, 0, 123456, tzinfo=SHANGHAI)
    got = roundtrip(engine, value)
    assert got == value
    assert got is not None
    assert got.tzinfo is UTC
    assert roundtrip(engine, None) is None


def check_refuses_naive(engine: Engine) -> None:
    with pytest.raises(StatementError, match="without a time zone") as caught:
        roundtrip(engine, datetime(2026, 11, 21))  # noqa: DTZ001
    assert isinstance(caught.value.orig, ValueError)


def check_orders_and_compares(engine: Engine) -> None:
    base = datetime(2026, 11, 21, 0, 0, 0, tzinfo=UTC)
    offsets = [timedelta(0), timedelta(microseconds=1), timedelta(seconds=1), timedelta(days=40)]
    with engine.begin() as connection:
        connection.execute(moments.delete())
        for number, offset in enumerate(reversed(offsets)):
            # Zones differ on purpose: text order must not depend on where the writer was.
            zone = SHANGHAI if number % 2 else UTC
            connection.execute(moments.insert(), {"id": number, "at": (base + offset).astimezone(zone)})
        got = connection.execute(select(moments.c.at).order_by(moments.c.at)).scalars().all()
        assert got == [base + offset for offset in offsets]
        later = select(moments.c.at).where(moments.c.at > base + timedelta(microseconds=1))
        assert len(connection.execute(later).all()) == 2


def test_sqlite_gives_the_same_instant_back(memory_engine):
    check_roundtrip(memory_engine)


def test_sqlite_refuses_a_naive_time(memory_engine):
    check_refuses_naive(memory_engine)


def test_sqlite_orders_by_instant(memory_engine):
    check_orders_and_compares(memory_engine)


def test_sqlite_text_has_fixed_width(memory_engine):
    roundtrip(memory_engine, datetime(2026, 1, 2, tzinfo=UTC))
    with memory_engine.begin() as connection:
        stored = connection.execute(text("SELECT at FROM moments")).scalar_one()
    assert stored == "2026-01-02 00:00:00.000000"


def test_a_date_is_not_a_time(memory_engine):
    with pytest.raises(StatementError, match="must be a datetime"):
        roundtrip(memory_engine, "2026-01-02")  # type: ignore[arg-type]


def test_a_literal_is_written_as_it_is_stored(memory_engine):
    statement = select(moments.c.id).where(moments.c.at == datetime(2026, 1, 2, 8, tzinfo=SHANGHAI))
    compiled = statement.compile(memory_engine, compile_kwargs={"literal_binds": True})
    assert "'2026-01-02 00:00:00.000000'" in str(compiled)


@pytest.fixture
def postgres_engine(postgres_url):
    engine = make_engine(postgres_url)
    metadata.drop_all(engine)
    metadata.create_all(engine)
    yield engine
    metadata.drop_all(engine)


def test_postgres_keeps_the_same_rules(postgres_engine):
    check_roundtrip(postgres_engine)
    check_refuses_naive(postgres_engine)
    check_orders_and_compares(postgres_engine)
    with postgres_engine.connect() as connection:
        kind = text(
            "SELECT data_type FROM information_schema.columns WHERE table_name = 'moments' ORDER BY 1"
        )
        assert connection.execute(kind).scalars().all() == ["integer", "timestamp with time zone"]


@given(st.datetimes(timezones=st.just(SHANGHAI), min_value=datetime(1970, 1, 2)))  # noqa: DTZ001
def test_any_instant_survives_sqlite(value):
    engine = create_engine("sqlite://")
    metadata.create_all(engine)
    try:
        assert roundtrip(engine, value) == value
    finally:
        engine.dispose()


def test_storable_replaces_what_databases_refuse():
    assert storable("a\0b") == "ab"
    assert storable("x\ud83dy") == "x\ufffdy"
    assert storable("\udc00\ud800") == "\ufffd\ufffd"
    assert storable("回音 😀\r\n\t") == "回音 😀\r\n\t"
    assert storable("") == ""


@given(st.text(st.characters(categories=None)))
def test_storable_text_is_valid_and_stays(value):
    once = storable(value)
    once.encode()
    assert "\0" not in once
    assert storable(once) == once
