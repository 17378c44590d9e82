"""Changing a figure of the rules, and nothing else of their text."""

from __future__ import annotations

import pytest

from charter import RulesError, model_sources
from charter.rules import parse_rules
from shared.wire.rule_figures import with_figures

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


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("rate_cents = 900", "rate_cents = 9_00"),
        ("rate_cents = 900", "rate_cents=900 # cents"),
        ('mode = "compensate"', "mode = 'compensate'"),
        ("rate_cents = 900", "rate_cents = 1_000"),
        ("rate_cents = 900", "rate_cents = 0x384"),
        ("rate_cents = 900", "rate_cents = +900"),
        ("rate_cents = 900", "  rate_cents = 900"),
        ("rate_cents = 900", '"rate_cents" = 900'),
        ("[balance]", "[ balance ]"),
        ("[balance]", '["balance"]'),
    ],
)
def test_other_ways_to_write_a_figure_are_changed_as_well(before: str, after: str) -> None:
    toml = TOML.replace(before, after)
    assert toml != TOML
    changed = parse_rules(
        with_figures(toml, {"balance.rate_cents": "850", "balance.mode": '"barter"'})
    )
    assert (changed.balance.rate_cents, changed.balance.mode) == (850, "barter")


@pytest.mark.parametrize(
    "after",
    [
        'rate_cents = 900\nnote = """\nrate_cents = 900\n"""',
        'rate_cents = 900\nnote = """\n[balance]\nrate_cents = 900\n"""',
    ],
)
def test_what_only_looks_like_a_figure_is_let_be(after: str) -> None:
    toml = TOML.replace("rate_cents = 900", after)
    assert toml != TOML
    assert with_figures(toml, {"balance.rate_cents": "900"}) == toml
    changed = with_figures(toml, {"balance.rate_cents": "850"})
    assert changed == toml.replace("rate_cents = 900", "rate_cents = 850", 1)


def test_a_figure_of_an_inline_table_is_changed_as_well() -> None:
    start = TOML.index("[vote]")
    end = TOML.index("# The shared values")
    inline = 'vote = {article = 14, quorum = "1/2", majority = "2/3", days = 10}\n'
    toml = inline + TOML[:start] + TOML[end:]
    assert parse_rules(toml).vote.days == 10
    changed = with_figures(toml, {"vote.days": "12"})
    assert changed == toml.replace("days = 10}", "days = 12}")


@pytest.mark.parametrize("name", ["no.such", "vote.such", "vote", "such"])
def test_a_figure_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(RulesError, match=name):
        with_figures(TOML, {name: "1"})
