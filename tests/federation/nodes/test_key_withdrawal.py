"""A key that is in other hands is withdrawn: by the node, by the coordination, at once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import requests
from click.testing import CliRunner
from joserfc.jwk import OKPKey

from federation import cli as hub_cli
from federation.audit.models import AuditEntry
from federation.context import hub as hub_context
from federation.db import db as hub_db
from federation.mail.models import Mail
from federation.nodes import keys as hub_keys
from node import cli as node_cli
from node.hub import keys
from node.hub import service as sync
from shared.base.mail_server import mail_server
from shared.crypto import jose
from shared.crypto.keys import key_id
from shared.wire.problems import Problem
from tests.contract.speaking import access_token, claims_of, keys_of, kind
from tests.contract.test_machines import _ask_token, _claims
from tests.network import LocalNode, LocalService, Network, codes
from tests.node.hub.test_rotation import restart, rotate
from tests.shared.browser import Browser, forget_attempts


@pytest.fixture
def cordee(network: Network) -> LocalNode:
    return network.nodes["cordee"]


@pytest.fixture
def troquet(network: Network) -> LocalNode:
    return network.nodes["troquet"]


def kid_of(node: LocalNode) -> str:
    return keys_of(node).kid


def withdraw(service: LocalService, path: str, token: str, **said: str) -> requests.Response:
    headers = {"Authorization": f"Bearer {token}"}
    query = {"reason": "the laptop was stolen", **said}
    return requests.delete(service.url + path, params=query, headers=headers, timeout=20)


def by_coordination(network: Network, node_id: str, kid: str, **said: str) -> requests.Response:
    path = f"/api/v1/nodes/{node_id}/keys/{kid}"
    return withdraw(network.hub, path, network.hub.token, **said)


def listed(network: Network, node_id: str) -> dict[str, dict[str, Any]]:
    nodes = claims_of(network.hub.get("/api/v1/trust-list").text)["nodes"]
    return {key["kid"]: key for node in nodes if node["id"] == node_id for key in node["keys"]}


def detail(refused: requests.Response) -> Any:
    return refused.json()["decision"]["reasons"][0]["params"]["detail"]


def test_passes_by_a_withdrawn_key_are_refused_everywhere_and_the_list_says_it_at_once(
    network: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    lost, old = cordee.add_person().get_pass(), kid_of(cordee)
    rotate(cordee)
    kept = cordee.add_person().get_pass()
    answer = by_coordination(network, "cordee", old)
    assert answer.status_code == 200, answer.text
    assert answer.json()["withdrawn_reason"] == "the laptop was stolen"
    entry = listed(network, "cordee")[old]
    assert (entry["withdrawn"], entry["withdrawn_at"]) == (True, answer.json()["withdrawn_at"])
    network.refresh()
    own = cordee.scan(lost.show())
    assert (codes(own), detail(own)) == (["home_unknown"], "withdrawn")
    rights = network.hub.get("/api/v1/me/rights?space=troquet", lost.show())
    assert rights.status_code == 401
    network.hub_goes()
    assert codes(troquet.scan(lost.show())) == ["home_unknown"]
    assert troquet.scan(kept.show()).status_code == 201
    network.hub_returns()


def test_whoever_has_a_withdrawn_key_or_a_token_got_by_it_is_nobody_at_once(
    network: Network, cordee: LocalNode
) -> None:
    stolen, token = keys_of(cordee), access_token(cordee)
    assert network.hub.get("/api/v1/visits", token).status_code == 200
    rotate(cordee)
    withdrawn = by_coordination(network, "cordee", stolen.kid)
    assert withdrawn.status_code == 200
    assert kind(network.hub.get("/api/v1/visits", token)) == (401, "unauthenticated")
    refused = _ask_token(network, stolen.sign(_claims(network, "cordee"), "JWT"))
    assert refused.json()["error"] == "invalid_client"
    cordee.refresh()  # with its new key it goes on
    assert network.hub.get("/api/v1/visits", access_token(cordee)).status_code == 200


def test_a_visit_that_was_and_a_signature_of_the_charter_outlive_the_key(
    network: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    visit = troquet.scan(cordee.add_person().show()).json()["visit"]["id"]
    old = kid_of(cordee)
    rotate(cordee)
    network.pass_time(minutes=5)
    assert by_coordination(network, "cordee", old).status_code == 200
    assert network.hub.lines(visit) == [1]
    assert troquet.check_out(visit).status_code == 200
    network.refresh()
    signed = next(
        one
        for one in network.hub.get("/api/v1/charters/current").json()["signatures"]
        if one["node"] == "cordee"
    )
    with troquet.context() as (session, context):
        known = sync.network(session, context)
        assert known is not None
        before = network.clock.now() - timedelta(minutes=4)
        find_key = known.trust.find_key_of("cordee", before)
        assert jose.verify(signed["jws"], find_key, sync.SIGNATURE_TYP)
        for at in (None, network.clock.now()):
            find_key = known.trust.find_key_of("cordee", at)
            with pytest.raises(jose.TokenFault):
                jose.verify(signed["jws"], find_key, sync.SIGNATURE_TYP)
    with network.hub.app.app_context():
        session = hub_db.session()
        assert hub_keys.was_good_at(session, "cordee", old, before)
        assert not hub_keys.was_good_at(session, "cordee", old, network.clock.now())


def test_a_node_withdraws_its_own_keys_but_not_the_last(
    network: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    old, token = kid_of(cordee), access_token(cordee)
    path = f"/api/v1/nodes/me/keys/{old}"
    assert kind(withdraw(network.hub, path, token)) == (409, "conflict")
    other = f"/api/v1/nodes/me/keys/{kid_of(troquet)}"
    assert kind(withdraw(network.hub, other, token)) == (404, "not-found")
    assert kind(withdraw(network.hub, path, token, reason="")) == (422, "validation")
    rotate(cordee)
    network.refresh()
    with cordee.context() as (session, context):
        assert [each.state for each in keys.known(session, context)] == ["signs", "good"]
        with pytest.raises(Problem, match="rotate first"):
            keys.withdraw_key(session, context, kid_of(cordee), "none")
        keys.withdraw_key(session, context, old, "the laptop was stolen")
        assert [each.state for each in keys.known(session, context)] == ["signs", "withdrawn"]


def test_an_instant_lies_in_the_keys_life_and_only_an_earlier_one_changes_it(
    network: Network, cordee: LocalNode
) -> None:
    old, start = kid_of(cordee), network.clock.now()
    rotate(cordee)
    network.pass_time(hours=3)
    now = network.clock.now()
    for wrong in (start - timedelta(days=1), now + timedelta(minutes=5)):
        refused = by_coordination(network, "cordee", old, since=wrong.isoformat())
        assert kind(refused) == (422, "validation")
        assert "since" in refused.json()["errors"]
    assert kind(by_coordination(network, "cordee", old, since="2026-11-24")) == (422, "validation")

    def since(hours: int) -> str:
        at = (now - timedelta(hours=hours)).isoformat()
        answer = by_coordination(network, "cordee", old, since=at)
        assert answer.status_code == 200, answer.text
        found: str = answer.json()["withdrawn_at"]
        return found

    first = since(1)
    assert since(0) == first, "a later one is no news"
    assert since(2) < first
    assert listed(network, "cordee")[old]["withdrawn_at"] == since(2)


def test_a_withdrawn_key_is_not_taken_again(network: Network, cordee: LocalNode) -> None:
    old = keys_of(cordee)
    rotate(cordee)
    assert by_coordination(network, "cordee", old.kid).status_code == 200
    with cordee.context() as (_, context):
        answer = keys.announce_key(context, "cordee", old.kid, old.current)
    assert (answer.status, answer.json()["detail"]) == (
        409,
        "this key was withdrawn: make another",
    )


def test_a_node_without_any_key_comes_back_by_an_invitation_as_the_same_node(
    network: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    lost, old = cordee.add_person().get_pass(), kid_of(cordee)
    assert by_coordination(network, "cordee", old).status_code == 200
    with cordee.context() as (session, context):
        invited = network.hub.post("/api/v1/nodes/cordee/invitation", None, network.hub.token)
        assert invited.status_code == 201, invited.text
        assert invited.json()["node_id"] == "cordee"
        token = invited.json()["token"]
        kid = keys.rotate_key(session, context, token)
        with pytest.raises(Problem, match="invitation"):
            keys.rotate_key(session, context, token)
    restart(cordee, "node", "node-keys.json")
    network.refresh()
    assert sorted(listed(network, "cordee")) == sorted([old, kid])
    assert codes(troquet.scan(lost.show())) == ["home_unknown"]
    assert troquet.scan(cordee.add_person().show()).status_code == 201
    unknown = network.hub.post("/api/v1/nodes/nobody/invitation", None, network.hub.token)
    assert kind(unknown) == (404, "not-found")


def test_the_coordination_withdraws_a_key_on_a_page_that_says_what_it_changes(
    network: Network, cordee: LocalNode
) -> None:
    settings = network.hub.app.extensions["hub"].settings
    object.__setattr__(settings, "smtp_url", mail_server("smtp://127.0.0.1:1"))
    network.add_staff("coordinator", "two")
    cordee.add_person().get_pass()
    network.refresh()
    old, forgotten = kid_of(cordee), forget_attempts()
    assert forgotten is None
    client = Browser(network.hub)
    client.log_in("coord@hub.example")
    assert old in client.get("/coordination/nodes/cordee").text
    path = f"/coordination/nodes/cordee/keys/{old}"
    shown = client.get(path).text
    assert "At most 1 valid pass" in shown
    assert "the last key that is good" in shown
    assert client.post(path, reason=" ", since="").status_code == 422
    assert client.post(path, reason="stolen", since="2020-01-01T10:00").status_code == 422
    assert client.post(path, reason="stolen <b>", since="").status_code == 302
    assert listed(network, "cordee")[old]["withdrawn"]
    assert "stolen &lt;b&gt;" in client.get("/coordination/nodes/cordee").text
    with network.hub.app.app_context():
        session = hub_db.session()
        written = {row.to: row.subject for row in session.query(Mail)}
        assert list(written) == ["two@hub.example"]
        assert "A key of cordee was withdrawn" in written["two@hub.example"]
        actions = [row.action for row in session.query(AuditEntry)]
        assert actions.count("withdraw-key") == 1
    gone = client.get(path).text
    assert gone.count("Withdrawn key of cordee") == 2
    assert "Withdraw a key of cordee?" not in gone
    again = client.post("/coordination/nodes/cordee/invitation")
    assert "passerelle node rotate-key --invitation inv_" in again.text


def test_a_nodes_admin_withdraws_a_key_on_a_page(network: Network, cordee: LocalNode) -> None:
    old = kid_of(cordee)
    cordee.add_person().get_pass()
    rotate(cordee)
    network.refresh()
    forget_attempts()
    client = Browser(cordee)
    client.log_in("admin@cordee.example")
    assert old in client.get("/console/keys").text
    path = f"/console/keys/{old}"
    assert "At most 1 valid pass" in client.get(path).text
    assert client.post(path, reason="", since="").status_code == 422
    assert client.post(path, reason="stolen", since="2020-01-01T10:00").status_code == 422
    assert client.post(f"/console/keys/{kid_of(cordee)}", reason="x").status_code == 422
    assert client.get("/console/keys/nobodys").status_code == 404
    with cordee.cut_off():
        assert "cannot be asked" in client.post(path, reason="stolen", since="").text
    assert client.post(path, reason="stolen", since="").status_code == 302
    assert listed(network, "cordee")[old]["withdrawn"]
    assert "withdrawn" in client.get("/console/keys").text
    gone = client.get(path).text
    assert gone.count("Withdrawn key") == 2
    assert "Withdraw this key?" not in gone


def test_commands_of_hub_and_node_withdraw_keys(
    network: Network, cordee: LocalNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = kid_of(cordee)
    monkeypatch.setattr(node_cli, "_app", lambda: cordee.app)
    monkeypatch.setattr(hub_cli, "_app", lambda: network.hub.app)
    runner = CliRunner()

    def run(group: Any, *words: str) -> tuple[int, str]:
        done = runner.invoke(group, words)
        return done.exit_code, done.output

    code, output = run(node_cli.node, "rotate-key")
    assert code == 0, output
    restart(cordee, "node", "node-keys.json")
    network.refresh()
    code, output = run(node_cli.node, "keys")
    assert f"{first}  good" in output
    code, output = run(node_cli.node, "withdraw-key", kid_of(cordee), "--reason", "x", "--yes")
    assert (code, "rotate first" in output) == (1, True)
    code, output = run(node_cli.node, "withdraw-key", first, "--reason", "stolen", "--yes")
    assert (code, f"The key {first} is withdrawn" in output) == (0, True), output
    dashed = ("withdraw-key", "-dashed", "--reason", "x", "--yes")
    assert run(node_cli.node, *dashed)[0] == 1, "the id of a key, not an option"
    assert run(hub_cli.hub, "withdraw-key", "cordee", *dashed[1:])[0] == 1
    last = kid_of(cordee)
    wrong = ("withdraw-key", "cordee", last, "--reason", "x", "--since", "today")
    assert run(hub_cli.hub, *wrong)[0] == 2
    code, output = run(hub_cli.hub, "withdraw-key", "cordee", last, "--reason", "x", "--yes")
    assert code == 0, output
    assert "the last key" in output
    code, output = run(hub_cli.hub, "invite-again", "cordee")
    assert (code, output.startswith("inv_")) == (0, True)
    assert run(hub_cli.hub, "invite-again", "nobody")[0] == 1
    with network.hub.app.app_context():
        node = hub_context()
        assert node.url == network.hub.url


def test_a_stranger_withdraws_nothing(network: Network, cordee: LocalNode) -> None:
    kid = key_id(OKPKey.generate_key("Ed25519"))
    path = f"/api/v1/nodes/cordee/keys/{kid_of(cordee)}"
    assert withdraw(network.hub, path, access_token(network.nodes["troquet"])).status_code == 403
    assert kind(by_coordination(network, "cordee", kid)) == (404, "not-found")
    assert kind(by_coordination(network, "nobody", kid)) == (404, "not-found")
