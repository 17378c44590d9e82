"""The year's report to print and to send: PDF with the drawings as shapes and text as text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from flask_babel import gettext

from federation.statistics.chart_shapes import OPACITY, Box, Drawing, Ribbon, Rule, Shape, Words
from federation.statistics.statistic import Picture, Value, brief
from federation.statistics.yearly_report import Report, method, standing
from shared.web.formats import day as on_day
from shared.wire.pdf import MARGIN_MM, SOFT, TEAL, Paper

TALLEST_MM, WIDEST_MM = 130.0, 150.0
POINT_MM = 0.3528
MOST_ROWS = 60  # of a table; the CSV has them all


def as_pdf(report: Report, network: str, language: str, made_at: datetime) -> bytes:
    """Return the report in one language, with the network's name."""
    paper = Paper(report.title, language, made_at)
    paper.set_author(network)
    paper.write_line(network, 13, bold=True, colour=TEAL, after=3)
    paper.write_line(report.title, 22, bold=True, after=1)
    paper.write_line(standing(report), 10, colour=SOFT, after=5)
    for paragraph in report.paragraphs:
        paper.write_line(paragraph, 12, after=3)
    for picture in report.pictures:
        _write_picture(paper, picture)
    _write_ground(paper, report, language)
    return paper.to_bytes()


def _write_picture(paper: Paper, picture: Picture) -> None:
    drawing = picture.drawing
    scale = _scale(drawing) if drawing else 0.0
    needed = 45 + (drawing.height * scale if drawing else 0)
    paper.ln(3)
    if paper.will_page_break(min(needed, 240)):
        paper.add_page()
    paper.write_line(picture.title, 15, bold=True, after=1)
    paper.write_line(picture.sentence, 11, after=3)
    if drawing:
        draw(paper, drawing, paper.l_margin, paper.get_y(), scale)
        paper.set_y(paper.get_y() + drawing.height * scale + 4)
    _write_rows(paper, picture)
    for name, month, words in picture.replies:
        paper.write_line(f"« {words} »", 10, after=0.5)
        paper.write_line(f"{name}, {month}", 9, colour=SOFT)
    for note in picture.notes:
        paper.write_line(note, 8.5, colour=SOFT, after=1)


def _scale(drawing: Drawing) -> float:
    """Return millimetres for a unit."""
    return min(WIDEST_MM / drawing.width, TALLEST_MM / drawing.height)


def _write_rows(paper: Paper, picture: Picture) -> None:
    rows = picture.page_rows[:MOST_ROWS]
    if not rows:
        return
    columns = len(picture.page_heads)
    numbers = [n for n in range(columns) if not isinstance(rows[0][n], str)]
    size = 8.5 if columns <= 6 else 7.0 if columns <= 10 else 5.8
    widths = [2.6 if n == 0 else 1.2 if n in numbers else 1.6 for n in range(columns)]
    paper.write_table(
        picture.page_heads, [_cells(row) for row in rows], widths, numbers=numbers, size=size
    )
    if len(picture.page_rows) > MOST_ROWS:
        paper.write_line(gettext("The rest is in the CSV file."), 8.5, colour=SOFT)


def _cells(row: Sequence[Value]) -> list[str]:
    return [brief(value) for value in row]


def _write_ground(paper: Paper, report: Report, language: str) -> None:
    """Write what the figures rest on: charter, values, spaces, method."""
    paper.add_page()
    paper.write_line(gettext("The charter and the values"), 15, bold=True)
    since = on_day(report.charter.effective_at) if report.charter.effective_at else "–"
    paper.write_line(
        gettext(
            "Version %(version)s of the charter, in force since %(day)s, signed by %(number)s.",
            version=report.charter.version,
            day=since,
            number=report.signed,
        ),
        11,
    )
    for value, count in report.values:
        said = gettext("%(number)s spaces say where they stand", number=count)
        paper.write_runs(f"<strong>{value.names[language]}</strong> – {said}", mark="•")
    paper.ln(3)
    paper.write_line(gettext("The spaces"), 15, bold=True)
    heads = (gettext("Town"), gettext("Space"), gettext("Operator"))
    rows = [(town, name, operator) for name, town, operator in report.spaces]
    paper.write_table(heads, rows, (2, 3, 3), size=8.5)
    if report.listed:
        words = gettext("Listed on the map besides, without a node: %(n)s.", n=report.listed)
        paper.write_line(words, 9, colour=SOFT)
    if paper.will_page_break(70):
        paper.add_page()
    paper.write_line(gettext("How these figures are made"), 15, bold=True)
    for line in method():
        paper.write_line(line, 10.5)


# Drawing


def draw(paper: Paper, drawing: Drawing, left: float, top: float, scale: float) -> None:
    """Draw shapes; a unit is ``scale`` mm. They fit on the page, which the caller sees to."""
    paper.set_auto_page_break(auto=False)
    paper.set_line_width(0.2)
    for shape in drawing.shapes:
        _draw(paper, shape, left, top, scale)
    paper.set_fill_color(255, 255, 255)  # a table's cells are filled with it
    paper.set_auto_page_break(auto=True, margin=MARGIN_MM)


def _colour(code: str) -> tuple[int, int, int]:
    return int(code[1:3], 16), int(code[3:5], 16), int(code[5:7], 16)


def _draw(paper: Paper, shape: Shape, left: float, top: float, scale: float) -> None:
    if isinstance(shape, Rule):
        paper.set_draw_color(*_colour(shape.stroke))
        ends = (left + shape.x0 * scale, top + shape.y0 * scale)
        paper.line(*ends, left + shape.x1 * scale, top + shape.y1 * scale)
    elif isinstance(shape, Words):
        _write(paper, shape, left, top, scale)
    elif isinstance(shape, Box):
        style = ("D" if shape.stroke else "") + ("F" if shape.fill else "")
        if shape.stroke:
            paper.set_draw_color(*_colour(shape.stroke))
        if shape.fill:
            paper.set_fill_color(*_colour(shape.fill))
        corner = left + shape.x * scale, top + shape.y * scale
        paper.rect(*corner, shape.width * scale, shape.height * scale, style=style)
    else:
        _draw_ribbon(paper, shape, left, top, scale)


def _write(paper: Paper, words: Words, left: float, top: float, scale: float) -> None:
    size = words.size * scale / POINT_MM
    paper.set_font("sans", "B" if words.bold else "", size)
    paper.set_text_color(*_colour(words.fill))
    wide = paper.get_string_width(words.text)
    x = left + words.x * scale - {"start": 0.0, "middle": wide / 2, "end": wide}[words.anchor]
    paper.text(x, top + words.y * scale + size * POINT_MM * 0.36, words.text)


def _draw_ribbon(paper: Paper, ribbon: Ribbon, left: float, top: float, scale: float) -> None:
    upper = [ribbon.at(n / 24) for n in range(25)]
    lower = [(x, y + ribbon.thick) for x, y in reversed(upper)]
    paper.set_fill_color(*_colour(ribbon.fill))
    with paper.local_context(fill_opacity=OPACITY):
        paper.polygon([(left + x * scale, top + y * scale) for x, y in (*upper, *lower)], style="F")
