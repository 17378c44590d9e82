"""What a vote promised at its opening holds to its end, whatever happens meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import requests
from sqlalchemy import select

from charter import model_sources
from federation import jobs as hub_jobs
from federation.audit.models import AuditEntry
from federation.db import db
from tests.contract.speaking import access_token
from tests.network import Network, at_once, rules
from tests.shared.browser import Browser, Page

pytestmark = pytest.mark.both_databases

MakeNetwork = Callable[..., Network]
PATH = "/api/v1/charters"
NODES = ("cordee", "filature", "troquet")


@pytest.fixture
def three(make_network: MakeNetwork) -> Network:
    return make_network(nodes=("cordee", "troquet", "filature"))


def _ask(
    network: Network, node: str, method: str, path: str, body: Any = None
) -> requests.Response:
    headers = {"Authorization": f"Bearer {access_token(network.nodes[node])}"}
    return requests.request(method, network.hub.url + path, json=body, headers=headers, timeout=20)


def _body(per_host: int = 8, argument: str = "Six are too few", days: int = 10) -> dict[str, Any]:
    toml = rules(per_host=per_host).replace("days = 10", f"days = {days}")
    return {"sources": {**model_sources(), "rules.toml": toml}, "argument": argument}


def _propose(network: Network, node: str, **changes: Any) -> dict[str, Any]:
    answer = _ask(network, node, "POST", PATH, _body(**changes))
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def _all_vote(network: Network, version: str, choice: str = "yes") -> None:
    for node in NODES:
        answer = _ask(network, node, "POST", f"{PATH}/{version}/votes", {"choice": choice})
        assert answer.status_code == 201, answer.text


def _close(network: Network) -> None:
    with network.hub.app.app_context():
        hub_jobs.advance_votes()


def _later(network: Network, **delta: float) -> None:
    network.pass_time(**delta)
    _close(network)


def _read(network: Network, version: str) -> dict[str, Any]:
    found: dict[str, Any] = network.hub.get(f"{PATH}/{version}").json()
    return found


def _page(network: Network, path: str) -> str:
    answer = requests.get(f"{network.hub.url}{path}?lang=en", timeout=20)
    assert answer.status_code == 200
    return Page(answer.text).text


def _audited(network: Network, action: str) -> list[dict[str, Any]]:
    with network.hub.app.app_context():
        query = select(AuditEntry).where(AuditEntry.action == action).order_by(AuditEntry.id)
        return [entry.detail for entry in db.session.scalars(query)]


def _count(**said: Any) -> dict[str, Any]:
    return {"yes": 0, "no": 0, "abstain": 0, "suspended": 0, "entitled": 3, "reason": None, **said}


def test_a_version_that_comes_into_force_and_a_suspension_leave_a_vote_its_promises(
    three: Network,
) -> None:
    """Adopted on day 10, a vote of 3 days is the rule from day 24: not for a vote of day 20."""
    _propose(three, "cordee", days=3)
    _all_vote(three, "2")
    _later(three, days=10)
    assert _read(three, "2")["state"] == "adopted"
    three.pass_time(days=10)
    opened = _propose(three, "troquet")
    assert (opened["base"], opened["electors"]) == ("1", 3)
    assert opened["vote_rule"] == {"days": 10, "quorum": "1/2", "majority": "2/3"}
    assert datetime.fromisoformat(opened["closes_at"]) == datetime.fromisoformat(
        opened["opened_at"]
    ) + timedelta(days=10)
    three.pass_time(days=3)
    _all_vote(three, "3")
    _later(three, days=1, hours=1)
    assert _read(three, "current")["version"] == "2"
    promised = ("opened_at", "closes_at", "vote_rule", "electors", "base", "votes_total", "state")
    during = _read(three, "3")
    assert {name: during[name] for name in promised} == {
        **{name: opened[name] for name in promised},
        "votes_total": 3,
    }
    # nobody has signed the version in force, and all have the voice that they had
    again = _ask(three, "filature", "POST", f"{PATH}/3/votes", {"choice": "yes"})
    assert again.status_code == 201
    three.set_state("filature", "suspended")
    during = _read(three, "3")
    assert {vote["node"]: vote["suspended"] for vote in during["votes"]} == {
        "cordee": False,
        "filature": True,
        "troquet": False,
    }
    assert during["votes_suspended"] == 1
    page = _page(three, "/charter/3")
    assert "1 vote is suspended, and does not count" in page
    assert "what another version changes meanwhile, and this one does not say" in page
    three.add_node("newcomer")  # signs the version in force, and has no voice in this vote
    refused = _ask(three, "newcomer", "POST", f"{PATH}/3/votes", {"choice": "no", "reason": "x"})
    assert refused.status_code == 403
    _later(three, days=5, hours=22)
    assert _read(three, "3")["state"] == "open"
    _later(three, hours=1)
    closed = _read(three, "3")
    assert (closed["state"], closed["closed_at"]) == ("adopted", opened["closes_at"])
    assert closed["outcome"] == _count(yes=2, suspended=1)
    assert "filature: yes (suspended)" in _page(three, "/charter/3")
    _later(three, days=14)
    assert [_read(three, version)["state"] for version in "123"] == ["past", "past", "in_force"]


@pytest.mark.parametrize("late", [0, 1, 30])
def test_who_is_suspended_after_the_deadline_has_voted_whenever_the_votes_are_counted(
    three: Network, late: int
) -> None:
    _propose(three, "filature")
    _all_vote(three, "2")
    three.pass_time(days=10)
    for node in ("cordee", "filature"):
        three.set_state(node, "suspended")
    _later(three, days=late)
    found = _read(three, "2")
    assert found["outcome"] == _count(yes=3)
    assert found["votes_suspended"] == 0
    assert found["state"] == ("in_force" if late > 14 else "adopted")
    assert found["closed_at"] == found["closes_at"]


@pytest.mark.parametrize("late", [0, 1])
def test_who_is_suspended_at_the_deadline_has_a_suspended_vote_and_the_quorum_stays(
    three: Network, late: int
) -> None:
    _propose(three, "troquet")
    _all_vote(three, "2")
    three.pass_time(days=9)
    for node in ("cordee", "filature"):
        three.set_state(node, "suspended")
    three.pass_time(days=1)
    for node in ("cordee", "filature"):
        three.set_state(node, "connected")  # after the deadline: too late
    _later(three, days=late)
    found = _read(three, "2")
    assert found["outcome"] == _count(yes=1, suspended=2, reason="no_quorum")
    assert [vote["suspended"] for vote in found["votes"]] == [True, True, False]


def test_who_is_taken_back_before_the_deadline_has_its_vote_again(three: Network) -> None:
    _propose(three, "troquet")
    _all_vote(three, "2")
    three.set_state("cordee", "suspended")
    assert _read(three, "2")["votes_suspended"] == 1
    three.pass_time(days=9)
    three.set_state("cordee", "connected")
    assert _read(three, "2")["votes_suspended"] == 0
    _later(three, days=1)
    assert _read(three, "2")["outcome"] == _count(yes=3)


@pytest.mark.parametrize("state", ["suspended", "left"])
def test_who_is_out_of_the_network_has_no_open_proposal_and_others_propose(
    three: Network, state: str
) -> None:
    _propose(three, "cordee")
    _propose(three, "troquet")
    _all_vote(three, "2")
    three.set_state("cordee", state)
    gone = _read(three, "2")
    assert (gone["state"], gone["withdrawn_because"]) == ("withdrawn", state)
    assert _audited(three, "withdraw-proposal") == [
        {"before": "open", "after": "withdrawn", "reason": state}
    ]
    said = {"suspended": "was suspended", "left": "has left the network"}[state]
    assert f"the operator that proposed it {said}" in _page(three, "/charter/2")
    assert _read(three, "3")["state"] == "open"
    _later(three, days=10)
    assert _read(three, "2")["state"] == "withdrawn"
    assert _read(three, "3")["outcome"]["reason"] == "no_quorum"
    _propose(three, "troquet")


def test_an_edit_of_the_argument_alone_restarts_the_vote_and_leaves_a_trace(
    three: Network,
) -> None:
    before = _propose(three, "cordee")
    _all_vote(three, "2")
    three.pass_time(days=9)
    edited = _ask(three, "cordee", "PUT", f"{PATH}/2", _body(argument="Nine <i>words</i>")).json()
    assert edited["sha256"] == before["sha256"]
    assert edited["proposal_sha256"] != before["proposal_sha256"]
    assert (edited["votes"], edited["edits"], edited["edits_left"]) == ([], 1, 2)
    assert edited["closes_at"] > before["closes_at"]
    stale = {"choice": "yes", "proposal_sha256": before["proposal_sha256"]}
    assert _ask(three, "troquet", "POST", f"{PATH}/2/votes", stale).status_code == 409
    (former,) = three.hub.get(f"{PATH}/2/texts").json()["items"]
    assert former == {
        "number": 1,
        "sources": before["sources"],
        "argument": "Six are too few",
        "sha256": before["sha256"],
        "proposal_sha256": before["proposal_sha256"],
        "opened_at": before["opened_at"],
        "edited_at": edited["opened_at"],
        "edited_by": "cordee",
    }
    assert _audited(three, "edit-proposal") == [
        {"before": before["proposal_sha256"], "after": edited["proposal_sha256"]}
    ]
    assert "edited by cordee" in _page(three, "/charter/2")
    page = _page(three, "/charter/2/texts/1")
    assert "Six are too few" in page
    assert "Nine <i>words</i>" in page
    assert before["proposal_sha256"] in page
    for wrong in ("/charter/2/texts/0", "/charter/2/texts/2", "/charter/1/texts/1"):
        assert three.hub.get(wrong).status_code == 404
    _later(three, days=2)
    assert _read(three, "2")["state"] == "open"


def test_who_withdraws_a_proposal_waits_as_long_as_a_vote_before_the_next(three: Network) -> None:
    _propose(three, "cordee")
    vote = _read(three, "2")
    opened, closes = (datetime.fromisoformat(vote[name]) for name in ("opened_at", "closes_at"))
    days = (closes - opened).days
    assert _ask(three, "cordee", "DELETE", f"{PATH}/2").status_code == 204
    refused = _ask(three, "cordee", "POST", PATH, _body(9))
    assert refused.status_code == 409
    assert refused.json()["detail"].startswith("votre exploitant a retiré une proposition")
    assert _propose(three, "troquet")  # nobody else waits
    _later(three, days=days - 1)
    assert _ask(three, "cordee", "POST", PATH, _body(9)).status_code == 409
    _later(three, days=1)
    assert _ask(three, "cordee", "POST", PATH, _body(9)).status_code == 201


def test_a_proposal_is_edited_three_times_and_the_same_again_is_no_edit(three: Network) -> None:
    _propose(three, "cordee")
    for per_host in (9, 9, 10, 11):
        edited = _ask(three, "cordee", "PUT", f"{PATH}/2", _body(per_host))
        assert edited.status_code == 200
    assert (edited.json()["edits"], edited.json()["edits_left"]) == (3, 0)
    _all_vote(three, "2")
    refused = _ask(three, "cordee", "PUT", f"{PATH}/2", _body(12))
    assert refused.status_code == 409
    assert refused.json()["detail"] == "une proposition se modifie 3 fois au plus"
    found = _read(three, "2")
    assert (found["rules"]["half_days"]["per_host"], found["votes_total"]) == (11, 3)
    texts = three.hub.get(f"{PATH}/2/texts").json()["items"]
    assert [text["number"] for text in texts] == [1, 2, 3]
    assert len({text["proposal_sha256"] for text in [*texts, found]}) == 4
    admin = Browser(three.nodes["cordee"])
    admin.log_in("admin@cordee.example")
    assert "/console/charter/propose" not in admin.get("/console/charter").text
    assert admin.get("/console/charter/propose").status_code == 302


def test_adopted_versions_come_into_force_in_the_order_of_their_days(three: Network) -> None:
    """The lower number was edited, and comes later; it is the whole text that it is."""
    _propose(three, "cordee")
    _propose(three, "troquet", per_host=9)
    three.pass_time(days=1)
    assert _ask(three, "cordee", "PUT", f"{PATH}/2", _body(7)).status_code == 200
    for version in ("2", "3"):
        _all_vote(three, version)
    _later(three, days=11)
    assert [_read(three, version)["state"] for version in "23"] == ["adopted", "adopted"]
    assert "/charter/3" in three.hub.get("/charter/2").text
    coordinator = Browser(three.hub)
    coordinator.log_in("coord@hub.example")
    overview = coordinator.get("/coordination").text
    assert 'href="/charter/2"' in overview
    assert 'href="/charter/3"' in overview
    _later(three, days=40)  # nobody came meanwhile: both are due
    assert [_read(three, version)["state"] for version in "123"] == ["past", "in_force", "past"]
    assert [entry["after"] for entry in _audited(three, "in-force")] == ["3", "2"]


def test_several_open_proposals_are_voted_from_one_page(three: Network) -> None:
    _propose(three, "cordee")
    _propose(three, "troquet", per_host=9, argument="Nine are better")
    admin = Browser(three.nodes["filature"])
    admin.log_in("admin@filature.example")
    console = admin.get("/console").text
    for version in ("2", "3"):
        assert f"Version {version} of the charter is put to the vote" in console
    page = admin.get("/console/charter").text
    assert "Six are too few" in page
    assert "Nine are better" in page
    asked = page.index("cordee asks that this text replace version 1")
    assert asked < page.index("/console/charter/2/vote") < page.index("Six are too few")
    read = _read(three, "3")["proposal_sha256"]
    ballot = {"choice": "yes", "proposal_sha256": read}
    assert admin.post("/console/charter/3/vote", ballot).status_code == 302
    assert [_read(three, version)["votes_total"] for version in "23"] == [0, 1]
    assert admin.get("/console/charter/propose").status_code == 200
    following = three.hub.get(f"{PATH}?limit=1").json()["next_cursor"]
    assert admin.get(f"/console/charter?cursor={following}").status_code == 200
    assert admin.get("/console/charter?cursor=x").status_code == 422
    three.set_state("filature", "suspended")
    coordinator = Browser(three.hub)
    coordinator.log_in("coord@hub.example")
    about = Page(coordinator.get("/coordination/nodes/troquet/suspension").text).text
    assert "Its own proposal, withdrawn then" in about


def test_an_edit_and_a_vote_at_once_leave_no_vote_on_what_was_not_read(three: Network) -> None:
    read = _propose(three, "cordee")["proposal_sha256"]
    ballot = {"choice": "yes", "proposal_sha256": read}
    calls = [
        lambda: _ask(three, "cordee", "PUT", f"{PATH}/2", _body(9)),
        lambda: _ask(three, "troquet", "POST", f"{PATH}/2/votes", ballot),
    ]
    edited, voted = at_once(calls)
    assert edited.status_code == 200
    assert voted.status_code in (201, 409)
    assert _read(three, "2")["votes_total"] == 0


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rules.toml", "x = " + "9" * 5000),
        ("rules.toml", "x = " + "[" * 20_000),
        ("fr.md", f"# T\n\n## {'9' * 5000}. Un\n\nx"),
        ("en.md", f"# T\n\n## {'9' * 5000}. One\n\nx"),
    ],
)
def test_what_no_reader_takes_is_a_fault_of_the_proposal(
    lasting_network: Network, name: str, text: str
) -> None:
    body = {"sources": {**model_sources(), name: text}, "argument": "x"}
    answer = _ask(lasting_network, "cordee", "POST", PATH, body)
    assert answer.status_code == 422, answer.text
    assert "sources" in answer.json()["errors"]


def test_lists_are_read_page_by_page(three: Network) -> None:
    _propose(three, "cordee")
    _propose(three, "troquet", per_host=9)
    _all_vote(three, "2")

    def read(path: str, key: str) -> list[str]:
        found, cursor = [], ""
        while cursor is not None:
            page = three.hub.get(f"{path}limit=1&cursor={cursor}").json()
            assert len(page["items"]) == 1
            found.append(page["items"][0][key])
            cursor = page["next_cursor"]
        return found

    assert read(f"{PATH}?", "version") == ["3", "2", "1"]
    assert read(f"{PATH}?state=open&", "version") == ["3", "2"]
    assert read(f"{PATH}/2/votes?", "node") == sorted(NODES)
    assert read(f"{PATH}/2/electorate?", "node") == sorted(NODES)
    assert read(f"{PATH}/1/signatures?", "node") == sorted(NODES)
    assert three.hub.get(f"{PATH}/1/electorate").json()["items"] == []
    assert _read(three, "current")["signatures_total"] == 3
    first = three.hub.get(f"{PATH}/2/votes?limit=2").json()
    assert [vote["node"] for vote in first["items"]] == ["cordee", "filature"]
    path = f"{PATH}/2/votes?cursor={first['next_cursor']}"
    own = _ask(three, "troquet", "GET", path).json()["items"]
    assert [(vote["node"], vote.get("choice")) for vote in own] == [("troquet", "yes")]


@pytest.mark.parametrize(
    "query", ["cursor=%C3%A9", "cursor=-1", "cursor=1%0A", "stat=open", "limit=0", "limit=501"]
)
@pytest.mark.parametrize("path", ["", "/1/votes", "/1/signatures", "/1/electorate"])
def test_an_unknown_parameter_or_a_damaged_cursor_is_named(
    lasting_network: Network, path: str, query: str
) -> None:
    answer = lasting_network.hub.get(f"{PATH}{path}?{query}")
    assert answer.status_code == 422, answer.text
    assert query.partition("=")[0] in str(answer.json()["errors"])


def test_a_form_changes_a_figure_in_whatever_way_its_author_wrote_it(three: Network) -> None:
    body = _body()
    body["sources"]["rules.toml"] = body["sources"]["rules.toml"].replace(
        "rate_cents = 900", "rate_cents = 0x384"
    )
    assert _ask(three, "cordee", "POST", PATH, body).status_code == 201
    coordinator = Browser(three.hub)
    coordinator.log_in("coord@hub.example")
    asked = "/coordination/simulation?version=2&"
    for cents in ("900", "100"):
        assert coordinator.get(f"{asked}balance__rate_cents={cents}").status_code == 200
    admin = Browser(three.nodes["cordee"])
    admin.log_in("admin@cordee.example")
    form = Page(admin.get("/console/charter/propose").text).values
    classes = {"eligible_plans__classes": ["resident", "nomad"]}
    other = {**form, **classes, "balance__rate_cents": "800", "action": "preview"}
    assert admin.post("/console/charter/propose", other).status_code == 200
