"""The month's account, made from the half-day lines alone: anybody can recompute it."""

from __future__ import annotations

import csv
import io
import re
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from charter.settlement import Line, balances, compensation, transfers
from federation.directory.models import Node
from federation.governance import service as governance
from federation.visits.models import HalfDayLine, Visit

CSV_COLUMNS = (
    "kind",
    "visit",
    "home",
    "host",
    "space",
    "started_at",
    "half_days",
    "cents",
    "charter",
    "flags",
)


def statement(session: Session, month: str, node_id: str | None = None) -> dict[str, Any]:
    """Return a month (``YYYY-MM``) of the network, or of one node's own lines.

    ``balances`` are half-days given minus received and sum to zero over the network;
    ``compensation`` is in cents, positive to receive.
    """
    charter = governance.in_force(session)
    rule = charter.rules.balance
    query = (
        select(HalfDayLine, Visit)
        .join(Visit, Visit.id == HalfDayLine.visit_id)
        .where(HalfDayLine.month == month, HalfDayLine.home_id != HalfDayLine.host_id)
        .order_by(Visit.started_at, Visit.id, HalfDayLine.id)
    )
    rows = session.execute(query).all()
    nodes = session.scalars(select(Node.id).order_by(Node.id)).all()
    lines = [Line(line.home_id, line.host_id, line.quantity) for line, _ in rows]
    half_days = balances(lines, nodes)
    cents = compensation(half_days, rule)
    mine = [row for row in rows if node_id in (None, row[0].home_id, row[0].host_id)]
    document: dict[str, Any] = {
        "month": month,
        "state": "open",
        "charter": charter.version,
        "currency": rule.currency,
        "visits": _visits([row for row in mine if row[0].quantity > 0]),
        "corrections": [_correction(*row) for row in mine if row[0].quantity < 0],
        "balances": half_days,
        "compensation": cents,
        "transfers": [
            {"from": t.payer, "to": t.payee, "cents": t.amount} for t in transfers(cents)
        ],
    }
    if node_id is not None:
        document["node"] = node_id
        document["balances"] = {node_id: half_days.get(node_id, 0)}
        document["compensation"] = {node_id: cents.get(node_id, 0)}
        document["transfers"] = [
            t for t in document["transfers"] if node_id in (t["from"], t["to"])
        ]
    return document


def _visits(rows: list[Any]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for line, visit in rows:
        entry = found.setdefault(visit.id, _entry(visit))
        entry["half_days"] += line.quantity
    return list(found.values())


def _entry(visit: Visit) -> dict[str, Any]:
    return {
        "id": visit.id,
        "home": visit.home_id,
        "host": visit.host_id,
        "space": visit.space_id,
        "started_at": _local(visit.started_at, visit.timezone),
        "half_days": 0,
        "charter": visit.charter,
        "flags": visit.flags,
    }


def _correction(line: HalfDayLine, visit: Visit) -> dict[str, Any]:
    return {
        **_entry(visit),
        "half_days": line.quantity,
        "reason": visit.void_reason or "",
        "recorded_at": _local(line.recorded_at, visit.timezone),
    }


def _local(instant: datetime, zone: str) -> str:
    return instant.astimezone(ZoneInfo(zone)).isoformat(timespec="seconds")


def matrix(document: dict[str, Any]) -> dict[tuple[str, str], int]:
    """Return half-days by (home, host), reversals taken off."""
    counts: dict[tuple[str, str], int] = {}
    for line in [*document["visits"], *document["corrections"]]:
        pair = (line["home"], line["host"])
        counts[pair] = counts.get(pair, 0) + line["half_days"]
    return counts


def as_csv(document: dict[str, Any]) -> str:
    """Return the statement as one table: visits, corrections, then one balance for each node.

    A cell that a spreadsheet would take for a formula is quoted with an apostrophe.
    """
    out = io.StringIO()
    writer = csv.DictWriter(out, CSV_COLUMNS, extrasaction="ignore", lineterminator="\r\n")
    writer.writeheader()
    for kind, lines in (("visit", document["visits"]), ("correction", document["corrections"])):
        for line in lines:
            row = {**line, "kind": kind, "visit": line["id"], "flags": " ".join(line["flags"])}
            writer.writerow({name: _harmless(value) for name, value in row.items()})
    for node, half_days in document["balances"].items():
        cents = document["compensation"][node]
        writer.writerow(
            {"kind": "balance", "host": _harmless(node), "half_days": half_days, "cents": cents}
        )
    return out.getvalue()


def _harmless(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return value


_MONTH = re.compile("20[0-9]{2}-(0[1-9]|1[0-2])")


def is_month(text: str) -> bool:
    return bool(_MONTH.fullmatch(text))


def neighbour(month: str, step: int) -> str:
    """Return the month before (-1) or after (1)."""
    year, number = (int(part) for part in month.split("-"))
    total = year * 12 + number - 1 + step
    return f"{total // 12}-{total % 12 + 1:02}"
