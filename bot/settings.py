"""The settings of an installation: environment variables or ``.env``, all with the prefix ``HUIYIN_``.

``docs/settings.md`` lists them for people; a test compares the two. An empty value is the same as
none. :func:`load_settings` is the way in; :attr:`Settings.secrets` gives the secrets and makes
those that are not set.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, cast
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, DotEnvSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as SourceError

from bot import setting_rules as rules
from bot.secret_files import keep_secret, make_key, make_shop_secret
from bot.setting_rules import PREFIX, Address, RefusedError, SettingsError
from desk.quiet_hours import QuietHours

__all__ = [
    "Address",
    "LogFormat",
    "LogLevel",
    "Secrets",
    "Settings",
    "SettingsError",
    "TelegramMode",
    "load_settings",
    "unknown_settings",
]

ENV_FILE = Path(".env")

# Names with the prefix that only the test suite reads.
_NOT_SETTINGS = ("TEST_",)


class TelegramMode(StrEnum):
    """How Telegram's updates come in."""

    POLLING = "polling"
    WEBHOOK = "webhook"


class LogLevel(StrEnum):
    """The least important log line that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """How log lines look; ``AUTO`` is ``CONSOLE`` on a terminal and ``JSON`` elsewhere."""

    AUTO = "auto"
    JSON = "json"
    CONSOLE = "console"


@dataclass(frozen=True, slots=True)
class Secrets:
    """The secrets in force.

    Attributes:
        shop: Signs order events; ``whsec_`` and base64.
        api_key: What the shop's systems show.
        session: Signs chat tokens.
        telegram: What Telegram shows at the webhook.
        notes: Sentences for the person at the keyboard, such as a file whose mode was mended.
    """

    shop: SecretStr
    api_key: SecretStr
    session: SecretStr
    telegram: SecretStr
    notes: tuple[str, ...] = ()


def _read(parse: Callable[[str], object]) -> BeforeValidator:
    """Text goes through ``parse``; a value that a caller already made is taken as it is."""
    return BeforeValidator(lambda value: parse(value) if isinstance(value, str) else value)


_Duration = Annotated[timedelta, _read(rules.duration)]
_PositiveDuration = Annotated[timedelta, _read(rules.positive_duration)]


class Settings(BaseSettings):
    """Every setting, read and checked; see ``docs/settings.md`` for what each is for.

    Frozen; ``model_copy(update={...})`` gives a changed copy without checks.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=ENV_FILE,
        env_ignore_empty=True,
        env_file_encoding="utf-8",
        enable_decoding=False,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    var_dir: Path = Path("var")
    database_url: Annotated[str, _read(rules.database_url)] = Field(
        default_factory=lambda known: f"sqlite:///{known['var_dir'].as_posix()}/huiyin.db", repr=False
    )
    listen: Annotated[Address, _read(rules.listen)] = Address("127.0.0.1", 8080)
    public_url: Annotated[str, _read(rules.origin)] = Field(default_factory=lambda known: known["listen"].url)
    allow_http: bool = False
    embed_origins: Annotated[tuple[str, ...], _read(rules.origins)] = ()
    shop_name: Annotated[str, _read(rules.shop_name)] = "本店"
    timezone: Annotated[ZoneInfo, _read(rules.zone)] = Field(
        default_factory=lambda: rules.zone("Asia/Shanghai")
    )

    telegram_token: Annotated[SecretStr | None, _read(rules.telegram_token)] = None
    telegram_api: Annotated[str, _read(rules.service_url)] = "https://api.telegram.org"
    telegram_mode: TelegramMode = TelegramMode.POLLING
    telegram_secret: Annotated[SecretStr | None, _read(rules.telegram_secret)] = None
    telegram_staff_chat: Annotated[int | None, _read(rules.staff_chat)] = None
    nlu_url: Annotated[str | None, _read(rules.service_url)] = None
    nlu_token: Annotated[SecretStr | None, _read(rules.key)] = None

    shop_secret: Annotated[SecretStr | None, _read(rules.shop_secret)] = None
    shop_secret_previous: Annotated[SecretStr | None, _read(rules.shop_secret)] = None
    api_key: Annotated[SecretStr | None, _read(rules.key)] = None
    session_secret: Annotated[SecretStr | None, _read(rules.key)] = None

    survey_delay: _Duration = timedelta(days=1)
    survey_expires: _PositiveDuration = timedelta(days=7)
    survey_reminder: _PositiveDuration = timedelta(days=1)
    quiet_hours: Annotated[QuietHours | None, _read(rules.quiet_hours)] = Field(
        default_factory=lambda: rules.quiet_hours("22:00-09:00")
    )

    raw_retention: _PositiveDuration = timedelta(days=7)
    key_retention: _PositiveDuration = timedelta(days=35)
    conversation_retention: _PositiveDuration = timedelta(days=365)

    log_level: LogLevel = LogLevel.INFO
    log_format: LogFormat = LogFormat.AUTO

    @model_validator(mode="before")
    @classmethod
    def _blank_is_unset(cls, values: dict[str, Any]) -> dict[str, Any]:
        stripped = {
            name: value.strip() if isinstance(value, str) else value for name, value in values.items()
        }
        return {
            name: value.lower() if name in ("telegram_mode", "log_level", "log_format") else value
            for name, value in stripped.items()
            if value != ""
        }

    @model_validator(mode="after")
    def _nothing_readable_on_the_way(self) -> Settings:
        """Passwords and customers' words must not cross a network in the clear by accident.

        A proxy that speaks https in front is fine; ``PUBLIC_URL`` with https says that there is one.
        """
        if self.allow_http:
            return self
        if not self.listen.is_loopback and not self.is_secure:
            raise _refused(
                "listen",
                "对外监听会以明文传输密码和对话。请在前面放一个 https 代理，"
                "并把 HUIYIN_PUBLIC_URL 设为 https 地址；确实要用明文，请设 HUIYIN_ALLOW_HTTP=1。",
                "Listening beyond this machine would carry passwords and talks in the clear. Put an https"
                " proxy in front and set HUIYIN_PUBLIC_URL to its https address, or set HUIYIN_ALLOW_HTTP=1"
                " if you really mean it.",
            )
        if not rules.is_safe_origin(self.public_url):
            raise _refused(
                "public_url",
                "对外网址必须是 https；确实要用明文，请设 HUIYIN_ALLOW_HTTP=1。",
                "The public address must be https; set HUIYIN_ALLOW_HTTP=1 if you really mean plain http.",
            )
        if not all(rules.is_safe_origin(origin) for origin in self.embed_origins):
            raise _refused(
                "embed_origins",
                "嵌入聊天的网站必须是 https；确实要用明文，请设 HUIYIN_ALLOW_HTTP=1。",
                "Sites that embed the chat must be https; set HUIYIN_ALLOW_HTTP=1 if you really mean"
                " plain http.",
            )
        return self

    @property
    def lock_dir(self) -> Path:
        """Where the lock of ``serve`` lies: beside the SQLite file, for two may not serve from one."""
        _, is_file, file = self.database_url.partition("sqlite:///")
        return Path(file).parent if is_file else self.var_dir

    @property
    def is_secure(self) -> bool:
        """Whether visitors come by https, so cookies may be marked ``Secure``."""
        return self.public_url.startswith("https://")

    @cached_property
    def secrets(self) -> Secrets:
        """The secrets that are set, and for the others those kept in ``VAR_DIR/secrets/``, made if need be.

        Raises:
            SettingsError: A file cannot be read, written or kept private, or holds a weak secret.
        """
        notes: list[str] = []

        def kept(
            name: str, configured: SecretStr | None, make: Callable[[], str], check: Callable[[str], str]
        ) -> SecretStr:
            if configured is not None:
                return configured
            return SecretStr(keep_secret(self.var_dir, name, make, check, notes))

        return Secrets(
            shop=kept("SHOP_SECRET", self.shop_secret, make_shop_secret, rules.shop_secret),
            api_key=kept("API_KEY", self.api_key, make_key, rules.key),
            session=kept("SESSION_SECRET", self.session_secret, make_key, rules.key),
            telegram=kept("TELEGRAM_SECRET", self.telegram_secret, make_key, rules.telegram_secret),
            notes=tuple(notes),
        )


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read and check all settings.

    Args:
        environ: Read these variables alone (tests, the demo). None reads the process's own
            environment and, for what is not there, ``.env`` in the working directory.

    Raises:
        SettingsError: One sentence for each setting that cannot be used.
    """
    # mypy takes the fields for the only arguments; these two belong to pydantic-settings.
    make = cast(Callable[..., Settings], Settings)
    try:
        if environ is None:
            return make()
        given = {
            name.upper().removeprefix(PREFIX).lower(): value
            for name, value in environ.items()
            if name.upper().startswith(PREFIX)
        }
        return make(_env_prefix=f"{PREFIX}NOT_READ_", _env_file=None, **given)
    except ValidationError as error:
        raise SettingsError(_sentences(error.errors(include_url=False, include_input=False))) from None
    except (UnicodeDecodeError, OSError, SourceError) as error:
        raise SettingsError(
            [
                f"无法读取 .env（{type(error).__name__}），它应是 UTF-8 文本。"
                f" .env cannot be read ({type(error).__name__}); it is UTF-8 text."
            ]
        ) from None


def unknown_settings(environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """A sentence for each variable with our prefix that no setting reads, most often a slip of the pen.

    Args:
        environ: As for :func:`load_settings`.
    """
    known = [PREFIX + name.upper() for name in Settings.model_fields]
    if environ is None:
        in_file = DotEnvSettingsSource(Settings, env_file=ENV_FILE).env_vars
        environ = {name: value or "" for name, value in {**in_file, **os.environ}.items()}
    sentences = []
    for name in sorted({name.upper() for name in environ if name.upper().startswith(PREFIX)} - set(known)):
        if name.removeprefix(PREFIX).startswith(_NOT_SETTINGS):
            continue
        near = difflib.get_close_matches(name, known, 1, 0.8)
        hint = (f"，是不是 {near[0]}？", f" Did you mean {near[0]}?") if near else ("。", "")
        sentences.append(f"没有叫 {name} 的设置{hint[0]} There is no setting {name}.{hint[1]}")
    return tuple(sentences)


_PLAIN_FAULTS = {
    "bool": ("只能写 1 或 0。", "Write 1 or 0."),
    "enum": ("没有这个选项，可选的见 docs/settings.md。", "No such choice; docs/settings.md lists them."),
}


def _refused(name: str, zh: str, en: str) -> RefusedError:
    """A fault of several settings together, told of one of them."""
    error = RefusedError(zh, en)
    error.add_note(name)
    return error


def _sentences(faults: Iterable[ErrorDetails]) -> list[str]:
    sentences = []
    for fault in faults:
        if fault["type"].startswith("default_factory"):
            continue  # It follows from another setting whose own fault is told.
        cause = fault.get("ctx", {}).get("error")
        if isinstance(cause, RefusedError):
            zh, en = cause.zh, cause.en
        else:
            zh, en = _PLAIN_FAULTS.get(fault["type"].split("_")[0], ("写法不对。", "It cannot be read."))
        where = fault["loc"] or getattr(cause, "__notes__", [])
        name = PREFIX + str(where[0]).upper() if where else PREFIX + "*"
        sentences.append(f"{name}：{zh} {en}")
    return sentences
