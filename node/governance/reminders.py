"""Whom to remind of what, from the charter's versions as the hub tells them.

``due`` is a pure function: what is to be sent at an instant follows from the versions, and from
what was told before. Each is sent once for each text that is put to the vote; the hub being
away delays it, and nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
from sqlalchemy.orm import Session

from node.context import Node
from node.governance import service
from node.hub import service as sync
from node.identity.admins import tell_admins
from node.mail.service import mailbox
from shared.mail.letters import letter, quoted
from shared.net.http import PeerError
from shared.store.db import release
from shared.wire.problems import Problem

log = structlog.get_logger()

# How long before an end who has not acted is reminded: the last one first.
DAYS_BEFORE = (1, 3)
# A result is news for so long; whoever joins later reads it on the charter's page.
NEWS_FOR = timedelta(days=7)
_PREFIX = "charter:"


@dataclass(frozen=True, slots=True)
class Version:
    """A version as the hub tells it to this operator. What it does not tell is None or empty.

    ``closes_at`` is the vote's deadline, ``closed_at`` when it ended. ``elector`` says whether this
    operator has a voice in the vote, ``voted`` whether it has voted on the proposal as it stands.
    """

    version: str
    sha256: str
    state: str
    opened_at: datetime | None = None
    closes_at: datetime | None = None
    closed_at: datetime | None = None
    effective_at: datetime | None = None
    elector: bool | None = None
    voted: bool | None = None
    signed: bool | None = None
    outcome: Mapping[str, Any] | None = None
    withdrawn_because: str | None = None
    proposed_by: str | None = None
    argument: str = ""


@dataclass(frozen=True, slots=True)
class Reminder:
    """``kind`` is of a vote: vote, edited, vote-3, vote-1, adopted, rejected, withdrawn.

    Or it is of a signature: sign-3, sign-1, out, back.
    """

    kind: str
    of: Version

    @property
    def key(self) -> str:
        """Return what is told once: this, of this text, since it was put to the vote."""
        opened = int(self.of.opened_at.timestamp()) if self.of.opened_at else 0
        return f"{self.kind}:{self.of.version}:{self.of.sha256}:{opened}"


def due(versions: Iterable[Version], now: datetime, told: Collection[str] = ()) -> list[Reminder]:
    """Return what this operator's admins are to be told at an instant (aware).

    ``told`` has the keys of what was sent before: by it an edit is known from a first proposal, and
    only who was told that it is out is told that it is back. What was sent is returned again: it
    is new to an admin who has just come.
    """
    found: list[Reminder] = []
    for version in versions:
        if version.state == "open":
            found += _of_vote(version, now, told)
        elif version.state == "withdrawn":
            found += _of_withdrawal(version, now, told)
        elif version.state in ("adopted", "in_force", "rejected"):
            found += _of_result(version, now)
        if version.state == "adopted":
            found += _of_signature(version, now)
        elif version.state == "in_force":
            found += _of_reciprocity(version, told)
    return found


def _of_vote(version: Version, now: datetime, told: Collection[str]) -> Iterator[Reminder]:
    if version.closes_at is not None and now >= version.closes_at:
        return  # its result is about to be known
    first = Reminder("vote", version)
    edited = any(key != first.key for key in _votes_told(version, told))
    yield Reminder("edited", version) if edited else first
    days = _days_before(version.closes_at, version.opened_at, now)
    if days is not None and version.elector and version.voted is False:
        yield Reminder(f"vote-{days}", version)


def _votes_told(version: Version, told: Collection[str]) -> list[str]:
    """Return the keys by which this version's vote was told, at its first opening or later."""
    begun = (f"vote:{version.version}:", f"edited:{version.version}:")
    return [key for key in told if key.startswith(begun)]


def _of_withdrawal(version: Version, now: datetime, told: Collection[str]) -> Iterator[Reminder]:
    ended = version.closed_at
    if ended is not None and ended <= now < ended + NEWS_FOR and _votes_told(version, told):
        yield Reminder("withdrawn", version)


def _of_result(version: Version, now: datetime) -> Iterator[Reminder]:
    ended = version.closed_at
    if ended is not None and version.outcome is not None and ended <= now < ended + NEWS_FOR:
        yield Reminder("rejected" if version.state == "rejected" else "adopted", version)


def _of_signature(version: Version, now: datetime) -> Iterator[Reminder]:
    days = _days_before(version.effective_at, version.closed_at, now)
    if days is not None and version.signed is False:
        yield Reminder(f"sign-{days}", version)


def _of_reciprocity(version: Version, told: Collection[str]) -> Iterator[Reminder]:
    out = Reminder("out", version)
    if version.signed is False:
        yield out
    elif version.signed and out.key in told:
        yield Reminder("back", version)


def _days_before(end: datetime | None, start: datetime | None, now: datetime) -> int | None:
    """Return 3 or 1: the last of these numbers of days before ``end`` that has come.

    None before the first, from the end on, and where the whole began later than that.
    """
    if end is None or now >= end:
        return None
    for days in DAYS_BEFORE:
        moment = end - timedelta(days=days)
        if now >= moment:
            return days if start is None or start < moment else None
    return None


def read(document: Mapping[str, Any]) -> Version | None:
    """Read a version's JSON; None without a version or hash. What cannot be read is not known."""
    version, sha256 = document.get("version"), document.get("sha256")
    if not isinstance(version, str) or not isinstance(sha256, str):
        return None
    outcome, own = document.get("outcome"), document.get("own")
    known = own if isinstance(own, dict) else {}
    return Version(
        version=version[:20],
        sha256=sha256[:64],
        state=str(document.get("state")),
        opened_at=_instant(document.get("opened_at")),
        closes_at=_instant(document.get("closes_at")),
        closed_at=_instant(document.get("closed_at")),
        effective_at=_instant(document.get("effective_at")),
        elector=known.get("elector"),
        voted=None if "vote" not in known else known["vote"] is not None,
        signed=known.get("signed"),
        outcome=outcome if isinstance(outcome, dict) else None,
        withdrawn_because=document.get("withdrawn_because"),
        proposed_by=document.get("proposed_by"),
        argument=str(document.get("argument") or ""),
    )


def _instant(value: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else None


def remind(session: Session, node: Node) -> int:
    """Queue what is due now; return how many messages. While the hub is away, nothing."""
    if node.settings.smtp_url is None or node.hub.away:
        return 0
    told = {key.removeprefix(_PREFIX).rpartition(":")[0] for key in mailbox.keys(session, _PREFIX)}
    release(session)
    try:
        versions = list(_fetch(node))
        return sum(
            tell_admins(session, node, _PREFIX + found.key, partial(_letter, session, node, found))
            for found in due(versions, node.clock.now(), told)
        )
    except (Problem, PeerError) as error:
        log.info("reminders.later", reason=str(error)[:100])
        return 0


def _fetch(node: Node) -> Iterator[Version]:
    """Read the versions in force and under way, and what ended lately. Raises Problem."""
    for item in service.summaries(node, "state=open&state=adopted&state=in_force"):
        yield from _read_whole(node, item)
    since = node.clock.now() - NEWS_FOR
    page = service.ask(node, "GET", "/api/v1/charters?state=rejected&state=withdrawn&limit=100")
    for item in page.get("items", []):
        ended = _instant(item.get("closed_at"))
        if ended is not None and ended > since:
            yield from _read_whole(node, item)


def _read_whole(node: Node, item: Mapping[str, Any]) -> Iterator[Version]:
    found = read(service.ask(node, "GET", f"/api/v1/charters/{item['version']}"))
    if found is not None:
        yield found


def _letter(session: Session, node: Node, reminder: Reminder) -> tuple[str, str]:
    """Write a reminder in both languages. Raises Problem."""
    of, kind = reminder.of, reminder.kind
    known = sync.network(session, node)
    names = {n: entry["name"] for n, entry in known.trust.nodes.items()} if known else {}
    changes = []
    if known and kind in ("vote", "edited", "vote-3", "vote-1"):
        path = f"/api/v1/charters/{known.charter.version}/diff/{of.version}"
        changes = service.ask(node, "GET", path).get("rules", [])
    template = "vote" if kind == "edited" else kind.partition("-")[0]
    return letter(
        f"governance/mail/{template}.txt",
        of=of,
        first=kind in ("vote", "edited"),
        edited=kind == "edited",
        days=int(kind.partition("-")[2] or 0),
        by=names.get(of.proposed_by or "", of.proposed_by),
        argument=quoted(of.argument),
        changes=changes,
        signed=of.signed,
        url=f"{node.url}/console/charter",
        name=node.settings.name,
    )
