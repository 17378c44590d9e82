"""What an admin brings as a list: a file or a pasted text, and which column holds what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from flask import request
from flask_babel import gettext

from shared.wire.tables import SheetFault, decode


def brought() -> str:
    """Return the text of the file, or what was pasted. Raises SheetFault."""
    file = request.files.get("file")
    content = file.read() if file else b""
    text = decode(content) if content else request.form.get("text", "")
    if not text.strip():
        raise SheetFault(gettext("Choose a file, or paste the list."))
    return text


def chosen_columns(
    names: Iterable[str], header: Sequence[str], given: Mapping[str, str]
) -> dict[str, int]:
    """Return the columns that were chosen on the page of a trial, by what they hold."""
    told = {name: given.get(f"column_{name}", "") for name in names}
    return {
        name: int(place)
        for name, place in told.items()
        if place.isdecimal() and len(place) < 3 and int(place) < len(header)
    }
