"""Recorded visits, decided again under another charter: what one refusal does to the others."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from datetime import time as local_time
from zoneinfo import ZoneInfo

import pytest

from charter import Charter, Facts, model_sources, read_charter
from charter.effect import HALF_DAYS, Figures, Simulation, simulate, simulating
from charter.halfdays import HalfDay
from charter.rules import EligiblePlans, GuestCap, HalfDays, Rules
from charter.simulation import Recorded, Replayed, replay

PARIS = ZoneInfo("Europe/Paris")
MODEL = read_charter("1", model_sources())
NINE = datetime(2026, 7, 6, 9, tzinfo=PARIS)  # a Monday
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def proposed(**rules: object) -> Charter:
    """Version 2: the model with other rules."""
    changed: Rules = replace(MODEL.rules, **rules)
    return replace(MODEL, version="2", rules=changed)


def at_most(per_host: int, network: int = 16) -> HalfDays:
    return HalfDays(article=5, per_host=per_host, network=network)


def split_at(hour: int) -> dict[str, object]:
    return {"opening_hours": replace(MODEL.rules.opening_hours, split=local_time(hour))}


def visit(number: int, start: datetime, hours: float | None = 2, **changes: object) -> Recorded:
    """A visit by one person of la-cordee to le-troquet; ``facts`` holds what differs in them."""
    known: dict[str, object] = {"plan": "nomad", **changes.pop("facts", {})}  # type: ignore[dict-item]
    plain: dict[str, object] = {
        "home": "la-cordee",
        "host": "troquet",
        "space": "le-troquet",
        "member": "ada",
        "online": True,
        "charter": "1",
        **changes,
    }
    facts = Facts(
        member_since=date(2025, 9, 1),
        home=str(plain["home"]),
        home_state="connected",
        home_signed=str(plain["charter"]),
        host=str(plain["host"]),
        host_signed=str(plain["charter"]),
        space=str(plain["space"]),
        opening=(start - HOUR, start + 9 * HOUR),
        guest_cap=9,
        online=bool(plain["online"]),
        trust_list_age=60,
    )
    return Recorded(
        id=f"v{number}",
        started_at=start,
        ended_at=None if hours is None else start + hours * HOUR,
        facts=replace(facts, **known),  # type: ignore[arg-type]
        plan=str(known["plan"]),
        day=start.astimezone(PARIS).date(),
        openings=None,
        **plain,  # type: ignore[arg-type]
    )


def outcomes(charter: Charter, *visits: Recorded) -> list[tuple[str, str, int]]:
    found = replay(charter, visits, {"1": MODEL})
    return [(each.visit.id, each.after.outcome, len(each.after.half_days)) for each in found]


def only(simulation: Simulation) -> Replayed:
    (replayed,) = simulation.visits
    return replayed


def used(host: int, network: int, already: bool = False) -> dict[str, object]:
    return {"used_host": host, "used_network": network, "counted_already": already}


def test_the_charter_in_force_changes_nothing_though_facts_count_visits_of_before() -> None:
    visits = [visit(1, NINE, facts=used(4, 11)), visit(2, NINE + DAY, facts=used(5, 12))]
    found = simulate(MODEL, visits, MODEL)
    assert [each.changed for each in found.visits] == [False, False]
    assert all(each.before == each.after for each in found.visits)
    assert found.before == found.after


def test_a_refusal_says_why_and_cites_the_article() -> None:
    after = only(simulate(proposed(half_days=at_most(0)), [visit(1, NINE)], MODEL)).after
    assert (after.outcome, after.half_days, after.codes) == ("refused", (), ("quota_host",))
    assert [(reason.article, dict(reason.params)) for reason in after.reasons] == [
        (5, {"used": 0, "limit": 0})
    ]


def test_whoever_signed_the_version_of_the_time_has_signed_the_simulated_one() -> None:
    signed = visit(1, NINE, online=False)
    unsigned = visit(2, NINE, member="bob", online=False, facts={"home_signed": None})
    found = {each.visit.id: each for each in replay(proposed(), [signed, unsigned], {"1": MODEL})}
    assert found["v1"].after.codes == ()
    assert found["v2"].before.codes == found["v2"].after.codes == ("charter_unsigned",)


def test_what_is_refused_is_no_longer_counted_for_later_visits() -> None:
    """Residents alone are eligible: the nomad's month at her other plan begins at nothing."""
    charter = proposed(
        eligible_plans=EligiblePlans(article=4, classes=("resident",)), half_days=at_most(2)
    )
    visits = [
        visit(1, NINE, facts=used(0, 0)),
        visit(2, NINE + DAY, facts=used(1, 1) | {"plan": "resident"}),
        visit(3, NINE + 2 * DAY, facts=used(2, 2) | {"plan": "resident"}),
        visit(4, NINE + 3 * DAY, facts=used(3, 3) | {"plan": "resident"}),
    ]
    assert outcomes(charter, *visits) == [
        ("v1", "refused", 0),
        ("v2", "allowed", 1),
        ("v3", "allowed", 1),
        ("v4", "refused", 0),
    ]


def test_a_refusal_at_one_space_gives_room_in_the_network_and_none_at_another_space() -> None:
    charter = proposed(half_days=at_most(1, network=2))
    visits = [
        visit(1, NINE, facts=used(1, 1)),
        visit(2, NINE + DAY, space="elsewhere", facts=used(0, 2)),
        visit(3, NINE + 2 * DAY, space="elsewhere", facts=used(1, 3)),
    ]
    assert outcomes(charter, *visits) == [
        ("v1", "refused", 0),
        ("v2", "allowed", 1),
        ("v3", "refused", 0),
    ]
    last = list(replay(charter, visits, {"1": MODEL}))[-1]
    assert {r.code: r.params["used"] for r in last.after.reasons} == {
        "quota_host": 1,
        "quota_network": 2,
    }


def test_one_persons_refusal_changes_nothing_for_another_nor_for_another_month() -> None:
    charter = proposed(half_days=at_most(1))
    august = NINE + 28 * DAY
    visits = [
        visit(1, NINE, facts=used(1, 1)),
        visit(2, NINE + DAY, member="bob", facts=used(1, 1)),
        visit(3, august, facts=used(1, 1)),
    ]
    assert {outcome for _, outcome, _ in outcomes(charter, *visits)} == {"refused"}


def test_a_half_day_that_a_refused_visit_counted_is_counted_for_the_next_one() -> None:
    charter = proposed(eligible_plans=EligiblePlans(article=4, classes=("resident",)))
    visits = [
        visit(1, NINE, 1),
        visit(2, NINE + 2 * HOUR, 1, facts=used(1, 1, already=True) | {"plan": "resident"}),
    ]
    found = list(replay(charter, visits, {"1": MODEL}))
    assert [len(each.before.half_days) for each in found] == [1, 0]
    assert [len(each.after.half_days) for each in found] == [0, 1]


def test_a_half_day_that_is_no_longer_counted_already_needs_room_again() -> None:
    charter = proposed(
        eligible_plans=EligiblePlans(article=4, classes=("resident",)), half_days=at_most(1)
    )
    again = used(2, 2, already=True) | {"plan": "resident"}
    visits = [visit(1, NINE, 1, facts=used(1, 1)), visit(2, NINE + 2 * HOUR, 1, facts=again)]
    assert outcomes(charter, *visits)[1] == ("v2", "refused", 0)


def test_counts_that_were_not_known_stay_unknown() -> None:
    unknown = {"used_host": None, "used_network": None}
    visits = [visit(1, NINE, facts=used(9, 9)), visit(2, NINE + DAY, facts=unknown)]
    assert outcomes(proposed(half_days=at_most(1)), *visits)[1] == ("v2", "allowed", 1)


def test_a_guest_who_is_refused_leaves_her_place_to_another_while_she_would_have_been_there() -> (
    None
):
    """One place; ada's visit from 9 to 11 is refused in the simulation."""
    charter = proposed(
        eligible_plans=EligiblePlans(article=4, classes=("resident",)),
        guest_cap=GuestCap(article=6, at_least=1),
    )
    one_there = {"plan": "resident", "guests_present": 1, "people_present": 1, "guest_cap": 0}
    roomy = {"guest_cap": 0}
    visits = [
        visit(1, NINE, 2, facts=roomy),
        visit(2, NINE, 2, facts=roomy, space="elsewhere", member="eve"),
        visit(3, NINE + HOUR, 1, member="bob", facts=one_there),
        visit(4, NINE + 2 * HOUR, 1, member="cem", facts=one_there),
    ]
    assert outcomes(charter, *visits)[2:] == [("v3", "allowed", 1), ("v4", "refused", 0)]


def test_who_never_left_is_absent_for_good_and_one_at_home_is_a_person_and_no_guest() -> None:
    charter = proposed(seniority=replace(MODEL.rules.seniority, days=10_000))  # type: ignore[type-var]
    elder = {"member_since": date(1990, 1, 1)}
    crowd = elder | {"people_present": 3, "capacity": 3, "guests_present": 2, "guest_cap": 2}
    own = {"home": "troquet", "facts": {"opening": None, "hours_known": True}}
    visits = [
        visit(1, NINE, None, member="own", **own),  # type: ignore[arg-type]
        visit(2, NINE + 8 * HOUR, 1, member="bob", facts=crowd),
        visit(3, NINE + 8 * HOUR, None, member="cem"),
        visit(4, NINE + 90 * HOUR, 1, member="dov", facts=crowd | {"capacity": 2}),
    ]
    found = list(replay(charter, visits, {"1": MODEL}))
    assert [each.after.codes for each in found] == [
        ("space_closed",),
        ("guest_cap",),
        ("seniority",),
        (),
    ]


def test_a_person_is_not_taken_off_a_count_that_never_held_herself() -> None:
    charter = proposed(eligible_plans=EligiblePlans(article=4, classes=("resident",)))
    full = {"plan": "resident", "people_present": 2, "capacity": 2}
    visits = [visit(1, NINE, None), visit(2, NINE + HOUR, facts=full)]
    assert outcomes(charter, *visits)[1] == ("v2", "refused", 0)


def test_a_visit_that_an_offline_door_admitted_always_counts_and_is_flagged() -> None:
    visits = [
        visit(1, NINE, online=False, facts=used(1, 1)),
        visit(2, NINE + DAY, online=False, facts=used(2, 2)),
    ]
    found = simulate(proposed(half_days=at_most(2)), visits, MODEL)
    assert [(each.visit.id, each.changed, each.after.outcome) for each in found.visits] == [
        ("v2", True, "flagged"),
        ("v1", False, "allowed"),
    ]
    assert [each.after.codes for each in found.visits] == [("quota_host",), ()]
    assert found.before.balances == found.after.balances == {"la-cordee": -2, "troquet": 2}


def test_flags_that_are_as_they_were_are_no_change() -> None:
    late = visit(1, NINE, online=False, facts={"home_state": "suspended"})
    replayed = only(simulate(proposed(half_days=at_most(3)), [late], MODEL))
    assert replayed.before.outcome == replayed.after.outcome == "flagged"
    assert not replayed.changed


def test_a_flag_more_on_a_visit_that_was_flagged_is_a_change() -> None:
    late = visit(1, NINE, online=False, facts={"home_state": "suspended"})
    replayed = only(simulate(proposed(half_days=at_most(0)), [late], MODEL))
    assert replayed.before.codes == ("home_suspended",)
    assert replayed.after.codes == ("home_suspended", "quota_host")
    assert replayed.changed


def test_another_split_makes_other_half_days() -> None:
    """From 11:30 to 12:30 is a morning when the split is at 13:00, and both at noon."""
    replayed = only(simulate(proposed(**split_at(12)), [visit(1, NINE + 2.5 * HOUR, 1)], MODEL))
    day = date(2026, 7, 6)
    assert replayed.before.half_days == (HalfDay(day, "am"),)
    assert replayed.after.half_days == (HalfDay(day, "am"), HalfDay(day, "pm"))
    assert replayed.changed


def test_half_days_that_another_split_adds_are_used_up_for_later_visits() -> None:
    charter = proposed(**split_at(12), half_days=at_most(2))
    visits = [visit(1, NINE, 3.5), visit(2, NINE + DAY, 1, facts=used(1, 1))]
    assert outcomes(charter, *visits) == [("v1", "allowed", 2), ("v2", "refused", 0)]


def test_a_visit_in_a_half_day_that_another_split_counts_already_needs_no_room() -> None:
    """At noon as the split, the first visit is in the afternoon, as the second one is."""
    charter = proposed(**split_at(12), half_days=at_most(1))
    visits = [
        visit(1, NINE + 3.25 * HOUR, 0.5),
        visit(2, NINE + 5 * HOUR, 1, facts=used(1, 1)),
    ]
    assert outcomes(charter, *visits) == [("v1", "allowed", 1), ("v2", "allowed", 0)]


def test_visits_of_several_versions_are_each_counted_by_the_split_of_their_own() -> None:
    old = replace(proposed(**split_at(12)), version="0")
    visits = [visit(1, NINE, 3.5, charter="0"), visit(2, NINE + DAY, 3.5, facts=used(2, 2))]
    found = simulate(MODEL, visits, MODEL, past=[old])
    assert [len(each.before.half_days) for each in found.visits] == [2, 1]
    assert [len(each.after.half_days) for each in found.visits] == [1, 1]


def test_an_open_visit_counts_the_half_day_that_it_began_in() -> None:
    assert outcomes(MODEL, visit(1, NINE, None)) == [("v1", "allowed", 1)]


def test_a_version_that_is_missing_is_an_error() -> None:
    with pytest.raises(KeyError, match="7"):
        simulate(MODEL, [visit(1, NINE, charter="7")], MODEL)


def test_visits_out_of_order_are_an_error_even_in_the_hour_that_comes_twice() -> None:
    first = datetime(2026, 10, 25, 2, 40, fold=0, tzinfo=PARIS)
    later = datetime(2026, 10, 25, 2, 20, fold=1, tzinfo=PARIS)
    in_order = [visit(1, first, 0.1), visit(2, later, 0.1, member="bob")]
    assert len(list(replay(MODEL, in_order, {"1": MODEL}))) == 2
    with pytest.raises(ValueError, match="v1 starts before"):
        list(replay(MODEL, in_order[::-1], {"1": MODEL}))


def test_results_come_one_by_one_so_that_progress_can_be_shown() -> None:
    given: list[str] = []

    def visits() -> object:
        for number in range(3):
            given.append(f"v{number}")
            yield visit(number, NINE + number * DAY)

    found = replay(MODEL, visits(), {"1": MODEL})  # type: ignore[arg-type]
    assert next(found).visit.id == "v0"
    assert given == ["v0"]


def test_a_simulation_says_how_far_it_is() -> None:
    visits = [visit(n, NINE + n * HOUR) for n in range(1001)]
    assert list(simulating(MODEL, visits, MODEL)) == [500, 1000]


def test_visits_that_change_come_first_each_part_in_order() -> None:
    charter = proposed(eligible_plans=EligiblePlans(article=4, classes=("resident",)))
    plans = ["resident", "nomad", "resident", "nomad"]
    visits = [visit(n, NINE + n * DAY, facts={"plan": plan}) for n, plan in enumerate(plans)]
    assert [each.visit.id for each in simulate(charter, visits, MODEL).visits] == [
        "v1",
        "v3",
        "v0",
        "v2",
    ]


def test_totals_are_by_space_by_home_and_by_plan() -> None:
    charter = proposed(eligible_plans=EligiblePlans(article=4, classes=("resident",)))
    visits = [
        visit(1, NINE, 5),
        visit(2, NINE, 2, member="bob", home="viry", facts={"plan": "resident"}),
        visit(3, NINE, 2, member="eve", home="viry", space="elsewhere"),
    ]
    totals = simulate(charter, visits, MODEL).totals
    assert totals.network == Figures(3, 1, 4, 1, changed=2)
    assert totals.spaces == {
        "le-troquet": Figures(2, 1, 3, 1, changed=1),
        "elsewhere": Figures(1, 0, 1, 0, changed=1),
    }
    assert totals.homes == {
        "la-cordee": Figures(1, 0, 2, 0, changed=1),
        "viry": Figures(2, 1, 2, 1, changed=1),
    }
    assert totals.plans == {
        "nomad": Figures(2, 0, 3, 0, changed=2),
        "resident": Figures(1, 1, 1, 1, changed=0),
    }


def test_what_changes_is_counted_by_cause_with_its_article_and_by_day() -> None:
    """Residents alone, at most one half-day; the resident's second visit in one half-day counts."""
    charter = proposed(
        eligible_plans=EligiblePlans(article=4, classes=("resident",)), half_days=at_most(1)
    )
    again = used(1, 1, already=True) | {"plan": "resident"}
    visits = [
        visit(1, NINE, 1, facts=used(0, 0)),
        visit(2, NINE + 2 * HOUR, 1, facts=again),
        visit(3, NINE + DAY, member="bob", facts=used(1, 1)),
        visit(4, NINE + DAY, member="eve", facts={"plan": "resident"}),
    ]
    found = simulate(charter, visits, MODEL)
    assert found.totals.causes == {
        ("plan_not_eligible", 4): 2,
        ("quota_host", 5): 1,
        (HALF_DAYS, 7): 1,
    }
    assert {str(day): each.changed for day, each in found.totals.days.items()} == {
        "2026-07-06": 2,
        "2026-07-07": 1,
    }


def test_a_reason_that_falls_away_is_a_cause_too_and_one_that_stays_is_none() -> None:
    facts = used(6, 6) | {"home_state": "suspended"}
    late = visit(1, NINE, online=False, facts=facts)
    replayed = only(simulate(proposed(half_days=at_most(9)), [late], MODEL))
    assert replayed.before.codes == ("home_suspended", "quota_host")
    assert replayed.causes == (("quota_host", 5),)


def test_each_month_is_compensated_on_its_own_by_the_rule_of_each_charter() -> None:
    """In July 12 half-days, in August 9: of the 21, only 2 exceed a month's tolerance of 10."""
    starts = [NINE + n * DAY for n in range(12)] + [NINE + (31 + n) * DAY for n in range(9)]
    visits = [visit(n, start, member=f"m{n}") for n, start in enumerate(starts)]
    dearer = replace(MODEL.rules.balance, tolerance_half_days=5, rate_cents=1000, currency="CHF")
    found = simulate(proposed(balance=dearer), visits, MODEL)
    assert found.before.balances == found.after.balances == {"la-cordee": -21, "troquet": 21}
    assert found.before.compensation == {"la-cordee": -1800, "troquet": 1800}
    assert found.after.compensation == {"la-cordee": -11000, "troquet": 11000}
    assert (found.before.currency, found.after.currency) == ("EUR", "CHF")


def test_a_visit_at_home_is_no_line_of_the_account() -> None:
    found = simulate(MODEL, [visit(1, NINE, home="troquet")], MODEL)
    assert found.before.balances == found.after.balances == {}
    assert found.totals.network.half_days_before == 1


def test_no_visit_makes_an_empty_simulation() -> None:
    found = simulate(MODEL, [], MODEL)
    assert (found.visits, found.totals.network, found.before.balances) == ((), Figures(), {})


def test_ten_thousand_visits_are_decided_again_in_seconds() -> None:
    visits = [
        visit(n, NINE.astimezone(UTC) + n * timedelta(minutes=4), 1, member=f"m{n % 900}")
        for n in range(10_000)
    ]
    charter = proposed(half_days=at_most(1), **split_at(12))
    started = time.process_time()
    for _ in replay(charter, visits, {"1": MODEL}):
        pass
    assert time.process_time() - started < 5


def test_a_half_day_at_two_spaces_of_one_operator_counts_once_and_is_carried_by_who_is_left() -> (
    None
):
    """The first is refused where nothing is left, so the second carries the half-day they share."""
    charter = proposed(half_days=at_most(1))
    visits = [
        visit(1, NINE, facts=used(1, 1)),
        visit(2, NINE + HOUR, 1, space="la-cour", facts=used(0, 2, already=True)),
        visit(3, NINE + DAY, space="la-cour", facts=used(0, 2)),
    ]
    found = list(replay(charter, visits, {"1": MODEL}))
    assert [len(each.before.half_days) for each in found] == [1, 0, 1]
    assert [(each.after.outcome, len(each.after.half_days)) for each in found] == [
        ("refused", 0),
        ("allowed", 1),
        ("refused", 0),
    ]


def test_what_lies_in_a_break_or_past_midnight_counts_as_the_account_counts_it() -> None:
    lunch = (NINE, NINE + 3 * HOUR), (NINE + 5 * HOUR, NINE + 9 * HOUR)
    evening = NINE.replace(hour=18), NINE.replace(hour=2) + DAY
    late = visit(2, NINE.replace(hour=0) + DAY, 1, host="bar", space="bar")
    visits = [
        replace(visit(1, NINE, 4.5), openings=lunch),
        replace(late, day=NINE.date(), openings=(evening,)),
    ]
    found = simulate(MODEL, visits, MODEL)
    assert [tuple(each.after.half_days) for each in found.visits] == [
        ((NINE.date(), "am"),),
        ((NINE.date(), "pm"),),
    ]
    assert list(found.totals.days) == [NINE.date()]
