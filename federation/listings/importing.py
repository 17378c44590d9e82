"""Importing what a trial found: in batches, each of them whole, and repeated without harm.

A row is known by its source and its key there, so whatever ended an import half-way, the next one
goes on from what is there. Who begins later is who goes on: an import that finds its source's
revision changed stops.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flask_babel import gettext
from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from federation.audit.service import audit
from federation.listings import labels, reading
from federation.listings.dry_run import Trial, examine
from federation.listings.models import ListingChoice, ListingDraft
from federation.listings.storing import store
from federation.spaces.models import ListingSource, Space
from shared.store.db import write

AT_ONCE = 250
MOST_IDS = 200  # in one line of the audit log
BY_ITSELF = "jobs"


@dataclass(frozen=True, slots=True)
class Step:
    """How far an import is; ``state`` is going, done or failed."""

    words: str
    state: str = "going"


@dataclass(frozen=True, slots=True)
class Decision:
    """``choice`` is skip, same or apart; ``space_id`` is the space it is about."""

    choice: str
    space_id: str | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was decided on the page of a trial.

    ``decisions`` are by row, ``rest`` is for the doubtful ones without (None: they wait); ``gone``
    are the ids to take off the map. ``revision`` is the source's when the trial was made.
    """

    revision: int = 0
    decisions: Mapping[int, Decision] = field(default_factory=dict)
    rest: str | None = None
    gone: frozenset[str] = frozenset()
    all_gone: bool = False


class Overtaken(Exception):
    """Somebody else has begun to import the same source since."""


def run(session: Session, now: datetime, draft: ListingDraft, wanted: Wanted) -> Iterator[Step]:
    """Import a draft, telling how far it is; the last step tells the outcome."""
    account_id, draft_id, text = draft.account_id, draft.id, draft.text
    yield Step(gettext("The list is read and compared with the map."))
    table = reading.read(text)
    try:
        source_id, revision = _begin(session, now, draft_id, wanted)
        trial = examine(session, table, _mapping(session, source_id), source_id)
        _decide(session, now, account_id, (source_id, revision), trial, wanted)
        yield from take_in(session, now, source_id, revision, trial)
        gone = [each for each, _ in trial.gone if wanted.all_gone or each in wanted.gone]
        actor = f"account:{account_id}"
        with write(session):
            finish(session, now, source_id, revision, trial, gone=gone, actor=actor)
            session.execute(delete(ListingDraft).where(ListingDraft.id == draft_id))
    except Overtaken:
        said = gettext("Somebody else imports this source: see the trial again.")
        yield Step(said, "failed")
        return
    except IntegrityError:
        said = gettext("Another source has this name meanwhile, or the spaces were changed.")
        yield Step(f"{said} {gettext('Try again.')}", "failed")
        return
    yield Step(labels.outcome(trial, len(gone)), "done")


def _mapping(session: Session, source_id: int) -> dict[str, Any]:
    return session.get_one(ListingSource, source_id).mapping


def _begin(session: Session, now: datetime, draft_id: str, wanted: Wanted) -> tuple[int, int]:
    """Take the source for this import; make it, if it is new. Raises Overtaken."""
    with write(session):
        draft = session.get(ListingDraft, draft_id, with_for_update=True, populate_existing=True)
        if draft is None:
            raise Overtaken
        if draft.source_id is None:
            source = ListingSource(
                **draft.source, created_by=draft.account_id, created_at=now, mapping=draft.mapping
            )
            session.add(source)
            session.flush()
            draft.source_id = source.id
            actor = f"account:{draft.account_id}"
            audit(session, now, actor, "listing-source", f"source:{source.id}", after=draft.source)
        else:
            source = _locked(session, draft.source_id)
            if source.revision != wanted.revision:
                raise Overtaken
            source.file_name = draft.source.get("file_name") or source.file_name
            source.kind = draft.source["kind"]
            source.mapping = draft.mapping
        source.revision = (source.revision or 0) + 1
        return source.id, source.revision


def claim(session: Session, source_id: int) -> int:
    """Take a source for an import, from whoever imports it now; return its revision since."""
    with write(session):
        source = _locked(session, source_id)
        source.revision += 1
        return int(source.revision)


def _locked(session: Session, source_id: int, revision: int | None = None) -> ListingSource:
    """Return a source that nobody else imports now. Raises Overtaken."""
    source = session.get_one(ListingSource, source_id, with_for_update=True, populate_existing=True)
    if revision is not None and source.revision != revision:
        raise Overtaken
    return source


def _decide(
    session: Session,
    now: datetime,
    account_id: int,
    claimed: tuple[int, int],
    trial: Trial,
    wanted: Wanted,
) -> None:
    """Keep what was decided of doubtful rows, for this import and the next. Raises Overtaken."""
    with write(session):
        source_id = _locked(session, *claimed).id
        held = {
            row.source_key: row
            for row in session.scalars(select(ListingChoice).filter_by(source_id=source_id))
        }
        for line in trial.of("doubtful"):
            decision = wanted.decisions.get(line.place)
            likest = line.likes[0].space.id
            if decision is None and wanted.rest is not None:
                decision = Decision(wanted.rest, likest)
            if decision is None:
                continue
            if decision.choice == "same" and decision.space_id not in {
                like.space.id for like in line.likes
            }:
                continue  # it is not there any more
            row = held.get(line.key)
            if row is None:
                row = ListingChoice(source_id=source_id, source_key=line.key)
                session.add(row)
            row.choice, row.space_id = decision.choice, decision.space_id or likest
            row.chosen_by, row.chosen_at = account_id, now
            line.state = {"skip": "skipped", "same": "merged", "apart": "new"}[row.choice]


def take_in(
    session: Session, now: datetime, source_id: int, revision: int, trial: Trial
) -> Iterator[Step]:
    """Write the new and the changed rows, a batch to a transaction. Raises Overtaken."""
    lines = trial.of("new", "changed")
    for start in range(0, len(lines), AT_ONCE):
        batch = lines[start : start + AT_ONCE]
        with write(session):
            _locked(session, source_id, revision)
            store(session, now, source_id, batch)
        done = start + len(batch)
        yield Step(gettext("%(done)s of %(total)s spaces", done=done, total=len(lines)))


def finish(
    session: Session,
    now: datetime,
    source_id: int,
    revision: int,
    trial: Trial,
    *,
    gone: Sequence[str] = (),
    actor: str,
) -> None:
    """Take off the map what was chosen of what is gone, and note the import.

    In the caller's transaction. Raises Overtaken.
    """
    source = _locked(session, source_id, revision)
    for start in range(0, len(gone), AT_ONCE):
        some = gone[start : start + AT_ONCE]
        for space in session.scalars(select(Space).where(Space.id.in_(some))):
            space.withdrawn_at = now
    source.imported_at = source.checked_at = now
    source.fault = None
    counts = {state: number for state, number in trial.counts().items() if number}
    if actor == BY_ITSELF and not counts.keys() & {"new", "changed"}:
        return
    removed = {"removed": len(gone), "ids": list(gone[:MOST_IDS])} if gone else {}
    after = {"revision": revision, "file": source.file_name or source.url, **counts, **removed}
    before = {"revision": revision - 1}
    audit(session, now, actor, "listing-import", f"source:{source_id}", before=before, after=after)
