"""The second account says what the charter's cases expect, before it judges the first one."""

from __future__ import annotations

import json
import tomllib
from datetime import date, datetime, time
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.e2e import recompute
from tests.e2e.processes import ROOT

CASES = ROOT / "charter" / "cases"
RULE = tomllib.loads((ROOT / "charter" / "rules.toml").read_text())["balance"]


def _cases(name: str) -> list[Any]:
    found = json.loads((CASES / f"{name}.json").read_text())
    return [pytest.param(case, id=case["name"]) for case in found]


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


@pytest.mark.parametrize("case", _cases("settlement"))
def test_it_settles_as_the_cases_expect(case: dict[str, Any]) -> None:
    expected, rule = case["expect"], {**RULE, **case["rule"]}
    balances = recompute.balances_of([tuple(line) for line in case["lines"]], [])
    assert balances == expected["balances"]
    cents = recompute.compensation_of(balances, rule)
    assert cents == expected["compensation"]
    assert [list(each) for each in recompute.transfers_of(cents)] == expected["transfers"]


@pytest.mark.parametrize("case", _cases("statement"))
def test_it_writes_the_documents_that_the_cases_expect(case: dict[str, Any]) -> None:
    given, rule = case["statement"], {**RULE, **case["rule"]}
    lines = {name: recompute.in_order(given[name]) for name in ("visits", "corrections")}
    told = [(x["home"], x["host"], x["half_days"]) for found in lines.values() for x in found]
    figures = recompute.figures_of(told, given["nodes"], rule, given["brought_forward"])
    assert figures == case["expect"]["figures"]
    body = recompute.canonical({**given["head"], **figures, **lines})
    assert sha256(body).hexdigest() == case["expect"]["sha256"]


@pytest.mark.parametrize("case", _cases("openings"))
def test_it_finds_the_days_that_the_cases_expect(case: dict[str, Any]) -> None:
    at = datetime.fromisoformat(case["at"])
    day, openings, closes_at = recompute.day_of(case["schedule"], at)
    expected = case["expect"]
    if "day" in expected:
        assert day.isoformat() == expected["day"]
    if "openings" in expected:
        spans = None if openings is None else [list(span) for span in openings]
        told = expected["openings"]
        assert spans == (told and [[_instant(a), _instant(b)] for a, b in told])
    if "closes_at" in expected:
        assert closes_at == _instant(expected["closes_at"])


@pytest.mark.parametrize("case", _cases("halfdays"))
def test_it_counts_the_half_days_that_the_cases_expect(case: dict[str, Any]) -> None:
    visit, expected = case["visit"], case["expect"]
    noon = time.fromisoformat(case.get("rules", {}).get("opening_hours", {}).get("split", "13:00"))
    day = date.fromisoformat(visit.get("day", "2026-07-07"))
    told = visit.get("openings", [[f"{day}T09:00:00+02:00", f"{day}T19:00:00+02:00"]])
    openings = None if told is None else [tuple(map(datetime.fromisoformat, x)) for x in told]
    zone = ZoneInfo(visit.get("timezone", "Europe/Paris"))
    start, end = datetime.fromisoformat(visit["start"]), _instant(expected["end"])
    split = datetime.combine(day, noon, zone)
    halves = recompute.touched(start, end, day, openings, split)
    assert [f"{day} {half}" for half in halves] == expected["half_days"]
