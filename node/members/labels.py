"""Subscriptions in words: their state, and what the charter gives to a plan's class."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from datetime import date
from typing import Any

from flask_babel import gettext, lazy_gettext

from charter.rules import Rules
from node.members.models import Member
from node.members.service import state
from shared.web.formats import day

CLASS_NAMES = {
    "resident": lazy_gettext("resident"),
    "nomad": lazy_gettext("nomad"),
    "ticket": lazy_gettext("ticket"),
}


@dataclass(frozen=True, slots=True)
class Said:
    """One sentence, and the article of the charter that it rests on."""

    words: str
    article: int | None = None


def state_words(row: Member, today: date, invited: Container[int] = ()) -> tuple[str, str]:
    """Return the sign of a subscription's state (yes, no, warn, info), and the state in words.

    ``invited`` are the accounts that have a link which still opens.
    """
    found = state(row, today)
    if found == "suspended":
        return "warn", gettext("suspended")
    if found == "ended":
        return "no", gettext("ended on %(day)s", day=day(row.ended_on or today))
    if found == "ends":
        return "yes", gettext("ends on %(day)s", day=day(row.ended_on or today))
    if found == "begins":
        return "info", gettext("begins on %(day)s", day=day(row.joined_on))
    if found == "passwordless":
        known = row.account_id in invited
        return "info", gettext("invited") if known else gettext("no password yet")
    return "yes", gettext("subscribed")


def effect(rules: Rules | None, plan_class: str, own: int | None) -> list[Said]:
    """Return what a plan of this class opens elsewhere; ``own`` is its half-days a month."""
    if rules is None:
        return [Said(gettext("The charter is not known here yet: this node has not joined."))]
    eligible, found = rules.eligible_plans, []
    if eligible and plan_class not in eligible.classes:
        words = gettext("No roaming: at home here, and not admitted at other spaces.")
        return [Said(words, eligible.article)]
    words = gettext("May roam: other spaces of the network welcome this member as one of theirs.")
    found.append(Said(words, eligible.article if eligible else None))
    if rules.half_days:
        limit = rules.half_days
        words = gettext(
            "Up to %(network)s half-days a month in all, %(host)s at one host.",
            network=limit.network,
            host=limit.per_host,
        )
        found.append(Said(words, limit.article))
    if rules.reciprocity_floor and own is not None:
        words = gettext("No more than the %(n)s half-days a month of this plan.", n=own)
        found.append(Said(words, rules.reciprocity_floor.article))
    if rules.seniority:
        words = gettext("From day %(n)s of the subscription on.", n=rules.seniority.days)
        found.append(Said(words, rules.seniority.article))
    return found


def roams(rules: Rules | None, plan_class: str) -> bool | None:
    """Tell whether the class may roam; None while no charter is known."""
    if rules is None:
        return None
    eligible: Any = rules.eligible_plans
    return eligible is None or plan_class in eligible.classes
