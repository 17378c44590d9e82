"""The form that withdraws a key: the coordination's, and the node's own."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from flask_babel import gettext, lazy_gettext
from wtforms import DateTimeLocalField, TextAreaField
from wtforms.validators import DataRequired, Length, Optional

from shared.base.schemas import DEFAULT_ZONE
from shared.web.forms import Form


class WithdrawKeyForm(Form):
    reason = TextAreaField(
        lazy_gettext("Reason"),
        description=lazy_gettext("The operator and the coordinators read it."),
        validators=[DataRequired(lazy_gettext("Give the reason.")), Length(max=300)],
    )
    since = DateTimeLocalField(
        lazy_gettext("From when on nothing it signs is believed"),
        description=lazy_gettext("Empty: from now on. Earlier, if it was in other hands by then."),
        validators=[Optional()],
    )

    @property
    def instant(self) -> datetime | None:
        """Return the instant that was entered, in the time of mainland France."""
        found: datetime | None = self.since.data
        return found.replace(tzinfo=ZoneInfo(DEFAULT_ZONE)) if found else None

    def refuse_instant(self) -> None:
        self.since.errors = [gettext("Between when the key was added and now.")]
