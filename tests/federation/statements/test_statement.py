"""The month's account: made of visits alone, summing to zero, the same in every form."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pypdfium2
import pytest
from flask_babel import force_locale
from sqlalchemy import update

from charter.canonical import canonical
from charter.settlement import Line, balances, compensation, transfers
from federation.charters import service as charters
from federation.db import db as hub_db
from federation.statements import exports
from federation.visits.models import Visit
from node.hub import service as sync
from node.statements import service
from shared.store.db import begin_write
from shared.web.reasons import FLAG_NAMES
from shared.wire.problems import Problem
from tests.contract.speaking import access_token, kind
from tests.network import LocalNode, Network, Person, rules

pytestmark = pytest.mark.both_databases


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
    assert correction["recorded_on"] == visit["day"] == "2026-11-24"
    assert visit["halves"] == ["am"]
    assert {k: v for k, v in visit.items() if k != "half_days"} == {
        k: v for k, v in correction.items() if k not in ("half_days", "reason", "recorded_on")
    }


def test_no_line_tells_the_second_at_which_somebody_came(told: Network) -> None:
    for line in _lines(told.hub.statement()):
        assert set(line) - {"reason", "recorded_on"} == {
            *("id", "day", "halves", "half_days", "home", "host", "space", "charter", "flags")
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
        for row, line in zip(rows, lines, strict=True):
            for name in ("id", "day", "home", "host", "space", "charter"):
                assert row[name] == line[name]
            assert int(row["half_days"]) == line["half_days"]
            assert row["halves"].split() == line["halves"]
            assert row["flags"].split() == line["flags"]
            assert row["reason"].removeprefix("'") == line.get("reason", "")
            assert row["recorded_on"] == line.get("recorded_on", "")
    rows = [row for row in table if row["kind"] == "balance"]
    assert {row["host"]: int(row["half_days"]) for row in rows} == document["balances"]
    assert {row["host"]: int(row["cents"]) for row in rows} == document["compensation"]
    said = {(row["month"], row["state"], row["revision"]) for row in table}
    assert said == {("2026-11", "open", "0")}


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


def _document(**values: Any) -> bytes:
    line = {
        "id": "0123456789abcdef0123456789",
        "day": "2026-11-24",
        "halves": ["am", "pm"],
        "half_days": 2,
        "home": "cordee",
        "host": "troquet",
        "space": "le-troquet",
        "charter": "1",
        "flags": ["offline", "quota_host"],
    }
    document = {
        "month": "2026-11",
        "state": "final",
        "revision": 7,
        "issued_at": None,
        "charter": "3",
        "currency": "EUR",
        "disputed": ["fedcba9876543210fedcba9876"],
        "visits": [line],
        "corrections": [
            {**line, "half_days": -2, "reason": "a mistake", "recorded_on": "2026-11-25"}
        ],
        "balances": {"cordee": -21, "troquet": 21},
        "compensation": {"cordee": -9900, "troquet": 9900},
        "carried": {"cordee": -5, "troquet": 5},
        "transfers": [{"from": "cordee", "to": "troquet", "cents": 9900}],
    }
    return canonical({**document, **values})


def test_no_cell_of_the_table_is_a_formula() -> None:
    hostile = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("x")']
    (line,) = json.loads(_document())["visits"]
    more = {"half_days": -2, "reason": "=1", "recorded_on": "2026-11-25"}
    document = _document(
        visits=[{**line, "space": text, "flags": [text]} for text in hostile],
        corrections=[{**line, **more, "home": text} for text in hostile],
        balances=dict.fromkeys(hostile, -2),
        compensation=dict.fromkeys(hostile, -900),
    )
    table = _table(exports.as_csv(document))
    assert len(table) == 3 * len(hostile) + 4
    for row in table:
        for name, cell in row.items():
            number = name in ("half_days", "cents") and cell.lstrip("-").isdigit()
            assert number or cell[:1] not in ("=", "+", "-", "@", "\t", "\r"), (name, cell)


def test_the_table_has_a_row_for_every_thing_that_the_document_says() -> None:
    rows = {(row["kind"], row["host"]): row for row in _table(exports.as_csv(_document()))}
    assert {(row["month"], row["state"], row["revision"]) for row in rows.values()} == {
        ("2026-11", "final", "7")
    }
    transfer = rows["transfer", "troquet"]
    assert (transfer["home"], transfer["cents"], transfer["currency"]) == ("cordee", "9900", "EUR")
    assert rows["carried", "cordee"]["half_days"] == "-5"
    assert rows["balance", "cordee"]["cents"] == "-9900"
    assert rows["correction", "troquet"]["reason"] == "a mistake"
    assert rows["disputed", ""]["id"] == "fedcba9876543210fedcba9876"


@pytest.mark.parametrize(
    ("language", "words", "money"),
    [("fr", "après-midi", "−99,00 €"), ("en", "afternoon", "−€99.00")],
)
def test_the_printed_form_says_what_the_document_says(
    told: Network, language: str, words: str, money: str
) -> None:
    made_at = datetime(2026, 12, 1, tzinfo=UTC)
    with told.hub.app.test_request_context("/"), force_locale(language):
        names = {"cordee": "La Cordée"}
        pdf = exports.as_pdf(_document(), names, language, made_at)
        flag = str(FLAG_NAMES["quota_host"])
    text = _text(pdf)
    for expected in (
        *("0123456789abcdef0123456789", "fedcba9876543210fedcba9876", "La Cordée", "troquet"),
        *("le-troquet", "−21", money, "−5", "+5", "a mistake", words, flag, "7", "3"),
    ):
        assert _squeezed(expected) in _squeezed(text), expected
    assert not re.search("-[0-9€]", text.replace("2026-", ""))


def _squeezed(text: str) -> str:
    return "".join(text.split())


def _text(pdf: bytes) -> str:
    pages = pypdfium2.PdfDocument(pdf)
    return "\n".join(page.get_textpage().get_text_bounded() for page in pages)


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
        ids = [row["id"] for row in _table(table) if row["kind"] in ("visit", "correction")]
        assert ids == [line["id"] for line in _lines(own)]


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
        rule = charters.in_force(hub_db.session()).rules.balance
    cents = compensation(document["balances"], rule)
    assert cents == document["compensation"]
    assert [(t.payer, t.payee, t.amount) for t in transfers(cents)] == [("cordee", "troquet", 1800)]


def test_an_operator_that_has_not_signed_the_charter_reads_no_account(
    make_network: Callable[..., Network],
) -> None:
    network = make_network(nodes=("cordee",))
    stranger = network.add_node("stranger", signs=False)
    token = access_token(stranger)
    for path in ("", "/2026-11", "/2026-11.csv", "/2026-11.jws", "/2026-11/stranger"):
        answer = network.hub.get(f"/api/v1/statements{path}", token)
        assert kind(answer) == (403, "charter-unsigned"), path
    with stranger.context() as (session, context):
        with pytest.raises(Problem, match="charter-unsigned"):
            service.month_of(session, context, "2026-11")
        sync.sign_charter(session, context)
    assert network.hub.get("/api/v1/statements/2026-11", token).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/statements?cursor=x",
        "/statements?cursor=2026-13",
        "/statements?after=2026-11",
        "/statements?limit=0",
        "/statements/2026-11?node=cordee",
        "/disputes?month=2026-11&cursor=x",
        "/disputes?month=2026-11&cursor=-1",
        "/disputes?month=2026-11&state=open",
    ],
)
def test_a_damaged_cursor_or_an_unknown_parameter_is_refused(told: Network, path: str) -> None:
    assert kind(told.hub.get(f"/api/v1{path}", told.hub.token)) == (422, "validation")
