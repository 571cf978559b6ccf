"""Logs 日志: events with constant names and identifiers, never what customers write.

Whatever is not known to be harmless is left out. An event keeps the keys listed here whose values look
like identifiers or numbers; of an exception only its type and where it came from are kept; of other
libraries' lines only the unfilled template. So a careless ``log.info(f"{text}")`` tells nothing.

Use::

    log = structlog.get_logger(__name__)
    log.info("survey_sent", survey_id=7, channel="webchat")
"""

from __future__ import annotations

import errno
import logging
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from datetime import date, timedelta
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TextIO

import structlog

from bot.settings import LogFormat, LogLevel

#: What ``uvicorn.Config`` must be given so that its lines come through here; its access log would
#: hold addresses of customers.
UVICORN_LOGS: Final[Mapping[str, Any]] = {"log_config": None, "access_log": False}

#: Keys that an event may carry besides those with one of the endings below.
KEYS: Final = frozenset(
    re.findall(
        r"\w+",
        """
        event level timestamp logger withheld
        kind channel source lane state status outcome action reason priority speaker round seq
        attempt attempts count total part phase worker process pid version revision setting
        method route port signal mode dialect errno
        error_type task dead units sqlite findings
        """,
    )
)
ENDINGS: Final = (
    "_id",
    "_ids",
    "_number",
    "_kind",
    "_state",
    "_reason",
    "_status",
    "_count",
    "_at",
    "_seconds",
    "_ms",
    "_s",
    "bytes",
)

# Keys that only the functions below fill, with what they know to be harmless.
_OWN_KEYS = ("template", "where", "error", "causes", "frames")

_EVENT = re.compile(r"[a-z][a-z0-9]*(?:[_.][a-z0-9]+)*")
_IDENTIFIER = re.compile(r"[A-Za-z0-9_.:/+-]{0,128}")
_MOBILE = re.compile(r"(?<![0-9A-Za-z])(?:\+?86-?)?1[3-9][0-9]{9}(?![0-9A-Za-z])")
_TOKEN = re.compile(r"whsec_|[0-9]{3,}:[A-Za-z0-9_-]{30,}|bearer", re.IGNORECASE)

# Libraries whose lines without arguments are known to be constant.
_OWN_LOGGERS = ("desk.",)
"""The desk knows the standard library only; its events are constant names as everywhere."""
_CONSTANT_LOGGERS = ("uvicorn.error", "alembic.runtime", *_OWN_LOGGERS)
_HIDDEN = "[withheld]"
_MOST_FRAMES = 24
_ROOT = Path(__file__).resolve().parents[1].as_posix() + "/"

EventDict = MutableMapping[str, Any]


def configure_logs(level: LogLevel, form: LogFormat, stream: TextIO | None = None) -> None:
    """Route everything that is logged, by us and by libraries, to ``stream`` (standard error by default).

    Uncaught exceptions of the process and of threads are logged too, instead of printed with their
    messages. May be called again; the last call counts.
    """
    stream = sys.stderr if stream is None else stream
    as_json = form is LogFormat.JSON or (form is LogFormat.AUTO and not stream.isatty())
    renderer: Callable[[Any, str, EventDict], str | bytes] = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if as_json
        else structlog.dev.ConsoleRenderer(colors=stream.isatty())
    )
    first: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *first,
            drop_own_keys,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        _Formatter(
            foreign_pre_chain=first,
            processors=[
                library_line,
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                exception_location,
                keep_identifiers,
                renderer,
            ],
        )
    )
    # A line that cannot be formatted would otherwise be printed with its arguments.
    logging.raiseExceptions = False
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    logging.getLogger("uvicorn.access").setLevel(logging.CRITICAL + 1)
    # Their everyday lines tell an operator nothing that ours do not.
    quiet = (
        "aiogram",
        "alembic",
        "asyncio",
        "httpcore",
        "httpx",
        "multipart",
        "python_multipart",
        "uvicorn.error",
    )
    for name in quiet:
        logging.getLogger(name).setLevel(logging.WARNING)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread


class _Formatter(structlog.stdlib.ProcessorFormatter):
    """Sees the template of a library's line, never the filled-in text, which may even fail to fill in."""

    def format(self, record: logging.LogRecord) -> str:
        """One line for one record."""
        if not hasattr(record, "_logger"):
            # A line without arguments may have been filled in before it came here.
            constant = record.args or record.name.startswith(_CONSTANT_LOGGERS)
            template = record.msg if isinstance(record.msg, str) and constant else ""
            record = logging.makeLogRecord({**record.__dict__, "msg": template, "args": ()})
        return super().format(record)


def library_line(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Give a library's line the shape of ours: a constant name, its template and where it was written."""
    if event["_from_structlog"]:
        return event
    record: logging.LogRecord = event["_record"]
    if record.name.startswith(_OWN_LOGGERS):
        event["event"] = str(event["event"])
        return event
    event["template"] = str(event["event"]).strip()
    event["event"] = "library_line"
    event["where"] = f"{_short(record.pathname)}:{record.lineno}:{record.funcName}"
    return event


def drop_own_keys(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Remove keys from our own events that only the functions here may fill."""
    for key in _OWN_KEYS:
        event.pop(key, None)
    return event


def exception_location(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Turn ``exc_info`` into the types of the exception and its causes, and its frames, innermost last."""
    given = event.pop("exc_info", None)
    event.pop("stack_info", None)
    if not given:
        return event
    found = given[1] if isinstance(given, tuple) else given if isinstance(given, BaseException) else None
    found = found or sys.exc_info()[1]
    if found is None:
        return event
    event["error"] = _name(found)
    event["frames"] = _frames(found.__traceback__)
    causes = [_name(cause) for cause in _causes(found)]
    if causes:
        event["causes"] = causes
    return event


def keep_identifiers(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Drop every key that is not known to be harmless and every value that could be a text or a secret.

    The names of dropped keys are listed under ``withheld``, so that a developer sees them.
    """
    kept: EventDict = {}
    withheld = []
    for key, value in event.items():
        if key == "event":
            plain = value if isinstance(value, str) and len(value) <= 64 and _EVENT.fullmatch(value) else None
        elif key in _OWN_KEYS:
            plain = value
        elif key in KEYS or key.endswith(ENDINGS):
            plain = _plain(value)
        else:
            plain = _HIDDEN
        if plain is None and key == "event":
            kept["event"] = "unnamed_event"
            withheld.append("event")
        elif plain == _HIDDEN:
            withheld.append(key if _EVENT.fullmatch(key) and len(key) <= 40 else "?")
        else:
            kept[key] = plain
    if withheld:
        kept["withheld"] = sorted(withheld)
    return kept


def _plain(value: Any) -> Any:
    """The value as JSON knows it, or ``_HIDDEN`` if it could be more than an identifier."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one) for one in list(value)[:50]]
    if isinstance(value, int | float):
        return _HIDDEN if _MOBILE.search(str(value)) else value
    text = value if isinstance(value, str) else _HIDDEN
    if not _IDENTIFIER.fullmatch(text) or _MOBILE.search(text) or _TOKEN.search(text):
        return _HIDDEN
    return text


def _name(error: BaseException) -> str:
    """Type of an exception, with the code of the system's or the database's error where it has one."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    number = getattr(error, "errno", None)
    code = errno.errorcode.get(number) if isinstance(number, int) else None
    code = code or getattr(error, "sqlstate", None) or getattr(error, "sqlite_errorname", None)
    return f"{name}[{code}]" if isinstance(code, str) and _IDENTIFIER.fullmatch(code) else name


def _causes(error: BaseException) -> Iterator[BaseException]:
    """What led to an exception, nearest first, each once; for a group also its members."""
    seen = {id(error)}
    waiting = [error]
    while waiting and len(seen) < 16:
        at = waiting.pop(0)
        members = at.exceptions if isinstance(at, BaseExceptionGroup) else ()
        before = at.__cause__ or (None if at.__suppress_context__ else at.__context__)
        for one in (*members, before):
            if one is not None and id(one) not in seen:
                seen.add(id(one))
                waiting.append(one)
                yield one


def _frames(traceback: TracebackType | None) -> list[str]:
    frames = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        frames.append(f"{_short(code.co_filename)}:{traceback.tb_lineno}:{code.co_name}")
        traceback = traceback.tb_next
    return frames[-_MOST_FRAMES:]


def _short(path: str) -> str:
    """A file's path from the project's or the library's folder on, without the machine's part."""
    plain = path.replace("\\", "/")
    _, library, rest = plain.rpartition("/site-packages/")
    if library:
        return rest
    if plain.startswith(_ROOT):
        return plain.removeprefix(_ROOT)
    return "/".join(plain.split("/")[-2:])


def _log_uncaught(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    structlog.get_logger(__name__).critical("uncaught_exception", exc_info=(kind, error, traceback))


def _log_uncaught_in_thread(thrown: threading.ExceptHookArgs) -> None:
    if thrown.exc_value is not None and not isinstance(thrown.exc_value, SystemExit):
        _log_uncaught(thrown.exc_type, thrown.exc_value, thrown.exc_traceback)
