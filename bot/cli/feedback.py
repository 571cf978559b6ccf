"""``feedback export`` and ``surveys report``."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from bot.cli.reading import snapshot
from bot.cli.terminal import note, printable, quiet_settings, run, say
from bot.cli.writing import defused, writing

if TYPE_CHECKING:
    from desk.values import Feedback
    from storage.reports import Reports

program = typer.Typer(help="反馈。 Feedback.", no_args_is_help=True)
surveys_program = typer.Typer(help="回访。 Surveys.", no_args_is_help=True)

_PAGE = 2000
_COLUMNS = (
    "feedback_id",
    "created_at",
    "updated_at",
    "order_id",
    "customer",
    "channel",
    "rating",
    "comment",
    "sentiment",
    "score",
    "evidence",
)
_TEXTS = frozenset({"order_id", "customer", "channel", "comment", "evidence"})


class Format(StrEnum):
    """How feedback is exported."""

    CSV = "csv"
    JSONL = "jsonl"


@program.command("export")
def export(
    file: Annotated[
        Path | None, typer.Argument(help="写到这个文件；不写就显示。 File to write; none = show.")
    ] = None,
    form: Annotated[
        Format | None,
        typer.Option("--format", help="csv（Excel 可直接打开）或 jsonl。 Also told by the file's name."),
    ] = None,
) -> None:
    """导出全部反馈，新的在前。导出会记入审计。 Export all feedback, newest first; the audit records it."""
    from bot.commands.handover import run_command

    if form is None:
        form = Format.JSONL if file is not None and file.suffix in {".jsonl", ".json"} else Format.CSV
    settings = quiet_settings()
    with snapshot(settings):
        pass  # Without data there is nothing to record either.
    run(run_command(settings, "record_export", {"action": "feedback.export", "subject": "feedback"}))
    with snapshot(settings) as found:
        count = 0
        with writing(file) as stream:
            if form is Format.CSV:
                # The mark makes Excel read UTF-8; programs that read from a pipe do not want it.
                stream.write("\ufeff" if file is not None else "")
                table = csv.writer(stream, lineterminator="\r\n")
                table.writerow(_COLUMNS)
            for one in _all_feedback(found.reports):
                line = _line(one, settings.timezone)
                count += 1
                if form is Format.CSV:
                    table.writerow([_cell(name, line[name]) for name in _COLUMNS])
                else:
                    stream.write(json.dumps(line, ensure_ascii=False) + "\n")
    if file is not None:
        note(f"已导出 {count} 条到 {file}。 {count} exported.")


def _all_feedback(reports: Reports) -> Iterator[Feedback]:
    offset, more = 0, True
    while more:
        page = reports.feedback(None, None, "", _PAGE, offset)
        yield from page.rows
        offset, more = offset + len(page.rows), page.more


def _line(one: Feedback, zone: ZoneInfo) -> dict[str, Any]:
    sentiment = one.sentiment
    return {
        "feedback_id": one.id,
        "created_at": one.created_at.astimezone(zone).isoformat(timespec="seconds"),
        "updated_at": one.updated_at.astimezone(zone).isoformat(timespec="seconds"),
        "order_id": one.order_external_id,
        "customer": one.contact_name,
        "channel": one.channel,
        "rating": one.rating,
        "comment": one.comment,
        "sentiment": sentiment.label.value if sentiment is not None else None,
        "score": round(sentiment.score, 4) if sentiment is not None else None,
        "evidence": list(sentiment.evidence) if sentiment is not None else [],
    }


def _cell(name: str, value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, list):
        value = "、".join(value)
    return defused(value) if name in _TEXTS else value


@surveys_program.command("report")
def report(
    orders: Annotated[
        bool,
        typer.Option("--orders", help="逐单列出发没发、为什么没发。 List every order: sent, or why not."),
    ] = False,
) -> None:
    """回访对账：每个签收的订单都有去向。 Account for the survey of every delivered order."""
    settings = quiet_settings()
    with snapshot(settings) as found:
        if orders:
            _list_orders(found.reports, settings.timezone)
            return
        total = found.reports.survey_accounting()
    waiting = total.sent - total.answered - total.expired
    say(f"签收 delivered     {total.delivered}")
    say(f"  已发 sent        {total.sent}")
    say(f"    已答 answered  {total.answered}")
    say(f"    等答 waiting   {waiting}")
    say(f"    过期 expired   {total.expired}")
    say(f"  待发 pending     {total.pending}")
    say(f"  未知 uncertain   {total.uncertain}")
    say(f"  未发 skipped     {total.skipped_total}")
    for reason, count in sorted(total.skipped.items(), key=lambda item: (-item[1], item[0])):
        say(f"    {reason.value:<14} {count}")
    parts = f"{total.sent} + {total.pending} + {total.uncertain} + {total.skipped_total}"
    if total.balanced and not total.missing:
        say(f"对得上 balanced: {parts} = {total.delivered}")
        return
    say(f"对不上 NOT balanced: {parts} ≠ {total.delivered}, missing {total.missing}")
    raise typer.Exit(1)


def _list_orders(reports: Reports, zone: ZoneInfo) -> None:
    say("订单 order\t签收 delivered\t结果 outcome\t原因 why\t评分 rating")
    offset, more = 0, True
    while more:
        page = reports.survey_rows(_PAGE, offset)
        for row in page.rows:
            why = row.skip_reason.value if row.skip_reason is not None else row.held
            if not why and row.next_try_at is not None:
                why = f"due {row.next_try_at.astimezone(zone):%Y-%m-%d %H:%M}"
            rating = "" if row.rating is None else str(row.rating)
            when = f"{row.delivered_at.astimezone(zone):%Y-%m-%d %H:%M}"
            say("\t".join((printable(row.order_external_id), when, row.outcome.value, why, rating)))
        offset, more = offset + len(page.rows), page.more
