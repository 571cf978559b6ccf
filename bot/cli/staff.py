"""``staff add``, ``staff link`` and ``staff list``."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli.reading import snapshot
from bot.cli.terminal import MISUSED, fail, note, quiet_settings, run, say
from desk.values import Role

if TYPE_CHECKING:
    from bot.settings import Settings

program = typer.Typer(help="客服账号。 Staff accounts.", no_args_is_help=True)

_EASY = {
    "password.too_short": "至少 10 个字符。 It needs at least 10 characters.",
    "password.too_long": "太长了。 It is too long.",
    "password.too_easy": "太容易猜。 It is too easy to guess.",
}


@program.command("add")
def add(
    login: Annotated[str, typer.Argument(help="登录名，例如 li.ming。 Login name.")],
    name: Annotated[str, typer.Option("--name", help="顾客看到的称呼。 Name that customers read.")] = "",
    role: Annotated[
        Role, typer.Option("--role", help="agent 客服，lead 主管，admin 管理员。 What they may do.")
    ] = Role.AGENT,
    password_stdin: Annotated[
        bool,
        typer.Option(
            "--password-stdin",
            help="从标准输入读密码；否则自动生成并只显示一次。"
            " Read the password from standard input; else one is made and shown once.",
        ),
    ] = False,
    telegram: Annotated[
        bool,
        typer.Option(
            "--telegram",
            help="同时生成 Telegram 关联码。 Also make a code that links a Telegram account.",
        ),
    ] = False,
) -> None:
    """添加客服账号。 Add a staff account."""
    from bot.commands.handover import open_runner
    from bot.commands.staff import check_login
    from console.passwords import Passwords, check_new_password, new_password
    from desk.errors import DeskError, InvalidInputError

    settings = quiet_settings()
    login = check_login(login)
    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else new_password()
    try:
        check_new_password(password, login)
    except InvalidInputError as error:
        fail(f"密码不能用。 This password cannot be used. {_EASY.get(error.reason, error.reason)}", MISUSED)

    async def work() -> tuple[dict[str, Any], dict[str, Any] | DeskError | None]:
        password_hash = await Passwords().hash(password)
        args = {"login": login, "name": name or login, "role": role.value, "password_hash": password_hash}
        async with open_runner(settings) as run_command:
            done = await run_command("add_staff", args)
            if not telegram:
                return done, None
            try:
                return done, await run_command("make_link_code", {"login": login})
            except DeskError as error:
                # The account is there by now, so its password must be shown before this is told.
                return done, error

    added, code = run(work())
    say(f"已添加 {added['login']}（{added['role']}）。 Added.")
    if not password_stdin:
        say(f"密码 password（只显示这一次 shown only this once）: {password}")
    if isinstance(code, DeskError):
        raise code
    if code is not None:
        _tell_code(settings, code)
    if not added["has_admin"]:
        note(
            "还没有管理员；需要一个请执行 huiyin staff add LOGIN --role admin。"
            " There is no admin yet; huiyin staff add LOGIN --role admin makes one."
        )


@program.command("link")
def link(
    login: Annotated[str, typer.Argument(help="已有账号的登录名。 Login name of an existing account.")],
) -> None:
    """为已有账号生成 Telegram 关联码。 Make a code that links a Telegram account to an existing one."""
    from bot.commands.handover import run_command
    from bot.commands.staff import check_login

    settings = quiet_settings()
    code = run(run_command(settings, "make_link_code", {"login": check_login(login)}))
    _tell_code(settings, code)


def _tell_code(settings: Settings, code: dict[str, Any]) -> None:
    until = datetime.fromisoformat(code["expires_at"]).astimezone(settings.timezone)
    say(
        f"请 {code['login']} 在 {until:%H:%M} 前把下面这行发给 Telegram 机器人，或发到客服群（只能用一次）："
        f" By {until:%H:%M}, {code['login']} sends this line to the Telegram bot, or in the staff group"
        " (it works once):"
    )
    say(f"    /link {code['code']}")
    if settings.telegram_token is None:
        note(
            "Telegram 还没有开启：请设 HUIYIN_TELEGRAM_TOKEN，再执行 huiyin doctor。"
            " Telegram is off: set HUIYIN_TELEGRAM_TOKEN, then run huiyin doctor."
        )


@program.command("list")
def list_all() -> None:
    """列出客服账号。 List staff accounts."""
    with snapshot(quiet_settings()) as found:
        for member in found.unit.staff.all():
            state = "停用 disabled" if member.disabled else "启用 active"
            say(f"{member.login}\t{member.name}\t{member.role.value}\t{state}")
