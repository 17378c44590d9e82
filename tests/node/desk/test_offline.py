"""The door without the hub: it goes on, within the charter, and the account comes out right."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson
import pytest
from flask import Flask
from sqlalchemy import delete, select

from federation.db import db as hub_db
from federation.visits.models import HalfDayLine
from federation.visits.models import Visit as RecordedVisit
from node import jobs
from node.hub import outbox
from node.hub.models import Cached, Outbox
from shared.crypto import status_list
from shared.crypto.keys import new_key_ring
from shared.crypto.passes import issue
from shared.net.http import Answer
from shared.store.db import begin_write
from tests.network import LocalNode, Network, Person, codes, rules

THREE = ("cordee", "troquet", "filature")


@pytest.fixture
def troquet(network: Network) -> LocalNode:
    return network.nodes["troquet"]


@pytest.fixture
def member(network: Network) -> Person:
    return network.nodes["cordee"].add_person().get_pass()


def _visit_at_hub(network: Network, visit_id: str) -> dict[str, Any]:
    items = network.hub.get("/api/v1/visits", network.hub.token).json()["items"]
    found: dict[str, Any] = next(item for item in items if item["id"] == visit_id)
    return found


def _codes_of(decision: dict[str, Any]) -> list[str]:
    return [reason["code"] for reason in decision["reasons"]]


# Deciding alone


def test_an_eligible_member_is_admitted_and_what_was_not_checked_is_named(
    network: Network, troquet: LocalNode, member: Person
) -> None:
    network.hub_goes()
    answer = troquet.scan(member.show())
    assert answer.status_code == 201, answer.text
    decision = answer.json()["decision"]
    assert (decision["outcome"], decision["online"]) == ("allowed", False)
    assert decision["unverified"] == ["seniority", "quota_network"]
    assert decision["terms"]["half_days_left"] == {"host": 5, "network": None}
    visit = answer.json()["visit"]
    assert (visit["online"], visit["delivered"], visit["state"]) == (False, False, "open")
    assert [item["id"] for item in troquet.presence()] == [visit["id"]]
    assert troquet.waiting() == {"pending": 1, "dead": 0}


def test_what_a_door_alone_can_see_it_still_refuses(network: Network, troquet: LocalNode) -> None:
    cordee = network.nodes["cordee"]
    ticket = cordee.add_person("ticket").get_pass()
    newcomer = cordee.add_person(joined_on=date(2026, 11, 10)).get_pass()
    network.hub_goes()
    assert codes(troquet.scan(ticket.show())) == ["plan_not_eligible"]
    assert codes(troquet.scan(newcomer.show())) == ["seniority"]
    network.move_to("2026-11-29T10:00:00+01:00")  # a Sunday
    assert codes(troquet.scan(cordee.add_person().show())) == ["space_closed"]


def test_a_third_visit_that_the_hub_has_not_heard_of_is_over_the_budget(
    network: Network, troquet: LocalNode, member: Person
) -> None:
    network.hub_goes()
    for _ in range(2):
        visit = troquet.scan(member.show()).json()["visit"]["id"]
        assert troquet.check_out(visit).status_code == 200
    refused = troquet.scan(member.show())
    assert (refused.status_code, codes(refused)) == (403, ["offline_budget"])
    assert refused.json()["decision"]["reasons"][0]["params"] == {"used": 2, "limit": 2}

    network.hub_returns()
    troquet.deliver()
    network.hub_goes()
    assert troquet.scan(member.show()).status_code == 201


def test_a_trust_list_older_than_72_hours_opens_no_door(
    network: Network, troquet: LocalNode, member: Person
) -> None:
    network.hub_goes()
    troquet.age("trust-list", hours=71)
    assert troquet.preview(member.show()).json()["decision"]["outcome"] == "allowed"
    troquet.age("trust-list", hours=2)
    refused = troquet.scan(member.show())
    assert codes(refused) == ["trust_list_stale"]
    assert refused.json()["decision"]["reasons"][0]["params"] == {"hours": 73, "limit": 72}


def test_a_revoked_pass_is_refused_once_its_homes_list_is_renewed(
    network: Network, troquet: LocalNode, member: Person
) -> None:
    network.hub_goes()
    path = f"/api/v1/me/passes/{member.pass_id}"
    assert member.node.delete(path, member.token).status_code == 204
    assert troquet.preview(member.show()).json()["decision"]["outcome"] == "allowed"
    troquet.age("status:cordee", seconds=61)
    refused = troquet.scan(member.show())
    assert (refused.status_code, codes(refused)) == (403, ["pass_revoked"])


def test_a_pass_beyond_the_end_of_its_homes_list_is_refused(
    network: Network, troquet: LocalNode, member: Person
) -> None:
    with member.node.context() as (_, home):
        now = datetime.now(UTC)
        member.credential = issue(
            home.ring,
            issuer="cordee",
            pass_id="a" * 16,
            jwk=member.key.as_dict(private=False),
            plan="resident",
            given_name="Ada",
            status_index=1_000_000,
            status_uri=f"{home.url}/status-lists/1",
            issued_at=now,
            expires_at=now + timedelta(days=1),
        )
    network.hub_goes()
    refused = troquet.scan(member.show())
    assert codes(refused) == ["pass_revoked"]
    assert refused.json()["decision"]["reasons"][0]["params"] == {"detail": "index"}


def _keep_list(
    host: LocalNode, home: LocalNode, ring: Any = None, uri: str = "", hours: float = 0
) -> None:
    """Put a status list, made so long ago, among what a host kept of its home."""
    with home.context() as (_, context):
        ring, uri = ring or context.ring, uri or f"{context.url}/status-lists/1"
    made = datetime.now(UTC) - timedelta(hours=hours)
    token = status_list.sign_list(ring, issuer=home.id, uri=uri, statuses={}, size=4096, now=made)
    with host.context() as (session, _):
        begin_write(session)
        row = session.get_one(Cached, f"status:{home.id}")
        row.body, row.sha256 = token, hashlib.sha256(token.encode()).hexdigest()
        session.commit()


def test_a_status_list_that_does_not_hold_never_means_valid(
    network: Network, troquet: LocalNode, member: Person
) -> None:
    cordee = network.nodes["cordee"]
    network.hub_goes()
    cordee.server.stop()
    for case in (
        {"hours": 73},
        {"ring": new_key_ring()},
        {"uri": f"{troquet.url}/status-lists/1"},
    ):
        _keep_list(troquet, cordee, **case)
        assert codes(troquet.scan(member.show())) == ["trust_list_stale"], case
    _keep_list(troquet, cordee, hours=71)
    assert troquet.scan(member.show()).status_code == 201


def test_with_the_home_away_too_its_kept_list_serves(
    network: Network, troquet: LocalNode, member: Person
) -> None:
    path = f"/api/v1/me/passes/{member.pass_id}"
    lost, kept = member, member.other_phone().get_pass()
    assert member.node.delete(path, member.token).status_code == 204
    troquet.age("status:cordee", seconds=61)
    troquet.refresh()
    network.hub_goes()
    member.node.server.stop()
    troquet.age("status:cordee", hours=2)
    assert codes(troquet.scan(lost.show())) == ["pass_revoked"]
    assert troquet.scan(kept.show()).status_code == 201


def test_the_preview_is_what_the_door_says_without_the_hub_too(
    network: Network, troquet: LocalNode
) -> None:
    cordee = network.nodes["cordee"]
    people = {name: cordee.add_person().get_pass() for name in ("fine", "here", "gone", "lost")}
    people["ticket"] = cordee.add_person("ticket").get_pass()
    texts = {name: person.show() for name, person in people.items()}
    troquet.scan(people["here"].show())
    cordee.delete(f"/api/v1/me/passes/{people['lost'].pass_id}", people["lost"].token)
    troquet.age("status:cordee", seconds=61)
    network.hub_goes()
    troquet.check_out(troquet.scan(texts["gone"]).json()["visit"]["id"])
    previews = {name: troquet.preview(text).json()["decision"] for name, text in texts.items()}
    doors = {name: troquet.scan(text).json()["decision"] for name, text in texts.items()}
    assert previews == doors
    assert {name: _codes_of(decision) for name, decision in doors.items()} == {
        "fine": [],
        "here": [],
        "gone": ["pass_replayed"],
        "lost": ["pass_revoked"],
        "ticket": ["plan_not_eligible"],
    }


# Nobody waits twice


def test_once_the_hub_is_known_to_be_away_no_scan_asks_it(
    network: Network, troquet: LocalNode, member: Person
) -> None:
    others = [member.node.add_person().get_pass() for _ in range(3)]
    network.hub_goes()
    assert troquet.scan(member.show()).status_code == 201
    with troquet.calls() as asked:
        visits = [troquet.scan(other.show()).json()["visit"]["id"] for other in others]
        troquet.preview(member.show())
        troquet.check_out(visits[0])
        troquet.void(visits[1])
    assert [url for url in asked if url.startswith(network.hub.url)] == []


def test_a_home_that_does_not_answer_is_not_waited_for_at_every_scan(
    network: Network, troquet: LocalNode, member: Person
) -> None:
    others = [member.node.add_person().get_pass() for _ in range(3)]
    network.hub_goes()
    member.node.server.stop()
    troquet.age("status:cordee", minutes=5)
    with troquet.calls() as asked:
        for person in (member, *others):
            assert troquet.scan(person.show()).status_code == 201
    assert len([url for url in asked if url.startswith(member.node.url)]) <= 1


def test_the_door_notices_by_itself_that_the_hub_is_back(
    network: Network, troquet: LocalNode, member: Person
) -> None:
    network.hub_goes()
    assert troquet.scan(member.show()).json()["decision"]["online"] is False
    network.hub_returns()
    other = member.node.add_person().get_pass()
    answer = troquet.scan(other.show())
    assert answer.json()["decision"]["online"] is True
    assert troquet.waiting()["pending"] == 0  # and what waited was told first


# Telling it afterwards


def test_the_same_code_twice_is_one_visit_without_the_hub(
    network: Network, troquet: LocalNode, member: Person
) -> None:
    network.hub_goes()
    text = member.show()
    first, second = troquet.scan(text), troquet.scan(text)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["visit"]["id"] == second.json()["visit"]["id"]
    fresh = troquet.scan(member.show())
    assert (fresh.status_code, fresh.json()["visit"]["id"]) == (200, first.json()["visit"]["id"])
    troquet.check_out(first.json()["visit"]["id"])
    assert codes(troquet.scan(text)) == ["pass_replayed"]
    network.hub_returns()
    troquet.deliver()
    assert network.hub.lines(first.json()["visit"]["id"]) == [1]


def _send_again(node: LocalNode) -> None:
    """Deliver everything once more, as after the loss of every answer."""
    with node.context() as (session, context):
        begin_write(session)
        for row in session.scalars(select(Outbox)):
            row.state, row.next_attempt_at = "pending", context.clock.real()
        session.commit()
    node.deliver()


def test_a_visit_without_the_hub_is_in_the_account_exactly_once_and_flagged(
    network: Network, troquet: LocalNode, member: Person
) -> None:
    network.hub_goes()
    visit = troquet.scan(member.show()).json()["visit"]["id"]
    network.hub_returns()
    troquet.refresh()
    statement = network.hub.statement()
    assert [(v["id"], v["half_days"], v["flags"]) for v in statement["visits"]] == [
        (visit, 1, ["offline"])
    ]
    assert statement["balances"] == {"cordee": -1, "troquet": 1}
    assert troquet.presence()[0]["delivered"] is True
    for _ in range(2):
        _send_again(troquet)
    assert network.hub.statement() == statement
    assert troquet.waiting() == {"pending": 0, "dead": 0}


def test_arrival_and_leaving_reach_the_hub_in_their_order_and_with_their_times(
    network: Network, troquet: LocalNode, member: Person
) -> None:
    network.hub_goes()
    visit = troquet.scan(member.show()).json()["visit"]
    network.pass_time(hours=5)  # past 13:00
    left = troquet.check_out(visit["id"]).json()
    assert left["state"] == "closed"
    network.pass_time(hours=20)
    network.hub_returns()
    troquet.deliver()
    recorded = _visit_at_hub(network, visit["id"])
    assert (recorded["started_at"], recorded["ended_at"]) == (visit["started_at"], left["ended_at"])
    assert recorded["state"] == "closed"
    assert network.hub.lines(visit["id"]) == [2]
    assert troquet.waiting() == {"pending": 0, "dead": 0}


def test_a_visit_undone_without_the_hub_counts_for_nothing(
    network: Network, troquet: LocalNode, member: Person
) -> None:
    known = troquet.scan(member.show()).json()["visit"]["id"]
    other = member.node.add_person().get_pass()
    network.hub_goes()
    unknown = troquet.scan(other.show()).json()["visit"]["id"]
    assert troquet.void(known).status_code == 200
    assert troquet.void(unknown).status_code == 200
    assert troquet.presence() == []
    network.hub_returns()
    troquet.deliver()
    for visit in (known, unknown):
        assert network.hub.lines(visit) == [1, -1]
        assert _visit_at_hub(network, visit)["state"] == "void"
    assert set(network.hub.statement()["balances"].values()) == {0}


def test_a_member_who_left_without_the_hub_may_come_again_as_soon_as_it_is_back(
    network: Network, troquet: LocalNode, member: Person
) -> None:
    first = troquet.scan(member.show()).json()["visit"]["id"]
    network.hub_goes()
    troquet.check_out(first)
    for _ in range(3):  # each failure puts the next attempt further off
        troquet.deliver()
    network.hub_returns()
    again = troquet.scan(member.show())
    assert again.status_code == 201, again.text
    assert again.json()["visit"]["state"] == "open"
    assert [visit["id"] for visit in troquet.presence()] == [again.json()["visit"]["id"]]


def test_a_visit_that_the_hub_would_have_refused_counts_and_says_why(
    make_network: Callable[..., Network],
) -> None:
    network = make_network(rules=rules(network=1), nodes=THREE)
    cordee, troquet, filature = network.nodes.values()
    member = cordee.add_person().get_pass()
    elsewhere = filature.scan(member.show()).json()["visit"]["id"]
    filature.check_out(elsewhere)
    with troquet.cut_off():
        visit = troquet.scan(member.show()).json()["visit"]["id"]
    troquet.deliver()
    recorded = _visit_at_hub(network, visit)
    assert recorded["flags"] == ["offline", "quota_network"]
    assert (network.hub.lines(visit), network.hub.lines(elsewhere)) == ([1], [1])


@pytest.mark.parametrize("first_to_tell", ["troquet", "filature"])
def test_of_one_code_at_two_hosts_that_cannot_ask_the_earlier_counts_whoever_tells_first(
    make_network: Callable[..., Network], first_to_tell: str
) -> None:
    network = make_network(nodes=THREE)
    cordee, troquet, filature = network.nodes.values()
    text = cordee.add_person().show()
    network.hub_goes()
    visits = [host.scan(text).json()["visit"]["id"] for host in (troquet, filature)]
    network.hub_returns()
    for host in sorted((troquet, filature), key=lambda host: host.id != first_to_tell):
        host.deliver()
    found = [_visit_at_hub(network, visit) for visit in visits]
    assert [visit["held"] for visit in found] == [None, "pass_replayed"]
    assert [sum(network.hub.lines(visit)) for visit in visits] == [1, 0]
    network.refresh()
    here = [host.presence()[0] for host in (troquet, filature)]
    assert [(visit["held"], visit["delivered"]) for visit in here] == [
        (None, True),
        ("pass_replayed", True),
    ]
    assert filature.waiting() == {"pending": 0, "dead": 0}


def test_an_old_visit_told_late_does_not_last_until_the_next(
    make_network: Callable[..., Network],
) -> None:
    network = make_network(nodes=THREE)
    cordee, troquet, filature = network.nodes.values()
    member = cordee.add_person().get_pass()
    with troquet.cut_off():
        first = troquet.scan(member.show()).json()["visit"]["id"]
        network.move_to("2026-11-26T10:00:00+01:00")
        second = filature.scan(member.show()).json()["visit"]["id"]
    troquet.deliver()
    assert network.hub.lines(first) == [2]
    assert network.hub.lines(second) == [1]
    assert _visit_at_hub(network, second)["state"] == "open"


@pytest.mark.parametrize("late", ["first", "second"])
def test_a_person_is_in_one_place_whoever_is_late_to_report(
    make_network: Callable[..., Network], late: str
) -> None:
    network = make_network(nodes=THREE)
    cordee, troquet, filature = network.nodes.values()
    member = cordee.add_person().get_pass()
    cut = troquet if late == "first" else filature
    with cut.cut_off():
        first = troquet.scan(member.show()).json()["visit"]["id"]
        network.pass_time(hours=1)
        second = filature.scan(member.show()).json()["visit"]
    for _ in range(2):  # to tell, and to be told
        network.refresh()
    assert _visit_at_hub(network, second["id"])["state"] == "open"
    moved = _visit_at_hub(network, first)
    assert (moved["state"], moved["ended_at"]) == ("closed", second["started_at"])
    assert troquet.presence() == []
    assert [visit["id"] for visit in filature.presence()] == [second["id"]]


# Dying in between


@contextmanager
def _answer_lost(app: Flask, path: str) -> Iterator[list[str]]:
    """Let the application do its work on the first request to this path, and lose the answer."""
    serve, lost = app.wsgi_app, list[str]()

    def wrapper(environ: dict[str, Any], start_response: Any) -> Any:
        if not environ["PATH_INFO"].endswith(path) or lost:
            return serve(environ, start_response)
        statuses: list[str] = []

        def note(status_line: str, _headers: Any, _exc: Any = None) -> Any:
            statuses.append(status_line)
            return lambda _data: None

        body = serve(environ, note)
        list(body)
        body.close()  # type: ignore[attr-defined]
        lost.append(statuses[0])
        raise ConnectionResetError

    app.wsgi_app = wrapper  # type: ignore[method-assign]
    yield lost
    app.wsgi_app = serve  # type: ignore[method-assign]


def test_a_hub_that_dies_after_recording_and_before_answering_records_one_visit(
    network: Network, troquet: LocalNode, member: Person
) -> None:
    with _answer_lost(network.hub.app, "/api/v1/visits") as lost:
        answer = troquet.scan(member.show())
    assert lost == ["201 CREATED"]
    assert (answer.status_code, answer.json()["decision"]["online"]) == (201, False)
    visit = answer.json()["visit"]["id"]
    troquet.await_hub()
    troquet.deliver()
    network.refresh()
    statement = network.hub.statement()
    assert [(v["id"], v["half_days"]) for v in statement["visits"]] == [(visit, 1)]
    here, recorded = troquet.presence(), _visit_at_hub(network, visit)
    assert [item["id"] for item in here] == [visit]
    assert (here[0]["online"], here[0]["started_at"]) == (True, recorded["started_at"])
    assert recorded["online"] is True
    assert troquet.waiting() == {"pending": 0, "dead": 0}
    with network.hub.app.app_context():
        assert len(hub_db.session.scalars(select(RecordedVisit)).all()) == 1


def test_a_hub_that_records_after_the_door_gave_up_records_one_visit(
    network: Network,
    troquet: LocalNode,
    member: Person,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tests.network.PATIENCE_SECONDS", 0)
    monkeypatch.setattr("node.visits.scan.ASK_SECONDS", 1.0)
    serve, go_on, done = network.hub.app.wsgi_app, threading.Event(), threading.Event()

    def slow(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["PATH_INFO"] != "/api/v1/visits" or done.is_set():
            return serve(environ, start_response)
        go_on.wait(10)
        answer = serve(environ, start_response)
        done.set()
        return answer

    monkeypatch.setattr(network.hub.app, "wsgi_app", slow)
    answer = troquet.scan(member.show())
    assert (answer.status_code, answer.json()["decision"]["online"]) == (201, False)
    go_on.set()
    assert done.wait(10)
    troquet.await_hub()
    troquet.deliver()
    visit = answer.json()["visit"]["id"]
    assert [(v["id"], v["half_days"]) for v in network.hub.statement()["visits"]] == [(visit, 1)]
    assert troquet.waiting() == {"pending": 0, "dead": 0}


def test_who_comes_back_before_the_queue_is_empty_has_two_visits(
    network: Network, troquet: LocalNode, member: Person
) -> None:
    with troquet.cut_off():
        morning = troquet.scan(member.show()).json()["visit"]["id"]
        network.pass_time(hours=1)
        assert troquet.check_out(morning).status_code == 200
    network.pass_time(hours=4)
    with troquet.without_jobs():  # it has much to tell before
        afternoon = troquet.scan(member.show()).json()["visit"]["id"]
    troquet.deliver()
    assert morning != afternoon
    assert (network.hub.lines(morning), network.hub.lines(afternoon)) == ([1], [1])
    assert [item["id"] for item in troquet.presence()] == [afternoon]
    assert troquet.waiting() == {"pending": 0, "dead": 0}


@pytest.mark.parametrize("another", [False, True], ids=["the same code", "a new code"])
def test_who_is_here_and_shows_a_code_before_the_queue_is_empty_has_one_visit(
    network: Network, troquet: LocalNode, member: Person, another: bool
) -> None:
    shown = member.show()
    with troquet.cut_off():
        first = troquet.scan(shown).json()["visit"]
    network.pass_time(seconds=40)
    with troquet.without_jobs():  # it has much to tell before
        again = troquet.scan(member.show() if another else shown)
    assert (again.status_code, again.json()["visit"]["id"]) == (200, first["id"])
    troquet.deliver()
    [told] = network.hub.statement()["visits"]
    assert (told["id"], told["half_days"]) == (first["id"], 1)
    [here] = troquet.presence()
    assert (here["started_at"], here["online"]) == (first["started_at"], False)
    assert troquet.waiting() == {"pending": 0, "dead": 0}


def _answers(
    node: LocalNode, patch: pytest.MonkeyPatch, status: int, document: Callable[[Any], Any]
) -> None:
    """Have something else answer in the hub's place to what it is told of visits."""
    call = node.app.extensions["node"].hub.call

    def other(method: str, path: str, **more: Any) -> Any:
        answer = call(method, path, **more)
        if (method, path) != ("POST", "/api/v1/visits"):
            return answer
        return Answer(status, answer.headers, orjson.dumps(document(answer.json())))

    patch.setattr(node.app.extensions["node"].hub, "call", other)


@pytest.mark.parametrize(
    "document",
    [
        lambda _said: {},
        lambda _said: [],
        lambda said: {**said, "visit": {**said["visit"], "started_at": "soon"}},
        lambda said: {**said, "visit": {**said["visit"], "id": "f" * 26, "space": "elsewhere"}},
        lambda said: {**said, "decision": {"outcome": "perhaps"}},
    ],
    ids=["nothing", "a list", "no time", "of another space", "no decision"],
)
@pytest.mark.parametrize("status", [200, 201])
def test_an_answer_that_is_none_to_this_scan_is_as_no_answer(
    network: Network,
    troquet: LocalNode,
    member: Person,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    document: Callable[[Any], Any],
) -> None:
    with monkeypatch.context() as patch:
        _answers(troquet, patch, status, document)
        answer = troquet.scan(member.show())
    assert answer.status_code == 201, answer.text
    assert answer.json()["decision"]["online"] is False
    assert [item["id"] for item in troquet.presence()] == [answer.json()["visit"]["id"]]
    troquet.deliver()
    assert network.hub.lines(answer.json()["visit"]["id"]) == [1]
    assert troquet.waiting() == {"pending": 0, "dead": 0}


def test_a_visit_told_late_that_is_answered_by_nothing_waits(
    network: Network, troquet: LocalNode, member: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    with troquet.cut_off():
        visit = troquet.scan(member.show()).json()["visit"]["id"]
    other = member.node.add_person().get_pass()
    with monkeypatch.context() as patch:
        _answers(troquet, patch, 200, lambda _said: {})
        troquet.deliver()
        assert troquet.waiting() == {"pending": 1, "dead": 0}
        assert troquet.scan(other.show()).status_code == 201, "nobody else is kept waiting"
    troquet.deliver()
    assert troquet.waiting() == {"pending": 0, "dead": 0}
    assert network.hub.lines(visit) == [1]


def test_a_visit_that_is_answered_by_another_is_not_delivered_and_is_told_again(
    network: Network, troquet: LocalNode, member: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    with troquet.cut_off():
        visit = troquet.scan(member.show()).json()["visit"]["id"]
    with monkeypatch.context() as patch:
        _answers(troquet, patch, 200, lambda said: {**said, "visit": {**said["visit"], "id": "f"}})
        for _ in range(outbox.FAILURES):
            troquet.deliver()
    assert troquet.waiting() == {"pending": 0, "dead": 0, "stuck": 1}
    assert troquet.presence()[0]["delivered"] is False
    with network.hub.app.app_context():
        begin_write(hub_db.session())
        hub_db.session.execute(delete(HalfDayLine))
        hub_db.session.execute(delete(RecordedVisit))
        hub_db.session.commit()
    network.pass_time(hours=25)
    troquet.refresh()  # both logs are compared each day
    assert troquet.waiting() == {"pending": 0, "dead": 0}
    assert troquet.presence()[0]["delivered"] is True
    assert network.hub.lines(visit) == [1]


@pytest.mark.parametrize("change", ["check-out", "void"])
def test_a_change_whose_answer_was_lost_is_made_once(
    network: Network, troquet: LocalNode, member: Person, change: str
) -> None:
    visit = troquet.scan(member.show()).json()["visit"]["id"]
    network.pass_time(hours=5)
    with _answer_lost(network.hub.app, f"/{change}") as lost:
        done = troquet.check_out(visit) if change == "check-out" else troquet.void(visit)
    assert (done.status_code, lost) == (200, ["200 OK"])
    before = _visit_at_hub(network, visit), network.hub.lines(visit)
    troquet.await_hub()
    troquet.deliver()
    assert (_visit_at_hub(network, visit), network.hub.lines(visit)) == before
    assert before[1] == ([2] if change == "check-out" else [1, -1])
    assert troquet.waiting() == {"pending": 0, "dead": 0}


@pytest.mark.parametrize("status_line", ["503 Service Unavailable", "200 OK", "403 Forbidden"])
def test_something_else_that_answers_at_the_hubs_address_is_not_the_hub(
    network: Network,
    troquet: LocalNode,
    member: Person,
    monkeypatch: pytest.MonkeyPatch,
    status_line: str,
) -> None:
    serve = network.hub.app.wsgi_app

    def broken(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["PATH_INFO"] != "/api/v1/visits":
            return serve(environ, start_response)
        environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        page = b"<h1>Under maintenance</h1>"
        start_response(
            status_line, [("Content-Type", "text/html"), ("Content-Length", str(len(page)))]
        )
        return [page]

    monkeypatch.setattr(network.hub.app, "wsgi_app", broken)
    answer = troquet.scan(member.show())
    assert (answer.status_code, answer.json()["decision"]["online"]) == (201, False)
    monkeypatch.undo()
    troquet.await_hub()
    troquet.deliver()
    assert network.hub.lines(answer.json()["visit"]["id"]) == [1]


def test_a_node_that_died_before_noting_the_answer_takes_the_visit_over(
    network: Network, troquet: LocalNode, member: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_args: Any) -> None:
        raise KeyboardInterrupt

    text = member.show()
    with monkeypatch.context() as patch, troquet.app.test_client() as client:
        patch.setattr("node.desk.service._follow", die)
        with pytest.raises(KeyboardInterrupt):
            client.post(
                "/api/v1/check-ins",
                json={"space": "troquet", "pass": text},
                headers={"Authorization": f"Bearer {troquet.desk}"},
            )
    assert troquet.presence() == []
    network.pass_time(seconds=60)
    with troquet.app.app_context():
        jobs.close_forgotten()  # the hold has expired
    troquet.refresh()
    here = troquet.presence()
    assert [visit["id"] for visit in here] == [
        line["id"] for line in network.hub.statement()["visits"]
    ]
    again = troquet.scan(member.show())
    assert (again.status_code, again.json()["visit"]["id"]) == (200, here[0]["id"])
    assert again.json()["decision"]["outcome"] == "allowed"
    assert troquet.check_out(here[0]["id"]).status_code == 200
    assert network.hub.lines(here[0]["id"]) == [1]


# Messages that cannot be delivered


def test_a_message_that_the_hub_will_never_take_steps_aside(
    network: Network, troquet: LocalNode, member: Person
) -> None:
    network.hub_goes()
    with troquet.context() as (session, context):
        begin_write(session)
        payload = {"id": "nothing", "report": "not.a.report"}
        now = context.clock.real()
        outbox.queue(session, now, "visit", "visit:nothing", payload, "visit:nothing")
        session.commit()
    visit = troquet.scan(member.show()).json()["visit"]["id"]
    troquet.check_out(visit)
    assert troquet.waiting() == {"pending": 3, "dead": 0}
    network.hub_returns()
    troquet.deliver()
    assert troquet.waiting() == {"pending": 0, "dead": 1}
    assert _visit_at_hub(network, visit)["state"] == "closed"
    with troquet.context() as (session, _):
        row = session.scalars(select(Outbox).where(Outbox.state == "dead")).one()
        assert "proof-invalid" in row.error


def test_a_node_suspended_meanwhile_loses_nothing_of_what_it_has_to_tell(
    network: Network, troquet: LocalNode, member: Person
) -> None:
    network.hub_goes()
    visit = troquet.scan(member.show()).json()["visit"]["id"]
    network.hub_returns()
    network.set_state("troquet", "suspended")
    troquet.deliver()
    network.set_state("troquet", "connected")
    troquet.deliver()
    assert troquet.waiting() == {"pending": 0, "dead": 0}
    assert network.hub.lines(visit) == [1]


def test_with_nothing_ever_fetched_the_door_says_so(network: Network, member: Person) -> None:
    stranger = network.add_stranger("squat")
    answer = stranger.scan(member.show(), **{"Accept-Language": "en"})
    assert answer.status_code == 503
    assert answer.json()["type"].endswith("/problems/unavailable")
    assert "enrolled" in answer.json()["detail"]
