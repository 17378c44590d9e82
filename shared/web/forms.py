"""What the forms of both services check."""

from __future__ import annotations

from typing import Any

from flask_babel import gettext
from flask_wtf import FlaskForm
from wtforms import StringField
from wtforms.validators import StopValidation

from shared.base.schemas import unstorable


class Form(FlaskForm):
    """A form whose text fields take nothing that a database refuses."""

    class Meta:
        def bind_field(self, form: Any, unbound_field: Any, options: Any) -> Any:
            field = super().bind_field(form, unbound_field, options)  # type: ignore[misc]
            if isinstance(field, StringField):
                field.validators = [storable, *field.validators]
            return field


def storable(_form: Any, field: Any) -> None:
    """Refuse what PostgreSQL would refuse, beside the field in which it was typed."""
    if unstorable(field.data):
        raise StopValidation(gettext("This contains characters that cannot be stored."))
