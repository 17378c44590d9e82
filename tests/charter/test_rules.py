"""Reading the rules: a closed set of kinds, and every fault named at once."""

from __future__ import annotations

import tomllib
from datetime import time
from fractions import Fraction
from typing import Any

import pytest

from charter import Rules, RulesError, model_sources, read_charter
from charter.model import fingerprint, with_rules
from charter.rules import KINDS, OPTIONAL, parse_rules, read_rules

TOML = model_sources()["rules.toml"]
COUNT = "a whole number from 0 to 1000000 is expected"
ARTICLE = "an article number from 1 is expected"
TIME = 'a time like "13:00" is expected'
SHARE = 'a share like "2/3" is expected'
SHARE_RANGE = 'a share above 0 and up to 1, like "2/3", is expected'
CURRENCY = 'an ISO 4217 code like "EUR" is expected'


def tables() -> dict[str, Any]:
    return tomllib.loads(TOML)


def faults_of(document: dict[str, Any]) -> list[str]:
    with pytest.raises(RulesError) as caught:
        read_rules(document)
    return caught.value.faults


def test_the_model_rules_are_read_with_their_types() -> None:
    rules = parse_rules(TOML)
    assert (rules.articles.pass_, rules.articles.membership, rules.articles.host) == (8, 15, 6)
    assert rules.eligible_plans is not None
    assert rules.eligible_plans.classes == ("nomad", "resident")
    assert rules.opening_hours.split == time(13)
    assert (rules.vote.quorum, rules.vote.majority) == (Fraction(1, 2), Fraction(2, 3))
    assert (rules.balance.mode, rules.balance.rate_cents) == ("compensate", 900)
    assert read_rules(tables()) == rules


def test_every_kind_has_a_table_in_the_model_rules_and_a_place_in_the_rules() -> None:
    assert set(tables()) == set(KINDS) == set(Rules.__slots__)


@pytest.mark.parametrize("name", sorted(OPTIONAL))
def test_an_optional_rule_that_is_absent_is_not_in_force(name: str) -> None:
    document = tables()
    del document[name]
    assert getattr(read_rules(document), name) is None


@pytest.mark.parametrize("name", sorted(set(KINDS) - OPTIONAL))
def test_a_required_rule_that_is_absent_is_named(name: str) -> None:
    document = tables()
    del document[name]
    assert faults_of(document) == [f"{name}: missing"]


def test_an_unknown_rule_kind_is_named() -> None:
    assert faults_of({**tables(), "karma": {}, "age": {}}) == [
        "age: unknown rule kind",
        "karma: unknown rule kind",
    ]


@pytest.mark.parametrize("name", sorted(KINDS))
def test_an_unknown_key_is_named_in_every_kind(name: str) -> None:
    document = tables()
    document[name]["colour"] = "red"
    assert faults_of(document) == [f"{name}.colour: unknown key"]


@pytest.mark.parametrize(
    ("name", "key"), [(name, key) for name, table in tables().items() for key in table]
)
def test_a_missing_key_is_named(name: str, key: str) -> None:
    document = tables()
    del document[name][key]
    assert faults_of(document) == [f"{name}.{key}: missing"]


@pytest.mark.parametrize("name", sorted(KINDS))
@pytest.mark.parametrize("value", [None, 5, "text", ["list"], True])
def test_what_is_not_a_table_is_named(name: str, value: object) -> None:
    assert faults_of({**tables(), name: value}) == [f"{name}: a table is expected"]


@pytest.mark.parametrize(
    ("name", "key", "value", "fault"),
    [
        ("articles", "pass", 0, ARTICLE),
        ("articles", "host", "6", COUNT),
        ("seniority", "article", 0, ARTICLE),
        ("seniority", "article", True, COUNT),
        ("seniority", "days", -1, COUNT),
        ("seniority", "days", 1_000_001, COUNT),
        ("seniority", "days", 30.0, COUNT),
        ("seniority", "days", False, COUNT),
        ("half_days", "per_host", "6", COUNT),
        ("half_days", "network", None, COUNT),
        ("guest_cap", "at_least", [1], COUNT),
        ("offline", "trust_list_hours", "72 h", COUNT),
        ("eligible_plans", "classes", "resident", "a list of resident, nomad, ticket is expected"),
        ("eligible_plans", "classes", ["gold"], "a list of resident, nomad, ticket is expected"),
        ("eligible_plans", "classes", [["nomad"]], "a list of resident, nomad, ticket is expected"),
        ("opening_hours", "split", "1 pm", TIME),
        ("opening_hours", "split", "25:00", TIME),
        ("opening_hours", "split", "13:00:30", TIME),
        ("opening_hours", "split", "13:00+02:00", TIME),
        ("opening_hours", "split", 13, TIME),
        ("opening_hours", "split", time(13), TIME),
        ("balance", "mode", "gift", '"barter" or "compensate" is expected'),
        ("balance", "mode", None, '"barter" or "compensate" is expected'),
        ("balance", "rate_cents", 9.5, COUNT),
        ("balance", "currency", "eur", CURRENCY),
        ("balance", "currency", "EURO", CURRENCY),
        ("balance", "currency", "E1R", CURRENCY),
        ("balance", "currency", "ÉUR", CURRENCY),
        ("balance", "currency", 978, CURRENCY),
        ("vote", "quorum", "half", SHARE),
        ("vote", "quorum", "1/0", SHARE),
        ("vote", "quorum", "", SHARE),
        ("vote", "quorum", 0.5, SHARE),
        ("vote", "quorum", ["1/2"], SHARE),
        ("vote", "majority", "0", SHARE_RANGE),
        ("vote", "majority", "4/3", SHARE_RANGE),
        ("vote", "majority", "-2/3", SHARE),
        ("vote", "majority", "1e-999999999", SHARE),
        ("vote", "majority", "nan", SHARE),
    ],
)
def test_a_wrong_value_is_named_with_what_is_expected(
    name: str, key: str, value: object, fault: str
) -> None:
    document = tables()
    document[name][key] = value
    assert faults_of(document) == [f"{name}.{key}: {fault}"]


def test_every_fault_is_named_at_once() -> None:
    document = tables()
    del document["vote"]
    del document["dispute"]["days"]
    document["karma"] = {}
    document["half_days"] = {"article": 0, "per_host": -1, "network": "many", "year": 5}
    document["balance"]["mode"] = "gift"
    document["offline"] = 72
    assert sorted(faults_of(document)) == [
        'balance.mode: "barter" or "compensate" is expected',
        "dispute.days: missing",
        f"half_days.article: {ARTICLE}",
        f"half_days.network: {COUNT}",
        f"half_days.per_host: {COUNT}",
        "half_days.year: unknown key",
        "karma: unknown rule kind",
        "offline: a table is expected",
        "vote: missing",
    ]


def test_the_error_itself_reads_as_all_its_faults() -> None:
    document = tables()
    del document["vote"]
    del document["dispute"]
    with pytest.raises(RulesError, match=r"^dispute: missing; vote: missing$"):
        read_rules(document)


@pytest.mark.parametrize(
    ("key", "value", "share"),
    [("quorum", "1", Fraction(1)), ("quorum", "0.5", Fraction(1, 2)), ("majority", "3/5", "3/5")],
)
def test_a_share_may_be_a_fraction_a_decimal_or_all(key: str, value: str, share: object) -> None:
    document = tables()
    document["vote"][key] = value
    assert getattr(read_rules(document).vote, key) == Fraction(share)  # type: ignore[arg-type]


def test_naming_no_plan_is_a_rule_too_and_naming_one_twice_names_it_once() -> None:
    document = tables()
    document["eligible_plans"]["classes"] = []
    assert read_rules(document).eligible_plans.classes == ()  # type: ignore[union-attr]
    document["eligible_plans"]["classes"] = ["ticket", "nomad", "ticket"]
    assert read_rules(document).eligible_plans.classes == ("nomad", "ticket")  # type: ignore[union-attr]


def test_text_that_is_not_toml_is_one_fault() -> None:
    with pytest.raises(RulesError) as caught:
        parse_rules("[vote\nquorum = ")
    assert len(caught.value.faults) == 1
    assert caught.value.faults[0].startswith("not TOML: ")


@pytest.mark.parametrize("toml", ["x = " + "9" * 5000, "x = " + "[" * 20_000])
def test_what_the_reader_of_toml_gives_up_on_is_one_fault(toml: str) -> None:
    with pytest.raises(RulesError) as refused:
        parse_rules(toml)
    assert len(refused.value.faults) == 1
    assert refused.value.faults[0].startswith("not TOML: ")


def test_a_rule_may_not_cite_an_article_that_a_text_does_not_have() -> None:
    sources = model_sources()
    sources["rules.toml"] = TOML.replace("article = 14", "article = 16")
    with pytest.raises(RulesError) as caught:
        read_charter("1", sources)
    assert caught.value.faults == [
        "article 16 is cited by a rule, and missing from fr.md",
        "article 16 is cited by a rule, and missing from en.md",
    ]
    with pytest.raises(RulesError):
        with_rules(read_charter("1", model_sources()), sources["rules.toml"])


def test_other_rules_make_another_charter_of_the_same_version() -> None:
    model = read_charter("1", model_sources())
    other = with_rules(model, TOML.replace("per_host = 6", "per_host = 8"))
    assert (other.version, other.texts) == (model.version, model.texts)
    assert other.rules.half_days is not None
    assert other.rules.half_days.per_host == 8
    assert other.sha256 != model.sha256


def test_the_hash_is_that_of_canonical_json() -> None:
    # printf '{"sources":{"fr.md":"é"},"version":"1"}' | sha256sum
    known = "2df384acf089d1bbc1573e7d7ababf970892e78a74909796c2d150e1a53363eb"
    assert fingerprint("1", {"fr.md": "é"}) == known


def test_what_is_signed_changes_with_the_version_and_with_any_letter() -> None:
    sources = model_sources()
    same = {name: sources[name] for name in reversed(sources)}
    assert fingerprint("1", sources) == fingerprint("1", same)
    changed = {**sources, "en.md": sources["en.md"] + " "}
    assert (
        len({fingerprint("1", sources), fingerprint("2", sources), fingerprint("1", changed)}) == 3
    )
