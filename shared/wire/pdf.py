"""What is made to be printed: PDF pages with the common look.

Fonts carry Latin, Greek and Cyrillic; codes are drawn as shapes, sharp at any size.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from html import unescape
from pathlib import Path

import segno
from fpdf import FPDF

FONTS = Path(__file__).parents[1] / "web" / "static" / "vendor" / "dejavu-fonts-ttf" / "ttf"
INK, SOFT, TEAL, SAND = (31, 42, 55), (75, 85, 99), (15, 118, 110), (250, 247, 242)
MARGIN_MM = 20.0
_LINE = 0.3528 * 1.4  # mm of a point, times the height of a line
_QUIET = 4  # modules of white around a code


class Paper(FPDF):
    """One document; sizes are in points, places and lengths in millimetres."""

    def __init__(
        self, title: str, language: str, made_at: datetime, size: tuple[float, float] | str = "A4"
    ) -> None:
        super().__init__(format=size)
        self.add_font("sans", "", FONTS / "DejaVuSans.ttf")
        self.add_font("sans", "B", FONTS / "DejaVuSans-Bold.ttf")
        self.set_title(title)
        self.set_lang(language)
        self.set_creation_date(made_at)
        self.set_margin(MARGIN_MM)
        self.set_auto_page_break(auto=True, margin=MARGIN_MM)
        self.add_page()

    def write_line(
        self,
        text: str,
        size: float = 11,
        *,
        bold: bool = False,
        colour: tuple[int, int, int] = INK,
        align: str = "L",
        after: float = 2,
        width: float = 0,
    ) -> None:
        """Write a paragraph and go below it, ``after`` mm further."""
        self.set_font("sans", "B" if bold else "", size)
        self.set_text_color(*colour)
        self.multi_cell(width, size * _LINE, text, align=align, new_x="LMARGIN", new_y="NEXT")
        self.ln(after)

    def write_runs(self, html: str, size: float = 10.5, *, mark: str = "") -> None:
        """Write a paragraph whose bold words are in ``<strong>``; ``mark`` hangs before it."""
        left = self.l_margin
        height = size * _LINE * 1.1
        self.set_text_color(*INK)
        if mark:
            self.set_font("sans", "", size)
            self.cell(5, height, mark)
            self.set_left_margin(left + 5)
        for n, run in enumerate(re.split("</?strong>", html)):
            self.set_font("sans", "B" if n % 2 else "", size)
            self.write(height, unescape(run))
        self.set_left_margin(left)
        self.ln(height + 1.5)

    def write_facts(self, facts: list[tuple[str, str]], label_width: float = 48) -> None:
        """Write names and values, one pair below the other."""
        for label, value in facts:
            top = self.get_y()
            self.set_font("sans", "", 9.5)
            self.set_text_color(*SOFT)
            self.multi_cell(label_width, 6.5, label, align="L", new_x="LEFT", new_y="NEXT")
            below = self.get_y()
            self.set_xy(self.l_margin + label_width, top)
            self.set_font("sans", "", 11)
            self.set_text_color(*INK)
            self.multi_cell(0, 6.5, value, align="L", new_x="LMARGIN", new_y="NEXT")
            self.set_y(max(below, self.get_y()) + 1)

    def write_table(
        self,
        heads: Sequence[str],
        rows: Sequence[Sequence[str]],
        widths: Sequence[float],
        *,
        numbers: Sequence[int] = (),
        size: float = 9.5,
    ) -> None:
        """Write a table across the page; ``numbers`` are the columns set to the right."""
        self.set_font("sans", "", size)
        self.set_text_color(*INK)
        self.set_draw_color(228, 219, 204)
        align = ["RIGHT" if n in numbers else "LEFT" for n in range(len(heads))]
        with self.table(
            col_widths=tuple(widths),
            text_align=tuple(align),
            borders_layout="HORIZONTAL_LINES",
            line_height=size * _LINE * 1.25,
        ) as table:
            table.row(heads)
            for row in rows:
                table.row(row)
        self.ln(5)

    def draw_code(self, text: str, x: float, y: float, side: float) -> None:
        """Draw a QR code with its quiet zone, ``side`` mm wide."""
        rows = list(segno.make(text, error="m", micro=False).matrix)
        module = side / (len(rows) + 2 * _QUIET)
        self.set_fill_color(255, 255, 255)
        self.rect(x, y, side, side, style="F")
        self.set_fill_color(0, 0, 0)
        for row, line in enumerate(rows):
            start = None
            for column, dark in enumerate([*line, 0]):  # one shape for a run: no seams in print
                if dark and start is None:
                    start = column
                elif not dark and start is not None:
                    left, width = x + (start + _QUIET) * module, (column - start) * module
                    self.rect(left, y + (row + _QUIET) * module, width, module * 1.01, style="F")
                    start = None

    def to_bytes(self) -> bytes:
        return bytes(self.output())
