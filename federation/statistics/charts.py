"""The pictures as drawings: what is kept back is drawn as an empty frame. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from federation.statements import flows as sankey
from federation.statistics import chart_shapes
from federation.statistics.chart_shapes import Box, Drawing, Ribbon, Rule, Shape, Words

LABELS = 118.0  # where names stand, at the left
LINE = 34.0


def short(name: str, most: int = 18) -> str:
    return name if len(name) <= most else f"{name[: most - 1].rstrip()}…"


def flows(
    matrix: Mapping[tuple[str, str], int], names: Mapping[str, str], title: str, description: str
) -> Drawing | None:
    """Draw half-days by (home, host); ``names`` has one for ``OTHERS`` too."""
    found = sankey.picture(matrix)
    if found is None:
        return None
    left, right = sankey.LABELS + sankey.BAR, sankey.WIDTH - sankey.LABELS - sankey.BAR
    drawn: list[Shape] = [
        Ribbon(
            left,
            right,
            each.at_home,
            each.at_host,
            each.thick,
            chart_shapes.HUES[each.hue],
            f"{names.get(each.home, each.home)} → {names.get(each.host, each.host)}: "
            f"{each.half_days}",
        )
        for each in found.ribbons
    ]
    for bars, x, words, anchor in (
        (found.homes, sankey.LABELS, sankey.LABELS - 5, "end"),
        (found.hosts, right, right + sankey.BAR + 5, "start"),
    ):
        for bar in bars:
            name, middle = short(names.get(bar.id, bar.id), 16), bar.y + bar.height / 2
            text = f"{name} {bar.half_days}" if anchor == "end" else f"{bar.half_days} {name}"
            drawn.append(Box(x, bar.y, sankey.BAR, bar.height, chart_shapes.SOFT))
            drawn.append(Words(words, middle, text, anchor=anchor))
    return Drawing(found.height + 2, title, description, drawn)


@dataclass(frozen=True, slots=True)
class Column:
    """One column in time: ``value`` is None where it is kept back, ``whole`` false if not over.

    ``mark`` is what stands below it; often nothing.
    """

    label: str
    value: int | None
    whole: bool = True
    mark: str = ""


def columns(found: Sequence[Column], title: str, description: str) -> Drawing:
    """Draw columns side by side, with the highest figure at the left."""
    left, top, height = 34.0, 12.0, 150.0
    step = (chart_shapes.WIDTH - left - 4) / max(1, len(found))
    most = max((each.value or 0 for each in found), default=0) or 1
    base = top + height
    drawn: list[Shape] = [
        Rule(left, base, chart_shapes.WIDTH - 2, base),
        Rule(left, top, chart_shapes.WIDTH - 2, top, chart_shapes.SAND),
        Words(left - 5, top, str(most), anchor="end"),
        Words(left - 5, base, "0", anchor="end"),
    ]
    for n, each in enumerate(found):
        x, width = left + 2 + n * step, max(1.0, min(step * 0.8, 28))
        if each.value is None:
            drawn.append(Box(x, base - 6, width, 6, "", chart_shapes.EDGE, each.label))
        elif each.value:
            tall = max(1.5, each.value / most * height)
            fill, stroke = (
                (chart_shapes.TEAL, "") if each.whole else (chart_shapes.HEAT[0], chart_shapes.TEAL)
            )
            title_ = f"{each.label}: {each.value}"
            drawn.append(Box(x, base - tall, width, tall, fill, stroke, title_))
        if each.mark:
            drawn.append(Words(x, base + 11, each.mark, 9.5, fill=chart_shapes.SOFT))
    return Drawing(base + 20, title, description, drawn)


@dataclass(frozen=True, slots=True)
class Square:
    """One field of a heat table: ``share`` of one, None where unknown; and what stands in it."""

    share: float | None
    head: str
    sub: str
    title: str


STEPS = (0.05, 0.15, 0.3, 0.5, 0.75)  # from which share on the next colour is


def heat(
    heads: Sequence[str],
    rows: Sequence[tuple[str, Sequence[Square]]],
    title: str,
    description: str,
) -> Drawing:
    """Draw a table whose fields are the darker the fuller; each says its figures."""
    left, top, high = 36.0, 20.0, 44.0
    wide = (chart_shapes.WIDTH - left) / len(heads)
    drawn: list[Shape] = [
        Words(left + (n + 0.5) * wide, 9, head, anchor="middle", bold=True)
        for n, head in enumerate(heads)
    ]
    for n, (name, squares) in enumerate(rows):
        y = top + n * high
        drawn.append(Words(0, y + high / 2, name, 9.5, bold=True))
        for m, square in enumerate(squares):
            x = left + m * wide
            step = -1 if square.share is None else sum(square.share >= s for s in STEPS)
            fill = "" if step < 0 else chart_shapes.HEAT[step]
            edge = chart_shapes.EDGE if step < 0 else ""
            ink = chart_shapes.WHITE if step >= 3 else chart_shapes.INK
            middle = x + wide / 2 - 1
            drawn += [
                Box(x, y, wide - 2, high - 2, fill, edge, square.title),
                Words(middle, y + high / 2 - 8, square.head, 11, "middle", bold=True, fill=ink),
                Words(middle, y + high / 2 + 8, square.sub, 8.5, "middle", fill=ink),
            ]
    return Drawing(top + high * len(rows), title, description, drawn)


@dataclass(frozen=True, slots=True)
class Track:
    """One name's figures over time, None where kept back, and what stands at the end."""

    name: str
    values: Sequence[int | None]
    end: str


def tracks(heads: Sequence[str], found: Sequence[Track], title: str, description: str) -> Drawing:
    """Draw each name's figures above or below a line of its own, all to one scale."""
    top, right = 18.0, 46.0
    step = (chart_shapes.WIDTH - LABELS - right) / max(1, len(heads))
    most = max((abs(value or 0) for track in found for value in track.values), default=0) or 1
    every = max(1, -(-len(heads) // 6))
    drawn: list[Shape] = [
        Words(LABELS + n * step, 8, head, 9, fill=chart_shapes.SOFT)
        for n, head in enumerate(heads)
        if n % every == 0
    ]
    signed = any((value or 0) < 0 for track in found for value in track.values)
    for n, track in enumerate(found):
        y = top + n * LINE
        base = y + (LINE / 2 if signed else LINE - 3)
        room = LINE / 2 - 3 if signed else LINE - 8
        drawn.append(Words(0, base if signed else y + LINE / 2, short(track.name)))
        drawn.append(Rule(LABELS, base, chart_shapes.WIDTH - right + 4, base))
        for m, value in enumerate(track.values):
            x, width = LABELS + m * step, max(1.5, min(step * 0.75, 22))
            label = f"{track.name}, {heads[m]}"
            if value is None:
                drawn.append(
                    Box(x, base - 2.5, width, 5, chart_shapes.WHITE, chart_shapes.EDGE, label)
                )
            elif value:
                tall = max(1.5, abs(value) / most * room)
                fill, at = (
                    (chart_shapes.TEAL, base - tall) if value > 0 else (chart_shapes.AMBER, base)
                )
                drawn.append(Box(x, at, width, tall, fill, "", f"{label}: {value}"))
        drawn.append(
            Words(
                chart_shapes.WIDTH,
                base if signed else y + LINE / 2,
                track.end,
                anchor="end",
                bold=True,
            )
        )
    return Drawing(top + LINE * max(1, len(found)) + 2, title, description, drawn)


@dataclass(frozen=True, slots=True)
class Bar:
    """One name's parts, one after the other (None: kept back), and what stands at the end."""

    name: str
    parts: Sequence[int | None]
    end: str


# Parts of a bar differ by lightness, and each is framed.
PARTS = (chart_shapes.TEAL, chart_shapes.AMBER, "#d5dbde", chart_shapes.WHITE)


def bars(kinds: Sequence[str], found: Sequence[Bar], title: str, description: str) -> Drawing:
    """Draw bars side by side, all to one scale; ``kinds`` names the parts, if there are several."""
    right, high = 44.0, 22.0
    drawn: list[Shape] = []
    top = 0.0
    for n, kind in enumerate(kinds if len(kinds) > 1 else ()):
        y: float = 8 + 15 * n
        drawn.append(Box(0, y - 5, 10, 10, PARTS[n], chart_shapes.EDGE))
        drawn.append(Words(16, y, kind, 9.5))
        top = y + 14
    most = max((sum(part or 0 for part in bar.parts) for bar in found), default=0) or 1
    scale = (chart_shapes.WIDTH - LABELS - right) / most
    for n, bar in enumerate(found):
        x, y = LABELS, top + n * high
        drawn.append(Words(0, y + high / 2, short(bar.name)))
        for m, part in enumerate(bar.parts):
            stroke = chart_shapes.EDGE if len(bar.parts) > 1 else ""
            if part is None:
                drawn.append(Box(x, y + 7, 6, high - 14, "", chart_shapes.EDGE, bar.name))
                x += 7
            elif part:
                wide = max(1.0, part * scale)
                label = f"{bar.name}{', ' + kinds[m] if len(kinds) > 1 else ''}: {part}"
                drawn.append(Box(x, y + 3, wide, high - 6, PARTS[m], stroke, label))
                x += wide
        drawn.append(Words(chart_shapes.WIDTH, y + high / 2, bar.end, anchor="end", bold=True))
    return Drawing(top + high * max(1, len(found)) + 2, title, description, drawn)
