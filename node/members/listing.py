"""Every member as a table, in the columns that an import reads."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import date, datetime

from flask_babel import gettext
from sqlalchemy.orm import Session

from node.members import service
from node.members.labels import CLASS_NAMES, state_words
from node.members.password_links import links
from node.members.sheet import HEADINGS
from shared.wire.tables import harmless


def table(rows: Iterable[Sequence[object]]) -> bytes:
    """Return rows as CSV that a spreadsheet opens and that nothing in it can make compute."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=";", lineterminator="\r\n")
    for row in rows:
        writer.writerow(["" if cell is None else harmless(str(cell)) for cell in row])
    return out.getvalue().encode("utf-8-sig")


def members_csv(session: Session, now: datetime, today: date) -> bytes:
    """Return every member there ever was, by family name."""
    heads = {**HEADINGS, "class": gettext("class"), "state": gettext("state")}
    asked = links.invited(session, now)
    rows = [
        (
            row.given_name,
            row.family_name,
            row.account.email,
            row.plan.name,
            row.joined_on,
            row.ended_on,
            CLASS_NAMES[row.plan.plan_class],
            state_words(row, today, asked)[1],
        )
        for row in service.everybody(session)
    ]
    return table([tuple(heads.values()), *rows])
