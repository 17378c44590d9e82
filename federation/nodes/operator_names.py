"""No operator goes by another's name: the desk shows names, and people trust them."""

from __future__ import annotations

import unicodedata

from sqlalchemy import select
from sqlalchemy.orm import Session

from federation.nodes.models import Node
from shared.wire.problems import Problem


def folded(name: str) -> str:
    """Return what is left of a name without case, accents, signs and blanks."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold())
    return "".join(letter for letter in plain if letter.isalnum())


def is_anothers(session: Session, node_id: str, name: str) -> bool:
    """Tell whether another operator that has not left is called so, or all but so."""
    others = select(Node.name).where(Node.id != node_id, Node.state != "left")
    return folded(name) in {folded(other) for other in session.scalars(others)}


def check_free(session: Session, node_id: str, name: str) -> None:
    """Raise Problem("name-taken") where another operator is called so."""
    if is_anothers(session, node_id, name):
        raise Problem("name-taken")
