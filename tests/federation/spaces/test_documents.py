"""A publication as documents: what changed is sent, each is taken or not, and all converge."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from federation.context import hub as hub_context
from federation.db import db as hub_db
from federation.nodes import service as nodes
from federation.nodes.models import Node as HubNode
from federation.spaces import harvest as harvesting
from federation.spaces import publications
from federation.spaces.models import Document as Held
from node import jobs
from node.hub import outbox
from node.hub import service as sync
from node.hub.models import Enrolment
from node.publication import service as publication
from node.spaces import service as spaces
from node.spaces.hours import special_day
from node.spaces.models import Price
from shared.net.http import Answer, PeerSession
from shared.store.db import begin_write
from tests.contract.speaking import access_token, claims_of, keys_of, kind
from tests.network import LocalNode, Network, at_once

TYP = "passerelle-documents+jwt"
HOURS = (*("timezone", "week", "exceptions", "occasions", "capacities", "opening_hours", "until"),)


@pytest.fixture
def cordee(network: Network) -> LocalNode:
    return network.nodes["cordee"]


def at_hub(network: Network, space: str = "cordee") -> dict[str, Any]:
    found: dict[str, Any] = network.hub.get(f"/api/v1/spaces/{space}").json()
    return found


def harvest(network: Network) -> dict[str, str]:
    with network.hub.app.app_context():
        now, peers = hub_context().clock.now(), PeerSession(allow_private=True)
        return harvesting.harvest(hub_db.session(), now, peers)


def change(node: LocalNode, *, push: bool = True, **values: Any) -> None:
    with node.context() as (session, context):
        spaces.save(session, context, node.id, values)
    if push:
        node.deliver()


def states(node: LocalNode) -> dict[str, str]:
    """Return what the node knows of each of its documents, without the space's name."""
    with node.context() as (session, _):
        return {each.name.rpartition("/")[2]: each.state for each in publication.documents(session)}


@contextmanager
def pushes(node: LocalNode) -> Iterator[list[dict[str, Any]]]:
    """Note what this node pushes: the claims of each delta."""
    hub, sent = node.app.extensions["node"].hub, list[dict[str, Any]]()
    call = hub.call

    def note(method: str, path: str, **kwargs: Any) -> Answer:
        if path == publication.PATH:
            sent.append(claims_of(kwargs["json"]["documents"]))
        answer: Answer = call(method, path, **kwargs)
        return answer

    hub.call = note
    try:
        yield sent
    finally:
        del hub.call


def delta(node: LocalNode, *names: str, **changes: Any) -> dict[str, Any]:
    """Return what the node would push now, with the bodies of these documents."""
    with node.context() as (session, context):
        said = publication.say(session, context)
    claims = {
        "iss": said.node_id,
        "iat": 1_800_000_000,
        "revision": said.revision,
        "documents": said.index,
        "bodies": {name: said.bodies[name] for name in names},
    }
    return {**claims, **changes}


def push(network: Network, node: LocalNode, claims: dict[str, Any]) -> Any:
    body = {"documents": keys_of(node).sign(claims, TYP)}
    return network.hub.post("/api/v1/publications", body, access_token(node))


def sha256(body: Any) -> str:
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def test_anybody_can_recompute_the_index_of_a_publication(
    network: Network, cordee: LocalNode
) -> None:
    answer = cordee.get("/.well-known/passerelle")
    claims = claims_of(answer.text)
    index = claims["documents"]
    (space,) = claims["spaces"]
    expected = {
        "operator": sha256({"name": claims["name"], "plans": claims["plans"]}),
        "cordee/hours": sha256({name: space[name] for name in HOURS}),
        "cordee/prices": sha256({"prices": space["prices"]}),
    }
    assert {name: index[name]["sha256"] for name in expected} == expected
    hashes = {name: entry["sha256"] for name, entry in index.items()}
    assert answer.headers["ETag"] == f'"{sha256(hashes)}"'


def test_a_field_that_no_subject_names_is_the_sheets() -> None:
    from shared.wire.documents import split

    found = split("A", {}, [{"id": "a", "robots": 4, "rooms": []}])
    assert found["a/sheet"] == {"id": "a", "robots": 4}
    assert found["a/rooms"] == {"rooms": []}


def test_only_what_changed_is_sent_and_its_version_grows(
    network: Network, cordee: LocalNode
) -> None:
    before = claims_of(cordee.get("/.well-known/passerelle").text)["documents"]
    with pushes(cordee) as sent:
        change(cordee, special_days=[special_day("2026-12-24", [])])
    assert [list(each["bodies"]) for each in sent] == [["cordee/hours"]]
    after = sent[0]["documents"]
    assert after["cordee/hours"]["version"] == before["cordee/hours"]["version"] + 1
    assert {n for n in after if after[n] != before[n]} == {"cordee/hours"}
    assert at_hub(network)["exceptions"]["2026-12-24"] == []
    assert set(states(cordee).values()) == {"accepted"}


def test_a_lost_push_is_made_good_by_the_harvest_and_its_repetition_harms_nothing(
    network: Network, cordee: LocalNode
) -> None:
    with cordee.cut_off():
        change(cordee, name="La Cordée", push=False)
        assert at_hub(network)["name"] == "cordee"
        assert harvest(network) == {}
        assert at_hub(network)["name"] == "La Cordée"
        with cordee.app.app_context():
            jobs.publish()
        assert states(cordee)["sheet"] == "waiting"
    cordee.deliver()
    assert at_hub(network)["name"] == "La Cordée"
    assert set(states(cordee).values()) == {"accepted"}


def test_deltas_that_come_twice_or_in_the_wrong_order_end_with_the_latest(
    network: Network, cordee: LocalNode
) -> None:
    change(cordee, push=False, description="first", special_days=[special_day("2026-12-24", [])])
    first = delta(cordee, "cordee/sheet", "cordee/hours")
    with cordee.context() as (session, context):
        begin_write(session)
        publication.record(session, context)
        session.commit()
    change(cordee, push=False, description="second")
    second = delta(cordee, "cordee/sheet", "cordee/hours")
    for claims in (second, first, first, second, first):
        answer = push(network, cordee, claims)
        assert answer.status_code == 200
        assert answer.json()["revision"] == second["revision"]
    assert at_hub(network)["description"] == "second"
    assert at_hub(network)["exceptions"]["2026-12-24"] == []


def test_a_wrong_price_does_not_hold_back_the_closing_of_today(
    network: Network, cordee: LocalNode
) -> None:
    with cordee.context() as (session, context):
        spaces.save(
            session,
            context,
            "cordee",
            {
                "special_days": [special_day("2026-11-24", [])],
                "prices": [Price(place=0, label=" ", cents=500, unit="day")],
            },
        )
    cordee.deliver()
    assert at_hub(network)["open"] is False
    assert at_hub(network)["prices"] == []
    assert {name for name, state in states(cordee).items() if state == "refused"} == {"prices"}
    with cordee.context() as (session, _):
        word = next(d for d in publication.documents(session) if d.name == "cordee/prices").refused
        assert word["errors"] == {"prices": {"0": {"label": ["This may not be blank."]}}}
        row = sync.enrolment(session)
        assert row
        assert row.publication_fault["errors"] == {"cordee/prices": word["errors"]}
    assert cordee.waiting() == {"pending": 0, "dead": 0}
    assert harvest(network) == {}  # takes what can be taken, and refuses the same again
    assert at_hub(network)["prices"] == []
    change(cordee, prices=[Price(place=0, label="Journée", cents=500, unit="day")])
    assert [price["label"] for price in at_hub(network)["prices"]] == ["Journée"]
    assert set(states(cordee).values()) == {"accepted"}


def test_what_is_refused_keeps_what_was_accepted_before_it(
    network: Network, cordee: LocalNode
) -> None:
    change(cordee, prices=[Price(place=0, label="Journée", cents=500, unit="day")])
    change(cordee, prices=[Price(place=0, label=" ", cents=700, unit="day")])
    assert [price["cents"] for price in at_hub(network)["prices"]] == [500]


def test_a_space_is_not_shown_before_its_sheet_is_right(
    network: Network, cordee: LocalNode
) -> None:
    with cordee.context() as (session, context):
        begin_write(session)
        spaces.add(session, context.clock.now(), " ", "Lyon", id="annexe")
        session.commit()
        spaces.publish_now(session, context)
    assert network.hub.get("/api/v1/spaces/annexe").status_code == 404
    with cordee.context() as (session, context):
        spaces.save(session, context, "annexe", {"name": "L’Annexe"})
    cordee.deliver()
    assert at_hub(network, "annexe")["name"] == "L’Annexe"


def test_an_unchanged_publication_costs_a_304_also_while_a_document_is_refused(
    network: Network, cordee: LocalNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(cordee, prices=[Price(place=0, label=" ", cents=500, unit="day")])
    answers: list[int] = []
    fetch = harvesting._fetch

    def note(*args: Any) -> Answer:
        answer = fetch(*args)
        answers.append(answer.status)
        return answer

    monkeypatch.setattr(harvesting, "_fetch", note)
    assert harvest(network) == {}
    assert answers == [304, 304]


def test_a_hub_that_lacks_the_base_of_a_delta_is_sent_all_of_it(
    network: Network, cordee: LocalNode
) -> None:
    with network.hub.app.app_context():
        session = hub_db.session()
        begin_write(session)
        session.execute(delete(Held).where(Held.node_id == "cordee"))
        session.commit()
    refused = push(network, cordee, delta(cordee, "cordee/hours"))
    assert kind(refused) == (409, "documents-missing")
    assert "cordee/sheet" in refused.json()["missing"]
    assert "cordee/hours" not in refused.json()["missing"]
    with pushes(cordee) as sent:
        change(cordee, description="again")
    assert [len(each["bodies"]) for each in sent] == [1, len(sent[1]["documents"])]
    assert at_hub(network)["description"] == "again"


def test_two_pushes_at_once_end_with_what_the_node_has(network: Network, cordee: LocalNode) -> None:
    def edit(**values: Any) -> None:
        with cordee.context() as (session, context):
            spaces.save(session, context, "cordee", values)
            outbox.flush(session, context)

    at_once(
        [
            lambda: edit(description="one"),
            lambda: edit(special_days=[special_day("2026-12-24", [])]),
            lambda: edit(transport="Metro D"),
            lambda: edit(paused=True),
        ]
    )
    with cordee.app.app_context():
        jobs.publish()  # what an overtaken answer left open
        jobs.deliver()
    found = at_hub(network)
    assert (found["description"], found["transport"]) == ("one", "Metro D")
    assert found["exceptions"]["2026-12-24"] == []
    assert found["availability"]["paused"] is True
    assert set(states(cordee).values()) == {"accepted"}
    with cordee.context() as (session, context):
        claims = claims_of(publication.publication(session, context)[0])
        assert outbox.waiting(session)["pending"] == 0
    assert harvest(network) == {}
    with network.hub.app.app_context():
        node = hub_db.session.get_one(HubNode, "cordee")
        assert node.publication_revision == claims["revision"]


def _roll_back(node: LocalNode, revision: int, **values: Any) -> None:
    """Make the node's database what it was at an earlier revision, with a sheet of then."""
    with node.context() as (session, _):
        begin_write(session)
        session.execute(update(Enrolment).values(revision=revision, accepted_revision=revision))
        row = spaces.space(session, node.id)
        for name, value in values.items():
            setattr(row, name, value)
        session.commit()


def test_a_node_restored_from_a_backup_is_believed_when_it_is_asked(
    network: Network, cordee: LocalNode
) -> None:
    for description in ("a", "b", "c"):
        change(cordee, description=description)
    _roll_back(cordee, 1, description="of yesterday")
    assert harvest(network) == {}
    assert at_hub(network)["description"] == "of yesterday"
    change(cordee, description="of today")
    assert at_hub(network)["description"] == "of today"


def test_a_node_restored_from_a_backup_goes_on_from_where_the_hub_is(
    network: Network, cordee: LocalNode
) -> None:
    for description in ("a", "b", "c"):
        change(cordee, description=description)
    before = claims_of(cordee.get("/.well-known/passerelle").text)
    _roll_back(cordee, 1, description="c")
    change(cordee, description="of today")
    assert at_hub(network)["description"] == "of today"
    after = claims_of(cordee.get("/.well-known/passerelle").text)
    assert after["revision"] > before["revision"]
    assert set(states(cordee).values()) == {"accepted"}
    assert harvest(network) == {}
    assert at_hub(network)["description"] == "of today"


def test_what_a_cache_kept_does_not_undo_what_was_pushed_since(
    network: Network, cordee: LocalNode
) -> None:
    kept = claims_of(cordee.get("/.well-known/passerelle").text)
    change(cordee, description="newer")
    token = keys_of(cordee).sign({**kept, "iat": kept["iat"] - 600}, "passerelle-publication+jwt")
    with network.hub.app.app_context():
        session, now = hub_db.session(), hub_context().clock.now()
        held = session.get_one(HubNode, "cordee").publication_revision
        publications.take_pulled(session, now, "cordee", token.encode(), held)
    assert at_hub(network)["description"] == "newer"


def test_a_push_that_comes_while_the_hub_is_asking_is_not_undone(
    network: Network, cordee: LocalNode
) -> None:
    asked = cordee.get("/.well-known/passerelle").content
    with network.hub.app.app_context():
        session, now = hub_db.session(), hub_context().clock.now()
        held = session.get_one(HubNode, "cordee").publication_revision
        session.rollback()
        change(cordee, description="newer")
        publications.take_pulled(session, now, "cordee", asked, held)
    assert at_hub(network)["description"] == "newer"


def test_what_the_day_changes_is_published_without_anybodys_doing(
    network: Network, cordee: LocalNode
) -> None:
    before = at_hub(network)["exceptions"]
    network.move_to("2027-02-01T10:00:00+01:00")
    with cordee.app.app_context():
        jobs.publish()
        jobs.publish()
    assert cordee.waiting()["pending"] == 1
    cordee.deliver()
    after = at_hub(network)["exceptions"]
    assert "2028-12-25" in after.keys() - before.keys()
    with cordee.app.app_context():
        jobs.publish()
    assert cordee.waiting()["pending"] == 0


def test_a_space_that_is_no_longer_published_leaves_the_map(
    network: Network, cordee: LocalNode
) -> None:
    claims = delta(cordee)
    claims["documents"] = {"operator": claims["documents"]["operator"]}
    claims["revision"] += 1
    assert push(network, cordee, claims).status_code == 200
    assert network.hub.get("/api/v1/spaces/cordee").status_code == 404
    # The node does have it: the next time it is asked, all is as it was.
    assert harvest(network) == {}
    assert at_hub(network)["name"] == "cordee"


def test_another_nodes_space_is_refused_and_the_own_ones_are_taken(
    network: Network, cordee: LocalNode
) -> None:
    change(cordee, push=False, description="mine")
    claims = delta(cordee, "cordee/sheet", revision=99)
    stolen = {**claims["bodies"]["cordee/sheet"], "id": "troquet", "name": "Mine now"}
    claims["bodies"]["troquet/sheet"] = stolen
    claims["documents"]["troquet/sheet"] = {"sha256": sha256(stolen), "version": 1}
    answer = push(network, cordee, claims)
    assert answer.status_code == 200
    words = answer.json()["documents"]
    assert words["troquet/sheet"]["state"] == "refused"
    assert words["troquet/sheet"]["errors"] == {
        "id": ["This space already belongs to another node."]
    }
    assert words["cordee/sheet"]["state"] == "accepted"
    assert at_hub(network, "troquet")["name"] == "troquet"
    assert at_hub(network)["description"] == "mine"


@pytest.mark.parametrize(
    "changes",
    [
        {"bodies": {"cordee/sheet": {"id": "cordee"}}},
        {"bodies": {"cordee/sheet": {"id": 10**30}}},
        {"bodies": {"cordee/sheet": {"id": float("nan")}}},
        {"bodies": {"cordee/unheard": {}}},
        {"bodies": {"../up": {}}},
        {"bodies": {"cordee/sheet": "text"}},
        {"bodies": None},
        {"documents": {}},
        {"documents": {"operator": {"sha256": "x", "version": 1}}},
        {"documents": {"operator": {"sha256": "0" * 64, "version": 10**30}}},
        {"documents": {f"cordee/{'x' * 30}": {"sha256": "0" * 64, "version": 1}}},
        {"revision": 10**30},
        {"revision": -1},
    ],
    ids=str,
)
def test_a_delta_that_cannot_be_read_changes_nothing(
    network: Network, cordee: LocalNode, changes: dict[str, Any]
) -> None:
    before = at_hub(network)
    answer = push(network, cordee, delta(cordee, **changes))
    assert kind(answer) == (422, "validation"), answer.text
    assert answer.json()["errors"]
    assert at_hub(network) == before


@pytest.mark.parametrize(
    "body", [{}, {"documents": "a", "publication": "b"}, {"documents": "e30.e30.AAAA"}]
)
def test_a_push_is_one_of_the_two(network: Network, cordee: LocalNode, body: Any) -> None:
    answer = network.hub.post("/api/v1/publications", body, access_token(cordee))
    assert answer.status_code in (403, 422)


def test_a_delta_is_signed_by_the_node_as_a_delta(network: Network, cordee: LocalNode) -> None:
    claims = delta(cordee)
    token = keys_of(cordee).sign(claims, "passerelle-publication+jwt")
    body = {"documents": token}
    answer = network.hub.post("/api/v1/publications", body, access_token(cordee))
    assert kind(answer) == (403, "proof-invalid")
    troquet = network.nodes["troquet"]
    body = {"documents": keys_of(troquet).sign(claims, TYP)}
    answer = network.hub.post("/api/v1/publications", body, access_token(cordee))
    assert kind(answer) == (403, "proof-invalid")


def test_a_hub_of_before_documents_is_sent_the_whole(network: Network, cordee: LocalNode) -> None:
    hub = cordee.app.extensions["node"].hub
    call = hub.call

    def older(method: str, path: str, **kwargs: Any) -> Answer:
        if "documents" in (kwargs.get("json") or {}):
            fault = {"errors": {"publication": ["Missing data for required field."]}}
            return Answer(422, {}, json.dumps(fault).encode())
        answer: Answer = call(method, path, **kwargs)
        told = answer.json()
        told.pop("documents", None)
        return Answer(answer.status, answer.headers, json.dumps(told).encode())

    hub.call = older
    try:
        change(cordee, description="to an older hub")
    finally:
        del hub.call
    assert at_hub(network)["description"] == "to an older hub"
    assert set(states(cordee).values()) == {"accepted"}


def test_a_harvest_notes_when_and_what_went_wrong(network: Network, cordee: LocalNode) -> None:
    cordee.server.stop()
    assert list(harvest(network)) == ["cordee"]
    with network.hub.app.app_context():
        rows = {node.id: node for node in nodes.nodes(hub_db.session())}
        assert rows["cordee"].harvest_fault
        assert rows["troquet"].harvest_fault is None
        assert isinstance(rows["troquet"].harvested_at, datetime)
    cordee.server.start()
    assert harvest(network) == {}


def test_versions_at_the_hub_are_those_of_the_node(network: Network, cordee: LocalNode) -> None:
    change(cordee, description="one")
    change(cordee, description="two")
    with network.hub.app.app_context():
        query = select(Held.name, Held.version, Held.sha256).where(Held.node_id == "cordee")
        held = {row.name: (row.version, row.sha256) for row in hub_db.session.execute(query)}
    with cordee.context() as (session, _):
        own = {d.name: (d.version, d.sha256) for d in publication.documents(session)}
    assert held == own
