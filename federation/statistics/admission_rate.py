"""Who was let in, who was not and why, by host; with what each host has to say to it.

The hub knows what it was asked: a refusal is noted with its reasons and without the person, so
that somebody who tries three times is three refusals. What a door decides alone is not known here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, time, timedelta

import orjson
from flask_babel import gettext
from sqlalchemy import Text, cast, delete, func, insert, select
from sqlalchemy.orm import Session

from charter.decision import CODES
from federation.audit.service import audit
from federation.nodes.models import Node
from federation.statistics import charts, service
from federation.statistics.models import Asked, Reply
from federation.statistics.statistic import Picture, Value, in_order, percent
from federation.statistics.suppression import NOTHING, TOTAL, Shown, Table, publish, uncounted
from federation.visits.models import Refusal
from shared.store.db import write
from shared.web.formats import month as month_name

# Whose doing a refusal is: the first of these that has one of its reasons. A visitor whose pass
# is no good would not have come in, however much room there was.
_OF_THE_HOUSE = {
    "closed": frozenset({"space_closed"}),
    "no_room": frozenset({"guest_cap", "space_full", "paused"}),
}
_OF_THE_NETWORK = frozenset({"offline_budget", "trust_list_stale"})
CAUSES = {
    "visitor": frozenset(CODES).difference(_OF_THE_NETWORK, *_OF_THE_HOUSE.values()),
    **_OF_THE_HOUSE,
}
MOST = 20  # drawn
ASKED = ("kept", "refused", "unanswered")


def cause(codes: Iterable[str]) -> str:
    """Return why somebody was refused: visitor, closed or no_room; visitor if nobody knows."""
    given = set(codes)
    return next((name for name, reasons in CAUSES.items() if reasons & given), "visitor")


def refusals(session: Session, period: service.Period) -> Counter[tuple[str, str]]:
    """Return how often each host refused for each cause."""
    first = datetime.combine(period.begins, time(), service.ZONE)
    last = datetime.combine(period.ends + timedelta(1), time(), service.ZONE)
    codes = cast(Refusal.codes, Text)
    query = (
        select(Refusal.host_id, codes, func.count())
        .where(Refusal.at >= first, Refusal.at < last)
        .group_by(Refusal.host_id, codes)
    )
    found = Counter[tuple[str, str]]()
    for host, text, times in session.execute(query):
        found[host, cause(orjson.loads(text))] += times
    return found


def asked(session: Session, period: service.Period) -> Counter[tuple[str, str]]:
    """Return what homes say became of the places that they asked of each host."""
    columns = [func.sum(getattr(Asked, name)) for name in ASKED]
    query = select(Asked.host_id, *columns).where(Asked.month.between(period.first, period.last))
    found = Counter[tuple[str, str]]()
    for host, *counts in session.execute(query.group_by(Asked.host_id)):
        for name, count in zip(ASKED, counts, strict=True):
            found[host, name] += int(count)
    return found


def honour(session: Session, period: service.Period) -> Picture:
    """Let in, and refused for want of room, of those who could have come in."""
    visits = service.merged(session, period).visits
    noted = refusals(session, period) + asked(session, period)
    hosts = sorted({host for (host,) in visits} | {host for host, _ in noted})
    names = service.names(session)
    tables = {"admitted": publish(hosts, ["n"], {(h, "n"): c for (h,), c in visits.items()})}
    for name in (*CAUSES, *ASKED):
        cells = {
            (host, "n"): uncounted((host, name), noted[host, name])
            for host in hosts
            if noted[host, name]
        }
        tables[name] = publish(hosts, ["n"], cells)
    hosts = in_order(hosts, tables["admitted"].at)
    title = gettext("Visitors let in and refused, by host")
    sentence = _sentence(tables)
    bars = [
        charts.Bar(
            names.get(host, host),
            [tables[name].at(host).value for name in ("admitted", "no_room")],
            _percent(tables, host),
        )
        for host in hosts[:MOST]
    ]
    kinds = [gettext("let in"), gettext("refused: no room, or a pause")]
    columns = (
        ("host", gettext("Host")),
        ("admitted", gettext("Let in")),
        ("no_room", gettext("No room, or a pause")),
        ("rate", gettext("Honoured")),
        ("closed", gettext("Closed")),
        ("visitor", gettext("Pass or rights")),
        ("bookings_kept", gettext("Bookings taken")),
        ("bookings_refused", gettext("Bookings refused")),
        ("bookings_unanswered", gettext("Bookings unanswered")),
    )
    return Picture(
        "honour",
        gettext("Is the welcome honoured?"),
        sentence,
        charts.bars(kinds, bars, title, sentence) if bars else None,
        columns,
        [
            *(_row(tables, host, names.get(host, host)) for host in hosts),
            _row(tables, TOTAL, gettext("in all")),
        ],
        _notes(),
        replies=[
            (names.get(reply.node_id, reply.node_id), month_name(reply.month), reply.text)
            for reply in replies(session, period)
        ],
        total=tables["admitted"].at(TOTAL),
    )


def _notes() -> list[str]:
    return [
        gettext(
            "Honoured is the share of those let in among those let in or refused for want of room"
            " (no guest place, full house, roaming paused). A closed door and a pass that is no"
            " good are not held against a host."
        ),
        gettext(
            "Let in: visits that counted. Refused: what the hub was asked and answered no, without"
            " the person, so that whoever tries three times is counted three times; what a door"
            " decides alone, without the network, is not known here."
        ),
        gettext(
            "Bookings: as the homes tell it. Unanswered: the host gave no word, and the booking"
            " was given up."
        ),
        gettext(
            "Each host may say a word to its figures of a month; it stands below, and in the"
            " report."
        ),
    ]


def rate(admitted: Shown, no_room: Shown) -> float | None:
    """Return the share of those let in; None where a figure of it is kept back, or nobody came."""
    if admitted.value is None or no_room.value is None or not admitted.value + no_room.value:
        return None
    return admitted.value / (admitted.value + no_room.value)


def _row(tables: dict[str, Table], host: str, name: str) -> tuple[Value, ...]:
    at = {column: table.at(host) for column, table in tables.items()}
    share = rate(at["admitted"], at["no_room"])
    rest = (at[name] for name in ("closed", "visitor", *ASKED))
    return name, at["admitted"], at["no_room"], share, *rest


def _percent(tables: dict[str, Table], host: str) -> str:
    share = rate(tables["admitted"].at(host), tables["no_room"].at(host))
    return "–" if share is None else percent(share)


def _sentence(tables: dict[str, Table]) -> str:
    share = rate(tables["admitted"].at(TOTAL), tables["no_room"].at(TOTAL))
    if share is None:
        return gettext("How many were refused is not shown, or nobody came.")
    return gettext(
        "%(share)s of those who could have come in were let in; the others found no room.",
        share=percent(share),
    )


# Right of reply


def reply(session: Session, now: datetime, node_id: str, month: str, text: str) -> Reply | None:
    """Say something beside one's own figures of a month; an empty text takes it back."""
    with write(session):
        row = session.get(Reply, (node_id, month))
        before = row.text if row else ""
        if text and row is None:
            row = Reply(node_id=node_id, month=month, text=text, said_at=now)
            session.add(row)
        elif text and row is not None and row.text != text:
            row.text, row.said_at = text, now
        elif not text and row is not None:
            session.delete(row)
            row = None
        if text != before:
            actor = f"node:{node_id}"
            audit(session, now, actor, "reply", month, before=before, after=text)
    return row


def tell_asked(
    session: Session, home_id: str, month: str, hosts: Mapping[str, Mapping[str, int]]
) -> None:
    """Take a home's numbers of a month in place of those it told before; unknown hosts are none."""
    with write(session):
        session.execute(delete(Asked).where(Asked.home_id == home_id, Asked.month == month))
        known = set(session.scalars(select(Node.id).where(Node.id.in_(list(hosts)))))
        rows = [
            {"home_id": home_id, "host_id": host, "month": month, **counts}
            for host, counts in hosts.items()
            if host in known and host != home_id
        ]
        if rows:
            session.execute(insert(Asked), rows)


def said_by(session: Session, node_id: str, month: str) -> Reply | None:
    """Return what a node says to its figures of a month."""
    return session.get(Reply, (node_id, month))


def replies(session: Session, period: service.Period) -> list[Reply]:
    query = select(Reply).where(Reply.month.between(period.first, period.last))
    return list(session.scalars(query.order_by(Reply.month, Reply.node_id)))


def of_node(session: Session, node_id: str, period: service.Period) -> dict[str, int]:
    """Return a node's own figures, for itself: what it may say a word to."""
    visits = service.merged(session, period).visits
    noted = refusals(session, period) + asked(session, period)
    counts = {name: noted[node_id, name] for name in (*CAUSES, *ASKED)}
    return {"admitted": visits.get((node_id,), NOTHING).value, **counts}
