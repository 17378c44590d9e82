"""The statement as a document: the same lines, the same bytes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charter import model_sources, read_charter
from charter.settlement import Line
from charter.statement import (
    StatementError,
    canonical,
    figures,
    lines_of,
    read,
    recompute,
    render,
)

RULE = read_charter("1", model_sources()).rules.balance
NODES = ("a", "b", "c", "d")
LINES = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.text(max_size=8),
            "home": st.sampled_from(NODES),
            "host": st.sampled_from(NODES),
            "half_days": st.integers(1, 60),
            "flags": st.lists(st.text(max_size=4), max_size=2),
        }
    ),
    max_size=12,
)
REVERSALS = st.lists(
    st.fixed_dictionaries(
        {
            "home": st.sampled_from(NODES),
            "host": st.sampled_from(NODES),
            "half_days": st.integers(-3, -1),
            "reason": st.text(max_size=20),
        }
    ),
    max_size=4,
)


def _made(visits: list[dict[str, Any]], corrections: list[dict[str, Any]]) -> bytes:
    totals = [Line(v["home"], v["host"], v["half_days"]) for v in [*visits, *corrections]]
    head = {"month": "2026-11", "state": "issued", **figures(totals, NODES, RULE, {})}
    return render(head, visits, corrections)


@given(LINES, REVERSALS)
@settings(max_examples=80, deadline=None, derandomize=True)
def test_a_statement_is_recomputed_byte_for_byte_from_its_lines(
    visits: list[dict[str, Any]], corrections: list[dict[str, Any]]
) -> None:
    document = _made(visits, corrections)
    assert document == canonical(json.loads(document))  # written line by line, and in one go
    assert recompute(document, RULE) == document
    head, text, lists = read(document)
    assert list(lines_of(text, lists["visits"])) == visits
    assert sum(head["balances"].values()) == sum(head["compensation"].values()) == 0


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
