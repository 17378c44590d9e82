"""What an admin says of another tool."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext
from wtforms import SelectChoice, SelectField, ValidationError

from node.adapters.fetching import clean_url
from node.adapters.interface import Unreadable
from node.adapters.registry import adapters
from node.context import node
from node.spaces.forms import text_field
from shared.web.forms import Form
from shared.wire.error_messages import translate

_WHOM = {"everyone": lazy_gettext("everyone"), "subscribers": lazy_gettext("subscribers")}


class SourceForm(Form):
    adapter = SelectField(lazy_gettext("What is read"), validate_choice=True)
    url = text_field(lazy_gettext("Its address"), 500, required=True)
    name = text_field(lazy_gettext("What you call it"), 120, required=True)
    open_to = SelectField(
        lazy_gettext("Its events are open to"),
        choices=[SelectChoice(value, label) for value, label in _WHOM.items()],
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.adapter.choices = [
            SelectChoice(name, str(found.title)) for name, found in adapters().items()
        ]

    def validate_url(self, field: Any) -> None:
        try:
            allowed = node().settings.allow_private_peers
            field.data = clean_url(field.data or "", allow_private=allowed)
        except Unreadable as error:
            raise ValidationError(translate(str(error))) from None
