"""Many doors at once: what is left once is given once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import requests

from federation.context import hub as hub_context
from federation.db import db as hub_db
from federation.nodes import enrolment
from node.hub import service as sync
from shared.wire.problems import Problem
from tests.network import LocalNode, Network, at_once, codes, rules

pytestmark = pytest.mark.both_databases

MakeNetwork = Callable[..., Network]

HOSTS = ("troquet", "filature", "atelier")


def _hosts(network: Network, **sheet: Any) -> list[LocalNode]:
    network.add_node("cordee")
    return [network.add_node(name, **sheet) for name in HOSTS]


def _statuses(answers: list[requests.Response]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


def test_fifty_check_ins_at_once_use_the_last_half_day_once(make_network: MakeNetwork) -> None:
    network = make_network(rules=rules(network=1))
    hosts = _hosts(network)
    member = network.nodes["cordee"].add_person().get_pass()
    shown = [(hosts[n % 3], member.show()) for n in range(50)]
    answers = at_once([lambda host=host, text=text: host.scan(text) for host, text in shown])

    admitted = [answer.json()["visit"]["id"] for answer in answers if answer.status_code == 201]
    assert len(admitted) == 1, _statuses(answers)
    for answer in answers:
        assert answer.status_code in (200, 201, 403), answer.text
        if answer.status_code == 403:
            # A place that another scan holds for too long is told as well.
            assert set(codes(answer)) - {"guest_cap"} == {"quota_network"}
        else:
            assert answer.json()["visit"]["id"] == admitted[0]
    statement = network.hub.statement()
    assert [(v["id"], v["half_days"]) for v in statement["visits"]] == [(admitted[0], 1)]
    assert [visit["id"] for host in hosts for visit in host.presence()] == admitted


def test_fifty_members_at_once_get_the_last_guest_place_once(make_network: MakeNetwork) -> None:
    network = make_network()
    cordee, troquet = network.add_node("cordee"), network.add_node("troquet", guest_cap=2)
    assert troquet.scan(cordee.add_person().show()).status_code == 201
    shown = [cordee.add_person().show() for _ in range(50)]
    answers = at_once([lambda text=text: troquet.scan(text) for text in shown])

    assert _statuses(answers) == {201: 1, 403: 49}
    assert {tuple(codes(a)) for a in answers if a.status_code == 403} == {("guest_cap",)}
    assert len(troquet.presence()) == 2
    assert len(network.hub.statement()["visits"]) == 2


def test_one_code_shown_twenty_times_at_once_is_one_visit(network: Network) -> None:
    troquet = network.nodes["troquet"]
    text = network.nodes["cordee"].add_person().show()
    answers = at_once([lambda: troquet.scan(text)] * 20)

    assert _statuses(answers) == {201: 1, 200: 19}
    assert len({answer.json()["visit"]["id"] for answer in answers}) == 1
    assert len(troquet.presence()) == 1
    assert [line["half_days"] for line in network.hub.statement()["visits"]] == [1]


def test_one_code_shown_at_two_hosts_at_once_opens_one_door(make_network: MakeNetwork) -> None:
    network = make_network()
    hosts = _hosts(network)
    text = network.nodes["cordee"].add_person().show()
    answers = at_once([lambda host=host: host.scan(text) for host in hosts])

    assert _statuses(answers) == {201: 1, 403: 2}
    assert {tuple(codes(a)) for a in answers if a.status_code == 403} == {("pass_replayed",)}
    assert len(network.hub.statement()["visits"]) == 1


def test_one_idempotency_key_used_ten_times_at_once_is_one_visit(network: Network) -> None:
    troquet = network.nodes["troquet"]
    text = network.nodes["cordee"].add_person().show()
    answers = at_once([lambda: troquet.scan(text, key="a-key-of-ours")] * 10)

    assert _statuses(answers) == {201: 1, 200: 9}
    first = answers[0].json()
    assert all(answer.json() == first for answer in answers)
    assert len(troquet.presence()) == 1
    later = troquet.scan(text, key="a-key-of-ours")
    assert (later.status_code, later.json()) == (200, first)


def test_one_idempotency_key_with_ten_bodies_at_once_answers_one_of_them(network: Network) -> None:
    troquet = network.nodes["troquet"]
    member = network.nodes["cordee"].add_person().get_pass()
    shown = [member.show() for _ in range(10)]
    answers = at_once([lambda text=text: troquet.scan(text, key="one-key") for text in shown])

    kept = [text for text in shown if troquet.scan(text, key="one-key").status_code == 200]
    assert len(kept) == 1
    assert all(answer.status_code in (200, 201, 409) for answer in answers)
    assert len(troquet.presence()) == 1
    assert [line["half_days"] for line in network.hub.statement()["visits"]] == [1]


def test_two_phones_of_one_member_at_two_hosts_are_never_both_open(
    make_network: MakeNetwork,
) -> None:
    network = make_network()
    hosts = _hosts(network)
    phone = network.nodes["cordee"].add_person().get_pass()
    phones = [phone, phone.other_phone().get_pass(), phone.other_phone().get_pass()]
    for _ in range(3):
        pairs = list(zip(hosts, phones, strict=True))
        answers = at_once([lambda h=host, p=phone: h.scan(p.show()) for host, phone in pairs])
        assert all(answer.status_code in (200, 201) for answer in answers)
        open_visits = network.hub.get("/api/v1/visits", network.hub.token).json()["items"]
        assert len([visit for visit in open_visits if visit["state"] == "open"]) == 1
        network.refresh()
        assert len([visit for host in hosts for visit in host.presence()]) == 1
        phones = phones[1:] + phones[:1]


def test_leaving_and_undoing_at_once_ends_a_visit_once(network: Network) -> None:
    troquet = network.nodes["troquet"]
    visit = troquet.scan(network.nodes["cordee"].add_person().show()).json()["visit"]["id"]
    calls = [lambda: troquet.check_out(visit), lambda: troquet.void(visit)] * 5
    assert _statuses(at_once(calls)) == {200: 10}
    troquet.deliver()
    assert sum(network.hub.lines(visit)) == 0
    assert network.hub.lines(visit) == [1, -1]
    assert troquet.waiting() == {"pending": 0, "dead": 0}


def test_one_invitation_used_by_two_nodes_at_once_enrols_one(make_network: MakeNetwork) -> None:
    network = make_network()
    nodes = [network.add_stranger(name) for name in ("cordee", "squat")]
    with network.hub.app.app_context():
        now = hub_context().clock.now()
        token, invitation = enrolment.invite(hub_db.session(), now, "cordee", None)
        given = invitation.node_id

    def enrol(node: LocalNode) -> str:
        with node.context() as (session, context):
            try:
                return sync.enrol(session, context, token)
            except Problem as problem:
                return f"refused: {problem.detail}"

    answers = at_once([lambda node=node: enrol(node) for node in nodes])
    assert sorted(answers)[0] == given
    assert sorted(answers)[1].startswith("refused: ")
    found = network.hub.get("/api/v1/nodes", network.hub.token).json()["items"]
    assert [node["id"] for node in found] == [given]


def test_one_operator_invited_many_times_at_once_gets_as_many_ids(
    make_network: MakeNetwork,
) -> None:
    hub = make_network().hub
    body = {"operator": "Café de l’Été"}
    answers = at_once([lambda: hub.post("/api/v1/invitations", body, hub.token)] * 8)
    assert _statuses(answers) == {201: 8}
    assert len({answer.json()["node_id"] for answer in answers}) == 8
