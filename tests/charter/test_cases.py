"""The language-neutral cases of ``charter/cases``, one test for each (how: charter/README.md)."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from dataclasses import asdict
from datetime import date, datetime
from hashlib import sha256
from itertools import permutations
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

import charter
from charter import (
    CODES,
    Charter,
    Decision,
    decide,
    facts_from_json,
    facts_to_json,
    model_sources,
    statement,
)
from charter.hours import read_schedule
from charter.model import fingerprint
from charter.rules import OPTIONAL, Rules, read_rules
from charter.settlement import Line, balances, compensation, transfers
from charter.timeline import Stay, counted, place
from charter.voting import Ballot, Proposal, Standing, outcome
from tests.charter.months import Months

FOLDER = Path(charter.__file__).parent / "cases"
MODEL = charter.read_charter("1", model_sources())
# The key that only cases of this kind have.
KINDS = (
    "facts",
    "lines",
    "visit",
    "visits",
    "schedule",
    "statement",
    "sources",
    "electorate",
    "events",
)
CASES = [
    pytest.param(case, id=f"{path.stem}: {case['name']}")
    for path in sorted(FOLDER.glob("*.json"))
    for case in json.loads(path.read_text(encoding="utf-8"))
]
OF_KIND = {kind: [param for param in CASES if kind in param.values[0]] for kind in KINDS}
DECISIONS, SETTLEMENTS = OF_KIND["facts"], OF_KIND["lines"]
VOTES = OF_KIND["electorate"]
EVERY_DECISION: list[dict[str, Any]] = [param.values[0] for param in DECISIONS]
LATER = "2027-01-01T00:00:00+00:00"


def rules_of(overrides: dict[str, Any]) -> Rules:
    """Return the model rules with tables changed key by key; null takes a table away."""
    tables = tomllib.loads(model_sources()["rules.toml"])
    for name, override in overrides.items():
        if override is None:
            del tables[name]
        else:
            tables[name] = {**tables.get(name, {}), **override}
    return read_rules(tables)


def decided(case: dict[str, Any]) -> Decision:
    """Decide a case as its reader should."""
    own = Charter(MODEL.version, MODEL.sources, rules_of(case.get("rules", {})), MODEL.texts)
    return decide(own, facts_from_json(case["facts"]), datetime.fromisoformat(case["now"]))


def instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


@pytest.mark.parametrize("case", DECISIONS)
def test_a_case_is_decided_as_it_says(case: dict[str, Any]) -> None:
    decision, expected = decided(case), case["expect"]
    assert [reason.code for reason in decision.reasons] == expected["codes"]
    assert [reason.article for reason in decision.reasons] == expected["articles"]
    assert decision.to_json("en")["outcome"] == expected["outcome"]
    assert list(decision.unverified) == expected["unverified"]
    wanted, terms = dict(expected.get("terms", {})), decision.terms.to_json()
    if "until" in wanted:
        assert instant(terms["until"]) == instant(wanted.pop("until"))
    assert {name: terms[name] for name in wanted} == wanted


@pytest.mark.parametrize("case", SETTLEMENTS)
def test_a_month_is_settled_as_its_case_says(case: dict[str, Any]) -> None:
    rule = rules_of({"balance": case["rule"]}).balance
    half_days = balances([Line(*line) for line in case["lines"]])
    cents = compensation(half_days, rule)
    moves = [[move.payer, move.payee, move.amount] for move in transfers(cents)]
    expected = case["expect"]
    assert half_days == expected["balances"]
    assert cents == expected["compensation"]
    assert moves == expected["transfers"]


@pytest.mark.parametrize("case", VOTES)
def test_a_vote_ends_as_its_case_says(case: dict[str, Any]) -> None:
    proposal = Proposal(
        case["fingerprint"],
        datetime.fromisoformat(case["opened_at"]),
        rules_of({"vote": case["rule"]}).vote,
        frozenset(case["electorate"]),
    )
    cast = [Ballot(**{**b, "at": datetime.fromisoformat(b["at"])}) for b in case["ballots"]]
    standings = [
        Standing(s["node"], s["state"] in ("suspended", "left"), datetime.fromisoformat(s["at"]))
        for s in case["standings"]
    ]
    found = outcome(proposal, cast, standings, datetime.fromisoformat(case["now"]))
    expected = case["expect"]
    assert proposal.closes_at == datetime.fromisoformat(expected["closes_at"])
    assert (found.state, found.reason) == (expected["state"], expected["reason"])
    assert asdict(found.tally) == expected["tally"]


def stay(visit: dict[str, Any]) -> Stay:
    """Read a visit; what is left out is as README.md says."""
    openings = visit.get("openings", [["2026-07-07T09:00+02:00", "2026-07-07T19:00+02:00"]])
    start = datetime.fromisoformat(visit["start"])
    return Stay(
        id=visit.get("id", "v1"),
        host=visit.get("host", "here"),
        space=visit.get("host", "here"),
        zone=ZoneInfo(visit.get("timezone", "Europe/Paris")),
        start=start,
        shown_at=instant(visit.get("shown_at")) or start,
        day=date.fromisoformat(visit.get("day", "2026-07-07")),
        openings=None if openings is None else tuple(pair(each) for each in openings),
        closes_at=datetime.fromisoformat(visit.get("closes_at", "2026-07-07T19:00+02:00")),
        left_at=instant(visit.get("left_at")),
        stands=visit.get("stands", True),
        cuts=visit.get("cuts", True),
    )


def pair(both: list[str]) -> tuple[datetime, datetime]:
    opens, closes = both
    return datetime.fromisoformat(opens), datetime.fromisoformat(closes)


@pytest.mark.parametrize("case", OF_KIND["visit"])
def test_a_visit_touches_the_half_days_that_its_case_says(case: dict[str, Any]) -> None:
    visit, now = case["visit"], datetime.fromisoformat(case.get("now", LATER))
    stays = [stay(visit)]
    if "next_start" in visit:
        stays.append(stay({"id": "v2", "host": "elsewhere", "start": visit["next_start"]}))
    first = place(stays, now)[0]
    touched = first.half_days(rules_of(case.get("rules", {})).opening_hours.split)
    assert first.end == instant(case["expect"]["end"])
    assert [f"{day} {half}" for day, half in touched] == case["expect"]["half_days"]


@pytest.mark.parametrize("case", OF_KIND["visits"])
def test_the_visits_of_a_person_end_and_count_as_their_case_says(case: dict[str, Any]) -> None:
    given, expected = [stay(visit) for visit in case["visits"]], case["expect"]
    for order in permutations(given):
        stays = place(order, datetime.fromisoformat(case.get("now", LATER)))
        ends = {name: instant(end) for name, end in expected["ends"].items()}
        assert {each.id: each.end for each in stays} == ends
        counts: dict[str, dict[str, list[str]]] = {}
        for (host, half_day), carriers in counted(stays, MODEL.rules.opening_hours.split).items():
            name = f"{half_day.day} {half_day.half}"
            counts.setdefault(host, {})[name] = [each.id for each in carriers]
        assert counts == expected["counted"]


@pytest.mark.parametrize("case", OF_KIND["schedule"])
def test_a_schedule_is_read_as_its_case_says(case: dict[str, Any]) -> None:
    schedule, at = read_schedule(case["schedule"]), datetime.fromisoformat(case["at"])
    expected, found = case["expect"], schedule.day_of(at)
    opening, openings = expected["opening"], expected["openings"]
    assert schedule.known == expected["known"]
    assert schedule.opening_at(at) == (opening and pair(opening))
    assert schedule.next_opening(at) == instant(expected["next_opening"])
    assert (str(found.day), found.closes_at) == (expected["day"], instant(expected["closes_at"]))
    assert found.openings == (None if openings is None else tuple(map(pair, openings)))


@pytest.mark.parametrize("case", OF_KIND["statement"])
def test_a_statement_has_the_bytes_that_its_case_says(case: dict[str, Any]) -> None:
    given, expected = case["statement"], case["expect"]
    rule = rules_of({"balance": case["rule"]}).balance
    visits, corrections = (statement.in_order(given[name]) for name in ("visits", "corrections"))
    totals = [Line(line["home"], line["host"], line["half_days"]) for line in given["visits"]]
    totals += [Line(line["home"], line["host"], line["half_days"]) for line in corrections]
    figures = statement.figures(totals, given["nodes"], rule, given["brought_forward"])
    document = statement.render({**given["head"], **figures}, visits, corrections)
    assert figures == expected["figures"]
    assert document.decode() == expected.get("document", document.decode())
    assert sha256(document).hexdigest() == expected["sha256"]
    assert statement.recompute(document, rule) == document


@pytest.mark.parametrize("case", OF_KIND["sources"])
def test_a_charter_has_the_hash_that_its_case_says(case: dict[str, Any]) -> None:
    assert fingerprint(case["version"], case["sources"]) == case["expect"]["sha256"]


@pytest.mark.parametrize("case", OF_KIND["events"])
def test_the_months_have_the_lines_that_their_case_says(case: dict[str, Any]) -> None:
    """The hub keeps them in its database; this holds the cases against their own definition."""
    months, expected = Months(), case["expect"]
    for event in case["events"]:
        months.tell(*event)
    assert {month: sorted(months.of(month)) for month in months.issued} == expected["months"]
    assert sorted(months.free()) == expected["free"]
    assert sorted(months.held) == expected["held"]


@pytest.mark.parametrize("code", CODES)
def test_every_code_is_the_only_reason_of_some_case(code: str) -> None:
    assert any(case["expect"]["codes"] == [code] for case in EVERY_DECISION)


def kinds_of(case: dict[str, Any]) -> list[str]:
    return [kind for kind in KINDS if kind in case]


def test_there_are_cases_enough_and_no_two_have_one_name() -> None:
    names = Counter(param.id for param in CASES)
    assert [kinds for param in CASES if len(kinds := kinds_of(param.values[0])) != 1] == []
    least = {"facts": 150, "lines": 25, "visit": 20, "visits": 10, "schedule": 20}
    assert all(len(OF_KIND[kind]) >= least.get(kind, 7) for kind in KINDS)
    assert [name for name, times in names.items() if times > 1] == []


@pytest.mark.parametrize("case", DECISIONS)
def test_the_facts_of_a_case_are_written_as_the_network_writes_them(case: dict[str, Any]) -> None:
    assert facts_to_json(facts_from_json(case["facts"])) == case["facts"]


def test_every_optional_rule_is_left_out_in_some_case() -> None:
    left_out = {
        name
        for case in EVERY_DECISION
        for name, override in case.get("rules", {}).items()
        if override is None
    }
    assert left_out == OPTIONAL
