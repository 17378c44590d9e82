"""What a desk's browser decided alone, and tells its node afterwards."""

from __future__ import annotations

import secrets
import time
import tomllib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from charter import CODES, model_sources
from node.visits.models import Visit
from tests.network import LocalNode, Network, Person, at_once, codes

pytestmark = pytest.mark.both_databases

TEN_MINUTES = 600


@pytest.fixture
def troquet(network: Network) -> LocalNode:
    return network.nodes["troquet"]


@pytest.fixture
def member(network: Network) -> Person:
    return network.nodes["cordee"].add_person().get_pass()


def _ago(seconds: float) -> datetime:
    return datetime.fromtimestamp(time.time() - seconds, UTC)


def tell(
    node: LocalNode, shown: str, at: datetime | str, key: str | None = None
) -> requests.Response:
    when = at if isinstance(at, str) else at.isoformat()
    body = {"space": node.id, "pass": shown, "at": when}
    key = key or secrets.token_hex(8)
    return node.post("/api/v1/check-ins/late", body, node.desk, **{"Idempotency-Key": key})


def _at_hub(network: Network, visit_id: str) -> dict[str, Any]:
    items = network.hub.get("/api/v1/visits?limit=500", network.hub.token).json()["items"]
    (found,) = [item for item in items if item["id"] == visit_id]
    return dict(found)


def test_whom_the_browser_let_in_counts_from_when_she_came(
    network: Network, troquet: LocalNode, member: Person
) -> None:
    at = _ago(TEN_MINUTES)
    shown = member.show(at.timestamp())
    other = member.show(at.timestamp() + 1)
    assert codes(troquet.scan(other)) == ["pass_stale"], "it is not shown now"
    answer = tell(troquet, shown, at)
    assert answer.status_code == 201, answer.text
    visit = answer.json()["visit"]
    assert (visit["state"], visit["online"]) == ("open", False)
    assert answer.json()["decision"]["outcome"] == "allowed"
    started = datetime.fromisoformat(visit["started_at"])
    came = troquet.app.extensions["settings"].clock.standing(at).now()
    assert abs(started - came) < timedelta(seconds=1)
    recorded = _at_hub(network, visit["id"])
    assert recorded["started_at"] == visit["started_at"]
    assert recorded["flags"] == ["offline"]
    assert network.hub.lines(visit["id"]) == [1]


def test_told_again_by_any_key_or_tab_it_is_one_visit(
    network: Network, troquet: LocalNode, member: Person
) -> None:
    at = _ago(TEN_MINUTES)
    shown, key = member.show(at.timestamp()), secrets.token_hex(8)
    answers = at_once([lambda: tell(troquet, shown, at) for _ in range(6)])
    assert {answer.status_code for answer in answers} <= {200, 201}
    assert [answer.status_code for answer in answers].count(201) == 1
    (visit_id,) = {answer.json()["visit"]["id"] for answer in answers}
    assert tell(troquet, shown, at, key).status_code == 200
    assert tell(troquet, shown, at, key).json()["visit"]["id"] == visit_id
    other = tell(troquet, shown, _ago(0), key)
    assert (other.status_code, other.json()["type"].split("/")[-1]) == (409, "idempotency-conflict")
    assert network.hub.lines(visit_id) == [1]


def test_a_code_is_examined_as_of_the_scan(troquet: LocalNode, member: Person) -> None:
    at = _ago(TEN_MINUTES)
    shown = member.show(at.timestamp())
    assert codes(tell(troquet, shown, _ago(TEN_MINUTES - 95))) == ["pass_stale"]
    assert codes(tell(troquet, shown[:-4] + "AAAA", at)) == ["pass_malformed"]
    assert codes(tell(troquet, "nothing", at)) == ["pass_malformed"]


@pytest.mark.parametrize("at", ["2199-01-01T00:00:00Z", "yesterday", "2026-11-24T10:00:00"])
def test_a_time_that_cannot_be_is_named(troquet: LocalNode, member: Person, at: str) -> None:
    answer = tell(troquet, member.show(), at)
    assert answer.status_code == 422
    assert list(answer.json()["errors"]) == ["at"]


def test_what_the_browser_could_not_know_is_flagged_and_not_lost(
    network: Network, troquet: LocalNode, member: Person
) -> None:
    """Her pass was ended meanwhile: she was let in all the same."""
    at = _ago(TEN_MINUTES)
    shown = member.show(at.timestamp())
    cordee = network.nodes["cordee"]
    assert cordee.delete(f"/api/v1/me/passes/{member.pass_id}", member.token).status_code == 204
    cordee.deliver()
    answer = tell(troquet, shown, at)
    assert answer.status_code == 201, answer.text
    recorded = _at_hub(network, answer.json()["visit"]["id"])
    assert "pass_revoked" in recorded["flags"]
    assert network.hub.lines(recorded["id"]) == [1]


def test_who_has_come_again_since_has_a_visit_for_each_and_the_earlier_is_over(
    network: Network, troquet: LocalNode, member: Person
) -> None:
    """The scan of the morning was told after that of the afternoon."""
    at = _ago(3600)
    shown = member.show(at.timestamp())
    now = troquet.scan(member.show()).json()["visit"]
    late = tell(troquet, shown, at)
    assert late.status_code == 201, late.text
    earlier = late.json()["visit"]
    assert earlier["id"] != now["id"]
    assert (earlier["state"], earlier["ended_at"]) == ("closed", now["started_at"])
    assert [item["id"] for item in troquet.presence()] == [now["id"]]
    recorded = {name: _at_hub(network, visit["id"]) for name, visit in (("a", earlier), ("b", now))}
    assert (recorded["a"]["state"], recorded["a"]["ended_at"]) == ("closed", now["started_at"])
    assert recorded["b"]["state"] == "open"
    lines = [*network.hub.lines(earlier["id"]), *network.hub.lines(now["id"])]
    assert sum(lines) == 1, "the same half-day"
    again = tell(troquet, shown, at)
    assert (again.status_code, again.json()["visit"]["id"]) == (200, earlier["id"])


def test_who_was_here_already_then_has_one_visit(
    network: Network, troquet: LocalNode, member: Person
) -> None:
    visit = troquet.scan(member.show()).json()["visit"]["id"]
    network.pass_time(hours=1)
    at = _ago(TEN_MINUTES)
    first, second = (member.show(at.timestamp() + n) for n in range(2))
    late = tell(troquet, first, at)
    assert (late.status_code, late.json()["visit"]["id"]) == (200, visit)
    assert troquet.check_out(visit).status_code == 200
    for shown in (first, second):
        late = tell(troquet, shown, at)
        assert (late.status_code, late.json()["visit"]["id"]) == (200, visit), "she has left since"
    assert troquet.waiting() == {"pending": 0, "dead": 0}
    assert len(network.hub.get("/api/v1/visits", network.hub.token).json()["items"]) == 1


def test_who_comes_back_the_next_day_is_not_on_the_visit_of_the_day_before(
    network: Network, troquet: LocalNode, member: Person
) -> None:
    """Nobody has closed the visit of the day before yet: the jobs process is not at work."""
    before = troquet.scan(member.show()).json()["visit"]
    network.pass_time(days=1)
    at = _ago(TEN_MINUTES)
    late = tell(troquet, member.show(at.timestamp()), at)
    assert late.status_code == 201, late.text
    assert [item["id"] for item in troquet.presence()] == [late.json()["visit"]["id"]]
    with troquet.context() as (session, _):
        ended = session.get_one(Visit, before["id"]).ended_at
    assert ended == datetime.fromisoformat("2026-11-24T19:00:00+01:00")


def test_our_own_members_have_a_visit_for_each_scan_too(
    network: Network, troquet: LocalNode
) -> None:
    own, at = troquet.add_person("ticket").get_pass(), _ago(3600)
    shown = own.show(at.timestamp())
    now = troquet.scan(own.show()).json()["visit"]
    late = tell(troquet, shown, at)
    assert late.status_code == 201, late.text
    assert late.json()["visit"]["ended_at"] == now["started_at"]
    assert [item["id"] for item in troquet.presence()] == [now["id"]]


def test_a_code_that_the_browser_took_is_good_for_nothing_else(
    network: Network, troquet: LocalNode, member: Person
) -> None:
    other = network.nodes["cordee"]
    at = _ago(20)
    own = other.add_person().get_pass()
    shown = own.show(at.timestamp())
    assert tell(other, shown, at).json()["visit"]["local"] is True
    assert codes(troquet.scan(shown)) == ["pass_replayed"]


def test_a_visit_of_the_day_before_ends_at_its_closing(
    network: Network, troquet: LocalNode, member: Person
) -> None:
    at = _ago(24 * 3600)
    shown = member.show(at.timestamp())
    now = troquet.scan(member.show())
    assert now.status_code == 201
    late = tell(troquet, shown, at)
    assert late.status_code == 201, late.text
    assert late.json()["visit"]["state"] == "closed"
    ended = datetime.fromisoformat(late.json()["visit"]["ended_at"])
    assert ended == datetime.fromisoformat("2026-11-23T19:00:00+01:00")
    assert [item["id"] for item in troquet.presence()] == [now.json()["visit"]["id"]]
    recorded = _at_hub(network, late.json()["visit"]["id"])
    assert recorded["state"] == "closed"
    assert _at_hub(network, now.json()["visit"]["id"])["state"] == "open"


def test_our_own_members_are_present_and_not_in_the_account(
    network: Network, troquet: LocalNode
) -> None:
    own, at = troquet.add_person("ticket").get_pass(), _ago(TEN_MINUTES)
    answer = tell(troquet, own.show(at.timestamp()), at)
    assert (answer.status_code, answer.json()["visit"]["local"]) == (201, True)
    assert network.hub.get("/api/v1/visits", network.hub.token).json()["items"] == []


def test_only_a_desk_tells_or_gets_the_kit(troquet: LocalNode, member: Person) -> None:
    body = {"space": troquet.id, "pass": member.show(), "at": _ago(0).isoformat()}
    assert troquet.post("/api/v1/check-ins/late", body).status_code == 401
    kit = f"/api/v1/desk-kit?space={troquet.id}"
    assert troquet.get(kit).status_code == 401
    own = troquet.add_person()
    assert troquet.get(kit, own.token).status_code == 403
    assert troquet.get("/api/v1/desk-kit?space=elsewhere", troquet.desk).status_code == 422


DAYS = 24 * 3600


def test_what_is_told_days_later_counts_and_is_flagged(
    network: Network, troquet: LocalNode, member: Person
) -> None:
    """The line was dead from Friday to Tuesday: more than the charter's offline article lets."""
    at = _ago(4 * DAYS)
    answer = tell(troquet, member.show(at.timestamp()), at)
    assert answer.status_code == 201, answer.text
    recorded = _at_hub(network, answer.json()["visit"]["id"])
    assert recorded["flags"] == ["offline", "told_late"]
    assert (recorded["held"], network.hub.lines(recorded["id"])) == (None, [2])


@pytest.mark.parametrize("whose", ["partner", "house"])
def test_a_key_withdrawn_between_scan_and_telling_loses_no_visit(
    network: Network, troquet: LocalNode, member: Person, whose: str
) -> None:
    person = member if whose == "partner" else troquet.add_person().get_pass()
    at = _ago(TEN_MINUTES)
    shown = person.show(at.timestamp())
    kid = person.node.app.extensions["node"].ring.kid
    path = f"/api/v1/nodes/{person.node.id}/keys/{kid}?reason=lost"
    assert network.hub.delete(path, network.hub.token).status_code == 200
    troquet.learn()
    assert troquet.scan(person.show()).status_code in (403, 409), "it opens no door now"
    answer = tell(troquet, shown, at)
    assert answer.status_code == 201, answer.text
    assert [item["id"] for item in troquet.presence()] == [answer.json()["visit"]["id"]]


def test_a_home_that_was_suspended_between_scan_and_telling_loses_no_visit(
    network: Network, troquet: LocalNode, member: Person
) -> None:
    at = _ago(TEN_MINUTES)
    shown = member.show(at.timestamp())
    network.set_state("cordee", "suspended")
    troquet.learn()
    answer = tell(troquet, shown, at)
    assert answer.status_code == 201, answer.text
    recorded = _at_hub(network, answer.json()["visit"]["id"])
    assert "home_suspended" in recorded["flags"]


def test_whom_the_browser_let_in_at_home_is_not_turned_away_afterwards(
    troquet: LocalNode,
) -> None:
    own, at = troquet.add_person("ticket").get_pass(), _ago(TEN_MINUTES)
    shown = own.show(at.timestamp())
    assert troquet.delete(f"/api/v1/me/passes/{own.pass_id}", own.token).status_code == 204
    answer = tell(troquet, shown, at)
    assert (answer.status_code, answer.json()["visit"]["local"]) == (201, True)


def test_a_scan_that_was_answered_and_is_told_as_one_that_was_not_is_one_visit(
    network: Network, troquet: LocalNode, member: Person
) -> None:
    """The answer did not reach the browser in time: it decided alone, and kept its key."""
    shown, key = member.show(), secrets.token_hex(8)
    taken = troquet.scan(shown, key=key).json()["visit"]
    for again in (key, secrets.token_hex(8)):
        late = tell(troquet, shown, _ago(0), again)
        assert late.status_code == 200, late.text
        assert (late.json()["visit"]["id"], late.json()["visit"]["online"]) == (taken["id"], True)
    assert troquet.waiting() == {"pending": 0, "dead": 0}
    assert len(network.hub.get("/api/v1/visits", network.hub.token).json()["items"]) == 1


# The kit


def _kit(node: LocalNode, language: str = "fr") -> dict[str, Any]:
    answer = node.get(
        f"/api/v1/desk-kit?space={node.id}", node.desk, **{"Accept-Language": language}
    )
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_the_kit_has_the_charters_rules_and_words_and_says_how_each_home_stands(
    troquet: LocalNode,
) -> None:
    kit = _kit(troquet)
    assert set(kit["homes"]) == {"cordee", "troquet"}
    assert kit["charter"]["rules"] == tomllib.loads(model_sources()["rules.toml"])
    cordee = kit["homes"]["cordee"]
    assert (cordee["state"], cordee["charter"]) == ("connected", kit["charter"]["version"])
    assert cordee["keys"]
    assert kit["words"]["texts"]["pass_stale"].startswith("Ce code date")
    english = _kit(troquet, "en")["words"]["texts"]
    assert english["pass_stale"].startswith("This code is more")
    assert set(CODES) <= set(english)


def test_the_kit_knows_hours_places_and_lists(network: Network, troquet: LocalNode) -> None:
    def open_now(kit: dict[str, Any]) -> bool:
        now = kit["as_of"] + kit["civil_offset"]
        return any(start <= now < end for start, end in kit["hours"])

    assert _kit(troquet)["visits"] == []
    person = network.nodes["cordee"].add_person().get_pass()
    assert troquet.scan(person.show()).status_code == 201
    kit = _kit(troquet)
    assert [(each["holder"], each["present"], each["used"]) for each in kit["visits"]] == [
        (f"cordee {person.pass_id}", True, ["2026-11-24 am"])
    ]
    assert open_now(kit)
    assert 0 <= kit["as_of"] - kit["trusted_at"] < 600
    network.move_to("2026-11-29T10:00:00+01:00")  # a Sunday
    assert not open_now(_kit(troquet))
    network.hub_goes()
    assert _kit(troquet)["homes"]["cordee"]["name"]
