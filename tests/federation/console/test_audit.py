"""The audit log: only added to, found again, told before and after, taken away in files."""

from __future__ import annotations

import ast
import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import DBAPIError

from federation.audit.labels import ACTIONS, changes
from federation.audit.models import AuditEntry
from federation.audit.service import audit
from federation.db import db
from shared.ops.command import migrate
from shared.store.db import begin_write
from tests.architecture.applications import hub_app
from tests.architecture.sources import modules
from tests.databases import Databases
from tests.network import LocalHub, Network
from tests.shared.browser import Browser, Page, forget_attempts

pytestmark = pytest.mark.both_databases

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
PATH = "/coordination/audit"


def _write(hub: LocalHub, *lines: tuple[str, str, str, dict[str, Any]]) -> None:
    with hub.app.app_context():
        begin_write(db.session())
        for actor, action, subject, detail in lines:
            audit(db.session(), AT, actor, action, subject, **detail)
        db.session.commit()


@pytest.fixture
def hub(lasting_network: Network) -> LocalHub:
    forget_attempts()
    return lasting_network.hub


@pytest.fixture(scope="module")
def reader(lasting_network: Network) -> str:
    return lasting_network.add_staff("reader")


def _get(hub: LocalHub, path: str, token: str | None = None) -> requests.Response:
    answer = hub.get(path, token or hub.token, **{"Accept-Language": "en"})
    assert answer.status_code == 200, answer.text
    return answer


def _lines(hub: LocalHub, query: str = "", token: str | None = None) -> list[dict[str, Any]]:
    found = _get(hub, f"{PATH}.ndjson?{query}", token).text
    return [json.loads(line) for line in found.splitlines()]


def _refused(session: Any, *statements: Any) -> Iterator[bool]:
    for statement in statements:
        try:
            begin_write(session)
            session.execute(statement)
            session.commit()
        except DBAPIError as error:
            session.rollback()
            yield "only added to" in str(error)
        else:
            yield False


def test_the_database_itself_refuses_to_change_or_remove_a_line(lasting_network: Network) -> None:
    hub, kind = lasting_network.hub, lasting_network.databases.kind
    _write(hub, ("cli", "kept", "for good", {}))
    with hub.app.app_context():
        session = db.session()
        statements: list[Any] = [
            update(AuditEntry).where(AuditEntry.action == "kept").values(action="other"),
            delete(AuditEntry).where(AuditEntry.action == "kept"),
            *([text("TRUNCATE audit_entry")] if kind == "postgres" else []),
        ]
        assert all(_refused(session, *statements))
        assert session.scalars(select(AuditEntry.subject).where(AuditEntry.action == "kept")).all()


def test_a_migrated_database_refuses_it_too(tmp_path: Any, databases: Databases) -> None:
    app = hub_app(tmp_path, databases.new())
    migrate(app)
    with app.app_context():
        begin_write(db.session())
        audit(db.session(), AT, "cli", "kept", "for good")
        db.session.commit()
        refused = list(
            _refused(db.session(), update(AuditEntry).values(actor="x"), delete(AuditEntry))
        )
        db.engine.dispose()
    assert refused == [True, True]


def test_lines_are_found_by_words_names_actor_action_subject_and_day(hub: LocalHub) -> None:
    _write(
        hub,
        ("account:1", "zebra", "troquet", {"reason": "100 % crépuscule"}),
        ("node:cordee", "zebra", "cordee", {"note": "aurore"}),
        ("jobs", "zebra", "month", {}),
    )
    found = {
        query: [line["actor"] for line in _lines(hub, f"action=zebra&{query}")]
        for query in (
            "q=CRÉPUSCULE".replace("É", "é"),
            "q=100 %25",
            "q=1_0",
            "q=aurore cordee",
            "q=aurore troquet",
            "q=Coord",
            "actor=node",
            "actor=jobs",
            "subject=troquet",
            "from=2026-03-02&to=2026-03-02",
            "from=2026-03-03",
            "to=2026-03-01",
        )
    }
    assert found == {
        "q=CRéPUSCULE": ["account:1"],
        "q=100 %25": ["account:1"],
        "q=1_0": [],
        "q=aurore cordee": ["node:cordee"],
        "q=aurore troquet": [],
        "q=Coord": ["account:1"],
        "actor=node": ["node:cordee"],
        "actor=jobs": ["jobs"],
        "subject=troquet": ["account:1"],
        "from=2026-03-02&to=2026-03-02": ["account:1", "node:cordee", "jobs"],
        "from=2026-03-03": [],
        "to=2026-03-01": [],
    }


def test_what_is_asked_wrongly_is_said_and_never_breaks_the_page(hub: LocalHub) -> None:
    for query in ("from=yesterday", "from=2026-02-02&to=2026-01-01", "from=0001-01-01", "q=%00"):
        answer = hub.get(f"{PATH}?{query}", hub.token, **{"Accept-Language": "en"})
        assert (answer.status_code, "field-error" in answer.text) == (422, True), query
        assert hub.get(f"{PATH}.csv?{query}", hub.token).status_code == 422
    for query in (
        "before=x",
        "before=99999999999999999999",
        "before=-1",
        "actor=%00",
        "q=" + "a " * 90,
    ):
        assert hub.get(f"{PATH}?{query}", hub.token).status_code == 200, query


def test_a_long_log_is_read_page_by_page_each_line_once(hub: LocalHub) -> None:
    _write(hub, *(("jobs", "many", f"subject {n}", {}) for n in range(120)))
    path, seen = f"{PATH}?action=many", list[str]()
    while path:
        page = Page(_get(hub, path).text)
        seen += [attrs["id"] or "" for tag, attrs in page.elements if tag == "li" and "id" in attrs]
        following = [attrs["href"] for _, attrs in page.elements if attrs.get("rel") == "next"]
        path = following[0] or "" if following else ""
    assert (len(seen), len(set(seen))) == (120, 120)
    assert seen == sorted(seen, key=lambda one: -int(one[1:]))


def test_files_hold_every_line_and_no_formula(hub: LocalHub) -> None:
    _write(hub, ("cli", "formula", "=cmd|' /C calc'!A0", {"reason": "=1+1", "name": "é"}))
    answer = _get(hub, f"{PATH}.csv?action=formula")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="audit.csv"'
    (row,) = csv.DictReader(io.StringIO(answer.content.decode()))
    assert row["subject"].startswith("'=")
    assert json.loads(row["detail"]) == {"reason": "=1+1", "name": "é"}
    (line,) = _lines(hub, "action=formula")
    assert line["subject"] == "=cmd|' /C calc'!A0"
    assert len(_lines(hub, "action=enrol")) == 3
    assert _lines(hub, "action=enrol")[0]["subject_name"] == "cordee"


def test_a_reader_sees_no_accounts_and_no_invitations(hub: LocalHub, reader: str) -> None:
    _write(hub, ("account:1", "roles", "account:1", {"before": ["reader"], "after": []}))
    all_of_it, less = _lines(hub), _lines(hub, token=reader)
    assert {"invite", "roles"} <= {line["action"] for line in all_of_it}
    assert {line["action"] for line in less} & {"invite", "roles", "log-in"} == set()
    assert "enrol" in {line["action"] for line in less}
    assert _lines(hub, "subject=account:1", reader) == []


def test_text_is_text_and_names_stand_for_codes(hub: LocalHub) -> None:
    said = {"before": {"state": "a<b"}, "after": {"state": "<script>alert(1)</script>"}}
    _write(hub, ("account:1", "odd", "troquet", said))
    browser = Browser(hub)
    assert browser.log_in("coord@hub.example").status_code == 302
    page = browser.get(f"{PATH}?action=odd").text
    assert "<script>alert" not in page
    assert "<del>a&lt;b</del> → <ins>&lt;script&gt;" in page
    assert "Coord" in Page(page).text


@pytest.mark.parametrize(
    ("detail", "expected"),
    [
        ({"before": "a", "after": "b"}, [("", "a", "b")]),
        ({"before": None, "after": "b"}, [("", None, "b")]),
        (
            {"before": "connected", "reason": "r"},
            [("before", None, "connected"), ("reason", None, "r")],
        ),
        (
            {"before": {"x": 1, "y": 2}, "after": {"x": 1, "y": 3, "z": ["p", "q"]}},
            [("y", "2", "3"), ("z", None, "p, q")],
        ),
        ({"before": ["a"], "after": []}, [("", "a", "–")]),
        ({"reason": "", "list": [], "n": 0}, [("n", None, "0")]),
        ({}, []),
    ],
)
def test_what_changed_is_told_and_what_did_not_is_left_out(
    detail: dict[str, Any], expected: list[Any]
) -> None:
    assert list(changes(detail)) == expected


def test_every_action_that_is_noted_has_words() -> None:
    noted = {
        call.args[3].value
        for path in modules("federation")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        and getattr(call.func, "id", "") == "audit"
        and isinstance(call.args[3], ast.Constant)
    }
    assert len(noted) > 20
    assert noted - ACTIONS.keys() == set()
