"""Spaces that run no node, from a coordinator's file to the map, and what others make of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import orjson
import pytest
import requests
from flask import Flask, Response, redirect
from sqlalchemy import select

from federation.context import hub as hub_context
from federation.db import db
from federation.feeds import service as feeds
from federation.identity.service import accounts
from federation.listings import fetching, reading
from federation.spaces import documents, publications
from federation.spaces.models import ListingSource, Space
from federation.visits.rights import rights
from shared.store.db import begin_write
from tests.browsing import wrong_with
from tests.databases import Databases
from tests.federation.listings.test_listings import add_connected
from tests.network import PASSWORD, LocalServer, Network, new_network
from tests.shared.browser import TOKEN, Browser, forget_attempts

ROOM = "/coordination/listings"
EVIL, FORMULA = "<script>alert(1)</script> \u202e", "=cmd|'/C calc'!A0"


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    folder = tmp_path_factory.mktemp("listed")
    found = new_network(folder, Databases(folder, None))
    with found.hub.app.app_context():
        add_connected(db.session())
        for role in ("moderator", "reader"):
            begin_write(db.session())
            accounts.create(
                db.session(),
                hub_context().clock.now(),
                email=f"{role}@hub.example",
                name=role,
                password=PASSWORD,
                roles=[role],
            )
            db.session.commit()
    yield found
    found.close()


class Desk(Browser):
    """A coordinator who brings files."""

    def bring(
        self, path: str, content: bytes | str = b"", file: str = "list.csv", **form: str
    ) -> requests.Response:
        """Post a form with a file; a redirect is followed."""
        body = content.encode() if isinstance(content, str) else content
        answer = self.session.post(
            self.url + path,
            data={"csrf_token": self.token, **form},
            files={"file": (file, body)} if body else None,
            timeout=20,
        )
        return self._seen(answer)

    def take(self, answer: requests.Response, **form: str) -> str:
        """Go from a list that was brought to its end; return the page with the outcome."""
        draft = answer.url.removesuffix("/trial").rpartition("/")[2]
        trial = self.get(f"{ROOM}/drafts/{draft}/trial").text
        revision = trial.partition('name="revision" value="')[2].partition('"')[0]
        return self.post(f"{ROOM}/drafts/{draft}/import", {"revision": revision, **form}).text


def desk(network: Network, who: str = "coord") -> Desk:
    forget_attempts()
    found = Desk(network.hub)
    found.log_in(f"{who}@hub.example")
    found.get(f"{ROOM}/new" if who != "reader" else ROOM)
    return found


def source_of(network: Network, name: str) -> ListingSource:
    with network.hub.app.app_context():
        found = db.session.scalar(select(ListingSource).filter_by(name=name))
        assert found is not None
        return found


def listed_ids(network: Network, name: str) -> dict[str, str]:
    """Return the ids of a source's spaces, by name."""
    with network.hub.app.app_context():
        query = select(Space.name, Space.id).join(ListingSource).where(ListingSource.name == name)
        return {row.name: row.id for row in db.session.execute(query)}


@pytest.fixture(scope="module")
def hostile(network: Network) -> dict[str, str]:
    """Spaces whose texts would do harm where they are not taken for text; their ids by name."""
    browser = desk(network)
    content = orjson.dumps(
        [
            {
                "name": EVIL,
                "town": FORMULA,
                "description": "d" * 10_000,
                "website": "javascript:x.y",
            },
            {"name": FORMULA, "town": "Nantes", "geo": {"latitude": 47.2, "longitude": -1.55}},
            {"name": "a\x00b", "town": "Nice", "email": "contact@b.example"},
        ]
    )
    told = {"name": "Hostile", "licence": "ODbL 1.0", "attribution": EVIL}
    answer = browser.bring(f"{ROOM}/new", content, "evil.json", **told)
    assert answer.url.rpartition("/")[0].endswith("/drafts"), answer.text
    assert "3 new" in browser.take(answer, rest="apart")
    return listed_ids(network, "Hostile")


def test_a_coordinator_brings_a_file_and_the_map_says_whose_it_is(network: Network) -> None:
    browser = desk(network)
    content = "Nom;Commune;lat;lon\nLa Ruche;Lille;50.63;3.06\nSans lieu;;;\n"
    told = {"name": "Liste", "licence": "ODbL 1.0", "attribution": "© eux"}
    answer = browser.bring(f"{ROOM}/new", content, **told)
    assert "La Ruche" in answer.text  # a sample beside the guessed column
    columns = {"column_name": "0", "column_town": "1", "column_latitude": "2"}
    assert browser.bring(answer.url.removeprefix(browser.url)).status_code == 422  # none chosen
    answer = browser.bring(
        answer.url.removeprefix(browser.url), **columns, column_longitude="3", text_services="café"
    )
    assert "Line 3 (Sans lieu), column “Commune”: neither a town nor a place" in answer.text
    assert "1 new, 0 changed, 0 unchanged" in browser.take(answer)
    assert "100 %" not in browser.get(f"{ROOM}/sources/{source_of(network, 'Liste').id}").text

    listed_id = listed_ids(network, "Liste")["La Ruche"]
    page = network.hub.get(f"/spaces/{listed_id}", **{"Accept-Language": "en"}).text
    for words in ("This space is listed", "ODbL 1.0", "© eux", "This is your space?", "café"):
        assert words in page
    shown = network.hub.get(f"/api/v1/spaces/{listed_id}").json()
    assert (shown["listed"], shown["node"], shown["open"]) == (True, None, None)
    assert (shown["reciprocity"], shown["availability"]["guest_places_free"]) == (False, None)
    assert shown["source"] == {
        "name": "Liste",
        "licence": "ODbL 1.0",
        "attribution": "© eux",
        "url": None,
        "as_of": shown["source"]["as_of"],
    }
    everyone = {each["id"]: each for each in network.hub.get("/api/v1/spaces").json()["items"]}
    assert {each["listed"] for each in everyone.values()} == {True, False}
    assert everyone["troquet"]["source"] is None
    features = network.hub.get("/api/v1/spaces.geojson").json()["features"]
    named = {f["id"]: f["properties"]["source"] for f in features if f["properties"]["listed"]}
    assert named[listed_id] == {"name": "Liste", "licence": "ODbL 1.0", "attribution": "© eux"}
    assert "La Ruche" in network.hub.get("/").text
    assert "La Ruche" not in network.hub.get("/values").text
    assert "La Ruche" not in network.hub.get("/api/v1/spaceapi").text


def test_nobody_is_told_of_rights_at_a_listed_space(
    network: Network, hostile: dict[str, str]
) -> None:
    with network.hub.app.app_context():
        now = hub_context().clock.now()
        assert rights(db.session(), now, "troquet", "m1", "resident", None) == []


def test_the_feeds_have_listed_spaces_without_a_word_of_free_places(
    network: Network, hostile: dict[str, str]
) -> None:
    with network.hub.app.app_context():
        feeds.refresh(db.session(), hub_context().clock, network.hub.url)
        assert feeds.refresh(db.session(), hub_context().clock, network.hub.url) == []
    items = {
        feed: {each["id"]: each for each in network.hub.get(f"/feeds/{feed}").json()["items"]}
        for feed in ("spaces", "availability")
    }
    data = items["spaces"][hostile[FORMULA]]["data"]
    assert (data["node"], data["source"]["licence"]) == (None, "ODbL 1.0")
    assert not set(hostile.values()) & set(items["availability"])


def test_texts_of_a_list_are_text_everywhere(network: Network, hostile: dict[str, str]) -> None:
    shown_name = EVIL.replace("\u202e", "").strip()
    assert set(hostile) == {shown_name, FORMULA, "ab"}
    source = source_of(network, "Hostile")
    browser = desk(network)
    evil = hostile[shown_name]
    for path in (
        "/",
        f"/spaces/{evil}",
        ROOM,
        f"{ROOM}/sources/{source.id}",
        f"{ROOM}/spaces/{evil}",
    ):
        page = browser.get(path)
        assert page.status_code == 200, path
        assert "<script>alert" not in page.text, path
    assert "javascript:" not in browser.get(f"/spaces/{evil}").text
    table = list(csv.DictReader(io.StringIO(network.hub.get("/api/v1/spaces.csv").text)))
    cells = [cell for row in table for cell in row.values()]
    assert f"'{FORMULA}" in cells
    assert not [cell for cell in cells if cell[:1] in "=@" and cell]


def test_roles_open_what_they_may(network: Network, hostile: dict[str, str]) -> None:
    evil = hostile[FORMULA]
    reader, moderator = desk(network, "reader"), desk(network, "moderator")
    assert reader.get(ROOM).status_code == 200
    assert "Hostile" in reader.get(ROOM).text
    assert reader.get(f"{ROOM}/new").status_code == 403
    assert reader.post(f"{ROOM}/spaces/{evil}/remove").status_code == 403
    moderator.get(f"{ROOM}/spaces/{evil}")
    assert moderator.post(f"{ROOM}/spaces/{evil}/invitation").status_code == 403
    without = Browser(network.hub)
    assert without.get(ROOM).status_code == 302


def test_a_space_is_edited_invited_and_removed_by_hand(
    network: Network, hostile: dict[str, str]
) -> None:
    browser = desk(network)
    space_id = hostile["ab"]
    path = f"{ROOM}/spaces/{space_id}"
    browser.get(path)
    wrong = browser.post(path, name="", latitude="95", longitude="", email="x", website="y")
    assert wrong.status_code == 422
    assert "A number from -90 to 90 is expected." in wrong.text
    facts = {"name": "Le Bon Nom", "town": "Nice", "services": "a; b; a", "email": ""}
    assert browser.post(path, facts).status_code == 302
    shown = network.hub.get(f"/api/v1/spaces/{space_id}").json()
    assert (shown["name"], shown["services"], shown["email"]) == ("Le Bon Nom", ["a", "b"], "")
    browser.get(path)
    letter = browser.post(f"{path}/invitation")
    assert "inv_" in letter.text
    assert "Bonjour," in letter.text
    assert "inv_" not in browser.get(path).text
    browser.post(f"{path}/remove")
    assert network.hub.get(f"/spaces/{space_id}").status_code == 404
    browser.get(path)
    browser.post(f"{path}/restore")
    assert network.hub.get(f"/spaces/{space_id}").status_code == 200


def test_the_page_of_a_space_that_joined_leads_to_the_new_one(
    network: Network, hostile: dict[str, str]
) -> None:
    browser = desk(network)
    space_id = hostile[FORMULA]
    path = f"{ROOM}/spaces/{space_id}"
    for other in (space_id, "nowhere", ""):
        browser.get(path)
        browser.post(f"{path}/became", space=other)
        assert network.hub.get(f"/spaces/{space_id}").url.endswith(space_id)
    browser.get(path)
    browser.post(f"{path}/became", space=f"{network.hub.url}/spaces/troquet/")
    for address in ("/spaces/", "/api/v1/spaces/"):
        answer = requests.get(
            f"{network.hub.url}{address}{space_id}", allow_redirects=False, timeout=5
        )
        assert answer.status_code == 301
        assert answer.headers["Location"].endswith(f"{address}troquet")
    assert space_id not in network.hub.get("/api/v1/spaces").text
    browser.get(path)
    browser.post(f"{path}/restore")
    assert network.hub.get(f"/spaces/{space_id}").url.endswith(space_id)


def test_no_node_takes_the_id_of_a_listed_space(network: Network) -> None:
    names = ["listed-ruche/sheet", "troquet/sheet", "operator"]
    with network.hub.app.app_context():
        taken = publications._owned_by_others(db.session(), "troquet", names)
    assert taken == {"listed-ruche"}
    assert "listed-" in str(documents.faults("listed-ruche/sheet", {}, taken))


@pytest.mark.parametrize(
    ("form", "content", "words"),
    [
        ({}, b"", "Choose a file, or give an address."),
        ({}, b"PK\x03\x04", "save the list as CSV"),
        ({}, b"{" * 100, "not JSON"),
        ({"url": "http://127.0.0.1:1/x"}, b"", "does not answer"),
        ({"url": "file:///etc/passwd"}, b"", "A web address starting with https://"),
        ({"url": "https://a.example/#x"}, b"", "not an address of the web"),
        ({"name": "n" * 121}, b"nom;ville\nA;B\n", "At most 120 characters."),
        ({"licence": ""}, b"nom;ville\nA;B\n", "This is needed."),
        ({"attribution": "\x00"}, b"nom;ville\nA;B\n", "cannot be stored"),
    ],
)
def test_what_cannot_be_taken_is_said_beside_the_form(
    network: Network, form: dict[str, str], content: bytes, words: str
) -> None:
    answer = desk(network).bring(f"{ROOM}/new", content, **{"name": "N", "licence": "L", **form})
    assert answer.status_code == 422
    assert words in answer.text


def test_a_file_beyond_ten_megabytes_is_refused(network: Network) -> None:
    browser = desk(network)
    told = {"name": "Big", "licence": "L"}
    beyond = browser.bring(f"{ROOM}/new", b"x" * (reading.MAX_BYTES + 1000), **told)
    assert beyond.status_code == 422
    assert "larger than 10 MB" in beyond.text
    far_beyond = browser.bring(f"{ROOM}/new", b"x" * (reading.MAX_BYTES + (1 << 20)), **told)
    assert far_beyond.status_code == 413


def test_odd_answers_of_a_trial_change_nothing(network: Network) -> None:
    browser = desk(network)
    answer = browser.bring(f"{ROOM}/new", b"nom;ville\nLe Troquet;Lyon\n", name="Odd", licence="L")
    odd = {
        "revision": "-1e9",
        "row_2": "same nowhere",
        "row_x": "apart",
        "row_99999999999": "skip",
        "rest": "drop",
        "gone": "troquet",
        "all_gone": "",
    }
    assert "0 new" in browser.take(answer, **odd)
    assert network.hub.get("/spaces/troquet").status_code == 200
    assert listed_ids(network, "Odd") == {}
    again = browser.get(answer.url.removeprefix(browser.url))
    assert again.status_code == 302  # it was imported


@pytest.mark.browser
def test_the_pages_are_as_axe_wants_them_and_fit_a_small_screen(
    network: Network, hostile: dict[str, str], browser: Any
) -> None:
    brought = desk(network).bring(
        f"{ROOM}/sources/{source_of(network, 'Hostile').id}/list",
        orjson.dumps([{"name": "Le Troquet", "town": "Lyon", "website": "?"}, {"name": "A"}]),
    )
    pages = (
        ROOM,
        f"{ROOM}/new",
        f"{ROOM}/sources/{source_of(network, 'Hostile').id}",
        f"{ROOM}/spaces/{hostile['ab']}",
        brought.url.removeprefix(network.hub.url),
        brought.url.removeprefix(network.hub.url).removesuffix("/trial"),
        f"/spaces/{hostile['ab']}",
    )
    context = browser.new_context(locale="fr-FR", viewport={"width": 360, "height": 740})
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(f"{network.hub.url}/login?next={ROOM}")
    page.fill("#email", "coord@hub.example")
    page.fill("#password", PASSWORD)
    page.press("#password", "Enter")
    page.wait_for_url(f"**{ROOM}")
    wrong = {}
    for path in pages:
        answer = page.goto(network.hub.url + path)
        assert answer.status == 200, path
        wrong[path] = wrong_with(page)
    context.close()
    assert {path: found for path, found in wrong.items() if found} == {}
    assert said == []


# Lists on the web


class Web:
    """Somebody else's server: what it answers is set by the test."""

    def __init__(self) -> None:
        self.answer: Any = Response("")
        self.server = LocalServer()
        self.server.app = Flask("web")
        self.server.app.add_url_rule("/<path:_path>", view_func=lambda _path: self.answer)
        self.server.start()

    def says(self, document: Any, status: int = 200) -> str:
        self.answer = Response(orjson.dumps(document), status, mimetype="application/json")
        return f"{self.server.url}/list"


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    found = Web()
    yield found
    found.server.close()


def space(name: str = "Le Lab", **more: Any) -> dict[str, Any]:
    place = {"lat": 43.6, "lon": 1.44, "address": "1 rue A, 31000 Toulouse"}
    return {"api_compatibility": ["15"], "space": name, "location": place, **more}


def refresh(network: Network) -> dict[int, str]:
    """Do what the jobs process does a day later."""
    with network.hub.app.app_context():
        later = hub_context().clock.now() + timedelta(days=1, minutes=1)
        return fetching.refresh_due(db.session(), later, hub_context().peers)


def test_a_spaceapi_address_is_read_again_each_day_and_what_fails_is_shown(
    network: Network, web: Web
) -> None:
    browser = desk(network)
    url = web.says(space(url="https://old.example"))
    answer = browser.bring(f"{ROOM}/new", name="Lab", licence="CC0", url=url)
    assert "1 new" in browser.take(answer)
    source = source_of(network, "Lab")
    path = f"{ROOM}/sources/{source.id}"
    form = {"name": "Lab", "licence": "CC0", "attribution": "", "url": url, "refreshed": "y"}
    browser.get(path)
    assert browser.post(path, form).status_code == 302
    assert network.hub.get("/api/v1/spaceapi").json()["Le Lab"] == url

    web.says(space(url="https://lab.example"))
    assert refresh(network) == {}
    (listed_id,) = listed_ids(network, "Lab").values()
    shown = network.hub.get(f"/api/v1/spaces/{listed_id}").json()
    assert shown["website"] == "https://lab.example"

    for document in ([{"name": "A", "town": "B"}], space(""), "<html>", {"space": 1}):
        web.says(document)
        with network.hub.app.app_context():
            begin_write(db.session())
            db.session.get_one(ListingSource, source.id).checked_at = None
            db.session.commit()
        assert refresh(network) == {source.id: "What came is not a SpaceAPI document."}
    assert "What came is not a SpaceAPI document." in browser.get(ROOM).text
    assert network.hub.get(f"/spaces/{listed_id}").status_code == 200


def test_an_address_is_asked_once_and_within_limits(network: Network, web: Web) -> None:
    browser = desk(network)

    def bring() -> str:
        told = {"name": "Far", "licence": "L", "url": f"{web.server.url}/x?format=geojson"}
        answer = browser.bring(f"{ROOM}/new", **told)
        assert answer.status_code == 422
        return answer.text

    web.answer = redirect("http://169.254.169.254/latest")
    assert "sends on to another; give that one: http://169.254.169.254/latest" in bring()
    web.answer = Response(b"x" * (reading.MAX_BYTES + 1))
    assert "larger than 10 MB" in bring()
    web.says({}, 500)
    assert "answers with an error (status 500)" in bring()
    web.answer = Response("<html>", mimetype="text/html")
    assert "web page" in bring()


def test_the_form_needs_its_token(network: Network) -> None:
    browser = desk(network)
    assert TOKEN.search(browser.get(f"{ROOM}/new").text)
    answer = browser.post(f"{ROOM}/new", csrf_token=None, name="X", licence="L")
    assert answer.status_code == 400
