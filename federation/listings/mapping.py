"""From a row to what is said of a space: which column is what, and what is wrong in words' codes.

Pure: the pages say the codes in the reader's language.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from shared.base.mail_server import is_address
from shared.wire.events import is_web_address

# What a column may be. ``place`` is both coordinates in one, ``address`` all of it in one line.
_NAMES = {
    "key": "id|identifiant|uid|uuid|code|ref|reference|key|osm id|siret|id lieu|id structure",
    "name": "nom|name|title|titre|raison sociale|denomination|nom du lieu|nom tiers lieu|space"
    "|nom de la structure|nom du tiers lieu|enseigne|label|structure|lieu|tiers lieu",
    "latitude": "geometry latitude|latitude|lat|y|geo latitude|location lat|coord y|gps lat",
    "longitude": "geometry longitude|longitude|lon|lng|long|x|geo longitude|location lon|coord x"
    "|gps lon",
    "place": "geo point 2d|geo point|geopoint|coordonnees|coordonnees gps|coordinates|gps|geoloc"
    "|localisation|geom|latlng|lat lon",
    "address": "adresse complete|full address|location address|adresse postale|full addr"
    "|address formatted",
    "street": "adresse|rue|street|address|voie|street address|address street|addr street"
    "|address streetaddress|streetaddress|adresse 1|adresse ligne 1|numero et voie",
    "postcode": "code postal|cp|postcode|postal code|zip|zip code|zipcode|address postalcode"
    "|postalcode|addr postcode|codepostal",
    "town": "ville|commune|town|city|localite|address addresslocality|addresslocality|addr city"
    "|municipality|nom commune|libelle commune",
    "country": "pays|country|code pays|country code|address addresscountry|addresscountry"
    "|addr country",
    "description": "description|presentation|abstract|resume|descriptif|texte|commentaire|about"
    "|description courte|descriptionmore",
    "website": "site|site web|site internet|website|web|url|lien|link|homepage|contact website"
    "|adresse web",
    "email": "email|e mail|mail|courriel|contact|contact email|adresse mail|adresse email",
    "services": "services|service|equipements|amenities|categories|activites|tags|prestations"
    "|offre",
    "capacity": "capacite|capacity|places|nombre de places|postes|nombre de postes|seats"
    "|nb places|nb postes",
    "opening_hours": "horaires|horaires d ouverture|opening hours|openhours|heures d ouverture"
    "|hours|opening hours text|openinghours",
}
FIELDS = tuple(_NAMES)
_GUESSES = {name: each for each, names in _NAMES.items() for name in names.split("|")}
LONGEST = {"name": 120, "street": 200, "postcode": 12, "town": 120, "opening_hours": 500}
LONGEST_DESCRIPTION, LONGEST_URL, LONGEST_KEY, LONGEST_ADDRESS = 4000, 300, 200, 300
MOST_SERVICES, LONGEST_SERVICE = 60, 120
MOST_PEOPLE = 10_000
_ADDRESS = re.compile(r"(?:(?P<street>.+?)[\s,;–-]+)?(?P<postcode>\d{5})[\s,]+(?P<town>[^,;\d]+).*")

Mapped = Mapping[str, Mapping[str, str]]
"""By field: ``{"column": name}``, or ``{"text": what is so in every row}``."""


@dataclass(frozen=True, slots=True)
class Fault:
    """``code`` says what is wrong with a field; ``column`` is where it was, "" if nowhere."""

    field: str
    column: str
    code: str


@dataclass(slots=True)
class Made:
    """What a row says. With ``faults`` it is no space; ``notes`` are details left out."""

    key: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    notes: list[Fault] = field(default_factory=list)


def fold(text: str) -> str:
    """Return a text without accents, capitals and punctuation, in any script."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(c if c.isalnum() else " " for c in _letters(plain)).split())


def _letters(text: str) -> str:
    return "".join(c for c in text if not unicodedata.combining(c))


def guess(columns: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return which column is what, by their names in French or English."""
    ranks = {name: rank for rank, name in enumerate(_GUESSES)}
    found: dict[str, dict[str, str]] = {}
    for column in sorted(columns, key=lambda column: ranks.get(fold(column), len(ranks))):
        known = _GUESSES.get(fold(column))
        if known is not None:
            found.setdefault(known, {"column": column})
    return {name: found[name] for name in FIELDS if name in found}


def missing(mapping: Mapped) -> list[str]:
    """Return codes of what a mapping still lacks: a name, and a place or a town."""
    found = [] if "name" in mapping else ["no-name"]
    placed = {"latitude", "longitude"} <= set(mapping)
    return found if placed or {"place", "town", "address"} & set(mapping) else [*found, "no-place"]


def make(cells: Mapping[str, str], mapping: Mapped) -> Made:
    """Return what a row says of a space, with its key in the source."""
    made = Made()
    told = {name: _told(cells, where) for name, where in mapping.items()}
    reading = _Reading(told, mapping, made)
    reading.texts()
    reading.place()
    reading.details()
    facts = made.facts
    if "name" not in facts and not any(fault.field == "name" for fault in made.faults):
        made.faults.append(reading.fault("name", "missing"))
    if "latitude" not in facts and "town" not in facts:
        made.faults.append(reading.fault("town", "no-place"))
    made.key = _key(told.get("key", ""), facts)
    return made


def _told(cells: Mapping[str, str], where: Mapping[str, str]) -> str:
    return where["text"] if "text" in where else cells.get(where.get("column", ""), "")


def _key(given: str, facts: Mapping[str, Any]) -> str:
    """Return what a row is known by: what it was given, else its name and where it is."""
    if given:
        key = f"id {given}"
    else:
        where = [facts.get(name, "") for name in ("street", "postcode", "town")]
        if not any(where):
            where = [f"{facts.get(name, 0):.4f}" for name in ("latitude", "longitude")]
        key = "|".join(fold(str(each)) for each in (facts.get("name", ""), *where))
    if len(key) <= LONGEST_KEY:
        return key
    return f"{key[:120]} {sha256(key.encode()).hexdigest()[:32]}"


class _Reading:
    """One row on its way to facts."""

    def __init__(self, told: Mapping[str, str], mapping: Mapped, made: Made) -> None:
        self.told, self.mapping, self.made = told, mapping, made

    def fault(self, name: str, code: str) -> Fault:
        return Fault(name, self.mapping.get(name, {}).get("column", ""), code)

    def _note(self, name: str, code: str) -> None:
        self.made.notes.append(self.fault(name, code))

    def texts(self) -> None:
        facts = self.made.facts
        parts = self._parts_of_address()
        for name, longest in LONGEST.items():
            value = self.told.get(name) or parts.get(name, "")
            if len(value) <= longest:
                facts.update({name: value} if value else {})
            elif name in ("name", "town"):
                self.made.faults.append(self.fault(name, "too-long"))
            else:
                self._note(name, "too-long")
        country = self.told.get("country", "").upper()
        if re.fullmatch("[A-Z]{2}", country):
            facts["country"] = country
        description = self.told.get("description", "")
        if len(description) > LONGEST_DESCRIPTION:
            description = f"{description[: LONGEST_DESCRIPTION - 1]}…"
            self._note("description", "cut")
        facts.update({"description": description} if description else {})

    def _parts_of_address(self) -> dict[str, str]:
        """Return street, postcode and town of an address in one line."""
        address = self.told.get("address", "")
        if len(address) > LONGEST_ADDRESS:
            self._note("address", "too-long")
            return {}
        found = _ADDRESS.fullmatch(address)
        if found is None:
            return {"street": address}
        return {name: (part or "").strip() for name, part in found.groupdict().items()}

    def place(self) -> None:
        """Read where it is, in degrees; commas may stand for points."""
        pair = [self.told.get("latitude", ""), self.told.get("longitude", "")]
        name = "latitude"
        if not any(pair):
            name = "place"
            pair = _pair(self.told.get("place", ""))
        if not any(pair):
            return
        latitude, longitude = (_degrees(each) for each in pair)
        wrong = latitude is None or longitude is None
        if wrong or (latitude == 0 and longitude == 0):
            self._note(name, "not-degrees")
        elif abs(latitude or 0) > 90 or abs(longitude or 0) > 180:
            self._note(name, "not-on-earth")
        else:
            self.made.facts.update(latitude=latitude, longitude=longitude)

    def details(self) -> None:
        facts, told = self.made.facts, self.told
        if site := told.get("website", ""):
            whole = site if "://" in site else f"https://{site}"
            if _is_site(whole):
                facts["website"] = whole
            else:
                self._note("website", "not-web")
        if email := told.get("email", "").removeprefix("mailto:"):
            if is_address(email):
                facts["email"] = email
            else:
                self._note("email", "not-mail")
        if capacity := told.get("capacity", ""):
            number = re.match(r"\d{1,6}(?!\d)", capacity)
            if number and int(number[0]) <= MOST_PEOPLE:
                facts["capacity"] = int(number[0])
            else:
                self._note("capacity", "not-number")
        services = [each.strip() for each in re.split(r"[;,|]", told.get("services", ""))]
        kept = [each for each in dict.fromkeys(services) if 0 < len(each) <= LONGEST_SERVICE]
        facts.update({"services": kept[:MOST_SERVICES]} if kept else {})


def _is_site(url: str) -> bool:
    """Tell whether this is an address of the web, with a name that can be one."""
    try:
        parts = urlsplit(url)
        named = "." in (parts.hostname or "") and parts.port != 0
    except ValueError:
        return False
    return named and is_web_address(url) and len(url) <= LONGEST_URL


def _pair(text: str) -> list[str]:
    """Return latitude and longitude written in one, as ``45.59, 5.27`` or ``45,59 ; 5,27``."""
    text = text.strip("()[] ")
    for separator in (";", ", ", ",", " "):
        parts = text.split(separator)
        if len(parts) == 2:
            return parts
    return [text, ""]


def _degrees(text: str) -> float | None:
    text = text.strip().replace(",", ".")
    if not re.fullmatch(r"[+-]?\d{1,9}(\.\d{1,20})?", text):
        return None
    return round(float(text), 6)
