"""Events: announced once, right on every page, at the hub, and in the calendars that follow."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from icalendar import Calendar
from sqlalchemy import delete

from node.events import service as events
from node.events.models import Event
from node.spaces import service as spaces
from shared.store.db import begin_write
from shared.wire.events import EventSchema, coming
from tests.contract.speaking import claims_of
from tests.network import LocalNode, Network
from tests.shared.browser import Browser, Page, forget_attempts
from tests.shared.web.test_pages import NASTY

CONSOLE = "/console/spaces/troquet/events"
ICS = "/spaces/troquet/events.ics"
BREAKFAST = {
    "title": "Petit-déjeuner des nouveaux",
    "day": "2026-12-03",
    "start": "08:30",
    "until": "10:00",
    "last_day": "",
    "open_to": "everyone",
    "description": "Croissants, et présentations.",
    "place": "",
    "url": "https://troquet.example/petit-dej",
}


@pytest.fixture
def troquet(lasting_network: Network) -> Iterator[LocalNode]:
    """The node; after the test it has no events, and the hub knows."""
    found = lasting_network.nodes["troquet"]
    yield found
    with found.context() as (session, node):
        begin_write(session)
        session.execute(delete(Event))
        session.commit()
        spaces.publish_now(session, node)


@pytest.fixture
def admin(troquet: LocalNode) -> Browser:
    forget_attempts()
    browser = Browser(troquet, "en")
    assert browser.log_in("admin@troquet.example").status_code == 302
    browser.get(CONSOLE)
    return browser


def announce(admin: Browser, **changes: str) -> str:
    """Announce an event on the console; return its id."""
    before = _ids(admin)
    answer = admin.post(CONSOLE, {**BREAKFAST, **changes})
    assert (answer.status_code, answer.headers.get("Location")) == (302, CONSOLE), answer.text
    (new,) = _ids(admin) - before
    return new


def _ids(admin: Browser) -> set[str]:
    links = [attrs.get("href") or "" for tag, attrs in Page(admin.get(CONSOLE).text).elements]
    return {link.rpartition("/")[2] for link in links if link.startswith(f"{CONSOLE}/")}


def at_hub(network: Network) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = network.hub.get("/api/v1/spaces/troquet").json()["events"]
    return found


def entries(troquet: LocalNode) -> dict[str, Any]:
    """Read the calendar as another program would; return its entries by UID."""
    answer = requests.get(troquet.url + ICS, timeout=20)
    assert answer.headers["Content-Type"].startswith("text/calendar")
    return {str(entry["UID"]): entry for entry in Calendar.from_ical(answer.content).events}


def test_what_is_announced_is_on_both_pages_at_the_hub_and_in_the_calendar(
    admin: Browser, troquet: LocalNode, lasting_network: Network
) -> None:
    event = announce(admin)
    (published,) = at_hub(lasting_network)
    assert published == {
        "id": event,
        "title": "Petit-déjeuner des nouveaux",
        "description": "Croissants, et présentations.",
        "starts_at": "2026-12-03T08:30:00+01:00",
        "ends_at": "2026-12-03T10:00:00+01:00",
        "place": "",
        "url": "https://troquet.example/petit-dej",
        "open_to": "everyone",
        "cancelled": False,
    }
    for service in (troquet, lasting_network.hub):
        page = Page(requests.get(f"{service.url}/spaces/troquet?lang=en", timeout=20).text)
        for words in ("Coming events", published["title"], "3 Dec 2026, 08:30 – 10:00"):
            assert words in page.text.replace("\u00a0", " "), (service.url, words)
        assert "open to: everyone" in page.text
    entry = entries(troquet)[event]
    assert entry.start == datetime(2026, 12, 3, 7, 30, tzinfo=UTC)
    assert entry.end == datetime(2026, 12, 3, 9, 0, tzinfo=UTC)
    assert (str(entry["SUMMARY"]), str(entry["STATUS"])) == (published["title"], "CONFIRMED")
    assert str(entry["URL"]) == published["url"]
    assert "Lyon" in str(entry["LOCATION"])


def test_calling_off_is_said_everywhere_and_can_be_taken_back(
    admin: Browser, troquet: LocalNode, lasting_network: Network
) -> None:
    event = announce(admin)
    before = entries(troquet)[event]
    for wanted, status, sequence in (("yes", "CANCELLED", 1), ("no", "CONFIRMED", 2)):
        assert admin.post(f"{CONSOLE}/{event}/state", cancelled=wanted).status_code == 302
        entry = entries(troquet)[event]
        assert (str(entry["STATUS"]), int(entry["SEQUENCE"])) == (status, sequence)
        assert str(entry["UID"]) == str(before["UID"])
        assert entry["DTSTAMP"].dt >= before["DTSTAMP"].dt
        assert [e["cancelled"] for e in at_hub(lasting_network)] == [wanted == "yes"]
        for service in (troquet, lasting_network.hub):
            page = Page(requests.get(f"{service.url}/spaces/troquet?lang=en", timeout=20).text)
            assert ("called off" in page.text) == (wanted == "yes"), service.url


def test_changing_an_event_keeps_its_number_and_moves_its_sequence(
    admin: Browser, troquet: LocalNode, lasting_network: Network
) -> None:
    event = announce(admin)
    path = f"{CONSOLE}/{event}"
    held = Page(admin.get(path).text).values
    assert {name: held[name] for name in BREAKFAST} == BREAKFAST
    changed = {**held, "until": "02:00", "last_day": "2026-12-04", "open_to": "subscribers"}
    assert admin.post(path, changed).status_code == 302
    (published,) = at_hub(lasting_network)
    assert (published["id"], published["open_to"]) == (event, "subscribers")
    assert published["ends_at"] == "2026-12-04T02:00:00+01:00"
    assert int(entries(troquet)[event]["SEQUENCE"]) == 1


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"title": " "}, "title", "This is needed."),
        ({"title": "x" * 121}, "title", "At most 120 characters."),
        ({"title": "a\0b"}, "title", "cannot be stored"),
        ({"day": ""}, "day", "This is needed."),
        ({"day": "soon"}, "day", "Not a valid date"),
        ({"day": "2026-11-23"}, "day", "This is over already."),
        ({"day": "2029-01-01"}, "day", "within the next two years"),
        ({"day": "0001-01-01"}, "day", "within the next two years"),
        ({"day": "9999-12-31"}, "day", "within the next two years"),
        ({"last_day": "9999-12-31"}, "last_day", "within the next two years"),
        ({"last_day": "2026-12-02"}, "until", "It ends before it begins."),
        ({"until": "08:30"}, "until", "It ends before it begins."),
        ({"until": "noon"}, "until", "Not a valid time"),
        ({"start": ""}, "start", "This is needed."),
        ({"day": "2027-03-28", "start": "02:30"}, "start", "Clocks skip this time"),
        ({"day": "2027-03-28", "start": "01:00", "until": "02:59"}, "until", "Clocks skip"),
        ({"open_to": "nobody"}, "open_to", "Not a valid choice"),
        ({"description": "x" * 2001}, "description", "At most 2000 characters."),
        ({"place": "x" * 201}, "place", "At most 200 characters."),
        ({"url": "javascript:alert(1)"}, "url", "A web address starting with https://"),
        ({"url": "https://x.example/a\nATTENDEE:mailto:x@x.example"}, "url", "A web address"),
        ({"url": "https://x.example/" + "x" * 300}, "url", "At most 300 characters."),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_a_wrong_field_is_named_beside_itself_and_nothing_is_published(
    admin: Browser, troquet: LocalNode, changes: dict[str, str], field: str, words: str
) -> None:
    before = troquet.get("/.well-known/passerelle").headers["ETag"]
    answer = admin.post(CONSOLE, {**BREAKFAST, **changes})
    assert answer.status_code == 422
    page = Page(answer.text)
    wrong = [name for name in BREAKFAST if page.with_id(f"{name}-error")]
    assert wrong == [field]
    assert words in page.text
    assert troquet.get("/.well-known/passerelle").headers["ETag"] == before


def test_all_that_is_wrong_is_named_at_once(admin: Browser) -> None:
    answer = admin.post(CONSOLE, {**BREAKFAST, "title": "", "until": "07:00", "url": "abc"})
    page = Page(answer.text)
    assert [n for n in BREAKFAST if page.with_id(f"{n}-error")] == ["title", "until", "url"]


def test_errors_are_in_french_for_those_who_read_french(troquet: LocalNode) -> None:
    forget_attempts()
    admin = Browser(troquet, "fr")
    assert admin.log_in("admin@troquet.example").status_code == 302
    admin.get(CONSOLE)
    said = Page(admin.post(CONSOLE, {**BREAKFAST, "title": "", "until": "x"}).text).text
    assert "Ce champ est obligatoire." in said
    assert "Not a" not in said
    said = Page(admin.post(CONSOLE, {**BREAKFAST, "until": "07:00"}).text).text
    assert "Il finit avant de commencer." in said


@pytest.mark.parametrize("kind", [kind for kind in NASTY if kind not in ("NUL", "long", "spaces")])
def test_whatever_is_typed_is_text_on_the_pages_and_in_the_calendar(
    admin: Browser, troquet: LocalNode, lasting_network: Network, kind: str
) -> None:
    value = f"x{NASTY[kind]}x"
    event = announce(admin, title=value, description=value, place=value)
    for service in (troquet, lasting_network.hub):
        answer = requests.get(f"{service.url}/spaces/troquet", timeout=20)
        assert "<script>alert" not in answer.text
        assert " ".join(value.split()) in Page(answer.text).text
    raw = requests.get(troquet.url + ICS, timeout=20).content
    assert all(len(line) <= 75 for line in raw.split(b"\r\n"))
    entry = entries(troquet)[event]
    assert " ".join(str(entry["SUMMARY"]).split()) == " ".join(value.split())
    assert set(entry) <= {
        *("UID", "DTSTAMP", "LAST-MODIFIED", "SEQUENCE", "DTSTART", "DTEND", "SUMMARY"),
        *("DESCRIPTION", "LOCATION", "GEO", "URL", "STATUS"),
    }


def test_hours_on_the_wall_are_the_same_on_both_sides_of_a_change_of_clocks(
    admin: Browser, troquet: LocalNode, lasting_network: Network
) -> None:
    summer = announce(admin, day="2027-06-01")
    long = announce(admin, day="2027-03-27", start="20:00", until="08:00", last_day="2027-03-28")
    twice = announce(admin, day="2027-10-31", start="02:30", until="04:00")
    found = entries(troquet)
    assert found[summer].start == datetime(2027, 6, 1, 6, 30, tzinfo=UTC)
    assert found[long].end - found[long].start == timedelta(hours=11)
    assert found[twice].start == datetime(2027, 10, 31, 0, 30, tzinfo=UTC), "the first of the two"
    times = {e["id"]: (e["starts_at"], e["ends_at"]) for e in at_hub(lasting_network)}
    assert times[summer][0] == "2027-06-01T08:30:00+02:00"
    assert times[long] == ("2027-03-27T20:00:00+01:00", "2027-03-28T08:00:00+02:00")
    assert times[twice] == ("2027-10-31T02:30:00+02:00", "2027-10-31T04:00:00+01:00")


def _add(troquet: LocalNode, number: int, **times: timedelta) -> list[str]:
    values = {"title": "x", "description": "", "place": "", "url": "", "open_to": "everyone"}
    with troquet.context() as (session, node):
        now = node.clock.now()
        span = {name: now + delta for name, delta in times.items()}
        return [events.add(session, node, "troquet", {**values, **span}) for _ in range(number)]


def test_what_is_over_or_more_than_a_year_away_is_not_published(
    admin: Browser, troquet: LocalNode, lasting_network: Network
) -> None:
    day, hour = timedelta(days=1), timedelta(hours=1)
    (over,) = _add(troquet, 1, starts_at=-3 * day, ends_at=-hour)
    (old,) = _add(troquet, 1, starts_at=-41 * day, ends_at=-40 * day)
    (going_on,) = _add(troquet, 1, starts_at=-hour, ends_at=hour)
    (far,) = _add(troquet, 1, starts_at=366 * day, ends_at=367 * day)
    (later,) = _add(troquet, 1, starts_at=90 * day, ends_at=91 * day)
    troquet.deliver()
    assert {e["id"] for e in at_hub(lasting_network)} == {going_on, later}
    assert _ids(admin) == {going_on, later, far}
    assert set(entries(troquet)) == {over, going_on, later, far}
    assert old not in entries(troquet)
    page = requests.get(f"{lasting_network.hub.url}/spaces/troquet", timeout=20).text
    assert f"event-{going_on}" in page
    assert f'id="event-{later}"' not in page, "more than sixty days away"


def test_a_hundred_coming_events_are_enough(
    admin: Browser, troquet: LocalNode, lasting_network: Network
) -> None:
    _add(troquet, 101, starts_at=timedelta(days=1), ends_at=timedelta(days=2))
    troquet.deliver()
    assert len(at_hub(lasting_network)) == 100
    refused = admin.post(CONSOLE, BREAKFAST)
    assert refused.status_code == 422
    assert "At most 100 coming events" in Page(refused.text).text


def test_the_calendar_is_public_and_answered_with_304_until_something_changes(
    admin: Browser, troquet: LocalNode
) -> None:
    event = announce(admin)
    first = requests.get(troquet.url + ICS, timeout=20)
    assert first.headers["Access-Control-Allow-Origin"] == "*"
    asked = {"If-None-Match": first.headers["ETag"]}
    again = requests.get(troquet.url + ICS, headers=asked, timeout=20)
    assert (again.status_code, again.content) == (304, b"")
    admin.post(f"{CONSOLE}/{event}/state", cancelled="yes")
    assert requests.get(troquet.url + ICS, headers=asked, timeout=20).status_code == 200
    assert requests.get(f"{troquet.url}/spaces/nobody/events.ics", timeout=20).status_code == 404


def test_an_event_is_its_own_spaces_alone(admin: Browser, troquet: LocalNode) -> None:
    announce(admin)
    for path in (f"{CONSOLE}/{'0' * 32}", "/console/spaces/nobody/events"):
        assert admin.get(path).status_code == 404
    assert admin.post(f"{CONSOLE}/{'0' * 32}/state", cancelled="yes").status_code == 404


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "a b"),
        ("id", "x" * 65),
        ("title", ""),
        ("title", "x" * 121),
        ("starts_at", "2026-12-03T08:30:00"),
        ("starts_at", "2026-W49-4T08:30:00+01:00"),
        ("starts_at", "1999-12-03T08:30:00+01:00"),
        ("ends_at", "2026-12-03T08:30:00+01:00"),
        ("ends_at", "2026-02-30T08:30:00+01:00"),
        ("ends_at", 5),
        ("url", "javascript:alert(1)"),
        ("url", "https://x.example/a\r\nATTENDEE:x"),
        ("open_to", "nobody"),
        ("description", "x" * 2001),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_the_hub_names_what_is_wrong_with_an_event(
    admin: Browser, troquet: LocalNode, lasting_network: Network, field: str, value: object
) -> None:
    announce(admin)
    claims = claims_of(troquet.get("/.well-known/passerelle").text)
    (event,) = claims["spaces"][0]["events"]
    assert not EventSchema().validate({**event, "of a newer version": 1})
    faults = EventSchema().validate({**event, field: value})
    assert list(faults) == [field]


def test_what_comes_is_told_by_instants_whatever_their_offsets() -> None:
    def event(starts: str, ends: str) -> dict[str, str]:
        return {"id": starts, "starts_at": starts, "ends_at": ends}

    now = datetime(2026, 11, 24, 9, tzinfo=UTC)
    over = event("2026-11-24T09:00:00+01:00", "2026-11-24T10:00:00+01:00")
    going_on = event("2026-11-24T03:00:00-05:00", "2026-11-24T04:01:00-05:00")
    later = event("2026-11-24T09:00:01+00:00", "2026-11-24T10:00:00Z")
    assert coming({"events": [later, going_on, over]}, now) == [going_on, later]
    assert coming({}, now) == []
