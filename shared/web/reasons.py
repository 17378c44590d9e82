"""In few words, why a visit would have been refused, and why a simulation changes one."""

from __future__ import annotations

from collections.abc import Iterable

from flask_babel import lazy_gettext

from charter.effect import HALF_DAYS
from shared.wire import held_visits

# What a visit that was admitted without the network can be flagged with, in few words.
FLAG_NAMES = {
    "offline": lazy_gettext("let in without the network"),
    "told_again": lazy_gettext("told again by its host"),
    "told_late": lazy_gettext("told late"),
    "pass_untold": lazy_gettext("its home had not told the hub of this pass"),
    "shown_elsewhere": lazy_gettext("another door says that the same code was shown there"),
    "pass_expired": lazy_gettext("pass expired"),
    "pass_stale": lazy_gettext("code too old"),
    "pass_replayed": lazy_gettext("code used twice"),
    "pass_revoked": lazy_gettext("pass revoked"),
    "pass_suspended": lazy_gettext("pass suspended"),
    "home_unknown": lazy_gettext("home unknown"),
    "home_suspended": lazy_gettext("home suspended"),
    "charter_unsigned": lazy_gettext("charter not signed"),
    "plan_not_eligible": lazy_gettext("plan not eligible"),
    "seniority": lazy_gettext("member for too short a time"),
    "quota_host": lazy_gettext("month’s limit at this host"),
    "quota_network": lazy_gettext("month’s limit in the network"),
    "reciprocity_floor": lazy_gettext("the home’s own limit"),
    "guest_cap": lazy_gettext("no guest place left"),
    "space_full": lazy_gettext("space full"),
    "space_closed": lazy_gettext("space closed"),
    "paused": lazy_gettext("roaming paused"),
    "offline_budget": lazy_gettext("too many visits without the network"),
    "trust_list_stale": lazy_gettext("lists too old"),
}


def flag_name(code: str) -> str:
    """Return a flag in words: also one that says why a visit was held before it counted."""
    return str(FLAG_NAMES.get(code) or held_visits.why(code))


def flags_in_words(flags: Iterable[str]) -> str:
    """Return a line's flags in words, as the statement's page and its PDF say them."""
    return ", ".join(flag_name(flag) for flag in flags)


CAUSES = FLAG_NAMES | {HALF_DAYS: lazy_gettext("other half-days are counted")}
