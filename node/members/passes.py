"""What becomes of a member's passes: done by the room that has them, which ``app.py`` names."""

from __future__ import annotations

from typing import Protocol

from flask import current_app
from sqlalchemy.orm import Session

from node.context import Node


class Passes(Protocol):
    """Each acts in the caller's transaction, in which the member is locked."""

    def end_all(self, session: Session, node: Node, member_id: int) -> int: ...

    def suspend_all(self, session: Session, node: Node, member_id: int) -> None: ...

    def resume_all(self, session: Session, node: Node, member_id: int) -> None: ...

    def renew_all(self, session: Session, node: Node, member_id: int) -> int:
        """Return how many phones have to make another."""
        ...


def passes() -> Passes:
    found: Passes = current_app.extensions["passes_of_members"]
    return found
