"""Whom the hub writes to about nodes: the coordinators, and a node's own people."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from federation.context import Hub
from federation.identity.models import Account
from federation.mail.service import mailbox
from federation.nodes.models import Invitation
from shared.base.mail_server import is_address
from shared.mail.letters import letter

# Asked for the addresses of nodes; rooms above add what they know.
CONTACTS: list[Callable[[Session, Set[str]], Mapping[str, str]]] = []


def coordinators(session: Session) -> list[Account]:
    query = select(Account).where(Account.disabled_at.is_(None)).order_by(Account.id)
    return [account for account in session.scalars(query) if "coordinator" in account.roles]


def contacts(session: Session, node_ids: Iterable[str]) -> dict[str, str]:
    """Return by node the address of who asked to join, or the one that its space publishes."""
    ids = set(node_ids)
    found = {node: email for known in CONTACTS for node, email in known(session, ids).items()}
    asked = select(Invitation.node_id, Invitation.email).where(
        Invitation.node_id.in_(ids), Invitation.email.is_not(None)
    )
    found.update({row.node_id: row.email for row in session.execute(asked)})
    return {node_id: email for node_id, email in found.items() if is_address(email)}


def write(session: Session, hub: Hub, key: str, to: str, template: str, **facts: Any) -> None:
    """Queue a letter in the caller's transaction, unless no mail server is set."""
    if hub.settings.smtp_url is not None:
        subject, text = letter(template, hub_url=hub.url, network=hub.settings.network, **facts)
        mailbox.queue(session, hub.settings, key, to, subject, text)


def write_to_coordinators(
    session: Session, hub: Hub, key: str, template: str, besides: int | None = None, **facts: Any
) -> None:
    """Queue a letter to each coordinator but one, in the caller's transaction."""
    if hub.settings.smtp_url is not None:
        for account in coordinators(session):
            if account.id != besides:
                write(session, hub, f"{key}:{account.id}", account.email, template, **facts)
