"""What the address of the map's page asks for: filters for the search, and words for the form."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from urllib.parse import urlencode

from marshmallow import ValidationError
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict

from federation.search import query as queries
from federation.search import service as search
from federation.search.facets import FACETS
from federation.text_search import plain
from shared.base.clock import Clock

LONGEST = 200  # characters of one parameter
MOST = 40  # of them
# Where, apart from the map's own box.
_PLACE = ("near", "around", "radius_km")
FILTERS = (
    *("q", "service", "value", "open", "open_at", "seats", "plan", *FACETS, "kind"),
    *("near", "radius_km"),
)
_OF_THE_PAGE = ("around", "bbox", "by_value", "view", "cursor", "lang")
_VIEW = ((-90.0, 90.0), (-180.0, 180.0), (3.0, 18.0))


@dataclass(frozen=True, slots=True)
class Centre:
    """What ``around`` was taken for."""

    name: str
    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class Asked:
    """An address as it was understood.

    ``faults`` are the parameters that were not, and are left out. ``address`` holds
    what the form shows, cursor and language aside.
    """

    path: str
    address: MultiDict[str, str]
    wanted: search.Filters
    faults: frozenset[str] = frozenset()
    centre: Centre | None = None
    after: str = ""
    points: str = ""

    def url(self, *, without: Iterable[str] = (), value: str = "", **changes: str) -> str:
        """Return this page's address, changed; of a repeated parameter only ``value`` goes."""
        kept = [
            (name, each)
            for name, each in self.address.items(multi=True)
            if name not in changes and (name not in without or (value and each != value))
        ]
        query = urlencode([*kept, *((name, each) for name, each in changes.items() if each)])
        return f"{self.path}?{query}" if query else self.path

    @property
    def view(self) -> str:
        """Return where the map is to look, ``latitude,longitude,zoom``, or nothing."""
        return "" if "view" in self.faults else self.address.get("view", "")

    @property
    def box(self) -> str:
        return "" if "bbox" in self.faults else self.address.get("bbox", "")

    @property
    def filtered(self) -> int:
        """Return how many filters are behind the name, the town and the place."""
        names = set(self.address) & set(FILTERS) - {"q", *_PLACE}
        return len(names - self.faults)


def read(session: Session, args: MultiDict[str, str], path: str, clock: Clock, url: str) -> Asked:
    """Understand an address. What cannot be read is left out, and named in ``faults``."""
    address = _cleaned(args)
    after = (address.pop("cursor", "") or "")[:64]
    address.poplist("lang")
    faults, centre = set(_faulty_view(address)), None
    asked = MultiDict(address)
    if around := address.get("around", ""):
        centre = _centre(session, around, clock, url)
        asked.poplist("near")
        address.poplist("near")
        if centre is None:
            faults.add("around")
        else:
            asked["near"] = f"{centre.latitude},{centre.longitude}"
    try:
        wanted = queries.read(asked)
    except ValidationError as error:
        faults |= set(error.messages_dict)
        wanted = queries.lenient(asked)
    filters = [
        pair for pair in asked.items(multi=True) if pair[0] in FILTERS and pair[0] not in faults
    ]
    points = f"/api/v1/spaces/points?{urlencode(filters)}"
    return Asked(path, address, wanted, frozenset(faults), centre, after, points)


def _cleaned(args: MultiDict[str, str]) -> MultiDict[str, str]:
    """Return the parameters that this page knows, those that ask for nothing left out."""
    known = {*FILTERS, *_OF_THE_PAGE}
    pairs = (
        (name, value.replace("\x00", "").strip()[:LONGEST])
        for name, value in args.items(multi=True)
        if name in known
    )
    return MultiDict(list(dict.fromkeys(pair for pair in pairs if pair[1]))[:MOST])


def _faulty_view(address: MultiDict[str, str]) -> list[str]:
    try:
        parts = [float(part) for part in address.get("view", "45,0,5").split(",")]
        within = all(
            least <= part <= most for part, (least, most) in zip(parts, _VIEW, strict=True)
        )
    except ValueError:
        within = False
    return [] if within else ["view"]


def _centre(session: Session, around: str, clock: Clock, url: str) -> Centre | None:
    """Return the middle of a town's spaces, else the place of the first space so named."""
    found = search.page(session, search.Filters(words=around), clock.now(), url, limit=100).shown
    placed = [each for each in found if each.get("latitude") is not None]
    if not placed:
        return None
    same = [each for each in placed if plain(each["town"]) == plain(around)]
    of = same or placed[:1]
    return Centre(
        same[0]["town"] if same else placed[0]["name"],
        round(median(each["latitude"] for each in of), 5),
        round(median(each["longitude"] for each in of), 5),
    )
