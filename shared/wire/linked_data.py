"""A space's page for search engines: schema.org, as JSON-LD.

It stands in a ``<script type="application/ld+json">``. That is a data block, not a script: the
type is looked at before any Content-Security-Policy is asked, and nothing is run (HTML, "prepare
the script element"). Templates write it with ``tojson``, which leaves no ``<`` in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from charter.hours import WEEKDAYS, Schedule, joined
from shared.wire.events import coming

_SCHEMA = "https://schema.org/"
# schema.org has no type for it.
COWORKING = "https://en.wikipedia.org/wiki/Coworking"
_DAYS_AHEAD = 366
_CLOSED = (timedelta(), timedelta())
_DAYS = dict(
    zip(
        WEEKDAYS,
        ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
        strict=True,
    )
)
Thing = dict[str, Any]


def linked_space(
    document: Mapping[str, Any], schedule: Schedule, now: datetime, where: str
) -> Thing:
    """Return a published document as a LocalBusiness, described at the address ``where``.

    The node's own page is its ``@id``, so that node and hub speak of the same thing. What is not
    known is left out; in a space in project nobody finds an open door, whatever its hours.
    """
    page = document.get("page") or where
    found: Thing = {
        "@context": _SCHEMA.rstrip("/"),
        "@type": "LocalBusiness",
        "@id": page,
        "additionalType": COWORKING,
        "name": document["name"],
        "url": page,
        "mainEntityOfPage": where,
        "sameAs": document.get("website"),
        "description": document.get("description"),
        "email": document.get("email"),
        "address": _address(document["address"]),
        "geo": _geo(document),
        "image": [_image(photo) for photo in document.get("photos", ())],
        "hasMap": _map(document),
        "foundingDate": _founded(document),
        "maximumAttendeeCapacity": document.get("capacity"),
        "amenityFeature": [
            {"@type": "LocationFeatureSpecification", "name": name, "value": True}
            for name in (*document.get("services", ()), *_access(document))
        ],
        "makesOffer": [_offer(price) for price in document.get("prices", ())],
        "event": [_event(event, document, page) for event in coming(document, now)],
    }
    if schedule.known and not document.get("project"):
        found["openingHoursSpecification"] = list(_week(schedule))
        today = now.astimezone(schedule.zone).date()
        found["specialOpeningHoursSpecification"] = list(_exceptions(schedule, today))
    return _known(found)


def _known(thing: Thing) -> Thing:
    return {name: value for name, value in thing.items() if value not in (None, "", [])}


def _address(address: Mapping[str, Any]) -> Thing:
    return _known(
        {
            "@type": "PostalAddress",
            "streetAddress": address.get("street"),
            "postalCode": address.get("postcode"),
            "addressLocality": address["town"],
            "addressCountry": address.get("country"),
        }
    )


def _geo(document: Mapping[str, Any]) -> Thing | None:
    latitude, longitude = document.get("latitude"), document.get("longitude")
    if latitude is None or longitude is None:
        return None
    return {"@type": "GeoCoordinates", "latitude": latitude, "longitude": longitude}


def _map(document: Mapping[str, Any]) -> str | None:
    latitude, longitude = document.get("latitude"), document.get("longitude")
    if latitude is None or longitude is None:
        return None
    return f"https://www.openstreetmap.org/?mlat={latitude}&mlon={longitude}"


def _founded(document: Mapping[str, Any]) -> str | None:
    year = (document.get("about") or {}).get("opened_year")
    return str(year) if year else None


def _access(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield what makes it accessible, named by our codes: ``step_free`` is “step free”."""
    for code in (document.get("access") or {}).get("features", ()):
        yield code.replace("_", " ")


def _offer(price: Mapping[str, Any]) -> Thing:
    return {
        "@type": "Offer",
        "name": price["label"],
        "price": f"{price['cents'] / 100:.2f}",
        "priceCurrency": price.get("currency") or "EUR",
    }


def _image(photo: Mapping[str, Any]) -> Thing:
    return _known(
        {
            "@type": "ImageObject",
            "contentUrl": photo["url"],
            "thumbnailUrl": photo["thumbnail"],
            "width": photo["width"],
            "height": photo["height"],
            "caption": photo["alt_fr"],
            "creditText": photo.get("credit"),
        }
    )


def _week(schedule: Schedule) -> Iterator[Thing]:
    until = {"validThrough": schedule.until.isoformat()} if schedule.until else {}
    for weekday, spans in zip(WEEKDAYS, schedule.week, strict=True):
        for hours in joined(spans):
            yield {**_hours(*hours), "dayOfWeek": f"{_SCHEMA}{_DAYS[weekday]}", **until}


def _exceptions(schedule: Schedule, today: date) -> Iterator[Thing]:
    """Yield the dates that differ, of the year ahead and of yesterday, whose night may go on.

    From 0:00 to 0:00 is closed all day.
    """
    for day in (today + timedelta(n) for n in range(-1, _DAYS_AHEAD)):
        if day in schedule.exceptions and not (schedule.until and day > schedule.until):
            for hours in joined(schedule.exceptions[day]) or [_CLOSED]:
                valid = {"validFrom": day.isoformat(), "validThrough": day.isoformat()}
                yield {**_hours(*hours), **valid}


def _hours(opens: timedelta, closes: timedelta) -> Thing:
    """Twenty-four hours end a minute before they begin: 00:00 to 23:59."""
    if closes - opens >= timedelta(days=1):
        closes = opens + timedelta(days=1, minutes=-1)
    written = {"opens": _clock(opens), "closes": _clock(closes)}
    return {"@type": "OpeningHoursSpecification", **written}


def _clock(since_midnight: timedelta) -> str:
    minutes = since_midnight % timedelta(days=1) // timedelta(minutes=1)
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _event(event: Mapping[str, Any], document: Mapping[str, Any], page: str) -> Thing:
    here = {"@type": "Place", "name": document["name"], "address": _address(document["address"])}
    away = {"@type": "Place", "name": event.get("place"), "address": event.get("place")}
    audience = {"@type": "Audience", "audienceType": "subscribers"}
    return _known(
        {
            "@type": "Event",
            "@id": f"{page}#event-{event['id']}",
            "name": event["title"],
            "description": event.get("description"),
            "startDate": event["starts_at"],
            "endDate": event["ends_at"],
            "eventStatus": f"{_SCHEMA}Event{'Cancelled' if event['cancelled'] else 'Scheduled'}",
            "eventAttendanceMode": f"{_SCHEMA}OfflineEventAttendanceMode",
            "location": away if event.get("place") else here,
            "organizer": {"@id": page},
            "audience": audience if event["open_to"] == "subscribers" else None,
            "url": event.get("url"),
        }
    )
