"""The picture of who gave and who received, month by month."""

from __future__ import annotations

from flask_babel import gettext
from sqlalchemy.orm import Session

from federation.statistics import charts, service, sums
from federation.statistics.statistic import Picture, Value, in_order
from federation.statistics.suppression import NOTHING, Cell, Shown, few, publish
from shared.web.formats import day as on_day
from shared.web.formats import month as month_name
from shared.web.formats import signed

MOST = 20  # drawn; all are in the table


def balance(session: Session, period: service.Period) -> Picture:
    """Half-days given minus received, as accounted; whose visits they are, by the months' lines."""
    accounted = service.account(session, period)
    people = {month: _people(found) for month, found in service.read(session, period).items()}
    cells = {
        (node, month): Cell(value, people[month].get(node, NOTHING).people)
        for month, balances in accounted.items()
        for node, value in balances.items()
        if value or node in people[month]
    }
    months = list(accounted)
    table = publish({node for node, _ in cells}, months, cells, total_row_is_known=True)
    nodes = in_order(table.rows, table.at)
    names = service.names(session)
    tracks = [
        charts.Track(
            names.get(node, node),
            [table.at(node, month).value for month in months],
            _signed(table.at(node)),
        )
        for node in nodes[:MOST]
    ]
    still = service.not_issued(session, months)
    title = gettext("Balance by month")
    sentence = gettext(
        "Half-days given minus half-days received, of %(nodes)s operators in %(months)s months."
        " They sum to zero.",
        nodes=len(nodes),
        months=len(months),
    )
    notes = [gettext("As accounted: what was told late is in the first month that was open.")]
    if still:
        named = ", ".join(map(month_name, still))
        notes.append(gettext("Not issued yet, and still moving: %(months)s.", months=named))
    if len(nodes) > MOST:
        notes.append(gettext("The %(number)s with the largest balance are drawn.", number=MOST))
    rows: list[tuple[Value, ...]] = [
        (names.get(node, node), *(table.at(node, month) for month in months), table.at(node))
        for node in nodes
    ]
    return Picture(
        "balance",
        gettext("Balance over time"),
        sentence,
        charts.tracks([_short(month) for month in months], tracks, title, sentence)
        if tracks
        else None,
        (
            ("node", gettext("Node")),
            *((month, on_day(f"{month}-01", "LLL y")) for month in months),
            ("sum", gettext("Sum")),
        ),
        rows,
        notes,
    )


def _people(found: sums.Sums) -> dict[str, Cell]:
    """Return by node who was its visitor or visited from it."""
    nodes: dict[str, Cell] = {}
    for pair, cell in found.flows.items():
        for node in pair:
            nodes[node] = nodes.get(node, NOTHING) + Cell(0, few(cell.people))
    return nodes


def _short(month: str) -> str:
    return on_day(f"{month}-01", "LLL")


def _signed(shown: Shown) -> str:
    if shown.value is None:
        return "<5" if shown.few else "…"
    return signed(shown.value)
