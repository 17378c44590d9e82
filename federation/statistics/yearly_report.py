"""A year of the network, for public partners: the same pictures, and what they rest on."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date

from flask_babel import gettext
from sqlalchemy import distinct, func, select
from sqlalchemy.orm import Session

from charter.values import SharedValue, shared_values
from federation.charters import service as charters
from federation.charters.models import CharterVersion
from federation.nodes.models import Node
from federation.spaces.models import Space
from federation.statistics import admission_rate, balance, occupancy, page_views, service
from federation.statistics import flows as travels
from federation.statistics.statistic import Picture, counted
from federation.statistics.suppression import LEAST, Shown
from federation.visits.models import HalfDayLine
from shared.web.formats import day as on_day
from shared.web.formats import number


@dataclass(frozen=True, slots=True)
class Report:
    """All that a year's report says; ``until`` is the last day that it knows of."""

    year: int
    until: date
    whole: bool
    paragraphs: tuple[str, ...]
    pictures: tuple[Picture, ...]
    charter: CharterVersion
    signed: int
    values: tuple[tuple[SharedValue, int], ...]
    spaces: tuple[tuple[str, str, str], ...]
    listed: int

    @property
    def title(self) -> str:
        return gettext("The network in %(year)s", year=self.year)


def report(session: Session, today: date, year: int) -> Report:
    """Return the report of a year that has begun."""
    period = service.Period(f"{year}-01", f"{year}-12", today)
    charter = charters.in_force(session)
    spaces, listed, says = _spaces(session)
    flows, honoured = travels.flows(session, period), admission_rate.honour(session, period)
    pictures = (
        flows,
        travels.weeks(session, period),
        occupancy.occupancy(session, period),
        balance.balance(session, period),
        honoured,
        travels.origins(session, period),
        page_views.reach(session, period),
    )
    return Report(
        year,
        period.until,
        period.ends < today,
        tuple(_words(_people(session, period), flows.total, honoured.total, spaces)),
        pictures,
        charters.find(session, charter.version),
        len(charters.signatures(session, charter.version)),
        tuple((value, says[value.id]) for value in shared_values(charter)),
        tuple(spaces),
        listed,
    )


def _words(
    people: int, half_days: Shown, visits: Shown, spaces: list[tuple[str, str, str]]
) -> list[str]:
    """Say the year in words; of visits, no more than the pictures show."""
    told = [
        gettext(
            "The network has %(spaces)s spaces of %(operators)s operators, in %(towns)s towns.",
            spaces=number(len(spaces)),
            operators=number(len({operator for _, _, operator in spaces})),
            towns=number(len({town for _, town, _ in spaces})),
        )
    ]
    if people < LEAST or half_days.value is None or visits.value is None:
        return [*told, gettext("Too few people travelled for figures to be given.")]
    told.append(
        gettext(
            "%(people)s people who are subscribed in one of them were hosted in another:"
            " %(visits)s visits, which count %(half_days)s.",
            people=number(people),
            visits=number(visits.value),
            half_days=counted(half_days),
        )
    )
    return told


def _people(session: Session, period: service.Period) -> int:
    line = HalfDayLine
    query = select(func.count(distinct(line.member_id))).where(
        line.month.between(period.first, period.last),
        line.quantity == 1,
        line.home_id != line.host_id,
        service.not_reversed(line),
    )
    return session.scalar(query) or 0


def _spaces(session: Session) -> tuple[list[tuple[str, str, str]], int, Counter[str]]:
    """Return the spaces of nodes (name, town, operator), how many others, and who stands where.

    The last is by shared value: how many spaces say where they stand on it.
    """
    query = (
        select(Space.name, Space.town, Space.document, Node.name.label("operator"))
        .join(Node, Node.id == Space.node_id)
        .where(Space.withdrawn_at.is_(None), Node.state != "left")
    )
    listed = select(func.count()).where(Space.node_id.is_(None), Space.withdrawn_at.is_(None))
    found, says = [], Counter[str]()
    for name, town, document, operator in session.execute(query):
        found.append((name, town, operator))
        says.update({each["value"] for each in document.get("assessments", ())})
    found.sort(key=lambda space: (space[1].casefold(), space[0].casefold()))
    return found, session.scalar(listed) or 0, says


def method() -> list[str]:
    """Return how the figures are made, for the end of a report."""
    return [
        gettext(
            "Figures are made from the network’s account, in which each half-day of hospitality is"
            " one line that anybody in the network can recompute; what was undone is not counted."
        ),
        gettext(
            "Whatever counts fewer than %(number)s people is not shown (“<%(number)s”), and where"
            " it could be had by subtraction, another figure is kept back with it (“…”). What is"
            " shown is exact, and was not rounded.",
            number=LEAST,
        ),
        gettext(
            "The network knows of its visitors a random number and the day they subscribed,"
            " and neither name, age nor address: towns are those of the spaces."
        ),
        gettext("A half-day is a morning or an afternoon, and counts whole once it is touched."),
    ]


def standing(report_: Report) -> str:
    if report_.whole:
        return gettext("The whole year")
    return gettext("Until %(day)s: the year is not over", day=on_day(report_.until))
