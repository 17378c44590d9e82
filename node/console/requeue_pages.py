"""What an admin is told when this node or the hub had forgotten something."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, redirect
from sqlalchemy.orm import Session

from node.context import Node
from node.db import db
from node.hub import checkpoint, hub_registration
from node.members import service as members
from shared.web import allow
from shared.wire.error_messages import translate

SHOWN = 20
_PASSES = ("ended", "regained", "lost")

pages = Blueprint("memory_pages", __name__, template_folder="templates")


def concerns(session: Session, node: Node) -> dict[str, Any]:
    """Return what ``sync/memory.html`` shows."""
    row = checkpoint.memory(session)
    found = dict(row.found) if row and row.found else {}
    visits, passes = found.get("visits", {}), found.get("passes", {})
    counts = [visits.get("taken"), found.get("bookings"), *map(passes.get, _PASSES)]
    return {
        "forgotten": hub_registration.forgotten(session, node),
        "copies": bool(row and row.copies),
        "behind": row.behind if row and not row.copies else None,
        "since": row.since if row else None,
        "visits": visits.get("taken", 0),
        "lost": visits.get("lost", 0),
        "passes": passes,
        "bookings": found.get("bookings", 0),
        "nothing": not any(counts),
        "members": members.some(session, passes.get("members", [])[:SHOWN]),
        "move_fault": translate(dict(row.move_fault)) if row and row.move_fault else None,
        "node_url": node.url,
    }


@pages.post("/console/memory/read")
@allow("admin")
def read() -> Any:
    """Note that an admin has read what was put right."""
    if checkpoint.memory(db.session()) is not None:
        checkpoint.dismiss(db.session())
    return redirect("/console")
