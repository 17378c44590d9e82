"""Other tools of a space: read every so often, shown before they are taken, never believed."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from sqlalchemy import delete, select

from node import jobs
from node.adapters import fetching, service
from node.adapters.models import SpaceSource
from node.events.models import Event
from node.spaces import service as spaces
from node.spaces.hours import special_day
from node.spaces.models import Price, Space
from shared.net.http import PeerSession
from shared.store.db import begin_write
from tests.contract.hostile import Hostile, answer, drop_by_drop, hostile, never, without_end
from tests.network import LocalNode, Network, at_once
from tests.node.adapters.feed import Feed, calendar, serve
from tests.shared.browser import Browser, Page, forget_attempts

CONSOLE = "/console/spaces/troquet/sources"
EVENTS = "/console/spaces/troquet/events"
BREAKFAST = """UID:breakfast@tool.example
DTSTART;TZID=Europe/Paris:20261203T083000
DTEND;TZID=Europe/Paris:20261203T100000
SUMMARY:Petit-déjeuner
LOCATION:Jardin public
URL:https://tool.example/breakfast"""


@pytest.fixture
def feed() -> Iterator[Feed]:
    with serve() as found:
        found.calendar(BREAKFAST)
        yield found


@pytest.fixture
def troquet(lasting_network: Network) -> Iterator[LocalNode]:
    """The node; after the test it has no events, sources or closings, and the hub knows."""
    found = lasting_network.nodes["troquet"]
    offset = lasting_network.clock.offset
    yield found
    object.__setattr__(lasting_network.clock, "offset", offset)
    with found.context() as (session, node):
        begin_write(session)
        for table in (Event, SpaceSource, Price):
            session.execute(delete(table))
        row = session.get_one(Space, "troquet")
        row.imported, row.special_days = {}, []
        session.commit()
        spaces.publish_now(session, node)


@pytest.fixture
def admin(troquet: LocalNode) -> Browser:
    forget_attempts()
    browser = Browser(troquet, "en")
    assert browser.log_in("admin@troquet.example").status_code == 302
    browser.get(CONSOLE)
    return browser


def add(admin: Browser, url: str, adapter: str = "ical-events", **more: str) -> str:
    """Add a source on the console; return its page's path."""
    form = {"adapter": adapter, "url": url, "name": "Agenda", "open_to": "everyone", **more}
    found = admin.post(CONSOLE, form)
    assert found.status_code == 302, Page(found.text).text
    path: str = found.headers["Location"]
    admin.get(path)
    return path


def take(admin: Browser, path: str) -> str:
    """Take what a source has now; return what the page says then."""
    assert admin.post(f"{path}/take").status_code == 302
    return Page(admin.get(path).text).text


def actions(page: requests.Response) -> set[str]:
    """Return where the forms of a page's main part lead to."""
    forms = [attrs.get("action") for tag, attrs in Page(page.text).elements if tag == "form"]
    return {action for action in forms if action and action != "/logout"}


def test_every_form_leads_somewhere(admin: Browser, feed: Feed) -> None:
    path = add(admin, feed.url)
    assert actions(admin.get(path)) == {f"{path}/look", f"{path}/remove"}
    assert actions(admin.post(f"{path}/look")) == {f"{path}/take", f"{path}/remove"}
    take(admin, path)
    assert actions(admin.get(path)) == {f"{path}/{verb}" for verb in ("look", "state", "remove")}


def document(network: Network) -> dict[str, Any]:
    found: dict[str, Any] = network.hub.get("/api/v1/spaces/troquet").json()
    return found


def titles(network: Network) -> list[str]:
    return [event["title"] for event in document(network)["events"]]


def pass_quarter(network: Network, troquet: LocalNode) -> None:
    """Let fifteen minutes go by, and the jobs run."""
    network.pass_time(minutes=15, seconds=1)
    run_jobs(troquet)


def run_jobs(troquet: LocalNode) -> None:
    with troquet.app.app_context():
        jobs.read_sources()
        jobs.deliver()


# Looked at, taken, followed


def test_a_calendar_is_shown_first_then_taken_and_published(
    admin: Browser, troquet: LocalNode, lasting_network: Network, feed: Feed
) -> None:
    path = add(admin, feed.url)
    run_jobs(troquet)
    assert feed.asked == [], "nothing is read before somebody looked"
    shown = Page(admin.post(f"{path}/look").text).text.replace("\u00a0", " ")
    assert "Petit-déjeuner 3 Dec 2026, 08:30 – 10:00 · Jardin public" in shown
    assert "1 to add" in shown
    assert titles(lasting_network) == []
    assert "1 coming event" in take(admin, path)
    (event,) = document(lasting_network)["events"]
    assert event["starts_at"] == "2026-12-03T08:30:00+01:00"
    assert event["ends_at"] == "2026-12-03T10:00:00+01:00"
    assert (event["place"], event["url"]) == ("Jardin public", "https://tool.example/breakfast")
    assert event["open_to"] == "everyone"


def test_what_changes_there_changes_here_and_what_is_gone_is_withdrawn(
    admin: Browser, troquet: LocalNode, lasting_network: Network, feed: Feed
) -> None:
    other = BREAKFAST.replace("breakfast@", "other@").replace("Petit-déjeuner", "Atelier")
    feed.calendar(BREAKFAST, other)
    take(admin, add(admin, feed.url, open_to="subscribers"))
    before = {event["title"]: event for event in document(lasting_network)["events"]}
    assert set(before) == {"Petit-déjeuner", "Atelier"}
    feed.calendar(BREAKFAST.replace("T08", "T07").replace("SUMMARY:", "STATUS:CANCELLED\nSUMMARY:"))
    run_jobs(troquet)
    assert len(titles(lasting_network)) == 2, "it is not asked again so soon"
    pass_quarter(lasting_network, troquet)
    (event,) = document(lasting_network)["events"]
    assert event["id"] == before["Petit-déjeuner"]["id"]
    assert event["starts_at"] == "2026-12-03T07:30:00+01:00"
    assert (event["cancelled"], event["open_to"]) == (True, "subscribers")


def test_nothing_is_published_anew_while_nothing_changes(
    admin: Browser, troquet: LocalNode, lasting_network: Network, feed: Feed
) -> None:
    # One in the hour that clocks show twice, and one in the hour that they skip.
    nights = [f"UID:{day}\nDTSTART;TZID=Europe/Paris:{day}T023000" for day in (20271031, 20270328)]
    feed.calendar(BREAKFAST, *(f"{night}\nSUMMARY:Nuit" for night in nights))
    path = add(admin, feed.url)
    take(admin, path)
    revision = _revision(troquet)
    for _ in range(2):
        pass_quarter(lasting_network, troquet)
    assert feed.asked == [200, 304, 304]
    assert "up to date" in Page(admin.get(path).text).text
    # Another day, another window: the whole calendar is read again.
    lasting_network.pass_time(hours=24)
    pass_quarter(lasting_network, troquet)
    assert feed.asked[-1] == 200
    assert _revision(troquet) == revision


def _revision(node: LocalNode) -> int:
    with node.context() as (session, _):
        return session.get_one(Space, "troquet").revision


def test_a_source_that_fails_keeps_what_was_read_and_says_since_when(
    admin: Browser, troquet: LocalNode, lasting_network: Network, feed: Feed
) -> None:
    path = add(admin, feed.url)
    take(admin, path)
    good, feed.body = feed.body, b"<!doctype html><title>Log in</title>"
    pass_quarter(lasting_network, troquet)
    pass_quarter(lasting_network, troquet)
    said = Page(admin.get(path).text).text.replace("\u00a0", " ")
    assert "cannot be read" in said
    assert "Since 24 Nov 2026, 10:15 it cannot be read: A web page came" in said
    assert "What was read on 24 Nov 2026, 10:00 stays." in said
    assert "A web page came in place of a calendar." in Page(admin.get(CONSOLE).text).text
    assert titles(lasting_network) == ["Petit-déjeuner"]
    feed.body = good
    pass_quarter(lasting_network, troquet)
    assert "up to date" in Page(admin.get(path).text).text


def test_what_was_typed_is_untouched_and_what_was_read_is_not_changed_here(
    admin: Browser, troquet: LocalNode, lasting_network: Network, feed: Feed
) -> None:
    own = {"title": "Le mien", "day": "2026-12-05", "start": "10:00", "until": "11:00"}
    admin.get(EVENTS)
    assert admin.post(EVENTS, {**own, "open_to": "everyone"}).status_code == 302
    path = add(admin, feed.url)
    take(admin, path)
    assert titles(lasting_network) == ["Petit-déjeuner", "Le mien"]
    page = Page(admin.get(EVENTS).text)
    assert "Read from a source, and changed there: Agenda" in page.text
    read = next(e["id"] for e in document(lasting_network)["events"] if "déj" in e["title"])
    links = [attrs.get("href") for _, attrs in page.elements]
    assert f"{EVENTS}/{read}" not in links
    assert admin.get(f"{EVENTS}/{read}").status_code == 409
    assert admin.post(f"{EVENTS}/{read}/state", cancelled="yes").status_code == 409
    feed.calendar()
    pass_quarter(lasting_network, troquet)
    assert titles(lasting_network) == ["Le mien"]


def test_a_source_is_paused_and_goes_on(
    admin: Browser, troquet: LocalNode, lasting_network: Network, feed: Feed
) -> None:
    path = add(admin, feed.url)
    take(admin, path)
    admin.post(f"{path}/state", paused="yes")
    feed.calendar()
    pass_quarter(lasting_network, troquet)
    assert (len(feed.asked), titles(lasting_network)) == (1, ["Petit-déjeuner"])
    admin.post(f"{path}/state", paused="no")
    run_jobs(troquet)
    assert titles(lasting_network) == []


@pytest.mark.parametrize("kept", [True, False])
def test_removing_a_source_asks_what_becomes_of_what_it_brought(
    admin: Browser, lasting_network: Network, feed: Feed, kept: bool
) -> None:
    events = add(admin, feed.url)
    take(admin, events)
    feed.calendar("UID:c\nDTSTART;VALUE=DATE:20261224\nSUMMARY:Fermé")
    closings = add(admin, feed.url, "ical-closings")
    take(admin, closings)
    assert document(lasting_network)["exceptions"]["2026-12-24"] == []
    for path in (events, closings):
        assert admin.post(f"{path}/remove", imported="keep" if kept else "drop").status_code == 302
        assert admin.get(path).status_code == 404
    found = document(lasting_network)
    assert ("2026-12-24" in found["exceptions"]) == kept
    assert len(found["events"]) == kept
    if kept:
        (event,) = found["events"]
        assert admin.get(f"{EVENTS}/{event['id']}").status_code == 200


def test_two_that_take_at_once_take_once(
    admin: Browser, troquet: LocalNode, lasting_network: Network, feed: Feed
) -> None:
    path = add(admin, feed.url)
    source_id = int(path.rpartition("/")[2])

    def go() -> str:
        with troquet.context() as (session, node):
            return service.take(session, node, "troquet", source_id).fault

    assert at_once([go] * 4) == [""] * 4
    troquet.deliver()
    assert titles(lasting_network) == ["Petit-déjeuner"]


def test_a_source_that_was_paused_or_removed_while_it_was_read_changes_nothing(
    admin: Browser, troquet: LocalNode, feed: Feed
) -> None:
    path = add(admin, feed.url)
    take(admin, path)
    source_id = int(path.rpartition("/")[2])
    feed.calendar()
    with troquet.context() as (session, node):
        reading = service.look(session, node, service.find(session, "troquet", source_id))
        service.pause(session, "troquet", source_id, paused=True)
        service.keep(session, node, source_id, reading)
        assert len(session.scalars(select(Event)).all()) == 1
        service.remove(session, node, "troquet", source_id, keep_imported=False)
        service.keep(session, node, source_id, reading)
        assert session.scalars(select(Event)).all() == []


# Closings and hours


def test_closings_close_whole_days_and_parts_of_them(
    admin: Browser, lasting_network: Network, feed: Feed
) -> None:
    feed.calendar(
        "UID:noel\nDTSTART;VALUE=DATE:20261228\nDTEND;VALUE=DATE:20261231\nSUMMARY:Congés",
        "UID:noon\nDTSTART;TZID=Europe/Paris:20261201T120000\n"
        "DTEND;TZID=Europe/Paris:20261201T140000\nSUMMARY:Réunion",
        "UID:eve\nDTSTART:20261202T160000Z\nDTEND:20261202T230000Z\nSUMMARY:Soirée privée",
        "UID:sun\nDTSTART;TZID=Europe/Paris:20261129T120000\nDURATION:PT1H\nSUMMARY:Dimanche",
        "UID:not\nDTSTART;VALUE=DATE:20261207\nSTATUS:CANCELLED\nSUMMARY:Annulé",
    )
    take(admin, add(admin, feed.url, "ical-closings"))
    exceptions = document(lasting_network)["exceptions"]
    for day in ("2026-12-28", "2026-12-29", "2026-12-30"):
        assert exceptions[day] == []
    assert exceptions["2026-12-01"] == [["09:00", "12:00"], ["14:00", "19:00"]]
    assert exceptions["2026-12-02"] == [["09:00", "17:00"]]
    assert not {"2026-11-29", "2026-12-07", "2026-12-31"} & set(exceptions)


def test_the_door_knows_a_closing_as_soon_as_it_is_taken(
    admin: Browser, troquet: LocalNode, lasting_network: Network, feed: Feed
) -> None:
    shown = lasting_network.nodes["cordee"].add_person()
    assert troquet.preview(shown.show()).json()["decision"]["outcome"] == "allowed"
    feed.calendar("UID:today\nDTSTART;VALUE=DATE:20261124\nSUMMARY:Fermé")
    take(admin, add(admin, feed.url, "ical-closings"))
    decision = troquet.preview(shown.show()).json()["decision"]
    assert [reason["code"] for reason in decision["reasons"]] == ["space_closed"]


def test_exceptional_hours_replace_the_days_and_what_is_typed_wins(
    admin: Browser, troquet: LocalNode, lasting_network: Network, feed: Feed
) -> None:
    with troquet.context() as (session, node):
        spaces.save(session, node, "troquet", {"special_days": [special_day("2026-12-06", [])]})
    feed.calendar(
        "UID:sat\nDTSTART;TZID=Europe/Paris:20261205T100000\nDURATION:PT6H\nSUMMARY:Ouvert",
        "UID:sun\nDTSTART;TZID=Europe/Paris:20261206T100000\nDURATION:PT6H\nSUMMARY:Ouvert",
        "UID:fete\nDTSTART;TZID=Europe/Paris:20261225T220000\nDURATION:PT4H\nSUMMARY:Fête",
    )
    path = add(admin, feed.url, "ical-hours")
    assert "5 December 2026: 10:00 – 16:00" in Page(admin.post(f"{path}/look").text).text
    take(admin, path)
    exceptions = document(lasting_network)["exceptions"]
    assert exceptions["2026-12-05"] == [["10:00", "16:00"]]
    assert exceptions["2026-12-06"] == []
    assert exceptions["2026-12-25"] == [["22:00", "02:00"]], "a holiday on which it is open"


def test_a_closing_follows_the_week_that_is_typed_although_the_calendar_is_the_same(
    admin: Browser, troquet: LocalNode, lasting_network: Network, feed: Feed
) -> None:
    noon = "UID:n\nDTSTART;TZID=Europe/Paris:20261201T120000\nDURATION:PT2H\nSUMMARY:x"
    feed.calendar(noon)
    take(admin, add(admin, feed.url, "ical-closings"))
    with troquet.context() as (session, node):
        week = session.get_one(Space, "troquet").week
        spaces.save(session, node, "troquet", {"week": {**week, "tu": [["08:00", "13:00"]]}})
    pass_quarter(lasting_network, troquet)
    found = document(lasting_network)["exceptions"]["2026-12-01"]
    with troquet.context() as (session, node):
        spaces.save(session, node, "troquet", {"week": week})
    assert found == [["08:00", "12:00"]]


# What means harm, or is broken


def read(admin: Browser, url: str) -> str:
    """Return what the console says of an address that is looked at."""
    shown = admin.post(f"{add(admin, url)}/look")
    assert shown.status_code == 200
    return Page(shown.text).text


BOMB = zlib.compress(b" " * 10_000_000)
MANY = calendar(*(f"UID:{n}\nDTSTART:20261203" for n in range(100_000)))
BROKEN = {
    "a web page": (b"<html>x</html>", "A web page came"),
    "nothing": (b"", "is not a calendar"),
    "binary": (bytes(range(256)), "is not a calendar"),
    "a zip": (b"PK\x03\x04" + BOMB, "is not a calendar"),
    "cut off": (calendar(BREAKFAST)[:-20], "is cut off"),
    "too many": (calendar(*["UID:1"] * 5_001), "more than 5,000 entries"),
    "100,000 entries": (MANY, "larger than 4 MB"),
    "every second": (
        calendar("UID:1\nDTSTART:20260101T000000Z\nRRULE:FREQ=SECONDLY"),
        "Entry 1 (1)",
    ),
    "for ever": (calendar("UID:1\nDTSTART:00010101\nRRULE:FREQ=DAILY;COUNT=9999999"), "too often"),
    "too often": (
        calendar(*(f"UID:{n}\nDTSTART:20260101\nRRULE:FREQ=DAILY" for n in range(2000))),
        "recur too often",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_no_calendar_is_said_so(admin: Browser, feed: Feed, kind: str) -> None:
    feed.body, words = BROKEN[kind]
    assert words in read(admin, feed.url)


HOSTILE: dict[str, tuple[Callable[[Hostile, Any], None] | bytes, str]] = {
    "endless": (without_end, "larger than 4 MB"),
    "silent": (never, "does not answer"),
    "drop by drop": (drop_by_drop(b"HTTP/1.1 200 OK\r\n\r\nBEGIN:VCALENDAR"), "does not answer"),
    "zip bomb": (answer(BOMB, "Content-Encoding: deflate"), "is compressed"),
    "no http": (b"SSH-2.0-OpenSSH_9.2\r\n", "does not answer"),
    "redirect": (
        answer(b"", "Location: http://169.254.169.254/x", status=b"HTTP/1.1 302 Found\r\n"),
        "sends on to another; give that one: http://169.254.169.254/x",
    ),
    "forbidden": (answer(b"", status=b"HTTP/1.1 403 No\r\n"), "not open to everybody"),
    "gone": (answer(b"", status=b"HTTP/1.1 404 No\r\n"), "nothing at this address"),
    "broken": (answer(b"", status=b"HTTP/1.1 500 No\r\n"), "an error (status 500)"),
}


@pytest.fixture
def hurry(troquet: LocalNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for peers less long than they are waited for."""
    ask = PeerSession(allow_private=True).request

    def request(method: str, url: str, **kwargs: Any) -> Any:
        return ask(method, url, **{**kwargs, "timeout": 1.0})

    monkeypatch.setattr(troquet.app.extensions["node"].peers, "request", request)


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.usefixtures("hurry")
def test_an_address_that_means_harm_is_cut_off_and_named(admin: Browser, kind: str) -> None:
    act, words = HOSTILE[kind]
    with hostile(act) as server:
        assert words in read(admin, server.url)
        assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "This is needed."),
        ("ftp://tool.example/a.ics", "must start with https://"),
        ("file:///etc/passwd", "must start with https://"),
        ("http://tool.example/a.ics", "must start with https://"),
        ("https://", "not an address of the web"),
        ("https://user:word@tool.example/a.ics", "not an address of the web"),
        ("https://tool.example/a b", "not an address of the web"),
        ("https://tool.example/\u00e9", "not an address of the web"),
        ("https://tool.example/" + "x" * 500, "At most 500 characters."),
    ],
)
def test_an_address_that_is_none_is_refused_beside_its_field(
    admin: Browser, troquet: LocalNode, monkeypatch: pytest.MonkeyPatch, url: str, words: str
) -> None:
    settings = troquet.app.extensions["node"].settings
    monkeypatch.setitem(settings.__dict__, "allow_private_peers", False)
    form = {"adapter": "ical-events", "url": url, "name": "x", "open_to": "everyone"}
    refused = admin.post(CONSOLE, form)
    assert refused.status_code == 422
    assert words in Page(refused.text).text
    assert Page(refused.text).with_id("url-error")


def test_webcal_is_https_and_a_query_is_kept() -> None:
    clean = fetching.clean_url("webcal://Tool.example/a.ics?key=Abc", allow_private=False)
    assert clean == "https://Tool.example/a.ics?key=Abc"


def test_an_address_in_a_private_network_is_not_asked(
    admin: Browser, troquet: LocalNode, monkeypatch: pytest.MonkeyPatch, feed: Feed
) -> None:
    path = add(admin, feed.url.replace("http://", "https://"))
    node = troquet.app.extensions["node"]
    monkeypatch.setitem(node.settings.__dict__, "allow_private_peers", False)
    monkeypatch.setattr(node.peers, "request", PeerSession(allow_private=False).request)
    assert "inside a private network" in Page(admin.post(f"{path}/look").text).text
    assert feed.asked == []


def test_the_same_address_is_added_once_for_each_use(
    admin: Browser, troquet: LocalNode, feed: Feed
) -> None:
    add(admin, feed.url)
    add(admin, feed.url, "ical-closings")
    form = {"adapter": "ical-events", "url": feed.url, "name": "x", "open_to": "everyone"}
    again = admin.post(CONSOLE, form)
    assert again.status_code == 422
    assert "a source of this space already" in Page(again.text).text
    for n in range(10):
        add(admin, f"{feed.url}?{n}")
    full = admin.post(CONSOLE, {**form, "url": f"{feed.url}?full"})
    assert "at most 12 sources" in Page(full.text).text


def test_what_a_calendar_says_is_text_and_fits(
    admin: Browser, troquet: LocalNode, lasting_network: Network, feed: Feed
) -> None:
    feed.calendar(
        "UID:1\nDTSTART:20261203T083000Z\nSUMMARY:<script>alert(1)</script>" + "x" * 300,
        "UID:2\nDTSTART:20261204T083000Z\nSUMMARY:Deux\nDESCRIPTION:<p>Un <b>mot</b> &amp; un "
        "autre</p>\nURL:javascript:alert(1)\nATTENDEE;CN=Ada:mailto:ada@tool.example",
        "UID:3\nDTSTART:20261205T083000Z\nSUMMARY: ",
        "UID:4\nDTSTART:20261206T083000Z\nCLASS:PRIVATE\nSUMMARY:Médecin",
        "UID:5\nDTSTART:20261207T083000Z\nDTEND:20261206T083000Z\nSUMMARY:Rückwärts",
    )
    shown = admin.post(f"{add(admin, feed.url)}/look").text
    assert "<script>alert" not in shown
    text = Page(shown).text
    assert "An event without a title was left out." in text
    assert "Entry 5 (Rückwärts): its times cannot be understood." in text
    assert "Médecin" not in shown
    assert "ada@tool.example" not in shown
    path = f"{CONSOLE}/{_only(troquet)}"
    take(admin, path)
    one, two = document(lasting_network)["events"]
    assert (len(one["title"]), one["title"][-1]) == (120, "…")
    assert (two["description"], two["url"]) == ("Un mot & un autre", "")


def _only(node: LocalNode) -> int:
    with node.context() as (session, _):
        return session.scalars(select(SpaceSource.id)).one()


def test_a_calendar_of_many_events_publishes_the_next_hundred(
    admin: Browser, troquet: LocalNode, lasting_network: Network, feed: Feed
) -> None:
    feed.calendar(
        "UID:1\nDTSTART;TZID=Europe/Paris:20261101T080000\nRRULE:FREQ=DAILY\nSUMMARY:Café"
    )
    path = add(admin, feed.url)
    assert "265 later ones wait their turn" in Page(admin.post(f"{path}/look").text).text
    take(admin, path)
    found = document(lasting_network)["events"]
    assert (len(found), found[0]["starts_at"]) == (100, "2026-11-25T08:00:00+01:00")
    own = {"title": "Le mien", "day": "2027-06-05", "start": "10:00", "until": "11:00"}
    admin.get(EVENTS)
    assert admin.post(EVENTS, {**own, "open_to": "everyone"}).status_code == 302
    assert "Le mien" in titles(lasting_network), "what was typed goes first"


def test_a_slow_source_holds_no_transaction_and_no_other_up(
    admin: Browser, troquet: LocalNode, lasting_network: Network, feed: Feed, hurry: None
) -> None:
    with hostile(never) as server:
        slow, good = add(admin, server.url), add(admin, feed.url)
        with troquet.context() as (session, _):
            begin_write(session)
            for row in session.scalars(select(SpaceSource)):
                row.state = "active"
            session.commit()
        run_jobs(troquet)
    assert titles(lasting_network) == ["Petit-déjeuner"]
    assert "does not answer" in Page(admin.get(slow).text).text
    assert "up to date" in Page(admin.get(good).text).text


def test_the_pages_are_in_french_for_those_who_read_french(troquet: LocalNode, feed: Feed) -> None:
    forget_attempts()
    admin = Browser(troquet, "fr")
    assert admin.log_in("admin@troquet.example").status_code == 302
    admin.get(CONSOLE)
    feed.body = b"<html>"
    said = read(admin, feed.url)
    assert "Une page web est arrivée" in said


def test_sources_are_their_own_spaces_alone(admin: Browser, feed: Feed) -> None:
    path = add(admin, feed.url)
    for wrong in (f"{CONSOLE}/999999", path.replace("troquet", "nobody")):
        assert admin.get(wrong).status_code == 404
        for verb in ("look", "take", "state", "remove"):
            assert admin.post(f"{wrong}/{verb}").status_code == 404


def test_what_is_over_stays_for_a_month(
    admin: Browser, troquet: LocalNode, lasting_network: Network, feed: Feed
) -> None:
    take(admin, add(admin, feed.url))
    feed.calendar()
    lasting_network.pass_time(days=20)
    run_jobs(troquet)
    ics = "/spaces/troquet/events.ics"
    assert "déjeuner" in requests.get(troquet.url + ics, timeout=20).content.decode()
    lasting_network.pass_time(days=30)
    run_jobs(troquet)
    with troquet.context() as (session, _):
        assert session.scalars(select(Event)).all() == []
