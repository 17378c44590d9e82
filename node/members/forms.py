"""What an admin types of a member and of a plan, and the password that people choose."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from flask_babel import gettext, lazy_gettext
from wtforms import (
    BooleanField,
    DateField,
    EmailField,
    SelectChoice,
    SelectField,
    SelectMultipleField,
    StringField,
    ValidationError,
)
from wtforms.validators import DataRequired, InputRequired, Length, Optional
from wtforms.widgets import CheckboxInput, ListWidget

from charter import PLAN_CLASSES
from node.members.changes import ROLES
from node.members.labels import CLASS_NAMES
from node.members.models import Member, Plan
from node.members.service import Sheet
from node.spaces.forms import text_field, whole_field
from shared.accounts.forms import ROLE_NAMES
from shared.base.mail_server import is_address
from shared.web.forms import Form

MOST_HALF_DAYS = 62
FIRST_DAY, LAST_DAY = date(1900, 1, 1), date(2200, 12, 31)


def name_field(label: Any) -> Any:
    return StringField(
        label,
        filters=[lambda text: " ".join((text or "").split())],
        validators=[
            DataRequired(lazy_gettext("This is needed.")),
            Length(max=60, message=lazy_gettext("At most %(max)d characters.")),
        ],
    )


def day_in_range(_form: Any, field: Any) -> None:
    """Refuse years that are certainly typed wrong, and that not every database keeps."""
    if field.data is not None and not FIRST_DAY <= field.data <= LAST_DAY:
        raise ValidationError(gettext("This year cannot be right."))


def address(_form: Any, field: Any) -> None:
    if not is_address((field.data or "").strip()):
        raise ValidationError(gettext("An address like contact@space.org is expected."))


class MemberForm(Form):
    given_name = name_field(lazy_gettext("Given name"))
    family_name = name_field(lazy_gettext("Family name"))
    email = EmailField(
        lazy_gettext("E-mail address"),
        validators=[DataRequired(lazy_gettext("This is needed.")), address],
    )
    plan = SelectField(lazy_gettext("Plan"), coerce=int)
    joined_on = DateField(
        lazy_gettext("First day"),
        [InputRequired(lazy_gettext("Write a date like 2026-12-24.")), day_in_range],
    )
    ended_on = DateField(lazy_gettext("Last day"), [Optional(), day_in_range])

    def offer(self, plans: Sequence[Plan]) -> None:
        self.plan.choices = [
            SelectChoice(p.id, f"{p.name} – {CLASS_NAMES[p.plan_class]}") for p in plans
        ]

    def validate_ended_on(self, field: Any) -> None:
        if field.data and self.joined_on.data and field.data < self.joined_on.data:
            raise ValidationError(gettext("The last day is before the first."))

    def sheet(self) -> Sheet:
        """Return what a valid form says."""
        return Sheet(
            self.given_name.data or "",
            self.family_name.data or "",
            (self.email.data or "").strip(),
            self.plan.data,
            self.joined_on.data or FIRST_DAY,
            self.ended_on.data,
        )


def form_of(row: Member) -> MemberForm:
    return MemberForm(
        data={
            "given_name": row.given_name,
            "family_name": row.family_name,
            "email": row.account.email,
            "plan": row.plan_id,
            "joined_on": row.joined_on,
            "ended_on": row.ended_on,
        }
    )


class NewMemberForm(MemberForm):
    invite = BooleanField(
        lazy_gettext("Invite them: a one-time link, good for 7 days, to choose a password"),
        default=True,
    )


class EndForm(Form):
    last_day = DateField(
        lazy_gettext("Last day"),
        [InputRequired(lazy_gettext("Write a date like 2026-12-24.")), day_in_range],
    )


class RolesForm(Form):
    roles = SelectMultipleField(
        lazy_gettext("Roles of the account"),
        choices=[SelectChoice(role, ROLE_NAMES[role]) for role in ROLES],
        widget=ListWidget(prefix_label=False),
        option_widget=CheckboxInput(),
    )


class PlanForm(Form):
    name = text_field(lazy_gettext("Name"), 120, required=True)
    plan_class = SelectField(
        lazy_gettext("The charter’s class"),
        choices=[SelectChoice(name, CLASS_NAMES[name]) for name in PLAN_CLASSES],
    )
    half_days = whole_field(lazy_gettext("Half-days a month; empty: no limit"), 0, MOST_HALF_DAYS)
