"""The sandbox: a coordinator tries a version, or moves a figure, on visits that were recorded."""

from __future__ import annotations

import json
import tomllib
from collections import defaultdict
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, render_template, request, stream_with_context
from flask_babel import lazy_gettext
from wtforms import SelectChoice

from charter import RulesError
from charter.effect import Simulation, result
from federation.charters import service
from federation.charters.models import CharterVersion
from federation.context import hub
from federation.db import db
from federation.identity.roles import STAFF
from federation.nodes import service as directory
from federation.simulation import service as simulation
from federation.simulation.forms import PLANS, SandboxForm
from federation.spaces import queries as published
from shared.web import allow, formats
from shared.web.reasons import CAUSES
from shared.wire.problems import Problem
from shared.wire.rule_figures import with_figures

pages = Blueprint(
    "governance_pages",
    __name__,
    template_folder="templates",
    static_folder="static",
    static_url_path="/static/governance",
)

SHOWN = 25  # visits on the page; all are in the CSV
AT_ONCE = 2_000  # visits that are decided in well under a second
MOST_DAYS = 92  # a chart of more has a column for each month
STATES = {
    "open": lazy_gettext("put to the vote"),
    "adopted": lazy_gettext("adopted, not yet in force"),
    "in_force": lazy_gettext("in force"),
    "past": lazy_gettext("no longer in force"),
    "rejected": lazy_gettext("not adopted"),
    "withdrawn": lazy_gettext("withdrawn"),
}


@dataclass(frozen=True)
class _Asked:
    """What a request wants simulated; ``sound`` is false where the form says what is wrong."""

    form: SandboxForm
    row: CharterVersion
    first: date
    last: date
    rules: str | None
    sound: bool

    @property
    def what(self) -> tuple[str, date, date, str | None]:
        """Return what ``simulation.run`` takes."""
        return self.row.version, self.first, self.last, self.rules


def _asked() -> _Asked:
    session, today = db.session(), hub().clock.now().date()
    current = service.find(session, "current")
    form = SandboxForm(request.args)
    rows = {row.version: row for row in service.versions(session)}
    form.version.choices = [
        SelectChoice(row.version, f"{row.version} – {STATES[row.state]}") for row in rows.values()
    ]
    form.version.data = request.args.get("version") or current.version
    row = rows.get(form.version.data, current)
    form.suit(tomllib.loads(row.sources["rules.toml"]))
    rules, sound = None, form.validate()
    if sound and (moved := form.moved()):
        try:
            rules = with_figures(row.sources["rules.toml"], moved)
        except RulesError as error:
            form.point_at(error.faults)
            sound = False
    first, last = (form.period(today) if sound else None) or _usual(today)
    return _Asked(form, row, first, last, rules, sound)


def _usual(today: date) -> tuple[date, date]:
    """Return last month, or where nobody visited then, this one until today."""
    this = today.replace(day=1)
    last = this - timedelta(days=1)
    if simulation.any_visit(db.session(), last.replace(day=1), last):
        return last.replace(day=1), last
    return this, today


def _result(found: Simulation, asked: _Asked) -> dict[str, Any]:
    """Return what the result's template takes."""
    session = db.session()
    result = simulation.as_json(found, SHOWN)
    nodes = sorted({*result["balances"], *result["homes"]})
    return {
        "result": result,
        "operators": [(node, result["balances"].get(node, [0, 0])) for node in nodes],
        "currencies": (found.before.currency, found.after.currency),
        "columns": _columns(found, asked.first, asked.last),
        "when": _when,
        "first": asked.first,
        "last": asked.last,
        "query": _query(),
        "causes": CAUSES,
        "plan_names": dict(PLANS),
        "names": {node.id: node.name for node in directory.nodes(session)},
        "spaces": {space.id: space.name for space in published.spaces(session)},
    }


def _columns(found: Simulation, first: date, last: date) -> list[dict[str, Any]]:
    """Return the visits before and after for each day of the period.

    Of a long one, for each month from the first visit to the last.
    """
    days, length = found.totals.days, len("2026-11-24")
    if days and (last - first).days >= MOST_DAYS:
        first, last, length = min(days), max(days), len("2026-11")
    counts: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        pair = counts[str(day)[:length]]
        if day in days:
            pair[0] += days[day].visits_before
            pair[1] += days[day].visits_after
    return [{"when": when, "visits": pair} for when, pair in counts.items()]


def _when(column: str) -> str:
    return formats.day(column) if len(column) > len("2026-11") else formats.month(column)


def _query() -> str:
    """Return the question as asked, for the addresses that answer it in another form."""
    kept = [(k, v) for k, v in request.args.items(multi=True) if k not in ("now", "lang") and v]
    return urlencode(kept)


@pages.get("/coordination/simulation")
@allow(*STAFF)
def sandbox() -> Any:
    """Show the form, and the result at once where there is little to decide.

    Where there is much, the page's script fetches it and shows how far it is; without script, the
    form says ``now``, and the page comes when all is decided.
    """
    asked = _asked()
    shown, waiting = {}, False
    if asked.sound:
        total, work = simulation.steps(db.session(), *asked.what)
        waiting = total > AT_ONCE and "now" not in request.args
        if not waiting:
            shown = _result(result(work), asked)
    return render_template(
        "simulation/sandbox.html",
        **{"first": asked.first, "last": asked.last, "query": _query(), **shown},
        form=asked.form,
        version=asked.row.version,
        waiting=waiting,
    ), (200 if asked.sound else 422)


@pages.get("/coordination/simulation.ndjson")
@allow(*STAFF)
def progress() -> Response:
    """Answer line by line: how many visits are decided, of how many; the last line has the result.

    Nothing is locked meanwhile, and who goes away ends the work.
    """
    asked = _asked()
    if not asked.sound:
        raise Problem("validation", errors=asked.form.errors)
    session = db.session()
    total, work = simulation.steps(session, *asked.what)

    def lines() -> Iterator[str]:
        # The request's end has closed the session; what is asked since, it is closed for again.
        with closing(session), closing(work):
            found = yield from _told(work, total)
        page = render_template("simulation/effect.html", **_result(found, asked))
        yield json.dumps({"done": total, "of": total, "page": page}) + "\n"

    headers = {"X-Accel-Buffering": "no"}  # a proxy passes each line on as it comes
    return Response(stream_with_context(lines()), mimetype="application/x-ndjson", headers=headers)


def _told(work: Generator[int, None, Simulation], total: int) -> Generator[str, None, Simulation]:
    while True:
        try:
            done = next(work)
        except StopIteration as end:
            found: Simulation = end.value
            return found
        yield json.dumps({"done": done, "of": total}) + "\n"


@pages.get("/coordination/simulation.csv")
@allow(*STAFF)
def as_csv() -> Response:
    """Give every visit of what is shown."""
    asked = _asked()
    if not asked.sound:
        raise Problem("validation", errors=asked.form.errors)
    name = f"simulation-{asked.row.version}-{asked.first}-{asked.last}.csv"
    return Response(
        simulation.as_csv(simulation.run(db.session(), *asked.what)),
        mimetype="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
