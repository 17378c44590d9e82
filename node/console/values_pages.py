"""Values: the space's own with what proves each, and where it stands on the shared ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request
from flask_babel import get_locale, gettext, lazy_gettext
from wtforms import FieldList, FormField, HiddenField, RadioField, SelectChoice, ValidationError

from charter.values import LEVELS, SharedValue, shared_values
from node.context import node
from node.db import db
from node.hub import service as sync
from node.spaces import service
from node.spaces.forms import MAX_LINES, text_field
from node.spaces.models import Space
from node.spaces.rows import EMPTY_ROWS, RowForm
from shared.web import allow
from shared.web.formats import level_name
from shared.web.forms import Form

pages = Blueprint("values_pages", __name__, template_folder="templates")


class ValueForm(RowForm):
    name = text_field(lazy_gettext("Value"), 120)
    story = text_field(lazy_gettext("The anecdote that proves it"), 1000, area=True)

    def validate_name(self, field: Any) -> None:
        if not (field.data or "").strip() and (self.story.data or "").strip():
            raise ValidationError(gettext("Name this value, or empty the whole row."))


class AnswerForm(RowForm):
    value = HiddenField()
    level = RadioField(
        lazy_gettext("Where do you stand?"),
        choices=[
            SelectChoice("", lazy_gettext("not said this year")),
            *(SelectChoice(str(level), level_name(level)) for level in LEVELS),
        ],
    )
    evidence = text_field(lazy_gettext("What shows it"), 1000, area=True)

    def validate_level(self, field: Any) -> None:
        if not field.data and (self.evidence.data or "").strip():
            raise ValidationError(gettext("Say where you stand, or empty what shows it."))

    def validate_evidence(self, field: Any) -> None:
        if self.level.data and not (field.data or "").strip():
            raise ValidationError(gettext("Tell a fact that shows it, in a sentence."))


class ValuesForm(Form):
    own = FieldList(FormField(ValueForm), max_entries=MAX_LINES)
    shared = FieldList(FormField(AnswerForm), max_entries=MAX_LINES)

    def stories(self) -> dict[str, str]:
        """Return the space's own values in order, each with its anecdote or an empty text."""
        rows = [(row.form.name.data or "", row.form.story.data or "") for row in self.own]
        return {name.strip(): story.strip() for name, story in rows if name.strip()}

    def answers(self, shared: Sequence[SharedValue]) -> dict[str, tuple[int, str]]:
        known = {value.id for value in shared}
        return {
            row.form.value.data: (int(row.form.level.data), row.form.evidence.data.strip())
            for row in self.shared
            if row.form.level.data and row.form.value.data in known
        }


def _form(space: Space, shared: Sequence[SharedValue], year: int) -> ValuesForm:
    said = {each.value: each for each in space.assessments if each.year == year}
    own: list[Any] = [{"name": name, "story": space.stories.get(name, "")} for name in space.values]
    answers = [
        {
            "value": value.id,
            "level": str(said[value.id].level) if value.id in said else "",
            "evidence": said[value.id].evidence if value.id in said else "",
        }
        for value in shared
    ]
    return ValuesForm(data={"own": own + [{}] * EMPTY_ROWS, "shared": answers})


@pages.route("/console/spaces/<space_id>/values", methods=["GET", "POST"])
@allow("admin")
def values(space_id: str) -> Any:
    session, year = db.session(), node().clock.now().year
    space, known = service.space(session, space_id), sync.network(session, node())
    shared = shared_values(known.charter) if known else ()
    rule = known.charter.rules.values if known else None
    form = ValuesForm() if request.method == "POST" else _form(space, shared, year)
    if form.validate_on_submit():
        service.save_values(session, node(), space_id, form.stories(), year, form.answers(shared))
        flash(gettext("Saved. It is on the space’s public page."), "success")
        return redirect(f"/console/spaces/{space_id}/values")
    return render_template(
        "spaces/values.html",
        space=space,
        form=form,
        year=year,
        shared={value.id: value for value in shared},
        article=rule.article if rule and shared else None,
        before={each.value: each for each in space.assessments if each.year == year - 1},
        language=str(get_locale()),
    ), (422 if form.errors else 200)
