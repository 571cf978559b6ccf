"""Talking to the person at the keyboard: results on standard output, everything else on standard error."""

from __future__ import annotations

import asyncio
import io
import os
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import typer

if TYPE_CHECKING:
    from bot.settings import Settings

T = TypeVar("T")

FAILED = 1
MISUSED = 2
INTERRUPTED = 130


def say(text: str = "") -> None:
    """Prints a line of the result."""
    typer.echo(text)


def note(text: str) -> None:
    """Prints a line that is not the result: progress, hints, warnings."""
    typer.echo(text, err=True)


def fail(text: str, code: int = FAILED) -> NoReturn:
    """Prints a sentence and ends with that exit code."""
    note(text)
    raise typer.Exit(code)


def printable(text: str) -> str:
    """A stranger's text without what a terminal would obey."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


class Progress:
    """One line that counts; shown on terminals only, so that logs stay readable."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._shown = False

    def show(self, count: int) -> None:
        """Shows how far it is."""
        if sys.stderr.isatty():
            typer.echo(f"\r{self._label} {count:,}", err=True, nl=False)
            self._shown = True

    def done(self) -> None:
        """Ends the line."""
        if self._shown:
            typer.echo("", err=True)


def read_settings() -> Settings:
    """The settings of this installation, with the logs set up and slips of the pen told."""
    from bot.logs import configure_logs
    from bot.settings import load_settings, unknown_settings

    settings = load_settings()
    configure_logs(settings.log_level, settings.log_format)
    for sentence in unknown_settings():
        note(sentence)
    return settings


def quiet_settings() -> Settings:
    """As ``read_settings``, for short commands: only warnings are logged, between their own lines."""
    from bot.logs import configure_logs
    from bot.settings import LogLevel

    settings = read_settings()
    if settings.log_level is LogLevel.INFO:
        configure_logs(LogLevel.WARNING, settings.log_format)
    return settings


def run(work: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine to its end."""
    return asyncio.run(work)


@contextmanager
def ending_in_words() -> Iterator[None]:
    """Turns every error into one or two sentences on standard error and an exit code; never a trace."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show Chinese shows question marks; the command does its work.
            stream.reconfigure(errors="replace")
    try:
        yield
    except KeyboardInterrupt:
        note("\n已中断。 Interrupted.")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output has gone (`| head`); writing what is left must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
    except Exception as error:  # noqa: BLE001 - the outermost boundary of a command
        sentences, code = _words_for(error)
        for sentence in sentences:
            note(sentence)
        sys.exit(code)


def _words_for(error: Exception) -> tuple[list[str], int]:
    from bot.settings import SettingsError
    from desk.errors import DeskError

    if isinstance(error, SettingsError):
        return list(error.sentences), MISUSED
    if isinstance(error, DeskError):
        return [_describe(error)], FAILED
    if isinstance(error, OSError) and error.strerror:
        name = f" {error.filename}" if error.filename else ""
        return [f"读写失败{name}。 It cannot be read or written{name}: {error.strerror}."], FAILED
    reason = _why_unavailable(error)
    if reason is not None:
        return [f"数据库用不了。 The database cannot be used: {reason}."], FAILED
    # The text of an error that nobody expected may quote a customer; where it happened does not.
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    code = trace.tb_frame.f_code if trace is not None else None
    file = "/".join(code.co_filename.replace("\\", "/").split("/")[-2:]) if code is not None else "?"
    place = f"{file}:{trace.tb_lineno if trace is not None else 0}"
    return [
        f"程序出错（{type(error).__name__}，{place}），这是我们的问题，请把这一行报给维护者。"
        f" Something went wrong on our side ({type(error).__name__} at {place}); please report this line."
    ], FAILED


def _why_unavailable(error: Exception) -> str | None:
    """What a driver's error means, where it came up before any room could translate it."""
    from sqlalchemy.exc import OperationalError

    from storage.sqlite_engine import why_unavailable

    reason = why_unavailable(error)
    if reason is None and isinstance(error, OperationalError):
        return "it does not answer, or refuses us; check HUIYIN_DATABASE_URL and that it runs"
    return reason


def _describe(error: Exception) -> str:
    from desk import errors

    words = (
        (errors.InvalidInputError, "输入不对。 Not accepted"),
        (errors.NotFoundError, "没有找到。 Not found"),
        (errors.NotAllowedError, "没有权限。 Not allowed"),
        (errors.ConflictError, "与现有数据冲突。 In conflict with what is stored"),
        (errors.StorageUnavailableError, "暂时无法存取数据。 The data cannot be reached just now"),
    )
    if type(error).__name__ == "AlreadyServingError":
        return f"已有一个服务在用这些数据。 {error}."
    for kind, sentence in words:
        if isinstance(error, kind):
            return f"{sentence}: {error}"
    return str(error)
