"""A host with a valid key invents visits: nothing counts beyond what phones signed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import requests

from shared.crypto.passes import bind
from shared.wire.reports import visit_id
from tests.contract.speaking import claims_of_visit, keys_of, send_report
from tests.network import LocalNode, Network, Person, codes

pytestmark = pytest.mark.both_databases

THREE = ("cordee", "troquet", "filature")
MINUTE = timedelta(minutes=1)
TERMS = {"until": None, "services": [], "half_days_left": {"host": None, "network": None}}
DECISION = {"outcome": "allowed", "reasons": [], "charter": "1", "terms": TERMS, "online": False}


@pytest.fixture
def network(make_network: Callable[..., Network]) -> Network:
    return make_network(nodes=THREE)


@pytest.fixture
def evil(network: Network) -> LocalNode:
    return network.nodes["troquet"]


@pytest.fixture
def member(network: Network) -> Person:
    return network.nodes["cordee"].add_person().get_pass()


def now(network: Network) -> datetime:
    return network.clock.now()


def late(
    network: Network, host: LocalNode, shown: str, at: datetime | None = None, **changes: Any
) -> requests.Response:
    """Tell of a visit that was let in offline; without ``at``, of a minute ago."""
    said = {"online": False, "decision": DECISION, "at": (at or now(network)).isoformat()}
    return send_report(network, host, claims_of_visit(network, shown, host.id, **said | changes))


def credited(network: Network, host: str) -> int:
    """Return the half-days that a host is owed, in all months that could have any."""
    months = ("2021-06", "2026-10", "2026-11", "2026-12", "2027-01")
    return sum(network.hub.statement(month)["balances"][host] for month in months)


def held(answer: requests.Response) -> str | None:
    assert answer.status_code == 201, answer.text
    found: str | None = answer.json()["visit"]["held"]
    return found


def test_a_code_without_its_key_binding_counts_nothing_however_late_it_comes(
    network: Network, evil: LocalNode, member: Person
) -> None:
    shown = member.show()
    credential, _, binding = shown.partition("~")
    for stripped in (f"{credential}~", f"{credential}~x", f"{credential}~{binding[:-8]}AAAAAAAA"):
        assert held(late(network, evil, stripped)) == "pass_malformed"
    assert credited(network, "troquet") == 0


def test_a_key_binding_by_another_phone_for_another_use_or_of_another_day_counts_nothing(
    network: Network, evil: LocalNode, member: Person
) -> None:
    other = network.nodes["cordee"].add_person().get_pass()
    at = now(network)
    foreign = bind(member.credential, other.key, at.timestamp())
    of_rights = bind(member.credential, member.key, at.timestamp(), audience="passerelle:rights")
    aged = member.show(at.timestamp() - 86400)
    for shown, why in (
        (foreign, "pass_malformed"),
        (of_rights, "pass_malformed"),
        (aged, "pass_stale"),
        (member.show(at.timestamp() - 91), "pass_stale"),
        (member.show(at.timestamp() + 91), "pass_stale"),
    ):
        assert held(late(network, evil, shown, at)) == why
    assert credited(network, "troquet") == 0


def test_one_code_at_nine_spaces_of_one_host_is_one_visit(
    make_network: Callable[..., Network],
) -> None:
    network = make_network(nodes=THREE)
    evil = network.nodes["troquet"]
    shown = network.nodes["cordee"].add_person().show()
    _add_spaces(network, "troquet", 9)
    spaces = ["troquet", *(f"troquet-{number}" for number in range(1, 9))]
    answers = [late(network, evil, shown, space=space) for space in spaces]
    assert [held(answer) for answer in answers] == [None, *["pass_replayed"] * 8]
    assert credited(network, "troquet") == 1


def _add_spaces(network: Network, like: str, count: int) -> None:
    from federation.db import db
    from federation.spaces.models import Space, SpaceHours
    from shared.store.db import begin_write

    with network.hub.app.app_context():
        session = db.session()
        begin_write(session)
        row = session.get_one(Space, like)
        hours = session.query(SpaceHours).filter_by(space_id=like).one()
        for number in range(1, count):
            values = {c.name: getattr(row, c.name) for c in Space.__table__.columns}
            session.add(Space(**{**values, "id": f"{like}-{number}"}))
            session.flush()
            session.add(
                SpaceHours(space_id=f"{like}-{number}", since=hours.since, document=hours.document)
            )
        session.commit()


def test_a_stay_of_twenty_days_is_the_day_it_began(
    network: Network, evil: LocalNode, member: Person
) -> None:
    at = now(network) - timedelta(days=4)
    answer = late(network, evil, member.show(at.timestamp()), at, ended_at=now(network).isoformat())
    assert held(answer) is None
    assert credited(network, "troquet") == 2
    assert answer.json()["visit"]["ended_at"].startswith("2026-11-20T18:00")


def test_a_check_out_days_later_makes_a_visit_no_longer(
    network: Network, evil: LocalNode, member: Person
) -> None:
    visit = evil.scan(member.show()).json()["visit"]["id"]
    network.move_to("2026-12-03T18:00:00+01:00")
    with evil.context() as (_, context):
        body = {"at": now(network).isoformat()}
        done = context.hub.call("POST", f"/api/v1/visits/{visit}/check-out", json=body)
    assert done.json()["ended_at"].startswith("2026-11-24T18:00")
    assert credited(network, "troquet") == 2


def test_hours_that_a_host_says_until_2199_are_those_that_it_published(
    network: Network, evil: LocalNode, member: Person
) -> None:
    at = now(network) - timedelta(days=4)
    opening = [at.isoformat(), "2199-01-01T00:00:00+01:00"]
    assert (
        held(late(network, evil, member.show(at.timestamp()), at, of_host={"opening": opening}))
        is None
    )
    filature = network.nodes["filature"]
    assert filature.scan(member.show()).status_code == 201
    assert credited(network, "troquet") == 2


def test_visits_of_2021_count_nothing(network: Network, evil: LocalNode, member: Person) -> None:
    """Before network, operator and member were; also where the home says that the pass was."""
    at = datetime.fromisoformat("2021-06-15T10:00:00+02:00")
    assert late(network, evil, member.show(at.timestamp()), at).status_code == 403
    older = _older(member, 6 * 365)
    assert held(late(network, evil, older.show(at.timestamp()), at)) in ("too_old", "pass_expired")
    assert credited(network, "troquet") == 0


def test_a_time_to_come_is_not_when_the_phone_signed(
    network: Network, evil: LocalNode, member: Person
) -> None:
    at = datetime.fromisoformat("2199-01-01T00:00:00+01:00")
    assert held(late(network, evil, member.show(), at)) == "pass_expired"
    assert credited(network, "troquet") == 0


@pytest.mark.parametrize(("days", "why"), [(36, "too_old"), (41, "too_old")])
def test_what_is_older_than_anybody_keeps_is_held(
    network: Network, evil: LocalNode, member: Person, days: int, why: str
) -> None:
    at = now(network) - timedelta(days=days)
    answer = late(network, evil, _older(member, days + 1).show(at.timestamp()), at)
    assert held(answer) == why


def _older(member: Person, days: int) -> Person:
    """Return the same phone with a credential that its home says to have made before."""
    from shared.crypto import jose
    from shared.crypto.passes import CREDENTIAL_TYP

    claims = dict(jose.read_unverified(member.credential).claims)
    claims["iat"] -= days * 86400
    claims["exp"] = claims["iat"] + 30 * 86400
    ring = keys_of(member.node)
    member.credential = ring.sign(claims, CREDENTIAL_TYP, jose.PASS_SIGN_WITH)
    return member


def test_again_without_the_hub_s_receipt_is_a_report_told_late(
    network: Network, evil: LocalNode, member: Person
) -> None:
    """It was refused at the door: that it is told again does not overrule the hub."""
    cordee = network.nodes["cordee"]
    shown = member.show()
    assert cordee.delete(f"/api/v1/me/passes/{member.pass_id}", member.token).status_code == 204
    cordee.deliver()
    claims = claims_of_visit(network, shown, "troquet")
    refused = send_report(network, evil, claims)
    assert codes(refused) == ["pass_revoked"]
    again = send_report(network, evil, {**claims, "again": True, "decision": DECISION})
    assert held(again) == "refused_live"
    assert credited(network, "troquet") == 0


def test_a_receipt_is_good_for_the_visit_and_the_host_that_it_names(
    network: Network, evil: LocalNode, member: Person
) -> None:
    filature = network.nodes["filature"]
    claims = claims_of_visit(network, member.show(), "filature")
    receipt = send_report(network, filature, claims).json()["receipt"]
    mine = claims_of_visit(network, "", "troquet", again=True, decision=DECISION, receipt=receipt)
    mine["pass"] = None
    refused = send_report(network, evil, mine)
    assert refused.status_code == 403
    assert credited(network, "troquet") == 0


def test_a_code_taken_live_is_good_nowhere_else_though_a_host_says_that_it_came_first(
    network: Network, evil: LocalNode, member: Person
) -> None:
    """A picture of the code, sent to a friend who keeps a host."""
    shown = member.show()
    filature = network.nodes["filature"]
    visit = filature.scan(shown).json()["visit"]["id"]
    stolen = late(network, evil, shown, now(network) - timedelta(seconds=80))
    assert held(stolen) == "pass_replayed"
    assert network.hub.lines(visit) == [1]
    assert credited(network, "troquet") == 0


def test_who_is_here_already_shows_a_code_that_is_good_nowhere_else(
    network: Network, evil: LocalNode, member: Person
) -> None:
    filature = network.nodes["filature"]
    visit = filature.scan(member.show()).json()["visit"]["id"]
    again = member.show()
    assert filature.scan(again).status_code == 200
    assert codes(evil.scan(again)) == ["pass_replayed"]
    assert held(late(network, evil, again)) == "pass_replayed"
    with network.hub.app.app_context():
        assert _state(visit) == "open"


def _state(visit: str) -> str:
    from federation.db import db
    from federation.visits.models import Visit

    found: str = db.session.get_one(Visit, visit).state
    return found


def test_a_showing_that_a_door_tells_by_its_hash_is_good_nowhere_else(
    network: Network, evil: LocalNode, member: Person
) -> None:
    """At home there is no visit to tell of: its hash alone says that the code was used."""
    from shared.crypto.passes import showing_of

    shown, cordee = member.show(), network.nodes["cordee"]
    with cordee.context() as (_, context):
        showing = {"showing": showing_of(shown), "space": "cordee", "at": now(network).isoformat()}
        told = context.hub.call("POST", "/api/v1/showings", json={"showings": [showing]})
    assert told.status == 204
    assert codes(evil.scan(shown)) == ["pass_replayed"]
    assert held(late(network, evil, shown)) == "pass_replayed"
    assert credited(network, "troquet") == 0


def test_a_held_visit_counts_once_a_person_says_so_and_not_before(
    network: Network, evil: LocalNode, member: Person
) -> None:
    shown = member.show(now(network).timestamp() - 3600)
    visit = late(network, evil, shown).json()["visit"]["id"]
    assert network.hub.lines(visit) == []
    token = network.add_staff("coordinator")
    path = f"/api/v1/visits/{visit}/held"
    refused = network.hub.post(path, {"counts": True, "reason": "x"}, evil.admin)
    assert refused.status_code == 401
    done = network.hub.post(
        path, {"counts": True, "reason": "their phone's clock was wrong"}, token
    )
    assert done.status_code == 200, done.text
    assert done.json()["held"] is None
    assert network.hub.lines(visit) == [1]
    again = network.hub.post(path, {"counts": True, "reason": "again"}, token)
    assert again.status_code == 409


def test_seventy_five_half_days_of_one_code_are_none(
    network: Network, evil: LocalNode, member: Person
) -> None:
    """All of it at once, as it was done: one code seen once, and told in every way."""
    at = now(network)
    shown = member.show()
    credential = shown.partition("~")[0]
    for number in range(20):
        late(network, evil, f"{credential}~{number}", at - timedelta(days=number))
        late(network, evil, shown, at - timedelta(days=number))
    late(network, evil, shown, at - timedelta(days=9), ended_at=at.isoformat())
    assert credited(network, "troquet") == 1  # what the phone signed: it was there
    filature = network.nodes["filature"]
    assert filature.scan(member.show()).status_code == 201  # nobody's rights are used up
    with network.hub.app.app_context():
        assert _state(visit_id(_showing(shown), "troquet")) == "closed"


def _showing(shown: str) -> str:
    from shared.crypto.passes import showing_of

    return showing_of(shown)


def test_what_the_account_has_said_it_does_not_unsay(
    network: Network, evil: LocalNode, member: Person
) -> None:
    """Undone by a showing that counts elsewhere, then let count by a person: two lines more."""
    shown, filature = member.show(), network.nodes["filature"]
    at = now(network)
    visit = late(network, evil, shown, at).json()["visit"]["id"]
    late(network, filature, shown, at - timedelta(seconds=30))
    assert network.hub.lines(visit) == [1, -1]
    before = network.hub.statement()["corrections"]
    assert [line["reason"] for line in before] == ["pass_replayed"]
    path, token = f"/api/v1/visits/{visit}/held", network.add_staff("coordinator")
    assert network.hub.post(path, {"counts": True, "reason": "both"}, token).status_code == 200
    assert network.hub.lines(visit) == [1, 1, -1]
    after = network.hub.statement()["corrections"]
    assert [line["reason"] for line in after] == ["pass_replayed"]
