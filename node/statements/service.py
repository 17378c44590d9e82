"""The month's account as this node sees it: recomputed, compared with its own log, contested."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from charter import RulesError, TextError
from charter import statement as document
from node.context import Node
from node.hub import service as sync
from node.spaces.models import Space
from node.spaces.space_row import schedule_of
from node.visits.models import Visit
from shared.crypto import jose
from shared.net.http import Answer, PeerError
from shared.store.db import release
from shared.wire.problems import Problem

TYP = "passerelle-statement+jwt"


@dataclass(slots=True)
class Verification:
    """``faults`` are what does not hold, in English; ``head`` is the statement that was read."""

    head: dict[str, Any] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    hosted: int = 0

    @property
    def holds(self) -> bool:
        return not self.faults


def verify(session: Session, node: Node, month: str, token: bytes | None = None) -> Verification:
    """Recompute a month's statement byte for byte, from its published lines alone.

    ``token`` is the JWS, fetched from the hub when not given. Looks at: the hub's signature, the
    charter's hash, every figure, and whether each visit that this node hosted is in it, and no
    other. Raises PeerError.
    """
    if token is None:
        token = node.hub.download(f"/api/v1/statements/{month}.jws")
    found = Verification()
    try:
        payload = jose.read_bytes(token.strip(), sync.hub_keys(session, node), TYP)
        del token
        found.head = document.read(payload)
        if found.head.get("month") != month:
            found.faults.append("this is another month's statement")
        rule = sync.read_version(node, str(found.head["charter"])).rules.balance
        if document.recompute(payload, rule) != payload:
            found.faults.append("the figures do not follow from the lines")
        _compare(session, found, sync.node_id(session), month, found.head[document.VISITS])
    except jose.TokenFault as fault:
        found.faults.append(f"the hub's signature does not hold: {fault.detail}")
    except (document.StatementError, RulesError, TextError, KeyError, TypeError) as error:
        found.faults.append(f"this cannot be read: {error}")
    return found


def _compare(
    session: Session,
    found: Verification,
    own: str,
    month: str,
    visits: Iterable[dict[str, Any]],
) -> None:
    """Compare the visits of this month's days at our spaces with our own log of them.

    A visit of ours may count nothing of its own, where another of the same person touches the same
    half-days: it is missed only if the statement has none from that home at that space that day.
    """
    told = {v["id"]: v for v in visits if v["host"] == own and v["day"][:7] == month}
    found.hosted = len(told)
    apart = set(found.head.get("disputed", ()))
    covered = {(v["home"], v["space"], v["day"]) for v in told.values()}
    ours = log(session, month)
    # What began past midnight is of the day on which the house opened.
    known = {*ours, *log(session, following(month))}
    for visit_id in sorted(set(told) - known):
        found.faults.append(f"visit {visit_id} is in the statement, and not in our log")
    for visit_id in sorted(set(ours) - set(told) - apart):
        logged = ours[visit_id]
        places = {(logged.home, logged.space, day) for day in logged.days}
        within = all(day[:7] == month for day in logged.days)
        if logged.counts and within and not places & covered:
            found.faults.append(f"visit {visit_id} is in our log, and not in the statement")


@dataclass(frozen=True, slots=True)
class Logged:
    """A roaming visit here. One that was undone stands no more; one that is held counts nothing.

    ``days`` (``2026-11-24``) are the date on which it began and, past midnight, that on which the
    house had opened by its hours of today.
    """

    home: str
    space: str
    days: frozenset[str]
    stands: bool
    counts: bool


def log(session: Session, month: str) -> dict[str, Logged]:
    """Return by id the roaming visits that began here in a month and that the hub was told of."""
    spaces = {row.id: row for row in session.scalars(select(Space))}
    rows = session.execute(
        select(
            Visit.id, Visit.space_id, Visit.home_id, Visit.state, Visit.held, Visit.started_at
        ).where(Visit.local.is_(False), Visit.state != "held", Visit.delivered)
    )
    found = {}
    for row in rows:
        space = spaces[row.space_id]
        day = row.started_at.astimezone(ZoneInfo(space.timezone)).date()
        if f"{day:%Y-%m}" == month:
            opened = schedule_of(space, row.started_at).day_of(row.started_at).day
            days = frozenset({day.isoformat(), opened.isoformat()})
            stands = row.state != "void"
            counts = stands and row.held is None
            found[row.id] = Logged(row.home_id or "", row.space_id, days, stands, counts)
    return found


def log_hash(ids: Iterable[str]) -> str:
    """Return the SHA-256, in hex, of visit ids in order, each followed by a line feed."""
    return hashlib.sha256(b"".join(i.encode() + b"\n" for i in sorted(ids))).hexdigest()


def compare_log(session: Session, node: Node, month: str) -> dict[str, Any]:
    """Tell the hub how many visits we hosted in a month, and their hash. Raises Problem.

    Returns ``agrees`` and, where the two differ, which visits only one of us has.
    """
    ours = {visit_id for visit_id, logged in log(session, month).items() if logged.stands}
    body = {"month": month, "visits": len(ours), "sha256": log_hash(ours)}
    told = ask(node, "POST", "/api/v1/log-checks", body)
    theirs = set(told["visits"]) if not told["agrees"] else ours
    return {
        "agrees": told["agrees"],
        "only_here": sorted(ours - theirs),
        "only_there": sorted(theirs - ours),
    }


def month_of(session: Session, node: Node, month: str) -> dict[str, Any]:
    """Return this node's own statement of a month, from the hub. Raises Problem."""
    own = sync.node_id(session)
    release(session)
    found: dict[str, Any] = ask(node, "GET", f"/api/v1/statements/{month}/{own}")
    return found


def disputes(node: Node, month: str) -> list[dict[str, Any]]:
    """Return what was said against this node's visits of a month. Raises Problem."""
    return list(every(node, f"/api/v1/disputes?month={month}&limit=500"))


def every(node: Node, path: str) -> Iterator[dict[str, Any]]:
    """Yield each item of a list of the hub's, page by page. Raises Problem."""
    page = ask(node, "GET", path)
    yield from page["items"]
    while page["next_cursor"] is not None:
        page = ask(node, "GET", f"{path}&{urlencode({'cursor': page['next_cursor']})}")
        yield from page["items"]


def dispute(node: Node, month: str, visit_id: str, reason: str) -> dict[str, Any]:
    """Contest a visit of an issued month; return the dispute. Raises Problem."""
    body = {"month": month, "visit": visit_id, "reason": reason}
    found: dict[str, Any] = ask(node, "POST", "/api/v1/disputes", body)
    return found


def withdraw(node: Node, dispute_id: int) -> None:
    """Take our own dispute back: the visit counts again, unless others contest it still.

    Raises Problem.
    """
    body = {"outcome": "withdrawn", "reason": "withdrawn by whoever opened it"}
    ask(node, "POST", f"/api/v1/disputes/{dispute_id}/decision", body)


def file_of(session: Session, node: Node, month: str, suffix: str) -> bytes:
    """Return this node's own statement as the hub writes it: json, csv, pdf or jws.

    Raises Problem.
    """
    own = sync.node_id(session)
    release(session)
    try:
        return node.hub.download(f"/api/v1/statements/{month}/{own}.{suffix}", timeout=30.0)
    except PeerError as error:
        slugs = {"404": "not-found", "403": "charter-unsigned"}
        raise Problem(slugs.get(error.detail or "", "hub-unreachable")) from None


def ask(node: Node, method: str, path: str, body: Any = None) -> Any:
    """Ask the hub as this node; return its JSON, None where there is none. Raises Problem."""
    try:
        answer: Answer = node.hub.call(method, path, json=body, timeout=10)
    except PeerError:
        raise Problem("hub-unreachable") from None
    if answer.status in (200, 201):
        return orjson.loads(answer.body)
    if answer.status == 204:
        return None
    told = answer.json()
    slug = str(told.get("type", "")).rpartition("/")[2]
    if slug in ("not-found", "conflict", "validation", "charter-unsigned"):
        raise Problem(slug, told.get("detail"))
    raise Problem("hub-unreachable", told.get("title"))


def months(now: datetime) -> tuple[str, str]:
    """Return this month and the one before, as ``YYYY-MM``."""
    local = now.astimezone(ZoneInfo("Europe/Paris"))
    year, month = (local.year, local.month - 1) if local.month > 1 else (local.year - 1, 12)
    return f"{local:%Y-%m}", f"{year}-{month:02}"


def following(month: str) -> str:
    """Return the month after one, as ``YYYY-MM``."""
    return f"{date.fromisoformat(f'{month}-01') + timedelta(days=31):%Y-%m}"
