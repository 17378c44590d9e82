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
    Tally,
    check_ballot,
    closes_at,
    count,
    edit,
    outcome,
)

RULE = read_charter("1", model_sources()).rules.vote
PARIS = ZoneInfo("Europe/Paris")
OPENING = datetime(2026, 3, 20, 9, tzinfo=PARIS)
CLOSING = datetime(2026, 3, 30, 10, tzinfo=PARIS)  # summer time began meanwhile
TEXT = Proposal("aa", OPENING)
NODES = ["cordee", "locaux", "sceaux", "sevres", "troquet", "viry"]
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
    return outcome(rule, nodes, cast, TEXT, CLOSING)


def test_a_vote_lasts_whole_days_whatever_clocks_do_meanwhile() -> None:
    assert closes_at(RULE, OPENING) == CLOSING
    assert closes_at(RULE, OPENING).utcoffset() == timedelta(0)


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
    assert outcome(RULE, NODES, cast, TEXT, CLOSING - MOMENT) == Outcome("open", None, Tally(yes=6))
    assert outcome(RULE, NODES, cast, TEXT, CLOSING).state == "adopted"
    assert outcome(RULE, NODES, cast, TEXT, CLOSING + 400 * DAY).state == "adopted"


def test_the_last_word_of_an_operator_is_the_one_that_counts_in_whatever_order_it_is_read() -> None:
    first, second = ballots("yyyyyy"), ballots("nnn---", OPENING + DAY)
    assert count(RULE, NODES, first + second, TEXT) == Tally(yes=3, no=3)
    assert count(RULE, NODES, second + first, TEXT) == Tally(yes=3, no=3)


def test_of_two_words_at_one_instant_the_one_given_later_counts() -> None:
    assert count(RULE, NODES, ballots("y") + ballots("a"), TEXT) == Tally(abstain=1)
    assert count(RULE, NODES, ballots("a") + ballots("y"), TEXT) == Tally(yes=1)


def test_in_the_hour_that_comes_twice_the_later_word_is_the_later_one() -> None:
    opened = Proposal("aa", datetime(2026, 10, 20, 9, tzinfo=PARIS))
    earlier = ballots("y", datetime(2026, 10, 25, 2, 40, fold=0, tzinfo=PARIS))
    later = ballots("a", datetime(2026, 10, 25, 2, 20, fold=1, tzinfo=PARIS))
    assert count(RULE, NODES, later + earlier, opened) == Tally(abstain=1)


@pytest.mark.parametrize(
    ("at", "counted"),
    [(OPENING - MOMENT, 0), (OPENING, 6), (CLOSING - MOMENT, 6), (CLOSING, 0)],
)
def test_a_ballot_counts_from_the_opening_and_before_the_deadline(
    at: datetime, counted: int
) -> None:
    assert count(RULE, NODES, ballots("yyyyyy", at), TEXT).yes == counted


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
    assert count(RULE, NODES, ballots("y") + faulty, TEXT) == Tally(yes=1)


def test_an_edit_lets_earlier_votes_fall_and_starts_the_deadline_anew() -> None:
    cast = ballots("yyyyyy")
    edited = edit(RULE, TEXT, "bb", OPENING + 3 * DAY)
    assert edited == Proposal("bb", OPENING + 3 * DAY)
    assert outcome(RULE, NODES, cast, edited, CLOSING) == Outcome("open", None, Tally())
    assert outcome(RULE, NODES, cast, edited, CLOSING + 3 * DAY).reason == "no_quorum"


def test_going_back_to_the_first_text_does_not_bring_its_votes_back() -> None:
    there = edit(RULE, TEXT, "bb", OPENING + DAY)
    back = edit(RULE, there, "aa", OPENING + 2 * DAY)
    assert count(RULE, NODES, ballots("yyyyyy"), back) == Tally()
    assert count(RULE, NODES, ballots("yyyyyy", OPENING + 2 * DAY), back) == Tally(yes=6)


def test_an_edit_that_changes_no_character_lets_no_vote_fall() -> None:
    assert edit(RULE, TEXT, "aa", OPENING + DAY) == TEXT


@pytest.mark.parametrize("at", [OPENING - MOMENT, CLOSING, CLOSING + DAY])
def test_a_text_whose_vote_is_not_open_is_not_edited(at: datetime) -> None:
    with pytest.raises(ValueError, match="while its vote is open"):
        edit(RULE, TEXT, "bb", at)
