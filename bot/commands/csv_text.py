"""Opening a CSV file as people's programs write them: UTF-8 with or without a mark, GBK, commas or tabs."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from desk.errors import InvalidInputError

_PIECE = 1024 * 1024
# GBK text hardly ever looks like valid UTF-8 for so many characters: then it is UTF-8 with a fault.
_SURELY_UTF8 = 8
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
LONGEST_CELL = 10_000


def find_encoding(path: Path) -> str:
    """The encoding of the whole file: ``utf-8-sig``, ``gb18030`` (of which GBK is a part) or ``utf-16``.

    Raises:
        InvalidInputError: It is none of them; the field names the line.
    """
    with path.open("rb") as file:
        start = file.read(4)
    if start in _WORKBOOKS:
        raise InvalidInputError(
            "line 1", "this is an Excel workbook; save it as 'CSV UTF-8 (comma delimited)' and try again"
        )
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        bad_line, _ = _first_fault(path, "utf-16")
        if bad_line is not None:
            raise InvalidInputError(f"line {bad_line}", "is broken UTF-16; save the file as 'CSV UTF-8'")
        return "utf-16"
    bad_line, decoded = _first_fault(path, "utf-8")
    if bad_line is None:
        return "utf-8-sig"
    surely = start.startswith(codecs.BOM_UTF8) or decoded >= _SURELY_UTF8
    if not surely and _first_fault(path, "gb18030")[0] is None:
        return "gb18030"
    raise InvalidInputError(
        f"line {bad_line}", "is neither UTF-8 nor GBK; save the file as 'CSV UTF-8' and try again"
    )


def _first_fault(path: Path, encoding: str) -> tuple[int | None, int]:
    """The first line that cannot be decoded, or None; and how many non-ASCII characters came before."""
    decoder = codecs.getincrementaldecoder(encoding)()
    line, seen = 1, 0
    with path.open("rb") as file:
        while True:
            piece = file.read(_PIECE)
            state = decoder.getstate()
            try:
                text = decoder.decode(piece, final=not piece)
            except UnicodeDecodeError as error:
                decoder.setstate(state)
                good = bytes(error.object[: error.start])
                text = good.decode(encoding, errors="ignore")
                return line + text.count("\n"), seen + sum(not each.isascii() for each in text)
            line += text.count("\n")
            if not text.isascii():
                seen += sum(not each.isascii() for each in text)
            if not piece:
                return None, seen


@contextmanager
def open_rows(path: Path) -> Iterator[Iterator[tuple[int, list[str]]]]:
    """Yields the rows that are not blank, each with the number of the line on which it starts.

    The delimiter is a comma, a tab or a semicolon, whichever the first line has most of.

    Raises:
        InvalidInputError: Encoding or quoting is broken; the field names the line.
    """
    encoding = find_encoding(path)
    with path.open(encoding=encoding, newline="") as file:
        # The length bounds what a file without line ends may cost.
        first = file.readline(_PIECE)
        file.seek(0)
        delimiter = max(",\t;", key=first.count)
        reader = csv.reader(file, delimiter=delimiter, strict=True)

        def rows() -> Iterator[tuple[int, list[str]]]:
            line = 1
            try:
                for row in reader:
                    if any(cell.strip() for cell in row):
                        yield line, row
                    line = reader.line_num + 1
            except csv.Error:
                raise InvalidInputError(
                    f"line {line}", "its quotation marks do not match; a quoted cell ends with one"
                ) from None
            except UnicodeError:
                raise InvalidInputError(f"line {line}", "holds bytes that are no text") from None

        yield rows()
