"""Events, prices and rooms from a spreadsheet: tried first, and nothing in it is believed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import delete, select

from node.events.models import Event
from node.members.models import ImportFile
from node.spaces import service as spaces
from node.spaces.models import Price, Room
from shared.store.db import begin_write
from tests.network import LocalNode, Network, at_once
from tests.shared.browser import Browser, Page, forget_attempts

IMPORT = "/console/spaces/troquet/import"
EVENTS = (
    "Titre;Date;De;À;Ouvert à;Lieu\n"
    "Petit-déjeuner;03/12/2026;8h30;10h;Tout le monde;\n"
    "Atelier;2026-12-04;14:00;16:30;abonnés;Jardin\n"
)


@pytest.fixture
def troquet(lasting_network: Network) -> Iterator[LocalNode]:
    found = lasting_network.nodes["troquet"]
    yield found
    with found.context() as (session, node):
        begin_write(session)
        for table in (Event, Price, Room, ImportFile):
            session.execute(delete(table))
        session.commit()
        spaces.publish_now(session, node)


@pytest.fixture
def admin(troquet: LocalNode) -> Browser:
    forget_attempts()
    browser = Browser(troquet, "en")
    assert browser.log_in("admin@troquet.example").status_code == 302
    return browser


def trial(admin: Browser, what: str, text: str) -> tuple[str, str]:
    """Bring a list; return its trial's path and its words."""
    admin.get(f"{IMPORT}/{what}")
    answer = admin.post(f"{IMPORT}/{what}", text=text)
    assert answer.status_code == 302, Page(answer.text).text
    path: str = answer.headers["Location"]
    return path, Page(admin.get(path).text).text.replace("\u00a0", " ")


def run(admin: Browser, path: str) -> str:
    """Import what a trial shows; return what is said then."""
    form = admin.get(path).text.rpartition('<form class="card" method="post">')[2]
    answer = admin.post(path, Page(form).values)
    assert answer.status_code == 302
    return Page(admin.get(answer.headers["Location"]).text).text


def document(network: Network) -> dict[str, Any]:
    found: dict[str, Any] = network.hub.get("/api/v1/spaces/troquet").json()
    return found


def test_events_are_tried_then_imported_and_again_changes_nothing(
    admin: Browser, lasting_network: Network
) -> None:
    path, said = trial(admin, "events", EVENTS)
    assert "2 to add" in said
    assert "Line 2: Petit-déjeuner 3 Dec 2026, 08:30 – 10:00" in said
    assert document(lasting_network)["events"] == [], "a trial writes nothing"
    assert "Imported: 2 new" in run(admin, path)
    one, two = document(lasting_network)["events"]
    assert (one["starts_at"], one["open_to"]) == ("2026-12-03T08:30:00+01:00", "everyone")
    assert (two["ends_at"], two["open_to"], two["place"]) == (
        *("2026-12-04T16:30:00+01:00", "subscribers", "Jardin"),
    )
    assert admin.get(path).status_code == 302, "the list is not kept"
    assert "2 as they are" in trial(admin, "events", EVENTS)[1]
    path, said = trial(admin, "events", EVENTS.replace("16:30", "17:00"))
    assert "Line 3 (Atelier): until" in said
    assert "Imported: 0 new, 1 changed, 1 as they were" in run(admin, path)
    changed = document(lasting_network)["events"][1]
    assert (changed["id"], changed["ends_at"]) == (two["id"], "2026-12-04T17:00:00+01:00")


def test_faults_are_told_by_line_and_the_others_are_imported(
    admin: Browser, lasting_network: Network
) -> None:
    lines = (
        "title;day;from;until;url\n"
        "Right;2026-12-03;08:30;10:00;\n"
        ";2026-12-03;08:30;10:00;\n"
        "Date;31/02/2026;08:30;10:00;\n"
        "Hour;2026-12-03;noon;10:00;\n"
        "Back;2026-12-03;10:00;08:30;\n"
        "Over;2026-11-03;10:00;11:00;\n"
        "Night;2027-03-28;02:30;04:00;\n"
        "Link;2026-12-03;10:00;11:00;javascript:alert(1)\n"
        "right;2026-12-03;08:30;11:00;\n"
        "<script>alert(1)</script>;soon;;;\n"
    )
    path, said = trial(admin, "events", lines)
    for words in (
        "1 to add",
        "9 with faults",
        "Line 3 (–): title: This is needed.",
        "Line 4 (Date): day: Not a valid date",
        "Line 5 (Hour): from: Not a valid time",
        "Line 6 (Back): until: It ends before it begins.",
        "Line 7 (Over): day: This is over already.",
        "Line 8 (Night): from: Clocks skip this time",
        "Line 9 (Link): web address: A web address starting with https://",
        "Line 10 (right): The same event as on line 2.",
        "Line 11 (<script>alert(1)</script>): day:",
    ):
        assert words in said, words
    assert "Imported: 1 new, 0 changed, 0 as they were, 9 left out." in run(admin, path)
    assert len(document(lasting_network)["events"]) == 1


def test_a_hundred_coming_events_are_enough(admin: Browser, lasting_network: Network) -> None:
    lines = "".join(f"E{n};2026-12-03;08:30;10:00\n" for n in range(120))
    path, said = trial(admin, "events", f"title;day;from;until\n{lines}")
    assert "100 to add" in said
    assert "Line 102 (E100): At most 100 coming events are published." in said
    run(admin, path)
    assert len(document(lasting_network)["events"]) == 100


def test_prices_are_read_as_people_write_them(admin: Browser, lasting_network: Network) -> None:
    lines = (
        "Tarif;Prix;Pour;Nombre\n"
        "Mois;179 €;mois;\n"
        "Carnet;90,00;carnet;10\n"
        "Heure;8,50;une heure;\n"
        "Cher;beaucoup;mois;\n"
        "Rien;;mois;\n"
        "Quoi;10;semaine;\n"
        "Zéro;10;jour;0\n"
        "mois;180;mois;\n"
        ";1;jour;\n"
    )
    path, said = trial(admin, "prices", lines)
    for words in (
        "3 to add",
        "Line 5 (Cher): amount: “beaucoup” is not understood.",
        "Line 6 (Rien): amount: “” is not understood.",
        "Line 7 (Quoi): unit: “semaine” is not understood.",
        "Line 8 (Zéro): how many:",
        "Line 9 (mois): The same name as on line 2.",
        "Line 10 (–): label:",
        "€90.00 × 10",
    ):
        assert words in said, words
    run(admin, path)
    assert [
        (p["label"], p["cents"], p["unit"], p["quantity"]) for p in _prices(lasting_network)
    ] == [
        ("Mois", 17900, "month", 1),
        ("Carnet", 9000, "pack", 10),
        ("Heure", 850, "hour", 1),
    ]
    path, said = trial(admin, "prices", "label,amount,unit\nMOIS,185,month\nHeure,8.5,hour\n")
    assert "Line 2 (MOIS): label, amount" in said
    assert "1 as they are" in said
    run(admin, path)
    assert [p["cents"] for p in _prices(lasting_network)] == [18500, 9000, 850], "none is removed"


def _prices(network: Network) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = document(network)["prices"]
    return found


def test_rooms_are_known_by_their_names(admin: Browser, lasting_network: Network) -> None:
    lines = "Nom;Type;Places;Surface (m²)\nGrande salle;Espace ouvert;14;80 m²\nVigie;réunion;;\n"
    run(admin, trial(admin, "rooms", lines)[0])
    assert document(lasting_network)["rooms"] == [
        {
            "name": "Grande salle",
            "kind": "open_space",
            "seats": 14,
            "area_m2": 80,
            "half_days": None,
        },
        {"name": "Vigie", "kind": "meeting", "seats": None, "area_m2": None, "half_days": None},
    ]
    path, said = trial(admin, "rooms", "name,kind,seats\nVIGIE,meeting,6\nX,cave,1\nY,office,-1\n")
    assert "Line 3 (X): kind: “cave” is not understood." in said
    assert "Line 4 (Y): seats: Must be greater than or equal to 0" in said
    assert "1 to change" in said
    assert run(admin, path)
    assert [room["seats"] for room in document(lasting_network)["rooms"]] == [14, 6]


def test_columns_can_be_chosen_where_their_names_say_nothing(
    admin: Browser, lasting_network: Network
) -> None:
    path, said = trial(admin, "prices", "a;b;c\n10;Jour;jour\n")
    assert "0 to add" in said
    query = "?chosen=1&column_label=1&column_amount=0&column_unit=2&column_quantity=99"
    assert "1 to add" in Page(admin.get(path + query).text).text
    form = {"chosen": "1", "column_label": "1", "column_amount": "0", "column_unit": "2"}
    assert admin.post(path, form).status_code == 302
    assert [p["label"] for p in _prices(lasting_network)] == ["Jour"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Choose a file"),
        ("only a header\n", "one more are needed"),
        ("a,b\nx,\0\n", "cannot be stored"),
        ("a\n" + "b\n" * 2001, "At most 2000 lines"),
    ],
)
def test_what_cannot_be_a_list_is_said_so(admin: Browser, text: str, words: str) -> None:
    admin.get(f"{IMPORT}/events")
    answer = admin.post(f"{IMPORT}/events", text=text)
    assert answer.status_code == 422
    assert words in Page(answer.text).text


def test_a_list_of_something_else_is_not_there(admin: Browser) -> None:
    for path in (f"{IMPORT}/members", f"{IMPORT}/members/x", IMPORT.replace("troquet", "nobody")):
        assert admin.get(path).status_code == 404
    assert admin.get("/console/spaces/nobody/import/events").status_code == 404


def test_two_that_import_at_once_import_once(
    admin: Browser, troquet: LocalNode, lasting_network: Network
) -> None:
    path, _ = trial(admin, "events", EVENTS)
    form = admin.get(path).text.rpartition('<form class="card" method="post">')[2]
    values = Page(form).values
    assert at_once([lambda: admin.post(path, values).status_code] * 4) == [302] * 4
    with troquet.context() as (session, _):
        assert len(session.scalars(select(Event)).all()) == 2


def test_a_list_leaves_what_sources_bring_alone(
    admin: Browser, troquet: LocalNode, lasting_network: Network
) -> None:
    with troquet.context() as (session, node):
        brought = {"label": "Mois", "cents": 100, "unit": "month", "quantity": 1, "currency": "EUR"}
        spaces.save(session, node, "troquet", {"imported": {"prices": [brought]}})
    run(admin, trial(admin, "prices", "label,amount,unit\nMois,2,month\n")[0])
    assert [price["cents"] for price in _prices(lasting_network)] == [200, 100]
    with troquet.context() as (session, node):
        spaces.save(session, node, "troquet", {"imported": {}})
