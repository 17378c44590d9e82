"""Votes: who counts, until when, and what it takes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest

from charter import model_sources, read_charter
from charter.rules import Vote
from charter.voting import (
    Ballot,
    Outcome,
    Proposal,
    Standing,
    Tally,
    check_ballot,
    count,
    out_of_network,
    outcome,
    proposal_fingerprint,
)

RULE = read_charter("1", model_sources()).rules.vote
PARIS = ZoneInfo("Europe/Paris")
OPENING = datetime(2026, 3, 20, 9, tzinfo=PARIS)
CLOSING = datetime(2026, 3, 30, 10, tzinfo=PARIS)  # summer time began meanwhile
NODES = ["cordee", "locaux", "sceaux", "sevres", "troquet", "viry"]
TEXT = Proposal("aa", OPENING, RULE, frozenset(NODES))
DAY = timedelta(days=1)
MOMENT = timedelta(microseconds=1)


def ballots(choices: str, at: datetime = OPENING, fingerprint: str = "aa") -> list[Ballot]:
    """One ballot for each letter, by the nodes in turn: y, n, a, or - for none."""
    words = {"y": "yes", "n": "no", "a": "abstain"}
    return [
        Ballot(node, words[letter], "Too dear." if letter == "n" else "", at, fingerprint)
        for node, letter in zip(NODES, choices, strict=False)
        if letter != "-"
    ]


def after(cast: list[Ballot], rule: Vote = RULE, nodes: list[str] = NODES) -> Outcome:
    proposal = replace(TEXT, rule=rule, electorate=frozenset(nodes))
    return outcome(proposal, cast, [], CLOSING)


def test_a_vote_lasts_whole_days_whatever_clocks_do_meanwhile() -> None:
    assert TEXT.closes_at == CLOSING
    assert TEXT.closes_at.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("choice", "reason", "faults"),
    [
        ("yes", "", []),
        ("abstain", "", []),
        ("no", "Too dear.", []),
        ("no", "", ["reason_missing"]),
        ("no", " \n\t\u00a0", ["reason_missing"]),
        ("maybe", "Why not.", ["choice_unknown"]),
        ("", "", ["choice_unknown"]),
        ("YES", "", ["choice_unknown"]),
    ],
)
def test_only_a_no_must_say_why(choice: str, reason: str, faults: list[str]) -> None:
    assert check_ballot(choice, reason) == faults


@pytest.mark.parametrize(
    ("choices", "state", "reason"),
    [
        ("yy----", "rejected", "no_quorum"),
        ("yyy---", "adopted", None),
        ("yaa---", "adopted", None),
        ("aaa---", "rejected", "no_majority"),
        ("yyn---", "adopted", None),
        ("yyynn-", "rejected", "no_majority"),
        ("yyyynn", "adopted", None),
        ("ynaaaa", "rejected", "no_majority"),
        ("yyyyyy", "adopted", None),
        ("nnnnnn", "rejected", "no_majority"),
        ("nn----", "rejected", "no_quorum"),
        ("------", "rejected", "no_quorum"),
    ],
)
def test_half_take_part_and_two_thirds_of_those_who_say_yes_or_no_agree(
    choices: str, state: str, reason: str | None
) -> None:
    found = after(ballots(choices))
    assert (found.state, found.reason) == (state, reason)


def test_three_of_seven_are_not_half() -> None:
    assert after(ballots("yyy"), nodes=[*NODES, "prisme"]).reason == "no_quorum"
    assert after(ballots("yyya"), nodes=[*NODES, "prisme"]).state == "adopted"


def test_a_third_of_three_is_exactly_a_third() -> None:
    rule = replace(RULE, quorum=Fraction(1, 3), majority=Fraction(1))
    assert after(ballots("y"), rule, NODES[:3]).state == "adopted"
    assert after(ballots("y"), replace(rule, quorum=Fraction(333_333_334, 10**9)), NODES[:3]) == (
        Outcome("rejected", "no_quorum", Tally(yes=1))
    )


def test_where_nobody_is_entitled_nothing_is_adopted() -> None:
    assert after(ballots("yyyyyy"), nodes=[]) == Outcome("rejected", "no_quorum", Tally())


def test_a_vote_stays_open_until_its_deadline_even_when_all_agree() -> None:
    cast = ballots("yyyyyy")
    assert outcome(TEXT, cast, [], CLOSING - MOMENT) == Outcome("open", None, Tally(yes=6))
    assert outcome(TEXT, cast, [], CLOSING).state == "adopted"
    assert outcome(TEXT, cast, [], CLOSING + 400 * DAY).state == "adopted"


def test_the_last_word_of_an_operator_is_the_one_that_counts_in_whatever_order_it_is_read() -> None:
    first, second = ballots("yyyyyy"), ballots("nnn---", OPENING + DAY)
    assert count(TEXT, first + second) == Tally(yes=3, no=3)
    assert count(TEXT, second + first) == Tally(yes=3, no=3)


def test_of_two_words_at_one_instant_the_one_given_later_counts() -> None:
    assert count(TEXT, ballots("y") + ballots("a")) == Tally(abstain=1)
    assert count(TEXT, ballots("a") + ballots("y")) == Tally(yes=1)


def test_in_the_hour_that_comes_twice_the_later_word_is_the_later_one() -> None:
    opened = replace(TEXT, opened_at=datetime(2026, 10, 20, 9, tzinfo=PARIS))
    earlier = ballots("y", datetime(2026, 10, 25, 2, 40, fold=0, tzinfo=PARIS))
    later = ballots("a", datetime(2026, 10, 25, 2, 20, fold=1, tzinfo=PARIS))
    assert count(opened, later + earlier) == Tally(abstain=1)


@pytest.mark.parametrize(
    ("at", "counted"),
    [(OPENING - MOMENT, 0), (OPENING, 6), (CLOSING - MOMENT, 6), (CLOSING, 0)],
)
def test_a_ballot_counts_from_the_opening_and_before_the_deadline(
    at: datetime, counted: int
) -> None:
    assert count(TEXT, ballots("yyyyyy", at)).yes == counted


def test_a_ballot_on_another_text_is_none() -> None:
    assert after(ballots("yyyyyy", fingerprint="bb")).tally == Tally()


def test_a_node_that_is_not_entitled_never_counts() -> None:
    assert after(ballots("yyynnn"), nodes=NODES[:3]).tally == Tally(yes=3)


def test_a_ballot_with_a_fault_leaves_the_earlier_one_standing() -> None:
    later = OPENING + DAY
    faulty = [
        Ballot("cordee", "no", " ", later, "aa"),
        Ballot("cordee", "perhaps", "I wonder.", later, "aa"),
    ]
    assert count(TEXT, ballots("y") + faulty) == Tally(yes=1)


def test_an_edit_lets_earlier_votes_fall_and_starts_the_deadline_anew() -> None:
    cast = ballots("yyyyyy")
    edited = replace(TEXT, fingerprint="bb", opened_at=OPENING + 3 * DAY)
    assert outcome(edited, cast, [], CLOSING) == Outcome("open", None, Tally())
    assert outcome(edited, cast, [], CLOSING + 3 * DAY).reason == "no_quorum"


def test_going_back_to_the_first_text_does_not_bring_its_votes_back() -> None:
    back = replace(TEXT, opened_at=OPENING + 2 * DAY)
    assert count(back, ballots("yyyyyy")) == Tally()
    assert count(back, ballots("yyyyyy", OPENING + 2 * DAY)) == Tally(yes=6)


def test_the_fingerprint_is_of_all_that_is_read() -> None:
    sources = model_sources()
    first = proposal_fingerprint("2", sources, "Six are too few")
    assert first == proposal_fingerprint("2", dict(reversed(sources.items())), "Six are too few")
    others = {
        proposal_fingerprint("3", sources, "Six are too few"),
        proposal_fingerprint("2", sources, "Six are too many"),
        *(
            proposal_fingerprint("2", {**sources, name: text + " "}, "Six are too few")
            for name, text in sources.items()
        ),
    }
    assert len(others | {first}) == 6


def suspended(node: str, at: datetime) -> Standing:
    return Standing(node, True, at)


def back(node: str, at: datetime) -> Standing:
    return Standing(node, False, at)


@pytest.mark.parametrize(
    ("at", "tally"),
    [
        (OPENING, Tally(yes=2, suspended=1)),
        (CLOSING - MOMENT, Tally(yes=2, suspended=1)),
        (CLOSING, Tally(yes=3)),
        (CLOSING + DAY, Tally(yes=3)),
    ],
)
def test_a_ballot_is_suspended_while_its_operator_is_at_the_deadline_whenever_it_is_counted(
    at: datetime, tally: Tally
) -> None:
    told = [suspended("cordee", at)]
    found = {outcome(TEXT, ballots("yyy"), told, CLOSING + n * DAY) for n in (0, 1, 2, 400)}
    assert {each.tally for each in found} == {tally}
    assert len(found) == 1
    assert found.pop().reason == (None if tally.yes == 3 else "no_quorum")


def test_while_the_vote_is_open_a_ballot_is_suspended_for_as_long_as_its_operator_is() -> None:
    told = [suspended("cordee", OPENING + DAY), back("cordee", OPENING + 2 * DAY)]
    for shuffled in (told, told[::-1]):
        assert out_of_network(TEXT, shuffled, OPENING) == frozenset()
        assert out_of_network(TEXT, shuffled, OPENING + DAY) == {"cordee"}
        assert out_of_network(TEXT, shuffled, OPENING + 2 * DAY) == frozenset()
    assert outcome(TEXT, ballots("yyy"), told, CLOSING).state == "adopted"


def test_the_quorum_promised_is_of_the_whole_electorate_whoever_is_out_since() -> None:
    told = [suspended(node, OPENING + DAY) for node in ("sevres", "troquet", "viry")]
    assert outcome(TEXT, ballots("yy"), told, CLOSING).reason == "no_quorum"
    assert outcome(TEXT, ballots("yyy"), told, CLOSING).state == "adopted"


def test_who_is_not_of_the_electorate_is_not_counted_as_suspended() -> None:
    told = [suspended("prisme", OPENING)]
    cast = [*ballots("yyy"), Ballot("prisme", "yes", "", OPENING, "aa")]
    assert outcome(TEXT, cast, told, CLOSING).tally == Tally(yes=3)
