"""Marks that the trust list is to be signed anew, set in the transaction of what changed it."""

from __future__ import annotations

from sqlalchemy import insert
from sqlalchemy.orm import Session

from federation.nodes.models import TrustChange


def note(session: Session, *, minor: bool = False) -> None:
    """Note in the caller's transaction that the trust list says something else from now on.

    Whoever changes a node's name, address, keys, plans, standing or last day, which spaces it has
    or how they are called, who signed the charter, or which charter is in force, calls this.
    """
    session.connection().execute(insert(TrustChange).values(minor=minor))
