"""A list of members: which column holds what, and its rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from flask_babel import gettext, lazy_gettext

from node.members.names import fold
from shared.base.schemas import unstorable
from shared.wire.tables import SheetFault
from shared.wire.tables import rows as rows_of

MAX_COLUMNS = 60
MAX_LINES = 20_000
_DELIMITERS = (";", ",", "\t")

# What a column may hold, and what it is called; the export has the same headings.
HEADINGS = {
    "given_name": lazy_gettext("given name"),
    "family_name": lazy_gettext("family name"),
    "email": lazy_gettext("e-mail"),
    "plan": lazy_gettext("plan"),
    "joined_on": lazy_gettext("first day"),
    "ended_on": lazy_gettext("last day"),
}
_NAMES = {
    "given_name": "prenom|given name|first name|firstname|givenname|forename",
    "family_name": "nom|nom de famille|family name|last name|lastname|surname|familyname|name",
    "email": "email|e mail|mail|courriel|adresse mail|adresse email|adresse e mail|email address"
    "|e mail address|adresse de courriel|adresse electronique",
    "plan": "formule|abonnement|plan|offre|forfait|tarif|subscription|type d abonnement",
    "joined_on": "debut|premier jour|date de debut|date d entree|entree|depuis|date d adhesion"
    "|inscription|start|first day|start date|joined|joined on|since|from",
    "ended_on": "fin|dernier jour|date de fin|date de sortie|sortie|end|last day|end date"
    "|ended on|until",
}
GUESSES = {name: field for field, names in _NAMES.items() for name in names.split("|")}
_DATES = (
    re.compile(r"(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})(?:[T ]00:00(?::00)?)?"),
    re.compile(r"(?P<d>\d{1,2})[/.-](?P<m>\d{1,2})[/.-](?P<y>\d{4})"),
)


@dataclass(frozen=True, slots=True)
class Table:
    """``rows`` are line numbers, as an editor counts them, and cells; empty lines are left out."""

    header: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]


def read(text: str) -> Table:
    """Take a list apart by what separates its first line best. Raises SheetFault."""
    text = text.removeprefix("\ufeff")
    if unstorable(text):
        raise SheetFault(gettext("This contains characters that cannot be stored."))
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(_DELIMITERS, key=first.count)
    rows = []
    for number, cells in rows_of(text, delimiter):
        if len(cells) > MAX_COLUMNS:
            raise SheetFault(
                gettext(
                    "Line %(n)s has %(found)s columns; %(most)s are taken.",
                    n=number,
                    found=len(cells),
                    most=MAX_COLUMNS,
                )
            )
        if any(cells):
            rows.append((number, cells))
        if len(rows) > MAX_LINES + 1:
            raise SheetFault(gettext("At most %(n)s lines at once.", n=MAX_LINES))
    if len(rows) < 2:
        raise SheetFault(gettext("A first line with the columns’ names and one more are needed."))
    return Table(rows[0][1], tuple(rows[1:]))


def guess(header: Sequence[str]) -> dict[str, int]:
    """Return which column holds what, by the columns' names in French or English."""
    found: dict[str, int] = {}
    for place, name in enumerate(header):
        field = GUESSES.get(fold(re.sub(r"[-_.’':/]+", " ", name)))
        if field is not None:
            found.setdefault(field, place)
    return found


def read_date(text: str) -> date | None:
    """Read ``2026-12-24`` or ``24/12/2026``; nothing is None. Raises ValueError."""
    if not text:
        return None
    for form in _DATES:
        match = form.fullmatch(text)
        if match:
            return date(int(match["y"]), int(match["m"]), int(match["d"]))
    raise ValueError(text)
