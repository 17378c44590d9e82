"""``decide``: the charter's rules over the facts. Pure: no clock, no network, no database.

The same function runs at the door, at the hub, in a preview and in a simulation, so
all four give the same answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from charter.conditions import guest_places
from charter.decision import CODES, Decision, Reason, Terms
from charter.facts import NOT_YET, Facts, Fault
from charter.halfdays import MORNING, half_day_at
from charter.model import Charter
from charter.rules import Rules

_ORDER = {code: place for place, code in enumerate(CODES)}
# A home in one of these states is part of the network, however seldom it is heard.
_MEMBER_STATES = ("connected", "late", "offline")


def decide(charter: Charter, facts: Facts, now: datetime) -> Decision:
    """Decide whether this pass is admitted at this host now (aware), and on what terms.

    All reasons that apply are given, in the order of ``CODES``. At their own home members
    are no visitors: only the pass, the hours and the room left are looked at, and nothing counts.
    """
    at_home = facts.home is not None and facts.home == facts.host
    reasons = list(_pass_reasons(charter.rules, facts, at_home))
    unverified: list[str] = []
    if facts.home is not None and not at_home:
        reasons += _home_reasons(charter, facts)
        reasons += _person_reasons(charter.rules, facts, now)
        unverified += _unverified(charter.rules, facts)
    reasons += _space_reasons(charter.rules, facts)
    if not at_home:
        reasons += _host_reasons(charter, facts)
        reasons += _offline_reasons(charter.rules, facts)
    return Decision(
        charter=charter.version,
        online=facts.online,
        reasons=tuple(sorted(reasons, key=lambda reason: _ORDER[reason.code])),
        terms=_terms(charter.rules, facts, now, at_home),
        unverified=tuple(unverified),
    )


def _pass_reasons(rules: Rules, facts: Facts, at_home: bool) -> Iterator[Reason]:
    """A pass whose first day is not reached opens its own house; elsewhere seniority says why."""
    articles, faults = rules.articles, set(facts.faults)
    if at_home or rules.seniority:
        faults.discard(NOT_YET)
    for fault in sorted(faults, key=lambda f: (_ORDER[f.code], f.detail)):
        article = articles.membership if fault.code.startswith("home_") else articles.pass_
        yield Reason(fault.code, article, _detail(fault))
    if facts.home is None and not facts.faults:  # nobody answers for them
        yield Reason("home_unknown", articles.membership, {"node": None})


def _detail(fault: Fault) -> dict[str, str]:
    return {"detail": fault.detail} if fault.detail else {}


def _home_reasons(charter: Charter, facts: Facts) -> Iterator[Reason]:
    article = charter.rules.articles.membership
    known = not any(fault.code.startswith("home_") for fault in facts.faults)
    if known and facts.home_state == "suspended":
        yield Reason("home_suspended", article, {"node": facts.home})
    elif known and facts.home_state not in _MEMBER_STATES:
        yield Reason("home_unknown", article, {"node": facts.home})
    elif known and facts.home_signed != charter.version:
        yield Reason("charter_unsigned", article, {"node": facts.home})


def _person_reasons(rules: Rules, facts: Facts, now: datetime) -> Iterator[Reason]:
    eligible = rules.eligible_plans
    if eligible and facts.plan not in eligible.classes:
        params = {"plan": facts.plan, "eligible": list(eligible.classes)}
        yield Reason("plan_not_eligible", eligible.article, params)
    if rules.seniority:
        yield from _seniority(rules.seniority.article, rules.seniority.days, facts, now)
    adds = 0 if facts.counted_already else 1
    if facts.paper:
        yield from _paper_reasons(rules, facts, adds)
    if rules.half_days:
        limits = rules.half_days
        for code, used, limit in (
            ("quota_host", facts.used_host, limits.per_host),
            ("quota_network", facts.used_network, limits.network),
        ):
            if used is not None and used + adds > limit:
                yield Reason(code, limits.article, {"used": used, "limit": limit})
    floor, included = rules.reciprocity_floor, facts.home_half_days
    used = facts.used_network
    if floor and included is not None and used is not None and used + adds > included:
        yield Reason("reciprocity_floor", floor.article, {"used": used, "limit": included})


def _paper_reasons(rules: Rules, facts: Facts, adds: int) -> Iterator[Reason]:
    rule, used = rules.paper_card, facts.used_network
    if rule is None:
        yield Reason("pass_malformed", rules.articles.pass_, {"detail": "paper"})
    elif used is not None and used + adds > rule.half_days:
        params = {"used": used, "limit": rule.half_days, "detail": "paper"}
        yield Reason("quota_network", rule.article, params)


def _seniority(article: int, days: int, facts: Facts, now: datetime) -> Iterator[Reason]:
    """The hub knows since when somebody is a member; the pass names its first day, and binds."""
    member_for = days
    if facts.member_since is not None:
        member_for = (now.astimezone(ZoneInfo(facts.timezone)).date() - facts.member_since).days
    if member_for < days:
        yield Reason("seniority", article, {"days": max(member_for, 0), "limit": days})
    elif facts.usable_from is not None and now < facts.usable_from:
        first = facts.usable_from.astimezone(ZoneInfo(facts.timezone))
        yield Reason("seniority", article, {"from": first.isoformat(), "limit": days})


def _unverified(rules: Rules, facts: Facts) -> Iterator[str]:
    if rules.seniority and facts.member_since is None and facts.usable_from is None:
        yield "seniority"
    if rules.half_days and facts.used_host is None:
        yield "quota_host"
    if (rules.half_days or (rules.paper_card and facts.paper)) and facts.used_network is None:
        yield "quota_network"
    if rules.reciprocity_floor and facts.home_half_days is not None and facts.used_network is None:
        yield "reciprocity_floor"


def _space_reasons(rules: Rules, facts: Facts) -> Iterator[Reason]:
    if facts.opening is None and facts.hours_known:
        next_opening = facts.next_opening.isoformat() if facts.next_opening else None
        yield Reason("space_closed", rules.opening_hours.article, {"next_opening": next_opening})
    if facts.capacity is not None and facts.people_present >= facts.capacity:
        params = {"present": facts.people_present, "capacity": facts.capacity}
        yield Reason("space_full", rules.articles.host, params)


def _host_reasons(charter: Charter, facts: Facts) -> Iterator[Reason]:
    rules = charter.rules
    if facts.host_state not in _MEMBER_STATES:
        yield Reason("paused", rules.articles.membership, {"by": "network"})
    elif facts.paused:
        yield Reason("paused", rules.articles.host, {"by": "host"})
    elif facts.closed_date is not None:
        yield from _closed_date(rules, facts.closed_date)
    if facts.host_signed != charter.version:
        yield Reason("charter_unsigned", rules.articles.membership, {"node": facts.host})
    places = guest_places(rules, facts.guest_cap)
    if rules.guest_cap and places is not None and facts.guests_present >= places:
        params = {"present": facts.guests_present, "limit": places}
        yield Reason("guest_cap", rules.guest_cap.article, params)


def _closed_date(rules: Rules, which: int) -> Iterator[Reason]:
    """A house closes to visitors on as many dates a month as the charter lets it, and no more."""
    rule = rules.house_conditions
    if rule is None or which <= rule.closed_dates:
        article = rule.article if rule else rules.articles.host
        yield Reason("paused", article, {"by": "host", "detail": "date"})


def _offline_reasons(rules: Rules, facts: Facts) -> Iterator[Reason]:
    if facts.online:
        return
    rule = rules.offline
    if facts.paper and rules.paper_card:  # never alone, so how often it was is nobody's question
        params = {"used": 0, "limit": 0, "detail": "paper"}
        yield Reason("offline_budget", rules.paper_card.article, params)
    elif facts.offline_visits >= rule.visits_per_pass:
        params = {"used": facts.offline_visits, "limit": rule.visits_per_pass}
        yield Reason("offline_budget", rule.article, params)
    age = facts.trust_list_age
    if age is None or age > rule.trust_list_hours * 3600:
        hours = None if age is None else age // 3600
        yield Reason(
            "trust_list_stale", rule.article, {"hours": hours, "limit": rule.trust_list_hours}
        )


def _terms(rules: Rules, facts: Facts, now: datetime, at_home: bool) -> Terms:
    host, network = (None, None) if at_home else _half_days_left(rules, facts)
    until = facts.opening[1] if facts.opening else None
    if 0 in (host, network) and (facts.opening or not facts.hours_known):
        until = _end_of_half_day(facts, now, rules.opening_hours.split)
    return Terms(until, facts.services, host, network)


def _half_days_left(rules: Rules, facts: Facts) -> tuple[int | None, int | None]:
    """Return what is left at this host, and in the network, once this visit is counted."""
    adds = 0 if facts.counted_already else 1
    limits = rules.half_days
    caps = [limits.network] if limits else []
    if rules.paper_card and facts.paper:
        caps.append(rules.paper_card.half_days)
    if rules.reciprocity_floor and facts.home_half_days is not None:
        caps.append(facts.home_half_days)
    return (
        _left(limits.per_host if limits else None, facts.used_host, adds),
        _left(min(caps, default=None), facts.used_network, adds),
    )


def _left(limit: int | None, used: int | None, adds: int) -> int | None:
    return None if limit is None or used is None else max(0, limit - used - adds)


def _end_of_half_day(facts: Facts, now: datetime, split: time) -> datetime:
    """With no further half-day left, a morning's visit ends at the split.

    An afternoon's ends at closing, past midnight too; at midnight where the hours are not known.
    """
    zone, opening = ZoneInfo(facts.timezone), facts.opening
    day = (opening[0] if opening else now).astimezone(zone).date()
    if half_day_at(now, day, zone, split).half == MORNING:
        ends = datetime.combine(day, split, zone)
        return min(ends, opening[1]) if opening else ends
    return opening[1] if opening else datetime.combine(day + timedelta(1), time(), zone)
