"""``contact find``, ``contact export`` and ``contact erase``: a person's rights over their data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.reading import Snapshot, snapshot
from bot.cli.terminal import fail, note, printable, quiet_settings, run, say
from bot.cli.writing import write_text
from desk.errors import NotFoundError

if TYPE_CHECKING:
    from storage.reports import CustomerLine

program = typer.Typer(help="客户资料。 Customers' data.", no_args_is_help=True)

_PAGE = 500
_Contact = Annotated[
    str, typer.Argument(help="客户号，contact find 会显示；或店铺的买家号。 Id that contact find shows.")
]


@program.command("find")
def find(
    text: Annotated[
        str, typer.Argument(help="姓名、电话、买家号或订单号的一部分。 Part of name, phone or id.")
    ],
) -> None:
    """查找客户。 Find customers."""
    with snapshot(quiet_settings()) as found:
        page = found.reports.customers(text, _PAGE)
    for line in page.rows:
        last = f"{line.last_message_at:%Y-%m-%d}" if line.last_message_at is not None else "-"
        buyer = printable(line.buyer_id or "-")
        say(f"{line.public_id}\t{printable(line.name) or '-'}\t{_masked(line.phone)}\t{buyer}\t{last}")
    if page.more:
        note(f"只显示前 {_PAGE} 位。 Only the first {_PAGE} are shown.")
    if not page.rows:
        fail("没有找到。 Nobody found.")


@program.command("export")
def export(
    contact: _Contact,
    file: Annotated[
        Path | None, typer.Argument(help="写到这个文件；不写就显示。 File to write; none = show.")
    ] = None,
) -> None:
    """导出我们存有的这位客户的一切（JSON）。会记入审计。 Export everything held about a customer."""
    from bot.commands.handover import run_command

    settings = quiet_settings()
    with snapshot(settings) as found:
        line = _get(found, contact)
    subject = f"contact:{line.contact_id}"
    run(run_command(settings, "record_export", {"action": "contact.export", "subject": subject}))
    with snapshot(settings) as found:
        document = found.unit.contact_data.export(line.contact_id)
    write_text(file, json.dumps(document, ensure_ascii=False, indent=2) + "\n")
    if file is not None:
        note(f"已导出到 {file}。 Exported.")


@program.command("erase")
def erase(
    contact: _Contact,
    yes: Annotated[bool, typer.Option("--yes", help="不再询问。 Do not ask.")] = False,
) -> None:
    """删除这位客户的资料和说过的话，不能恢复；统计数字保留。 Erase a customer for good; figures stay."""
    from bot.commands.handover import run_command

    settings = quiet_settings()
    with snapshot(settings) as found:
        line = _get(found, contact)
    shown = f"{line.public_id} {printable(line.name)} {_masked(line.phone)}"
    if not yes and not typer.confirm(f"永久删除 {shown} 的资料？ Erase this customer for good?", err=True):
        fail("没有改动。 Nothing was changed.")
    done = run(run_command(settings, "erase_contact", {"contact_id": line.contact_id}))
    rows = sum(done["erased"].values())
    say(f"已删除，涉及 {rows} 条记录。 Erased; {rows} records were changed or deleted.")


def _get(found: Snapshot, contact: str) -> CustomerLine:
    """The customer of that public id or buyer id; nobody else, however much they look alike."""
    offset, more = 0, True
    while more:
        page = found.reports.customers("", _PAGE, offset)
        for line in page.rows:
            if contact in (line.public_id, line.buyer_id):
                return line
        offset, more = offset + len(page.rows), page.more
    raise NotFoundError(
        f"没有客户号 {contact}，用 contact find 查找。 No such customer; look with contact find."
    )


def _masked(phone: str) -> str:
    """A phone number of which only the last digits are shown: a terminal has onlookers and a history."""
    return f"{'*' * (len(phone) - 4)}{phone[-4:]}" if len(phone) > 4 else phone and "****"
