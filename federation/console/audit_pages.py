"""The audit log at the desk: who did what, when, before and after; searched and exported."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import date
from typing import Any

from flask import Blueprint, Response, render_template, request, stream_with_context
from flask_babel import gettext, lazy_gettext
from wtforms import DateField, HiddenField, SearchField, SelectChoice, SelectField, ValidationError
from wtforms.validators import Length, Optional

from federation.audit.labels import ACTIONS, LABELS, changes
from federation.audit.service import CLI, JOBS
from federation.console import audit_search
from federation.db import db
from shared.web import allow, current
from shared.web.forms import Form
from shared.wire.problems import Problem
from shared.wire.tables import harmless

pages = Blueprint("audit", __name__, template_folder="templates")

READERS = ("coordinator", "reader")
COLUMNS = ("id", "at", "actor", "actor_name", "action", "subject", "subject_name", "detail")


class _MayBeEmpty(Optional):
    """Unlike its parent it does not mark each field: a search may leave anything empty."""

    def __init__(self) -> None:
        super().__init__()
        self.field_flags: dict[str, bool] = {}


def _in_time(_form: Any, field: Any) -> None:
    if field.data is not None and not date(2000, 1, 1) <= field.data <= date(2200, 12, 31):
        raise ValidationError(gettext("Not a valid date."))


class SearchForm(Form):
    """Read by GET: it changes nothing."""

    class Meta:
        csrf = False

    words = SearchField(lazy_gettext("Words or a name"), [Length(max=200)], name="q")
    actor = SelectField(lazy_gettext("Who"), validate_choice=False)
    action = SelectField(
        lazy_gettext("What"),
        choices=[
            SelectChoice("", lazy_gettext("anything")),
            *(SelectChoice(code, name) for code, name in ACTIONS.items()),
        ],
        validate_choice=False,
    )
    subject = HiddenField(validators=[Length(max=160)])
    first = DateField(lazy_gettext("From"), [_MayBeEmpty(), _in_time], name="from")
    last = DateField(lazy_gettext("To"), [_MayBeEmpty(), _in_time], name="to")

    def validate_last(self, field: Any) -> None:
        if self.first.data and field.data and field.data < self.first.data:
            raise ValidationError(gettext("The end is before the beginning."))

    def wanted(self) -> audit_search.Filters:
        """Return what was asked for, within what this reader may see."""
        return audit_search.Filters(
            words=self.words.data or "",
            actor=(self.actor.data or "").replace("\x00", "")[:160],
            action=(self.action.data or "").replace("\x00", "")[:60],
            subject=self.subject.data or "",
            first=self.first.data,
            last=self.last.data,
            everything="coordinator" in current().roles,
        )


def _form() -> SearchForm:
    form = SearchForm(request.args)
    people = audit_search.people(db.session()) if "coordinator" in current().roles else ()
    form.actor.choices = [
        SelectChoice("", gettext("anybody")),
        *(SelectChoice(f"account:{row.id}", row.name) for row in people),
        SelectChoice("node", gettext("any node")),
        SelectChoice(JOBS, gettext("the hub by itself")),
        SelectChoice(CLI, gettext("the command line")),
    ]
    return form


@pages.get("/coordination/audit")
@allow(*READERS)
def log() -> Any:
    session, form = db.session(), _form()
    sound, before = form.validate(), request.args.get("before", type=_number)
    rows, after = audit_search.page(session, form.wanted(), before) if sound else ([], None)
    kept = {name: value for name, value in request.args.items() if name not in ("before", "lang")}
    keys = {key for row in rows for key in (row.actor, row.subject)}
    return render_template(
        "audit/log.html",
        form=form,
        rows=rows,
        after=after,
        before=before,
        kept={name: value for name, value in kept.items() if value},
        called=_called(audit_search.names(session, keys)),
        actions=ACTIONS,
        labels=LABELS,
        changes=changes,
    ), (200 if sound else 422)


def _called(names: Mapping[str, str]) -> Callable[[str], str]:
    """Return what puts an actor or a subject in words; a code stays what it is."""
    ours = {JOBS: gettext("the hub by itself"), CLI: gettext("the command line")}

    def called(key: str) -> str:
        kind, _, rest = key.partition(":")
        if kind == "charter":
            return gettext("charter %(version)s", version=rest)
        return names.get(key) or ours.get(key) or key

    return called


def _number(text: str) -> int:
    """Read a number that every database can compare. Raises ValueError."""
    value = int(text)
    if not 0 <= value < 1 << 31:
        raise ValueError(text)
    return value


@pages.get("/coordination/audit.csv")
@allow(*READERS)
def as_csv() -> Response:
    """Every line that was searched for, the oldest first, as a spreadsheet takes it."""
    return _file("csv", "text/csv", _csv_line, header=_csv_cells(COLUMNS))


@pages.get("/coordination/audit.ndjson")
@allow(*READERS)
def as_ndjson() -> Response:
    """The same, one JSON object a line."""
    return _file("ndjson", "application/x-ndjson", lambda line: json.dumps(line) + "\n")


def _csv_line(line: Mapping[str, Any]) -> str:
    values = {**line, "detail": json.dumps(line["detail"], ensure_ascii=False)}
    return _csv_cells([harmless(str(values[name])) for name in COLUMNS])


def _csv_cells(cells: Any) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(cells)
    return out.getvalue()


def _file(
    suffix: str, mimetype: str, write: Callable[[Mapping[str, Any]], str], header: str = ""
) -> Response:
    """Answer line by line, however long the log is."""
    form = _form()
    if not form.validate():
        raise Problem("validation", errors=form.errors)
    session, wanted = db.session(), form.wanted()

    def lines() -> Iterator[str]:
        # The request's end has closed the session; what is asked since, it is closed for again.
        with closing(session):
            yield header
            called: dict[str, str] = {}
            for row in audit_search.every(session, wanted):
                for key in (row.actor, row.subject):
                    if key not in called:
                        called[key] = audit_search.names(session, [key]).get(key, "")
                yield write(_plain(row, called))

    headers = {
        "Content-Disposition": f'attachment; filename="audit.{suffix}"',
        "X-Accel-Buffering": "no",
    }
    return Response(
        stream_with_context(lines()), content_type=f"{mimetype}; charset=utf-8", headers=headers
    )


def _plain(row: audit_search.Line, called: Mapping[str, str]) -> dict[str, Any]:
    return {
        "id": row.id,
        "at": row.at.isoformat(),
        "actor": row.actor,
        "actor_name": called[row.actor],
        "action": row.action,
        "subject": row.subject,
        "subject_name": called[row.subject],
        "detail": row.detail,
    }
