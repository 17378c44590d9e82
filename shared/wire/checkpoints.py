"""Marks by which a node and the hub find out that one of them has forgotten something.

A mark is ``turn.random``: the turn goes up, and the random part is guessed by no copy.
"""

from __future__ import annotations

import re
import secrets

PATTERN = r"^[0-9]{1,9}\.[A-Za-z0-9_-]{16}\Z"
_MARK = re.compile(PATTERN)


def new_mark(*earlier: str | None) -> str:
    """Return a mark whose turn comes after these."""
    turn = max(map(turn_of, earlier), default=0) + 1
    return f"{turn}.{secrets.token_urlsafe(12)}"


def turn_of(mark: str | None) -> int:
    """Return a mark's turn; what is not a mark comes before the first."""
    return int(mark.partition(".")[0]) if mark and _MARK.match(mark) else 0
