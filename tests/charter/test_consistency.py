"""Figures that their article does not say, and limits that never apply."""

from __future__ import annotations

import pytest

from charter import Charter, model_sources, read_charter
from charter.consistency import unsaid, useless


def _with(figures: dict[str, str] | None = None, words: dict[str, str] | None = None) -> Charter:
    """Return the model with parts of its rules, or of both texts, put another way."""
    sources = model_sources()
    for old, new in (figures or {}).items():
        assert old in sources["rules.toml"]
        sources["rules.toml"] = sources["rules.toml"].replace(old, new, 1)
    for old, new in (words or {}).items():
        for name in ("fr.md", "en.md"):
            sources[name] = sources[name].replace(old, new)
    return read_charter("1", sources)


def _unsaid(charter: Charter) -> set[tuple[str, object, str]]:
    return {(f"{u.kind}.{u.key}", u.value, u.language) for u in unsaid(charter)}


def test_the_model_says_all_its_figures_and_none_is_useless() -> None:
    model = read_charter("1", model_sources())
    assert unsaid(model) == []
    assert useless(model) == []


@pytest.mark.parametrize(
    ("old", "new", "name", "value"),
    [
        ("per_host = 6", "per_host = 3", "half_days.per_host", 3),
        # "article 10" is there, and says nothing of half-days
        ("network = 16", "network = 10", "half_days.network", 10),
        ("trust_list_hours = 72", "trust_list_hours = 7", "offline.trust_list_hours", 7),
        ("rate_cents = 900", "rate_cents = 950", "balance.rate_cents", 950),
        ("rate_cents = 900", "rate_cents = 90000", "balance.rate_cents", 90000),
        ('split = "13:00"', 'split = "12:30"', "opening_hours.split", "12:30"),
        ('split = "13:00"', 'split = "03:00"', "opening_hours.split", "03:00"),
    ],
)
def test_a_figure_moved_alone_is_unsaid_in_both_languages(
    old: str, new: str, name: str, value: object
) -> None:
    assert _unsaid(_with({old: new})) == {(name, value, "fr"), (name, value, "en")}


def test_a_figure_said_in_one_language_is_unsaid_in_the_other() -> None:
    moved = _with({"per_host = 6": "per_host = 3"}, {"**6\u00a0demi": "**3\u00a0demi"})
    (found,) = unsaid(moved)
    assert found == ("half_days", "per_host", 3, 5, "en")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("rate_cents = 900", "rate_cents = 900", {"9,00 €": "9\u202f€", "€9.00": "€9"}),
        ("rate_cents = 900", "rate_cents = 950", {"9,00 €": "9,50 €", "€9.00": "€9.50"}),
        (
            "rate_cents = 900",
            "rate_cents = 100050",
            {"9,00 €": "1\u202f000,50 €", "€9.00": "€1,000.50"},
        ),
        (
            "tolerance_half_days = 10",
            "tolerance_half_days = 1000",
            {"10 demi": "1\u00a0000 demi", "10 half": "1 000 half"},
        ),
        ('split = "13:00"', 'split = "12:30"', {"13 h": "12 h 30", "13:00": "12:30"}),
        ('split = "13:00"', 'split = "09:00"', {"13 h": "9h", "13:00": "9:00"}),
        ("rate_cents = 900", "rate_cents = 1", {"xx": "xx"}),
    ],
)
def test_a_figure_is_found_however_it_is_spaced(old: str, new: str, words: dict[str, str]) -> None:
    barter = {'mode = "compensate"': 'mode = "barter"'} if "xx" in words else {}
    plain = {**words, **{k.replace(" ", "\u00a0"): v for k, v in words.items()}}
    assert _unsaid(_with({old: new, **barter}, plain)) == set()


def test_a_limit_above_the_networks_never_applies() -> None:
    found = useless(_with({"network = 16": "network = 3"}))
    assert [(u.kind, u.key, u.value, u.article, u.most) for u in found] == [
        ("half_days", "per_host", 6, 5, 3),
        ("paper_card", "half_days", 4, 8, 3),
    ]
    assert useless(_with({"network = 16": "network = 6"})) == []


def test_without_the_rule_no_limit_is_useless() -> None:
    rules = model_sources()["rules.toml"]
    table = rules[rules.index("[half_days]") : rules.index("# A card on paper")]
    assert useless(_with({table: ""})) == []
