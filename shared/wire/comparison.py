"""Two charters side by side, and what one leaves unsaid, as JSON and pages show it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from charter import Charter
from charter.compare import SAME, compare_rules, compare_texts
from charter.consistency import unsaid, useless


def compare(a: Charter, b: Charter) -> dict[str, Any]:
    """Return ``rules`` that differ, and by language the articles that do, as runs of words."""
    return {
        "rules": [asdict(change) for change in compare_rules(a, b)],
        "texts": {
            language: [
                asdict(change)
                for change in compare_texts(a.texts[language], b.texts[language])
                if change.state != SAME
            ]
            for language in a.texts
        },
    }


def warnings(charter: Charter) -> dict[str, Any]:
    """Return what ``rules.html`` warns of: figures unsaid by their article, and useless limits."""
    return {"unsaid": unsaid(charter), "useless": useless(charter)}
