"""A month's document, as it is given out.

Of a month that was issued, the bytes and the signature are made once for each revision, kept, and
given out as they are; of one that is open, they are made when they are asked for.
"""

from __future__ import annotations

import zlib

from sqlalchemy import Subquery, delete, or_, select
from sqlalchemy.orm import Session, undefer

from federation.statements import claims, statement_lines
from federation.statements.composing import (
    NETWORK,
    Composed,
    Sheet,
    compact,
    compose,
    compose_open,
    cut,
    open_sheet,
)
from federation.statements.models import Statement, StatementDocument
from shared.store.db import write
from shared.wire.problems import Problem

_ATTEMPTS = 10
_PACKED = 1  # of nine levels: a month of a million visits takes seconds


def is_issued(session: Session, month: str) -> bool:
    state = session.scalar(select(Statement.state).where(Statement.month == month))
    return state in ("issued", "final")


def sheet(session: Session, month: str) -> Sheet:
    """Return a month (``YYYY-MM``) of the network, without its lines.

    ``balances`` are half-days given minus received and sum to zero; ``compensation`` is in cents,
    positive to receive.
    """
    if not is_issued(session, month):
        return open_sheet(session, month, _brought(session, month))
    kept = current(session, month)
    return Sheet(kept.head, _matrix(kept))


def chosen(session: Session, month: str) -> Subquery:
    """Choose the lines that a month has, for reading a few of them."""
    if is_issued(session, month):
        return statement_lines.counted(month)
    return statement_lines.of_open(session, month)


def as_bytes(session: Session, month: str, node_id: str = NETWORK) -> bytes:
    """Return the document: of the network, or with one node's own lines alone."""
    if is_issued(session, month):
        return zlib.decompress(current(session, month, node_id).body)
    return compose_open(session, month, _brought(session, month), node_id).body


def as_jws(session: Session, month: str, node_id: str = NETWORK) -> bytes:
    """Return the document as the hub signed it, in compact form."""
    if is_issued(session, month):
        kept = current(session, month, node_id)
        return compact(kept.protected, zlib.decompress(kept.body), kept.signature)
    return compose_open(session, month, _brought(session, month), node_id).jws


def current(session: Session, month: str, node_id: str = NETWORK) -> StatementDocument:
    """Return an issued month's document, as it is kept; made and kept if it is not yet.

    Raises Problem("unavailable") if the month changed each time that it was made.
    """
    for _ in range(_ATTEMPTS):
        found = _kept(session, month, node_id)
        if found is not None:
            return found
        if node_id == NETWORK:
            composed = compose(session, month)
        else:
            whole = current(session, month)
            composed = cut(zlib.decompress(whole.body), _matrix(whole), whole.revision, node_id)
        _keep(session, month, node_id, composed)
    raise Problem("unavailable")


def carried(session: Session, month: str) -> dict[str, int]:
    """Return the half-days that barter carries on from a month, by node; of an open one, none."""
    if not is_issued(session, month):
        return {}
    return {node: count for node, count in current(session, month).head["carried"].items() if count}


def _brought(session: Session, month: str) -> dict[str, int]:
    return carried(session, statement_lines.neighbour(month, -1))


def _kept(session: Session, month: str, node_id: str) -> StatementDocument | None:
    """Return the document of the month's present revision, if there is one."""
    query = (
        select(StatementDocument)
        .join(Statement, Statement.month == StatementDocument.month)
        .where(
            StatementDocument.month == month,
            StatementDocument.node_id == node_id,
            StatementDocument.revision == Statement.revision,
        )
        .options(undefer(StatementDocument.body))
        .execution_options(populate_existing=True)
    )
    return session.scalar(query)


def _matrix(kept: StatementDocument) -> dict[tuple[str, str], int]:
    return {(home, host): count for home, host, count in kept.pairs}


def _keep(session: Session, month: str, node_id: str, composed: Composed) -> None:
    """Keep a document, unless the month changed since, or there is one of its revision already."""
    packed = pack(composed)
    with write(session):
        row = claims.lock_month(session, month)
        if (
            row is None
            or row.revision != composed.seen
            or _kept(session, month, node_id) is not None
        ):
            return
        put(session, row, node_id, composed, packed)


def pack(composed: Composed) -> bytes:
    """Return a document's bytes as they are kept: before anything is locked, as it takes time."""
    return zlib.compress(composed.body, _PACKED)


def put(session: Session, row: Statement, node_id: str, composed: Composed, packed: bytes) -> None:
    """Write the document of a month's revision, in the transaction of whoever holds the month.

    Documents of its earlier revisions go.
    """
    own = StatementDocument.node_id == node_id
    past = StatementDocument.revision != row.revision
    session.execute(
        delete(StatementDocument)
        .where(StatementDocument.month == row.month, or_(own, past))
        .execution_options(synchronize_session=False)
    )
    session.add(
        StatementDocument(
            month=row.month,
            node_id=node_id,
            revision=row.revision,
            head=dict(composed.sheet.head),
            pairs=[[home, host, count] for (home, host), count in composed.sheet.matrix.items()],
            body=packed,
            protected=composed.protected,
            signature=composed.signature,
        )
    )
