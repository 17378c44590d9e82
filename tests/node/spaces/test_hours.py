"""Special days, public holidays and OpenStreetMap's text: what is published of each date."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, time, timedelta
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from opening_hours import OpeningHours, State

from charter.hours import WEEKDAYS, Schedule
from node.bookings.forms import spans
from node.spaces import hours, osm
from node.spaces.forms import parse_hours
from node.spaces.whereabouts import whereabouts
from shared.wire.linked_data import linked_space

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
    assert osm.write(row(*days, week=saturday), TODAY) == (
        "Mo-Tu 09:00-19:00; We 09:00-12:00,14:00-19:00; Th-Fr 09:00-19:00; Sa 22:00-02:00; PH off; "
        "Dec 24-Jan 02 off; 2026 Dec 05 10:00-20:00; 2026 Dec 06 off; 2027 Jan 03 off; "
        "2027 May 02 off; 2027 May 09 off; 2027 Aug 15 00:00-02:00"
    )
    assert osm.write(row(week={}), TODAY) == ""


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


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(WEEKDAYS), st.lists(_SPAN, min_size=1, max_size=1)))
def test_what_is_written_is_read_back(week: dict[str, Any]) -> None:
    text = osm.write(row(week=week, closed_on_holidays=False), TODAY)
    if week:
        found = osm.read(text, TODAY)
        assert (found["week"], found["closed_on_holidays"]) == (week, False)
        assert found["special_days"] == []


@pytest.mark.parametrize(
    ("text", "week", "comments", "schools"),
    [
        ('"sur rendez-vous"', {}, ["sur rendez-vous"], False),
        ('Mo-Fr 09:00-19:00 || "par téléphone"', WEEK, ["par téléphone"], False),
        ('Mo-Fr 09:00-19:00; Sa "on; call"', WEEK, ["on; call"], False),
        ('Mo-Fr 09:00-19:00 "ring twice"', WEEK, [], False),
        ("Mo-Fr 09:00-19:00; SH Mo-Fr 10:00-15:00", WEEK, [], True),
        ("Mo-Fr 09:00-19:00; SH off", WEEK, [], True),
        ("Mo-Fr 09:00-19:00; PH,SH off", WEEK, [], True),
    ],
)
def test_words_are_no_hours_and_school_holidays_are_not_the_year(
    text: str, week: dict[str, Any], comments: list[str], schools: bool
) -> None:
    found = osm.read(text, TODAY)
    assert (found["week"], found["special_days"]) == (week, [])
    assert (found["comments"], found["schools"]) == (comments, schools)
    assert osm.first_difference(text, found, TODAY) is None


@pytest.mark.parametrize(
    ("text", "loose"),
    [
        ("Mo-Fr sunrise-sunset", True),
        ("Mo-Fr 09:00+", True),
        ('Mo-Fr 09:00-19:00 "sur rendez-vous"', True),
        ('"sur rendez-vous"', False),
        ('Mo-Fr 09:00-19:00; Sa "09:00+ perhaps"', False),
        ("Mo-Fr 09:00-19:00; 2026 Dec 24+ off", False),
    ],
)
def test_that_some_times_are_only_about_so_is_noticed(text: str, loose: bool) -> None:
    assert osm.read(text, TODAY)["loose"] is loose


@pytest.mark.parametrize("text", ["24:30-25:00", "9:00-24:30", "9-12", "9:00-12:00, 11:00-14:00"])
def test_hours_that_overlap_or_are_later_than_midnight_are_not_read(text: str) -> None:
    with pytest.raises(ValueError, match=r"\d"):
        parse_hours(text)


@pytest.mark.parametrize(
    ("postcode", "where", "zone", "region"),
    [
        ("67000", None, "Europe/Paris", "6AE"),
        ("57 000", None, "Europe/Paris", "57"),
        ("69003", None, "Europe/Paris", ""),
        ("97410", None, "Indian/Reunion", "974"),
        ("97600", None, "Indian/Mayotte", "976"),
        ("97133", None, "America/St_Barthelemy", "BL"),
        ("98800", None, "Pacific/Noumea", "NC"),
        (None, (-20.88, 55.45), "Indian/Reunion", "974"),
        (None, (45.76, 4.85), "Europe/Paris", ""),
        ("", None, "Europe/Paris", ""),
    ],
)
def test_zone_and_holidays_follow_the_place(
    postcode: str | None, where: tuple[float, float] | None, zone: str, region: str
) -> None:
    found = whereabouts(postcode, *(where or ()))
    assert (found.timezone, found.region) == (zone, region)
    assert ZoneInfo(zone)
    assert region in ("", *hours.REGIONS)


def test_search_engines_are_told_of_round_the_clock_and_of_the_last_day() -> None:
    space = row(
        special("2026-11-24", hours=[["00:00", "00:00"]]),
        special("2026-11-25"),
        special("2026-11-27", hours=[["10:00", "12:00"]]),
        week={"mo": [["00:00", "00:00"]]},
        until=date(2026, 11, 26),
    )
    now = datetime(2026, 11, 22, 12, tzinfo=ZoneInfo("Europe/Paris"))
    document = {"name": "S", "address": {"town": "T"}}
    found = linked_space(document, hours.schedule(space, TODAY), now, "https://s.example")
    names = ("opens", "closes", "validThrough")
    assert [tuple(each[name] for name in names) for each in found["openingHoursSpecification"]] == [
        ("00:00", "23:59", "2026-11-26")
    ]
    assert [
        tuple(each[name] for name in names) for each in found["specialOpeningHoursSpecification"]
    ] == [("00:00", "23:59", "2026-11-24"), ("00:00", "00:00", "2026-11-25")]


def test_search_engines_are_told_of_closings_of_the_year_ahead() -> None:
    space = row(special("2026-12-24", "2027-01-02"), special("2027-11-30"), week=WEEK)
    now = datetime(2026, 11, 30, 12, tzinfo=ZoneInfo("Europe/Paris"))
    document = {"name": "S", "address": {"town": "T"}}
    found = linked_space(document, hours.schedule(space, now.date()), now, "https://s.example")
    told = {each["validFrom"] for each in found["specialOpeningHoursSpecification"]}
    assert {"2026-12-24", "2027-01-02", "2027-11-30"} <= told


# Every way in which hours are told, minute by minute


_MINUTES = st.integers(0, 24 * 60 - 1).map(lambda n: f"{n // 60:02}:{n % 60:02}")
_ANY_SPAN = st.one_of(
    # Search engines are told of 24 hours as of 23:59.
    st.lists(_MINUTES, min_size=2, max_size=2, unique=True).filter(
        lambda span: len(minutes([since_midnight(*span)])) != 1439
    ),
    st.just(["00:00", "00:00"]),
    st.just(["09:00", "00:00"]),
)


def since_midnight(opens: str, closes: str, *, whole_day: bool = True) -> Any:
    a, b = (timedelta(hours=int(t[:2]), minutes=int(t[3:])) for t in (opens, closes))
    if not whole_day and opens == closes:
        return a, a
    return a, b + timedelta(days=b <= a)


_DAY_HOURS = st.one_of(
    st.just([]),
    st.just([["09:00", "12:00"], ["14:00", "18:00"]]),
    st.just([["09:00", "13:00"], ["13:00", "19:00"]]),
    _ANY_SPAN.map(lambda span: [span]),
)
# All Saints' is the Sunday, so that a public holiday is among the days.
FIRST, DAYS_COMPARED = date(2026, 10, 30), 3


def minutes(spans: Iterable[tuple[timedelta, timedelta]]) -> set[int]:
    step = timedelta(minutes=1)
    return {n for a, b in spans for n in range(a // step, b // step)}


def by_day(told: Callable[[date], Iterable[tuple[timedelta, timedelta]]]) -> set[int]:
    """Return the minutes since FIRST that are told day by day, from the night before on."""
    found = set[int]()
    for n in range(-1, DAYS_COMPARED):
        found |= {n * 1440 + each for each in minutes(told(FIRST + timedelta(n)))}
    return {each for each in found if 0 <= each < DAYS_COMPARED * 1440}


def linked(plan: Schedule, now: datetime) -> set[int]:
    """Read schema.org's hours as it says: a date's own before those of its weekday."""
    document = {"name": "S", "address": {"town": "T"}}
    found = linked_space(document, plan, now, "https://s.example")
    usual, special = (
        found.get(name, [])
        for name in ("openingHoursSpecification", "specialOpeningHoursSpecification")
    )

    def told(day: date) -> Iterator[tuple[timedelta, timedelta]]:
        iso = day.isoformat()
        own = [each for each in special if each["validFrom"] == iso]
        week = [
            each
            for each in usual
            if each["dayOfWeek"].endswith(f"{day:%A}") and iso <= each.get("validThrough", iso)
        ]
        for each in own or week:
            a, b = since_midnight(each["opens"], each["closes"], whole_day=False)
            yield a, b + timedelta(minutes=(b - a) % timedelta(1) == timedelta(minutes=1439))

    return by_day(told)


def osm_minutes(text: str) -> set[int]:
    start = datetime(FIRST.year, FIRST.month, FIRST.day)  # noqa: DTZ001 - local
    if not text:
        return set()
    found = OpeningHours(text, country="FR").intervals(start, start + timedelta(DAYS_COMPARED))
    return minutes((a - start, b - start) for a, b, state, *_ in found if state == State.OPEN)


def test_a_night_that_goes_on_into_a_day_with_its_own_hours_is_told_to_openstreetmap() -> None:
    week = {"th": [["18:00", "02:00"]], "fr": [["09:00", "12:00"]]}
    found = osm_minutes(osm.write(row(week=week), FIRST))  # a Friday
    assert found == {*range(120), *range(9 * 60, 12 * 60)}


def planned(
    week: dict[str, Any], typed: dict[int, Any], brought: dict[int, Any], **more: Any
) -> Any:
    """Return a space whose dates, by days since FIRST, were typed or brought by a source."""

    def on(n: int) -> str:
        return (FIRST + timedelta(n)).isoformat()

    own = (special(on(n), hours=spans) for n, spans in typed.items())
    imported = {"days": {on(n): spans for n, spans in brought.items()}}
    return row(*own, week=week, imported=imported, **more)


@pytest.mark.parametrize(
    ("week", "brought", "typed", "hours_open"),
    [
        ({"fr": [["18:00", "02:00"]]}, {}, {0: []}, []),
        ({"fr": [["18:00", "02:00"]], "sa": [["09:00", "11:00"]]}, {}, {0: []}, [33, 34]),
        ({"sa": [["20:00", "02:00"]]}, {}, {1: []}, []),
        ({"su": [["09:00", "10:00"]]}, {}, {1: [["22:00", "01:00"]]}, [46, 47, 48]),
        ({}, {0: [["20:00", "02:00"]]}, {0: [["10:00", "12:00"]]}, [10, 11]),
    ],
)
def test_a_night_that_began_on_a_date_with_its_own_hours_is_told_to_openstreetmap(
    week: dict[str, Any], brought: dict[int, Any], typed: dict[int, Any], hours_open: list[int]
) -> None:
    space = planned(week, typed, brought, closed_on_holidays=True)
    found = osm_minutes(osm.write(space, FIRST))
    assert found == {hour * 60 + n for hour in hours_open for n in range(60)}


@settings(derandomize=True, deadline=None, max_examples=60, phases=(Phase.explicit, Phase.generate))
@given(
    st.dictionaries(st.sampled_from(WEEKDAYS), _DAY_HOURS),
    st.dictionaries(st.integers(-1, DAYS_COMPARED), _DAY_HOURS, max_size=2),
    st.dictionaries(st.integers(0, DAYS_COMPARED), _DAY_HOURS, max_size=2),
    st.one_of(st.none(), st.integers(0, DAYS_COMPARED)),
    st.booleans(),
)
def test_door_page_booking_closing_search_engines_and_openstreetmap_tell_the_same_hours(
    week: dict[str, Any],
    typed: dict[int, Any],
    brought: dict[int, Any],
    last: int | None,
    festive: bool,
) -> None:
    space = planned(
        week,
        typed,
        brought,
        until=None if last is None else FIRST + timedelta(last),
        closed_on_holidays=festive,
        timezone="Indian/Reunion",  # its clock is never changed
    )
    plan = hours.schedule(space, FIRST)
    zone = plan.zone
    start = datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=zone)
    moments = [start + timedelta(minutes=n) for n in range(DAYS_COMPARED * 1440)]
    door = {n for n, moment in enumerate(moments) if plan.opening_at(moment)}
    ahead = {each["day"]: each["hours"] for each in hours.days_ahead(space, FIRST - timedelta(1))}
    assert by_day(lambda day: [since_midnight(*span) for span in ahead[day]]) == door
    for told in (linked(plan, start), osm_minutes(osm.write(space, FIRST))):
        if plan.known:
            assert told == door
    for n in range(DAYS_COMPARED):
        day = FIRST + timedelta(n)
        booked = spans(plan, time(13), day, "day", None) if plan.known else None
        opened = plan.openings(day)
        assert booked == ((opened[0][0], opened[-1][1]) if opened else None)
        for half in ("morning", "afternoon"):
            part = spans(plan, time(13), day, half, None) if plan.known else None
            if part is not None:  # both ends are within the hours, as a booking must be
                assert plan.opening_at(part[0])
                assert plan.opening_at(part[1] - timedelta(seconds=1))
        own = opened and plan.day_of(opened[0][0]).day == day  # else last night is not over yet
        if own and opened[-1][1] - opened[0][0] < timedelta(1):
            assert plan.closing_after(opened[0][0]) == opened[-1][1]
