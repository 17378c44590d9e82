"""A charter: one version's text in every language, its rules, and the hash that is signed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from charter.canonical import canonical
from charter.rules import Rules, RulesError, parse_rules
from charter.text import Text, parse_text
from charter.values import shared_values

LANGUAGES = ("fr", "en")
HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Charter:
    """``sources`` maps ``rules.toml``, ``fr.md`` and ``en.md`` to their exact text."""

    version: str
    sources: Mapping[str, str]
    rules: Rules
    texts: Mapping[str, Text]

    @property
    def sha256(self) -> str:
        return fingerprint(self.version, self.sources)


def fingerprint(version: str, sources: Mapping[str, str]) -> str:
    """Return the hex SHA-256 that nodes sign: of the canonical JSON of version and sources."""
    document = {"version": version, "sources": dict(sources)}
    return hashlib.sha256(canonical(document)).hexdigest()


def read_charter(version: str, sources: Mapping[str, str]) -> Charter:
    """Build a charter from its sources. Raises RulesError or TextError.

    Every article that a rule names must exist in every language, and list the same values.
    """
    rules = parse_rules(sources["rules.toml"])
    texts = {language: parse_text(sources[f"{language}.md"]) for language in LANGUAGES}
    faults = [
        f"article {number} is cited by a rule, and missing from {language}.md"
        for language, text in texts.items()
        for number in sorted(cited_articles(rules))
        if number > len(text.articles)
    ]
    if faults:
        raise RulesError(faults)
    charter = Charter(version, dict(sources), rules, texts)
    shared_values(charter)
    return charter


def cited_articles(rules: Rules) -> set[int]:
    """Return the numbers of all articles that the rules name."""
    numbers = {rules.articles.pass_, rules.articles.membership, rules.articles.host}
    for name in Rules.__slots__:
        rule = getattr(rules, name)
        if name != "articles" and rule is not None:
            numbers.add(rule.article)
    return numbers


def model_sources() -> dict[str, str]:
    """Return the sources of the model charter shipped with this package."""
    return {
        "rules.toml": (HERE / "rules.toml").read_text(encoding="utf-8"),
        "fr.md": (HERE / "text" / "fr.md").read_text(encoding="utf-8"),
        "en.md": (HERE / "text" / "en.md").read_text(encoding="utf-8"),
    }


def with_rules(charter: Charter, toml: str) -> Charter:
    """Return the charter with other rules, as a simulation or a trial network needs.

    Raises RulesError.
    """
    return read_charter(charter.version, {**charter.sources, "rules.toml": toml})
