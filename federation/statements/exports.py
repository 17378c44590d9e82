"""The statement in other forms, CSV and PDF: views of the very document that is signed."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from flask_babel import gettext

from charter import statement as document
from shared.web.formats import day, halves, money, month, signed
from shared.web.reasons import FLAG_NAMES, flags_in_words
from shared.wire.tables import harmless

CSV_COLUMNS = (
    "kind",
    "month",
    "state",
    "revision",
    "id",
    "day",
    "halves",
    "home",
    "host",
    "space",
    "half_days",
    "cents",
    "currency",
    "charter",
    "flags",
    "reason",
    "recorded_on",
)


def as_csv(body: bytes) -> str:
    """Return the statement as one table, for programs: its names are those of the document.

    ``kind`` is ``visit``, ``correction``, ``disputed`` (a visit that is kept out), and then, of a
    node, which is the ``host`` there, ``balance`` and ``carried``; a ``transfer`` is paid by its
    ``home`` to its ``host``.
    """
    statement = document.read(body)
    about = {name: statement[name] for name in ("month", "state", "revision")}
    out = io.StringIO()
    writer = csv.DictWriter(out, CSV_COLUMNS, extrasaction="ignore", lineterminator="\r\n")
    writer.writeheader()
    for row in _rows(statement):
        cells = {"charter": statement["charter"], **about, **row}
        writer.writerow({name: _cell(value) for name, value in cells.items()})
    return out.getvalue()


def _rows(statement: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for kind, name in (("visit", document.VISITS), ("correction", document.CORRECTIONS)):
        for line in statement[name]:
            words = {each: " ".join(line[each]) for each in ("halves", "flags")}
            yield {**line, **words, "kind": kind}
    for visit_id in statement["disputed"]:
        yield {"kind": "disputed", "id": visit_id}
    money_of = {"currency": statement["currency"]}
    for node, half_days in statement["balances"].items():
        cents = statement["compensation"][node]
        yield {"kind": "balance", "host": node, "half_days": half_days, "cents": cents, **money_of}
    for node, half_days in statement["carried"].items():
        yield {"kind": "carried", "host": node, "half_days": half_days}
    for each in statement["transfers"]:
        of, to = each["from"], each["to"]
        yield {"kind": "transfer", "home": of, "host": to, "cents": each["cents"], **money_of}


def _cell(value: Any) -> Any:
    return harmless(value) if isinstance(value, str) else value


if TYPE_CHECKING:
    from shared.wire.pdf import Paper

# Beyond this the PDF gives sums alone; every line is in the JSON and the CSV.
MOST_LINES = 3_000
_SMALL = 6.0


def as_pdf(body: bytes, names: Mapping[str, str], language: str, made_at: datetime) -> bytes:
    """Return the statement to print, with the names of the nodes, in the reader's language."""
    from shared.wire.pdf import SOFT, TEAL, Paper  # noqa: PLC0415 - large, and seldom needed

    statement = document.read(body)
    title = gettext("Statement of %(month)s", month=month(statement["month"]))
    paper = Paper(title, language, made_at)
    paper.write_line("Passerelle", 13, bold=True, colour=TEAL, after=3)
    paper.write_line(title, 20, bold=True, after=1)
    paper.write_line(_about(statement), 10, colour=SOFT, after=5)
    if "node" in statement:
        paper.write_line(names.get(statement["node"], statement["node"]), 12, bold=True, after=3)
    _write_balances(paper, statement, names)
    _write_transfers(paper, statement, names)
    _write_visits(paper, statement, names)
    _write_corrections(paper, statement, names)
    _write_disputed(paper, statement["disputed"])
    return paper.to_bytes()


def _about(statement: Mapping[str, Any]) -> str:
    states = {"open": gettext("open"), "issued": gettext("issued"), "final": gettext("final")}
    return gettext(
        "%(state)s, revision %(number)s, charter %(version)s",
        state=states[statement["state"]],
        number=statement["revision"],
        version=statement["charter"],
    )


def _write_balances(paper: Paper, statement: Mapping[str, Any], names: Mapping[str, str]) -> None:
    currency, carried = statement["currency"], statement["carried"]
    heads = [gettext("Node"), gettext("Half-days"), gettext("Compensation")]
    if carried:
        heads.insert(2, gettext("Carried on"))
    rows = []
    for node, half_days in statement["balances"].items():
        cells = [signed(half_days), money(statement["compensation"][node], currency)]
        if carried:
            cells.insert(1, signed(carried.get(node, 0)))
        rows.append((names.get(node, node), *cells))
    paper.write_table(heads, rows, (3, *[1.2] * (len(heads) - 1)), numbers=range(1, len(heads)))


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


def _write_visits(paper: Paper, statement: Mapping[str, Any], names: Mapping[str, str]) -> None:
    paper.write_line(gettext("Each visit"), 14, bold=True)
    visits = statement[document.VISITS]
    if len(visits) > MOST_LINES:
        paper.write_line(gettext("Too many to print: they are in the JSON and in the CSV."), 11)
        return
    rows = [
        (*_cells(line, names), line["charter"], flags_in_words(line["flags"])) for line in visits
    ]
    heads = (*_heads(), gettext("Charter"), gettext("Flags"))
    paper.write_table(heads, rows, (3.6, 1.5, 2, 2, 2, 1.2, 1, 2), numbers=(5,), size=_SMALL)


def _write_corrections(
    paper: Paper, statement: Mapping[str, Any], names: Mapping[str, str]
) -> None:
    corrections = statement[document.CORRECTIONS]
    if not corrections:
        return
    paper.write_line(gettext("Corrections"), 14, bold=True)
    if len(corrections) > MOST_LINES:
        paper.write_line(gettext("Too many to print: they are in the JSON and in the CSV."), 11)
        return
    rows = [
        (
            *_cells(line, names),
            line["charter"],
            flags_in_words(line["flags"]),
            day(line["recorded_on"], "short"),
            str(FLAG_NAMES.get(line["reason"], line["reason"])) or gettext("counted anew"),
        )
        for line in corrections
    ]
    heads = (
        *_heads(),
        gettext("Charter"),
        gettext("Flags"),
        gettext("Corrected on"),
        gettext("Reason"),
    )
    widths = (3.6, 1.5, 1.7, 1.7, 1.7, 1.2, 1, 1.5, 1.5, 2.2)
    paper.write_table(heads, rows, widths, numbers=(5,), size=_SMALL)


def _write_disputed(paper: Paper, disputed: Sequence[str]) -> None:
    if disputed:
        paper.write_line(gettext("Kept out until a dispute is settled"), 14, bold=True)
        paper.write_line(", ".join(disputed), 9)


def _heads() -> tuple[str, ...]:
    return (
        gettext("Visit"),
        gettext("Day"),
        gettext("Home"),
        gettext("Host"),
        gettext("Space"),
        gettext("Half-days"),
    )


def _cells(line: Mapping[str, Any], names: Mapping[str, str]) -> tuple[str, ...]:
    return (
        line["id"],
        f"{day(line['day'], 'short')} {halves(line['halves'])}",
        names.get(line["home"], line["home"]),
        names.get(line["host"], line["host"]),
        line["space"],
        signed(line["half_days"]),
    )
