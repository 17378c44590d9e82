"""The language-neutral cases of ``charter/cases``, one test for each (how: charter/README.md)."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import charter
from charter import CODES, Charter, Decision, decide, facts_from_json, facts_to_json, model_sources
from charter.rules import OPTIONAL, Rules, read_rules
from charter.settlement import Line, balances, compensation, transfers
from charter.voting import Ballot, Proposal, Standing, outcome

FOLDER = Path(charter.__file__).parent / "cases"
MODEL = charter.read_charter("1", model_sources())
CASES = [
    pytest.param(case, id=f"{path.stem}: {case['name']}")
    for path in sorted(FOLDER.glob("*.json"))
    for case in json.loads(path.read_text(encoding="utf-8"))
]
DECISIONS = [param for param in CASES if "facts" in param.values[0]]
SETTLEMENTS = [param for param in CASES if "lines" in param.values[0]]
VOTES = [param for param in CASES if "electorate" in param.values[0]]
EVERY_DECISION: list[dict[str, Any]] = [param.values[0] for param in DECISIONS]


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


@pytest.mark.parametrize("code", CODES)
def test_every_code_is_the_only_reason_of_some_case(code: str) -> None:
    assert any(case["expect"]["codes"] == [code] for case in EVERY_DECISION)


def test_there_are_cases_enough_and_no_two_have_one_name() -> None:
    names = Counter(param.id for param in CASES)
    assert len(CASES) == len(DECISIONS) + len(SETTLEMENTS) + len(VOTES)
    assert len(DECISIONS) >= 55
    assert len(SETTLEMENTS) >= 10
    assert len(VOTES) >= 25
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
