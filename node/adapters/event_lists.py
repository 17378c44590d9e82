"""A list of events: each line is checked as the form would check it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from secrets import token_hex
from zoneinfo import ZoneInfo

from flask_babel import gettext
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict

from node.adapters.spreadsheet import HEADINGS, Line, Trial, told
from node.events import listing
from node.events.forms import EventForm
from node.events.models import Event
from node.members.names import fold
from node.members.sheet import Table, read_date
from node.spaces.models import Space
from shared.wire.events import MOST_EVENTS

_HOUR = re.compile(r"(\d{1,2})\s*[h:.]\s*(\d{2})?(?::00)?", re.IGNORECASE)
_WHOM = {
    "everyone": ("", "everyone", "tout le monde", "tous", "toutes et tous", "public", "all"),
    "subscribers": ("subscribers", "abonnes", "abonne e s", "membres", "members"),
}


def examine(
    session: Session, space: Space, table: Table, columns: Mapping[str, int], now: datetime
) -> Trial:
    """Return what each line would do. An event is known by its title and its beginning."""
    zone = ZoneInfo(space.timezone)
    coming = [e for e in listing.since(session, space.id, now) if e.source_id is None]
    held = {(fold(event.title), event.starts_at): event for event in coming}
    seen: dict[tuple[str, datetime], int] = {}
    lines, count = [], len(coming)
    for number, cells in table.rows:
        line = _line(number, told("events", cells, columns), zone, now)
        if line.values:
            key = fold(line.values["title"]), line.values["starts_at"]
            before = seen.setdefault(key, number)
            if before != number:
                line.faults.append(gettext("The same event as on line %(n)s.", n=before))
            else:
                line.compare(held.get(key), "events")
        if line.kind == "new":
            count += 1
            if count > MOST_EVENTS:
                line.kind = "fault"
                line.faults.append(gettext("At most 100 coming events are published."))
        lines.append(line)
    return Trial(tuple(lines))


def _line(number: int, cells: dict[str, str], zone: ZoneInfo, now: datetime) -> Line:
    line = Line(number, cells["title"][:120])
    whom = fold(cells["open_to"])
    given = {
        **cells,
        **{name: _date(cells[name]) for name in ("day", "last_day")},
        **{name: _hour(cells[name]) for name in ("start", "until")},
        "open_to": next((value for value, names in _WHOM.items() if whom in names), whom),
    }
    form = EventForm(MultiDict(given), meta={"csrf": False})
    if form.holds(zone, now):
        line.values = form.values(zone)
        return line
    for name, errors in form.errors.items():
        if name is None:
            line.faults += [str(error) for error in errors]
            continue
        what = HEADINGS["events"][name]
        line.faults += [gettext("%(what)s: %(why)s", what=what, why=error) for error in errors]
    return line


def _date(text: str) -> str:
    """Return a date as the form takes it; the form says what is wrong with any other text."""
    with suppress(ValueError):
        found = read_date(text)
        return found.isoformat() if found else ""
    return text


def _hour(text: str) -> str:
    match = _HOUR.fullmatch(text)
    return f"{int(match[1]):02}:{match[2] or '00'}" if match else text


def write(session: Session, space: Space, trial: Trial, now: datetime) -> None:
    """Write what a trial said, within the caller's transaction."""
    for line in trial.of("new"):
        session.add(Event(id=token_hex(16), space_id=space.id, updated_at=now, **line.values))
    for line in trial.of("changed"):
        for name, value in line.values.items():
            setattr(line.row, name, value)
        line.row.revision += 1
        line.row.updated_at = now
