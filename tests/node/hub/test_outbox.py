"""What the hub is told: one message is in nobody's way, and only the hub itself refuses one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from node.hub import outbox
from node.hub.models import Outbox
from node.passes import reconcile_passes, service
from node.passes.models import Pass
from node.visits.models import Visit
from shared.store.db import begin_write
from tests.network import PASSWORD, LocalNode, Network, Person
from tests.shared.browser import Browser, Page, forget_attempts

pytestmark = pytest.mark.both_databases


@pytest.fixture
def troquet(network: Network) -> LocalNode:
    return network.nodes["troquet"]


@pytest.fixture
def member(network: Network) -> Person:
    return network.nodes["cordee"].add_person().get_pass()


JSON, HTML = "application/json", "text/html"
# Whatever may answer at the hub's address that is not the hub: (status, kind, body).
FOREIGN = {
    "redirect": ("302 Found", "", b""),
    "empty 404": ("404 Not Found", "", b""),
    "empty 204": ("204 No Content", "", b""),
    "empty object": ("200 OK", JSON, b"{}"),
    "a gateway's 404": ("404 Not Found", JSON, b'{"message": "no route matched"}'),
    "a gateway's 403": ("403 Forbidden", JSON, b'{"message": "forbidden", "status": 403}'),
    "a portal's page": ("200 OK", HTML, b"<h1>Welcome</h1>"),
    "too many": ("429 Too Many Requests", JSON, b'{"error": "rate"}'),
    "not implemented": ("501 Not Implemented", "", b""),
    "another's 520": ("520 Unknown", "", b""),
    "cut off": ("200 OK", JSON, b'{"visit": {"id"'),
    "another's problem": (
        "409 Conflict",
        "application/problem+json",
        b'{"type": "https://gateway.example/problems/conflict", "status": 409}',
    ),
}


@contextmanager
def answering(
    network: Network, status: str, kind: str, body: bytes, path: str = "/api/v1/visits"
) -> Iterator[list[str]]:
    """Answer so in the hub's place to whatever is asked below a path; note what was asked."""
    app, asked = network.hub.app, list[str]()
    serve = app.wsgi_app

    def instead(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        if not environ["PATH_INFO"].startswith(path):
            return serve(environ, start_response)
        asked.append(environ["PATH_INFO"])
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        headers = [("Content-Type", kind)] if kind else []
        start_response(status, [*headers, ("Content-Length", str(len(body)))])
        return [body]

    app.wsgi_app = instead  # type: ignore[method-assign]
    try:
        yield asked
    finally:
        app.wsgi_app = serve  # type: ignore[method-assign]


OWN_FAULT = ("500 Internal Server Error", "application/problem+json")


def own_fault(network: Network) -> tuple[str, str, bytes]:
    """Return what the hub itself answers when something went wrong."""
    said = f'{{"type": "{network.hub.url}/problems/internal", "status": 500}}'
    return (*OWN_FAULT, said.encode())


@pytest.mark.parametrize("foreign", FOREIGN)
def test_whatever_else_answers_at_the_hubs_address_loses_no_visit(
    network: Network, troquet: LocalNode, member: Person, foreign: str
) -> None:
    with answering(network, *FOREIGN[foreign]):
        answer = troquet.scan(member.show())
        assert answer.status_code == 201, answer.text
        assert answer.json()["decision"]["online"] is False
        assert troquet.preview(member.show()).status_code == 200
        visit = answer.json()["visit"]["id"]
        for _ in range(outbox.FAILURES):
            troquet.deliver()
        assert troquet.waiting()["dead"] == 0
        assert not troquet.circuit.open, "one answer is no absence"
    troquet.deliver()
    assert troquet.waiting() == {"pending": 0, "dead": 0}
    assert network.hub.lines(visit) == [1]
    assert troquet.presence()[0]["delivered"] is True


def test_a_message_that_the_hub_cannot_take_is_in_nobodys_way(
    network: Network, troquet: LocalNode, member: Person
) -> None:
    poison = troquet.scan(member.show()).json()["visit"]["id"]
    other = member.node.add_person().get_pass()
    path = f"/api/v1/visits/{poison}/check-out"
    with answering(network, *own_fault(network), path=path) as asked:
        troquet.check_out(poison)
        for _ in range(20):
            answer = troquet.scan(other.show())
            assert answer.status_code == 201
            assert answer.json()["decision"]["online"] is True
            assert troquet.check_out(answer.json()["visit"]["id"]).status_code == 200
        for _ in range(outbox.FAILURES):
            troquet.deliver()
        assert troquet.waiting() == {"pending": 0, "dead": 0, "stuck": 1}
        told = len(asked)
        with troquet.context() as (session, context):
            outbox.flush(session, context)
        assert len(asked) == told, "it is tried again in an hour"
    with troquet.context() as (session, context):
        row = session.scalars(select(Outbox).where(Outbox.state == "stuck")).one()
        assert "500" in str(row.error)
        assert row.next_attempt_at - context.clock.real() > timedelta(minutes=50)
    troquet.deliver()
    assert troquet.waiting() == {"pending": 0, "dead": 0}


def test_a_message_waits_for_those_on_its_own_subject_alone(
    network: Network, troquet: LocalNode, member: Person
) -> None:
    other = member.node.add_person().get_pass()
    with answering(network, *own_fault(network)):
        first = troquet.scan(member.show()).json()["visit"]["id"]
        second = troquet.scan(other.show()).json()["visit"]["id"]
        troquet.check_out(first)
        for _ in range(outbox.FAILURES):
            troquet.deliver()
    assert troquet.waiting() == {"pending": 1, "dead": 0, "stuck": 2}, "its end waits for it"
    with troquet.context() as (session, _):
        ids = {row.key: row.id for row in session.execute(select(Outbox.key, Outbox.id))}
    with troquet.context() as (session, context):
        assert outbox.send_again(session, context.clock.real(), ids[f"visit:{first}"])
        outbox.flush(session, context)
    assert troquet.waiting() == {"pending": 0, "dead": 0, "stuck": 1}
    items = network.hub.get("/api/v1/visits", network.hub.token).json()["items"]
    assert [(item["id"], item["state"]) for item in items] == [(first, "closed")]
    assert second not in {item["id"] for item in items}


def test_while_the_hub_is_not_ready_it_is_no_messages_fault(
    network: Network, troquet: LocalNode, member: Person
) -> None:
    broken = ("503 Service Unavailable", HTML, b"<h1>Maintenance</h1>")
    with answering(network, *broken, path="/"):
        visit = troquet.scan(member.show()).json()["visit"]["id"]
        for _ in range(outbox.FAILURES + 2):
            troquet.deliver()
        assert troquet.waiting() == {"pending": 1, "dead": 0}
    troquet.await_hub()
    troquet.deliver()
    assert network.hub.lines(visit) == [1]


def test_what_is_stuck_is_compared_each_day_too(
    network: Network, troquet: LocalNode, member: Person
) -> None:
    with answering(network, *own_fault(network)):
        visit = troquet.scan(member.show()).json()["visit"]["id"]
        for _ in range(outbox.FAILURES):
            troquet.deliver()
    network.pass_time(hours=25)
    troquet.refresh()
    assert troquet.waiting() == {"pending": 0, "dead": 0}
    assert network.hub.lines(visit), "it is in the account"


def test_the_admin_sends_again_what_is_stuck_or_gives_it_up(
    network: Network, troquet: LocalNode, member: Person
) -> None:
    forget_attempts()
    admin = Browser(troquet)
    admin.log_in("admin@troquet.example", PASSWORD)
    with answering(network, *own_fault(network)):
        visits = [
            troquet.scan(person.show()).json()["visit"]["id"]
            for person in (member, member.node.add_person().get_pass())
        ]
        for _ in range(outbox.FAILURES):
            troquet.deliver()
        with troquet.context() as (session, _):
            query = select(Outbox.id).where(Outbox.state == "stuck").order_by(Outbox.id)
            first, second = session.scalars(query)
        page = Page(admin.get("/console/sync?lang=en").text).text
        assert "2 messages are stuck" in page
        assert "internal" in page, "with what the hub answered"
    assert admin.post(f"/console/sync/messages/{first}/send").status_code == 302
    assert admin.post(f"/console/sync/messages/{second}/give-up").status_code == 302
    troquet.deliver()
    assert troquet.waiting() == {"pending": 0, "dead": 0}
    assert network.hub.lines(visits[0]) == [1]
    assert network.hub.lines(visits[1]) == []
    assert admin.post(f"/console/sync/messages/{second}/give-up").status_code == 404
    assert admin.post("/console/sync/messages/999/send").status_code == 404


def test_nothing_is_delivered_before_somebody_at_the_door(
    network: Network, troquet: LocalNode, member: Person
) -> None:
    with troquet.cut_off():
        for _ in range(3):
            other = member.node.add_person().get_pass()
            assert troquet.scan(other.show()).status_code == 201
    with troquet.without_jobs(), troquet.calls() as asked:
        assert troquet.scan(member.show()).json()["decision"]["online"] is True
    told = [url for url in asked if url.endswith("/api/v1/visits")]
    assert len(told) == 1
    assert troquet.waiting()["pending"] == 3


def test_who_left_a_moment_ago_comes_back_for_another_visit(
    network: Network, troquet: LocalNode, member: Person
) -> None:
    with troquet.without_jobs():
        first = troquet.scan(member.show()).json()["visit"]["id"]
        troquet.check_out(first)
        answer = troquet.scan(member.show())
    assert answer.status_code == 201, answer.text
    assert answer.json()["visit"]["id"] != first
    assert answer.json()["decision"]["online"] is True


def test_what_was_delivered_is_forgotten_after_some_weeks(
    network: Network, troquet: LocalNode, member: Person
) -> None:
    with troquet.cut_off():
        assert troquet.scan(member.show()).status_code == 201
    troquet.deliver()
    with troquet.context() as (session, context):
        now = context.clock.real()
        outbox.purge_expired(session, now + outbox.KEPT - timedelta(days=1))
        count = select(func.count()).select_from(Outbox)
        assert session.scalar(count) > 0
        outbox.purge_expired(session, now + outbox.KEPT + timedelta(minutes=1))
        assert session.scalar(count) == 0
        assert session.scalar(select(func.count()).select_from(Visit)) == 1


def test_a_pass_that_came_back_is_not_suspended_again_by_what_the_hub_has_not_heard(
    network: Network, member: Person
) -> None:
    home = member.node
    with home.context() as (session, context):
        begin_write(session)
        service.end(session, context, session.get_one(Pass, member.pass_id), "suspended")
        session.commit()
        outbox.flush(session, context)
        begin_write(session)
        row = session.get_one(Pass, member.pass_id)
        row.status, row.ended_at, row.changes = "valid", None, row.changes + 1
        service.announce(session, context, row)
        session.commit()
        found = reconcile_passes.compare(session, context)
        assert found["ended"] == 0
        assert session.get_one(Pass, member.pass_id).status == "valid"
        outbox.flush(session, context)
    assert network.nodes["troquet"].scan(member.show()).status_code == 201


def test_what_a_request_has_queued_is_told_before_it_is_answered(
    network: Network, troquet: LocalNode, member: Person
) -> None:
    """The jobs are not waited for: who ends a pass expects it to be over."""
    with member.node.without_jobs():
        path = f"/api/v1/me/passes/{member.pass_id}"
        assert member.node.delete(path, member.token).status_code == 204
        assert member.node.waiting()["pending"] == 0
    refused = troquet.scan(member.show())
    assert [each["code"] for each in refused.json()["decision"]["reasons"]] == ["pass_revoked"]
