"""``serve``, ``demo``, ``migrate`` and ``doctor``."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.terminal import fail, note, quiet_settings, read_settings, run, say

if TYPE_CHECKING:
    from bot.app import Ready
    from bot.settings import Settings


def add_to(program: typer.Typer) -> None:
    """Adds the commands."""
    program.command("serve")(serve)
    program.command("demo")(demo)
    program.command("migrate")(migrate)
    program.command("doctor")(doctor)


def serve(
    train: Annotated[
        bool,
        typer.Option(
            "--train",
            help="语义理解缺什么，就在后台准备、训练。 Prepare and train the understanding meanwhile if need be.",
        ),
    ] = False,
) -> None:
    """启动服务：网页聊天、控制台、接口、后台任务。 Start everything; Ctrl-C stops it in good order."""
    settings = read_settings()
    _make_private(settings.var_dir)
    for sentence in settings.secrets.notes:
        note(sentence)
    bring_up_to_date(settings)
    run(_serve(settings, train=train))
    note("已停止，数据都已存好。 Stopped; everything is stored.")


def _make_private(folder: Path) -> None:
    """Makes the data folder for its owner alone, before anything below it is made with looser parents."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


async def _serve(settings: Settings, *, train: bool) -> None:
    from bot.app import Installation

    def ready(found: Ready) -> None:
        for line in banner(settings, found):
            note(line)

    async with Installation(settings) as installation:
        await installation.serve(ready, prepare_with=note if train else None)


def banner(settings: Settings, ready: Ready) -> list[str]:
    """What a person needs to know once the service runs."""
    url = ready.url
    lines = [
        "",
        f"  回音已启动 Huiyin is running — {settings.shop_name}",
        "",
        f"  顾客聊天页 Chat        {url}/chat",
        f"  客服控制台 Console     {url}/console",
        f"  接口文档   API docs    {url}/api/docs",
    ]
    if ready.first_password is not None:
        lines += [
            "",
            "  第一次登录控制台用（只显示这一次） Sign in to the console with (shown only this once):",
            "    账号 login     admin",
            f"    密码 password  {ready.first_password}",
        ]
    if ready.understanding is not None:
        lines += ["", f"  {ready.understanding}"]
    lines += ["", "  按 Ctrl-C 停止。 Press Ctrl-C to stop.", ""]
    return lines


def demo(
    fresh: Annotated[
        bool, typer.Option("--fresh", help="清空演示数据重新开始。 Start over with fresh sample data.")
    ] = False,
) -> None:
    """启动演示店铺，数据单独放在 var/demo。 Serve a sample shop with its own data in var/demo."""
    from bot.demo.start import demo_settings, serve_demo

    real = read_settings()
    _make_private(real.var_dir)
    settings = demo_settings(real)
    run(serve_demo(settings, fresh=fresh, tell=note))
    note("演示已停止，数据留在 var/demo。 The demo has stopped; its data stay in var/demo.")


def migrate(
    to: Annotated[
        str | None, typer.Option("--to", metavar="REV", help="回退到某个版本。 Go back to a revision.")
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="回退会删数据，不再询问。 Do not ask before going back.")
    ] = False,
) -> None:
    """升级数据库结构。 Bring the database up to date; serve does this by itself.

    SQLite 上请先停掉服务。 On SQLite stop the service first.
    """
    settings = quiet_settings()
    if to is None:
        applied = bring_up_to_date(settings)
        say(f"数据库已是最新。 The database is up to date ({applied} applied).")
        return
    from storage import migrate as migrations

    if to == migrations.HEAD:
        bring_up_to_date(settings)
    else:
        if not yes and not typer.confirm(
            f"回退到 {to} 会删掉更新版本里的数据，请先备份。继续吗？"
            f" Going back to {to} deletes what newer revisions added; make a backup first. Go on?"
        ):
            fail("没有改动。 Nothing was changed.")
        with _alone(settings):
            migrations.downgrade(settings.database_url, to, lambda line: note(f"  {line}"))
    say(f"数据库现在是 {to}。 The database is at {to}.")


def bring_up_to_date(settings: Settings) -> int:
    """Applies pending migrations, telling of each; returns how many.

    Raises:
        AlreadyServingError: A service runs on this SQLite database.
    """
    from storage import migrate as migrations

    if not migrations.pending(settings.database_url):
        return 0
    with _alone(settings):
        if migrations.current(settings.database_url) is None:
            note("正在建立数据库…… Creating the database …")
        else:
            note("正在升级数据库，请不要中断…… Bringing the database up to date, please wait …")
        return len(migrations.upgrade(settings.database_url, lambda line: note(f"  {line}")))


def _alone(settings: Settings) -> contextlib.AbstractContextManager[object]:
    """The right to change the database's shape: on SQLite the lock, on PostgreSQL its own locks do."""
    from storage.connect import sqlite_path
    from storage.locks import SingleServeLock

    if sqlite_path(settings.database_url) is None:
        return contextlib.nullcontext()
    return SingleServeLock(settings.lock_dir)


def doctor() -> None:
    """检查安装：缺什么、怎么补。 Tell what is missing and how to mend it; exit code 1 if something is."""
    from bot.cli.checkup import State, check_all
    from bot.settings import load_settings, unknown_settings

    signs = {State.WELL: "✓", State.OFF: "–", State.WATCH: "!", State.MEND: "✗"}
    broken = False
    for finding in check_all(load_settings, unknown_settings):
        say(f"{signs[finding.state]} {finding.what}")
        if finding.mend:
            say(f"    → {finding.mend}")
        broken = broken or finding.state is State.MEND
    if broken:
        fail("有需要修好的地方（✗）。 Something must be mended (✗).")
    say("一切就绪。 All is well.")
