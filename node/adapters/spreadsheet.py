"""Lists of events, prices or rooms from a spreadsheet: what a line is, and what columns hold."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask_babel import lazy_gettext

from node.members.names import fold

HEADINGS: dict[str, dict[str, Any]] = {
    "events": {
        "title": lazy_gettext("title"),
        "day": lazy_gettext("day"),
        "start": lazy_gettext("from"),
        "until": lazy_gettext("until"),
        "last_day": lazy_gettext("last day"),
        "open_to": lazy_gettext("open to"),
        "description": lazy_gettext("description"),
        "place": lazy_gettext("place"),
        "url": lazy_gettext("web address"),
    },
    "prices": {
        "label": lazy_gettext("label"),
        "amount": lazy_gettext("amount"),
        "unit": lazy_gettext("unit"),
        "quantity": lazy_gettext("how many"),
    },
    "rooms": {
        "name": lazy_gettext("name"),
        "kind": lazy_gettext("kind"),
        "seats": lazy_gettext("seats"),
        "area_m2": lazy_gettext("area, m²"),
    },
}
# What a column may be called, in French or English, folded.
_NAMES = {
    "events": {
        "title": "titre|evenement|nom|intitule|title|event|name|summary|subject|objet",
        "day": "jour|date|date de debut|debut le|day|start date|premier jour",
        "start": "de|debut|heure|heure de debut|from|start|start time|begins",
        "until": "a|fin|heure de fin|jusqu a|until|end|end time|ends",
        "last_day": "dernier jour|date de fin|fin le|last day|end date",
        "open_to": "ouvert a|public|pour qui|open to|audience",
        "description": "description|resume|details|texte|notes",
        "place": "lieu|ou|salle|place|where|location|endroit",
        "url": "lien|site|adresse web|inscription|url|link|web address|website",
    },
    "prices": {
        "label": "libelle|tarif|nom|formule|label|plan|name|title|intitule|designation",
        "amount": "montant|prix|prix ttc|euros|eur|amount|price|prix en euros",
        "unit": "unite|pour|par|duree|unit|per|periode|period",
        "quantity": "nombre|quantite|combien|quantity|how many|count|number",
    },
    "rooms": {
        "name": "nom|salle|piece|name|room|espace",
        "kind": "genre|type|nature|kind|usage",
        "seats": "places|sieges|personnes|capacite|seats|capacity|people",
        "area_m2": "surface|m2|surface m2|area|area m2|area, m2|surface en m2",
    },
}
NEEDED = {"events": ("title", "day", "start", "until"), "prices": ("label", "amount", "unit")} | {
    "rooms": ("name", "kind")
}


@dataclass(slots=True)
class Line:
    """``kind``: new, changed, same or fault. ``row`` is what is there already."""

    number: int
    name: str
    kind: str = "fault"
    faults: list[str] = field(default_factory=list)
    differs: list[str] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    row: Any = None

    def compare(self, row: Any, what: str) -> None:
        """Say what the line would do, beside what is there."""
        self.row, self.kind = row, "new"
        if row is not None:
            changed = [name for name, value in self.values.items() if getattr(row, name) != value]
            self.differs = list(dict.fromkeys(str(_heading(what, name)) for name in changed))
            self.kind = "changed" if changed else "same"


# Columns that a heading of another name leads to.
_HEADED = {"starts_at": "start", "ends_at": "until", "cents": "amount"}


def _heading(what: str, column: str) -> Any:
    return HEADINGS[what][_HEADED.get(column, column)]


@dataclass(frozen=True, slots=True)
class Trial:
    lines: tuple[Line, ...]

    def of(self, kind: str) -> list[Line]:
        return [line for line in self.lines if line.kind == kind]


def guess(what: str, header: Sequence[str]) -> dict[str, int]:
    """Return which column holds what, by the columns' names in French or English."""
    known = {name: field for field, names in _NAMES[what].items() for name in names.split("|")}
    found: dict[str, int] = {}
    for place, name in enumerate(header):
        column = known.get(fold(re.sub(r"[-_.’':/()]+", " ", name)))
        if column is not None:
            found.setdefault(column, place)
    return found


def told(what: str, cells: Sequence[str], columns: Mapping[str, int]) -> dict[str, str]:
    """Return a line's cells by what they hold; empty where there is none."""
    places = {name: columns.get(name) for name in HEADINGS[what]}
    return {
        name: cells[place] if place is not None and place < len(cells) else ""
        for name, place in places.items()
    }
