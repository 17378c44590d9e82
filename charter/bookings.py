"""Half-days that are booked ahead, under the charter's limits. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from collections.abc import Set as AbstractSet

from charter.decision import Reason
from charter.rules import Rules

Left = Mapping[str, int | None]
"""Half-days that are left once the first is used: at the ``host``, and in the ``network``."""


def left_unasked(rules: Rules, included: int | None) -> Left:
    """Return what would be left where nothing is known of other visits.

    ``included`` are the half-days of the member's plan, None without a limit.
    """
    limits = rules.half_days
    caps = [limits.network - 1] if limits else []
    if rules.reciprocity_floor and included is not None:
        caps.append(included - 1)
    return {"host": limits.per_host - 1 if limits else None, "network": min(caps, default=None)}


def beyond(
    rules: Rules,
    space: str,
    asked: Collection[str],
    booked: AbstractSet[tuple[str, str]],
    left: Left,
) -> Iterator[Reason]:
    """Yield the reasons against a booking's half-days of one month.

    ``booked`` are the spaces and half-days of that month that the member has booked besides.
    """
    limits = rules.half_days
    others = booked - {(space, half_day) for half_day in asked}
    here = {each for each in others if each[0] == space}
    for name, code, besides in (("host", "quota_host", here), ("network", "quota_network", others)):
        free = left.get(name)
        if free is None or len(asked) + len(besides) <= free + 1:
            continue
        most = free + 1 - len(besides)
        limit = getattr(limits, "per_host" if name == "host" else "network", free + 1)
        params = {"limit": limit, "used": limit - most, "asked": len(asked), "left": max(0, most)}
        article = limits.article if limits else rules.articles.membership
        yield Reason(code, article, params)


def over_host_month(rules: Rules, asked: AbstractSet[str], booked: AbstractSet[str]) -> bool:
    """Tell whether a member would have more half-days at one host in a month than it may."""
    if rules.half_days is None:
        return False
    months, every = {half_day[:7] for half_day in asked}, asked | booked
    most = rules.half_days.per_host
    return any(sum(each[:7] == month for each in every) > most for month in months)
