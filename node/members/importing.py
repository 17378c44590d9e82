"""Importing a list of members: kept for an hour for its trial, then all of it or nothing."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask_babel import gettext
from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from node.context import Node
from node.identity.models import Account
from node.members import changes
from node.members.dry_run import Choices, Line, Trial, examine
from node.members.models import ImportFile, Member, Plan
from node.members.names import full_name
from node.members.password_links import links
from node.members.service import insert, lock, new_row, today
from node.members.sheet import read
from shared.store.account_tables import NO_PASSWORD, new_token
from shared.store.db import release, write
from shared.wire.error_messages import translate
from shared.wire.problems import Problem

KEPT = timedelta(hours=1)
AT_ONCE = 250
INVITED_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Step:
    """How far an import is; ``state`` is going, done or failed."""

    words: str
    state: str = "going"


def store(session: Session, now: datetime, account_id: int, text: str) -> str:
    """Keep a list for its trial, in place of the one this admin tried before; return its id."""
    with write(session):
        session.execute(delete(ImportFile).where(ImportFile.account_id == account_id))
        row = ImportFile(id=new_token(), account_id=account_id, text=text, created_at=now)
        session.add(row)
    return row.id


def kept(session: Session, now: datetime, account_id: int, file_id: str) -> str | None:
    """Return the text of a list, to whoever brought it; None once it is imported or dropped."""
    row = session.get(ImportFile, file_id)
    if row is None or row.account_id != account_id or row.created_at < now - KEPT:
        return None
    return row.text


def purge_expired(session: Session, now: datetime) -> None:
    """Drop lists that nobody imported."""
    with write(session):
        session.execute(delete(ImportFile).where(ImportFile.created_at < now - KEPT))


def run(
    session: Session, node: Node, account_id: int, file_id: str, choices: Choices
) -> Iterator[Step]:
    """Import a list in one transaction, telling how far it is; the last step tells the outcome.

    What the trial said is not believed: it is worked out again once nobody else can import.
    """
    try:
        trial = yield from _import(session, node, account_id, file_id, choices)
    except Refused as refused:
        words = gettext("Line %(n)s: %(why)s", n=refused.line.number, why=refused.why)
        yield Step(f"{words} {gettext('Nothing was imported.')}", "failed")
        return
    except IntegrityError:  # somebody was added elsewhere meanwhile
        words = gettext("Members were changed meanwhile.")
        yield Step(f"{words} {gettext('Nothing was imported.')}", "failed")
        return
    if trial is None:
        words = gettext("This list was imported already, or is too old: bring it again.")
        yield Step(words, "failed")
        return
    emails = [line.email for line in trial.lines if line.sheet is not None]
    if choices.invite and node.settings.smtp_url is not None:
        yield from _invite(session, node, emails)
    yield Step(_outcome(trial, choices), "done")


def _import(
    session: Session, node: Node, account_id: int, file_id: str, choices: Choices
) -> Generator[Step, None, Trial | None]:
    """Write the list, unless nobody reads on; return what was done, None where it is gone."""
    with write(session):
        session.execute(select(Plan.id).order_by(Plan.id).with_for_update())
        text = kept(session, node.clock.now(), account_id, file_id)
        if text is None:
            return None
        trial = examine(session, read(text), choices, today(session, node))
        yield from write_lines(session, node, trial, choices)
        session.execute(delete(ImportFile).where(ImportFile.id == file_id))
    return trial


class Refused(Exception):
    """A line that cannot be written, and why."""

    def __init__(self, line: Line, why: str) -> None:
        super().__init__(why)
        self.line, self.why = line, why


def _wanted(trial: Trial, choices: Choices) -> list[Line]:
    return [line for line in trial.of("new") if not (choices.skip_twins and line.twins)]


def _outcome(trial: Trial, choices: Choices) -> str:
    return gettext(
        "Imported: %(new)s new, %(changed)s changed, %(same)s as they were, %(faults)s left out.",
        new=len(_wanted(trial, choices)),
        changed=len(trial.of("changed")),
        same=len(trial.of("same")),
        faults=len(trial.lines)
        - len(_wanted(trial, choices))
        - len(trial.of("changed"))
        - len(trial.of("same")),
    )


def write_lines(session: Session, node: Node, trial: Trial, choices: Choices) -> Iterator[Step]:
    """Write what a trial found, in the caller's transaction, telling how far it is.

    Raises Refused for a line that cannot be, Problem for a person added elsewhere meanwhile.
    """
    new, changed = _wanted(trial, choices), trial.of("changed")
    total = len(new) + len(changed)
    taken = set(session.scalars(select(Account.email)))
    for start in range(0, len(new), AT_ONCE):
        batch = new[start : start + AT_ONCE]
        _add(session, node.clock.now(), batch, taken)
        yield _step(start + len(batch), total)
    for place, line in enumerate(changed, 1):
        _change(session, node, line)
        if place % AT_ONCE == 0 or place == len(changed):
            yield _step(len(new) + place, total)


def _step(done: int, total: int) -> Step:
    return Step(gettext("%(done)s of %(total)s lines", done=done, total=total))


def _add(session: Session, now: datetime, batch: Sequence[Line], taken: set[str]) -> None:
    """Add a batch; an address that has an account without a subscription is given one."""
    plain: list[tuple[Any, Any]] = []
    for line in batch:
        sheet = line.sheet
        if sheet is None:
            continue
        if line.email in taken:
            insert(session, now, sheet)
            continue
        account = Account(
            email=line.email,
            name=full_name(sheet.given_name, sheet.family_name),
            password_hash=NO_PASSWORD,
            roles=["member"],
            created_at=now,
        )
        plain.append((account, sheet))
    session.add_all([account for account, _ in plain])
    session.flush()
    session.add_all([new_row(account.id, now, sheet) for account, sheet in plain])
    session.flush()


def _change(session: Session, node: Node, line: Line) -> None:
    row = lock(session, line.member_id) if line.member_id is not None else None
    if row is None or line.sheet is None:
        return
    try:
        changes.apply(session, node, row, line.sheet)
    except Problem as problem:
        raise Refused(line, translate(problem.detail)) from None


def _invite(session: Session, node: Node, emails: Sequence[str]) -> Iterator[Step]:
    """Invite whoever of the list has neither a password nor a link that still opens.

    Fifty to a transaction, after the import: cut short, the same list invites the others.
    """
    now = node.clock.now()
    live = links.invited(session, now)
    query = (
        select(Account.id, Account.email)
        .join(Member, Member.account_id == Account.id)
        .where(Account.password_hash == NO_PASSWORD)
        .order_by(Account.id)
    )
    listed = set(emails)
    due = [row.id for row in session.execute(query) if row.email in listed and row.id not in live]
    release(session)
    for start in range(0, len(due), INVITED_AT_ONCE):
        with write(session):
            some = due[start : start + INVITED_AT_ONCE]
            for account in session.scalars(select(Account).where(Account.id.in_(some))):
                links.invite(session, node, account)
        done = start + len(some)
        words = gettext("%(done)s of %(total)s invitations", done=done, total=len(due))
        yield Step(words)
