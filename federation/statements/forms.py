"""The statement in other forms: CSV, PDF, JWS."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flask_babel import gettext

from shared.paper import SOFT, TEAL, Paper
from shared.web.formats import moment, money, month, signed

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


# Beyond this the PDF gives sums alone; every line is in the JSON and the CSV.
MOST_LINES = 3_000


def as_pdf(
    statement: Mapping[str, Any], names: Mapping[str, str], language: str, made_at: datetime
) -> bytes:
    """Return the statement to print, with the names of the nodes."""
    title = gettext("Statement of %(month)s", month=month(statement["month"]))
    paper = Paper(title, language, made_at)
    paper.write_line("Passerelle", 13, bold=True, colour=TEAL, after=3)
    paper.write_line(title, 20, bold=True, after=1)
    states = {"open": gettext("open"), "issued": gettext("issued"), "final": gettext("final")}
    about = gettext(
        "%(state)s, revision %(number)s, charter %(version)s",
        state=states[statement["state"]],
        number=statement["revision"],
        version=statement["charter"],
    )
    paper.write_line(about, 10, colour=SOFT, after=5)
    _write_balances(paper, statement, names)
    _write_transfers(paper, statement, names)
    _write_lines(paper, statement, names)
    return paper.to_bytes()


def _write_balances(paper: Paper, statement: Mapping[str, Any], names: Mapping[str, str]) -> None:
    currency = statement["currency"]
    rows = [
        (names.get(node, node), signed(half_days), money(statement["compensation"][node], currency))
        for node, half_days in statement["balances"].items()
    ]
    heads = (gettext("Node"), gettext("Half-days"), gettext("Compensation"))
    paper.write_table(heads, rows, (3, 1, 1.4), numbers=(1, 2))


def _write_transfers(paper: Paper, statement: Mapping[str, Any], names: Mapping[str, str]) -> None:
    if not statement["transfers"]:
        paper.write_line(gettext("Nobody owes anything."), 11, after=4)
        return
    paper.write_line(gettext("Transfers"), 14, bold=True)
    rows = [
        (
            names.get(t["from"], t["from"]),
            names.get(t["to"], t["to"]),
            money(t["cents"], statement["currency"]),
        )
        for t in statement["transfers"]
    ]
    heads = (gettext("From"), gettext("To"), gettext("Amount"))
    paper.write_table(heads, rows, (3, 3, 1.4), numbers=(2,))


def _write_lines(paper: Paper, statement: Mapping[str, Any], names: Mapping[str, str]) -> None:
    every = [*statement["visits"], *statement["corrections"]]
    paper.write_line(gettext("Each visit"), 14, bold=True)
    if len(every) > MOST_LINES:
        paper.write_line(gettext("Too many to print: they are in the JSON and in the CSV."), 11)
        return
    rows = [
        (
            line["id"][:10],
            names.get(line["home"], line["home"]),
            names.get(line["host"], line["host"]),
            moment(line["started_at"]),
            signed(line["half_days"]),
        )
        for line in every
    ]
    heads = (
        gettext("Visit"),
        gettext("Home"),
        gettext("Host"),
        gettext("Arrived"),
        gettext("Half-days"),
    )
    paper.write_table(heads, rows, (1.5, 2, 2, 1.9, 1.4), numbers=(4,), size=8)
