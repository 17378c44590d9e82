"""Adapters from elsewhere, and the sheet from SpaceAPI."""

from __future__ import annotations

import json
from importlib import metadata
from typing import Any

import pytest

from node.adapters import spaceapi_in
from node.adapters.interface import Unreadable
from node.adapters.registry import GROUP, adapters
from node.spaces import service as spaces
from node.spaces.models import Space
from tests.network import LocalNode, Network
from tests.node.adapters.feed import Feed
from tests.node.adapters.test_sources import CONSOLE, add, admin, document, feed, take, troquet
from tests.shared.browser import Browser, Page

__all__ = ["admin", "feed", "troquet"]
PREFILL = "/console/spaces/troquet/spaceapi"


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let packages that are not there offer adapters."""
    offered = [
        metadata.EntryPoint(name, f"tests.node.toy_adapter:{found}", GROUP)
        for name, found in {
            "toy": "Toy",
            "careless": "Careless",
            "broken": "Broken",
            "missing": "Nothing",
            "ical-events": "Toy",
        }.items()
    ]
    monkeypatch.setattr(metadata, "entry_points", lambda *, group: offered * (group == GROUP))


def test_what_packages_offer_is_there_but_for_what_cannot_be_loaded() -> None:
    found = adapters()
    assert set(found) == {"ical-events", "ical-closings", "ical-hours", "toy", "careless"}
    assert str(found["toy"].title) == "Toy bookings"
    assert type(found["ical-events"]).__module__ == "node.adapters.ical", "ours stay ours"


def test_an_adapter_from_elsewhere_brings_events_closings_and_prices(
    admin: Browser, lasting_network: Network, feed: Feed
) -> None:
    row = {"id": 7, "name": "Couture", "start": "2026-12-03T18:00:00+01:00", "minutes": 90}
    export = {"workshops": [row], "closed": ["2026-12-24"], "prices": {"Journée": 1500}}
    feed.body = json.dumps(export).encode()
    path = add(admin, feed.url, "toy")
    shown = Page(admin.post(f"{path}/look").text).text.replace("\u00a0", " ")
    for words in ("Couture", "24 December 2026: closed", "Journée: €15.00", "Toy bookings"):
        assert words in shown
    take(admin, path)
    found = document(lasting_network)
    assert found["events"][0]["ends_at"] == "2026-12-03T19:30:00+01:00"
    assert found["exceptions"]["2026-12-24"] == []
    price = {
        "label": "Journée",
        "cents": 1500,
        "currency": "EUR",
        "unit": "day",
        "quantity": 1,
        "audience": "",
    }
    assert found["prices"] == [price]
    assert "Journée" in admin.get("/spaces/troquet").text
    admin.get(path)
    admin.post(f"{path}/remove", imported="keep")
    assert document(lasting_network)["prices"] == [price], "kept, and ours to change"
    feed.body = b"[]"
    assert (
        "not an export of Toy bookings"
        in Page(admin.post(f"{add(admin, feed.url, 'toy')}/look").text).text
    )


def test_what_an_adapter_returns_is_checked(
    admin: Browser, lasting_network: Network, feed: Feed
) -> None:
    feed.body = b"fine"
    path = add(admin, feed.url, "careless")
    shown = Page(admin.post(f"{path}/look").text).text
    for words in (
        "“x x x",
        "” ends before it begins.",
        "The price “Cher” cannot be used: Must be greater than or equal to 0",
        "The price “Odd” cannot be used: Must be one of:",
        "Something of its own.",
    ):
        assert words in shown, words
    take(admin, path)
    assert [event["title"] for event in document(lasting_network)["events"]] == ["Bon"]
    assert [price["label"] for price in document(lasting_network)["prices"]] == ["Bon"]


@pytest.mark.parametrize("kind", ["crash", "naive"])
def test_an_adapter_that_fails_is_a_fault_of_its_source(
    admin: Browser, feed: Feed, kind: str
) -> None:
    feed.body = kind.encode()
    said = admin.post(f"{add(admin, feed.url, 'careless')}/look")
    assert said.status_code == 200
    assert "The adapter failed" in Page(said.text).text
    assert "a@b.example" not in said.text


def test_a_source_whose_adapter_is_gone_says_so(
    admin: Browser, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = add(admin, feed.url, "toy")
    monkeypatch.setattr(metadata, "entry_points", lambda **_kwargs: [])
    assert "not installed any more" in Page(admin.post(f"{path}/look").text).text
    assert admin.get(CONSOLE).status_code == 200


# SpaceAPI

SHEET = {
    "api_compatibility": ["14", "15"],
    "space": "Le Troquet",
    "logo": "https://troquet.example/logo.png",
    "url": "https://troquet.example",
    "location": {
        "address": "1 rue du Port, 69001 Lyon, France",
        "lat": 45.7640431,
        "lon": 4.8356591,
        "timezone": "Europe/Paris",
        "hint": "Métro A",
    },
    "contact": {"email": "contact@troquet.example", "phone": "+33 1 23 45 67 89"},
    "state": {"open": False},
}


def read(**changes: Any) -> dict[str, Any]:
    return spaceapi_in.read(json.dumps({**SHEET, **changes}).encode())


def test_a_document_fills_the_fields_that_the_sheet_has() -> None:
    assert read() == {
        "name": "Le Troquet",
        "street": "1 rue du Port",
        "postcode": "69001",
        "town": "Lyon",
        "latitude": 45.764043,
        "longitude": 4.835659,
        "timezone": "Europe/Paris",
        "transport": "Métro A",
        "email": "contact@troquet.example",
        "website": "https://troquet.example",
    }


def test_older_versions_are_read_too() -> None:
    old = {"api": "0.13", "space": "Le Lab", "url": "http://lab.example", "contact": {}}
    found = spaceapi_in.read(json.dumps({**old, "location": {"lat": 45, "lon": 4.5}}).encode())
    assert found == {
        "name": "Le Lab",
        "latitude": 45,
        "longitude": 4.5,
        "website": "http://lab.example",
    }


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"space": 5}, "name"),
        ({"space": "x" * 121}, "name"),
        ({"space": "\0"}, "name"),
        ({"url": "javascript:alert(1)"}, "website"),
        ({"contact": {"email": "me"}}, "email"),
        ({"contact": []}, "email"),
        ({"location": {"lat": "45", "lon": 4}}, "latitude"),
        ({"location": {"lat": 91, "lon": 4}}, "latitude"),
        ({"location": {"lat": True, "lon": 4}}, "latitude"),
        ({"location": {"lat": 0, "lon": 0}}, "latitude"),
        ({"location": {"address": "Somewhere"}}, "street"),
        ({"location": {"timezone": "../../etc/passwd"}}, "timezone"),
        ({"location": "Lyon"}, "town"),
    ],
)
def test_what_is_not_usable_is_left_out(changes: dict[str, Any], missing: str) -> None:
    assert missing not in read(**changes)


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b"{}", b"[" * 100_000, b"\xff{}"])
def test_what_is_no_document_is_said_so(content: bytes) -> None:
    with pytest.raises(Unreadable, match="not a SpaceAPI document"):
        spaceapi_in.read(content)


@pytest.fixture
def sheet(troquet: LocalNode) -> Any:
    names = ("name", "street", "postcode", "latitude", "longitude", "transport", "email", "website")
    with troquet.context() as (session, _):
        row = session.get_one(Space, "troquet")
        held = {name: getattr(row, name) for name in names}
    yield
    with troquet.context() as (session, node):
        spaces.save(session, node, "troquet", held)


@pytest.mark.usefixtures("sheet")
def test_only_what_was_ticked_is_taken(
    admin: Browser, lasting_network: Network, feed: Feed
) -> None:
    feed.body = json.dumps(SHEET).encode()
    admin.get(PREFILL)
    answer = admin.post(PREFILL, url=feed.url)
    page = Page(answer.text)
    ticked = {a["value"] for t, a in page.elements if a.get("name") == "take" and "checked" in a}
    assert "name" not in ticked, "what the sheet says already stays, unless it is ticked"
    assert {"street", "email", "transport"} <= ticked
    assert "troquet Le Troquet" in page.text
    assert "2 fields are the same already." in page.text
    assert document(lasting_network)["email"] == ""
    seen = page.values["seen"]
    taken = admin.post(PREFILL, {"url": feed.url, "seen": seen, "take": ["street", "email"]})
    assert taken.status_code == 302
    found = document(lasting_network)
    assert (found["address"]["street"], found["email"]) == (
        *("1 rue du Port", "contact@troquet.example"),
    )
    assert (found["name"], found["transport"]) == ("troquet", "")


@pytest.mark.usefixtures("sheet")
def test_a_document_that_changed_after_it_was_shown_is_shown_again(
    admin: Browser, lasting_network: Network, feed: Feed
) -> None:
    feed.body = json.dumps(SHEET).encode()
    admin.get(PREFILL)
    seen = Page(admin.post(PREFILL, url=feed.url).text).values["seen"]
    feed.body = json.dumps({**SHEET, "contact": {"email": "other@troquet.example"}}).encode()
    again = admin.post(PREFILL, {"url": feed.url, "seen": seen, "take": ["email"]})
    assert again.status_code == 422
    assert "It has changed meanwhile" in Page(again.text).text
    assert document(lasting_network)["email"] == ""


def test_an_address_that_cannot_be_read_is_said_beside_its_field(
    admin: Browser, feed: Feed
) -> None:
    feed.body = b"<html>"
    admin.get(PREFILL)
    refused = admin.post(PREFILL, url=feed.url)
    assert refused.status_code == 422
    assert Page(refused.text).with_id("url-error")
    assert "not a SpaceAPI document" in Page(refused.text).text
