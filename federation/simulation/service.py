"""Recorded visits decided again under another charter, or under other rules."""

from __future__ import annotations

import csv
import gc
import io
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from sqlalchemy import ColumnElement, Text, and_, cast, exists, func, select
from sqlalchemy.orm import Session

from charter import Charter, Facts, RulesError, facts_from_json
from charter.effect import Simulation, result, simulating
from charter.model import with_rules
from charter.rules import Balance
from charter.simulation import Recorded, Replayed
from federation.charters import service
from federation.statements.models import Statement
from federation.visits.models import Visit, published_hours
from shared.wire.problems import Problem

_ZONE = ZoneInfo("Europe/Paris")
_AT_ONCE = 5_000
# As ``Recorded`` has them; the facts as text, which is read here in a third of the time.
_COLUMNS = (
    Visit.id,
    Visit.home_id,
    Visit.host_id,
    Visit.space_id,
    Visit.member_id,
    Visit.plan,
    cast(Visit.facts, Text),
    Visit.started_at,
    Visit.ended_at,
    Visit.online,
    Visit.charter,
    Visit.day,
    Visit.hours,
)


def run(
    session: Session, version: str, first: date, last: date, rules: str | None = None
) -> Simulation:
    """Decide every visit that began from ``first`` to ``last`` (inclusive) again. Raises Problem.

    ``rules`` (TOML) are tried in place of the version's own. Undone visits are left out.
    """
    _, work = steps(session, version, first, last, rules)
    return result(work)


def steps(
    session: Session, version: str, first: date, last: date, rules: str | None = None
) -> tuple[int, Generator[int, None, Simulation]]:
    """Return how many visits there are, and what does as ``run`` does, saying how far it is."""
    if last < first:
        raise Problem("validation", errors={"to": ["The end is before the beginning."]})
    charter = service.as_charter(service.find(session, version))
    if rules is not None:
        try:
            charter = with_rules(charter, rules)
        except RulesError as error:
            raise Problem("validation", errors={"rules": error.faults}) from None
    begun = _begun(first, last)
    total = session.scalar(select(func.count()).select_from(Visit).where(begun)) or 0
    return total, _simulating(session, charter, begun)


def _simulating(
    session: Session, charter: Charter, begun: ColumnElement[bool]
) -> Generator[int, None, Simulation]:
    in_force = service.in_force(session)
    past = [service.as_charter(row) for row in service.versions(session)]
    issued = _issued(session, {each.version: each for each in past})
    with _uncollected():
        return (yield from simulating(charter, _recorded(session, begun), in_force, past, issued))


def _issued(session: Session, versions: Mapping[str, Charter]) -> dict[tuple[int, int], Balance]:
    """Return the balance rule that each issued month was issued under, by year and month."""
    query = select(Statement.month, Statement.charter).where(Statement.state != "closing")
    rows = session.execute(query)
    return {
        (int(month[:4]), int(month[5:])): versions[version].rules.balance for month, version in rows
    }


@contextmanager
def _uncollected() -> Iterator[None]:
    """Leave the garbage collector out.

    Looking through all that is kept, again and again, for cycles that are not there, would take
    longer than deciding. Frozen and unfrozen, it is old already, and not looked through at the end.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.freeze()
            gc.unfreeze()
            gc.enable()


def _begun(first: date, last: date) -> ColumnElement[bool]:
    start = datetime.combine(first, time(), _ZONE)
    end = datetime.combine(last + timedelta(days=1), time(), _ZONE)
    stands = and_(Visit.state != "void", Visit.held.is_(None))
    return and_(stands, Visit.started_at >= start, Visit.started_at < end)


def any_visit(session: Session, first: date, last: date) -> bool:
    """Tell whether there is something to decide again."""
    return bool(session.scalar(select(exists().where(_begun(first, last)))))


def _recorded(session: Session, begun: ColumnElement[bool]) -> Iterator[Recorded]:
    query = (
        select(*_COLUMNS)
        .where(begun)
        .order_by(Visit.started_at, Visit.id)
        .execution_options(yield_per=_AT_ONCE)
    )
    with session.connection().execute(query) as rows:  # closed, whoever goes away meanwhile
        for id_, home, host, space, member, plan, facts, *rest, hours in rows:
            openings = published_hours(hours)
            known = str(member), plan, _facts(facts), *rest, openings
            yield Recorded(id_, home, host, space, *known)


@lru_cache(_AT_ONCE)
def _facts(text: str) -> Facts:
    """Visits of one day often have equal facts: each is read, and kept, once."""
    return facts_from_json(orjson.loads(text))


def as_json(found: Simulation, limit: int) -> dict[str, Any]:
    """Return the result: what changes first, visit by visit, then by space, home and plan."""
    totals, network = found.totals, found.totals.network
    causes = sorted(totals.causes.items(), key=lambda item: (-item[1], item[0]))
    return {
        "total": network.visits_before,
        "changed": network.changed,
        "half_days": [network.half_days_before, network.half_days_after],
        "causes": [
            {"code": code, "article": article, "visits": count} for (code, article), count in causes
        ],
        "visits": [visit_json(each) for each in found.visits[:limit]],
        "spaces": _figures(totals.spaces),
        "homes": _figures(totals.homes),
        "plans": _figures(totals.plans),
        "days": _figures({str(day): each for day, each in totals.days.items()}),
        "balances": _pair(found.before.balances, found.after.balances),
        "compensation": _pair(found.before.compensation, found.after.compensation),
        "currency": found.after.currency,
    }


def _pair(before: Any, after: Any) -> dict[str, list[int]]:
    nodes = sorted({*before, *after})
    return {node: [before.get(node, 0), after.get(node, 0)] for node in nodes}


def _figures(groups: Any) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "visits": [each.visits_before, each.visits_after],
            "half_days": [each.half_days_before, each.half_days_after],
            "changed": each.changed,
        }
        for name, each in sorted(groups.items())
    }


def visit_json(each: Replayed) -> dict[str, Any]:
    """Return one visit, as it was and as it would have been, with the articles that cause it."""
    visit = each.visit
    return {
        "id": visit.id,
        "home": visit.home,
        "host": visit.host,
        "space": visit.space,
        "plan": visit.plan,
        "day": visit.day.isoformat(),  # other operators are not told the second
        "changed": each.changed,
        "before": {"outcome": each.before.outcome, "half_days": len(each.before.half_days)},
        "after": {"outcome": each.after.outcome, "half_days": len(each.after.half_days)},
        "reasons": [{"code": r.code, "article": r.article} for r in each.after.reasons],
        "causes": [{"code": code, "article": article} for code, article in each.causes],
    }


CSV_COLUMNS = (
    "id",
    "home",
    "host",
    "space",
    "plan",
    "day",
    "changed",
    "before",
    "after",
    "half_days_before",
    "half_days_after",
    "reasons",
)


def as_csv(found: Simulation) -> str:
    """Return every visit, those that change first. Ids and codes alone: no cell is free text."""
    out = io.StringIO()
    writer = csv.DictWriter(out, CSV_COLUMNS, extrasaction="ignore", lineterminator="\r\n")
    writer.writeheader()
    for each in found.visits:
        line = visit_json(each)
        before, after = line["before"], line["after"]
        writer.writerow(
            {
                **line,
                "changed": int(line["changed"]),
                "before": before["outcome"],
                "after": after["outcome"],
                "half_days_before": before["half_days"],
                "half_days_after": after["half_days"],
                "reasons": " ".join(f"{r['code']}:{r['article']}" for r in line["reasons"]),
            }
        )
    return out.getvalue()
