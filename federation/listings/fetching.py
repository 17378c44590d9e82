"""Lists at an address on the web: asked for within limits, and one of a SpaceAPI once a day."""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import urlsplit

from flask_babel import force_locale
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from federation.listings import importing
from federation.listings.dry_run import examine
from federation.listings.importing import Overtaken
from federation.listings.reading import MAX_BYTES, read, to_text
from federation.spaces.models import ListingSource
from shared.net.http import Answer, PeerError, PeerSession, check_url
from shared.store.db import release, write
from shared.wire.tables import SheetFault

SECONDS = 20.0
EVERY = timedelta(days=1)
AT_ONCE = 20  # sources in one turn of the job
MOST_FAULT = 300
_AWAY = "The address does not answer."
_FAULTS = {
    "url-not-https": "The address must start with https://.",
    "url-malformed": "This is not an address of the web.",
    "address-not-public": "The address is inside a private network: it is not asked.",
    "encoding-refused": "The answer is compressed, although that was not asked for.",
    "answer-too-large": "The answer is larger than 10 MB.",
}


class Unreadable(Exception):
    """What is at an address cannot be had; says why in English, which ``translate`` knows."""


def check(url: str, *, allow_private: bool) -> str:
    """Return an address that may be asked. Raises Unreadable."""
    try:
        check_url(url.partition("?")[0], allow_private=allow_private)
    except PeerError as error:
        raise Unreadable(_FAULTS.get(error.reason, _FAULTS["url-malformed"])) from None
    if "#" in url or not url.isprintable() or " " in url:
        raise Unreadable(_FAULTS["url-malformed"])
    return url


def fetch(peers: PeerSession, url: str) -> bytes:
    """Return what is at an address: public, within 20 seconds and 10 MB. Raises Unreadable."""
    try:
        answer = peers.request("GET", url, timeout=SECONDS, max_bytes=MAX_BYTES)
    except PeerError as error:
        raise Unreadable(_FAULTS.get(error.reason, _AWAY)) from None
    except UnicodeError:  # a name that cannot be one
        raise Unreadable(_AWAY) from None
    if answer.status != 200:
        raise Unreadable(_refusal(answer))
    return answer.body


def _refusal(answer: Answer) -> str:
    where = answer.headers.get("Location", "")
    if 300 <= answer.status < 400 and where:
        if urlsplit(where).netloc and where.isprintable():
            return f"The address sends on to another; give that one: {where[:200]}"
        return "The address sends on to another page."
    if answer.status in (404, 410):
        return "There is nothing at this address any more."
    return f"The address answers with an error (status {answer.status})."


def refresh_due(session: Session, now: datetime, peers: PeerSession) -> dict[int, str]:
    """Read SpaceAPI sources again that were not read for a day. Returns what went wrong, by id."""
    due = or_(ListingSource.checked_at.is_(None), ListingSource.checked_at <= now - EVERY)
    query = (
        select(ListingSource.id, ListingSource.url)
        .where(ListingSource.kind == "spaceapi", ListingSource.refreshed, due)
        .where(ListingSource.url.is_not(None), ListingSource.imported_at.is_not(None))
        .order_by(ListingSource.checked_at)
        .limit(AT_ONCE)
    )
    found = session.execute(query).all()
    release(session)
    wrong: dict[int, str] = {}
    for source_id, url in found:
        try:
            with force_locale("en"):  # no reader asked for it
                _refresh(session, now, source_id, fetch(peers, str(url)))
        except Unreadable as error:
            wrong[source_id] = str(error)
        except Overtaken:  # somebody imports it by hand at this moment
            pass
        if source_id in wrong:
            _note(session, now, source_id, wrong[source_id])
    return wrong


def _refresh(session: Session, now: datetime, source_id: int, content: bytes) -> None:
    try:
        table = read(to_text(content))
    except SheetFault:
        raise Unreadable("What came is not a SpaceAPI document.") from None
    source = session.get_one(ListingSource, source_id)
    trial = examine(session, table, source.mapping, source_id)
    if table.kind != "spaceapi" or trial.of("fault"):
        raise Unreadable("What came is not a SpaceAPI document.")
    revision = importing.claim(session, source_id)
    for _ in importing.take_in(session, now, source_id, revision, trial):
        pass
    with write(session):
        importing.finish(session, now, source_id, revision, trial, actor=importing.BY_ITSELF)


def _note(session: Session, now: datetime, source_id: int, fault: str) -> None:
    with write(session):
        source = session.get(ListingSource, source_id, with_for_update=True)
        if source is not None:
            source.checked_at, source.fault = now, fault[:MOST_FAULT]
