"""What a proposal is written with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext
from wtforms import (
    Field,
    SelectChoice,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
)
from wtforms.validators import DataRequired, Length, Regexp
from wtforms.widgets import CheckboxInput, ListWidget

from charter import PLAN_CLASSES
from node.spaces.forms import whole_field
from shared.web.forms import Form
from shared.wire.rule_figures import with_figures


def _share() -> dict[str, Any]:
    message = lazy_gettext("A fraction with one digit above and one below, like 1/2 or 2/3.")
    return {
        "validators": [Regexp(r"^[1-9]/[1-9]$", message=message)],
        "description": lazy_gettext("A fraction like 1/2 or 2/3."),
    }


class ProposalForm(Form):
    """Every figure of the rules, each within what a rule can be, and the text as it stands."""

    seniority__days = whole_field(lazy_gettext("Seniority, days"), 0, 3650, optional=False)
    half_days__per_host = whole_field(
        lazy_gettext("Half-days a month at one space"), 0, 100, optional=False
    )
    half_days__network = whole_field(
        lazy_gettext("Half-days a month in the network"), 0, 100, optional=False
    )
    paper_card__half_days = whole_field(
        lazy_gettext("Half-days a month with a card"), 0, 100, optional=False
    )
    guest_cap__at_least = whole_field(
        lazy_gettext("Guest places, at least"), 0, 1000, optional=False
    )
    house_conditions__closed_dates = whole_field(
        lazy_gettext("Dates a month closed to visitors, at most"), 0, 31, optional=False
    )
    house_conditions__notice_hours = whole_field(
        lazy_gettext("Notice that a house may ask for, hours"), 0, 720, optional=False
    )
    offline__trust_list_hours = whole_field(
        lazy_gettext("Without a network, hours"),
        0,
        1000,
        optional=False,
        description=lazy_gettext(
            "For how long a door that cannot reach the network decides with the list it last had."
        ),
    )
    offline__visits_per_pass = whole_field(
        lazy_gettext("Without a network, visits a pass"), 0, 100, optional=False
    )
    balance__tolerance_half_days = whole_field(
        lazy_gettext("Tolerance, half-days"), 0, 10_000, optional=False
    )
    balance__rate_cents = whole_field(
        lazy_gettext("A half-day, in cents"), 0, 100_000, optional=False
    )
    correction__hours = whole_field(
        lazy_gettext("Correction, hours"),
        0,
        10_000,
        optional=False,
        description=lazy_gettext("For how long the host may undo a visit noted by mistake."),
    )
    dispute__days = whole_field(lazy_gettext("Dispute, days"), 1, 365, optional=False)
    vote__days = whole_field(lazy_gettext("Vote, days"), 1, 365, optional=False)
    balance__mode = SelectField(
        lazy_gettext("Beyond the tolerance"),
        choices=[
            SelectChoice("compensate", lazy_gettext("compensated in money")),
            SelectChoice("barter", lazy_gettext("carried in half-days")),
        ],
    )
    eligible_plans__classes = SelectMultipleField(
        lazy_gettext("Plans that may roam"),
        choices=[
            SelectChoice("resident", lazy_gettext("resident")),
            SelectChoice("nomad", lazy_gettext("nomad")),
            SelectChoice("ticket", lazy_gettext("ticket")),
        ],
        widget=ListWidget(prefix_label=False),
        option_widget=CheckboxInput(),
    )
    vote__quorum = StringField(lazy_gettext("Quorum, of the operators"), **_share())
    vote__majority = StringField(lazy_gettext("Majority, of the votes"), **_share())
    text_fr = TextAreaField(
        lazy_gettext("The text in French"),
        validators=[DataRequired(), Length(max=200_000)],
    )
    text_en = TextAreaField(
        lazy_gettext("The text in English"),
        validators=[DataRequired(), Length(max=200_000)],
    )
    argument = TextAreaField(
        lazy_gettext("Why this change? The other operators read it before they vote."),
        validators=[
            DataRequired(lazy_gettext("Say why, in a few words.")),
            Length(max=4000),
        ],
    )

    def figures(self) -> list[Field]:
        return [field for field in self if "__" in field.name]

    def leave_out(self, rules: Mapping[str, Any]) -> None:
        """Leave out the figures of rules that are not in force: this form changes, it adds none."""
        for field in self.figures():
            if field.name.partition("__")[0] not in rules:
                del self[field.name]

    def point_at(self, faults: Mapping[str, list[str]]) -> None:
        """Put what is wrong beside its field; what has none here stands above them all."""
        for name, words in faults.items():
            if name in self:
                self[name].errors = [*self[name].errors, *words]
            else:
                self.form_errors.extend(words)

    def sources(self, toml: str) -> dict[str, str]:
        """Return what is proposed, in place of the figures of ``toml``."""
        return {
            "rules.toml": with_figures(toml, self._as_toml()),
            "fr.md": (self.text_fr.data or "").replace("\r\n", "\n"),
            "en.md": (self.text_en.data or "").replace("\r\n", "\n"),
        }

    def _as_toml(self) -> dict[str, str]:
        """Return what TOML writes for each figure, by ``table.key``."""
        return {f.name.replace("__", "."): _toml(f.data) for f in self.figures()}


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(f'"{item}"' for item in PLAN_CLASSES if item in value) + "]"
    return str(value) if isinstance(value, int) else f'"{value}"'


def form_for(base: Mapping[str, Any]) -> ProposalForm:
    """Return the form filled with a version as the hub tells it."""
    rules = base["rules"]
    values = {
        name: rules.get(name.partition("__")[0], {}).get(name.partition("__")[2])
        for name in ProposalForm()._fields
        if "__" in name
    }
    sources = base["sources"]
    return ProposalForm(
        data={
            **values,
            "text_fr": sources["fr.md"],
            "text_en": sources["en.md"],
            "argument": base.get("argument", ""),
        }
    )
