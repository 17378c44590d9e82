"""What a version would have changed in visits that were made: the hub's totals."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

import orjson
from flask_babel import gettext, lazy_gettext
from wtforms import DateField, ValidationError
from wtforms.validators import Optional

from node.context import Node
from shared.net.http import PeerError
from shared.web.formats import local_day
from shared.web.forms import Form
from shared.wire.problems import Problem

TIMEOUT_SECONDS = 30
YEARS = 2000, 2200


def _in_time(_form: Any, field: Any) -> None:
    if field.data is not None and not YEARS[0] <= field.data.year <= YEARS[1]:
        raise ValidationError(gettext("Not a valid date."))


class PeriodForm(Form):
    """Read by GET: it changes nothing. Without days, the month that is usual."""

    class Meta:
        csrf = False

    first = DateField(lazy_gettext("From"), [Optional(), _in_time], name="from")
    last = DateField(lazy_gettext("To"), [Optional(), _in_time], name="to")

    def validate_last(self, field: Any) -> None:
        if self.first.data and field.data and field.data < self.first.data:
            raise ValidationError(gettext("The end is before the beginning."))

    def period(self, today: date) -> tuple[date, date] | None:
        """Return the days asked for, if any: from one until today, or a month up to the other."""
        first, last = self.first.data, self.last.data
        if first is None and last is None:
            return None
        return first or last.replace(day=1), last or max(first, today)


def ask(node: Node, version: str, first: date, last: date) -> dict[str, Any] | None:
    """Return the totals of the visits from ``first`` to ``last``; None if the hub does not say.

    A long calculation does not make the hub count as away: doors go on asking it. Raises Problem.
    """
    if node.hub.away:
        return None
    path = f"/api/v1/charters/{version}/simulation?limit=0&from={first}&to={last}"
    try:
        found: dict[str, Any] = orjson.loads(node.hub.download(path, timeout=TIMEOUT_SECONDS))
    except PeerError as error:
        if error.detail in ("403", "404"):
            raise Problem("forbidden" if error.detail == "403" else "not-found") from None
        return None
    except orjson.JSONDecodeError:
        return None
    return found


def ask_usual(node: Node, version: str, now: datetime) -> tuple[date, date, dict[str, Any] | None]:
    """Return last month and its totals, or where nobody visited then, this month's until today."""
    today = local_day(now)
    this = today.replace(day=1)
    last = this - timedelta(days=1)
    found = ask(node, version, last.replace(day=1), last)
    if found is not None and found["total"] == 0:
        return this, today, ask(node, version, this, today)
    return last.replace(day=1), last, found


def operators(found: Mapping[str, Any], own: str) -> list[dict[str, Any]]:
    """Return each operator's figures, before and after; ``own`` first. Money is in cents."""
    nodes = {own, *found["balances"], *found["homes"]}
    return [
        {
            "id": node,
            "balance": found["balances"].get(node, [0, 0]),
            "sent": found["homes"].get(node, {}).get("half_days", [0, 0]),
            "cents": found["compensation"].get(node, [0, 0]),
        }
        for node in sorted(nodes, key=lambda node: (node != own, node))
    ]
