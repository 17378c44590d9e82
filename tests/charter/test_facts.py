"""Facts are stored with each visit, so that it can be decided again years later."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from charter import (
    CODES,
    PLAN_CLASSES,
    Facts,
    Fault,
    decide,
    facts_from_json,
    facts_to_json,
    model_sources,
    read_charter,
)

MODEL = read_charter("1", model_sources())
# A busy machine is not a fault of what is tested.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
FAULT_CODES = [code for code in CODES if code.startswith(("pass_", "home_"))]
FIRST, LAST = (datetime(year, 1, 1) for year in (2020, 2032))  # noqa: DTZ001 - bounds are naive
OFFSETS = [UTC, timezone(timedelta(hours=2)), timezone(-timedelta(hours=9, minutes=30))]


def any_instant() -> st.SearchStrategy[datetime]:
    return st.datetimes(FIRST, LAST, timezones=st.sampled_from(OFFSETS))


def any_fault() -> st.SearchStrategy[Fault]:
    return st.builds(Fault, st.sampled_from(FAULT_CODES), st.text(max_size=8))


def any_facts() -> st.SearchStrategy[Facts]:
    """Facts of every kind, possible and hardly possible."""
    node = st.sampled_from(["la-cordee", "troquet-numerique", "sceaux-smart"])
    state = st.sampled_from(["connected", "late", "offline", "suspended", "left"])
    version = st.sampled_from([None, "0", "1", "1"])
    count = st.integers(0, 20)
    opening = st.tuples(any_instant(), any_instant())
    return st.builds(
        Facts,
        faults=st.lists(any_fault(), max_size=3).map(tuple),
        plan=st.none() | st.sampled_from(PLAN_CLASSES),
        usable_from=st.none() | any_instant(),
        member_since=st.none() | st.dates(date(2020, 1, 1), date(2032, 1, 1)),
        home=st.none() | node,
        home_state=st.none() | state,
        home_signed=version,
        home_half_days=st.none() | count,
        host=node,
        host_state=state,
        host_signed=version,
        space=node,
        paused=st.booleans(),
        hours_known=st.booleans(),
        opening=st.none() | opening,
        next_opening=st.none() | any_instant(),
        timezone=st.sampled_from(["Europe/Paris", "Indian/Reunion", "America/Cayenne"]),
        guests_present=count,
        guest_cap=count,
        people_present=count,
        capacity=st.none() | count,
        services=st.lists(st.text(max_size=8), max_size=3).map(tuple),
        used_host=st.none() | count,
        used_network=st.none() | count,
        counted_already=st.booleans(),
        online=st.booleans(),
        trust_list_age=st.none() | st.integers(0, 400_000),
        offline_visits=count,
    )


def stored(facts: Facts) -> Facts:
    """Return the facts as a database gives them back."""
    return facts_from_json(json.loads(json.dumps(facts_to_json(facts))))


@unhurried
@given(any_facts())
def test_facts_come_back_from_json_as_they_were(facts: Facts) -> None:
    assert stored(facts) == facts
    assert facts_to_json(stored(facts)) == facts_to_json(facts)


@unhurried
@given(any_facts(), any_instant())
def test_a_visit_decided_again_from_its_stored_facts_has_the_same_decision(
    facts: Facts, now: datetime
) -> None:
    again = decide(MODEL, stored(facts), datetime.fromisoformat(now.isoformat()))
    assert again == decide(MODEL, facts, now)
    assert again.to_json("fr") == decide(MODEL, facts, now).to_json("fr")


@unhurried
@given(any_facts(), any_instant(), st.randoms(use_true_random=False))
def test_the_order_in_which_faults_were_found_does_not_matter(
    facts: Facts, now: datetime, shuffler: object
) -> None:
    faults = list(facts.faults)
    shuffler.shuffle(faults)  # type: ignore[attr-defined]
    again = decide(MODEL, replace(facts, faults=tuple(faults)), now)
    assert again == decide(MODEL, facts, now)


def test_what_has_its_default_is_not_written() -> None:
    assert facts_to_json(Facts()) == {}
    assert facts_to_json(Facts(host="b", used_host=0, online=True)) == {"host": "b"}
    assert facts_from_json({}) == Facts()


def test_unknown_counts_are_written_because_none_is_not_their_default() -> None:
    assert facts_to_json(Facts(used_host=None, used_network=None)) == {
        "used_host": None,
        "used_network": None,
    }


def test_facts_are_plain_json_with_offsets_on_every_instant() -> None:
    paris = ZoneInfo("Europe/Paris")
    facts = Facts(
        faults=(Fault("pass_stale"), Fault("pass_malformed", "typ")),
        member_since=date(2024, 2, 29),
        opening=(datetime(2026, 3, 29, 1, tzinfo=paris), datetime(2026, 3, 29, 4, tzinfo=paris)),
        services=("wifi",),
    )
    assert facts_to_json(facts) == {
        "faults": [
            {"code": "pass_stale", "detail": ""},
            {"code": "pass_malformed", "detail": "typ"},
        ],
        "member_since": "2024-02-29",
        "opening": ["2026-03-29T01:00:00+01:00", "2026-03-29T04:00:00+02:00"],
        "services": ["wifi"],
    }


@pytest.mark.parametrize("fold", [0, 1])
def test_the_hour_that_comes_twice_is_stored_without_ambiguity(fold: int) -> None:
    closing = datetime(2026, 10, 25, 2, 30, fold=fold, tzinfo=ZoneInfo("Europe/Paris"))
    facts = Facts(opening=(closing - timedelta(hours=5), closing))
    found = stored(facts).opening
    assert found is not None
    assert found[1].timestamp() == closing.timestamp()
    assert found[1].utcoffset() == timedelta(hours=2 - fold)


@pytest.mark.parametrize(
    "document",
    [
        {"colour": "red"},
        {"faults": [{"detail": "no code"}]},
        {"faults": [{"code": "pass_stale", "colour": "red"}]},
        {"usable_from": "yesterday"},
        {"usable_from": 5},
        {"member_since": "2026-02-29"},
        {"opening": ["2026-07-07T09:00:00+02:00"]},
        {"next_opening": ""},
    ],
)
def test_what_are_no_facts_is_refused(document: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        facts_from_json(document)
