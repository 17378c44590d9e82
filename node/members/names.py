"""Names as they are compared: without accents, capitals and spaces too many."""

from __future__ import annotations

import unicodedata

FOLDED = 400


def fold(text: str) -> str:
    """Return ``Éléonore  DUPÓNT`` as ``eleonore dupont``."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(c for c in plain if not unicodedata.combining(c)).split())


def folded(family_name: str, given_name: str, email: str) -> str:
    """Return what a member's row is sorted by and searched in."""
    return fold(f"{family_name} {given_name} {email}")[:FOLDED]


def full_name(given_name: str, family_name: str) -> str:
    """Return the name an account carries."""
    return f"{given_name} {family_name}".strip()[:120]
