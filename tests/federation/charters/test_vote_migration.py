"""A vote that was open before its terms were written down gets them, and keeps its ballots."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import MetaData, inspect, select

from charter import model_sources
from charter.model import fingerprint
from charter.voting import proposal_fingerprint
from federation.charters import votes
from federation.charters.models import CharterVersion
from federation.db import db
from tests.architecture.applications import hub_app
from tests.databases import Databases

pytestmark = pytest.mark.both_databases

OPENED = datetime(2026, 11, 24, 9, tzinfo=UTC)
SOURCES = model_sources()


def _revision(app: Flask) -> Any:
    script = ScriptDirectory(app.extensions["migrate"].directory)
    return next(each for each in script.walk_revisions() if (each.doc or "").startswith("votes:"))


def _version(number: int, state: str, **said: Any) -> dict[str, Any]:
    version = str(number)
    return {
        "version": version,
        "number": number,
        "sources": SOURCES,
        "sha256": fingerprint(version, SOURCES),
        "state": state,
        "argument": "",
        **said,
    }


def _fill() -> None:
    """Write what the tables before held: an open vote with a ballot, and an earlier one."""
    found = MetaData()
    found.reflect(db.engine)
    tables = found.tables
    seen = {"enrolled_at": OPENED, "last_seen_at": OPENED}
    told = {"publication_revision": 0, "harvest_failures": 0, "leaving_reason": "", "plans": {}}
    states = {"cordee": "late", "troquet": "connected", "viry": "suspended", "new": "connected"}
    with db.engine.begin() as connection:
        for node, state in states.items():
            values = {"id": node, "name": node, "url": f"https://{node}.example", "state": state}
            connection.execute(tables["node"].insert().values(**values, **seen, **told))
        for row in (
            _version(1, "in_force", adopted_at=OPENED, effective_at=OPENED),
            _version(2, "withdrawn", opened_at=OPENED, closed_at=OPENED, proposed_by="viry"),
            _version(3, "open", opened_at=OPENED, argument="Why", proposed_by="cordee"),
        ):
            connection.execute(tables["charter_version"].insert().values(**row))
        for node in ("cordee", "troquet", "viry"):
            signature = {"version": "1", "node_id": node, "jws": "x", "signed_at": OPENED}
            connection.execute(tables["signature"].insert().values(**signature))
        cast = {"version": "3", "choice": "yes", "reason": "", "at": OPENED}
        for node, sha256 in (("cordee", fingerprint("3", SOURCES)), ("troquet", "0" * 64)):
            connection.execute(
                tables["ballot"].insert().values(node_id=node, sha256=sha256, **cast)
            )


def test_an_open_vote_is_given_its_terms_by_the_rule_in_force_and_keeps_its_ballots(
    tmp_path: Path, databases: Databases
) -> None:
    app = hub_app(tmp_path, databases.new())
    revision = _revision(app)
    with app.app_context():
        upgrade(revision=revision.down_revision)
        _fill()
        upgrade(revision=revision.revision)
        row = db.session.get_one(CharterVersion, "3")
        assert row.closes_at == OPENED + timedelta(days=10)
        assert (row.days, row.quorum, row.majority, row.base) == (10, "1/2", "2/3", "1")
        assert row.electorate == ["cordee", "troquet"]
        assert row.proposal_sha256 == proposal_fingerprint("3", SOURCES, "Why")
        assert [ballot.node_id for ballot in votes.ballots(db.session(), row)] == ["cordee"]
        assert votes.outcome(db.session(), row, OPENED + timedelta(days=10)).state == "adopted"
        gone = select(CharterVersion.withdrawn_because).where(CharterVersion.version == "2")
        assert db.session.scalar(gone) == "proposer"
        db.session.rollback()
        downgrade(revision=revision.down_revision)
        assert "electorate" not in {
            column["name"] for column in inspect(db.engine).get_columns("charter_version")
        }
        db.engine.dispose()
