"""A proposal's life under the vote rule in force (article on governance). Pure: no clock.

One operator, one vote. A vote is on one text, known by its fingerprint, from one opening; an
edit opens it anew. Shares are compared as whole numbers and fractions, never as floats.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from charter.rules import Vote

YES, NO, ABSTAIN = CHOICES = ("yes", "no", "abstain")
OPEN, ADOPTED, REJECTED = "open", "adopted", "rejected"


@dataclass(frozen=True, slots=True)
class Proposal:
    """A text put to the vote: the hex SHA-256 of its articles and rules, and when it opened."""

    fingerprint: str
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class Ballot:
    """What one operator said, when (aware), and of which text."""

    node: str
    choice: str
    reason: str
    at: datetime
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Tally:
    """Operators by their last word. All three take part; yes and no alone are expressed."""

    yes: int = 0
    no: int = 0
    abstain: int = 0

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


def closes_at(rule: Vote, opened_at: datetime) -> datetime:
    """Return the instant (UTC) from which no ballot counts: whole days of 24 hours later."""
    return opened_at.astimezone(UTC) + timedelta(days=rule.days)


def _is_open(rule: Vote, proposal: Proposal, at: datetime) -> bool:
    # In UTC: two times of one zone would be compared by their clocks.
    opened_at = proposal.opened_at.astimezone(UTC)
    return opened_at <= at.astimezone(UTC) < closes_at(rule, opened_at)


def edit(rule: Vote, proposal: Proposal, fingerprint: str, at: datetime) -> Proposal:
    """Return the proposal with another text: earlier votes fall and the deadline starts anew.

    An edit that leaves every character as it was is none, and changes nothing. Raises
    ValueError before the opening, and once the vote is closed: what was voted is not edited.
    """
    if not _is_open(rule, proposal, at):
        raise ValueError("a proposal is edited while its vote is open")
    return proposal if fingerprint == proposal.fingerprint else Proposal(fingerprint, at)


def check_ballot(choice: str, reason: str) -> list[str]:
    """Return ``choice_unknown`` or ``reason_missing`` (a "no" says why), or nothing."""
    if choice not in CHOICES:
        return ["choice_unknown"]
    return ["reason_missing"] if choice == NO and not reason.strip() else []


def _instant(ballot: Ballot) -> datetime:
    return ballot.at.astimezone(UTC)


def count(
    rule: Vote, entitled: Collection[str], ballots: Iterable[Ballot], proposal: Proposal
) -> Tally:
    """Count each entitled operator's last ballot; of two at one instant, the one given later.

    A ballot that is not by an entitled node, on this very text, from the opening and before the
    closing, and free of faults, is as if it had not been cast: an earlier one then stands.
    """
    voters = frozenset(entitled)
    counted = [
        ballot
        for ballot in ballots
        if ballot.node in voters
        and ballot.fingerprint == proposal.fingerprint
        and _is_open(rule, proposal, ballot.at)
        and not check_ballot(ballot.choice, ballot.reason)
    ]
    # Sorting is stable, so that a later ballot of the same instant overwrites an earlier one.
    last = {ballot.node: ballot.choice for ballot in sorted(counted, key=_instant)}
    choices = list(last.values())
    return Tally(choices.count(YES), choices.count(NO), choices.count(ABSTAIN))


def outcome(
    rule: Vote,
    entitled: Collection[str],
    ballots: Iterable[Ballot],
    proposal: Proposal,
    now: datetime,
) -> Outcome:
    """Say where the vote stands at an instant (aware).

    It is open until the deadline even when everybody has voted, since anybody may change
    her mind; at the deadline itself it is closed. Exactly the quorum and exactly the majority
    are enough. Rejected without a quorum when nobody is entitled, and without a majority when
    nobody said yes or no; where both are missing, the quorum is named.
    """
    tally = count(rule, entitled, ballots, proposal)
    if now < closes_at(rule, proposal.opened_at):
        return Outcome(OPEN, None, tally)
    voters = len(frozenset(entitled))
    if not voters or Fraction(tally.taking_part, voters) < rule.quorum:
        return Outcome(REJECTED, "no_quorum", tally)
    if not tally.expressed or Fraction(tally.yes, tally.expressed) < rule.majority:
        return Outcome(REJECTED, "no_majority", tally)
    return Outcome(ADOPTED, None, tally)
