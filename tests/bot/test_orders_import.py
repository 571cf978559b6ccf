"""Orders come from a CSV file: all of it or nothing, once or never twice."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from cli_rig import huiyin
from shop import NOON, Shop, play

from bot.commands.order_csv import COLUMNS, Problem, UnusableFileError, read_orders
from bot.commands.orders import import_orders
from desk.errors import InvalidInputError
from desk.values import OrderStatus

SHANGHAI = ZoneInfo("Asia/Shanghai")
HEADER = ",".join(COLUMNS)
ROW = "A-1,b-1,王女士,13812345678,delivered,2026-11-20 18:05:00,128.00,CNY,顺丰,SF1,S1,保温杯,2,59.00"
SECOND_ITEM = "A-1,b-1,王女士,13812345678,delivered,2026-11-20 18:05:00,128.00,CNY,顺丰,SF1,S2,杯刷,1,10.00"
OTHER = "A-2,b-2,李先生,,已发货,2026/11/19 8:05,50,,,,,,,"


def written(folder: Path, *rows: str, encoding: str = "utf-8", header: str = HEADER) -> Path:
    file = folder / "orders.csv"
    file.write_bytes("\r\n".join((header, *rows, "")).encode(encoding))
    return file


def read(file: Path) -> tuple[list[dict[str, Any]], list[Problem]]:
    found = list(read_orders(file, SHANGHAI, NOON))
    return [each for each in found if isinstance(each, dict)], [
        each for each in found if isinstance(each, Problem)
    ]


# --- What the file says ------------------------------------------------------------------------------


def test_several_rows_of_one_order_are_one_event_with_several_items(tmp_path: Path) -> None:
    documents, problems = read(written(tmp_path, ROW, SECOND_ITEM, OTHER))
    assert problems == []
    assert [document["order"]["id"] for document in documents] == ["A-1", "A-2"]
    assert [item["sku"] for item in documents[0]["order"]["items"]] == ["S1", "S2"]
    assert documents[0]["occurred_at"] == "2026-11-20T10:05:00+00:00"
    assert documents[1]["type"] == "order.shipped"
    assert documents[1]["order"]["currency"] == "CNY"
    assert documents[1]["order"]["items"] == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16"])
def test_every_usual_encoding_means_the_same(tmp_path: Path, encoding: str) -> None:
    plain, _ = read(written(tmp_path, ROW, OTHER))
    again, problems = read(written(tmp_path, ROW, OTHER, encoding=encoding))
    assert problems == []
    assert again == plain


def test_tabs_and_semicolons_separate_too(tmp_path: Path) -> None:
    plain, _ = read(written(tmp_path, ROW, OTHER))
    for sign in "\t;":
        rows = [row.replace(",", sign) for row in (ROW, OTHER)]
        assert read(written(tmp_path, *rows, header=HEADER.replace(",", sign))) == (plain, [])


def test_the_same_row_is_the_same_event_and_a_changed_one_is_another(tmp_path: Path) -> None:
    first, _ = read(written(tmp_path, ROW))
    again, _ = read(written(tmp_path, OTHER, ROW))
    changed, _ = read(written(tmp_path, ROW.replace("128.00", "129.00")))
    assert first[0]["id"] == again[1]["id"]
    assert first[0]["id"].startswith("import:")
    assert first[0]["id"] != changed[0]["id"]


@pytest.mark.parametrize(
    ("row", "column"),
    [
        (ROW.replace("128.00", "¥128"), "amount"),
        (ROW.replace("128.00", "128.001"), "amount"),
        (ROW.replace("128.00", "-1"), "amount"),
        (ROW.replace("59.00", "1e3"), "item_price"),
        (ROW.replace(",2,59", ",0,59"), "item_quantity"),
        (ROW.replace(",2,59", ",二,59"), "item_quantity"),
        (ROW.replace(",2,59", ",,59"), "item_quantity"),
        (ROW.replace("delivered", "done"), "status"),
        (ROW.replace("2026-11-20 18:05:00", "2026-02-30 18:05:00"), "occurred_at"),
        (ROW.replace("2026-11-20 18:05:00", "昨天"), "occurred_at"),
        (ROW.replace("2026-11-20 18:05:00", "2026-11-23 18:05:00"), "occurred_at"),
        (ROW.replace("2026-11-20 18:05:00", "2026-11-20T18:05:00"), ""),
        (ROW.replace("A-1", "1.23457E+17"), "order_id"),
        (ROW.replace("13812345678", "1.38E+10"), "phone"),
        (ROW.replace("A-1", "A" * 129), "order_id"),
        (ROW.replace("A-1", ""), "order_id"),
        (ROW.replace("王女士", "王\x07女士"), "buyer_name"),
        (ROW.replace("CNY", "RMB"), "currency"),
        (ROW + ",more", ""),
    ],
)
def test_a_bad_cell_is_named_by_line_and_column_and_never_quoted(
    tmp_path: Path, row: str, column: str
) -> None:
    documents, problems = read(written(tmp_path, OTHER, row))
    if not column and not problems:
        # A time with a T and no offset is the shop's own time, like one with a blank.
        assert documents[1]["occurred_at"] == "2026-11-20T10:05:00+00:00"
        return
    assert [(problem.line, problem.column) for problem in problems] == [(3, column)]
    assert "王" not in str(problems[0])
    assert "¥" not in str(problems[0])


def test_every_bad_row_is_named(tmp_path: Path) -> None:
    _, problems = read(
        written(tmp_path, ROW.replace("128.00", "x"), OTHER, SECOND_ITEM.replace(",1,10", ",x,10"))
    )
    assert [(problem.line, problem.column) for problem in problems] == [(2, "amount"), (4, "item_quantity")]


def test_rows_of_one_order_must_agree_and_stand_together(tmp_path: Path) -> None:
    _, problems = read(written(tmp_path, ROW, SECOND_ITEM.replace("王女士", "王先生")))
    assert [(problem.line, problem.column) for problem in problems] == [(3, "buyer_name")]
    _, problems = read(written(tmp_path, ROW, OTHER, SECOND_ITEM))
    assert [(problem.line, problem.column) for problem in problems] == [(4, "order_id")]


def test_line_numbers_count_lines_of_the_file_also_after_line_breaks_in_cells(tmp_path: Path) -> None:
    two_lines = ROW.replace("SF1", '"SF\n1"')
    _, problems = read(
        written(tmp_path, OTHER, two_lines, OTHER.replace("A-2", "A-3").replace(",50,", ",x,"))
    )
    assert [(problem.line, problem.column) for problem in problems] == [(3, "tracking_no"), (5, "amount")]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        b"hello\nworld\n",
        HEADER.replace("amount", "amonut").encode() + b"\n",
        HEADER.replace("currency", "currancy").encode() + b"\n",
        (HEADER + ",amount\n").encode(),
        b"PK\x03\x04 an Excel workbook",
        (HEADER + "\n" + ROW + "\n").encode() + b"\xff\xff\xff",
        (HEADER + "\n" + ROW * 2).encode().replace("王".encode(), b"\xe7\x8e"),
        (HEADER + "\n" + '"A-1,b-1' + "\n" + ROW).encode(),
        bytes(range(256)) * 40,
    ],
)
def test_a_file_that_is_no_such_table_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "orders.csv"
    file.write_bytes(content)
    with pytest.raises(UnusableFileError):
        read(file)


# --- What an import does -------------------------------------------------------------------------------


def test_imported_orders_are_asked_about_only_on_request(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        documents, _ = read(written(tmp_path, ROW))
        more, _ = read(written(tmp_path, ROW.replace("A-1", "A-7")))
        await import_orders(shop.installation, {"events": documents})
        await import_orders(shop.installation, {"events": more, "schedule_surveys": True})
        lines = {
            line.order_external_id: line for line in (await shop.reports(lambda r: r.survey_rows(9))).rows
        }
        assert lines["A-1"].skip_reason == "imported"
        assert lines["A-7"].outcome == "pending"
        await shop.later(timedelta(days=2))
        accounting = await shop.reports(lambda r: r.survey_accounting())
        assert dict(accounting.skipped) == {"imported": 1, "nobody_bound": 1}
        assert accounting.balanced

    play(tmp_path, story)


def test_an_import_never_overwrites_what_is_newer(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        await shop.reports_event("refunded", at=NOON)
        documents, _ = read(written(tmp_path, ROW))
        counts = await import_orders(shop.installation, {"events": documents})
        order = await shop.run(lambda unit: unit.orders.lock("A-1"))
        assert order is not None
        assert order.status is OrderStatus.REFUNDED
        assert counts["new"] == 0
        again = await import_orders(shop.installation, {"events": documents})
        assert again == {"new": 0, "updated": 0, "older": 0, "known": 1}

    play(tmp_path, story)


def test_one_bad_event_keeps_a_whole_batch_out(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        documents, _ = read(written(tmp_path, ROW, OTHER))
        documents[1]["order"]["amount"] = 1.5
        with pytest.raises(InvalidInputError):
            await import_orders(shop.installation, {"events": documents})
        assert await shop.run(lambda unit: unit.orders.lock("A-1")) is None

    play(tmp_path, story)


# --- The command ---------------------------------------------------------------------------------------


def test_a_bad_csv_changes_nothing_and_names_the_line(tmp_path: Path) -> None:
    assert huiyin(tmp_path, "migrate").returncode == 0
    before = (tmp_path / "var" / "huiyin.db").read_bytes()
    written(tmp_path, ROW, OTHER.replace(",50,", ",五十,"))
    done = huiyin(tmp_path, "orders", "import", "orders.csv")
    assert done.returncode == 1
    assert "第 3 行 line 3, amount" in done.stderr
    assert "五十" not in done.stderr
    assert (tmp_path / "var" / "huiyin.db").read_bytes() == before


def test_importing_twice_changes_nothing(tmp_path: Path) -> None:
    written(tmp_path, *(ROW.replace("A-1", f"B-{number}") for number in range(250)))
    preview = huiyin(tmp_path, "orders", "import", "orders.csv", "--dry-run")
    assert "250 order events can be imported (delivered 250)" in preview.stdout
    assert not (tmp_path / "var").exists()
    first = huiyin(tmp_path, "orders", "import", "orders.csv")
    assert "250 new orders, 0 updated, 0 older than what is stored, 0 known already" in first.stdout, (
        first.stderr
    )
    report = huiyin(tmp_path, "surveys", "report", "--orders").stdout
    again = huiyin(tmp_path, "orders", "import", "orders.csv", "--schedule-surveys")
    assert "0 new orders, 0 updated, 0 older than what is stored, 250 known already" in again.stdout
    assert huiyin(tmp_path, "surveys", "report", "--orders").stdout == report
    assert report.count("imported") == 250


def test_columns_that_are_not_read_are_told(tmp_path: Path) -> None:
    written(tmp_path, ROW + ",vip", header=HEADER + ",备注")
    done = huiyin(tmp_path, "orders", "import", "orders.csv", "--dry-run")
    assert done.returncode == 0
    assert "备注" in done.stderr
