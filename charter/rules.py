"""The closed, typed set of rules that articles carry.

Each kind is a frozen dataclass whose TOML table has the kind's name and the dataclass's
keys. To add a kind: write its class, add it to ``Rules``, and let ``engine`` or
``settlement`` read it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import time
from fractions import Fraction
from typing import Any

PLAN_CLASSES = ("resident", "nomad", "ticket")


class RulesError(ValueError):
    """The rules cannot be used; ``faults`` names every one as ``table.key: what is wrong``."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Articles:
    """The articles cited by reasons that no number governs."""

    pass_: int
    membership: int
    host: int


@dataclass(frozen=True, slots=True)
class EligiblePlans:
    article: int
    classes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Seniority:
    article: int
    days: int


@dataclass(frozen=True, slots=True)
class HalfDays:
    """Half-days per member and calendar month: at one host space, and in the network."""

    article: int
    per_host: int
    network: int


@dataclass(frozen=True, slots=True)
class PaperCard:
    """For those without a smartphone: half-days a month, and never without the network."""

    article: int
    half_days: int


@dataclass(frozen=True, slots=True)
class GuestCap:
    """The host declares how many roaming members it welcomes at once, at least this many."""

    article: int
    at_least: int


@dataclass(frozen=True, slots=True)
class HouseConditions:
    """How far a house may close to visitors: dates a month, and the notice it may ask for."""

    article: int
    closed_dates: int
    notice_hours: int


@dataclass(frozen=True, slots=True)
class Values:
    """The shared values are the items in bold of the article itself."""

    article: int


@dataclass(frozen=True, slots=True)
class OpeningHours:
    """Visits happen within the space's hours; ``split`` ends the morning, local time."""

    article: int
    split: time


@dataclass(frozen=True, slots=True)
class Offline:
    """What a door cut off from the hub may still do."""

    article: int
    trust_list_hours: int
    visits_per_pass: int


@dataclass(frozen=True, slots=True)
class ReciprocityFloor:
    """Nobody has more half-days a month abroad than the home's own plan includes."""

    article: int


@dataclass(frozen=True, slots=True)
class Balance:
    """Half-days of tolerance each way; beyond, cents for each, or half-days carried."""

    article: int
    mode: str
    tolerance_half_days: int
    rate_cents: int
    currency: str


@dataclass(frozen=True, slots=True)
class Correction:
    article: int
    hours: int


@dataclass(frozen=True, slots=True)
class Dispute:
    article: int
    days: int


@dataclass(frozen=True, slots=True)
class Vote:
    article: int
    quorum: Fraction
    majority: Fraction
    days: int


@dataclass(frozen=True, slots=True)
class Rules:
    """One charter's rules. A kind that is None is not in force; the others are required."""

    articles: Articles
    opening_hours: OpeningHours
    offline: Offline
    balance: Balance
    correction: Correction
    dispute: Dispute
    vote: Vote
    eligible_plans: EligiblePlans | None = None
    seniority: Seniority | None = None
    half_days: HalfDays | None = None
    paper_card: PaperCard | None = None
    guest_cap: GuestCap | None = None
    house_conditions: HouseConditions | None = None
    values: Values | None = None
    reciprocity_floor: ReciprocityFloor | None = None


KINDS: dict[str, Any] = {
    "articles": Articles,
    "eligible_plans": EligiblePlans,
    "seniority": Seniority,
    "half_days": HalfDays,
    "paper_card": PaperCard,
    "guest_cap": GuestCap,
    "house_conditions": HouseConditions,
    "opening_hours": OpeningHours,
    "offline": Offline,
    "reciprocity_floor": ReciprocityFloor,
    "balance": Balance,
    "correction": Correction,
    "dispute": Dispute,
    "vote": Vote,
    "values": Values,
}
OPTIONAL = {
    "eligible_plans",
    "seniority",
    "half_days",
    "paper_card",
    "guest_cap",
    "house_conditions",
    "reciprocity_floor",
    "values",
}


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 1_000_000:
        raise ValueError("a whole number from 0 to 1000000 is expected")
    return value


def _article(value: Any) -> int:
    if _count(value) == 0:
        raise ValueError("an article number from 1 is expected")
    return int(value)


def _classes(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or any(item not in PLAN_CLASSES for item in value):
        raise ValueError(f"a list of {', '.join(PLAN_CLASSES)} is expected")
    return tuple(sorted(set(value)))


def _local_time(value: Any) -> time:
    try:
        parsed = time.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError('a time like "13:00" is expected') from None
    if parsed.tzinfo is not None or parsed.second or parsed.microsecond:
        raise ValueError('a time like "13:00" is expected')
    return parsed


# Rules come from other nodes too, and Fraction("1e999999999") would never end.
_SHARE = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9}|/[1-9][0-9]{0,8})?")


def _share(value: Any) -> Fraction:
    if not isinstance(value, str) or not _SHARE.fullmatch(value):
        raise ValueError('a share like "2/3" is expected')
    share = Fraction(value)
    if not 0 < share <= 1:
        raise ValueError('a share above 0 and up to 1, like "2/3", is expected')
    return share


def _mode(value: Any) -> str:
    if value not in ("barter", "compensate"):
        raise ValueError('"barter" or "compensate" is expected')
    return str(value)


def _currency(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch("[A-Z]{3}", value):
        raise ValueError('an ISO 4217 code like "EUR" is expected')
    return value


READERS: dict[str, Callable[[Any], Any]] = {
    "classes": _classes,
    "split": _local_time,
    "quorum": _share,
    "majority": _share,
    "mode": _mode,
    "currency": _currency,
    "article": _article,
    "pass_": _article,
    "membership": _article,
    "host": _article,
}


def _read_table(name: str, table: Any, faults: list[str]) -> Any:
    kind: Callable[..., Any] = KINDS[name]
    if not isinstance(table, Mapping):
        faults.append(f"{name}: a table is expected")
        return None
    wanted = {spec.name.removesuffix("_"): spec.name for spec in fields(KINDS[name])}
    faults.extend(f"{name}.{key}: unknown key" for key in sorted(set(table) - set(wanted)))
    values = {}
    for key, attribute in wanted.items():
        if key not in table:
            faults.append(f"{name}.{key}: missing")
            continue
        read: Callable[[Any], Any] = READERS.get(attribute, _count)
        try:
            values[attribute] = read(table[key])
        except ValueError as error:
            faults.append(f"{name}.{key}: {error}")
    return kind(**values) if len(values) == len(wanted) else None


def read_rules(tables: Mapping[str, Any]) -> Rules:
    """Read rules from parsed TOML. Raises RulesError naming every fault at once."""
    faults = [f"{name}: unknown rule kind" for name in sorted(set(tables) - set(KINDS))]
    faults += [f"{name}: missing" for name in KINDS if name not in tables and name not in OPTIONAL]
    found = {name: _read_table(name, tables[name], faults) for name in KINDS if name in tables}
    if faults:
        raise RulesError(faults)
    return Rules(**found)


def nonsense(rules: Rules) -> Iterator[str]:
    """Yield what cannot be proposed: it would end all votes, disputes or roaming.

    A trial network may be started so; a network that lives may not vote itself away.
    """
    for name, days in (("vote", rules.vote.days), ("dispute", rules.dispute.days)):
        if days < 1:
            yield f"{name}.days: at least 1 is expected"
    if rules.eligible_plans is not None and not rules.eligible_plans.classes:
        yield "eligible_plans.classes: at least one is expected"


def read_toml(toml: str) -> dict[str, Any]:
    """Read TOML text. Raises RulesError, also for what Python's reader gives up on.

    That is a number of thousands of digits (ValueError), or brackets nested as deep.
    """
    try:
        return tomllib.loads(toml)
    except (ValueError, RecursionError) as error:
        raise RulesError([f"not TOML: {error}"]) from None


def parse_rules(toml: str) -> Rules:
    """Read rules from TOML text. Raises RulesError."""
    return read_rules(read_toml(toml))
