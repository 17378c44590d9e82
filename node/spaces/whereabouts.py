"""What follows from where a space is: its time zone, and its own public holidays. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from shared.base.schemas import DEFAULT_ZONE


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """``region`` is a code of ``node.spaces.hours.REGIONS``, empty where there are no others."""

    timezone: str
    region: str


MAINLAND = Whereabouts(DEFAULT_ZONE, "")
# By the first figures of the postcode; the longer goes before.
_BY_POSTCODE = {
    "57": Whereabouts(DEFAULT_ZONE, "57"),
    "67": Whereabouts(DEFAULT_ZONE, "6AE"),
    "68": Whereabouts(DEFAULT_ZONE, "6AE"),
    "971": Whereabouts("America/Guadeloupe", "971"),
    "97133": Whereabouts("America/St_Barthelemy", "BL"),
    "97150": Whereabouts("America/Marigot", "MF"),
    "972": Whereabouts("America/Martinique", "972"),
    "973": Whereabouts("America/Cayenne", "973"),
    "974": Whereabouts("Indian/Reunion", "974"),
    "975": Whereabouts("America/Miquelon", "PM"),
    "976": Whereabouts("Indian/Mayotte", "976"),
    "977": Whereabouts("America/St_Barthelemy", "BL"),
    "978": Whereabouts("America/Marigot", "MF"),
    "984": Whereabouts("Indian/Kerguelen", "TF"),
    "986": Whereabouts("Pacific/Wallis", "WF"),
    "987": Whereabouts("Pacific/Tahiti", "PF"),
    "98741": Whereabouts("Pacific/Marquesas", "PF"),
    "98742": Whereabouts("Pacific/Marquesas", "PF"),
    "98755": Whereabouts("Pacific/Gambier", "PF"),
    "988": Whereabouts("Pacific/Noumea", "NC"),
}
# South, west, north and east of what has no postcode yet but a place on the map.
_BOXES = (
    ((15.8, -61.9, 16.6, -60.9), "97100"),
    ((14.3, -61.3, 14.95, -60.7), "97200"),
    ((2.1, -54.7, 5.9, -51.5), "97300"),
    ((-21.5, 55.1, -20.8, 55.9), "97400"),
    ((46.7, -56.5, 47.2, -56.1), "97500"),
    ((-13.1, 44.9, -12.6, 45.4), "97600"),
    ((17.85, -62.95, 17.98, -62.75), "97700"),
    ((18.0, -63.2, 18.13, -62.95), "97800"),
    ((-14.4, -178.3, -13.1, -176.0), "98600"),
    ((-28.0, -155.0, -7.5, -134.0), "98700"),
    ((-23.0, 163.0, -19.0, 169.0), "98800"),
)
ZONES = (DEFAULT_ZONE, *sorted({each.timezone for each in _BY_POSTCODE.values()} - {DEFAULT_ZONE}))


def whereabouts(
    postcode: str | None, latitude: float | None = None, longitude: float | None = None
) -> Whereabouts:
    """Return what a postcode says, or, without one, a place on the map."""
    code = (postcode or "").replace(" ", "")
    if not code and latitude is not None and longitude is not None:
        code = _code_at(latitude, longitude)
    for length in (5, 3, 2):
        if code[:length] in _BY_POSTCODE:
            return _BY_POSTCODE[code[:length]]
    return MAINLAND


def _code_at(latitude: float, longitude: float) -> str:
    for (south, west, north, east), code in _BOXES:
        if south <= latitude <= north and west <= longitude <= east:
            return code
    return ""
