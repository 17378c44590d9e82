"""A node that moves, one that runs twice, and keys that a restored hub has lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import requests
from sqlalchemy import select

from federation.db import db as hub_db
from federation.mail.models import Mail as HubMail
from node.app import create_app as create_node
from node.desk import paper_card
from node.hub import service as sync
from shared.base.mail_server import mail_server
from shared.crypto import jose
from tests.contract.speaking import access_token, kind
from tests.network import PASSWORD, LocalNode, LocalServer, Network, be_patient, codes
from tests.node.bookings.test_bookings import booked, mine
from tests.node.hub.test_rotation import rotate
from tests.node.test_reconcile import figures, hub_states, settle, states, visit
from tests.shared.browser import Browser, forget_attempts

NEXT_WEEK = ("2026-12-02T09:00:00+01:00", "2026-12-02T13:00:00+01:00")


@pytest.fixture
def cordee(network: Network) -> LocalNode:
    return network.nodes["cordee"]


@pytest.fixture
def troquet(network: Network) -> LocalNode:
    return network.nodes["troquet"]


def move(node: LocalNode) -> str:
    """Start a node at another address; return the one it was at."""
    old = node.server
    old.close()
    node.server = LocalServer()
    node.server.app = node.app
    held = node.app.extensions["node"]
    settings = replace(held.settings, url=node.server.url)
    node.app.extensions["node"] = replace(held, settings=settings)
    node.server.start()
    return old.url


def confirm(network: Network, node: LocalNode) -> requests.Response:
    """Confirm a node's new address, as a coordinator does where nobody answers at the old one."""
    return network.hub.put(f"/api/v1/nodes/{node.id}/url", {"url": node.url}, network.hub.token)


def settle_at(network: Network, node: LocalNode) -> None:
    """Let a node that has moved ask for its new address, and a coordinator confirm it."""
    settle(network)
    assert confirm(network, node).status_code == 200
    settle(network)


@contextmanager
def copy_of(network: Network, node: LocalNode) -> Iterator[LocalNode]:
    """Run a copy of a node: its database and its key, on another server."""
    backup = network.back_up(node)
    url = network.databases.new("node")
    network.databases.restore(url, backup)
    held = node.app.extensions["node"].settings
    app = create_node(replace(held, database_url=url))
    be_patient(app.extensions["node"].peers)
    server = LocalServer()
    server.app = app
    server.start()
    copy = LocalNode(app, server, id=node.id, desk=node.desk, admin=node.admin, people=50)
    yield copy
    copy.circuit._closed.set()
    copy.close()


def page(service: Any, path: str, email: str) -> str:
    forget_attempts()
    with requests.Session() as session:
        form = session.get(f"{service.url}/login?lang=en").text
        token = form.partition('name="csrf_token"')[2].partition('value="')[2].partition('"')[0]
        body = {"csrf_token": token, "email": email, "password": PASSWORD}
        session.post(f"{service.url}/login", data=body)
        return session.get(f"{service.url}{path}?lang=en").text


# Moving


def test_a_node_that_moves_is_found_where_it_is_and_what_it_signed_holds(
    network: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    member, other = cordee.add_person().get_pass(), cordee.add_person().get_pass()
    settle(network)
    old = move(cordee)
    settle_at(network, cordee)
    trusted = jose.read_unverified(network.hub.get("/api/v1/trust-list").text).claims["nodes"]
    entry = next(node for node in trusted if node["id"] == "cordee")
    assert (entry["url"], entry["former_urls"]) == (cordee.url, [old])
    kept = booked(member, NEXT_WEEK)
    assert mine(member) == {kept["id"]: "confirmed"}
    assert troquet.scan(member.show()).status_code == 201
    assert cordee.delete(f"/api/v1/me/passes/{other.pass_id}", other.token).status_code == 204
    network.hub_goes()  # the pass names a list at the old address; the trust list, the new
    assert codes(troquet.scan(cordee.add_person().show())) == []
    troquet.age("status:cordee", seconds=61)
    assert codes(troquet.scan(other.show())) == ["pass_revoked"]
    network.hub_returns()


def test_a_door_alone_fetches_the_list_of_a_home_that_has_moved_at_once(
    network: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    member = cordee.add_person().get_pass()
    settle(network)
    with troquet.context() as (session, context):
        known = sync.network(session, context)
        assert known is not None
        assert sync.status_list(session, context, known.trust, "cordee", ask=True)
    move(cordee)
    cordee.refresh()
    assert confirm(network, cordee).status_code == 200
    with troquet.context() as (session, context):
        sync.refresh(session, context)
    network.hub_goes()
    assert troquet.scan(member.show()).status_code == 201
    network.hub_returns()


def test_a_paper_card_that_names_the_old_address_still_opens(
    network: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    settle(network)
    old = move(cordee)
    settle_at(network, cordee)
    with troquet.context() as (session, context):
        text = f"{old}/card/{'a' * 16}"
        read = paper_card.read(session, context, text, "123456")
        assert read is not None
        assert read.home_url == cordee.url
        assert paper_card.read(session, context, f"http://127.0.0.1:1/card/{'a' * 16}", "1") is None


def _claim(node: LocalNode, address: str, **changed: Any) -> requests.Response:
    with node.context() as (_, context):
        claims = {"iss": node.id, "aud": context.hub.url, "url": address, "iat": int(time.time())}
        proof = context.ring.sign({**claims, **changed}, "passerelle-move+jwt")
        hub = context.hub.url
    headers = {"Authorization": f"Bearer {access_token(node)}"}
    body = {"url": address, "proof": proof}
    return requests.put(f"{hub}/api/v1/nodes/me/url", json=body, headers=headers, timeout=20)


def test_nobody_takes_an_address_that_is_or_was_anothers_or_where_it_does_not_answer(
    network: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    settle(network)
    old = move(cordee)
    settle_at(network, cordee)

    def slug(answer: requests.Response) -> tuple[int, str]:
        return answer.status_code, answer.json()["type"].split("/")[-1]

    assert slug(_claim(troquet, cordee.url)) == (409, "url-taken")
    assert slug(_claim(troquet, old)) == (409, "url-taken")
    assert _claim(troquet, "ftp://elsewhere").status_code == 422
    assert slug(_claim(troquet, f"{troquet.url}/nowhere"))[1] == "peer-refused"
    for changed in ({"iss": "cordee"}, {"aud": "x"}, {"url": "x"}, {"iat": 1}):
        assert slug(_claim(troquet, f"{troquet.url}/nowhere", **changed)) == (403, "proof-invalid")
    assert _claim(troquet, troquet.url).status_code == 200, "where it is: nothing changes"


def test_a_copy_at_another_address_takes_nothing_over_while_the_first_still_answers(
    network: Network, cordee: LocalNode
) -> None:
    settle(network)
    with copy_of(network, cordee) as copy:
        held = copy.app.extensions["node"]
        settings = replace(held.settings, url=copy.url)
        copy.app.extensions["node"] = replace(held, settings=settings)
        copy.refresh()
        said = page(copy, "/console", "admin@cordee.example")
        assert "still answers at its old address" in said
    nodes = network.hub.get("/api/v1/nodes", network.hub.token).json()["items"]
    assert {node["id"]: node["url"] for node in nodes}["cordee"] == cordee.url


def mails(network: Network) -> list[tuple[str, str]]:
    with network.hub.app.app_context():
        rows = hub_db.session().scalars(select(HubMail).order_by(HubMail.id))
        return [(row.to, row.subject) for row in rows]


def test_whoever_has_the_key_alone_does_not_move_the_node(
    network: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    settle(network)
    object.__setattr__(
        network.hub.app.extensions["hub"].settings, "smtp_url", mail_server("smtp://127.0.0.1:1")
    )
    with copy_of(network, cordee) as thief:
        held = thief.app.extensions["node"]
        settings = replace(held.settings, url=thief.url)
        thief.app.extensions["node"] = replace(held, settings=settings)
        assert kind(_claim(thief, thief.url)) == (409, "conflict")
        cordee.server.stop()  # also while the node is away
        assert kind(_claim(thief, thief.url)) == (409, "url-unconfirmed")
        assert kind(_claim(thief, thief.url)) == (409, "url-unconfirmed")
        ((to, subject),) = mails(network)
        assert to == "coord@hub.example"
        assert "cordee asks for another address" in subject
        assert thief.url in page(network.hub, "/coordination/nodes/cordee", "coord@hub.example")
        refused = network.hub.delete("/api/v1/nodes/cordee/url", network.hub.token)
        assert refused.status_code == 204
        assert kind(confirm(network, thief)) == (409, "conflict"), "it is not asked for any more"
        cordee.server.start()
    nodes = network.hub.get("/api/v1/nodes", network.hub.token).json()["items"]
    assert {node["id"]: node["url"] for node in nodes}["cordee"] == cordee.url


def test_a_node_that_answers_at_both_addresses_has_moved_at_once(
    network: Network, cordee: LocalNode
) -> None:
    settle(network)
    before, old = cordee.url, cordee.server
    cordee.server = LocalServer()
    cordee.server.app = cordee.app
    held = cordee.app.extensions["node"]
    settings = replace(held.settings, url=cordee.server.url)
    cordee.app.extensions["node"] = replace(held, settings=settings)
    cordee.server.start()
    cordee.refresh()
    nodes = network.hub.get("/api/v1/nodes", network.hub.token).json()["items"]
    assert {node["id"]: node["url"] for node in nodes}["cordee"] == cordee.url != before
    old.close()


def test_a_coordinator_confirms_or_refuses_a_new_address_on_the_nodes_page(
    network: Network, cordee: LocalNode
) -> None:
    settle(network)
    old = move(cordee)
    settle(network)
    client = Browser(network.hub)
    client.log_in("coord@hub.example")
    shown = client.get("/coordination/nodes/cordee").text
    assert cordee.url in shown
    assert old in shown
    assert client.post("/coordination/nodes/cordee/url", url=cordee.url).status_code in (200, 302)
    settle(network)
    assert "confirm" not in page(cordee, "/console", "admin@cordee.example")
    nodes = network.hub.get("/api/v1/nodes", network.hub.token).json()["items"]
    assert {node["id"]: node["url"] for node in nodes}["cordee"] == cordee.url


# Twice


def test_a_node_that_runs_twice_is_told_of_on_both_and_at_the_hub_and_counts_once(
    network: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    member, other = cordee.add_person().get_pass(), cordee.add_person().get_pass()
    settle(network)
    with copy_of(network, troquet) as copy:
        network.pass_time(minutes=2)
        ids = [visit(troquet, member), visit(copy, other)]
        for _ in range(4):
            troquet.refresh()
            copy.refresh()
        for one in (troquet, copy):
            assert "This node runs twice" in page(one, "/console", "admin@troquet.example")
            assert states(one) == dict.fromkeys(ids, "open")
        assert "runs twice" in page(network.hub, "/coordination", "coord@hub.example")
        assert hub_states(network) == dict.fromkeys(ids, "open")
        assert sorted(figures(network)["visits"]) == sorted((number, 1) for number in ids)
    settle(network)
    network.pass_time(minutes=15)
    settle(network)
    assert "runs twice" not in page(troquet, "/console", "admin@troquet.example")
    assert "runs twice" not in page(network.hub, "/coordination", "coord@hub.example")


def test_a_restored_node_is_not_taken_for_two(
    network: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    settle(network)
    backup = network.back_up(troquet)
    network.pass_time(minutes=5)
    settle(network)
    network.restore(troquet, backup)
    settle(network)
    said = page(troquet, "/console", "admin@troquet.example")
    assert "This node was restored from a backup" in said
    assert "runs twice" not in said
    assert "was restored from a backup" in page(network.hub, "/coordination", "coord@hub.example")


def test_a_restored_hub_is_told_of_on_its_own_page_and_on_the_nodes(
    network: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    settle(network)
    backup = network.back_up(network.hub)
    network.pass_time(minutes=5)
    settle(network)
    visit(troquet, cordee.add_person().get_pass())
    network.restore(network.hub, backup)
    settle(network)
    said = page(network.hub, "/coordination", "coord@hub.example")
    assert "told again by its host" in said
    assert "This hub was restored from a backup" in said
    assert "2 nodes noticed it" in said
    assert "The hub was restored from a backup" in page(
        troquet, "/console", "admin@troquet.example"
    )
    client = Browser(troquet)
    client.log_in("admin@troquet.example")
    client.get("/console")
    assert client.post("/console/memory/read").status_code in (200, 302)
    assert "restored" not in client.get("/console").text


# Keys


def test_a_hub_that_lost_a_new_key_is_told_of_it_and_takes_what_it_had_refused(
    network: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    member = cordee.add_person().get_pass()
    settle(network)
    backup = network.back_up(network.hub)
    network.pass_time(minutes=5)
    rotate(troquet)
    settle(network)
    network.restore(network.hub, backup)
    troquet.app.extensions["node"].hub._token = ""
    troquet.app.extensions["node"].hub._expires = 0.0
    with troquet.cut_off():
        first = visit(troquet, member)
    troquet.deliver()  # signed with a key that the hub has never heard of, for all it remembers
    settle(network)
    assert hub_states(network) == states(troquet) == {first: "open"}
    assert troquet.waiting() == {"pending": 0, "dead": 0}
    assert troquet.scan(cordee.add_person().show()).status_code == 201


def test_a_node_that_the_hub_has_forgotten_says_what_its_admin_must_do(
    network: Network, troquet: LocalNode
) -> None:
    backup = network.back_up(network.hub)
    filature = network.add_node("filature")
    network.restore(network.hub, backup)
    filature.refresh()
    said = page(filature, "/console", "admin@filature.example")
    assert "The hub no longer knows this node" in said
    network._enrol(filature, signs=True)
    filature.refresh()
    assert "no longer knows" not in page(filature, "/console", "admin@filature.example")
