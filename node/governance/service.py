"""The charter from this node: reading what is proposed, voting, signing, proposing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from node.context import Node
from shared.net.http import PeerError
from shared.wire.problems import Problem

UNDER_WAY = "/api/v1/charters?state=open&state=adopted"
AT_ONCE = 5  # versions on a page: each is read from the hub, with what it changes


def overview(node: Node, cursor: str = "") -> dict[str, Any]:
    """Return the version in force, and those under way, page by page. Raises Problem.

    ``coming`` has of each its document and what it changes in the version in force; ``following``
    is the next page's cursor, None at the end.
    """
    query = urlencode({"limit": AT_ONCE, "cursor": cursor})
    page = ask(node, "GET", f"{UNDER_WAY}&{query}")
    current = ask(node, "GET", "/api/v1/charters/current")
    return {
        "current": current,
        "coming": [_with_changes(node, current, item["version"]) for item in page["items"]],
        "following": page["next_cursor"],
    }


def _with_changes(node: Node, current: dict[str, Any], version: str) -> dict[str, Any]:
    found: dict[str, Any] = ask(node, "GET", f"/api/v1/charters/{version}")
    path = f"/api/v1/charters/{current['version']}/diff/{version}"
    return {**found, "diff": ask(node, "GET", path)}


def summaries(node: Node, states: str) -> Iterator[dict[str, Any]]:
    """Yield what the hub's list says of versions, the last proposed first. Raises Problem.

    ``states`` is a query such as ``state=open&state=adopted``.
    """
    cursor = ""
    while True:
        page = ask(node, "GET", f"/api/v1/charters?{states}&limit=500&cursor={cursor}")
        yield from page["items"]
        if not page["next_cursor"]:
            return
        cursor = page["next_cursor"]


def own_proposal(node: Node, own: str) -> dict[str, Any] | None:
    """Return the open proposal of this operator, if it has one. Raises Problem."""
    for item in summaries(node, "state=open"):
        if item["proposed_by"] == own:
            found: dict[str, Any] = ask(node, "GET", f"/api/v1/charters/{item['version']}")
            return found
    return None


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
