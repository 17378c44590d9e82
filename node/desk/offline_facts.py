"""What a door knows without the hub: the trust list, status lists, and its own visits."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from charter import Facts, Fault
from charter.halfdays import HalfDay, half_day_at, half_days
from node.context import Node
from node.hub import service as sync
from node.visits.models import Visit
from node.visits.scan import Scan
from shared.crypto import status_list


def facts_alone(session: Session, node: Node, scan: Scan) -> Facts:
    """Return the facts a door has without the hub; what it cannot know is None."""
    facts = replace(scan.facts, online=False, used_network=None)
    if scan.evidence.issuer is None or scan.evidence.pass_id is None:
        return facts
    facts = with_home(scan, facts)
    return _with_local_usage(session, scan, _with_status(session, node, scan, facts))


def with_home(scan: Scan, facts: Facts) -> Facts:
    """Add what the trust list says of the home."""
    entry = scan.network.trust.nodes.get(scan.evidence.issuer or "")
    if entry is None:
        return facts
    plan_half_days = entry.get("plans", {}).get(scan.evidence.plan)
    return replace(
        facts,
        home_state=entry["state"],
        home_signed=entry.get("charter"),
        home_half_days=plan_half_days if isinstance(plan_half_days, int) else None,
    )


def _with_status(session: Session, node: Node, scan: Scan, facts: Facts) -> Facts:
    """Look the pass up in its home's list. No list that holds: nothing can be verified."""
    home, index = scan.evidence.issuer, scan.evidence.status_index
    if home is None or index is None:
        return facts
    found = sync.status_list(
        session,
        node,
        scan.network.trust,
        home,
        ask=True,
        timeout=sync.STATUS_AT_DOOR_SECONDS,
    )
    if found is None:
        return replace(facts, trust_list_age=None)
    try:
        state = found.status(index)
    except IndexError:
        return replace(facts, faults=(*facts.faults, Fault("pass_revoked", "index")))
    age = max(facts.trust_list_age or 0, int(node.clock.real().timestamp()) - found.issued_at)
    facts = replace(facts, trust_list_age=age)
    if state != status_list.VALID:
        code = "pass_suspended" if state == status_list.SUSPENDED else "pass_revoked"
        facts = replace(facts, faults=(*facts.faults, Fault(code)))
    return facts


_LATELY = select(Visit.space_id, Visit.delivered, Visit.started_at, Visit.ended_at).where(
    Visit.home_id == bindparam("home"),
    Visit.pass_id == bindparam("of_pass"),
    Visit.state.in_(("open", "closed")),
    Visit.started_at >= bindparam("since"),
)


def _with_local_usage(session: Session, scan: Scan, facts: Facts) -> Facts:
    """Count this pass's half-days here this month, and its visits that the hub has not heard of."""
    zone = scan.schedule.zone
    split = scan.charter.rules.opening_hours.split
    here = half_day_at(scan.now, scan.schedule.day_of(scan.now).day, zone, split)
    wanted = {
        "home": scan.evidence.issuer,
        "of_pass": scan.evidence.pass_id,
        "since": scan.now - timedelta(days=32),
    }
    used, budget = set[HalfDay](), 0
    for visit in session.connection().execute(_LATELY, wanted):
        if not visit.delivered:
            budget += 1
        if visit.space_id == scan.space_id:
            of_house = scan.schedule.day_of(visit.started_at)
            used.update(
                half_days(
                    visit.started_at, visit.ended_at, of_house.day, of_house.openings, zone, split
                )
            )
    this_month = {half_day for half_day in used if half_day.month == here.month}
    return replace(
        facts,
        used_host=len(this_month),
        counted_already=here in this_month,
        offline_visits=budget,
    )
