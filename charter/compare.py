"""What one charter changes in another: rule by rule, and word by word in the articles. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import time
from difflib import SequenceMatcher
from fractions import Fraction
from typing import Any

from charter.model import Charter
from charter.rules import KINDS
from charter.text import Article, Text

SAME, CHANGED, ADDED, REMOVED = "same", "changed", "added", "removed"
# Proposals come from other nodes, and on hostile text the search grows with the cube of the words.
# Beyond this (the model's longest article has some 230), a text that changed is taken out and put
# in whole. For the same reason difflib's ``autojunk`` stays on.
MOST_WORDS = 1_000

Run = tuple[str, str]  # ("same" | "removed" | "added", text)
Runs = tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class RuleChange:
    """One figure that differs, as rules.toml writes it; ``article`` is the one that carries it.

    For a rule that comes into force or goes out of it, ``key`` is empty and the value is the
    whole table; the other one is None.
    """

    kind: str
    key: str
    before: Any
    after: Any
    article: int


@dataclass(frozen=True, slots=True)
class ArticleChange:
    """One article. Numbers are None where it does not exist; 0 is the text's title and preamble.

    ``title`` and ``body`` are runs: without the added ones they read as before, without the
    removed ones as after. An article whose number alone differs is changed.
    """

    before: int | None
    after: int | None
    state: str
    title: Runs
    body: Runs


def compare_rules(a: Charter, b: Charter) -> tuple[RuleChange, ...]:
    """Return what differs from ``a`` to ``b``, in the order of ``KINDS``; equal values differ not.

    ``"0.5"`` and ``"1/2"`` are the same share.
    """
    return tuple(
        change
        for kind in KINDS
        for change in _rule_changes(
            kind, _table(getattr(a.rules, kind)), _table(getattr(b.rules, kind))
        )
    )


def _table(rule: Any) -> dict[str, Any] | None:
    if rule is None:
        return None
    return {spec.name.removesuffix("_"): _plain(getattr(rule, spec.name)) for spec in fields(rule)}


def _plain(value: Any) -> Any:
    if isinstance(value, Fraction):
        return str(value)
    if isinstance(value, time):
        return value.isoformat("minutes")
    return list(value) if isinstance(value, tuple) else value


def _rule_changes(
    kind: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> Iterator[RuleChange]:
    table = after or before
    if table is None:
        return
    if before is None or after is None:
        yield RuleChange(kind, "", before, after, table["article"])
        return
    for key, value in after.items():
        if value != before[key]:
            # In the table of articles every value is the article itself.
            article = after.get("article", value)
            yield RuleChange(kind, key, before[key], value, article)


def compare_texts(a: Text, b: Text) -> tuple[ArticleChange, ...]:
    """Return every article of either text, in the order of ``b``, what it lost in its old place.

    An article is followed by its title, then by its number: one that is inserted does not
    make changes of all those behind it.
    """
    pairs = _pairs(a.articles, b.articles)
    head = (Article(0, a.title, a.preamble), Article(0, b.title, b.preamble))
    return tuple(_article_change(before, after) for before, after in [head, *pairs])


def _pairs(
    a: tuple[Article, ...], b: tuple[Article, ...]
) -> list[tuple[Article | None, Article | None]]:
    left, partner = list(a), dict[int, Article]()
    for field in ("title", "number"):
        for article in b:
            wanted = getattr(article, field)
            found = next((each for each in left if getattr(each, field) == wanted), None)
            if found is not None and article.number not in partner:
                partner[article.number] = found
                left.remove(found)
    pairs = [(partner.get(article.number), article) for article in b]
    lost = [(article, None) for article in left]
    return sorted([*pairs, *lost], key=lambda pair: _place(*pair))


def _place(before: Article | None, after: Article | None) -> tuple[int, bool]:
    """Order by the new number; what was removed comes before what took its number."""
    article = after or before
    return (article.number if article else 0, after is not None)


def _article_change(before: Article | None, after: Article | None) -> ArticleChange:
    if before == after:
        state = SAME
    elif before is None:
        state = ADDED
    else:
        state = REMOVED if after is None else CHANGED
    return ArticleChange(
        before.number if before else None,
        after.number if after else None,
        state,
        compare_words(before.title if before else "", after.title if after else ""),
        compare_words(before.body if before else "", after.body if after else ""),
    )


# A word or a mark with the space behind it: as words of their own, spaces would match anywhere.
_WORD = re.compile(r"\w+\s*|[^\w\s]\s*|\s+")


def compare_words(before: str, after: str) -> Runs:
    """Return runs of words: all but the added join to ``before``, all but removed to ``after``."""
    if before == after:
        return ((SAME, before),) if before else ()
    old, new = _WORD.findall(before), _WORD.findall(after)
    if max(len(old), len(new)) > MOST_WORDS:
        return tuple((state, text) for state, text in ((REMOVED, before), (ADDED, after)) if text)
    runs: list[Run] = []
    for step, i, j, k, m in SequenceMatcher(None, old, new).get_opcodes():
        if step == "equal":
            runs.append((SAME, "".join(old[i:j])))
            continue
        runs += [(REMOVED, "".join(old[i:j]))] if i < j else []
        runs += [(ADDED, "".join(new[k:m]))] if k < m else []
    return tuple(runs)
