"""Taking an export into a node: all of it in one transaction, done and undone for a trial.

Spaces and events are known by their ids, plans by their names, members by their addresses: taken
in again, an export changes nothing. Visits, bookings and accounts stay where they were made.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flask_babel import force_locale
from marshmallow import ValidationError
from sqlalchemy import inspect, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from charter import PLAN_CLASSES
from charter.hours import HoursError
from node.context import Node
from node.events.models import Event
from node.exports.parts import CHILD_APART, EVENT_APART, SPACE_APART, columns_of, space_sheet
from node.exports.reading import Export, ImportFault
from node.identity.models import Account
from node.members import importing as lists
from node.members import service as members
from node.members.dry_run import Choices, examine
from node.members.models import Member, Plan
from node.members.names import fold
from node.members.sheet import guess, read
from node.photos.models import Photo
from node.publication.document import document as published
from node.spaces import service as spaces
from node.spaces.models import Space
from shared.base.schemas import unstorable
from shared.ops.backup import from_plain, python_type
from shared.store.db import write
from shared.wire.error_messages import translate
from shared.wire.problems import Problem
from shared.wire.spaces import SpaceSchema
from shared.wire.tables import SheetFault, decode


@dataclass
class Report:
    """``counts`` by what it is and what becomes of it: new, changed or same."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def lines(self) -> list[str]:
        kinds = list(dict.fromkeys(kind for kind, _ in self.counts))
        return [
            f"{kind}: "
            + ", ".join(f"{self.counts[kind, w]} {w}" for w in ("new", "changed", "same"))
            for kind in kinds
        ]


class _DryRun(Exception):
    """All was done, and is undone: it was a trial."""


def take_in(session: Session, node: Node, export: Export, *, dry_run: bool) -> Report:
    """Import an export, or tell what importing it would do. Raises ImportFault: nothing was done.

    Photos follow once the rest is written; one that is here already is left as it is.
    """
    report = Report()
    try:
        with suppress(_DryRun), write(session):
            _spaces(session, node, export, report)
            _photo_rows(session, export)
            _events(session, node, export, report)
            _plans(session, export, report)
            with force_locale("en"):  # a command's words are English
                _members(session, node, export, report)
            spaces.queue_publication(session, node)
            session.flush()
            if dry_run:
                raise _DryRun
    except (SQLAlchemyError, OverflowError) as error:
        raise ImportFault(f"the database refuses it ({type(error).__name__})") from None
    _photos(node, export, report, dry_run=dry_run)
    return report


def _spaces(session: Session, node: Node, export: Export, report: Report) -> None:
    relations = {relation.key: relation for relation in inspect(Space).relationships}
    for told in export.rows("spaces/spaces.json", "spaces"):
        space_id = str(told.get("id", ""))
        values = _values(Space, told, f"space {space_id}", SPACE_APART)
        row = session.get(Space, space_id)
        before = space_sheet(row) if row else None
        if row is None:
            row = Space(updated_at=node.clock.now(), **values)
            session.add(row)
        for name, value in values.items():
            setattr(row, name, value)
        for name, relation in relations.items():
            if name in told and (before is None or told[name] != before[name]):
                _children(session, row, relation, told[name])
        _check(row, node)
        session.flush()
        now = space_sheet(row)
        report.counts["spaces", _outcome(before, now)] += 1
        if before != now:
            row.updated_at = node.clock.now()


def _outcome(before: Any, now: Any) -> str:
    return "new" if before is None else "same" if before == now else "changed"


def _children(session: Session, row: Space, relation: Any, told: Any) -> None:
    """Put a space's rooms, prices and the like in place of those that are there."""
    if not isinstance(told, list) or not all(isinstance(child, dict) for child in told):
        raise ImportFault(f"space {row.id}: {relation.key} is no list")
    kind, has_place = relation.mapper.class_, "place" in relation.mapper.columns
    setattr(row, relation.key, [])
    session.flush()  # the old ones go before others come with the same key
    children = []
    for place, child in enumerate(told):
        values = _values(kind, child, f"space {row.id}, {relation.key}", CHILD_APART)
        children.append(kind(**values, **({"place": place} if has_place else {})))
    setattr(row, relation.key, children)


def _values(
    kind: type[Any], told: Mapping[str, Any], where: str, apart: tuple[str, ...]
) -> dict[str, Any]:
    """Return what is said of a row's columns, as they take it; other names are ignored."""
    found = {}
    for column in inspect(kind).columns:
        name = column.key
        if name in apart or name not in told:
            continue
        value = told[name]
        try:
            found[name] = from_plain(column, value, "")
            fits = _fits(column, found[name])
        except (TypeError, ValueError):
            fits = False
        if not fits:
            raise ImportFault(f"{where}: {name} is not what is expected")
    return found


def _fits(column: Any, value: Any) -> bool:
    if value is None:
        return bool(column.nullable)
    wanted = python_type(column)
    if wanted is None:  # JSON: its shape is looked at with the whole document
        return isinstance(value, dict | list)
    if wanted is str:
        most = column.type.length or len(value)
        return isinstance(value, str) and len(value) <= most and not unstorable(value)
    if wanted is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if wanted is datetime:
        return isinstance(value, datetime) and value.tzinfo is not None
    return type(value) is wanted and (wanted is not int or -(2**31) <= value < 2**31)


def _check(row: Space, node: Node) -> None:
    """Hold a space against what the network takes. Raises ImportFault."""
    try:
        document = published(row, node.clock.now().date(), node.url)
        SpaceSchema().load(document)
    except ValidationError as error:
        raise ImportFault(*_said(f"space {row.id}", error.messages)) from None
    except HoursError as error:
        raise ImportFault(f"space {row.id}, {error}") from None
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ImportFault(f"space {row.id} is not what a space is") from None


def _said(where: str, messages: Any) -> Iterator[str]:
    if isinstance(messages, dict):
        for name, under in messages.items():
            yield from _said(f"{where}, {name}", under)
    else:
        yield f"{where}: {' '.join(map(str, messages))}"


def _events(session: Session, node: Node, export: Export, report: Report) -> None:
    for told in export.rows("events/events.json", "events"):
        event_id = str(told.get("id", ""))
        where = f"event {event_id}"
        values = _values(Event, told, where, EVENT_APART)
        row = session.get(Event, event_id)
        if session.get(Space, values.get("space_id")) is None:
            raise ImportFault(f"{where}: its space is not here")
        before = columns_of(row, EVENT_APART) if row else None
        if row is None:
            row = Event(**values)
            session.add(row)
        elif before is not None and row.revision <= values.get("revision", 0):
            for name, value in values.items():
                setattr(row, name, value)
        session.flush()
        report.counts["events", _outcome(before, columns_of(row, EVENT_APART))] += 1


def _plans(session: Session, export: Export, report: Report) -> None:
    known = {fold(plan.name): plan for plan in session.scalars(select(Plan))}
    for told in export.rows("members/plans.json", "plans"):
        values = _values(Plan, told, f"plan {told.get('name')}", ("id",))
        if (
            values.get("plan_class") not in PLAN_CLASSES
            or {"name", "half_days_per_month"} - values.keys()
        ):
            raise ImportFault(
                f"plan {told.get('name')}: name, plan_class or half_days_per_month is wrong"
            )
        row = known.get(fold(values["name"]))
        if row is None:
            session.add(Plan(**values))
            report.counts["plans", "new"] += 1
        elif row.plan_class != values["plan_class"]:
            raise ImportFault(
                f"plan {row.name}: it is {row.plan_class} here, {values['plan_class']} there;"
                " rename one of them"
            )
        else:
            before, row.half_days_per_month = row.half_days_per_month, values["half_days_per_month"]
            outcome = _outcome((before,), (row.half_days_per_month,))
            report.counts["plans", outcome] += 1
    session.flush()


def _members(session: Session, node: Node, export: Export, report: Report) -> None:
    try:
        table = read(decode(export.read("members/members.csv")))
    except SheetFault as fault:
        if not export.rows("members/members.json", "members"):
            report.counts["members", "new"] += 0
            return
        raise ImportFault(f"members/members.csv: {fault}") from None
    choices = Choices(guess(table.header))
    trial = examine(session, table, choices, members.today(session, node))
    faults = [
        f"members/members.csv, line {line.number}: {' '.join(line.faults)}"
        for line in trial.of("fault")
    ]
    if faults:
        raise ImportFault(*faults)
    try:
        for _step in lists.write_lines(session, node, trial, choices):
            pass
    except lists.Refused as refused:
        where = f"members/members.csv, line {refused.line.number}"
        raise ImportFault(f"{where}: {refused.why}") from None
    except Problem as problem:
        raise ImportFault(f"members/members.csv: {translate(problem.detail)}") from None
    for kind in ("new", "changed", "same"):
        report.counts["members", kind] += len(trial.of(kind))
    _suspended(session, node, export, {line.email for line in trial.of("new")})


def _suspended(session: Session, node: Node, export: Export, new: set[str]) -> None:
    """Suspend whoever was: who is new here has no pass that would have to be told."""
    listed = export.rows("members/members.json", "members")
    emails = {str(m.get("email")) for m in listed if m.get("suspended_at")} & new
    query = select(Member).join(Account).where(Account.email.in_(emails))
    for row in session.scalars(query) if emails else ():
        row.suspended_at = node.clock.now()


def _photo_rows(session: Session, export: Export) -> None:
    for told in export.rows("spaces/photos.json", "photos"):
        values = _values(Photo, told, "a photo", ())
        if session.get(Photo, values.get("id")) is None:
            session.add(Photo(**values))
    session.flush()


def _photos(node: Node, export: Export, report: Report, *, dry_run: bool) -> None:
    for name in export.names("photos"):
        path = node.settings.data_dir / name
        report.counts["photos", "same" if path.exists() else "new"] += 1
        if dry_run or path.exists():
            continue
        content = export.read(name)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.write_bytes(content)
        temporary.replace(path)
