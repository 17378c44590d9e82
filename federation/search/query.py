"""What may be asked of the spaces in a query string, by programs and in a page's address."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from marshmallow import ValidationError, fields, pre_load, validate
from webargs.multidictproxy import MultiDictProxy
from werkzeug.datastructures import MultiDict

from charter import PLAN_CLASSES
from federation.search.facets import FACETS
from federation.search.service import Filters
from shared.base.schemas import EARLIEST, LATEST, WireSchema

MOST_WORDS = 100
MOST_TIMES = 20
KINDS = ("listed", "connected")
# For a time without an offset, as a form in a page sends it.
HERE = ZoneInfo("Europe/Paris")


class _Moment(fields.DateTime):
    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> datetime:
        found: datetime = super()._deserialize(value, *args, **kwargs)
        return found if found.tzinfo else found.replace(tzinfo=HERE)


class _BoxField(fields.String):
    """``west,south,east,north`` as four numbers."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        found = _numbers(super()._deserialize(value, *args, **kwargs), 4)
        if found is None:
            raise ValidationError("Four numbers are expected: west,south,east,north.")
        west, south, east, north = found
        if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
            raise ValidationError("These are not degrees in the order west,south,east,north.")
        return found


class _PlaceField(fields.String):
    """``latitude,longitude`` as two numbers."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        found = _numbers(super()._deserialize(value, *args, **kwargs), 2)
        if found is None or not (-90 <= found[0] <= 90 and -180 <= found[1] <= 180):
            raise ValidationError("Two numbers are expected: latitude,longitude.")
        return found


def _numbers(text: str, count: int) -> tuple[float, ...] | None:
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        return None
    return found if len(found) == count else None


def _texts(description: str) -> fields.List[Any]:
    return fields.List(
        fields.String(validate=validate.Length(max=120)),
        load_default=list,
        validate=validate.Length(max=MOST_TIMES),
        metadata={"description": description},
    )


class FilterSchema(WireSchema):
    """The filters. What is empty asks for nothing."""

    bbox = _BoxField(
        load_default=None, metadata={"description": "west,south,east,north in degrees"}
    )
    q = fields.String(
        load_default="",
        validate=validate.Length(max=MOST_WORDS),
        metadata={
            "description": "Words of the name or the town, or their beginnings; accents aside. "
            "Where few begin so, also words with one letter wrong (two from eight letters on), "
            "after the others; never the first letter."
        },
    )
    service = _texts("However it is written. Given several times: all of them.")
    value = _texts("However it is written. Given several times: all of them.")
    open = fields.String(
        load_default="",
        validate=validate.OneOf(["", "now"]),
        metadata={"description": "Known to be open now."},
    )
    open_at = _Moment(
        load_default=None,
        validate=validate.Range(EARLIEST, LATEST),
        metadata={
            "description": "Known to be open then. A plus sign is written %2B; without an offset "
            "it is the time in Paris."
        },
    )
    seats = fields.Integer(
        load_default=0,
        validate=validate.Range(0, 10_000),
        metadata={"description": "So many guest places are known to be free now."},
    )
    plan = fields.String(
        load_default="",
        validate=validate.OneOf(["", *PLAN_CLASSES]),
        metadata={
            "description": "Members of this plan class are admitted there, by the charter in force "
            "and the house's own conditions."
        },
    )
    accessible = fields.Boolean(
        load_default=False, metadata={"description": "A step-free entrance is declared."}
    )
    transport = fields.Boolean(
        load_default=False, metadata={"description": "How to come by public transport is said."}
    )
    fablab = fields.Boolean(
        load_default=False, metadata={"description": "It is a fablab, or has one."}
    )
    meeting_room = fields.Boolean(
        load_default=False, metadata={"description": "A meeting room is declared."}
    )
    kind = fields.String(
        load_default="",
        validate=validate.OneOf(["", *KINDS]),
        metadata={"description": "connected: it runs a node; listed: it is only on the map."},
    )
    near = _PlaceField(
        load_default=None,
        metadata={"description": "latitude,longitude; the nearest come first."},
    )
    radius_km = fields.Float(load_default=20.0, validate=validate.Range(0.1, 1000.0))

    @pre_load
    def _leave_out_the_empty(self, data: Any, **_kwargs: Any) -> Any:
        """Leave out the fields of a form that nobody filled in."""
        if not isinstance(data, Mapping):
            return data
        return {name: value for name, value in data.items() if value not in ("", [], [""])}


_filters = FilterSchema()


def read(arguments: MultiDict[str, str]) -> Filters:
    """Return what a query string asks for. Raises ValidationError, which names the parameters."""
    return filters(_filters.load(MultiDictProxy(arguments, _filters)))


def lenient(arguments: MultiDict[str, str]) -> Filters:
    """Return what a query string asks for, but for what cannot be read: a page is shown anyway."""
    try:
        return read(arguments)
    except ValidationError as error:
        wrong = error.normalized_messages()
        return read(
            MultiDict([each for each in arguments.items(multi=True) if each[0] not in wrong])
        )


def filters(query: Mapping[str, Any]) -> Filters:
    """Return what a loaded ``FilterSchema`` asks for."""
    return Filters(
        box=query["bbox"],
        words=query["q"].strip(),
        services=tuple(filter(None, query["service"])),
        values=tuple(filter(None, query["value"])),
        facets=tuple(name for name in FACETS if query[name]),
        kind=query["kind"],
        plan=query["plan"],
        open_now=query["open"] == "now",
        open_at=query["open_at"],
        seats=query["seats"],
        near=query["near"],
        radius_km=query["radius_km"],
    )
