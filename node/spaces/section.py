"""One section of the identity sheet: how it is filled from a space, and what it changes."""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar

import orjson
from wtforms import FieldList, HiddenField

from node.spaces.models import Space
from shared.web.forms import Form


class Section(Form):
    """One section: how it is filled from a space, and what a valid one changes.

    ``columns`` are the fields that are columns as they are, ``about`` those of the further facts.
    """

    # What the section said when it was opened: another may have saved it since.
    seen = HiddenField()

    columns: ClassVar[tuple[str, ...]] = ()
    about: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def filled(cls, space: Space) -> dict[str, Any]:
        """Return what the fields of a space hold."""
        plain = {name: getattr(space, name) for name in cls.columns}
        return plain | {name: space.about.get(name) for name in cls.about}

    @classmethod
    def stamp(cls, space: Space) -> str:
        """Return what tells one state of the section from another."""
        filled = orjson.dumps(cls.filled(space), option=orjson.OPT_SORT_KEYS, default=str)
        return hashlib.sha256(filled).hexdigest()[:16]

    def values(self) -> dict[str, Any]:
        """Return the columns that a valid form changes."""
        return {name: self[name].data for name in self.columns}

    def facts(self) -> dict[str, Any]:
        """Return the further facts that a valid form changes."""
        return {name: self[name].data for name in self.about}

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """Return ``rooms`` or ``prices``, where the section has them."""
        return {}

    def offer(self, space: Space) -> None:
        """Fit what there is to choose from to the space."""

    def follow(self, space: Space) -> dict[str, Any]:
        """Return further columns that follow from a valid form, beside what was typed."""
        del space
        return {}

    def asked(self) -> list[bool]:
        """Return, question by question, whether there is an answer."""
        left_out = ("BooleanField", "CSRFTokenField", "HiddenField")
        return [answered(field) for field in self if field.type not in left_out]


def answered(field: Any) -> bool:
    """Tell whether a field, or a table's first row, holds anything."""
    if isinstance(field, FieldList):
        return any(row.form.data.get("name") or row.form.data.get("label") for row in field)
    return field.data not in (None, "", [])
