"""What an adapter found, held against what a space's document may have. Nothing is believed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from marshmallow import ValidationError

from node.adapters.interface import Found, FoundEvent, Source
from node.events.listing import PUBLISHED_AHEAD
from shared.wire.events import MOST_EVENTS, is_web_address
from shared.wire.spaces import MOST_PRICES, PriceSchema

AHEAD = PUBLISHED_AHEAD + timedelta(days=35)
MOST_DAYS = 400
MOST_FAULTS = 50
# What neither PostgreSQL nor a page can hold.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class Taken:
    """What will be kept. ``events`` by key; ``beyond``: how many coming ones are too many."""

    events: dict[str, dict[str, Any]]
    days: dict[str, list[list[str]]]
    prices: list[dict[str, Any]]
    faults: list[str]
    beyond: int = 0


def check(found: Found, source: Source) -> Taken:
    """Return what of it can be published, and what cannot and why. Raises TypeError, ValueError.

    Of events, the first hundred that are coming.
    """
    faults = [clean(str(fault), 300) for fault in found.faults[:MOST_FAULTS]]
    events: dict[str, dict[str, Any]] = {}
    beyond = 0
    for event in sorted(found.events, key=lambda event: event.starts_at):
        if event.ends_at <= source.now or event.starts_at >= source.now + PUBLISHED_AHEAD:
            continue
        try:
            values = _event(event)
        except ValueError as error:
            faults.append(str(error))
            continue
        if len(events) < MOST_EVENTS:
            events[event.key[:64]] = values
        else:
            beyond += 1
    prices = list(_prices(found, faults))
    return Taken(events, _days(found, source), prices, faults[:MOST_FAULTS], beyond)


def clean(text: str, longest: int) -> str:
    """Return a text that can be stored, with an ellipsis where it was cut."""
    text = _CONTROL.sub(" ", text.replace("\r\n", "\n").replace("\r", "\n")).strip()
    return text if len(text) <= longest else f"{text[: longest - 1].rstrip()}…"


def _event(event: FoundEvent) -> dict[str, Any]:
    title = " ".join(clean(event.title, 120).split())
    if not title:
        raise ValueError("An event without a title was left out.")
    if event.starts_at.tzinfo is None or event.ends_at.tzinfo is None:
        raise TypeError("times are aware")
    if event.ends_at <= event.starts_at:
        raise ValueError(f"“{title[:60]}” ends before it begins.")
    if event.ends_at - event.starts_at > PUBLISHED_AHEAD:
        raise ValueError(f"“{title[:60]}” lasts more than a year.")
    url = event.url.strip()
    return {
        "title": title,
        "description": clean(event.description, 2000),
        # In the hour that clocks show twice, times of two zones are never equal.
        "starts_at": event.starts_at.astimezone(UTC),
        "ends_at": event.ends_at.astimezone(UTC),
        "place": clean(event.place, 200),
        "url": url if len(url) <= 300 and is_web_address(url) else "",
        "cancelled": bool(event.cancelled),
    }


def _days(found: Found, source: Source) -> dict[str, list[list[str]]]:
    today = _today(source)
    days = sorted(
        (each for each in found.days if today <= each.day < today + AHEAD),
        key=lambda each: each.day,
    )
    return {
        each.day.isoformat(): [
            [f"{start:%H:%M}", f"{end:%H:%M}"] for start, end in sorted(each.hours) if start != end
        ]
        for each in days[:MOST_DAYS]
    }


def _today(source: Source) -> date:
    return source.now.astimezone(source.hours.zone).date()


def _prices(found: Found, faults: list[str]) -> Iterator[dict[str, Any]]:
    for price in found.prices[:MOST_PRICES]:
        label = clean(price.label, 120)
        values = {
            "label": label,
            "cents": price.cents,
            "currency": price.currency,
            "unit": price.unit,
            "quantity": price.quantity,
        }
        try:
            yield PriceSchema().load(values)
        except ValidationError as error:
            faults.append(f"The price “{label[:60]}” cannot be used: {_first(error)}")


def _first(error: ValidationError) -> str:
    (messages, *_) = error.normalized_messages().values()
    return str(messages[0] if isinstance(messages, Sequence) else messages)


def until(now: datetime) -> datetime:
    return now + AHEAD
