"""How many places are free: told at once, known for a while, and then not known."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from federation.spaces.models import Availability
from node.bookings.models import Booking
from node.desk import availability
from node.spaces import service as spaces
from shared.store.db import begin_write
from shared.wire.availability import SAY_AGAIN_SECONDS, TTL_SECONDS
from tests.contract.speaking import access_token, kind
from tests.network import LocalNode, Network, at_once


@pytest.fixture
def troquet(network: Network) -> LocalNode:
    return network.nodes["troquet"]


@pytest.fixture
def cordee(network: Network) -> LocalNode:
    return network.nodes["cordee"]


def shown(network: Network, space: str = "troquet") -> dict[str, Any]:
    found: dict[str, Any] = network.hub.get(f"/api/v1/spaces/{space}").json()["availability"]
    return found


def free(network: Network) -> int | None:
    found: int | None = shown(network)["guest_places_free"]
    return found


def change(node: LocalNode, **values: Any) -> None:
    with node.context() as (session, context):
        spaces.save(session, context, node.id, values)
    node.deliver()


def say(node: LocalNode, network: Network, **changes: Any) -> Any:
    """Tell the hub something by hand, as this node."""
    now = network.clock.now().isoformat()
    space = {"id": node.id, "open": True, "paused": False}
    body = {
        "as_of": now,
        "ttl": 300,
        "spaces": [{**space, "guest_places": 5, "guest_places_free": 5}],
    }
    return network.hub.post("/api/v1/availability", {**body, **changes}, access_token(node))


def test_a_check_in_and_its_end_are_on_the_map_when_they_were_told(
    network: Network, troquet: LocalNode, cordee: LocalNode
) -> None:
    assert free(network) == 5
    visit = troquet.scan(cordee.add_person().show()).json()["visit"]["id"]
    troquet.tell()
    assert free(network) == 4
    troquet.check_out(visit)
    troquet.tell()
    assert free(network) == 5
    found = shown(network)
    assert found["state"] == "known"
    assert found["ttl"] == TTL_SECONDS
    assert datetime.fromisoformat(found["as_of"]) <= network.clock.now()


def test_a_visit_admitted_without_the_hub_counts_when_it_is_back(
    network: Network, troquet: LocalNode, cordee: LocalNode
) -> None:
    person = cordee.add_person().get_pass()
    troquet.refresh()
    with troquet.cut_off():
        assert troquet.scan(person.show()).status_code == 201
        troquet.tell()
        assert free(network) == 5
    troquet.tell()
    assert free(network) == 4


def test_what_is_unchanged_is_said_again_within_its_time_and_no_sooner(
    network: Network, troquet: LocalNode
) -> None:
    troquet.tell()
    with troquet.calls() as asked:
        troquet.tell()
        assert asked == []
        network.pass_time(seconds=SAY_AGAIN_SECONDS)
        troquet.tell()
        assert len(asked) == 1
    assert SAY_AGAIN_SECONDS * 3 < TTL_SECONDS


def test_past_its_time_it_is_not_known_and_neither_closed_nor_free(
    network: Network, troquet: LocalNode
) -> None:
    network.pass_time(seconds=TTL_SECONDS + 1)
    found = shown(network)
    assert (found["state"], found["guest_places_free"], found["paused"]) == ("unknown", None, False)
    assert network.hub.get("/api/v1/spaces/troquet").json()["open"] is True
    assert network.hub.get("/api/v1/spaces?seats=1").json()["items"] == []
    assert "free places not known" in network.hub.get("/spaces/troquet?lang=en").text
    troquet.tell()
    assert free(network) == 5


def test_own_people_and_bookings_take_places_where_the_house_is_small(
    network: Network, troquet: LocalNode, cordee: LocalNode
) -> None:
    change(troquet, capacity=3)
    for _ in range(2):
        assert troquet.scan(troquet.add_person().show()).status_code == 201
    troquet.tell()
    assert free(network) == 1
    with troquet.context() as (session, context):
        now = context.clock.now()
        begin_write(session)
        session.add(_booking(now))
        session.commit()
    troquet.tell()
    assert free(network) == 0


def _booking(now: datetime) -> Booking:
    return Booking(
        id="b" * 24,
        space_id="troquet",
        home_id="cordee",
        given_name="Ada",
        plan="resident",
        member="m",
        passes=["p" * 24],
        starts_at=now - timedelta(minutes=10),
        ends_at=now + timedelta(hours=1),
        state="confirmed",
        asked_at=now,
        changed_at=now,
    )


def test_a_pause_is_shown_at_once_and_ends_at_once(network: Network, troquet: LocalNode) -> None:
    with troquet.context() as (session, context):
        spaces.set_paused(session, context, "troquet", True)
    troquet.tell()  # the sheet is not delivered yet
    assert (shown(network)["paused"], free(network)) == (True, 0)
    with troquet.context() as (session, context):
        spaces.set_paused(session, context, "troquet", False)
    troquet.tell()
    assert (shown(network)["paused"], free(network)) == (False, 5)


def test_the_charter_says_how_few_places_there_may_be(network: Network, troquet: LocalNode) -> None:
    change(troquet, guest_cap=0)
    troquet.tell()
    assert shown(network)["guest_places"] == 1


def test_an_earlier_word_that_comes_late_changes_nothing(
    network: Network, troquet: LocalNode, cordee: LocalNode
) -> None:
    with troquet.context() as (session, context):
        early = availability.availability(session, context)
    troquet.scan(cordee.add_person().show())
    troquet.tell()
    answer = network.hub.post("/api/v1/availability", early, access_token(troquet))
    assert answer.status_code == 200
    assert free(network) == 4


def test_a_clock_that_is_fast_does_not_make_a_word_last_longer(
    network: Network, troquet: LocalNode
) -> None:
    ahead = (network.clock.now() + timedelta(hours=3)).isoformat()
    assert say(troquet, network, as_of=ahead).status_code == 200
    assert shown(network)["state"] == "known"
    network.pass_time(seconds=301)
    assert shown(network)["state"] == "unknown"
    assert say(troquet, network).status_code == 200
    assert shown(network)["state"] == "known"


def test_a_node_speaks_of_its_own_spaces_alone(
    network: Network, troquet: LocalNode, cordee: LocalNode
) -> None:
    space = {"id": "troquet", "open": True, "paused": True}
    stolen = [{**space, "guest_places": 0, "guest_places_free": 0}]
    answer = say(cordee, network, spaces=stolen)
    assert (answer.status_code, answer.json()["spaces"]) == (200, [])
    assert free(network) == 5
    network.set_state("cordee", "suspended")
    assert kind(say(cordee, network)) == (403, "node-suspended")
    assert shown(network, "cordee")["state"] == "unknown"


@pytest.mark.parametrize(
    "changes",
    [
        {"ttl": 10**6},
        {"ttl": 0},
        {"as_of": "yesterday"},
        {"as_of": "2026-11-24T10:00:00"},
        {"spaces": [{"id": "troquet"}]},
        {"spaces": [{"id": "../up", "open": 1, "paused": 0}]},
        {
            "spaces": [
                {
                    "id": "troquet",
                    "open": True,
                    "paused": False,
                    "guest_places": -1,
                    "guest_places_free": 0,
                }
            ]
        },
        {"spaces": "all"},
    ],
    ids=str,
)
def test_a_word_that_cannot_be_read_changes_nothing(
    network: Network, troquet: LocalNode, changes: dict[str, Any]
) -> None:
    before = shown(network)
    assert kind(say(troquet, network, **changes)) == (422, "validation")
    assert shown(network) == before


def test_words_that_come_at_once_are_one(network: Network, troquet: LocalNode) -> None:
    with network.hub.app.app_context():
        from federation.db import db

        begin_write(db.session())
        db.session.query(Availability).delete()
        db.session.commit()
    answers = at_once([lambda: say(troquet, network) for _ in range(4)])
    assert [answer.status_code for answer in answers] == [200] * 4
    assert shown(network)["state"] == "known"


def test_a_space_that_the_hub_does_not_have_yet_is_told_again_soon(
    network: Network, troquet: LocalNode
) -> None:
    with troquet.context() as (session, context):
        begin_write(session)
        spaces.add(session, context.clock.now(), "Annexe", "Lyon", id="annexe", guest_cap=2)
        session.commit()
    troquet.tell()
    with troquet.context() as (session, context):
        spaces.publish_now(session, context)
    assert shown(network, "annexe")["state"] == "unknown"
    network.pass_time(seconds=6)
    troquet.tell()
    assert shown(network, "annexe")["guest_places_free"] == 2


def test_the_node_says_the_same_to_everybody(
    network: Network, troquet: LocalNode, cordee: LocalNode
) -> None:
    path = "/.well-known/passerelle/availability"
    answer = troquet.get(path)
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    told = answer.json()
    assert told["spaces"] == [
        {
            "id": "troquet",
            "open": True,
            "paused": False,
            "guest_places": 5,
            "guest_places_free": 5,
        }
    ]
    assert datetime.fromisoformat(told["as_of"])
    etag = answer.headers["ETag"]
    assert troquet.get(path, **{"If-None-Match": etag}).status_code == 304
    person = cordee.add_person()
    troquet.scan(person.show())
    changed = troquet.get(path, **{"If-None-Match": etag})
    assert (changed.status_code, changed.json()["spaces"][0]["guest_places_free"]) == (200, 4)
    for word in ("Ada", person.pass_id, "visit", "guest_name"):
        assert word not in changed.text


def test_a_node_that_is_not_in_the_network_yet_says_so(network: Network) -> None:
    stranger = network.add_stranger("atelier")
    answer = stranger.get("/.well-known/passerelle/availability")
    assert kind(answer) == (503, "unavailable")
    stranger.tell()


def test_the_word_of_a_space_is_of_no_use_without_the_charter(
    network: Network, troquet: LocalNode
) -> None:
    """Who has not signed takes no roaming members: no place is free for them."""
    filature = network.add_node("filature", signs=False)
    filature.tell()
    assert shown(network, "filature")["guest_places_free"] == 0


def test_the_feed_does_not_let_a_figure_that_holds_grow_old(
    network: Network, troquet: LocalNode
) -> None:
    from federation import jobs as hub_jobs

    def feed() -> list[dict[str, Any]]:
        with network.hub.app.app_context():
            hub_jobs.refresh_feeds()
        items: list[dict[str, Any]] = network.hub.get("/feeds/availability").json()["items"]
        return items

    before = {item["id"]: item for item in feed()}
    for _ in range(6):
        network.pass_time(seconds=61)
        troquet.tell()
        after = {item["id"]: item for item in feed()}
        as_of = datetime.fromisoformat(after["troquet"]["data"]["as_of"])
        assert network.clock.now() - as_of < timedelta(seconds=TTL_SECONDS)
    assert after["troquet"]["modified"] > before["troquet"]["modified"]
