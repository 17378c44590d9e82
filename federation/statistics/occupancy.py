"""Visitors' places taken, by weekday and half-day, against those that spaces offer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from flask_babel import gettext
from sqlalchemy import select
from sqlalchemy.orm import Session

from charter import Rules
from charter.conditions import NOON, ConditionsError, guest_places, read_conditions
from charter.hours import HoursError, Interval, read_schedule
from federation.charters import service as charters
from federation.nodes.models import Node
from federation.spaces.models import Space
from federation.statistics import charts, service
from federation.statistics.chart_shapes import Drawing
from federation.statistics.statistic import Picture, Value, percent, written
from federation.statistics.suppression import TOTAL, Cell, Shown, Table, publish
from shared.web.formats import day as on_day

HALVES = ("am", "pm")
MONDAY = date(2024, 1, 1)
Slot = tuple[int, str]
SLOTS: tuple[Slot, ...] = tuple((weekday, half) for weekday in range(7) for half in HALVES)


def code(slot: Slot) -> str:
    return f"{slot[0]}{slot[1]}"


@dataclass(frozen=True, slots=True)
class Offer:
    """A space and its visitors' places by slot, each day of the period added up."""

    id: str
    name: str
    places: Mapping[Slot, int]


def occupancy(session: Session, period: service.Period, space: str | None = None) -> Picture:
    """Of one space, or of the network."""
    offers, silent = _offers(session, period)
    found = service.merged(session, period).slots
    cells: dict[tuple[str, str], Cell] = {
        (key[0], code((key[1], key[2]))): cell for key, cell in found.items() if key[0] in offers
    }
    table = publish(sorted(offers), [code(slot) for slot in SLOTS], cells)
    chosen = offers.get(space or "")
    row = chosen.id if chosen else TOTAL
    places = chosen.places if chosen else _together(offers)
    rows = [
        _row(table, row, slot, places)
        for slot in SLOTS
        if places.get(slot) or _any(table, row, slot)
    ]
    sentence = _sentence(table.at(row), sum(places.values()))
    title = gettext("Visitors’ places taken by weekday and half-day")
    every = [(None, TOTAL, _together(offers)), *((o, o.id, o.places) for o in offers.values())]
    return Picture(
        "occupancy",
        gettext("Occupancy at %(name)s", name=chosen.name) if chosen else gettext("Occupancy"),
        sentence,
        _drawn(table, row, places, title, sentence) if rows else None,
        (
            ("space", gettext("Space")),
            ("weekday", gettext("Day")),
            ("half", gettext("Half-day")),
            ("taken", gettext("Taken")),
            ("offered", gettext("Offered")),
            ("share", gettext("Share")),
        ),
        [
            (offer.name if offer else gettext("in all"), *_row(table, id_, slot, offered))
            for offer, id_, offered in every
            for slot in SLOTS
            if offered.get(slot) or _any(table, id_, slot)
        ],
        _notes(silent),
        [
            gettext("Day"),
            gettext("Half-day"),
            gettext("Taken"),
            gettext("Offered"),
            gettext("Share"),
        ],
        rows,
    )


def _notes(silent: int) -> list[str]:
    notes = [
        gettext(
            "A share of the visitors’ places that the spaces offer by their sheets of today: their"
            " hours, exceptional days and house conditions, each day of the period since the node"
            " came in. What a sheet said before is not kept."
        ),
        gettext("A place taken for part of a half-day counts for the whole of it."),
    ]
    if silent:
        notes.append(
            gettext(
                "Left out, because they say no hours: %(number)s spaces. Unknown is not empty.",
                number=silent,
            )
        )
    return notes


def _any(table: Table, row: str, slot: Slot) -> bool:
    return table.at(row, code(slot)).value != 0


def _row(table: Table, row: str, slot: Slot, places: Mapping[Slot, int]) -> tuple[Value, ...]:
    taken, offered = table.at(row, code(slot)), places.get(slot, 0)
    return weekday(slot[0], "EEEE"), half(slot[1]), taken, offered, _share(taken, offered)


def _share(taken: Shown, offered: int) -> float | None:
    return None if taken.value is None or not offered else taken.value / offered


def weekday(number: int, style: str) -> str:
    return on_day(MONDAY + timedelta(number), style)


def half(code_: str) -> str:
    return gettext("morning") if code_ == "am" else gettext("afternoon")


def _sentence(taken: Shown, offered: int) -> str:
    share = _share(taken, offered)
    if share is None:
        return gettext("The share of places taken is not shown.")
    return gettext(
        "%(taken)s of %(offered)s visitors’ half-days taken: %(share)s.",
        taken=written(taken),
        offered=written(offered),
        share=percent(share),
    )


def _drawn(
    table: Table, row: str, places: Mapping[Slot, int], title: str, sentence: str
) -> Drawing:
    used = [
        n for n in range(7) if any(places.get((n, h)) or _any(table, row, (n, h)) for h in HALVES)
    ]
    rows = []
    for each in HALVES:
        squares = []
        for n in used:
            taken, offered = table.at(row, code((n, each))), places.get((n, each), 0)
            share = _share(taken, offered)
            hidden = "<5" if taken.few else "…"
            count = hidden if taken.value is None else str(taken.value)
            squares.append(
                charts.Square(
                    share,
                    "–" if share is None else percent(share),
                    f"{count}/{offered}" if offered else count,
                    f"{weekday(n, 'EEEE')}, {half(each)}: {written(taken)} / {offered}",
                )
            )
        rows.append((gettext("AM") if each == "am" else gettext("PM"), squares))
    return charts.heat([weekday(n, "EEE") for n in used], rows, title, sentence)


# What is offered


def _offers(session: Session, period: service.Period) -> tuple[dict[str, Offer], int]:
    """Return what each space offers that says its hours, and how many say none."""
    query = (
        select(Space.id, Space.name, Space.document, Node.enrolled_at)
        .join(Node, Node.id == Space.node_id)
        .where(Space.withdrawn_at.is_(None), Node.state != "left")
        .order_by(Space.id)
    )
    rules = charters.in_force(session).rules
    found, silent = {}, 0
    for id_, name, document, enrolled_at in session.execute(query):
        begins = max(period.begins, enrolled_at.astimezone(service.ZONE).date())
        places = offered(document, rules, begins, period.until)
        if places is None:
            silent += 1
        else:
            found[id_] = Offer(id_, name, places)
    return found, silent


def _together(offers: Mapping[str, Offer]) -> dict[Slot, int]:
    return {slot: sum(offer.places.get(slot, 0) for offer in offers.values()) for slot in SLOTS}


def offered(
    document: Mapping[str, Any], rules: Rules, first: date, last: date
) -> dict[Slot, int] | None:
    """Return the visitors' places of a space by weekday (0 to 6) and half, from day to day.

    None where its hours are unknown. Pure.
    """
    try:
        schedule, conditions = read_schedule(document), read_conditions(document)
    except (HoursError, ConditionsError):
        return None
    if not schedule.known:
        return None
    found: dict[Slot, int] = {}
    day = first
    while day <= last:
        if day not in conditions.closed:
            intervals = schedule.on(day)
            for half_, declared in zip(HALVES, conditions.guests_on(day), strict=True):
                if _is_open(intervals, half_):
                    places = guest_places(rules, declared)
                    slot = day.weekday(), half_
                    found[slot] = found.get(slot, 0) + (declared if places is None else places)
        day += timedelta(1)
    return found


def _is_open(intervals: tuple[Interval, ...], half_: str) -> bool:
    if half_ == "am":
        return any(start < NOON for start, _ in intervals)
    return any(end > NOON or end <= start for start, end in intervals)


def spaces(session: Session) -> list[tuple[str, str]]:
    """Return ids and names of the spaces of nodes, to choose from."""
    query = select(Space.id, Space.name).join(Node, Node.id == Space.node_id)
    query = query.where(Space.withdrawn_at.is_(None), Node.state != "left").order_by(Space.name)
    return [(row.id, row.name) for row in session.execute(query)]
