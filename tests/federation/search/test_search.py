"""What the open data finds: words without accents, services, values, hours, places, distance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.search.area import distance_km
from federation.text_search import plain
from tests.network import LocalHub, Network

LYON, SEVRES = (45.7640, 4.8357), (48.8235, 2.2115)
SHEETS: dict[str, dict[str, Any]] = {
    "cordee": {"latitude": LYON[0], "longitude": LYON[1], "services": ["Café", "Fibre"]},
    "sevres": {
        "latitude": SEVRES[0],
        "longitude": SEVRES[1],
        "services": ["fibre"],
        "values": ["Coopération"],
        "week": {"sa": [["09:00", "12:00"]]},
        "guest_cap": 1,
    },
    "nowhere": {"week": {}},
}


@pytest.fixture(scope="module")
def hub(lasting_network: Network) -> LocalHub:
    for name, sheet in SHEETS.items():
        if name in lasting_network.nodes:
            continue
        lasting_network.add_node(name, **sheet)
    from node.spaces import service as spaces

    with lasting_network.nodes["sevres"].context() as (session, node):
        spaces.save(session, node, "sevres", {"name": "Tiers-lieu de Sèvres", "town": "Sèvres"})
        spaces.publish_now(session, node)
    with lasting_network.nodes["cordee"].context() as (session, node):
        spaces.save(session, node, "cordee", SHEETS["cordee"])
        spaces.publish_now(session, node)
    return lasting_network.hub


@pytest.fixture
def ids(hub: LocalHub) -> Callable[..., list[str]]:
    def find(**query: object) -> list[str]:
        text = "&".join(f"{name}={value}" for name, value in query.items())
        answer = hub.get(f"/api/v1/spaces?{text}")
        assert answer.status_code == 200, answer.text
        assert [f["id"] for f in hub.get(f"/api/v1/spaces.geojson?{text}").json()["features"]] == [
            space["id"] for space in answer.json()["items"]
        ]
        return [space["id"] for space in answer.json()["items"]]

    return find


def test_words_are_found_without_their_accents_by_their_beginnings(
    ids: Callable[..., list[str]],
) -> None:
    assert ids(q="sevres") == ids(q="SÈVRES") == ids(q="tiers sev") == ["sevres"]
    assert ids(q="evres") == []


def test_services_and_values_are_found_however_they_are_written(
    ids: Callable[..., list[str]],
) -> None:
    assert ids(service="FIBRE") == ["cordee", "sevres"]
    assert ids(service="cafe") == ["cordee"]
    assert ids(value="cooperation") == ["sevres"]
    assert ids(service="fib") == []


def test_what_is_open_is_found_and_what_is_not_known_is_not(ids: Callable[..., list[str]]) -> None:
    saturday = ids(open_at="2026-11-28T10:00:00%2B01:00")
    assert saturday == ["sevres"]
    tuesday = ids(open_at="2026-11-24T10:00:00%2B01:00")
    assert "sevres" not in tuesday
    assert "nowhere" not in tuesday
    assert "cordee" in tuesday


def test_free_places_are_those_that_are_known(ids: Callable[..., list[str]]) -> None:
    assert "sevres" in ids(seats=1)
    assert "sevres" not in ids(seats=2)
    assert "troquet" in ids(seats=900)


def test_the_nearest_come_first_with_how_far_they_are(
    hub: LocalHub, ids: Callable[..., list[str]]
) -> None:
    assert ids(near="45.75,4.85", radius_km=10) == ["cordee"]
    assert ids(near="48.8,2.2", radius_km=600) == ["sevres", "cordee"]
    found = hub.get("/api/v1/spaces?near=48.8235,2.2115&radius_km=600&limit=1").json()
    assert (found["items"][0]["distance_km"], found["items"][0]["id"]) == (0.0, "sevres")
    following = f"limit=1&cursor={found['next_cursor']}"
    rest = hub.get(f"/api/v1/spaces?near=48.8235,2.2115&radius_km=600&{following}").json()
    assert [space["id"] for space in rest["items"]] == ["cordee"]
    assert 380 < rest["items"][0]["distance_km"] < 410


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("near=here", "near"),
        ("near=91,0", "near"),
        ("near=nan,0", "near"),
        ("near=1,2,3", "near"),
        ("radius_km=0", "radius_km"),
        ("radius_km=nan", "radius_km"),
        ("seats=-1", "seats"),
        ("open_at=today", "open_at"),
        ("bbox=1,2,3", "bbox"),
    ],
)
def test_a_wrong_question_is_named(hub: LocalHub, query: str, field: str) -> None:
    answer = hub.get(f"/api/v1/spaces?{query}")
    assert answer.status_code == 422
    assert field in str(answer.json()["errors"])


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("plan=gold", "plan"),
        ("open=later", "open"),
        ("accessible=perhaps", "accessible"),
        ("kind=both", "kind"),
        ("bbox=5,45,4,46", "bbox"),
        ("bbox=nan,0,1,1", "bbox"),
        ("q=" + "a" * 101, "q"),
        ("service=" + "a" * 121, "service"),
        ("zoom=99", "zoom"),
        ("zoom=1.5", "zoom"),
    ],
)
def test_a_wrong_question_of_the_map_is_named(hub: LocalHub, query: str, field: str) -> None:
    answer = hub.get(f"/api/v1/spaces/points?{query}")
    assert answer.status_code == 422
    assert list(answer.json()["errors"]) == [field]


@pytest.mark.parametrize(
    "query",
    [
        "",
        "q=sevres",
        "service=fibre&service=cafe",
        "near=48.8,2.2&radius_km=600",
        "bbox=2,48,3,49",
        "open_at=2026-11-28T10:00",
        "seats=2&plan=resident",
        "q=&service=&open=&open_at=&near=&bbox=&plan=&accessible=&seats=",
        "fablab=1",
        "kind=listed",
    ],
)
def test_the_map_says_what_the_list_says(hub: LocalHub, query: str) -> None:
    answer = hub.get(f"/api/v1/spaces/points?{query}")
    assert answer.status_code == 200, answer.text
    found, listed = answer.json(), hub.get(f"/api/v1/spaces?{query}").json()["items"]
    placed = {space["id"]: space for space in listed if space["latitude"] is not None}
    assert (found["total"], found["unplaced"]) == (len(listed), len(listed) - len(placed))
    assert found["clusters"] == []
    states = {True: "open", False: "closed", None: "unknown"}
    assert found["points"] == [
        [
            space["id"],
            space["name"],
            space["town"],
            space["latitude"],
            space["longitude"],
            states[space["open"]],
            space["availability"]["guest_places_free"],
            space["reciprocity"],
            space["listed"],
        ]
        for space in sorted(placed.values(), key=lambda space: space["id"])
    ]
    features = hub.get(f"/api/v1/spaces.geojson?{query}").json()["features"]
    assert [feature["id"] for feature in features] == [space["id"] for space in listed]
    table = hub.get(f"/api/v1/spaces.csv?{query}").text.splitlines()
    assert [row.partition(",")[0] for row in table[1:]] == [space["id"] for space in listed]


def test_a_map_that_has_not_changed_is_not_sent_again_and_a_change_is_there_at_once(
    hub: LocalHub, lasting_network: Network
) -> None:
    path, host = "/api/v1/spaces/points?bbox=4,45,5,46", lasting_network.nodes["cordee"]
    host.tell()
    first = hub.get(path)
    assert first.headers["Access-Control-Allow-Origin"] == "*"
    assert "max-age=1" in first.headers["Cache-Control"]
    tag = {"If-None-Match": first.headers["ETag"]}
    assert hub.get(path, **tag).status_code == 304
    lasting_network.pass_time(seconds=2)  # only how old it is has changed
    assert hub.get(path, **tag).status_code == 304
    person = lasting_network.nodes["troquet"].add_person().get_pass()
    visit = host.scan(person.show()).json()["visit"]["id"]
    host.tell()
    later = hub.get(path, **tag)
    assert later.status_code == 200
    before, after = (each.json()["points"][0][6] for each in (first, later))
    assert after == before - 1
    seats = f"/api/v1/spaces?bbox=4,45,5,46&seats={before}"
    assert hub.get(seats).json()["items"] == []
    host.void(visit)
    host.tell()
    assert hub.get(path).json()["points"] == first.json()["points"]
    assert len(hub.get(seats).json()["items"]) == 1


def test_who_is_suspended_admits_nobody_and_says_nothing(
    ids: Callable[..., list[str]], lasting_network: Network
) -> None:
    assert "cordee" in ids(plan="resident")
    assert "cordee" in ids(seats=1)
    lasting_network.set_state("cordee", "suspended")
    assert "cordee" not in ids(plan="resident")
    assert "cordee" not in ids(seats=1)
    assert "cordee" in ids(service="cafe")
    lasting_network.set_state("cordee", "connected")
    assert "cordee" in ids(plan="resident")


degrees = st.tuples(st.floats(-90, 90), st.floats(-180, 180))


@given(degrees, degrees)
def test_a_distance_is_the_same_both_ways_and_never_more_than_half_the_earth(
    a: tuple[float, float], b: tuple[float, float]
) -> None:
    assert distance_km(a, a) == 0
    assert abs(distance_km(a, b) - distance_km(b, a)) < 1e-6
    assert distance_km(a, b) <= 20_016


@given(st.text())
def test_plain_text_is_plain_already(text: str) -> None:
    assert plain(plain(text)) == plain(text)
