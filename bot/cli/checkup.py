"""What ``doctor`` looks at. Nothing is changed, not even a missing folder is made."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

from bot.commands.serving import find_serving
from bot.findings import Finding, State
from bot.nlu_server.inputs import environment_is_ready, fingerprint
from bot.nlu_server.model_store import ModelRefusedError, ModelStore
from bot.setting_rules import is_loopback
from bot.settings import Settings, SettingsError, TelegramMode
from desk.errors import DeskError, UnderstandingError
from nlu.rasa_client import RasaClient
from storage import migrate
from storage.connect import open_readonly, sqlite_path
from storage.locks import AlreadyServingError, SingleServeLock
from storage.sqlite_engine import sqlite_module, wal_is_safe

__all__ = ["Finding", "State", "check_all"]

_GIB = 1024**3
_LEAST_FREE = _GIB // 5
_ENOUGH_FREE = 2 * _GIB
_PACKAGES = (
    "aiogram",
    "alembic",
    "argon2",
    "fastapi",
    "httptools",
    "jieba",
    "jinja2",
    "rapidfuzz",
    "snownlp",
    "uvicorn",
)
_SECRETS = {
    "SHOP_SECRET": "shop_secret",
    "API_KEY": "api_key",
    "SESSION_SECRET": "session_secret",
    "TELEGRAM_SECRET": "telegram_secret",
}


def check_all(load: Callable[[], Settings], unknown: Callable[[], tuple[str, ...]]) -> Iterator[Finding]:
    """Yields what was found, one thing after the other; stops where the settings cannot be read."""
    yield from _program()
    try:
        settings = load()
    except SettingsError as error:
        for sentence in error.sentences:
            yield Finding(State.MEND, f"设置 settings: {sentence}", "docs/settings.md")
        return
    yield Finding(State.WELL, "设置可用 settings can be used")
    for sentence in unknown():
        yield Finding(State.WATCH, f"设置 settings: {sentence}")
    yield from _folder(settings)
    yield from _secrets(settings)
    yield from _database(settings)
    yield _port(settings)
    yield _public_url(settings)
    yield from _telegram(settings)
    yield _understanding(settings)
    yield from _off()


def _program() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding(State.WELL, f"Python {version}")
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        yield Finding(State.MEND, f"缺少依赖 missing packages: {', '.join(missing)}", "make setup")
    else:
        yield Finding(State.WELL, "依赖齐全 all packages are installed")


def _folder(settings: Settings) -> Iterator[Finding]:
    folder = settings.var_dir
    shown = f"数据目录 data folder {folder}"
    if folder.is_dir():
        mode = stat.S_IMODE(folder.stat().st_mode)
        if not os.access(folder, os.W_OK | os.X_OK):
            yield Finding(
                State.MEND,
                f"{shown}: 不可写 not writable",
                f"chown -R $(id -un) {folder}，或设置 HUIYIN_VAR_DIR。 Or set HUIYIN_VAR_DIR.",
            )
        elif mode & 0o022:
            yield Finding(State.MEND, f"{shown}: 别人可写 others may write there", f"chmod 700 {folder}")
        else:
            yield Finding(State.WELL, shown)
    else:
        above = next(parent for parent in folder.absolute().parents if parent.is_dir())
        if os.access(above, os.W_OK | os.X_OK):
            yield Finding(State.OFF, f"{shown}: 启动时创建 made at the first start")
        else:
            yield Finding(State.MEND, f"{shown}: 无法创建 cannot be made in {above}", "HUIYIN_VAR_DIR")
    place = next(each for each in (folder, *folder.absolute().parents) if each.is_dir())
    free = shutil.disk_usage(place).free
    told = f"磁盘剩余 free disk space {free / _GIB:.1f} GiB"
    if free < _LEAST_FREE:
        yield Finding(
            State.MEND, told, "请腾出空间，磁盘满了就收不了消息。 Make room; a full disk takes no messages."
        )
    else:
        yield Finding(State.WELL if free >= _ENOUGH_FREE else State.WATCH, told)


def _secrets(settings: Settings) -> Iterator[Finding]:
    for name, field in _SECRETS.items():
        path = settings.var_dir / "secrets" / name
        if getattr(settings, field) is not None:
            yield Finding(State.WELL, f"密钥 secret {name}: 已设置 set")
        elif not path.exists():
            yield Finding(State.OFF, f"密钥 secret {name}: 启动时生成 made at the first start")
        elif path.stat().st_mode & 0o077:
            yield Finding(State.MEND, f"密钥 secret {name}: 别人可读 others can read it", f"chmod 600 {path}")
        elif not os.access(path, os.R_OK):
            yield Finding(State.MEND, f"密钥 secret {name}: 读不了 cannot be read", f"chown $(id -un) {path}")
        else:
            yield Finding(State.WELL, f"密钥 secret {name}: {path}")


def _database(settings: Settings) -> Iterator[Finding]:
    path = sqlite_path(settings.database_url)
    if path is not None:
        yield from _sqlite(settings, path)
    else:
        yield Finding(State.WELL, "数据库 database: PostgreSQL")
    try:
        pending = migrate.pending(settings.database_url)
        if path is not None and not path.exists():
            yield Finding(State.OFF, f"数据库 database {path}: 启动时创建 made at the first start")
            return
        engine = open_readonly(settings.database_url)
        with engine.connect():
            pass
        engine.dispose()
    except DeskError as error:
        yield Finding(State.MEND, f"数据库 database: {error}")
        return
    except Exception as error:  # noqa: BLE001 - whatever a driver raises is a finding, not a crash
        yield Finding(
            State.MEND,
            f"数据库连不上 the database cannot be reached ({type(error).__name__})",
            "检查 HUIYIN_DATABASE_URL，以及数据库是否在运行。 Check HUIYIN_DATABASE_URL and that it runs.",
        )
        return
    if pending:
        yield Finding(State.WATCH, "数据库需要升级 the database needs migrations", "huiyin migrate")
    else:
        yield Finding(State.WELL, f"数据库已是最新 the database is up to date ({migrate.HEAD})")


def _sqlite(settings: Settings, path: Path) -> Iterator[Finding]:
    version: tuple[int, int, int] = sqlite_module().sqlite_version_info
    told = f"SQLite {'.'.join(map(str, version))}"
    if wal_is_safe(version):
        yield Finding(State.WELL, told)
    else:
        yield Finding(
            State.WATCH,
            f"{told}: WAL 有已知缺陷，会改用较慢的模式 has a known WAL fault, so a slower mode is used",
            "安装 pysqlite3 0.6.1 或更高。 Install pysqlite3 0.6.1 or later.",
        )
    if path.exists() and path.stat().st_mode & 0o077:
        yield Finding(State.MEND, f"数据库文件别人可读 others can read {path}", f"chmod 600 {path}*")
    if not (settings.lock_dir / "serve.lock").exists():
        yield Finding(State.OFF, "服务没有在运行 no service is running")
        return
    try:
        with SingleServeLock(settings.lock_dir):
            yield Finding(State.OFF, "服务没有在运行 no service is running")
    except AlreadyServingError:
        serving = find_serving(settings)
        where = f"{serving.host}:{serving.port}, pid {serving.pid}" if serving is not None else "…"
        yield Finding(State.WELL, f"服务正在运行 a service is running ({where})")
    except OSError as error:
        yield Finding(State.MEND, f"锁文件打不开 the lock cannot be opened ({error.strerror})")


def _port(settings: Settings) -> Finding:
    host, port = settings.listen
    shown = f"监听地址 address {host}:{port}"
    serving = find_serving(settings)
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        if serving is not None and serving.port == port:
            return Finding(State.WELL, f"{shown}: 我们的服务 our own service")
        return Finding(
            State.MEND,
            f"{shown}: 用不了 cannot be used ({error.strerror})",
            "停掉占用它的程序，或设置 HUIYIN_LISTEN。 Stop what uses it, or set HUIYIN_LISTEN.",
        )
    return Finding(State.WELL, f"{shown}: 空闲 free")


def _public_url(settings: Settings) -> Finding:
    shown = f"对外网址 public address {settings.public_url}"
    if settings.is_secure:
        return Finding(State.WELL, shown)
    host = settings.public_url.partition("://")[2].rpartition(":")[0].strip("[]") or settings.public_url
    if is_loopback(host):
        return Finding(
            State.OFF,
            f"{shown}: 只有这台机器能打开 only this machine can open it",
            "给顾客用之前，请用 https 代理并设置 HUIYIN_PUBLIC_URL。"
            " Before customers come, put an https proxy in front and set HUIYIN_PUBLIC_URL.",
        )
    return Finding(
        State.WATCH,
        f"{shown}: 明文传输 goes in the clear",
        "用 https 代理，并设置 HUIYIN_PUBLIC_URL。 Use an https proxy and set HUIYIN_PUBLIC_URL.",
    )


def _telegram(settings: Settings) -> Sequence[Finding]:
    if settings.telegram_token is None:
        return [
            Finding(
                State.OFF,
                "Telegram: 没设令牌，关闭 off, no token is set",
                "想接 Telegram，到 @BotFather 建机器人，把令牌设为 HUIYIN_TELEGRAM_TOKEN。"
                " To connect Telegram, make a bot with @BotFather and set HUIYIN_TELEGRAM_TOKEN.",
            )
        ]
    return asyncio.run(_ask_telegram(settings, settings.telegram_token.get_secret_value()))


async def _ask_telegram(settings: Settings, token: str) -> list[Finding]:
    # Only here: nobody without a token has to wait for it to load.
    from aiogram.utils.token import TokenValidationError

    from bot.telegram.checkup import WantedSetup, check_telegram
    from bot.telegram.session import make_bot

    try:
        bot = make_bot(token, settings.telegram_api)
    except TokenValidationError:
        return [
            Finding(
                State.MEND,
                "Telegram 令牌的写法不对 the token cannot be one",
                "到 @BotFather 复制令牌，重新设置 HUIYIN_TELEGRAM_TOKEN。"
                " Copy the token from @BotFather into HUIYIN_TELEGRAM_TOKEN.",
            )
        ]
    wanted = WantedSetup(
        settings.public_url, settings.telegram_mode is TelegramMode.WEBHOOK, settings.telegram_staff_chat
    )
    try:
        return await check_telegram(bot, wanted, datetime.now(UTC))
    finally:
        await bot.session.close()


def _understanding(settings: Settings) -> Finding:
    shown = "语义理解 understanding"
    if settings.nlu_url is not None:
        well = asyncio.run(_ask_rasa(settings, settings.nlu_url))
        if well:
            return Finding(State.WELL, f"{shown}: {settings.nlu_url}")
        return Finding(
            State.MEND,
            f"{shown}: {settings.nlu_url} 没有正常回答 does not answer as it should",
            "检查 HUIYIN_NLU_URL、HUIYIN_NLU_TOKEN 和那个服务。"
            " Check HUIYIN_NLU_URL, HUIYIN_NLU_TOKEN and that server.",
        )
    if not environment_is_ready():
        return Finding(
            State.OFF,
            f"{shown}: 没有安装 Rasa，用问答检索 Rasa is not installed, the FAQ search understands",
            "make nlu-setup，然后 and then huiyin nlu train",
        )
    store = ModelStore(settings.var_dir)
    name = store.current_name()
    if name is None:
        return Finding(
            State.OFF,
            f"{shown}: 还没有训练，用问答检索 not trained, the FAQ search understands",
            "huiyin nlu train",
        )
    try:
        model = store.check(name)
    except (ModelRefusedError, SettingsError) as error:
        return Finding(State.MEND, f"{shown}: {error}", "huiyin nlu train --force")
    if model.fingerprint != fingerprint():
        told = f"{shown}: {name} 之后有改动 was trained before changes"
        return Finding(State.WATCH, told, "huiyin nlu train")
    return Finding(State.WELL, f"{shown}: Rasa, {name}")


async def _ask_rasa(settings: Settings, url: str) -> bool:
    token = settings.nlu_token.get_secret_value() if settings.nlu_token is not None else None
    client = RasaClient(url, token, ())
    try:
        return (await client.status()).ready
    except UnderstandingError:
        return False
    finally:
        await client.close()


def _off() -> Iterator[Finding]:
    yield Finding(State.OFF, "浏览器 Chromium: 不需要 not needed to run")
