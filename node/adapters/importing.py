"""Importing a list of events, prices or rooms: tried first, then what is right of it at once."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from node.adapters import event_lists, sheet_lists
from node.adapters.spreadsheet import Trial
from node.context import Node
from node.members.importing import kept
from node.members.models import ImportFile
from node.members.sheet import Table, read
from node.spaces import service as spaces
from node.spaces.models import Space
from shared.store.db import write


def examine(
    session: Session, node: Node, space: Space, what: str, table: Table, columns: Mapping[str, int]
) -> Trial:
    """Return what each line of a list would do; nothing is written."""
    if what == "events":
        return event_lists.examine(session, space, table, columns, node.clock.now())
    return sheet_lists.examine(session, space, table, columns, what)


def run(
    session: Session,
    node: Node,
    account_id: int,
    file_id: str,
    space_id: str,
    what: str,
    columns: Mapping[str, int],
) -> Trial | None:
    """Import a list in one transaction and queue the publication; lines with faults are left out.

    What the trial said is not believed: it is worked out again. Returns what was done; None if
    the list was imported already, or is too old. Raises Problem.
    """
    with write(session):
        session.execute(select(Space.id).where(Space.id == space_id).with_for_update())
        space = spaces.space(session, space_id)
        text = kept(session, node.clock.now(), account_id, file_id)
        if text is None:
            return None
        trial = examine(session, node, space, what, read(text), columns)
        if what == "events":
            event_lists.write(session, space, trial, node.clock.now())
        else:
            sheet_lists.write(session, space, trial, node.clock.now(), what)
            space.revision += 1
        session.execute(delete(ImportFile).where(ImportFile.id == file_id))
        spaces.queue_publication(session, node)
    return trial
