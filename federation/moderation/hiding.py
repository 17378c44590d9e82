"""Keeping a space off the map, with a reason, and its operator's right of reply."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from federation.audit.service import audit
from federation.context import Hub
from federation.mail.service import mailbox
from federation.nodes import service as nodes
from federation.spaces.models import Space
from shared.mail.letters import letter, quoted
from shared.store.db import write
from shared.wire.problems import Problem

MOST_REASON, MOST_REPLY = 500, 1000


def _locked(session: Session, space_id: str, node_id: str | None = None) -> Space:
    query = select(Space).where(Space.id == space_id)
    if node_id is not None:
        query = query.where(Space.node_id == node_id)
    locked = query.with_for_update(of=Space).execution_options(populate_existing=True)
    row = session.scalar(locked)
    if row is None:
        raise Problem("not-found")
    return row


def hide(session: Session, hub: Hub, actor: str, space_id: str, reason: str) -> Space:
    """Keep a space off the map, the agenda and the open data; its door goes on. Raises Problem.

    Hidden already, the first reason stands.
    """
    with write(session):
        row, now = _locked(session, space_id), hub.clock.now()
        if row.hidden_at is not None:
            raise Problem("conflict", "this space is off the map already")
        audit(
            session,
            now,
            actor,
            "space-hidden",
            space_id,
            before="shown",
            after="hidden",
            reason=reason,
        )
        row.hidden_at, row.hidden_reason = now, reason
        row.hidden_reply, row.hidden_replied_at = "", None
        to = row.document.get("email") or ""
        if to and hub.settings.smtp_url is not None:
            subject, text = letter(
                "moderation/mail/hidden.txt", space=row, quoted=quoted, network=hub.settings.network
            )
            key = f"hidden:{space_id}:{now:%Y%m%dT%H%M%S%f}"
            mailbox.queue(session, hub.settings, key, to, subject, text)
    return row


def show(session: Session, now: datetime, actor: str, space_id: str) -> Space:
    """Put a space on the map again; done before, nothing changes. Raises Problem."""
    with write(session):
        row = _locked(session, space_id)
        if row.hidden_at is not None:
            detail = {"before": "hidden", "after": "shown", "reason": row.hidden_reason}
            audit(session, now, actor, "space-shown", space_id, **detail)
            row.hidden_at, row.hidden_reason = None, ""
            row.hidden_reply, row.hidden_replied_at = "", None
    return row


def reply(session: Session, now: datetime, node_id: str, space_id: str, words: str) -> Space:
    """Note what an operator says to its space being hidden; the last words count.

    Raises Problem.
    """
    nodes.active_node(session, node_id)
    with write(session):
        row = _locked(session, space_id, node_id)
        if row.hidden_at is None:
            raise Problem("conflict", "this space is on the map")
        if row.hidden_reply != words:
            detail = {"before": row.hidden_reply, "after": words}
            audit(session, now, f"node:{node_id}", "space-reply", space_id, **detail)
            row.hidden_reply, row.hidden_replied_at = words, now
    return row


def hidden(session: Session, node_id: str | None = None) -> list[Space]:
    """Return the spaces that are kept off the map, of all nodes or of one."""
    query = select(Space).where(Space.hidden_at.is_not(None)).order_by(Space.hidden_at)
    if node_id is not None:
        query = query.where(Space.node_id == node_id)
    return list(session.scalars(query))


def to_dict(row: Space) -> dict[str, Any]:
    return {
        "space": row.id,
        "reason": row.hidden_reason,
        "hidden_at": row.hidden_at,
        "reply": row.hidden_reply,
        "replied_at": row.hidden_replied_at,
    }
