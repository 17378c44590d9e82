"""Making a month's document: what follows from its lines, the canonical JSON, and the signature."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Subquery, select
from sqlalchemy.orm import Session

from charter import Charter
from charter import statement as document
from federation.charters import service as charters
from federation.context import hub
from federation.nodes.models import Node
from federation.statements import statement_lines
from federation.statements.models import Statement
from shared.store.db import snapshot

TYP = "passerelle-statement+jwt"
NETWORK = ""  # whose document it is, if not one node's
_ZONE = ZoneInfo("Europe/Paris")


@dataclass(frozen=True, slots=True)
class Sheet:
    """A month but its lines, and half-days by (home, host), what was taken back subtracted."""

    head: Mapping[str, Any]
    matrix: Mapping[tuple[str, str], int]

    @property
    def half_days(self) -> int:
        return sum(self.matrix.values())


@dataclass(frozen=True, slots=True)
class Composed:
    """A document with its signature; ``seen`` is the revision of the month it was made of."""

    seen: int
    sheet: Sheet
    body: bytes
    protected: str
    signature: str

    @property
    def jws(self) -> bytes:
        return compact(self.protected, self.body, self.signature)


def compact(protected: str, body: bytes, signature: str) -> bytes:
    """Return a JWS of its three parts."""
    payload = urlsafe_b64encode(body).rstrip(b"=")
    return b"%b.%b.%b" % (protected.encode(), payload, signature.encode())


def compose(
    session: Session, month: str, becoming: Callable[[Statement], Mapping[str, Any]] = lambda _: {}
) -> Composed:
    """Make a document of the lines that are counted in a month, as of one moment.

    ``becoming`` says what the month is about to be, where that differs from what it is.
    """
    with snapshot(session):
        row = session.get_one(Statement, month)
        seen, counted = row.revision, statement_lines.counted(month)
        about = {
            "state": row.state,
            "revision": row.revision,
            "issued_at": row.issued_at,
            "disputed": statement_lines.held_of(session, month),
            **becoming(row),
        }
        charter = charter_of(session, row)
        made = _sheet(session, month, counted, charter, row.nodes, row.carried, about)
        body = _render(session, made.head, counted)
    return _signed(seen, made, body)


def compose_open(
    session: Session, month: str, brought: Mapping[str, int], node_id: str = NETWORK
) -> Composed:
    """Make a document of the lines that an open month would have, as of one moment.

    ``brought`` are the half-days that barter brings forward, by node.
    """
    with snapshot(session):
        free = statement_lines.of_open(session, month)
        made = _open_sheet(session, month, free, brought)
        if node_id != NETWORK:
            made = _part(made, node_id)
        body = _render(session, made.head, free, node_id or None)
    return _signed(0, made, body)


def open_sheet(session: Session, month: str, brought: Mapping[str, int]) -> Sheet:
    """Return what ``compose_open`` says, without the lines."""
    with snapshot(session):
        return _open_sheet(session, month, statement_lines.of_open(session, month), brought)


def cut(whole: bytes, pairs: Mapping[tuple[str, str], int], seen: int, node_id: str) -> Composed:
    """Make one node's document of the network's: its own lines and figures."""
    told = document.read(whole)
    own = [
        [line for line in told.pop(name) if node_id in (line["home"], line["host"])]
        for name in (document.VISITS, document.CORRECTIONS)
    ]
    made = _part(Sheet(told, pairs), node_id)
    return _signed(seen, made, document.render(made.head, *own))


def charter_of(session: Session, row: Statement | None) -> Charter:
    """Return the charter whose figures a month has: of an open one, that in force."""
    if row is None:
        return charters.in_force(session)
    return charters.as_charter(charters.find(session, row.charter))


def _open_sheet(session: Session, month: str, free: Subquery, brought: Mapping[str, int]) -> Sheet:
    about = {
        "state": "open",
        "revision": 0,
        "issued_at": None,
        "disputed": statement_lines.held_of_open(session, month),
    }
    nodes = session.scalars(select(Node.id).order_by(Node.id)).all()
    return _sheet(session, month, free, charter_of(session, None), nodes, brought, about)


def _sheet(
    session: Session,
    month: str,
    chosen: Subquery,
    charter: Charter,
    nodes: Sequence[str],
    brought: Mapping[str, int],
    about: Mapping[str, Any],
) -> Sheet:
    totals = statement_lines.totals(session, chosen)
    head: dict[str, Any] = {
        "month": month,
        "charter": charter.version,
        **about,
        "issued_at": _stamp(about["issued_at"]),
        **document.figures(totals, nodes, charter.rules.balance, brought),
    }
    return Sheet(head, {(line.home, line.host): line.quantity for line in totals})


def _part(found: Sheet, node_id: str) -> Sheet:
    """Return what of a month is one node's own."""
    head = found.head
    mine = {name: {node_id: head[name].get(node_id, 0)} for name in ("balances", "compensation")}
    carried = {node: count for node, count in head["carried"].items() if node == node_id}
    transfers = [t for t in head["transfers"] if node_id in (t["from"], t["to"])]
    pairs = {pair: count for pair, count in found.matrix.items() if node_id in pair}
    made = {**head, "node": node_id, **mine, "carried": carried, "transfers": transfers}
    return Sheet(made, pairs)


def _stamp(instant: datetime | None) -> str | None:
    return instant.astimezone(_ZONE).isoformat(timespec="seconds") if instant else None


def _render(
    session: Session, head: Mapping[str, Any], chosen: Subquery, node_id: str | None = None
) -> bytes:
    return document.render(
        head,
        statement_lines.visits(session, chosen, node_id),
        statement_lines.corrections(session, chosen, node_id),
    )


def _signed(seen: int, made: Sheet, body: bytes) -> Composed:
    token = hub().ring.sign_bytes(body, TYP)
    protected, signature = token[: token.index(b".")], token[token.rindex(b".") + 1 :]
    return Composed(seen, made, body, protected.decode(), signature.decode())
