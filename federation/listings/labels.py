"""What pages call the fields, what is wrong with them, and why two spaces may be one."""

from __future__ import annotations

from flask_babel import gettext, lazy_gettext

from federation.listings.dry_run import Line, Trial
from federation.listings.mapping import Fault
from federation.listings.reading import Table
from federation.listings.similarity import Like

LABELS = {
    "key": lazy_gettext("Its number or code in the list"),
    "name": lazy_gettext("Name"),
    "latitude": lazy_gettext("Latitude"),
    "longitude": lazy_gettext("Longitude"),
    "place": lazy_gettext("Latitude and longitude in one"),
    "address": lazy_gettext("Address in one line"),
    "street": lazy_gettext("Number and street"),
    "postcode": lazy_gettext("Postcode"),
    "town": lazy_gettext("Town"),
    "country": lazy_gettext("Country (two letters)"),
    "description": lazy_gettext("Description"),
    "website": lazy_gettext("Web site"),
    "email": lazy_gettext("E-mail"),
    "services": lazy_gettext("Services"),
    "capacity": lazy_gettext("Capacity"),
    "opening_hours": lazy_gettext("Opening hours"),
}

# What may be the same in every row.
CONSTANTS = ("town", "country", "services", "description", "website", "email")

FAULTS = {
    "missing": lazy_gettext("there is none"),
    "no-place": lazy_gettext("neither a town nor a place on the map"),
    "too-long": lazy_gettext("it is too long"),
    "cut": lazy_gettext("it is too long, and is cut"),
    "not-degrees": lazy_gettext("these are not degrees, like 45.5866 and 5.2730"),
    "not-on-earth": lazy_gettext("no such place on Earth: are they in metres (Lambert 93)?"),
    "not-web": lazy_gettext("this is not a web address"),
    "not-mail": lazy_gettext("this is not an e-mail address"),
    "not-number": lazy_gettext("this is not a number of people"),
}
MISSING = {
    "no-name": lazy_gettext("Choose the column that holds the spaces’ names."),
    "no-place": lazy_gettext(
        "Choose where the spaces are: latitude and longitude, or an address, or a town."
    ),
}
WHY = {
    "name": lazy_gettext("a like name"),
    "address": lazy_gettext("the same address"),
    "site": lazy_gettext("the same web site"),
}
KINDS = {
    "csv": "CSV",
    "geojson": "GeoJSON",
    "gogocarto": lazy_gettext("JSON (as GoGoCarto)"),
    "spaceapi": "SpaceAPI",
}


def place_of(kind: str, place: int) -> str:
    """Say where in a file a row is."""
    if kind == "csv":
        return gettext("Line %(n)s", n=place)
    return gettext("Entry %(n)s", n=place)


def say(kind: str, line: Line, fault: Fault) -> str:
    """Say what is wrong with a row, where it is and in which column."""
    where = place_of(kind, line.place)
    if line.name:
        where = f"{where} ({line.name[:60]})"
    if not fault.column:
        name = str(LABELS[fault.field])
        return gettext(
            "%(where)s: %(name)s: %(why)s", where=where, name=name, why=FAULTS[fault.code]
        )
    return gettext(
        "%(where)s, column “%(name)s”: %(why)s",
        where=where,
        name=fault.column[:60],
        why=FAULTS[fault.code],
    )


def say_twin(kind: str, line: Line) -> str:
    """Say that a row is in the file twice."""
    return gettext(
        "%(where)s (%(name)s): the same as in %(other)s",
        where=place_of(kind, line.place),
        name=line.name[:60],
        other=place_of(kind, line.twin),
    )


def why(like: Like) -> str:
    """Say why two spaces may be one, and how far they are from each other."""
    words = [str(WHY[code]) for code in like.why]
    if like.metres is not None:
        words.append(gettext("%(n)s m away", n=like.metres))
    return ", ".join(words)


def samples(table: Table, most: int = 3) -> dict[str, list[str]]:
    """Return some of what each column holds."""
    found: dict[str, list[str]] = {column: [] for column in table.columns}
    for row in table.rows[:200]:
        for column, cell in row.cells.items():
            if (
                cell
                and column in found
                and len(found[column]) < most
                and cell[:80] not in found[column]
            ):
                found[column].append(cell[:80])
    return found


def outcome(trial: Trial, removed: int) -> str:
    """Return what an import did, in words."""
    counts = trial.counts()
    left = counts["skipped"] + counts["merged"] + counts["joined"]
    words = gettext(
        "Imported: %(new)s new, %(changed)s changed, %(same)s unchanged, %(removed)s removed.",
        new=counts["new"],
        changed=counts["changed"],
        same=counts["same"],
        removed=removed,
    )
    more = gettext(
        "Not listed: %(left)s as decided, %(doubtful)s that wait for a choice, %(faults)s with "
        "faults.",
        left=left,
        doubtful=counts["doubtful"],
        faults=counts["fault"],
    )
    return f"{words} {more}"
