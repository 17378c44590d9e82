"""The charter from this node: reading what is proposed, voting, signing, proposing."""

from __future__ import annotations

from typing import Any

from node.context import Node
from shared.http import PeerError
from shared.problems import Problem


def overview(node: Node) -> dict[str, Any]:
    """Return the version in force, and the one under way if there is one. Raises Problem."""
    items = ask(node, "GET", "/api/v1/charters")["items"]
    under_way = [item for item in items if item["state"] in ("open", "adopted")]
    current = ask(node, "GET", "/api/v1/charters/current")
    coming = ask(node, "GET", f"/api/v1/charters/{under_way[0]['version']}") if under_way else None
    diff = None
    if coming is not None:
        path = f"/api/v1/charters/{current['version']}/diff/{coming['version']}"
        diff = ask(node, "GET", path)
    return {"current": current, "coming": coming, "diff": diff}


def ask(node: Node, method: str, path: str, body: Any = None) -> Any:
    """Ask the hub as this node. Raises Problem with the hub's own words."""
    try:
        answer = node.hub.call(method, path, json=body, timeout=10)
    except PeerError:
        raise Problem("hub-unreachable") from None
    if answer.status in (200, 201):
        return answer.json()
    if answer.status == 204:
        return None
    told = answer.json()
    slug = str(told.get("type", "")).rpartition("/")[2]
    if slug in ("not-found", "conflict", "validation", "forbidden"):
        raise Problem(slug, told.get("detail"), errors=told.get("errors"))
    raise Problem("hub-unreachable", told.get("title"))
