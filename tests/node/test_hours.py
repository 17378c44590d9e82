"""Special days, public holidays and OpenStreetMap's text: what is published of each date."""

from __future__ import annotations

from datetime import date, datetime
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charter.hours import WEEKDAYS
from node.spaces import hours, osm

TODAY = date(2026, 11, 22)
WEEK = {name: [["09:00", "19:00"]] for name in WEEKDAYS[:5]}


def row(*special_days: dict[str, Any], **columns: Any) -> Any:
    return SimpleNamespace(
        **{
            "timezone": "Europe/Paris",
            "week": WEEK,
            "imported": None,
            "closed_on_holidays": True,
            "holidays_region": "",
            "until": None,
            "capacity": 25,
            "guest_cap": 4,
            "conditions": {},
            **columns,
        },
        special_days=list(special_days),
    )


def special(first: str, last: str | None = None, **values: Any) -> dict[str, Any]:
    usual = {"yearly": False, "hours": [], "capacity": None, "label": ""}
    return {"from": first, "to": last or first, **usual, **values}


def test_an_admins_day_goes_before_an_imported_one_and_both_before_a_public_holiday() -> None:
    christmas, eve = "2026-12-25", "2026-12-24"
    found = hours.exceptions(
        row(imported={"days": {eve: [], christmas: [["08:00", "09:00"]]}}), TODAY
    )
    assert (found[christmas], found[eve]) == ([["08:00", "09:00"]], [])
    mine = special(christmas, hours=[["10:00", "12:00"]])
    found = hours.exceptions(row(mine, imported={"days": {christmas: []}}), TODAY)
    assert found[christmas] == [["10:00", "12:00"]]


def test_a_yearly_closing_over_new_year_holds_in_each_of_the_years() -> None:
    yearly = special("2020-12-24", "2021-01-02", yearly=True)
    days = [day for day, _ in hours.special_dates([yearly], TODAY)]
    assert date(2026, 1, 1) in days
    assert date(2026, 12, 31) in days
    assert date(2027, 1, 2) in days
    assert date(2027, 1, 3) not in days
    assert date(2025, 12, 31) in days  # its night may go on
    assert len(days) == len(set(days)) == 1 + 2 + 8 + 2 + 8


def test_new_years_night_goes_on_after_midnight() -> None:
    party = row(special("2026-12-31", hours=[["20:00", "04:00"]]))
    zone = ZoneInfo("Europe/Paris")
    night = datetime(2027, 1, 1, 3, tzinfo=zone)
    for today in (date(2026, 12, 31), date(2027, 1, 1)):
        assert hours.schedule(party, today).opening_at(night) == (
            datetime(2026, 12, 31, 20, tzinfo=zone),
            datetime(2027, 1, 1, 4, tzinfo=zone),
        )


def test_29_february_is_the_28th_in_other_years() -> None:
    leap = special("2024-02-29", yearly=True)
    days = [day for day, _ in hours.special_dates([leap], date(2027, 6, 1))]
    assert days == [date(2027, 2, 28), date(2028, 2, 29)]


def test_a_day_with_more_people_keeps_its_hours() -> None:
    fair = special("2026-12-05", hours=None, capacity=100, label="Marché de Noël")
    found = row(fair, closed_on_holidays=False)
    assert hours.exceptions(found, TODAY) == {}
    assert hours.capacities(found, TODAY) == {"2026-12-05": 100}
    assert hours.labels(found, TODAY) == {"2026-12-05": "Marché de Noël"}


@pytest.mark.parametrize(
    ("region", "day", "name"),
    [
        ("", date(2026, 12, 25), "Noël"),
        ("57", date(2026, 12, 26), "Saint-Étienne"),
        ("974", date(2026, 12, 20), "Abolition de l'esclavage"),
    ],
)
def test_public_holidays_are_those_of_the_region(region: str, day: date, name: str) -> None:
    found = hours.public_holidays(region, (2026,))
    assert name in found[day]
    assert (day in hours.public_holidays("", (2026,))) == (region == "")


def test_the_days_ahead_say_what_is_published_and_why() -> None:
    fair = special("2026-12-01", "2026-12-02", hours=[["08:00", "22:00"]], capacity=100)
    space = row({**fair, "label": "Marché"}, conditions={"guests": {"mo": [3, 0]}})
    days = {each["day"]: each for each in hours.days_ahead(space, TODAY)}
    assert len(days) == 14
    assert days[date(2026, 11, 23)]["guests"] == (3, 0)
    assert days[date(2026, 11, 22)]["hours"] == []
    assert days[date(2026, 12, 1)] == {
        "day": date(2026, 12, 1),
        "hours": [["08:00", "22:00"]],
        "capacity": 100,
        "guests": (4, 4),
        "no_visitors": False,
        "why": "Marché",
        "differs": True,
    }


def test_after_its_last_day_a_temporary_site_is_open_no_more() -> None:
    found = hours.schedule(row(until=date(2026, 11, 24)), TODAY)
    assert found.on(date(2026, 11, 24))
    assert not found.on(date(2026, 11, 25))
    ahead = {each["day"]: each["hours"] for each in hours.days_ahead(row(until=TODAY), TODAY)}
    assert not any(ahead[day] for day in ahead if day > TODAY)


def test_hours_are_written_as_openstreetmap_does() -> None:
    saturday = {**WEEK, "sa": [["22:00", "02:00"]], "we": [["09:00", "12:00"], ["14:00", "19:00"]]}
    days = [
        special("2026-12-24", "2027-01-02", yearly=True),
        special("2026-12-05", hours=[["10:00", "20:00"]]),
        special("2026-12-06", hours=None, capacity=100),
    ]
    assert osm.write(row(*days, week=saturday)) == (
        "Mo-Tu 09:00-19:00; We 09:00-12:00,14:00-19:00; Th-Fr 09:00-19:00; Sa 22:00-02:00; PH off; "
        "Dec 24-Jan 02 off; 2026 Dec 05 10:00-20:00"
    )
    assert osm.write(row(week={})) == ""


@pytest.mark.parametrize(
    ("text", "week", "holidays", "special_days"),
    [
        ("Mo-Fr 09:00-19:00; PH off", WEEK, True, 0),
        ("Mo-Fr 09:00-19:00", WEEK, False, 0),
        ("24/7", {name: [["00:00", "00:00"]] for name in WEEKDAYS}, False, 0),
        ("Sa 22:00-02:00", {"sa": [["22:00", "02:00"]]}, False, 0),
        ("Mo-Su 00:00-24:00; PH off", {n: [["00:00", "00:00"]] for n in WEEKDAYS}, True, 0),
        ("Mo-Fr 09:00-19:00; Dec 24-Jan 02 off", WEEK, False, 2),
        ("Mo-Fr 09:00-19:00; 2027 Mar 28 10:00-12:00", WEEK, False, 1),
        ("", {}, False, 0),
    ],
)
def test_openstreetmaps_text_is_read(
    text: str, week: dict[str, Any], holidays: bool, special_days: int
) -> None:
    if not text:
        with pytest.raises(osm.OsmError):
            osm.read(text, TODAY)
        return
    found = osm.read(text, TODAY)
    assert (found["week"], found["closed_on_holidays"]) == (week, holidays)
    assert len(found["special_days"]) == special_days


@pytest.mark.parametrize("text", ["lundi 9h-12h", "Mo 8:00", "Mo-Fr 09:00-", "x" * 501, "\0", "🙂"])
def test_what_is_not_openstreetmaps_text_is_told_with_its_place(text: str) -> None:
    with pytest.raises(osm.OsmError, match=r"^\d+:\d+$"):
        osm.read(text, TODAY)


_TIMES = st.integers(0, 23).map(lambda n: f"{n:02}:30")
_SPAN = st.tuples(_TIMES, _TIMES).filter(lambda span: span[0] < span[1]).map(list)


@given(st.dictionaries(st.sampled_from(WEEKDAYS), st.lists(_SPAN, min_size=1, max_size=1)))
def test_what_is_written_is_read_back(week: dict[str, Any]) -> None:
    text = osm.write(row(week=week, closed_on_holidays=False))
    if week:
        found = osm.read(text, TODAY)
        assert found == {"week": week, "closed_on_holidays": False, "special_days": []}
