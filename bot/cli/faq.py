"""``faq import``, ``faq export`` and ``faq check``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.reading import NotReadyError, snapshot
from bot.cli.terminal import fail, note, quiet_settings, run, say
from bot.cli.writing import write_text

if TYPE_CHECKING:
    from bot.commands.faq import FaqPlan
    from bot.faq_file import FaqFile
    from bot.settings import Settings

program = typer.Typer(help="问答。 Frequent questions.", no_args_is_help=True)

_File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="YAML 文件。 The YAML file.")]


@program.command("check")
def check(file: _File) -> None:
    """检查问答文件，不改任何东西。 Check a FAQ file and change nothing."""
    from bot.faq_file import check_faq

    read = _read(file)
    for warning in check_faq(read):
        note(f"! {warning}")
    say(f"{len(read.entries)} 条问答，可以导入。 {len(read.entries)} entries; the file can be imported.")


@program.command("import")
def import_file(
    file: _File,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace", help="删除文件里没有的问答。 Delete the stored entries that the file does not have."
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="只看会改什么。 Show what would change and change nothing.")
    ] = False,
) -> None:
    """导入问答文件：新增和替换同名的，默认不删除。 Import a FAQ file: adds and replaces by slug."""
    from bot.commands.handover import run_command

    settings = quiet_settings()
    read = _read(file)
    plan = _plan(settings, read, replace)
    if plan is not None:
        _show(plan)
    if dry_run:
        say("以上只是预览，什么都没有改。 This was a preview; nothing was changed.")
        return
    args = {"text": _text(file), "replace": replace}
    done = run(run_command(settings, "import_faq", args))
    say(
        f"新增 {done['added']}，修改 {done['changed']}，删除 {done['deleted']}，未变 {done['unchanged']}。"
        f" {done['added']} added, {done['changed']} changed, {done['deleted']} deleted,"
        f" {done['unchanged']} unchanged."
    )


@program.command("export")
def export(
    file: Annotated[
        Path | None, typer.Argument(help="写到这个文件；不写就显示。 File to write; none = show.")
    ] = None,
) -> None:
    """导出问答，可以编辑后再导入。 Export the FAQ as a file that can be edited and imported."""
    from bot.commands.faq import known_variables
    from bot.faq_entries import from_entries
    from bot.faq_file import write_faq

    settings = quiet_settings()
    with snapshot(settings) as found:
        entries = found.unit.faq.all()
    used = {
        name: value
        for name, value in known_variables(settings).items()
        if any("{" + name + "}" in entry.answer for entry in entries)
    }
    write_text(file, write_faq(from_entries(entries, used)))
    if file is not None:
        note(f"已导出 {len(entries)} 条到 {file}。 {len(entries)} entries exported.")


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8-sig")
    except UnicodeDecodeError:
        fail(f"{file} 不是 UTF-8 文本，请另存为 UTF-8。 {file} is not UTF-8 text; save it as UTF-8.")


def _read(file: Path) -> FaqFile:
    from bot.faq_file import FaqFileError, read_faq

    try:
        return read_faq(_text(file))
    except FaqFileError as error:
        for problem in error.problems:
            note(f"✗ {problem}")
        fail(
            f"{len(error.problems)} 处不对，什么都没有改。"
            f" {len(error.problems)} problems; nothing was changed."
        )


def _plan(settings: Settings, file: FaqFile, replace: bool) -> FaqPlan | None:
    from bot.commands.faq import known_variables, plan_import

    try:
        with snapshot(settings) as found:
            return plan_import(file, found.unit.faq.all(), known_variables(settings), replace=replace)
    except NotReadyError:
        note(
            f"还没有数据库，{len(file.entries)} 条都是新增。"
            f" There is no database yet; all {len(file.entries)} entries are new."
        )
        return None


def _show(plan: FaqPlan) -> None:
    for entry in plan.added:
        say(f"+ {entry.slug}  {entry.question}")
    for entry in plan.changed:
        say(f"~ {entry.slug}  {entry.question}")
    for slug in plan.deleted:
        say(f"- {slug}")
    if plan.kept:
        note(
            f"{plan.kept} 条不在文件里，保留不动（--replace 会删除）。"
            f" {plan.kept} stored entries are not in the file and stay (--replace deletes them)."
        )
