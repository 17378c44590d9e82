"""The pages of both services: for each role, in both languages, whatever was typed into them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests
from sqlalchemy import select

from federation.context import hub as hub_context
from federation.db import db as hub_db
from federation.nodes import join_requests
from federation.webhooks import service as webhooks
from node.adapters import service as sources
from node.events import service as events
from node.identity.models import Account
from node.members import importing, password_links
from node.members import service as members
from shared.web.guards import PUBLIC, guard_of
from shared.wire import problems
from tests.network import PASSWORD, LocalNode, LocalService, Network
from tests.shared.browser import Browser, Page, forget_attempts

NASTY = {
    "markup": "<script>alert(1)</script>\"'&amp;{{7*7}}{% x %}",
    "right to left": "\u202eevitpac\u2066 \u200f",
    "emoji": "🏳️‍🌈👩🏽‍💻é̂",
    "NUL": "a\0b",
    "long": "x" * 10_000,
    "formula": '=HYPERLINK("http://x")',
    "percent": "%(x)s %s 100%",
    "lines": "one\r\ntwo\u2028three",
    "spaces": " \u00a0\u200b ",
}


@pytest.fixture(autouse=True)
def _fresh_limits() -> None:
    forget_attempts()


@pytest.fixture
def troquet(lasting_network: Network) -> LocalNode:
    return lasting_network.nodes["troquet"]


def _logged_in(service: LocalService, email: str, language: str = "en") -> Browser:
    browser = Browser(service, language)
    assert browser.log_in(email).status_code == 302, email
    return browser


@pytest.fixture
def admin(troquet: LocalNode) -> Browser:
    return _logged_in(troquet, "admin@troquet.example")


@pytest.fixture
def coordinator(lasting_network: Network) -> Browser:
    return _logged_in(lasting_network.hub, "coord@hub.example")


def _pages(service: LocalService, values: dict[str, str]) -> list[tuple[str, frozenset[str]]]:
    """Return each page's address, and who may see it."""
    found = []
    for rule in service.app.url_map.iter_rules():
        if (
            "GET" not in (rule.methods or ())
            or rule.rule.startswith((*problems.API_PREFIXES, "/static/"))
            or rule.rule
            in ("/healthz", "/readyz", "/metrics", "/cards")  # the last: parts of a page
            or "." in rule.rule  # a script, or what a telephone reads of the pass
            or (rule.arguments and rule.rule.startswith("/coordination/listings/"))  # needs a list
            or "/texts/" in rule.rule  # needs a proposal that was edited
        ):
            continue
        path = rule.rule
        for name in rule.arguments:
            path = re.sub(rf"<(?:int:)?{name}>", values[name], path)
        found.append((path, guard_of(service.app, rule.endpoint) or frozenset()))
    return sorted(found)


VALUES = {
    "before": "1",
    "after": "1",
    "space_id": "troquet",
    "pass_id": "x" * 16,
    "version": "1",
    "month": "2026-11",
    "slug": "visit-refused",
    "section": "hours",
    "what": "events",
    "node_id": "cordee",
    "account_id": "1",
    "year": "2026",
    "name": "flows",
}

# These follow a right password, and are nobody's before.
# One home keeps few places at a space on one day.
BOOKED = {("hub", "fr"): 25, ("hub", "en"): 26, ("node", "fr"): 27, ("node", "en"): 30}
SECOND_STEP = {"/login/code", "/login/two-factor"}


@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize("kind", ["hub", "node"])
def test_every_page_answers_for_its_role_in_its_language(
    lasting_network: Network, troquet: LocalNode, kind: str, language: str
) -> None:
    cordee = lasting_network.nodes["cordee"]
    member, guest = troquet.add_person(), cordee.add_person().get_pass()
    assert troquet.scan(guest.show()).status_code == 201
    service: LocalService = lasting_network.hub if kind == "hub" else troquet
    people = {
        "coordinator": "coord@hub.example",
        "admin": "admin@troquet.example",
        "desk": "desk@troquet.example",
        "member": member.email,
    }
    known = ("coordinator",) if kind == "hub" else ("admin", "desk", "member")
    browsers = {role: _logged_in(service, people[role], language) for role in known}
    day = BOOKED[kind, language]
    kept = {"space": "cordee", "starts_at": f"2026-11-{day}T09:00:00+01:00"}
    kept["ends_at"] = f"2026-11-{day}T12:00:00+01:00"
    booking = troquet.post("/api/v1/me/bookings", kept, member.token).json()["id"]
    with troquet.context() as (session, node):
        day = node.clock.now() + timedelta(days=2)
        words = dict.fromkeys(("title", "description", "place"), "Petit-déjeuner")
        times = {"starts_at": day, "ends_at": day + timedelta(hours=2)}
        more = {"url": "", "open_to": "everyone"}
        event = events.add(session, node, "troquet", {**words, **times, **more})
        calendar = ("ical-events", "Agenda", f"https://{kind}.example/{language}.ics", "everyone")
        source = sources.add(session, node, "troquet", *calendar)
        mine = _of_members(session, node, member.account_id)
    with lasting_network.hub.app.app_context():
        asked = dict.fromkeys(("operator", "person", "url", "words"), "")
        request = join_requests.ask(hub_db.session(), hub_context(), email="a@b.example", **asked)
        request_id = str(request.id)
    of_keys = cordee if kind == "hub" else troquet
    made = {
        "kid": of_keys.app.extensions["node"].ring.kid,
        "request_id": request_id,
        "booking_id": booking,
        "event_id": event,
        "source_id": str(source),
        "webhook_id": _webhook(lasting_network.hub),
        **mine,
    }
    pages = _pages(service, {**VALUES, **made})
    assert len(pages) >= 6
    for path, roles in pages:
        if path in SECOND_STEP or (kind == "hub" and path.startswith("/welcome/")):
            continue  # a link of the hub's: see test_accounts
        readers = [browsers[role] for role in known if role in roles]
        if PUBLIC in roles:
            readers.append(Browser(service, language))
        assert readers, path
        for reader in readers:
            _check_page(path, reader.get(path), language)


def _webhook(hub: LocalService) -> str:
    with hub.app.app_context():
        more = ("account:1", "A map", "http://127.0.0.1:9/hook", "", ["node.state"])
        made, _ = webhooks.subscribe(hub_db.session(), hub.app.extensions["hub"], *more)
        return str(made.id)


def _of_members(session: Any, node: Any, account_id: int) -> dict[str, str]:
    """Return a member, her plan, a link of hers, and a list that the admin has brought."""
    row = members.member_of(session, account_id, node.clock.now().date())
    found = {"member_id": str(row.id), "plan_id": str(row.plan_id)}
    link = password_links.links.invite_again(session, node, account_id) or ""
    admin = session.scalar(select(Account.id).where(Account.email == "admin@troquet.example"))
    brought = importing.store(session, node.clock.now(), admin, "email,first name\na@b.example,A\n")
    return {**found, "token": link.rpartition("/")[2], "file_id": brought}


def _check_page(path: str, answer: requests.Response, language: str) -> None:
    assert answer.status_code == 200, path
    page = Page(answer.text)
    assert page.language == language, path
    if not path.endswith("/offline"):  # which a browser keeps, in one language
        assert f"lang={'en' if language == 'fr' else 'fr'}" in answer.text, path
    assert 'href="/source.tar.gz"' in answer.text, path  # AGPL, section 13
    tags = [tag for tag, _ in page.elements]
    assert (tags.count("h1"), tags.count("main")) == (1, 1), path
    assert "Content-Security-Policy" in answer.headers, path
    for tag, attrs in page.elements:
        assert not [name for name in attrs if name.startswith("on")], (path, tag)
        if tag == "script":
            assert "src" in attrs or (attrs.get("type") or "").startswith("application/"), path


def test_a_language_that_was_chosen_stays(lasting_network: Network) -> None:
    browser = Browser(lasting_network.hub, "fr")
    assert Page(browser.get("/").text).language == "fr"
    assert Page(browser.get("/charter?lang=en").text).language == "en"
    assert Page(browser.get("/").text).language == "en"
    for odd in ("de", "", "%00", "x" * 3000):
        assert Page(browser.get(f"/?lang={odd}").text).language == "en"


def test_every_kind_of_problem_has_its_page(lasting_network: Network) -> None:
    for slug in problems.KINDS:
        for language in ("fr", "en"):
            answer = Browser(lasting_network.hub, language).get(f"/problems/{slug}")
            assert answer.status_code == 200, slug
            assert Page(answer.text).language == language
    assert Browser(lasting_network.hub).get("/problems/nothing").status_code == 404


def test_what_is_not_there_is_said_on_a_page_to_people_and_in_json_to_programs(
    lasting_network: Network,
) -> None:
    for service in (lasting_network.hub, lasting_network.nodes["troquet"]):
        page = requests.get(f"{service.url}/nothing/here", timeout=20)
        assert (page.status_code, page.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
        document = requests.get(f"{service.url}/api/v1/nothing", timeout=20)
        assert document.headers["Content-Type"] == "application/problem+json"
        assert {"type", "title", "status", "instance"} <= set(document.json())
        assert document.json()["status"] == document.status_code == 404


# The console


SHEET = "/console/spaces/troquet"
SECTIONS = {
    "identity": ("name", "description", "kind", "opened_year", "until"),
    "place": (
        *("street", "postcode", "town", "latitude", "longitude", "timezone", "transport"),
        "access_note",
    ),
    "people": (
        *("email", "website", "virtual_visit", "legal_form", "owner", "manager", "team"),
        *("governance", "partners"),
    ),
    "hours": (
        *("osm", "mo", "tu", "we", "th", "fr", "sa", "su", "holidays_region", "special-0-first"),
        *("special-0-last", "special-0-what", "special-0-hours", "special-0-capacity"),
        "special-0-label",
    ),
    "rooms": (
        *("capacity", "area_m2", "rooms-0-name", "rooms-0-kind", "rooms-0-seats"),
        *("rooms-0-area_m2", "rooms-0-visitors"),
    ),
    "prices": (
        *("prices-0-label", "prices-0-amount", "prices-0-unit", "prices-0-quantity"),
        "prices-0-audience",
    ),
    "offer": ("services", "fibre"),
    "users": ("average_age", "by_profile", "by_town", "audience"),
    "welcome": ("welcome_fr", "welcome_en"),
}
OF_CONTROL = {control: section for section, controls in SECTIONS.items() for control in controls}
# What may be written freely, and is shown to everybody.
TEXTS = (
    "name",
    "description",
    "street",
    "town",
    "transport",
    "legal_form",
    "services",
    "owner",
    "manager",
    "governance",
    "partners",
    "access_note",
    "audience",
    "rooms-0-name",
    "prices-0-label",
)
CHOICES = (
    *("kind", "fibre", "holidays_region", "special-0-what", "rooms-0-kind", "rooms-0-visitors"),
    *("prices-0-unit", "prices-0-audience", "timezone"),
)
TICKED = (
    *("project", "closed_on_holidays", "special-0-yearly", "features", "rooms-0-half_days"),
    *("special-0-remove", "rooms-0-remove", "prices-0-remove"),
)
ROWS = {
    "rooms-0-name": "Salle",
    "rooms-0-kind": "meeting",
    "prices-0-label": "Jour",
    "prices-0-amount": "12,50",
    "prices-0-unit": "day",
    "special-0-first": "2026-12-24",
}


def _path(section: str) -> str:
    return f"{SHEET}/sheet/{section}"


def _section(browser: Browser, section: str) -> dict[str, str]:
    """Return the form as it is, with a room and a price for their fields to be tried."""
    values = Page(browser.get(_path(section)).text).values
    return {**values, **{name: v for name, v in ROWS.items() if OF_CONTROL[name] == section}}


def _wrong(page: Page, section: str) -> list[str]:
    """Return the controls beside which the page says that something is wrong."""
    return [control for control in SECTIONS[section] if page.with_id(f"{control}-error")]


def _fill(browser: Browser, changes: dict[str, str]) -> None:
    """Change some controls, in whichever sections they are."""
    for section in {OF_CONTROL[name] for name in changes}:
        own = {name: v for name, v in changes.items() if OF_CONTROL[name] == section}
        answer = browser.post(_path(section), {**_section(browser, section), **own})
        assert (answer.status_code, answer.headers.get("Location")) == (302, _path(section))


@pytest.fixture
def sheet(admin: Browser) -> Iterator[None]:
    """What the sheet said before is put back after the test."""
    before = {section: Page(admin.get(_path(section)).text).values for section in SECTIONS}
    yield
    for section, values in before.items():
        now = Page(admin.get(_path(section)).text).values
        stamps = {name: now[name] for name in ("csrf_token", "seen")}
        answer = admin.post(_path(section), {**values, **stamps})
        assert answer.status_code == 302


def _places(troquet: LocalNode, network: Network) -> list[Page]:
    """Return the pages of the map and of the node on which a sheet is shown to everybody."""
    answers = [
        requests.get(service.url + path, timeout=20)
        for service in (troquet, network.hub)
        for path in ("/spaces/troquet", "/")
    ]
    assert [answer.status_code for answer in answers] == [200] * len(answers)
    assert not [answer.url for answer in answers if "<script>alert" in answer.text]
    return [Page(answer.text) for answer in answers]


@pytest.mark.parametrize("section", SECTIONS)
def test_the_form_has_every_control_that_is_tried_here(admin: Browser, section: str) -> None:
    page = Page(admin.get(_path(section)).text)
    names = {
        name
        for tag, attrs in page.elements
        if tag in ("input", "select", "textarea") and (name := attrs.get("name"))
    }
    assert names - {*TICKED, "csrf_token", "seen"} == set(SECTIONS[section])


@pytest.mark.parametrize("kind", NASTY)
@pytest.mark.usefixtures("sheet")
def test_whatever_is_typed_is_shown_as_text_or_named_beside_its_field(
    admin: Browser, troquet: LocalNode, lasting_network: Network, kind: str
) -> None:
    """Type the same everywhere: what is not named as wrong must be right by itself."""
    value, shown, all_wrong = NASTY[kind], [], set()
    for section, every in SECTIONS.items():
        # What is typed for OpenStreetMap's text alone is read, and the rest is not looked at.
        controls = [control for control in every if control != "osm"]
        before = _section(admin, section)
        answer = admin.post(_path(section), {**before, **dict.fromkeys(controls, value)})
        assert "<script>alert" not in answer.text
        page = Page(answer.text if answer.status_code == 422 else admin.get(_path(section)).text)
        links = {attrs.get("href") for tag, attrs in page.elements if tag == "a"}
        wrong = set(_wrong(page, section))
        assert (answer.status_code == 422) == bool(wrong), section
        all_wrong |= wrong
        for control in controls:
            field = page.with_id(control)
            assert field, control
            if control not in CHOICES and (wrong or control in TEXTS):
                assert page.values[control].split() == value.split(), control
            assert (field.get("aria-invalid") == "true") == (control in wrong), control
            assert (f"#{control}" in links) == (control in wrong), control
            if control in wrong:
                assert f"{control}-error" in (field.get("aria-describedby") or ""), control
        right = {name: f"{value}{name}" for name in controls if name in TEXTS and name not in wrong}
        _fill(admin, right)
        shown += right.values()
    assert all_wrong >= {"latitude", "mo", "special-0-first", "rooms-0-kind", "prices-0-amount"}
    assert "On the map since" in Page(admin.get(SHEET).text).text
    own, _, at_the_hub, _ = _places(troquet, lasting_network)
    assert bool(set(TEXTS) & all_wrong) == (kind in ("NUL", "long"))
    for typed in shown:
        last_line = " ".join(typed.splitlines()[-1].split())
        assert last_line in own.text, typed
        assert last_line in at_the_hub.text, typed


@pytest.mark.usefixtures("sheet")
def test_markup_in_an_address_stays_within_it(
    admin: Browser, troquet: LocalNode, lasting_network: Network
) -> None:
    script = '"><script>alert(1)</script>'
    changes = {
        "website": f"https://x.example/{script}",
        "virtual_visit": f"https://y.example/{script}",
        "email": f"a{script}@x.example",
    }
    _fill(admin, changes)
    own, _, at_the_hub, _ = _places(troquet, lasting_network)
    for page in (own, at_the_hub):
        links = {attrs.get("href") for tag, attrs in page.elements if tag == "a"}
        expected = {changes["website"], changes["virtual_visit"], f"mailto:{changes['email']}"}
        assert expected <= links


@pytest.mark.parametrize(
    ("control", "value"),
    [
        ("name", ""),
        ("name", "x" * 121),
        ("town", ""),
        ("latitude", "91"),
        ("latitude", "north"),
        ("latitude", "nan"),
        ("longitude", "-181"),
        ("email", "no address"),
        ("website", "javascript:alert(1)"),
        ("website", "ftp://x.example"),
        ("capacity", "-1"),
        ("capacity", "10001"),
        ("capacity", "9" * 5000),
        ("capacity", "many"),
        ("mo", "25:00-26:00"),
        ("mo", "9-12"),
        ("mo", "9:00-9:00"),
        ("opened_year", "1492"),
        ("kind", "castle"),
        ("until", "tomorrow"),
        ("virtual_visit", "javascript:alert(1)"),
        ("team", "-1"),
        ("special-0-first", "tomorrow"),
        ("special-0-first", "2026-02-30"),
        ("special-0-capacity", "-1"),
        ("holidays_region", "99"),
        ("rooms-0-visitors", "perhaps"),
        ("prices-0-audience", "friends"),
        ("fibre", "perhaps"),
        ("average_age", "0"),
        ("by_profile", "half of them"),
        ("by_profile", "A: 60\nB: 41"),
        ("by_town", "Sceaux: 101"),
        ("services", "x\n" * 61),
        ("services", "x" * 121),
        ("rooms-0-kind", "castle"),
        ("rooms-0-seats", "-1"),
        ("prices-0-amount", "free"),
        ("prices-0-amount", "-1"),
        ("prices-0-amount", "1.234"),
        ("prices-0-amount", "1e99"),
        ("prices-0-unit", "century"),
        ("prices-0-quantity", "0"),
    ],
    ids=lambda value: ascii(value)[:24],
)
def test_a_wrong_field_is_named_beside_itself_and_nothing_is_saved(
    admin: Browser, troquet: LocalNode, control: str, value: str
) -> None:
    before = requests.get(f"{troquet.url}/.well-known/passerelle", timeout=20).headers["ETag"]
    section = OF_CONTROL[control]
    answer = admin.post(_path(section), {**_section(admin, section), control: value})
    assert answer.status_code == 422
    assert _wrong(Page(answer.text), section) == [control]
    after = requests.get(f"{troquet.url}/.well-known/passerelle", timeout=20).headers["ETag"]
    assert after == before


def test_a_row_half_filled_is_named_at_what_is_missing(admin: Browser) -> None:
    for changes, control in (
        ({"rooms-0-name": "", "rooms-0-seats": "4"}, "rooms-0-name"),
        ({"prices-0-label": "", "prices-0-amount": "4"}, "prices-0-label"),
        ({"prices-0-label": "Jour", "prices-0-amount": ""}, "prices-0-amount"),
        ({"special-0-label": "Marché", "special-0-first": ""}, "special-0-first"),
        ({"special-0-first": "2026-12-24", "special-0-what": "hours"}, "special-0-hours"),
        ({"special-0-first": "2026-12-24", "special-0-last": "2026-12-23"}, "special-0-last"),
        ({"special-0-first": "2026-12-24", "special-0-last": "2028-12-23"}, "special-0-last"),
        ({"latitude": "45"}, "longitude"),
    ):
        section = OF_CONTROL[control]
        filled = {**_section(admin, section), "longitude": "", **changes}
        answer = admin.post(_path(section), filled)
        assert answer.status_code == 422
        assert _wrong(Page(answer.text), section) == [control]


@pytest.mark.usefixtures("sheet")
def test_what_is_saved_is_on_the_map_and_says_since_when(
    admin: Browser, lasting_network: Network
) -> None:
    changes = {"name": "Le Troquet d’à côté", "capacity": "7", "services": "Wi-Fi\nCafé", **ROWS}
    _fill(admin, changes)
    assert "Saved. On the map since" in Page(admin.get(SHEET).text).text
    space = requests.get(f"{lasting_network.hub.url}/api/v1/spaces/troquet", timeout=20).json()
    assert (space["name"], space["capacity"]) == ("Le Troquet d’à côté", 7)
    assert space["services"] == ["Wi-Fi", "Café"]
    assert [room["name"] for room in space["rooms"]] == ["Salle"]
    assert [price["cents"] for price in space["prices"]] == [1250]


def test_what_is_saved_while_the_hub_is_away_is_published_when_it_is_back(
    network: Network,
) -> None:
    troquet = network.nodes["troquet"]
    admin = _logged_in(troquet, "admin@troquet.example")
    changed = {**_section(admin, "identity"), "description": "Written alone"}
    network.hub_goes()
    assert admin.post(_path("identity"), changed).status_code == 302
    assert "as soon as the hub answers" in Page(admin.get(SHEET).text).text
    network.hub_returns()
    troquet.deliver()
    assert "On the map since" in Page(admin.get(SHEET).text).text
    page = requests.get(f"{network.hub.url}/spaces/troquet", timeout=20).text
    assert "Written alone" in page


# The desk, the pass, the coordination


@pytest.mark.parametrize("name", NASTY)
def test_whatever_is_scanned_at_the_desk_is_answered(troquet: LocalNode, name: str) -> None:
    browser = _logged_in(troquet, "desk@troquet.example")
    browser.get("/desk")
    assert browser.post("/desk", {"pass": "x", "space": NASTY[name]}).status_code == 404
    answer = browser.post("/desk", {"pass": NASTY[name], "space": "troquet"})
    assert answer.status_code in (200, 302)
    shown = answer if answer.status_code == 200 else browser.get(answer.headers["Location"])
    assert "<script>alert" not in shown.text
    assert shown.status_code == 200


def test_the_desk_says_yes_and_lets_leave_and_undo(
    lasting_network: Network, troquet: LocalNode
) -> None:
    browser = _logged_in(troquet, "desk@troquet.example")
    browser.get("/desk")
    cordee = lasting_network.nodes["cordee"]
    person = cordee.add_person()
    before = {v["id"] for v in troquet.presence()}
    said = Page(browser.post("/desk", {"pass": person.show(), "space": "troquet"}).text).text
    assert f"Welcome to Ada{cordee.people}" in said
    (visit,) = {v["id"] for v in troquet.presence()} - before
    assert browser.post(f"/desk/visits/{visit}/check-out").status_code == 302
    assert visit not in [v["id"] for v in troquet.presence()]
    assert browser.post(f"/desk/visits/{visit}/void").status_code == 400, "a reason is given"
    assert browser.post(f"/desk/visits/{visit}/void", reason="a mistake").status_code == 302
    assert lasting_network.hub.lines(visit) == [1, -1]
    refused = browser.post("/desk", {"pass": "bonjour", "space": "troquet"})
    assert "not a readable Passerelle pass" in Page(refused.text).text


@pytest.mark.usefixtures("sheet")
def test_the_welcome_brief_is_told_after_a_yes_and_never_published(
    admin: Browser, lasting_network: Network, troquet: LocalNode
) -> None:
    brief = "Wi-Fi: tiers-lieu <b>42</b>\nDemandez Claire."
    _fill(admin, {"welcome_fr": brief})
    desk = _logged_in(troquet, "desk@troquet.example")
    desk.get("/desk")
    person = lasting_network.nodes["cordee"].add_person()
    said = desk.post("/desk", {"pass": person.show(), "space": "troquet"}).text
    assert "Wi-Fi: tiers-lieu &lt;b&gt;42&lt;/b&gt;" in said
    kit = troquet.get("/api/v1/desk-kit?space=troquet", troquet.desk).json()
    assert kit["welcome"].replace("\r", "") == brief
    with requests.Session() as reader:
        for url in (
            f"{lasting_network.hub.url}/api/v1/spaces/troquet",
            f"{lasting_network.hub.url}/spaces/troquet",
            f"{troquet.url}/spaces/troquet",
            f"{troquet.url}/.well-known/passerelle",
        ):
            assert "Claire" not in reader.get(url, timeout=20).text, url


def _visits_on(page: Page) -> int:
    return sum("visit" in (attrs.get("class") or "").split() for _, attrs in page.elements)


def test_a_member_sees_her_own_visits_and_nobody_elses(
    lasting_network: Network, troquet: LocalNode
) -> None:
    cordee = lasting_network.nodes["cordee"]
    one, other = cordee.add_person().get_pass(), cordee.add_person().get_pass()
    browser = _logged_in(cordee, one.email)
    assert "No visit yet" in Page(browser.get("/pass/visits").text).text
    for person in (one, other):
        assert troquet.scan(person.show()).status_code == 201
    assert cordee.scan(other.show()).status_code == 201, "her own house"
    page = Page(browser.get("/pass/visits").text)
    assert _visits_on(page) == 1
    assert "article 3" in page.text
    assert "troquet" in page.text.lower()
    others = Page(_logged_in(cordee, other.email).get("/pass/visits").text)
    assert _visits_on(others) == 2
    assert "your own house" in others.text


def test_a_member_ends_her_own_pass_and_nobody_elses(troquet: LocalNode) -> None:
    one, other = troquet.add_person().get_pass(), troquet.add_person().get_pass()
    browser = _logged_in(troquet, one.email)
    browser.get("/pass")
    assert browser.post(f"/pass/{other.pass_id}/revoke").status_code == 404
    assert browser.post(f"/pass/{one.pass_id}/revoke").status_code == 302
    assert troquet.delete(f"/api/v1/me/passes/{one.pass_id}", other.token).status_code == 404
    states = {
        person.pass_id: troquet.get("/api/v1/me/passes", person.token).json()["items"][0]["status"]
        for person in (one, other)
    }
    assert states == {one.pass_id: "revoked", other.pass_id: "valid"}
    assert troquet.delete(f"/api/v1/me/passes/{other.pass_id}", troquet.desk).status_code == 403
    assert troquet.delete(f"/api/v1/me/passes/{other.pass_id}", troquet.admin).status_code == 204
    (ended,) = troquet.get("/api/v1/me/passes", other.token).json()["items"]
    assert ended["status"] == "revoked"


@pytest.mark.parametrize("name", NASTY)
def test_whatever_an_operator_is_called_the_coordination_shows_it_as_text(
    coordinator: Browser, lasting_network: Network, name: str
) -> None:
    coordinator.get("/coordination/nodes")
    answer = coordinator.post("/coordination/nodes", operator=NASTY[name])
    assert answer.status_code == (422 if name in ("NUL", "long") else 200)
    assert "<script>alert" not in answer.text
    if answer.status_code == 422:
        assert Page(answer.text).with_id("operator-error")
    by_api = lasting_network.hub.post(
        "/api/v1/invitations", {"operator": NASTY[name]}, lasting_network.hub.token
    )
    assert by_api.status_code == (422 if name in ("NUL", "long") else 201)


@pytest.mark.parametrize("name", NASTY)
def test_whatever_a_token_is_called_the_account_shows_it_as_text(
    coordinator: Browser, name: str
) -> None:
    coordinator.get("/account")
    answer = coordinator.post("/account", name=NASTY[name], scopes="coordinator", password=PASSWORD)
    assert answer.status_code == (422 if name in ("NUL", "long") else 200)
    assert "<script>alert" not in answer.text
    if answer.status_code == 422:
        assert Page(answer.text).with_id("name-error")
    else:
        assert " ".join(NASTY[name].split()) in Page(coordinator.get("/account").text).text


@pytest.mark.parametrize("name", NASTY)
def test_whatever_is_searched_for_on_the_map_is_shown_as_text(
    lasting_network: Network, name: str
) -> None:
    answer = requests.get(lasting_network.hub.url, params={"q": NASTY[name]}, timeout=20)
    assert answer.status_code == (422 if len(NASTY[name]) > 100 else 200)
    assert "<script>alert" not in answer.text
    shown = Page(answer.text).values["q"]
    assert shown
    assert NASTY[name].replace("\0", "").strip().startswith(shown)


def test_the_coordination_suspends_a_node_and_takes_it_back(
    lasting_network: Network, coordinator: Browser
) -> None:
    coordinator.get("/coordination/nodes/filature/suspension")

    def state() -> object:
        nodes = lasting_network.hub.get("/api/v1/nodes", lasting_network.hub.token).json()["items"]
        return next(node["state"] for node in nodes if node["id"] == "filature")

    def set_state(node: str, state: str) -> int:
        form = {"state": state, "reason": "a try"}
        return coordinator.post(f"/coordination/nodes/{node}/state", form).status_code

    for wanted in ("suspended", "connected"):
        assert set_state("filature", wanted) == 302
        assert state() == wanted
    for wrong in ("left", "offline", ""):
        assert set_state("filature", wrong) == 400
    assert set_state("nobody", "connected") == 404
    assert state() == "connected"


def test_the_coordination_has_a_page_for_each_month(coordinator: Browser) -> None:
    for month, status in (("2026-11", 200), ("2026-12", 200), ("2026-13", 404)):
        assert coordinator.get(f"/coordination/statements/{month}").status_code == status
