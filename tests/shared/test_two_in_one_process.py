"""Several operators share a process: what one application knows, no other may see."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import requests

from federation.db import db as hub_db
from federation.nodes import service as nodes
from shared.crypto.passes import UnknownIssuer
from tests.contract.speaking import access_token
from tests.network import Network


def asked(network: Network, path: str, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return requests.get(f"{network.hub.url}{path}", headers=headers, timeout=10).status_code


def test_two_networks_of_one_process_share_neither_keys_nor_tokens_nor_lists(
    make_network: Callable[..., Network],
) -> None:
    networks = [make_network(nodes=("cordee", "troquet")) for _ in range(2)]
    one, other = networks
    token, path = access_token(one.nodes["cordee"]), "/api/v1/disputes"
    assert asked(one, path, token) != 401
    assert asked(other, path, token) == 401
    kids = [each.nodes["cordee"].app.extensions["node"].ring.kid for each in networks]
    for network, own, foreign in ((one, *kids), (other, *reversed(kids))):
        with network.hub.app.app_context():
            session = hub_db.session()
            assert nodes.any_key(session, "cordee", own)
            with pytest.raises(UnknownIssuer):
                nodes.any_key(session, "cordee", foreign)
    for network in networks:
        person = network.nodes["cordee"].add_person("resident")
        answer = network.nodes["troquet"].scan(person.show())
        assert answer.status_code == 201, answer.text
        foreign = other if network is one else one
        assert foreign.nodes["troquet"].scan(person.show()).status_code == 403
