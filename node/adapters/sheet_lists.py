"""Lists of prices and of rooms: known by their names, checked as a publication is."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from flask_babel import gettext
from marshmallow import Schema, ValidationError
from sqlalchemy.orm import Session

from node.adapters.spreadsheet import HEADINGS, Line, Trial, told
from node.members.names import fold
from node.members.sheet import Table
from node.spaces.forms import parse_money
from node.spaces.models import Price, Room, Space
from shared.wire.error_messages import translate
from shared.wire.spaces import MOST_PRICES, PriceSchema, RoomSchema

_UNITS = {
    "hour": "hour|an hour|h|heure|une heure|l heure",
    "half_day": "half day|a half day|demi journee|une demi journee|demi jour",
    "day": "day|a day|jour|journee|un jour|une journee",
    "month": "month|a month|mois|un mois|mensuel|monthly",
    "quarter": "quarter|a quarter|trimestre|un trimestre|trimestriel",
    "year": "year|a year|an|annee|un an|annuel|yearly",
    "pack": "pack|a pack|carnet|un carnet|tickets|carnet de demi journees",
}
_KINDS = {
    "open_space": "open space|open space desks|espace ouvert|plateau|coworking",
    "office": "office|bureau|bureau ferme",
    "meeting": "meeting|meeting room|salle de reunion|reunion",
    "kitchen": "kitchen|cuisine",
    "event": "event|event room|salle d evenement|evenement|evenementiel",
    "other": "|other|autre",
}
_SCHEMAS: dict[str, Schema] = {"prices": PriceSchema(), "rooms": RoomSchema()}
_FIELDS = {"cents": "amount"}


def examine(
    session: Session, space: Space, table: Table, columns: Mapping[str, int], what: str
) -> Trial:
    """Return what each line would do; ``what`` is prices or rooms."""
    del session
    rows: Sequence[Any] = space.prices if what == "prices" else space.rooms
    name = "label" if what == "prices" else "name"
    held = {fold(getattr(row, name)): row for row in rows}
    seen: dict[str, int] = {}
    lines, count = [], len(rows)
    for number, cells in table.rows:
        given = told(what, cells, columns)
        line = Line(number, given[name][:120])
        values = _values(line, given, what)
        if values is not None:
            key = fold(values[name])
            before = seen.setdefault(key, number)
            if before != number:
                line.faults.append(gettext("The same name as on line %(n)s.", n=before))
            else:
                line.values = values
                line.compare(held.get(key), what)
        count += line.kind == "new"
        if line.kind == "new" and count > MOST_PRICES:
            line.kind = "fault"
            line.faults.append(gettext("A sheet holds at most %(n)s of them.", n=MOST_PRICES))
        lines.append(line)
    return Trial(tuple(lines))


def _values(line: Line, cells: Mapping[str, str], what: str) -> dict[str, Any] | None:
    """Return the columns of a line, or None and what is wrong with it."""
    given: dict[str, Any] = {}
    readers = _READERS[what]
    for name, text in cells.items():
        try:
            given |= readers[name](text)
        except ValueError:
            words = gettext("“%(text)s” is not understood.", text=text[:40])
            line.faults.append(_at(what, name, words))
    if line.faults:
        return None
    try:
        _SCHEMAS[what].load(given)
    except ValidationError as error:
        for name, messages in error.normalized_messages().items():
            line.faults += [_at(what, _FIELDS.get(name, name), translate(m)) for m in messages]
        return None
    return given


def _at(what: str, name: str, words: str) -> str:
    return gettext("%(what)s: %(why)s", what=HEADINGS[what][name], why=words)


def _text(column: str) -> Callable[[str], dict[str, Any]]:
    return lambda text: {column: text}


def _whole(column: str) -> Callable[[str], dict[str, Any]]:
    def read(text: str) -> dict[str, Any]:
        plain = re.sub(r"[\s\u00a0\u202f]|m²|m2", "", text)
        return {column: int(plain) if plain else None}

    return read


def _one_of(column: str, names: Mapping[str, str]) -> Callable[[str], dict[str, Any]]:
    known = {name: value for value, many in names.items() for name in many.split("|")}

    def read(text: str) -> dict[str, Any]:
        folded = fold(re.sub(r"[-_’']+", " ", text))
        if folded not in known and text not in names:
            raise ValueError(text)
        return {column: known.get(folded, text)}

    return read


_READERS: dict[str, dict[str, Callable[[str], dict[str, Any]]]] = {
    "prices": {
        "label": _text("label"),
        "amount": lambda text: {"cents": parse_money(text)},
        "unit": _one_of("unit", _UNITS),
        "quantity": lambda text: {"quantity": int(text) if text else 1},
    },
    "rooms": {
        "name": _text("name"),
        "kind": _one_of("kind", _KINDS),
        "seats": _whole("seats"),
        "area_m2": _whole("area_m2"),
    },
}


def write(session: Session, space: Space, trial: Trial, now: datetime, what: str) -> None:
    """Write what a trial said, within the caller's transaction."""
    del session
    kind, rows = (Price, space.prices) if what == "prices" else (Room, space.rooms)
    place = max((row.place for row in rows), default=-1)
    for line in trial.of("new"):
        place += 1
        rows.append(kind(place=place, **line.values))  # type: ignore[arg-type]
    for line in trial.of("changed"):
        for name, value in line.values.items():
            setattr(line.row, name, value)
    space.updated_at = now
