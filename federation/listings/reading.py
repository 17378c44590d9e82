"""Files that list spaces: CSV, GeoJSON, GoGoCarto's JSON or a SpaceAPI document, as one table.

What kind a file is shows in itself. Nothing in it is trusted: sizes are bounded, and what cannot
be stored or would turn the text around it is left out.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from flask_babel import gettext

from shared.wire.tables import SheetFault, decode, rows

MAX_BYTES = 10 << 20
MAX_ROWS = 50_000
MAX_COLUMNS = 200
LONGEST_CELL = 10_000
DEEPEST = 4
_DELIMITERS = (";", ",", "\t", "|")
# Control characters, and marks that change the direction of the text after them.
_UNSEEN = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_BINARY = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"\x1f\x8b")
LATITUDE, LONGITUDE = "geometry.latitude", "geometry.longitude"


@dataclass(frozen=True, slots=True)
class Row:
    """``place`` is the line it begins on, in a CSV; its number in the list elsewhere, from 1."""

    place: int
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Table:
    kind: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def to_text(content: bytes) -> str:
    """Return the text of a file; what no database keeps is replaced. Raises SheetFault."""
    if len(content) > MAX_BYTES:
        raise SheetFault(gettext("It is larger than %(n)s MB.", n=MAX_BYTES >> 20))
    if content.startswith(_BINARY):
        raise SheetFault(gettext("This is no text: save the list as CSV, in UTF-8."))
    text = decode(content).removeprefix("\ufeff").replace("\x00", "\ufffd")
    if not text.strip():
        raise SheetFault(gettext("The file is empty."))
    return text


def read(text: str) -> Table:
    """Take a file apart. Raises SheetFault, which says to people why it cannot be used."""
    if text.lstrip()[:1] in ("{", "["):
        return _read_json(text)
    if text.lstrip()[:1] == "<":
        raise SheetFault(gettext("This is a web page, not a list of spaces."))
    return _read_csv(text)


def clean(cell: str) -> str:
    """Return a cell as it is kept and shown: one line, without what cannot be seen."""
    return " ".join(_UNSEEN.sub("", unicodedata.normalize("NFC", cell)).split())


def _table(kind: str, found: Sequence[tuple[int, Mapping[str, str]]]) -> Table:
    if not found:
        raise SheetFault(gettext("There is no space in this file."))
    columns = list(dict.fromkeys(name for _, cells in found for name in cells))
    if len(columns) > MAX_COLUMNS:  # as OpenStreetMap's tags come: those that say most are kept
        filled = Counter(name for _, cells in found for name, cell in cells.items() if cell)
        kept = {name for name, _ in filled.most_common(MAX_COLUMNS)}
        columns = [name for name in columns if name in kept]
    return Table(kind, tuple(columns), tuple(Row(place, cells) for place, cells in found))


def _check_count(count: int) -> None:
    if count > MAX_ROWS:
        raise SheetFault(gettext("At most %(n)s spaces at once.", n=MAX_ROWS))


def _read_csv(text: str) -> Table:
    first = next((line for line in text.splitlines() if line.strip()), "")
    lines = rows(text, max(_DELIMITERS, key=first.count))
    header: list[str] = []
    found: list[tuple[int, Mapping[str, str]]] = []
    for place, raw in lines:
        cells = [clean(cell[:LONGEST_CELL]) for cell in raw]
        if not any(cells):
            continue
        if not header:
            header = _names(cells)
            continue
        found.append((place, dict(zip(header, cells, strict=False))))
        _check_count(len(found))
    return _table("csv", found)


def _names(cells: Sequence[str]) -> list[str]:
    """Return the columns' names: none is empty, and no two are the same."""
    names: list[str] = []
    for number, cell in enumerate(cells, 1):
        name = cell[:100] or f"({number})"
        while name in names:
            name = f"{name} ({number})"
        names.append(name)
    return names


def _read_json(text: str) -> Table:
    try:
        document = orjson.loads(text)
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        raise SheetFault(gettext("This is cut off, or not JSON.")) from None
    if isinstance(document, Mapping):
        if isinstance(document.get("features"), list):
            return _entries("geojson", document["features"])
        if isinstance(document.get("space"), str):
            return _entries("spaceapi", [document])
        if document.get("type") == "Feature":
            return _entries("geojson", [document])
        document = document.get("data")
    if isinstance(document, list):
        return _entries("gogocarto", document)
    raise SheetFault(gettext("This JSON holds no list of spaces that is known here."))


def _entries(kind: str, entries: Sequence[Any]) -> Table:
    _check_count(len(entries))
    found: list[tuple[int, Mapping[str, str]]] = []
    for number, entry in enumerate(entries, 1):
        flat = _feature(entry) if kind == "geojson" else _flat(entry)
        cells = {clean(name[:100]): clean(cell[:LONGEST_CELL]) for name, cell in flat if name}
        found.append((number, {name: cell for name, cell in cells.items() if cell}))
    return _table(kind, found)


def _feature(entry: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(entry, Mapping):
        return
    yield from _flat({"id": entry.get("id")})
    yield from _flat(entry.get("properties"))
    place = _middle(entry.get("geometry"))
    if place is not None:
        yield LONGITUDE, str(place[0])
        yield LATITUDE, str(place[1])


def _middle(geometry: Any) -> tuple[float, float] | None:
    """Return the middle of a geometry's bounds: longitude and latitude."""
    points = list(_points(geometry.get("coordinates"))) if isinstance(geometry, Mapping) else []
    if not points:
        return None
    across, up = zip(*points, strict=True)
    return (
        round((min(across) + max(across)) / 2, 6),
        round((min(up) + max(up)) / 2, 6),
    )


def _points(coordinates: Any, depth: int = 0) -> Iterator[tuple[float, float]]:
    if not isinstance(coordinates, list) or depth > DEEPEST:
        return
    numbers = coordinates[:2]
    if len(numbers) == 2 and all(type(each) in (int, float) for each in numbers):
        yield float(numbers[0]), float(numbers[1])
        return
    for each in coordinates:
        yield from _points(each, depth + 1)


def _flat(value: Any, name: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """Yield what a JSON value holds by dotted names; a list is one text, in parts by semicolons."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if depth < DEEPEST:
                yield from _flat(inner, f"{name}.{key}" if name else str(key), depth + 1)
    elif isinstance(value, list):
        parts = [part.get("name") if isinstance(part, Mapping) else part for part in value[:100]]
        yield name, "; ".join(_scalar(part) for part in parts if _scalar(part))
    elif name:
        yield name, _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else ""
