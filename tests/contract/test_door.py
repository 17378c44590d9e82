"""The door, over HTTP, between real services."""

from __future__ import annotations

from tests.network import Network


def test_a_member_of_one_space_is_admitted_at_another(network: Network) -> None:
    member = network.nodes["cordee"].add_person()
    answer = network.nodes["troquet"].scan(member.show())
    assert answer.status_code == 201, answer.text
    assert answer.json()["decision"]["outcome"] == "allowed"
    statement = network.hub.statement()
    assert statement["balances"] == {"cordee": -1, "troquet": 1}
