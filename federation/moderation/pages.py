"""The moderators' desk: reports, what changed since somebody last looked, and hidden spaces."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request
from flask_babel import gettext, ngettext

from federation.context import hub
from federation.db import db
from federation.identity.roles import STAFF
from federation.moderation import changes, hiding, labels, reports
from federation.moderation.difference import lines
from federation.moderation.models import Change
from federation.nodes import service as nodes
from federation.spaces import queries as published
from shared.base.schemas import unstorable
from shared.web import allow, current
from shared.wire.page_reports import ANSWERS, KINDS
from shared.wire.problems import Problem

pages = Blueprint("moderation", __name__, template_folder="templates")

SHOWN_REPORTS, SHOWN_CHANGES, SHOWN_HISTORY = 100, 60, 40
MOST_CLOSING = 1000
HERE = "/coordination/moderation"


@pages.get("/coordination/moderation")
@allow(*STAFF)
def moderation() -> str:
    session = db.session()
    closed = request.args.get("reports") == "closed"
    found = changes.unseen(session, SHOWN_CHANGES)
    return render_template(
        "moderation/moderation.html",
        reports=reports.latest(session, closed=closed, limit=SHOWN_REPORTS),
        closed=closed,
        open_count=reports.count_open(session),
        groups=_grouped(found),
        unseen=changes.count_unseen(session),
        until=max((each.at for each in found), default=hub().clock.now()),
        hidden=hiding.hidden(session),
        names={node.id: node.name for node in nodes.nodes(session)},
        **_common(),
    )


def _common() -> dict[str, Any]:
    return {
        "may_change": bool(current().roles & {"coordinator", "moderator"}),
        "kinds": KINDS,
        "answers": ANSWERS,
        "words": labels,
        "lines": _lines,
    }


def _lines(change: Change) -> list[Any]:
    return lines(change.before, change.after)


def _grouped(found: Sequence[Change]) -> list[tuple[str | None, str, str, list[Change]]]:
    """Return space id, its name, the source, and its changes; the operators' own under None."""
    ids = {change.space_id for change in found if change.space_id}
    names = published.names_of(db.session(), ids)
    groups: dict[tuple[str | None, str], list[Change]] = {}
    for change in found:
        groups.setdefault((change.space_id, change.source), []).append(change)
    return [
        (space_id, names.get(space_id or "", space_id or ""), source, of)
        for (space_id, source), of in groups.items()
    ]


@pages.get("/coordination/moderation/spaces/<space_id>")
@allow(*STAFF)
def of_space(space_id: str) -> str:
    session = db.session()
    space = published.any_space(session, space_id)
    return render_template(
        "moderation/space.html",
        space=space,
        reports=[
            *reports.latest(session, closed=False, limit=SHOWN_HISTORY, space_id=space_id),
            *reports.latest(session, closed=True, limit=SHOWN_HISTORY, space_id=space_id),
        ],
        changes=changes.of_space(session, space_id, SHOWN_HISTORY),
        **_common(),
    )


@pages.post("/coordination/moderation/reports/<report_id>/close")
@allow("coordinator", "moderator")
def close(report_id: str) -> Any:
    how = _words("words", MOST_CLOSING)
    if how is None:
        flash(gettext("Say in a few words how it ended (1000 characters at most)."), "error")
        return redirect(HERE)
    try:
        reports.close(db.session(), hub(), f"account:{current().id}", report_id, how)
    except Problem as problem:
        if problem.slug != "conflict":
            raise
        flash(gettext("Somebody else closed this report meanwhile."), "warning")
    else:
        said = gettext(
            "The report is closed. Whoever made it is told, and their address forgotten."
        )
        flash(said, "success")
    return redirect(HERE)


def _words(name: str, most: int) -> str | None:
    """Return what was written in a field; None if it is nothing, too long or cannot be stored."""
    said = request.form.get(name, "").strip()
    return said if 1 <= len(said) <= most and not unstorable(said) else None


def _named() -> list[tuple[int, int]]:
    """Read which changes were shown, as ``id:times``. Raises ValueError."""
    found = []
    for each in request.form.getlist("seen"):
        number, times = map(int, each.split(":"))
        if max(number, times) >= 2**31:
            raise ValueError("no such change")
        found.append((number, times))
    return found


def _instant(text: str) -> datetime:
    """Read an aware instant. Raises ValueError."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("a time without a zone")
    return found


@pages.post("/coordination/moderation/changes/seen")
@allow("coordinator", "moderator")
def seen() -> Any:
    session, now, actor = db.session(), hub().clock.now(), f"account:{current().id}"
    try:
        if "until" in request.form:
            until = _instant(request.form["until"])
            number = changes.mark_all_seen(session, now, actor, until)
        else:
            number = changes.mark_seen(session, now, actor, _named())
    except (ValueError, OverflowError):
        raise Problem("malformed") from None
    if number:
        said = ngettext("%(num)d change marked as seen.", "%(num)d changes marked as seen.", number)
        flash(said, "success")
    else:
        said = gettext("These changed again meanwhile, or somebody else has marked them.")
        flash(said, "warning")
    return redirect(f"{HERE}#changes")


@pages.post("/coordination/moderation/spaces/<space_id>/hide")
@allow("coordinator", "moderator")
def hide(space_id: str) -> Any:
    reason = _words("reason", hiding.MOST_REASON)
    back = redirect(f"{HERE}/spaces/{space_id}")
    if reason is None:
        flash(gettext("Give the reason: the operator reads it (500 characters at most)."), "error")
        return back
    try:
        hiding.hide(db.session(), hub(), f"account:{current().id}", space_id, reason)
    except Problem as problem:
        if problem.slug != "conflict":
            raise
        said = gettext("Somebody else took it off the map meanwhile: that reason stands.")
        flash(said, "warning")
    else:
        said = gettext("The space is off the map. Its operator reads why, and may reply.")
        flash(said, "success")
    return back


@pages.post("/coordination/moderation/spaces/<space_id>/show")
@allow("coordinator", "moderator")
def show(space_id: str) -> Any:
    hiding.show(db.session(), hub().clock.now(), f"account:{current().id}", space_id)
    flash(gettext("The space is on the map again."), "success")
    return redirect(f"{HERE}/spaces/{space_id}")
