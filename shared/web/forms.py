"""What the forms of both services check."""

from __future__ import annotations

from typing import Any

from flask_babel import gettext
from wtforms import ValidationError

from shared.schemas import unstorable


def storable(_form: Any, field: Any) -> None:
    """Refuse what PostgreSQL would refuse, beside the field in which it was typed."""
    if unstorable(field.data):
        raise ValidationError(gettext("This contains characters that cannot be stored."))
