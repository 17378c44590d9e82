"""Two operators in one service: what one has, nobody sees at the other's."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog
from flask import Flask, request_finished
from PIL import Image
from werkzeug.routing import Rule
from werkzeug.test import Client, TestResponse

from node.app import create_app
from node.context import node as context
from node.db import db
from node.exports import service as exports
from node.host import operators
from node.host.dispatch import NOBODY, Dispatcher
from node.identity.service import accounts
from node.members import service as members
from node.photos import service as photos
from node.photos.pictures import prepare
from node.settings import KEYS
from node.spaces.models import Space
from shared.ops import backup
from shared.store.db import write
from tests.network import PASSWORD
from tests.node.host.hosting import (
    Visitor,
    app_of,
    dispatching,
    email_of,
    make_host,
    make_operator,
)
from tests.shared.browser import forget_attempts

ONE, OTHER = "aurore", "boussole"
SECRETS = {each: f"{each}-only-here" for each in (ONE, OTHER)}


@dataclass
class Mine:
    token: str
    space_id: str
    photo: str


@dataclass
class Hosted:
    dispatcher: Dispatcher
    of: dict[str, Mine]

    def visitor(self) -> Visitor:
        return Visitor(self.dispatcher)


def fill(app: Flask, operator_id: str) -> Mine:
    """Give an operator a member, a plan, a photo and a token, each marked as theirs."""
    with app.app_context():
        session, now = db.session(), context().clock.now()
        with write(session):
            row = session.query(Space).one()
            row.about = {"fr": SECRETS[operator_id], "en": SECRETS[operator_id]}
            space_id = str(row.id)
        plan = members.add_plan(session, SECRETS[operator_id], "resident", None)
        members.add_member(
            session,
            now,
            email=f"m@{SECRETS[operator_id]}.example",
            given_name=SECRETS[operator_id],
            family_name="X",
            password=PASSWORD,
            plan_id=plan.id,
            joined_on=now.date(),
        )
        account = accounts.check(session, email_of(operator_id), PASSWORD)
        assert account
        token = accounts.add_token(session, now, account.id, "t", ["admin", "desk"])
        picture = io.BytesIO()
        Image.new("RGB", (1200, 800), "#123456").save(picture, "PNG")
        photos.add(session, context(), space_id, [prepare(picture.getvalue())])
        stem = next((context().settings.data_dir / "photos").iterdir()).stem
        return Mine(token, space_id, stem)


@pytest.fixture(scope="module")
def hosted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosted]:
    host = make_host(tmp_path_factory.mktemp("host") / "host")
    with dispatching(host) as dispatcher:
        found = Hosted(dispatcher, {})
        for operator_id in (ONE, OTHER):
            make_operator(host, operator_id)
            found.of[operator_id] = fill(app_of(dispatcher, operator_id), operator_id)
        yield found


def paths(app: Flask, there: Mine) -> list[str]:
    """Return every page and document that can be read, with another's names in their addresses."""
    given = {"space_id": there.space_id, "stem": there.photo, "filename": "style.css"}

    def path(rule: Rule) -> str:
        values = {
            name: given.get(name, 1 if type(rule._converters[name]).__name__ == "_Id" else "x")
            for name in rule.arguments
        }
        built = rule.build({**(rule.defaults or {}), **values})
        assert built
        return built[1]

    rules = [rule for rule in app.url_map.iter_rules() if "GET" in (rule.methods or ())]
    return sorted({path(rule) for rule in rules} - {"/metrics"})


BOTH_WAYS = [(ONE, OTHER), pytest.param(OTHER, ONE, marks=pytest.mark.thorough)]


@pytest.mark.parametrize(("here", "there"), BOTH_WAYS)
def test_no_page_or_document_shows_what_is_another_operators(
    hosted: Hosted, here: str, there: str
) -> None:
    own, stranger = hosted.visitor(), hosted.visitor()
    own.log_in(here)
    foreign = hosted.visitor()
    foreign.log_in(there)
    own_name, other_name = (
        app_of(hosted.dispatcher, each).config["SESSION_COOKIE_NAME"] for each in (here, there)
    )
    assert own_name != other_name
    cookie = foreign.client.get_cookie(other_name, f"{there}.example")
    assert cookie
    assert cookie.origin_only  # of this host alone
    for name in (own_name, other_name):  # the other's log-in under either name
        stranger.client.set_cookie(name, cookie.value, domain=f"{here}.example")
    token = {"Authorization": f"Bearer {hosted.of[there].token}"}
    seen = 0
    for path in paths(app_of(hosted.dispatcher, here), hosted.of[there]):
        at_home = foreign.get(there, path)  # whatever remembers answers knows this one now
        plain = hosted.visitor().get(here, path)
        as_other = stranger.get(here, path)
        by_token = hosted.visitor().get(here, path, headers=token)
        for answer in (own.get(here, path), as_other, by_token, plain):
            assert SECRETS[there].encode() not in answer.data, path
        assert as_other.status_code == plain.status_code, path
        assert by_token.status_code in (plain.status_code, 401), path
        seen += SECRETS[there].encode() in at_home.data
    assert seen > 5  # the marks are where they are looked for


def test_a_token_is_of_one_operator(hosted: Hosted) -> None:
    for here in (ONE, OTHER):
        for whose, status in ((ONE, 401), (OTHER, 401), (here, 200)):
            token = {"Authorization": f"Bearer {hosted.of[whose].token}"}
            path = f"/api/v1/presence?space={hosted.of[here].space_id}"
            wanted = 200 if whose == here else status
            assert hosted.visitor().get(here, path, headers=token).status_code == wanted


def test_photos_are_of_one_operator(hosted: Hosted) -> None:
    for here, there in ((ONE, OTHER), (OTHER, ONE)):
        own, other = (f"/photos/{hosted.of[each].photo}.webp" for each in (here, there))
        assert hosted.visitor().get(here, own).status_code == 200
        assert hosted.visitor().get(here, other).status_code == 404


def test_exports_and_backups_hold_what_is_of_one_operator(hosted: Hosted, tmp_path: Path) -> None:
    for here, there in ((ONE, OTHER), (OTHER, ONE)):
        app = app_of(hosted.dispatcher, here)
        saved, exported = tmp_path / f"{here}-backup.zip", tmp_path / f"{here}-export.zip"
        with app.app_context():
            files = backup.files_of(context().settings.data_dir, KEYS, "photos")
            source = backup.Source("node", db.engine, files.copy, {})
            backup.write_backup(source, saved, datetime.now(UTC), lambda _words: None)
            exports.write(db.session(), context(), exported)
        for path in (saved, exported):
            with zipfile.ZipFile(path) as archive:
                held = b"".join(archive.read(name) for name in archive.namelist())
            assert SECRETS[here].encode() in held
            assert there.encode() not in held


def test_who_asks_too_often_at_one_operator_is_heard_at_another(hosted: Hosted) -> None:
    forget_attempts()
    visitor = hosted.visitor()

    def statuses(operator_id: str, times: int) -> set[int]:
        scan = {"space": hosted.of[operator_id].space_id, "pass": "x"}
        sent = [visitor.post(operator_id, "/api/v1/arrivals", json=scan) for _ in range(times)]
        return {answer.status_code for answer in sent}

    assert 429 in statuses(ONE, 40)
    assert 429 not in statuses(OTHER, 5)
    app = app_of(hosted.dispatcher, ONE)
    create_app(replace(app.extensions["settings"], url="http://third.example"))
    assert statuses(ONE, 1) == {429}  # also when another's node was made meanwhile
    forget_attempts()


@pytest.mark.parametrize(
    "name",
    ["", "localhost", "aurore.example.", "aurore.example:8000", "aurore.example,boussole.example"],
)
def test_an_unknown_host_gets_a_page_that_names_nothing(hosted: Hosted, name: str) -> None:
    for path in ("/", "/login", "/healthz", "/metrics", "/static/style.css"):
        answer = hosted.visitor().client.get(path, headers={"Host": name}, buffered=True)
        assert (answer.status_code, answer.text) == (404, NOBODY)
        assert "Set-Cookie" not in answer.headers


def test_the_measures_of_the_process_are_told_at_no_operators_address(hosted: Hosted) -> None:
    assert hosted.visitor().get(ONE, "/metrics").status_code == 404


def test_what_a_proxy_says_counts_only_where_it_is_trusted(hosted: Hosted) -> None:
    nodes = hosted.dispatcher._nodes
    said = {"Host": "elsewhere.example", "X-Forwarded-Host": f"{OTHER}.example, {ONE}.example"}
    for proxies, wanted in ((0, None), (1, ONE), (2, OTHER), (3, None)):
        answer = Client(Dispatcher(nodes, proxies), TestResponse).get(
            "/", headers=said, buffered=True
        )
        assert answer.status_code == (200 if wanted else 404)
        assert wanted is None or f"Espace {wanted}" in answer.text


def test_the_service_itself_answers_under_its_own_name_to_those_who_are_near(
    hosted: Hosted,
) -> None:
    nodes = hosted.dispatcher._nodes

    def status(path: str, proxies: int = 0, **headers: str) -> int:
        client = Client(Dispatcher(nodes, proxies, "status.local"), TestResponse)
        said = {"Host": "status.local", **{n.replace("_", "-"): v for n, v in headers.items()}}
        near = {"REMOTE_ADDR": "10.0.0.7"}
        return client.get(path, headers=said, environ_base=near, buffered=True).status_code

    assert [status(path) for path in ("/healthz", "/readyz", "/metrics", "/")] == [200] * 3 + [404]
    assert status("/metrics", X_Forwarded_For="10.0.0.8") == 404  # by a proxy that is not known
    assert status("/metrics", 1, X_Forwarded_For="10.0.0.8") == 200
    assert status("/metrics", 1, X_Forwarded_For="8.8.8.8") == 404


def test_each_line_of_a_request_says_whose_it_is(hosted: Hosted) -> None:
    said: list[str] = []

    def note(_app: Flask, **_more: object) -> None:
        said.append(structlog.contextvars.get_contextvars()["operator"])

    with request_finished.connected_to(note):
        for here in (ONE, OTHER, ONE):
            hosted.visitor().get(here, "/healthz")
    assert said == [ONE, OTHER, ONE]


def test_what_is_written_at_one_operator_wakes_its_jobs_alone(hosted: Hosted) -> None:
    folders = {
        each: app_of(hosted.dispatcher, each).extensions["settings"].data_dir for each in hosted.of
    }
    marks = {each: folder / operators.WRITTEN for each, folder in folders.items()}
    before = {each: operators.stat_of(mark) for each, mark in marks.items()}
    hosted.visitor().get(ONE, "/")
    assert operators.stat_of(marks[ONE]) == before[ONE]
    hosted.visitor().log_in(ONE)
    assert operators.stat_of(marks[ONE]) != before[ONE]
    assert operators.stat_of(marks[OTHER]) == before[OTHER]
