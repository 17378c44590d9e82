"""From an open month to a final one: late visits, reversals, disputes, recomputation by others."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import Callable
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import update

from charter import model_sources
from federation import jobs as hub_jobs
from federation.statements.composing import TYP
from node.hub import service as sync
from node.spaces import service as spaces
from node.spaces.models import Space
from node.statements import month_end
from node.statements import service as node_statements
from node.visits.models import Visit
from shared.crypto.keys import new_key_ring
from shared.store.db import begin_write
from tests.contract.speaking import access_token
from tests.network import LocalNode, Network, Person, at_once, codes, rules
from tests.shared.browser import Browser, Page, forget_attempts

MakeNetwork = Callable[..., Network]
DECEMBER = "2026-12-01T10:00:00+01:00"


@pytest.fixture
def small(make_network: MakeNetwork) -> Network:
    """A network where every half-day beyond the first is paid for."""
    return _with_two(make_network, rules=rules(tolerance_half_days=1))


def _with_two(make_network: MakeNetwork, **kwargs: str) -> Network:
    return make_network(nodes=("cordee", "troquet"), **kwargs)


@pytest.fixture
def cordee(small: Network) -> LocalNode:
    return small.nodes["cordee"]


@pytest.fixture
def troquet(small: Network) -> LocalNode:
    return small.nodes["troquet"]


def _visit(host: LocalNode, person: Person) -> str:
    answer = host.scan(person.show())
    assert answer.status_code == 201, answer.text
    visit: str = answer.json()["visit"]["id"]
    assert host.check_out(visit).status_code == 200
    return visit


def _move(network: Network, instant: str) -> None:
    network.move_to(instant)
    network.refresh()


def _post(network: Network, path: str, body: Any = None, token: str = "") -> requests.Response:
    return network.hub.post(path, body, token or network.hub.token)


def _issue(network: Network, month: str = "2026-11") -> requests.Response:
    return _set_state(network, month, "issued")


def _final(network: Network, month: str = "2026-11") -> requests.Response:
    return _set_state(network, month, "final")


def _set_state(network: Network, month: str, state: str, token: str = "") -> requests.Response:
    url = f"{network.hub.url}/api/v1/statements/{month}"
    headers = {"Authorization": f"Bearer {token or network.hub.token}"}
    return requests.put(url, json={"state": state}, headers=headers, timeout=20)


def _as_node(node: LocalNode) -> str:
    return access_token(node)


def _dispute(node: LocalNode, network: Network, visit: str, month: str = "2026-11") -> Any:
    body = {"month": month, "visit": visit, "reason": "She was not here"}
    return _post(network, "/api/v1/disputes", body, _as_node(node))


def _settle(network: Network, dispute: int, outcome: str, token: str = "") -> requests.Response:
    body = {"outcome": outcome, "reason": "We looked at it"}
    return _post(network, f"/api/v1/disputes/{dispute}/decision", body, token)


def _bytes(network: Network, month: str = "2026-11") -> bytes:
    return network.hub.get(f"/api/v1/statements/{month}", network.hub.token).content


def test_a_month_is_issued_once_it_is_over_and_in_order(small: Network, troquet: LocalNode) -> None:
    visit = _visit(troquet, small.nodes["cordee"].add_person())
    assert _issue(small).status_code == 409  # November goes on
    _move(small, "2027-01-04T10:00:00+01:00")
    assert _issue(small, "2026-12").status_code == 409  # November comes first
    first, again = _issue(small), _issue(small)
    assert first.status_code == again.status_code == 200
    assert first.json() == again.json()
    assert (first.json()["state"], first.json()["revision"]) == ("issued", 1)
    assert small.hub.lines(visit) == [1]
    assert _issue(small, "2026-12").status_code == 409  # November is not final
    assert _final(small).status_code == 409
    small.pass_time(days=15)
    assert _final(small).json()["state"] == "final"
    assert _issue(small, "2026-12").status_code == 200
    listed = small.hub.get("/api/v1/statements", small.hub.token).json()["items"]
    assert [(item["month"], item["state"]) for item in listed] == [
        ("2026-12", "issued"),
        ("2026-11", "final"),
    ]


def test_a_month_before_the_first_visit_is_not_issued(
    small: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    """Months go in order: one that was mistyped would hold back all that follow."""
    _visit(troquet, cordee.add_person())
    _move(small, DECEMBER)
    for month in ("2001-01", "2026-10"):
        assert _issue(small, month).status_code == 409
    early = _final(small)
    assert (early.status_code, early.json()["detail"]) == (409, "ce mois n’est pas encore émis")
    assert _issue(small).status_code == 200


def test_each_side_contests_a_visit_and_takes_back_its_own_word_alone(
    small: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    visit = _visit(troquet, cordee.add_person())
    _move(small, DECEMBER)
    _issue(small)
    first, second = _dispute(cordee, small, visit), _dispute(troquet, small, visit)
    assert (first.status_code, second.status_code) == (201, 201)
    assert [answer.json()["by"] for answer in (first, second)] == ["cordee", "troquet"]
    again = _dispute(cordee, small, visit)
    assert (again.status_code, again.json()) == (200, first.json())
    forget_attempts()
    admins = {}
    for node in (cordee, troquet):
        admins[node.id] = Browser(node, "en")
        assert admins[node.id].log_in(f"admin@{node.id}.example").status_code == 302
        admins[node.id].get("/console/statements/2026-11")
    path = "/console/statements/2026-11"
    assert visit in Page(admins["troquet"].get(path).text).text
    for suffix, kind in (
        ("csv", "text/csv"),
        ("pdf", "application/pdf"),
        ("jws", "application/jose"),
    ):
        file = admins["troquet"].get(f"{path}/statement.{suffix}")
        assert (file.status_code, file.headers["Content-Type"].split(";")[0]) == (200, kind)
    assert admins["troquet"].get(f"{path}/statement.exe").status_code == 404
    number = first.json()["id"]
    assert admins["troquet"].post(f"{path}/disputes/{number}/withdraw").status_code == 404
    admins["cordee"].get(path)
    assert admins["cordee"].post(f"{path}/disputes/{number}/withdraw").status_code == 302
    assert small.hub.statement()["disputed"] == [visit]
    other = second.json()["id"]
    assert admins["troquet"].post(f"{path}/disputes/{other}/withdraw").status_code == 302
    assert small.hub.statement()["disputed"] == []
    assert _dispute(troquet, small, visit).json()["state"] == "withdrawn"


def test_disputes_and_months_are_listed_page_by_page(
    small: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    visits = [_visit(troquet, cordee.add_person()) for _ in range(3)]
    _move(small, DECEMBER)
    _issue(small)
    for visit in visits:
        _dispute(cordee, small, visit)
    found, path = [], "/api/v1/disputes?month=2026-11&limit=2"
    cursor = ""
    while cursor is not None:
        page = small.hub.get(f"{path}&cursor={cursor}", small.hub.token).json()
        found += [item["visit"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert found == visits
    with cordee.context() as (_, context):
        assert [d["visit"] for d in node_statements.disputes(context, "2026-11")] == visits
    small.pass_time(days=15)
    _final(small)
    _move(small, "2027-01-02T10:00:00+01:00")
    _issue(small, "2026-12")
    first = small.hub.get("/api/v1/statements?limit=1", small.hub.token).json()
    assert [item["month"] for item in first["items"]] == ["2026-12"]
    rest = f"/api/v1/statements?limit=1&cursor={first['next_cursor']}"
    second = small.hub.get(rest, small.hub.token).json()
    assert [item["month"] for item in second["items"]] == ["2026-11"]
    assert second["next_cursor"] is None


def test_the_coordination_sees_the_pairs_that_exist_and_nothing_for_the_others(
    small: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    visit = _visit(troquet, cordee.add_person())
    forget_attempts()
    desk = Browser(small.hub, "en")
    assert desk.log_in("coord@hub.example").status_code == 302
    page = desk.get("/coordination/statements/2026-11").text
    text = Page(page).text
    assert visit in text
    assert "24 November 2026" in text
    pairs = page[page.index('id="pairs"') : page.index('id="balances"')]
    assert pairs.count("<tr>") == 2  # the head, and the one pair


def test_a_log_agrees_after_a_dispute_was_upheld(
    small: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    visit = _visit(troquet, cordee.add_person())
    _move(small, DECEMBER)
    _issue(small)
    _settle(small, _dispute(cordee, small, visit).json()["id"], "upheld")
    small.refresh()
    with troquet.context() as (session, context):
        assert node_statements.compare_log(session, context, "2026-11")["agrees"]


def test_two_coordinators_issue_one_month_once(small: Network) -> None:
    _move(small, DECEMBER)
    answers = at_once([lambda: _issue(small)] * 4)
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert 200 in {answer.status_code for answer in answers}
    assert len(small.hub.get("/api/v1/statements", small.hub.token).json()["items"]) == 1


def test_nodes_do_not_issue_nor_decide(small: Network, troquet: LocalNode) -> None:
    visit = _visit(troquet, small.nodes["cordee"].add_person())
    _move(small, DECEMBER)
    token = _as_node(troquet)
    assert _set_state(small, "2026-11", "issued", token).status_code == 403
    _issue(small)
    dispute = _dispute(small.nodes["cordee"], small, visit).json()["id"]
    assert _settle(small, dispute, "rejected", token).status_code == 404
    assert _settle(small, dispute, "rejected", _as_node(small.nodes["cordee"])).status_code == 403


def test_a_late_offline_visit_is_of_the_next_month_and_changes_no_issued_byte(
    small: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    _visit(troquet, cordee.add_person())
    late = cordee.add_person().get_pass()
    small.refresh()
    with troquet.cut_off():
        visit = _visit(troquet, late)
        small.move_to(DECEMBER)
        assert _issue(small).status_code == 200
        before = _bytes(small)
    troquet.deliver()
    assert _bytes(small) == before
    assert small.hub.lines(visit) == []
    (line,) = [v for v in small.hub.statement("2026-12")["visits"] if v["id"] == visit]
    assert line["day"] == "2026-11-24"
    assert "offline" in line["flags"]
    forget_attempts()
    for service, who, path in (
        (small.hub, "coord@hub.example", "/coordination/statements/2026-12"),
        (troquet, "admin@troquet.example", "/console/statements/2026-12"),
    ):
        reader = Browser(service, "en")
        assert reader.log_in(who).status_code == 302
        assert "let in without the network" in Page(reader.get(path).text).text


def test_what_is_undone_after_the_month_was_issued_reverses_in_the_next(
    make_network: MakeNetwork,
) -> None:
    network = _with_two(make_network, rules=rules(hours=2000))
    cordee, troquet = network.nodes["cordee"], network.nodes["troquet"]
    visit = _visit(troquet, cordee.add_person())
    _move(network, DECEMBER)
    _issue(network)
    before = _bytes(network)
    assert troquet.void(visit, "a mistake").status_code == 200
    troquet.deliver()
    assert _bytes(network) == before
    assert network.hub.lines(visit, "2026-11") == [1]
    assert network.hub.lines(visit, "2026-12") == [-1]
    assert network.hub.statement("2026-12")["balances"] == {
        "cordee": 1,
        "troquet": -1,
    }


def test_a_disputed_visit_is_out_until_it_is_settled(
    small: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    contested, other = (_visit(troquet, cordee.add_person()) for _ in range(2))
    _move(small, DECEMBER)
    _issue(small)
    opened = _dispute(cordee, small, contested)
    assert opened.status_code == 201, opened.text
    assert _dispute(cordee, small, contested).json() == opened.json()
    document = small.hub.statement()
    assert document["disputed"] == [contested]
    assert [v["id"] for v in document["visits"]] == [other]
    assert (document["balances"]["troquet"], document["revision"]) == (1, 2)
    settled = _settle(small, opened.json()["id"], "rejected")
    assert settled.status_code == 200, settled.text
    document = small.hub.statement()
    assert {v["id"] for v in document["visits"]} == {contested, other}
    assert (document["balances"]["troquet"], document["revision"], document["disputed"]) == (
        2,
        3,
        [],
    )
    assert _settle(small, opened.json()["id"], "rejected").status_code == 200
    assert _settle(small, opened.json()["id"], "upheld").status_code == 409


def test_a_visit_that_should_not_count_is_reversed_in_the_next_month(
    small: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    visit = _visit(troquet, cordee.add_person())
    _move(small, DECEMBER)
    _issue(small)
    dispute = _dispute(troquet, small, visit).json()["id"]
    assert _settle(small, dispute, "upheld").status_code == 200
    assert small.hub.lines(visit, "2026-11") == []
    assert small.hub.lines(visit, "2026-12") == [1, -1]
    for month in ("2026-11", "2026-12"):
        assert set(small.hub.statement(month)["balances"].values()) == {0}


def test_a_dispute_that_outlasts_its_month_is_settled_in_a_later_one(
    small: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    visit = _visit(troquet, cordee.add_person())
    _move(small, DECEMBER)
    _issue(small)
    dispute = _dispute(cordee, small, visit).json()["id"]
    _move(small, "2027-01-05T10:00:00+01:00")
    assert _final(small).status_code == 200
    assert small.hub.statement("2026-12")["disputed"] == [visit]
    assert _issue(small, "2026-12").status_code == 200
    assert small.hub.statement("2026-12")["visits"] == []
    final = _bytes(small)
    assert _settle(small, dispute, "rejected").status_code == 200
    assert _bytes(small) == final  # what is final stays
    assert small.hub.lines(visit, "2026-12") == []  # and what is issued takes in nothing
    assert small.hub.lines(visit, "2027-01") == [1]


def test_only_home_and_host_contest_and_only_in_time(
    small: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    stranger = small.add_node("stranger")
    visit = _visit(troquet, cordee.add_person())
    early = _dispute(cordee, small, visit)
    assert early.status_code == 409
    assert early.json()["detail"] == "ce mois n’est pas encore émis"
    _move(small, DECEMBER)
    _issue(small)
    assert _dispute(stranger, small, visit).status_code == 404
    assert _dispute(cordee, small, "0" * 26).status_code == 404
    small.pass_time(days=15, hours=1)
    assert _dispute(cordee, small, visit).status_code == 409


def test_whoever_contested_may_withdraw(
    small: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    visit = _visit(troquet, cordee.add_person())
    _move(small, DECEMBER)
    _issue(small)
    dispute = _dispute(cordee, small, visit).json()["id"]
    assert _settle(small, dispute, "withdrawn", _as_node(cordee)).status_code == 200
    assert small.hub.lines(visit) == [1]


# Recomputed by others


def _part(text: bytes) -> bytes:
    return urlsafe_b64decode(text + b"=" * (-len(text) % 4))


def test_the_jws_is_the_hubs_signature_over_the_very_json(
    small: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    _visit(troquet, cordee.add_person())
    for path in ("/api/v1/statements/2026-11", "/api/v1/statements/2026-11/cordee"):
        token = small.hub.get(f"{path}.jws", small.hub.token).content
        header, payload, signature = token.split(b".")
        kid = json.loads(_part(header))["kid"]
        jwks = small.hub.get("/.well-known/jwks.json").json()["keys"]
        (x,) = [key["x"] for key in jwks if key["kid"] == kid]
        public = Ed25519PublicKey.from_public_bytes(_part(x.encode()))
        public.verify(_part(signature), header + b"." + payload)
        assert _part(payload) == small.hub.get(path, small.hub.token).content
    asked = small.hub.get("/api/v1/statements/2026-11", small.hub.token, Accept="application/jose")
    assert asked.headers["Content-Type"].startswith("application/jose")


def _verify(node: LocalNode, token: bytes | None = None, month: str = "2026-11") -> Any:
    with node.context() as (session, context):
        return node_statements.verify(session, context, month, token)


def test_a_node_recomputes_the_statement_and_finds_its_own_visits(
    small: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    person = cordee.add_person()
    visit, voided = _visit(troquet, person), _visit(troquet, cordee.add_person())
    _visit(troquet, person)  # again in the same half-day: it counts nothing of its own
    troquet.void(voided)
    with troquet.cut_off():
        _visit(troquet, cordee.add_person())
    troquet.deliver()
    _move(small, DECEMBER)
    _issue(small)
    for node in (cordee, troquet):
        found = _verify(node)
        assert found.faults == []
    assert found.hosted == 3
    _dispute(cordee, small, visit)
    assert _verify(troquet).faults == []


def test_a_statement_that_was_tampered_with_does_not_hold(
    small: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    visit = _visit(troquet, cordee.add_person())
    token = small.hub.get("/api/v1/statements/2026-11.jws", small.hub.token).content
    header, payload, signature = token.split(b".")
    assert (
        "signature"
        in _verify(troquet, header + b"." + payload[:-4] + b"AAAA." + signature).faults[0]
    )
    assert "signature" in _verify(troquet, b"nonsense").faults[0]
    ring = small.hub.app.extensions["hub"].ring
    document = json.loads(_bytes(small))

    def signed(changed: dict[str, Any]) -> bytes:
        text = json.dumps(changed, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return bytes(ring.sign_bytes(text.encode(), TYP))

    assert _verify(troquet, signed(document)).faults == []
    wrong = {**document, "balances": {**document["balances"], "troquet": 2}}
    assert "do not follow" in _verify(troquet, signed(wrong)).faults[0]
    invented = {**document["visits"][0], "id": "0" * 26}
    assert any(
        "not in our log" in f
        for f in _verify(troquet, signed({**document, "visits": [invented]})).faults
    )
    assert any(visit in f for f in _verify(troquet, signed({**document, "visits": []})).faults)
    assert _verify(troquet, signed(document), "2026-10").faults
    other = new_key_ring().sign_bytes(_bytes(small), TYP)
    assert "signature" in _verify(troquet, other).faults[0]
    for junk in ({}, [], {**document, "visits": {}}, {**document, "visits": [1]}):
        assert _verify(troquet, signed(junk)).faults  # type: ignore[arg-type]


def test_logs_are_compared_by_count_and_hash_and_only_differences_are_told(
    small: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    visit = _visit(troquet, cordee.add_person())
    with troquet.context() as (session, context):
        assert node_statements.compare_log(session, context, "2026-11")["agrees"]
    path, token = "/api/v1/log-checks", _as_node(troquet)
    empty = {"month": "2026-11", "visits": 0, "sha256": node_statements.log_hash([])}
    assert _post(small, path, empty, token).json() == {"agrees": False, "visits": [visit]}
    right = {"month": "2026-11", "visits": 1, "sha256": node_statements.log_hash([visit])}
    assert _post(small, path, right, token).json() == {"agrees": True, "visits": []}


# What happens within a month


@pytest.mark.parametrize("state", ["suspended", "left"])
def test_a_space_that_leaves_in_the_month_is_in_its_account_to_the_last(
    small: Network, cordee: LocalNode, troquet: LocalNode, state: str
) -> None:
    person = cordee.add_person()
    visit = _visit(troquet, person)
    own = troquet.add_person().get_pass()
    small.set_state("troquet", state)
    small.refresh()
    assert codes(troquet.scan(person.show())) == ["paused"]
    said = {"suspended": ["home_suspended"], "left": ["pass_revoked", "home_unknown"]}[state]
    assert codes(cordee.scan(own.show())) == said
    _move(small, DECEMBER)
    _issue(small)
    assert small.hub.lines(visit) == [1]
    assert small.hub.statement()["balances"]["troquet"] == 1
    on_map = "troquet" in small.hub.get("/api/v1/spaces").text
    assert on_map == (state == "suspended")


def test_whoever_has_left_stays_so_and_what_it_signed_can_still_be_verified(
    small: Network, troquet: LocalNode
) -> None:
    small.set_state("troquet", "left")
    back = {"state": "connected", "reason": "come back"}
    assert small.hub.put("/api/v1/nodes/troquet/state", back, small.hub.token).status_code == 409
    charter = small.hub.get("/api/v1/charters/current").json()
    jws = next(s["jws"] for s in charter["signatures"] if s["node"] == "troquet")
    head, claims, signature = jws.split(".")
    trusted = small.hub.get("/api/v1/trust-list").text.split(".")[1]
    node = next(n for n in json.loads(_part(trusted.encode()))["nodes"] if n["id"] == "troquet")
    assert node["state"] == "left"
    key = next(k for k in node["keys"] if k["kid"] == json.loads(_part(head.encode()))["kid"])
    public = Ed25519PublicKey.from_public_bytes(_part(key["x"].encode()))
    public.verify(_part(signature.encode()), f"{head}.{claims}".encode())
    assert json.loads(_part(claims.encode()))["sha256"] == charter["sha256"]


def test_a_charter_that_changes_in_the_month_is_the_accounts_from_its_day_on(
    small: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    """Each line says the version that decided it; money is of the version in force at issue."""
    _move(small, "2026-12-01T10:00:00+01:00")
    before = _visit(troquet, cordee.add_person())
    sources = {**model_sources(), "rules.toml": rules(tolerance_half_days=0, rate_cents=700)}
    body = {"sources": sources, "argument": "Simpler"}
    assert _post(small, "/api/v1/charters", body, _as_node(cordee)).status_code == 201
    for node in (cordee, troquet):
        _post(small, "/api/v1/charters/2/votes", {"choice": "yes"}, _as_node(node))
    for instant in ("2026-12-11T11:00:00+01:00", "2026-12-28T10:00:00+01:00"):
        small.move_to(instant)
        with small.hub.app.app_context():
            hub_jobs.advance_votes()
        small.refresh()
        for node in (cordee, troquet):
            with node.context() as (session, context):
                sync.sign_charter(session, context, "2")
    small.refresh()
    after = _visit(troquet, cordee.add_person())
    _move(small, "2027-01-04T10:00:00+01:00")
    assert _issue(small, "2026-12").status_code == 200
    told = small.hub.statement("2026-12")
    assert {v["id"]: v["charter"] for v in told["visits"]} == {before: "1", after: "2"}
    assert (told["charter"], told["compensation"]["troquet"]) == ("2", 1400)
    with troquet.context() as (session, context):
        assert node_statements.verify(session, context, "2026-12").holds


# At the month's end, by itself


def test_a_month_is_issued_by_itself_once_every_log_agrees(
    small: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    visit = _visit(troquet, cordee.add_person())

    def issued() -> str:
        with small.hub.app.app_context():
            hub_jobs.issue_due()
        state: str = small.hub.statement()["state"]
        return state

    def compared(node: LocalNode) -> bool | None:
        with node.context() as (session, context):
            return month_end.compare(session, context)

    _move(small, "2026-11-30T23:00:00+01:00")
    assert issued() == "open"
    _move(small, "2026-12-01T09:00:00+01:00")
    assert [compared(cordee), compared(troquet)] == [True, True]
    assert issued() == "open"  # a host may undo a visit yet
    _move(small, "2026-12-03T09:00:00+01:00")
    assert issued() == "issued"
    assert small.hub.lines(visit) == [1]
    audit = small.hub.statement()
    assert audit["revision"] == 1
    assert issued() == "issued"
    assert small.hub.statement()["revision"] == 1


def test_a_month_with_a_log_that_differs_waits_for_people_for_ten_days(
    small: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    visit = _visit(troquet, cordee.add_person())
    _move(small, "2026-12-04T09:00:00+01:00")
    with troquet.context() as (session, context):
        begin_write(session)
        session.execute(update(Visit).where(Visit.id == visit).values(delivered=False))
        session.commit()
        assert month_end.compare(session, context) is False
    with cordee.context() as (session, context):
        assert month_end.compare(session, context) is True
    with small.hub.app.app_context():
        hub_jobs.issue_due()
    assert small.hub.statement()["state"] == "open"
    _move(small, "2026-12-11T09:00:00+01:00")
    with small.hub.app.app_context():
        hub_jobs.issue_due()
    assert small.hub.statement()["state"] == "issued"


def test_issuing_by_itself_goes_on_from_the_last_month_however_late(
    small: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    _visit(troquet, cordee.add_person())
    _move(small, "2027-03-15T09:00:00+01:00")
    for month in ("2026-11", "2026-12", "2027-01"):
        with small.hub.app.app_context():
            hub_jobs.issue_due()
        assert small.hub.statement(month)["state"] == "issued"
        with small.hub.app.app_context():
            hub_jobs.issue_due()  # the one before is not final yet: it waits, and is no error
        small.pass_time(days=15)
        with small.hub.app.app_context():
            hub_jobs.finalise_due()
        assert small.hub.statement(month)["state"] == "final"


def test_logs_are_compared_in_the_first_days_once_the_hub_was_told_everything(
    small: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    person = cordee.add_person().get_pass()
    small.hub_goes()
    assert troquet.scan(person.show()).status_code == 201
    small.move_to("2026-12-02T09:00:00+01:00")
    with troquet.context() as (session, context):
        assert month_end.compare(session, context) is None
    small.hub_returns()
    troquet.deliver()
    with troquet.context() as (session, context):
        assert month_end.compare(session, context) is True
    small.move_to("2026-12-11T09:00:00+01:00")
    with troquet.context() as (session, context):
        assert month_end.compare(session, context) is None


def test_a_visit_over_closing_time_and_over_one_o_clock_counts_what_it_touched(
    small: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    visit = troquet.scan(cordee.add_person().show()).json()["visit"]["id"]
    _move(small, "2026-11-25T10:00:00+01:00")
    with troquet.app.app_context():
        from node import jobs

        jobs.close_forgotten()
        jobs.deliver()
    (line,) = [v for v in small.hub.statement()["visits"] if v["id"] == visit]
    assert line["half_days"] == 2


def test_on_the_day_when_clocks_go_back_the_account_is_the_spaces_time(
    make_network: MakeNetwork,
) -> None:
    network = _with_two(make_network, clock="2026-10-25T12:30:00+01:00")  # a Sunday of 25 hours
    cordee, troquet = network.nodes["cordee"], network.nodes["troquet"]
    with troquet.context() as (session, context):
        begin_write(session)
        session.get_one(Space, "troquet").week = {"su": [["01:00", "19:00"]]}
        session.commit()
        spaces.publish_now(session, context)
    visit = troquet.scan(cordee.add_person().show()).json()["visit"]["id"]
    network.pass_time(hours=1)
    troquet.check_out(visit)
    troquet.deliver()
    document = network.hub.statement("2026-10")
    (line,) = document["visits"]
    assert (line["day"], line["halves"]) == ("2026-10-25", ["am", "pm"])


def test_barter_carries_half_days_from_month_to_month(make_network: MakeNetwork) -> None:
    network = _with_two(make_network, rules=rules(mode='"barter"'))
    cordee, troquet = network.nodes["cordee"], network.nodes["troquet"]
    _visit(troquet, cordee.add_person())
    for month, day in (("2026-11", "2026-12-18"), ("2026-12", "2027-01-20")):
        _move(network, f"{day}T10:00:00+01:00")
        assert _issue(network, month).status_code == 200
        network.pass_time(days=15)
        assert _final(network, month).status_code == 200
        document = network.hub.statement(month)
        assert document["carried"] == {"cordee": -1, "troquet": 1}
        assert set(document["compensation"].values()) == {0}
        assert _verify(troquet, month=month).faults == []


def test_lines_that_are_written_while_a_month_is_issued_are_in_one_month_or_the_other(
    small: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    people = [cordee.add_person().get_pass() for _ in range(6)]
    visits = [_visit(troquet, person) for person in people[:2]]
    small.move_to("2026-11-30T23:59:59+01:00")
    _move(small, DECEMBER)
    calls: list[Any] = [lambda: _issue(small)]
    calls += [lambda p=p: troquet.scan(p.show()) for p in people[2:]]
    at_once(calls)
    assert _issue(small).status_code == 200
    november, december = small.hub.statement(), small.hub.statement("2026-12")
    assert {v["id"] for v in november["visits"]} == set(visits)
    assert len(december["visits"]) == 4
