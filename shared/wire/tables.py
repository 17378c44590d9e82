"""Tables as spreadsheets write them: read without trust, and written without harm."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from flask_babel import gettext

# What a spreadsheet takes for the beginning of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class SheetFault(ValueError):
    """The whole file cannot be used; says why, to people."""


def decode(content: bytes) -> str:
    """Return a file's text: UTF-8, UTF-16 by its mark, else Windows-1252. Raises SheetFault."""
    try:
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            return content.decode("utf-16")
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError:
            return content.decode("cp1252")
    except UnicodeDecodeError:
        words = gettext("This is no text: save the list as CSV, in UTF-8.")
        raise SheetFault(words) from None


def rows(text: str, delimiter: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield the line that each row begins on, as an editor counts them, and its cells.

    Raises SheetFault.
    """
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    number = 1
    try:
        for cells in lines:
            yield number, tuple(_plain(cell) for cell in cells)
            number = lines.line_num + 1
    except csv.Error:
        words = gettext("Line %(n)s cannot be read: are its quotes closed?", n=number)
        raise SheetFault(words) from None


def _plain(cell: str) -> str:
    """Return a cell without the spaces around it, nor the mark that ``harmless`` puts before it."""
    cell = " ".join(cell.split())
    return cell[1:] if cell[:1] == "'" and cell[1:].startswith(_FORMULA) else cell


def harmless(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
