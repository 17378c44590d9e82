"""A week without the hub, a week without a node: everything arrives afterwards, once, in order."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select, update

from charter import model_sources, read_charter
from federation import jobs as hub_jobs
from federation.charters.models import CharterVersion
from federation.context import hub
from federation.db import db
from federation.nodes import trust_changes
from node.bookings import hosted
from node.bookings.models import Booking
from node.hub import service as sync
from node.members.models import Member
from node.spaces import service as spaces
from node.visits.history import history
from tests.network import LocalNode, Network, Person, codes, rules
from tests.node.bookings.test_bookings import at_host, booked, mine, tend
from tests.node.test_reconcile import agree, figures, hub_states, settle, states, visit

NEXT_WEEK = ("2026-12-02T09:00:00+01:00", "2026-12-02T13:00:00+01:00")
THE_DAY_AFTER = ("2026-12-03T09:00:00+01:00", "2026-12-03T13:00:00+01:00")


@pytest.fixture
def cordee(network: Network) -> LocalNode:
    return network.nodes["cordee"]


@pytest.fixture
def troquet(network: Network) -> LocalNode:
    return network.nodes["troquet"]


def _age(node: LocalNode, home: str, hours: float) -> None:
    node.age("trust-list", hours=hours)
    node.age(f"status:{home}", hours=hours)


def _state_of(network: Network, node_id: str) -> str:
    nodes = network.hub.get("/api/v1/nodes", network.hub.token).json()["items"]
    return str(next(node["state"] for node in nodes if node["id"] == node_id))


def test_a_week_without_the_hub_is_in_the_account_afterwards_once_and_in_order(
    network: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    people = [cordee.add_person().get_pass() for _ in range(4)]
    ended, phone = people[3], people[3].other_phone()
    network.refresh()
    network.hub_goes()
    ids = []
    for day, person in enumerate(people[:3]):
        ids.append(visit(troquet, person))
        network.pass_time(hours=4)
        if day != 1:
            assert troquet.check_out(ids[-1]).status_code == 200
        else:
            assert troquet.void(ids[-1]).status_code == 200
        network.pass_time(hours=20)
        _age(troquet, "cordee", 24 * (day + 1) - 1 - 23 * day)
    # The charter's 72 hours are over: the door stays shut to visitors, not to its own members.
    _age(troquet, "cordee", 72)
    assert codes(troquet.scan(people[0].show())) == ["trust_list_stale"]
    assert troquet.scan(troquet.add_person().get_pass().show()).status_code == 201
    assert cordee.delete(f"/api/v1/me/passes/{ended.pass_id}", ended.token).status_code == 204
    kept = booked(people[0], NEXT_WEEK)
    with troquet.context() as (session, context):
        spaces.save(session, context, "troquet", {"description": "painted meanwhile"})
    network.pass_time(days=4)
    network.hub_returns()
    settle(network)
    assert hub_states(network) == states(troquet)
    assert hub_states(network) == {ids[0]: "closed", ids[1]: "void", ids[2]: "closed"}
    told = network.hub.get("/api/v1/visits?limit=500", network.hub.token).json()["items"]
    recorded = [item["id"] for item in sorted(told, key=lambda item: item["started_at"])]
    assert recorded == ids
    assert all(item["flags"][0] == "offline" for item in told)
    assert figures(network)["balances"] == {"cordee": -4, "troquet": 4}
    assert agree(network, troquet)
    assert codes(troquet.scan(ended.show())) == ["pass_revoked"]
    assert phone.get_pass().pass_id
    assert mine(people[0]) == at_host(troquet) == {kept["id"]: "confirmed"}
    shown = network.hub.get("/api/v1/spaces/troquet").json()
    assert shown["description"] == "painted meanwhile"
    assert troquet.waiting() == cordee.waiting() == {"pending": 0, "dead": 0}


def test_a_version_that_came_into_force_while_a_node_was_away_is_its_own_on_return(
    network: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    troquet.server.stop()
    with network.hub.app.app_context():
        session, now = db.session(), hub().clock.now()
        sources = {**model_sources(), "rules.toml": rules(trust_list_hours=48)}

        session.query(CharterVersion).update({"state": "past"})
        coming = read_charter("2", sources)
        session.add(
            CharterVersion(
                version="2",
                number=2,
                sources=dict(coming.sources),
                sha256=coming.sha256,
                state="in_force",
                adopted_at=now,
                effective_at=now,
            )
        )
        trust_changes.note(session)
        session.commit()
    network.pass_time(days=7)
    troquet.server.start()
    settle(network)
    with troquet.context() as (session, context):
        known = sync.network(session, context)
        assert known is not None
        assert known.charter.version == "2"
        assert sync.unsigned(session, context), "and its admin is told to sign"


def test_a_week_without_a_node_its_members_go_on_and_it_hears_of_all_of_it(
    network: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    person, other = cordee.add_person().get_pass(), cordee.add_person().get_pass()
    kept, off = booked(person, NEXT_WEEK), booked(other, THE_DAY_AFTER)
    settle(network)
    cordee.server.stop()
    away = network.nodes.pop("cordee")
    network.pass_time(hours=3)
    with network.hub.app.app_context():
        hub_jobs.mark_silent()
    assert _state_of(network, "cordee") == "offline"
    space = network.hub.get("/api/v1/spaces/cordee").json()
    assert space["availability"]["state"] == "unknown"
    first = visit(troquet, person)  # the hub is there: it knows her pass
    troquet.check_out(first)
    with troquet.context() as (session, context):
        hosted.cancel_as_host(session, context, off["id"], "a burst pipe")
    tend(troquet)
    _age(troquet, "cordee", 73)
    network.pass_time(days=4)
    network.hub_goes()
    assert "trust_list_stale" in codes(troquet.scan(other.show())), "its list has aged"
    network.hub_returns()
    network.pass_time(days=2, hours=20)
    network.nodes["cordee"] = away
    cordee.server.start()
    settle(network)
    with troquet.context() as (session, _):
        session.execute(update(Booking).values(next_attempt_at=None))
        session.commit()
    tend(troquet, cordee)
    with network.hub.app.app_context():
        hub_jobs.harvest()
    assert _state_of(network, "cordee") == "connected"
    assert mine(other)[off["id"]] == "cancelled"
    assert mine(person)[kept["id"]] == at_host(troquet)[kept["id"]]
    assert figures(network)["visits"] == [(first, 1)]
    assert _visits_of(cordee, person) == [first]
    with cordee.context() as (session, context):
        spaces.save(session, context, "cordee", {"description": "back again"})
    settle(network, 1)
    assert network.hub.get("/api/v1/spaces/cordee").json()["description"] == "back again"


def _visits_of(home: LocalNode, person: Person) -> list[Any]:

    with home.context() as (session, context):
        her = session.scalars(select(Member).where(Member.account_id == person.account_id)).one()
        return [item["id"] for item in history(session, context, her)]
