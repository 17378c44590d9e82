"""Whoever reads the open feeds page after page has everything, and misses no change (RPDE)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest

from federation import jobs as hub_jobs
from federation.feeds import service as feeds
from node.spaces import service as spaces
from tests.network import LocalHub, LocalNode, Network, at_once
from tests.shared.browser import Page


@pytest.fixture
def hub(network: Network) -> LocalHub:
    return network.hub


def refresh(hub: LocalHub) -> None:
    with hub.app.app_context():
        hub_jobs.refresh_feeds()


def read(hub: LocalHub, path: str) -> tuple[list[dict[str, Any]], str]:
    """Follow ``next`` to the end; return every item, and where to go on."""
    items: list[dict[str, Any]] = []
    while True:
        answer = hub.get(path)
        assert answer.status_code == 200, answer.text
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        page = answer.json()
        assert page["license"].startswith("https://")
        items += page["items"]
        following = urlsplit(page["next"])
        assert page["next"].startswith(hub.url)
        if f"{following.path}?{following.query}" == path or not page["items"]:
            return items, f"{following.path}?{following.query}"
        path = f"{following.path}?{following.query}"


def change(node: LocalNode, **values: Any) -> None:
    with node.context() as (session, context):
        spaces.save(session, context, node.id, values)
        spaces.publish_now(session, context)


def test_a_feed_has_every_space_and_then_what_changes(
    network: Network, hub: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "PAGE", 1)
    refresh(hub)
    items, end = read(hub, "/feeds/spaces")
    assert [item["id"] for item in items] == ["cordee", "troquet"]
    assert [item["modified"] for item in items] == sorted(item["modified"] for item in items)
    assert {item["kind"] for item in items} == {"Space"}
    assert {item["state"] for item in items} == {"updated"}
    refresh(hub)
    assert read(hub, end)[0] == []
    change(network.nodes["cordee"], name="La Cordée")
    refresh(hub)
    later, end = read(hub, end)
    assert [(item["id"], item["data"]["name"]) for item in later] == [("cordee", "La Cordée")]
    assert later[0]["modified"] > items[-1]["modified"]
    network.set_state("troquet", "left")
    refresh(hub)
    gone, _ = read(hub, end)
    assert [(item["id"], item["state"], "data" in item) for item in gone] == [
        ("troquet", "deleted", False)
    ]
    everything, _ = read(hub, "/feeds/spaces")
    assert [(item["id"], item["state"]) for item in everything] == [
        ("cordee", "updated"),
        ("troquet", "deleted"),
    ]


def test_a_check_in_changes_the_availability_and_nothing_else(
    network: Network, hub: LocalHub
) -> None:
    cordee, troquet = network.nodes["cordee"], network.nodes["troquet"]
    refresh(hub)
    ends = {feed: read(hub, f"/feeds/{feed}")[1] for feed in feeds.FEEDS}
    assert troquet.scan(cordee.add_person().show()).status_code == 201
    troquet.tell()
    refresh(hub)
    found = {feed: read(hub, end)[0] for feed, end in ends.items()}
    assert found["spaces"] == found["events"] == []
    (item,) = found["availability"]
    assert (item["id"], item["data"]["guest_places_free"]) == ("troquet", 4)
    assert item["data"]["as_of"]
    assert item["data"]["ttl"] > 0


def test_two_refreshes_at_once_number_every_change_once(network: Network, hub: LocalHub) -> None:
    at_once([lambda: refresh(hub) for _ in range(4)])
    items, _ = read(hub, "/feeds/availability")
    assert [item["id"] for item in items] == ["cordee", "troquet"]
    assert len({item["modified"] for item in items}) == 2


@pytest.mark.parametrize("after", ["-1", "x", "9" * 30, "1.5"])
def test_a_wrong_place_in_a_feed_is_named(hub: LocalHub, after: str) -> None:
    answer = hub.get(f"/feeds/spaces?afterChangeNumber={after}")
    assert answer.status_code == 422
    assert "afterChangeNumber" in str(answer.json()["errors"])
    assert hub.get("/feeds/members").status_code == 404


def test_the_map_may_be_put_in_somebody_elses_page_and_no_other_page_may(hub: LocalHub) -> None:
    embedded = hub.get("/embed/map?q=cord")
    assert embedded.status_code == 200
    assert "frame-ancestors *" in embedded.headers["Content-Security-Policy"]
    assert "X-Frame-Options" not in embedded.headers
    assert "Set-Cookie" not in embedded.headers
    items = [attrs for tag, attrs in Page(embedded.text).elements if tag == "li"]
    assert [attrs["data-space"] for attrs in items if "data-space" in attrs] == ["cordee"]
    assert "frame-ancestors 'none'" in hub.get("/").headers["Content-Security-Policy"]
