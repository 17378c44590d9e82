"""What the page and the mail about hosts say, in words."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from flask_babel import gettext, lazy_gettext

from federation.oversight.comparing import Figures, Finding, Measure
from federation.oversight.queries import TELLING
from federation.statements.host_disputes import LAPSED
from shared.web import formats
from shared.web.reasons import flag_name

# The heads of the table's columns.
NAMES = {
    "late": lazy_gettext("Told late"),
    "offline": lazy_gettext("Without the network"),
    "flagged": lazy_gettext("Flagged"),
    "held": lazy_gettext("Held"),
    "unclosed": lazy_gettext("Closed by nobody"),
    "half_days": lazy_gettext("Half-days a visit"),
    "visits": lazy_gettext("Visits a pass"),
}

_SAID = {
    "late": lazy_gettext("%(part)s of %(whole)s visits were told late"),
    "offline": lazy_gettext("%(part)s of %(whole)s visits were let in without the network"),
    "flagged": lazy_gettext("%(part)s of %(whole)s visits would have been refused by the hub"),
    "held": lazy_gettext("%(part)s of %(whole)s visits were held for want of proof"),
    "unclosed": lazy_gettext("%(part)s of %(whole)s visits were closed by nobody"),
    "half_days": lazy_gettext("its visits are of %(value)s half-days on average"),
    "visits": lazy_gettext("each pass was shown for %(value)s visits on average"),
}


def against(flags: Iterable[str]) -> list[str]:
    """Return what speaks against a visit, in words; not how it was told."""
    return [flag_name(code) for code in flags if code not in TELLING]


def sentence(finding: Finding) -> str:
    """Say what stands out, and what it stands out from."""
    measure = finding.measure
    return gettext(
        "%(here)s; in the three months before: %(before)s; elsewhere: %(elsewhere)s.",
        here=_SAID[measure.name] % _numbers(measure, finding.here),
        before=_compared(measure, finding.before),
        elsewhere=_compared(measure, finding.elsewhere),
    )


def _numbers(measure: Measure, figures: Figures) -> dict[str, Any]:
    part, whole = getattr(figures, measure.name), getattr(figures, measure.of)
    value = Fraction(part, whole) if whole else None
    return {
        "part": formats.number(part),
        "whole": formats.number(whole),
        "value": formats.number(round(float(value), 1)) if value is not None else "–",
    }


def _compared(measure: Measure, figures: Figures | None) -> str:
    if figures is None or not getattr(figures, measure.of):
        return gettext("no visit")
    numbers = _numbers(measure, figures)
    if measure.is_share:
        return gettext("%(part)s of %(whole)s", **numbers)
    return str(numbers["value"])


def figure(measure: Measure, value: Fraction | None) -> str:
    """Return a share in per cent, or how many there are of each."""
    if value is None:
        return "–"
    if measure.is_share:
        return gettext("%(number)s %%", number=formats.number(round(float(100 * value))))
    return formats.number(round(float(value), 1))


def decision(words: str | None) -> str:
    """Return the reason of a decision; that nobody took one is said in the reader's language."""
    return gettext("nobody decided in time") if words == LAPSED else words or ""
