"""The pictures of the network: each as a drawing, a table, and files to take away."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, render_template, request
from flask_babel import get_locale, gettext
from markupsafe import Markup

from federation.context import hub
from federation.db import db
from federation.identity.roles import STAFF
from federation.statements import statement_lines
from federation.statistics import (
    admission_rate,
    balance,
    flows,
    occupancy,
    page_views,
    service,
    yearly_report,
)
from federation.statistics.chart_shapes import to_svg
from federation.statistics.statistic import Picture, as_csv, brief, written
from federation.statistics.suppression import LEAST
from shared.web import allow
from shared.wire.problems import Problem

pages = Blueprint(
    "pictures",
    __name__,
    template_folder="templates",
    static_folder="static",
    static_url_path="/static/pictures",
)
pages.add_app_template_filter(written, "figure")
pages.add_app_template_filter(brief, "brief")

_MONTH = re.compile("20[0-9]{2}-(0[1-9]|1[0-2])")
PICTURES: dict[str, Callable[..., Picture]] = {
    "flows": flows.flows,
    "weeks": flows.weeks,
    "occupancy": occupancy.occupancy,
    "balance": balance.balance,
    "honour": admission_rate.honour,
    "reach": page_views.reach,
    "origins": flows.origins,
}


def svg(picture: Picture) -> Markup:
    """Return the drawing; its words are escaped where they are written."""
    return Markup(to_svg(picture.drawing, picture.name)) if picture.drawing else Markup()  # noqa: S704


pages.add_app_template_filter(svg, "svg")


def _period() -> service.Period:
    """Return the months that the address names; the last twelve without. Raises Problem."""
    today = service.today(hub().clock.now())
    this = f"{today:%Y-%m}"
    last = request.args.get("to") or this
    first = request.args.get("from") or _before(last, 11)
    if not (_MONTH.fullmatch(first) and _MONTH.fullmatch(last)):
        raise Problem("malformed", "a month is written 2026-11")
    first, last = min(first, last), max(first, last)
    if first > this:
        raise Problem("not-found", "these months have not begun")
    last = min(last, this)
    return service.Period(max(first, _before(last, service.MOST_MONTHS - 1)), last, today)


def _before(month: str, months: int) -> str:
    if not _MONTH.fullmatch(month):
        return month
    for _ in range(months):
        month = statement_lines.neighbour(month, -1)
    return month


def _presets(today: str) -> list[tuple[str, str, str]]:
    """Return first month, last month and name of the periods that are often wanted."""
    before, year = statement_lines.neighbour(today, -1), int(today[:4])
    return [
        (today, today, gettext("this month")),
        (before, before, gettext("last month")),
        (_before(today, 11), today, gettext("twelve months")),
        (f"{year}-01", today, gettext("this year")),
        (f"{year - 1}-01", f"{year - 1}-12", gettext("last year")),
    ]


def _drawn(name: str, period: service.Period) -> Picture:
    """Make one picture. Raises Problem("not-found")."""
    if name not in PICTURES:
        raise Problem("not-found")
    if name == "occupancy":
        return occupancy.occupancy(db.session(), period, request.args.get("space"))
    return PICTURES[name](db.session(), period)


def _page(template: str, period: service.Period, **values: Any) -> str:
    kept = {"from": period.first, "to": period.last}
    if request.args.get("space"):
        kept["space"] = request.args["space"]
    return render_template(
        template,
        period=period,
        period_name=flows.period_name(period),
        presets=_presets(f"{period.today:%Y-%m}"),
        query=urlencode(kept),
        least=LEAST,
        **values,
    )


@pages.get("/coordination/pictures")
@allow(*STAFF)
def overview() -> str:
    period = _period()
    found = [draw(db.session(), period) for draw in PICTURES.values()]
    return _page("statistics/overview.html", period, pictures=found)


@pages.get("/coordination/pictures/<name>")
@allow(*STAFF)
def one(name: str) -> str:
    period = _period()
    return _page(
        "statistics/one.html",
        period,
        picture=_drawn(name, period),
        spaces=occupancy.spaces(db.session()) if name == "occupancy" else [],
        space=request.args.get("space", ""),
    )


@pages.get("/coordination/report/<int:year>")
@allow(*STAFF)
def yearly(year: int) -> str:
    found = _report(year)
    return render_template(
        "statistics/report.html",
        report=found,
        standing=yearly_report.standing(found),
        method=yearly_report.method(),
        language=str(get_locale()),
    )


@pages.get("/coordination/report/<int:year>.pdf")
@allow(*STAFF)
def yearly_paper(year: int) -> Response:
    now, language = hub().clock.now(), str(get_locale())
    from federation.statistics import pdf as paper  # noqa: PLC0415 - large, and seldom needed

    pdf = paper.as_pdf(_report(year), hub().settings.network, language, now)
    headers = {"Content-Disposition": f'attachment; filename="network-{year}-{language}.pdf"'}
    return Response(pdf, mimetype="application/pdf", headers=headers)


def _report(year: int) -> yearly_report.Report:
    today = service.today(hub().clock.now())
    if not 2020 <= year <= today.year:
        raise Problem("not-found")
    return yearly_report.report(db.session(), today, year)


@pages.get("/coordination/pictures/<name>.csv")
@allow(*STAFF)
def as_file(name: str) -> Response:
    period = _period()
    body = as_csv(_drawn(name, period))
    return _file(body, "text/csv; charset=utf-8", name, period, "csv")


@pages.get("/coordination/pictures/<name>.svg")
@allow(*STAFF)
def as_drawing(name: str) -> Response:
    period = _period()
    found = _drawn(name, period)
    if found.drawing is None:
        raise Problem("not-found", "there is nothing to draw in this period")
    return _file(to_svg(found.drawing, name), "image/svg+xml", name, period, "svg")


def _file(body: str, kind: str, name: str, period: service.Period, suffix: str) -> Response:
    file = f"{name}-{period.first}-{period.last}.{suffix}"
    headers = {"Content-Disposition": f'attachment; filename="{file}"'}
    return Response(body, content_type=kind, headers=headers)
