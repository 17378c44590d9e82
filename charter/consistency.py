"""What a charter's words and figures do not say together: for warnings, never refusals. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from datetime import time
from typing import Any, NamedTuple

from charter.model import Charter
from charter.rules import KINDS

# A space between groups of digits may be a plain one, or any that does not break the line.
_GROUPED = re.compile(r"(?<=\d)[ \u00a0\u2009\u202f](?=\d{3}(?!\d))")
_GROUPED_ENGLISH = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
# The number of another article is not a figure.
_REFERENCE = re.compile(r"(?i)\barticles?\s+\d+(?:\s+(?:et|à|and|to)\s+\d+)*")


class Unsaid(NamedTuple):
    """A figure that its article does not say in one language; ``value`` as rules.toml writes it."""

    kind: str
    key: str
    value: int | str
    article: int
    language: str


class Useless(NamedTuple):
    """A limit in half-days that never applies: that of the whole network, ``most``, is lower."""

    kind: str
    key: str
    value: int
    article: int
    most: int


def unsaid(charter: Charter) -> list[Unsaid]:
    """Return the figures that an article carries and does not say in digits, by rule.

    Looked for are whole numbers, money and the time that ends the morning. Shares, plan classes
    and words are left out, and a price where balances are carried in half-days.
    """
    return [
        Unsaid(kind, key, value, article, language)
        for kind, key, value, article, pattern in _figures(charter)
        for language, text in charter.texts.items()
        if not re.search(pattern, _plain(text.articles[article - 1].body, language))
    ]


def useless(charter: Charter) -> list[Useless]:
    """Return the limits above the one of the whole network."""
    rules = charter.rules
    if rules.half_days is None:
        return []
    most, card = rules.half_days.network, rules.paper_card
    found = [
        Useless("half_days", "per_host", rules.half_days.per_host, rules.half_days.article, most)
    ]
    if card is not None:
        found.append(Useless("paper_card", "half_days", card.half_days, card.article, most))
    return [limit for limit in found if limit.value > most]


def _figures(charter: Charter) -> Iterator[tuple[str, str, int | str, int, str]]:
    """Yield kind, key, value, article and what finds the value in a text."""
    for kind in KINDS:
        rule = getattr(charter.rules, kind)
        if rule is None or kind == "articles":
            continue
        for spec in fields(rule):
            value = getattr(rule, spec.name)
            pattern = None if spec.name == "article" else _pattern(spec.name, value)
            unused = spec.name == "rate_cents" and charter.rules.balance.mode == "barter"
            if pattern and not unused:
                shown = value if isinstance(value, int) else value.isoformat("minutes")
                yield kind, spec.name, shown, rule.article, pattern


def _pattern(key: str, value: Any) -> str | None:
    if isinstance(value, time):
        minutes = f"{value.minute:02}" if value.minute else "(?:00)?"
        return rf"(?<![\d:])0?{value.hour}\s*(?:h(?![a-z])|:)\s*{minutes}(?!\s?\d)"
    if not isinstance(value, int):
        return None
    if key != "rate_cents":
        return _number(str(value))
    units, cents = divmod(value, 100)
    return _number(f"{units}[.,]{cents:02}" if cents else rf"{units}(?:[.,]00)?")


def _number(digits: str) -> str:
    """Match a number that is not part of a longer one."""
    return rf"(?<!\d)(?<!\d[.,:]){digits}(?!\d)(?![.,:]\d)"


def _plain(body: str, language: str) -> str:
    text = _GROUPED.sub("", _REFERENCE.sub("", body))
    return _GROUPED_ENGLISH.sub("", text) if language == "en" else text
