"""Logs tell what happened and where, and nothing that a customer wrote."""

from __future__ import annotations

import io
import json
import logging
import sqlite3
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
import uvicorn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.logs import KEYS, UVICORN_LOGS, configure_logs
from bot.settings import LogFormat, LogLevel
from desk.values import CaseReason

SECRETS = ["我的快递呢", "13812345678", "+8613812345678", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "张三"]


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level, sys.excepthook, threading.excepthook, logging.raiseExceptions)
    stream = io.StringIO()
    configure_logs(LogLevel.INFO, LogFormat.AUTO, stream)
    yield stream
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    root.handlers[:], level, sys.excepthook, threading.excepthook, logging.raiseExceptions = before
    root.setLevel(level)


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def only(out: io.StringIO) -> dict[str, Any]:
    (line,) = lines(out)
    return line


def test_an_event_is_one_line_of_json(out: io.StringIO) -> None:
    structlog.get_logger("bot.workers").info(
        "case_opened",
        case_id=7,
        case_number="HY-1042",
        reason=CaseReason.LOW_RATING,
        channel="webchat",
        took_seconds=timedelta(milliseconds=250),
        due_at=datetime(2025, 6, 1, tzinfo=UTC),
        survey_ids=(1, 2),
        staff_id=None,
    )
    line = only(out)
    assert datetime.fromisoformat(line.pop("timestamp")).tzinfo is not None
    assert line == {
        "event": "case_opened",
        "level": "info",
        "logger": "bot.workers",
        "case_id": 7,
        "case_number": "HY-1042",
        "reason": "low_rating",
        "channel": "webchat",
        "took_seconds": 0.25,
        "due_at": "2025-06-01T00:00:00+00:00",
        "survey_ids": [1, 2],
        "staff_id": None,
    }


def test_bound_identifiers_come_along_and_levels_count(out: io.StringIO) -> None:
    structlog.contextvars.bind_contextvars(conversation_id=3, customer="张三")
    structlog.get_logger().debug("not_written")
    structlog.get_logger().warning("lane_slow")
    line = only(out)
    assert line["conversation_id"] == 3
    assert line["withheld"] == ["customer"]


@pytest.mark.parametrize("secret", SECRETS)
def test_texts_phones_and_tokens_are_left_out(out: io.StringIO, secret: str) -> None:
    log = structlog.get_logger()
    log.info(
        "message_stored", text=secret, phone=secret, reason=secret, message_id=secret, survey_ids=[1, secret]
    )
    log.info(secret)
    log.info(" ".join(["stored", secret]))
    log.info("message_stored", **{secret: 1, "message_id": {"text": secret}, "order_id": secret.encode()})
    assert secret not in out.getvalue()
    assert [line["event"] for line in lines(out)] == [
        "message_stored",
        "unnamed_event",
        "unnamed_event",
        "message_stored",
    ]
    assert "text" in lines(out)[0]["withheld"]


def test_a_phone_as_a_number_is_left_out(out: io.StringIO) -> None:
    structlog.get_logger().info("message_stored", contact_id=13812345678, order_id=1042)
    assert only(out)["withheld"] == ["contact_id"]
    assert only(out)["order_id"] == 1042


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(
    words=st.text(alphabet=st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF), min_size=2),
    key=st.one_of(st.sampled_from(sorted(KEYS - {"event"})), st.text(min_size=1)),
)
def test_chinese_never_comes_through_a_key(out: io.StringIO, words: str, key: str) -> None:
    out.truncate(0)
    out.seek(0)
    structlog.get_logger().info("message_stored", **{key: words})
    assert words not in json.loads(out.getvalue()).values()
    assert words not in out.getvalue()


@pytest.mark.parametrize("key", ["template", "where", "error", "causes", "frames"])
def test_our_own_events_cannot_use_the_keys_of_the_machinery(out: io.StringIO, key: str) -> None:
    structlog.get_logger().info("message_stored", **{key: "我的快递呢"})
    assert "我的快递呢" not in out.getvalue()


def fail(text: str) -> None:
    try:
        raise ValueError(text)
    except ValueError as error:
        raise OSError(28, text) from error


def test_an_exception_is_told_by_type_and_place(out: io.StringIO) -> None:
    try:
        fail("我的快递呢")
    except OSError:
        structlog.get_logger().exception("inbox_item_failed", inbox_id=5)
    line = only(out)
    assert line["error"] == "OSError[ENOSPC]"
    assert line["causes"] == ["ValueError"]
    assert [frame.rpartition(":")[2] for frame in line["frames"]] == [
        "test_an_exception_is_told_by_type_and_place",
        "fail",
    ]
    assert line["frames"][0].startswith("tests/bot/test_logs.py:")
    assert "我的快递呢" not in out.getvalue()


def test_errors_of_libraries_and_groups(out: io.StringIO) -> None:
    log = structlog.get_logger()
    try:
        sqlite3.connect(":memory:").execute("SELECT * FROM 我的快递呢")
    except sqlite3.Error as error:
        log.error("query_failed", exc_info=error)
    log.error("tasks_failed", exc_info=ExceptionGroup("张三", [ValueError("张三"), KeyError("张三")]))
    log.error("nothing_was_raised", exc_info=True)
    first, second, third = lines(out)
    assert first["error"] == "sqlite3.OperationalError[SQLITE_ERROR]"
    assert second["causes"] == ["ValueError", "KeyError"]
    assert "error" not in third
    assert "张三" not in out.getvalue()
    assert "我的快递呢" not in out.getvalue()


def test_libraries_lines_keep_their_template_only(out: io.StringIO) -> None:
    library = logging.getLogger("some.library")
    library.warning("cannot read %r", "我的快递呢")
    library.warning("cannot read 我的快递呢")
    library.warning("cannot read %s %s", "我的快递呢")
    library.warning({"text": "我的快递呢"}, extra={"text": "我的快递呢"})
    try:
        fail("我的快递呢")
    except OSError:
        library.exception("failed with 我的快递呢", stack_info=True)
    found = lines(out)
    assert {line["event"] for line in found} == {"library_line"}
    assert [line["template"] for line in found] == [
        "cannot read %r",
        "",
        "cannot read %s %s",
        "",
        "",
    ]
    assert found[0]["logger"] == "some.library"
    assert found[0]["where"].startswith("tests/bot/test_logs.py:")
    assert found[4]["error"] == "OSError[ENOSPC]"
    assert "我的快递呢" not in out.getvalue()


def test_uvicorn_comes_through_here_without_its_access_log(out: io.StringIO) -> None:
    uvicorn.Config(lambda: None, **UVICORN_LOGS)
    logging.getLogger("uvicorn.error").info("Application startup complete.")
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request from %s", "10.0.0.9")
    logging.getLogger("uvicorn.access").info(
        '%s - "%s %s HTTP/%s" %d', "10.0.0.9", "GET", "/chat", "1.1", 200
    )
    logging.getLogger("httpx").info("HTTP Request: %s", "https://api.telegram.org/bot42:x/getMe")
    assert [line["template"] for line in lines(out)] == ["Invalid HTTP request from %s"]


def test_uncaught_exceptions_are_told_without_their_message(
    out: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        fail("我的快递呢")
    except OSError as error:
        sys.excepthook(OSError, error, error.__traceback__)
    thread = threading.Thread(target=fail, args=("我的快递呢",))
    thread.start()
    thread.join()
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert [line["event"] for line in lines(out)] == ["uncaught_exception"] * 2
    assert "我的快递呢" not in out.getvalue() + "".join(capsys.readouterr())


def test_a_terminal_gets_readable_lines(out: io.StringIO) -> None:
    screen = Screen()
    configure_logs(LogLevel.INFO, LogFormat.AUTO, screen)
    try:
        fail("我的快递呢")
    except OSError:
        structlog.get_logger().exception("inbox_item_failed", inbox_id=5, text="我的快递呢")
    assert "inbox_item_failed" in screen.getvalue()
    assert "fail" in screen.getvalue()
    assert "我的快递呢" not in screen.getvalue()
    assert not screen.getvalue().startswith("{")
    assert out.getvalue() == ""


def test_the_format_can_be_chosen(out: io.StringIO) -> None:
    screen = Screen()
    configure_logs(LogLevel.INFO, LogFormat.JSON, screen)
    structlog.get_logger().info("started")
    assert json.loads(screen.getvalue())["event"] == "started"
    configure_logs(LogLevel.INFO, LogFormat.CONSOLE, out)
    structlog.get_logger().info("started")
    assert out.getvalue().rstrip().endswith("]")
    assert "\x1b" not in out.getvalue()
