"""Drawings as a few plain shapes, written as SVG or on paper. Pure.

Lengths are in units of which a drawing is ``WIDTH`` wide, as wide as a telephone, so that words
can be read there. Colours are written on each shape: a file needs no stylesheet. Colour is never
alone: what it says stands beside it as a figure or as words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 360.0
INK, SOFT, EDGE, SAND, WHITE = "#1f2a37", "#4b5563", "#6b7785", "#f3ede3", "#ffffff"
TEAL, AMBER = "#0f766e", "#b45309"
# Each has at least 3:1 beside white, and a lightness of its own.
HUES = (TEAL, AMBER, "#4c6a92", "#7a5195", "#6b8e23", "#a83279")
# From few to many; the words in the last three are white.
HEAT = ("#e6f3f1", "#b8ddd8", "#7cbfb7", "#2b8a81", "#0f766e", "#0b4f4a")
FONT = "system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle; ``fill`` is empty where only its edge is drawn."""

    x: float
    y: float
    width: float
    height: float
    fill: str = TEAL
    stroke: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class Words:
    """One line of text, on its middle line; ``anchor`` is start, middle or end."""

    x: float
    y: float
    text: str
    size: float = 10.5
    anchor: str = "start"
    bold: bool = False
    fill: str = INK


@dataclass(frozen=True, slots=True)
class Ribbon:
    """A band from one height at the left to another at the right."""

    left: float
    right: float
    at_left: float
    at_right: float
    thick: float
    fill: str
    title: str = ""

    def at(self, t: float) -> tuple[float, float]:
        """Return the upper edge's point at ``t`` from 0 to 1, of the curve that SVG draws."""
        s = 1 - t
        a, b, c, d = s**3, 3 * s * s * t, 3 * s * t * t, t**3
        middle = (self.left + self.right) / 2
        x = a * self.left + (b + c) * middle + d * self.right
        return x, (a + b) * self.at_left + (c + d) * self.at_right


@dataclass(frozen=True, slots=True)
class Rule:
    """A straight line."""

    x0: float
    y0: float
    x1: float
    y1: float
    stroke: str = EDGE


Shape = Box | Words | Ribbon | Rule
OPACITY = 0.6  # of ribbons, which cross


@dataclass(frozen=True, slots=True)
class Drawing:
    """``title`` says what it is, ``description`` what it shows, in words."""

    height: float
    title: str
    description: str
    shapes: Sequence[Shape]
    width: float = WIDTH


def to_svg(drawing: Drawing, name: str) -> str:
    """Return an SVG element, whole in itself; ``name`` makes its ids its own."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="picture" '
        f'viewBox="0 0 {drawing.width:g} {drawing.height:g}" width="{2 * drawing.width:g}" '
        f'height="{2 * drawing.height:g}" role="img" aria-labelledby="{name}-t {name}-d" '
        f'font-family="{FONT}">'
        f'<title id="{name}-t">{escape(drawing.title)}</title>'
        f'<desc id="{name}-d">{escape(drawing.description)}</desc>'
    )
    return head + "".join(map(_shape, drawing.shapes)) + "</svg>"


def _shape(shape: Shape) -> str:
    if isinstance(shape, Words):
        weight = ' font-weight="600"' if shape.bold else ""
        return (
            f'<text x="{shape.x:.1f}" y="{shape.y:.1f}" font-size="{shape.size:g}" '
            f'text-anchor="{shape.anchor}" dominant-baseline="central" fill="{shape.fill}"{weight}>'
            f"{escape(shape.text)}</text>"
        )
    if isinstance(shape, Rule):
        return (
            f'<line x1="{shape.x0:.1f}" y1="{shape.y0:.1f}" x2="{shape.x1:.1f}" '
            f'y2="{shape.y1:.1f}" stroke="{shape.stroke}"/>'
        )
    title = f"<title>{escape(shape.title)}</title>" if shape.title else ""
    if isinstance(shape, Ribbon):
        middle = (shape.left + shape.right) / 2
        a, b = shape.at_left, shape.at_right
        under_a, under_b = a + shape.thick, b + shape.thick
        path = (
            f"M{shape.left:g} {a:.1f}C{middle:g} {a:.1f} {middle:g} {b:.1f} {shape.right:g} {b:.1f}"
            f"V{under_b:.1f}C{middle:g} {under_b:.1f} {middle:g} {under_a:.1f} "
            f"{shape.left:g} {under_a:.1f}Z"
        )
        return f'<path d="{path}" fill="{shape.fill}" fill-opacity="{OPACITY}">{title}</path>'
    stroke = f' stroke="{shape.stroke}"' if shape.stroke else ""
    return (
        f'<rect x="{shape.x:.1f}" y="{shape.y:.1f}" width="{shape.width:.1f}" '
        f'height="{shape.height:.1f}" fill="{shape.fill or "none"}"{stroke}>{title}</rect>'
    )
