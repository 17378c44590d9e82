"""A code is good for one visit at one space, everywhere: also one that made no visit at the hub."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
from sqlalchemy import select

from node import jobs
from node.spaces import service as spaces
from node.spaces.models import Space
from node.visits.models import Showing, Visit
from shared.crypto.passes import bind, showing_of
from shared.store.db import begin_write
from tests.network import WEEK, LocalNode, Network, Person, at_once, codes
from tests.shared.browser import Browser

pytestmark = pytest.mark.both_databases

THREE = ("cordee", "troquet", "filature")


@pytest.fixture
def network(make_network: Callable[..., Network]) -> Network:
    return make_network(nodes=THREE)


@pytest.fixture
def cordee(network: Network) -> LocalNode:
    return network.nodes["cordee"]


@pytest.fixture
def troquet(network: Network) -> LocalNode:
    return network.nodes["troquet"]


@pytest.fixture
def filature(network: Network) -> LocalNode:
    return network.nodes["filature"]


@pytest.fixture
def member(cordee: LocalNode) -> Person:
    return cordee.add_person().get_pass()


def remembered(node: LocalNode) -> dict[str, bool]:
    """Return the showings that a node remembers, and whether the hub is to be told of each."""
    with node.context() as (session, _):
        return {row.showing: row.waits for row in session.scalars(select(Showing))}


def open_annexe(node: LocalNode) -> str:
    """Give a node a second space."""
    with node.context() as (session, context):
        begin_write(session)
        now = context.clock.now()
        spaces.add(session, now, "Annexe", "Lyon", id="annexe", week=WEEK, guest_cap=3)
        session.commit()
        spaces.publish_now(session, context)
    return "annexe"


@contextmanager
def away(network: Network) -> Iterator[None]:
    network.hub_goes()
    yield
    network.hub_returns()


@pytest.mark.parametrize("hub", ["there", "away"])
def test_a_code_of_somebody_who_is_here_already_opens_no_other_door(
    network: Network, troquet: LocalNode, filature: LocalNode, member: Person, hub: str
) -> None:
    first = troquet.scan(member.show()).json()["visit"]["id"]
    text = member.show()
    with troquet.cut_off() if hub == "away" else nullcontext():
        again = troquet.scan(text)
        assert (again.status_code, again.json()["visit"]["id"]) == (200, first)
    troquet.deliver()
    assert codes(filature.scan(text)) == ["pass_replayed"]
    assert [visit["id"] for visit in troquet.presence()] == [first]
    assert troquet.waiting() == {"pending": 0, "dead": 0}
    assert filature.scan(member.show()).status_code == 201


@pytest.mark.parametrize("by", ["desk", "poster"])
def test_a_code_shown_at_home_opens_no_door_elsewhere(
    network: Network, cordee: LocalNode, troquet: LocalNode, member: Person, by: str
) -> None:
    member.show()
    if by == "poster":
        with cordee.context() as (session, _):
            nonce = session.get_one(Space, "cordee").poster
        now = cordee.app.extensions["node"].clock.now().timestamp()
        texts = [bind(member.credential, member.key, now - n, nonce) for n in range(2)]
        answers = [
            cordee.post("/api/v1/arrivals", {"space": "cordee", "pass": text}) for text in texts
        ]
    else:
        texts = [member.show() for _ in range(2)]
        answers = [cordee.scan(text) for text in texts]
    assert [answer.status_code for answer in answers] == [201, 200], "come, and here already"
    cordee.deliver()
    for text in texts:
        assert codes(troquet.scan(text)) == ["pass_replayed"]
    assert network.hub.get("/api/v1/visits", network.hub.token).json()["items"] == []


def test_the_hub_is_told_after_the_answer_and_of_many_at_once(
    network: Network, cordee: LocalNode
) -> None:
    people = [cordee.add_person().get_pass() for _ in range(3)]
    with cordee.without_jobs(), cordee.calls() as asked:
        for person in people:
            assert cordee.scan(person.show()).status_code == 201
    assert asked == [], "nobody waits while the hub is told"
    assert list(remembered(cordee).values()) == [True] * 3
    with cordee.calls() as asked, cordee.app.app_context():
        jobs.deliver()
    assert [url for url in asked if url.endswith("/showings")] == [
        f"{network.hub.url}/api/v1/showings"
    ]
    assert list(remembered(cordee).values()) == [False] * 3
    assert cordee.waiting() == {"pending": 0, "dead": 0}


def test_what_is_told_of_a_code_says_nothing_of_who(
    network: Network, cordee: LocalNode, member: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    call = cordee.app.extensions["node"].hub.call

    def note(method: str, path: str, **more: Any) -> Any:
        told.append((path, more.get("json")))
        return call(method, path, **more)

    monkeypatch.setattr(cordee.app.extensions["node"].hub, "call", note)
    cordee.deliver()
    told.clear()
    text = member.show()
    visit = cordee.scan(text).json()["visit"]
    cordee.deliver()
    expected = {"showing": showing_of(text), "space": "cordee", "at": visit["started_at"]}
    assert told == [("/api/v1/showings", {"showings": [expected]})]


@pytest.mark.parametrize("who", ["own", "guest"])
@pytest.mark.parametrize("hub", ["there", "away"])
def test_a_code_is_good_at_one_of_a_nodes_spaces(
    network: Network, troquet: LocalNode, member: Person, who: str, hub: str
) -> None:
    annexe = open_annexe(troquet)
    person = member if who == "guest" else troquet.add_person().get_pass()
    text, second = person.show(), person.show()
    with away(network) if hub == "away" else nullcontext():
        visit = troquet.scan(text).json()["visit"]["id"]
        assert troquet.scan(second).status_code == 200, "here already"
        for each in (text, second):
            before = troquet.preview(each, annexe).json()["decision"]
            answer = troquet.scan(each, annexe)
            assert codes(answer) == ["pass_replayed"]
            assert answer.json()["decision"] == before
        assert [item["id"] for item in troquet.presence()] == [visit]
        assert troquet.check_out(visit).status_code == 200
        for each in (text, second):
            assert codes(troquet.scan(each)) == ["pass_replayed"], "its visit is over"
        assert troquet.scan(person.show(), annexe).status_code == 201


def test_one_code_at_two_spaces_of_a_node_at_once_opens_one_door(
    network: Network, troquet: LocalNode
) -> None:
    own, annexe = troquet.add_person().get_pass(), open_annexe(troquet)
    text = own.show()
    answers = at_once(
        [lambda space=space: troquet.scan(text, space) for space in ("troquet", annexe) * 2]
    )
    refused = [answer for answer in answers if answer.status_code == 403]
    assert sorted(answer.status_code for answer in answers) == [200, 201, 403, 403]
    assert all(codes(answer) == ["pass_replayed"] for answer in refused)
    assert len(remembered(troquet)) == 1


def test_a_code_that_was_refused_is_not_remembered(network: Network, troquet: LocalNode) -> None:
    ticket = network.nodes["cordee"].add_person("ticket").get_pass()
    assert codes(troquet.scan(ticket.show())) == ["plan_not_eligible"]
    with away(network):
        assert codes(troquet.scan(ticket.show())) == ["plan_not_eligible"]
    assert remembered(troquet) == {}


def test_codes_are_forgotten_after_some_weeks(
    network: Network, cordee: LocalNode, member: Person
) -> None:
    assert cordee.scan(member.show()).status_code == 201
    for days, kept in ((34, 1), (2, 0)):
        network.pass_time(days=days)
        with cordee.app.app_context():
            jobs.tidy()
        assert len(remembered(cordee)) == kept


# What the hub holds


def test_the_desk_reads_what_the_hub_holds_and_why_until_somebody_has_decided(
    network: Network, troquet: LocalNode, filature: LocalNode, member: Person
) -> None:
    text = member.show()
    with away(network):
        visits = [host.scan(text).json()["visit"]["id"] for host in (troquet, filature)]
    for host in (troquet, filature):
        host.deliver()
    desk = Browser(filature)
    desk.log_in("desk@filature.example")
    words = "kept for the coordination to look at, it does not count yet: the same code was shown"
    assert words in desk.get("/desk?space=filature&lang=en").text
    assert filature.presence()[0]["held"] == "pass_replayed"
    assert network.hub.lines(visits[1]) == []
    assert troquet.check_out(visits[0]).status_code == 200
    decided = {"counts": True, "reason": "a camera showed it"}
    path = f"/api/v1/visits/{visits[1]}/held"
    assert network.hub.post(path, decided, network.hub.token).status_code == 200
    filature.refresh()
    assert [visit["held"] for visit in filature.presence()] in ([None], [])
    assert words not in desk.get("/desk?space=filature&lang=en").text
    with filature.context() as (session, _):
        assert session.get_one(Visit, visits[1]).held is None
