"""The statement as a document: the same lines, the same bytes."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charter import model_sources, read_charter
from charter.canonical import canonical
from charter.settlement import Line
from charter.statement import StatementError, figures, in_order, read, recompute, render

RULES = read_charter("1", model_sources()).rules
RULE = RULES.balance
NODES = ("a", "b", "c", "d")
LINE = {
    "id": st.text(max_size=8),
    "day": st.dates(date(2026, 10, 30), date(2026, 11, 2)).map(str),
    "halves": st.sampled_from([["am"], ["pm"], ["am", "pm"]]),
    "home": st.sampled_from(NODES),
    "host": st.sampled_from(NODES),
    "space": st.sampled_from(NODES),
    "charter": st.just("1"),
    "flags": st.lists(st.text(max_size=4), max_size=2),
}


def _counting(line: dict[str, Any], sign: int) -> dict[str, Any]:
    return {**line, "half_days": sign * len(line["halves"])}


def _lines(sign: int, most: int, **other: st.SearchStrategy[Any]) -> Any:
    """A few lines, no two of one visit on one day and of the same halves."""
    line = st.fixed_dictionaries({**LINE, **other}).map(lambda line: _counting(line, sign))
    key = lambda line: (line["id"], line["day"], tuple(line["halves"]))  # noqa: E731
    return st.lists(line, max_size=most, unique_by=key)


LINES = _lines(1, 12)
REVERSALS = _lines(-1, 4, reason=st.text(max_size=20), recorded_on=st.just("2026-11-03"))


def _made(visits: list[dict[str, Any]], corrections: list[dict[str, Any]]) -> bytes:
    totals = [Line(v["home"], v["host"], v["half_days"]) for v in [*visits, *corrections]]
    head = {"month": "2026-11", "state": "issued", **figures(totals, NODES, RULE, {})}
    return render(head, in_order(visits), in_order(corrections))


@given(LINES, REVERSALS)
@settings(max_examples=80, deadline=None, derandomize=True)
def test_a_statement_is_recomputed_byte_for_byte_from_its_lines(
    visits: list[dict[str, Any]], corrections: list[dict[str, Any]]
) -> None:
    document = _made(visits, corrections)
    assert document == canonical(json.loads(document))  # written line by line, and in one go
    assert recompute(document, RULE) == document
    found = read(document)
    assert sorted(map(canonical, found["visits"])) == sorted(map(canonical, visits))
    assert [line["day"] for line in found["visits"]] == sorted(line["day"] for line in visits)
    assert sum(found["balances"].values()) == sum(found["compensation"].values()) == 0


@given(LINES, REVERSALS, st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_a_statement_is_the_same_in_whatever_order_its_lines_are_found(
    visits: list[dict[str, Any]], corrections: list[dict[str, Any]], random: Any
) -> None:
    document = _made(visits, corrections)
    for lines in (visits, corrections):
        random.shuffle(lines)
    assert _made(visits, corrections) == document


def test_what_barter_carries_is_recomputed_too() -> None:
    rule = replace(RULE, mode="barter")
    lines = [_counting(_line("v1", halves=["am", "pm"]), 1)]
    made = figures([Line("a", "b", 2)], NODES, rule, {"a": 7, "c": -7})
    assert made["carried"] == {"a": 5, "b": 2, "c": -7, "d": 0}
    document = render({"month": "2026-11", **made}, lines, [])
    assert recompute(document, rule) == document


def _line(name: str, **other: Any) -> dict[str, Any]:
    line = {"id": name, "day": "2026-11-02", "halves": ["am"], "home": "a", "host": "b"}
    return {**line, "half_days": 1, "space": "b", "charter": "1", "flags": [], **other}


@pytest.mark.parametrize(
    "line",
    [
        _line("v1", half_days=2),
        _line("v1", half_days=-1),
        _line("v1", half_days=0, halves=[]),
        _line("v1", half_days=2, halves=["am", "am"]),
        _line("v1", half_days=2, halves=["pm", "am"]),
        _line("v1", halves=["night"]),
        _line("v1", halves="am"),
        {name: value for name, value in _line("v1").items() if name != "day"},
        _line("v1", space=float("nan")),
    ],
)
def test_a_line_that_counts_other_than_its_halves_is_no_line(line: dict[str, Any]) -> None:
    head = figures([Line("a", "b", line["half_days"])], NODES, RULE, {})
    document = json.dumps({**head, "visits": [line], "corrections": []}).encode()
    with pytest.raises(StatementError):
        recompute(document, RULE)


def test_lines_in_another_order_are_found_out() -> None:
    lines = [_line("v2"), _line("v1")]
    head = figures([Line("a", "b", 2)], NODES, RULE, {})
    assert recompute(render(head, lines, []), RULE) == render(head, lines[::-1], [])


@given(LINES)
@settings(max_examples=30, deadline=None, derandomize=True)
def test_whoever_changes_a_figure_is_found_out(visits: list[dict[str, Any]]) -> None:
    document = json.loads(_made(visits, []))
    document["balances"]["a"] += 1
    changed = canonical(document)
    assert recompute(changed, RULE) != changed


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"{}",
        b'{"visits":[]}',
        b'{"visits":{},"corrections":[]}',
        b'{"visits":[1],"corrections":[],"balances":{},"carried":{}}',
        b'{"visits":[],"corrections":[]',
        b'{"visits":[{"home":"a"}],"corrections":[],"balances":{},"carried":{}}',
        b"[" * 100_000,
        b'{"visits":' + b"[" * 100_000,
        "\u00e9".encode("latin-1"),
    ],
)
def test_what_is_no_statement_is_said_to_be_none(document: bytes) -> None:
    with pytest.raises(StatementError):
        recompute(document, RULE)
