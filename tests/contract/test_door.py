"""The door, over HTTP, between real services."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from joserfc.jwk import ECKey, OKPKey
from sqlalchemy import select, update

from federation.audit.service import CLI
from federation.context import hub as hub_context
from federation.db import db as hub_db
from federation.nodes import keys
from federation.visits.models import Refusal as RecordedRefusal
from federation.visits.models import Visit as RecordedVisit
from node import jobs
from node.members.models import Plan
from node.passes.models import Pass
from node.spaces import service as spaces
from node.visits.models import Refusal
from shared.crypto import jose
from shared.crypto.keys import new_key_ring
from shared.crypto.passes import RIGHTS_AUDIENCE, bind, issue
from shared.crypto.px1 import pack
from shared.store.db import begin_write
from tests.network import LocalNode, Network, Person, codes, rules

THREE = ("cordee", "troquet", "filature")
MakeNetwork = Callable[..., Network]


@pytest.fixture
def troquet(lasting_network: Network) -> LocalNode:
    return lasting_network.nodes["troquet"]


@pytest.fixture
def filature(lasting_network: Network) -> LocalNode:
    return lasting_network.nodes["filature"]


@pytest.fixture
def member(lasting_network: Network) -> Person:
    return lasting_network.nodes["cordee"].add_person().get_pass()


def _admit(host: LocalNode, person: Person) -> str:
    answer = host.scan(person.show())
    assert answer.status_code == 201, answer.text
    visit: str = answer.json()["visit"]["id"]
    return visit


def _visit_and_leave(host: LocalNode, person: Person) -> str:
    visit = _admit(host, person)
    assert host.check_out(visit).status_code == 200
    return visit


def _params(answer: Any) -> dict[str, Any]:
    """Return the params of the only reason of a refusal."""
    (reason,) = answer.json()["decision"]["reasons"]
    params: dict[str, Any] = reason["params"]
    return params


def test_a_member_of_one_space_is_admitted_at_another(network: Network) -> None:
    member = network.nodes["cordee"].add_person()
    answer = network.nodes["troquet"].scan(member.show())
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert body["decision"]["outcome"] == "allowed"
    assert body["decision"]["online"] is True
    assert body["decision"]["unverified"] == []
    assert body["decision"]["terms"] == {
        "until": "2026-11-24T19:00:00+01:00",
        "services": [],
        "half_days_left": {"host": 5, "network": 15},
    }
    assert body["visit"]["home"] == "cordee"
    assert body["visit"]["given_name"] == "Ada1"
    assert (body["visit"]["delivered"], body["visit"]["local"]) == (True, False)
    statement = network.hub.statement()
    assert statement["balances"] == {"cordee": -1, "troquet": 1}


# The person


def test_a_plan_that_the_charter_does_not_name_is_refused(
    lasting_network: Network, troquet: LocalNode
) -> None:
    cordee = lasting_network.nodes["cordee"]
    refused = troquet.scan(cordee.add_person("ticket").show())
    assert (refused.status_code, codes(refused)) == (403, ["plan_not_eligible"])
    assert _params(refused) == {"plan": "ticket", "eligible": ["nomad", "resident"]}
    assert troquet.scan(cordee.add_person("nomad").show()).status_code == 201


def test_seniority_is_reached_on_the_thirtieth_day(
    lasting_network: Network, troquet: LocalNode
) -> None:
    cordee = lasting_network.nodes["cordee"]
    young = cordee.add_person(joined_on=date(2026, 10, 26))
    refused = troquet.scan(young.show())
    assert (codes(refused), _params(refused)) == (["seniority"], {"days": 29, "limit": 30})
    assert refused.json()["decision"]["reasons"][0]["article"] == 4
    old_enough = cordee.add_person(joined_on=date(2026, 10, 25))
    assert troquet.scan(old_enough.show()).status_code == 201


def test_every_reason_that_applies_is_given_in_the_charters_order(
    lasting_network: Network, troquet: LocalNode
) -> None:
    newcomer = lasting_network.nodes["cordee"].add_person("ticket", date(2026, 11, 20))
    refused = troquet.scan(newcomer.show(time.time() - 3600), **{"Accept-Language": "en"})
    assert codes(refused) == ["pass_stale", "plan_not_eligible", "seniority"]
    reasons = refused.json()["decision"]["reasons"]
    assert [reason["article"] for reason in reasons] == [8, 4, 4]
    assert "90 seconds" in reasons[0]["message"]
    french = troquet.scan(newcomer.show(), **{"Accept-Language": "fr"}).json()["decision"]
    assert "formule" in french["reasons"][0]["message"]


def test_the_seventh_half_day_of_a_month_at_one_host_is_refused(network: Network) -> None:
    network.add_node("filature")
    troquet, member = network.nodes["troquet"], network.nodes["cordee"].add_person()
    for day in (24, 25, 26):
        for hour in (10, 15):
            network.move_to(f"2026-11-{day}T{hour}:00:00+01:00")
            _visit_and_leave(troquet, member)
    network.move_to("2026-11-27T10:00:00+01:00")
    refused = troquet.scan(member.show())
    assert (codes(refused), _params(refused)) == (["quota_host"], {"used": 6, "limit": 6})
    assert network.nodes["filature"].scan(member.show()).status_code == 201


def test_what_is_used_in_the_network_and_at_one_host_is_counted_apart(
    make_network: MakeNetwork,
) -> None:
    network = make_network(rules=rules(per_host=1, network=2), nodes=THREE)
    cordee, troquet, filature = network.nodes.values()
    member = cordee.add_person()
    _visit_and_leave(troquet, member)
    _visit_and_leave(filature, member)
    network.move_to("2026-11-24T15:00:00+01:00")
    refused = troquet.scan(member.show())
    assert codes(refused) == ["quota_host", "quota_network"]
    assert [r["params"]["used"] for r in refused.json()["decision"]["reasons"]] == [1, 2]
    network.move_to("2026-12-01T10:00:00+01:00")
    assert troquet.scan(member.show()).status_code == 201


def test_nobody_has_more_half_days_abroad_than_her_home_plan_includes(network: Network) -> None:
    cordee, troquet = network.nodes["cordee"], network.nodes["troquet"]
    with cordee.context() as (session, context):
        begin_write(session)
        session.execute(
            update(Plan).where(Plan.plan_class == "nomad").values(half_days_per_month=1)
        )
        session.commit()
        spaces.publish_now(session, context)
    nomad, resident = cordee.add_person("nomad"), cordee.add_person("resident")
    answer = troquet.scan(nomad.show())
    assert answer.json()["decision"]["terms"]["half_days_left"] == {"host": 5, "network": 0}
    assert answer.json()["decision"]["terms"]["until"] == "2026-11-24T13:00:00+01:00"
    _visit_and_leave(troquet, resident)
    network.move_to("2026-11-24T15:00:00+01:00")
    troquet.check_out(answer.json()["visit"]["id"])
    network.move_to("2026-11-25T10:00:00+01:00")
    refused = troquet.scan(nomad.show())
    assert codes(refused) == ["reciprocity_floor"]
    assert _params(refused)["limit"] == 1
    assert troquet.scan(resident.show()).status_code == 201


# The pass


def test_a_pass_that_its_owner_revoked_is_refused(
    lasting_network: Network, troquet: LocalNode, member: Person
) -> None:
    path = f"/api/v1/me/passes/{member.pass_id}"
    assert member.node.delete(path, member.token).status_code == 204
    assert codes(troquet.scan(member.show())) == ["pass_revoked"]
    assert troquet.scan(member.other_phone().show()).status_code == 201


def test_a_pass_that_its_home_suspended_is_refused(troquet: LocalNode, member: Person) -> None:
    with member.node.context() as (_, home):
        status = {"member": "x" * 16, "member_since": "2026-01-05", "status": "suspended"}
        assert home.hub.call("PUT", f"/api/v1/passes/{member.pass_id}", json=status).status == 204
    assert codes(troquet.scan(member.show())) == ["pass_suspended"]


def _credential(home: LocalNode, key: OKPKey, **changes: Any) -> str:
    with home.context() as (_, context):
        now = datetime.now(UTC)
        return issue(
            changes.pop("ring", context.ring),
            **{
                "issuer": home.id,
                "pass_id": "pass-of-a-test-001",
                "jwk": key.as_dict(private=False),
                "plan": "resident",
                "given_name": "Ada",
                "status_index": 1,
                "status_uri": f"{home.url}/status-lists/1",
                "issued_at": now - timedelta(days=2),
                "expires_at": now + timedelta(days=2),
                **changes,
            },
        )


@pytest.mark.parametrize("index", [0, 3, 1_000_000])
def test_a_pass_at_another_place_of_the_list_than_its_home_told_is_refused(
    troquet: LocalNode, member: Person, index: int
) -> None:
    """Whoever asks the home's list at that place asks about another pass, or beyond its end."""
    pass_id = str(member.pass_id)
    member.credential = _credential(
        member.node, member.key, pass_id=pass_id, status_index=index, issued_at=datetime.now(UTC)
    )
    refused = troquet.scan(member.show())
    assert codes(refused) == ["pass_revoked"]
    assert refused.json()["decision"]["reasons"][0]["params"] == {"detail": "index"}
    looked = troquet.preview(member.show())
    assert looked.json()["decision"]["reasons"] == refused.json()["decision"]["reasons"]


def test_a_visit_with_a_pass_that_its_home_has_not_told_of_says_so(
    troquet: LocalNode, member: Person, lasting_network: Network
) -> None:
    member.credential = _credential(member.node, member.key, status_index=1_000_000)
    admitted = troquet.scan(member.show())
    assert admitted.status_code == 201
    hub = lasting_network.hub
    visits = hub.get("/api/v1/visits?limit=500", hub.token).json()["items"]
    flags = {visit["id"]: visit["flags"] for visit in visits}
    assert flags[admitted.json()["visit"]["id"]] == ["pass_untold"]


def test_an_expired_pass_is_refused(troquet: LocalNode, member: Person) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    member.credential = _credential(member.node, member.key, expires_at=yesterday)
    assert "pass_expired" in codes(troquet.scan(member.show()))


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"issuer": "squat"}, "issuer"),
        ({"ring": new_key_ring()}, "key"),
        ({"issuer": "troquet"}, "key"),
        ({"issuer": "filature"}, "key"),
    ],
    ids=["no such node", "a key of nobody", "the name of the host", "the name of another node"],
)
def test_a_pass_is_good_only_under_a_key_of_the_node_that_it_names(
    troquet: LocalNode, member: Person, changes: dict[str, Any], detail: str
) -> None:
    member.credential = _credential(member.node, member.key, **changes)
    refused = troquet.scan(member.show())
    assert (codes(refused), _params(refused)) == (["home_unknown"], {"detail": detail})


def test_a_withdrawn_key_is_refused_with_and_without_the_hub(network: Network) -> None:
    troquet, member = network.nodes["troquet"], network.nodes["cordee"].add_person().get_pass()
    with network.hub.app.app_context():
        kid = network.nodes["cordee"].app.extensions["node"].ring.kid
        keys.withdraw(hub_db.session(), hub_context(), "cordee", kid, "stolen", actor=CLI)
    refused = troquet.scan(member.show())  # the door's own list does not say it yet
    assert (codes(refused), _params(refused)) == (["home_unknown"], {"detail": "withdrawn"})
    network.nodes["troquet"].refresh()
    network.hub_goes()
    assert codes(troquet.scan(member.show())) == ["home_unknown"]


@pytest.mark.parametrize(
    "text",
    ["bonjour", "https://example.org/?q=1", "🎉" * 400, "x" * 5000, "a.b.c~d.e.f", "\u202e~", "~"],
)
def test_what_is_no_pass_is_called_so_and_the_next_scan_works(
    troquet: LocalNode, member: Person, text: str
) -> None:
    refused = troquet.scan(text)
    assert (refused.status_code, codes(refused)) == (403, ["pass_malformed"])
    assert refused.json()["type"].endswith("/problems/visit-refused")
    _admit(troquet, member)


def test_a_code_that_served_elsewhere_or_before_is_replayed(
    troquet: LocalNode, filature: LocalNode, member: Person
) -> None:
    text = member.show()
    visit = troquet.scan(text).json()["visit"]["id"]
    assert codes(filature.scan(text)) == ["pass_replayed"]
    assert troquet.scan(text).status_code == 200
    troquet.check_out(visit)
    assert codes(troquet.scan(text)) == ["pass_replayed"]
    assert troquet.scan(member.show()).status_code == 201


# The home and the host


def test_members_of_a_suspended_home_are_refused_until_it_is_taken_back(network: Network) -> None:
    troquet, member = network.nodes["troquet"], network.nodes["cordee"].add_person().get_pass()
    network.set_state("cordee", "suspended")
    assert codes(troquet.scan(member.show())) == ["home_suspended"]
    troquet.refresh()
    network.hub_goes()
    assert codes(troquet.scan(member.show())) == ["home_suspended"]
    network.hub_returns()
    network.set_state("cordee", "connected")
    assert troquet.scan(member.show()).status_code == 201


def test_a_suspended_host_admits_nobody_from_elsewhere(network: Network) -> None:
    troquet, member = network.nodes["troquet"], network.nodes["cordee"].add_person().get_pass()
    network.set_state("troquet", "suspended")
    refused = troquet.scan(member.show())
    assert (refused.status_code, codes(refused)) == (403, ["paused"])
    assert _params(refused) == {"by": "network"}
    preview = troquet.preview(member.show())
    assert preview.json()["decision"] == refused.json()["decision"]
    assert network.hub.statement()["visits"] == []


@pytest.mark.parametrize("unsigned", ["cordee", "troquet"])
def test_without_the_signature_of_home_and_host_nobody_is_admitted(
    make_network: MakeNetwork, unsigned: str
) -> None:
    network = make_network()
    for name in ("cordee", "troquet"):
        network.add_node(name, signs=name != unsigned)
    member = network.nodes["cordee"].add_person().get_pass()
    refused = network.nodes["troquet"].scan(member.show())
    assert (codes(refused), _params(refused)) == (["charter_unsigned"], {"node": unsigned})


@pytest.mark.parametrize(
    ("instant", "opens"),
    [
        ("2026-11-29T10:00:00+01:00", "2026-11-30T09:00:00+01:00"),
        ("2026-11-11T10:00:00+01:00", "2026-11-12T09:00:00+01:00"),
        ("2026-12-24T20:00:00+01:00", "2026-12-28T09:00:00+01:00"),
        ("2026-11-24T08:59:00+01:00", "2026-11-24T09:00:00+01:00"),
        ("2026-11-24T19:00:00+01:00", "2026-11-25T09:00:00+01:00"),
    ],
    ids=["Sunday", "public holiday", "Christmas Eve", "before opening", "at closing"],
)
def test_a_closed_space_says_when_it_opens(
    make_network: MakeNetwork, instant: str, opens: str
) -> None:
    network = make_network(clock=instant, nodes={"cordee": {}, "troquet": {}})
    cordee, troquet = network.nodes.values()
    refused = troquet.scan(cordee.add_person().show())
    assert (codes(refused), _params(refused)) == (["space_closed"], {"next_opening": opens})


def test_a_host_that_pauses_admits_nobody_new_and_keeps_who_is_there(network: Network) -> None:
    cordee, troquet = network.nodes["cordee"], network.nodes["troquet"]
    here, late = cordee.add_person().get_pass(), cordee.add_person().get_pass()
    _admit(troquet, here)
    with troquet.context() as (session, context):
        spaces.set_paused(session, context, "troquet", True)
    refused = troquet.scan(late.show())
    assert (codes(refused), _params(refused)) == (["paused"], {"by": "host"})
    assert troquet.scan(here.show()).status_code == 200
    assert len(troquet.presence()) == 1


def test_a_full_space_counts_its_own_members_too(make_network: MakeNetwork) -> None:
    network = make_network(nodes={"cordee": {}, "troquet": {"capacity": 2}})
    cordee, troquet = network.nodes.values()
    _admit(troquet, troquet.add_person())
    first = _admit(troquet, cordee.add_person())
    refused = troquet.scan(cordee.add_person().show())
    assert (codes(refused), _params(refused)) == (["space_full"], {"present": 2, "capacity": 2})
    own = troquet.scan(troquet.add_person().show())
    assert codes(own) == ["space_full"]
    troquet.check_out(first)
    assert troquet.scan(cordee.add_person().show()).status_code == 201


def test_the_guest_cap_counts_guests_alone_and_a_place_left_is_free_again(
    make_network: MakeNetwork,
) -> None:
    network = make_network(nodes={"cordee": {}, "troquet": {"guest_cap": 1}})
    cordee, troquet = network.nodes.values()
    _admit(troquet, troquet.add_person("ticket"))  # at home, whatever her plan
    guest = cordee.add_person().get_pass()
    visit = _admit(troquet, guest)
    other = cordee.add_person().get_pass()
    refused = troquet.scan(other.show())
    assert (codes(refused), _params(refused)) == (["guest_cap"], {"present": 1, "limit": 1})
    assert troquet.scan(guest.show()).status_code == 200
    troquet.check_out(visit)
    assert troquet.scan(other.show()).status_code == 201


def test_a_refusal_is_kept_without_the_person(network: Network) -> None:
    ticket = network.nodes["cordee"].add_person("ticket")
    assert network.nodes["troquet"].scan(ticket.show()).status_code == 403
    with network.nodes["troquet"].context() as (session, _):
        row = session.scalars(select(Refusal)).one()
        assert (row.space_id, row.codes) == ("troquet", ["plan_not_eligible"])
    with network.hub.app.app_context():
        recorded = hub_db.session.scalars(select(RecordedRefusal)).one()
        assert (recorded.host_id, recorded.codes) == ("troquet", ["plan_not_eligible"])
        assert hub_db.session.scalars(select(RecordedVisit)).all() == []
    assert network.nodes["troquet"].presence() == []


# The request


def test_the_same_key_and_body_are_answered_the_same(troquet: LocalNode, member: Person) -> None:
    text = member.show()
    first = troquet.scan(text, key="k-1")
    troquet.check_out(first.json()["visit"]["id"])
    again = troquet.scan(text, key="k-1")
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()


def test_a_refusal_is_answered_the_same_under_the_same_key(
    lasting_network: Network, troquet: LocalNode
) -> None:
    text = lasting_network.nodes["cordee"].add_person("ticket").show()
    first, again = troquet.scan(text, key="k-2"), troquet.scan(text, key="k-2")
    assert (first.status_code, again.status_code) == (403, 403)
    assert first.json()["decision"] == again.json()["decision"]


def test_a_key_used_with_another_body_is_a_conflict(troquet: LocalNode, member: Person) -> None:
    assert troquet.scan(member.show(), key="k-3").status_code == 201
    conflict = troquet.scan("something else", key="k-3")
    assert conflict.status_code == 409
    assert conflict.json()["type"].endswith("/problems/idempotency-conflict")


@pytest.mark.parametrize("key", ["x" * 201, "clé", "a\tb"])
def test_an_unusable_key_is_named(troquet: LocalNode, member: Person, key: str) -> None:
    body = {"space": "troquet", "pass": member.show()}
    headers = {"Idempotency-Key": key.encode().decode("latin-1")}
    answer = troquet.post("/api/v1/check-ins", body, troquet.desk, **headers)
    assert answer.status_code == 422
    assert list(answer.json()["errors"]) == ["Idempotency-Key"]


def test_an_unknown_space_is_a_fault_of_the_request(troquet: LocalNode, member: Person) -> None:
    for answer in (troquet.scan(member.show(), "filature"), troquet.preview("x", "nowhere")):
        assert answer.status_code == 422
        assert answer.json()["type"].endswith("/problems/validation")
        assert list(answer.json()["errors"]) == ["space"]
    assert troquet.get("/api/v1/presence?space=nowhere", troquet.desk).status_code == 404


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"space", "pass"}),
        ({"space": 5, "pass": None}, {"space", "pass"}),
        ({"space": "troquet", "pass": ""}, {"pass"}),
        ({"space": "x" * 65, "pass": ["a"]}, {"space", "pass"}),
        ({"space": "troquet", "pass": "a\0b"}, {"pass"}),
    ],
)
def test_every_field_at_fault_is_named(
    troquet: LocalNode, body: dict[str, Any], fields: set[str]
) -> None:
    for path in ("/api/v1/check-ins", "/api/v1/check-ins/preview"):
        answer = troquet.post(path, body, troquet.desk)
        assert answer.status_code == 422
        assert set(answer.json()["errors"]) == fields


def test_only_a_desk_opens_the_door(troquet: LocalNode, member: Person) -> None:
    body = {"space": "troquet", "pass": member.show()}
    for token, status in ((None, 401), ("psl_unknown", 401), (troquet.admin, 403)):
        assert troquet.post("/api/v1/check-ins", body, token).status_code == status
    assert member.node.post("/api/v1/check-ins", body, member.token).status_code == 403


# The same answer everywhere


def _situations(network: Network) -> dict[str, tuple[Person, str]]:
    cordee, troquet = network.nodes["cordee"], network.nodes["troquet"]
    people = {name: cordee.add_person().get_pass() for name in ("fine", "here", "gone", "revoked")}
    people["ticket"] = cordee.add_person("ticket").get_pass()
    people["newcomer"] = cordee.add_person("ticket", date(2026, 11, 20)).get_pass()
    _admit(troquet, people["here"])
    _visit_and_leave(troquet, people["gone"])
    cordee.delete(f"/api/v1/me/passes/{people['revoked'].pass_id}", people["revoked"].token)
    return {name: (person, person.show()) for name, person in people.items()}


def test_the_preview_is_what_the_door_says_and_records_nothing(
    lasting_network: Network, troquet: LocalNode
) -> None:
    texts = {name: text for name, (_, text) in _situations(lasting_network).items()}
    stale = lasting_network.nodes["cordee"].add_person().get_pass()
    texts |= {"garbage": "bonjour", "stale": stale.show(time.time() - 200)}
    before = lasting_network.hub.statement(), troquet.presence()
    previews = {name: troquet.preview(text) for name, text in texts.items()}
    again = {name: troquet.preview(text) for name, text in texts.items()}
    assert (lasting_network.hub.statement(), troquet.presence()) == before
    for name, text in texts.items():
        door = troquet.scan(text)
        assert door.status_code == (201 if name in ("fine", "gone") else door.status_code)
        for asked in (previews[name], again[name]):
            assert asked.status_code == 200
            assert asked.json()["decision"] == door.json()["decision"], name


def test_the_preview_for_an_own_member_is_what_the_door_says(make_network: MakeNetwork) -> None:
    network = make_network(nodes={"cordee": {}, "troquet": {"capacity": 3}})
    cordee, troquet = network.nodes.values()
    people = {name: troquet.add_person().get_pass() for name in ("fine", "here", "gone", "lost")}
    _admit(troquet, people["here"])
    texts = {name: person.show() for name, person in people.items()}
    troquet.check_out(troquet.scan(texts["gone"]).json()["visit"]["id"])
    troquet.delete(f"/api/v1/me/passes/{people['lost'].pass_id}", people["lost"].token)

    def compare() -> dict[str, list[str]]:
        found = {}
        for name, text in texts.items():
            preview, door = troquet.preview(text).json(), troquet.scan(text)
            assert preview["decision"] == door.json()["decision"], name
            found[name] = codes(door)
        return found

    expected = {"fine": [], "here": [], "gone": ["pass_replayed"], "lost": ["pass_revoked"]}
    assert compare() == expected
    _admit(troquet, troquet.add_person())
    texts["late"] = troquet.add_person().show()
    assert compare()["late"] == ["space_full"]
    guest = cordee.add_person().show()
    assert troquet.preview(guest).json()["decision"] == troquet.scan(guest).json()["decision"]


def _rights(service: Any, token: str, space: str = "troquet", at: str = "") -> Any:
    query = f"?space={space}" + (f"&at={at}" if at else "")
    answer = service.get(f"/api/v1/me/rights{query}", token)
    assert answer.status_code == 200, answer.text
    (item,) = answer.json()["items"]
    assert item["space"] == space
    return item["decision"]


def test_the_rights_that_a_member_sees_are_what_the_door_says(
    lasting_network: Network, troquet: LocalNode
) -> None:
    for name, (person, text) in _situations(lasting_network).items():
        at_hub = _rights(lasting_network.hub, person.show(audience=RIGHTS_AUDIENCE))
        at_home = _rights(person.node, person.token)
        door = troquet.scan(text).json()["decision"]
        assert at_hub == door, name
        if name != "revoked":  # the home speaks of the person, whichever phone she takes
            assert at_home == door, name


def test_a_code_for_the_door_asks_for_no_rights_and_the_other_way_round(
    lasting_network: Network, troquet: LocalNode
) -> None:
    member = lasting_network.nodes["cordee"].add_person().get_pass()
    path, door = "/api/v1/me/rights", member.show()
    for token in (door, pack(door)):
        assert lasting_network.hub.get(path, token).status_code == 401
    for_rights = member.show(audience=RIGHTS_AUDIENCE)
    for token in (for_rights, pack(for_rights)):
        assert lasting_network.hub.get(path, token).status_code == 200
        refused = troquet.scan(token)
        assert [r["params"] for r in refused.json()["decision"]["reasons"]] == [
            {"detail": "key_binding_audience"}
        ]
        assert member.node.get(path, token).status_code == 401
    assert troquet.scan(pack(door)).status_code == 201


def test_a_door_takes_the_short_form_and_the_plain_text_for_one_showing(
    lasting_network: Network, troquet: LocalNode
) -> None:
    member = lasting_network.nodes["cordee"].add_person()
    member.key = ECKey.generate_key("P-256")  # and phones without Ed25519
    text = member.get_pass().show()
    assert pack(text).startswith("PX1:")
    first, again = troquet.scan(pack(text)), troquet.scan(text)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["visit"]["id"] == again.json()["visit"]["id"]


@pytest.mark.parametrize("seniority", [True, False])
def test_a_pass_whose_first_day_is_not_reached_opens_no_partners_door(
    make_network: MakeNetwork, seniority: bool
) -> None:
    """Whatever its home says of the member, with the hub or without."""
    wanted = rules() if seniority else rules().replace("[seniority]\narticle = 4\ndays = 30\n", "")
    network = make_network(rules=wanted, nodes=("cordee", "troquet"))
    cordee, troquet = network.nodes["cordee"], network.nodes["troquet"]
    member = cordee.add_person().get_pass()
    claims = dict(jose.read_unverified(member.credential).claims)
    claims["nbf"] = int(datetime.fromisoformat("2026-12-01T00:00:00+01:00").timestamp())
    with cordee.context() as (_, context):
        member.credential = context.ring.sign(claims, "dc+sd-jwt", "EdDSA")
    expected = ["seniority"] if seniority else ["pass_malformed"]
    assert codes(troquet.scan(member.show())) == expected
    (asked,) = network.hub.get(
        "/api/v1/me/rights?space=troquet", member.show(audience=RIGHTS_AUDIENCE)
    ).json()["items"]
    assert [reason["code"] for reason in asked["decision"]["reasons"]] == expected
    assert cordee.scan(member.show()).status_code == 201  # at home nobody is a visitor
    network.hub_goes()
    assert codes(troquet.scan(member.show())) == expected
    network.hub_returns()
    network.move_to("2026-12-01T10:00:00+01:00")
    network.refresh()
    assert troquet.scan(member.show()).status_code == 201


def test_rights_count_what_an_open_visit_elsewhere_has_used(make_network: MakeNetwork) -> None:
    network = make_network(rules=rules(network=2), nodes=THREE)
    cordee, troquet, filature = network.nodes.values()
    member = cordee.add_person().get_pass()
    _admit(troquet, member)
    network.move_to("2026-11-24T15:00:00+01:00")
    text = member.show()
    shown = member.show(audience=RIGHTS_AUDIENCE)
    asked = _rights(network.hub, shown, "filature"), _rights(cordee, member.token, "filature")
    door = filature.scan(text)
    assert codes(door) == ["quota_network"]
    assert asked == (door.json()["decision"], door.json()["decision"])
    here = _rights(cordee, member.token, "troquet")
    assert here["outcome"] == troquet.scan(member.show()).json()["decision"]["outcome"]


def test_rights_do_not_count_oneself_among_the_guests(make_network: MakeNetwork) -> None:
    network = make_network(nodes={"cordee": {}, "troquet": {"guest_cap": 1}})
    cordee, troquet = network.nodes.values()
    member = cordee.add_person().get_pass()
    _admit(troquet, member)
    assert _rights(cordee, member.token)["outcome"] == "allowed"
    other = cordee.add_person().get_pass()
    assert [r["code"] for r in _rights(cordee, other.token)["reasons"]] == ["guest_cap"]


def test_rights_can_be_asked_for_another_day(network: Network) -> None:
    member = network.nodes["cordee"].add_person().get_pass()
    sunday = _rights(member.node, member.token, at="2026-11-29T10:00:00%2B01:00")
    assert [reason["code"] for reason in sunday["reasons"]] == ["space_closed"]
    every = member.node.get("/api/v1/me/rights", member.token).json()["items"]
    assert [item["space"] for item in every] == ["troquet"]  # her own home is not abroad


# What counts


def test_a_fresh_code_at_a_second_host_closes_the_visit_at_the_first(network: Network) -> None:
    troquet, filature = network.nodes["troquet"], network.add_node("filature")
    member = network.nodes["cordee"].add_person().get_pass()
    first = _admit(troquet, member)
    network.pass_time(minutes=30)
    second = filature.scan(member.show()).json()["visit"]
    recorded = network.hub.get("/api/v1/visits", network.hub.token).json()["items"]
    closed = next(visit for visit in recorded if visit["id"] == first)
    assert (closed["state"], closed["ended_at"]) == ("closed", second["started_at"])
    assert [visit["id"] for visit in troquet.presence()] == [first]  # it was not told yet
    troquet.refresh()
    assert troquet.presence() == []
    assert (network.hub.lines(first), network.hub.lines(second["id"])) == ([1], [1])
    assert troquet.check_out(first).json()["ended_at"] == second["started_at"]


def test_an_undone_visit_is_reversed_and_a_later_one_counts_again(
    lasting_network: Network, troquet: LocalNode, member: Person
) -> None:
    first = _admit(troquet, member)
    undone = troquet.void(first).json()
    assert undone["state"] == "void"
    assert lasting_network.hub.lines(first) == [1, -1]
    answer = troquet.scan(member.show())
    assert answer.json()["decision"]["terms"]["half_days_left"] == {"host": 5, "network": 15}
    second = answer.json()["visit"]["id"]
    assert lasting_network.hub.lines(second) == [1]
    troquet.void(second)
    third = _admit(troquet, member)
    assert [lasting_network.hub.lines(visit) for visit in (first, second, third)] == [
        [1, -1],
        [1, -1],
        [1],
    ]


def test_two_visits_in_one_half_day_count_once(
    lasting_network: Network, troquet: LocalNode, member: Person
) -> None:
    first, second = _visit_and_leave(troquet, member), _visit_and_leave(troquet, member)
    assert (lasting_network.hub.lines(first), lasting_network.hub.lines(second)) == ([1], [])


@pytest.mark.parametrize("undone", [0, 1])
def test_undoing_one_of_two_visits_keeps_the_half_day_of_the_other(
    lasting_network: Network, troquet: LocalNode, member: Person, undone: int
) -> None:
    visits = [_visit_and_leave(troquet, member), _visit_and_leave(troquet, member)]
    assert troquet.void(visits[undone]).status_code == 200
    counted = [sum(lasting_network.hub.lines(visit)) for visit in visits]
    assert counted == [undone, 1 - undone]
    troquet.void(visits[1 - undone])
    assert [sum(lasting_network.hub.lines(visit)) for visit in visits] == [0, 0]


def test_a_visit_across_one_o_clock_counts_two_half_days(network: Network) -> None:
    troquet, cordee = network.nodes["troquet"], network.nodes["cordee"]
    long, short = cordee.add_person().get_pass(), cordee.add_person().get_pass()
    network.move_to("2026-11-24T12:30:00+01:00")
    across, before = _admit(troquet, long), _admit(troquet, short)
    network.move_to("2026-11-24T12:59:00+01:00")
    troquet.check_out(before)
    network.move_to("2026-11-24T13:01:00+01:00")
    troquet.check_out(across)
    assert (network.hub.lines(across), network.hub.lines(before)) == ([2], [1])
    network.move_to("2026-11-24T16:00:00+01:00")
    again = _visit_and_leave(troquet, long)
    assert network.hub.lines(again) == []
    troquet.void(across)
    assert network.hub.lines(across) == [2, -2]
    assert network.hub.lines(again) == [1]
    assert network.hub.statement()["balances"] == {"cordee": -2, "troquet": 2}


def test_a_visit_can_be_undone_for_a_day_and_not_after(network: Network) -> None:
    troquet, member = network.nodes["troquet"], network.nodes["cordee"].add_person()
    visit = _visit_and_leave(troquet, member)
    network.pass_time(hours=23, minutes=59)
    assert troquet.void(visit).status_code == 200
    later = _visit_and_leave(troquet, member)
    network.pass_time(hours=24, minutes=1)
    late = troquet.void(later)
    assert late.status_code == 409
    assert late.json()["type"].endswith("/problems/visit-closed")
    assert network.hub.lines(later) == [1]


def test_ending_or_undoing_twice_changes_nothing(
    lasting_network: Network, troquet: LocalNode, member: Person
) -> None:
    visit = _admit(troquet, member)
    left, again = troquet.check_out(visit).json(), troquet.check_out(visit).json()
    assert left == again
    assert troquet.void(visit).json() == troquet.void(visit).json()
    assert troquet.check_out(visit).json()["state"] == "void"
    assert lasting_network.hub.lines(visit) == [1, -1]
    for answer in (troquet.check_out("unknown"), troquet.void("unknown")):
        assert answer.status_code == 404


def test_a_forgotten_visit_is_closed_at_closing_time(network: Network) -> None:
    troquet, cordee = network.nodes["troquet"], network.nodes["cordee"]
    visit = _admit(troquet, cordee.add_person())
    own = _admit(troquet, troquet.add_person())
    network.move_to("2026-11-24T18:59:00+01:00")
    with troquet.app.app_context():
        jobs.close_forgotten()
    assert len(troquet.presence()) == 2
    network.move_to("2026-11-25T08:00:00+01:00")
    with troquet.app.app_context():
        jobs.close_forgotten()
        jobs.close_forgotten()
    assert troquet.presence() == []
    troquet.deliver()
    (recorded,) = network.hub.get("/api/v1/visits", network.hub.token).json()["items"]
    assert recorded["id"] == visit
    assert recorded["state"] == "closed"
    assert datetime.fromisoformat(recorded["ended_at"]) == datetime.fromisoformat(
        "2026-11-24T19:00:00+01:00"
    )
    assert network.hub.lines(visit) == [2]
    assert troquet.check_out(own).json()["ended_at"] == recorded["ended_at"]


def test_a_visit_that_its_host_never_ended_ends_at_its_closing_time(network: Network) -> None:
    """Whose member shows up elsewhere days later was not there all that time."""
    troquet, filature = network.nodes["troquet"], network.add_node("filature")
    member = network.nodes["cordee"].add_person().get_pass()
    forgotten = _admit(troquet, member)
    network.move_to("2026-11-27T10:00:00+01:00")
    text = member.show()
    rights = _rights(network.hub, member.show(audience=RIGHTS_AUDIENCE), "filature")
    door = filature.scan(text)
    assert (door.status_code, door.json()["decision"]) == (201, rights)
    assert door.json()["decision"]["terms"]["half_days_left"] == {"host": 5, "network": 13}
    assert network.hub.lines(forgotten) == [2]
    recorded = network.hub.get("/api/v1/visits", network.hub.token).json()["items"]
    (ended,) = [visit["ended_at"] for visit in recorded if visit["id"] == forgotten]
    assert datetime.fromisoformat(ended) == datetime.fromisoformat("2026-11-24T19:00:00+01:00")


def test_an_own_member_with_two_phones_is_here_once(troquet: LocalNode) -> None:
    own = troquet.add_person("ticket").get_pass()
    first = troquet.scan(own.show())
    other = own.other_phone()
    assert troquet.preview(other.show()).json()["decision"]["outcome"] == "allowed"
    again = troquet.scan(other.show())
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["visit"]["id"] == first.json()["visit"]["id"]


def test_the_preview_for_somebody_who_is_here_is_what_the_door_says(network: Network) -> None:
    cordee, troquet = network.nodes["cordee"], network.nodes["troquet"]
    person = cordee.add_person().get_pass()
    first = troquet.scan(person.show())
    while (guest := troquet.scan(cordee.add_person().get_pass().show())).status_code == 201:
        pass
    assert codes(guest) == ["guest_cap"]
    other = person.other_phone()
    preview = troquet.preview(other.show())
    door = troquet.scan(other.show())
    assert (door.status_code, door.json()["visit"]["id"]) == (200, first.json()["visit"]["id"])
    assert preview.json()["decision"] == door.json()["decision"]


def test_own_members_are_present_and_not_in_the_account(
    lasting_network: Network, troquet: LocalNode
) -> None:
    before = lasting_network.hub.statement()
    own = troquet.add_person("ticket", date(2026, 11, 24)).get_pass()
    text = own.show()
    answer = troquet.scan(text)
    assert (answer.status_code, answer.json()["visit"]["local"]) == (201, True)
    assert answer.json()["decision"]["terms"]["half_days_left"] == {"host": None, "network": None}
    visit = answer.json()["visit"]["id"]
    assert visit in [item["id"] for item in troquet.presence()]
    assert (troquet.scan(text).status_code, troquet.scan(own.show()).status_code) == (200, 200)
    troquet.check_out(visit)
    assert codes(troquet.scan(text)) == ["pass_replayed"]
    with troquet.context() as (session, _):
        begin_write(session)
        session.execute(update(Pass).where(Pass.id == own.pass_id).values(status="suspended"))
        session.commit()
    assert codes(troquet.scan(own.show())) == ["pass_suspended"]
    assert lasting_network.hub.statement() == before
    assert troquet.waiting() == {"pending": 0, "dead": 0}


# Days that are not like others


def test_a_month_begins_anew_on_its_first_day(make_network: MakeNetwork) -> None:
    network = make_network(rules=rules(network=1), clock="2026-11-30T10:00:00+01:00")
    night = [["18:00", "02:00"]]
    cordee, troquet = network.add_node("cordee"), network.add_node("troquet")
    bar = network.add_node("bar", week={"mo": night, "tu": night})
    member, night_owl = cordee.add_person(), cordee.add_person()
    november = _visit_and_leave(troquet, member)
    network.move_to("2026-11-30T15:00:00+01:00")
    assert codes(troquet.scan(member.show())) == ["quota_network"]
    network.move_to("2026-11-30T22:00:00+01:00")
    night_visit = _admit(bar, night_owl)
    network.move_to("2026-12-01T01:00:00+01:00")
    bar.check_out(night_visit)
    network.move_to("2026-12-01T10:00:00+01:00")
    december = _visit_and_leave(troquet, member)
    assert [network.hub.lines(v) for v in (november, night_visit, december)] == [[1], [1], []]
    in_december = [network.hub.lines(v, "2026-12") for v in (november, night_visit, december)]
    assert in_december == [[], [], [1]]  # the night is of the day on which the house opened
    balances = [network.hub.statement(month)["balances"] for month in ("2026-11", "2026-12")]
    assert balances == [
        {"bar": 1, "cordee": -2, "troquet": 1},
        {"bar": 0, "cordee": -1, "troquet": 1},
    ]


@pytest.mark.parametrize(
    ("arrives", "leaves", "hours"),
    [
        ("2026-10-25T01:30:00+02:00", "2026-10-25T02:30:00+01:00", 2),
        ("2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00", 1),
        ("2026-03-29T01:30:00+01:00", "2026-03-29T03:30:00+02:00", 1),
    ],
    ids=["an hour more", "the hour that comes twice", "an hour less"],
)
def test_on_the_days_when_clocks_change_time_goes_on(
    make_network: MakeNetwork, arrives: str, leaves: str, hours: int
) -> None:
    network = make_network(clock=arrives)
    cordee = network.add_node("cordee")
    bar = network.add_node("bar", week={"sa": [["20:00", "04:00"]], "su": [["00:00", "20:00"]]})
    member, forgetful = (cordee.add_person(joined_on=date(2026, 1, 1)) for _ in range(2))
    visit, forgotten = _admit(bar, member), _admit(bar, forgetful)
    network.move_to(leaves)
    left = bar.check_out(visit).json()
    lasted = datetime.fromisoformat(left["ended_at"]) - datetime.fromisoformat(left["started_at"])
    assert round(lasted.total_seconds() / 3600) == hours
    month = arrives[:7]
    assert network.hub.lines(visit, month) == [1]
    network.move_to(f"{arrives[:10]}T23:00:00{leaves[-6:]}")
    with bar.app.app_context():
        jobs.close_forgotten()
    bar.deliver()
    assert bar.presence() == []
    assert network.hub.lines(forgotten, month) in ([1], [2])  # until 4 or until 20 o'clock
    assert bar.waiting() == {"pending": 0, "dead": 0}


def test_the_clock_of_a_host_that_is_wrong_is_not_believed(network: Network) -> None:
    troquet, member = network.nodes["troquet"], network.nodes["cordee"].add_person().get_pass()
    fast = type(network.clock)(network.clock.offset + timedelta(minutes=10))
    object.__setattr__(troquet.app.extensions["node"].settings, "clock", fast)
    visit = _admit(troquet, member)
    (recorded,) = network.hub.get("/api/v1/visits", network.hub.token).json()["items"]
    started = datetime.fromisoformat(recorded["started_at"])
    assert abs(started - network.clock.now()) < timedelta(seconds=60)
    assert network.hub.lines(visit) == [1]


def test_a_code_that_another_host_made_up_for_itself_binds_to_one_showing() -> None:
    """Two showings of one pass differ, whatever the second they were made in."""
    key = OKPKey.generate_key("Ed25519")
    assert len({bind("credential", key, 1_800_000_000) for _ in range(50)}) == 50
