"""The shared values are those that the article lists, in both languages."""

from __future__ import annotations

import pytest

from charter import RulesError, model_sources, read_charter
from charter.values import shared_values


def sources(**changed: tuple[str, str]) -> dict[str, str]:
    found = model_sources()
    for name, (old, new) in changed.items():
        file = name.replace("_", ".")
        assert old in found[file]
        found[file] = found[file].replace(old, new, 1)
    return found


def test_the_model_charter_shares_five_pillars() -> None:
    found = shared_values(read_charter("1", model_sources()))
    assert [value.names["en"] for value in found] == [
        "Sustainability",
        "Innovation",
        "Open process",
        "Cooperation",
        "Community",
    ]
    assert found[2].id == "demarche-ouverte"
    assert found[3].meanings["en"] == "working together, and not only side by side."


def test_a_voted_value_is_on_the_list_at_once() -> None:
    added = sources(
        fr_md=("- **Innovation**", "- **Hospitalité** : le café d’abord.\n- **Innovation**"),
        en_md=("- **Innovation**", "- **Hospitality**: coffee first.\n- **Innovation**"),
    )
    assert shared_values(read_charter("2", added))[1].id == "hospitalite"


def test_a_charter_without_the_rule_shares_none() -> None:
    without = sources(rules_toml=("[values]\narticle = 2\n", ""))
    assert shared_values(read_charter("2", without)) == ()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"fr_md": ("- **Innovation**", "- **Hospitalité**\n- **Innovation**")}, "fr and en"),
        (
            {
                "fr_md": ("- **Innovation**", "- **Durabilité**\n- **Innovation**"),
                "en_md": ("- **Innovation**", "- **Twice**\n- **Innovation**"),
            },
            "one twice",
        ),
        ({"rules_toml": ("[values]\narticle = 2\n", "[values]\narticle = 1\n")}, "no values"),
        ({"rules_toml": ("[values]\narticle = 2\n", "[values]\narticle = 99\n")}, "article 99"),
    ],
)
def test_a_list_that_cannot_be_read_is_no_charter(
    changed: dict[str, tuple[str, str]], said: str
) -> None:
    with pytest.raises(RulesError, match=said):
        read_charter("2", sources(**changed))
