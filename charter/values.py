"""The values that the spaces share: read from the article that lists them. Pure."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from charter.rules import RulesError

if TYPE_CHECKING:
    from charter.model import Charter

# Where a space says it stands on a value, once a year: from a first step to showing others how.
LEVELS = (1, 2, 3, 4)
_ITEM = re.compile(r"(?m)^- \*\*(?P<name>[^*]{1,80})\*\*(?:\s*[:：]\s*(?P<meaning>.*))?$")


@dataclass(frozen=True, slots=True)
class SharedValue:
    """``id`` is made of the French name, so that it lasts as long as the value keeps it."""

    id: str
    names: dict[str, str]
    meanings: dict[str, str]


def _id(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().casefold()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def shared_values(charter: Charter) -> tuple[SharedValue, ...]:
    """Return the values of the charter's article, in its order; none without the rule.

    Raises RulesError unless every language lists as many, each with a name of its own.
    """
    rule = charter.rules.values
    if rule is None:
        return ()
    found = {
        language: list(_ITEM.finditer(text.articles[rule.article - 1].body))
        for language, text in charter.texts.items()
    }
    ids = [_id(item["name"]) for item in found["fr"]]
    if not ids or "" in ids or len(set(ids)) < len(ids):
        raise RulesError([f"values.article: article {rule.article} lists no values, or one twice"])
    if len({len(items) for items in found.values()}) > 1:
        raise RulesError([f"values.article: article {rule.article} lists others in fr and en"])
    return tuple(
        SharedValue(
            id=ids[n],
            names={language: items[n]["name"].strip() for language, items in found.items()},
            meanings={
                language: (items[n]["meaning"] or "").strip() for language, items in found.items()
            },
        )
        for n in range(len(ids))
    )
