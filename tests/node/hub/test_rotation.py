"""Keys are rotated without anybody being refused, and nobody adds one for somebody else."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import OKPKey

from node.hub import keys
from node.hub import service as sync
from node.settings import KEYS
from shared.crypto import jose
from shared.crypto.keys import add_key, load_key_ring, make_current, public_jwk, remove_key
from shared.net.http import PeerError
from tests.contract.speaking import access_token
from tests.network import LocalNode, LocalService, Network, codes


def restart(service: LocalService, kind: str, file: str) -> None:
    """Let a service read its keys again, as one does that is started."""
    held = service.app.extensions[kind]
    ring = load_key_ring(held.settings.data_dir / file)
    if kind == "node":
        held.hub._ring, held.hub._token = ring, ""
    service.app.extensions[kind] = replace(held, ring=ring)


def _private(path: Path) -> list[dict[str, Any]]:
    return list(json.loads(path.read_text())["keys"])


def rotate(node: LocalNode) -> str:
    with node.context() as (session, context):
        kid = keys.rotate_key(session, context)
    restart(node, "node", KEYS)
    return kid


def test_a_nodes_new_key_signs_and_what_the_old_one_signed_still_opens_doors(
    network: Network,
) -> None:
    cordee, troquet = network.nodes["cordee"], network.nodes["troquet"]
    old, other = cordee.add_person().get_pass(), cordee.add_person()
    before = jose.read_unverified(old.credential).header["kid"]
    kid = rotate(cordee)
    other.get_pass()
    assert jose.read_unverified(other.credential).header["kid"] == kid != before
    published = [key["kid"] for key in cordee.get("/.well-known/jwks.json").json()["keys"]]
    assert published == [kid, before]
    # The host has not heard of the new key yet: it asks by itself.
    for person in (old, other):
        admitted = troquet.scan(person.show())
        assert admitted.status_code == 201, admitted.text
        troquet.check_out(admitted.json()["visit"]["id"])
    own = cordee.scan(troquet.add_person().show())  # reported to the hub with the new key
    assert own.status_code == 201, own.text
    network.refresh()
    with network.nodes["troquet"].context() as (session, context):
        found = sync.status_list(
            session, context, sync.network(session, context).trust, "cordee", ask=True
        )
        assert found is not None


def test_a_host_that_is_cut_off_knows_the_new_key_from_its_last_list(network: Network) -> None:
    cordee, troquet = network.nodes["cordee"], network.nodes["troquet"]
    rotate(cordee)
    network.refresh()
    person = cordee.add_person().get_pass()
    network.hub_goes()
    assert troquet.scan(person.show()).status_code == 201
    network.hub_returns()


def test_a_rotation_that_the_hub_does_not_hear_of_changes_nothing(network: Network) -> None:
    cordee = network.nodes["cordee"]
    with cordee.context() as (session, context):
        path = context.settings.data_dir / KEYS
        before = path.read_bytes()
        with cordee.cut_off(), pytest.raises(PeerError):
            keys.rotate_key(session, context)
        assert path.read_bytes() == before


def test_the_hubs_new_key_is_fetched_and_the_old_ones_words_hold(network: Network) -> None:
    cordee, troquet = network.nodes["cordee"], network.nodes["troquet"]
    before = troquet.get("/.well-known/passerelle").status_code
    assert before == 200
    path = network.hub.app.extensions["hub"].settings.data_dir / "hub-keys.json"
    kid = add_key(path).keys[-1][0]
    make_current(path, kid)
    restart(network.hub, "hub", "hub-keys.json")
    assert troquet.scan(cordee.add_person().show()).status_code == 201
    network.refresh()
    trusted = network.hub.get("/api/v1/trust-list").text
    assert jose.read_unverified(trusted).header["kid"] == kid
    with troquet.context() as (session, context):
        known = sync.network(session, context)
        assert known is not None
        assert "cordee" in known.trust.nodes
    assert troquet.scan(cordee.add_person().show()).status_code == 201


def test_a_key_is_added_by_who_holds_it_for_oneself_and_now(network: Network) -> None:
    cordee, hub = network.nodes["cordee"], network.hub
    path = cordee.app.extensions["node"].key_file
    (kid, key), token = add_key(path).keys[-1], access_token(cordee)
    jwk = {name: value for name, value in public_jwk(kid, key).items() if name != "use"}
    good: dict[str, Any] = {"iss": "cordee", "aud": hub.url, "iat": int(time.time())}

    def send(key: OKPKey = key, typ: str = "passerelle-key+jwt", **changed: Any) -> int:
        proof = jose.sign({**good, **changed}, key, typ, kid=kid)
        return hub.post("/api/v1/nodes/me/keys", {"jwk": jwk, "proof": proof}, token).status_code

    assert send(key=OKPKey.generate_key("Ed25519")) == 403
    assert send(typ="passerelle-enrolment+jwt") == 403
    assert send(iss="troquet") == 403
    assert send(aud="http://127.0.0.1:1") == 403
    assert send(iat=int(time.time()) - 1000) == 403
    assert hub.post("/api/v1/nodes/me/keys", {"jwk": jwk, "proof": "x"}, None).status_code == 401
    remove_key(path, kid)  # as for a thief, who has no hand in what runs at the node's address
    assert send() == 422
    path.write_text(json.dumps({"keys": [*_private(path), key.as_dict(private=True)]}))
    assert [send(), send()] == [200, 200]
    trusted = jose.read_unverified(hub.get("/api/v1/trust-list").text).claims["nodes"]
    keys = {node["id"]: [k["kid"] for k in node["keys"]] for node in trusted}
    assert keys["cordee"].count(kid) == 1
    assert kid not in keys["troquet"]


def test_a_signature_of_the_charter_outlives_the_key_that_made_it(network: Network) -> None:
    cordee = network.nodes["cordee"]
    rotate(cordee)
    signatures = network.hub.get("/api/v1/charters/current").json()["signatures"]
    jws = next(s["jws"] for s in signatures if s["node"] == "cordee")
    network.refresh()
    with network.nodes["troquet"].context() as (session, context):
        known = sync.network(session, context)
        assert known is not None
        claims = jose.verify(jws, known.trust.find_key_of("cordee"), sync.SIGNATURE_TYP).claims
    assert claims["sha256"] == known.charter.sha256


def test_two_rotations_in_a_row_keep_every_key(network: Network) -> None:
    cordee, troquet = network.nodes["cordee"], network.nodes["troquet"]
    people = [cordee.add_person().get_pass()]
    for _ in range(2):
        rotate(cordee)
        people.append(cordee.add_person().get_pass())
    assert len({jose.read_unverified(p.credential).header["kid"] for p in people}) == 3
    for person in people:
        answer = troquet.scan(person.show())
        assert answer.status_code == 201, codes(answer)
