"""How often the map, the spaces' pages and the embedded maps are seen; nothing about by whom.

No cookie is set for it and no address is kept. A view is counted in the process that answered it,
and written with others every half minute: what a process that is killed had not written is lost.
"""

from __future__ import annotations

import atexit
import re
import threading
from collections import Counter
from collections.abc import Mapping
from datetime import date
from urllib.parse import urlsplit

import structlog
from flask import Flask, Response, g, request
from flask_babel import gettext
from sqlalchemy import extract, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from federation.context import hub
from federation.db import db
from federation.spaces.models import Space
from federation.statistics import charts, service
from federation.statistics.models import PageView
from federation.statistics.statistic import Picture, Value, largest
from federation.statistics.suppression import LEAST
from shared.store.db import write
from shared.web.formats import day as on_day
from shared.web.formats import number

log = structlog.get_logger()

EVERY_SECONDS = 30.0
MOST_SUBJECTS = 500  # a day, and between two writings: whoever makes names up fills no disk
OTHERS = "…"
PAGES = {
    "finder.network_map": "map",
    "space_pages.space_page": "space",
    "finder.embedded_map": "embed",
}
_BOT = re.compile(
    r"bot|crawl|spider|slurp|preview|monitor|headless|curl|wget|python|java/|go-http|^$", re.I
)
_HOST = re.compile(r"[a-z0-9.-]{1,120}", re.ASCII)
Key = tuple[date, str, str]


class Views:
    """The views that one process has counted and not written yet."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._counts = Counter[Key]()
        self._timer: threading.Timer | None = None

    def count(self, key: Key) -> None:
        with self._lock:
            if key not in self._counts and len(self._counts) >= MOST_SUBJECTS:
                key = (*key[:2], OTHERS)
            self._counts[key] += 1
            if self._timer is None:
                self._timer = threading.Timer(EVERY_SECONDS, self.write)
                self._timer.daemon = True
                self._timer.start()
                atexit.register(self.write)

    def forget(self) -> None:
        """Count anew, as a process that starts."""
        with self._lock:
            self._counts.clear()

    def write(self) -> None:
        """Write what was counted; what cannot be written now waits for the next time."""
        with self._lock:
            counts, self._counts, self._timer = self._counts, Counter(), None
            atexit.unregister(self.write)
        if not counts:
            return
        try:
            with self._app.app_context():
                add(db.session(), counts)
        except SQLAlchemyError as error:
            log.warning("views.not-written", reason=type(error).__name__)
            with self._lock:
                self._counts.update(dict(counts.most_common(MOST_SUBJECTS)))


def install(app: Flask) -> Views:
    """Count what readers are shown: pages that exist, to no program and to nobody logged in."""
    views = Views(app)
    app.extensions["views"] = views

    @app.after_request
    def _count(response: Response) -> Response:
        kind = PAGES.get(request.endpoint or "")
        if kind and response.status_code in (200, 304) and _by_a_reader():
            views.count((service.today(hub().clock.now()), kind, _subject(kind)))
        return response

    return views


def _by_a_reader() -> bool:
    stranger = g.get("principal") is None and request.method == "GET"
    return stranger and not _BOT.search(request.user_agent.string)


def _subject(kind: str) -> str:
    if kind == "space":
        return str((request.view_args or {}).get("space_id", ""))[:120]
    if kind == "map":
        return ""
    try:
        host = urlsplit(request.headers.get("Referer", "")).hostname or ""
    except ValueError:
        return ""
    own = urlsplit(hub().url).hostname
    return host if _HOST.fullmatch(host) and host != own else ""


def add(session: Session, counts: Mapping[Key, int]) -> None:
    """Add views to what is written, in one transaction. Several processes may do so at once."""
    with write(session):
        for day in {key[0] for key in counts}:
            of_day = select(func.count()).where(PageView.day == day)
            room = MOST_SUBJECTS - (session.scalar(of_day) or 0)
            for (_, kind, subject), times in sorted(
                item for item in counts.items() if item[0][0] == day
            ):
                more = {"times": PageView.times + times}
                here = (PageView.day == day, PageView.kind == kind)
                added = session.execute(
                    update(PageView).where(*here, PageView.subject == subject).values(more)
                )
                if getattr(added, "rowcount", 0):
                    continue
                name = subject if room > 0 or kind != "embed" else OTHERS
                room -= 1
                dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
                new = dialect.insert(PageView).values(day=day, kind=kind, subject=name, times=times)
                names = ["day", "kind", "subject"]
                session.execute(new.on_conflict_do_update(index_elements=names, set_=more))


# The picture


def reach(session: Session, period: service.Period) -> Picture:
    """Views by month and kind of page; and of which spaces, and within whose pages."""
    names = {
        "map": gettext("The map"),
        "space": gettext("Spaces’ pages"),
        "embed": gettext("Maps in other sites"),
    }
    months = [month for month in period.months if month <= f"{period.today:%Y-%m}"]
    found = _by_month(session, period)
    total = sum(found.values())
    tracks = [
        charts.Track(
            names[kind],
            [found.get((kind, month), 0) for month in months],
            number(sum(found.get((kind, month), 0) for month in months)),
        )
        for kind in names
    ]
    title = gettext("Views of the map by month")
    sentence = gettext("%(number)s views, by readers who are nobody to us.", number=number(total))
    heads = [on_day(f"{month}-01", "LLL") for month in months]
    rows: list[tuple[Value, ...]] = [
        (names[kind], month, found.get((kind, month), 0)) for kind in names for month in months
    ]
    subjects = _subjects(session, period)
    shown: list[tuple[Value, ...]] = [
        (name, gettext("in all"), sum(found.get((kind, month), 0) for month in months))
        for kind, name in names.items()
    ]
    shown += [(names[kind], subject, value) for kind, subject, value in subjects]
    return Picture(
        "reach",
        gettext("Reach of the map"),
        sentence,
        charts.tracks(heads, tracks, title, sentence) if total else None,
        (
            ("page", gettext("Page")),
            ("what", gettext("Which")),
            ("views", gettext("Views")),
        ),
        [*rows, *shown[len(names) :]],
        (
            gettext(
                "Pages shown, without cookies, addresses or persons; programs that say they are"
                " some are left out, and so are those who are logged in. Who comes twice is"
                " counted twice."
            ),
            gettext(
                "A map in another site is counted for the host name that its page gives; many"
                " give none, and a site is named from five views on. A server that is ended by"
                " force loses the last half minute."
            ),
        ),
        [gettext("Page"), gettext("Which"), gettext("Views")],
        shown,
    )


def _by_month(session: Session, period: service.Period) -> dict[tuple[str, str], int]:
    year, month = extract("year", PageView.day), extract("month", PageView.day)
    query = (
        select(PageView.kind, year, month, func.sum(PageView.times))
        .where(PageView.day.between(period.begins, period.ends))
        .group_by(PageView.kind, year, month)
    )
    rows = session.execute(query)
    return {(kind, f"{int(y)}-{int(m):02}"): int(times) for kind, y, m, times in rows}


SHOWN = 40  # of each kind


def _subjects(session: Session, period: service.Period) -> list[tuple[str, str, int]]:
    """Return which spaces were looked at and whose pages had a map, the most seen first.

    A site is named from ``LEAST`` views on.
    """
    query = (
        select(PageView.kind, PageView.subject, func.sum(PageView.times))
        .where(PageView.day.between(period.begins, period.ends), PageView.kind != "map")
        .group_by(PageView.kind, PageView.subject)
    )
    found: dict[str, dict[str, int]] = {"space": {}, "embed": {}}
    spaces = {row.id: row.name for row in session.execute(select(Space.id, Space.name))}
    for kind, subject, times in session.execute(query):
        found[kind][subject] = int(times)
    rows: list[tuple[str, str, int]] = []
    for kind, counts in found.items():
        named = [
            name
            for name in largest(counts.items(), SHOWN)
            if kind == "space" or not name or counts[name] >= LEAST
        ]
        rows += [
            (
                kind,
                (spaces.get(name, name) if kind == "space" else name) or gettext("(not said)"),
                counts[name],
            )
            for name in named
        ]
        rest = sum(counts.values()) - sum(counts[name] for name in named)
        if rest:
            rows.append((kind, gettext("others"), rest))
    return rows
