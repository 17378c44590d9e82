"""Bookings that were lost with a database are asked again from the other side."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from node.bookings import hosted, restore
from node.bookings.models import Booking
from node.hub import checkpoint
from shared.store.db import begin_write
from tests.network import LocalNode, Network
from tests.node.bookings.test_bookings import (
    AFTERNOON,
    MORNING,
    at_host,
    book,
    booked,
    cancel,
    mine,
    tend,
    why,
)
from tests.node.test_reconcile import notice, settle

THURSDAY = ("2026-11-26T09:00:00+01:00", "2026-11-26T13:00:00+01:00")


@pytest.fixture
def two(make_network: Callable[..., Network]) -> Network:
    return make_network(nodes={"cordee": {}, "troquet": {"guest_cap": 1}})


@pytest.fixture
def cordee(two: Network) -> LocalNode:
    return two.nodes["cordee"]


@pytest.fixture
def troquet(two: Network) -> LocalNode:
    return two.nodes["troquet"]


def _back_up(network: Network, node: LocalNode) -> str:
    settle(network)
    backup = network.back_up(node)
    network.pass_time(minutes=5)
    settle(network)
    return backup


def test_a_host_that_lost_its_bookings_has_them_again_and_gives_no_place_twice(
    two: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    person, other, late = (cordee.add_person().get_pass() for _ in range(3))
    before = booked(other, THURSDAY)
    backup = _back_up(two, troquet)
    lost = booked(person)
    assert cancel(other, before["id"]).status_code == 200
    settle(two)
    two.restore(troquet, backup)
    assert at_host(troquet) == {before["id"]: "confirmed"}
    settle(two)
    tend(troquet, cordee)
    assert at_host(troquet) == {before["id"]: "cancelled", lost["id"]: "confirmed"}
    assert why(book(late)) == ["booking_full"]
    assert book(late, THURSDAY).status_code == 201
    assert mine(person) == {lost["id"]: "confirmed"}
    assert notice(troquet)[1]["bookings"] == 2
    arrived = troquet.scan(person.show())
    assert arrived.status_code == 201


def test_what_a_host_called_off_in_the_lost_day_stays_off(
    two: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    person = cordee.add_person().get_pass()
    kept = booked(person)
    backup = _back_up(two, troquet)
    with troquet.context() as (session, context):
        hosted.cancel_as_host(session, context, kept["id"], "a burst pipe")
    tend(troquet)
    assert mine(person) == {kept["id"]: "cancelled"}
    two.restore(troquet, backup)
    settle(two)
    tend(troquet, cordee)
    assert at_host(troquet) == mine(person) == {kept["id"]: "cancelled"}
    assert book(cordee.add_person().get_pass()).status_code == 201, "its place is free"


def test_a_home_that_lost_its_members_bookings_has_them_again(
    two: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    person = cordee.add_person().get_pass()
    stays = booked(person, AFTERNOON)
    backup = _back_up(two, cordee)
    lost = booked(person, MORNING)
    assert cancel(person, stays["id"]).status_code == 200
    two.restore(cordee, backup)
    assert mine(person) == {stays["id"]: "confirmed"}
    settle(two)
    assert mine(person) == {stays["id"]: "cancelled", lost["id"]: "confirmed"}
    assert at_host(troquet) == mine(person)
    assert why(book(person, MORNING)) == ["booked_elsewhere"], "she has a place at that time"
    assert cancel(person, lost["id"]).status_code == 200
    assert at_host(troquet)[lost["id"]] == "cancelled"


def test_a_partner_that_is_away_is_asked_once_it_is_back(
    two: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    person = cordee.add_person().get_pass()
    backup = _back_up(two, troquet)
    lost = booked(person)
    two.restore(troquet, backup)
    cordee.server.stop()
    troquet.refresh()
    with troquet.context() as (session, _):
        row = checkpoint.memory(session)
        assert row is not None
        assert row.to_ask == ["cordee"]
    assert at_host(troquet) == {}
    cordee.server.start()
    troquet.refresh()
    assert at_host(troquet) == {lost["id"]: "confirmed"}
    with troquet.calls() as asked:
        troquet.refresh()
    assert not [url for url in asked if url.endswith("/recall")]


def test_only_a_partner_is_told_and_only_of_its_own(
    two: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    filature = two.add_node("filature")
    two.refresh()
    booked(cordee.add_person().get_pass())
    settle(two)
    with filature.context() as (session, context):
        told = restore._ask(session, context, "troquet", troquet.url)
    assert told == {"trips": [], "bookings": []}
    with cordee.context() as (session, context):
        told = restore._ask(session, context, "troquet", troquet.url)
        ours = restore.messages.sign(
            context, restore.messages.REQUEST_TYP, "cordee", troquet.url, {"iat": int(time.time())}
        )
    assert [item["given_name"] for item in told["bookings"]] == ["Ada1"]
    assert told["trips"] == []
    for wrong in ("nothing", ours):
        answer = troquet.post("/api/v1/bookings/recall", {"request": wrong})
        assert (answer.status_code, answer.json()["type"].split("/")[-1]) == (403, "proof-invalid")


def test_what_a_partner_says_of_others_bookings_changes_nothing(
    two: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    filature = two.add_node("filature")
    two.refresh()
    kept = booked(cordee.add_person().get_pass())
    settle(two)
    with cordee.context() as (session, context):
        ours = restore._ask(session, context, "troquet", troquet.url)["bookings"][0]
    forged = {**ours, "state": "cancelled", "revision": 99}
    with troquet.context() as (session, context):
        begin_write(session)
        told = {"trips": [forged, {**forged, "space": "elsewhere"}], "bookings": [forged]}
        assert restore._take(session, context, filature.id, told) == 0
        assert session.get_one(Booking, kept["id"]).state == "confirmed"
