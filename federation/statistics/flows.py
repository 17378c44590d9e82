"""The pictures of who goes where and when: flows, weeks, origins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from functools import partial

from flask_babel import gettext
from sqlalchemy.orm import Session

from federation.statements.flows import MOST, OTHERS
from federation.statistics import charts, service, sums
from federation.statistics.statistic import (
    Picture,
    Value,
    counted,
    half_days,
    in_order,
    largest,
    written,
)
from federation.statistics.suppression import NOTHING, TOTAL, Cell, Shown, Table, publish
from shared.web.formats import day as on_day
from shared.web.formats import month as month_name


def flows(session: Session, period: service.Period) -> Picture:
    """From where members are subscribed to where they were hosted."""
    found = service.merged(session, period).flows
    names = {**service.names(session), OTHERS: gettext("all others")}
    homes, hosts = (_largest(found, side) for side in (0, 1))
    grouped: dict[tuple[str, str], Cell] = {}
    for (home, host), cell in found.items():
        pair = home if home in homes else OTHERS, host if host in hosts else OTHERS
        grouped[pair] = grouped.get(pair, NOTHING) + cell
    table = publish({home for home, _ in grouped}, {host for _, host in grouped}, grouped)
    table = replace(
        table,
        rows=_ordered(table.rows, table.at),
        columns=_ordered(table.columns, partial(table.at, TOTAL)),
    )
    drawn = {
        (home, host): table.at(home, host).value or 0
        for home in table.rows
        for host in table.columns
    }
    title = gettext("Half-days by home and host")
    sentence = _travelled(period, table, names)
    return Picture(
        "flows",
        gettext("How half-days flow"),
        sentence,
        charts.flows(drawn, names, title, sentence),
        (
            ("home", gettext("Home")),
            ("host", gettext("Host")),
            ("half_days", gettext("Half-days")),
        ),
        list(_pairs(table, names)),
        (
            gettext("A half-day is in the month in which it was, whenever its visit was told of."),
            gettext("Beyond a dozen on a side, the smallest are taken together."),
        ),
        *_matrix(table, names),
        total=table.at(TOTAL),
    )


def _largest(cells: sums.Cells, side: int) -> set[str]:
    sides = sums.by(cells, side)
    most = MOST if len(sides) <= MOST else MOST - 1
    return set(largest(((key[0], cell.value) for key, cell in sides.items()), most))


def _ordered(names: Iterable[str], shown: Callable[[str], Shown]) -> tuple[str, ...]:
    ordered = in_order(names, shown)
    return tuple(sorted(ordered, key=lambda name: name == OTHERS))


def _pairs(table: Table, names: Mapping[str, str]) -> list[tuple[Value, ...]]:
    everybody = gettext("in all")
    rows: list[tuple[Value, ...]] = []
    for home in table.rows:
        name = names.get(home, home)
        mine = [(host, table.at(home, host)) for host in table.columns]
        rows += [(name, names.get(host, host), shown) for host, shown in mine if shown.value != 0]
        rows.append((name, everybody, table.at(home)))
    rows += [(everybody, names.get(host, host), table.at(TOTAL, host)) for host in table.columns]
    return [*rows, (everybody, everybody, table.at(TOTAL))]


def _matrix(table: Table, names: Mapping[str, str]) -> tuple[list[str], list[tuple[Value, ...]]]:
    """Return the same as heads and rows: hosts below one another, homes side by side."""
    homes = [*table.rows, TOTAL]
    heads = [gettext("Host ↓ Home →"), *(names.get(home, home) for home in table.rows)]
    rows: list[tuple[Value, ...]] = [
        (
            gettext("in all") if host == TOTAL else names.get(host, host),
            *(table.at(home, host) for home in homes),
        )
        for host in (*table.columns, TOTAL)
    ]
    return [*heads, gettext("in all")], rows if table.rows else []


def _travelled(period: service.Period, table: Table, names: Mapping[str, str]) -> str:
    total = table.at(TOTAL)
    if total.value == 0:
        return gettext("No half-day was counted in this period.")
    told = gettext(
        "%(count)s (homes: %(homes)s, hosts: %(hosts)s).",
        count=counted(total),
        homes=len(table.rows),
        hosts=len(table.columns),
    )
    seen = [(table.at(a, b).value or 0, a, b) for a in table.rows for b in table.columns]
    most, home, host = max(seen, default=(0, "", ""))
    if not most:
        return told
    undrawn = (total.value or 0) - sum(count for count, _, _ in seen)
    if undrawn > 0:
        told += " " + gettext(
            "Not drawn, because in small groups: %(count)s.", count=half_days(undrawn)
        )
    return f"{told} " + gettext(
        "The largest flow goes from %(home)s to %(host)s: %(count)s.",
        home=names.get(home, home),
        host=names.get(host, host),
        count=counted(table.at(home, host)),
    )


# Weeks


def weeks(session: Session, period: service.Period) -> Picture:
    """Half-days week by week, those without any included."""
    found = service.merged(session, period).weeks
    spans = _spans(period)
    table = publish(spans, ["n"], {(week, "n"): cell for (week,), cell in found.items()})
    drawn = [
        charts.Column(
            f"{week} ({on_day(first, 'd MMM')})",
            table.at(week, "n").value,
            whole,
            on_day(first, "LLLLL") if n % 4 == 0 or len(spans) < 20 else "",
        )
        for n, (week, (first, _, whole)) in enumerate(spans.items())
    ]
    total = table.at(TOTAL)
    sentence = gettext("%(count)s in %(weeks)s weeks.", count=counted(total), weeks=len(spans))
    best = max(spans, key=lambda week: table.at(week, "n").value or 0, default=None)
    if best and table.at(best, "n").value:
        sentence += " " + gettext(
            "The fullest is the week of %(day)s: %(count)s.",
            day=on_day(spans[best][0]),
            count=counted(table.at(best, "n")),
        )
    rows: list[tuple[Value, ...]] = [
        (
            week,
            on_day(first),
            table.at(week, "n"),
            "" if whole else gettext("%(days)s days", days=days),
        )
        for week, (first, days, whole) in spans.items()
    ]
    return Picture(
        "weeks",
        gettext("Week by week"),
        sentence,
        charts.columns(drawn, gettext("Half-days by week"), sentence) if spans else None,
        (
            ("week", gettext("Week")),
            ("from", gettext("From")),
            ("half_days", gettext("Half-days")),
            ("part", gettext("Not whole")),
        ),
        rows,
        (
            gettext(
                "Weeks begin on Monday. A pale column is a week that is not over, or that"
                " the period cuts: the table says how many of its days are counted."
            ),
        ),
        [gettext("Week of"), gettext("Half-days"), gettext("Not whole")],
        [row[1:] for row in rows],
    )


def _spans(period: service.Period) -> dict[str, tuple[date, int, bool]]:
    """Return each week of the period: its first day counted, how many are, and whether all are."""
    found: dict[str, tuple[date, int, bool]] = {}
    day = period.begins
    while day <= period.until:
        last = min(day + timedelta(6 - day.weekday()), period.until)
        days = (last - day).days + 1
        over = last < period.today
        found[sums.week_of(day)] = day, days, days == 7 and over
        day = last + timedelta(1)
    return found


# Origins


def origins(session: Session, period: service.Period) -> Picture:
    """Half-days by the town of the home."""
    found = sums.by(service.merged(session, period).flows, 0)
    towns = service.towns(session)
    cells: dict[tuple[str, str], Cell] = {}
    for (home,), cell in found.items():
        place = towns.get(home, gettext("unknown")), "n"
        cells[place] = cells.get(place, NOTHING) + cell
    named = [town for town, _ in cells]
    table = publish(named, ["n"], cells)
    named, total = in_order(named, table.at), table.at(TOTAL)
    sentence = gettext(
        "%(count)s by members of homes in %(towns)s towns.",
        count=counted(total),
        towns=len(named),
    )
    drawn = [
        charts.Bar(town, [table.at(town, "n").value], written(table.at(town, "n")))
        for town in named[:15]
    ]
    return Picture(
        "origins",
        gettext("From which towns"),
        sentence,
        charts.bars([""], drawn, gettext("Half-days by town of the home"), sentence)
        if drawn
        else None,
        (("town", gettext("Town of the home")), ("half_days", gettext("Half-days"))),
        [*((town, table.at(town, "n")) for town in named), (gettext("in all"), total)],
        (
            gettext(
                "The town is that of the home’s spaces, not of the person: where they live"
                " is known to nobody here. A home with spaces in several towns has them all."
            ),
        ),
    )


def period_name(period: service.Period) -> str:
    if period.first == period.last:
        return month_name(period.first)
    return gettext(
        "%(first)s to %(last)s", first=month_name(period.first), last=month_name(period.last)
    )
