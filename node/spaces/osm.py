"""Opening hours as OpenStreetMap writes them: ``Mo-Fr 09:00-19:00; PH off``."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any

from opening_hours import OpeningHours, ParserError, State

from charter.hours import WEEKDAYS, Interval, Schedule, joined, local_time
from node.spaces.hours import periods, public_holidays, schedule, special_dates

Spans = list[list[str]]
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# Rules are parted by these, outside of quoted words.
_PARTED = re.compile(r'(\s*(?:;|\|\|)\s*)(?=(?:[^"]*"[^"]*")*[^"]*\Z)')
_QUOTED = re.compile(r'"[^"]*"')
_TIMES = re.compile(r"\d:\d|24/7|\b(?:open|closed|off|unknown|sunrise|sunset|dawn|dusk)\b")
_SCHOOLS = re.compile(r"\bSH\b")
_LOOSE = re.compile(r"\b(?:sunrise|sunset|dawn|dusk)\b|\d:\d\d\+")
_LISTED_SCHOOLS = re.compile(r"\bSH\s*,\s*|\s*,\s*SH\b")
_DAY = timedelta(days=1)
_DAYS_READ = 366
_MOST = 500
_MOST_PERIODS = 59  # the form has as many rows, and one for a new one


class OsmError(ValueError):
    """The text cannot be read; the message is the place, as ``line:column``."""


def write(row: Any, today: date) -> str:
    """Return a space's hours; empty when they are not known.

    What was typed goes before what a source has brought, and both before the public holidays; in
    this language the last rule that speaks of a date holds, for the end of the night before too.
    """
    known = schedule(row, today)
    if not known.known:
        return ""
    rules = _week(row.week)
    if rules and row.closed_on_holidays:
        rules.append("PH off")
    imported = [(date.fromisoformat(day), hours) for day, hours in _imported(row).items()]
    entries = [*periods(sorted(imported, key=lambda each: each[0])), *row.special_days]
    entries = [entry for entry in entries if entry["hours"] is not None]
    rules += [f"{_period(entry)} {_spans(entry['hours'])}" for entry in entries]
    if rules and row.until is not None:
        rules.append(f"{_day(row.until + timedelta(1))}+ off")
    return "; ".join([*rules, *_nights_before(known, entries, today)])


def _nights_before(
    hours: Schedule, entries: Sequence[Mapping[str, Any]], today: date
) -> Iterator[str]:
    """Yield the dates ahead whose beginning the rules of dates and weekdays tell wrongly.

    The night before goes on into a date that differs; or it began on one, of which another rule
    tells another night.
    """
    nights, last = defaultdict[date, list[tuple[int, timedelta]]](list), dict[date, int]()
    for day, entry in special_dates(entries, today):
        last[day] = entries.index(entry)
        night = _night((local_time(a), local_time(b)) for a, b in entry["hours"])
        nights[day].append((last[day], night))
    differ = {*hours.exceptions, *({hours.until + _DAY} if hours.until else ())}
    for day in sorted({*differ, *(each + _DAY for each in hours.exceptions)}):
        own, before = hours.on(day), day - _DAY
        night, usual = _night(hours.on(before)), _night(hours.week[before.weekday()])
        told = {each for n, each in nights[before] if n > last.get(day, -1)}
        told |= set() if day in last else {usual}
        wrong = (night and day in differ) or (told - {night} and (own or any(told)))
        if day >= today and wrong:
            spans = [f"00:00-{_clock(night)}"] if night else []
            spans += [_spans([[f"{a:%H:%M}", f"{b:%H:%M}"] for a, b in own])] if own else []
            yield f"{_day(day)} {','.join(spans) or 'off'}"


def _night(intervals: Iterable[Interval]) -> timedelta:
    """Return how long a day's hours go on into the next day."""
    return max([timedelta(), *(end - _DAY for _, end in joined(intervals))])


def _imported(row: Any) -> Mapping[str, Spans]:
    found: Mapping[str, Spans] = (row.imported or {}).get("days", {})
    return found


def _week(week: Mapping[str, Spans]) -> list[str]:
    """Return the week's rules: one, where a night goes on into a day that has its own hours.

    Each rule takes the place of those before it on its days; after a comma it is added to them.
    """
    rules = list(_days(week))
    overnight = any(
        until <= since and until != "00:00" and week.get(following)
        for name, following in zip(WEEKDAYS, (*WEEKDAYS[1:], WEEKDAYS[0]), strict=True)
        for since, until in week.get(name, [])
    )
    return [", ".join(rules)] if rules and overnight else rules


def _days(week: Mapping[str, Spans]) -> Iterator[str]:
    days = ((name.capitalize(), _spans(week.get(name, []))) for name in WEEKDAYS)
    for spans, group in groupby(days, key=lambda each: each[1]):
        names = [name for name, _ in group]
        if spans != "off":
            several = names[0] if len(names) == 1 else f"{names[0]}-{names[-1]}"
            yield f"{several} {spans}"


def _spans(spans: Sequence[Sequence[str]]) -> str:
    """Write a day's hours, what touches as one."""
    found = joined([(local_time(start), local_time(end)) for start, end in spans])
    return ",".join(f"{_clock(a)}-{_clock(_end(a, b))}" for a, b in found) or "off"


def _end(start: timedelta, end: timedelta) -> timedelta:
    """A night ends by the next day's clock, a day round the clock after its last hour."""
    is_night = end > _DAY and end - start < _DAY
    return end - _DAY if is_night else end


def _clock(since_midnight: timedelta) -> str:
    minutes = since_midnight // timedelta(minutes=1)
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _period(entry: Mapping[str, Any]) -> str:
    first, last = (date.fromisoformat(entry[name]) for name in ("from", "to"))

    written = _yearly if entry["yearly"] else _day
    return written(first) if first == last else f"{written(first)}-{written(last)}"


def _yearly(day: date) -> str:
    return f"{_MONTHS[day.month - 1]} {day.day:02}"


def _day(day: date) -> str:
    return f"{day.year} {_yearly(day)}"


def read(text: str, today: date) -> dict[str, Any]:
    """Return ``week``, ``closed_on_holidays`` and ``special_days`` of the year from today on.

    Raises OsmError. What no space here can say (sunrise, weeks of the month) becomes the dates
    that follow from it. ``comments`` are words that stand where there are no times, ``schools``
    says that there are rules for school holidays: nothing is taken from either. ``loose``: some
    times are those of the sun, have an open end, or words beside them.
    """
    if len(text) > _MOST:
        raise OsmError(f"1:{_MOST}")
    whole, comments = text, _comments(text)
    text = _kept(text)
    try:
        OpeningHours(whole)
        # The library keeps the public holidays of a country; the week is read without them.
        plain = OpeningHours(text)
        with_holidays = OpeningHours(text, country="FR")
    except ParserError as error:
        raise OsmError(str(error).partition("--> ")[2].split()[0] or "1:1") from None
    days = [today + timedelta(n) for n in range(_DAYS_READ)]
    spans = {day: _open_on(plain, day) for day in days}
    week = {
        name: usual
        for n, name in enumerate(WEEKDAYS)
        if (usual := _most_common([spans[day] for day in days if day.weekday() == n]))
    }
    # Of several years: each of them falls on a day that is open.
    festive = public_holidays("", tuple(range(today.year, today.year + 7)))
    differ = [day for day in days if spans[day] != week.get(WEEKDAYS[day.weekday()], [])]
    return {
        "week": week,
        "closed_on_holidays": any(
            _open_on(plain, day) and not _open_on(with_holidays, day) for day in festive
        ),
        "special_days": list(periods([(day, spans[day]) for day in differ]))[:_MOST_PERIODS],
        "comments": comments,
        "schools": text != _kept(whole, schools=True),
        "loose": any(_is_loose(rule) for _, rule in _rules(whole)),
    }


def _rules(text: str) -> list[tuple[str, str]]:
    """Return the rules of a text, each with what parts it from the one before."""
    parts = _PARTED.split(text)
    return list(zip(["", *parts[1::2]], parts[::2], strict=True))


def _is_comment(rule: str) -> bool:
    """Words where times would stand say nothing of when it is open."""
    return '"' in rule and not _TIMES.search(_QUOTED.sub("", rule))


def _is_loose(rule: str) -> bool:
    said = _QUOTED.sub("", rule)
    return bool(_LOOSE.search(said)) or (rule != said and not _is_comment(rule))


def _comments(text: str) -> list[str]:
    return [said[1:-1] for _, rule in _rules(text) if _is_comment(rule) for said in _said(rule)]


def _said(rule: str) -> list[str]:
    return _QUOTED.findall(rule)


def _kept(text: str, *, schools: bool = False) -> str:
    """Return a text with comments for unknown hours, and without the rules for school holidays."""
    found = ""
    for parted, said in _rules(text):
        rule = _QUOTED.sub(r"unknown \g<0>", said, count=1) if _is_comment(said) else said
        rule = rule if schools else _without_schools(rule)
        if rule.strip():
            found += (parted if found else "") + rule
    return found or "off"


def _without_schools(rule: str) -> str:
    if not _SCHOOLS.search(_QUOTED.sub("", rule)):
        return rule
    others = _LISTED_SCHOOLS.sub("", rule)
    return "" if _SCHOOLS.search(_QUOTED.sub("", others)) else others


def first_difference(text: str, found: Mapping[str, Any], today: date) -> date | None:
    """Return the first day of two years on which what was read is not what the text says."""
    said = OpeningHours(_kept(text), country="FR")
    days = [today + timedelta(n) for n in range(2 * _DAYS_READ)]
    closed = set(public_holidays("", (today.year, today.year + 1, today.year + 2)))
    special = {
        date.fromisoformat(entry["from"]) + timedelta(n): entry["hours"]
        for entry in found["special_days"]
        for n in range(
            (date.fromisoformat(entry["to"]) - date.fromisoformat(entry["from"])).days + 1
        )
    }
    for day in days:
        festive = found["closed_on_holidays"] and day in closed
        usual = [] if festive else found["week"].get(WEEKDAYS[day.weekday()], [])
        if _open_on(said, day) != special.get(day, usual):
            return day
    return None


def _open_on(hours: OpeningHours, day: date) -> Spans:
    """Return the spans that begin on a day; one may end on the next, from 00:00 to 00:00 is all."""
    start = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - the library's are local
    end = start + timedelta(days=1)
    found = []
    for a, b, state, *_ in hours.intervals(start, end + timedelta(days=1)):
        if state != State.OPEN or a >= end:
            continue
        if a == start and b < end and hours.is_open(start - timedelta(minutes=1)):
            continue  # the end of the night before
        last = min(b, end) if b - a >= timedelta(days=1) else b
        found.append([f"{a:%H:%M}", f"{last:%H:%M}"])
    return found


def _most_common(found: list[Spans]) -> Spans:
    return max(found, key=found.count)
