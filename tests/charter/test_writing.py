"""Changing a figure of the rules, and nothing else of their text."""

from __future__ import annotations

import pytest

from charter import model_sources
from charter.rules import parse_rules
from charter.writing import with_figures

TOML = model_sources()["rules.toml"]


@pytest.mark.parametrize(
    ("name", "written", "value"),
    [
        ("half_days.per_host", "9", 9),
        ("seniority.days", "7", 7),
        ("vote.days", "12", 12),
        ("vote.majority", '"3/4"', "3/4"),
        ("eligible_plans.classes", '["nomad"]', ("nomad",)),
        ("balance.mode", '"barter"', "barter"),
    ],
)
def test_one_figure_changes_and_every_other_line_stays(
    name: str, written: str, value: object
) -> None:
    changed = with_figures(TOML, {name: written})
    table, _, key = name.partition(".")
    found = getattr(getattr(parse_rules(changed), table), key)
    assert (str(found) if isinstance(value, str) else found) == value
    lines = [(a, b) for a, b in zip(TOML.splitlines(), changed.splitlines(), strict=True) if a != b]
    assert len(lines) == 1


def test_without_figures_nothing_changes() -> None:
    assert with_figures(TOML, {}) == TOML
    assert with_figures(TOML, {"no.such": "1"}) == TOML
