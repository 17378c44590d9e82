"""What importing a list would do, line by line; nothing is written here.

A member is known by the address. An empty cell says nothing: what is recorded stays.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from flask_babel import gettext
from sqlalchemy import select
from sqlalchemy.orm import Session

from charter import PLAN_CLASSES
from node.identity.models import Account
from node.members.forms import FIRST_DAY, LAST_DAY
from node.members.models import Member, Plan
from node.members.names import fold
from node.members.service import Sheet
from node.members.sheet import HEADINGS, Table, read_date
from shared.base.mail_server import is_address
from shared.store.account_tables import normal_email

_LONGEST = {"given_name": 60, "family_name": 60}
# What a plan's class may be called where the plan itself is not named.
_CLASSES = {"resident": ("resident",), "nomad": ("nomad", "nomade"), "ticket": ("ticket",)}


@dataclass(slots=True)
class Line:
    """``kind``: new, changed, same or fault. ``twins`` are addresses of people of the same name."""

    number: int
    name: str
    email: str
    kind: str = "fault"
    faults: list[str] = field(default_factory=list)
    differs: list[str] = field(default_factory=list)
    twins: list[str] = field(default_factory=list)
    sheet: Sheet | None = None
    member_id: int | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    lines: tuple[Line, ...]

    def of(self, kind: str) -> list[Line]:
        return [line for line in self.lines if line.kind == kind]

    @property
    def doubtful(self) -> list[Line]:
        return [line for line in self.lines if line.twins]


@dataclass(frozen=True, slots=True)
class Choices:
    """What the admin chose: which column holds what, the plan of who has none, and whom to add."""

    columns: Mapping[str, int]
    plan_id: int | None = None
    invite: bool = False
    skip_twins: bool = False


def examine(session: Session, table: Table, choices: Choices, today: date) -> Trial:
    """Return what each line would do."""
    known = _members(session)
    plans = _plans(session.scalars(select(Plan).order_by(Plan.id)).all())
    names: defaultdict[str, set[str]] = defaultdict(set)
    for row in known.values():
        names[fold(f"{row.given_name} {row.family_name}")].add(row.email)
    seen: dict[str, int] = {}
    lines = []
    for number, cells in table.rows:
        line = _line(number, cells, choices, plans, known, today)
        if line.kind != "fault":
            before = seen.setdefault(line.email, number)
            if before != number:
                line.kind = "fault"
                line.faults.append(gettext("The same address as on line %(n)s.", n=before))
        if line.kind == "new":
            called = names[fold(line.name)]
            line.twins = sorted(called - {line.email})
            called.add(line.email)
        lines.append(line)
    return Trial(tuple(lines))


def _members(session: Session) -> dict[str, Any]:
    query = select(
        Account.email,
        Member.id,
        Member.given_name,
        Member.family_name,
        Member.plan_id,
        Member.joined_on,
        Member.ended_on,
    ).join(Account, Account.id == Member.account_id)
    return {row.email: row for row in session.execute(query)}


def _plans(found: Iterable[Plan]) -> dict[str, int]:
    """Return plans by their names, and by their class's where only one plan has it."""
    rows = list(found)
    by_name: dict[str, int] = {}
    for name in PLAN_CLASSES:
        of_class = [row.id for row in rows if row.plan_class == name]
        if len(of_class) == 1:
            by_name |= dict.fromkeys(_CLASSES[name], of_class[0])
    return by_name | {fold(row.name): row.id for row in rows}


def _line(
    number: int,
    cells: tuple[str, ...],
    choices: Choices,
    plans: Mapping[str, int],
    known: Mapping[str, Any],
    today: date,
) -> Line:
    told = {name: _cell(cells, choices.columns.get(name)) for name in HEADINGS}
    email = normal_email(told["email"])
    row = known.get(email)
    given_name = told["given_name"] or (row.given_name if row else "")
    family_name = told["family_name"] or (row.family_name if row else "")
    line = Line(number, f"{given_name} {family_name}".strip()[:120], email[:254])
    if not is_address(email):
        line.faults.append(
            gettext("“%(text)s” is no e-mail address.", text=email[:60])
            if email
            else gettext("There is no e-mail address.")
        )
    for name, text in (("given_name", given_name), ("family_name", family_name)):
        if len(text) > _LONGEST[name]:
            words = gettext("%(what)s: at most %(n)s characters.", what=HEADINGS[name], n=60)
            line.faults.append(words)
    if not given_name:
        line.faults.append(gettext("There is no given name."))
    plan_id = _plan(line, told["plan"], plans, row.plan_id if row else choices.plan_id)
    joined_on = _date(line, "joined_on", told) or (row.joined_on if row else today)
    ended_on = _date(line, "ended_on", told) or (row.ended_on if row else None)
    if not line.faults and ended_on is not None and ended_on < joined_on:
        line.faults.append(gettext("The last day is before the first."))
    if line.faults or plan_id is None:
        return line
    line.sheet = Sheet(given_name, family_name, email, plan_id, joined_on, ended_on)
    line.kind, line.member_id = "new", row.id if row else None
    if row is not None:
        now = (given_name, family_name, plan_id, joined_on, ended_on)
        before = (row.given_name, row.family_name, row.plan_id, row.joined_on, row.ended_on)
        fields = ("given_name", "family_name", "plan", "joined_on", "ended_on")
        pairs = zip(fields, before, now, strict=True)
        line.differs = [str(HEADINGS[name]) for name, old, new in pairs if old != new]
        line.kind = "changed" if line.differs else "same"
    return line


def _cell(cells: tuple[str, ...], place: int | None) -> str:
    return cells[place] if place is not None and place < len(cells) else ""


def _plan(line: Line, text: str, plans: Mapping[str, int], usual: int | None) -> int | None:
    found = plans.get(fold(text)) if text else usual
    if found is None:
        line.faults.append(
            gettext("There is no plan named “%(text)s”.", text=text[:60])
            if text
            else gettext("There is no plan.")
        )
    return found


def _date(line: Line, name: str, told: Mapping[str, str]) -> date | None:
    try:
        found = read_date(told[name])
        if found is None or FIRST_DAY <= found <= LAST_DAY:
            return found
    except ValueError:
        pass
    line.faults.append(
        gettext(
            "%(what)s: “%(text)s” is no date like 2026-12-24 or 24/12/2026.",
            what=HEADINGS[name],
            text=told[name][:40],
        )
    )
    return None
