"""A proposal's vote (article on governance). Pure: no clock.

One operator, one vote. A vote is on one proposal, known by its fingerprint, from one opening; an
edit opens it anew. What was promised at the opening holds to the end: how many days, which quorum
and majority, and which operators have a voice. A version that comes into force, an admission, a
suspension or a departure meanwhile changes none of it. Shares are compared as whole numbers and
fractions, never as floats.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from charter.model import fingerprint
from charter.rules import Vote

YES, NO, ABSTAIN = CHOICES = ("yes", "no", "abstain")
OPEN, ADOPTED, REJECTED = "open", "adopted", "rejected"
# How often one proposal may be changed while it is voted. Who wants more proposes anew.
MOST_EDITS = 3


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposal put to the vote, on the terms of its opening.

    ``fingerprint`` is what ``proposal_fingerprint`` returns; ``opened_at`` is aware; ``rule`` is
    that of the charter in force at the opening, and ``electorate`` the operators that had a voice.
    """

    fingerprint: str
    opened_at: datetime
    rule: Vote
    electorate: frozenset[str]

    @property
    def closes_at(self) -> datetime:
        """Return the instant (UTC) from which no ballot counts: whole days of 24 hours later."""
        return self.opened_at.astimezone(UTC) + timedelta(days=self.rule.days)


@dataclass(frozen=True, slots=True)
class Ballot:
    """What one operator said, when (aware), and of which proposal."""

    node: str
    choice: str
    reason: str
    at: datetime
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Standing:
    """At an instant (aware) an operator was put ``out`` of the network, or taken back into it.

    Suspended and departed operators are out.
    """

    node: str
    out: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class Tally:
    """Operators by their last word. Yes, no and abstentions take part; yes and no are expressed.

    ``suspended`` counts the ballots of operators that are out of the network: they take no part.
    """

    yes: int = 0
    no: int = 0
    abstain: int = 0
    suspended: int = 0

    @property
    def taking_part(self) -> int:
        return self.yes + self.no + self.abstain

    @property
    def expressed(self) -> int:
        return self.yes + self.no


@dataclass(frozen=True, slots=True)
class Outcome:
    """``state`` is open, adopted or rejected; a rejection has ``no_quorum`` or ``no_majority``."""

    state: str
    reason: str | None
    tally: Tally


def proposal_fingerprint(version: str, sources: Mapping[str, str], argument: str) -> str:
    """Return the hex SHA-256 of all that voters read: articles, rules and argument.

    It is the charter's hash with ``argument`` as one source more.
    """
    return fingerprint(version, {**sources, "argument": argument})


def check_ballot(choice: str, reason: str) -> list[str]:
    """Return ``choice_unknown`` or ``reason_missing`` (a "no" says why), or nothing."""
    if choice not in CHOICES:
        return ["choice_unknown"]
    return ["reason_missing"] if choice == NO and not reason.strip() else []


def out_of_network(
    proposal: Proposal, standings: Iterable[Standing], now: datetime
) -> frozenset[str]:
    """Return the electors that are out of the network: their ballots are suspended.

    That is at ``now`` while the vote is open, and for ever as of its deadline after that: so the
    result is the same whenever it is counted. What happens at the deadline itself comes after it.
    Of two changes at one instant, the one given later holds.
    """
    told = [
        each
        for each in standings
        if each.node in proposal.electorate
        and _instant(each) <= now.astimezone(UTC)
        and _instant(each) < proposal.closes_at
    ]
    last = {each.node: each.out for each in sorted(told, key=_instant)}
    return frozenset(node for node, out in last.items() if out)


def _instant(fact: Ballot | Standing) -> datetime:
    # In UTC: two times of one zone would be compared by their clocks.
    return fact.at.astimezone(UTC)


def count(proposal: Proposal, ballots: Iterable[Ballot], out: Collection[str] = ()) -> Tally:
    """Count each elector's last ballot; of two at one instant, the one given later.

    A ballot that is not by an elector, on this very proposal, from the opening and before the
    deadline, and free of faults, is as if it had not been cast: an earlier one then stands. The
    ballot of an operator that is ``out`` of the network is suspended.
    """
    opened_at = proposal.opened_at.astimezone(UTC)
    counted = [
        ballot
        for ballot in ballots
        if ballot.node in proposal.electorate
        and ballot.fingerprint == proposal.fingerprint
        and opened_at <= _instant(ballot) < proposal.closes_at
        and not check_ballot(ballot.choice, ballot.reason)
    ]
    # Sorting is stable, so that a later ballot of the same instant overwrites an earlier one.
    last = {ballot.node: ballot.choice for ballot in sorted(counted, key=_instant)}
    choices = [choice for node, choice in last.items() if node not in out]
    return Tally(
        yes=choices.count(YES),
        no=choices.count(NO),
        abstain=choices.count(ABSTAIN),
        suspended=len(last) - len(choices),
    )


def outcome(
    proposal: Proposal,
    ballots: Iterable[Ballot],
    standings: Iterable[Standing],
    now: datetime,
) -> Outcome:
    """Say where the vote stands at an instant (aware); after the deadline, always the same.

    It is open until the deadline even when everybody has voted, since anybody may change their
    mind; at the deadline itself it is closed. Exactly the quorum and exactly the majority are
    enough. The quorum is of the whole electorate, whoever is out of the network since. Rejected
    without a quorum when the electorate is empty, and without a majority when nobody said yes or
    no; where both are missing, the quorum is named.
    """
    tally = count(proposal, ballots, out_of_network(proposal, standings, now))
    if now < proposal.closes_at:
        return Outcome(OPEN, None, tally)
    voters = len(proposal.electorate)
    if not voters or Fraction(tally.taking_part, voters) < proposal.rule.quorum:
        return Outcome(REJECTED, "no_quorum", tally)
    if not tally.expressed or Fraction(tally.yes, tally.expressed) < proposal.rule.majority:
        return Outcome(REJECTED, "no_majority", tally)
    return Outcome(ADOPTED, None, tally)
