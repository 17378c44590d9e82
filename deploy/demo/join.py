"""Bringing the demonstration's nodes into the network, by the way any node comes in."""

from __future__ import annotations

from collections.abc import Sequence

from deploy.demo import network
from deploy.demo.network import Part
from deploy.demo.processes import ProcessError
from node.context import node as node_context
from node.db import db
from node.hub import service as sync
from node.spaces import service as spaces
from shared.net.http import PeerError
from shared.wire.problems import Problem


def join(hub: Part, nodes: Sequence[Part]) -> None:
    """Enrol, sign the charter and publish; then let each node learn of all the others."""
    operators = {sheet["id"]: sheet["operator"] for sheet in network.NODES}
    for part in nodes:
        with part.app.app_context():
            try:
                token = network.invitation(hub, operators[part.id])
                node_id = sync.enrol(db.session(), node_context(), token)
                sync.sign_charter(db.session(), node_context())
                spaces.publish_now(db.session(), node_context())
            except (Problem, PeerError) as error:
                raise ProcessError(f"{part.id} could not join: {error}") from None
            if node_id != part.id:
                raise ProcessError(f"{part.id} was given the id {node_id}")
    for part in nodes:
        with part.app.app_context():
            sync.refresh(db.session(), node_context())
            sync.refresh_status_lists(db.session(), node_context())
            db.session.remove()  # its connection is closed with the others
            db.engine.dispose()
    with hub.app.app_context():
        from federation.db import db as hub_db  # noqa: PLC0415

        hub_db.engine.dispose()
