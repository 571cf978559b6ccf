"""``orders import`` and ``orders link``."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from bot.cli.terminal import Progress, fail, note, quiet_settings, run, say
from desk.errors import NotFoundError

if TYPE_CHECKING:
    from bot.settings import Settings

program = typer.Typer(help="订单。 Orders.", no_args_is_help=True)

_IMPORT_HELP = """从 CSV 导入订单。 Import orders from a CSV file.

第一行是列名 The first line names the columns:

order_id, buyer_id, buyer_name, phone, status, occurred_at, amount, currency, carrier, tracking_no,
item_sku, item_name, item_quantity, item_price

必填 needed: order_id, buyer_id, buyer_name, status, occurred_at, amount.

status: created|paid|shipped|delivered|returned|refunded|cancelled，或 已签收 等中文。

occurred_at: 这个状态发生的时间，没写时区就按店铺时区。 When the order got this status; without an offset in
the shop's time zone.

amount, item_price: 十进制，例如 128.00；currency 不写就是 CNY。 Decimals; CNY unless said otherwise.

一个订单有几件商品就写几行，放在一起，其余列相同。 An order with several items has a row for each, one after
the other, all else equal.

UTF-8 和 GBK 都可以。先检查整个文件，有一行不对就什么都不改；同一个文件再导入一次不会有变化。
 UTF-8 and GBK are both read. The whole file is checked first: one bad row and nothing is changed. Importing
the same file again changes nothing.

默认不给导入的订单发回访。 No survey is ever sent about imported orders unless you ask for it.
"""

# Small batches: a running service goes on answering customers in between.
_BATCH = 25
_BATCH_CHARACTERS = 1_000_000
_SPOOLED_BYTES = 16 * 1024 * 1024
_TOLD = 1000


@program.command("import", help=_IMPORT_HELP)
def import_orders(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV 文件。 The CSV file.")],
    schedule_surveys: Annotated[
        bool,
        typer.Option(
            "--schedule-surveys",
            help="给签收不超过 14 天的订单安排回访。 Plan surveys for orders delivered at most 14 days ago.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="只检查，不导入。 Check the file and import nothing.")
    ] = False,
) -> None:
    settings = quiet_settings()
    with tempfile.SpooledTemporaryFile(_SPOOLED_BYTES, "w+", encoding="ascii") as checked:
        counts = _check(settings, file, checked)
        told = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
        events = sum(counts.values())
        if dry_run or not events:
            say(f"{events} 条订单状态可以导入。 {events} order events can be imported ({told or 'none'}).")
            return
        checked.seek(0)
        totals = run(_apply(settings, checked, schedule_surveys, events))
    say(
        f"新订单 {totals['new']}，更新 {totals['updated']}，已有更新的状态 {totals['older']}，"
        f"之前导入过 {totals['known']}。 {totals['new']} new orders, {totals['updated']} updated,"
        f" {totals['older']} older than what is stored, {totals['known']} known already."
    )


def _check(settings: Settings, file: Path, checked: IO[str]) -> Counter[str]:
    """Reads the whole file into ``checked``, a document a line; ends the command if a row is bad."""
    from bot.commands.order_csv import Problem, read_orders, unknown_columns

    ignored = unknown_columns(file)
    if ignored:
        note(f"这些列不会导入。 These columns are not read: {', '.join(ignored)}")
    progress, problems = Progress("正在检查 checking, rows:"), 0
    counts: Counter[str] = Counter()
    for found in read_orders(file, settings.timezone, datetime.now(UTC)):
        if isinstance(found, int):
            progress.show(found)
        elif isinstance(found, Problem):
            problems += 1
            if problems <= _TOLD:
                note(str(found))
        else:
            counts[found["type"].removeprefix("order.")] += 1
            if not problems:
                checked.write(json.dumps(found, ensure_ascii=True) + "\n")
    progress.done()
    if problems > _TOLD:
        note(f"…… 以及另外 {problems - _TOLD} 行。 … and {problems - _TOLD} more.")
    if problems:
        fail(f"{problems} 行有问题，什么都没有导入。 {problems} bad rows; nothing was imported.")
    return counts


async def _apply(settings: Settings, checked: IO[str], schedule: bool, events: int) -> Counter[str]:
    from bot.commands.handover import open_runner
    from desk.errors import DeskError

    totals: Counter[str] = Counter({"new": 0, "updated": 0, "older": 0, "known": 0})
    progress = Progress(f"正在导入 importing, of {events:,}:")
    async with open_runner(settings) as command:
        try:
            for batch in _batches(checked):
                totals.update(await command("import_orders", {"events": batch, "schedule_surveys": schedule}))
                progress.show(sum(totals.values()))
        except (DeskError, KeyboardInterrupt):
            note(
                f"导入了 {sum(totals.values())}/{events} 条后中断；再执行一次会接着导入。"
                f" Stopped after {sum(totals.values())} of {events}; running it again goes on from there."
            )
            raise
        finally:
            progress.done()
    return totals


def _batches(checked: IO[str]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    characters = 0
    for line in checked:
        batch.append(json.loads(line))
        characters += len(line)
        if len(batch) >= _BATCH or characters >= _BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


@program.command("link")
def link(
    order_id: Annotated[str, typer.Argument(help="店铺的订单号。 The shop's order id.")],
) -> None:
    """显示订单的专属聊天链接，给这位顾客一个人用。 Show the order's chat link, for that customer alone."""
    from bot.commands.handover import run_command

    settings = quiet_settings()
    try:
        found = run(run_command(settings, "link_order", {"order_id": order_id}))
    except NotFoundError:
        fail(f"没有订单 {order_id}。 There is no order {order_id}.")
    say(found["web"])
