"""``staff add`` and ``staff list``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from bot.cli.reading import snapshot
from bot.cli.terminal import MISUSED, fail, note, quiet_settings, run, say
from desk.values import Role

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
) -> None:
    """添加客服账号。 Add a staff account."""
    from bot.commands.handover import run_command
    from bot.commands.staff import check_login
    from console.passwords import Passwords, check_new_password, new_password
    from desk.errors import InvalidInputError

    settings = quiet_settings()
    login = check_login(login)
    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else new_password()
    try:
        check_new_password(password, login)
    except InvalidInputError as error:
        fail(f"密码不能用。 This password cannot be used. {_EASY.get(error.reason, error.reason)}", MISUSED)

    async def work() -> dict[str, object]:
        password_hash = await Passwords().hash(password)
        args = {"login": login, "name": name or login, "role": role.value, "password_hash": password_hash}
        return await run_command(settings, "add_staff", args)

    added = run(work())
    say(f"已添加 {added['login']}（{added['role']}）。 Added.")
    if not password_stdin:
        say(f"密码 password（只显示这一次 shown only this once）: {password}")
    if not added["has_admin"]:
        note(
            "还没有管理员；需要一个请执行 huiyin staff add LOGIN --role admin。"
            " There is no admin yet; huiyin staff add LOGIN --role admin makes one."
        )


@program.command("list")
def list_all() -> None:
    """列出客服账号。 List staff accounts."""
    with snapshot(quiet_settings()) as found:
        for member in found.unit.staff.all():
            state = "停用 disabled" if member.disabled else "启用 active"
            say(f"{member.login}\t{member.name}\t{member.role.value}\t{state}")
