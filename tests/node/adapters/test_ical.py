"""Calendars as other tools write them: zones, whole days, series and what differs from them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from charter.hours import read_schedule
from node.adapters.ical import Closings, Events, Hours
from node.adapters.ical_text import decode, find_zone
from node.adapters.interface import Found, Source
from tests.network import WEEK
from tests.node.adapters.feed import calendar

PARIS = ZoneInfo("Europe/Paris")
NOW = datetime(2026, 10, 1, 8, tzinfo=UTC)
SOURCE = Source(
    "https://tool.example/a.ics",
    "Le Troquet",
    "1 rue du Port",
    read_schedule({"timezone": "Europe/Paris", "week": {**WEEK, "sa": [["20:00", "02:00"]]}}),
    NOW,
    datetime(2027, 11, 1, tzinfo=UTC),
)


def read(*entries: str, head: str = "", kind: type = Events) -> Found:
    content = calendar(*entries, head=head)
    found: Found = kind().read(SOURCE, lambda _url, **_kwargs: content)
    return found


def starts(*entries: str, head: str = "") -> list[str]:
    """Return when events begin, by a clock in Paris."""
    found = read(*entries, head=head)
    assert not found.faults
    return [
        f"{each.starts_at.astimezone(UTC).astimezone(PARIS):%Y-%m-%d %H:%M}"
        for each in found.events
    ]


def days(found: Found) -> dict[str, Sequence[tuple[str, str]]]:
    return {
        each.day.isoformat(): [(f"{a:%H:%M}", f"{b:%H:%M}") for a, b in each.hours]
        for each in found.days
    }


def test_hours_on_the_wall_stay_when_clocks_change() -> None:
    weekly = "UID:1\nDTSTART;TZID=Europe/Paris:20261020T083000\nRRULE:FREQ=WEEKLY;COUNT=3"
    assert starts(weekly) == ["2026-10-20 08:30", "2026-10-27 08:30", "2026-11-03 08:30"]
    in_utc = "UID:1\nDTSTART:20261020T063000Z\nRRULE:FREQ=WEEKLY;COUNT=2"
    assert starts(in_utc) == ["2026-10-20 08:30", "2026-10-27 07:30"]


def test_a_night_on_which_clocks_change_is_as_long_as_it_is() -> None:
    night = "UID:1\nDTSTART;TZID=Europe/Paris:20261024T200000\n"
    (by_end,) = read(night + "DTEND;TZID=Europe/Paris:20261025T080000").events
    assert (by_end.ends_at - by_end.starts_at.astimezone(UTC)).total_seconds() == 13 * 3600
    (by_day,) = read(night + "DURATION:P1D").events
    assert f"{by_day.ends_at:%d %H:%M}" == "25 20:00"
    (exact,) = read(night + "DURATION:PT24H").events
    assert f"{exact.ends_at:%d %H:%M}" in ("25 20:00", "25 19:00")


def test_a_time_that_clocks_skip_is_an_hour_later() -> None:
    assert starts("UID:1\nDTSTART;TZID=Europe/Paris:20270328T023000") == ["2027-03-28 03:30"]


@pytest.mark.parametrize(
    ("line", "head", "expected"),
    [
        ("DTSTART:20261203T083000Z", "", "2026-12-03 09:30"),
        ("DTSTART:20261203T083000", "", "2026-12-03 08:30"),
        ("DTSTART:20261203T083000", "X-WR-TIMEZONE:Europe/London", "2026-12-03 09:30"),
        ("DTSTART;TZID=Europe/London:20261203T083000", "", "2026-12-03 09:30"),
        ('DTSTART;TZID="Europe/London":20261203T083000', "", "2026-12-03 09:30"),
        ("DTSTART;TZID=GMT Standard Time:20261203T083000", "", "2026-12-03 09:30"),
        ("DTSTART;TZID=/tool.example/2026/Europe/London:20261203T083000", "", "2026-12-03 09:30"),
        ("DTSTART;TZID=Of our own:20261203T083000", "", "2026-12-03 08:30"),
    ],
)
def test_zones_are_known_as_several_tools_name_them(line: str, head: str, expected: str) -> None:
    assert starts(f"UID:1\n{line}", head=head) == [expected]


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "/etc/passwd", "Nowhere/None", "\0"])
def test_what_is_no_zone_is_none(name: str) -> None:
    assert find_zone(name) is None


def test_a_definition_of_a_zone_that_never_ends_is_not_read() -> None:
    head = (
        "BEGIN:VTIMEZONE\nTZID:Bomb\nBEGIN:STANDARD\nDTSTART:19700101T000000\n"
        "RRULE:FREQ=SECONDLY\nTZOFFSETFROM:+0100\nTZOFFSETTO:+0200\nEND:STANDARD\nEND:VTIMEZONE"
    )
    assert starts("UID:1\nDTSTART;TZID=Bomb:20261203T083000", head=head) == ["2026-12-03 08:30"]


def test_a_series_has_its_exceptions() -> None:
    series = (
        "UID:s\nDTSTART;TZID=Europe/Paris:20261201T180000\nRRULE:FREQ=DAILY;UNTIL=20261206T170000Z\n"
        "EXDATE;TZID=Europe/Paris:20261202T180000,20261203T180000\n"
        "RDATE;TZID=Europe/Paris:20261220T110000\nSUMMARY:Chorale"
    )
    moved = "UID:s\nRECURRENCE-ID:20261204T170000Z\nDTSTART:20261204T190000Z\nSUMMARY:Plus tard"
    off = "UID:s\nRECURRENCE-ID:20261205T170000Z\nDTSTART:20261205T170000Z\nSTATUS:CANCELLED"
    found = read(moved, series, off).events
    assert [(f"{e.starts_at.astimezone(PARIS):%d %H:%M}", e.title, e.cancelled) for e in found] == [
        ("01 18:00", "Chorale", False),
        ("04 20:00", "Plus tard", False),
        ("05 18:00", "", True),
        ("06 18:00", "Chorale", False),
        ("20 11:00", "Chorale", False),
    ]


def test_an_event_keeps_its_key_when_it_is_moved_and_a_series_one_each() -> None:
    one = read("UID:1\nDTSTART:20261203T083000Z").events[0].key
    assert read("UID:1\nDTSTART:20261210T083000Z\nSUMMARY:x").events[0].key == one
    series = read("UID:1\nDTSTART:20261203T083000Z\nRRULE:FREQ=DAILY;COUNT=4").events
    assert len({event.key for event in series} | {one}) == 5


def test_of_two_versions_the_later_holds() -> None:
    found = read(
        "UID:1\nSEQUENCE:2\nDTSTART:20261203T083000Z\nSUMMARY:Neuf",
        "UID:1\nSEQUENCE:1\nDTSTART:20261203T083000Z\nSUMMARY:Vieux",
    ).events
    assert [event.title for event in found] == ["Neuf"]


def test_whole_days_are_the_same_dates_in_every_zone() -> None:
    line = "UID:1\nDTSTART;VALUE=DATE:20261203\nDTEND;VALUE=DATE:20261205"
    (event,) = read(line, head="X-WR-TIMEZONE:America/New_York").events
    assert (event.starts_at.date(), event.ends_at.date()) == (
        date(2026, 12, 3),
        date(2026, 12, 5),
    )
    found = read(line, head="X-WR-TIMEZONE:America/New_York", kind=Closings)
    assert days(found) == {"2026-12-03": [], "2026-12-04": []}
    assert starts("UID:1\nDTSTART;VALUE=DATE:20261203") == ["2026-12-03 00:00"]


def test_what_is_going_on_is_still_there_and_what_is_over_is_not() -> None:
    assert starts(
        "UID:1\nDTSTART:20261001T060000Z\nDTEND:20261001T090000Z",
        "UID:2\nDTSTART:20261001T060000Z\nDTEND:20261001T080000Z",
        "UID:3\nDTSTART:20000101T060000Z\nRRULE:FREQ=YEARLY;UNTIL=20100101T060000Z",
    ) == ["2026-10-01 08:00"]


@pytest.mark.parametrize(
    "lines",
    [
        "UID:1",
        "UID:1\nDTSTART:soon",
        "UID:1\nDTSTART:20261301T000000Z",
        "UID:1\nDTSTART:20261203T083000Z\nDTEND:20261203T073000Z",
        "UID:1\nDTSTART:20261203T083000Z\nDURATION:long",
        "UID:1\nDTSTART:20261203T083000Z\nRRULE:FREQ=SECONDLY",
        "UID:1\nDTSTART:20261203T083000Z\nRRULE:FREQ=DAILY;UNTIL=never",
        "UID:1\nDTSTART:20261203T083000Z\nRRULE:FREQ=DAILY;BYMONTH=" + "9" * 5000,
        "UID:1\nDTSTART:20261203T083000Z\nEXDATE:x\nRRULE:FREQ=DAILY;COUNT=2",
        "UID:1\nRECURRENCE-ID:x\nDTSTART:20261203T083000Z",
        "UID:1\nDTSTART:00010101T000000Z\nDURATION:P999999999D",
    ],
)
def test_an_entry_that_is_not_understood_is_named_and_the_others_are_read(lines: str) -> None:
    found = read(lines, "UID:2\nDTSTART:20261203T083000Z\nSUMMARY:Bon")
    assert [event.title for event in found.events] == ["Bon"]
    assert found.faults == ["Entry 1 (1): its times cannot be understood."]


def test_a_closing_of_a_hundred_years_ends_with_what_is_needed() -> None:
    found = days(
        read("UID:1\nDTSTART;VALUE=DATE:20200101\nDTEND;VALUE=DATE:21200101", kind=Closings)
    )
    assert (min(found), max(found)) == ("2026-10-01", "2027-10-31")
    whole = read("UID:1\nDTSTART:20200101T000000Z\nDTEND:21200101T000000Z", kind=Closings)
    assert all(not hours for hours in days(whole).values())


def test_hours_past_midnight_are_the_evenings() -> None:
    # Saturday, 20:00 to 02:00.
    late = "UID:1\nDTSTART;TZID=Europe/Paris:20261003T230000\nDURATION:PT4H"
    assert days(read(late, kind=Closings)) == {"2026-10-03": [("20:00", "23:00")]}
    sunday = "UID:1\nDTSTART;TZID=Europe/Paris:20261004T010000\nDURATION:PT4H"
    assert days(read(sunday, kind=Closings)) == {"2026-10-03": [("20:00", "01:00")]}
    assert days(read("UID:1\nDTSTART;VALUE=DATE:20261004", kind=Closings)) == {"2026-10-04": []}


def test_exceptional_hours_are_those_of_the_entries() -> None:
    found = read(
        "UID:1\nDTSTART;TZID=Europe/Paris:20261003T090000\nDURATION:PT3H",
        "UID:2\nDTSTART;TZID=Europe/Paris:20261003T140000\nDURATION:PT3H",
        "UID:3\nDTSTART;VALUE=DATE:20261005",
        kind=Hours,
    )
    assert days(found) == {
        "2026-10-03": [("09:00", "12:00"), ("14:00", "17:00")],
        "2026-10-05": [],
    }


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("é".encode(), "é"),
        (b"\xef\xbb\xbf" + "é".encode(), "é"),
        ("é".encode("cp1252"), "é"),
        ("é".encode("utf-16"), "é"),
        ("élève\ufffd".encode().replace(b"\xef\xbf\xbd", b"\xff"), "élève\ufffd"),
        (b"\x81\x8d", "\ufffd\ufffd"),
    ],
)
def test_broken_encodings_are_read_as_far_as_they_go(content: bytes, text: str) -> None:
    assert decode(content) == text


def test_long_lines_are_folded_and_texts_escaped() -> None:
    entry = "UID:1\nDTSTART:20261203T083000Z\nSUMMARY:Un titre\n  assez long\\, et\\nlarge"
    (event,) = read(entry).events
    assert event.title == "Un titre assez long, et\nlarge"


def test_the_spaces_own_address_is_no_place() -> None:
    place = "UID:1\nDTSTART:20261203T083000Z\nLOCATION:"
    for own in ("Le Troquet", "1 rue du port\\, 69001 Lyon"):
        assert read(place + own).events[0].place == ""
    assert read(place + "Jardin public").events[0].place == "Jardin public"
