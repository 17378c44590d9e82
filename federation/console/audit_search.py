"""Finding lines of the audit log, a page at a time, and all of them for a file."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Row, String, cast, false, or_, select
from sqlalchemy.orm import Session

from federation.audit.models import AuditEntry
from federation.identity.models import Account
from federation.nodes.models import Node
from shared.store.db import release

PAGE = 50
MOST_WORDS = 6
_AT_ONCE = 1000
Line = Row[Any]
_ZONE = ZoneInfo("Europe/Paris")


@dataclass(frozen=True, slots=True)
class Filters:
    """Which lines. ``actor`` is one, or ``node`` for any node; both days are included.

    Not ``everything``: lines about accounts and invitations are left out.
    """

    words: str = ""
    actor: str = ""
    action: str = ""
    subject: str = ""
    first: date | None = None
    last: date | None = None
    everything: bool = True


_COLUMNS = (
    AuditEntry.id,
    AuditEntry.at,
    AuditEntry.actor,
    AuditEntry.action,
    AuditEntry.subject,
    AuditEntry.detail,
)


def page(
    session: Session, wanted: Filters, before: int | None = None
) -> tuple[Sequence[Line], int | None]:
    """Return lines, the latest first, and what to go on before; None on the last page."""
    query = select(*_COLUMNS).where(*_conditions(session, wanted))
    if before is not None:
        query = query.where(AuditEntry.id < before)
    rows = session.execute(query.order_by(AuditEntry.id.desc()).limit(PAGE + 1)).all()
    return rows[:PAGE], rows[PAGE - 1].id if len(rows) > PAGE else None


def every(session: Session, wanted: Filters) -> Iterator[Line]:
    """Yield all lines, the oldest first; nothing is held open in the database meanwhile."""
    query = select(*_COLUMNS).where(*_conditions(session, wanted)).order_by(AuditEntry.id)
    after = 0
    while rows := session.execute(query.where(AuditEntry.id > after).limit(_AT_ONCE)).all():
        release(session)
        yield from rows
        after = rows[-1].id


def _conditions(session: Session, wanted: Filters) -> Iterator[ColumnElement[bool]]:
    for word in wanted.words.split()[:MOST_WORDS]:
        yield _says(session, word)
    if wanted.actor == "node":
        yield AuditEntry.actor.startswith("node:")
    elif wanted.actor:
        yield AuditEntry.actor == wanted.actor
    if wanted.action:
        yield AuditEntry.action == wanted.action
    if wanted.subject:
        yield AuditEntry.subject == wanted.subject
    if wanted.first:
        yield AuditEntry.at >= _midnight(wanted.first)
    if wanted.last:
        yield AuditEntry.at < _midnight(wanted.last + timedelta(days=1))
    if not wanted.everything:
        yield AuditEntry.subject.not_like("account:%")
        yield AuditEntry.action != "invite"


def _says(session: Session, word: str) -> ColumnElement[bool]:
    """Return where a line has a word: in itself, or in the name of who or what it is about."""
    named = [
        *(f"account:{id_}" for id_ in _named(session, Account, word)),
        *_named(session, Node, word),
    ]
    return or_(
        AuditEntry.actor.icontains(word, autoescape=True),
        AuditEntry.action.icontains(word, autoescape=True),
        AuditEntry.subject.icontains(word, autoescape=True),
        cast(AuditEntry.detail, String).icontains(word, autoescape=True),
        _about(named) if named else false(),
    )


def _about(named: Collection[str]) -> ColumnElement[bool]:
    actors = [key if key.startswith("account:") else f"node:{key}" for key in named]
    return or_(AuditEntry.actor.in_(actors), AuditEntry.subject.in_(named))


def _named(session: Session, model: Any, word: str) -> Sequence[Any]:
    query = select(model.id).where(model.name.icontains(word, autoescape=True))
    return session.scalars(query.order_by(model.id).limit(100)).all()


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), _ZONE)


def names(session: Session, keys: Collection[str]) -> Mapping[str, str]:
    """Return what actors and subjects are called, by ``account:3``, ``node:x`` and ``x``."""
    accounts = {int(key[8:]) for key in keys if key.startswith("account:") and key[8:].isdigit()}
    nodes = {key.removeprefix("node:") for key in keys if not key.startswith("account:")}
    found: dict[str, str] = {}
    of_accounts = select(Account.id, Account.name).where(Account.id.in_(accounts))
    for number, name in session.execute(of_accounts):
        found[f"account:{number}"] = name
    for row in session.execute(select(Node.id, Node.name).where(Node.id.in_(nodes))):
        found[row.id] = found[f"node:{row.id}"] = row.name
    return found


def people(session: Session) -> Sequence[Row[int, str]]:
    """Return id and name of every account, by name."""
    query = select(Account.id, Account.name).order_by(Account.name, Account.id)
    return session.execute(query).all()
