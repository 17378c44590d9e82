"""How many decisions one core takes in a second: the charter alone, no database, no network."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from charter import Charter, Facts, Fault, decide, model_sources, read_charter
from deploy.bench.report import median

AIM = 20_000
ROUNDS, DECISIONS = 7, 20_000


def cases(charter: Charter, now: datetime) -> list[Facts]:
    """Return what doors see most: admitted, back, alone, refused for each usual reason."""
    admitted = Facts(
        plan="resident",
        member_since=(now - timedelta(days=400)).date(),
        home="home",
        home_state="connected",
        home_signed=charter.version,
        home_half_days=20,
        host="host",
        host_signed=charter.version,
        space="host",
        opening=(now - timedelta(hours=3), now + timedelta(hours=5)),
        guest_cap=5,
        capacity=25,
        services=("fibre", "café"),
    )
    return [
        admitted,
        replace(admitted, used_host=2, used_network=3, counted_already=True),
        replace(admitted, online=False, used_network=None, trust_list_age=600),
        replace(admitted, used_host=99, used_network=99),
        replace(admitted, guests_present=9, people_present=30),
        replace(admitted, opening=None, next_opening=now + timedelta(hours=12)),
        replace(admitted, faults=(Fault("pass_stale"), Fault("pass_replayed"))),
        replace(admitted, plan="ticket", member_since=now.date()),
    ]


def main() -> None:
    charter = read_charter("1", model_sources())
    now = datetime.now(UTC)
    facts = cases(charter, now)
    allowed = sum(decide(charter, known, now).allowed for known in facts)
    rates = []
    for _ in range(ROUNDS):
        started = time.process_time()
        for _ in range(DECISIONS // len(facts)):
            for known in facts:
                decide(charter, known, now)
        rates.append(DECISIONS / (time.process_time() - started))
    rate = median(rates)
    print(f"decide(): {allowed} of {len(facts)} kinds of visit admitted, the others refused")
    print(f"  {rate:,.0f}/s on one core (aim ≥ {AIM:,}/s: {'yes' if rate >= AIM else 'NO'})")


if __name__ == "__main__":
    main()
