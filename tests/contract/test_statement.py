"""The month's account: made of visits alone, summing to zero, the same in every form."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update

from charter.settlement import Line, balances, compensation, transfers
from federation.db import db as hub_db
from federation.governance import service as governance
from federation.statements import forms
from federation.visits.models import Visit
from shared.db import begin_write
from tests.contract.speaking import access_token, kind
from tests.network import LocalNode, Network, Person, rules


@pytest.fixture(scope="module")
def told(lasting_network: Network) -> Network:
    """A network with a month of visits: two homes, two hosts, undone and offline ones among them.

    cordee's members: two half-days at troquet, one at filature; filature's: one at troquet.
    """
    network = lasting_network
    cordee, troquet, filature = (network.nodes[name] for name in ("cordee", "troquet", "filature"))
    people = [cordee.add_person().get_pass() for _ in range(3)]
    for person in people[:2]:
        _visit(troquet, person)
    moved = _visit(filature, people[2])
    assert moved
    undone = _visit(troquet, filature.add_person().get_pass())
    troquet.void(undone, reason="=1+1")
    with troquet.cut_off():
        _visit(troquet, filature.add_person().get_pass())
    troquet.deliver()
    return network


def _visit(host: LocalNode, person: Person) -> str:
    answer = host.scan(person.show())
    assert answer.status_code == 201, answer.text
    visit: str = answer.json()["visit"]["id"]
    host.check_out(visit)
    return visit


def _table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def _lines(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [*document["visits"], *document["corrections"]]


def test_balances_sum_to_zero_and_follow_from_the_lines(told: Network) -> None:
    document = told.hub.statement()
    assert document["balances"] == {"cordee": -3, "filature": 0, "troquet": 3}
    assert sum(document["balances"].values()) == 0
    assert sum(document["compensation"].values()) == 0
    lines = [Line(line["home"], line["host"], line["half_days"]) for line in _lines(document)]
    assert balances(lines, document["balances"]) == document["balances"]
    assert document["state"] == "open"


def test_corrections_are_lines_that_reverse(told: Network) -> None:
    document = told.hub.statement()
    (correction,) = document["corrections"]
    (visit,) = [line for line in document["visits"] if line["id"] == correction["id"]]
    assert (visit["half_days"], correction["half_days"]) == (1, -1)
    assert correction["reason"] == "=1+1"
    assert {k: v for k, v in visit.items() if k != "half_days"} == {
        k: v for k, v in correction.items() if k not in ("half_days", "reason", "recorded_at")
    }


def test_a_visit_admitted_offline_is_flagged_and_the_others_are_not(told: Network) -> None:
    flags = [line["flags"] for line in told.hub.statement()["visits"]]
    assert sorted(flags) == [[], [], [], [], ["offline"]]


@pytest.mark.parametrize("path", ["2026-11.csv", "2026-11?format=csv"])
def test_the_table_says_what_the_document_says(told: Network, path: str) -> None:
    document = told.hub.statement()
    answer = told.hub.get(f"/api/v1/statements/{path}", told.hub.token)
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert 'filename="passerelle-2026-11.csv"' in answer.headers["Content-Disposition"]
    table = _table(answer.text)
    for kind_, lines in (("visit", document["visits"]), ("correction", document["corrections"])):
        rows = [row for row in table if row["kind"] == kind_]
        assert [(r["visit"], r["home"], r["host"], int(r["half_days"])) for r in rows] == [
            (line["id"], line["home"], line["host"], line["half_days"]) for line in lines
        ]
        assert [row["flags"].split() for row in rows] == [line["flags"] for line in lines]
    rows = [row for row in table if row["kind"] == "balance"]
    assert {row["host"]: int(row["half_days"]) for row in rows} == document["balances"]
    assert {row["host"]: int(row["cents"]) for row in rows} == document["compensation"]


def test_the_form_can_be_asked_for_by_the_accept_header(told: Network) -> None:
    path = "/api/v1/statements/2026-11"
    for accept, mimetype in (
        ("text/csv", "text/csv"),
        ("application/json", "application/json"),
        ("*/*", "application/json"),
        ("text/html", "application/json"),
    ):
        answer = told.hub.get(path, told.hub.token, Accept=accept)
        assert answer.headers["Content-Type"].startswith(mimetype), accept


def test_no_cell_of_the_table_is_a_formula() -> None:
    hostile = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("x")']
    line = {
        "id": "i",
        "home": "h",
        "host": "o",
        "space": "s",
        "started_at": "2026-11-24",
        "half_days": -1,
        "charter": "1",
        "flags": [],
    }
    document = {
        "visits": [{**line, "space": text, "flags": [text]} for text in hostile],
        "corrections": [{**line, "home": text, "half_days": -1} for text in hostile],
        "balances": dict.fromkeys(hostile, -2),
        "compensation": dict.fromkeys(hostile, -900),
    }
    table = _table(forms.as_csv(document))
    assert len(table) == 3 * len(hostile)
    for row in table:
        for name, cell in row.items():
            number = name in ("half_days", "cents") and cell.lstrip("-").isdigit()
            assert number or cell[:1] not in ("=", "+", "-", "@", "\t", "\r"), (name, cell)


def test_a_hostile_name_that_was_recorded_is_harmless_in_the_table(network: Network) -> None:
    visit = _visit(network.nodes["troquet"], network.nodes["cordee"].add_person())
    with network.hub.app.app_context():
        begin_write(hub_db.session())
        flagged = update(Visit).where(Visit.id == visit).values(flags=["=cmd|'/C calc'!A0"])
        hub_db.session.execute(flagged)
        hub_db.session.commit()
    text = network.hub.get("/api/v1/statements/2026-11.csv", network.hub.token).text
    assert "'=cmd" in text
    assert ",=cmd" not in text


def test_each_node_has_a_statement_of_its_own_lines(told: Network) -> None:
    whole = told.hub.statement()
    for name in ("cordee", "troquet", "filature"):
        own = told.hub.get(f"/api/v1/statements/2026-11/{name}", told.hub.token).json()
        assert own["node"] == name
        assert own["balances"] == {name: whole["balances"][name]}
        assert own["compensation"] == {name: whole["compensation"][name]}
        assert _lines(own) == [
            line for line in _lines(whole) if name in (line["home"], line["host"])
        ]
        table = told.hub.get(f"/api/v1/statements/2026-11/{name}.csv", told.hub.token).text
        assert [row["visit"] for row in _table(table) if row["visit"]] == [
            line["id"] for line in _lines(own)
        ]


@pytest.mark.parametrize("suffix", ["", ".csv", ".json"])
def test_a_node_reads_the_whole_and_its_own_statement_but_no_other_ones(
    told: Network, suffix: str
) -> None:
    token = access_token(told.nodes["cordee"])
    path = "/api/v1/statements/2026-11"
    assert told.hub.get(path + suffix, token).status_code == 200
    assert told.hub.get(f"{path}/cordee{suffix}", token).status_code == 200
    assert kind(told.hub.get(f"{path}/troquet{suffix}", token)) == (403, "forbidden")
    assert kind(told.hub.get(path + suffix)) == (401, "unauthenticated")


@pytest.mark.parametrize(
    "month",
    [
        "2026-13",
        "2026-00",
        "2026-1",
        "26-11",
        "2026",
        "2026-11-24",
        "november",
        "1999-12",
        "20２６-11",
    ],
)
def test_a_month_that_is_none_is_not_there(told: Network, month: str) -> None:
    for path in (month, f"{month}/cordee", f"{month}.csv"):
        answer = told.hub.get(f"/api/v1/statements/{path}", told.hub.token)
        assert kind(answer) == (404, "not-found"), path


def test_a_node_that_is_none_has_no_statement(told: Network) -> None:
    for name in ("nobody", "nobody.csv", "cordee.xml"):
        answer = told.hub.get(f"/api/v1/statements/2026-11/{name}", told.hub.token)
        assert kind(answer) == (404, "not-found"), name


def test_a_month_without_visits_is_an_account_all_the_same(told: Network) -> None:
    document = told.hub.statement("2026-10")
    assert (document["visits"], document["corrections"], document["transfers"]) == ([], [], [])
    assert set(document["balances"].values()) == {0}
    assert set(document["balances"]) == {"cordee", "troquet", "filature"}


def test_beyond_the_tolerance_the_fewest_transfers_settle_the_month(
    make_network: Callable[..., Network],
) -> None:
    network = make_network(rules=rules(tolerance_half_days=1, rate_cents=900))
    cordee, troquet, filature = map(network.add_node, ("cordee", "troquet", "filature"))
    for _ in range(3):
        _visit(troquet, cordee.add_person())
    _visit(filature, cordee.add_person())
    document = network.hub.statement()
    assert document["balances"] == {"cordee": -4, "filature": 1, "troquet": 3}
    assert document["compensation"] == {"cordee": -1800, "filature": 0, "troquet": 1800}
    assert document["transfers"] == [{"from": "cordee", "to": "troquet", "cents": 1800}]
    own = network.hub.get("/api/v1/statements/2026-11/filature", network.hub.token).json()
    assert own["transfers"] == []
    with network.hub.app.app_context():
        rule = governance.in_force(hub_db.session()).rules.balance
    cents = compensation(document["balances"], rule)
    assert cents == document["compensation"]
    assert [(t.payer, t.payee, t.amount) for t in transfers(cents)] == [("cordee", "troquet", 1800)]
