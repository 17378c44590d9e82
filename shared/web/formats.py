"""Dates, numbers and money as the reader's language writes them, for templates."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime, format_time, format_timedelta
from babel.numbers import format_currency, format_decimal
from flask import Flask, current_app, g
from flask_babel import get_locale, gettext, lazy_gettext

from shared.base.schemas import DEFAULT_ZONE
from shared.wire.sheet import ACCESS, AUDIENCES, KINDS

_UNITS: tuple[tuple[Literal["hour", "minute", "second"], int], ...] = (
    ("hour", 3600),
    ("minute", 60),
    ("second", 1),
)


def _locale() -> str:
    return "en_GB" if str(get_locale()) == "en" else "fr_FR"


def _instant(value: datetime | str) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def _zone(name: str | None) -> ZoneInfo:
    """Return a zone; without a name, that of whoever runs this service.

    An application says which in ``extensions["zone_here"]``, a function that is asked once for
    each request or job.
    """
    if name is None:
        name = g.get("zone_here")
    if name is None:
        name = current_app.extensions.get("zone_here", lambda: DEFAULT_ZONE)()
        g.zone_here = name
    return ZoneInfo(name)


def day(value: date | str, style: str = "long") -> str:
    if isinstance(value, str):
        value = date.fromisoformat(value[:10])
    return format_date(value, format="d MMMM y" if style == "long" else style, locale=_locale())


def moment(value: datetime | str | None, zone: str | None = None) -> str:
    """Return a short date and time in the given zone, or a dash."""
    if value is None:
        return "–"
    return format_datetime(_instant(value), "d\u00a0MMM\u00a0y, HH:mm", _zone(zone), _locale())


def clock_time(value: datetime | str | None, zone: str | None = None) -> str:
    """Return hours and minutes in the given zone, or a dash."""
    if value is None:
        return "–"
    return format_time(_instant(value), "HH:mm", _zone(zone), _locale())


def clock_there(value: datetime | str) -> str:
    """Return hours and minutes by the clock of the place that said them: their own offset."""
    return f"{_instant(value):%H:%M}"


def ago(value: datetime | str, now: datetime) -> str:
    """Return how long ago it was, as a browser's Intl.RelativeTimeFormat says it: "40 s ago"."""
    seconds = max(1, int((now - _instant(value)).total_seconds()))
    unit, size = next(each for each in _UNITS if seconds >= each[1] or each[1] == 1)
    return format_timedelta(
        timedelta(seconds=-(seconds // size) * size),
        granularity=unit,
        threshold=100_000,
        add_direction=True,
        format="short",
        locale=_locale(),
    )


def local_day(value: datetime | str, zone: str | None = None) -> date:
    """Return the date that it is then in the given zone."""
    return _instant(value).astimezone(_zone(zone)).date()


def last_day(end: datetime | str, zone: str | None = None) -> date:
    """Return the last date of what ends then: at midnight it is the one before."""
    return local_day(_instant(end) - timedelta(microseconds=1), zone)


def money(cents: int | None, currency: str = "EUR") -> str:
    if cents is None:
        return "–"
    return _minus(format_currency(cents / 100, currency, locale=_locale()))


def number(value: Any) -> str:
    return "–" if value is None else _minus(format_decimal(value, locale=_locale()))


def signed(value: int) -> str:
    """Return a number with its sign, as balances are shown."""
    return _minus(format_decimal(value, format="+#,##0;-#,##0", locale=_locale())) if value else "0"


def _minus(number: str) -> str:
    """Write a minus as a minus, everywhere the same."""
    return number.replace("-", "−")


def halves(value: Iterable[str]) -> str:
    """Return the halves of a day in words."""
    return ", ".join(gettext("morning") if half == "am" else gettext("afternoon") for half in value)


def month(value: str) -> str:
    """Return ``2026-11`` as a month's name."""
    return format_date(date.fromisoformat(f"{value}-01"), "LLLL y", _locale())


# Where a space says it stands on a shared value (charter.values.LEVELS).
_LEVELS = {
    1: lazy_gettext("first steps"),
    2: lazy_gettext("on our way"),
    3: lazy_gettext("in place"),
    4: lazy_gettext("ready to share"),
}


def level_name(level: int) -> Any:
    return _LEVELS.get(level, "–")


def install(app: Flask) -> None:
    app.jinja_env.filters.update(
        ago=ago,
        day=day,
        moment=moment,
        clock_time=clock_time,
        clock_there=clock_there,
        local_day=local_day,
        last_day=last_day,
        halves=halves,
        money=money,
        number=number,
        signed=signed,
        month=month,
        level_name=level_name,
        kind_name=lambda code: str(KINDS.get(code, code)),
        access_name=lambda code: str(ACCESS.get(code, code)),
        audience_name=lambda code: str(AUDIENCES.get(code, code)),
    )
