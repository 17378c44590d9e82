"""An operator's name is nobody else's, but for case, accents and signs."""

from __future__ import annotations

import pytest

from federation.nodes.operator_names import folded


@pytest.mark.parametrize(
    "other", ["la cordee", "LA  CORDÉE", "La-Cordée !", "Ｌａ Ｃｏｒｄéｅ", "La Corde\u0301e"]
)
def test_names_that_are_all_but_the_same_are_the_same(other: str) -> None:
    assert folded(other) == folded("La Cordée")


def test_other_names_are_others() -> None:
    assert folded("La Cordée") != folded("La Cordée 2")
    assert folded("Ateliers") != folded("Atelier")
