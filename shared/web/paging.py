"""Lists that are read page by page: what may be asked of them, what they answer, their cursors."""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from shared.base.schemas import WireSchema, unstorable

NOT_A_CURSOR = "Not a cursor of this list."
_CHECK_BYTES = 6


class Paging:
    """One list's order. A cursor is the ``key`` of a page's last row, and a checksum over it.

    The checksum keeps no secret: it tells a cursor that was cut, changed or taken from another
    list from one that a page of this list gave. ``read`` makes of a key what the list is asked
    from (raises ValueError), ``begin`` asks from the beginning.
    """

    def __init__(
        self,
        name: str,
        key: Callable[[Any], str],
        read: Callable[[str], Any] = str,
        begin: Any = "",
    ) -> None:
        self.name, self.key, self._read, self.begin = name, key, read, begin

    def cursor(self, key: str | None) -> str | None:
        """Return the cursor of a key; of none, none."""
        if key is None:
            return None
        text = key.encode()
        check = hashlib.sha256(f"{self.name}\n".encode() + text).digest()[:_CHECK_BYTES]
        return urlsafe_b64encode(check + text).rstrip(b"=").decode()

    def read(self, cursor: str) -> Any:
        """Return where a page begins. Raises ValidationError."""
        if not cursor:
            return self.begin
        try:
            whole = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
            key = whole[_CHECK_BYTES:].decode()
            if self.cursor(key) == cursor and not unstorable(key):
                return self._read(key)
        except ValueError:
            pass
        raise ValidationError(NOT_A_CURSOR)

    def page(
        self, rows: Sequence[Any], limit: int, item: Callable[[Any], Any] = lambda row: row
    ) -> dict[str, Any]:
        """Return a page of one row more than it shows, which tells that there is a next one."""
        more = self.key(rows[limit - 1]) if len(rows) > limit else None
        return {"items": [item(row) for row in rows[:limit]], "next_cursor": self.cursor(more)}

    @property
    def field(self) -> fields.String:
        """What takes a cursor in a query string."""
        return _Cursor(self)


class _Cursor(fields.String):
    def __init__(self, paging: Paging) -> None:
        super().__init__(
            load_default=paging.begin,
            metadata={"description": "A page’s “next_cursor”; the first page without it."},
        )
        self._paging = paging

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        return self._paging.read(super()._deserialize(value, *args, **kwargs))


def number(key: str) -> int:
    """Read a key that is a row's number. Raises ValueError."""
    if not re.fullmatch("[0-9]{1,9}", key):
        raise ValueError(key)
    return int(key)


def page_limit(usual: int, most: int = 500) -> fields.Integer:
    """How many a page has."""
    return fields.Integer(load_default=usual, validate=validate.Range(1, most))


def page_of(name: str, item: Any, **more: Any) -> type[Schema]:
    """Return the schema of a page of a list: of items of this schema or field, and what joins."""
    each = item if isinstance(item, fields.Field) else fields.Nested(item)
    items = fields.List(each, required=True)
    cursor = fields.String(required=True, allow_none=True)
    return WireSchema.from_dict({"items": items, "next_cursor": cursor, **more}, name=name)
