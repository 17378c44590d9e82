"""Two versions side by side, as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from charter import Charter
from charter.compare import SAME, compare_rules, compare_texts


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
