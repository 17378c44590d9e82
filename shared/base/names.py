"""Identifiers made of names."""

import re
import unicodedata


def slug(name: str) -> str:
    """Return lower-case letters, digits and single dashes: ``Café  Été`` → ``cafe-ete``."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:48] or "space"
