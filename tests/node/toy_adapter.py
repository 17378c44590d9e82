"""The worked example of ``deploy/adapters.md``, as a package of its own would have it."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta

from node.adapters.interface import (
    Fetch,
    Found,
    FoundDay,
    FoundEvent,
    FoundPrice,
    Source,
    Unreadable,
)


class Toy:
    title = "Toy bookings"
    hint = "The address of the JSON export, under Settings → Share."

    def read(self, source: Source, fetch: Fetch) -> Found:
        try:
            export = json.loads(fetch(source.url))
            return Found(
                events=[
                    FoundEvent(
                        key=str(row["id"]),
                        title=row["name"],
                        starts_at=(start := datetime.fromisoformat(row["start"])),
                        ends_at=start + timedelta(minutes=row["minutes"]),
                    )
                    for row in export["workshops"]
                ],
                days=[FoundDay(date.fromisoformat(day)) for day in export["closed"]],
                prices=[
                    FoundPrice(label=label, cents=cents, unit="day")
                    for label, cents in export["prices"].items()
                ],
            )
        except (ValueError, KeyError, TypeError):
            raise Unreadable("This is not an export of Toy bookings.") from None


class Careless:
    """Believes everything, and returns what cannot be published."""

    title = "Careless"
    hint = ""

    def read(self, source: Source, fetch: Fetch) -> Found:
        kind = fetch(source.url, always=True).decode()
        if kind == "crash":
            raise ZeroDivisionError("a@b.example")
        later = source.now + timedelta(days=1)
        naive = later.replace(tzinfo=None) if kind == "naive" else later
        return Found(
            events=[
                FoundEvent(key="1", title="x\0" * 200, starts_at=naive, ends_at=later),
                FoundEvent(key="2", title="Bon", starts_at=later, ends_at=later + timedelta(1)),
            ],
            prices=[
                FoundPrice(label="Bon", cents=1, unit="day"),
                FoundPrice(label="Cher", cents=-1, unit="day"),
                FoundPrice(label="Odd", cents=1, unit="fortnight"),
            ],
            faults=["Something of its own."],
        )


class Broken:
    def __init__(self) -> None:
        raise RuntimeError
