"""The pictures say what the account says, and nothing about fewer than five people."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from federation.db import db
from federation.statistics import page_views, service
from federation.statistics.models import PageView, Sum
from shared.base.memory import forget_all
from tests.conftest import EITHER, _databases
from tests.federation.statistics.year import Year, add_nodes
from tests.network import PASSWORD, Network, new_network
from tests.shared.browser import Browser

NODES = (("a", "Ami", "Lyon"), ("b", "Bel", "Crest"), ("c", "=Cap", "Brest"))
PICTURES = "/coordination/pictures"
NAMES = ("flows", "weeks", "occupancy", "balance", "origins", "honour", "reach")
YEAR = "?from=2026-01&to=2026-11"


def _write(session: Any) -> None:
    """Eight people of Ami at Bel, six at Cap; five of Bel at Ami; one of Cap at Bel."""
    add_nodes(session, NODES)
    year = Year(session)
    for month in (3, 9):
        for person in range(8):
            year.visit("a", person, "b", date(2026, month, 3), "am pm")
    for person in range(6):
        year.visit("a", person, "c", date(2026, 9, 8 + person % 2))
        year.visit("b", person % 5, "a", date(2026, 10, 5 + person))
    year.visit("c", 0, "b", date(2026, 10, 7))
    year.visit("b", 0, "c", date(2026, 10, 20), void=True)
    year.write()
    year.refuse("b", date(2026, 9, 4), "space_full", times=6)
    year.refuse("b", date(2026, 9, 5), "space_full", "pass_expired", times=5)
    year.refuse("c", date(2026, 9, 5), "space_closed", times=2)


@pytest.fixture(scope="module", params=EITHER)
def network(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Network]:
    """A hub with a year of visits of three operators."""
    folder = Path(tmp_path_factory.mktemp("pictures"))
    databases = _databases(request, folder)
    found = new_network(folder, databases)
    with found.hub.app.app_context():
        _write(db.session())
    yield found
    found.close()
    databases.drop()


@pytest.fixture(scope="module")
def staff(network: Network) -> Browser:
    browser = Browser(network.hub)
    assert browser.log_in("coord@hub.example").status_code == 302
    return browser


def _csv(staff: Browser, name: str, query: str = YEAR) -> list[dict[str, str]]:
    answer = staff.get(f"{PICTURES}/{name}.csv{query}")
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.content.decode())))


def test_flows_are_the_accounts_and_small_ones_cannot_be_had_by_subtraction(staff: Browser) -> None:
    found = {(row["home"], row["host"]): row["half_days"] for row in _csv(staff, "flows")}
    assert found["Ami", "Bel"] == "32"
    assert found["Ami", "in all"] == "38"
    assert found["in all", "in all"] == "45"
    # One person of Cap at Bel; what else her row and column hold is kept back with her.
    assert found["'=Cap", "Bel"] == found["'=Cap", "in all"] == "<5"
    kept_back = {pair for pair, value in found.items() if value == "withheld"}
    assert kept_back == {("Bel", "Ami"), ("in all", "Ami"), ("in all", "Bel"), ("Bel", "in all")}
    assert ("Bel", "'=Cap") not in found, "what was undone was no visit"


def test_weeks_without_a_visit_are_there_and_one_that_is_not_over_says_so(staff: Browser) -> None:
    rows = {row["week"]: row for row in _csv(staff, "weeks")}
    assert len(rows) == 48
    assert rows["2026-W10"]["half_days"] == "16"
    assert rows["2026-W11"]["half_days"] == "0"
    assert rows["2026-W01"]["part"] == "4 days"
    assert rows["2026-W48"]["part"] == "2 days", "it is Tuesday"
    assert rows["2026-W10"]["part"] == ""


def test_occupancy_is_a_share_of_what_the_sheets_offer(staff: Browser) -> None:
    rows = _csv(staff, "occupancy", "?from=2026-03&to=2026-03")
    tuesday = next(
        row
        for row in rows
        if (row["space"], row["weekday"], row["half"]) == ("Bel", "Tuesday", "morning")
    )
    assert (tuesday["taken"], tuesday["offered"]) == ("8", "20"), "five Tuesdays, four places"
    assert float(tuesday["share"]) == 0.4
    page = staff.get(f"{PICTURES}/occupancy?from=2026-03&to=2026-03&space=b").text
    assert "Occupancy at Bel" in page
    assert "16 of 176 visitors’ half-days taken: 9 %" in page


def test_balances_are_the_statements_and_sum_to_zero(staff: Browser, network: Network) -> None:
    names = ("Ami", "Bel", "'=Cap")
    statement = network.hub.statement("2026-09")["balances"]
    assert statement == {"a": -22, "b": 16, "c": 6}
    rows = {row["node"]: row for row in _csv(staff, "balance", "?from=2026-09&to=2026-09")}
    assert [rows[name]["2026-09"] for name in names] == ["-22", "16", "6"]
    rows = {row["node"]: row for row in _csv(staff, "balance")}
    # In October one person of Cap was at Bel: one and one are kept back, and neither follows.
    october = [rows[name]["2026-10"] for name in names]
    assert october.count("<5") + october.count("withheld") >= 2
    assert rows["'=Cap"]["2026-10"] == "<5"


def test_origins_are_towns_of_homes(staff: Browser) -> None:
    rows = {row["town"]: row["half_days"] for row in _csv(staff, "origins")}
    # Those kept back are in the order of the alphabet, which says nothing of their size.
    assert list(rows) == ["Lyon", "Brest", "Crest", "in all"]
    assert rows["Lyon"] == "38"
    assert rows["Brest"] == "<5"
    assert rows["Crest"] == "withheld", "else Brest would follow from the sum"
    assert rows["in all"] == "45"


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_is_one_accessible_file_and_its_small_groups_are_not_in_it(
    staff: Browser, name: str
) -> None:
    page = staff.get(f"{PICTURES}/{name}{YEAR}")
    assert page.status_code == 200
    assert "fewer than 5" in page.text or name in ("weeks", "occupancy", "reach")
    drawn = staff.get(f"{PICTURES}/{name}.svg{YEAR}")
    if name == "reach":
        return  # nobody looked yet
    assert drawn.headers["Content-Type"] == "image/svg+xml"
    assert re.search(r'role="img" aria-labelledby="\S+ \S+"', drawn.text)
    assert drawn.text in page.text, "the page shows the file"
    for word in ("style=", "<script", 'class="hue'):
        assert word not in drawn.text


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("?from=2026-13", 400),
        ("?from=x&to=y", 400),
        ("?to=%00", 400),
        ("?from=2027-01&to=2027-03", 404),
        ("?from=2001-01&to=2026-11", 200),
        ("?from=2026-11&to=2026-01", 200),
    ],
)
def test_months_that_cannot_be_are_told_and_long_periods_are_cut(
    staff: Browser, query: str, status: int
) -> None:
    assert staff.get(f"{PICTURES}/flows{query}").status_code == status
    assert staff.get(f"{PICTURES}/nothing{YEAR}").status_code == 404


def test_a_period_without_a_visit_has_a_page_all_the_same(staff: Browser) -> None:
    for name in NAMES:
        assert staff.get(f"{PICTURES}/{name}?from=2025-01&to=2025-02").status_code == 200
    assert staff.get(PICTURES).status_code == 200


def test_finished_months_are_kept_and_made_anew_when_a_line_came_late(network: Network) -> None:
    with network.hub.app.app_context():
        session, now = db.session(), network.clock.now()
        period = service.Period("2026-03", "2026-10", service.today(now))
        forget_all(network.hub.app)
        fresh = service.read(session, period)
        service.prepare(session, now)
        kept = session.get_one(Sum, ("visits", "2026-03"))
        assert kept.state == 16
        forget_all(network.hub.app)
        assert service.read(session, period) == fresh
        kept.state, kept.body = 15, {**kept.body, "flows": []}
        session.commit()
        forget_all(network.hub.app)
        assert service.read(session, period) == fresh, "one line more than they were made of"
        service.prepare(session, now)
        session.expire_all()
        assert session.get_one(Sum, ("visits", "2026-03")).state == 16


def test_only_want_of_room_is_held_against_a_host(staff: Browser) -> None:
    rows = {row["host"]: row for row in _csv(staff, "honour")}
    # 16 visits and one that is a sixth person's; six refused for want of room.
    assert (rows["Bel"]["admitted"], rows["Bel"]["no_room"]) == ("17", "6")
    assert float(rows["Bel"]["rate"]) == pytest.approx(17 / 23, abs=1e-4)
    assert rows["Bel"]["visitor"] == "5", "a pass that is no good is no fault of the house"
    assert rows["'=Cap"]["closed"] == "<5"
    assert rows["'=Cap"]["rate"] == "1.0000"


@pytest.fixture
def as_node(network: Network) -> Any:
    """Call the hub as a node does."""
    from federation.context import hub
    from federation.nodes.access_tokens import access_token

    def call(node: str, method: str, path: str, body: Any = None) -> Any:
        with network.hub.app.app_context():
            token = access_token(hub().ring, hub().url, node, "kid")
        send = network.hub.app.test_client().open
        return send(path, method=method, json=body, headers={"Authorization": f"Bearer {token}"})

    return call


def test_a_host_says_a_word_to_its_figures_and_takes_it_back(staff: Browser, as_node: Any) -> None:
    path = "/api/v1/nodes/me/replies/2026-09"
    own = as_node("b", "GET", "/api/v1/nodes/me/figures/2026-09").get_json()
    assert (own["admitted"], own["no_room"], own["visitor"], own["reply"]) == (8, 6, 5, None)
    words = "Le toit <b>fuyait</b> 🌧"
    for _ in range(2):
        said = as_node("b", "PUT", path, {"text": words})
        assert (said.status_code, said.get_json()["reply"]) == (200, words)
    page = staff.get(f"{PICTURES}/honour{YEAR}").text
    assert "Le toit &lt;b&gt;fuyait&lt;/b&gt; 🌧" in page
    assert page.count("fuyait") == 1
    assert "fuyait" not in staff.get(f"{PICTURES}/honour?from=2026-10&to=2026-11").text
    assert as_node("b", "PUT", path, {"text": "x" * 1001}).status_code == 422
    assert as_node("b", "PUT", path, {"text": ""}).status_code == 422
    assert as_node("b", "PUT", "/api/v1/nodes/me/replies/2027-09", {"text": "x"}).status_code == 404
    assert [as_node("b", "DELETE", path).status_code for _ in range(2)] == [204, 204]
    assert "fuyait" not in staff.get(f"{PICTURES}/honour{YEAR}").text


def test_homes_tell_in_numbers_what_hosts_answered(staff: Browser, as_node: Any) -> None:
    path = "/api/v1/nodes/me/asked/2026-09"
    counts = {"kept": 9, "refused": 5, "unanswered": 6}
    for hosts in ({"b": {**counts, "kept": 1}}, {"b": counts, "a": counts, "nobody": counts}):
        assert as_node("a", "PUT", path, {"hosts": hosts}).status_code == 204
    row = next(row for row in _csv(staff, "honour") if row["host"] == "Bel")
    told = [row[f"bookings_{name}"] for name in ("kept", "refused", "unanswered")]
    assert told == ["9", "5", "6"], "the last word counts, and nobody tells of herself"
    wrong = as_node("a", "PUT", path, {"hosts": {"b": {**counts, "kept": -1}}})
    assert wrong.status_code == 422
    for key in ("b\x00", "", "x" * 65, "\ud800"):
        assert as_node("a", "PUT", path, {"hosts": {key: counts}}).status_code == 422, key
    assert as_node("a", "PUT", path, {"hosts": {}}).status_code == 204
    row = next(row for row in _csv(staff, "honour") if row["host"] == "Bel")
    assert row["bookings_kept"] == "0"


def test_views_are_counted_without_persons_and_programs_are_left_out(
    staff: Browser, network: Network
) -> None:
    views = network.hub.app.extensions["views"]
    views.write()
    client, person = network.hub.app.test_client(), "Mozilla/5.0 (X11; Linux) Firefox/140"
    paths = ["/", *["/spaces/a"] * 6, *["/embed/map"] * 7, "/spaces/none", "/values"]
    for agent in (person, "GoogleBot/2.1", ""):
        for path in paths:
            referrer = {"Referer": "https://www.Mairie.example/carte?secret=1"}
            client.get(path, headers={"User-Agent": agent, **referrer})
    client.get("/embed/map", headers={"User-Agent": person, "Referer": "https://me.example/"})
    for bad in ("https://[x", "https://" + "x" * 200 + ".example", "about:blank"):
        client.get("/embed/map", headers={"User-Agent": person, "Referer": bad})
    views.write()
    views.write()
    with network.hub.app.app_context():
        rows = db.session.query(PageView.kind, PageView.subject, PageView.times).all()
    assert {(kind, subject): times for kind, subject, times in rows} == {
        ("map", ""): 1,
        ("space", "a"): 6,
        ("embed", "www.mairie.example"): 7,
        ("embed", "me.example"): 1,
        ("embed", ""): 3,
    }
    found = {(row["page"], row["what"]): row["views"] for row in _csv(staff, "reach")}
    assert found["Spaces’ pages", "2026-11"] == "6"
    assert found["Maps in other sites", "www.mairie.example"] == "7"
    assert found["Maps in other sites", "(not said)"] == "3"
    assert found["Maps in other sites", "others"] == "1", "a site is named from five views on"
    # Two processes that write at once add up, and made-up names fill no table.
    with network.hub.app.app_context():
        day = service.today(network.clock.now())
        for n in range(2):
            names = {(day, "embed", f"h{n}x{m}"): 1 for m in range(page_views.MOST_SUBJECTS)}
            page_views.add(db.session(), {**names, (day, "map", ""): 2})
        assert db.session.get_one(PageView, (day, "map", "")).times == 5
        assert db.session.query(PageView).count() <= page_views.MOST_SUBJECTS + 1
        assert db.session.get_one(PageView, (day, "embed", page_views.OTHERS)).times > 400


def test_the_years_report_says_the_same_on_the_page_and_on_paper(staff: Browser) -> None:
    page = staff.get("/coordination/report/2026").text
    text = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    assert "The network has 3 spaces of 3 operators, in 3 towns." in text
    assert "14 people who are subscribed in one of them were hosted in another" in text
    assert "29 visits, which count 45 half-days" in text
    assert "Until 24 November 2026: the year is not over" in text
    assert "How these figures are made" in text
    for name in NAMES:
        assert f'id="{name}"' in page
    for language in ("fr", "en"):
        paper = staff.get(f"/coordination/report/2026.pdf?lang={language}")
        assert paper.status_code == 200
        assert paper.content.startswith(b"%PDF-")
        assert 20_000 < len(paper.content) < 400_000
    assert staff.get("/coordination/report/2027").status_code == 404
    assert staff.get("/coordination/report/2024").status_code == 200


@pytest.mark.browser
def test_pages_suit_a_small_screen_and_a_picture_becomes_a_png(
    browser: Any, network: Network
) -> None:
    from tests.browsing import wrong_with

    if network.databases.kind != "sqlite":
        return  # a page is the same whatever is behind it
    url, wrong = network.hub.url, {}
    context = browser.new_context(locale="fr-FR", viewport={"width": 360, "height": 740})
    page = context.new_page()
    page.on("pageerror", lambda error: wrong.setdefault("error", str(error)))
    page.goto(f"{url}/login?next={PICTURES}")
    page.fill("#email", "coord@hub.example")
    page.fill("#password", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{url}{PICTURES}")
    paths = [PICTURES, "/coordination/report/2026", *(f"{PICTURES}/{name}{YEAR}" for name in NAMES)]
    for path in paths:
        page.goto(url + path)
        if found := wrong_with(page):
            wrong[path] = found
    page.goto(f"{url}{PICTURES}/flows{YEAR}")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="PNG").click()
    file = Path(waiting.value.path())
    assert waiting.value.suggested_filename == "flows-2026-01-2026-11.png"
    with Image.open(file) as picture:
        assert picture.format == "PNG"
        assert picture.width == 4 * 360
        colours = picture.convert("RGB").resize((90, 60)).getcolors(90 * 60)
        assert len(colours or ()) > 10, "it is drawn"
    context.close()
    assert wrong == {}
