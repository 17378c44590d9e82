"""Rows for whatever tables there are, at whatever revision: odd texts, and empty columns."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import JSON, Connection, MetaData, Table, insert, inspect

from shared.ops.backup import RawJson

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
NASTY = "L’été\n«\u2028» \"'\\ \U0001f6aa;=cmd"
ROWS = 3

Rows = dict[str, list[dict[str, Any]]]

# What a column can only be, row by row.
GIVEN: Mapping[tuple[str, str], Sequence[Any]] = {
    ("half_day_line", "quantity"): [1, -1, 1],
    ("statement", "state"): ["issued", "final", "final"],
    ("assessment", "level"): [1, 2, 3],
}
# What only one row may say, and so none of a later batch, and what those say.
ONCE = {("charter_version", "state"): "past"}
# Whole numbers, as text.
NUMBERS = {("charter_version", "version")}

# In which rows a column is empty: a space has a node, or else a source; who waits has no answer.
EMPTY = {
    ("space", "node_id"): {2},
    ("space", "source_id"): {0, 1},
    ("space", "source_key"): {0, 1},
    ("join_request", "decided_at"): {0},
    ("join_request", "invitation_id"): {0, 2},
    ("report", "email"): {0, 1, 2},
    ("half_day_line", "reverses_id"): {0, 2},
    ("statement", "final_at"): {0},
    ("dispute", "decided_at"): {0},
    ("dispute", "of_host"): {0, 1, 2},
    ("host_dispute", "decided_at"): {0},
}

# Of these there is one row.
ALONE = {"enrolment", "memory", "trust_list"}


def fill(connection: Connection, metadata: MetaData, batch: int = 0) -> Rows:
    """Put three rows into every table of ``metadata``, others in each batch; return them.

    A table that there is one row of gets it in the first batch.
    """
    kept: Rows = {}
    for table in metadata.sorted_tables:
        name = str(table.name)
        if batch and name in ALONE:
            continue
        if "allowed" not in table.info:
            table.info["allowed"] = _allowed(connection, name)
        kept[name] = _rows(table, table.info["allowed"], kept, batch)
        connection.execute(insert(table), kept[name])
    return kept


def _allowed(connection: Connection, table: str) -> dict[str, list[str]]:
    """Return the words that a column may hold, by its check constraints."""
    found = {}
    for check in inspect(connection).get_check_constraints(table):
        listed = re.search(r"(\w+)\W.*?(?:IN \(|ANY )(.*)", check["sqltext"], re.DOTALL)
        words = re.findall(r"'([^']*)'", listed[2]) if listed else []
        if listed and words:
            found[listed[1]] = words
    return found


def _value(column: Any, number: int, words: list[str] | None) -> Any:
    place = number % ROWS
    if isinstance(column.type, RawJson | JSON):
        odd = ["null", None, json.dumps({"n": 2**70, "text": NASTY, "list": [1.5, None, True]})]
        return odd[place] if column.nullable else odd[2]
    kind = column.type.python_type
    if kind is str:
        said = words[min(place, len(words) - 1)] if words else f"{number}{NASTY}"
        return said[: column.type.length]
    if kind is datetime:
        later = timedelta(hours=5 if column.name.startswith("end") else 0, microseconds=number)
        return NOW + later
    return {
        int: number + 1,
        float: number % 80 + 0.1,
        bool: place % 2 == 0,
        bytes: bytes([number % 256, 255, 0]),
        date: date(2026, 11, 20) + timedelta(number),
    }[kind]


def _own(column: Any, batch: int, place: int, words: list[str] | None) -> Any:
    key, number = (column.table.name, column.name), ROWS * batch + place
    if key in GIVEN:
        return GIVEN[key][place]
    if key in NUMBERS:
        return str(number + 1)
    return ONCE[key] if batch and key in ONCE else _value(column, number, words)


def _rows(
    table: Table, allowed: dict[str, list[str]], kept: Rows, batch: int
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    # A row that there is one of has the number 1.
    for place in range(1 if table.name in ALONE else ROWS):
        row: dict[str, Any] = {}
        for column in table.columns:
            name, parent = str(column.name), next(iter(column.foreign_keys), None)
            if parent is not None and parent.column.table is table:
                row[name] = rows[0]["id"] if rows else None  # of those before it
            elif parent is not None:
                row[name] = kept[parent.column.table.name][place][parent.column.name]
            else:
                row[name] = _own(column, batch, place, allowed.get(name))
            if column.nullable and place in EMPTY.get((str(table.name), name), ()):
                row[name] = None
        rows.append(row)
    return rows
